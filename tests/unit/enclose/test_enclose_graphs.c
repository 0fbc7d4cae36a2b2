/*
 * Enclosures of functions of two numbers and of nets that are no chains,
 * against long double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"
#include "ports.h"

#include "graphs.h"
#include "scene.h"

/* ------------------------------------------------------------- two numbers */

static const ptf_op ops[] = {PTF_OP_ADD, PTF_OP_SUB,     PTF_OP_MUL,
                             PTF_OP_DIV, PTF_OP_MAXIMUM, PTF_OP_MINIMUM};

static long double of_two(ptf_op op, long double a, long double b)
{
    return op == PTF_OP_ADD       ? a + b
           : op == PTF_OP_SUB     ? a - b
           : op == PTF_OP_MUL     ? a * b
           : op == PTF_OP_DIV     ? a / b
           : op == PTF_OP_MAXIMUM ? fmaxl(a, b)
                                  : fminl(a, b);
}

/* Divisors are away from 0. */
static void fill_two(scene *a, scene *b, double radius)
{
    fill(a, radius);
    fill(b, radius);
    for (int i = 0; i < MOST; i++) {
        double away = b->value[i] < 0 ? -0.25 : 0.25;
        b->value[i] += away;
        b->point[i] += away;
    }
}

static void points_at_the_rim_are_inside(void **unused)
{
    (void)unused;
    static scene a, b;
    static const double radii[] = {0, 0x1p-40, 0x1p-20, 0x1p-4};
    for (size_t o = 0; o < PTF_ARRAY_SIZE(ops); o++)
        for (size_t r = 0; r < PTF_ARRAY_SIZE(radii); r++) {
            fill_two(&a, &b, radii[r]);
            ptf_enclose_binary(ops[o], MOST, false, before(&a), 1, before(&b),
                               1, after(&a));
            for (int i = 0; i < MOST; i++) {
                long double y = of_two(ops[o], (long double)a.point[i],
                                       (long double)b.point[i]);
                double off = (double)fabsl(y - (long double)a.out_value[i]);
                assert_true(off <= a.out_radius[i]);
                assert_true(a.out_radius[i] < 32 * radii[r] + 0x1p-50);
            }
        }
}

/* What f32 gives for points that f32 holds. */
static void runs_are_inside_executed_balls(void **unused)
{
    (void)unused;
    static scene a, b;
    static const double sizes[] = {1, 0x1p-75, 0x1p-140};
    for (size_t o = 0; o < PTF_ARRAY_SIZE(ops); o++)
        for (size_t k = 0; k < PTF_ARRAY_SIZE(sizes); k++) {
            int apart = 0;
            fill_two(&a, &b, 0);
            for (int i = 0; i < MOST; i++) {
                a.value[i] = (double)(float)(a.value[i] * sizes[k]);
                b.value[i] = (double)(float)(b.value[i] * sizes[k]);
            }
            ptf_enclose_binary(ops[o], MOST, true, before(&a), 1, before(&b), 1,
                               after(&a));
            for (int i = 0; i < MOST; i++) {
                float x = (float)a.value[i], y = (float)b.value[i];
                float z = ops[o] == PTF_OP_ADD       ? x + y
                          : ops[o] == PTF_OP_SUB     ? x - y
                          : ops[o] == PTF_OP_MUL     ? x * y
                          : ops[o] == PTF_OP_DIV     ? x / y
                          : ops[o] == PTF_OP_MAXIMUM ? fmaxf(x, y)
                                                     : fminf(x, y);
                double off = fabs((double)z - a.out_value[i]);
                assert_true(off <= a.out_radius[i]);
                apart += off > 0;
            }
            /* What is not executed would not hold them. */
            assert_true(k > 0 || ops[o] == PTF_OP_MAXIMUM ||
                        ops[o] == PTF_OP_MINIMUM || apart > MOST / 4);
        }
}

static ptf_balls one(double *value, double *radius)
{
    return (ptf_balls){value, radius};
}

static bool says_nothing(ptf_op op, double a, double p, double b, double q)
{
    double y, r;
    ptf_enclose_binary(op, 1, false, one(&a, &p), 1, one(&b, &q), 1,
                       one(&y, &r));
    return ptf_balls_first_bad(one(&y, &r), 1) == 0;
}

