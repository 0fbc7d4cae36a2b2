/*
 * Gradients where a derivative is a convention, where two nets must have the
 * same, and where there are none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "random_net.h"
#include "reference_grad.h"

#include <math.h>
#include <stdarg.h>

/* The gradient by the input of a net without parameters. */
static void back_of(const char *text, const char *shape_text, const float *x,
                    const float *d, float *dx)
{
    fixture f;
    ptf_gradient *g;
    ptf_error err;
    ptf_shape shape;
    float y[64];
    assert_true(ptf_shape_parse(shape_text, &shape));
    fixture_build(&f, text);
    if (ptf_gradient_make(f.net, &shape, 1, NULL, &g, &err) ||
        ptf_gradient_run(g, x, 1, y, &err) || ptf_gradient_back(g, d, &err))
        fail_msg("%s", err.message);
    memcpy(dx, ptf_gradient_input(g, 0),
           (size_t)ptf_shape_numel(&shape) * sizeof(float));
    ptf_gradient_free(g);
    fixture_free(&f);
}

#define MAXPOOL(rest) "Sequential(\n  (0): MaxPool2d(" rest ")\n)\n"

static void the_first_of_equal_maxima_takes_the_gradient(void **unused)
{
    (void)unused;
    const float x[8] = {1, 3, 3, 3, 2, 3, 1, 3}, d[2] = {5, 7};
    const float want[8] = {0, 5, 7, 0, 0, 0, 0, 0};
    float dx[8];
    back_of(MAXPOOL("kernel_size=2, stride=2, padding=0, dilation=1, "
                    "ceil_mode=False"),
            "1x2x4", x, d, dx);
    assert_memory_equal(dx, want, sizeof(dx));
}

static void the_last_nan_of_a_window_takes_the_gradient(void **unused)
{
    (void)unused;
    const float x[8] = {NAN, 3, 3, 3, NAN, 9, 1, 3}, d[2] = {5, 7};
    const float want[8] = {0, 0, 7, 0, 5, 0, 0, 0};
    float dx[8];
    back_of(MAXPOOL("kernel_size=2, stride=2, padding=0, dilation=1, "
                    "ceil_mode=False"),
            "1x2x4", x, d, dx);
    assert_memory_equal(dx, want, sizeof(dx));
}

/* -inf everywhere: the first tap inside the map, not in the padding. */
static void a_window_of_minus_infinity_has_a_first_tap(void **unused)
{
    (void)unused;
    const float low = -(float)INFINITY;
    const float x[4] = {low, low, low, low}, d[4] = {1, 2, 3, 4};
    const float want[4] = {1, 2, 3, 4};
    float dx[4];
    back_of(MAXPOOL("kernel_size=2, stride=2, padding=1, dilation=1, "
                    "ceil_mode=False"),
            "1x2x2", x, d, dx);
    assert_memory_equal(dx, want, sizeof(dx));
}

/* The third window of each row is partial: 1 of 2 columns. */
static void partial_windows_of_ceil_mode_give_their_part(void **unused)
{
    (void)unused;
    const float x[10] = {1, 2, 3, 4, 5, 5, 4, 3, 2, 6}, d[3] = {1, 2, 4};
    const float max[10] = {0, 0, 0, 2, 0, 1, 0, 0, 0, 4};
    const float mean[10] = {.25F, .25F, .5F, .5F, 2, .25F, .25F, .5F, .5F, 2};
    float dx[10];
    back_of(MAXPOOL("kernel_size=2, stride=2, padding=0, dilation=1, "
                    "ceil_mode=True"),
            "1x2x5", x, d, dx);
    assert_memory_equal(dx, max, sizeof(dx));
    back_of("Sequential(\n  (0): AvgPool2d(kernel_size=2, stride=2, "
            "padding=0, ceil_mode=True)\n)\n",
            "1x2x5", x, d, dx);
    assert_memory_equal(dx, mean, sizeof(dx));
}

