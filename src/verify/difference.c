/*
 * Two arrays of f32, number by number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "verify/verify.h"

#include <math.h>

/* The largest distance of each bin but the last. */
static const struct {
    int64_t most;
    const char *label;
} bins[PTF_ULP_BINS] = {
    {0, "0"},
    {1, "1"},
    {2, "2"},
    {4, "3-4"},
    {8, "5-8"},
    {16, "9-16"},
    {256, "17-256"},
    {65536, "257-65536"},
    {INT64_MAX, "more"},
};

const char *ptf_ulp_label(int bin)
{
    return bins[bin].label;
}

/* f32 numbers in their order as integers; both zeros are 0. */
static int64_t rank_of(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits >= 0 ? bits : -(int64_t)(bits & INT32_MAX);
}

int64_t ptf_ulp_distance(float a, float b)
{
    if (isnan(a) || isnan(b))
        return INT64_MAX;
    int64_t distance = rank_of(a) - rank_of(b);
    return distance < 0 ? -distance : distance;
}

int ptf_ulp_bin(int64_t distance)
{
    int bin = 0;
    while (bins[bin].most < distance)
        bin++;
    return bin;
}

static void add(ptf_difference *d, float a, float b, double tolerance)
{
    bool equal = memcmp(&a, &b, sizeof(a)) == 0;
    int64_t index = d->count++;
    d->unequal_bits += !equal;
    d->ulps[equal ? 0 : ptf_ulp_bin(ptf_ulp_distance(a, b))]++;
    if (!isfinite(a) || !isfinite(b)) {
        d->not_finite++;
        return;
    }
    double off = fabs((double)a - (double)b);
    d->beyond_tolerance += off > tolerance;
    d->sum_squares += off * off;
    if (off > d->max_abs) {
        d->max_abs = off;
        d->worst = index;
        d->worst_a = a;
        d->worst_b = b;
    }
}

void ptf_difference_add(ptf_difference *d, const float *a, const float *b,
                        int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        most = isfinite(a[i]) ? fmax(most, fabs((double)a[i])) : most;
    for (int64_t i = 0; i < count; i++)
        add(d, a[i], b[i], d->atol + d->rtol * most);
    d->max_ref = fmax(d->max_ref, most);
}
