/*
 * Recorded outputs: what lies on either side of the limit, what NaN and
 * constant outputs say, and what happens without memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"

#include <math.h>

enum { SAMPLES = 6, OUTPUTS = 3, IN = 2 * 6 * 5 };

static const char text[] =
    "Sequential(\n"
    "  (0): " CONV(2, 4) "\n"
                         "  (1): ReLU()\n"
                         "  (2): Flatten(start_dim=1, end_dim=-1)\n"
                         "  (3): Linear(in_features=48, out_features=3, "
                         "bias=True)\n"
                         ")\n";

/* A net, what it gives for the inputs of fixture_run(), and that recorded. */
typedef struct scene {
    fixture f;
    float in[SAMPLES * IN], *run;
    double recorded[SAMPLES * OUTPUTS];
    ptf_tensor array;
} scene;

static void record(scene *s)
{
    int64_t count;
    s->run = fixture_run(s->f.net, "2x6x5", SAMPLES, &count);
    assert_int_equal(count, SAMPLES * OUTPUTS);
    ptf_random_fill(3, 0, s->in, SAMPLES * IN);
    for (int i = 0; i < SAMPLES * OUTPUTS; i++)
        s->recorded[i] = (double)s->run[i];
    s->array = (ptf_tensor){.name = "output",
                            .dtype = PTF_DTYPE_F64,
                            .rank = 2,
                            .shape = {SAMPLES, OUTPUTS},
                            .stride = {OUTPUTS, 1},
                            .data = s->recorded};
}

static void start(scene *s)
{
    fixture_build(&s->f, text);
    record(s);
}

static void finish(scene *s)
{
    free(s->run);
    fixture_free(&s->f);
}

static ptf_status try_expect(scene *s, ptf_expect_result *out, ptf_error *err)
{
    const ptf_shape shape = {3, {2, 6, 5}};
    ptf_expect *e;
    ptf_status status = ptf_expect_make(s->f.net, &shape, SAMPLES, "y.npy",
                                        &s->array, 1, 1, &e, err);
    for (int i = 0; status == PTF_OK && i < SAMPLES; i += 2)
        status = ptf_expect_run(e, (const float *[]){s->in + i * IN}, 2, err);
    if (status == PTF_OK && out != NULL) {
        assert_true(ptf_expect_at(e, 0, out));
        assert_int_equal(ptf_expect_agreement(e), out->agreement);
        assert_false(ptf_expect_at(e, 1, out));
    }
    ptf_expect_free(e);
    return status;
}

static ptf_expect_result expect(scene *s)
{
    ptf_expect_result r;
    ptf_error err;
    if (try_expect(s, &r, &err) != PTF_OK)
        fail_msg("%s", err.message);
    return r;
}

static void the_limit_has_two_sides(void **unused)
{
    (void)unused;
    static scene s;
    start(&s);
    ptf_expect_result same = expect(&s);
    assert_int_equal(same.agreement, PTF_AGREEMENT_AGREES);
    assert_true(same.distance <= 0 && same.inside == same.numbers);
    assert_true(same.limit >= 16 * same.error && same.limit > 0);
    assert_true(same.limit < 1e-4 * same.largest);
    s.recorded[7] = (double)s.run[7] - 0.99 * same.limit;
    assert_int_equal(expect(&s).agreement, PTF_AGREEMENT_AGREES);
    s.recorded[7] = (double)s.run[7] - 1.01 * same.limit;
    ptf_expect_result off = expect(&s);
    assert_int_equal(off.agreement, PTF_AGREEMENT_DIFFERS);
    assert_int_equal(off.inside, off.numbers - 1);
    assert_int_equal(off.worst_sample, 2);
    assert_int_equal(off.worst_number, 1);
    finish(&s);
}

static void numbers_that_are_not_finite_match_their_own_kind(void **unused)
{
    (void)unused;
    static scene s;
    start(&s);
    const double wrong[] = {(double)NAN, HUGE_VAL, -HUGE_VAL};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(wrong); i++) {
        s.recorded[4] = wrong[i];
        ptf_expect_result r = expect(&s);
        assert_int_equal(r.agreement, PTF_AGREEMENT_DIFFERS);
        assert_true(isinf(r.distance));
        assert_int_equal(r.not_finite, 1);
    }
    finish(&s);
}

