/*
 * Gradients of graphs: several operands, values that several nodes read,
 * broadcasting, constants.  Against loops in double; the same bits however they
 * run; and bit for bit against the sums that backward.h defines.
 *
 *     test_grad_graph [SEED [GRAPHS]]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "drawn_graph.h"
#include "grad_run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

enum { IMAGES = GRAD_IMAGES };

static uint64_t first_seed = 1, graphs = 400;

/* ------------------------------------------------------------------ by hand */

static void add_conv_of(build *b, int node, int64_t out)
{
    from(b, node);
    add_conv(b, out, 3, 1, 1, 1, 1);
}

/* A block of a ResNet with a convolution beside it. */
static void build_residual(build *b)
{
    start(b, 3, 3, 9, 7);
    add_conv_of(b, 0, 6);
    add_plain(b, PTF_OP_TANH);
    int x = b->last;
    add_conv_of(b, x, 5);
    add_norm(b);
    int left = b->last;
    from(b, x);
    add_conv(b, 5, 1, 1, 0, 1, 1);
    add_binary(b, PTF_OP_ADD, left, b->last);
    add_plain(b, PTF_OP_SIGMOID);
}

/* A map, weighted by one number per channel that comes of itself. */
static void build_gate(build *b)
{
    start(b, 3, 4, 8, 8);
    add_conv_of(b, 0, 6);
    int x = b->last;
    add_pool(b, PTF_OP_AVGPOOL2D, 8, 8, 0, false);
    add_conv(b, 6, 1, 1, 0, 1, 1);
    add_plain(b, PTF_OP_SIGMOID);
    add_binary(b, PTF_OP_MUL, x, b->last);
}

static void build_dense_block(build *b)
{
    start(b, 3, 3, 6, 7);
    int all[4] = {0};
    for (int i = 1; i < 4; i++) {
        add_conv_of(b, i > 1 ? add_concat(b, 1, i, all) : 0, i);
        add_plain(b, PTF_OP_TANH);
        all[i] = b->last;
    }
    add_concat(b, 1, 4, all);
    add_concat(b, 3, 2, (int[]){b->last, b->last});
}

/* A constant that several nodes read in several ways. */
static void build_shared_constant(build *b)
{
    start(b, 3, 4, 9, 8);
    int c = add_constant(b, 3, (int64_t[]){4, 1, 1});
    int x = add_binary(b, PTF_OP_MUL, 0, c);
    x = add_binary(b, PTF_OP_SUB, c, x);
    from(b, c);
    add_plain(b, PTF_OP_SIGMOID);
    x = add_binary(b, PTF_OP_DIV, x, b->last);
    int square = add_binary(b, PTF_OP_MUL, c, c);
    add_binary(b, PTF_OP_ADD, x, square);
}

/* Position embeddings, a scale without axes, and a value read twice by one. */
static void build_embeddings(build *b)
{
    start(b, 2, 5, 6, 0);
    int where = add_constant(b, 3, (int64_t[]){1, 5, 6});
    int x = add_binary(b, PTF_OP_ADD, 0, where);
    x = add_binary(b, PTF_OP_MUL, x, x);
    int scale = add_constant(b, 0, NULL);
    x = add_binary(b, PTF_OP_DIV, x, scale);
    int row = add_constant(b, 1, (int64_t[]){6});
    x = add_binary(b, PTF_OP_MAXIMUM, row, x);
    add_binary(b, PTF_OP_MINIMUM, x, add_constant(b, 2, (int64_t[]){5, 1}));
}

/* Outer products: each operand is broadcast along another axis. */
static void build_outer(build *b)
{
    start(b, 3, 3, 1, 7);
    int c = add_constant(b, 4, (int64_t[]){2, 1, 5, 1});
    int x = add_binary(b, PTF_OP_MUL, c, 0);
    x = add_binary(b, PTF_OP_SUB, 0, x);
    add_binary(b, PTF_OP_DIV, x, add_constant(b, 3, (int64_t[]){3, 5, 7}));
}

static void build_output_read_by_others(build *b)
{
    start(b, 3, 4, 6, 5);
    add_conv_of(b, 0, 4);
    int x = b->last;
    add_plain(b, PTF_OP_TANH);
    add_binary(b, PTF_OP_ADD, b->last, 0);
    from(b, x);
}

