/*
 * Maps of another size.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/taps.h"

ptf_status ptf_exact_family_resize(const ptf_exact_step *s, ptf_error *err)
{
    return ptf_exact_taps(s, err);
}
