/*
 * The vector vocabulary for AVX2 with FMA: 8 floats, 16 registers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_SIMD_H
#define PTF_SIMD_H

#include <immintrin.h>
#include <stdint.h>

/* A full tile of the product: 12 sums, 2 weights, 1 pixel. */
#define V_LANES   8
#define V_VECTORS 2 /* of channels */
#define V_PIXELS  6
/* Most pixels whose sums fit beside V_LANES transposed weights. */
#define V_SKINNY 6

typedef __m256 v_float;

static inline v_float v_zero(void)
{
    return _mm256_setzero_ps();
}

static inline v_float v_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline v_float v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void v_store(float *p, v_float a)
{
    _mm256_storeu_ps(p, a);
}

static inline __m256i v_mask(int64_t n)
{
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lanes);
}

/* The first n (at most V_LANES) floats; the rest of the vector is zero. */
static inline v_float v_load_part(const float *p, int64_t n)
{
    return _mm256_maskload_ps(p, v_mask(n));
}

static inline void v_store_part(float *p, int64_t n, v_float a)
{
    _mm256_maskstore_ps(p, v_mask(n), a);
}

static inline v_float v_add(v_float a, v_float b)
{
    return _mm256_add_ps(a, b);
}

/* a * b + c with one rounding. */
static inline v_float v_fma(v_float a, v_float b, v_float c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* x > 0 ? x : +0; a NaN becomes anything. */
static inline v_float v_relu(v_float x)
{
    return _mm256_max_ps(x, _mm256_setzero_ps());
}

/* y where x is a number, the one NaN where it is not. */
static inline v_float v_keep_nan(v_float x, v_float y)
{
    __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    return _mm256_blendv_ps(y, _mm256_set1_ps(__builtin_nanf("")), nan);
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

static inline __m256 v_low2(__m256 a, __m256 b)
{
    return _mm256_castpd_ps(
        _mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}

static inline __m256 v_high2(__m256 a, __m256 b)
{
    return _mm256_castpd_ps(
        _mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}

/* Of the lanes of a and b, those with even and those with odd indices. */
static inline void v_unzip(v_float a, v_float b, v_float *even, v_float *odd)
{
    __m256d low = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88));
    __m256d high = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd));
    *even = _mm256_castpd_ps(_mm256_permute4x64_pd(low, 0xd8));
    *odd = _mm256_castpd_ps(_mm256_permute4x64_pd(high, 0xd8));
}

/* Rows to columns, in place: first in 128-bit lanes, then the lanes. */
static inline __attribute__((always_inline)) void v_transpose(v_float r[8])
{
    v_float t[8];
    for (int i = 0; i < 8; i += 4) {
        __m256 a = _mm256_unpacklo_ps(r[i], r[i + 1]);
        __m256 b = _mm256_unpackhi_ps(r[i], r[i + 1]);
        __m256 c = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
        __m256 d = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = v_low2(a, c);
        t[i + 1] = v_high2(a, c);
        t[i + 2] = v_low2(b, d);
        t[i + 3] = v_high2(b, d);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
}

#endif
