/*
 * Balls around, and less of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

const ptf_enclose_family ptf_enclose_family_pad = {.step = ptf_enclose_taps};
