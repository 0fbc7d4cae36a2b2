/*
 * Limbs by AVX-512's multiply-adds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/limbs.h"

#include <immintrin.h>

#define BYTES 64
#define TILE  4
#define FMA(a, b, c) \
    ((vec)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#include "exact/vectors.inc"

#include "exact/dot.inc"

const ptf_limbs ptf_limbs_avx512 = {"avx512", pack_row, pack_panel, dot,
                                    carry,    multiply, cut};
