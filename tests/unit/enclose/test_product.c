/*
 * Enclosures of sums, convolutions and linear layers, against rationals (GMP).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scene.h"

#include <gmp.h>

static ptf_scratch scratch;
static const ptf_enclose_pass one_image = {1, 2, false, &scratch};

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
static void finish(mpq_t sum, const ptf_parameters *numbers, int64_t channel)
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
                          const ptf_parameters *numbers, double shrink)
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
static ptf_parameters numbers_of(scene *s, int64_t terms)
{
    for (int64_t j = 0; j < MOST / terms; j++) {
        double sum = 0;
        for (int64_t k = j * terms; k < (j + 1) * terms; k++)
            sum += s->weights[k] * s->weights[k];
        s->norms[j] = sqrt(sum) * (1 + 1e-9);
    }
    return (ptf_parameters){.f64 = s->weights,
                            .norms = s->norms,
                            .bias = {s->bias, s->none},
                            .scale = {s->scale, s->none},
                            .shift = {s->shift, s->none}};
}

/* In double, in f32, and in f32 with a batch norm folded into them. */
static void vary_weights(scene *s, int kind, ptf_parameters *numbers)
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
        ptf_parameters numbers = numbers_of(&s, inputs);
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
    ptf_parameters numbers = numbers_of(&s, 200);
    ptf_enclose_linear(&one_image, 200, 17, &numbers, before(&s), after(&s),
                       NULL);
    float wrong = nextafterf((float)s.weights[5 * 200 + 33], 2);
    s.weights[5 * 200 + 33] = (double)wrong;
    assert_int_equal(linear_outside(&s, 200, 17, &numbers, 1), 1);
}

/* A convolution, and the sizes of its maps. */
typedef struct conv_case {
    ptf_op op;
    ptf_attrs attrs;
    ptf_shape in, out;
} conv_case;

/* The input position that a tap of an output position reads; or false. */
static bool reads(const conv_case *c, int axis, int64_t at, int64_t tap,
                  int64_t *from)
{
    const ptf_attrs *a = &c->attrs;
    int d = axis + c->in.rank - PTF_MAP_AXES;
    int64_t size = d > 0 ? c->in.dim[d] : 1;
    if (ptf_op_is_transposed(c->op)) {
        at += a->padding[axis] - tap * a->dilation[axis];
        *from = at / a->stride[axis];
        return at % a->stride[axis] == 0 && at >= 0 && *from < size;
    }
    *from = at * a->stride[axis] - a->padding[axis] + tap * a->dilation[axis];
    return *from >= 0 && *from < size;
}

/* One output, by its definition; at: channel, depth, row, column. */
static void exact_conv(const scene *s, const conv_case *c, const int64_t at[4],
                       mpq_t sum)
{
    const ptf_attrs *a = &c->attrs;
    int64_t in = a->in_channels / a->groups, out = a->out_channels / a->groups;
    int64_t taps = a->kernel[0] * a->kernel[1] * a->kernel[2];
    int64_t map = ptf_shape_numel(&c->in) / a->in_channels;
    mpq_set_ui(sum, 0, 1);
    for (int64_t k = 0; k < in * taps; k++) {
        int64_t tap[] = {k % taps / a->kernel[2] / a->kernel[1],
                         k / a->kernel[2] % a->kernel[1], k % a->kernel[2]};
        int64_t place = 0, from;
        bool all = true;
        for (int i = 0; i < PTF_MAP_AXES; i++) {
            int d = i + c->in.rank - PTF_MAP_AXES;
            all = reads(c, i, at[i + 1], tap[i], &from) && all;
            place = place * (d > 0 ? c->in.dim[d] : 1) + from;
        }
        if (all)
            add_product(sum, s->weights[at[0] * in * taps + k],
                        s->point[(at[0] / out * in + k / taps) * map + place]);
    }
}

