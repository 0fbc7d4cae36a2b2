/*
 * Balls through functions of one number: where m is within r of the exact
 * argument, the value and its distance from the exact one.
 *
 * A radius is computed from non-negative numbers by a few operations, each of
 * which may fall short by a factor 1 - u; PTF_UP makes that good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

#include <stdlib.h>

/* A value, and how far the exact one may be from it. */
typedef struct ball {
    double y, r;
} ball;

/* A run computes in double, off by less than 2^-48, and rounds once: twice f
 * covers both. */
static inline ball rounded(double y, double r, bool executed)
{
    return (ball){y, r + 2 * ptf_executed(executed, y, r)};
}

/* ------------------------------------------------- elementary functions */

/* Larger arguments than 700 give infinity, which says nothing. */
static inline double exp_of(double x, double *error)
{
    double y = x <= 0 ? ptf_enclose_exp(x) : 1.0 / ptf_enclose_exp(-x);
    *error = 2 * PTF_EXP_ERROR * y + PTF_TINY;
    return y;
}

/* At least exp(r) - 1 for r >= 0: r + r^2 up to 1. */
static inline double grown(double r)
{
    return r <= 1 ? r + r * r : PTF_UP / ptf_enclose_exp(-r);
}

/*
 * exp(x) - 1.  Below 1/4 the Taylor polynomial of degree 16, x (1 + x/2 (1 +
 * x/3 (...))): what is rounded inside counts x/2 times or less, 4u in all, and
 * the remainder is below 2^-80.
 */
static inline double expm1_of(double x, double *error)
{
    double y = 1.0;
    if (fabs(x) < 0.25) {
        for (int k = 16; k > 1; k--)
            y = 1.0 + x / k * y;
        *error = 8 * PTF_U * fabs(x);
        return x * y;
    }
    y = exp_of(x, error) - 1.0;
    *error += PTF_U * fabs(y);
    return y;
}

/*
 * erfc(a) for a >= 0 that is off by 2u itself: exp(-a^2) p(t) / (1 + 2a), t =
 * (a - 3) / (a + 3) in -1 .. 1, where p is the Chebyshev series of (1 + 2x)
 * exp(x^2) erfc(x), which is 1 or more, up to degree 24, the rest of which is
 * below 2^-56.  Its coefficients add up to 1.79 without signs, so that Horner's
 * rule is off by 2 * 24 u * 1.79, and t by 3u: with exp below 2^-45 of the
 * result.  a^2 is off by 5u, which moves exp(-a^2) by 5u a^2 of itself.
 */
static inline double erfc_of(double a, double *error)
{
    static const double c[] = {
        0x1.cd7350f20ad1ap-31,  0x1.0f1968e597de2p-30,  -0x1.1a5abb05ab718p-27,
        -0x1.c96dae03284b5p-27, 0x1.60bcb894e79d1p-25,  0x1.b56217b9146ccp-24,
        -0x1.2dabcbdb3b408p-23, -0x1.4b09042715313p-21, 0x1.7dfecd6d595a4p-22,
        0x1.d20dc1d6f2168p-19,  -0x1.885c4173e8118p-21, -0x1.513b2bf2e7a13p-16,
        0x1.4c228d0f252afp-18,  0x1.065a32b51fa50p-13,  -0x1.b912639d3c363p-14,
        -0x1.98db50c1995dap-11, 0x1.ef1bdd0e61218p-10,  0x1.4b884e411d2b0p-9,
        -0x1.8574c40b69c6ap-6,  0x1.17ca2877f2e0ap-4,   -0x1.e88b803a4a881p-4,
        0x1.098366a5b4640p-3,   -0x1.85a15c58aa4f5p-5,  -0x1.15c084bb9e8f2p-3,
        0x1.40c522d7e4987p+0};
    double t = 1.0 - 6.0 / (a + 3.0), p = 0;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(c); i++)
        p = p * t + c[i];
    double y = ptf_enclose_exp(-a * a) * p / (1.0 + 2.0 * a);
    *error = y * (0x1p-45 + 8 * PTF_U * fmin(a * a, 700)) + PTF_TINY;
    return y;
}

