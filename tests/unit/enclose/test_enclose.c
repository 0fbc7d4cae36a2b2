/*
 * Enclosures of layers that take one number or one map at a time, against long
 * double, whose error is 2^-10 of what is being checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scene.h"

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

/*
 * A run has no slope of 2^-150, and 0 in its place: what is lost grows with the
 * number.
 */
static void a_slope_that_f32_does_not_hold_is_enclosed(void **unused)
{
    (void)unused;
    double m = -0x1p100, y, radius;
    ptf_balls in = {&m, &(double){0}}, out = {&y, &radius};
    ptf_enclose_function(PTF_OP_LEAKY_RELU, (double[3]){0x1p-150}, 1, true, in,
                         out);
    assert_true(fabs((double)((float)m * (float)0x1p-150) - y) <= radius);
    ptf_enclose_function(PTF_OP_LEAKY_RELU, (double[3]){0.01}, 1, true, in,
                         out);
    assert_true(fabs((double)((float)m * 0.01F) - y) <= radius);
    assert_true(radius < 0x1p-20 * fabs(y));
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
        ptf_enclose_function(PTF_OP_SOFTPLUS, (double[3]){beta, threshold}, 1,
                             false, in, out);
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
        tensors[i] = (ptf_tensor){.dtype = PTF_DTYPE_F64,
                                  .rank = 1,
                                  .shape = {64},
                                  .stride = {1},
                                  .data = data[i]};
    ptf_node node = {.op = PTF_OP_BATCHNORM2D,
                     .attrs = {.out_channels = 64, .eps = eps},
                     .tensors = {[PTF_ROLE_WEIGHT] = &tensors[0],
                                 [PTF_ROLE_BIAS] = &tensors[1],
                                 [PTF_ROLE_RUNNING_MEAN] = &tensors[2],
                                 [PTF_ROLE_RUNNING_VAR] = &tensors[3]}};
    ptf_parameters numbers;
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

/* 2^-1000 / 2^50 has 24 bits left, and an input of 2^127 shows it. */
static void a_scale_that_underflows_is_not_known(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0.0);
    for (int c = 0; c < 64; c++) {
        s.weights[c] *= 0x1p-1000;
        s.scale[c] = 0x1p100;
    }
    s.weights[3] = 0; /* this one is known */
    enclose_norm(&s, 1e-5, after(&s));
    for (int c = 0; c < 64; c++)
        assert_int_equal(
            ptf_balls_first_bad(
                (ptf_balls){s.out_value + 64 * c, s.out_radius + 64 * c}, 64),
            c == 3 ? -1 : 0);
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
            /* The padding counts, what ceil_mode reaches after it not. */
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
    static const ptf_op ops[] = {[MAX_POOL] = PTF_OP_MAXPOOL2D,
                                 [AVG_POOL] = PTF_OP_AVGPOOL2D,
                                 [AVG_POOL_INSIDE] = PTF_OP_AVGPOOL2D,
                                 [ADAPTIVE] = PTF_OP_ADAPTIVE_AVGPOOL2D};
    ptf_attrs a;
    ptf_attrs_default(ops[c->kind], &a);
    a.count_include_pad = c->kind == AVG_POOL;
    for (int i = 0; i < 2; i++) {
        a.kernel[i + 1] = c->kernel[i];
        a.stride[i + 1] = c->stride[i];
        a.padding[i + 1] = c->padding[i];
        a.dilation[i + 1] = c->dilation[i];
    }
    ptf_enclose_pool(ops[c->kind], &a, &in, &out, false, before(s), after(s));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_keeps_its_error),
        cmocka_unit_test(a_slope_that_f32_does_not_hold_is_enclosed),
        cmocka_unit_test(a_softplus_that_drops_is_enclosed),
        cmocka_unit_test(batch_norm_holds_the_exact_value),
        cmocka_unit_test(a_scale_that_underflows_is_not_known),
        cmocka_unit_test(softmax_holds_the_exact_value),
        cmocka_unit_test(pools_hold_the_exact_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
