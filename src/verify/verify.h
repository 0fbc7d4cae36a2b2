/*
 * verify: what others use of the comparison of numbers besides ptfold.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_VERIFY_H
#define PTF_VERIFY_H

#include "base/base.h"

/* Units in the last place between two numbers; INT64_MAX for a NaN. */
int64_t ptf_ulp_distance(float a, float b);

/* The bin of such a distance. */
int ptf_ulp_bin(int64_t distance);

#endif
