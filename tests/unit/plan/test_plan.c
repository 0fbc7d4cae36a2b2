/*
 * Plans: the same bits for every instruction set, number of threads and
 * batch, and the bits that an evaluation written here gives.
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

/* FNV-1a of all outputs so far. */
static uint64_t hash = 0xcbf29ce484222325u;

static void add_to_hash(const float *outputs, size_t size)
{
    const unsigned char *bytes = (const void *)outputs;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
}

/* Runs the net in every way and demands the bits of ref. */
static void check_all_ways(build *b, int64_t count)
{
    static const int64_t batches[] = {1, 2, 7, 64};
    float *in = inputs_of(b, count);
    float *want = outputs_of(b, in, count, (runs){"ref", 2, 16, 0});
    size_t size = (size_t)(count * outputs_count(b)) * sizeof(float);
    for (int isa = 1; isa < PTF_ISA_COUNT; isa++) {
        if (!ptf_isa_here((ptf_isa)isa))
            continue;
        for (int i = 0; i < 12; i++) {
            runs how = {ptf_isa_text((ptf_isa)isa), i / 4 + 1, batches[i % 4],
                        0};
            float *got = outputs_of(b, in, count, how);
            if (memcmp(want, got, size) != 0)
                fail_msg("%s, %d threads, batch %d differs from ref", how.isa,
                         how.threads, (int)how.batch);
            ptf_free(got);
        }
    }
    add_to_hash(want, size);
    ptf_free(want);
    ptf_free(in);
}

static void nets_have_one_result_however_they_run(void **unused)
{
    (void)unused;
    void (*const nets[])(build *) = {build_small, build_mixed, build_1d};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(nets); i++) {
        build b;
        nets[i](&b);
        check_all_ways(&b, i == 0 ? 64 : 9);
        finish(&b);
    }
    for (int slid = 0; slid < 2; slid++) {
        build b;
        build_tail(&b, slid == 1, slid == 1 ? 13 : 10, slid == 1 ? 12 : 10);
        check_all_ways(&b, slid == 1 ? 9 : 64);
        finish(&b);
    }
    /* also of other compilers and options than these */
    assert_int_equal(hash, 0x1c6aa1f68a280423u);
}

/*
 * Groups that a thread pads one by one, and those that are padded together;
 * windows that are a stride apart, padded or not, and rows of part of a vector.
 */
static void grouped_convolutions_have_one_result(void **unused)
{
    (void)unused;
    static const struct {
        int64_t groups, of_group, height, width;
        int64_t kernel, stride, padding, dilation;
    } cases[] = {{16, 1, 9, 37, 3, 2, 1, 1},  {16, 2, 7, 21, 3, 1, 1, 1},
                 {12, 1, 23, 11, 5, 3, 2, 2}, {14, 1, 12, 40, 2, 2, 0, 1},
                 {3, 4, 10, 19, 3, 2, 1, 1},  {13, 1, 8, 8, 1, 3, 0, 1},
                 {1, 5, 11, 34, 7, 2, 3, 1},  {20, 1, 7, 7, 7, 1, 3, 1}};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        build b;
        int64_t channels = cases[i].groups * cases[i].of_group;
        start(&b, 3, channels, cases[i].height, cases[i].width);
        add_conv(&b, channels, cases[i].kernel, cases[i].stride,
                 cases[i].padding, cases[i].dilation, cases[i].groups);
        add_norm(&b);
        add_plain(&b, PTF_OP_RELU);
        check_all_ways(&b, 3);
        finish(&b);
    }
}

/* -------------------------------------------------------------- invariants */

static void a_slid_net_gives_the_bits_of_its_crops(void **unused)
{
    (void)unused;
    build whole, crop;
    build_tail(&whole, true, 13, 12);
    build_tail(&crop, false, 10, 10);
    float *image = inputs_of(&whole, 1);
    float *map = outputs_of(&whole, image, 1, (runs){NULL, 2, 1, 0});
    for (int64_t r = 0; r < 4; r++) {
        for (int64_t c = 0; c < 3; c++) {
            float in[300];
            for (int64_t i = 0; i < 300; i++)
                in[i] =
                    image[i / 100 * 156 + (i / 10 % 10 + r) * 12 + i % 10 + c];
            float *out = outputs_of(&crop, in, 1, (runs){NULL, 1, 1, 0});
            for (int64_t j = 0; j < 10; j++)
                assert_memory_equal(&out[j], &map[j * 12 + r * 3 + c], 4);
            ptf_free(out);
        }
    }
    ptf_free(map);
    ptf_free(image);
    finish(&whole);
    finish(&crop);
}

