/*
 * The table of instruction sets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

static const ptf_kernels *const tables[PTF_ISA_COUNT] = {
    [PTF_ISA_REF] = &ptf_kernels_ref,
#if defined(__aarch64__)
    [PTF_ISA_NEON] = &ptf_kernels_neon,
#endif
#if defined(__x86_64__)
    [PTF_ISA_AVX2] = &ptf_kernels_avx2,
    [PTF_ISA_AVX512] = &ptf_kernels_avx512,
#endif
};

const ptf_kernels *ptf_kernels_get(ptf_isa isa)
{
    return tables[isa] != NULL ? tables[isa] : &ptf_kernels_ref;
}
