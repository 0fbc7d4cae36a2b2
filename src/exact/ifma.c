/*
 * Limbs by AVX-512 IFMA, which multiplies unsigned integers of 52 bits and
 * adds the low or the high 52 bits of the product.
 *
 * With V = v + 2^51 of a weight v and X = x + 2^50 of a digit x,
 *
 *     sum v x = sum V X - 2^51 sum X - 2^50 sum v,
 *     sum V X = A + 2^52 B,
 *
 * A and B the sums of the low and of the high halves.  In digits of 51 bits
 *
 *     low  = A - 2^50 (sum v mod 2)
 *     high = 2 B - sum X - floor(sum v / 2).
 *
 * They are counted modulo 2^64, and what comes out fits: of each term the low
 * half is below 2^52, and 2 floor(V X / 2^52) - X - v / 2, as V X / 2^51 is v x
 * / 2^51 + v / 2 + X, within 2 of v x / 2^51, which is 2^49 at most; for 256
 * terms that is below 2^61 and 2^58.  sum X stands after the panel, sum v
 * after the row.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/limbs.h"

#include <immintrin.h>

#define BYTES 64
#define TILE  6
#define FMA(a, b, c) \
    ((vec)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#include "exact/vectors.inc"

#define WEIGHT_OFF (INT64_C(1) << 51)
#define DIGIT_OFF  (INT64_C(1) << 50)

static void pack_row(int64_t terms, const double *weights, uint64_t *to)
{
    int64_t sum = 0;
    for (int64_t k = 0; k < terms; k++) {
        int64_t v = (int64_t)weights[k];
        sum += v;
        to[k] = (uint64_t)(v + WEIGHT_OFF);
    }
    to[PTF_TERMS] = (uint64_t)sum;
}

static void pack_panel(int64_t terms, uint64_t *panel)
{
    ints sum[VECS] = {{0}};
    for (int64_t k = 0; k < terms; k++)
        for (int i = 0; i < VECS; i++) {
            uint64_t *at = panel + k * PTF_LANES + i * WIDTH;
            ints x = load(at) + DIGIT_OFF;
            sum[i] += x;
            store(at, x);
        }
    for (int i = 0; i < VECS; i++)
        store(panel + PTF_TERMS * PTF_LANES + i * WIDTH, sum[i]);
}

static inline void finish(uint64_t row_sum, ints panel_sum, ints low, ints high,
                          int64_t *to)
{
    int64_t sum = (int64_t)row_sum;
    low -= (sum & 1) << 50;
    high = 2 * high - panel_sum - (sum >> 1);
    store(to, load(to) + low);
    store(to + PTF_LANES, load(to + PTF_LANES) + high);
}

static inline __attribute__((always_inline)) void dot_tile(
    int rows, int64_t terms, const uint64_t *weights, const uint64_t *panel,
    int64_t *sums, int64_t step)
{
    __m512i low[TILE][VECS], high[TILE][VECS];
    for (int j = 0; j < rows; j++)
        for (int i = 0; i < VECS; i++)
            low[j][i] = high[j][i] = _mm512_setzero_si512();
    for (int64_t k = 0; k < terms; k++) {
        __m512i x[VECS];
        for (int i = 0; i < VECS; i++)
            x[i] = (__m512i)load(panel + k * PTF_LANES + i * WIDTH);
        for (int j = 0; j < rows; j++) {
            __m512i w =
                _mm512_set1_epi64((int64_t)weights[j * PTF_ROW_WORDS + k]);
            for (int i = 0; i < VECS; i++) {
                low[j][i] = _mm512_madd52lo_epu64(low[j][i], w, x[i]);
                high[j][i] = _mm512_madd52hi_epu64(high[j][i], w, x[i]);
            }
        }
    }
    for (int j = 0; j < rows; j++)
        for (int i = 0; i < VECS; i++)
            finish(weights[j * PTF_ROW_WORDS + PTF_TERMS],
                   load(panel + PTF_TERMS * PTF_LANES + i * WIDTH),
                   (ints)low[j][i], (ints)high[j][i],
                   sums + j * step + i * WIDTH);
}

static void dot(int64_t rows, int64_t terms, const uint64_t *weights,
                const uint64_t *panel, int64_t *sums, int64_t step)
{
    int64_t j = 0;
    for (; j + TILE <= rows; j += TILE)
        dot_tile(TILE, terms, weights + j * PTF_ROW_WORDS, panel,
                 sums + j * step, step);
    for (; j + 2 <= rows; j += 2)
        dot_tile(2, terms, weights + j * PTF_ROW_WORDS, panel, sums + j * step,
                 step);
    if (j < rows)
        dot_tile(1, terms, weights + j * PTF_ROW_WORDS, panel, sums + j * step,
                 step);
}

const ptf_limbs ptf_limbs_ifma = {"ifma", pack_row, pack_panel, dot,
                                  carry,  multiply, cut};
