/*
 * Convolutions, transposed ones and pools of one to three axes, in every stage:
 * against what PyTorch gave (windows.inc), and drawn at random against ref.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"
#include "kernel/kernel.h"
#include "moves.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST = 384 };

/* A layer with its weight after an input. */
typedef struct layer {
    chain chain;
    ptf_tensor weight;
    float *weights;
} layer;

static void set_weight(layer *l, int rank, const int64_t *shape)
{
    int64_t n = 1;
    l->weight =
        (ptf_tensor){.name = "weight", .dtype = PTF_DTYPE_F32, .rank = rank};
    for (int d = rank - 1; d >= 0; d--) {
        l->weight.shape[d] = shape[d];
        l->weight.stride[d] = n;
        n *= shape[d];
    }
    l->weights = floats(n);
    l->weight.data = l->weights;
}

/* What attributes leave out is usual. */
static void start_layer(layer *l, ptf_op op, ptf_attrs a, const ptf_shape *in)
{
    int rank;
    int64_t shape[PTF_MAX_RANK];
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        a.kernel[i] += a.kernel[i] == 0;
        a.stride[i] += a.stride[i] == 0;
        a.dilation[i] += a.dilation[i] == 0;
    }
    a.groups += a.groups == 0;
    memset(l, 0, sizeof(*l));
    assert_null(ptf_op_settle(op, &a));
    start(&l->chain, in);
    add(&l->chain, op, &a);
    if (ptf_op_parameter(op, &a, PTF_ROLE_WEIGHT, &rank, shape)) {
        set_weight(l, rank, shape);
        l->chain.nodes[1].tensors[PTF_ROLE_WEIGHT] = &l->weight;
    }
}

static void end_layer(layer *l)
{
    free(l->weights);
    finish(&l->chain);
}

static float *run(const layer *l, const float *in, const char *isa, int threads,
                  int64_t images)
{
    const chain *c = &l->chain;
    ptf_plan_options options = {.threads = threads, .isa = isa};
    ptf_plan *plan;
    ptf_error err;
    float *out = floats(images * ptf_shape_numel(last(c)));
    if (ptf_plan_make(&c->net, &c->shapes[0], images, &options, &plan, &err) ||
        ptf_plan_run(plan, in, images, out, &err))
        fail_msg("%s", err.message);
    ptf_plan_free(plan);
    return out;
}

/* The gradient by the input, and in dw that by the weight. */
static float *back(const layer *l, const float *in, const float *d,
                   const char *isa, int threads, int64_t images, float *dw)
{
    const chain *c = &l->chain;
    ptf_gradient_options options = {
        .by = PTF_WRT_INPUT | (l->weights != NULL ? PTF_WRT_PARAMETERS : 0),
        .threads = threads,
        .isa = isa};
    ptf_gradient *g;
    ptf_error err;
    int64_t n = images * ptf_shape_numel(&c->shapes[0]);
    float *dx = floats(n), *out = floats(images * ptf_shape_numel(last(c)));
    if (ptf_gradient_make(&c->net, &c->shapes[0], images, &options, &g, &err) ||
        ptf_gradient_run(g, in, images, out, &err) ||
        ptf_gradient_back(g, d, &err))
        fail_msg("%s", err.message);
    memcpy(dx, ptf_gradient_input(g, 0), (size_t)n * sizeof(float));
    if (l->weights != NULL)
        memcpy(dw, ptf_gradient_tensor(g, 0)->data,
               (size_t)ptf_tensor_numel(&l->weight) * sizeof(float));
    ptf_gradient_free(g);
    free(out);
    return dx;
}

static void expect_bits(const char *what, const char *isa, const float *want,
                        const float *got, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (memcmp(want + i, got + i, sizeof(float)) != 0)
            fail_msg("%s with %s: number %lld is %a, expected %a", what, isa,
                     (long long)i, (double)got[i], (double)want[i]);
    }
}

/* Adding +0 makes +0 of -0, about which gradients are free. */
static void unsign(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] += 0.0F;
}

/* ------------------------------------------------------------- of PyTorch */

/* Two samples; see windows.py. */
static const struct {
    const char *label;
    ptf_op op;
    ptf_attrs attrs;
    ptf_shape in, out, weight;
    float y[MOST], dx[MOST], dw[MOST];
} windows[] = {
#include "windows.inc"
};

