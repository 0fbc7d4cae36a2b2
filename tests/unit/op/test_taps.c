/*
 * Pads and maps of another size in every stage, against what PyTorch gave
 * (pads.inc, sizes.inc).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"
#include "moves.h"
#include "ports.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NUMBERS = 300 };

/* Two samples; see taps.py. */
static const struct {
    ptf_op op;
    const char *attributes;
    ptf_shape in, out;
    double y[NUMBERS], dx[NUMBERS];
} cases[] = {
#include "pads.inc"

#include "sizes.inc"
};

static ptf_attrs parse(ptf_op op, const char *text)
{
    ptf_attrs attrs;
    char message[256];
    if (ptf_attrs_parse(op, "", text, strlen(text), &attrs, message) != NULL)
        fail_msg("%s: %s", text, message);
    return attrs;
}

static void start_case(chain *c, size_t k, float in[NUMBERS])
{
    ptf_attrs attrs = parse(cases[k].op, cases[k].attributes);
    start(c, &cases[k].in);
    add(c, cases[k].op, &attrs);
    if (memcmp(last(c), &cases[k].out, sizeof(ptf_shape)) != 0)
        fail_msg("%s: another shape", cases[k].attributes);
    for (int64_t i = 0; i < 2 * ptf_shape_numel(&cases[k].in); i++)
        in[i] = (float)(i * 5 % 13 - 4);
}

static void run(const chain *c, const float *in, const char *isa, int threads,
                float *y, float *dx)
{
    ptf_gradient_options options = {.threads = threads, .isa = isa};
    ptf_gradient *g;
    ptf_error err;
    float d[NUMBERS], again[NUMBERS];
    for (int i = 0; i < NUMBERS; i++)
        d[i] = (float)(i % 7 * 12 - 24);
    if (ptf_gradient_make(&c->net, &c->shapes[0], 2, &options, &g, &err) ||
        ptf_gradient_run(g, in, 2, again, &err) ||
        ptf_gradient_back(g, d, &err))
        fail_msg("%s", err.message);
    memcpy(dx, ptf_gradient_input(g, 0),
           (size_t)(2 * ptf_shape_numel(&c->shapes[0])) * sizeof(float));
    ptf_gradient_free(g);
    ptf_plan_options how = {.threads = threads, .isa = isa};
    ptf_plan *plan;
    if (ptf_plan_make(&c->net, &c->shapes[0], 2, &how, &plan, &err) ||
        ptf_plan_run(plan, in, 2, y, &err))
        fail_msg("%s", err.message);
    ptf_plan_free(plan);
    assert_memory_equal(y, again,
                        (size_t)(2 * ptf_shape_numel(last(c))) * sizeof(float));
}

/* Sums of a few numbers of at most 50; what is moved is exact. */
static void expect_near(size_t k, const double *want, const float *got,
                        int64_t n, double limit)
{
    for (int64_t i = 0; i < n; i++) {
        bool same = !(want[i] > (double)got[i]) && !(want[i] < (double)got[i]);
        if (!same && !(fabs((double)got[i] - want[i]) <= limit))
            fail_msg("%s: number %lld is %.9g, expected %.9g",
                     cases[k].attributes, (long long)i, (double)got[i],
                     want[i]);
    }
}

static void what_pytorch_gives(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        chain c;
        float in[NUMBERS], y[NUMBERS], dx[NUMBERS], want[NUMBERS],
            back[NUMBERS];
        start_case(&c, k, in);
        int64_t n = 2 * ptf_shape_numel(&cases[k].in);
        int64_t outputs = 2 * ptf_shape_numel(&cases[k].out);
        bool moves = ptf_op_moves(cases[k].op, &c.nodes[1].attrs);
        run(&c, in, "ref", 1, want, back);
        double limit = cases[k].op == PTF_OP_PAD ? 1e-8 : 2e-6;
        expect_near(k, cases[k].y, want, outputs, moves ? 1e-8 : limit);
        expect_near(k, cases[k].dx, back, n, moves ? 0 : 20 * limit);
        for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
            if (!ptf_isa_here((ptf_isa)isa))
                continue;
            run(&c, in, ptf_isa_text((ptf_isa)isa), isa % 3 + 1, y, dx);
            assert_memory_equal(y, want, (size_t)outputs * sizeof(float));
            assert_memory_equal(dx, back, (size_t)n * sizeof(float));
        }
        finish(&c);
    }
}

