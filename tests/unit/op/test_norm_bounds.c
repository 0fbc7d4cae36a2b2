/*
 * Bounds and counts of norms by the sample, and of reductions in double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/spread.h"
#include "norms.h"
#include "ports.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the layer gives; sums of such numbers are exact in long double. */
static void evaluate_exactly(const layer *l, long double *x, long double *y)
{
    const ptf_node *node = &l->c.nodes[1];
    const ptf_shape *in = &l->c.shapes[0];
    int64_t n = ptf_shape_numel(in);
    bool centred =
        node->op != PTF_OP_RMS_NORM && node->op != PTF_OP_VECTOR_NORM;
    static long double sum[GROUPS], square[GROUPS], count[GROUPS];
    memset(sum, 0, sizeof(sum));
    memset(square, 0, sizeof(square));
    memset(count, 0, sizeof(count));
    for (int64_t i = 0; i < n; i++) {
        sum[norms_belonging(l, i).group] += x[i];
        count[norms_belonging(l, i).group] += 1;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t g = norms_belonging(l, i).group;
        x[i] = centred ? (x[i] * count[g] - sum[g]) / count[g] : x[i];
        square[g] += x[i] * x[i];
    }
    for (int64_t i = 0; i < n; i++) {
        belonging of = norms_belonging(l, i);
        int64_t g = norms_belonging(l, i).group;
        long double left = count[g] - (long double)node->attrs.p[0];
        if (ptf_op_is(node->op, PTF_FAMILY_NORM)) {
            long double size =
                sqrtl(square[g] / count[g] + (long double)node->attrs.eps);
            bool bias = node->tensors[PTF_ROLE_BIAS] != NULL;
            y[i] = x[i] / size * (long double)norms_weight(l, of.weight) +
                   (bias ? (long double)l->b[of.weight] : 0);
        } else {
            left = node->op == PTF_OP_VECTOR_NORM ? 1 : left;
            y[g] = node->op == PTF_OP_VAR ? square[g] / left
                                          : sqrtl(square[g] / left);
        }
    }
}

/* Balls of one image, without and with what a run may be off by. */
static void enclose(const layer *l, const float *in, bool executed,
                    double *value, double *radius)
{
    ptf_enclosure *enc;
    ptf_error err;
    const float *taps[CHAIN] = {in};
    if (ptf_enclosure_make_with(&l->c.net, NULL, &l->c.shapes[0], 1, &enc,
                                &err) ||
        ptf_enclosure_run_taps(enc, taps, 1, executed, &err))
        fail_msg("%s", err.message);
    assert_int_equal(ptf_enclosure_bad(enc, 0), -1);
    ptf_balls balls = ptf_enclosure_node(enc, output_of(&l->c.net), 0);
    size_t size = (size_t)ptf_shape_numel(last(&l->c)) * sizeof(double);
    memcpy(value, balls.value, size);
    memcpy(radius, balls.radius, size);
    ptf_enclosure_free(enc);
}

static void check_enclosure(const layer *l, const float *in, double most)
{
    int64_t n = ptf_shape_numel(&l->c.shapes[0]);
    int64_t outputs = ptf_shape_numel(last(&l->c));
    long double *x = calloc((size_t)n, sizeof(*x));
    long double *exact = calloc((size_t)n + 1, sizeof(*exact));
    double *value = calloc((size_t)n + 1, sizeof(double));
    double *radius = calloc((size_t)n + 1, sizeof(double));
    float *got = norms_run(l, in, NULL, 1, 1);
    for (int64_t i = 0; i < n; i++)
        x[i] = (long double)in[i];
    evaluate_exactly(l, x, exact);
    for (int executed = 0; executed < 2; executed++) {
        enclose(l, in, executed, value, radius);
        for (int64_t i = 0; i < outputs; i++) {
            double off = (double)fabsl(exact[i] - (long double)value[i]);
            double usual = (executed ? 0x1p-23 : most) * (1 + fabs(value[i]));
            if (off > radius[i] || radius[i] > usual)
                fail_msg("%s: number %lld is %g off, radius %g",
                         l->c.nodes[1].name, (long long)i, off, radius[i]);
            if (executed && fabs((double)got[i] - value[i]) > radius[i])
                fail_msg("%s: a run is outside", l->c.nodes[1].name);
        }
    }
    free(x);
    free(exact);
    free(value);
    free(radius);
    free(got);
}

