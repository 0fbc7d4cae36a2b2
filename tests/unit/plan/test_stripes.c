/*
 * Plans with little memory: batches in parts and images in stripes give the
 * bits of everything at once, in the memory that was allowed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "nets.h"
#include "ports.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- by rows */

/* Windows of every kind that move with their input. */
static void build_rows(build *b, int64_t h, int64_t w)
{
    start(b, 3, 3, h, w);
    add_conv(b, 18, 3, 1, 1, 1, 1);
    add_norm(b);
    add_plain(b, PTF_OP_RELU);
    add_pool(b, PTF_OP_MAXPOOL2D, 3, 2, 1, true);
    add_conv(b, 20, 3, 2, 4, 2, 2);
    add_plain(b, PTF_OP_TANH);
    add_pool(b, PTF_OP_AVGPOOL2D, 3, 1, 1, false);
    add_norm(b);
    add_plain(b, PTF_OP_LEAKY_RELU);
    add_conv(b, 7, 2, 1, 0, 1, 1);
    add_plain(b, PTF_OP_SOFTMAX);
}

/* A stride beyond the kernel: rows of the input that nobody reads. */
static void build_gaps(build *b, int64_t h, int64_t w)
{
    start(b, 3, 2, h, w);
    add_conv(b, 5, 1, 3, 0, 1, 1);
    add_pool(b, PTF_OP_MAXPOOL2D, 2, 3, 0, false);
}

/* What moves numbers or reduces them, and leaves rows where they are. */
static void build_moved(build *b, int64_t h, int64_t w)
{
    start(b, 3, 3, h, w);
    add_conv(b, 18, 3, 1, 1, 1, 1);
    add_with(b, PTF_OP_SLICE, &(ptf_attrs){.dim = 1, .start = 1, .step = 2});
    add_conv(b, 6, 3, 2, 1, 1, 1);
    add_with(b, PTF_OP_SLICE, &(ptf_attrs){.dim = 3, .start = -1, .step = -1});
    add_with(b, PTF_OP_PERMUTE, &(ptf_attrs){.dims = {3, {3, 2, 1}}});
    add_with(b, PTF_OP_MEAN, &(ptf_attrs){.dims = {1, {3}}, .keepdim = true});
    add_pool(b, PTF_OP_MAXPOOL2D, 1, 1, 0, false);
    add_with(b, PTF_OP_EXPAND, &(ptf_attrs){.size = {3, {-1, -1, -1}}});
    add_with(b, PTF_OP_AMAX, &(ptf_attrs){.dims = {1, {1}}, .keepdim = true});
    add_conv(b, 5, 1, 1, 0, 1, 1);
}

/* Pads of one side and of both, crops, maps of half the size. */
static void build_padded(build *b, int64_t h, int64_t w)
{
    start(b, 3, 3, h, w);
    add_conv(b, 6, 3, 1, 1, 1, 1);
    add_with(b, PTF_OP_PAD,
             &(ptf_attrs){.pads = {4, {1, 0, 0, 3}}, .p = {-1.5}});
    add_conv(b, 6, 3, 2, 0, 1, 1);
    add_with(b, PTF_OP_PAD, &(ptf_attrs){.pads = {4, {2, -1, 5, -2}}});
    add_with(b, PTF_OP_UPSAMPLE, &(ptf_attrs){.scale = {1, {0.5}}});
    add_with(b, PTF_OP_PAD,
             &(ptf_attrs){.pads = {4, {1, 1, -1, 4}}, .p = {0.25}});
    add_with(
        b, PTF_OP_UPSAMPLE,
        &(ptf_attrs){.scale = {2, {0.5, 1.0}}, .p = {PTF_UPSAMPLE_BILINEAR}});
    add_with(
        b, PTF_OP_PAD,
        &(ptf_attrs){.pads = {4, {1, 2, 0, 0}}, .p = {0, PTF_PAD_REPLICATE}});
    add_conv(b, 5, 3, 1, 1, 1, 1);
}

static void build_slid(build *b, int64_t h, int64_t w)
{
    build_tail(b, true, h, w);
}

typedef void build_function(build *b, int64_t h, int64_t w);

static build_function *const nets[] = {build_rows, build_gaps, build_slid,
                                       build_moved, build_padded};

static ptf_plan *plan_of(const build *b, int64_t batch, size_t limit)
{
    ptf_plan_options options = {.threads = 2, .memory_limit = limit};
    ptf_plan *plan;
    ptf_error err;
    if (ptf_plan_make(&b->net, &b->input, batch, &options, &plan, &err) !=
        PTF_OK)
        fail_msg("%s", err.message);
    return plan;
}

