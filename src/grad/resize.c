/*
 * Maps of another size, back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

const ptf_back_family ptf_back_family_resize = {.make = ptf_back_make_taps,
                                                .back = ptf_back_taps};