/*
 * erf(a) for a >= 0.  Below 1/2 the series a exp(-a^2) 2 / sqrt(pi) (1 + 2 a^2
 * / 3 (1 + 2 a^2 / 5 (...))), all of whose terms are positive: off by 8u, and
 * the remainder is below 2^-60.
 */
static inline double erf_of(double a, double *error)
{
    double sum = 1.0;
    if (a < 0.5) {
        for (int k = 27; k > 1; k -= 2)
            sum = 1.0 + 2 * a * a / k * sum;
        sum *= a * 1.12837916709551257390 * ptf_enclose_exp(-a * a);
        *error = 2 * PTF_EXP_ERROR * sum;
        return sum;
    }
    sum = 1.0 - erfc_of(a, error);
    *error += PTF_U;
    return sum;
}

/* a^e for a >= 0, off by *error: e log(a) is off by e times that of the log and
 * u, which moves exp by at most twice as much of itself. */
static inline double power(double a, double e, double *error)
{
    *error = 0;
    if (!(a > 0))
        return e > 0 ? 0.0 : HUGE_VAL;
    double own, lost, q = e * ptf_enclose_log(a, &lost), y = exp_of(q, &own);
    *error = own + 2 * y * (fabs(e) * lost + PTF_U * fabs(q));
    return y;
}

/* A function that is nowhere steeper than 'slope', y off by 'error'. */
static inline ball lipschitz(double y, double error, double slope, double r,
                             bool executed)
{
    return rounded(y, (slope * r + error) * PTF_UP + PTF_TINY, executed);
}

/*
 * Between two bounds, where nothing is rounded; a run rounds the bounds.  No
 * two outputs are further apart than the inputs, and beyond a bound they are
 * the same.
 */
static inline ball clamped(double m, double r, double low, double high,
                           bool executed)
{
    double above = m > low ? m : low, y = above < high ? above : high;
    bool flat = m + r < low || m - r > high;
    double moved = flat && low <= high ? 0.0 : r;
    return (ball){y, moved + ptf_executed(executed, y, moved)};
}

/* ------------------------------------------------------------- functions */

/* Exact on the centre, and never further apart than its arguments. */
static inline ball relu(double m, double r, const double *p, bool executed)
{
    (void)p, (void)executed;
    /* Wholly negative: the output is 0 and nothing else. */
    return (ball){m > 0 || isnan(m) ? m : 0.0, m + r < 0 ? 0.0 : r};
}

/*
 * The slope is the text's double; max(1, |slope|) is the Lipschitz bound.  A
 * run rounds the slope first, perhaps to a subnormal, and then the product.
 */
static inline ball leaky_relu(double m, double r, const double *p,
                              bool executed)
{
    double slope = p[0], lipschitz = fmax(1.0, fabs(slope));
    double y = m > 0 ? m : slope * m;
    double moved = lipschitz * r + 2 * PTF_U * fabs(y) +
                   ptf_executed(executed, slope, 0) * (fabs(m) + r);
    moved = moved * PTF_UP + PTF_TINY;
    return (ball){y, moved + ptf_executed(executed, y, moved)};
}

/*
 * Lipschitz bound 1/4.  With e = exp(-|x|) both forms, 1 / (1 + e) and
 * e / (1 + e), are off by the relative error of e twice and 3u.
 */
static inline ball sigmoid(double m, double r, const double *p, bool executed)
{
    double e = ptf_enclose_exp(-fabs(m));
    double y = m >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
    double moved = fmin(0.25 * r, 1.0);
    (void)p;
    moved = (moved + 4 * PTF_EXP_ERROR * y) * PTF_UP + PTF_TINY;
    return rounded(isnan(m) ? m : y, moved, executed);
}

/*
 * Lipschitz bound 1.  (1 - e) / (1 + e) with e = exp(-2|x|) <= 1: the error of
 * e moves the quotient by at most 2 e PTF_EXP_ERROR, the rest is 3u; the
 * bound is absolute.
 */
