/*
 * Maps of balls of another size.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

const ptf_enclose_family ptf_enclose_family_resize = {.step = ptf_enclose_taps};
