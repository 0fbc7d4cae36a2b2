/*
 * ports: nets of several inputs and outputs in every stage.  Values are exact,
 * so that what each stage must give is known to the bit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/certify.h"
#include "net/graph.h"
#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SAMPLES = 5, A = 6, INPUTS = 2, OUTPUTS = 4 };

/* One value is two outputs, and an input is one. */
static const char text[] = "ptfold graph 1\n"
                           "input a f32 [N,2,3]\n"
                           "input b f32 [N,2,3] also c\n"
                           "y = relu(a)\n"
                           "z = add(y, b)\n"
                           "output first y\n"
                           "output second z f32 also sum\n"
                           "output z\n"
                           "output given b\n";

static ptf_net *read_net(const char *graph)
{
    ptf_net *net;
    ptf_error err;
    if (ptf_graph_parse(graph, "graph", &net, &err) != PTF_OK)
        fail_msg("%s", err.message);
    net->has_tensors = true; /* it needs none */
    assert_int_equal(ptf_net_complete(net, &err), PTF_OK);
    return net;
}

/* Quarters from -2 to 2, so that sums are exact. */
static void draw(float *x, int64_t n, uint64_t stream)
{
    ptf_random_fill(7, stream, x, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((int)(x[i] * 16) - 8) / 4;
}

typedef struct numbers {
    float a[SAMPLES * A], b[SAMPLES * A];
    float want[OUTPUTS][SAMPLES * A], got[OUTPUTS][SAMPLES * A];
} numbers;

static void make_numbers(numbers *x)
{
    draw(x->a, SAMPLES * A, 1);
    draw(x->b, SAMPLES * A, 2);
    for (int i = 0; i < SAMPLES * A; i++) {
        x->want[0][i] = x->a[i] > 0 ? x->a[i] : 0;
        x->want[1][i] = x->want[2][i] = x->want[0][i] + x->b[i];
        x->want[3][i] = x->b[i];
    }
}

static const ptf_shape shapes[INPUTS] = {{2, {2, 3}}, {2, {2, 3}}};

static void ports_are_found_by_number_and_by_name(void **state)
{
    (void)state;
    ptf_net *net = read_net(text);
    ptf_port port;
    size_t index;
    assert_int_equal(ptf_net_input_count(net), INPUTS);
    assert_int_equal(ptf_net_output_count(net), OUTPUTS);
    assert_true(ptf_net_input(net, 1, &port) && port.has_shape);
    assert_string_equal(port.name, "b");
    assert_false(ptf_net_input(net, INPUTS, &port));
    assert_true(ptf_net_output(net, 2, &port));
    assert_string_equal(port.name, "z");
    assert_false(ptf_net_output(net, OUTPUTS, &port));
    assert_true(ptf_net_find_output(net, "sum", &index) && index == 1);
    assert_true(ptf_net_find_input(net, "b", &index) && index == 1);
    assert_true(ptf_net_find_input(net, "c", &index) && index == 1);
    assert_false(ptf_net_find_input(net, "z", &index));
    ptf_net_free(net);
}

static void graphs_go_round(void **state)
{
    (void)state;
    static const char whole[] = "ptfold graph 1\n"
                                "input a i64 [3] fixed also first\n"
                                "input b f32 [] also \"n 1\"\n"
                                "y = add(a, b)\n"
                                "output count y i64\n"
                                "output truth y bool also y\n";
    const char *const graphs[] = {text, whole};
    for (int i = 0; i < 2; i++) {
        ptf_net *net = read_net(graphs[i]);
        char *again = NULL;
        size_t size;
        FILE *out = open_memstream(&again, &size);
        assert_int_equal(ptf_net_print_graph(net, out, NULL), PTF_OK);
        fclose(out);
        const char *head = strchr(graphs[i], '\n');
        assert_string_equal(strchr(again, '\n'),
                            i == 0 ? strchr(again, '\n') : head);
        assert_int_equal(ptf_net_is_whole(net), i == 1);
        ptf_net *same = read_net(again);
        assert_int_equal(same->input_count, net->input_count);
        assert_int_equal(same->output_count, net->output_count);
        for (int k = 0; k < net->output_count; k++) {
            const ptf_output *x = &net->outputs[k], *y = &same->outputs[k];
            assert_int_equal(x->node, y->node);
            assert_int_equal(x->dtype, y->dtype);
            assert_string_equal(ptf_net_output_name(net, x),
                                ptf_net_output_name(same, y));
        }
        free(again);
        ptf_net_free(same);
        ptf_net_free(net);
    }
}

static void plans_take_and_give_all(void **state)
{
    (void)state;
    static numbers x;
    ptf_net *net = read_net(text);
    ptf_error err;
    make_numbers(&x);
    for (int i = 0; i < 8; i++) {
        ptf_plan *plan;
        const ptf_plan_options how = {
            .threads = 1 + (i & 1), .keep = (i & 2) != 0, .memory_limit = 0};
        int64_t batch = (i & 4) != 0 ? SAMPLES : 2;
        if (ptf_plan_make(net, shapes, batch, &how, &plan, &err) != PTF_OK)
            fail_msg("%s", err.message);
        memset(x.got, 0, sizeof(x.got));
        for (int64_t n = 0; n < SAMPLES; n += batch) {
            float *out[OUTPUTS];
            for (int k = 0; k < OUTPUTS; k++)
                out[k] = x.got[k] + n * A;
            assert_int_equal(
                ptf_plan_run_all(plan,
                                 (const float *[]){x.a + n * A, x.b + n * A},
                                 ptf_min_i64(batch, SAMPLES - n), out, &err),
                PTF_OK);
        }
        assert_memory_equal(x.got, x.want, sizeof(x.got));
        assert_int_equal(ptf_plan_run(plan, x.a, 1, x.got[0], &err),
                         PTF_UNSUPPORTED);
        assert_int_equal(ptf_plan_stripe(plan), 0);
        ptf_plan_free(plan);
    }
    ptf_net_free(net);
}

static void enclosures_hold_all(void **state)
{
    (void)state;
    static numbers x;
    static double value[OUTPUTS][SAMPLES * A], radius[OUTPUTS][SAMPLES * A];
    ptf_net *net = read_net(text);
    ptf_enclosure *enc;
    double *v[OUTPUTS], *r[OUTPUTS];
    make_numbers(&x);
    for (int k = 0; k < OUTPUTS; k++) {
        v[k] = value[k];
        r[k] = radius[k];
    }
    assert_int_equal(ptf_enclosure_make(net, shapes, &enc, NULL), PTF_OK);
    assert_int_equal(ptf_enclosure_run_all(enc, (const float *[]){x.a, x.b},
                                           SAMPLES, v, r, NULL),
                     PTF_OK);
    for (int k = 0; k < OUTPUTS; k++) {
        for (int i = 0; i < SAMPLES * A; i++) {
            double off = fabs(value[k][i] - (double)x.want[k][i]);
            assert_true(off <= radius[k][i] && radius[k][i] < 1e-12);
        }
    }
    ptf_enclosure_free(enc);
    ptf_net_free(net);
}

static void gradients_gather_what_all_outputs_say(void **state)
{
    (void)state;
    static numbers x;
    static float c[OUTPUTS][SAMPLES * A];
    ptf_net *net = read_net(text);
    ptf_gradient *g;
    float *out[OUTPUTS];
    const float *back[OUTPUTS];
    make_numbers(&x);
    for (int k = 0; k < OUTPUTS; k++) {
        draw(c[k], SAMPLES * A, 10 + (uint64_t)k);
        out[k] = x.got[k];
        back[k] = c[k];
    }
    assert_int_equal(ptf_gradient_make(net, shapes, SAMPLES, NULL, &g, NULL),
                     PTF_OK);
    assert_int_equal(ptf_gradient_run_all(g, (const float *[]){x.a, x.b},
                                          SAMPLES, out, NULL),
                     PTF_OK);
    assert_memory_equal(x.got, x.want, sizeof(x.got));
    assert_int_equal(ptf_gradient_back_all(g, back, NULL), PTF_OK);
    const float *da = ptf_gradient_input(g, 0), *db = ptf_gradient_input(g, 1);
    for (int i = 0; i < SAMPLES * A; i++) {
        float z = c[1][i] + c[2][i];
        float a = x.a[i] > 0 ? c[0][i] + z : 0, b = z + c[3][i];
        assert_true(da[i] >= a && da[i] <= a);
        assert_true(db[i] >= b && db[i] <= b);
    }
    ptf_gradient_free(g);
    ptf_net_free(net);
}

/* What it borrows from the nets is gone. */
static ptf_certificate certificate_of(const char *of, const char *against,
                                      ptf_level *level)
{
    static numbers x;
    const ptf_check_options options = {.atol = 1e-6, .rtol = 1e-6};
    ptf_net *a = read_net(of), *b = read_net(against);
    ptf_check *check;
    ptf_certificate certificate;
    ptf_error err;
    make_numbers(&x);
    if (ptf_check_make(a, b, shapes, &options, &check, &err) != PTF_OK ||
        ptf_check_run(check, (const float *[]){x.a, x.b}, SAMPLES, &err) !=
            PTF_OK)
        fail_msg("%s", err.message);
    *level = ptf_check_level(check);
    ptf_check_certificate(check, &certificate);
    ptf_check_free(check);
    ptf_net_free(a);
    ptf_net_free(b);
    return certificate;
}

/* 'other' gives another value as its last output alone. */
static void checks_see_every_output(void **state)
{
    (void)state;
    ptf_level level;
    char other[sizeof(text)];
    memcpy(other, text, sizeof(text));
    strstr(other, "given b")[6] = 'y';
    assert_null(certificate_of(text, text, &level).reason);
    assert_int_equal(level, PTF_LEVEL_BITWISE);
    ptf_certificate c = certificate_of(text, other, &level);
    assert_false(c.holds);
    assert_non_null(strstr(c.reason, "is not that of the original"));
    assert_int_equal(level, PTF_LEVEL_DIFFERENT);
}

static void other_ports_are_not_compared(void **state)
{
    (void)state;
    const ptf_check_options options = {.atol = 1e-6};
    ptf_net *a = read_net(text);
    ptf_net *b = read_net("ptfold graph 1\ninput a f32 [N,2,3]\n"
                          "input c f32 [N,2,3]\ny = relu(a)\n"
                          "z = add(y, c)\noutput first y\noutput second z\n"
                          "output z\noutput given c\n");
    ptf_check *check;
    ptf_error err;
    assert_int_equal(ptf_check_make(a, b, shapes, &options, &check, &err),
                     PTF_ARGUMENT);
    assert_non_null(strstr(err.message, "'b' and 'c'"));
    ptf_net_free(b);
    ptf_net_free(a);
}

/* Integers that f32 does not have are refused, and come back as they were. */
static void integers_are_read_and_written_exactly(void **state)
{
    (void)state;
    ptf_net *net = read_net("ptfold graph 1\ninput n i64 [2]\n"
                            "y = relu(n)\noutput y y i64\n"
                            "output t y bool\n");
    int64_t in[2] = {16777217, 3}, out[2];
    float x[2] = {0, 0};
    bool truth[8];
    ptf_dtype dtype;
    ptf_error err;
    ptf_tensor t = {.name = "n",
                    .dtype = PTF_DTYPE_I64,
                    .rank = 1,
                    .shape = {2},
                    .stride = {1},
                    .data = in};
    assert_int_equal(ptf_net_read_input(net, 0, &t, x, &err), PTF_ARGUMENT);
    assert_non_null(strstr(err.message, "16777217 as number 0"));
    in[0] = (INT64_C(1) << 53) + 1;
    assert_int_equal(ptf_net_read_input(net, 0, &t, x, &err), PTF_ARGUMENT);
    in[0] = -16777216;
    assert_int_equal(ptf_net_read_input(net, 0, &t, x, &err), PTF_OK);
    assert_int_equal(ptf_net_write_output(net, 0, x, 2, &dtype, out, &err),
                     PTF_OK);
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(dtype, PTF_DTYPE_I64);
    assert_int_equal(ptf_net_write_output(net, 1, x, 2, &dtype, truth, &err),
                     PTF_OK);
    assert_true(truth[0] && truth[1]);
    x[1] = -0x1p63F; /* what NaN is converted to */
    assert_int_equal(ptf_net_write_output(net, 0, x, 2, &dtype, out, &err),
                     PTF_OK);
    assert_true(out[1] == INT64_MIN);
    for (int i = 0; i < 2; i++) {
        x[1] = i == 0 ? 0.5F : 0x1p63F;
        assert_int_equal(ptf_net_write_output(net, 0, x, 2, &dtype, out, &err),
                         PTF_ARGUMENT);
    }
    t.dtype = PTF_DTYPE_F32;
    assert_int_equal(ptf_net_read_input(net, 0, &t, x, &err), PTF_ARGUMENT);
    ptf_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_are_found_by_number_and_by_name),
        cmocka_unit_test(graphs_go_round),
        cmocka_unit_test(plans_take_and_give_all),
        cmocka_unit_test(enclosures_hold_all),
        cmocka_unit_test(gradients_gather_what_all_outputs_say),
        cmocka_unit_test(checks_see_every_output),
        cmocka_unit_test(other_ports_are_not_compared),
        cmocka_unit_test(integers_are_read_and_written_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
