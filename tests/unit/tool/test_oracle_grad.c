/*
 * Gradients against libtorch's autograd in double: drawn nets with
 * convolutions, chains of one-channel convolutions of 1 to 6 layers, and the
 * smooth maximum, whose gradient is the softmax.
 *
 * A gradient in f32 is a sum of products of numbers that carry the rounding of
 * the run forward.  No number may be off by more than 2^-17 (128 roundings) of
 * the largest in its tensor, and 2^-22 of the largest gradient of the net, for
 * tensors whose sums cancel.  Behind a softmax all sums cancel, so that nets
 * with one stand apart: 2^-20 of their cotangents, which are below 1, and of
 * their parameters, is what counts there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compare_engines.h"

#include <math.h>

enum { IMAGES = 2, NETS = 200, MOST_LAYERS = 6, MOST_TAPS = 9 };

/* The largest part of what was allowed that one was off by. */
static double largest;

static double most_of(const double *x, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

static void expect_near(const float *got, const double *want, int64_t count,
                        double most, const char *name, const drawn_net *net)
{
    double owed = 0x1p-17 * most_of(want, count) + 0x1p-22 * most;
    for (int64_t i = 0; i < count; i++) {
        if (!judge_holds((double)got[i], want[i], owed, &largest))
            fail_msg("seed %llu: the gradient by %s is %g at %lld, and by "
                     "autograd %g (allowed: %g)\n%s",
                     (unsigned long long)net->seed, name, (double)got[i],
                     (long long)i, want[i], owed, net->text);
    }
}

/* libtorch's gradients; by[i] belongs to tensor i of the net. */
typedef struct autograd {
    size_t tensors;
    double *input, **by;
} autograd;

static void autograd_run(const drawn_net *net, const float *in,
                         const float *cotangent, autograd *out)
{
    const ptf_net *n = net->f.net;
    ptf_error err;
    out->tensors = ptf_net_tensor_count(n);
    out->input = judge_numbers(IMAGES * ptf_shape_numel(&net->input));
    out->by = calloc(out->tensors + 1, sizeof(*out->by));
    assert_non_null(out->by);
    for (size_t i = 0; i < out->tensors; i++) {
        const ptf_tensor *t = ptf_net_tensor(n, i);
        if (strstr(t->name, "running_") == NULL &&
            strstr(t->name, "num_batches") == NULL)
            out->by[i] = judge_numbers(ptf_tensor_numel(t));
    }
    if (oracle_grad(&torch, n, &net->input, in, IMAGES, cotangent, out->input,
                    out->by, &err) != PTF_OK)
        fail_msg("seed %llu: %s\n%s", (unsigned long long)net->seed,
                 err.message, net->text);
}

static void autograd_free(autograd *a)
{
    for (size_t i = 0; i < a->tensors; i++)
        free(a->by[i]);
    free(a->by);
    free(a->input);
}

/* Both give gradients by the same parameters, in the same order. */
static void compare(const drawn_net *net, const ptf_gradient *g,
                    const autograd *want, double least)
{
    size_t k = 0;
    int64_t inputs = IMAGES * ptf_shape_numel(&net->input);
    double most = fmax(least, most_of(want->input, inputs));
    for (size_t i = 0; i < want->tensors; i++) {
        int64_t count = ptf_tensor_numel(ptf_net_tensor(net->f.net, i));
        if (want->by[i] != NULL)
            most = fmax(most, most_of(want->by[i], count));
    }
    expect_near(ptf_gradient_input(g, 0), want->input, inputs, most,
                "the input", net);
    for (size_t i = 0; i < want->tensors; i++) {
        if (want->by[i] == NULL)
            continue;
        assert_true(k < ptf_gradient_tensor_count(g));
        const ptf_tensor *t = ptf_gradient_tensor(g, k++);
        assert_string_equal(t->name, ptf_net_tensor(net->f.net, i)->name);
        expect_near(t->data, want->by[i], ptf_tensor_numel(t), most, t->name,
                    net);
    }
    assert_int_equal(k, ptf_gradient_tensor_count(g));
}

/* 'least': the size of numbers whose sums may cancel. */
static void expect_autograd(const drawn_net *net, double least)
{
    ptf_gradient *g;
    ptf_error err;
    ptf_gradient_options options = {.threads = 1};
    if (ptf_gradient_make(net->f.net, &net->input, IMAGES, &options, &g,
                          &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_shape shape = ptf_gradient_output(g, 0);
    size_t outputs = (size_t)(IMAGES * ptf_shape_numel(&shape));
    float *in = drawn_net_inputs(net, IMAGES);
    float *out = malloc(outputs * sizeof(float));
    float *cotangent = malloc(outputs * sizeof(float));
    ptf_random_fill(net->seed, 1U << 21, cotangent, outputs);
    if (ptf_gradient_run(g, in, IMAGES, out, &err) != PTF_OK ||
        ptf_gradient_back(g, cotangent, &err) != PTF_OK)
        fail_msg("%s", err.message);
    autograd want;
    autograd_run(net, in, cotangent, &want);
    compare(net, g, &want, least);
    autograd_free(&want);
    ptf_gradient_free(g);
    free(in);
    free(out);
    free(cotangent);
}

static void drawn_nets_have_autograds_gradients(void **state)
{
    (void)state;
    int nets = 0;
    unsigned long long seed = judging.first;
    for (; nets < NETS; seed++) {
        drawn_net net;
        drawn_net_make(&net, seed);
        if (strstr(net.text, "Conv") != NULL &&
            strstr(net.text, "Softmax") == NULL) {
            expect_autograd(&net, 0);
            nets++;
        }
        drawn_net_free(&net);
    }
    printf("%d nets with convolutions, seeds %llu to %llu; at most %.2g "
           "of what is allowed\n",
           nets, judging.first, seed - 1, largest);
}

/* y_l = sigma(w_l * y_{l-1} + b_l), l < L; drawn taps, several outputs. */
static void draw_chain(const char *sigma, int layers, unsigned long long seed,
                       drawn_net *out)
{
    char text[2048];
    size_t used = 0, size = sizeof(text);
    float drawn[MOST_LAYERS];
    int length = 4;
    ptf_random_fill(seed, 0, drawn, MOST_LAYERS);
    for (int l = 0; l < layers; l++)
        length += (int)(drawn[l] * MOST_TAPS);
    used +=
        (size_t)snprintf(text, size, "# input: 1x%d\nSequential(\n", length);
    for (int l = 0; l < layers; l++) {
        used += (size_t)snprintf(text + used, size - used,
                                 "  (%d): Conv1d(1, 1, kernel_size=(%d,), "
                                 "stride=(1,))\n",
                                 2 * l, 1 + (int)(drawn[l] * MOST_TAPS));
        if (l + 1 < layers)
            used += (size_t)snprintf(text + used, size - used, "  (%d): %s\n",
                                     2 * l + 1, sigma);
    }
    snprintf(text + used, size - used, ")\n");
    drawn_net_fill(out, seed, text);
}

static void chains_have_autograds_gradients(void **state)
{
    (void)state;
    static const char *const sigmas[] = {"Sigmoid()", "Tanh()", "ReLU()",
                                         "LeakyReLU(negative_slope=0.1)",
                                         "Softplus(beta=1.0, threshold=20.0)"};
    for (size_t s = 0; s < PTF_ARRAY_SIZE(sigmas); s++) {
        for (int layers = 1; layers <= MOST_LAYERS; layers++) {
            drawn_net net;
            draw_chain(sigmas[s], layers, judging.first + (unsigned)layers,
                       &net);
            expect_autograd(&net, 0);
            drawn_net_free(&net);
        }
    }
}

/* libtorch's logsumexp of beta x, over beta, and its gradient by beta x. */
static void smooth_maximum(const double *u, int64_t n, double *log,
                           double *share)
{
    const int64_t shape[2] = {1, n};
    ltc_tensor *x = NULL, *y = NULL, *one = NULL, *by = NULL;
    assert_int_equal(torch.tensor_make(u, LTC_F64, 2, shape, 1, &x), LTC_OK);
    assert_int_equal(torch.log_sum_exp(x, 1, &y), LTC_OK);
    assert_int_equal(torch.full_like(y, 1, &one), LTC_OK);
    assert_int_equal(torch.grad(y, one, &x, 1, &by), LTC_OK);
    assert_int_equal(torch.tensor_read(y, LTC_F64, log, 1), LTC_OK);
    assert_int_equal(torch.tensor_read(by, LTC_F64, share, n), LTC_OK);
    torch.tensor_free(by);
    torch.tensor_free(one);
    torch.tensor_free(y);
    torch.tensor_free(x);
}

/* In double beta x is off by 2^-53 of itself, and exp of it by as much. */
static void nu_has_autograds_value_and_gradient(void **state)
{
    (void)state;
    enum { MOST = 40, VECTORS = 400 };
    for (unsigned i = 0; i < VECTORS; i++) {
        float drawn[MOST + 2], x[MOST], got[MOST];
        double u[MOST], share[MOST], log, nu;
        size_t n = 1 + i % MOST;
        ptf_random_fill(judging.first, i, drawn, MOST + 2);
        double beta = pow(10, 60 * (double)drawn[MOST] - 30);
        double width = 60 * (double)drawn[MOST + 1] / beta;
        for (size_t k = 0; k < n; k++) {
            x[k] = (float)(width * (2 * (double)drawn[k] - 1));
            u[k] = beta * (double)x[k];
        }
        smooth_maximum(u, (int64_t)n, &log, share);
        assert_int_equal(ptf_log_sum_exp(beta, x, n, &nu, NULL), PTF_OK);
        assert_int_equal(ptf_softmax(beta, x, n, got, NULL), PTF_OK);
        assert_true(fabs(nu - log / beta) <= 64 * 0x1p-48 / beta);
        for (size_t k = 0; k < n; k++)
            assert_true(fabs((double)got[k] - share[k]) <=
                        (0x1p-24 + 0x1p-40) * share[k] + 0x1p-149);
    }
}

static void a_softmax_has_autograds_gradients(void **state)
{
    (void)state;
    for (int i = 1; i <= 24; i++) {
        char text[512];
        drawn_net net;
        snprintf(text, sizeof(text),
                 "# input: 3x4x5\nSequential(\n"
                 "  (0): Conv2d(3, %d, kernel_size=(2, 3), stride=(1, 1))\n"
                 "  (1): Softmax(dim=%d)\n"
                 "  (2): Conv2d(%d, 4, kernel_size=(3, 3), stride=(1, 1))\n"
                 "  (3): Flatten(start_dim=1, end_dim=-1)\n"
                 "  (4): Softmax(dim=-1)\n)\n",
                 i, 1 + i % 3, i);
        drawn_net_fill(&net, judging.first + (unsigned)i, text);
        expect_autograd(&net, 4);
        drawn_net_free(&net);
    }
}

int main(int argc, char **argv)
{
    int code = judge_begin(argc, argv);
    if (code >= 0)
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawn_nets_have_autograds_gradients),
        cmocka_unit_test(nu_has_autograds_value_and_gradient),
        cmocka_unit_test(a_softmax_has_autograds_gradients),
        cmocka_unit_test(chains_have_autograds_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
