/*
 * Python's arithmetic of integers, for sizes: false where there is no result,
 * or one beyond 64 bits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ARITHMETIC_H
#define PTF_ARITHMETIC_H

#include "base/base.h"

bool ptf_integer_add(int64_t a, int64_t b, int64_t *out);
bool ptf_integer_subtract(int64_t a, int64_t b, int64_t *out);
bool ptf_integer_multiply(int64_t a, int64_t b, int64_t *out);
/* The quotient rounded down, and what is left of it. */
bool ptf_integer_divide(int64_t a, int64_t b, int64_t *out);
bool ptf_integer_modulo(int64_t a, int64_t b, int64_t *out);
/* Of exponents from 0 to 63. */
bool ptf_integer_power(int64_t a, int64_t b, int64_t *out);
bool ptf_integer_largest(int64_t a, int64_t b, int64_t *out);
bool ptf_integer_least(int64_t a, int64_t b, int64_t *out);

#endif
