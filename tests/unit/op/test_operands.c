/*
 * Ops of several operands in every stage, against what PyTorch gave
 * (operands.inc): on all instruction sets, with gradients and enclosures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"
#include "kernel/kernel.h"
#include "net/net.h"
#include "ports.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SAMPLES = 2, OPERANDS = 3, MOST = 512, NODES = 6 + 2 * OPERANDS };

/* Two samples, each of all operands one after the other; see operands.py. */
typedef struct row {
    const char *label;
    ptf_op op;
    ptf_attrs attrs;
    int operands;
    ptf_shape in[OPERANDS], out;
    float x[MOST], y[MOST], dx[MOST];
} row;

static const row rows[] = {
#include "operands.inc"
};

/* The input is cut into the operands of the last node. */
typedef struct net_of {
    ptf_net net;
    ptf_node nodes[NODES];
    ptf_shape input, shapes[NODES];
    ptf_tensor tensors[OPERANDS];
} net_of;

static int add(net_of *n, ptf_op op, const ptf_attrs *attrs, int count,
               const int *inputs)
{
    int at = n->net.node_count++;
    ptf_node *node = &n->nodes[at];
    node->op = op;
    node->name = node->text = node->class_name = ptf_op_info(op)->name;
    node->file = "test";
    node->attrs = *attrs;
    assert_true(ptf_node_read(&n->net.arena, node, count, inputs));
    give_output(&n->net, at);
    return at;
}

/* Operand k, as a part of the input or the constant of sample 0. */
static int add_operand(net_of *n, const row *r, int k, int64_t first,
                       bool constant)
{
    ptf_attrs attrs;
    const ptf_shape *shape = &r->in[k];
    if (constant) {
        ptf_tensor *t = &n->tensors[k];
        *t = (ptf_tensor){.name = "constant",
                          .dtype = PTF_DTYPE_F32,
                          .rank = shape->rank,
                          .data = (void *)(uintptr_t)(r->x + first)};
        int64_t step = 1;
        for (int d = shape->rank - 1; d >= 0; step *= shape->dim[d--]) {
            t->shape[d] = shape->dim[d];
            t->stride[d] = step;
        }
        ptf_attrs_default(PTF_OP_CONSTANT, &attrs);
        int at = add(n, PTF_OP_CONSTANT, &attrs, 0, NULL);
        n->nodes[at].tensors[PTF_ROLE_WEIGHT] = t;
        return at;
    }
    ptf_attrs_default(PTF_OP_SLICE, &attrs);
    attrs.dim = 1;
    attrs.start = first;
    attrs.length = ptf_shape_numel(shape);
    int part = add(n, PTF_OP_SLICE, &attrs, 1, &(int){0});
    ptf_attrs_default(PTF_OP_RESHAPE, &attrs);
    attrs.size.count = shape->rank;
    memcpy(attrs.size.at, shape->dim, sizeof(shape->dim));
    return add(n, PTF_OP_RESHAPE, &attrs, 1, &part);
}

static void make(net_of *n, const row *r, unsigned constants)
{
    ptf_error err;
    int operands[OPERANDS];
    int64_t size = 0;
    memset(n, 0, sizeof(*n));
    n->nodes[0].name = "";
    n->net.nodes = n->nodes;
    n->net.node_count = 1;
    give_input(&n->net, NULL);
    n->net.has_tensors = true;
    for (int k = 0; k < r->operands; k++) {
        operands[k] = add_operand(n, r, k, size, (constants >> k & 1) != 0);
        size += ptf_shape_numel(&r->in[k]);
    }
    n->input = (ptf_shape){1, {size}};
    add(n, r->op, &r->attrs, r->operands, operands);
    if (ptf_net_shapes(&n->net, &n->input, n->shapes, &err) != PTF_OK)
        fail_msg("%s: %s", r->label, err.message);
    if (memcmp(&n->shapes[output_of(&n->net)], &r->out, sizeof(r->out)) != 0)
        fail_msg("%s: another shape", r->label);
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return isnan(x) ? 0x7fc00000u : bits;
}

static void expect_bits(const row *r, const char *what, const float *want,
                        const float *got, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &got[i], sizeof(bits));
        if (bits != bits_of(want[i]))
            fail_msg("%s, %s: number %lld is %g (%08x), expected %g", r->label,
                     what, (long long)i, (double)got[i], bits, (double)want[i]);
    }
}