/* Whatever came in, it would have agreed. */
static void outputs_that_do_not_change_say_nothing(void **unused)
{
    (void)unused;
    static scene s;
    start(&s);
    for (int n = 1; n < SAMPLES; n++) {
        memcpy(s.in + n * IN, s.in, IN * sizeof(float));
        for (int k = 0; k < OUTPUTS; k++)
            s.recorded[n * OUTPUTS + k] = s.recorded[k];
    }
    ptf_expect_result r = expect(&s);
    assert_int_equal(r.inside, r.numbers);
    assert_int_equal(r.agreement, PTF_AGREEMENT_UNDECIDED);
    assert_non_null(r.reason);
    finish(&s);
}

/* Rounding beside a large offset is as large as what a wrong layer does. */
static void an_offset_that_swallows_the_outputs_says_nothing(void **unused)
{
    (void)unused;
    static scene s;
    fixture_init(&s.f, text);
    for (int i = 0; i < OUTPUTS; i++)
        fixture_numbers(&s.f, "3.bias")[i] = 3e5F;
    fixture_make(&s.f);
    record(&s);
    ptf_expect_result r = expect(&s);
    assert_int_equal(r.inside, r.numbers);
    assert_true(r.spread > r.limit && r.limit < 0x1p-8 * r.largest);
    assert_int_equal(r.agreement, PTF_AGREEMENT_UNDECIDED);
    finish(&s);
}

/* 1 in f16 is all that is left of these. */
static void what_f16_cannot_tell_apart_says_nothing(void **unused)
{
    (void)unused;
    static scene s;
    static uint16_t ones[SAMPLES * OUTPUTS];
    fixture_init(&s.f, text);
    for (int i = 0; i < OUTPUTS * 48; i++)
        fixture_numbers(&s.f, "3.weight")[i] *= 0x1p-16F;
    for (int i = 0; i < OUTPUTS; i++)
        fixture_numbers(&s.f, "3.bias")[i] = 1;
    fixture_make(&s.f);
    record(&s);
    for (int i = 0; i < SAMPLES * OUTPUTS; i++)
        ones[i] = 0x3c00;
    s.array.dtype = PTF_DTYPE_F16;
    s.array.data = ones;
    ptf_expect_result r = expect(&s);
    assert_int_equal(r.inside, r.numbers);
    assert_true(r.limit < 0x1p-5 * r.spread);
    assert_int_equal(r.agreement, PTF_AGREEMENT_UNDECIDED);
    finish(&s);
}

static void another_shape_or_dtype_is_refused(void **unused)
{
    (void)unused;
    static scene s;
    ptf_error err;
    start(&s);
    s.array.shape[0] = SAMPLES - 1;
    assert_int_equal(try_expect(&s, NULL, &err), PTF_ARGUMENT);
    assert_non_null(strstr(err.message, "expected an array [6, 3]"));
    assert_non_null(strstr(err.message, "got [5, 3]"));
    s.array.shape[0] = SAMPLES;
    s.array.dtype = PTF_DTYPE_I64;
    assert_int_equal(try_expect(&s, NULL, &err), PTF_UNSUPPORTED);
    finish(&s);
}

static void every_failing_allocation_is_said(void **unused)
{
    (void)unused;
    static scene s;
    ptf_error err;
    ptf_status status = PTF_MEMORY;
    start(&s);
    long n = 0;
    for (; status == PTF_MEMORY; n++) {
        ptf_alloc_fail_after(n);
        status = try_expect(&s, NULL, &err);
        ptf_alloc_fail_after(-1);
    }
    assert_int_equal(status, PTF_OK);
    assert_true(n > 5);
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_has_two_sides),
        cmocka_unit_test(numbers_that_are_not_finite_match_their_own_kind),
        cmocka_unit_test(outputs_that_do_not_change_say_nothing),
        cmocka_unit_test(an_offset_that_swallows_the_outputs_says_nothing),
        cmocka_unit_test(what_f16_cannot_tell_apart_says_nothing),
        cmocka_unit_test(another_shape_or_dtype_is_refused),
        cmocka_unit_test(every_failing_allocation_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