static inline ball tanh_(double m, double r, const double *p, bool executed)
{
    double e = ptf_enclose_exp(-2 * fabs(m));
    double y = (1.0 - e) / (1.0 + e);
    double moved = (fmin(r, 2.0) + 4 * PTF_EXP_ERROR) * PTF_UP;
    (void)p;
    return rounded(isnan(m) ? m : copysign(y, m), moved, executed);
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
static inline ball softplus(double m, double r, const double *p, bool executed)
{
    double beta = p[0], threshold = p[1], size = fabs(beta), error;
    double z = beta * m, y = bend(z, &error) / beta;
    bool above = z > threshold;
    bool near = !(fabs(z - threshold) >
                  (size * r + 4 * PTF_U * fabs(z) + PTF_TINY) * PTF_UP);
    r += above ? 0.0 : error / size + 2 * PTF_U * fabs(y);
    if (near) {
        double drop = bend(-threshold, &error);
        r += (drop + error) / size;
    }
    return rounded(above ? m : y, r * PTF_UP + PTF_TINY, executed);
}

/* Lipschitz bound 1/6; a sum and a quotient. */
static inline ball hardsigmoid(double m, double r, const double *p,
                               bool executed)
{
    double y = fmin(fmax(m + 3, 0), 6) / 6;
    (void)p;
    return lipschitz(y, 4 * PTF_U * y + PTF_U, 1.0 / 6, r, executed);
}

/* -log(1 + exp(-x)), Lipschitz bound 1. */
static inline ball log_sigmoid(double m, double r, const double *p,
                               bool executed)
{
    double error, y = -bend(-m, &error);
    (void)p;
    return lipschitz(y, error, 1.0, r, executed);
}

static inline ball relu6(double m, double r, const double *p, bool executed)
{
    (void)p, (void)executed; /* 0 and 6 are not rounded */
    return clamped(m, r, 0, 6, false);
}

static inline ball hardtanh(double m, double r, const double *p, bool executed)
{
    return clamped(m, r, p[0], p[1], executed);
}

/* The slope is 1.09984 at most.  Both forms as of sigmoid, times m. */
static inline ball silu(double m, double r, const double *p, bool executed)
{
    double e = ptf_enclose_exp(-fabs(m));
    double y = m * (m >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e));
    (void)p;
    return lipschitz(y, 4 * PTF_EXP_ERROR * fabs(y), 1.1, r, executed);
}

/*
 * m Phi(m), where the slope is 1.1290 at most in both forms.  A tail of 2^-54
 * or less may be run as 0.  erfc's argument is off by 2u.  Of the other form 2u
 * is off by 6u, which moves e = exp(-2u) by 6u 2u of itself, and e / (1 + e)
 * and 1 / (1 + e) by no more.
 */
static inline ball gelu(double m, double r, const double *p, bool executed)
{
    double size = fabs(m), tail, error;
    if (p[0] > 0) {
        double u2 =
            2 * 0.79788456080286535588 * (size + 0.044715 * size * size * size);
        double e = ptf_enclose_exp(-u2);
        tail = e / (1.0 + e);
        error = tail * (2 * PTF_EXP_ERROR + 8 * PTF_U * fmin(u2, 701));
    } else {
        tail = erfc_of(size * 0.70710678118654752440, &error) / 2;
    }
    error += executed && tail < 0x1p-53 ? tail : 0;
    double y = m * (m < 0 ? tail : 1.0 - tail);
    error = size * (error + PTF_U) + 2 * PTF_U * fabs(y);
    return lipschitz(y, error, 1.13, r, executed);
}

/* The slope is -0.5 .. 1.5.  Sum, product and quotient: u |m| and 3u. */
static inline ball hardswish(double m, double r, const double *p, bool executed)
{
    double y = m * fmin(fmax(m + 3, 0), 6) / 6;
    (void)p;
    return lipschitz(y, 4 * PTF_U * fabs(y) + PTF_U * fabs(m), 1.5, r,
                     executed);
}

