/*
 * Plans of graphs, by hand and drawn from seeds, against plain loops: whatever
 * the instruction set, the threads, the batch, the memory, the rows.
 *
 *     test_graph [SEED [GRAPHS]]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "drawn_graph.h"
#include "graph_values.h"
#include "ports.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

enum { SAMPLES = 9 };

/* ------------------------------------------------------------------- checks */

typedef struct trial {
    const build *b;
    uint64_t seed; /* 0: by hand */
    const float *in;
    const graph_values *want;
    int striped; /* plans */
} trial;

static size_t size_of(const build *b, int node, int64_t count)
{
    return (size_t)(count * ptf_shape_numel(&b->shapes[node])) * sizeof(float);
}

static void differ(const trial *t, const ptf_plan_options *o, int64_t batch,
                   const char *what, int node)
{
    printf(
        "seed %llu: %s of node %d, %s, %d threads, batch %d, %zu bytes%s%s\n",
        (unsigned long long)t->seed, what, node, o->isa != NULL ? o->isa : "",
        o->threads, (int)batch, o->memory_limit, o->keep ? ", keep" : "",
        o->inspect ? ", inspect" : "");
    ptf_plan *plan;
    if (ptf_plan_make(&t->b->net, &t->b->input, batch, o, &plan, NULL) ==
        PTF_OK)
        ptf_plan_print(plan, stdout);
    ptf_plan_free(plan);
    fail_msg("other bits than plain loops give");
}

static void check_layers(const trial *t, const ptf_plan *plan,
                         const ptf_plan_options *o)
{
    const build *b = t->b;
    for (int i = 1; i < b->net.node_count; i++) {
        ptf_shape shape;
        const float *got = ptf_plan_layer(plan, (size_t)i - 1, &shape);
        assert_non_null(got);
        assert_memory_equal(&shape, &b->shapes[i], sizeof(shape));
        if (memcmp(got, t->want->values[i], size_of(b, i, SAMPLES)) != 0)
            differ(t, o, SAMPLES, "the kept output", i);
    }
}

/* Wherever a stripe lies, its values fit into their buffers. */
static void check_room(const trial *t, ptf_plan *plan)
{
    int64_t first, count, rows = ptf_plan_stripe(plan);
    int64_t height = t->b->shapes[output_of(&t->b->net)].dim[1];
    for (int64_t r = 0; r + rows <= height; r++) {
        assert_int_equal(ptf_plan_rows(plan, r, rows, &first, &count, NULL),
                         PTF_OK);
        assert_true((size_t)plan->values[0].numel <= plan->stripe_floats[0]);
        for (int i = 0; i < plan->step_count; i++) {
            const ptf_plan_value *v = &plan->values[plan->steps[i].out];
            if (v->buffer >= 0)
                assert_true((size_t)v->numel <=
                            plan->buffers[v->buffer].floats);
        }
    }
}

/* Runs all samples in plans of so many. */
static void check_plan(trial *t, const ptf_plan_options *o, int64_t batch)
{
    const build *b = t->b;
    ptf_plan *plan;
    ptf_error err;
    if (ptf_plan_make(&b->net, &b->input, batch, o, &plan, &err) != PTF_OK)
        fail_msg("seed %llu: %s", (unsigned long long)t->seed, err.message);
    int64_t inputs = ptf_shape_numel(&b->input);
    int64_t outputs = ptf_shape_numel(&b->shapes[output_of(&b->net)]);
    float *out = malloc(size_of(b, output_of(&b->net), SAMPLES));
    for (int64_t i = 0; i < SAMPLES; i += batch)
        assert_int_equal(ptf_plan_run(plan, t->in + i * inputs,
                                      ptf_min_i64(SAMPLES - i, batch),
                                      out + i * outputs, NULL),
                         PTF_OK);
    if (memcmp(out, t->want->values[output_of(&b->net)],
               size_of(b, output_of(&b->net), SAMPLES)) != 0)
        differ(t, o, batch, "the output", output_of(&b->net));
    if (o->keep)
        check_layers(t, plan, o);
    if (plan->stripe > 0) {
        check_room(t, plan);
        t->striped++;
    }
    if (o->memory_limit > 0)
        assert_true(ptf_plan_memory(plan) <= o->memory_limit);
    free(out);
    ptf_plan_free(plan);
}

