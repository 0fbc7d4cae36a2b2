/*
 * Enclosures against exact arithmetic: sums in rationals (GMP), the rest in
 * long double, whose error is 2^-10 of what is being checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"

#include <gmp.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 4096 };

static uint64_t state = 1;

static double draw(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(float)((double)(state >> 11) * 0x1p-52 - 1.0);
}

/* Balls, a real point in each of them, and weights; all f32 but the point. */
typedef struct scene {
    double value[MOST], radius[MOST], point[MOST];
    double weights[MOST], bias[MOST], scale[MOST], shift[MOST];
    double out_value[MOST], out_radius[MOST];
} scene;

static void fill(scene *s, double radius)
{
    for (int i = 0; i < MOST; i++) {
        s->value[i] = draw();
        s->radius[i] = radius;
        s->point[i] = s->value[i] + (draw() > 0 ? radius : -radius);
        s->weights[i] = draw();
        s->bias[i] = draw();
        s->scale[i] = draw();
        s->shift[i] = draw();
    }
}

static ptf_balls before(scene *s)
{
    return (ptf_balls){s->value, s->radius};
}

static ptf_balls after(scene *s)
{
    return (ptf_balls){s->out_value, s->out_radius};
}

/* sum += a b, exactly. */
static void add_product(mpq_t sum, double a, double b)
{
    mpq_t p, q;
    mpq_inits(p, q, NULL);
    mpq_set_d(p, a);
    mpq_set_d(q, b);
    mpq_mul(p, p, q);
    mpq_add(sum, sum, p);
    mpq_clears(p, q, NULL);
}

/* (sum + bias) scale + shift, as far as 'affine' has them. */
static void finish(mpq_t sum, const ptf_affine *affine, int64_t channel)
{
    mpq_t scale;
    if (affine->bias)
        add_product(sum, affine->bias[channel], 1.0);
    if (!affine->scale)
        return;
    mpq_init(scale);
    mpq_set_d(scale, affine->scale[channel]);
    mpq_mul(sum, sum, scale);
    add_product(sum, affine->shift[channel], 1.0);
    mpq_clear(scale);
}

/* True when 'exact' lies within shrink * radius of the value. */
static bool inside(const mpq_t exact, double value, double radius,
                   double shrink)
{
    mpq_t distance, r;
    mpq_inits(distance, r, NULL);
    mpq_set_d(distance, value);
    mpq_sub(distance, exact, distance);
    mpq_abs(distance, distance);
    mpq_set_d(r, radius * shrink);
    bool yes = mpq_cmp(distance, r) <= 0;
    mpq_clears(distance, r, NULL);
    return yes;
}

/* How many outputs of a linear layer lie outside. */
static int linear_outside(scene *s, int64_t inputs, int64_t outputs,
                          const ptf_affine *affine, double shrink)
{
    int outside = 0;
    mpq_t sum;
    mpq_init(sum);
    for (int64_t j = 0; j < outputs; j++) {
        mpq_set_ui(sum, 0, 1);
        for (int64_t k = 0; k < inputs; k++)
            add_product(sum, affine->weights[j * inputs + k], s->point[k]);
        finish(sum, affine, j);
        outside += !inside(sum, s->out_value[j], s->out_radius[j], shrink);
    }
    mpq_clear(sum);
    return outside;
}

static ptf_affine affine_of(const scene *s)
{
    return (ptf_affine){s->weights, s->bias, s->scale, s->shift, 0};
}

static void the_exact_linear_layer_is_inside(void **unused)
{
    (void)unused;
    static scene s;
    int failed_when_shrunk = 0;
    for (int round = 0; round < 40; round++) {
        fill(&s, round % 2 ? 0.0 : 0x1p-30);
        ptf_affine affine = affine_of(&s);
        int64_t inputs = 1 + round * 5, outputs = 17;
        assert_int_equal(ptf_enclose_linear(inputs, outputs, &affine,
                                            before(&s), after(&s), NULL),
                         PTF_OK);
        assert_int_equal(linear_outside(&s, inputs, outputs, &affine, 1), 0);
        failed_when_shrunk +=
            linear_outside(&s, inputs, outputs, &affine, 1e-4);
    }
    assert_true(failed_when_shrunk > 0);
}