static void build_input_as_output(build *b)
{
    start(b, 3, 4, 6, 5);
    add_conv_of(b, 0, 4);
    from(b, 0);
}

static void build_unread(build *b)
{
    start(b, 3, 4, 6, 5);
    add_conv_of(b, 0, 4);
    int x = b->last;
    add_conv_of(b, x, 3);
    from(b, x);
    add_plain(b, PTF_OP_TANH);
}

static void build_constant_output(build *b)
{
    start(b, 3, 2, 3, 4);
    int c = add_constant(b, 2, (int64_t[]){3, 2});
    add_binary(b, PTF_OP_MUL, c, c);
}

static void (*const by_hand[])(build *) = {
    build_residual,
    build_gate,
    build_dense_block,
    build_shared_constant,
    build_embeddings,
    build_outer,
    build_output_read_by_others,
    build_input_as_output,
    build_unread,
    build_constant_output,
};

static void make(build *b, size_t i)
{
    by_hand[i](b);
    assert_int_equal(ptf_net_collect(&b->net, NULL), PTF_OK);
}

static void graphs_made_by_hand_agree_with_loops_in_double(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(by_hand); i++) {
        build b;
        grad_run r;
        char name[32];
        snprintf(name, sizeof(name), "graph %zu by hand", i);
        make(&b, i);
        grad_run_make(&r, &b.net, &b.input, (ptf_gradient_options){0});
        grad_run_back(&r, IMAGES);
        grad_expect_tape(&r, &b.net, &b.input, 1e-3, name);
        grad_run_free(&r);
        finish(&b);
    }
}

static void graphs_made_by_hand_have_one_result_however_they_run(void **unused)
{
    (void)unused;
    const float odd[] = {0.5F, -0.0F, 1e-42F, (float)INFINITY, (float)NAN};
    for (size_t i = 0; i < 3 * PTF_ARRAY_SIZE(by_hand); i++) {
        build b;
        char name[32];
        snprintf(name, sizeof(name), "graph %zu by hand", i / 3);
        make(&b, i / 3);
        grad_expect_bits(&b.net, &b.input, 1 + (int)(i % 3), odd[i % 5], name);
        finish(&b);
    }
}

/* -------------------------------------------------------------------- drawn */

static const double least = 0.02, most = 100.0;

/* The nearest that two numbers of the node's operands come to each other. */
static double distance(const tape *t, const ptf_node *node)
{
    double near = (double)INFINITY;
    const int *in = node->inputs;
    for (int64_t i = 0; i < t->numel[in[0]]; i++) {
        for (int64_t k = 0; k < t->numel[in[1]]; k++) {
            double d = fabs(t->value[in[0]][i] - t->value[in[1]][k]);
            near = d > 0 && d < near ? d : near;
        }
    }
    return near;
}

/* The smallest number, or the smallest that is not 0. */
static double smallest(const double *x, int64_t n, bool zero)
{
    double near = (double)INFINITY;
    for (int64_t i = 0; i < n; i++)
        near =
            (zero || fabs(x[i]) > 0) && fabs(x[i]) < near ? fabs(x[i]) : near;
    return near;
}

/*
 * Numbers of moderate size, and none so near to where a derivative jumps that
 * f32 and double may be on different sides.
 */
static bool is_tame(const tape *t)
{
    for (int i = 0; i < t->net->node_count; i++) {
        const ptf_node *node = &t->net->nodes[i];
        for (int64_t k = 0; k < t->numel[i]; k++) {
            if (!(fabs(t->value[i][k]) < most))
                return false;
        }
        int last = node->input_count - 1,
            x = last >= 0 ? node->inputs[last] : 0;
        if (node->op == PTF_OP_DIV &&
            smallest(t->value[x], t->numel[x], true) < least)
            return false;
        if ((node->op == PTF_OP_MAXIMUM || node->op == PTF_OP_MINIMUM) &&
            distance(t, node) < 1e-5)
            return false;
        if ((node->op == PTF_OP_RELU || node->op == PTF_OP_LEAKY_RELU) &&
            smallest(t->value[x], t->numel[x], false) < 1e-5)
            return false;
    }
    return true;
}

