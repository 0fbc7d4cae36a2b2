/*
 * What the enclosures of the outputs say about functions, roundings and
 * predictions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/certify.h"

#include <math.h>

bool ptf_balls_sharp(ptf_balls a, ptf_balls b, int64_t count)
{
    double most = 0, radius = 0;
    for (int64_t k = 0; b.value != NULL && k < count; k++) {
        most = fmax(most, fabs(a.value[k]));
        radius = fmax(radius, a.radius[k] + b.radius[k]);
    }
    return radius <= 0x1p-16 * most || !(radius > PTF_TINY_F);
}

/* ---------------------------------------------------------------- functions */

static int64_t numbers_of(const ptf_outcome *o)
{
    int64_t count = 0;
    for (int k = 0; o->a.value != NULL && k < o->outputs; k++)
        count += o->sizes[k];
    return count;
}

double ptf_outcome_width(const ptf_outcome *o)
{
    double largest = 0, radius = o->a.value != NULL ? 0 : HUGE_VAL;
    for (int64_t k = 0; k < numbers_of(o); k++) {
        double r = (o->a.radius[k] + o->b.radius[k]) * PTF_UP;
        radius = r <= radius ? radius : r < HUGE_VAL ? r : HUGE_VAL;
        largest = fmax(largest, fabs(o->a.value[k]));
    }
    return !(radius > 0) ? 0 : largest > 0 ? radius / largest : HUGE_VAL;
}

static void add_output(ptf_certificate *c, const ptf_outcome *o, int64_t k)
{
    ptf_raise_to(&c->largest, fabs(o->a.value[k]));
    ptf_raise_to(&c->radius, (o->a.radius[k] + o->b.radius[k]) * PTF_UP);
    ptf_raise_to(&c->parameter_effect, fabs(o->b.value[k] - o->a.value[k]));
    ptf_raise_to(&c->evaluation_a, fabs((double)o->run_a[k] - o->a.value[k]));
    ptf_raise_to(&c->evaluation_b, fabs((double)o->run_b[k] - o->b.value[k]));
}

void ptf_certificate_add(ptf_certificate *c, const ptf_outcome *o)
{
    c->bounded += o->a.value != NULL;
    for (int64_t k = 0; k < numbers_of(o); k++)
        add_output(c, o, k);
    if (o->a.value != NULL)
        ptf_raise_to(&c->relative, ptf_outcome_width(o));
}

/* -------------------------------------------------------------- predictions */

static int64_t first_largest(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

/*
 * True when output 'top' is proved to be the first of the largest: above those
 * before it, and not below those after it, which exact zeros after a ReLU
 * can be.
 */
static bool is_top(ptf_balls balls, int64_t n, int64_t top)
{
    for (int64_t k = 0; k < n; k++) {
        double margin = balls.value[top] - balls.value[k];
        double radius = balls.radius[top] + balls.radius[k];
        double sure = margin * (1 - 4 * PTF_U);
        if (k != top && !(k < top ? sure > radius : sure >= radius))
            return false;
    }
    return true;
}

static ptf_balls from(ptf_balls balls, int64_t first)
{
    return (ptf_balls){balls.value + first, balls.radius + first};
}

/*
 * Of the output of 'size' numbers from 'first' on.  Where runs differ, rounding
 * is the cause just when there is no other.
 */
static ptf_prediction predict(const ptf_outcome *o, int64_t first, int64_t size)
{
    int64_t i = first_largest(o->run_a + first, size);
    int64_t j = first_largest(o->run_b + first, size);
    if (i != j)
        return o->rewritten ? PTF_PREDICTION_UNDECIDED
                            : PTF_PREDICTION_DIFFERENT;
    bool proved = o->a.value != NULL && is_top(from(o->a, first), size, i) &&
                  is_top(from(o->b, first), size, i);
    return proved ? PTF_PREDICTION_CERTIFIED : PTF_PREDICTION_EQUAL;
}

const char *ptf_prediction_name(ptf_prediction prediction)
{
    static const char *const names[] = {"certified", "equal", "undecided",
                                        "different"};
    return names[prediction];
}

ptf_prediction ptf_outcome_prediction(const ptf_outcome *o)
{
    ptf_prediction weakest = PTF_PREDICTION_CERTIFIED;
    int64_t first = 0;
    for (int k = 0; k < o->outputs; first += o->sizes[k++]) {
        ptf_prediction one = predict(o, first, o->sizes[k]);
        weakest = one > weakest ? one : weakest;
    }
    return weakest;
}
