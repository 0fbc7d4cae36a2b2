/*
 * The kernels for AVX-512.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/simd_avx512.h"

#define PTF_FMAF __builtin_fmaf
#define PTF_FMA  __builtin_fma
#include "kernel/scalar.inc"

#include "kernel/gemm.inc"

#include "kernel/gemv.inc"

#include "kernel/lines.inc"

const ptf_kernels ptf_kernels_avx512 = {
    .isa = PTF_ISA_AVX512,
    PTF_SCALAR,
    PTF_PRODUCTS,
    PTF_LINES,
};
