/*
 * Positions in the order of their numbers, and the numbers in that order, in
 * every stage: lines drawn at random, against a search for each place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"
#include "graphs.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SAMPLES = 3, MOST = 2048 };

static uint64_t state = 1;

static int64_t drawn(int64_t low, int64_t high)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return low + (int64_t)((state >> 33) % (uint64_t)(high - low + 1));
}

/* Few different numbers, so that many are equal; some are special. */
static void draw_numbers(float *x, int64_t n, bool special)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0.0F, -0.0F};
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)drawn(-9, 9) / 4;
        if (special && drawn(0, 6) == 0)
            x[i] = odd[drawn(0, 4)];
    }
}

/* ------------------------------------------------------------------- a net */

/* x, then x + far - far, whose run is off by what 'far' rounds; its order; its
 * numbers in it. */
typedef struct sorting {
    graph g;
    ptf_shape in, out;
    ptf_attrs attrs;
    int numbers, order, gathered;
} sorting;

static void draw_attrs(sorting *s)
{
    int64_t axis = drawn(1, s->in.rank), size = s->in.dim[axis - 1];
    ptf_attrs_default(PTF_OP_ARGSORT, &s->attrs);
    s->attrs.dim = drawn(0, 1) ? axis : axis - s->in.rank - 1;
    s->attrs.descending = drawn(0, 1);
    s->attrs.length = drawn(0, 3) ? drawn(1, size) : 0;
    s->out = s->in;
    if (s->attrs.length > 0)
        s->out.dim[axis - 1] = s->attrs.length;
}

static void draw_net(sorting *s, double far)
{
    const ptf_shape one = {1, {1}};
    memset(s, 0, sizeof(*s));
    s->in.rank = (int)drawn(1, 3);
    for (int d = 0; d < s->in.rank; d++)
        s->in.dim[d] = drawn(1, d == 1 ? 11 : 7);
    draw_attrs(s);
    graph_start(&s->g, &s->in);
    s->numbers = 0;
    if (far > 0) {
        int add = graph_constant(&s->g, "far", &one);
        *graph_numbers(&s->g, "far", PTF_ROLE_WEIGHT) = (float)far;
        s->numbers = graph_two(&s->g, "there", PTF_OP_ADD, 0, add);
        s->numbers = graph_two(&s->g, "back", PTF_OP_SUB, s->numbers, add);
    }
    s->order = graph_one(&s->g, "order", PTF_OP_ARGSORT, s->numbers);
    s->g.nodes[s->order].attrs = s->attrs;
    s->gathered =
        graph_two(&s->g, "sorted", PTF_OP_GATHER, s->numbers, s->order);
    s->g.nodes[s->gathered].attrs.dim = s->attrs.dim;
}

/* -------------------------------------------------- what is expected of it */

static bool is_before(const sorting *s, float a, float b)
{
    if (isnan(a) || isnan(b))
        return s->attrs.descending ? isnan(a) && !isnan(b)
                                   : isnan(b) && !isnan(a);
    return s->attrs.descending ? a > b : a < b;
}

/* The first of the positions that are left and that none of these is before. */
static int64_t first_left(const sorting *s, const float *x, const bool *taken,
                          int64_t size, int64_t step)
{
    int64_t best = -1;
    for (int64_t q = 0; q < size; q++) {
        if (!taken[q] &&
            (best < 0 || is_before(s, x[q * step], x[best * step])))
            best = q;
    }
    return best;
}

/* Of one sample. */
static void expect(const sorting *s, const float *x, float *order)
{
    ptf_sorting lines = ptf_op_sorting(&s->attrs, &s->in);
    for (int64_t i = 0; i < lines.outer * lines.inner; i++) {
        bool taken[MOST] = {false};
        int64_t line = i / lines.inner, inner = i % lines.inner;
        const float *from = x + line * lines.size * lines.inner + inner;
        float *to = order + line * lines.k * lines.inner + inner;
        for (int64_t p = 0; p < lines.k; p++) {
            int64_t best = first_left(s, from, taken, lines.size, lines.inner);
            taken[best] = true;
            to[p * lines.inner] = (float)best;
        }
    }
}

static void run(const sorting *s, int output, int threads, const float *x,
                float *y)
{
    ptf_plan_options options = {.threads = threads};
    ptf_plan *plan;
    ptf_error err;
    ((sorting *)(uintptr_t)s)->g.net.outputs[0].node = output;
    if (ptf_plan_make(&s->g.net, &s->in, SAMPLES, &options, &plan, &err) ||
        ptf_plan_run(plan, x, SAMPLES, y, &err))
        fail_msg("%s", err.message);
    ptf_plan_free(plan);
}

/* The position of number i of a result in the operand. */
static int64_t place(const sorting *s, int64_t i, float position)
{
    ptf_sorting lines = ptf_op_sorting(&s->attrs, &s->in);
    int64_t each = lines.k * lines.inner;
    return i / each * lines.size * lines.inner +
           (int64_t)position * lines.inner + i % lines.inner;
}