static void check_ways(trial *t)
{
    static const int64_t batches[] = {1, 2, 7, SAMPLES};
    for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
        if (!ptf_isa_here((ptf_isa)isa))
            continue;
        for (int i = 0; i < 12; i++) {
            ptf_plan_options o = {.isa = ptf_isa_text((ptf_isa)isa),
                                  .threads = i / 4 + 1};
            check_plan(t, &o, batches[i % 4]);
        }
    }
    for (int i = 0; i < 4; i++) {
        ptf_plan_options o = {
            .threads = i < 2 ? 1 : 2, .keep = i % 2, .inspect = !(i % 2)};
        check_plan(t, &o, SAMPLES);
    }
}

/* Nearly the least limit with which the net can be planned. */
static size_t least_memory(const build *b, ptf_plan_options o)
{
    size_t low = 0, high = 1 << 22;
    while (low + 64 < high) {
        size_t middle = (low + high) / 2;
        o.memory_limit = middle;
        ptf_plan *plan;
        bool fits =
            ptf_plan_make(&b->net, &b->input, 1, &o, &plan, NULL) == PTF_OK;
        *(fits ? &high : &low) = middle;
        ptf_plan_free(plan);
    }
    return high;
}

/* Where ref runs, all memory is the values'. */
static void check_limits(trial *t)
{
    for (int i = 0; i < 16; i++) {
        ptf_plan_options o = {.threads = 1,
                              .isa = i % 2 == 0 ? "ref" : NULL,
                              .inspect = i % 8 > 5};
        size_t least = least_memory(t->b, o);
        o.memory_limit = least + (least << i / 2) / (i % 2 == 0 ? 64 : 512);
        check_plan(t, &o, i < 8 ? 1 : SAMPLES);
    }
}

/* --------------------------------------------------------------------- rows */

/* Copies rows of all channels from one height to another. */
static void copy_rows(float *to, int64_t to_height, int64_t to_first,
                      const float *from, int64_t from_height,
                      int64_t from_first, int64_t rows, const ptf_shape *shape)
{
    int64_t width = shape->dim[2];
    for (int64_t c = 0; c < shape->dim[0] && rows > 0; c++)
        memcpy(to + (c * to_height + to_first) * width,
               from + (c * from_height + from_first) * width,
               (size_t)(rows * width) * sizeof(float));
}

/* Rows of the first sample's output, asked for one after the other. */
static void check_rows(const trial *t, int64_t step)
{
    const build *b = t->b;
    const ptf_shape *shape = &b->shapes[output_of(&b->net)];
    ptf_plan_options o = {.threads = 2};
    ptf_plan *plan;
    assert_int_equal(ptf_plan_make(&b->net, &b->input, 1, &o, &plan, NULL),
                     PTF_OK);
    int64_t height = ptf_plan_stripe(plan), first, count;
    float *x = malloc(size_of(b, 0, 1)),
          *y = malloc(size_of(b, output_of(&b->net), 1));
    float *out = malloc(size_of(b, output_of(&b->net), 1));
    for (int64_t r = 0; r < height; r += step) {
        int64_t rows = ptf_min_i64(height - r, step);
        assert_int_equal(ptf_plan_rows(plan, r, rows, &first, &count, NULL),
                         PTF_OK);
        copy_rows(x, count, 0, t->in, b->input.dim[1], first, count, &b->input);
        assert_int_equal(ptf_plan_run_rows(plan, r, rows, x, y, NULL), PTF_OK);
        copy_rows(out, height, r, y, rows, 0, rows, shape);
    }
    if (height > 0 && memcmp(out, t->want->values[output_of(&b->net)],
                             size_of(b, output_of(&b->net), 1)) != 0)
        differ(t, &o, step, "rows", output_of(&b->net));
    free(x);
    free(y);
    free(out);
    ptf_plan_free(plan);
}

/* All that is checked of a net; how many plans ran in stripes. */
static int check_graph(const build *b, uint64_t seed)
{
    float *in = inputs_of(b, SAMPLES);
    graph_values want;
    graph_values_make(&want, b, in, SAMPLES);
    trial t = {.b = b, .seed = seed, .in = in, .want = &want};
    check_ways(&t);
    check_limits(&t);
    for (int64_t step = 1; step < 6; step += 2)
        check_rows(&t, step);
    graph_values_free(&want);
    ptf_free(in);
    return t.striped;
}

/* ------------------------------------------------------------------ by hand */

static int add_relu(build *b, int node)
{
    from(b, node);
    add_plain(b, PTF_OP_RELU);
    return b->last;
}

static int add_conv_of(build *b, int node, int64_t out, int64_t stride)
{
    from(b, node);
    add_conv(b, out, 3, stride, 1, 1, 1);
    return b->last;
}