static void a_weight_one_ulp_off_is_outside(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0.0);
    ptf_affine affine = affine_of(&s);
    ptf_enclose_linear(200, 17, &affine, before(&s), after(&s), NULL);
    float wrong = nextafterf((float)s.weights[5 * 200 + 33], 2);
    s.weights[5 * 200 + 33] = (double)wrong;
    assert_int_equal(linear_outside(&s, 200, 17, &affine, 1), 1);
}

/* One output of a convolution, by its definition. */
static void exact_conv(const scene *s, const ptf_attrs *a, int64_t height,
                       int64_t width, const int64_t at[3], mpq_t sum)
{
    int64_t in = a->in_channels / a->groups, out = a->out_channels / a->groups;
    const double *w = s->weights + at[0] * in * a->kernel[0] * a->kernel[1];
    mpq_set_ui(sum, 0, 1);
    for (int64_t c = 0; c < in; c++)
        for (int64_t i = 0; i < a->kernel[0] * a->kernel[1]; i++, w++) {
            int64_t y = at[1] * a->stride[0] - a->padding[0] +
                        i / a->kernel[1] * a->dilation[0];
            int64_t x = at[2] * a->stride[1] - a->padding[1] +
                        i % a->kernel[1] * a->dilation[1];
            int64_t channel = at[0] / out * in + c;
            if (y >= 0 && y < height && x >= 0 && x < width)
                add_product(sum, *w,
                            s->point[(channel * height + y) * width + x]);
        }
}

static void check_conv(scene *s, const ptf_attrs *a)
{
    ptf_shape in = {3, {a->in_channels, 7, 9}}, out = {3, {a->out_channels}};
    ptf_affine affine = affine_of(s);
    for (int i = 0; i < 2; i++)
        out.dim[i + 1] = (in.dim[i + 1] + 2 * a->padding[i] -
                          a->dilation[i] * (a->kernel[i] - 1) - 1) /
                             a->stride[i] +
                         1;
    assert_int_equal(
        ptf_enclose_conv(a, &in, &out, &affine, before(s), after(s), NULL),
        PTF_OK);
    mpq_t sum;
    mpq_init(sum);
    for (int64_t i = 0; i < out.dim[0] * out.dim[1] * out.dim[2]; i++) {
        int64_t at[3] = {i / (out.dim[1] * out.dim[2]),
                         i / out.dim[2] % out.dim[1], i % out.dim[2]};
        exact_conv(s, a, in.dim[1], in.dim[2], at, sum);
        finish(sum, &affine, at[0]);
        assert_true(inside(sum, s->out_value[i], s->out_radius[i], 1));
    }
    mpq_clear(sum);
}

static void the_exact_convolution_is_inside(void **unused)
{
    (void)unused;
    static const ptf_attrs cases[] = {
        {.in_channels = 3,
         .out_channels = 6,
         .groups = 1,
         .kernel = {3, 3},
         .stride = {1, 1},
         .padding = {1, 1},
         .dilation = {1, 1}},
        {.in_channels = 4,
         .out_channels = 6,
         .groups = 2,
         .kernel = {2, 3},
         .stride = {2, 1},
         .padding = {0, 2},
         .dilation = {1, 2}},
        {.in_channels = 5,
         .out_channels = 5,
         .groups = 5,
         .kernel = {3, 1},
         .stride = {1, 3},
         .padding = {2, 0},
         .dilation = {2, 1}},
    };
    static scene s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fill(&s, i ? 0x1p-33 : 0.0);
        check_conv(&s, &cases[i]);
    }
}

static void exp_keeps_its_error(void **unused)
{
    (void)unused;
    for (int i = 0; i < 200000; i++) {
        double x = -700.0 * i / 200000;
        long double exact = expl((long double)x);
        long double error = fabsl((long double)ptf_enclose_exp(x) - exact);
        assert_true(error <= (long double)PTF_EXP_ERROR * exact);
    }
    assert_true(ptf_enclose_exp(-701) < PTF_TINY);
}

typedef long double function(long double x);

static long double relu(long double x)
{
    return x > 0 ? x : 0;
}
static long double leaky(long double x)
{
    return x > 0 ? x : (long double)0.01 * x;
}
static long double sigmoid(long double x)
{
    return 1 / (1 + expl(-x));
}

static void enclose_leaky(int64_t n, ptf_balls in, ptf_balls out)
{
    ptf_enclose_leaky_relu(n, 0.01, in, out);
}

