/*
 * taps: what pads and resizes share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_EXACT_TAPS_H
#define PTF_EXACT_TAPS_H

#include "exact/exact.h"

ptf_status ptf_exact_taps(const ptf_exact_step *s, ptf_error *err);

#endif