static void start_row(layer *l, size_t k, float *in, float *d)
{
    start_layer(l, windows[k].op, windows[k].attrs, &windows[k].in);
    if (memcmp(last(&l->chain), &windows[k].out, sizeof(ptf_shape)) != 0)
        fail_msg("%s: another shape", windows[k].label);
    for (int64_t i = 0; i < 2 * ptf_shape_numel(&windows[k].in); i++)
        in[i] = (float)(i * 5 % 11 - 3);
    for (int64_t i = 0; i < 2 * ptf_shape_numel(&windows[k].out); i++)
        d[i] = (float)(i % 7 * 8 - 24);
    for (int64_t i = 0;
         l->weights != NULL && i < ptf_shape_numel(&windows[k].weight); i++)
        l->weights[i] = (float)(i * 7 % 9 - 4);
}

static void check_row(const layer *l, size_t k, const float *in, const float *d,
                      const char *isa)
{
    const char *label = windows[k].label;
    int64_t n = 2 * ptf_shape_numel(&windows[k].in);
    int64_t outputs = 2 * ptf_shape_numel(&windows[k].out);
    float dw[MOST] = {0};
    float *y = run(l, in, isa, 2, 2), *dx = back(l, in, d, isa, 2, 2, dw);
    unsign(y, outputs);
    unsign(dx, n);
    expect_bits(label, isa, windows[k].y, y, outputs);
    expect_bits(label, isa, windows[k].dx, dx, n);
    expect_bits(label, isa, windows[k].dw, dw,
                l->weights != NULL ? ptf_shape_numel(&windows[k].weight) : 0);
    free(y);
    free(dx);
}

/* Of the first sample: PyTorch's numbers are exact, and so a run's. */
static void check_balls(const layer *l, size_t k, const float *in)
{
    const chain *c = &l->chain;
    ptf_enclosure *enc;
    ptf_error err;
    if (ptf_enclosure_make_with(&c->net, NULL, &c->shapes[0], 1, &enc, &err))
        fail_msg("%s", err.message);
    const float *taps[CHAIN] = {in};
    for (int executed = 0; executed < 2; executed++) {
        if (ptf_enclosure_run_taps(enc, taps, 1, executed, &err))
            fail_msg("%s", err.message);
        ptf_balls balls = ptf_enclosure_node(enc, 1, 0);
        for (int64_t i = 0; i < ptf_shape_numel(last(c)); i++) {
            double off = fabs(balls.value[i] - (double)windows[k].y[i]);
            if (!(off <= balls.radius[i]) ||
                !(balls.radius[i] < (executed ? 1e-2 : 1e-10)))
                fail_msg("%s: %lld is outside, or its ball is wide",
                         windows[k].label, (long long)i);
        }
    }
    ptf_enclosure_free(enc);
}

static void what_pytorch_gives(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(windows); k++) {
        layer l;
        float in[MOST], d[MOST];
        start_row(&l, k, in, d);
        for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
            if (ptf_isa_here((ptf_isa)isa))
                check_row(&l, k, in, d, ptf_isa_text((ptf_isa)isa));
        }
        check_balls(&l, k, in);
        end_layer(&l);
    }
}

/* -------------------------------------------------------------- at random */

static ptf_op some_op(void)
{
    static const ptf_op ops[] = {
        PTF_OP_CONV1D,           PTF_OP_CONV2D,
        PTF_OP_CONV3D,           PTF_OP_CONV_TRANSPOSE1D,
        PTF_OP_CONV_TRANSPOSE2D, PTF_OP_CONV_TRANSPOSE3D,
        PTF_OP_MAXPOOL3D,        PTF_OP_AVGPOOL3D,
        PTF_OP_AVGPOOL1D};
    return ops[between(0, PTF_ARRAY_SIZE(ops) - 1)];
}