static void positions_are_those_of_a_search(void **unused)
{
    (void)unused;
    float x[MOST], y[MOST], want[MOST], gathered[MOST];
    for (int i = 0; i < 120; i++) {
        sorting s;
        draw_net(&s, 0);
        graph_finish(&s.g, s.gathered);
        int64_t in = ptf_shape_numel(&s.in), out = ptf_shape_numel(&s.out);
        draw_numbers(x, SAMPLES * in, i % 2);
        for (int n = 0; n < SAMPLES; n++)
            expect(&s, x + n * in, want + n * out);
        run(&s, s.order, 1 + i % 3, x, y);
        assert_memory_equal(y, want, (size_t)(SAMPLES * out) * sizeof(*y));
        run(&s, s.gathered, 1 + i % 2, x, gathered);
        for (int64_t k = 0; k < SAMPLES * out; k++) {
            float from = x[k / out * in + place(&s, k % out, y[k])];
            assert_true(isnan(from) ? isnan(gathered[k])
                                    : memcmp(&from, &gathered[k], 4) == 0);
        }
        graph_free(&s.g);
    }
}

static void gradients_go_where_the_numbers_were_from(void **unused)
{
    (void)unused;
    float x[MOST], y[MOST], d[MOST], want[MOST];
    for (int i = 0; i < 30; i++) {
        sorting s;
        ptf_gradient *g;
        ptf_error err;
        draw_net(&s, 0);
        graph_finish(&s.g, s.gathered);
        int64_t in = ptf_shape_numel(&s.in), out = ptf_shape_numel(&s.out);
        draw_numbers(x, SAMPLES * in, false);
        draw_numbers(d, SAMPLES * out, false);
        run(&s, s.order, 1, x, y);
        memset(want, 0, sizeof(want));
        for (int64_t k = 0; k < SAMPLES * out; k++)
            want[k / out * in + place(&s, k % out, y[k])] += d[k];
        s.g.net.outputs[0].node = s.gathered;
        if (ptf_gradient_make(&s.g.net, &s.in, SAMPLES, NULL, &g, &err) ||
            ptf_gradient_run(g, x, SAMPLES, y, &err) ||
            ptf_gradient_back(g, d, &err))
            fail_msg("%s", err.message);
        const float *dx = ptf_gradient_input(g, 0);
        for (int64_t k = 0; k < SAMPLES * in; k++)
            assert_true(dx[k] <= want[k] && dx[k] >= want[k]);
        ptf_gradient_free(g);
        graph_free(&s.g);
    }
}

/* -------------------------------------------------------------- enclosures */

static bool holds(ptf_balls b, int64_t i, double value)
{
    return fabs(value - b.value[i]) <= b.radius[i];
}

/* True when no other ball of its line touches that of number 'at'. */
static bool is_apart(const sorting *s, ptf_balls b, int64_t at)
{
    ptf_sorting lines = ptf_op_sorting(&s->attrs, &s->in);
    int64_t each = lines.size * lines.inner;
    int64_t first = at / each * each + at % lines.inner;
    for (int64_t q = 0; q < lines.size; q++) {
        int64_t i = first + q * lines.inner;
        double most = (b.radius[i] + b.radius[at]) * (1 + 0x1p-40);
        if (i != at && fabs(b.value[i] - b.value[at]) <= most)
            return false;
    }
    return true;
}

/* Balls of sample 0 against the order and the numbers of the exact values and
 * of the run; how many places are not known. */
static int64_t check_balls(const sorting *s, const float *x, bool executed,
                           double most)
{
    float order[2][MOST], numbers[2][MOST];
    const float *taps[GRAPH_NODES] = {x};
    int64_t in = ptf_shape_numel(&s->in), unknown = 0;
    ptf_enclosure *enc;
    ptf_error err;
    expect(s, x, order[0]);
    memcpy(numbers[0], x, (size_t)in * sizeof(*x));
    run(s, s->order, 1, x, order[1]);
    run(s, s->numbers, 1, x, numbers[1]);
    if (ptf_enclosure_make_with(&s->g.net, NULL, &s->in, 1, &enc, &err) ||
        ptf_enclosure_run_taps(enc, taps, 1, executed, &err))
        fail_msg("%s", err.message);
    ptf_balls from = ptf_enclosure_node(enc, s->numbers, 0);
    ptf_balls places = ptf_enclosure_node(enc, s->order, 0);
    ptf_balls sorted = ptf_enclosure_node(enc, s->gathered, 0);
    for (int64_t i = 0; i < ptf_shape_numel(&s->out); i++) {
        for (int k = 0; k < 1 + executed; k++) {
            assert_true(holds(places, i, (double)order[k][i]));
            assert_true(
                holds(sorted, i, (double)numbers[k][place(s, i, order[k][i])]));
        }
        assert_true(sorted.radius[i] <= most);
        if (is_apart(s, from, place(s, i, order[0][i])))
            assert_true(places.radius[i] <= 0);
        unknown += places.radius[i] > 0;
    }
    for (int64_t i = 0; i < in; i++)
        assert_true(from.radius[i] <= most);
    ptf_enclosure_free(enc);
    return unknown;
}

