/*
 * Single numbers: scales of norms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

/* An exponent for 0, as small as any number is that has a part. */
ptf_real ptf_real_of(const ptf_limbs *limbs, int k, double x)
{
    ptf_real r = {limbs, k, ptf_exponent_of(fabs(x)), {0}};
    int64_t digits[PTF_LIMBS_MOST + 1];
    bool exact = true;
    ptf_digits_of(x, r.exponent, k, digits, &exact);
    ptf_lanes_of(k, digits, r.digits);
    return r;
}

ptf_real ptf_real_move(const ptf_real *a, int exponent)
{
    ptf_real r = *a;
    int64_t shift = exponent - a->exponent;
    int64_t most = PTF_DIGIT_BITS * (a->k + 1) - 1;
    r.exponent = exponent;
    if (shift < 0) /* to finer units: zeros below, then back */
        memset(r.digits, 0, sizeof(r.digits));
    int64_t wide[PTF_DIGITS_MOST * PTF_LANES] = {0};
    if (shift < 0) {
        size_t size = (size_t)(a->k * PTF_LANES) * sizeof(*wide);
        memcpy(wide + a->k * PTF_LANES, a->digits, size);
        a->limbs->cut(2 * a->k, wide, PTF_DIGIT_BITS * a->k + shift, NULL, a->k,
                      r.digits);
    } else if (shift > 0) {
        a->limbs->cut(a->k, a->digits, shift < most ? shift : most, NULL, a->k,
                      r.digits);
    }
    return r;
}

double ptf_real_double(const ptf_real *a)
{
    return ptf_lane_double(a->digits, a->k, 0,
                           ldexp(1.0, a->exponent - PTF_DIGIT_BITS));
}

/* On as fine a grid as holds it. */
static ptf_real tighten(const ptf_real *a)
{
    int e = ptf_exponent_of(fabs(ptf_real_double(a)));
    int least = a->exponent - PTF_DIGIT_BITS * a->k;
    return ptf_real_move(a, e > least ? e : least);
}

ptf_real ptf_real_multiply(const ptf_real *a, const ptf_real *b)
{
    ptf_real r = {a->limbs, a->k, a->exponent + b->exponent - 1, {0}};
    int64_t product[PTF_DIGITS_MOST * PTF_LANES];
    a->limbs->multiply(a->k, a->digits, a->k, b->digits, product);
    a->limbs->cut(2 * a->k, product, PTF_DIGIT_BITS * a->k - 1, NULL, a->k,
                  r.digits);
    return tighten(&r);
}

ptf_real ptf_real_add(const ptf_real *a, const ptf_real *b, int sign)
{
    int e = (a->exponent > b->exponent ? a->exponent : b->exponent) + 1;
    ptf_real x = ptf_real_move(a, e), y = ptf_real_move(b, e), r = x;
    for (int i = 0; i < a->k * PTF_LANES; i++)
        x.digits[i] += sign * y.digits[i];
    a->limbs->cut(a->k, x.digits, 0, NULL, a->k, r.digits);
    return tighten(&r);
}

/*
 * Newton's steps y += y (1 - a y^2) / 2 from a double double the digits that
 * are right.  What they give is not proved but checked: with d = 1 - a y^2, y
 * is within |d| of 1 / sqrt(a), relative to it, for small d.
 */
bool ptf_real_rsqrt(const ptf_real *a, ptf_real *root)
{
    double m = ptf_real_double(a);
    ptf_real one = ptf_real_of(a->limbs, a->k, 1);
    ptf_real half = ptf_real_of(a->limbs, a->k, 0.5), d;
    ptf_real y = ptf_real_of(a->limbs, a->k, 1 / sqrt(m));
    for (int step = 0;; step++) {
        ptf_real square = ptf_real_multiply(&y, &y);
        ptf_real ratio = ptf_real_multiply(a, &square);
        d = ptf_real_add(&one, &ratio, -1);
        double off = fabs(ptf_real_double(&d));
        if (off < ldexp(1, 12 - PTF_DIGIT_BITS * a->k))
            break;
        if (step == 6 || !(m > 0))
            return false;
        ptf_real more = ptf_real_multiply(&y, &d);
        more = ptf_real_multiply(&more, &half);
        y = ptf_real_add(&y, &more, 1);
    }
    *root = y;
    return true;
}

/* The 51 bits from 'first' on, which may lie below the lowest. */
static int64_t bits_from(const int64_t *digits, int64_t count, int64_t first)
{
    int64_t at = first / PTF_DIGIT_BITS, bit = first % PTF_DIGIT_BITS;
    if (bit < 0) {
        at--;
        bit += PTF_DIGIT_BITS;
    }
    int64_t low = at >= 0 && at < count ? digits[at] : 0;
    int64_t high = at + 1 >= 0 && at + 1 < count ? digits[at + 1] : 0;
    uint64_t above = (uint64_t)high << (PTF_DIGIT_BITS - bit);
    return (low >> bit | (int64_t)above) & PTF_DIGIT_MASK;
}

/* Its highest bit is the second one below that of the sign. */
ptf_real ptf_real_of_digits(const ptf_limbs *limbs, int k, int count,
                            const int64_t *digits, int unit)
{
    ptf_real r = {limbs, k, 0, {0}};
    int64_t own[PTF_LIMBS_MOST + 1], more = 0;
    int bits = PTF_DIGIT_BITS * count;
    while (bits > 0 &&
           (digits[(bits - 1) / PTF_DIGIT_BITS] >> (bits - 1) % PTF_DIGIT_BITS &
            1) == 0)
        bits--;
    r.exponent = unit + bits + 2;
    for (int l = 0; l < k; l++) {
        int64_t d = more + bits_from(digits, count,
                                     bits + 2 - PTF_DIGIT_BITS * (k - l));
        more = l + 1 < k && d >= PTF_DIGIT_HALF;
        own[l] = d - (more > 0 ? PTF_DIGIT_MASK + 1 : 0);
    }
    ptf_lanes_of(k, own, r.digits);
    return r;
}

/* Newton's steps y += y (1 - a y), checked: with d = 1 - a y, y is (1 - d) / a.
 */
bool ptf_real_reciprocal(const ptf_real *a, ptf_real *inverse)
{
    ptf_real one = ptf_real_of(a->limbs, a->k, 1), d;
    ptf_real y = ptf_real_of(a->limbs, a->k, 1 / ptf_real_double(a));
    for (int step = 0;; step++) {
        ptf_real ratio = ptf_real_multiply(a, &y);
        d = ptf_real_add(&one, &ratio, -1);
        if (fabs(ptf_real_double(&d)) < ldexp(1, 12 - PTF_DIGIT_BITS * a->k))
            break;
        if (step == 6 || !(fabs(ptf_real_double(a)) > 0))
            return false;
        ptf_real more = ptf_real_multiply(&y, &d);
        y = ptf_real_add(&y, &more, 1);
    }
    *inverse = y;
    return true;
}
