/*
 * Resizing with the bits of Pillow's BILINEAR and BICUBIC: a triangle or a
 * cubic as wide as the reduction, weights normalised to 1, bytes in fixed point
 * with 22 bits.  (Pillow, src/libImaging/Resample.c: precompute_coeffs and the
 * 8bpc and 32bpc passes.)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

#include <math.h>

enum { FIXED_BITS = 32 - 8 - 2 };

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic convolution with a slope of -1/2 at 1. */
static double cubic(double x)
{
    static const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

/* What a filter gives, and how far from its middle that is not 0. */
static const struct {
    double (*weight)(double x);
    double support;
} filters[] = {
    [PTF_FILTER_BILINEAR] = {triangle, 1},
    [PTF_FILTER_BICUBIC] = {cubic, 2},
};

static ptf_status allocate(ptf_resampler *r, ptf_arena *arena, ptf_error *err)
{
    size_t out = (size_t)r->out, numbers;
    if (!ptf_mul_size(out, (size_t)r->most, &numbers))
        return ptf_fail_memory(err);
    r->first = ptf_arena_array(arena, out, sizeof(*r->first));
    r->count = ptf_arena_array(arena, out, sizeof(*r->count));
    r->weights = ptf_arena_array(arena, numbers, sizeof(*r->weights));
    r->fixed = ptf_arena_array(arena, numbers, sizeof(*r->fixed));
    return r->first != NULL && r->count != NULL && r->weights != NULL &&
                   r->fixed != NULL
               ? PTF_OK
               : ptf_fail_memory(err);
}

/* The window and weights of output 'i'; conversions truncate as in Pillow. */
static void set_weights(ptf_resampler *r, ptf_filter filter, int64_t i,
                        double scale)
{
    double step = scale < 1.0 ? 1.0 : scale;
    double wide = filters[filter].support * step;
    double centre = ((double)i + 0.5) * scale, sum = 0.0;
    int64_t first = (int64_t)(centre - wide + 0.5);
    int64_t end = (int64_t)(centre + wide + 0.5);
    first = first < 0 ? 0 : first;
    end = end > r->in ? r->in : end;
    r->first[i] = first;
    r->count[i] = end - first;
    double *w = r->weights + i * r->most;
    for (int64_t x = 0; x < r->count[i]; x++) {
        double at = ((double)(x + first) - centre + 0.5) * (1.0 / step);
        w[x] = filters[filter].weight(at);
        sum += w[x];
    }
    for (int64_t x = 0; x < r->count[i]; x++) {
        if (sum > 0.0)
            w[x] /= sum;
        double half = w[x] < 0 ? -0.5 : 0.5;
        r->fixed[i * r->most + x] = (int32_t)(half + w[x] * (1 << FIXED_BITS));
    }
}

ptf_status ptf_resampler_make(ptf_filter filter, int64_t in, int64_t out,
                              ptf_arena *arena, ptf_resampler *r,
                              ptf_error *err)
{
    double scale = (double)in / (double)out;
    double wide = filters[filter].support * (scale < 1.0 ? 1.0 : scale);
    *r = (ptf_resampler){
        .in = in, .out = out, .most = (int64_t)ceil(wide) * 2 + 1};
    ptf_status status = allocate(r, arena, err);
    for (int64_t i = 0; status == PTF_OK && i < out; i++)
        set_weights(r, filter, i, scale);
    return status;
}

uint8_t ptf_resample_u8(const ptf_resampler *r, int64_t i, const uint8_t *in,
                        int64_t step)
{
    const int32_t *w = r->fixed + i * r->most;
    int32_t sum = 1 << (FIXED_BITS - 1);
    in += r->first[i] * step;
    for (int64_t x = 0; x < r->count[i]; x++)
        sum += in[x * step] * w[x];
    sum >>= FIXED_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

float ptf_resample_f32(const ptf_resampler *r, int64_t i, const float *in,
                       int64_t step)
{
    const double *w = r->weights + i * r->most;
    double sum = 0.0;
    in += r->first[i] * step;
    for (int64_t x = 0; x < r->count[i]; x++)
        sum += (double)in[x * step] * w[x];
    return (float)sum;
}