/* Nearly the least limit with which the net can be planned. */
static size_t least_memory(const build *b, const char *isa)
{
    size_t low = 0, high = 1 << 24;
    while (low + 256 < high) {
        size_t middle = (low + high) / 2;
        ptf_plan_options options = {
            .threads = 1, .isa = isa, .memory_limit = middle};
        ptf_plan *plan;
        bool fits = ptf_plan_make(&b->net, &b->input, 1, &options, &plan,
                                  NULL) == PTF_OK;
        if (fits) {
            assert_true(ptf_plan_memory(plan) <= middle);
            high = middle;
        } else {
            low = middle;
        }
        ptf_plan_free(plan);
    }
    return high;
}

static void expect_same(const build *b, const float *in, const float *want,
                        runs how)
{
    float *got = outputs_of(b, in, 2, how);
    size_t size = (size_t)(2 * outputs_count(b)) * sizeof(float);
    if (memcmp(want, got, size) != 0)
        fail_msg("%dx%d, %s: %zu bytes of memory give other bits",
                 (int)b->input.dim[1], (int)b->input.dim[2], how.isa,
                 how.memory_limit);
    ptf_free(got);
}

static void check_limits(const build *b, const char *isa)
{
    float *in = inputs_of(b, 2);
    float *want = outputs_of(b, in, 2, (runs){"ref", 1, 2, 0});
    size_t least = least_memory(b, isa);
    ptf_plan *whole = plan_of(b, 1, 0);
    for (int i = 0; i < 6; i++)
        expect_same(b, in, want, (runs){isa, 1, 2, least + (least << i) / 64});
    expect_same(b, in, want, (runs){isa, 1, 2, ptf_plan_memory(whole)});
    ptf_plan_free(whole);
    ptf_free(want);
    ptf_free(in);
}

static void stripes_give_the_bits_of_the_image_at_once(void **unused)
{
    (void)unused;
    static const int64_t sizes[][2] = {{13, 10}, {14, 25}, {31, 12}, {67, 11}};
    for (size_t n = 0; n < PTF_ARRAY_SIZE(nets); n++) {
        for (size_t i = 0; i < PTF_ARRAY_SIZE(sizes); i++) {
            build b;
            nets[n](&b, sizes[i][0], sizes[i][1]);
            check_limits(&b, i == 0 ? "ref" : ptf_isa_text(ptf_isa_default()));
            finish(&b);
        }
    }
}

/* Its rows depend on each other, although it has no other channel. */
static void a_softmax_over_the_rows_of_one_channel_is_not_cut(void **unused)
{
    (void)unused;
    build b;
    start(&b, 3, 1, 600, 12);
    add_plain(&b, PTF_OP_RELU);
    add_plain(&b, PTF_OP_SOFTMAX);
    b.nodes[output_of(&b.net)].attrs.dim = 2;
    ptf_plan *plan = plan_of(&b, 1, 0);
    assert_int_equal(ptf_plan_stripe(plan), 0);
    ptf_plan_free(plan);
    finish(&b);
}

/* A reshape makes other rows, and so nothing can be cut. */
static void build_reshaped(build *b, int64_t h, int64_t w)
{
    start(b, 3, 2, h, w);
    add_conv(b, 4, 3, 1, 1, 1, 1);
    add_with(b, PTF_OP_RESHAPE, &(ptf_attrs){.size = {3, {4, w, -1}}});
    add_conv(b, 5, 3, 1, 1, 1, 1);
}

static void a_reshape_between_maps_is_not_cut(void **unused)
{
    (void)unused;
    build b;
    build_reshaped(&b, 31, 12);
    ptf_plan *plan = plan_of(&b, 1, 0);
    assert_int_equal(ptf_plan_stripe(plan), 0);
    ptf_plan_free(plan);
    check_limits(&b, ptf_isa_text(ptf_isa_default()));
    finish(&b);
}

/* ------------------------------------------------------------ caller's rows */

/* Copies rows of all channels from one height to another. */
static void copy_rows(float *to, int64_t to_height, int64_t to_first,
                      const float *from, int64_t from_height,
                      int64_t from_first, int64_t rows, const ptf_shape *shape)
{
    int64_t width = shape->dim[2];
    for (int64_t c = 0; c < shape->dim[0]; c++)
        memcpy(to + (c * to_height + to_first) * width,
               from + (c * from_height + from_first) * width,
               (size_t)(rows * width) * sizeof(float));
}