/* Two blocks of a ResNet, the second with a convolution beside it. */
static void build_residual(build *b)
{
    start(b, 3, 3, 17, 13);
    int x = add_conv_of(b, 0, 6, 1);
    add_norm(b);
    x = add_relu(b, b->last);
    add_conv_of(b, x, 6, 1);
    add_norm(b);
    add_relu(b, b->last);
    add_conv_of(b, b->last, 6, 1);
    add_norm(b);
    x = add_relu(b, add_binary(b, PTF_OP_ADD, b->last, x));
    add_conv_of(b, x, 10, 2);
    add_norm(b);
    int left = b->last;
    from(b, x);
    add_conv(b, 10, 1, 2, 0, 1, 1);
    add_norm(b);
    add_relu(b, add_binary(b, PTF_OP_ADD, left, b->last));
}

/* A product that a ReLU and another node read keeps its ReLU apart. */
static void build_product_read_twice(build *b)
{
    start(b, 3, 3, 9, 8);
    int x = add_conv_of(b, 0, 5, 1);
    int y = add_relu(b, x);
    from(b, x);
    add_norm(b);
    add_binary(b, PTF_OP_SUB, y, b->last);
}

static void build_value_read_twice_by_one(build *b)
{
    start(b, 3, 3, 9, 8);
    int x = add_conv_of(b, 0, 5, 1);
    x = add_binary(b, PTF_OP_MUL, x, x);
    add_concat(b, 1, 3, (int[]){x, 0, x});
}

static void build_shared_constant(build *b)
{
    start(b, 3, 4, 9, 8);
    int c = add_constant(b, 3, (int64_t[]){4, 1, 1});
    int x = add_binary(b, PTF_OP_MUL, 0, c);
    x = add_conv_of(b, x, 4, 1);
    add_binary(b, PTF_OP_SUB, c, add_relu(b, x));
}

/* Products, functions and views of constants, and one that is the output. */
static void build_constants_everywhere(build *b)
{
    start(b, 3, 4, 9, 8);
    int c = add_constant(b, 3, (int64_t[]){2, 9, 8});
    int y = add_conv_of(b, c, 4, 1);
    y = add_binary(b, PTF_OP_ADD, y, 0);
    int z = add_relu(b, c);
    add_concat(b, 1, 3, (int[]){c, y, z});
}

static void build_constant_output(build *b)
{
    start(b, 3, 4, 9, 8);
    add_constant(b, 3, (int64_t[]){2, 9, 8});
    add_plain(b, PTF_OP_DROPOUT);
}

static void build_output_read_by_others(build *b)
{
    start(b, 3, 4, 9, 8);
    int x = add_conv_of(b, 0, 4, 1);
    add_binary(b, PTF_OP_ADD, add_relu(b, x), 0);
    from(b, x);
}

static void build_input_as_output(build *b)
{
    start(b, 3, 4, 9, 8);
    add_conv_of(b, 0, 4, 1);
    from(b, 0);
}

/* Nobody reads the second convolution, so it takes nothing from the first. */
static void build_unread(build *b)
{
    start(b, 3, 4, 9, 8);
    int x = add_conv_of(b, 0, 4, 1);
    add_conv_of(b, x, 3, 1);
    add_relu(b, x);
}

/* A map, weighted by one number per channel that comes of itself. */
static void build_gate(build *b)
{
    start(b, 3, 4, 9, 8);
    int x = add_conv_of(b, 0, 6, 1);
    add_plain(b, PTF_OP_RELU);
    add_pool(b, PTF_OP_AVGPOOL2D, 8, 8, 0, false);
    add_conv(b, 6, 1, 1, 0, 1, 1);
    add_binary(b, PTF_OP_MUL, b->last, x);
}

/* A light part, a heavy one and a light one, with a way round the middle. */
static void build_around_heavy(build *b)
{
    start(b, 3, 3, 8, 8);
    int x = add_conv_of(b, 0, 8, 1);
    add_relu(b, x);
    add_linear(b, 8 * 8 * 8);
    int y = b->last;
    from(b, x);
    add_plain(b, PTF_OP_FLATTEN);
    b->nodes[b->last].attrs.start_dim = 1;
    b->nodes[b->last].attrs.end_dim = -1;
    settle(b);
    add_binary(b, PTF_OP_ADD, y, b->last);
    int row = add_constant(b, 3, (int64_t[]){1, 70, 1});
    int map = add_binary(b, PTF_OP_MUL, row, row - 1);
    add_relu(b, map);
}

