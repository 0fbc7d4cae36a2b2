/*
 * The vector vocabulary for AArch64 NEON: 4 floats, 32 registers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_SIMD_H
#define PTF_SIMD_H

#include <arm_neon.h>
#include <stdint.h>

/* A full tile of the product: 24 sums, 4 weights, 1 pixel. */
#define V_LANES   4
#define V_VECTORS 4 /* of channels */
#define V_PIXELS  6
/* Most pixels whose sums fit beside V_LANES transposed weights. */
#define V_SKINNY 12

typedef float32x4_t v_float;

static inline v_float v_zero(void)
{
    return vdupq_n_f32(0.0F);
}

static inline v_float v_set(float x)
{
    return vdupq_n_f32(x);
}

static inline v_float v_load(const float *p)
{
    return vld1q_f32(p);
}

static inline void v_store(float *p, v_float a)
{
    vst1q_f32(p, a);
}

/* The first n (at most V_LANES) floats; the rest of the vector is zero. */
static inline v_float v_load_part(const float *p, int64_t n)
{
    float part[V_LANES] = {0};
    for (int64_t i = 0; i < n; i++)
        part[i] = p[i];
    return v_load(part);
}

static inline void v_store_part(float *p, int64_t n, v_float a)
{
    float part[V_LANES];
    v_store(part, a);
    for (int64_t i = 0; i < n; i++)
        p[i] = part[i];
}

static inline v_float v_add(v_float a, v_float b)
{
    return vaddq_f32(a, b);
}

/* a * b + c with one rounding. */
static inline v_float v_fma(v_float a, v_float b, v_float c)
{
    return vfmaq_f32(c, a, b);
}

/* x > 0 ? x : +0; a NaN becomes anything. */
static inline v_float v_relu(v_float x)
{
    return vmaxq_f32(x, vdupq_n_f32(0.0F));
}

/* y where x is a number, the one NaN where it is not. */
static inline v_float v_keep_nan(v_float x, v_float y)
{
    uint32x4_t number = vceqq_f32(x, x);
    return vbslq_f32(number, y, vdupq_n_f32(__builtin_nanf("")));
}

/*
 * Asks for a line that will be read: into the second-level cache, and into the
 * first.  Always inline: gcc takes calls of a function that only prefetches
 * away.
 */
static inline __attribute__((always_inline)) void v_prefetch(const float *p)
{
    __builtin_prefetch(p, 0, 2);
}

static inline __attribute__((always_inline)) void v_prefetch_near(
    const float *p)
{
    __builtin_prefetch(p, 0, 3);
}

/* Of the lanes of a and b, those with even and those with odd indices. */
static inline void v_unzip(v_float a, v_float b, v_float *even, v_float *odd)
{
    *even = vuzp1q_f32(a, b);
    *odd = vuzp2q_f32(a, b);
}

/* Rows to columns, in place. */
static inline __attribute__((always_inline)) void v_transpose(v_float r[4])
{
    float32x4x2_t a = vtrnq_f32(r[0], r[1]);
    float32x4x2_t b = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

#endif