/* A layer whose window fits its input. */
static ptf_op draw_layer(layer *l)
{
    ptf_op op = some_op();
    int axes = ptf_op_map_axes(op);
    bool pool = ptf_op_is(op, PTF_FAMILY_POOL);
    ptf_shape in = {1 + axes, {0}};
    ptf_attrs a;
    ptf_attrs_default(op, &a);
    a.has_bias = a.count_include_pad_unspecified = false;
    a.ceil_mode_unspecified = false;
    a.groups = pool ? 1 : between(1, 3);
    in.dim[0] = a.in_channels = a.groups * between(1, pool ? 4 : 20);
    a.out_channels = a.groups * between(1, 20);
    for (int i = PTF_MAP_AXES - axes; i < PTF_MAP_AXES; i++) {
        a.kernel[i] = between(1, 4);
        a.stride[i] = between(1, 3);
        a.dilation[i] = op == PTF_OP_AVGPOOL3D ? 1 : between(1, 2);
        a.dilation[i] = op == PTF_OP_AVGPOOL1D ? 1 : a.dilation[i];
        a.padding[i] = between(0, a.kernel[i] / 2);
        int64_t extent = (a.kernel[i] - 1) * a.dilation[i] + 1;
        in.dim[i + axes - 2] = extent + between(0, axes == 3 ? 4 : 20);
        if (ptf_op_is_transposed(op))
            a.output_padding[i] = between(0, a.stride[i] - 1);
    }
    start_layer(l, op, a, &in);
    return op;
}

static void check_isa(const layer *l, const char *label, const float *in,
                      const float *d, const char *isa, float *const want[3])
{
    enum { IMAGES = 3 };
    int64_t weights = l->weights != NULL ? ptf_tensor_numel(&l->weight) : 0;
    float *dw = floats(weights);
    float *y = run(l, in, isa, (int)between(1, 3), IMAGES);
    float *dx = back(l, in, d, isa, (int)between(1, 3), IMAGES, dw);
    expect_bits(label, isa, want[0], y,
                IMAGES * ptf_shape_numel(last(&l->chain)));
    expect_bits(label, isa, want[1], dx,
                IMAGES * ptf_shape_numel(&l->chain.shapes[0]));
    expect_bits(label, isa, want[2], dw, weights);
    free(y);
    free(dx);
    free(dw);
}

static void every_instruction_set_gives_the_bits_of_ref(void **unused)
{
    enum { IMAGES = 3 };
    (void)unused;
    for (uint64_t seed = 0; seed < 12; seed++) {
        layer l;
        char label[64];
        draws = seed;
        ptf_op op = draw_layer(&l);
        snprintf(label, sizeof(label), "seed %d: %s", (int)seed,
                 ptf_op_info(op)->name);
        int64_t n = IMAGES * ptf_shape_numel(&l.chain.shapes[0]);
        int64_t outputs = IMAGES * ptf_shape_numel(last(&l.chain));
        int64_t weights = l.weights != NULL ? ptf_tensor_numel(&l.weight) : 0;
        float *in = floats(n), *d = floats(outputs), *dw = floats(weights);
        fill(in, n, (int64_t)(seed % 3) * 20);
        fill(d, outputs, seed % 4 == 0 ? 30 : 0);
        fill(l.weights, weights, seed % 5 == 0 ? 40 : 0);
        float *y = run(&l, in, "ref", 1, IMAGES);
        float *dx = back(&l, in, d, "ref", 1, IMAGES, dw);
        for (int isa = PTF_ISA_REF + 1; isa < PTF_ISA_COUNT; isa++) {
            if (ptf_isa_here((ptf_isa)isa))
                check_isa(&l, label, in, d, ptf_isa_text((ptf_isa)isa),
                          (float *[]){y, dx, dw});
        }
        free(in);
        free(d);
        free(dw);
        free(y);
        free(dx);
        end_layer(&l);
    }
}

/*
 * Products that are too small leave -0, which the +0 of a tap that reads
 * nothing makes +0 when its weight is positive: phases leave such taps out.
 */
