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

int ptf_ulp_bin(float a, float b)
{
    if (isnan(a) || isnan(b))
        return PTF_ULP_BINS - 1;
    int64_t distance = rank_of(a) - rank_of(b);
    int bin = 0;
    while (bins[bin].most < (distance < 0 ? -distance : distance))
        bin++;
    return bin;
}

static void add(ptf_difference *d, float a, float b)
{
    bool equal = memcmp(&a, &b, sizeof(a)) == 0;
    int64_t index = d->count++;
    d->unequal_bits += !equal;
    d->ulps[equal ? 0 : ptf_ulp_bin(a, b)]++;
    if (!isfinite(a) || !isfinite(b)) {
        d->not_finite++;
        return;
    }
    double off = fabs((double)a - (double)b), ref = fabs((double)a);
    d->beyond_tolerance += off > d->atol + d->rtol * ref;
    d->sum_squares += off * off;
    d->max_ref = fmax(d->max_ref, ref);
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
    for (int64_t i = 0; i < count; i++)
        add(d, a[i], b[i]);
}
