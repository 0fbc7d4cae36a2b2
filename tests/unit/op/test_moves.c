/*
 * What moves numbers and what reduces them, in every stage: against what
 * PyTorch gave (moves.inc), and drawn at random against loops over positions
 * that know nothing of strides.
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

enum { IMAGES = 3 };

static float *run(const chain *c, const float *in, const char *isa, int threads,
                  int64_t images)
{
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

static float *back(const chain *c, const float *in, const float *d,
                   const char *isa, int threads, int64_t images)
{
    ptf_gradient_options options = {.threads = threads, .isa = isa};
    ptf_gradient *g;
    ptf_error err;
    int64_t n = images * ptf_shape_numel(&c->shapes[0]);
    float *dx = floats(n), *out = floats(images * ptf_shape_numel(last(c)));
    if (ptf_gradient_make(&c->net, &c->shapes[0], images, &options, &g, &err) ||
        ptf_gradient_run(g, in, images, out, &err) ||
        ptf_gradient_back(g, d, &err))
        fail_msg("%s", err.message);
    memcpy(dx, ptf_gradient_input(g, 0), (size_t)n * sizeof(float));
    ptf_gradient_free(g);
    free(out);
    return dx;
}

static void expect_bits(const char *what, const char *isa, const float *want,
                        float *got, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t a, b;
        memcpy(&a, want + i, sizeof(a));
        memcpy(&b, got + i, sizeof(b));
        if (a != b)
            fail_msg("%s with %s: number %lld is %08x (%g), expected %08x (%g)",
                     what, isa, (long long)i, b, (double)got[i], a,
                     (double)want[i]);
    }
    free(got);
}

/* ------------------------------------------------------------- of PyTorch */

/* Two samples; see moves.py. */
static const struct {
    const char *label;
    ptf_op op;
    ptf_attrs attrs;
    ptf_shape in, out;
    float y[128], dx[128];
} moves[] = {
#include "moves.inc"
};

static void what_pytorch_gives(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(moves); k++) {
        chain c;
        start(&c, &moves[k].in);
        add(&c, moves[k].op, &moves[k].attrs);
        if (memcmp(last(&c), &moves[k].out, sizeof(ptf_shape)) != 0)
            fail_msg("%s: another shape", moves[k].label);
        int64_t n = ptf_shape_numel(&moves[k].in);
        int64_t outputs = ptf_shape_numel(&moves[k].out);
        float in[128], d[128];
        bool extreme = moves[k].op == PTF_OP_AMAX || moves[k].op == PTF_OP_AMIN;
        for (int64_t i = 0; i < 2 * n; i++)
            in[i] = (float)(extreme ? i * 5 % 11 - 3 : i + 1);
        for (int64_t i = 0; i < 2 * outputs; i++)
            d[i] = (float)(i % 7 * 12 - 24);
        for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
            const char *name = ptf_isa_text((ptf_isa)isa);
            if (!ptf_isa_here((ptf_isa)isa))
                continue;
            expect_bits(moves[k].label, name, moves[k].y,
                        run(&c, in, name, 2, 2), 2 * outputs);
            expect_bits(moves[k].label, name, moves[k].dx,
                        back(&c, in, d, name, 2, 2), 2 * n);
        }
        finish(&c);
    }
}

/* A label for messages: the ops of a chain. */
static const char *name_of(const chain *c)
{
    static char text[256];
    int used =
        snprintf(text, sizeof(text), "seed %llu:", (unsigned long long)draws);
    for (int i = 1; i < c->net.node_count; i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used, " %s",
                         c->nodes[i].name);
    return text;
}

static void loops_give_the_same_bits(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 400; seed++) {
        chain c;
        draw(&c, seed);
        int64_t n = ptf_shape_numel(&c.shapes[0]);
        int64_t outputs = ptf_shape_numel(last(&c));
        float *in = floats(IMAGES * n), *d = floats(IMAGES * outputs);
        float *want = floats(IMAGES * outputs), *dx = floats(IMAGES * n);
        fill(in, IMAGES * n, (int64_t)(seed % 3) * 20);
        fill(d, IMAGES * outputs, seed % 4 == 0 ? 30 : 0);
        for (int i = 0; i < IMAGES; i++)
            loop_over(&c, in + i * n, d + i * outputs, want + i * outputs,
                      dx + i * n);
        for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
            const char *name = ptf_isa_text((ptf_isa)isa);
            int threads = (int)(seed + (uint64_t)isa) % 3 + 1;
            if (!ptf_isa_here((ptf_isa)isa))
                continue;
            expect_bits(name_of(&c), name, want,
                        run(&c, in, name, threads, IMAGES), IMAGES * outputs);
            expect_bits(name_of(&c), name, dx,
                        back(&c, in, d, name, threads, IMAGES), IMAGES * n);
        }
        free(in);
        free(d);
        free(want);
        free(dx);
        finish(&c);
    }
}