/* Zeros of both signs are one: PyTorch's sums begin with another one.  Slopes
 * of powers are products, of which PyTorch rounds each. */
static void expect_numbers(const row *r, const float *want, const float *got,
                           int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double off = fabs((double)want[i] - (double)got[i]);
        double most = r->op == PTF_OP_POWER ? 0x1p-22 : 0;
        bool same = (want[i] <= got[i] && want[i] >= got[i]) ||
                    off <= most * fabs((double)want[i]);
        if (!same && !(isnan(want[i]) && isnan(got[i])))
            fail_msg("%s: gradient %lld is %g, expected %g", r->label,
                     (long long)i, (double)got[i], (double)want[i]);
    }
}

/* ----------------------------------------------------------------- forward */

static void run(const net_of *n, const float *x, int64_t samples,
                const char *isa, int threads, float *y)
{
    ptf_plan_options options = {.threads = threads, .isa = isa};
    ptf_plan *plan;
    ptf_error err;
    if (ptf_plan_make(&n->net, &n->input, samples, &options, &plan, &err) ||
        ptf_plan_run(plan, x, samples, y, &err))
        fail_msg("%s", err.message);
    ptf_plan_free(plan);
}

static void what_pytorch_gives(void **unused)
{
    (void)unused;
    float y[MOST];
    for (size_t k = 0; k < PTF_ARRAY_SIZE(rows); k++) {
        const row *r = &rows[k];
        int64_t outputs = ptf_shape_numel(&r->out);
        net_of n;
        for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
            if (!ptf_isa_here((ptf_isa)isa))
                continue;
            const char *name = ptf_isa_text((ptf_isa)isa);
            make(&n, r, 0);
            run(&n, r->x, SAMPLES, name, 1 + isa % 3, y);
            expect_bits(r, name, r->y, y, SAMPLES * outputs);
            ptf_arena_free(&n.net.arena);
            for (unsigned c = 1; c < (1U << r->operands) - 1; c++) {
                make(&n, r, c); /* of sample 0 */
                run(&n, r->x, 1, name, 2, y);
                expect_bits(r, "with constants", r->y, y, outputs);
                ptf_arena_free(&n.net.arena);
            }
        }
    }
}

/* Rows with gaps, and each of the three operands repeated or not. */
static void check_where(const ptf_kernels *kernels, int repeated, int64_t n)
{
    enum { ROWS = 3, APART = 71 };
    float x[3][ROWS * APART], y[ROWS * APART] = {0};
    int64_t step[3];
    for (int i = 0; i < 3 * ROWS * APART; i++)
        (&x[0][0])[i] = (float)(i * 7 % 5 - 2) * (i % 11 == 0 ? NAN : 1.0F);
    for (int k = 0; k < 3; k++)
        step[k] = repeated >> k & 1 ? 0 : 1;
    ptf_grid g = {.rows = ROWS,
                  .n = n,
                  .y_row = APART,
                  .a_row = APART,
                  .b_row = 0,
                  .c_row = APART,
                  .a_step = step[0],
                  .b_step = step[1],
                  .c_step = step[2]};
    kernels->where(&g, y, x[0], x[1], x[2]);
    for (int64_t i = 0; i < ROWS * APART; i++) {
        int64_t r = i / APART * APART, at = i % APART;
        float c = x[0][r + at * step[0]], want = 0;
        if (at < n)
            want = c < 0 || c > 0 || isnan(c) ? x[1][at * step[1]]
                                              : x[2][r + at * step[2]];
        assert_memory_equal(&y[i], &want, sizeof(want));
    }
}

static void where_is_the_same_on_all_instruction_sets(void **unused)
{
    (void)unused;
    for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
        for (int i = 0; ptf_isa_here((ptf_isa)isa) && i < 8 * 70; i++)
            check_where(ptf_kernels_get((ptf_isa)isa), i % 8, 1 + i / 8);
    }
}

/* -------------------------------------------------------------------- back */