/* Rows that are cut between threads, and longer than a kernel's buffer. */
static void large_maps_are_cut_between_threads(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        const char *attributes;
    } large[] = {
        {PTF_OP_PAD, "(3, 2, 1, 4), mode=reflect"},
        {PTF_OP_PAD, "(0, 0, 0, 0, 2, 1), value=0.5"},
        {PTF_OP_UPSAMPLE, "scale_factor=2.0, mode='nearest'"},
        {PTF_OP_UPSAMPLE,
         "size=(70, 900), mode='bilinear', align_corners=False"},
        {PTF_OP_UPSAMPLE,
         "size=(13, 70), mode='bicubic', align_corners=False, antialias=True"},
    };
    const ptf_shape shape = {3, {5, 31, 401}};
    int64_t n = ptf_shape_numel(&shape);
    for (size_t k = 0; k < PTF_ARRAY_SIZE(large); k++) {
        chain c;
        ptf_attrs attrs = parse(large[k].op, large[k].attributes);
        start(&c, &shape);
        add(&c, large[k].op, &attrs);
        int64_t outputs = ptf_shape_numel(last(&c));
        float *in = floats(n), *y[2] = {floats(outputs), floats(outputs)};
        fill(in, n, 50);
        for (int i = 0; i < 2; i++) {
            ptf_plan_options how = {.threads = i == 0 ? 1 : 3,
                                    .isa = i == 0 ? "ref" : NULL};
            ptf_plan *plan;
            assert_int_equal(
                ptf_plan_make(&c.net, &shape, 1, &how, &plan, NULL), PTF_OK);
            assert_int_equal(ptf_plan_run(plan, in, 1, y[i], NULL), PTF_OK);
            ptf_plan_free(plan);
        }
        assert_memory_equal(y[0], y[1], (size_t)outputs * sizeof(float));
        free(in);
        free(y[0]);
        free(y[1]);
        finish(&c);
    }
}

/* ------------------------------------------------------------- which pixel */

/* Of all sizes up to 64 that are not refused. */
static uint64_t digest_of(const char *attributes, int *refused)
{
    ptf_attrs attrs = parse(PTF_OP_UPSAMPLE, attributes);
    uint64_t digest = 0xcbf29ce484222325u;
    *refused = 0;
    for (int64_t in = 1; in <= 64; in++) {
        for (int64_t out = 1; out <= 64; out++) {
            ptf_shape from = {2, {1, in}}, to;
            ptf_arena arena = {0};
            ptf_taps taps;
            attrs.size = (ptf_list){1, {out}};
            if (ptf_op_shape(PTF_OP_UPSAMPLE, &attrs, &from, 1, &to) != NULL) {
                ++*refused;
                continue;
            }
            assert_true(ptf_op_taps(&arena, PTF_OP_UPSAMPLE, &attrs, &from, &to,
                                    &taps));
            for (int64_t i = 0; i < out; i++)
                digest =
                    (digest ^ (uint64_t)taps.axes[1].index[i]) * 0x100000001b3u;
            ptf_arena_free(&arena);
        }
    }
    return digest;
}

static void the_nearest_pixel_is_pytorchs(void **unused)
{
    (void)unused;
    static const struct {
        uint64_t digest;
        int refused;
        const char *attributes;
    } modes[] = {
#define NEAREST                             "size=1, mode='nearest'"
#define NEAREST_EXACT                       "size=1, mode='nearest-exact'"
#define PIXELS(digest, refused, attributes) {digest, refused, attributes},
#include "sizes.inc"
#undef PIXELS
    };
    for (size_t k = 0; k < PTF_ARRAY_SIZE(modes); k++) {
        int refused;
        assert_true(digest_of(modes[k].attributes, &refused) ==
                    modes[k].digest);
        assert_int_equal(refused, modes[k].refused);
    }
}

/* ---------------------------------------------------------------- refusals */

