/*
 * functions: of PTF_LANES numbers, to one digit more than they have.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_EXACT_FUNCTIONS_H
#define PTF_EXACT_FUNCTIONS_H

#include "exact/exact.h"

/* The constants, for numbers of n digits; NULL when out of memory. */
typedef struct ptf_functions ptf_functions;
ptf_functions *ptf_functions_make(const ptf_limbs *limbs, int n);

/* n digits each, below 2^61, and their m as doubles. */
typedef struct ptf_lane_numbers {
    const int64_t *digits;
    int exponent;
    double m[PTF_LANES];
} ptf_lane_numbers;

/* n + 1 digits of exponent PTF_FUNCTION_EXPONENT, off by 2^-26 of a unit of n
 * digits at most. */
enum { PTF_FUNCTION_EXPONENT = 3 };
void ptf_lanes_sigmoid(const ptf_functions *f, const ptf_lane_numbers *x,
                       int64_t *y);
void ptf_lanes_tanh(const ptf_functions *f, const ptf_lane_numbers *x,
                    int64_t *y);

#endif