static bool runs_tamely(const grad_run *r, const build *b)
{
    tape t;
    bool tame = true;
    tape_init(&t, &b->net, &b->input);
    for (int64_t n = 0; n < IMAGES && tame; n++) {
        double *in = calloc((size_t)r->inputs, sizeof(double));
        for (int64_t i = 0; i < r->inputs; i++)
            in[i] = (double)r->in[n * r->inputs + i];
        tape_run(&t, in);
        tame = is_tame(&t);
        free(in);
    }
    tape_free(&t);
    return tame;
}

static void drawn_graphs_agree_with_loops_in_double(void **unused)
{
    (void)unused;
    uint64_t tame = 0;
    for (uint64_t seed = first_seed; seed < first_seed + graphs; seed++) {
        build b;
        grad_run r;
        char name[48];
        snprintf(name, sizeof(name), "seed %llu", (unsigned long long)seed);
        drawn_graph_make(&b, seed, seed % 2);
        assert_int_equal(ptf_net_collect(&b.net, NULL), PTF_OK);
        grad_run_make(&r, &b.net, &b.input,
                      (ptf_gradient_options){.threads = 1});
        if (runs_tamely(&r, &b)) {
            tame++;
            grad_run_back(&r, IMAGES);
            grad_expect_tape(&r, &b.net, &b.input, 1e-3, name);
        }
        grad_run_free(&r);
        finish(&b);
    }
    assert_true(5 * tame > graphs);
}

static void drawn_graphs_have_one_result_however_they_run(void **unused)
{
    (void)unused;
    const float odd[] = {0.5F, -0.0F, 1e-42F, (float)INFINITY, (float)NAN};
    for (uint64_t seed = first_seed; seed < first_seed + graphs / 4; seed++) {
        build b;
        char name[48];
        snprintf(name, sizeof(name), "seed %llu", (unsigned long long)seed);
        drawn_graph_make(&b, seed, seed % 2);
        assert_int_equal(ptf_net_collect(&b.net, NULL), PTF_OK);
        grad_expect_bits(&b.net, &b.input, 1 + (int)(seed % 3), odd[seed % 5],
                         name);
        finish(&b);
    }
}

/* Gradients of a batch are those of its images, added in order. */
static void a_batch_of_graphs_adds_up_its_images(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(by_hand); i++) {
        build b;
        make(&b, i);
        grad_expect_images(&b.net, &b.input);
        finish(&b);
    }
    for (uint64_t seed = first_seed; seed < first_seed + graphs / 8; seed++) {
        build b;
        drawn_graph_make(&b, seed, seed % 2);
        assert_int_equal(ptf_net_collect(&b.net, NULL), PTF_OK);
        grad_expect_images(&b.net, &b.input);
        finish(&b);
    }
}

/* --------------------------------------------------------------------- sums */

static const ptf_op operators[] = {PTF_OP_ADD, PTF_OP_SUB,     PTF_OP_MUL,
                                   PTF_OP_DIV, PTF_OP_MAXIMUM, PTF_OP_MINIMUM};

/* What backward.h says of one operand of f(x[0], x[1]). */
static double term_of(ptf_op op, int operand, double d, const float *x[2],
                      const int64_t at[2])
{
    double a = (double)x[0][at[0]], b = (double)x[1][at[1]];
    double own = operand == 0 ? a : b, other = operand == 0 ? b : a;
    if (op == PTF_OP_MUL)
        return d * other;
    if (op == PTF_OP_DIV)
        return operand == 0 ? d / b : -(d * a) / (b * b);
    if (op == PTF_OP_SUB)
        return operand == 0 ? d : -d;
    if (op == PTF_OP_ADD)
        return d;
    if (isnan(own) || isnan(other))
        return d;
    if (fabs(own - other) <= 0)
        return d / 2;
    return (own > other) == (op == PTF_OP_MAXIMUM) ? d : 0;
}

static int64_t position(const ptf_shape *out, const ptf_shape *in, int64_t i)
{
    int64_t index[PTF_SHAPE_MAX], at = 0;
    for (int d = out->rank - 1; d >= 0; d--) {
        index[d] = i % out->dim[d];
        i /= out->dim[d];
    }
    for (int d = 0; d < in->rank; d++) {
        int64_t of = index[out->rank - in->rank + d];
        at = at * in->dim[d] + (in->dim[d] == 1 ? 0 : of);
    }
    return at;
}