static void gradients_are_those_of_pytorch(void **unused)
{
    (void)unused;
    float y[MOST], d[MOST];
    for (int i = 0; i < MOST; i++)
        d[i] = (float)(i % 7 - 2);
    for (size_t k = 0; k < PTF_ARRAY_SIZE(rows); k++) {
        const row *r = &rows[k];
        for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
            ptf_gradient_options options = {.threads = 1 + isa % 3,
                                            .isa = ptf_isa_text((ptf_isa)isa)};
            ptf_gradient *g;
            ptf_error err;
            net_of n;
            if (!ptf_isa_here((ptf_isa)isa))
                continue;
            make(&n, r, 0);
            if (ptf_gradient_make(&n.net, &n.input, SAMPLES, &options, &g,
                                  &err) ||
                ptf_gradient_run(g, r->x, SAMPLES, y, &err) ||
                ptf_gradient_back(g, d, &err))
                fail_msg("%s: %s", r->label, err.message);
            expect_numbers(r, r->dx, ptf_gradient_input(g, 0),
                           SAMPLES * ptf_shape_numel(&n.input));
            ptf_gradient_free(g);
            ptf_arena_free(&n.net.arena);
        }
    }
}

/* -------------------------------------------------------------- enclosures */

/* Balls of sample 0, whose numbers are known. */
static void check_balls(const row *r, bool executed)
{
    ptf_enclosure *enc;
    ptf_error err;
    net_of n;
    make(&n, r, 0);
    if (ptf_enclosure_make_with(&n.net, NULL, &n.input, 1, &enc, &err))
        fail_msg("%s", err.message);
    const float *taps[NODES] = {r->x};
    if (ptf_enclosure_run_taps(enc, taps, 1, executed, &err))
        fail_msg("%s", err.message);
    ptf_balls balls = ptf_enclosure_node(enc, output_of(&n.net), 0);
    for (int64_t i = 0; i < ptf_shape_numel(&r->out); i++) {
        double off = fabs((double)r->y[i] - balls.value[i]);
        double most = 4 * 0x1p-24 * fabs((double)r->y[i]) + 0x1p-140;
        if (isfinite(r->y[i]) && executed && !(off <= balls.radius[i]) &&
            isfinite(balls.value[i]) && isfinite(balls.radius[i]))
            fail_msg("%s: ball %lld does not hold %g", r->label, (long long)i,
                     (double)r->y[i]);
        if (isfinite(balls.radius[i]) && balls.radius[i] > most &&
            !(balls.radius[i] <= 0.5 && balls.value[i] > 0))
            fail_msg("%s: ball %lld is wide", r->label, (long long)i);
    }
    ptf_enclosure_free(enc);
    ptf_arena_free(&n.net.arena);
}

static void balls_hold_the_run_and_are_not_wide(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(rows); k++) {
        check_balls(&rows[k], false);
        check_balls(&rows[k], true);
    }
}

/* ---------------------------------------------------- pairs, in long double */

static uint64_t state = 1;

static double drawn(double low, double high)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(state >> 11) * 0x1p-53;
}

static long double floored_rest(long double a, long double b)
{
    long double rest = fmodl(a, b);
    return (rest < 0 && b > 0) || (rest > 0 && b < 0) ? rest + b : rest;
}

static long double exact(ptf_op op, long double a, long double b)
{
    bool x = a < 0 || a > 0, y = b < 0 || b > 0;
    const long double results[] = {
        [PTF_OP_EQ - PTF_OP_EQ] = a <= b && a >= b,
        [PTF_OP_NE - PTF_OP_EQ] = a < b || a > b,
        [PTF_OP_LT - PTF_OP_EQ] =
            a<b, [PTF_OP_LE - PTF_OP_EQ] = a <= b, [PTF_OP_GT - PTF_OP_EQ] = a>
                b,
        [PTF_OP_GE - PTF_OP_EQ] = a >= b,
        [PTF_OP_LOGICAL_AND - PTF_OP_EQ] = x && y,
        [PTF_OP_LOGICAL_OR - PTF_OP_EQ] = x || y,
        [PTF_OP_LOGICAL_XOR - PTF_OP_EQ] = x != y,
        [PTF_OP_REMAINDER - PTF_OP_EQ] = floored_rest(a, b),
        [PTF_OP_FMOD - PTF_OP_EQ] = fmodl(a, b),
        [PTF_OP_FLOOR_DIVIDE - PTF_OP_EQ] = rintl((a - floored_rest(a, b)) / b),
        [PTF_OP_POWER - PTF_OP_EQ] = powl(a, b),
    };
    return results[op - PTF_OP_EQ];
}