/* Maps so large that they are cut between threads, and transposed in tiles. */
static void large_maps_are_cut_between_threads(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        ptf_attrs attrs;
    } cases[] = {
        {PTF_OP_PERMUTE, {.dims = {3, {2, 3, 1}}}},
        {PTF_OP_PERMUTE, {.dims = {3, {3, 2, 1}}}},
        {PTF_OP_PERMUTE, {.dims = {3, {3, 1, 2}}}},
        {PTF_OP_SLICE, {.dim = 3, .start = -1, .step = -1}},
        {PTF_OP_SLICE, {.dim = 1, .start = 3, .step = 1, .length = 20}},
        {PTF_OP_EXPAND, {.size = {4, {2, -1, -1, -1}}}},
        {PTF_OP_SUM, {.dims = {1, {1}}, .keepdim = true}},
        {PTF_OP_MEAN, {.dims = {2, {2, 3}}}},
        {PTF_OP_AMAX, {.dims = {2, {1, 3}}}},
        {PTF_OP_SUM, {.dims = {3, {1, 2, 3}}}},
    };
    const ptf_shape shape = {3, {37, 45, 51}};
    int64_t n = ptf_shape_numel(&shape);
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        chain c;
        ptf_attrs attrs = cases[k].attrs;
        if (cases[k].op == PTF_OP_EXPAND) /* only new axes have a size */
            attrs.size = (ptf_list){4, {2, 37, 45, 51}};
        start(&c, &shape);
        add(&c, cases[k].op, &attrs);
        int64_t outputs = ptf_shape_numel(last(&c));
        float *in = floats(n), *d = floats(outputs), *want = floats(outputs);
        float *dx = floats(n);
        fill(in, n, 0);
        fill(d, outputs, 0);
        loop_over(&c, in, d, want, dx);
        const char *isa = ptf_isa_text(ptf_isa_default());
        expect_bits(name_of(&c), isa, want, run(&c, in, isa, 3, 1), outputs);
        expect_bits(name_of(&c), isa, dx, back(&c, in, d, isa, 3, 1), n);
        free(in);
        free(d);
        free(want);
        free(dx);
        finish(&c);
    }
}

/* ------------------------------------------------------------------- reach */

/* NaN at one position of an axis of the input. */
static void poison(const ptf_shape *in, int axis, int64_t at, float *x)
{
    int64_t place[PTF_SHAPE_MAX];
    for (int64_t i = 0; i < ptf_shape_numel(in); i++) {
        positions(i, in, place);
        if (place[axis] == at)
            x[i] = (float)NAN;
    }
}

static void check_reach(const chain *c, int axis)
{
    const ptf_shape *in = &c->shapes[0], *out = &c->shapes[1];
    ptf_reach reach = ptf_op_reach(c->nodes[1].op, &c->nodes[1].attrs,
                                   out->rank + 1, axis + 1);
    if (reach.kind != PTF_REACH_EACH) {
        assert_int_equal(reach.kind, PTF_REACH_ALL);
        assert_non_null(reach.why);
        return;
    }
    assert_true(axis < in->rank && in->dim[axis] == out->dim[axis]);
    int64_t at = between(0, in->dim[axis] - 1), place[PTF_SHAPE_MAX];
    float *x = floats(ptf_shape_numel(in)), *y = floats(ptf_shape_numel(out));
    poison(in, axis, at, x);
    evaluate(&c->nodes[1], in, out, x, y);
    for (int64_t i = 0; i < ptf_shape_numel(out); i++) {
        positions(i, out, place);
        assert_int_equal(isnan(y[i]), place[axis] == at);
    }
    free(x);
    free(y);
}