/* Without a jump at 0; the slope is 1 or alpha exp(x). */
static inline ball elu(double m, double r, const double *p, bool executed)
{
    double error = 0, y = m > 0 ? m : p[0] * expm1_of(m, &error);
    error = fabs(p[0]) * error + 2 * PTF_U * fabs(y);
    return lipschitz(y, error, fmax(1, fabs(p[0])), r, executed);
}

/* The slope is 1.0885 at most.  The quotient has e twice above and twice below,
 * all terms positive: at most 4 errors of e and 8u. */
static inline ball mish(double m, double r, const double *p, bool executed)
{
    double e = ptf_enclose_exp(-fabs(m));
    double n = m > 0 ? 1.0 + 2.0 * e : e * (e + 2.0);
    double y = m * n / (m > 0 ? n + 2.0 * e * e : n + 2.0);
    (void)p;
    return lipschitz(y, 5 * PTF_EXP_ERROR * fabs(y), 1.09, r, executed);
}

/* Lipschitz bound 1; a sum and a quotient. */
static inline ball softsign(double m, double r, const double *p, bool executed)
{
    double y = m / (1.0 + fabs(m));
    (void)p;
    return lipschitz(y, 3 * PTF_U * fabs(y), 1.0, r, executed);
}

/* exp(m + d) - exp(m) = exp(m) (exp(d) - 1). */
static inline ball exp_(double m, double r, const double *p, bool executed)
{
    double error, y = exp_of(m, &error);
    (void)p;
    return lipschitz(y, error, y + error, grown(r), executed);
}

/* |log(x) - log(m)| <= r / (m - r). */
static inline ball log_(double m, double r, const double *p, bool executed)
{
    double error, least = m - r * PTF_UP;
    (void)p;
    if (!(least > 0))
        return (ball){m, HUGE_VAL};
    double y = ptf_enclose_log(m, &error);
    return lipschitz(y, error, 1 / least, r, executed);
}

/* |sqrt(x) - sqrt(m)| = |x - m| / (sqrt(x) + sqrt(m)); the root is rounded. */
static inline ball sqrt_(double m, double r, const double *p, bool executed)
{
    double y = sqrt(m);
    (void)p;
    if (!(m - r * PTF_UP >= 0))
        return (ball){m, HUGE_VAL};
    return lipschitz(y, PTF_U * y, y > 0 ? 1 / y : 0, r, executed);
}

/* The slope is 1 / (2 x sqrt(x)), largest at m - r. */
static inline ball rsqrt(double m, double r, const double *p, bool executed)
{
    double y = 1 / sqrt(m), least = m - r * PTF_UP;
    (void)p;
    if (!(least > 0))
        return (ball){m, HUGE_VAL};
    return lipschitz(y, 3 * PTF_U * y, 0.5 / (least * sqrt(least)), r,
                     executed);
}

static inline ball abs_(double m, double r, const double *p, bool executed)
{
    (void)p, (void)executed;
    return (ball){fabs(m), r};
}

static inline ball neg(double m, double r, const double *p, bool executed)
{
    (void)p, (void)executed;
    return (ball){-m, r};
}

/* The slope is 2 / sqrt(pi) at most. */
static inline ball erf_(double m, double r, const double *p, bool executed)
{
    double error, y = erf_of(fabs(m), &error);
    (void)p;
    return lipschitz(copysign(y, m), error, 1.1284, r, executed);
}

/*
 * |x|^e rises or falls all the way, so the ends of the ball are the furthest,
 * where it does not hold 0; where it does, |x|^e is between 0 and its end.
 */