/* Points in balls, at their rims too, and f32 runs of points that are f32. */
static void balls_of_pairs_hold_all_points(void **unused)
{
    (void)unused;
    static const double radii[] = {0, 0x1p-30, 0x1p-10, 0.3};
    for (int op = PTF_OP_EQ; op <= PTF_OP_POWER; op++) {
        int wide = 0, undecided = 0;
        for (int i = 0; i < 20000; i++) {
            double p = radii[i % 4], q = radii[i / 4 % 4];
            double a = i % 3 == 0 ? rint(drawn(-5, 5)) : drawn(-9, 9);
            double b = i % 5 == 0 ? rint(drawn(-5, 5)) : drawn(-4, 4);
            double y, r, near = fabs(b) - q;
            if (op == PTF_OP_POWER) {
                a = fabs(a);
                near = a - p;
            }
            ptf_enclose_binary((ptf_op)op, 1, i % 2, (ptf_balls){&a, &p}, 1,
                               (ptf_balls){&b, &q}, 1, (ptf_balls){&y, &r});
            if (!isfinite(r) && near <= 0) {
                wide++;
                continue;
            }
            long double x = (long double)(a + p * rint(drawn(-1, 1)));
            long double z = (long double)(b + q * rint(drawn(-1, 1)));
            long double want = exact((ptf_op)op, x, z);
            if (!(fabsl(want - (long double)y) <= (long double)r))
                fail_msg("%s(%a +- %a, %a +- %a): %a +- %a, but %La",
                         ptf_op_info((ptf_op)op)->name, a, p, b, q, y, r, want);
            undecided += r > 0.01;
        }
        bool divides = op >= PTF_OP_REMAINDER;
        assert_true(wide == 0 || divides);
        assert_true(undecided > 0 && undecided < (divides ? 16000 : 8000));
    }
}

/* ------------------------------------------------------------------ indices */

/* Five numbers and one index into them. */
static void make_gather(net_of *n, row *r, ptf_op op, float index)
{
    memset(r, 0, sizeof(*r));
    r->label = "index";
    r->op = op;
    r->operands = 2;
    r->attrs.dim = 1;
    r->in[0] = (ptf_shape){1, {5}};
    r->in[1] = r->out = (ptf_shape){1, {1}};
    for (int i = 0; i < 5; i++)
        r->x[i] = (float)(10 + i);
    r->x[5] = index;
    make(n, r, 0);
}

static void indices_that_name_nothing_are_errors(void **unused)
{
    (void)unused;
    static const float none[] = {5, -6, 1e30F, 0.5F, NAN, -INFINITY, -1, -5};
    static const ptf_op ops[] = {PTF_OP_INDEX, PTF_OP_INDEX_SELECT,
                                 PTF_OP_GATHER};
    for (int i = 0; i < 3 * 8; i++) {
        net_of n;
        row r;
        ptf_plan *plan;
        ptf_error err;
        float y, at = none[i % 8];
        bool wraps = i / 8 == 0 && i % 8 > 5;
        make_gather(&n, &r, ops[i / 8], at);
        assert_int_equal(ptf_plan_make(&n.net, &n.input, 1, NULL, &plan, &err),
                         PTF_OK);
        ptf_status status = ptf_plan_run(plan, r.x, 1, &y, &err);
        assert_int_equal(status, wraps ? PTF_OK : PTF_ARGUMENT);
        if (wraps)
            assert_true(y >= 15 + at && y <= 15 + at);
        else if (i == 0)
            assert_non_null(
                strstr(err.message, "expected an index from -5 to 4, got 5"));
        r.x[5] = 2; /* the next run is right again */
        assert_int_equal(ptf_plan_run(plan, r.x, 1, &y, &err), PTF_OK);
        ptf_plan_free(plan);
        ptf_arena_free(&n.net.arena);
    }
}

/* In front of the last node: its index times 1/3 and 3, rounded up. */
static void add_ceil(net_of *n, bool blurs)
{
    static float third = 3;
    ptf_node gather = n->nodes[output_of(&n->net)];
    ptf_attrs attrs;
    int index = gather.inputs[1];
    n->net.node_count--;
    if (blurs) {
        ptf_tensor *t = &n->tensors[0];
        *t = (ptf_tensor){
            .name = "third", .dtype = PTF_DTYPE_F32, .data = &third};
        ptf_attrs_default(PTF_OP_DIV, &attrs);
        int by = add(n, PTF_OP_CONSTANT, &attrs, 0, NULL);
        n->nodes[by].tensors[PTF_ROLE_WEIGHT] = t;
        int part = add(n, PTF_OP_DIV, &attrs, 2, (const int[]){index, by});
        index = add(n, PTF_OP_MUL, &attrs, 2, (const int[]){part, by});
        index = add(n, PTF_OP_CEIL, &attrs, 1, &index);
    }
    add(n, gather.op, &gather.attrs, 2, (const int[]){gather.inputs[0], index});
}