/* Also that what is known before shapes are agrees with them. */
static void rules_agree_with_each_other(void **unused)
{
    (void)unused;
    int kept = 0;
    for (uint64_t seed = 1000; seed < 3000; seed++) {
        chain c;
        draws = seed;
        ptf_shape shape = some_shape();
        start(&c, &shape);
        add_some(&c);
        const ptf_node *node = &c.nodes[1];
        assert_int_equal(
            ptf_op_reach(node->op, &node->attrs, c.shapes[1].rank + 1, 0).kind,
            PTF_REACH_EACH);
        for (int d = 0; d < c.shapes[1].rank; d++) {
            check_reach(&c, d);
            kept += ptf_op_reach(node->op, &node->attrs, c.shapes[1].rank + 1,
                                 d + 1)
                        .kind == PTF_REACH_EACH;
        }
        ptf_partial_shape known = {shape.rank + 1, shape.dim[0]}, out;
        for (int k = 0; k < 2; k++, known = (ptf_partial_shape){0, 0}) {
            assert_null(
                ptf_op_partial_shape(node->op, &node->attrs, known, &out));
            assert_true(out.rank == 0 || out.rank == c.shapes[1].rank + 1);
            assert_true(out.channels == 0 ||
                        out.channels == c.shapes[1].dim[0]);
        }
        finish(&c);
    }
    assert_true(kept > 500);
}

static void what_does_not_fit_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        ptf_attrs attrs;
        const char *why; /* begins so */
    } cases[] = {
        {PTF_OP_RESHAPE, {.size = {2, {5, 5}}}, "its sizes have room"},
        {PTF_OP_RESHAPE, {.size = {2, {7, -1}}}, "its sizes have room"},
        {PTF_OP_RESHAPE, {.size = {3, {-1, 2, -1}}}, "its sizes must be"},
        {PTF_OP_RESHAPE, {.size = {2, {0, -1}}}, "its sizes have room"},
        {PTF_OP_RESHAPE,
         {.size = {2, {INT64_MAX, INT64_MAX}}},
         "its sizes must be"},
        {PTF_OP_EXPAND, {.size = {2, {3, 4}}}, "its input has more"},
        {PTF_OP_EXPAND, {.size = {3, {4, 3, 4}}}, "only dimensions of size 1"},
        {PTF_OP_EXPAND, {.size = {4, {-1, 2, 3, 4}}}, "its sizes must be"},
        {PTF_OP_PERMUTE, {.dims = {3, {0, 1, 2}}}, "it would mix"},
        {PTF_OP_PERMUTE, {.dims = {3, {1, 2, -2}}}, "it states a dimension"},
        {PTF_OP_PERMUTE, {.dims = {3, {1, 2, 4}}}, "its input has no such"},
        {PTF_OP_PERMUTE, {.dims = {2, {1, 2}}}, "it states another number"},
        {PTF_OP_SLICE, {.dim = 0, .step = 1}, "it would mix"},
        {PTF_OP_SLICE, {.dim = -4, .step = 1}, "it would mix"},
        {PTF_OP_SLICE, {.dim = 4, .step = 1}, "its input has no such dim"},
        {PTF_OP_SLICE, {.dim = 1, .step = 0}, "its input has no such pos"},
        {PTF_OP_SLICE, {.dim = 1, .start = 2, .step = 1}, "its input has no"},
        {PTF_OP_SLICE, {.dim = 1, .start = -3, .step = 1}, "its input has no"},
        {PTF_OP_SLICE,
         {.dim = 3, .start = 1, .step = 2, .length = 3},
         "its input has no such pos"},
        {PTF_OP_SLICE,
         {.dim = 3, .start = 1, .step = INT64_MIN},
         "its input has no such pos"},
        {PTF_OP_SLICE,
         {.dim = 3, .start = INT64_MIN, .step = 1},
         "its input has no such pos"},
        {PTF_OP_SUM, {.dims = {0}}, "it states no dimensions"},
        {PTF_OP_MEAN, {.dims = {2, {2, 0}}}, "it would mix"},
        {PTF_OP_AMAX, {.dims = {2, {2, -2}}}, "it states a dimension twice"},
        {PTF_OP_AMIN, {.dims = {1, {4}}}, "its input has no such dim"},
    };
    const ptf_shape in = {3, {2, 3, 4}};
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        ptf_shape out;
        const char *wrong =
            ptf_op_shape(cases[k].op, &cases[k].attrs, &in, 1, &out);
        if (wrong == NULL ||
            strncmp(wrong, cases[k].why, strlen(cases[k].why)) != 0)
            fail_msg("case %zu: %s", k, wrong != NULL ? wrong : "taken");
    }
}

/* " dims=[2,3] keepdim=True" and back. */
static void check_graph_text(ptf_arena *arena, ptf_op op,
                             const ptf_attrs *attrs)
{
    static const ptf_shape *const none[PTF_ROLE_COUNT];
    ptf_attr_text texts[8];
    ptf_attrs again;
    char message[256];
    int count = 0, at;
    char *text = ptf_attrs_graph(arena, op, attrs, none), *state_ = NULL;
    assert_non_null(text);
    for (char *t = strtok_r(text, " ", &state_); t != NULL;
         t = strtok_r(NULL, " ", &state_)) {
        char *equals = strchr(t, '=');
        texts[count++] = (ptf_attr_text){{t, (size_t)(equals - t)},
                                         {equals + 1, strlen(equals + 1)}};
    }
    if (ptf_attrs_graph_parse(op, texts, count, none, &again, &at, message))
        fail_msg("%s", message);
    assert_memory_equal(attrs, &again, sizeof(*attrs));
}