/* A sum that backward.h defines, under way. */
typedef struct blocks {
    double block, sum;
    int64_t terms;
} blocks;

static void add_term(blocks *s, double t)
{
    if (s->terms > 0 && s->terms % 256 == 0) {
        s->sum = s->terms == 256 ? s->block : s->sum + s->block;
        s->block = 0;
    }
    s->block = s->block + t;
    s->terms++;
}

/* The gradient of an operand, of one image; the caller frees. */
static float *sums_of(ptf_op op, int operand, const float *d, const float *x[2],
                      const ptf_shape *in[2], const ptf_shape *out)
{
    int64_t n = ptf_shape_numel(in[operand]), all = ptf_shape_numel(out);
    blocks *sums = calloc((size_t)n, sizeof(*sums));
    float *by = grad_floats(n);
    for (int64_t i = 0; i < all; i++) {
        int64_t at[2] = {position(out, in[0], i), position(out, in[1], i)};
        double t = term_of(op, operand, (double)d[i], x, at);
        add_term(&sums[at[operand]], t);
        if (n == all)
            by[at[operand]] = (float)t;
    }
    for (int64_t i = 0; i < n && n < all; i++)
        by[i] = (float)(sums[i].terms > 256 ? sums[i].sum + sums[i].block
                                            : sums[i].block);
    free(sums);
    return by;
}

/*
 * Of the terms of each sum of a constant's gradient some are so large that
 * those before the next one, which takes it back, are lost even in double: the
 * result depends on where blocks begin.
 */
static void add_large(grad_run *r, const ptf_shape *constant,
                      const ptf_shape *out)
{
    int64_t n = ptf_shape_numel(constant);
    for (int64_t image = 0; image < IMAGES && r->outputs > n; image++) {
        int *terms = calloc((size_t)n, sizeof(*terms));
        for (int64_t i = 0; i < r->outputs; i++) {
            int term = terms[position(out, constant, i)]++ % 11;
            if (term == 3 || term == 9)
                r->cotangent[image * r->outputs + i] =
                    term == 3 ? 0x1p57F : -0x1p57F;
        }
        free(terms);
    }
}

typedef struct pair {
    ptf_shape in, constant;
} pair;

static void check_pair(const pair *p, ptf_op op, bool turned,
                       ptf_gradient_options how)
{
    build b;
    grad_run r;
    start(&b, 3, 1, 1, 1);
    b.input = b.shapes[0] = b.shape = p->in;
    int c = add_constant(&b, p->constant.rank, p->constant.dim);
    add_binary(&b, op, turned ? c : 0, turned ? 0 : c);
    assert_int_equal(ptf_net_collect(&b.net, NULL), PTF_OK);
    grad_run_make(&r, &b.net, &b.input, how);
    if (op == PTF_OP_ADD || op == PTF_OP_SUB)
        add_large(&r, &p->constant, &b.shape);
    grad_run_back(&r, IMAGES);
    const float *constant = b.nodes[c].tensors[PTF_ROLE_WEIGHT]->data;
    const float *by = ptf_gradient_tensor(r.g, 0)->data;
    const float *dx = ptf_gradient_input(r.g, 0);
    int64_t numel = ptf_shape_numel(&p->constant);
    const ptf_shape *in[2] = {turned ? &p->constant : &p->in,
                              turned ? &p->in : &p->constant};
    float *sums = grad_floats(numel);
    for (int64_t n = 0; n < IMAGES; n++) {
        const float *image = r.in + n * r.inputs;
        const float *x[2] = {turned ? constant : image,
                             turned ? image : constant};
        const float *d = r.cotangent + n * r.outputs;
        float *want = sums_of(op, turned, d, x, in, &b.shape);
        float *one = sums_of(op, !turned, d, x, in, &b.shape);
        assert_memory_equal(dx + n * r.inputs, want,
                            (size_t)r.inputs * sizeof(float));
        for (int64_t i = 0; i < numel; i++)
            sums[i] = n == 0 ? one[i] : sums[i] + one[i];
        free(want);
        free(one);
    }
    assert_memory_equal(by, sums, (size_t)numel * sizeof(float));
    free(sums);
    grad_run_free(&r);
    finish(&b);
}