static void a_divisor_that_may_be_zero_says_nothing(void **unused)
{
    (void)unused;
    assert_true(says_nothing(PTF_OP_DIV, 1, 0, 0, 0));
    assert_true(says_nothing(PTF_OP_DIV, 0, 0, 0, 0));
    assert_true(says_nothing(PTF_OP_DIV, 1, 0, 0.5, 0.5));
    assert_true(says_nothing(PTF_OP_DIV, 1, 0, -0.25, 0.5));
    assert_true(says_nothing(PTF_OP_DIV, 1, 0, 1, (double)NAN));
    assert_true(says_nothing(PTF_OP_DIV, 1, HUGE_VAL, 1, 0));
    assert_true(says_nothing(PTF_OP_DIV, 1, 0, 0x1p-1074, 0));
    assert_false(says_nothing(PTF_OP_DIV, 1, 0, 0.5, 0.25));
    assert_false(says_nothing(PTF_OP_DIV, 0, 0, -3, 1));
}

static void nan_says_nothing_on_either_side(void **unused)
{
    (void)unused;
    for (size_t o = 0; o < PTF_ARRAY_SIZE(ops); o++) {
        assert_true(says_nothing(ops[o], (double)NAN, 0, 1, 0));
        assert_true(says_nothing(ops[o], 1, 0, (double)NAN, 0));
        assert_true(says_nothing(ops[o], 1, HUGE_VAL, 1, 0));
        assert_true(says_nothing(ops[o], 1, 0, 1, HUGE_VAL));
    }
}

/* Products and quotients of numbers that double hardly holds. */
static void what_underflows_is_inside(void **unused)
{
    (void)unused;
    static const double small[] = {0x1p-1074, 0x1.8p-1040, 0x1p-600, 0x1p-400};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) {
            double a = small[i], p = small[i] / 4, b = small[k];
            double q = small[k] / 4, y, r;
            long double top = (long double)a + (long double)p;
            long double least = (long double)b - (long double)q;
            ptf_enclose_binary(PTF_OP_MUL, 1, false, one(&a, &p), 1,
                               one(&b, &q), 1, one(&y, &r));
            long double exact = top * ((long double)b + (long double)q);
            assert_true(fabsl(exact - (long double)y) <= (long double)r);
            ptf_enclose_binary(PTF_OP_DIV, 1, false, one(&a, &p), 1,
                               one(&b, &q), 1, one(&y, &r));
            assert_true(
                !(fabsl(top / least - (long double)y) > (long double)r));
        }
}

/* -------------------------------------------------------------------- nets */

static const graph_window same = {3, 1, 1}, apart = {3, 2, 1},
                          point = {1, 1, 0};

/*
 * Values with several readers, near and far: after products of few pixels,
 * where threads share an image, and before them; views of them; a constant that
 * two nodes read, one of rank 0 and one that a product reads; a node that
 * nobody reads; the same node twice; an output that others read.
 */