/* A map read as a list by a convolution. */
static void build_flat_conv(build *b)
{
    start(b, 3, 4, 5, 6);
    add_plain(b, PTF_OP_FLATTEN);
    b->nodes[b->last].attrs.start_dim = 2;
    b->nodes[b->last].attrs.end_dim = -1;
    settle(b);
    add_conv(b, 3, 3, 1, 1, 1, 1);
}

/* Two ways whose rows start and end apart, which no reader needs alone. */
static void build_crossing_rows(build *b)
{
    start(b, 3, 2, 64, 5);
    int x = add_relu(b, 0);
    from(b, x);
    add_conv(b, 3, 3, 4, 1, 1, 1);
    int left = b->last;
    from(b, x);
    add_conv(b, 3, 4, 4, 0, 1, 1);
    add_binary(b, PTF_OP_ADD, left, b->last);
}

/* Ways of different strides, which the last stripe needs most rows for. */
static void build_unlike_strides(build *b)
{
    start(b, 3, 1, 48, 48);
    int x = add_relu(b, 0);
    from(b, x);
    add_conv(b, 2, 4, 4, 0, 1, 1);
    int left = b->last;
    from(b, x);
    add_conv(b, 2, 25, 2, 0, 1, 1);
    add_binary(b, PTF_OP_ADD, left, b->last);
}

/*
 * Pieces of one image, a linear layer on the batch, and pieces of one image
 * again.  The map after the third convolution is read on both sides; after
 * its last reader, and before its maker, there are steps that need memory.
 */
static void build_pieces(build *b)
{
    start(b, 3, 3, 48, 60);
    add_conv(b, 4, 3, 1, 1, 1, 1);
    add_conv(b, 4, 3, 1, 1, 1, 1);
    add_conv(b, 24, 1, 1, 0, 1, 1);
    int x = b->last;
    add_pool(b, PTF_OP_AVGPOOL2D, 12, 12, 0, false);
    add_linear(b, 60);
    add_binary(b, PTF_OP_ADD, b->last, x);
    add_pool(b, PTF_OP_MAXPOOL2D, 2, 2, 0, false);
    add_conv(b, 3, 1, 1, 0, 1, 1);
    add_pool(b, PTF_OP_MAXPOOL2D, 2, 2, 0, false);
}

static void build_eight_axes(build *b)
{
    start(b, 3, 2, 1, 2);
    b->input = (ptf_shape){8, {2, 1, 2, 1, 3, 1, 4, 2}};
    b->shapes[0] = b->shape = b->input;
    int c = add_constant(b, 8, (int64_t[]){1, 3, 1, 2, 3, 1, 1, 2});
    int x = add_binary(b, PTF_OP_SUB, c, 0);
    int scalar = add_constant(b, 0, NULL);
    x = add_binary(b, PTF_OP_DIV, scalar, x);
    x = add_concat(b, -2, 2, (int[]){x, x});
    add_concat(b, 4, 2, (int[]){x, x});
}

/* Numbers that stand beside each other in the result alone. */
static void build_last_axis_of_one(build *b)
{
    start(b, 2, 5, 1, 0);
    b->input = b->shapes[0] = b->shape = (ptf_shape){2, {5, 1}};
    int c = add_constant(b, 2, (int64_t[]){5, 1});
    int x = add_concat(b, 2, 3, (int[]){0, c, 0});
    int row = add_constant(b, 1, (int64_t[]){3});
    add_binary(b, PTF_OP_MAXIMUM, x, row);
}

/* Results that are longer than what a thread takes at a time. */
static void build_long(build *b)
{
    start(b, 3, 2, 100, 131);
    int plane = add_constant(b, 2, (int64_t[]){100, 131});
    int column = add_constant(b, 2, (int64_t[]){100, 1});
    int x = add_binary(b, PTF_OP_ADD, 0, plane);
    int y = add_binary(b, PTF_OP_MUL, column, x);
    int z = add_binary(b, PTF_OP_MINIMUM, y, 0);
    add_concat(b, 1, 3, (int[]){z, x, 0});
}

static void build_wide_concat(build *b)
{
    start(b, 3, 2, 12, 7);
    int x = add_conv_of(b, 0, 2, 1);
    int c = add_constant(b, 3, (int64_t[]){2, 12, 3});
    x = add_concat(b, 3, 3, (int[]){0, c, x});
    add_conv_of(b, x, 3, 1);
    x = add_binary(b, PTF_OP_SUB, x, add_constant(b, 1, (int64_t[]){17}));
    add_concat(b, 2, 2, (int[]){x, x});
}

