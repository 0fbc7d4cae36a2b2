/*
 * Balls as such: which of them say nothing; exp and log, which several
 * families need.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"

#include <stdlib.h>

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
 * log of a positive x = 2^n m, m in 1/sqrt(2) .. sqrt(2): n ln 2 + 2 atanh(s)
 * with s = (m - 1) / (m + 1), off by 2u, the series by 3u with its remainder.
 * The series is 0.35 at most, and stands alone when n is 0: 6u of it, 2u of n
 * ln 2 and u of the sum are 8u (|n| + |y|).
 */
double ptf_enclose_log(double x, double *error)
{
    int n;
    double m = frexp(x, &n);
    if (m < 0x1.6a09e667f3bcdp-1) {
        m *= 2;
        n--;
    }
    double s = (m - 1.0) / (m + 1.0), sum = 0;
    for (int k = 25; k > 0; k -= 2)
        sum = sum * s * s + 1.0 / k;
    double y = n * 0x1.62e42fefa39efp-1 + 2.0 * s * sum;
    *error = 8 * PTF_U * (abs(n) + fabs(y));
    return y;
}
