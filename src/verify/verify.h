/*
 * verify: what others use of the comparison of numbers besides ptfold.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_VERIFY_H
#define PTF_VERIFY_H

#include "base/base.h"

/* The bin of the distance between two numbers; NaN is in the last one. */
int ptf_ulp_bin(float a, float b);

#endif
