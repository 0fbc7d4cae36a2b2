/*
 * The reference: integers of 128 bits and of words, lane by lane.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/limbs.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;

static void pack_row(int64_t terms, const double *weights, uint64_t *to)
{
    for (int64_t k = 0; k < terms; k++)
        to[k] = (uint64_t)(int64_t)weights[k];
}

static void pack_panel(int64_t terms, uint64_t *panel)
{
    (void)terms, (void)panel; /* words are the digits */
}

/* Below 2^108 in all. */
static void dot(int64_t rows, int64_t terms, const uint64_t *weights,
                const uint64_t *panel, int64_t *sums, int64_t step)
{
    for (int64_t j = 0; j < rows; j++)
        for (int i = 0; i < PTF_LANES; i++) {
            wide sum = 0;
            for (int64_t k = 0; k < terms; k++)
                sum += (wide)(int64_t)weights[j * PTF_ROW_WORDS + k] *
                       (int64_t)panel[k * PTF_LANES + i];
            sums[j * step + i] += (int64_t)(sum & PTF_DIGIT_MASK);
            sums[j * step + PTF_LANES + i] += (int64_t)(sum >> PTF_DIGIT_BITS);
        }
}

static void carry(int count, int64_t *digits)
{
    for (int l = 0; l + 1 < count; l++)
        for (int i = 0; i < PTF_LANES; i++) {
            int64_t *d = &digits[l * PTF_LANES + i];
            d[PTF_LANES] += *d >> PTF_DIGIT_BITS;
            *d &= PTF_DIGIT_MASK;
        }
}

static void multiply(int na, const int64_t *a, int nb, const int64_t *b,
                     int64_t *product)
{
    memset(product, 0, (size_t)(na + nb) * PTF_LANES * sizeof(*product));
    for (int l = 0; l < na * nb * PTF_LANES; l++) {
        int i = l % PTF_LANES, j = l / PTF_LANES % nb;
        int at = l / PTF_LANES / nb;
        wide p = (wide)a[at * PTF_LANES + i] * b[j * PTF_LANES + i];
        product[(at + j) * PTF_LANES + i] += (int64_t)(p & PTF_DIGIT_MASK);
        product[(at + j + 1) * PTF_LANES + i] += (int64_t)(p >> PTF_DIGIT_BITS);
    }
}

/* ------------------------------------------------------------ words */

/* An integer in 32-bit words, the lowest first, as two's complement. */
enum { WORDS = (PTF_DIGITS_MOST + 2) * 2 };

typedef struct words {
    uint32_t at[WORDS];
} words;

/* x = x 2^51 + d */
static void push(words *x, int64_t d)
{
    wide more = d;
    for (int i = 0; i < WORDS; i++) {
        more += (wide)((uint64_t)x->at[i] << 19) << 32;
        x->at[i] = (uint32_t)more;
        more >>= 32;
    }
}

/* x += 2^bit */
static void add_bit(words *x, int64_t bit)
{
    uint64_t more = UINT64_C(1) << bit % 32;
    for (int64_t i = bit / 32; i < WORDS; i++) {
        more += x->at[i];
        x->at[i] = (uint32_t)more;
        more >>= 32;
    }
}

/* The 51 bits from 'first' on; beyond the highest word all are the sign. */
static int64_t bits_from(const words *x, int64_t first)
{
    wide y = 0;
    for (int64_t i = first / 32 + 2; i >= first / 32; i--) {
        uint32_t sign = x->at[WORDS - 1] >> 31 == 1 ? UINT32_MAX : 0;
        y = (wide)((unsigned_wide)y << 32) | (i < WORDS ? x->at[i] : sign);
    }
    return (int64_t)(y >> first % 32) & PTF_DIGIT_MASK;
}

static void cut_lane(int count, const int64_t *digits, int64_t shift,
                     const int64_t *addend, int limbs, int64_t *out)
{
    words x = {{0}};
    int64_t more = 0;
    for (int l = count - 1; l >= 0; l--)
        push(&x, digits[l * PTF_LANES]);
    if (shift > 0)
        add_bit(&x, shift - 1);
    for (int l = 0; l < limbs; l++) {
        int64_t d = bits_from(&x, shift + l * PTF_DIGIT_BITS);
        d += more + (addend != NULL ? addend[l] : 0);
        int64_t low = ((d + PTF_DIGIT_HALF) & PTF_DIGIT_MASK) - PTF_DIGIT_HALF;
        more = (d - low) / (PTF_DIGIT_MASK + 1);
        out[l * PTF_LANES] = low;
    }
}

static void cut(int count, const int64_t *digits, int64_t shift,
                const int64_t *addend, int limbs, int64_t *out)
{
    for (int i = 0; i < PTF_LANES; i++)
        cut_lane(count, digits + i, shift, addend, limbs, out + i);
}

const ptf_limbs ptf_limbs_ref = {"ref", pack_row, pack_panel, dot,
                                 carry, multiply, cut};
