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