static void relu_has_slope_0_at_0_and_lets_nan_pass(void **unused)
{
    (void)unused;
    const float x[5] = {0, -0.0F, 1e-45F, NAN, -1}, d[5] = {1, 2, 3, 4, 5};
    const float want[5] = {0, 0, 3, 4, 0};
    const float leaky[5] = {.5F, 1, 3, 2, 2.5F};
    float dx[5];
    back_of("Sequential(\n  (0): ReLU()\n)\n", "5", x, d, dx);
    assert_memory_equal(dx, want, sizeof(dx));
    back_of("Sequential(\n  (0): LeakyReLU(negative_slope=0.5)\n)\n", "5", x, d,
            dx);
    assert_memory_equal(dx, leaky, sizeof(dx));
}

/* Where 1 - y is 0 in f32, the slope is not. */
static void saturated_activations_keep_their_slope(void **unused)
{
    (void)unused;
    const float x[4] = {20, -20, 60, -60}, d[4] = {1, 1, 1, 1};
    float dx[4];
    back_of("Sequential(\n  (0): Sigmoid()\n)\n", "4", x, d, dx);
    for (int i = 0; i < 4; i++)
        assert_true(fabs((double)dx[i] / exp(i < 2 ? -20 : -60) - 1) < 1e-6);
    back_of("Sequential(\n  (0): Tanh()\n)\n", "4", x, d, dx);
    for (int i = 0; i < 2; i++)
        assert_true(fabs((double)dx[i] / (4 * exp(-40)) - 1) < 1e-6);
}

/* Products that underflow to -0 are added to +0. */
static void a_sum_of_nothing_is_plus_zero(void **unused)
{
    (void)unused;
    fixture f;
    fixture_init(&f, "Sequential(\n  (0): Linear(in_features=40, "
                     "out_features=1, bias=False)\n)\n");
    for (int i = 0; i < 40; i++)
        fixture_numbers(&f, "0.weight")[i] = 1e-30F;
    fixture_make(&f);
    ptf_gradient *g;
    const ptf_shape shape = {1, {40}};
    const float x[40] = {0}, d = -1e-30F;
    float y;
    assert_int_equal(ptf_gradient_make(f.net, &shape, 1, NULL, &g, NULL),
                     PTF_OK);
    assert_int_equal(ptf_gradient_run(g, x, 1, &y, NULL), PTF_OK);
    assert_int_equal(ptf_gradient_back(g, &d, NULL), PTF_OK);
    assert_memory_equal(ptf_gradient_input(g, 0), x, sizeof(x));
    ptf_gradient_free(g);
    fixture_free(&f);
}

/* ------------------------------------------------------------ pairs of nets */

typedef struct gradients {
    ptf_gradient *g;
    int64_t inputs;
} gradients;

enum { IMAGES = 2 };

static gradients gradients_of(const ptf_net *net, const ptf_shape *input)
{
    gradients r = {.inputs = IMAGES * ptf_shape_numel(input)};
    ptf_error err;
    if (ptf_gradient_make(net, input, IMAGES, NULL, &r.g, &err))
        fail_msg("%s", err.message);
    ptf_shape shape = ptf_gradient_output(r.g, 0);
    size_t outputs = (size_t)(IMAGES * ptf_shape_numel(&shape));
    float *in = calloc((size_t)r.inputs, sizeof(float));
    float *out = calloc(2 * outputs, sizeof(float));
    ptf_random_fill(5, 0, in, (size_t)r.inputs);
    ptf_random_fill(6, 0, out + outputs, outputs);
    if (ptf_gradient_run(r.g, in, IMAGES, out, &err) ||
        ptf_gradient_back(r.g, out + outputs, &err))
        fail_msg("%s", err.message);
    free(in);
    free(out);
    return r;
}

