/*
 * Balls made of others axis by axis: pads, and maps of another size.
 *
 * The layer is the linear function whose weights op/resize.c has in double.  A
 * sum of n terms here has each go through at most n roundings, its
 * multiplication among them, and then through those of the axes before; so with
 * k the sum of the n of all axes the result is off by gamma(k) of the sum of
 * the terms' magnitudes (lemma 3.1).  In a run (kernel.h) the terms go through
 * as many fused roundings, and each weight has one rounding to f32 for each
 * axis: n + 1 each.  What is lost where a weight or a result is subnormal, at
 * most 2^-150 of a number, is added as if all weights were larger by FLOOR, and
 * as PTF_TINY_F for each rounding of a sum, which the weights of further axes
 * (at most 4 in all, as cubic ones have 1.6 at most) multiply.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

#define FLOOR 0x1p-100

/* Sums of w m, |w| (|m| + r) and |w| r, and how many terms. */
typedef struct sums {
    double value, magnitude, radius, terms;
} sums;

/* Where a sum is: positions of the result, and the operand's plane. */
typedef struct place {
    const ptf_taps *taps;
    const int64_t *at;
    ptf_balls in;
} place;

/* Along axis d and those after it, of 'floats' numbers from 'first' on. */
static sums sum_up(const place *p, int d, int64_t first, int64_t floats)
{
    sums s = {0, 0, 0, 0};
    if (d == p->taps->rank) {
        double m = p->in.value[first], r = p->in.radius[first];
        return (sums){m, fabs(m) + r, r, 0};
    }
    const ptf_axis_taps *a = &p->taps->axes[d];
    int64_t i = p->at[d];
    floats /= a->in;
    for (int64_t k = a->begin[i]; k < a->begin[i + 1]; k++) {
        sums t = sum_up(p, d + 1, first + a->index[k] * floats, floats);
        double w = a->weight[k];
        s.value += w * t.value;
        s.magnitude += (fabs(w) + FLOOR) * t.magnitude;
        s.radius += fabs(w) * t.radius;
        s.terms += t.terms + 1;
    }
    return s;
}

/* A weight of 1 alone is exact, and so is what a pad puts in. */
static void move(const ptf_node *node, const place *p, double *value,
                 double *radius)
{
    int64_t at = 0;
    for (int d = p->taps->first; d < p->taps->rank; d++) {
        const ptf_axis_taps *a = &p->taps->axes[d];
        int64_t k = a->begin[p->at[d]];
        if (k == a->begin[p->at[d] + 1]) {
            *value = (double)(float)node->attrs.p[0];
            *radius = 0;
            return;
        }
        at = at * a->in + a->index[k];
    }
    *value = p->in.value[at];
    *radius = p->in.radius[at];
}

/* The roundings that a term goes through along all axes, in double. */
static int64_t depth(const place *p)
{
    int64_t n = 0;
    for (int d = p->taps->first; d < p->taps->rank; d++) {
        const ptf_axis_taps *a = &p->taps->axes[d];
        n += a->begin[p->at[d] + 1] - a->begin[p->at[d]] + 1;
    }
    return n;
}

static void mix(const place *p, int64_t plane, bool executed, double *value,
                double *radius)
{
    sums s = sum_up(p, p->taps->first, 0, plane);
    int64_t n = depth(p);
    double up = 1 + 2 * ptf_gamma(n + 8, PTF_U);
    double g = ptf_gamma(n, PTF_U) + (executed ? ptf_gamma(n, PTF_F) : 0);
    double tiny = executed ? 4 * (s.terms + 1) * PTF_TINY_F : PTF_TINY;
    *value = s.value;
    *radius =
        (s.radius + g * s.magnitude) * up * (executed ? 1 + 2 * g : 1) + tiny;
}

typedef struct work {
    const ptf_enclose_step *step;
    const ptf_taps *taps;
} work;

static void tap_image(void *context, int64_t n, int thread)
{
    const work *w = context;
    const ptf_enclose_step *s = w->step;
    const ptf_node *node = ptf_enclose_node_of(s);
    const ptf_shape *out = &s->enc->shapes[s->node];
    ptf_balls in = ptf_enclose_in(s, 0, n), to = ptf_enclose_out(s, n);
    bool moves = ptf_op_moves(node->op, &node->attrs);
    int64_t at[PTF_SHAPE_MAX], plane = 1;
    (void)thread;
    for (int d = w->taps->first; d < w->taps->rank; d++)
        plane *= w->taps->axes[d].in;
    for (int64_t i = 0; i < ptf_shape_numel(out); i++) {
        int64_t number = i;
        for (int d = out->rank - 1; d >= w->taps->first; d--) {
            at[d] = number % out->dim[d];
            number /= out->dim[d];
        }
        place p = {w->taps, at, ptf_balls_of(in, plane, number)};
        if (moves)
            move(node, &p, &to.value[i], &to.radius[i]);
        else
            mix(&p, plane, s->pass->executed, &to.value[i], &to.radius[i]);
    }
}

ptf_status ptf_enclose_taps(const ptf_enclose_step *step, ptf_error *err)
{
    const ptf_node *node = ptf_enclose_node_of(step);
    ptf_arena arena = {0};
    ptf_taps taps;
    ptf_status status = PTF_OK;
    if (ptf_op_taps(&arena, node->op, &node->attrs,
                    ptf_enclose_shape_of(step, 0),
                    &step->enc->shapes[step->node], &taps))
        ptf_each(step->pass->threads, step->pass->images, tap_image,
                 &(work){step, &taps});
    else
        status = ptf_fail_memory(err);
    ptf_arena_free(&arena);
    return status;
}