static inline ball pow_(double m, double r, const double *p, bool executed)
{
    double e = p[0], size = fabs(m), error[3];
    bool whole = !(floor(e) < e), odd = whole && fabs(fmod(e, 2)) > 0;
    if (!(fabs(e) > 0))
        return (ball){1.0, 0.0};
    double y = power(size, e, &error[0]);
    if (m - r < 0 && !whole)
        return (ball){y, HUGE_VAL};
    double near = (size - r * PTF_UP) * (2 - PTF_UP);
    double high = power((size + r) * PTF_UP, e, &error[1]);
    double low = power(fmax(near, 0), e, &error[2]);
    double apart = fmax(fabs(high - y), fabs(low - y));
    if (!(near > 0) && r > 0)
        apart = high + y;
    if (!(e > 0) && !(near > 0))
        apart = HUGE_VAL;
    if (!(r > 0))
        apart = error[1] = error[2] = 0;
    apart += error[0] + error[1] + error[2] + 2 * PTF_U * y;
    return lipschitz(m < 0 && odd ? -y : y, apart, 0, 0, executed);
}

static inline ball clamp(double m, double r, const double *p, bool executed)
{
    return clamped(m, r, p[0], p[1], executed);
}

/*
 * The slope is 1 or exp(x / alpha), at most that at m - r when alpha is
 * negative and else 1.  z = m / alpha is off by u |z|, which moves exp(z) - 1
 * by as much times exp(z) and a little.
 */
static inline ball celu(double m, double r, const double *p, bool executed)
{
    double error = 0, other, z = m / p[0], slope = 1;
    double y = m > 0 ? m : p[0] * expm1_of(z, &error);
    error += 2 * PTF_U * fabs(z) * (fabs(y / p[0]) + 1);
    error = fabs(p[0]) * error + 2 * PTF_U * fabs(y);
    if (p[0] < 0 && m - r < 0)
        slope = exp_of((m - r) * PTF_UP / p[0], &other) * PTF_UP;
    return lipschitz(y, error, slope, r, executed);
}

/* The slope is s or s a exp(x), 1.7581 at most; s and a are rounded. */
static inline ball selu(double m, double r, const double *p, bool executed)
{
    double error = 0, s = 1.0507009873554804934, a = 1.6732632423543772848;
    double y = s * (m > 0 ? m : a * expm1_of(m, &error));
    (void)p;
    error = 2 * error + 5 * PTF_U * fabs(y);
    return lipschitz(y, error, 1.7581, r, executed);
}

/* A ball that may reach the threshold holds the value and what it held; a run
 * rounds both numbers. */
static inline ball threshold(double m, double r, const double *p, bool executed)
{
    bool below = m <= p[0];
    double reach = (r + ptf_executed(executed, p[0], 0)) * PTF_UP + PTF_TINY;
    bool near = !(fabs(m - p[0]) > reach);
    double y = below ? p[1] : m, moved = below ? 0 : r;
    moved = (near ? fabs(m - p[1]) + r : moved) * PTF_UP + PTF_TINY;
    return (ball){y, moved + ptf_executed(executed, y, moved)};
}

/* |1 / x - 1 / m| = |x - m| / |x m|. */
static inline ball reciprocal(double m, double r, const double *p,
                              bool executed)
{
    double y = 1 / m, least = fabs(m) - r * PTF_UP;
    (void)p;
    if (!(least > 0))
        return (ball){m, HUGE_VAL};
    return lipschitz(y, PTF_U * fabs(y), 1 / (least * fabs(m)), r, executed);
}

/* A function that never falls and is constant between its jumps: between its
 * values at both ends, which may be off by a rounding. */
static inline ball stepped(double (*f)(double), double m, double r)
{
    double y = f(m), wide = r * PTF_UP;
    double high = f((m + wide) + PTF_U * fabs(m + wide));
    double low = f((m - wide) - PTF_U * fabs(m - wide));
    return (ball){y, r > 0 ? fmax(high - y, y - low) : 0.0};
}

#define STEPPED(name, f)                                         \
    static inline ball name(double m, double r, const double *p, \
                            bool executed)                       \
    {                                                            \
        (void)p, (void)executed;                                 \
        return stepped(f, m, r);                                 \
    }
STEPPED(floor_, floor)
STEPPED(ceil_, ceil)
STEPPED(round_, rint)
STEPPED(trunc_, trunc)

static double sign_of(double x)
{
    return (x > 0) - (x < 0);
}

STEPPED(sign, sign_of)

