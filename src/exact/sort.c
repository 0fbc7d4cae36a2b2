/*
 * Positions in the order of their numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

ptf_status ptf_exact_family_sort(const ptf_exact_step *s, ptf_error *err)
{
    return ptf_exact_refuse(s, err);
}