static void pointwise_layers_hold_the_exact_value(void **unused)
{
    (void)unused;
    static const struct {
        void (*layer)(int64_t n, ptf_balls in, ptf_balls out);
        function *exact;
    } cases[] = {
        {ptf_enclose_relu, relu},
        {enclose_leaky, leaky},
        {ptf_enclose_sigmoid, sigmoid},
        {ptf_enclose_tanh, tanhl},
    };
    static scene s;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int round = 0; round < 4; round++) {
            fill(&s, round % 2 ? 0.0 : 0x1p-20);
            cases[c].layer(MOST, before(&s), after(&s));
            for (int i = 0; i < MOST; i++) {
                long double y = cases[c].exact((long double)s.point[i]);
                long double off = fabsl(y - (long double)s.out_value[i]);
                assert_true(off <= (long double)s.out_radius[i]);
                assert_true(s.out_radius[i] < 0x1p-19);
            }
        }
}

static void batch_norm_holds_the_exact_value(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0x1p-40);
    for (int c = 0; c < 64; c++)
        s.scale[c] = fabs(s.scale[c]);
    ptf_norm norm = {s.weights, s.bias, s.shift, s.scale, 1e-5};
    ptf_enclose_norm(&norm, 64, 64, before(&s), after(&s));
    for (int i = 0; i < MOST; i++) {
        int c = i / 64;
        long double root = sqrtl((long double)s.scale[c] + (long double)1e-5);
        long double d = (long double)s.point[i] - (long double)s.shift[c];
        long double y =
            d * (long double)s.weights[c] / root + (long double)s.bias[c];
        long double off = fabsl(y - (long double)s.out_value[i]);
        assert_true(off <= (long double)s.out_radius[i]);
    }
    norm.eps = 1.001e-5; /* and a wrong eps is outside somewhere */
    static double value[MOST], radius[MOST];
    ptf_enclose_norm(&norm, 64, 64, before(&s), (ptf_balls){value, radius});
    int apart = 0;
    for (int i = 0; i < MOST; i++)
        apart += fabs(value[i] - s.out_value[i]) > radius[i] + s.out_radius[i];
    assert_true(apart > MOST / 2);
}

static void softmax_holds_the_exact_value(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0x1p-30);
    ptf_enclose_softmax(4, 16, 64, before(&s), after(&s));
    for (int i = 0; i < MOST; i++) {
        int first = i / 1024 * 1024 + i % 64;
        long double sum = 0;
        for (int k = 0; k < 16; k++)
            sum += expl((long double)s.point[first + 64 * k]);
        long double y = expl((long double)s.point[i]) / sum;
        long double off = fabsl(y - (long double)s.out_value[i]);
        assert_true(off <= (long double)s.out_radius[i]);
        assert_true(s.out_radius[i] < 0x1p-28);
    }
}

static void pools_hold_the_exact_value(void **unused)
{
    (void)unused;
    static scene s;
    ptf_shape in = {3, {4, 32, 32}}, out = {3, {4, 16, 16}};
    ptf_attrs attrs = {.kernel = {2, 2},
                       .stride = {2, 2},
                       .dilation = {1, 1},
                       .count_include_pad = true};
    fill(&s, 0x1p-30);
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 0)
            ptf_enclose_max_pool(&attrs, &in, &out, before(&s), after(&s));
        if (kind == 1)
            ptf_enclose_avg_pool(&attrs, &in, &out, before(&s), after(&s));
        if (kind == 2)
            ptf_enclose_adaptive_pool(&in, &out, before(&s), after(&s));
        for (int i = 0; i < 1024; i++) {
            const double *p = s.point + i / 16 * 64 + i % 16 * 2;
            long double sum = (long double)p[0] + (long double)p[1] +
                              (long double)p[32] + (long double)p[33];
            double top = fmax(fmax(p[0], p[1]), fmax(p[32], p[33]));
            long double y = kind ? sum / 4 : (long double)top;
            long double off = fabsl(y - (long double)s.out_value[i]);
            assert_true(off <= (long double)s.out_radius[i]);
        }
    }
}

static void what_is_not_finite_is_found(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0.0);
    assert_int_equal(ptf_balls_first_bad(before(&s), MOST), -1);
    s.value[7] = (double)NAN;
    ptf_affine affine = affine_of(&s);
    ptf_enclose_linear(20, 5, &affine, before(&s), after(&s), NULL);
    assert_int_equal(ptf_balls_first_bad(after(&s), 5), 0);
    ptf_enclose_relu(MOST, before(&s), after(&s));
    assert_int_equal(ptf_balls_first_bad(after(&s), MOST), 7);
}