static const struct {
    ptf_op op;
    const char *attributes, *why; /* begins so */
    ptf_shape in;
} misfits[] = {
    {PTF_OP_PAD,
     "(1, 1, 1, 1, 1, 1, 1, 1)",
     "it would pad the samples",
     {3, {2, 3, 4}}},
    {PTF_OP_PAD, "(1, 1, 0, 0, 0, 0)", "its input has no such", {1, {4}}},
    {PTF_OP_PAD, "()", "its input has no dimensions", {0, {0}}},
    {PTF_OP_PAD, "(-2, -2)", "it crops more", {1, {4}}},
    {PTF_OP_PAD, "(-5, 3)", "it crops more", {1, {4}}},
    {PTF_OP_PAD, "(4, 0), mode=reflect", "it reflects more", {2, {2, 4}}},
    {PTF_OP_PAD, "(0, 5), mode=circular", "it goes round", {2, {2, 4}}},
    {PTF_OP_PAD, "(-3, 2), mode=circular", "it goes round", {2, {2, 4}}},
    {PTF_OP_UPSAMPLE,
     "size=(2, 2), mode='bicubic', align_corners=False",
     "its input has another number",
     {2, {2, 4}}},
    {PTF_OP_UPSAMPLE,
     "size=(2, 2)",
     "its input has another number",
     {2, {2, 4}}},
    {PTF_OP_UPSAMPLE,
     "scale_factor=0.2",
     "its output would be empty",
     {3, {2, 4, 9}}},
    {PTF_OP_UPSAMPLE,
     "scale_factor=1000000",
     "its output would be empty",
     {2, {2, 100}}},
    {PTF_OP_UPSAMPLE,
     "size=16777217",
     "its input or output is too large",
     {2, {2, 4}}},
    {PTF_OP_UPSAMPLE,
     "scale_factor=0.7",
     "its scale_factor gives no whole",
     {2, {2, 4}}},
    {PTF_OP_UPSAMPLE,
     "scale_factor=1.1, recompute_scale_factor=None",
     "PyTorch itself takes other pixels",
     {2, {2, 4}}},
    {PTF_OP_UPSAMPLE,
     "size=41, mode='nearest-exact'",
     "PyTorch itself takes other pixels",
     {2, {2, 2}}},
    {PTF_OP_UPSAMPLE,
     "size=(3, 1), mode='bilinear', align_corners=None, antialias=True",
     "PyTorch itself gives wrong numbers",
     {3, {2, 4, 4}}},
};

static void what_does_not_fit_is_refused(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(misfits); k++) {
        ptf_shape out;
        ptf_attrs attrs = parse(misfits[k].op, misfits[k].attributes);
        const char *why =
            ptf_op_shape(misfits[k].op, &attrs, &misfits[k].in, 1, &out);
        if (why == NULL || strncmp(why, misfits[k].why, strlen(misfits[k].why)))
            fail_msg("%s: %s", misfits[k].attributes,
                     why != NULL ? why : "taken");
    }
}

static void attributes_that_say_nothing_are_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *class_name, *text, *why; /* contains */
    } wrong[] = {
        {"ZeroPad2d", "(1, 2, 3)", "an odd number of pads"},
        {"ZeroPad2d", "", "does not state padding"},
        {"ReflectionPad3d", "(1, 1, 1, 1, 1, 1, 1, 1)", "one to three axes"},
        {"ConstantPad1d", "padding=(1, 1), value=1e39", "too large for f32"},
        {"ConstantPad1d", "padding=(1, 1), value=-nan", "does not support"},
        {"ZeroPad1d", "(1, 1), mode=wrap", "does not support"},
        {"Upsample", "mode='nearest'", "neither a size nor"},
        {"Upsample", "size=(1, 2, 3, 4), mode='nearest'", "more sizes"},
        {"Upsample", "scale_factor=(1, 2, 3, 4)", "does not support"},
        {"Upsample", "scale_factor=0.0", "between 0.000001"},
        {"Upsample", "scale_factor=-1", "between 0.000001"},
        {"Upsample", "scale_factor=2.0, mode='bilinear'",
         "add align_corners=False"},
        {"Upsample", "scale_factor=2.0, align_corners=True", "nearest has not"},
        {"Upsample", "scale_factor=2.0, antialias=True", "only bilinear and"},
    };
    for (size_t k = 0; k < PTF_ARRAY_SIZE(wrong); k++) {
        size_t size = strlen(wrong[k].class_name);
        ptf_attrs attrs;
        ptf_op op;
        char message[256];
        assert_true(ptf_op_find(wrong[k].class_name, size, &op));
        const char *why = ptf_attrs_parse(
            op, ptf_op_implied(wrong[k].class_name, size), wrong[k].text,
            strlen(wrong[k].text), &attrs, message);
        if (why == NULL || strstr(why, wrong[k].why) == NULL)
            fail_msg("%s(%s): %s", wrong[k].class_name, wrong[k].text,
                     why != NULL ? why : "taken");
    }
}

