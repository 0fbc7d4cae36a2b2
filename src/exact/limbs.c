/*
 * Which instruction sets there are here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/limbs.h"

/* From plain to best; IFMA is AVX-512's best. */
static const struct row {
    const ptf_limbs *limbs;
    ptf_isa isa;
    bool ifma;
} rows[] = {
    {&ptf_limbs_ref, PTF_ISA_REF, false},
#if defined(__x86_64__)
    {&ptf_limbs_avx2, PTF_ISA_AVX2, false},
    {&ptf_limbs_avx512, PTF_ISA_AVX512, false},
    {&ptf_limbs_ifma, PTF_ISA_AVX512, true},
#elif defined(__aarch64__)
    {&ptf_limbs_neon, PTF_ISA_NEON, false},
#endif
};

static bool is_here(const struct row *row)
{
    bool here = ptf_isa_here(row->isa);
#if defined(__x86_64__)
    if (row->ifma)
        here = here && __builtin_cpu_supports("avx512ifma");
#endif
    return here;
}

const ptf_limbs *ptf_limbs_here(int i)
{
    for (size_t k = 0; k < PTF_ARRAY_SIZE(rows); k++)
        if (is_here(&rows[k]) && i-- == 0)
            return rows[k].limbs;
    return NULL;
}

const ptf_limbs *ptf_limbs_default(void)
{
    const ptf_limbs *best = &ptf_limbs_ref;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(rows); k++)
        if (is_here(&rows[k]) && rows[k].isa <= ptf_isa_default())
            best = rows[k].limbs;
    return best;
}
