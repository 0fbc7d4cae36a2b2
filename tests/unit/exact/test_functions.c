/*
 * Functions of n digits against MPFR: each result is within a unit of n digits
 * of what MPFR has, which is far more precise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/functions.h"

#include <math.h>
#include <mpfr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PRECISION = 1200, DIGITS = PTF_LIMBS_MOST + 1 };

typedef void lanes_function(const ptf_functions *f, const ptf_lane_numbers *x,
                            int64_t *y);
typedef void reference(mpfr_t y, const mpfr_t x);

/* Phi(x) = erfc(-x / sqrt(2)) / 2 */
static void normal(mpfr_t y, const mpfr_t x)
{
    mpfr_set_ui(y, 2, MPFR_RNDN);
    mpfr_rec_sqrt(y, y, MPFR_RNDN);
    mpfr_mul(y, y, x, MPFR_RNDN);
    mpfr_neg(y, y, MPFR_RNDN);
    mpfr_erfc(y, y, MPFR_RNDN);
    mpfr_div_2ui(y, y, 1, MPFR_RNDN);
}

static void exponential(mpfr_t y, const mpfr_t x)
{
    mpfr_exp(y, x, MPFR_RNDN);
}

static void sigmoid(mpfr_t y, const mpfr_t x)
{
    mpfr_neg(y, x, MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_add_ui(y, y, 1, MPFR_RNDN);
    mpfr_ui_div(y, 1, y, MPFR_RNDN);
}

static void tangent(mpfr_t y, const mpfr_t x)
{
    mpfr_tanh(y, x, MPFR_RNDN);
}

static void number_of(mpfr_t x, const int64_t *lanes, int count, int lane,
                      int exponent)
{
    mpfr_set_ui(x, 0, MPFR_RNDN);
    for (int l = count - 1; l >= 0; l--) {
        mpfr_mul_2ui(x, x, PTF_DIGIT_BITS, MPFR_RNDN);
        mpfr_add_si(x, x, lanes[l * PTF_LANES + lane], MPFR_RNDN);
    }
    mpfr_mul_2si(x, x, exponent - PTF_DIGIT_BITS * count, MPFR_RNDN);
}

static uint64_t state = 5;

static double draw(void)
{
    state = state * 6364136223846793005 + 1442695040888963407;
    return (double)(int64_t)(state >> 11) * 0x1p-53;
}

/* Numbers of n digits, of all their bits, from 'low' to 'high'. */
static void fill(int n, int exponent, double low, double high, int64_t *digits,
                 ptf_lane_numbers *x)
{
    for (int i = 0; i < PTF_LANES; i++) {
        int64_t own[PTF_LIMBS_MOST];
        bool exact = true;
        double to = low + (high - low) * draw();
        if (i < 3) /* rims, and a node of the table or a half between two */
            to = i == 0 ? low : i == 1 ? high : rint(to * 32) / 32;
        ptf_digits_of(to, exponent, n, own, &exact);
        for (int l = 0; l < n; l++)
            digits[l * PTF_LANES + i] = own[l];
        if (i > 2 && n > 2)
            digits[i] = (int64_t)(draw() * 0x1p50);
    }
    double scale = ldexp(1, exponent - PTF_DIGIT_BITS);
    *x = (ptf_lane_numbers){digits, n, exponent, {0}};
    for (int i = 0; i < PTF_LANES; i++)
        x->m[i] = ptf_lane_double(digits, n, i, scale);
}

static const struct row {
    lanes_function *of;
    reference *want;
    double low, high;
} rows[] = {
    {ptf_lanes_normal, normal, -30, 30},
    {ptf_lanes_normal, normal, -4, 4},
    {ptf_lanes_normal, normal, -0.1, 0.1},
    {ptf_lanes_exp, exponential, -90, 0},
    {ptf_lanes_exp, exponential, -2, 0},
    {ptf_lanes_sigmoid, sigmoid, -60, 60},
    {ptf_lanes_sigmoid, sigmoid, -3, 3},
    {ptf_lanes_tanh, tangent, -30, 30},
};

static void hold(const struct row *row, const ptf_functions *f, int n)
{
    int64_t digits[PTF_LIMBS_MOST * PTF_LANES], y[DIGITS * PTF_LANES];
    ptf_lane_numbers x;
    mpfr_t from, want, got;
    mpfr_inits2(PRECISION, from, want, got, (mpfr_ptr)NULL);
    fill(n, 8, row->low, row->high, digits, &x);
    row->of(f, &x, y);
    for (int i = 0; i < PTF_LANES; i++) {
        number_of(from, digits, n, i, x.exponent);
        number_of(got, y, n + 1, i, PTF_FUNCTION_EXPONENT);
        row->want(want, from);
        mpfr_sub(want, want, got, MPFR_RNDN);
        mpfr_abs(want, want, MPFR_RNDN);
        mpfr_mul_2ui(want, want, (unsigned long)(PTF_DIGIT_BITS * n + 26),
                     MPFR_RNDN);
        if (mpfr_cmp_ui(want, 1) > 0)
            fail_msg("function %d, %d digits, %g: off by 2^-26 units times %g",
                     (int)(row - rows), n, x.m[i], mpfr_get_d(want, MPFR_RNDN));
    }
    mpfr_clears(from, want, got, (mpfr_ptr)NULL);
}

static void functions_are_as_near_as_they_say(void **unused)
{
    (void)unused;
    for (int k = 0; ptf_limbs_here(k) != NULL; k++)
        for (int n = 1; n <= PTF_LIMBS_MOST; n += n < 6 ? 1 : 4) {
            ptf_functions *f = ptf_functions_make(ptf_limbs_here(k), n);
            assert_non_null(f);
            for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++)
                hold(&rows[i], f, n);
            ptf_functions_free(f);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_as_near_as_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
