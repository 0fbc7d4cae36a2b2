/*
 * Balls through layer, group, instance and RMS norms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/spread.h"
#include "enclose/walk.h"

/* What the numbers of a group are divided by: within 'off' of 'size', and no
 * less than 'least'. */
typedef struct divisor {
    double size, off, least, most_quotient;
} divisor;

/*
 * size = sqrt(norm^2 / n + eps) is the norm of the vector (x / sqrt(n),
 * sqrt(eps)), and so moves by at most 1 / sqrt(n) of what the norm of the x
 * moves by; division, sum, root and their like in a run are below 8u.  No
 * number is more than sqrt(n) times as large as the size.
 */
static divisor divisor_of(const ptf_spread *s, double eps)
{
    double n = (double)s->n, root = sqrt(n);
    divisor d = {.size = sqrt(s->square / n + eps)};
    double moved = s->off / root * PTF_UP;
    d.off = moved + 8 * PTF_U * (d.size + moved);
    d.least = fmax(d.size - d.off, sqrt(eps) * (1 - 8 * PTF_U));
    d.most_quotient = root * (1 + 0x1p-20);
    return d;
}

/* A weight; 1 where there is none. */
static double number_at(const float *f32, const double *f64, int64_t i)
{
    return f32 != NULL ? (double)f32[i] : f64 != NULL ? f64[i] : 1.0;
}

/*
 * With centre c, off by q, and divisor s, off by e: |c' / s' - c / s| is at
 * most (q + |c| e / s) / s'.  Then two roundings of the product, one of the sum
 * and, in a run, the last to f32.
 */
static void normalise(const ptf_parameters *numbers, int64_t channel,
                      bool executed, const divisor *d, double c, double q,
                      double *value, double *radius)
{
    bool rounded = executed && numbers->rounded;
    double w = number_at(numbers->f32, numbers->f64, channel);
    double b = numbers->bias.value != NULL ? numbers->bias.value[channel] : 0.0;
    double quotient = fabs(c) / d->size;
    double moved =
        fmin((q + quotient * d->off) / d->least, quotient + d->most_quotient);
    double p = c * (w / d->size), y = p + b;
    double by_numbers =
        rounded ? (PTF_F * fabs(w) + PTF_TINY_F) * (quotient + moved) +
                      PTF_F * fabs(b) + PTF_TINY_F
                : 0.0;
    double r = fabs(w) * moved + by_numbers;
    r += 4 * PTF_U * (fabs(p) + r) + 2 * PTF_U * (fabs(y) + r);
    r = r * PTF_UP + 0x1p-900; /* underflow of w / size, times c */
    *value = y;
    *radius = d->least > 0 ? r + ptf_executed(executed, y, r) : HUGE_VAL;
}

static void image(const ptf_enclose_step *s, int64_t image)
{
    const ptf_node *node = ptf_enclose_node_of(s);
    const ptf_parameters *numbers = &s->enc->numbers[s->node];
    ptf_balls in = ptf_enclose_in(s, 0, image), out = ptf_enclose_out(s, image);
    ptf_norm_cut cut =
        ptf_op_norm_cut(node->op, &node->attrs, ptf_enclose_shape_of(s, 0));
    ptf_axes terms = {1, {cut.n}, {1}};
    for (int64_t at = 0; at < s->enc->sizes[s->node]; at += cut.n) {
        ptf_spread of = ptf_spread_of(&terms, ptf_balls_of(in, 1, at),
                                      cut.centred, s->pass->executed);
        divisor d = divisor_of(&of, node->attrs.eps);
        for (int64_t i = at; i < at + cut.n; i++) {
            double m = in.value[i], q = ptf_spread_radius(&of, m, in.radius[i]);
            normalise(numbers, i / cut.inner % cut.weights, s->pass->executed,
                      &d, ptf_spread_centre(&of, m), q, &out.value[i],
                      &out.radius[i]);
        }
    }
}

const ptf_enclose_family ptf_enclose_family_norm = {.image = image};