/* Every list of attributes reads back as it was printed. */
static void attributes_are_printed_and_read_back(void **unused)
{
    (void)unused;
    ptf_arena arena = {0};
    for (size_t k = 0; k < PTF_ARRAY_SIZE(moves); k++) {
        ptf_attrs attrs, again;
        char message[256];
        ptf_attrs_default(moves[k].op, &attrs);
        attrs.dims = moves[k].attrs.dims;
        attrs.size = moves[k].attrs.size;
        attrs.dim = moves[k].attrs.dim;
        attrs.start = moves[k].attrs.start;
        attrs.length = moves[k].attrs.length;
        attrs.keepdim = moves[k].attrs.keepdim;
        if (moves[k].op == PTF_OP_SLICE)
            attrs.step = moves[k].attrs.step;
        char *text = ptf_op_text(&arena, moves[k].op, &attrs);
        assert_non_null(text);
        text = strchr(text, '(') + 1;
        if (ptf_attrs_parse(moves[k].op, "", text, strlen(text) - 1, &again,
                            message) != NULL)
            fail_msg("%s: %s", text, message);
        assert_memory_equal(&attrs, &again, sizeof(attrs));
        check_graph_text(&arena, moves[k].op, &attrs);
    }
    ptf_arena_free(&arena);
}

/* -------------------------------------------------------------- enclosures */

/* Exact values of one image in long double; extremes and moves are exact. */
static void evaluate_exactly(const ptf_node *node, const ptf_shape *in,
                             const ptf_shape *out, const long double *x,
                             long double *y)
{
    int64_t n = ptf_shape_numel(in), outputs = ptf_shape_numel(out);
    bool most = node->op == PTF_OP_AMAX, least = node->op == PTF_OP_AMIN;
    for (int64_t i = 0; i < outputs; i++) {
        if (is_view(node->op))
            y[i] = x[source(node, in, out, i)];
        else
            y[i] = most    ? -(long double)INFINITY
                   : least ? (long double)INFINITY
                           : 0;
    }
    for (int64_t i = 0; i < n && !is_view(node->op); i++) {
        long double *to = &y[target(node, in, i)];
        if (most || least)
            *to = most ? fmaxl(*to, x[i]) : fminl(*to, x[i]);
        else
            *to += x[i];
    }
    for (int64_t i = 0; i < outputs && node->op == PTF_OP_MEAN; i++)
        y[i] /= (long double)(n / outputs);
}

/* A chain's balls of one image, without and with what a run may be off by. */
static void enclose(const chain *c, const float *in, bool executed,
                    double *value, double *radius)
{
    ptf_enclosure *enc;
    ptf_error err;
    if (ptf_enclosure_make_with(&c->net, NULL, &c->shapes[0], 1, &enc, &err))
        fail_msg("%s", err.message);
    const float *taps[CHAIN] = {in};
    if (ptf_enclosure_run_taps(enc, taps, 1, executed, &err))
        fail_msg("%s", err.message);
    assert_int_equal(ptf_enclosure_bad(enc, 0), -1);
    ptf_balls balls = ptf_enclosure_node(enc, output_of(&c->net), 0);
    size_t size = (size_t)ptf_shape_numel(last(c)) * sizeof(double);
    memcpy(value, balls.value, size);
    memcpy(radius, balls.radius, size);
    ptf_enclosure_free(enc);
}

