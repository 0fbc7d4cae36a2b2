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
    double some[8] = {0}, all = 0; /* 0, or NaN when there is a bad one */
    for (int64_t i = 0; i < count / 8 * 8; i += 8)
        for (int k = 0; k < 8; k++)
            some[k] += 0 * balls.value[i + k] + 0 * balls.radius[i + k];
    for (int64_t i = count / 8 * 8; i < count; i++)
        all += 0 * balls.value[i] + 0 * balls.radius[i];
    for (int k = 0; k < 8; k++)
        all += some[k];
    for (int64_t i = 0; isnan(all) && i < count; i++)
        if (!isfinite(balls.value[i]) || !isfinite(balls.radius[i]))
            return i;
    return -1;
}

/*
 * A run in f32 of an operation whose exact result is within r of y: one
 * rounding, which may meet a subnormal.
 */
static double executed_by(bool executed, double y, double r)
{
    return executed ? PTF_F * (fabs(y) + r) * UP + PTF_TINY_F : 0.0;
}

/*
 * |scale| r covers the input, (|x| + r) scale_radius the scale; then one
 * rounding each for product and sum.
 */
void ptf_ball_scale_shift(double x, double x_radius, double scale,
                          double scale_radius, double shift,
                          double shift_radius, double *z, double *z_radius)
{
    double product = x * scale, sum = product + shift;
    double r = fabs(scale) * x_radius + (fabs(x) + x_radius) * scale_radius +
               shift_radius + PTF_U * (fabs(product) + fabs(sum));
    *z = sum;
    *z_radius = r * UP + PTF_TINY;
}

