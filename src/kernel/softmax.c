/*
 * The softmax of one vector at any inverse temperature, and the function
 * whose gradient it is.
 *
 * nu = m + log(1 + T) / beta, where m is a largest number and T the sum of
 * exp(beta * (x_i - m)) over the others.  The two terms of nu may cancel to
 * the last bit of a double (x = {-1, -1} and beta = log 2), and T may be far
 * below the last bit of 1, so all of it is done in pairs of doubles, about
 * 100 bits, by the rules of T. J. Dekker, "A floating-point technique for
 * extending the available precision", Numerische Mathematik 18 (1971).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

#include <float.h>
#include <math.h>

/* ------------------------------------------------------------------- pairs */

/* hi + lo, where hi is the sum rounded to nearest. */
typedef struct pair {
    double hi, lo;
} pair;

/* a + b for |a| >= |b|, exactly. */
static inline pair quick_sum(double a, double b)
{
    double s = a + b;
    return (pair){s, b - (s - a)};
}

/* a + b, exactly. */
static inline pair two_sum(double a, double b)
{
    double s = a + b, t = s - a;
    return (pair){s, (a - (s - t)) + (b - t)};
}

/* a * b, exactly. */
static inline pair two_product(double a, double b)
{
    double p = a * b;
    return (pair){p, __builtin_fma(a, b, -p)};
}

static pair add(pair a, pair b)
{
    pair s = two_sum(a.hi, b.hi), t = two_sum(a.lo, b.lo);
    s = quick_sum(s.hi, s.lo + t.hi);
    return quick_sum(s.hi, s.lo + t.lo);
}

static pair multiply(pair a, pair b)
{
    pair p = two_product(a.hi, b.hi);
    double cross = __builtin_fma(a.hi, b.lo, a.lo * b.hi);
    return quick_sum(p.hi, p.lo + cross);
}

/* a times a power of two. */
static inline pair scaled(pair a, double power)
{
    return (pair){a.hi * power, a.lo * power};
}

static inline pair negative(pair a)
{
    return scaled(a, -1.0);
}

/* Long division with digits of 53 bits. */
static pair divide(pair a, double b)
{
    double first = a.hi / b;
    pair rest = add(a, negative(two_product(first, b)));
    return quick_sum(first, rest.hi / b);
}

/* ------------------------------------------------------------- exp and log */

static const pair one = {1.0, 0.0};

/* 1 / n! for n = 10, 9, ... 1 */
static const pair inverse_factorials[] = {
    {0x1.27e4fb7789f5cp-22, 0x1.cbbc05b4fa99ap-76},
    {0x1.71de3a556c734p-19, -0x1.c154f8ddc6c00p-73},
    {0x1.a01a01a01a01ap-16, 0x1.a01a01a01a01ap-76},
    {0x1.a01a01a01a01ap-13, 0x1.a01a01a01a01ap-73},
    {0x1.6c16c16c16c17p-10, -0x1.f49f49f49f49fp-65},
    {0x1.1111111111111p-7, 0x1.1111111111111p-63},
    {0x1.5555555555555p-5, 0x1.5555555555555p-59},
    {0x1.5555555555555p-3, 0x1.5555555555555p-57},
    {0x1p-1, 0.0},
    {0x1p+0, 0.0},
};

static const pair ln2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};

/* exp(y) = 2^n * (1 + rest) */
typedef struct exponential {
    int n;
    pair rest;
} exponential;

/*
 * y = n ln 2 + r with |r| <= 0.35.  exp(r) - 1 is the Taylor polynomial of
 * degree 10 at r / 512, squared nine times: (1 + e)^2 - 1 = 2 e + e^2.
 */
static exponential exp_of(pair y)
{
    enum { SQUARINGS = 9 };
    const double round = 0x1.8p52; /* adding it leaves n in the low bits */
    double n = (y.hi * 0x1.71547652b82fep0 + round) - round;
    pair r = add(y, negative(two_product(n, ln2.hi)));
    r = add(r, negative(two_product(n, ln2.lo)));
    r = scaled(r, 1.0 / (1 << SQUARINGS));
    pair e = {0.0, 0.0};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(inverse_factorials); i++)
        e = multiply(add(e, inverse_factorials[i]), r);
    for (int i = 0; i < SQUARINGS; i++)
        e = add(scaled(e, 2.0), multiply(e, e));
    return (exponential){(int)n, e};
}

/* log(1 + t) for t >= 0 with a relative error below 2^-30. */
static double log1p_about(double t)
{
    int n = 0;
    double s = t / (2.0 + t);
    if (t >= 0.5) {
        double f = frexp(1.0 + t, &n);
        if (f < 0x1.6a09e667f3bcdp-1) { /* sqrt(1/2) */
            f *= 2.0;
            n--;
        }
        s = (f - 1.0) / (f + 1.0);
    }
    double s2 = s * s, sum = 0.0; /* log((1 + s) / (1 - s)) = 2 atanh(s) */
    for (int k = 11; k >= 1; k -= 2)
        sum = sum * s2 + 1.0 / k;
    return n * ln2.hi + 2.0 * s * sum;
}

/*
 * log(1 + t) for t >= 0: with a first approximation y, the rest is
 * log(1 + d), d = (1 + t) exp(-y) - 1 = t exp(-y) + (exp(-y) - 1), of which
 * three terms are enough.  Small t keep their relative precision.
 */
