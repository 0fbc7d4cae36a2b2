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
void ptf_functions_free(ptf_functions *functions);

/* 'count' digits each, n or n + 1, below 2^61, of an exponent below 300, and
 * their m as doubles. */
typedef struct ptf_lane_numbers {
    const int64_t *digits;
    int count, exponent;
    double m[PTF_LANES];
} ptf_lane_numbers;

/* n + 1 digits of exponent PTF_FUNCTION_EXPONENT, off by 2^-26 of a unit of n
 * digits at most. */
enum { PTF_FUNCTION_EXPONENT = 3 };
/* Of no number above 0. */
void ptf_lanes_exp(const ptf_functions *f, const ptf_lane_numbers *x,
                   int64_t *y);
/* The normal distribution: GELU is x times it. */
void ptf_lanes_normal(const ptf_functions *f, const ptf_lane_numbers *x,
                      int64_t *y);
void ptf_lanes_sigmoid(const ptf_functions *f, const ptf_lane_numbers *x,
                       int64_t *y);
void ptf_lanes_tanh(const ptf_functions *f, const ptf_lane_numbers *x,
                    int64_t *y);

#endif