static void balls_hold_all_orders_that_may_be(void **unused)
{
    (void)unused;
    float x[MOST];
    int64_t unknown = 0, known = 0;
    for (int i = 0; i < 80; i++) {
        sorting s;
        draw_net(&s, i % 2 ? 0x1p20 : 0);
        graph_finish(&s.g, s.gathered);
        draw_numbers(x, ptf_shape_numel(&s.in) * SAMPLES, false);
        for (int64_t k = 0; k < ptf_shape_numel(&s.in); k++)
            x[k] += (float)drawn(0, 99) * 0x1p-10F;
        int64_t no = check_balls(&s, x, true, i % 2 ? 0.2 : 0);
        assert_true(i % 2 || no == 0);
        int64_t equal = check_balls(&s, x, false, 0x1p-30);
        assert_true(i % 2 || equal == 0);
        unknown += no;
        known += i % 2 ? ptf_shape_numel(&s.out) - no : 0;
        graph_free(&s.g);
    }
    assert_true(unknown > 100 && known > 100);
}

/* NaN may be anywhere, and so the others one place further. */
static void what_says_nothing_may_be_anywhere(void **unused)
{
    (void)unused;
    static const double low[] = {1, 0, 0}, high[] = {2, 2, 1};
    const float x[3] = {2, NAN, 1};
    const float *taps[GRAPH_NODES] = {x};
    const ptf_shape shape = {1, {3}};
    ptf_enclosure *enc;
    graph g;
    graph_start(&g, &shape);
    int order = graph_one(&g, "order", PTF_OP_ARGSORT, 0);
    g.nodes[order].attrs.dim = 1;
    graph_finish(&g, order);
    assert_int_equal(
        ptf_enclosure_make_with(&g.net, NULL, &shape, 1, &enc, NULL), PTF_OK);
    ptf_enclosure_run_taps(enc, taps, 1, true, NULL);
    ptf_balls b = ptf_enclosure_node(enc, order, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(b.value[i] - b.radius[i] <= low[i] &&
                    b.value[i] - b.radius[i] >= low[i]);
        assert_true(b.value[i] + b.radius[i] <= high[i] &&
                    b.value[i] + b.radius[i] >= high[i]);
    }
    ptf_enclosure_free(enc);
    graph_free(&g);
}

/* ------------------------------------------------------------------- rules */

static void what_does_not_fit_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        int64_t dim, k, size;
        const char *why;
    } cases[] = {
        {0, 0, 3, "it would mix the samples of a batch"},
        {-3, 0, 3, "it would mix the samples of a batch"},
        {3, 0, 3, "its input has no such dimension"},
        {-4, 0, 3, "its input has no such dimension"},
        {2, 4, 3, "it gives more positions than its input has"},
        {2, 1, ((int64_t)1 << 24) + 1, "it sorts more than 2^24 positions"},
        {2, 1, (int64_t)1 << 24, NULL},
    };
    ptf_attrs attrs;
    ptf_shape out;
    ptf_partial_shape part;
    ptf_attrs_default(PTF_OP_ARGSORT, &attrs);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        const ptf_shape in = {2, {2, cases[i].size}};
        attrs.dim = cases[i].dim;
        attrs.length = cases[i].k;
        const char *why = ptf_op_shape(PTF_OP_ARGSORT, &attrs, &in, 1, &out);
        if (cases[i].why == NULL)
            assert_null(why);
        else
            assert_string_equal(why, cases[i].why);
    }
    attrs.dim = 1;
    attrs.length = 5;
    const ptf_partial_shape maps = {4, 8};
    assert_null(ptf_op_partial_shape(PTF_OP_ARGSORT, &attrs, maps, &part));
    assert_int_equal(part.channels, 5);
    attrs.dim = 4;
    assert_string_equal(
        ptf_op_partial_shape(PTF_OP_ARGSORT, &attrs, maps, &part),
        "its input has no such dimension");
    attrs.dim = -1;
    assert_null(ptf_op_partial_shape(PTF_OP_ARGSORT, &attrs, maps, &part));
    assert_int_equal(part.channels, 8);
    assert_int_equal(ptf_op_reach(PTF_OP_ARGSORT, &attrs, 4, 3).kind,
                     PTF_REACH_ALL);
    assert_int_equal(ptf_op_reach(PTF_OP_ARGSORT, &attrs, 4, 2).kind,
                     PTF_REACH_EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_are_those_of_a_search),
        cmocka_unit_test(gradients_go_where_the_numbers_were_from),
        cmocka_unit_test(balls_hold_all_orders_that_may_be),
        cmocka_unit_test(what_says_nothing_may_be_anywhere),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
