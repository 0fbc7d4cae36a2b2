/*
 * Balls through a softmax.
 *
 * A radius is computed from non-negative numbers by a few operations, each of
 * which may fall short by a factor 1 - u; PTF_UP makes that good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

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
    double top = in.value[0], reach = 0, sum = 0;
    bool nan = false;
    for (int64_t i = 0; i < n; i++) {
        nan = nan || isnan(in.value[i * step]) || isnan(in.radius[i * step]);
        top = fmax(top, in.value[i * step]);
        reach = fmax(reach, in.radius[i * step]);
    }
    for (int64_t i = 0; i < n; i++) {
        double e = ptf_enclose_exp(in.value[i * step] - top);
        out.value[i * step] = e;
        sum += e;
    }
    double relative =
        2 * (701 * PTF_U + PTF_EXP_ERROR + ptf_gamma(n + 2, PTF_U));
    double moved = 2 * reach <= 1 ? 2 * reach + 4 * reach * reach : HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        double s = out.value[i * step] / sum;
        double r = s > 0 ? fmin(s * (1 + 4 * relative) * moved, 1.0) : 0.0;
        if (!(moved < HUGE_VAL))
            r = 1.0;
        out.value[i * step] = nan ? (double)NAN : s;
        r = (r + 2 * relative * s) * PTF_UP + 0x1p-990;
        out.radius[i * step] = r + 2 * ptf_executed(executed, s, r);
    }
}

void ptf_enclose_softmax(int64_t outer, int64_t n, int64_t inner, bool executed,
                         ptf_balls in, ptf_balls out)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t at = o * n * inner + i;
            softmax(n, inner, executed,
                    (ptf_balls){in.value + at, in.radius + at},
                    (ptf_balls){out.value + at, out.radius + at});
        }
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
    ptf_enclose_softmax(outer, shape->dim[axis], inner, s->pass->executed,
                        ptf_enclose_in(s, 0, n), ptf_enclose_out(s, n));
}

const ptf_enclose_family ptf_enclose_family_softmax = {.image = image};