/* What print() writes for a module, and what its class implies. */
static void classes_are_read(void **unused)
{
    (void)unused;
    static const struct {
        const char *class_name, *text, *same_as;
    } classes[] = {
        {"ZeroPad2d", "(1, 2, 3, -4)", "(1, 2, 3, -4)"},
        {"ConstantPad3d", "padding=(1, 1, 1, 1, 1, 1), value=0",
         "(1, 1, 1, 1, 1, 1)"},
        {"ConstantPad1d", "padding=(1, 1), value=nan", "(1, 1), value=nan"},
        {"ReflectionPad1d", "(2, 2)", "(2, 2), mode='reflect'"},
        {"ReplicationPad3d", "(1, 1, 1, 1, 1, 1)",
         "(1, 1, 1, 1, 1, 1), mode=replicate"},
        {"CircularPad2d", "(1, 1, 1, 1)", "(1, 1, 1, 1), mode=circular"},
        {"Upsample", "scale_factor=2.0, mode='nearest'", "scale_factor=2"},
        {"Upsample", "scale_factor=(2.0, 3.5), mode='nearest'",
         "scale_factor=(2.0, 3.5)"},
        {"Upsample", "size=None, scale_factor=2, align_corners=None",
         "scale_factor=2, align_corners=False"},
        {"UpsamplingNearest2d", "size=(3, 4), mode='nearest'", "size=(3, 4)"},
        {"UpsamplingBilinear2d", "size=4, mode='bilinear'",
         "size=4, mode='bilinear', align_corners=True"},
    };
    for (size_t k = 0; k < PTF_ARRAY_SIZE(classes); k++) {
        size_t size = strlen(classes[k].class_name);
        ptf_attrs attrs;
        ptf_op op;
        char message[256];
        assert_true(ptf_op_find(classes[k].class_name, size, &op));
        if (ptf_attrs_parse(op, ptf_op_implied(classes[k].class_name, size),
                            classes[k].text, strlen(classes[k].text), &attrs,
                            message) != NULL)
            fail_msg("%s", message);
        ptf_attrs same = parse(op, classes[k].same_as);
        assert_memory_equal(&attrs, &same, sizeof(attrs));
    }
}

static void attributes_are_printed_and_read_back(void **unused)
{
    (void)unused;
    ptf_arena arena = {0};
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        ptf_attrs attrs = parse(cases[k].op, cases[k].attributes);
        char *text = ptf_op_text(&arena, cases[k].op, &attrs);
        assert_non_null(text);
        text = strchr(text, '(') + 1;
        text[strlen(text) - 1] = '\0';
        bool says_all =
            attrs.align_corners || attrs.p[0] < 2 || cases[k].op == PTF_OP_PAD;
        if (!says_all) /* print() leaves a False out */
            text = ptf_arena_printf(&arena, "%s, align_corners=False", text);
        ptf_attrs again = parse(cases[k].op, text);
        again.align_corners_unspecified = attrs.align_corners_unspecified;
        again.recompute_scale_factor_unspecified =
            attrs.recompute_scale_factor_unspecified;
        assert_memory_equal(&attrs, &again, sizeof(attrs));
    }
    ptf_arena_free(&arena);
}

/* ------------------------------------------------------------------- reach */

/* Whether all taps of an axis lie in its window; false where it has none. */
static bool check_window(const ptf_reach *r, const ptf_axis_taps *a)
{
    if (r->kind == PTF_REACH_EACH)
        assert_int_equal(a->in, a->out);
    if (r->kind != PTF_REACH_WINDOW)
        return false;
    for (int64_t i = 0; i < a->out; i++) {
        int64_t from = i * r->stride - r->before;
        for (int64_t t = a->begin[i]; t < a->begin[i + 1]; t++)
            assert_in_range(a->index[t] - from, 0, r->extent - 1);
    }
    return true;
}

