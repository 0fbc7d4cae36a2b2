/*
 * Part 3 of a certificate: balls of doubles where they do, fixed point where
 * they do not, on one input or on all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/certify.h"
#include "exact/limbs.h"
#include "graphs.h"
#include "ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SAMPLES = 3, CHANNELS = 6, SIDE = 6, PIXELS = SIDE * SIDE, DEEP = 26 };

static const ptf_shape input = {3, {CHANNELS, SIDE, SIDE}};

/* Blocks of a convolution, an activation and a sum with what came before. */
static void build(graph *g, int depth, ptf_op last)
{
    char name[32];
    graph_start(g, &input);
    int at = 0;
    for (int i = 0; i < depth; i++) {
        snprintf(name, sizeof(name), "conv%d", i);
        int conv = graph_conv(g, name, at, CHANNELS, CHANNELS,
                              (graph_window){3, 1, 1}, true);
        snprintf(name, sizeof(name), "relu%d", i);
        at = graph_one(g, name, PTF_OP_RELU, conv);
    }
    at = graph_one(g, "pool", PTF_OP_ADAPTIVE_AVGPOOL2D, at);
    if (last != PTF_OP_INPUT)
        at = graph_one(g, "last", last, at);
    graph_finish(g, at);
}

/* Holds the net against itself. */
static ptf_check *check_of(const graph *g, ptf_check_options options)
{
    static float in[SAMPLES * CHANNELS * PIXELS];
    ptf_check *check;
    ptf_error err;
    options.threads = 2;
    options.max_ulps = 4;
    ptf_random_fill(7, 0, in, sizeof(in) / sizeof(in[0]));
    if (ptf_check_make(&g->net, &g->net, &input, &options, &check, &err) !=
            PTF_OK ||
        ptf_check_run(check, (const float *[]){in}, SAMPLES, &err) != PTF_OK)
        fail_msg("%s", err.message);
    return check;
}

static ptf_certificate bounds(const graph *g, ptf_check_options options)
{
    ptf_check *check = check_of(g, options);
    ptf_certificate c;
    ptf_check_certificate(check, &c);
    assert_true(c.holds);
    ptf_check_free(check);
    return c;
}

static void few_layers_need_no_fixed_point(void **unused)
{
    (void)unused;
    static graph g;
    build(&g, 2, PTF_OP_INPUT);
    ptf_certificate c = bounds(&g, (ptf_check_options){0});
    assert_int_equal(c.bounded, SAMPLES);
    assert_int_equal(c.bounded_fixed, 0);
    assert_int_equal(c.bits, 0);
    assert_true(c.relative > 0x1p-50 && c.relative <= PTF_BOUND);
    assert_int_equal(c.predictions[PTF_PREDICTION_CERTIFIED], SAMPLES);
    /* more is asked of all inputs than doubles tell */
    c = bounds(&g, (ptf_check_options){.bound = 1e-14});
    assert_int_equal(c.bounded_fixed, SAMPLES);
    assert_true(c.relative <= 1e-14);
    assert_true(c.bits == 2 * PTF_DIGIT_BITS && c.goal <= 1e-14);
    graph_free(&g);
}

static void many_layers_are_bounded_on_one_input_or_all(void **unused)
{
    (void)unused;
    static graph g;
    build(&g, DEEP, PTF_OP_INPUT);
    ptf_certificate c = bounds(&g, (ptf_check_options){0});
    assert_int_equal(c.bounded, 1);
    assert_int_equal(c.bounded_fixed, 1);
    assert_int_equal(c.predictions[PTF_PREDICTION_CERTIFIED], 1);
    assert_int_equal(c.predictions[PTF_PREDICTION_EQUAL], SAMPLES - 1);
    assert_true(c.relative <= PTF_BOUND && c.unbounded == NULL);
    c = bounds(&g, (ptf_check_options){.bound = 1e-9});
    assert_int_equal(c.bounded_fixed, SAMPLES);
    assert_int_equal(c.predictions[PTF_PREDICTION_CERTIFIED], SAMPLES);
    assert_true(c.relative <= 1e-9);
    graph_free(&g);
}

static void bits_are_as_many_as_are_given(void **unused)
{
    (void)unused;
    static graph g;
    build(&g, DEEP, PTF_OP_INPUT);
    ptf_certificate few = bounds(&g, (ptf_check_options){.bits = 40});
    ptf_certificate many = bounds(&g, (ptf_check_options){.bits = 300});
    assert_int_equal(few.bits, 51);
    assert_int_equal(many.bits, 306);
    assert_int_equal(few.bounded_fixed, SAMPLES);
    assert_int_equal(many.bounded_fixed, SAMPLES);
    assert_true(few.relative > 1e-6 && many.relative < 1e-14);
    graph_free(&g);
}

/* A double is not enough, and two outputs are the same number: no digits tell
 * which is the larger, nor are all taken for it. */
static void what_is_the_same_number_stays_open(void **unused)
{
    (void)unused;
    static graph g;
    build(&g, 3, PTF_OP_INPUT);
    float *w = graph_numbers(&g, "conv2", PTF_ROLE_WEIGHT);
    float *b = graph_numbers(&g, "conv2", PTF_ROLE_BIAS);
    for (int j = 1; j < CHANNELS; j++) {
        memcpy(w + j * CHANNELS * 9, w, CHANNELS * 9 * sizeof(*w));
        b[j] = b[0];
    }
    for (int j = 0; j < CHANNELS; j++)
        b[j] = 3;
    ptf_certificate c = bounds(&g, (ptf_check_options){.bound = 1e-3});
    assert_int_equal(c.predictions[PTF_PREDICTION_EQUAL], SAMPLES);
    assert_int_equal(c.bounded, SAMPLES);
    assert_true(c.bits <= 2 * PTF_DIGIT_BITS);
    graph_free(&g);
}

/* Layers say how the bound grows: the last one's is that of the outputs. */
static void layers_have_the_bounds_of_fixed_point(void **unused)
{
    (void)unused;
    static graph g;
    build(&g, DEEP, PTF_OP_INPUT);
    ptf_check *check = check_of(&g, (ptf_check_options){.layers = true});
    ptf_certificate c;
    ptf_layer_check layer;
    size_t count = 0;
    double most = 0, product = 1;
    ptf_check_certificate(check, &c);
    while (ptf_check_layer(check, count, &layer)) {
        most = layer.radius;
        product *= layer.growth > 0 ? layer.growth : 1;
        count++;
    }
    assert_int_equal(count, 2 * DEEP + 1);
    assert_true(most > 0 && most <= c.radius && c.radius < 1e-6);
    assert_true(product > 1e3);
    ptf_check_free(check);
    graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_layers_need_no_fixed_point),
        cmocka_unit_test(many_layers_are_bounded_on_one_input_or_all),
        cmocka_unit_test(bits_are_as_many_as_are_given),
        cmocka_unit_test(what_is_the_same_number_stays_open),
        cmocka_unit_test(layers_have_the_bounds_of_fixed_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