/* 1 for 0 alone, and 0 elsewhere. */
static inline ball logical_not(double m, double r, const double *p,
                               bool executed)
{
    (void)p, (void)executed;
    if (fabs(m) > r)
        return (ball){0, 0};
    return fabs(m) > 0 || r > 0 ? (ball){0.5, 0.5} : (ball){1, 0};
}

/* What a ball holds is a number, and finite; others say nothing. */
static inline ball is_nan(double m, double r, const double *p, bool executed)
{
    (void)p, (void)executed;
    return (ball){0, isfinite(m) && isfinite(r) ? 0 : HUGE_VAL};
}

static inline ball is_inf(double m, double r, const double *p, bool executed)
{
    return is_nan(m, r, p, executed);
}

/* As log; near 0 the series, off by 8u, whose s is below 1/5. */
static inline ball log1p_(double m, double r, const double *p, bool executed)
{
    double error, least = (1 + m) - r * PTF_UP - 2 * PTF_U * fabs(1 + m);
    (void)p;
    if (!(least > 0))
        return (ball){m, HUGE_VAL};
    double y = ptf_enclose_log(1 + m, &error);
    error += 2 * PTF_U;
    if (fabs(m) < 0.25) {
        y = log1p_of(m);
        error = 8 * PTF_U * fabs(y);
    }
    return lipschitz(y, error, 1 / least, r, executed);
}

/* As exp. */
static inline ball expm1_(double m, double r, const double *p, bool executed)
{
    double error, other, y = expm1_of(m, &error);
    double steep = exp_of(m, &other) * PTF_UP;
    (void)p;
    return lipschitz(y, error, steep, grown(r), executed);
}

/*
 * The sine of |x| + 'more' pi / 2 up to 2^20: t = |x| - k pi / 2, where k times
 * the first two parts of pi / 2 (33 and 32 bits) is exact, is off by 4u, and
 * the Taylor polynomial of degree 23 or 22 by less than 8u.  Beyond, all that
 * is known is that it lies between -1 and 1.
 */
static double sine_of(double x, int more, double *error)
{
    double k = rint(x * 0x1.45f306dc9c883p-1), sum = 1;
    double t = ((x - k * 0x1.921fb544p+0) - k * 0x1.0b4611a6p-34) -
               k * 0x1.3198a2e037073p-69;
    int64_t turn = x <= 0x1p20 ? (int64_t)k + more : 0;
    int first = turn % 2 == 0 ? 23 : 22;
    for (int n = first; n > 1; n -= 2)
        sum = 1 - t * t / (n * (n - 1)) * sum;
    sum *= turn % 2 == 0 ? t : 1;
    *error = x <= 0x1p20 ? 16 * PTF_U : 1;
    return !(x <= 0x1p20) ? 0 : turn / 2 % 2 == 0 ? sum : -sum;
}

/* Lipschitz bound 1. */
static inline ball sin_(double m, double r, const double *p, bool executed)
{
    double error, y = sine_of(fabs(m), 0, &error);
    (void)p;
    return lipschitz(m < 0 ? -y : y, error, 1.0, fmin(r, 2), executed);
}

static inline ball cos_(double m, double r, const double *p, bool executed)
{
    double error, y = sine_of(fabs(m), 1, &error);
    (void)p;
    return lipschitz(y, error, 1.0, fmin(r, 2), executed);
}

/* log(x) / log(2); the product is off by 2u. */
static inline ball log2_(double m, double r, const double *p, bool executed)
{
    ball b = log_(m, r, p, false);
    double y = b.y * 0x1.71547652b82fep0;
    return lipschitz(y, b.r * 1.4427 + 2 * PTF_U * fabs(y), 0, 0, executed);
}

/* exp(x log(2)); the argument is off by 2u, too. */
static inline ball exp2_(double m, double r, const double *p, bool executed)
{
    double z = m * 0x1.62e42fefa39efp-1;
    return exp_(z, (r * 0.69315 + 2 * PTF_U * fabs(z)) * PTF_UP + PTF_TINY, p,
                executed);
}