/* The scale and shift of a batch norm, as kernel.h states them. */
static void norm_numbers(build *b, const ptf_node *norm,
                         const ptf_tensor **scale, const ptf_tensor **shift)
{
    int64_t c = norm->attrs.in_channels;
    const float *numbers[4];
    for (int i = 0; i < 4; i++)
        numbers[i] = norm->tensors[(ptf_role[]){PTF_ROLE_WEIGHT, PTF_ROLE_BIAS,
                                                PTF_ROLE_RUNNING_MEAN,
                                                PTF_ROLE_RUNNING_VAR}[i]]
                         ->data;
    *scale = tensor(b, 1, &c, 0, 0);
    *shift = tensor(b, 1, &c, 0, 0);
    for (int64_t i = 0; i < c; i++) {
        double s = (double)numbers[0][i] /
                   sqrt((double)numbers[3][i] + norm->attrs.eps);
        ((float *)(uintptr_t)(*scale)->data)[i] = (float)s;
        ((float *)(uintptr_t)(*shift)->data)[i] =
            (float)((double)numbers[1][i] - (double)numbers[2][i] * s);
    }
}

static void expect_outputs(const build *b, const float *in, const float *want,
                           bool equal)
{
    float *got = outputs_of(b, in, 3, (runs){NULL, 2, 3, 0});
    size_t size = (size_t)(3 * outputs_count(b)) * sizeof(float);
    assert_int_equal(memcmp(want, got, size) == 0, equal);
    ptf_free(got);
}

/*
 * A leaky ReLU of slope 1 changes nothing but keeps the batch norm apart from
 * the convolution.  Without it the plan makes it an epilogue; last, the net
 * itself has one.
 */
static void an_epilogue_gives_the_bits_of_the_batch_norm_alone(void **unused)
{
    (void)unused;
    build b;
    start(&b, 3, 5, 9, 11);
    ptf_node *conv = add_conv(&b, 19, 3, 1, 1, 1, 1);
    add_plain(&b, PTF_OP_LEAKY_RELU);
    ptf_node *apart = &b.nodes[output_of(&b.net)];
    apart->attrs.p[0] = 1.0;
    ptf_node *norm = add_norm(&b);
    add_plain(&b, PTF_OP_RELU);
    float *in = inputs_of(&b, 3);
    float *want = outputs_of(&b, in, 3, (runs){NULL, 2, 3, 0});
    apart->op = PTF_OP_IDENTITY;
    expect_outputs(&b, in, want, true);
    norm_numbers(&b, norm, &conv->tensors[PTF_ROLE_SCALE],
                 &conv->tensors[PTF_ROLE_SHIFT]);
    conv->attrs.scale_shift = true;
    norm->op = PTF_OP_IDENTITY;
    expect_outputs(&b, in, want, true);
    ((float *)(uintptr_t)conv->tensors[PTF_ROLE_SCALE]->data)[7] *= 1.0000002F;
    expect_outputs(&b, in, want, false);
    ptf_free(want);
    ptf_free(in);
    finish(&b);
}

/* ------------------------------------------------- an evaluation of its own */

/* One linear layer of ref's order, with libm's fmaf. */
static void naive_linear(const ptf_node *node, const float *x, float *y)
{
    const float *w = node->tensors[PTF_ROLE_WEIGHT]->data;
    const float *bias = node->tensors[PTF_ROLE_BIAS]->data;
    int64_t in = node->attrs.in_channels;
    for (int64_t o = 0; o < node->attrs.out_channels; o++) {
        float sum = 0.0F;
        for (int64_t k = 0; k < in; k += 256) {
            float block = 0.0F;
            for (int64_t i = k; i < in && i < k + 256; i++)
                block = fmaf(w[o * in + i], x[i], block);
            sum = k == 0 ? block : sum + block;
        }
        y[o] = sum + bias[o];
    }
}

