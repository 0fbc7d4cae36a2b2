/*
 * Every function of one number in every stage, from one table of samples: its
 * text, the kernels of every instruction set, the slope, and the enclosure,
 * against long double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"
#include "kernel/backward.h"
#include "samples.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { POINTS = 6000 };

static const ptf_unary kernel_of[PTF_OP_COUNT] = {
#define UNARY(id, name) [PTF_OP_##id] = PTF_UNARY_##id,
#include "kernel/functions.inc"
#undef UNARY
};

/* Arguments, and balls of them and of what comes of them. */
static float x[POINTS];
static double m[POINTS], r[POINTS], y[POINTS], radius[POINTS];

static uint64_t state = 1;

static double draw(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) * 0x1p-53;
}

/* What is being looked at, for the message. */
static void PTF_PRINTF(5, 6)
    fail_at(const sample *s, const char *what, double where, double got,
            const char *fmt, ...)
{
    char more[128];
    va_list args;
    va_start(args, fmt);
    vsnprintf(more, sizeof(more), fmt, args);
    va_end(args);
    fail_msg("op %d (%s), %s at %a: %a, %s", (int)s->op, s->attributes, what,
             where, got, more);
}

/* From low to high, half of them evenly and half near 0. */
static void spread(const sample *s)
{
    for (int i = 0; i < POINTS; i++) {
        double at = s->low + (s->high - s->low) * draw();
        x[i] = (float)(i % 2 == 0 ? at : at * exp2(-30 * draw()));
        if ((double)x[i] < s->low)
            x[i] = (float)s->low;
    }
}

/* The distance of neighbours at y, in f32. */
static long double ulp_of(long double of)
{
    int exponent = 0;
    if (fabsl(of) > 0)
        frexpl(of, &exponent);
    exponent = exponent < -125 ? -125 : exponent;
    return ldexpl(1, exponent - 24);
}

static void each_op_has_a_sample(void **unused)
{
    (void)unused;
    for (int op = 0; op < PTF_OP_COUNT; op++) {
        if (!ptf_op_is((ptf_op)op, PTF_FAMILY_UNARY))
            continue;
        const sample *s = samples;
        while (s->attributes != NULL && s->op != (ptf_op)op)
            s++;
        const double p[3] = {1, 1, 1};
        if (s->attributes == NULL || isnan(sample_value((ptf_op)op, 1, p)))
            fail_msg("op %d, class '%s', has no EXACT and SAMPLE in "
                     "tests/support/samples.inc",
                     op, ptf_op_info((ptf_op)op)->class_name);
    }
}

static void texts_are_read_back(void **unused)
{
    (void)unused;
    for (const sample *s = samples; s->attributes != NULL; s++) {
        ptf_arena arena = {NULL};
        ptf_attrs attrs;
        char message[256], want[256];
        assert_null(ptf_attrs_parse(s->op, "", s->attributes,
                                    strlen(s->attributes), &attrs, message));
        const char *name = ptf_op_class(s->op);
        snprintf(want, sizeof(want), "%s(%s)", name, s->attributes);
        assert_string_equal(ptf_op_text(&arena, s->op, &attrs), want);
        ptf_op found;
        const char *class_name = ptf_op_info(s->op)->class_name;
        assert_true(ptf_op_find(class_name, strlen(class_name), &found) ==
                    (class_name[0] != '\0'));
        ptf_arena_free(&arena);
    }
}

/* ----------------------------------------------------------------- kernels */

/* All instruction sets that are here against ref. */
static void compare(const sample *s, const float *d, const double p[3],
                    const float *value, const float *dx)
{
    static float got[POINTS];
    for (int isa = PTF_ISA_REF + 1; isa < PTF_ISA_COUNT; isa++) {
        if (!ptf_isa_here((ptf_isa)isa))
            continue;
        const ptf_kernels *k = ptf_kernels_get((ptf_isa)isa);
        k->unary[kernel_of[s->op]](got, x, POINTS, p);
        assert_memory_equal(got, value, sizeof(got));
        k->backward->unary[kernel_of[s->op]](got, d, x, POINTS, p);
        assert_memory_equal(got, dx, sizeof(got));
    }
}

