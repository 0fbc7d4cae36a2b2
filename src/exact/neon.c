/*
 * Limbs by NEON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/limbs.h"

#include <arm_neon.h>

#define BYTES 16
#define TILE  4
#define FMA(a, b, c) \
    ((vec)vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#include "exact/vectors.inc"

#include "exact/dot.inc"

const ptf_limbs ptf_limbs_neon = {"neon", pack_row, pack_panel, dot,
                                  carry,  multiply, cut};