/* Linear layers as convolutions: no sum changes its terms or their order. */
static void linear_layers_and_their_convolutions_have_the_same_bits(
    void **unused)
{
    (void)unused;
    static const char text[] =
        "# input: 3x9x8\n"
        "Net(\n  (features): Sequential(\n"
        "    (0): Conv2d(3, 7, kernel_size=(3, 3), stride=(1, 1))\n"
        "    (1): ReLU()\n  )\n  (classifier): Sequential(\n"
        "    (0): Linear(in_features=294, out_features=300, bias=True)\n"
        "    (1): ReLU()\n"
        "    (2): Linear(in_features=300, out_features=5, bias=True)\n"
        "  )\n)\n";
    fixture f;
    fixture_build(&f, text);
    ptf_net *slid = fixture_rewrite(f.net, "linear_to_conv", "3x9x8");
    gradients a = gradients_of(f.net, &f.net->inputs[0].shape);
    gradients b = gradients_of(slid, &f.net->inputs[0].shape);
    assert_memory_equal(ptf_gradient_input(a.g, 0), ptf_gradient_input(b.g, 0),
                        (size_t)a.inputs * sizeof(float));
    for (size_t i = 0; i < ptf_gradient_tensor_count(a.g); i++) {
        const ptf_tensor *t = ptf_gradient_tensor(a.g, i);
        assert_memory_equal(t->data, ptf_gradient_tensor(b.g, i)->data,
                            ptf_tensor_bytes(t));
    }
    ptf_gradient_free(a.g);
    ptf_gradient_free(b.g);
    ptf_net_free(slid);
    fixture_free(&f);
}

static void expect_close(const float *a, const float *b, int64_t n, double off)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i]));
    for (int64_t i = 0; i < n; i++)
        assert_true(fabs((double)a[i] - (double)b[i]) <= off * most);
}

/* 'rewrite' of the small net, after its dropout is gone. */
static ptf_net *rewritten(const fixture *f, const char *rewrite,
                          ptf_net **between)
{
    *between = fixture_rewrite(f->net, "drop_identity", NULL);
    return fixture_rewrite(*between, rewrite, NULL);
}

static void epilogues_leave_the_gradient_by_the_input(void **unused)
{
    (void)unused;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net *dropped;
    ptf_net *scaled = rewritten(&f, "batchnorm_to_epilogue", &dropped);
    gradients a = gradients_of(f.net, &f.net->inputs[0].shape);
    gradients b = gradients_of(scaled, &f.net->inputs[0].shape);
    assert_memory_equal(ptf_gradient_input(a.g, 0), ptf_gradient_input(b.g, 0),
                        (size_t)a.inputs * sizeof(float));
    ptf_gradient_free(a.g);
    ptf_gradient_free(b.g);
    ptf_net_free(scaled);
    ptf_net_free(dropped);
    fixture_free(&f);
}

/* Scale and shift are parameters of their own. */
static void epilogues_have_the_gradients_of_loops_in_double(void **unused)
{
    (void)unused;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net *dropped;
    ptf_net *net = rewritten(&f, "batchnorm_to_epilogue", &dropped);
    ptf_gradient *g;
    float in[60], out[4], d[4] = {1, -2, 3, .5F};
    double x[60], cotangent[4] = {1, -2, 3, .5};
    ptf_random_fill(9, 0, in, 60);
    for (int i = 0; i < 60; i++)
        x[i] = (double)in[i];
    assert_int_equal(
        ptf_gradient_make(net, &f.net->inputs[0].shape, 1, NULL, &g, NULL),
        PTF_OK);
    assert_int_equal(ptf_gradient_run(g, in, 1, out, NULL), PTF_OK);
    assert_int_equal(ptf_gradient_back(g, d, NULL), PTF_OK);
    tape t;
    tape_init(&t, net, &f.net->inputs[0].shape);
    tape_run(&t, x);
    tape_back(&t, cotangent);
    size_t tensor = 0, scales = 0;
    for (int i = 0; i < net->node_count * PTF_ROLE_COUNT; i++) {
        int node = i / PTF_ROLE_COUNT, role = i % PTF_ROLE_COUNT;
        int64_t n = t.parameter_numel[node][role];
        float narrow[512];
        assert_true(n <= 512);
        for (int64_t k = 0; k < n; k++)
            narrow[k] = (float)t.gradient[node][role][k];
        if (n > 0)
            expect_close(narrow, ptf_gradient_tensor(g, tensor++)->data, n,
                         1e-4);
        scales += n > 0 && role == PTF_ROLE_SCALE;
    }
    assert_int_equal(tensor, ptf_gradient_tensor_count(g));
    assert_int_equal(scales, 2);
    tape_free(&t);
    ptf_gradient_free(g);
    ptf_net_free(net);
    ptf_net_free(dropped);
    fixture_free(&f);
}