static void build_knot(graph *g)
{
    graph_start(g, &(ptf_shape){3, {3, 12, 12}});
    int scale = graph_constant(g, "scale", &(ptf_shape){3, {2, 1, 1}});
    int half = graph_constant(g, "half", &(ptf_shape){0, {0}});
    int mask = graph_constant(g, "mask", &(ptf_shape){2, {12, 12}});
    int map = graph_constant(g, "map", &(ptf_shape){3, {3, 12, 12}});
    int first = graph_conv(g, "first", 0, 3, 2, same, true);
    int stem = graph_one(g, "stem", PTF_OP_RELU, first);
    int kept = graph_one(g, "kept", PTF_OP_DROPOUT, stem);
    int conv = graph_conv(g, "conv", kept, 2, 2, same, false);
    int norm = graph_norm(g, "norm", conv, 2);
    int skip = graph_two(g, "skip", PTF_OP_ADD, norm, kept);
    graph_one(g, "unread", PTF_OP_RELU, skip);
    int scaled = graph_two(g, "scaled", PTF_OP_MUL, scale, skip);
    int masked = graph_two(g, "masked", PTF_OP_SUB, scaled, mask);
    int fixed = graph_conv(g, "fixed", map, 3, 2, same, true);
    int both = graph_two(g, "both", PTF_OP_MAXIMUM, masked, fixed);
    int wide = graph_join(g, "wide", 1, 3, (int[]){both, stem, both});
    int down = graph_conv(g, "down", wide, 6, 6, apart, true);
    int pool = graph_one(g, "pool", PTF_OP_ADAPTIVE_AVGPOOL2D, down);
    int flat = graph_one(g, "flat", PTF_OP_FLATTEN, pool);
    int hidden = graph_linear(g, "hidden", flat, 6, 6);
    int twice = graph_two(g, "twice", PTF_OP_MUL, hidden, hidden);
    int gone = graph_two(g, "gone", PTF_OP_SUB, hidden, hidden);
    int more = graph_two(g, "more", PTF_OP_ADD, half, twice);
    int ratio = graph_two(g, "ratio", PTF_OP_DIV, flat, more);
    int tail = graph_join(g, "tail", -1, 4, (int[]){ratio, gone, flat, flat});
    int side = graph_conv(g, "side", stem, 2, 2, point, true);
    int spread = graph_two(g, "spread", PTF_OP_MUL, side, half);
    int low = graph_two(g, "low", PTF_OP_MINIMUM, spread, side);
    int rows = graph_join(g, "rows", 2, 2, (int[]){low, side});
    int mean = graph_one(g, "mean", PTF_OP_ADAPTIVE_AVGPOOL2D, rows);
    int last = graph_one(g, "last", PTF_OP_FLATTEN, mean);
    int all = graph_join(g, "all", 1, 2, (int[]){tail, last});
    graph_one(g, "after", PTF_OP_RELU, all);
    graph_finish(g, all);
}

enum { MANY = 12, INPUTS = 3 * 12 * 12, OUTPUTS = 6 * 12 * 12 };

static float inputs[MANY * INPUTS];

static void fill_inputs(void)
{
    ptf_random_fill(11, 0, inputs, MANY * INPUTS);
    for (int i = 0; i < MANY * INPUTS; i++)
        inputs[i] = 2 * inputs[i] - 1;
}

typedef struct outputs {
    double value[MANY * OUTPUTS], radius[MANY * OUTPUTS];
} outputs;

static ptf_enclosure *enclosure_of(const graph *g, int threads)
{
    ptf_enclosure *enc;
    ptf_error err;
    if (ptf_enclosure_make_with(&g->net, NULL, &g->net.inputs[0].shape, threads,
                                &enc, &err) != PTF_OK)
        fail_msg("%s", err.message);
    assert_true(ptf_enclosure_group(enc) >= MANY);
    return enc;
}

static void hold(const graph *g, int node, const long double *exact,
                 ptf_balls balls, int64_t size)
{
    for (int64_t k = 0; k < size; k++) {
        long double off = fabsl(exact[k] - (long double)balls.value[k]);
        if (!(off <= (long double)balls.radius[k]))
            fail_msg("%s[%d] is outside", g->nodes[node].name, (int)k);
        assert_true(balls.radius[k] < 1e-9);
    }
}

static void exact_values_of_every_node_are_inside(void **unused)
{
    (void)unused;
    static graph g;
    const float *taps[GRAPH_NODES] = {inputs};
    fill_inputs();
    build_knot(&g);
    ptf_enclosure *enc = enclosure_of(&g, 2);
    assert_int_equal(ptf_enclosure_run_taps(enc, taps, MANY, false, NULL),
                     PTF_OK);
    for (int n = 0; n < MANY; n++) {
        long double **exact = graph_exact(&g, inputs + n * INPUTS);
        assert_int_equal(ptf_enclosure_bad(enc, n), -1);
        for (int i = 0; i < g.net.node_count; i++)
            hold(&g, i, exact[i], ptf_enclosure_node(enc, i, n),
                 ptf_shape_numel(ptf_enclosure_shape(enc, i)));
        free(exact);
    }
    ptf_enclosure_free(enc);
    graph_free(&g);
}