static void broadcast_operands_get_the_sums_that_are_defined(void **unused)
{
    (void)unused;
    static const pair pairs[] = {
        {{3, {4, 9, 8}}, {3, {4, 9, 8}}},
        {{3, {4, 9, 8}}, {3, {4, 1, 1}}},
        {{3, {4, 9, 8}}, {0, {0}}},
        {{3, {4, 9, 8}}, {2, {9, 8}}},
        {{2, {1, 30}}, {2, {20, 30}}},
        {{1, {1}}, {1, {600}}},
        {{4, {2, 3, 1, 5}}, {3, {3, 4, 1}}},
        {{2, {700, 2}}, {1, {2}}},
        {{2, {2, 700}}, {2, {2, 1}}},
        {{4, {5, 7, 11, 13}}, {3, {7, 1, 13}}},
        {{3, {2, 1, 300}}, {3, {1, 5, 1}}},
        {{2, {3, 256}}, {2, {1, 1}}},
        {{2, {1, 1}}, {2, {1, 1}}},
    };
    for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
        if (!ptf_isa_here((ptf_isa)isa))
            continue;
        ptf_gradient_options how = {.isa = ptf_isa_text((ptf_isa)isa)};
        for (size_t i = 0; i < PTF_ARRAY_SIZE(pairs); i++) {
            for (size_t k = 0; k < PTF_ARRAY_SIZE(operators); k++) {
                how.threads = 1 + (int)(i + k) % 3;
                check_pair(&pairs[i], operators[k], (i + k) % 2, how);
                check_pair(&pairs[i], operators[k], (i + k + 1) % 2, how);
            }
        }
    }
}

/* ----------------------------------------------------------- conventions */

/* Those of f(x, constant), with a cotangent of 3, 4, 5, ... */
static void derivatives_of(ptf_op op, const float *x, const float *constant,
                           int64_t n, float *dx, float *dc)
{
    build b;
    float y[8], d[8];
    ptf_gradient *g;
    start(&b, 1, n, 0, 0);
    int c = add_constant(&b, 1, &n);
    memcpy((float *)(uintptr_t)b.nodes[c].tensors[PTF_ROLE_WEIGHT]->data,
           constant, (size_t)n * sizeof(float));
    add_binary(&b, op, 0, c);
    assert_int_equal(ptf_net_collect(&b.net, NULL), PTF_OK);
    for (int64_t i = 0; i < n; i++)
        d[i] = 3.0F + (float)i;
    assert_int_equal(ptf_gradient_make(&b.net, &b.input, 1, NULL, &g, NULL),
                     PTF_OK);
    assert_int_equal(ptf_gradient_run(g, x, 1, y, NULL), PTF_OK);
    assert_int_equal(ptf_gradient_back(g, d, NULL), PTF_OK);
    memcpy(dx, ptf_gradient_input(g, 0), (size_t)n * sizeof(float));
    memcpy(dc, ptf_gradient_tensor(g, 0)->data, (size_t)n * sizeof(float));
    ptf_gradient_free(g);
    finish(&b);
}

/* As in PyTorch 2.13: torch.maximum(x, c).backward(torch.tensor([3., ...])). */
static void equal_numbers_share_a_maximum_and_nan_takes_it_all(void **unused)
{
    (void)unused;
    const float x[8] = {1, 2, 1, NAN, 1, NAN, -0.0F, INFINITY};
    const float c[8] = {2, 1, 1, 1, NAN, NAN, 0, INFINITY};
    const float more[8] = {0, 4, 2.5F, 6, 7, 8, 4.5F, 5};
    const float less[8] = {3, 0, 2.5F, 6, 7, 8, 4.5F, 5};
    float dx[8], dc[8];
    derivatives_of(PTF_OP_MAXIMUM, x, c, 8, dx, dc);
    assert_memory_equal(dx, more, sizeof(dx));
    assert_memory_equal(dc, less, sizeof(dc));
    derivatives_of(PTF_OP_MINIMUM, x, c, 8, dx, dc);
    assert_memory_equal(dx, less, sizeof(dx));
    assert_memory_equal(dc, more, sizeof(dc));
}