/* -------------------------------------------------------------------- other */

/* Layers after the output read it, and add nothing. */
static void values_with_several_readers_gather_their_cotangents(void **unused)
{
    (void)unused;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net early = *f.net, head = *f.net;
    ptf_output end = {.node = 2};
    early.outputs = head.outputs = &end;
    head.node_count = 3;
    gradients a = gradients_of(&early, &f.net->inputs[0].shape);
    gradients b = gradients_of(&head, &f.net->inputs[0].shape);
    expect_close(ptf_gradient_input(a.g, 0), ptf_gradient_input(b.g, 0),
                 a.inputs, 0);
    for (size_t i = 0; i < ptf_gradient_tensor_count(b.g); i++) {
        const ptf_tensor *t = ptf_gradient_tensor(a.g, i);
        expect_close(t->data, ptf_gradient_tensor(b.g, i)->data,
                     ptf_tensor_numel(t), 0);
    }
    ptf_gradient_free(a.g);
    ptf_gradient_free(b.g);
    fixture_free(&f);
}

static void only_what_is_asked_for_is_given(void **unused)
{
    (void)unused;
    fixture f;
    fixture_build(&f, fixture_small);
    float in[60] = {0}, out[4], d[4] = {1, 1, 1, 1};
    for (unsigned by = 1; by <= 3; by++) {
        ptf_gradient *g;
        ptf_gradient_options options = {.by = by};
        assert_int_equal(ptf_gradient_make(f.net, &f.net->inputs[0].shape, 1,
                                           &options, &g, NULL),
                         PTF_OK);
        assert_int_equal(ptf_gradient_back(g, d, NULL), PTF_ARGUMENT);
        assert_int_equal(ptf_gradient_run(g, in, 2, out, NULL), PTF_ARGUMENT);
        assert_int_equal(ptf_gradient_run(g, in, 1, out, NULL), PTF_OK);
        assert_int_equal(ptf_gradient_back(g, d, NULL), PTF_OK);
        assert_true((ptf_gradient_input(g, 0) != NULL) == ((by & 1) != 0));
        assert_int_equal(ptf_gradient_tensor_count(g), by & 2 ? 9 : 0);
        ptf_gradient_free(g);
    }
    fixture_free(&f);
}

static void failed_allocations_are_reported(void **unused)
{
    (void)unused;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net *dropped;
    ptf_net *net = rewritten(&f, "batchnorm_to_epilogue", &dropped);
    ptf_gradient *g = NULL;
    ptf_status status = PTF_MEMORY;
    for (long n = 0; status != PTF_OK && n < 1000; n++) {
        ptf_alloc_fail_after(n);
        status =
            ptf_gradient_make(net, &f.net->inputs[0].shape, 2, NULL, &g, NULL);
        ptf_alloc_fail_after(-1);
        assert_true(status == PTF_OK || status == PTF_MEMORY);
        assert_true((g != NULL) == (status == PTF_OK));
    }
    ptf_gradient_free(g);
    ptf_net_free(net);
    ptf_net_free(dropped);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_of_equal_maxima_takes_the_gradient),
        cmocka_unit_test(the_last_nan_of_a_window_takes_the_gradient),
        cmocka_unit_test(a_window_of_minus_infinity_has_a_first_tap),
        cmocka_unit_test(partial_windows_of_ceil_mode_give_their_part),
        cmocka_unit_test(relu_has_slope_0_at_0_and_lets_nan_pass),
        cmocka_unit_test(saturated_activations_keep_their_slope),
        cmocka_unit_test(a_sum_of_nothing_is_plus_zero),
        cmocka_unit_test(
            linear_layers_and_their_convolutions_have_the_same_bits),
        cmocka_unit_test(epilogues_leave_the_gradient_by_the_input),
        cmocka_unit_test(epilogues_have_the_gradients_of_loops_in_double),
        cmocka_unit_test(values_with_several_readers_gather_their_cotangents),
        cmocka_unit_test(only_what_is_asked_for_is_given),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