/* The balls of the output. */
static void enclose_knot(const graph *g, int threads, bool keeps, outputs *out)
{
    const float *taps[GRAPH_NODES] = {inputs};
    ptf_enclosure *enc = enclosure_of(g, threads);
    ptf_shape shape = ptf_enclosure_output(enc, 0);
    int64_t size = ptf_shape_numel(&shape);
    assert_true(size <= OUTPUTS);
    memset(out, 0, sizeof(*out));
    assert_int_equal(keeps
                         ? ptf_enclosure_run_taps(enc, taps, MANY, false, NULL)
                         : ptf_enclosure_run(enc, inputs, MANY, out->value,
                                             out->radius, NULL),
                     PTF_OK);
    for (int n = 0; keeps && n < MANY; n++)
        ptf_balls_copy(
            size, ptf_enclosure_node(enc, output_of(&g->net), n),
            (ptf_balls){out->value + n * size, out->radius + n * size});
    ptf_enclosure_free(enc);
}

/* A net of which all balls are kept, and one of which they are not. */
typedef struct kept {
    const ptf_enclosure *all, *other;
    int visited;
} kept;

static void compare_balls(void *context, int node)
{
    kept *k = context;
    size_t size = (size_t)ptf_shape_numel(ptf_enclosure_shape(k->all, node)) *
                  sizeof(double);
    ptf_balls x = ptf_enclosure_node(k->all, node, 0);
    ptf_balls y = ptf_enclosure_node(k->other, node, 0);
    assert_memory_equal(x.value, y.value, size);
    assert_memory_equal(x.radius, y.radius, size);
    k->visited++;
}

/* As in a net whose balls are too many to keep. */
static void values_that_share_memory_are_the_same(void **unused)
{
    (void)unused;
    static graph g;
    fill_inputs();
    build_knot(&g);
    ptf_enclosure *all = enclosure_of(&g, 2), *other = enclosure_of(&g, 2);
    other->large = true;
    other->group = 1;
    for (int n = 0; n < MANY; n++) {
        const float *taps[GRAPH_NODES] = {inputs + n * INPUTS};
        kept k = {all, other, 0};
        assert_int_equal(ptf_enclosure_run_taps(all, taps, 1, false, NULL),
                         PTF_OK);
        assert_int_equal(
            ptf_enclosure_run_inputs(other, taps, 1, compare_balls, &k, NULL),
            PTF_OK);
        assert_int_equal(k.visited, g.net.node_count - 1);
    }
    assert_false(other->apart);
    ptf_enclosure_free(all);
    ptf_enclosure_free(other);
    graph_free(&g);
}

static void a_node_alone_is_as_in_its_net(void **unused)
{
    (void)unused;
    static graph g;
    static double value[MANY * OUTPUTS], radius[MANY * OUTPUTS];
    const float *taps[GRAPH_NODES] = {inputs};
    ptf_operand operands[GRAPH_NODES];
    fill_inputs();
    build_knot(&g);
    ptf_enclosure *all = enclosure_of(&g, 2);
    assert_int_equal(ptf_enclosure_run_taps(all, taps, MANY, false, NULL),
                     PTF_OK);
    for (int i = 1; i < g.net.node_count; i++) {
        const ptf_node *node = &g.nodes[i];
        int64_t size = ptf_shape_numel(ptf_enclosure_shape(all, i));
        if (node->op == PTF_OP_CONSTANT)
            continue;
        assert_true(size <= OUTPUTS);
        for (int k = 0; k < node->input_count; k++) {
            int from = node->inputs[k];
            bool constant = g.nodes[from].op == PTF_OP_CONSTANT;
            operands[k] = (ptf_operand){from == 0 ? inputs : NULL,
                                        ptf_enclosure_node(all, from, 0)};
            if (constant || from == 0)
                operands[k].balls = (ptf_balls){NULL, NULL};
        }
        assert_int_equal(ptf_enclosure_run_node(all, i, operands, MANY, false,
                                                (ptf_balls){value, radius},
                                                NULL),
                         PTF_OK);
        for (int n = 0; n < MANY; n++) {
            ptf_balls balls = ptf_enclosure_node(all, i, n);
            size_t bytes = (size_t)size * sizeof(double);
            assert_memory_equal(balls.value, value + n * size, bytes);
            assert_memory_equal(balls.radius, radius + n * size, bytes);
        }
    }
    ptf_enclosure_free(all);
    graph_free(&g);
}