static void running_out_of_memory_is_told(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0.0);
    ptf_affine affine = affine_of(&s);
    ptf_alloc_fail_after(0);
    ptf_status status =
        ptf_enclose_linear(20, 5, &affine, before(&s), after(&s), NULL);
    ptf_alloc_fail_after(-1);
    assert_int_equal(status, PTF_MEMORY);
}

/* A small net out of a checkpoint in memory: safetensors, all ones / 8. */
static const char tiny_text[] =
    "Tiny(\n"
    "  (a): Linear(in_features=4, out_features=3, bias=True)\n"
    "  (r): ReLU()\n"
    "  (b): Linear(in_features=3, out_features=2, bias=True)\n"
    ")\n";

static size_t tiny_file(char *file, size_t room, float weight)
{
    static const char header[] =
        "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[3,4],"
        "\"data_offsets\":[0,48]},"
        "\"a.bias\":{\"dtype\":\"F32\",\"shape\":[3],"
        "\"data_offsets\":[48,60]},"
        "\"b.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],"
        "\"data_offsets\":[60,84]},"
        "\"b.bias\":{\"dtype\":\"F32\",\"shape\":[2],"
        "\"data_offsets\":[84,92]}}";
    uint64_t size = sizeof header - 1;
    assert_true(8 + size + 92 <= room);
    memcpy(file, &size, 8);
    memcpy(file + 8, header, size);
    for (size_t i = 0; i < 23; i++)
        memcpy(file + 8 + size + 4 * i, &weight, 4);
    return 8 + size + 92;
}

/* Runs the tiny net on (1, 2, 3, 4) with every parameter 'weight'. */
static void run_tiny(float weight, double value[2], double radius[2],
                     bool *undecided)
{
    static char file[1024];
    static const float in[4] = {1, 2, 3, 4};
    const ptf_shape shape = {1, {4}};
    ptf_error err = {0};
    ptf_checkpoint *ckpt = NULL;
    ptf_net *net = NULL;
    ptf_enclosure *enc = NULL;
    size_t size = tiny_file(file, sizeof file, weight);
    if (ptf_checkpoint_open_memory(file, size, "tiny", NULL, &ckpt, &err) ||
        ptf_net_make(tiny_text, "text", ckpt, &net, &err) ||
        ptf_enclosure_make(net, &shape, &enc, &err) ||
        ptf_enclosure_run(enc, in, 1, value, radius, &err))
        fail_msg("%s", err.message);
    *undecided = ptf_enclosure_undecided(enc) != NULL;
    ptf_enclosure_free(enc);
    ptf_net_free(net);
    ptf_checkpoint_close(ckpt);
}

static void a_whole_net_is_enclosed(void **unused)
{
    (void)unused;
    double value[2], radius[2];
    bool undecided;
    run_tiny(0.125f, value, radius, &undecided);
    assert_false(undecided);
    /* (10 + 1) / 8 three times, again (sum + 1) / 8. */
    double exact = (3 * 11.0 / 8 + 1) / 8;
    for (int i = 0; i < 2; i++) {
        assert_true(fabs(value[i] - exact) <= radius[i]);
        assert_true(radius[i] < 1e-13);
    }
}

static void a_net_with_infinity_is_undecided(void **unused)
{
    (void)unused;
    double value[2], radius[2];
    bool undecided;
    run_tiny(HUGE_VALF, value, radius, &undecided);
    assert_true(undecided);
    assert_true(isnan(value[0]) && isinf(radius[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exact_linear_layer_is_inside),
        cmocka_unit_test(a_weight_one_ulp_off_is_outside),
        cmocka_unit_test(the_exact_convolution_is_inside),
        cmocka_unit_test(exp_keeps_its_error),
        cmocka_unit_test(pointwise_layers_hold_the_exact_value),
        cmocka_unit_test(batch_norm_holds_the_exact_value),
        cmocka_unit_test(softmax_holds_the_exact_value),
        cmocka_unit_test(pools_hold_the_exact_value),
        cmocka_unit_test(what_is_not_finite_is_found),
        cmocka_unit_test(a_whole_net_is_enclosed),
        cmocka_unit_test(a_net_with_infinity_is_undecided),
        cmocka_unit_test(running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
