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
    float narrow[MOST]; /* the weights */
    double weights[MOST], bias[MOST], scale[MOST], shift[MOST];
    double none[MOST], norms[MOST], out_value[MOST], out_radius[MOST];
} scene;

static const ptf_enclose_pass one_image = {1, 2, false};

static void fill(scene *s, double radius)
{
    for (int i = 0; i < MOST; i++) {
        s->value[i] = draw();
        s->radius[i] = radius;
        s->point[i] = s->value[i] + (draw() > 0 ? radius : -radius);
        s->weights[i] = draw();
        s->narrow[i] = (float)s->weights[i];
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

static void scale_by(mpq_t sum, double by)
{
    mpq_t product;
    mpq_init(product);
    add_product(product, by, 1.0);
    mpq_mul(sum, sum, product);
    mpq_clear(product);
}

/* (sum + bias) scale + shift, as far as 'affine' has them. */
static void finish(mpq_t sum, const ptf_numbers *numbers, int64_t channel)
{
    if (numbers->bias.value)
        add_product(sum, numbers->bias.value[channel], 1.0);
    if (!numbers->scale.value)
        return;
    scale_by(sum, numbers->scale.value[channel]);
    add_product(sum, numbers->shift.value[channel], 1.0);
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
                          const ptf_numbers *numbers, double shrink)
{
    int outside = 0;
    mpq_t sum;
    mpq_init(sum);
    for (int64_t j = 0; j < outputs; j++) {
        mpq_set_ui(sum, 0, 1);
        for (int64_t k = 0; k < inputs; k++)
            add_product(sum, s->weights[j * inputs + k], s->point[k]);
        if (numbers->weight_scale.value)
            scale_by(sum, numbers->weight_scale.value[j]);
        finish(sum, numbers, j);
        outside += !inside(sum, s->out_value[j], s->out_radius[j], shrink);
    }
    mpq_clear(sum);
    return outside;
}

/* The scene's parameters for rows of 'terms' weights. */
static ptf_numbers numbers_of(scene *s, int64_t terms)
{
    for (int64_t j = 0; j < MOST / terms; j++) {
        double sum = 0;
        for (int64_t k = j * terms; k < (j + 1) * terms; k++)
            sum += s->weights[k] * s->weights[k];
        s->norms[j] = sqrt(sum) * (1 + 1e-9);
    }
    return (ptf_numbers){.f64 = s->weights,
                         .norms = s->norms,
                         .bias = {s->bias, s->none},
                         .scale = {s->scale, s->none},
                         .shift = {s->shift, s->none}};
}

/* In double, in f32, and in f32 with a batch norm folded into them. */
static void vary_weights(scene *s, int kind, ptf_numbers *numbers)
{
    numbers->f32 = kind > 0 ? s->narrow : NULL;
    if (kind < 2)
        return;
    numbers->weight_scale = numbers->scale;
    numbers->scale = numbers->shift = (ptf_balls){NULL, NULL};
}

static void the_exact_linear_layer_is_inside(void **unused)
{
    (void)unused;
    static scene s;
    int failed_when_shrunk = 0;
    for (int round = 0; round < 40; round++) {
        fill(&s, round % 2 ? 0.0 : 0x1p-30);
        int64_t inputs = 1 + round * 5, outputs = 17;
        ptf_numbers numbers = numbers_of(&s, inputs);
        vary_weights(&s, round % 3, &numbers);
        assert_int_equal(ptf_enclose_linear(&one_image, inputs, outputs,
                                            &numbers, before(&s), after(&s),
                                            NULL),
                         PTF_OK);
        assert_int_equal(linear_outside(&s, inputs, outputs, &numbers, 1), 0);
        failed_when_shrunk +=
            linear_outside(&s, inputs, outputs, &numbers, 1e-4);
    }
    assert_true(failed_when_shrunk > 0);
}

static void a_weight_one_ulp_off_is_outside(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0.0);
    ptf_numbers numbers = numbers_of(&s, 200);
    ptf_enclose_linear(&one_image, 200, 17, &numbers, before(&s), after(&s),
                       NULL);
    float wrong = nextafterf((float)s.weights[5 * 200 + 33], 2);
    s.weights[5 * 200 + 33] = (double)wrong;
    assert_int_equal(linear_outside(&s, 200, 17, &numbers, 1), 1);
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
    ptf_numbers numbers =
        numbers_of(s, a->in_channels / a->groups * a->kernel[0] * a->kernel[1]);
    for (int i = 0; i < 2; i++)
        out.dim[i + 1] = (in.dim[i + 1] + 2 * a->padding[i] -
                          a->dilation[i] * (a->kernel[i] - 1) - 1) /
                             a->stride[i] +
                         1;
    assert_int_equal(ptf_enclose_conv(&one_image, a, &in, &out, &numbers,
                                      before(s), after(s), NULL),
                     PTF_OK);
    mpq_t sum;
    mpq_init(sum);
    for (int64_t i = 0; i < out.dim[0] * out.dim[1] * out.dim[2]; i++) {
        int64_t at[3] = {i / (out.dim[1] * out.dim[2]),
                         i / out.dim[2] % out.dim[1], i % out.dim[2]};
        exact_conv(s, a, in.dim[1], in.dim[2], at, sum);
        finish(sum, &numbers, at[0]);
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

static void one_dimension_is_a_map_of_height_1(void **unused)
{
    (void)unused;
    static const ptf_attrs a = {.in_channels = 4,
                                .out_channels = 6,
                                .groups = 2,
                                .kernel = {1, 5},
                                .stride = {1, 2},
                                .padding = {0, 3},
                                .dilation = {1, 2}};
    static scene s;
    fill(&s, 0x1p-33);
    ptf_shape in = {2, {4, 31}}, out = {2, {6, 15}};
    ptf_numbers numbers = numbers_of(&s, 10);
    assert_int_equal(ptf_enclose_conv(&one_image, &a, &in, &out, &numbers,
                                      before(&s), after(&s), NULL),
                     PTF_OK);
    mpq_t sum;
    mpq_init(sum);
    for (int64_t i = 0; i < 6 * 15; i++) {
        int64_t at[3] = {i / 15, 0, i % 15};
        exact_conv(&s, &a, 1, 31, at, sum);
        finish(sum, &numbers, at[0]);
        assert_true(inside(sum, s.out_value[i], s.out_radius[i], 1));
    }
    mpq_clear(sum);
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
/* beta 1.5, threshold 20 */
static long double softplus(long double x)
{
    long double z = (long double)1.5 * x;
    return z > 20 ? x : log1pl(expl(z)) / (long double)1.5;
}

static void enclose_leaky(int64_t n, ptf_balls in, ptf_balls out)
{
    ptf_enclose_leaky_relu(n, 0.01, false, in, out);
}

static void enclose_sigmoid(int64_t n, ptf_balls in, ptf_balls out)
{
    ptf_enclose_sigmoid(n, false, in, out);
}

static void enclose_tanh(int64_t n, ptf_balls in, ptf_balls out)
{
    ptf_enclose_tanh(n, false, in, out);
}

static void enclose_softplus(int64_t n, ptf_balls in, ptf_balls out)
{
    ptf_enclose_softplus(n, 1.5, 20, false, in, out);
}

static void pointwise_layers_hold_the_exact_value(void **unused)
{
    (void)unused;
    static const struct {
        void (*layer)(int64_t n, ptf_balls in, ptf_balls out);
        function *exact;
    } cases[] = {
        {ptf_enclose_relu, relu},     {enclose_leaky, leaky},
        {enclose_sigmoid, sigmoid},   {enclose_tanh, tanhl},
        {enclose_softplus, softplus},
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

/* A ball around the threshold holds both sides of the drop, and no more. */
static void a_softplus_that_drops_is_enclosed(void **unused)
{
    (void)unused;
    const double beta = -2, threshold = 1, r = 0x1p-10;
    const double centres[] = {-0.5 - r / 2, -0.5, -0.5 + r / 2};
    for (int i = 0; i < 3; i++) {
        double m = centres[i], y, radius;
        ptf_balls in = {&m, &(double){r}}, out = {&y, &radius};
        ptf_enclose_softplus(1, beta, threshold, false, in, out);
        double above = m - r, below = m + r; /* z = beta x > threshold, not */
        assert_true(fabs(above - y) <= radius);
        assert_true(fabs(log1p(exp(beta * below)) / beta - y) <= radius);
        assert_true(radius < log1p(exp(-threshold)) / 2 + 2 * r);
    }
}

/* A batch norm of 64 channels: weights, bias, shift as mean, scale as var. */
static void enclose_norm(scene *s, double eps, ptf_balls out)
{
    ptf_arena arena = {NULL};
    ptf_tensor tensors[4];
    double *data[4] = {s->weights, s->bias, s->shift, s->scale};
    for (int i = 0; i < 4; i++)
        tensors[i] = (ptf_tensor){.dtype = PTF_F64,
                                  .rank = 1,
                                  .shape = {64},
                                  .stride = {1},
                                  .data = data[i]};
    ptf_node node = {.op = PTF_OP_BATCHNORM2D,
                     .attrs = {.out_channels = 64, .eps = eps},
                     .tensors = {[PTF_WEIGHT] = &tensors[0],
                                 [PTF_BIAS] = &tensors[1],
                                 [PTF_RUNNING_MEAN] = &tensors[2],
                                 [PTF_RUNNING_VAR] = &tensors[3]}};
    ptf_numbers numbers;
    assert_int_equal(ptf_numbers_read(&arena, &node, &numbers, NULL), PTF_OK);
    ptf_enclose_scale_shift(&numbers, false, 64, 64, before(s), out);
    ptf_arena_free(&arena);
}

static void batch_norm_holds_the_exact_value(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0x1p-40);
    for (int c = 0; c < 64; c++)
        s.scale[c] = fabs(s.scale[c]);
    enclose_norm(&s, 1e-5, after(&s));
    for (int i = 0; i < MOST; i++) {
        int c = i / 64;
        long double root = sqrtl((long double)s.scale[c] + (long double)1e-5);
        long double d = (long double)s.point[i] - (long double)s.shift[c];
        long double y =
            d * (long double)s.weights[c] / root + (long double)s.bias[c];
        long double off = fabsl(y - (long double)s.out_value[i]);
        assert_true(off <= (long double)s.out_radius[i]);
    }
    /* And a wrong eps is outside somewhere. */
    static double value[MOST], radius[MOST];
    enclose_norm(&s, 1.001e-5, (ptf_balls){value, radius});
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
    ptf_enclose_softmax(4, 16, 64, false, before(&s), after(&s));
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

/* How torch.nn's pools are told apart here. */
typedef enum pool { MAX_POOL, AVG_POOL, AVG_POOL_INSIDE, ADAPTIVE } pool;

typedef struct pool_case {
    pool kind;
    int64_t in[2], out[2], kernel[2], stride[2], padding[2], dilation[2];
} pool_case;

/* Tap t of output 'at' along an axis; false beyond the window. */
static bool pool_tap(const pool_case *c, int axis, int64_t at, int64_t t,
                     int64_t *index)
{
    int64_t in = c->in[axis], out = c->out[axis];
    if (c->kind == ADAPTIVE) {
        *index = at * in / out + t;
        return *index * out < (at + 1) * in;
    }
    *index = at * c->stride[axis] - c->padding[axis] + t * c->dilation[axis];
    return t < c->kernel[axis];
}

/* One output by PyTorch's definition. */
static long double exact_pool(const scene *s, const pool_case *c,
                              const int64_t at[3])
{
    const double *map = s->point + at[0] * c->in[0] * c->in[1];
    long double sum = 0, most = -HUGE_VALL;
    int taps = 0, row, column;
    int64_t y, x;
    for (row = 0; pool_tap(c, 0, at[1], row, &y); row++)
        for (column = 0; pool_tap(c, 1, at[2], column, &x); column++) {
            bool inside = y >= 0 && y < c->in[0] && x >= 0 && x < c->in[1];
            /* The padding counts, what ceil_mode reaches behind it not. */
            bool padded =
                y < c->in[0] + c->padding[0] && x < c->in[1] + c->padding[1];
            taps += c->kind == AVG_POOL ? padded : inside;
            if (!inside)
                continue;
            sum += (long double)map[y * c->in[1] + x];
            most = fmaxl(most, (long double)map[y * c->in[1] + x]);
        }
    return c->kind == MAX_POOL ? most : sum / taps;
}

static void check_pool(scene *s, const pool_case *c)
{
    ptf_shape in = {3, {3, c->in[0], c->in[1]}};
    ptf_shape out = {3, {3, c->out[0], c->out[1]}};
    ptf_attrs a = {.count_include_pad = c->kind == AVG_POOL};
    for (int i = 0; i < 2; i++) {
        a.kernel[i] = c->kernel[i];
        a.stride[i] = c->stride[i];
        a.padding[i] = c->padding[i];
        a.dilation[i] = c->dilation[i];
    }
    if (c->kind == MAX_POOL)
        ptf_enclose_max_pool(&a, &in, &out, before(s), after(s));
    else if (c->kind == ADAPTIVE)
        ptf_enclose_adaptive_pool(&in, &out, false, before(s), after(s));
    else
        ptf_enclose_avg_pool(&a, &in, &out, false, before(s), after(s));
    for (int64_t i = 0; i < 3 * c->out[0] * c->out[1]; i++) {
        int64_t at[3] = {i / (c->out[0] * c->out[1]), i / c->out[1] % c->out[0],
                         i % c->out[1]};
        long double y = exact_pool(s, c, at);
        assert_true(fabsl(y - (long double)s->out_value[i]) <=
                    (long double)s->out_radius[i]);
        assert_true(s->out_radius[i] < 0x1p-29);
    }
}

static void pools_hold_the_exact_value(void **unused)
{
    (void)unused;
    static const pool_case cases[] = {
        {MAX_POOL, {32, 32}, {16, 16}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
        {AVG_POOL, {32, 32}, {16, 16}, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
        {MAX_POOL, {9, 11}, {4, 6}, {3, 3}, {2, 2}, {0, 1}, {1, 1}},
        {MAX_POOL, {9, 12}, {3, 4}, {3, 2}, {2, 3}, {0, 0}, {2, 1}},
        /* ceil_mode: the last windows reach beyond the map */
        {MAX_POOL, {10, 10}, {5, 5}, {3, 3}, {2, 2}, {0, 0}, {1, 1}},
        {AVG_POOL, {10, 9}, {5, 5}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
        {AVG_POOL_INSIDE, {10, 9}, {5, 5}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
        {AVG_POOL, {10, 10}, {6, 6}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
        {AVG_POOL_INSIDE, {10, 10}, {6, 6}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
        {ADAPTIVE, {32, 32}, {16, 16}, {0}, {0}, {0}, {0}},
        {ADAPTIVE, {7, 10}, {3, 4}, {0}, {0}, {0}, {0}}, /* uneven */
        {ADAPTIVE, {3, 5}, {7, 6}, {0}, {0}, {0}, {0}},  /* larger */
    };
    static scene s;
    fill(&s, 0x1p-30);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_pool(&s, &cases[i]);
}

static void what_is_not_finite_is_found(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0.0);
    assert_int_equal(ptf_balls_first_bad(before(&s), MOST), -1);
    s.value[7] = (double)NAN;
    ptf_numbers numbers = numbers_of(&s, 20);
    ptf_enclose_linear(&one_image, 20, 5, &numbers, before(&s), after(&s),
                       NULL);
    assert_int_equal(ptf_balls_first_bad(after(&s), 5), 0);
    ptf_enclose_relu(MOST, before(&s), after(&s));
    assert_int_equal(ptf_balls_first_bad(after(&s), MOST), 7);
}

static void running_out_of_memory_is_told(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0.0);
    ptf_numbers numbers = numbers_of(&s, 20);
    ptf_alloc_fail_after(0);
    ptf_status status = ptf_enclose_linear(&one_image, 20, 5, &numbers,
                                           before(&s), after(&s), NULL);
    ptf_alloc_fail_after(-1);
    assert_int_equal(status, PTF_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exact_linear_layer_is_inside),
        cmocka_unit_test(a_weight_one_ulp_off_is_outside),
        cmocka_unit_test(the_exact_convolution_is_inside),
        cmocka_unit_test(one_dimension_is_a_map_of_height_1),
        cmocka_unit_test(exp_keeps_its_error),
        cmocka_unit_test(pointwise_layers_hold_the_exact_value),
        cmocka_unit_test(a_softplus_that_drops_is_enclosed),
        cmocka_unit_test(batch_norm_holds_the_exact_value),
        cmocka_unit_test(softmax_holds_the_exact_value),
        cmocka_unit_test(pools_hold_the_exact_value),
        cmocka_unit_test(what_is_not_finite_is_found),
        cmocka_unit_test(running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