static void check_conv(scene *s, conv_case c)
{
    const ptf_attrs *a = &c.attrs;
    int64_t terms =
        a->in_channels / a->groups * a->kernel[0] * a->kernel[1] * a->kernel[2];
    ptf_parameters numbers = numbers_of(s, terms);
    c.in.dim[0] = a->in_channels;
    assert_null(ptf_op_shape(c.op, a, &c.in, 1, &c.out));
    assert_int_equal(ptf_enclose_conv(&one_image, c.op, a, &c.in, &c.out,
                                      &numbers, before(s), after(s), NULL),
                     PTF_OK);
    int64_t size[PTF_MAP_AXES];
    ptf_enclose_map(&c.out, size);
    mpq_t sum;
    mpq_init(sum);
    for (int64_t i = 0; i < ptf_shape_numel(&c.out); i++) {
        int64_t at[] = {i / size[2] / size[1] / size[0],
                        i / size[2] / size[1] % size[0], i / size[2] % size[1],
                        i % size[2]};
        exact_conv(s, &c, at, sum);
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
         .kernel = {1, 3, 3},
         .stride = {1, 1, 1},
         .padding = {0, 1, 1},
         .dilation = {1, 1, 1}},
        {.in_channels = 4,
         .out_channels = 6,
         .groups = 2,
         .kernel = {1, 2, 3},
         .stride = {1, 2, 1},
         .padding = {0, 0, 2},
         .dilation = {1, 1, 2}},
        {.in_channels = 5,
         .out_channels = 5,
         .groups = 5,
         .kernel = {1, 3, 1},
         .stride = {1, 1, 3},
         .padding = {0, 2, 0},
         .dilation = {1, 2, 1}},
        {.in_channels = 16, /* parts enough for each thread to gather its own */
         .out_channels = 8,
         .groups = 8,
         .kernel = {1, 3, 3},
         .stride = {1, 1, 1},
         .padding = {0, 1, 1},
         .dilation = {1, 1, 1}},
    };
    static scene s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fill(&s, i ? 0x1p-33 : 0.0);
        check_conv(&s,
                   (conv_case){PTF_OP_CONV2D, cases[i], {3, {0, 7, 9}}, {0}});
        /* lanes in one row */
        check_conv(&s,
                   (conv_case){PTF_OP_CONV2D, cases[i], {3, {0, 3, 48}}, {0}});
    }
}

static void so_are_those_of_other_ranks_and_transposed_ones(void **unused)
{
    (void)unused;
    static const ptf_attrs row = {.in_channels = 4,
                                  .out_channels = 6,
                                  .groups = 2,
                                  .kernel = {1, 1, 5},
                                  .stride = {1, 1, 2},
                                  .padding = {0, 0, 3},
                                  .dilation = {1, 1, 2}};
    static const ptf_attrs flat = {.in_channels = 4,
                                   .out_channels = 6,
                                   .groups = 2,
                                   .kernel = {1, 3, 2},
                                   .stride = {1, 2, 3},
                                   .padding = {0, 1, 0},
                                   .dilation = {1, 2, 1}};
    static const ptf_attrs volume = {.in_channels = 2,
                                     .out_channels = 3,
                                     .groups = 1,
                                     .kernel = {3, 2, 3},
                                     .stride = {2, 1, 2},
                                     .padding = {1, 0, 1},
                                     .dilation = {1, 2, 1}};
    static scene s;
    fill(&s, 0x1p-33);
    check_conv(&s, (conv_case){PTF_OP_CONV1D, row, {2, {0, 31}}, {0}});
    check_conv(&s, (conv_case){PTF_OP_CONV_TRANSPOSE1D, row, {2, {0, 9}}, {0}});
    check_conv(&s,
               (conv_case){PTF_OP_CONV_TRANSPOSE2D, flat, {3, {0, 3, 5}}, {0}});
    check_conv(&s, (conv_case){PTF_OP_CONV3D, volume, {4, {0, 5, 4, 6}}, {0}});
    check_conv(&s, (conv_case){PTF_OP_CONV3D, volume, {4, {0, 3, 3, 9}}, {0}});
    check_conv(
        &s,
        (conv_case){PTF_OP_CONV_TRANSPOSE3D, volume, {4, {0, 3, 2, 4}}, {0}});
}

/* Parameters as a layer's are read, whose norms are the library's own. */
static ptf_parameters read_weights(ptf_arena *arena, scene *s, int64_t outputs,
                                   int64_t inputs)
{
    ptf_tensor weight = {.dtype = PTF_DTYPE_F64,
                         .rank = 2,
                         .shape = {outputs, inputs},
                         .stride = {inputs, 1},
                         .data = s->weights};
    ptf_node node = {.op = PTF_OP_LINEAR,
                     .attrs = {.out_channels = weight.shape[0]},
                     .tensors = {[PTF_ROLE_WEIGHT] = &weight}};
    ptf_parameters numbers;
    assert_int_equal(ptf_numbers_read(arena, &node, &numbers, NULL), PTF_OK);
    return numbers;
}

enum { IN = 200, OUT = 17 };

/* Inputs and weights of some magnitude: how many exact outputs are outside. */
static int outside_at(double value, double weight)
{
    static scene s;
    ptf_arena arena = {NULL};
    fill(&s, 0.0);
    for (int i = 0; i < MOST; i++) {
        s.value[i] *= value;
        s.point[i] = s.value[i];
        s.weights[i] *= weight;
    }
    ptf_parameters numbers = read_weights(&arena, &s, OUT, IN);
    assert_int_equal(ptf_enclose_linear(&one_image, IN, OUT, &numbers,
                                        before(&s), after(&s), NULL),
                     PTF_OK);
    ptf_arena_free(&arena);
    return linear_outside(&s, IN, OUT, &numbers, 1);
}