/* Each node is the output once, so that what it reads passes by. */
static void threads_and_slots_change_no_ball(void **unused)
{
    (void)unused;
    static graph g;
    static outputs together, other;
    fill_inputs();
    build_knot(&g);
    for (int i = 1; i < g.net.node_count; i++) {
        give_output(&g.net, i);
        enclose_knot(&g, MANY, true, &together);
        for (int threads = 1; threads < 4; threads++)
            for (int keeps = 0; keeps < 2; keeps++) {
                enclose_knot(&g, threads, keeps, &other);
                assert_memory_equal(&other, &together, sizeof(other));
            }
    }
    graph_free(&g);
}

/* Every reader of a tapped value reads the tap, and of both operands. */
static void taps_of_any_node_replace_its_balls(void **unused)
{
    (void)unused;
    static graph g;
    static float tapped[GRAPH_NODES][MANY * OUTPUTS];
    const float *taps[GRAPH_NODES] = {inputs};
    fill_inputs();
    build_knot(&g);
    for (int threads = 1; threads < MANY + 1; threads += MANY - 1) {
        ptf_enclosure *enc = enclosure_of(&g, threads);
        for (int i = 1; i < g.net.node_count; i++) {
            int64_t size = ptf_shape_numel(ptf_enclosure_shape(enc, i));
            ptf_random_fill(12, (uint64_t)i, tapped[i], (size_t)(MANY * size));
            taps[i] = tapped[i];
        }
        assert_int_equal(ptf_enclosure_run_taps(enc, taps, MANY, false, NULL),
                         PTF_OK);
        for (int i = 1; i < g.net.node_count; i++) {
            const ptf_node *node = &g.nodes[i];
            if (!ptf_op_is(node->op, PTF_FAMILY_BINARY) ||
                ptf_enclosure_shape(enc, node->inputs[0])->rank != 1)
                continue;
            int64_t size = ptf_shape_numel(ptf_enclosure_shape(enc, i));
            for (int64_t k = 0; k < MANY * size; k++) {
                ptf_balls balls = ptf_enclosure_node(enc, i, k / size);
                double y = (double)of_two(
                    node->op, (long double)tapped[node->inputs[0]][k],
                    (long double)tapped[node->inputs[1]][k]);
                assert_true(fabs(y - balls.value[k % size]) <=
                            balls.radius[k % size]);
                assert_true(balls.radius[k % size] <=
                            0x1p-50 * fabs(y) + 0x1p-900);
            }
        }
        ptf_enclosure_free(enc);
    }
    graph_free(&g);
}

/* --------------------------------------------------------------- constants */

/* A constant of another type is what it says, and in a run its f32. */
static void a_constant_in_double_is_rounded_in_runs_alone(void **unused)
{
    (void)unused;
    static graph g;
    static const double third = 1.0 / 3;
    const float in[4] = {0}, *taps[GRAPH_NODES] = {in};
    graph_start(&g, &(ptf_shape){1, {4}});
    int constant = graph_constant(&g, "third", &(ptf_shape){0, {0}});
    ptf_tensor tensor = *g.nodes[constant].tensors[PTF_ROLE_WEIGHT];
    tensor.dtype = PTF_DTYPE_F64;
    tensor.data = &third;
    g.nodes[constant].tensors[PTF_ROLE_WEIGHT] = &tensor;
    int sum = graph_two(&g, "sum", PTF_OP_ADD, constant, 0);
    graph_finish(&g, sum);
    for (int executed = 0; executed < 2; executed++) {
        ptf_enclosure *enc = enclosure_of(&g, 1);
        assert_int_equal(ptf_enclosure_run_taps(enc, taps, 1, executed, NULL),
                         PTF_OK);
        ptf_balls balls = ptf_enclosure_node(enc, sum, 0);
        bool holds =
            fabs((double)(float)third - balls.value[3]) <= balls.radius[3];
        assert_true(fabs(third - balls.value[3]) <= balls.radius[3]);
        assert_int_equal(holds, executed);
        ptf_enclosure_free(enc);
    }
    graph_free(&g);
}