/* A mean of 1000 with numbers close to it costs no more than one of 0. */
static void enclosures_hold_the_exact_value_and_a_run(void **unused)
{
    (void)unused;
    for (uint64_t seed = 5000; seed < 5400; seed++) {
        layer l;
        norms_draw(&l, seed);
        int64_t n = ptf_shape_numel(&l.c.shapes[0]);
        float *in = floats(n);
        fill(in, n, 0);
        for (int64_t i = 0; i < n && seed % 2 == 0; i++)
            in[i] = in[i] / 64 + 1000;
        for (int i = 0; i < WEIGHTS; i++)
            l.w[i] = l.w[i] / 8;
        check_enclosure(&l, in, 1e-9);
        free(in);
        finish(&l.c);
    }
}

/* Numbers anywhere in their balls are where the spread says. */
static void spreads_hold_what_lies_in_balls(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        double m[40], r[40];
        long double x[40], mean = 0, square = 0;
        draws = seed;
        int64_t n = between(1, 40);
        bool centred = between(0, 1) == 1;
        ptf_axes terms = {1, {n}, {1}};
        for (int64_t i = 0; i < n; i++) {
            m[i] = (double)between(-1000, 1000) * 0x1p-8 + 3000.1;
            r[i] = (double)between(0, 1000) * (seed % 3 == 0 ? 1e-2 : 1e-12);
            x[i] = (long double)m[i] +
                   (long double)r[i] * (long double)between(-1, 1);
            mean += x[i] / (long double)n;
        }
        ptf_spread s = ptf_spread_of(&terms, (ptf_balls){m, r}, centred, false);
        for (int64_t i = 0; i < n; i++) {
            long double t = x[i] - (centred ? mean : 0);
            double c = ptf_spread_centre(&s, m[i]);
            assert_true(fabs((double)(t - (long double)c)) <=
                        ptf_spread_radius(&s, m[i], r[i]) + 1e-15);
            square += t * t;
        }
        double off = fabs((double)(sqrtl(square) - (long double)s.size));
        assert_true(off <= s.off + 1e-15);
    }
}

/* Layers one after the other, whose balls grow with what a run may be off. */
static void runs_stay_in_the_balls_of_a_chain(void **unused)
{
    (void)unused;
    static const ptf_op ops[] = {PTF_OP_LAYER_NORM, PTF_OP_INSTANCE_NORM1D,
                                 PTF_OP_RMS_NORM};
    for (uint64_t seed = 0; seed < 200; seed++) {
        layer l = {0};
        draws = seed;
        const ptf_shape in = {2, {between(2, 4), between(2, 30)}};
        start(&l.c, &in);
        for (int i = 0; i < 3; i++) {
            ptf_attrs attrs = {.size = {1, {in.dim[1]}},
                               .in_channels = in.dim[0],
                               .eps = 1e-5};
            ptf_op op = ops[between(0, 2)];
            assert_null(ptf_op_settle(op, &attrs));
            add(&l.c, op, &attrs);
        }
        int64_t n = ptf_shape_numel(&in);
        float *x = floats(n);
        double value[128], radius[128];
        fill(x, n, 0);
        float *y = norms_run(&l, x, NULL, 1, 1);
        enclose(&l, x, true, value, radius);
        for (int64_t i = 0; i < n; i++)
            assert_true(fabs((double)y[i] - value[i]) <= radius[i] &&
                        radius[i] < 1e-2);
        free(x);
        free(y);
        finish(&l.c);
    }
}

/* However wide the balls, no number is more than sqrt(n) of the size. */
static void wide_balls_end_at_the_largest_number(void **unused)
{
    (void)unused;
    layer l = {0};
    const ptf_attrs attrs = {.size = {1, {4}}, .eps = 1e-3};
    const ptf_attrs sharp = {.size = {1, {4}}, .eps = 0};
    const float x[] = {1e30F, 1e30F, 1e30F, 1e30F};
    double value[4], radius[4];
    norms_make(&l, PTF_OP_LAYER_NORM, &attrs, &(ptf_shape){1, {4}});
    ptf_error err;
    ptf_enclosure *enc;
    enclose(&l, x, true, value, radius);
    for (int i = 0; i < 4; i++)
        assert_true(radius[i] >= fabs(value[i]) && radius[i] < 4.1);
    finish(&l.c);
    norms_make(&l, PTF_OP_LAYER_NORM, &sharp, &(ptf_shape){1, {4}});
    const float *taps[CHAIN] = {x};
    assert_int_equal(
        ptf_enclosure_make_with(&l.c.net, NULL, &l.c.shapes[0], 1, &enc, &err),
        PTF_OK);
    assert_int_equal(ptf_enclosure_run_taps(enc, taps, 1, false, &err), PTF_OK);
    assert_int_equal(ptf_enclosure_bad(enc, 0), 1); /* 0 / 0 */
    ptf_enclosure_free(enc);
    finish(&l.c);
}

