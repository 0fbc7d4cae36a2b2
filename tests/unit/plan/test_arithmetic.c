/*
 * Programs that round another way, or flush what is subnormal to zero, get the
 * same bits: of runs, gradients, enclosures and certificates.  Worker threads
 * have an arithmetic of their own, and theirs is changed too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"

#include <fenv.h>
#include <math.h>

enum {
    THREADS = 3,
    IMAGES = 5,
    INPUTS = 72,
    OUTPUTS = 3,
    NUMBERS = IMAGES * OUTPUTS,
    SIGNAL = 600,
    GRADIENTS = 1024
};

#define NORM_4 BN2(4)

static const char text[] = //
    "# input: 2x6x6\n"
    "Net(\n"
    "  (0): Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
    "  (1): " NORM_4 "\n"
    "  (2): Tanh()\n"
    "  (3): Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1))\n"
    "  (4): Sigmoid()\n"
    "  (5): AvgPool2d(kernel_size=2, stride=2, padding=0)\n"
    "  (6): Softplus(beta=1.5, threshold=20.0)\n"
    "  (7): Conv2d(4, 4, kernel_size=(1, 1), stride=(1, 1))\n"
    "  (8): " NORM_4 "\n"
    "  (9): LeakyReLU(negative_slope=0.01)\n"
    "  (10): Linear(in_features=16, out_features=3, bias=True)\n"
    "  (11): Softmax(dim=1)\n"
    ")\n";

/* One sum for each weight, of several blocks of terms. */
static const char signal_text[] =
    "Signal(\n"
    "  (0): Conv1d(1, 1, kernel_size=(5,), stride=(1,))\n"
    ")\n";

static void set_flush(bool flush)
{
#if defined(__x86_64__)
    unsigned bits = __builtin_ia32_stmxcsr() & ~0x8040u;
    __builtin_ia32_ldmxcsr(bits | (flush ? 0x8040u : 0)); /* FTZ and DAZ */
#elif defined(__aarch64__)
    uint64_t bits;
    __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
    bits = (bits & ~(UINT64_C(1) << 24)) | (uint64_t)flush << 24; /* FZ */
    __asm__ volatile("msr fpcr, %0" : : "r"(bits));
#else
    (void)flush;
#endif
}

static void set_here(int rounding, bool flush)
{
    fesetround(rounding);
    set_flush(flush);
}

/*
 * In the threads that OpenMP keeps and in this one, to which clang's library
 * gives back what it had before the loop.
 */
static void set_arithmetic(int rounding, bool flush)
{
#pragma omp parallel num_threads(THREADS)
    set_here(rounding, flush);
    set_here(rounding, flush);
}

/* True when this thread has the arithmetic that was set. */
static bool has_arithmetic(int rounding, bool flush)
{
    volatile float least = 0x1p-149F, half = 0.5F;
    bool flushed = !(fabsf(least * 1.0F) > 0) || !(0x1p-126F * half > 0);
    return fegetround() == rounding && flushed == flush;
}

typedef struct gradients {
    float by_input[GRADIENTS], by[GRADIENTS];
} gradients;

typedef struct result {
    float run[NUMBERS];
    gradients of_net, of_signal;
    double value[NUMBERS], radius[NUMBERS];
    ptf_certificate certificate;
    ptf_verdict verdict;
    ptf_parameter_check parameters[16];
    ptf_layer_check layers[16];
} result;

static void run(const ptf_net *net, const ptf_shape *shape, const float *in,
                result *r)
{
    ptf_plan *plan;
    ptf_enclosure *enclosure;
    ptf_plan_options how = {.threads = THREADS};
    ptf_error err;
    assert_int_equal(ptf_plan_make(net, shape, IMAGES, &how, &plan, &err),
                     PTF_OK);
    assert_int_equal(ptf_plan_run(plan, in, IMAGES, r->run, &err), PTF_OK);
    ptf_plan_free(plan);
    assert_int_equal(ptf_enclosure_make(net, shape, &enclosure, &err), PTF_OK);
    assert_int_equal(
        ptf_enclosure_run(enclosure, in, IMAGES, r->value, r->radius, &err),
        PTF_OK);
    ptf_enclosure_free(enclosure);
}