static void reach_holds_all_taps(void **unused)
{
    (void)unused;
    int windows = 0;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        ptf_attrs attrs = parse(cases[k].op, cases[k].attributes);
        int rank = cases[k].in.rank;
        ptf_arena arena = {0};
        ptf_taps taps;
        assert_true(ptf_op_taps(&arena, cases[k].op, &attrs, &cases[k].in,
                                &cases[k].out, &taps));
        for (int d = taps.first; d < rank; d++) {
            ptf_reach r = ptf_op_reach(cases[k].op, &attrs, rank + 1, d + 1);
            windows += check_window(&r, &taps.axes[d]);
        }
        ptf_arena_free(&arena);
    }
    assert_true(windows > 8);
}

/* -------------------------------------------------------------- enclosures */

/* What is expected has 12 digits. */
static void check_balls(size_t k, const ptf_enclosure *enc, bool executed,
                        const float *y)
{
    int64_t n = ptf_shape_numel(&cases[k].out);
    for (int64_t i = 0; i < 2 * n; i++) {
        ptf_balls all = ptf_enclosure_node(enc, 1, i / n);
        double m = all.value[i % n], r = all.radius[i % n];
        double off = fabs(cases[k].y[i] - m), ran = fabs((double)y[i] - m);
        if (isinf(m))
            continue;
        if (off > r + 1e-10 || (executed && ran > r) ||
            r > (executed ? 1e-4 : 1e-12))
            fail_msg("%s: number %lld, %g and %g off with a radius of %g",
                     cases[k].attributes, (long long)i, off, ran, r);
    }
}

static void enclosures_hold_the_exact_value_and_a_run(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        chain c;
        float in[NUMBERS], y[NUMBERS], dx[NUMBERS];
        start_case(&c, k, in);
        run(&c, in, NULL, 1, y, dx);
        for (int executed = 0; executed < 2; executed++) {
            ptf_enclosure *enc;
            const float *taps[CHAIN] = {in};
            assert_int_equal(ptf_enclosure_make_with(&c.net, NULL, &c.shapes[0],
                                                     1, &enc, NULL),
                             PTF_OK);
            assert_int_equal(
                ptf_enclosure_run_taps(enc, taps, 2, executed, NULL), PTF_OK);
            check_balls(k, enc, executed, y);
            ptf_enclosure_free(enc);
        }
        finish(&c);
    }
}

/* ------------------------------------------------------------------ counts */

static void counts(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        const char *attributes;
        int64_t multiplications, additions, back_multiplications,
            back_additions;
    } rows[] = {
        {PTF_OP_PAD, "(1, 1, 1, 1)", 0, 0, 0, 24},
        {PTF_OP_PAD, "(1, 1, 1, 1), mode=reflect", 0, 0, 0, 60},
        {PTF_OP_UPSAMPLE, "scale_factor=2", 0, 0, 0, 96},
        {PTF_OP_UPSAMPLE, "scale_factor=2, mode='bilinear', align_corners=True",
         384, 288, 384, 384},
    };
    const ptf_shape shape = {3, {2, 3, 4}};
    for (size_t k = 0; k < PTF_ARRAY_SIZE(rows); k++) {
        chain c;
        ptf_count layer, total;
        const ptf_count_options options = {.input_gradient = true};
        ptf_attrs attrs = parse(rows[k].op, rows[k].attributes);
        start(&c, &shape);
        add(&c, rows[k].op, &attrs);
        c.net.containers = &(ptf_container){"", "Net", -1, 0, true};
        c.net.container_count = 1;
        assert_int_equal(
            ptf_net_count(&c.net, &shape, &options, &layer, &total, NULL),
            PTF_OK);
        assert_int_equal(layer.forward.multiplications,
                         rows[k].multiplications);
        assert_int_equal(layer.forward.additions, rows[k].additions);
        assert_int_equal(layer.input_gradient.multiplications,
                         rows[k].back_multiplications);
        assert_int_equal(layer.input_gradient.additions,
                         rows[k].back_additions);
        finish(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_pytorch_gives),
        cmocka_unit_test(large_maps_are_cut_between_threads),
        cmocka_unit_test(the_nearest_pixel_is_pytorchs),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(attributes_that_say_nothing_are_refused),
        cmocka_unit_test(classes_are_read),
        cmocka_unit_test(attributes_are_printed_and_read_back),
        cmocka_unit_test(reach_holds_all_taps),
        cmocka_unit_test(enclosures_hold_the_exact_value_and_a_run),
        cmocka_unit_test(counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