static void run_rows(ptf_plan *plan, const build *b, int64_t first,
                     int64_t count, const float *in, float *out)
{
    int64_t in_first, in_count;
    assert_int_equal(
        ptf_plan_rows(plan, first, count, &in_first, &in_count, NULL), PTF_OK);
    assert_true(in_first >= 0 && in_first + in_count <= b->input.dim[1]);
    float *x = ptf_alloc((size_t)ptf_shape_numel(&b->input) * sizeof(float));
    float *y = ptf_alloc((size_t)outputs_count(b) * sizeof(float));
    assert_non_null(x);
    assert_non_null(y);
    copy_rows(x, in_count, 0, in, b->input.dim[1], in_first, in_count,
              &b->input);
    assert_int_equal(ptf_plan_run_rows(plan, first, count, x, y, NULL), PTF_OK);
    copy_rows(out, b->shape.dim[1], first, y, count, 0, count, &b->shape);
    ptf_free(x);
    ptf_free(y);
}

static void check_rows(const build *b, int64_t step)
{
    float *in = inputs_of(b, 1);
    float *want = outputs_of(b, in, 1, (runs){"ref", 1, 1, 0});
    size_t size = (size_t)outputs_count(b) * sizeof(float);
    float *out = ptf_alloc(size);
    assert_non_null(out);
    ptf_plan *plan = plan_of(b, 3, 0);
    int64_t height = b->shape.dim[1];
    assert_int_equal(ptf_plan_stripe(plan), height);
    for (int64_t r = 0; r < height; r += step)
        run_rows(plan, b, r, height - r < step ? height - r : step, in, out);
    assert_memory_equal(want, out, size);
    assert_int_equal(ptf_plan_run(plan, in, 1, out, NULL), PTF_OK);
    assert_memory_equal(want, out, size);
    run_rows(plan, b, 0, height, in, out);
    assert_memory_equal(want, out, size);
    ptf_plan_free(plan);
    ptf_free(out);
    ptf_free(want);
    ptf_free(in);
}

static void rows_asked_for_are_those_of_the_image(void **unused)
{
    (void)unused;
    for (size_t n = 0; n < PTF_ARRAY_SIZE(nets); n++) {
        for (int64_t step = 1; step < 8; step += 2) {
            build b;
            nets[n](&b, 37 + step, 14);
            check_rows(&b, step);
            finish(&b);
        }
    }
}

static void rows_that_are_not_there_are_refused(void **unused)
{
    (void)unused;
    build b;
    build_slid(&b, 20, 12);
    ptf_plan *plan = plan_of(&b, 1, 0);
    int64_t height = b.shape.dim[1], first, count;
    const int64_t wrong[][2] = {
        {-1, 1}, {0, 0}, {0, height + 1}, {height, 1}, {INT64_MAX, 1}};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(wrong); i++)
        assert_int_equal(
            ptf_plan_rows(plan, wrong[i][0], wrong[i][1], &first, &count, NULL),
            PTF_ARGUMENT);
    ptf_plan_free(plan);
    finish(&b);
    build_small(&b); /* ends in linear layers */
    plan = plan_of(&b, 1, 0);
    assert_int_equal(ptf_plan_stripe(plan), 0);
    assert_int_equal(ptf_plan_rows(plan, 0, 1, &first, &count, NULL),
                     PTF_UNSUPPORTED);
    ptf_plan_free(plan);
    finish(&b);
}

/* ------------------------------------------------------------------ batches */

static void a_batch_in_parts_gives_the_bits_of_the_batch(void **unused)
{
    (void)unused;
    build b;
    build_small(&b);
    float *in = inputs_of(&b, 64);
    float *want = outputs_of(&b, in, 64, (runs){"ref", 1, 64, 0});
    size_t size = (size_t)(64 * outputs_count(&b)) * sizeof(float);
    size_t least = least_memory(&b, NULL);
    for (int i = 0; i < 4; i++) {
        runs how = {NULL, 1, 64, least + (least << i) / 8};
        float *got = outputs_of(&b, in, 64, how);
        assert_memory_equal(want, got, size);
        ptf_free(got);
    }
    ptf_free(want);
    ptf_free(in);
    finish(&b);
}

/* ------------------------------------------------------------- inspection */

enum { SIDE = 120 };

