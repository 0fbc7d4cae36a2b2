/*
 * limbs: integers of several digits, PTF_LANES of them side by side.
 *
 * A digit has 51 bits.  Digit l of lane i is at[l * PTF_LANES + i] and stands
 * for itself times 2^(51 l).  Digits are 'balanced' when all are in -2^50 ..
 * 2^50 - 1: then they are the only ones of their integer, the sign is that of
 * the highest one that is not 0, and integers compare as their digits do from
 * the highest on.  Other digits may be any int64_t.
 *
 * Everything here is exact but for the one rounding that ptf_limbs.cut does, so
 * that each instruction set gives the same integers; they share no code with
 * the reference, which counts in 128 bits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_EXACT_LIMBS_H
#define PTF_EXACT_LIMBS_H

#include "base/base.h"

enum {
    PTF_DIGIT_BITS = 51,
    PTF_LANES = 16,
    PTF_LIMBS_MOST = 10,  /* digits of a number */
    PTF_DIGITS_MOST = 24, /* of what comes in between: a product, a sum */
    PTF_TERMS = 256,      /* of one call of ptf_limbs.dot */
    PTF_ROW_WORDS = PTF_TERMS + 1,
    PTF_PANEL_WORDS = PTF_ROW_WORDS * PTF_LANES,
};

#define PTF_DIGIT_MASK ((INT64_C(1) << PTF_DIGIT_BITS) - 1)
#define PTF_DIGIT_HALF (INT64_C(1) << (PTF_DIGIT_BITS - 1))

typedef struct ptf_limbs {
    const char *name;
    /*
     * Makes words of 'terms' weights, integers of magnitude 2^50 at most, and
     * of the balanced digits in the first 'terms' rows of a panel, in place.
     * Both have room after them for what an instruction set wants to know of
     * all terms.
     */
    void (*pack_row)(int64_t terms, const double *weights,
                     uint64_t to[PTF_ROW_WORDS]);
    void (*pack_panel)(int64_t terms, uint64_t panel[PTF_PANEL_WORDS]);
    /*
     * For each of 'rows' rows of words, which are PTF_ROW_WORDS apart: adds the
     * sum of its products with the panel to the digits at 'sums', of which
     * those of each row are 'step' after the last: below 2^61 to the lowest
     * and 2^59 to the next, either sign.
     */
    void (*dot)(int64_t rows, int64_t terms, const uint64_t *weights,
                const uint64_t *panel, int64_t *sums, int64_t step);
    /* Moves carries up, so that all digits but the highest are 0 .. 2^51 - 1.
     */
    void (*carry)(int count, int64_t *digits);
    /* a times b, both balanced, into na + nb digits, below 2^57. */
    void (*multiply)(int na, const int64_t *a, int nb, const int64_t *b,
                     int64_t *product);
    /*
     * The integer of 'count' digits, below 2^62 each, times 2^-shift, to the
     * nearest integer (halves up), and 'addend', the same for all lanes, in
     * 'limbs' balanced digits, where it must fit.  shift is below 51 (count +
     * 1).  'addend' may be NULL and has one number for each digit.
     */
    void (*cut)(int count, const int64_t *digits, int64_t shift,
                const int64_t *addend, int limbs, int64_t *out);
} ptf_limbs;

extern const ptf_limbs ptf_limbs_ref, ptf_limbs_neon, ptf_limbs_avx2,
    ptf_limbs_avx512, ptf_limbs_ifma;

/* The best one here, which the environment variable PTF_ISA may lower. */
const ptf_limbs *ptf_limbs_default(void);
/* The i-th that can run here, from plain to best; NULL after the last. */
const ptf_limbs *ptf_limbs_here(int i);

#endif
