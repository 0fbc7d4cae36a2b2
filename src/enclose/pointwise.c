/*
 * Balls through layers that take one number at a time, and softmax.
 *
 * A radius is computed from non-negative numbers by a few operations, each
 * of which may fall short by a factor 1 - u; UP makes that good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"

#include <math.h>

#define UP (1.0 + 0x1p-40)

int64_t ptf_balls_first_bad(ptf_balls balls, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(balls.value[i]) || !isfinite(balls.radius[i]))
            return i;
    return -1;
}

/*
 * Per channel a = gamma / sqrt(var + eps): sum, root and division give a
 * relative error below u/2 + u + u, and 4u with room.  Then d = m - mean,
 * p = a d and y = p + beta.  With the first two operations p is within 7u
 * |a||d| of the exact one, the last rounding adds u |y|, and the input's
 * radius arrives as |a| r, where the exact |a| is below (1 + 4u) of ours.
 */
void ptf_enclose_norm(const ptf_norm *norm, int64_t channels, int64_t pixels,
                      ptf_balls in, ptf_balls out)
{
    for (int64_t c = 0; c < channels; c++) {
        double gamma = norm->gamma ? norm->gamma[c] : 1.0;
        double beta = norm->beta ? norm->beta[c] : 0.0;
        double a = gamma / sqrt(norm->var[c] + norm->eps);
        /* A quotient that underflows has no relative error bound. */
        double lost = fabs(gamma) > 0 && fabs(a) < 0x1p-900 ? HUGE_VAL : 0;
        for (int64_t p = 0; p < pixels; p++) {
            int64_t i = c * pixels + p;
            double d = in.value[i] - norm->mean[c];
            double y = a * d + beta;
            double r = fabs(a) * (in.radius[i] + 8 * PTF_U * fabs(d));
            out.value[i] = y;
            out.radius[i] = (r + 2 * PTF_U * fabs(y)) * UP + PTF_TINY + lost;
        }
    }
}

/* Exact on the centre, and never further apart than its arguments. */
void ptf_enclose_relu(int64_t n, ptf_balls in, ptf_balls out)
{
    for (int64_t i = 0; i < n; i++) {
        double m = in.value[i];
        out.value[i] = m > 0 || isnan(m) ? m : 0.0;
        /* Wholly negative: the output is 0 and nothing else. */
        out.radius[i] = m + in.radius[i] < 0 ? 0.0 : in.radius[i];
    }
}

/* The slope is the text's double; max(1, |slope|) is the Lipschitz bound. */
void ptf_enclose_leaky_relu(int64_t n, double slope, ptf_balls in,
                            ptf_balls out)
{
    double lipschitz = fmax(1.0, fabs(slope));
    for (int64_t i = 0; i < n; i++) {
        double m = in.value[i];
        double y = m > 0 ? m : slope * m;
        double r = lipschitz * in.radius[i] + 2 * PTF_U * fabs(y);
        out.value[i] = y;
        out.radius[i] = r * UP + PTF_TINY;
    }
}

/*
 * x = k ln 2 + t with |t| < 0.35.  The high part of ln 2 has 32 bits, so that
 * k times it is exact for |k| < 2^11, and t is off by less than u.  The Taylor
 * remainder of degree 14 is below 2 * 0.35^15 / 15! < 2^-61.  In Horner's rule
 * term n goes through 3n + 1 roundings, and the sum of (3n + 1) |t|^n / n! is
 * below 3, against a result above 0.7: 5u.  The total is below 8u;
 * PTF_EXP_ERROR is 64u.
 */
double ptf_enclose_exp(double x)
{
    static const double high = 0x1.62e42feep-1; /* 32 bits */
    static const double low = 0x1.a39ef35793c76p-33;
    if (x < -700)
        return 0.0;
    double k = rint(x * 0x1.71547652b82fep+0);
    double t = (x - k * high) - k * low;
    double sum = 1.0;
    for (int n = 14; n > 0; n--)
        sum = 1.0 + t * sum / n;
    return ldexp(sum, (int)k);
}

/*
 * Lipschitz bound 1/4.  With e = exp(-|x|) both forms, 1 / (1 + e) and
 * e / (1 + e), are off by the relative error of e twice and 3u.
 */
void ptf_enclose_sigmoid(int64_t n, ptf_balls in, ptf_balls out)
{
    for (int64_t i = 0; i < n; i++) {
        double m = in.value[i];
        double e = ptf_enclose_exp(-fabs(m));
        double y = m >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
        double r = fmin(0.25 * in.radius[i], 1.0);
        out.value[i] = isnan(m) ? m : y;
        out.radius[i] = (r + 4 * PTF_EXP_ERROR * y) * UP + PTF_TINY;
    }
}

/*
 * Lipschitz bound 1.  (1 - e) / (1 + e) with e = exp(-2|x|) <= 1: the error of
 * e moves the quotient by at most 2 e PTF_EXP_ERROR, the rest is 3u; the
 * bound is absolute.
 */
void ptf_enclose_tanh(int64_t n, ptf_balls in, ptf_balls out)
{
    for (int64_t i = 0; i < n; i++) {
        double m = in.value[i];
        double e = ptf_enclose_exp(-2 * fabs(m));
        double y = (1.0 - e) / (1.0 + e);
        double r = fmin(in.radius[i], 2.0);
        out.value[i] = isnan(m) ? m : copysign(y, m);
        out.radius[i] = (r + 4 * PTF_EXP_ERROR) * UP;
    }
}

/*
 * When every argument moves by at most R, each quotient s = e_i / sum moves
 * by a factor within exp(+-2R): by at most s (exp(2R) - 1), which for 2R <= 1
 * is below s (2R + 4R^2); a softmax never moves by more than 1.  Computing it
 * costs u |x - max| <= 700u in each argument, the error of exp, gamma(n) for
 * the sum and u for the division, and all but the last twice.
 */
static void softmax(int64_t n, int64_t step, ptf_balls in, ptf_balls out)
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
    double relative = 2 * (701 * PTF_U + PTF_EXP_ERROR + ptf_gamma(n + 2));
    double moved = 2 * reach <= 1 ? 2 * reach + 4 * reach * reach : HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        double s = out.value[i * step] / sum;
        double r = s > 0 ? fmin(s * (1 + 4 * relative) * moved, 1.0) : 0.0;
        if (!(moved < HUGE_VAL))
            r = 1.0;
        out.value[i * step] = nan ? (double)NAN : s;
        out.radius[i * step] = (r + 2 * relative * s) * UP + 0x1p-990;
    }
}

void ptf_enclose_softmax(int64_t outer, int64_t n, int64_t inner, ptf_balls in,
                         ptf_balls out)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t at = o * n * inner + i;
            softmax(n, inner, (ptf_balls){in.value + at, in.radius + at},
                    (ptf_balls){out.value + at, out.radius + at});
        }
}
