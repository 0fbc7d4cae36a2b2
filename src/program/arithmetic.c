/*
 * Python's arithmetic of integers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/arithmetic.h"

bool ptf_integer_add(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

bool ptf_integer_subtract(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_sub_overflow(a, b, out);
}

bool ptf_integer_multiply(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool ptf_integer_divide(int64_t a, int64_t b, int64_t *out)
{
    bool ok = b != 0 && a != INT64_MIN;
    *out = ok ? a / b - (a % b != 0 && (a < 0) != (b < 0)) : 0;
    return ok;
}

bool ptf_integer_modulo(int64_t a, int64_t b, int64_t *out)
{
    bool ok = ptf_integer_divide(a, b, out);
    *out = ok ? a - b * *out : 0;
    return ok;
}

bool ptf_integer_power(int64_t a, int64_t b, int64_t *out)
{
    bool ok = b >= 0 && b < 64;
    *out = 1;
    for (int64_t i = 0; i < b && ok; i++)
        ok = ptf_integer_multiply(*out, a, out);
    return ok;
}

bool ptf_integer_largest(int64_t a, int64_t b, int64_t *out)
{
    *out = ptf_max_i64(a, b);
    return true;
}

bool ptf_integer_least(int64_t a, int64_t b, int64_t *out)
{
    *out = ptf_min_i64(a, b);
    return true;
}
