/*
 * The verdict: every level, from numbers whose answer is plain.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static ptf_verdict compare(const float *a, const float *b, int64_t rows,
                           int64_t columns)
{
    ptf_verdict v;
    ptf_verdict_init(&v, 0, 1e-5);
    ptf_verdict_add(&v, a, b, rows, columns);
    return v;
}

static void equal_bits_are_bitwise(void **state)
{
    (void)state;
    const float a[] = {1, 2, 3, -4};
    ptf_verdict v = compare(a, a, 2, 2);
    assert_int_equal(ptf_verdict_level(&v), PTF_LEVEL_BITWISE);
    assert_int_equal(v.samples, 2);
    assert_int_equal(v.argmax_equal, 2);
}

static void a_sign_of_zero_is_not_bitwise(void **state)
{
    (void)state;
    const float a[] = {0.0f, 1}, b[] = {-0.0f, 1};
    ptf_verdict v = compare(a, b, 1, 2);
    assert_int_equal(v.unequal_bits, 1);
    assert_int_equal(ptf_verdict_level(&v), PTF_LEVEL_SAME_PREDICTIONS);
}

static void a_swap_of_outputs_is_different(void **state)
{
    (void)state;
    const float a[] = {1, 2, 3}, b[] = {1, 3, 2};
    ptf_verdict v = compare(a, b, 1, 3);
    assert_int_equal(ptf_verdict_level(&v), PTF_LEVEL_DIFFERENT);
    assert_int_equal(v.argmax_different, 1);
    assert_int_equal(v.beyond_tolerance, 2);
}

static void a_near_tie_is_undecided_not_equal(void **state)
{
    (void)state;
    const float a[] = {1, 0.99999994f}, b[] = {0.99999994f, 1};
    ptf_verdict v = compare(a, b, 1, 2);
    assert_int_equal(v.argmax_undecided, 1);
    assert_int_equal(ptf_verdict_level(&v), PTF_LEVEL_WITHIN_TOLERANCE);
}

static void nan_and_infinity_are_never_a_pass(void **state)
{
    (void)state;
    const float a[] = {NAN, 1}, b[] = {INFINITY, 2};
    ptf_verdict v = compare(a, a, 1, 2);
    assert_int_equal(ptf_verdict_level(&v), PTF_LEVEL_UNDECIDED);
    v = compare(b, b, 1, 2);
    assert_int_equal(ptf_verdict_level(&v), PTF_LEVEL_UNDECIDED);
}

static void nothing_compared_is_undecided(void **state)
{
    (void)state;
    ptf_verdict v = compare(NULL, NULL, 0, 10);
    assert_int_equal(ptf_verdict_level(&v), PTF_LEVEL_UNDECIDED);
}

static void the_worst_difference_is_located(void **state)
{
    (void)state;
    const float a[] = {1, 2, 3, 4}, b[] = {1, 2.5f, 3, 4.25f};
    ptf_verdict v = compare(a, b, 2, 2);
    assert_true(fabs(v.max_abs - 0.5) < 1e-12);
    assert_int_equal(v.worst_sample, 0);
    assert_int_equal(v.worst_output, 1);
    assert_true(fabs(v.sum_squares - 0.3125) < 1e-12);
}

/* 150 rows that differ by 1 each: groups of 100 and 50. */
static void squares_are_summed_per_hundred_rows(void **state)
{
    (void)state;
    float a[150], b[150];
    for (int i = 0; i < 150; i++) {
        a[i] = (float)i;
        b[i] = (float)i + 1;
    }
    ptf_verdict v;
    ptf_verdict_init(&v, 0, 0);
    ptf_verdict_add(&v, a, b, 60, 1); /* batches do not matter */
    ptf_verdict_add(&v, a + 60, b + 60, 90, 1);
    assert_true(fabs(v.max_group_squares - 100) < 1e-12);
    assert_true(fabs(v.sum_squares - 150) < 1e-12);
}

static void random_inputs_depend_on_seed_and_index_only(void **state)
{
    (void)state;
    float a[100], b[100];
    ptf_random_fill(1, 7, a, 100);
    ptf_random_fill(1, 7, b, 50);
    assert_memory_equal(a, b, 50 * sizeof(float));
    ptf_random_fill(1, 8, b, 100);
    assert_memory_not_equal(a, b, sizeof(a));
    ptf_random_fill(2, 7, b, 100);
    assert_memory_not_equal(a, b, sizeof(a));
    double sum = 0;
    for (int i = 0; i < 100; i++) {
        assert_true(a[i] >= 0 && a[i] < 1);
        sum += (double)a[i];
    }
    assert_true(sum > 40 && sum < 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_bits_are_bitwise),
        cmocka_unit_test(a_sign_of_zero_is_not_bitwise),
        cmocka_unit_test(a_swap_of_outputs_is_different),
        cmocka_unit_test(a_near_tie_is_undecided_not_equal),
        cmocka_unit_test(nan_and_infinity_are_never_a_pass),
        cmocka_unit_test(nothing_compared_is_undecided),
        cmocka_unit_test(the_worst_difference_is_located),
        cmocka_unit_test(squares_are_summed_per_hundred_rows),
        cmocka_unit_test(random_inputs_depend_on_seed_and_index_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