/* The index is a ceiling of what may be just above an integer. */
static void undecided_indices_hold_all_that_they_name(void **unused)
{
    (void)unused;
    static const struct {
        float index;
        bool says;
        double low, high;
    } cases[] = {{2, true, 12, 12},     {1.1F, true, 12, 12}, {1, true, 10, 12},
                 {-0.1F, true, 10, 10}, {4, false, 0, 0},     {5, false, 0, 0}};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        net_of n;
        row r;
        ptf_enclosure *enc;
        make_gather(&n, &r, PTF_OP_INDEX_SELECT, cases[i].index);
        add_ceil(&n, i > 0);
        assert_int_equal(
            ptf_enclosure_make_with(&n.net, NULL, &n.input, 1, &enc, NULL),
            PTF_OK);
        const float *taps[NODES] = {r.x};
        assert_int_equal(ptf_enclosure_run_taps(enc, taps, 1, true, NULL),
                         PTF_OK);
        assert_int_equal(ptf_enclosure_bad(enc, 0),
                         cases[i].says ? -1 : output_of(&n.net));
        ptf_balls b = ptf_enclosure_node(enc, output_of(&n.net), 0);
        if (cases[i].says) {
            double most = (cases[i].high - cases[i].low) / 2 + 0x1p-39;
            if (!(b.value[0] - b.radius[0] <= cases[i].low &&
                  b.value[0] + b.radius[0] >= cases[i].high &&
                  b.radius[0] <= most))
                fail_msg("case %zu: %a +- %a", i, b.value[0], b.radius[0]);
        }
        ptf_enclosure_free(enc);
        ptf_arena_free(&n.net.arena);
    }
}

/* ----------------------------------------------------------------- refusals */

static void what_does_not_fit_is_refused(void **unused)
{
    (void)unused;
    const ptf_shape in[3] = {{2, {2, 3}}, {1, {3}}, {2, {4, 3}}};
    ptf_attrs attrs;
    ptf_shape out;
    ptf_attrs_default(PTF_OP_WHERE, &attrs);
    assert_string_equal(ptf_op_shape(PTF_OP_WHERE, &attrs, in, 3, &out),
                        "the sizes of its inputs do not fit each other");
    assert_true(ptf_op_takes(PTF_OP_WHERE, 3));
    assert_false(ptf_op_takes(PTF_OP_WHERE, 2));
    assert_false(ptf_op_takes(PTF_OP_WHERE, 4));
    static const struct {
        ptf_op op;
        int64_t dim;
        ptf_shape x, index;
        const char *why;
    } cases[] = {
        {PTF_OP_INDEX,
         0,
         {1, {3}},
         {1, {3}},
         "it would mix the samples of a batch"},
        {PTF_OP_INDEX_SELECT,
         2,
         {1, {3}},
         {1, {3}},
         "its input has no such dimension"},
        {PTF_OP_INDEX,
         1,
         {5, {1, 1, 1, 1, 1}},
         {5, {1, 1, 1, 1, 1}},
         "its output has too many dimensions"},
        {PTF_OP_GATHER,
         1,
         {2, {3, 2}},
         {1, {3}},
         "its indices are of other axes than its input"},
        {PTF_OP_GATHER,
         1,
         {2, {3, 2}},
         {2, {9, 3}},
         "its indices are of other axes than its input"},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        const ptf_shape both[2] = {cases[i].x, cases[i].index};
        attrs.dim = cases[i].dim;
        assert_string_equal(ptf_op_shape(cases[i].op, &attrs, both, 2, &out),
                            cases[i].why);
    }
    assert_int_equal(ptf_op_reach(PTF_OP_GATHER, &attrs, 3, 2).kind,
                     PTF_REACH_ALL);
    assert_int_equal(ptf_op_reach(PTF_OP_GATHER, &attrs, 3, 0).kind,
                     PTF_REACH_EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_pytorch_gives),
        cmocka_unit_test(where_is_the_same_on_all_instruction_sets),
        cmocka_unit_test(gradients_are_those_of_pytorch),
        cmocka_unit_test(balls_hold_the_run_and_are_not_wide),
        cmocka_unit_test(balls_of_pairs_hold_all_points),
        cmocka_unit_test(indices_that_name_nothing_are_errors),
        cmocka_unit_test(undecided_indices_hold_all_that_they_name),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