/* In a run both numbers may have been rounded first, and one fma follows. */
void ptf_enclose_scale_shift(const ptf_numbers *numbers, bool executed,
                             int64_t channels, int64_t pixels, ptf_balls in,
                             ptf_balls out)
{
    bool rounded = executed && numbers->rounded;
    for (int64_t c = 0; c < channels; c++) {
        double scale = numbers->scale.value[c], shift = numbers->shift.value[c];
        double a = numbers->scale.radius[c], b = numbers->shift.radius[c];
        a += rounded ? PTF_F * (fabs(scale) + a) + PTF_TINY_F : 0.0;
        b += rounded ? PTF_F * (fabs(shift) + b) + PTF_TINY_F : 0.0;
        for (int64_t i = c * pixels; i < (c + 1) * pixels; i++) {
            double y, r;
            ptf_ball_scale_shift(in.value[i], in.radius[i], scale, a, shift, b,
                                 &y, &r);
            out.value[i] = y;
            out.radius[i] = r + executed_by(executed, y, r);
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

/*
 * The slope is the text's double; max(1, |slope|) is the Lipschitz bound.  A
 * run rounds the slope first, perhaps to a subnormal, and then the product.
 */
void ptf_enclose_leaky_relu(int64_t n, double slope, bool executed,
                            ptf_balls in, ptf_balls out)
{
    double lipschitz = fmax(1.0, fabs(slope));
    double rounded = executed_by(executed, slope, 0);
    for (int64_t i = 0; i < n; i++) {
        double m = in.value[i];
        double y = m > 0 ? m : slope * m;
        double r = lipschitz * in.radius[i] + 2 * PTF_U * fabs(y) +
                   rounded * (fabs(m) + in.radius[i]);
        out.value[i] = y;
        out.radius[i] = r * UP + PTF_TINY + executed_by(executed, y, r);
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
    if (!(x >= -700))
        return isnan(x) ? x : 0.0;
    double k = rint(x * 0x1.71547652b82fep+0);
    double t = (x - k * high) - k * low;
    double sum = 1.0;
    for (int n = 14; n > 0; n--)
        sum = 1.0 + t * sum / n;
    return ldexp(sum, (int)k);
}

/*
 * Lipschitz bound 1/4.  A run computes in double, off by less than 2^-48, and
 * rounds once; twice f covers both, here and below.  With e = exp(-|x|) both
 * forms, 1 / (1 + e) and e / (1 + e), are off by the relative error of e twice
 * and 3u.
 */
void ptf_enclose_sigmoid(int64_t n, bool executed, ptf_balls in, ptf_balls out)
{
    for (int64_t i = 0; i < n; i++) {
        double m = in.value[i];
        double e = ptf_enclose_exp(-fabs(m));
        double y = m >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
        double r = fmin(0.25 * in.radius[i], 1.0);
        out.value[i] = isnan(m) ? m : y;
        r = (r + 4 * PTF_EXP_ERROR * y) * UP + PTF_TINY;
        out.radius[i] = r + 2 * executed_by(executed, y, r);
    }
}

/*
 * Lipschitz bound 1.  (1 - e) / (1 + e) with e = exp(-2|x|) <= 1: the error of
 * e moves the quotient by at most 2 e PTF_EXP_ERROR, the rest is 3u; the
 * bound is absolute.
 */
void ptf_enclose_tanh(int64_t n, bool executed, ptf_balls in, ptf_balls out)
{
    for (int64_t i = 0; i < n; i++) {
        double m = in.value[i];
        double e = ptf_enclose_exp(-2 * fabs(m));
        double y = (1.0 - e) / (1.0 + e);
        double r = fmin(in.radius[i], 2.0);
        out.value[i] = isnan(m) ? m : copysign(y, m);
        r = (r + 4 * PTF_EXP_ERROR) * UP;
        out.radius[i] = r + 2 * executed_by(executed, y, r);
    }
}

/*
 * log(1 + t) = 2 atanh(s) for t in 0 .. 1 and s = t / (2 + t) <= 1/3.  s is
 * off by 2u, the series by 3u with its remainder, the product by u: 8u with
 * room.
 */
static double log1p_of(double t)
{
    double s = t / (2.0 + t), sum = 0;
    for (int k = 33; k > 0; k -= 2)
        sum = sum * s * s + 1.0 / k;
    return 2.0 * s * sum;
}

/*
 * max(z, 0) + log(1 + exp(-|z|)) and a bound of its error, where z is off by
 * u |z|.  An argument of exp that is off by u |z| and the error of exp move the
 * logarithm by as much relative to itself, because e / (1 + e) is below
 * log(1 + e).
 */
static double bend(double z, double *error)
{
    double linear = fmax(z, 0.0), rest = log1p_of(ptf_enclose_exp(-fabs(z)));
    *error = PTF_U * (linear + (fabs(z) + 10) * rest + (linear + rest)) +
             PTF_EXP_ERROR * rest + PTF_TINY;
    return linear + rest;
}

/*
 * Lipschitz bound 1 on both sides of z = beta x = threshold, where the output
 * drops from bend(z) / beta to x, by bend(-threshold) / beta; further on the
 * two are nearer.  A ball that may reach it takes the drop into its radius.
 */
void ptf_enclose_softplus(int64_t n, double beta, double threshold,
                          bool executed, ptf_balls in, ptf_balls out)
{
    double size = fabs(beta), error;
    double drop = bend(-threshold, &error) + error;
    for (int64_t i = 0; i < n; i++) {
        double m = in.value[i], r = in.radius[i], z = beta * m;
        double y = bend(z, &error) / beta;
        bool near = !(fabs(z - threshold) >
                      (size * r + 4 * PTF_U * fabs(z) + PTF_TINY) * UP);
        bool above = z > threshold;
        r += above ? 0.0 : error / size + 2 * PTF_U * fabs(y);
        r = (r + (near ? drop / size : 0.0)) * UP + PTF_TINY;
        out.value[i] = above ? m : y;
        out.radius[i] = r + 2 * executed_by(executed, out.value[i], r);
    }
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
        r = (r + 2 * relative * s) * UP + 0x1p-990;
        out.radius[i * step] = r + 2 * executed_by(executed, s, r);
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
