/*
 * The kernels for AVX2 with FMA.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/simd_avx2.h"

#define PTF_FMAF __builtin_fmaf
#define PTF_FMA  __builtin_fma
#include "kernel/scalar.inc"

#include "kernel/gemm.inc"

#include "kernel/gemv.inc"

#include "kernel/lines.inc"

const ptf_kernels ptf_kernels_avx2 = {
    .isa = PTF_ISA_AVX2,
    PTF_SCALAR,
    PTF_PRODUCTS,
    PTF_LINES,
};