/* Which says nothing makes every image undecided, under the constant's name. */
static void a_constant_of_nan_says_nothing(void **unused)
{
    (void)unused;
    static graph g;
    static double value[MANY * 4], radius[MANY * 4];
    graph_start(&g, &(ptf_shape){1, {4}});
    int constant = graph_constant(&g, "nan", &(ptf_shape){1, {4}});
    int sum = graph_two(&g, "sum", PTF_OP_ADD, 0, constant);
    graph_finish(&g, sum);
    graph_numbers(&g, "nan", PTF_ROLE_WEIGHT)[2] = NAN;
    for (int threads = 1; threads < 4; threads += 2) {
        ptf_enclosure *enc = enclosure_of(&g, threads);
        fill_inputs();
        assert_int_equal(
            ptf_enclosure_run(enc, inputs, MANY, value, radius, NULL), PTF_OK);
        assert_string_equal(ptf_enclosure_undecided(enc), "nan");
        assert_true(isnan(value[0]) && isnan(value[4 * MANY - 1]));
        ptf_enclosure_free(enc);
    }
    graph_free(&g);
}

/* ------------------------------------------------------------ broadcasting */

static void operands_meet_as_in_pytorch(void **unused)
{
    (void)unused;
    static const ptf_shape shapes[][2] = {
        {{3, {2, 3, 4}}, {3, {2, 3, 4}}},
        {{3, {2, 3, 4}}, {0, {0}}},
        {{3, {2, 3, 4}}, {1, {4}}},
        {{3, {2, 3, 4}}, {2, {3, 1}}},
        {{3, {2, 3, 4}}, {3, {2, 1, 1}}},
        {{3, {2, 3, 4}}, {3, {2, 1, 4}}},
        {{3, {2, 1, 4}}, {3, {1, 3, 1}}},
        {{1, {4}}, {4, {2, 1, 3, 1}}},
        {{3, {1, 1, 1}}, {3, {2, 3, 4}}},
        {{2, {3, 4}}, {3, {1, 1, 1}}},
        {{7, {2, 1, 2, 1, 2, 1, 3}}, {6, {2, 1, 2, 1, 3, 3}}},
    };
    for (size_t s = 0; s < PTF_ARRAY_SIZE(shapes); s++)
        for (int swapped = 0; swapped < 2; swapped++) {
            static graph g;
            static float in[256];
            const float *taps[GRAPH_NODES] = {in};
            ptf_random_fill(13, s, in, 256);
            graph_start(&g, &shapes[s][0]);
            int other = graph_constant(&g, "other", &shapes[s][1]);
            int out = graph_two(&g, "out", PTF_OP_SUB, swapped ? other : 0,
                                swapped ? 0 : other);
            graph_finish(&g, out);
            ptf_enclosure *enc = enclosure_of(&g, 1);
            assert_int_equal(ptf_enclosure_run_taps(enc, taps, 1, false, NULL),
                             PTF_OK);
            long double **exact = graph_exact(&g, in);
            ptf_balls balls = ptf_enclosure_node(enc, out, 0);
            int64_t size = ptf_shape_numel(ptf_enclosure_shape(enc, out));
            for (int64_t i = 0; i < size; i++)
                assert_true(fabs((double)exact[out][i] - balls.value[i]) <=
                            balls.radius[i]);
            free(exact);
            ptf_enclosure_free(enc);
            graph_free(&g);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_at_the_rim_are_inside),
        cmocka_unit_test(runs_are_inside_executed_balls),
        cmocka_unit_test(a_divisor_that_may_be_zero_says_nothing),
        cmocka_unit_test(nan_says_nothing_on_either_side),
        cmocka_unit_test(what_underflows_is_inside),
        cmocka_unit_test(exact_values_of_every_node_are_inside),
        cmocka_unit_test(values_that_share_memory_are_the_same),
        cmocka_unit_test(a_node_alone_is_as_in_its_net),
        cmocka_unit_test(threads_and_slots_change_no_ball),
        cmocka_unit_test(taps_of_any_node_replace_its_balls),
        cmocka_unit_test(a_constant_in_double_is_rounded_in_runs_alone),
        cmocka_unit_test(a_constant_of_nan_says_nothing),
        cmocka_unit_test(operands_meet_as_in_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