static void taps_that_read_nothing_decide_signs_of_zeros(void **unused)
{
    (void)unused;
    static const ptf_attrs attrs = {.in_channels = 40,
                                    .out_channels = 3,
                                    .kernel = {1, 2, 3},
                                    .stride = {1, 2, 2}};
    static const ptf_shape in = {3, {40, 3, 4}};
    for (int by_shift = 0; by_shift < 2; by_shift++) {
        layer l;
        float x[40 * 12], shift[] = {-0.0F, 0.0F, -0.0F}, one[] = {-1, 1, 1};
        const int64_t channels = 3;
        ptf_tensor shifts = {.dtype = PTF_DTYPE_F32,
                             .rank = 1,
                             .shape = {channels},
                             .stride = {1},
                             .data = shift},
                   scales = shifts;
        scales.data = one;
        start_layer(&l, PTF_OP_CONV_TRANSPOSE2D, attrs, &in);
        if (by_shift) {
            l.chain.nodes[1].attrs.scale_shift = true;
            l.chain.nodes[1].tensors[PTF_ROLE_SCALE] = &scales;
            l.chain.nodes[1].tensors[PTF_ROLE_SHIFT] = &shifts;
        }
        draws = 5;
        for (int64_t i = 0; i < ptf_tensor_numel(&l.weight); i++)
            l.weights[i] = (float)between(-1, 1) * 0x1p-100F;
        for (int i = 0; i < 40 * 12; i++)
            x[i] = (float)between(-1, 1) * 0x1p-100F;
        float *want = run(&l, x, "ref", 1, 1);
        int64_t n = ptf_shape_numel(last(&l.chain)), minus = 0;
        for (int64_t i = 0; i < n; i++)
            minus += signbit(want[i]) != 0;
        assert_true(minus > 0 && minus < n);
        for (int isa = PTF_ISA_REF + 1; isa < PTF_ISA_COUNT; isa++) {
            const char *name = ptf_isa_text((ptf_isa)isa);
            if (!ptf_isa_here((ptf_isa)isa))
                continue;
            float *y = run(&l, x, name, 2, 1);
            expect_bits("zeros", name, want, y, n);
            free(y);
        }
        free(want);
        end_layer(&l);
    }
}

/* ------------------------------------------------------------------- rules */

static void what_does_not_fit_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        ptf_attrs attrs;
        ptf_shape in;
        const char *words;
    } cases[] = {
        {PTF_OP_CONV3D,
         {.in_channels = 2, .out_channels = 2},
         {3, {2, 3, 3}},
         "channels x depth x height x width"},
        {PTF_OP_MAXPOOL1D,
         {.kernel = {1, 1, 5}},
         {2, {2, 3}},
         "window is larger"},
        {PTF_OP_CONV_TRANSPOSE1D,
         {.in_channels = 1, .out_channels = 1, .padding = {0, 0, 1}},
         {2, {1, 1}},
         "leaves nothing"},
        {PTF_OP_CONV_TRANSPOSE2D,
         {.in_channels = 1, .out_channels = 1, .output_padding = {0, 1, 0}},
         {3, {1, 2, 2}},
         "output_padding"},
        {PTF_OP_CONV_TRANSPOSE3D,
         {.in_channels = 3, .out_channels = 4, .groups = 2},
         {4, {3, 2, 2, 2}},
         "groups that do not divide"},
    };
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        ptf_attrs a = cases[k].attrs;
        ptf_shape out;
        for (int i = 0; i < PTF_MAP_AXES; i++) {
            a.kernel[i] += a.kernel[i] == 0;
            a.stride[i] = a.dilation[i] = 1;
        }
        a.groups += a.groups == 0;
        const char *wrong = ptf_op_settle(cases[k].op, &a);
        if (wrong == NULL)
            wrong = ptf_op_shape(cases[k].op, &a, &cases[k].in, 1, &out);
        assert_non_null(wrong);
        if (strstr(wrong, cases[k].words) == NULL)
            fail_msg("expected '%s' in: %s", cases[k].words, wrong);
    }
}

/* Each number of the input goes through the weights of its channel. */
static void transposed_convolutions_count_what_they_bring(void **unused)
{
    (void)unused;
    layer l;
    start_layer(&l, PTF_OP_CONV_TRANSPOSE2D,
                (ptf_attrs){.in_channels = 4,
                            .out_channels = 6,
                            .groups = 2,
                            .kernel = {1, 3, 2},
                            .stride = {1, 2, 2}},
                &(ptf_shape){3, {4, 5, 7}});
    ptf_count count, total;
    assert_int_equal(ptf_net_count(&l.chain.net, &l.chain.shapes[0], NULL,
                                   &count, &total, NULL),
                     PTF_OK);
    assert_int_equal(count.forward.macs, 4 * 5 * 7 * 3 * 3 * 2);
    assert_int_equal(count.parameters, 4 * 3 * 3 * 2);
    end_layer(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_pytorch_gives),
        cmocka_unit_test(every_instruction_set_gives_the_bits_of_ref),
        cmocka_unit_test(taps_that_read_nothing_decide_signs_of_zeros),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(transposed_convolutions_count_what_they_bring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