static void kernels_are_within_an_ulp(void **unused)
{
    (void)unused;
    static float d[POINTS], value[POINTS], dx[POINTS];
    const ptf_kernels *ref = ptf_kernels_get(PTF_ISA_REF);
    for (const sample *s = samples; s->attributes != NULL; s++) {
        double p[3], most = 0, back = 0;
        sample_parameters(s->op, s->attributes, p);
        spread(s);
        for (int i = 0; i < POINTS; i++)
            d[i] = (float)(2 * draw() - 1);
        ref->unary[kernel_of[s->op]](value, x, POINTS, p);
        ref->backward->unary[kernel_of[s->op]](dx, d, x, POINTS, p);
        compare(s, d, p, value, dx);
        for (int i = 0; i < POINTS; i++) {
            long double at = (long double)x[i];
            long double want = sample_value(s->op, at, p);
            double ulps =
                (double)(fabsl((long double)value[i] - want) / ulp_of(want));
            if (!(ulps <= 1))
                fail_at(s, "value", (double)x[i], (double)value[i],
                        "%g ulps from %La", ulps, want);
            most = fmax(most, ulps);
            /* Where terms of a slope cancel, double has no more. */
            want = sample_slope(s->op, at, p) * (long double)d[i];
            long double far = fabsl((long double)dx[i] - want);
            if (fabsl(at) < 2)
                far -= ldexpl(fabsl((long double)d[i]), -44);
            ulps = (double)(far / ulp_of(want));
            if (!(ulps <= 1))
                fail_at(s, "slope", (double)x[i], (double)dx[i],
                        "%g ulps from %La", ulps, want);
            back = fmax(back, ulps);
        }
        printf("%2d %-28s %.4f ulp, slope %.4f\n", (int)s->op, s->attributes,
               most, back);
    }
}

/* The slope of samples.inc, by which the kernels' slopes are judged, is one:
 * between the differences to both sides, but where these show a jump. */
static void slopes_are_those_of_the_values(void **unused)
{
    (void)unused;
    for (const sample *s = samples; s->attributes != NULL; s++) {
        double p[3];
        int jumps = 0;
        sample_parameters(s->op, s->attributes, p);
        spread(s);
        for (int i = 0; i < POINTS; i++) {
            long double at = (long double)x[i];
            long double h = fabsl(at) * 0x1p-22L, side[2];
            if (!(h > 0))
                continue;
            long double here = sample_value(s->op, at, p);
            side[0] = (here - sample_value(s->op, at - h, p)) / h;
            side[1] = (sample_value(s->op, at + h, p) - here) / h;
            long double slope = sample_slope(s->op, at, p);
            long double room = 0x1p-18L * (fabsl(side[0]) + fabsl(side[1])) +
                               fabsl(here / at) * 0x1p-36L;
            bool between = slope >= fminl(side[0], side[1]) - room &&
                           slope <= fmaxl(side[0], side[1]) + room;
            jumps += !between;
        }
        if (jumps > POINTS / 1000)
            fail_msg("op %d (%s): %d slopes are none", (int)s->op,
                     s->attributes, jumps);
    }
}

static void expect_bits(const sample_point *at, const char *what, float want,
                        float got)
{
    uint32_t bits[2];
    memcpy(&bits[0], &want, 4);
    memcpy(&bits[1], &got, 4);
    if (isnan(want))
        bits[0] = PTF_NAN_BITS;
    if (bits[0] != bits[1])
        fail_msg("op %d (%s), %s at %a: expected %08x, got %08x", (int)at->op,
                 at->attributes, what, (double)at->x, bits[0], bits[1]);
}