static void differences_and_quotients_turn_the_sign(void **unused)
{
    (void)unused;
    const float x[2] = {7, 8}, c[2] = {2, 4};
    const float same[2] = {3, 4}, turned[2] = {-3, -4};
    const float by_x[2] = {1.5F, 1}, by_c[2] = {-5.25F, -2};
    float dx[2], dc[2];
    derivatives_of(PTF_OP_SUB, x, c, 2, dx, dc);
    assert_memory_equal(dx, same, sizeof(dx));
    assert_memory_equal(dc, turned, sizeof(dc));
    derivatives_of(PTF_OP_DIV, x, c, 2, dx, dc);
    assert_memory_equal(dx, by_x, sizeof(dx));
    assert_memory_equal(dc, by_c, sizeof(dc));
}

/* A quotient that nobody reads would bring 0 / 0 to all before it. */
static void what_does_not_lead_to_the_output_brings_nothing(void **unused)
{
    (void)unused;
    build b;
    grad_run r;
    start(&b, 1, 6, 0, 0);
    int64_t n = 6;
    int c = add_constant(&b, 1, &n);
    memset((float *)(uintptr_t)b.nodes[c].tensors[PTF_ROLE_WEIGHT]->data, 0,
           6 * sizeof(float));
    add_binary(&b, PTF_OP_DIV, 0, c);
    add_linear(&b, 4);
    from(&b, 0);
    add_plain(&b, PTF_OP_TANH);
    assert_int_equal(ptf_net_collect(&b.net, NULL), PTF_OK);
    grad_run_make(&r, &b.net, &b.input, (ptf_gradient_options){0});
    grad_run_back(&r, IMAGES);
    assert_true(ptf_all_finite(ptf_gradient_input(r.g, 0), IMAGES * 6));
    assert_int_equal(ptf_gradient_tensor_count(r.g), 3);
    for (size_t i = 0; i < 3; i++) {
        const ptf_tensor *t = ptf_gradient_tensor(r.g, i);
        for (int64_t k = 0; k < ptf_tensor_numel(t); k++)
            assert_true(fabsf(((const float *)t->data)[k]) <= 0);
    }
    grad_run_free(&r);
    finish(&b);
}

/* --------------------------------------------------------------- parameters */

/* Two convolutions, whose parameters are the same or have other names. */
static void build_twice(build *b, bool shared)
{
    start(b, 3, 4, 6, 5);
    add_conv_of(b, 0, 4);
    int first = b->last;
    add_plain(b, PTF_OP_TANH);
    add_conv_of(b, b->last, 4);
    for (int role = PTF_ROLE_WEIGHT; role <= PTF_ROLE_BIAS; role++) {
        ptf_tensor *t = ptf_arena_alloc(&b->net.arena, sizeof(*t));
        *t = *b->nodes[first].tensors[role];
        if (!shared)
            t->name = role == PTF_ROLE_WEIGHT ? "weight" : "bias";
        b->nodes[b->last].tensors[role] = t;
    }
    assert_int_equal(ptf_net_collect(&b->net, NULL), PTF_OK);
}

static void a_parameter_of_two_nodes_has_one_gradient(void **unused)
{
    (void)unused;
    build one, two;
    grad_run a, b;
    build_twice(&one, true);
    build_twice(&two, false);
    grad_run_make(&a, &one.net, &one.input, (ptf_gradient_options){0});
    grad_run_make(&b, &two.net, &two.input, (ptf_gradient_options){0});
    for (int run = 0; run < 2; run++) { /* back twice: nothing is left over */
        grad_run_back(&a, IMAGES);
        grad_run_back(&b, IMAGES);
        assert_int_equal(ptf_gradient_tensor_count(a.g), 2);
        assert_int_equal(ptf_gradient_tensor_count(b.g), 4);
        for (size_t i = 0; i < 2; i++) {
            const ptf_tensor *t = ptf_gradient_tensor(a.g, i);
            const float *all = t->data;
            const float *first = ptf_gradient_tensor(b.g, i)->data;
            const float *second = ptf_gradient_tensor(b.g, i + 2)->data;
            for (int64_t k = 0; k < ptf_tensor_numel(t); k++) {
                float sum = first[k] + second[k];
                assert_memory_equal(&all[k], &sum, sizeof(sum));
            }
        }
    }
    grad_run_free(&a);
    grad_run_free(&b);
    finish(&one);
    finish(&two);
}