/* ------------------------------------------------------------------- table */

#define FUNCTIONS(UNARY)            \
    UNARY(RELU, relu)               \
    UNARY(LEAKY_RELU, leaky_relu)   \
    UNARY(SIGMOID, sigmoid)         \
    UNARY(TANH, tanh_)              \
    UNARY(SOFTPLUS, softplus)       \
    UNARY(HARDSIGMOID, hardsigmoid) \
    UNARY(LOG_SIGMOID, log_sigmoid) \
    UNARY(RELU6, relu6)             \
    UNARY(HARDTANH, hardtanh)       \
    UNARY(SILU, silu)               \
    UNARY(GELU, gelu)               \
    UNARY(HARDSWISH, hardswish)     \
    UNARY(ELU, elu)                 \
    UNARY(MISH, mish)               \
    UNARY(SOFTSIGN, softsign)       \
    UNARY(EXP, exp_)                \
    UNARY(LOG, log_)                \
    UNARY(SQRT, sqrt_)              \
    UNARY(RSQRT, rsqrt)             \
    UNARY(ABS, abs_)                \
    UNARY(NEG, neg)                 \
    UNARY(ERF, erf_)                \
    UNARY(POW, pow_)                \
    UNARY(CLAMP, clamp)             \
    UNARY(CELU, celu)               \
    UNARY(SELU, selu)               \
    UNARY(THRESHOLD, threshold)     \
    UNARY(RECIPROCAL, reciprocal)   \
    UNARY(FLOOR, floor_)            \
    UNARY(LOG1P, log1p_)            \
    UNARY(EXPM1, expm1_)            \
    UNARY(SIGN, sign)               \
    UNARY(CEIL, ceil_)              \
    UNARY(ROUND, round_)            \
    UNARY(TRUNC, trunc_)            \
    UNARY(LOGICAL_NOT, logical_not) \
    UNARY(ISNAN, is_nan)            \
    UNARY(ISINF, is_inf)            \
    UNARY(SIN, sin_)                \
    UNARY(COS, cos_)                \
    UNARY(LOG2, log2_)              \
    UNARY(EXP2, exp2_)

/* The parameters are copied, so that no store can change them. */
#define LOOP(id, name)                                                     \
    static void name##_all(const double parameters[3], int64_t n,          \
                           bool executed, ptf_balls in, ptf_balls out)     \
    {                                                                      \
        const double p[3] = {parameters[0], parameters[1], parameters[2]}; \
        for (int64_t i = 0; i < n; i++) {                                  \
            ball b = name(in.value[i], in.radius[i], p, executed);         \
            out.value[i] = isnan(in.value[i]) ? in.value[i] : b.y;         \
            out.radius[i] = b.r;                                           \
        }                                                                  \
    }
FUNCTIONS(LOOP)

#define ROW(id, name) [PTF_OP_##id] = name##_all,
static void (*const functions[PTF_OP_COUNT])(const double p[3], int64_t n,
                                             bool executed, ptf_balls in,
                                             ptf_balls out) = {FUNCTIONS(ROW)};

/* Each op of the family has its row. */
#define OP(id, name, class_name, family, attributes) \
    +(PTF_FAMILY_##family == PTF_FAMILY_UNARY)
#define ONE(id, name) +1
enum {
    OPS =
#include "op/ops.inc"
        , ROWS = FUNCTIONS(ONE)
};
#undef OP
_Static_assert((int)OPS == (int)ROWS, "FUNCTIONS lacks a row");

void ptf_enclose_function(ptf_op op, const double p[3], int64_t n,
                          bool executed, ptf_balls in, ptf_balls out)
{
    functions[op](p, n, executed, in, out);
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_node *node = ptf_enclose_node_of(s);
    ptf_enclose_function(node->op, node->attrs.p, s->enc->sizes[s->node],
                         s->pass->executed, ptf_enclose_in(s, 0, n),
                         ptf_enclose_out(s, n));
}

const ptf_enclose_family ptf_enclose_family_unary = {.image = image};
