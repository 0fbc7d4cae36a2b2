/*
 * The kernels for AArch64 NEON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/simd_neon.h"

#define PTF_FMAF __builtin_fmaf
#define PTF_FMA  __builtin_fma
#include "kernel/scalar.inc"

#include "kernel/gemm.inc"

#include "kernel/gemv.inc"

#include "kernel/lines.inc"

const ptf_kernels ptf_kernels_neon = {
    .isa = PTF_ISA_NEON,
    PTF_SCALAR,
    PTF_PRODUCTS,
    PTF_LINES,
};