/* The sum of what the exponentials of a fixed shape give. */
static void log_sum_exp_is_enclosed(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 200; seed++) {
        layer l = {0};
        float x[60];
        double value, radius;
        draws = seed;
        int64_t n = between(1, 60);
        const ptf_attrs attrs = {.dims = {1, {1}}};
        norms_make(&l, PTF_OP_LOGSUMEXP, &attrs, &(ptf_shape){1, {n}});
        long double sum = 0;
        fill(x, n, 0);
        for (int64_t i = 0; i < n; i++)
            sum += expl((long double)(x[i] += seed % 2 ? 50 : 0));
        float *y = norms_run(&l, x, NULL, 1, 1);
        for (int executed = 0; executed < 2; executed++) {
            enclose(&l, x, executed, &value, &radius);
            double off = fabs((double)(logl(sum) - (long double)value));
            assert_true(off <= radius && radius < (executed ? 1e-5 : 1e-11));
        }
        assert_true(fabs((double)y[0] - value) <= radius);
        free(y);
        finish(&l.c);
    }
}

/* ------------------------------------------------------------------- counts */

static void counts(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        ptf_attrs attrs;
        ptf_operations forward, by_input, by_parameters;
    } cases[] = {
        {PTF_OP_LAYER_NORM,
         {.size = {1, {4}}, .affine = true, .has_bias = true},
         {0, 72, 90, 24},
         {0, 120, 120, 12},
         {0, 48, 72, 0}},
        {PTF_OP_GROUP_NORM,
         {.in_channels = 2, .groups = 1},
         {0, 48, 71, 4},
         {0, 96, 120, 2},
         {0, 0, 0, 0}},
        {PTF_OP_RMS_NORM,
         {.size = {2, {3, 4}}, .affine = true},
         {0, 72, 24, 6},
         {0, 120, 48, 2},
         {0, 48, 24, 0}},
        {PTF_OP_VAR, {.dims = {1, {3}}}, {0, 24, 60, 12}, {0, 24, 24, 6}, {0}},
        {PTF_OP_STD, {.dims = {1, {3}}}, {0, 24, 60, 18}, {0, 24, 24, 6}, {0}},
        {PTF_OP_VECTOR_NORM,
         {.dims = {1, {3}}},
         {0, 24, 18, 6},
         {0, 24, 0, 6},
         {0}},
        {PTF_OP_LOGSUMEXP,
         {.dims = {1, {3}}},
         {0, 0, 48, 48},
         {0, 24, 24, 24},
         {0}},
    };
    const ptf_shape shape = {3, {2, 3, 4}};
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        layer l = {0};
        ptf_count of, total;
        ptf_error err;
        const ptf_count_options options = {.input_gradient = true};
        norms_make(&l, cases[k].op, &cases[k].attrs, &shape);
        l.c.net.containers = &(ptf_container){"", "Net", -1, 0, true};
        l.c.net.container_count = 1;
        if (ptf_net_count(&l.c.net, &shape, &options, &of, &total, &err))
            fail_msg("%s", err.message);
        const ptf_operations *got[] = {&of.forward, &of.input_gradient,
                                       &of.parameter_gradient};
        const ptf_operations *want[] = {&cases[k].forward, &cases[k].by_input,
                                        &cases[k].by_parameters};
        for (int i = 0; i < 3; i++)
            if (memcmp(got[i], want[i], sizeof(**got)) != 0)
                fail_msg(
                    "%s, %d: %lld, %lld, %lld, %lld", l.c.nodes[1].name, i,
                    (long long)got[i]->macs, (long long)got[i]->multiplications,
                    (long long)got[i]->additions, (long long)got[i]->others);
        finish(&l.c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enclosures_hold_the_exact_value_and_a_run),
        cmocka_unit_test(spreads_hold_what_lies_in_balls),
        cmocka_unit_test(runs_stay_in_the_balls_of_a_chain),
        cmocka_unit_test(wide_balls_end_at_the_largest_number),
        cmocka_unit_test(log_sum_exp_is_enclosed),
        cmocka_unit_test(counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