static void graphs_made_by_hand_give_the_bits_of_plain_loops(void **unused)
{
    static void (*const graphs[])(build *) = {
        build_residual,
        build_product_read_twice,
        build_value_read_twice_by_one,
        build_shared_constant,
        build_constants_everywhere,
        build_constant_output,
        build_output_read_by_others,
        build_input_as_output,
        build_unread,
        build_gate,
        build_around_heavy,
        build_flat_conv,
        build_crossing_rows,
        build_unlike_strides,
        build_pieces,
        build_eight_axes,
        build_last_axis_of_one,
        build_long,
        build_wide_concat,
    };
    (void)unused;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(graphs); i++) {
        build b;
        graphs[i](&b);
        check_graph(&b, 0);
        finish(&b);
    }
}

/* -------------------------------------------------------------------- drawn */

static uint64_t first_seed = 1, graphs = 60;

static void drawn_graphs_give_the_bits_of_plain_loops(void **unused)
{
    (void)unused;
    int striped = 0;
    for (uint64_t seed = first_seed; seed < first_seed + graphs; seed++) {
        for (int rows = 0; rows < 2; rows++) {
            build b;
            drawn_graph_make(&b, seed, rows);
            striped += check_graph(&b, seed);
            finish(&b);
        }
    }
    assert_true(striped > 0);
}

/* ------------------------------------------------------------------- others */

/* A constant that is not finite is named, whatever hides it. */
static void what_is_not_finite_is_named_in_graphs(void **unused)
{
    (void)unused;
    build b;
    start(&b, 3, 4, 9, 8);
    int c = add_constant(&b, 1, (int64_t[]){8});
    b.nodes[c].name = "constant";
    ((float *)(uintptr_t)b.nodes[c].tensors[PTF_ROLE_WEIGHT]->data)[3] =
        -INFINITY;
    b.nodes[add_binary(&b, PTF_OP_MAXIMUM, 0, c)].name = "maximum";
    ptf_plan_options o = {.inspect = true};
    ptf_plan *plan;
    assert_int_equal(ptf_plan_make(&b.net, &b.input, 1, &o, &plan, NULL),
                     PTF_OK);
    float *in = inputs_of(&b, 1), out[4 * 9 * 8];
    assert_int_equal(ptf_plan_run(plan, in, 1, out, NULL), PTF_OK);
    assert_string_equal(ptf_plan_not_finite(plan), "constant");
    ptf_plan_free(plan);
    ptf_free(in);
    finish(&b);
}

static void a_sum_takes_the_memory_of_what_nobody_else_reads(void **unused)
{
    (void)unused;
    ptf_plan_options o = {.threads = 1};
    for (int twice = 0; twice < 2; twice++) {
        build b;
        start(&b, 3, 4, 9, 8);
        int x = add_conv_of(&b, 0, 4, 1);
        int c = add_constant(&b, 3, (int64_t[]){4, 1, 1});
        int sum = add_binary(&b, PTF_OP_ADD, c, x);
        add_conv_of(&b, twice ? add_binary(&b, PTF_OP_MUL, x, sum) : sum, 2, 1);
        ptf_plan *plan;
        assert_int_equal(ptf_plan_make(&b.net, &b.input, 1, &o, &plan, NULL),
                         PTF_OK);
        assert_int_equal(plan->buffer_count, twice ? 2 : 1);
        ptf_plan_free(plan);
        finish(&b);
    }
}

static void failed_allocations_are_reported(void **unused)
{
    (void)unused;
    build b;
    build_constants_everywhere(&b);
    ptf_plan_options o = {.threads = 1};
    ptf_plan *plan = NULL;
    ptf_status status = PTF_MEMORY;
    for (long n = 0; status != PTF_OK && n < 1000; n++) {
        ptf_alloc_fail_after(n);
        status = ptf_plan_make(&b.net, &b.input, 2, &o, &plan, NULL);
        ptf_alloc_fail_after(-1);
        assert_true(status == PTF_OK || status == PTF_MEMORY);
        assert_true((plan != NULL) == (status == PTF_OK));
    }
    assert_int_equal(status, PTF_OK);
    ptf_plan_free(plan);
    finish(&b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs_made_by_hand_give_the_bits_of_plain_loops),
        cmocka_unit_test(drawn_graphs_give_the_bits_of_plain_loops),
        cmocka_unit_test(what_is_not_finite_is_named_in_graphs),
        cmocka_unit_test(a_sum_takes_the_memory_of_what_nobody_else_reads),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        graphs = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
