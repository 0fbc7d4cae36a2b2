/*
 * The vector vocabulary for AVX-512: 16 floats, 32 registers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_SIMD_H
#define PTF_SIMD_H

#include <immintrin.h>
#include <stdint.h>

/* A full tile of the product: 24 sums, 4 weights, 1 pixel. */
#define V_LANES   16
#define V_VECTORS 4 /* of channels */
#define V_PIXELS  6
/* Most pixels whose sums fit beside V_LANES transposed weights. */
#define V_SKINNY 12

typedef __m512 v_float;

static inline v_float v_zero(void)
{
    return _mm512_setzero_ps();
}

static inline v_float v_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline v_float v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void v_store(float *p, v_float a)
{
    _mm512_storeu_ps(p, a);
}

static inline __mmask16 v_mask(int64_t n)
{
    return (__mmask16)((1U << n) - 1U);
}

/* The first n (at most V_LANES) floats; the rest of the vector is zero. */
static inline v_float v_load_part(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(v_mask(n), p);
}

static inline void v_store_part(float *p, int64_t n, v_float a)
{
    _mm512_mask_storeu_ps(p, v_mask(n), a);
}

static inline v_float v_add(v_float a, v_float b)
{
    return _mm512_add_ps(a, b);
}

/* a * b + c with one rounding. */
static inline v_float v_fma(v_float a, v_float b, v_float c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* x > 0 ? x : +0; a NaN becomes anything. */
static inline v_float v_relu(v_float x)
{
    return _mm512_max_ps(x, _mm512_setzero_ps());
}

/* y where x is a number, the one NaN where it is not. */
static inline v_float v_keep_nan(v_float x, v_float y)
{
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_mask_mov_ps(y, nan, _mm512_set1_ps(__builtin_nanf("")));
}

/*
 * Asks for a line that will be read: into the second-level cache, and into the
 * first.  Always inline: gcc takes calls of a function that only prefetches
 * away.
 */
static inline __attribute__((always_inline)) void v_prefetch(const float *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T1);
}

static inline __attribute__((always_inline)) void v_prefetch_near(
    const float *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T0);
}

static inline __m512 v_low2(__m512 a, __m512 b)
{
    return _mm512_castpd_ps(
        _mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

static inline __m512 v_high2(__m512 a, __m512 b)
{
    return _mm512_castpd_ps(
        _mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

/* Of the lanes of a and b, those with even and those with odd indices. */
static inline void v_unzip(v_float a, v_float b, v_float *even, v_float *odd)
{
    const __m512i all = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
                                          22, 24, 26, 28, 30);
    *even = _mm512_permutex2var_ps(a, all, b);
    *odd = _mm512_permutex2var_ps(
        a, _mm512_add_epi32(all, _mm512_set1_epi32(1)), b);
}

/* Rows to columns, in place: first in 128-bit lanes, then the lanes. */
static inline __attribute__((always_inline)) void v_transpose(v_float r[16])
{
    v_float t[16];
    for (int i = 0; i < 16; i += 4) {
        __m512 a = _mm512_unpacklo_ps(r[i], r[i + 1]);
        __m512 b = _mm512_unpackhi_ps(r[i], r[i + 1]);
        __m512 c = _mm512_unpacklo_ps(r[i + 2], r[i + 3]);
        __m512 d = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = v_low2(a, c);
        t[i + 1] = v_high2(a, c);
        t[i + 2] = v_low2(b, d);
        t[i + 3] = v_high2(b, d);
    }
    for (int i = 0; i < 4; i++) {
        __m512 a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88);
        __m512 b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
        __m512 c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
        __m512 d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
        r[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

#endif
