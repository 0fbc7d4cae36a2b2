/*
 * Balls through a softmax and its logarithm.
 *
 * A radius is computed from non-negative numbers by a few operations, each of
 * which may fall short by a factor 1 - u; PTF_UP makes that good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* What the arguments of a sum are like. */
typedef struct survey {
    double top;   /* the largest */
    double least; /* the largest is no less */
    double reach; /* the largest radius of those that count */
    bool nan;
} survey;

/*
 * An argument that is surely 800 below the largest one, as a mask makes it, has
 * an exponential below 2^-1154 of that one's: all of them together are as
 * good as nothing, whatever their radii are.
 */
static bool counts(const survey *s, double x, double r)
{
    return !(x + r < s->least - 800.0);
}

/* A radius that is NaN says as little as an infinite one. */
static double radius_of(ptf_balls in, int64_t at)
{
    return isnan(in.radius[at]) ? HUGE_VAL : in.radius[at];
}

static survey look_at(int64_t n, int64_t step, ptf_balls in)
{
    survey s = {in.value[0], -HUGE_VAL, 0, false};
    for (int64_t i = 0; i < n; i++) {
        double x = in.value[i * step], r = radius_of(in, i * step);
        s.nan = s.nan || isnan(x);
        s.top = fmax(s.top, x);
        s.least = fmax(s.least, x - r);
    }
    for (int64_t i = 0; i < n; i++) {
        double x = in.value[i * step], r = radius_of(in, i * step);
        if (counts(&s, x, r))
            s.reach = fmax(s.reach, r);
    }
    return s;
}

/*
 * When every argument moves by at most R, each quotient s = e_i / sum moves
 * by a factor within exp(+-2R): by at most s (exp(2R) - 1), which for 2R <= 1
 * is below s (2R + 4R^2); a softmax never moves by more than 1.  Computing it
 * costs u |x - max| <= 700u in each argument, the error of exp, gamma(n) for
 * the sum and u for the division, and all but the last twice.
 */
static void softmax(int64_t n, int64_t step, bool executed, ptf_balls in,
                    ptf_balls out)
{
    survey of = look_at(n, step, in);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = in.value[i * step], r = radius_of(in, i * step);
        double e = counts(&of, x, r) ? ptf_enclose_exp(x - of.top) : 0;
        out.value[i * step] = e;
        sum += e;
    }
    double relative =
        2 * (701 * PTF_U + PTF_EXP_ERROR + ptf_gamma(n + 2, PTF_U));
    double reach = of.reach;
    double moved = 2 * reach <= 1 ? 2 * reach + 4 * reach * reach : HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        bool counted = counts(&of, in.value[i * step], radius_of(in, i * step));
        double s = out.value[i * step] / sum;
        double r = s > 0 ? fmin(s * (1 + 4 * relative) * moved, 1.0) : 0.0;
        if (!(moved < HUGE_VAL) && counted)
            r = 1.0;
        out.value[i * step] = of.nan ? (double)NAN : s;
        r = (r + 2 * relative * s) * PTF_UP + 0x1p-990;
        out.radius[i * step] = r + 2 * ptf_executed(executed, s, r);
    }
}

/*
 * Each result is x_i - log(sum of e^x), whose logarithm moves by at most R when
 * every argument does; so it moves by at most r_i + R.  The sum, which is at
 * least 1, is off by a factor of 1 + e for half the 'relative' above, so that
 * its logarithm is off by less than 2e.  Then the error of the logarithm, and
 * two subtractions, the first one twice.
 */
static void log_softmax(int64_t n, int64_t step, bool executed, ptf_balls in,
                        ptf_balls out)
{
    survey of = look_at(n, step, in);
    double sum = 0, error;
    for (int64_t i = 0; i < n; i++) {
        double x = in.value[i * step], r = radius_of(in, i * step);
        sum += counts(&of, x, r) ? ptf_enclose_exp(x - of.top) : 0;
    }
    double log = ptf_enclose_log(sum, &error);
    error += 2 * (701 * PTF_U + PTF_EXP_ERROR + ptf_gamma(n + 2, PTF_U));
    for (int64_t i = 0; i < n; i++) {
        double x = in.value[i * step], y = x - of.top - log;
        double r = radius_of(in, i * step) + of.reach + 2 * error +
                   PTF_U * (2 * fabs(x - of.top) + fabs(y));
        r = r * PTF_UP + PTF_TINY;
        out.value[i * step] = of.nan ? (double)NAN : y;
        out.radius[i * step] = r + ptf_executed(executed, y, r);
    }
}

static void each(bool logarithm, int64_t outer, int64_t n, int64_t inner,
                 bool executed, ptf_balls in, ptf_balls out)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t at = o * n * inner + i;
            (logarithm ? log_softmax : softmax)(
                n, inner, executed, (ptf_balls){in.value + at, in.radius + at},
                (ptf_balls){out.value + at, out.radius + at});
        }
}

void ptf_enclose_softmax(int64_t outer, int64_t n, int64_t inner, bool executed,
                         ptf_balls in, ptf_balls out)
{
    each(false, outer, n, inner, executed, in, out);
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_shape *shape = &s->enc->shapes[s->node];
    const ptf_attrs *attrs = &ptf_enclose_node_of(s)->attrs;
    int axis = ptf_softmax_axis(attrs, shape->rank + 1) - 1;
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < shape->rank; i++) {
        outer *= i < axis ? shape->dim[i] : 1;
        inner *= i > axis ? shape->dim[i] : 1;
    }
    each(ptf_enclose_node_of(s)->op == PTF_OP_LOG_SOFTMAX, outer,
         shape->dim[axis], inner, s->pass->executed, ptf_enclose_in(s, 0, n),
         ptf_enclose_out(s, n));
}

const ptf_enclose_family ptf_enclose_family_softmax = {.image = image};