/* By the input and by the parameters. */
static void differentiate(const ptf_net *net, const ptf_shape *shape,
                          int64_t images, const float *in, gradients *r)
{
    ptf_gradient *g;
    ptf_gradient_options how = {.threads = THREADS};
    ptf_error err;
    float out[GRADIENTS], cotangent[GRADIENTS], *to = r->by;
    ptf_random_fill(4, 0, cotangent, GRADIENTS);
    cotangent[0] *= 0x1p-120F;
    assert_int_equal(ptf_gradient_make(net, shape, images, &how, &g, &err),
                     PTF_OK);
    assert_int_equal(ptf_gradient_run(g, in, images, out, &err), PTF_OK);
    assert_int_equal(ptf_gradient_back(g, cotangent, &err), PTF_OK);
    memcpy(r->by_input, ptf_gradient_input(g, 0),
           (size_t)(images * ptf_shape_numel(shape)) * sizeof(float));
    for (size_t i = 0; i < ptf_gradient_tensor_count(g); i++) {
        const ptf_tensor *t = ptf_gradient_tensor(g, i);
        memcpy(to, t->data, (size_t)ptf_tensor_bytes(t));
        to += ptf_tensor_numel(t);
    }
    assert_true(to <= r->by + GRADIENTS);
    ptf_gradient_free(g);
}

static void check(const ptf_net *a, const ptf_net *b, const ptf_shape *shape,
                  const float *in, result *r)
{
    ptf_check *check;
    ptf_check_options options = {
        .threads = THREADS, .atol = 1e-6, .rtol = 1e-5, .layers = true};
    ptf_error err;
    assert_int_equal(ptf_check_make(a, b, shape, &options, &check, &err),
                     PTF_OK);
    assert_int_equal(ptf_check_run(check, (const float *[]){in}, IMAGES, &err),
                     PTF_OK);
    ptf_check_certificate(check, &r->certificate);
    r->verdict = *ptf_check_verdict(check);
    for (size_t i = 0; i < 16; i++) {
        ptf_check_parameter(check, i, &r->parameters[i]);
        ptf_check_layer(check, i, &r->layers[i]);
        r->parameters[i].name = r->layers[i].name_a = NULL;
        r->layers[i].name_b = r->layers[i].op = NULL;
    }
    ptf_check_free(check);
}

static void results_are_those_of_plain_arithmetic(void **unused)
{
    static const struct {
        int rounding;
        bool flush;
    } cases[] = {{FE_TONEAREST, true},
                 {FE_UPWARD, false},
                 {FE_DOWNWARD, true},
                 {FE_TOWARDZERO, false}};
    static fixture a, one;
    static result plain, changed;
    float in[IMAGES * INPUTS], samples[SIGNAL];
    ptf_shape shape = {3, {2, 6, 6}}, line = {2, {1, SIGNAL}};
    (void)unused;
    fixture_init(&a, text);
    for (int i = 0; i < 20; i++) /* some are subnormal */
        fixture_numbers(&a, "3.weight")[i] *= 0x1p-130F;
    fixture_make(&a);
    fixture_build(&one, signal_text);
    ptf_random_fill(3, IMAGES, samples, SIGNAL);
    ptf_net *b = fixture_rewrite(a.net, "fold_batchnorm", NULL);
    for (int i = 0; i < IMAGES; i++)
        ptf_random_fill(3, (uint64_t)i, in + i * INPUTS, INPUTS);
    run(a.net, &shape, in, &plain);
    differentiate(a.net, &shape, IMAGES, in, &plain.of_net);
    differentiate(one.net, &line, 1, samples, &plain.of_signal);
    check(a.net, b, &shape, in, &plain);
    assert_true(plain.certificate.holds);
    ptf_net_free(b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&changed, 0, sizeof(changed));
        set_arithmetic(cases[i].rounding, cases[i].flush);
        b = fixture_rewrite(a.net, "fold_batchnorm", NULL);
        run(a.net, &shape, in, &changed);
        differentiate(a.net, &shape, IMAGES, in, &changed.of_net);
        differentiate(one.net, &line, 1, samples, &changed.of_signal);
        check(a.net, b, &shape, in, &changed);
        ptf_net_free(b);
        /* And the program has its own back. */
        assert_true(has_arithmetic(cases[i].rounding, cases[i].flush));
        set_arithmetic(FE_TONEAREST, false);
        assert_memory_equal(&changed, &plain, sizeof(plain));
    }
    fixture_free(&a);
    fixture_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_those_of_plain_arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