static void constants_are_parameters_where_they_have_derivatives(void **unused)
{
    (void)unused;
    build b;
    const float in[3] = {1, 2, 3}, d[3] = {1, 1, 1};
    static const int64_t whole[3] = {4, 5, 6};
    float out[3];
    start(&b, 1, 3, 0, 0);
    int64_t n = 3;
    int c = add_constant(&b, 1, &n);
    int x = add_binary(&b, PTF_OP_MUL, 0, add_constant(&b, 1, &n));
    ptf_tensor *t = (ptf_tensor *)(uintptr_t)b.nodes[c].tensors[0];
    t->dtype = PTF_DTYPE_I64;
    t->data = whole;
    add_binary(&b, PTF_OP_ADD, c, x);
    assert_int_equal(ptf_net_collect(&b.net, NULL), PTF_OK);
    for (unsigned by = 1; by <= 3; by++) {
        ptf_gradient *g;
        ptf_error err;
        ptf_gradient_options options = {.by = by};
        if (ptf_gradient_make(&b.net, &b.input, 1, &options, &g, &err))
            fail_msg("%s", err.message);
        assert_int_equal(ptf_gradient_run(g, in, 1, out, NULL), PTF_OK);
        assert_int_equal(ptf_gradient_back(g, d, NULL), PTF_OK);
        assert_true((ptf_gradient_input(g, 0) != NULL) == ((by & 1) != 0));
        assert_int_equal(ptf_gradient_tensor_count(g), by & 2 ? 1 : 0);
        if (by & 2)
            assert_memory_equal(ptf_gradient_tensor(g, 0)->data, in,
                                sizeof(in));
        ptf_gradient_free(g);
    }
    finish(&b);
}

static void a_constant_per_channel_is_a_bias(void **unused)
{
    (void)unused;
    build b;
    grad_run r;
    start(&b, 3, 3, 40, 31);
    add_conv_of(&b, 0, 5);
    int x = b.last;
    int c = add_constant(&b, 3, (int64_t[]){5, 1, 1});
    add_binary(&b, PTF_OP_ADD, c, x);
    add_plain(&b, PTF_OP_TANH);
    assert_int_equal(ptf_net_collect(&b.net, NULL), PTF_OK);
    grad_run_make(&r, &b.net, &b.input, (ptf_gradient_options){0});
    grad_run_back(&r, IMAGES);
    assert_int_equal(ptf_gradient_tensor_count(r.g), 3);
    assert_memory_equal(ptf_gradient_tensor(r.g, 1)->data,
                        ptf_gradient_tensor(r.g, 2)->data, 5 * sizeof(float));
    grad_run_free(&r);
    finish(&b);
}

static void failed_allocations_are_reported(void **unused)
{
    (void)unused;
    build b;
    build_shared_constant(&b);
    assert_int_equal(ptf_net_collect(&b.net, NULL), PTF_OK);
    ptf_gradient_options options = {.threads = 1};
    ptf_gradient *g = NULL;
    ptf_status status = PTF_MEMORY;
    for (long n = 0; status != PTF_OK && n < 1000; n++) {
        ptf_alloc_fail_after(n);
        status = ptf_gradient_make(&b.net, &b.input, 2, &options, &g, NULL);
        ptf_alloc_fail_after(-1);
        assert_true(status == PTF_OK || status == PTF_MEMORY);
        assert_true((g != NULL) == (status == PTF_OK));
    }
    assert_int_equal(status, PTF_OK);
    ptf_gradient_free(g);
    finish(&b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broadcast_operands_get_the_sums_that_are_defined),
        cmocka_unit_test(equal_numbers_share_a_maximum_and_nan_takes_it_all),
        cmocka_unit_test(differences_and_quotients_turn_the_sign),
        cmocka_unit_test(graphs_made_by_hand_agree_with_loops_in_double),
        cmocka_unit_test(graphs_made_by_hand_have_one_result_however_they_run),
        cmocka_unit_test(drawn_graphs_agree_with_loops_in_double),
        cmocka_unit_test(drawn_graphs_have_one_result_however_they_run),
        cmocka_unit_test(a_batch_of_graphs_adds_up_its_images),
        cmocka_unit_test(what_does_not_lead_to_the_output_brings_nothing),
        cmocka_unit_test(a_parameter_of_two_nodes_has_one_gradient),
        cmocka_unit_test(constants_are_parameters_where_they_have_derivatives),
        cmocka_unit_test(a_constant_per_channel_is_a_bias),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        graphs = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