static pair log1p_of(pair t)
{
    double y = log1p_about(t.hi);
    exponential e = exp_of((pair){-y, 0.0});
    pair power = {ldexp(1.0, e.n), 0.0};
    pair less_one = add(scaled(e.rest, power.hi), add(power, negative(one)));
    pair d = multiply(t, scaled(add(one, e.rest), power.hi));
    d = add(d, less_one);
    double curve = d.hi * d.hi * (d.hi * (1.0 / 3.0) - 0.5);
    return add((pair){y, 0.0}, add(d, (pair){curve, 0.0}));
}

/* --------------------------------------------------------------- the logits */

/* What decides the special cases. */
typedef struct survey {
    size_t first_largest;
    size_t ties;    /* numbers equal to the largest */
    size_t present; /* numbers above -infinity */
    bool has_nan;
} survey;

static survey look_at(const float *x, size_t n)
{
    survey s = {0};
    for (size_t i = 0; i < n; i++) {
        s.has_nan = s.has_nan || isnan(x[i]);
        s.present += x[i] > -INFINITY;
        if (x[i] > x[s.first_largest]) {
            s.first_largest = i;
            s.ties = 0;
        }
        s.ties += x[i] >= x[s.first_largest];
    }
    return s;
}

static ptf_status check(double beta, size_t n, ptf_error *err)
{
    bool limit = fpclassify(beta) == FP_ZERO || (isinf(beta) && beta > 0);
    if (!limit && !(beta >= 1e-30 && beta <= 1e30))
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "beta: expected 0, a number from 1e-30 to 1e30, or "
                        "infinity, got %g",
                        beta);
    if (n == 0)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "the softmax of no numbers is not defined");
    return PTF_OK;
}

/* beta * (x_i - m) */
static pair argument(double beta, float x, float most)
{
    pair gap = two_sum((double)x, -(double)most);
    return add(two_product(beta, gap.hi), two_product(beta, gap.lo));
}

/* value * 2^n */
typedef struct scaled_pair {
    pair value;
    int n;
} scaled_pair;

/*
 * The sum of exp(beta * (x_i - m)) over all but the first largest, m.  Where
 * even the largest term is below 2^-865, n is not 0: over a beta of 1e-30 it
 * may still be a number.
 */
static scaled_pair sum_of_others(double beta, const float *x, size_t n,
                                 size_t largest)
{
    const double tiny = -600.0, lost = -700.0, nothing = -2000.0;
    double most = -(double)INFINITY;
    for (size_t i = 0; i < n; i++) {
        double y = argument(beta, x[i], x[largest]).hi;
        most = i != largest && y > most ? y : most;
    }
    scaled_pair sum = {{0.0, 0.0}, 0};
    if (most < nothing)
        return sum;
    sum.n = most < tiny ? (int)(most / ln2.hi) : 0;
    for (size_t i = 0; i < n; i++) {
        pair y = argument(beta, x[i], x[largest]);
        if (i == largest || !(y.hi > most + lost))
            continue;
        exponential e = exp_of(y);
        sum.value =
            add(sum.value, scaled(add(one, e.rest), ldexp(1.0, e.n - sum.n)));
    }
    return sum;
}

ptf_status ptf_log_sum_exp(double beta, const float *x, size_t n, double *nu,
                           ptf_error *err)
{
    ptf_status status = check(beta, n, err);
    if (status != PTF_OK)
        return status;
    survey s = look_at(x, n);
    double most = (double)x[s.first_largest];
    if (s.has_nan)
        *nu = (double)NAN;
    else if (isinf(most) || isinf(beta) || s.present == 1)
        *nu = most;
    else if (beta < 1e-30)
        *nu = (double)INFINITY;
    else {
        scaled_pair rest = sum_of_others(beta, x, n, s.first_largest);
        /* log(1 + t) of a tiny t is t. */
        pair log = rest.n == 0 ? log1p_of(rest.value) : rest.value;
        pair above = divide(log, beta);
        above = (pair){ldexp(above.hi, rest.n), ldexp(above.lo, rest.n)};
        *nu = add((pair){most, 0.0}, above).hi;
    }
    return PTF_OK;
}

/* Equal shares for the 'count' numbers that are at least 'least'. */
static void share(const float *x, size_t n, float least, size_t count,
                  float *out)
{
    float part = (float)(1.0 / (double)count);
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] >= least ? part : 0.0F;
}

ptf_status ptf_softmax(double beta, const float *x, size_t n, float *out,
                       ptf_error *err)
{
    ptf_status status = check(beta, n, err);
    if (status != PTF_OK)
        return status;
    survey s = look_at(x, n);
    float most = x[s.first_largest];
    const ptf_kernels *kernels = ptf_kernels_get(ptf_isa_default());
    if (s.has_nan) {
        for (size_t i = 0; i < n; i++)
            out[i] = __builtin_nanf("");
    } else if (isinf(most) || isinf(beta)) {
        share(x, n, most, s.ties, out);
    } else if (beta < 1e-30) {
        share(x, n, -FLT_MAX, s.present, out);
    } else {
        kernels->softmax(out, x, beta, 1, (int64_t)n, 1);
    }
    return PTF_OK;
}