/* A number beyond 1e38 becomes -infinity, which the ReLU hides. */
static void build_hidden(build *b)
{
    static float weights[8 * 9];
    start(b, 3, 1, SIDE, SIDE);
    ptf_node *conv = add_conv(b, 8, 3, 1, 1, 1, 1);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(weights); i++)
        weights[i] = -4;
    ptf_tensor *t = ptf_arena_alloc(&b->net.arena, sizeof(*t));
    *t = *conv->tensors[PTF_ROLE_WEIGHT];
    t->data = weights;
    conv->tensors[PTF_ROLE_WEIGHT] = t;
    conv->name = "hidden";
    add_plain(b, PTF_OP_RELU);
    add_conv(b, 4, 3, 1, 1, 1, 1);
}

static ptf_status try_plan(const build *b, int64_t batch, bool keep,
                           size_t limit, ptf_plan **plan)
{
    ptf_plan_options options = {
        .threads = 2, .memory_limit = limit, .keep = keep, .inspect = !keep};
    return ptf_plan_make(&b->net, &b->input, batch, &options, plan, NULL);
}

/* What is named when number 'at' of the inputs, if any, is 'x'. */
static const char *name_of(const build *b, ptf_plan *plan, int64_t count,
                           int64_t at, float x)
{
    float *in = inputs_of(b, count);
    float *out = malloc((size_t)(count * outputs_count(b)) * sizeof(*out));
    if (at >= 0)
        in[at] = x;
    assert_int_equal(ptf_plan_run(plan, in, count, out, NULL), PTF_OK);
    assert_true(ptf_all_finite(out, count * outputs_count(b)) || isinf(x));
    free(out);
    ptf_free(in);
    return ptf_plan_not_finite(plan);
}

static void check_names(const build *b, ptf_plan *plan, int64_t count)
{
    const int64_t last = count * SIDE * SIDE - 1;
    const int64_t places[] = {0, SIDE * SIDE / 2, last};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(places); i++) {
        const char *name = name_of(b, plan, count, places[i], 3e38F);
        assert_non_null(name);
        assert_string_equal(name, "hidden");
        name = name_of(b, plan, count, places[i], -INFINITY);
        assert_non_null(name);
        assert_string_equal(name, "");
        assert_null(name_of(b, plan, count, -1, 0));
    }
}

static void what_is_not_finite_is_named_with_little_memory(void **unused)
{
    (void)unused;
    build b;
    ptf_plan *plan;
    build_hidden(&b);
    assert_int_equal(try_plan(&b, 1, true, 0, &plan), PTF_OK);
    size_t limit = ptf_plan_memory(plan) * 2 / 3;
    ptf_plan_free(plan);
    assert_int_equal(try_plan(&b, 1, true, limit, &plan), PTF_MEMORY);
    for (int64_t count = 1; count <= 5; count += 4) {
        assert_int_equal(try_plan(&b, count, false, limit, &plan), PTF_OK);
        assert_true(ptf_plan_memory(plan) <= limit);
        assert_true(ptf_plan_stripe(plan) < SIDE);
        check_names(&b, plan, count);
        ptf_plan_free(plan);
        assert_int_equal(try_plan(&b, count, false, 0, &plan), PTF_OK);
        check_names(&b, plan, count);
        ptf_plan_free(plan);
    }
    finish(&b);
}

static void what_takes_too_much_memory_is_named(void **unused)
{
    (void)unused;
    build b;
    build_hidden(&b);
    ptf_plan *plan;
    ptf_error err = {PTF_OK, ""};
    ptf_plan_options o = {.memory_limit = 1000, .keep = true};
    assert_int_equal(ptf_plan_make(&b.net, &b.input, 1, &o, &plan, &err),
                     PTF_MEMORY);
    assert_non_null(
        strstr(err.message, "the largest value is that of 'hidden'"));
    finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_takes_too_much_memory_is_named),
        cmocka_unit_test(stripes_give_the_bits_of_the_image_at_once),
        cmocka_unit_test(a_softmax_over_the_rows_of_one_channel_is_not_cut),
        cmocka_unit_test(a_reshape_between_maps_is_not_cut),
        cmocka_unit_test(rows_asked_for_are_those_of_the_image),
        cmocka_unit_test(rows_that_are_not_there_are_refused),
        cmocka_unit_test(a_batch_in_parts_gives_the_bits_of_the_batch),
        cmocka_unit_test(what_is_not_finite_is_named_with_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