static void naive_relu(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0.0F;
}

/* The convolution as a linear layer on each window (im2col). */
static void naive_conv(const ptf_node *node, int64_t h, int64_t w,
                       const float *x, float *y)
{
    const ptf_attrs *a = &node->attrs;
    int64_t k = a->kernel[1], terms = a->in_channels * k * k;
    int64_t oh = h - k + 1, ow = w - k + 1;
    ptf_node as_linear = *node;
    as_linear.attrs.in_channels = terms;
    float window[4096], sums[256];
    assert_true(terms <= 4096 && a->out_channels <= 256);
    for (int64_t p = 0; p < oh * ow; p++) {
        for (int64_t i = 0; i < terms; i++)
            window[i] = x[i / (k * k) * h * w + (p / ow + i / k % k) * w +
                          p % ow + i % k];
        naive_linear(&as_linear, window, sums);
        for (int64_t c = 0; c < a->out_channels; c++)
            y[c * oh * ow + p] = sums[c];
    }
}

static void plans_agree_with_an_evaluation_written_apart(void **unused)
{
    (void)unused;
    build b;
    build_tail(&b, false, 10, 10);
    float *in = inputs_of(&b, 1);
    float *got = outputs_of(&b, in, 1, (runs){NULL, 2, 1, 0});
    float first[30 * 64], second[40 * 36], third[90], fourth[10];
    naive_conv(&b.nodes[1], 10, 10, in, first);
    naive_relu(first, 30 * 64);
    naive_conv(&b.nodes[3], 8, 8, first, second);
    naive_linear(&b.nodes[5], second, third);
    naive_relu(third, 90);
    naive_linear(&b.nodes[7], third, fourth);
    assert_memory_equal(fourth, got, sizeof(fourth));
    ptf_free(got);
    ptf_free(in);
    finish(&b);
}

/* ------------------------------------------------------------ large weights */

enum { WIDE_BATCH = 13, WIDE_IN = 8200, WIDE_OUT = 4100 }; /* 134.5 MB */

/* The outputs of a plan made for so many runs; the caller frees. */
static float *wide_outputs(const build *b, const float *in, int many,
                           size_t limit, size_t *memory)
{
    ptf_plan_options options = {.runs = many, .memory_limit = limit};
    ptf_plan *plan;
    assert_int_equal(
        ptf_plan_make(&b->net, &b->input, WIDE_BATCH, &options, &plan, NULL),
        PTF_OK);
    float *out = ptf_alloc((size_t)WIDE_BATCH * WIDE_OUT * sizeof(float));
    assert_non_null(out);
    assert_int_equal(ptf_plan_run(plan, in, WIDE_BATCH, out, NULL), PTF_OK);
    *memory = ptf_plan_memory(plan);
    ptf_plan_free(plan);
    return out;
}

static void large_weights_are_copied_for_many_runs_only(void **unused)
{
    (void)unused;
    size_t weights = (size_t)WIDE_IN * WIDE_OUT * sizeof(float);
    size_t memory[3], room = weights / 2;
    build b;
    start(&b, 1, WIDE_IN, 0, 0);
    add_linear(&b, WIDE_OUT);
    float *in = inputs_of(&b, WIDE_BATCH);
    float *once = wide_outputs(&b, in, 0, 0, &memory[0]);
    float *often = wide_outputs(&b, in, 100, 0, &memory[1]);
    float *limited = wide_outputs(&b, in, 100, room, &memory[2]);
    size_t size = (size_t)WIDE_BATCH * WIDE_OUT * sizeof(float);
    assert_memory_equal(once, often, size);
    assert_memory_equal(once, limited, size);
    assert_true(memory[0] < room && memory[2] < room);
    if (ptf_kernels_get(ptf_isa_default())->gemm != NULL)
        assert_true(memory[1] >= memory[0] + weights);
    ptf_free(once);
    ptf_free(often);
    ptf_free(limited);
    ptf_free(in);
    finish(&b);
}

/* ---------------------------------------------------------------- refusals */