static void check_enclosure(const chain *c, const float *in)
{
    int64_t n = ptf_shape_numel(&c->shapes[0]);
    int64_t outputs = ptf_shape_numel(last(c));
    long double *exact[CHAIN];
    for (int i = 0; i < c->net.node_count; i++) {
        exact[i] =
            calloc((size_t)ptf_shape_numel(&c->shapes[i]), sizeof(long double));
        assert_non_null(exact[i]);
    }
    for (int64_t i = 0; i < n; i++)
        exact[0][i] = (long double)in[i];
    for (int i = 1; i < c->net.node_count; i++)
        evaluate_exactly(&c->nodes[i], &c->shapes[i - 1], &c->shapes[i],
                         exact[i - 1], exact[i]);
    double *value = calloc((size_t)outputs, sizeof(double));
    double *radius = calloc((size_t)outputs, sizeof(double));
    float *got = run(c, in, NULL, 1, 1);
    for (int executed = 0; executed < 2; executed++) {
        enclose(c, in, executed, value, radius);
        for (int64_t i = 0; i < outputs; i++) {
            long double at = (long double)value[i];
            double off = (double)fabsl(exact[output_of(&c->net)][i] - at);
            if (off > radius[i] || radius[i] > (executed ? 1e5 : 1e-3) ||
                (executed && fabs((double)got[i] - value[i]) > radius[i]))
                fail_msg("%s: %lld", name_of(c), (long long)i);
        }
    }
    for (int i = 0; i < c->net.node_count; i++)
        free(exact[i]);
    free(value);
    free(radius);
    free(got);
}

static void enclosures_hold_the_exact_value_and_a_run(void **unused)
{
    (void)unused;
    for (uint64_t seed = 5000; seed < 5300; seed++) {
        chain c;
        draw(&c, seed);
        int64_t n = ptf_shape_numel(&c.shapes[0]);
        float *in = floats(n);
        fill(in, n, 0);
        check_enclosure(&c, in);
        free(in);
        finish(&c);
    }
}

/* The terms of a sum of n equal numbers are the worst that rounding can do. */
static void bounds_of_sums_are_not_wide(void **unused)
{
    (void)unused;
    const ptf_shape shape = {1, {10000}};
    const ptf_attrs attrs = {.dims = {1, {1}}};
    chain c;
    start(&c, &shape);
    add(&c, PTF_OP_MEAN, &attrs);
    float *in = floats(10000);
    double value, radius;
    for (int i = 0; i < 10000; i++)
        in[i] = 1.0F / 3;
    enclose(&c, in, true, &value, &radius);
    float *got = run(&c, in, NULL, 1, 1);
    double off = fabs((double)got[0] - value);
    assert_true(off > 0 && off <= radius && radius < 300 * 0x1p-24);
    free(got);
    free(in);
    finish(&c);
}

/* ------------------------------------------------------------------- counts */

static void counts(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        ptf_attrs attrs;
        int64_t additions, others, back_additions, back_others, bytes;
    } cases[] = {
        {PTF_OP_RESHAPE, {.size = {1, {-1}}}, 0, 0, 0, 0, 0},
        {PTF_OP_PERMUTE, {.dims = {3, {2, 3, 1}}}, 0, 0, 0, 0, 4 * 48},
        {PTF_OP_SLICE, {.dim = 3, .step = 2}, 0, 0, 0, 0, 4 * 36},
        {PTF_OP_EXPAND, {.size = {4, {5, 2, 3, 4}}}, 0, 0, 120, 0, 4 * 144},
        {PTF_OP_SUM, {.dims = {1, {2}}}, 16, 0, 0, 0, 4 * 32},
        {PTF_OP_MEAN, {.dims = {2, {2, 3}}}, 22, 2, 0, 2, 4 * 26},
        {PTF_OP_AMAX, {.dims = {1, {1}}}, 0, 12, 0, 36, 4 * 36},
    };
    const ptf_shape shape = {3, {2, 3, 4}};
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        chain c;
        ptf_count layer, total;
        const ptf_count_options options = {.input_gradient = true};
        start(&c, &shape);
        add(&c, cases[k].op, &cases[k].attrs);
        c.net.containers = &(ptf_container){"", "Net", -1, 0, true};
        c.net.container_count = 1;
        assert_int_equal(
            ptf_net_count(&c.net, &shape, &options, &layer, &total, NULL),
            PTF_OK);
        assert_int_equal(layer.forward.macs, 0);
        assert_int_equal(layer.forward.additions, cases[k].additions);
        assert_int_equal(layer.forward.others, cases[k].others);
        assert_int_equal(layer.input_gradient.additions,
                         cases[k].back_additions);
        assert_int_equal(layer.input_gradient.others, cases[k].back_others);
        assert_int_equal(layer.input_bytes + layer.output_bytes,
                         cases[k].bytes);
        finish(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_pytorch_gives),
        cmocka_unit_test(loops_give_the_same_bits),
        cmocka_unit_test(large_maps_are_cut_between_threads),
        cmocka_unit_test(rules_agree_with_each_other),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(attributes_are_printed_and_read_back),
        cmocka_unit_test(enclosures_hold_the_exact_value_and_a_run),
        cmocka_unit_test(bounds_of_sums_are_not_wide),
        cmocka_unit_test(counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
