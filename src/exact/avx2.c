/*
 * Limbs by AVX2 and FMA.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/limbs.h"

#include <immintrin.h>

#define BYTES 32
#define TILE  2
#define FMA(a, b, c) \
    ((vec)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#include "exact/vectors.inc"

#include "exact/dot.inc"

const ptf_limbs ptf_limbs_avx2 = {"avx2", pack_row, pack_panel, dot,
                                  carry,  multiply, cut};