static void special_points_are_as_in_pytorch(void **unused)
{
    (void)unused;
    const ptf_kernels *ref = ptf_kernels_get(PTF_ISA_REF);
    for (const sample_point *s = sample_points; s->attributes != NULL; s++) {
        double p[3];
        float value, dx, one = 1;
        sample_parameters(s->op, s->attributes, p);
        ref->unary[kernel_of[s->op]](&value, &s->x, 1, p);
        ref->backward->unary[kernel_of[s->op]](&dx, &one, &s->x, 1, p);
        expect_bits(s, "value", s->value, value);
        expect_bits(s, "slope", s->slope, dx);
    }
}

/* -------------------------------------------------------------- enclosures */

static const double radii[] = {0, 0x1p-40, 0x1p-20, 0x1p-7, 0.75};

/* Points at and between the ends of a ball. */
static long double point_in(double centre, double reach, int i)
{
    static const double at[] = {-1, 1, 0, 0.5, -0.25};
    return (long double)centre + (long double)(at[i % 5] * reach);
}

static void check_exact(const sample *s, const double p[3], double reach)
{
    for (int i = 0; i < POINTS; i++) {
        m[i] = (double)x[i];
        r[i] = reach * fmin(fabs(m[i]), 1);
    }
    ptf_enclose_function(s->op, p, POINTS, false, (ptf_balls){m, r},
                         (ptf_balls){y, radius});
    for (int i = 0; i < POINTS; i++) {
        long double at = point_in(m[i], r[i], i);
        long double exact = sample_value(s->op, at, p);
        if (!isfinite(radius[i]))
            fail_at(s, "ball", m[i], y[i], "which says nothing, of %a", r[i]);
        if (!(fabsl(exact - (long double)y[i]) <= (long double)radius[i]))
            fail_at(s, "ball", m[i], y[i],
                    "radius %a, of %a, which is %La at %La", radius[i], r[i],
                    exact, at);
        double own = 0x1p-42 * (1 + fabs(y[i]) + fabs(m[i]));
        if (reach <= 0 && radius[i] > own)
            fail_at(s, "ball", m[i], y[i], "radius %a from none", radius[i]);
    }
}

static void check_run(const sample *s, const double p[3], double reach)
{
    static float run[POINTS];
    for (int i = 0; i < POINTS; i++) {
        r[i] = reach * (double)fminf(fabsf(x[i]), 1);
        m[i] = (double)point_in((double)x[i], r[i], i);
        r[i] += 0x1p-51 * fabs(m[i]); /* x is in the ball */
    }
    ptf_kernels_get(PTF_ISA_REF)->unary[kernel_of[s->op]](run, x, POINTS, p);
    ptf_enclose_function(s->op, p, POINTS, true, (ptf_balls){m, r},
                         (ptf_balls){y, radius});
    for (int i = 0; i < POINTS; i++) {
        if (!(fabs((double)run[i] - y[i]) <= radius[i]) && isfinite(radius[i]))
            fail_at(s, "run's ball", m[i], y[i],
                    "radius %a, of %a; %a gives %a", radius[i], r[i],
                    (double)x[i], (double)run[i]);
    }
}

static void balls_hold_the_exact_value_and_runs(void **unused)
{
    (void)unused;
    for (const sample *s = samples; s->attributes != NULL; s++) {
        double p[3];
        sample_parameters(s->op, s->attributes, p);
        for (size_t k = 0; k < PTF_ARRAY_SIZE(radii); k++) {
            spread(s);
            check_exact(s, p, radii[k]);
            check_run(s, p, radii[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_op_has_a_sample),
        cmocka_unit_test(texts_are_read_back),
        cmocka_unit_test(kernels_are_within_an_ulp),
        cmocka_unit_test(slopes_are_those_of_the_values),
        cmocka_unit_test(special_points_are_as_in_pytorch),
        cmocka_unit_test(balls_hold_the_exact_value_and_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