static void a_memory_limit_is_kept_or_named(void **unused)
{
    (void)unused;
    build b;
    build_small(&b);
    ptf_plan_options options = {.threads = 1, .memory_limit = 1000};
    ptf_plan *plan;
    ptf_error err;
    assert_int_equal(ptf_plan_make(&b.net, &b.input, 4, &options, &plan, &err),
                     PTF_MEMORY);
    assert_null(plan);
    assert_non_null(strstr(err.message, "bytes"));
    finish(&b);
}

/* Padded maps of 2^32 x 2^32, beside an input of four numbers. */
static void padding_beyond_all_memory_is_refused(void **unused)
{
    (void)unused;
    build b;
    start(&b, 3, 1, 2, 2);
    add_conv(&b, 1, 2, 1 << 30, INT32_MAX, INT32_MAX, 1);
    ptf_plan *plan;
    ptf_error err;
    ptf_status status = ptf_plan_make(&b.net, &b.input, 1, NULL, &plan, &err);
    if (ptf_kernels_get(ptf_isa_default())->gemm != NULL) {
        assert_int_equal(status, PTF_UNSUPPORTED);
        assert_non_null(strstr(err.message, "feature map"));
    }
    ptf_plan_free(plan);
    finish(&b);
}

static void failed_allocations_are_reported(void **unused)
{
    (void)unused;
    build b;
    build_mixed(&b);
    ptf_plan_options options = {.threads = 1};
    ptf_plan *plan = NULL;
    ptf_status status = PTF_MEMORY;
    for (long n = 0; status != PTF_OK && n < 1000; n++) {
        ptf_alloc_fail_after(n);
        status = ptf_plan_make(&b.net, &b.input, 2, &options, &plan, NULL);
        ptf_alloc_fail_after(-1);
        assert_true(status == PTF_OK || status == PTF_MEMORY);
        assert_true((plan != NULL) == (status == PTF_OK));
    }
    ptf_plan_free(plan);
    finish(&b);
}

static void wrong_arguments_are_refused(void **unused)
{
    (void)unused;
    build b;
    build_small(&b);
    ptf_plan *plan;
    ptf_plan_options options = {.isa = "mmx"};
    assert_int_equal(ptf_plan_make(&b.net, &b.input, 1, &options, &plan, NULL),
                     PTF_ARGUMENT);
    assert_int_equal(ptf_plan_make(&b.net, &b.input, 0, NULL, &plan, NULL),
                     PTF_ARGUMENT);
    assert_int_equal(ptf_plan_make(&b.net, &b.input, 2, NULL, &plan, NULL),
                     PTF_OK);
    float x = 0;
    assert_int_equal(ptf_plan_run(plan, &x, 3, &x, NULL), PTF_ARGUMENT);
    ptf_plan_free(plan);
    b.nodes[2].tensors[PTF_ROLE_RUNNING_MEAN] = NULL;
    assert_int_equal(ptf_plan_make(&b.net, &b.input, 1, NULL, &plan, NULL),
                     PTF_UNSUPPORTED);
    finish(&b);
}

static void a_net_of_nothing_copies_its_input(void **unused)
{
    (void)unused;
    build b;
    start(&b, 1, 5, 0, 0);
    add_plain(&b, PTF_OP_DROPOUT);
    float *in = inputs_of(&b, 2);
    float *out = outputs_of(&b, in, 2, (runs){NULL, 2, 2, 0});
    assert_memory_equal(in, out, 10 * sizeof(float));
    ptf_free(out);
    ptf_free(in);
    finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nets_have_one_result_however_they_run),
        cmocka_unit_test(grouped_convolutions_have_one_result),
        cmocka_unit_test(a_slid_net_gives_the_bits_of_its_crops),
        cmocka_unit_test(an_epilogue_gives_the_bits_of_the_batch_norm_alone),
        cmocka_unit_test(plans_agree_with_an_evaluation_written_apart),
        cmocka_unit_test(large_weights_are_copied_for_many_runs_only),
        cmocka_unit_test(a_memory_limit_is_kept_or_named),
        cmocka_unit_test(padding_beyond_all_memory_is_refused),
        cmocka_unit_test(failed_allocations_are_reported),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(a_net_of_nothing_copies_its_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