/* Squares of 2^-600 are 0 in double: norms of weights, and of inputs. */
static void what_squares_to_nothing_is_inside(void **unused)
{
    (void)unused;
    assert_int_equal(outside_at(1, 0x1p-600), 0);
    assert_int_equal(outside_at(0x1p-600, 1), 0);
    assert_int_equal(outside_at(0x1p-520, 0x1p-520), 0);
    assert_int_equal(outside_at(0x1p-149, 0x1p-149), 0);
}

/* A run has 2^-140 in 10 bits, and multiplies what is lost by 2^40. */
static void weights_that_a_run_makes_subnormal_are_inside(void **unused)
{
    (void)unused;
    static scene s;
    static const ptf_enclose_pass run = {1, 2, true, &scratch};
    ptf_arena arena = {NULL};
    fill(&s, 0.0);
    for (int i = 0; i < MOST; i++) {
        s.value[i] = s.point[i] = 0x1p40;
        s.weights[i] *= 0x1p-140;
    }
    ptf_parameters numbers = read_weights(&arena, &s, OUT, IN);
    assert_true(numbers.rounded);
    ptf_enclose_linear(&run, IN, OUT, &numbers, before(&s), after(&s), NULL);
    for (int i = 0; i < MOST; i++)
        s.weights[i] = (double)(float)s.weights[i];
    assert_int_equal(linear_outside(&s, IN, OUT, &numbers, 1), 0);
    ptf_arena_free(&arena);
}

/*
 * Weights of 2^-570 times a row's scale of 2^-490 keep 15 bits, and inputs of
 * 2^300 show it.
 */
static void products_that_underflow_are_inside(void **unused)
{
    (void)unused;
    static scene s;
    ptf_arena arena = {NULL};
    fill(&s, 0.0);
    for (int i = 0; i < MOST; i++) {
        s.value[i] = s.point[i] = s.value[i] * 0x1p300;
        s.weights[i] *= 0x1p-570;
        s.scale[i] = copysign(0x1p-490, s.scale[i]);
    }
    ptf_parameters numbers = read_weights(&arena, &s, OUT, IN);
    numbers.weight_scale = (ptf_balls){s.scale, s.none};
    ptf_enclose_linear(&one_image, IN, OUT, &numbers, before(&s), after(&s),
                       NULL);
    assert_int_equal(linear_outside(&s, IN, OUT, &numbers, 1), 0);
    assert_int_equal(ptf_balls_first_bad(after(&s), OUT), -1);
    ptf_arena_free(&arena);
}

static void what_is_not_finite_is_found(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0.0);
    assert_int_equal(ptf_balls_first_bad(before(&s), MOST), -1);
    s.value[7] = (double)NAN;
    ptf_parameters numbers = numbers_of(&s, 20);
    ptf_enclose_linear(&one_image, 20, 5, &numbers, before(&s), after(&s),
                       NULL);
    assert_int_equal(ptf_balls_first_bad(after(&s), 5), 0);
    ptf_enclose_function(PTF_OP_RELU, (double[3]){0}, MOST, false, before(&s),
                         after(&s));
    assert_int_equal(ptf_balls_first_bad(after(&s), MOST), 7);
}

static void running_out_of_memory_is_told(void **unused)
{
    (void)unused;
    static scene s;
    fill(&s, 0.0);
    ptf_parameters numbers = numbers_of(&s, 20);
    ptf_alloc_fail_after(0);
    ptf_scratch empty = {0};
    ptf_enclose_pass pass = {1, 2, false, &empty};
    ptf_status status =
        ptf_enclose_linear(&pass, 20, 5, &numbers, before(&s), after(&s), NULL);
    ptf_alloc_fail_after(-1);
    assert_int_equal(status, PTF_MEMORY);
}

static int free_room(void **unused)
{
    (void)unused;
    ptf_free(scratch.bytes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exact_linear_layer_is_inside),
        cmocka_unit_test(a_weight_one_ulp_off_is_outside),
        cmocka_unit_test(the_exact_convolution_is_inside),
        cmocka_unit_test(so_are_those_of_other_ranks_and_transposed_ones),
        cmocka_unit_test(what_squares_to_nothing_is_inside),
        cmocka_unit_test(weights_that_a_run_makes_subnormal_are_inside),
        cmocka_unit_test(products_that_underflow_are_inside),
        cmocka_unit_test(what_is_not_finite_is_found),
        cmocka_unit_test(running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, free_room);
}
