/*
 * Draws node after node, each on values that are there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "drawn_graph.h"

static uint64_t state;

static int64_t pick(int64_t low, int64_t high)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return low + (int64_t)((z ^ z >> 31) % (uint64_t)(high - low + 1));
}

enum { MOST = 5000 }; /* numbers of a value */

/* Half of the time one of the newest. */
static int some_node(const build *b)
{
    int last = b->net.node_count - 1;
    return (int)pick(pick(0, 1) == 0 && last > 3 ? last - 3 : 0, last);
}

static bool has_map(const ptf_shape *s)
{
    return s->rank == 3 && s->dim[1] > 2 && s->dim[2] > 2;
}

static void draw_conv(build *b, bool rows)
{
    from(b, some_node(b));
    bool flat = b->shape.rank == 2 && b->shape.dim[1] > 4 && !rows;
    if (!flat && !has_map(&b->shape))
        return;
    int64_t kernel = pick(1, 3), stride = pick(1, 4) == 1 ? 2 : 1;
    int64_t groups = b->shape.dim[0] % 2 == 0 ? pick(1, 2) : 1;
    int64_t padding = pick(0, 3) == 0 ? pick(0, 1) : kernel / 2;
    add_conv(b, groups * pick(1, 4), kernel, stride, padding, 1, groups);
}

static void draw_pool(build *b, bool rows)
{
    (void)rows;
    from(b, some_node(b));
    if (!has_map(&b->shape))
        return;
    bool max = pick(0, 1) == 0;
    int64_t stride = pick(1, 2), padding = max ? pick(0, 1) : 0;
    add_pool(b, max ? PTF_OP_MAXPOOL2D : PTF_OP_AVGPOOL2D, max ? 3 : 2, stride,
             padding, false);
}

static void draw_plain(build *b, bool rows)
{
    static const ptf_op ops[] = {PTF_OP_RELU, PTF_OP_RELU, PTF_OP_LEAKY_RELU,
                                 PTF_OP_DROPOUT, PTF_OP_IDENTITY};
    (void)rows;
    from(b, some_node(b));
    add_plain(b, ops[pick(0, 4)]);
}

static void draw_norm(build *b, bool rows)
{
    (void)rows;
    from(b, some_node(b));
    if (b->shape.rank >= 1 && b->shape.rank <= 3)
        add_norm(b);
}

static void draw_softmax(build *b, bool rows)
{
    from(b, some_node(b));
    if (b->shape.rank < 1)
        return;
    int64_t dim = pick(1, b->shape.rank);
    add_plain(b, pick(0, 1) == 0 ? PTF_OP_SOFTMAX : PTF_OP_LOG_SOFTMAX);
    b->nodes[b->last].attrs.dim = rows && dim == 2 ? 1 : dim;
}

static void draw_rows(build *b, bool rows)
{
    (void)rows;
    from(b, some_node(b));
    int64_t most = 1;
    if (b->shape.rank < 1)
        return;
    for (int d = 0; d < b->shape.rank - 1; d++)
        most *= b->shape.dim[d];
    add_rows(b, pick(1, most < 100 ? 20 : 9));
}

static void draw_view(build *b, bool rows)
{
    from(b, some_node(b));
    if (rows || b->shape.rank < 1)
        return;
    if (pick(0, 2) == 0 && ptf_shape_numel(&b->shape) < 600) {
        add_linear(b, pick(1, 40));
        return;
    }
    add_plain(b, PTF_OP_FLATTEN);
    int64_t start_dim = pick(1, b->shape.rank);
    b->nodes[b->last].attrs.start_dim = start_dim;
    b->nodes[b->last].attrs.end_dim = pick(start_dim, b->shape.rank);
    settle(b);
}

/* A shape that goes with 's': some sizes are 1, some are new. */
static int some_constant(build *b, const ptf_shape *s)
{
    int64_t dim[PTF_SHAPE_MAX];
    int rank = (int)pick(0, s->rank);
    for (int d = 0; d < rank; d++) {
        dim[d] = s->dim[s->rank - rank + d];
        if (dim[d] == 1)
            dim[d] = pick(1, 2);
        else if (pick(0, 1) == 0)
            dim[d] = 1;
    }
    return add_constant(b, rank, dim);
}

/* The product of the larger sizes; 0 when they do not go together. */
static int64_t joint_size(const ptf_shape *x, const ptf_shape *y)
{
    int64_t n = 1;
    for (int i = 1; i <= x->rank || i <= y->rank; i++) {
        int64_t p = i <= x->rank ? x->dim[x->rank - i] : 1;
        int64_t q = i <= y->rank ? y->dim[y->rank - i] : 1;
        if (p != q && p != 1 && q != 1)
            return 0;
        n *= p > q ? p : q;
    }
    return n;
}

static void draw_binary(build *b, bool rows)
{
    (void)rows;
    static const ptf_op ops[] = {PTF_OP_ADD,     PTF_OP_ADD,    PTF_OP_SUB,
                                 PTF_OP_MUL,     PTF_OP_DIV,    PTF_OP_MAXIMUM,
                                 PTF_OP_MINIMUM, PTF_OP_MAXIMUM};
    int left = some_node(b), right = -1;
    for (int i = 0; i < 8 && right < 0; i++) {
        int other = some_node(b);
        int64_t size = joint_size(&b->shapes[left], &b->shapes[other]);
        if (size > 0 && size < MOST)
            right = other;
    }
    if (right < 0 || pick(0, 3) == 0)
        right = some_constant(b, &b->shapes[left]);
    bool swapped = pick(0, 1);
    add_binary(b, ops[pick(0, 7)], swapped ? right : left,
               swapped ? left : right);
}

static bool joins(const ptf_shape *x, const ptf_shape *y, int axis)
{
    bool same = x->rank == y->rank;
    for (int d = 0; d < x->rank && same; d++)
        same = d == axis || x->dim[d] == y->dim[d];
    return same;
}

static void draw_concat(build *b, bool rows)
{
    int inputs[5] = {some_node(b)}, count = 1;
    ptf_shape s = b->shapes[inputs[0]];
    if (s.rank < 1)
        return;
    int axis = (int)pick(0, s.rank - 1);
    if (rows && axis == 1)
        axis = 0;
    int64_t size = ptf_shape_numel(&s);
    for (int i = 0; i < 12 && count < 5; i++) {
        int other = some_node(b);
        size += ptf_shape_numel(&b->shapes[other]);
        if (joins(&s, &b->shapes[other], axis) && size < MOST)
            inputs[count++] = other;
    }
    add_concat(b, pick(0, 1) == 0 ? axis + 1 : axis - s.rank, count, inputs);
}

/* A matrix, or several, that the value of node i can be multiplied with. */
static int some_matrix(build *b, int i, bool left)
{
    const ptf_shape *s = &b->shapes[i];
    int64_t dim[PTF_SHAPE_MAX] = {pick(1, 20)};
    int rank = (int)pick(1, s->rank > 1 ? s->rank : 2), last = rank - 1;
    for (int d = 0; d < rank - 2; d++)
        dim[d] = pick(0, 1) == 0 ? 1 : s->dim[s->rank - rank + d];
    if (left) {
        dim[rank > 1 ? rank - 2 : 0] = pick(1, 20);
        dim[last] = s->dim[s->rank > 1 ? s->rank - 2 : 0];
        return add_constant(b, rank, dim);
    }
    dim[last] = pick(1, 20);
    dim[rank > 1 ? rank - 2 : 0] = s->dim[s->rank - 1];
    return add_constant(b, rank, dim);
}

/* What 'left' can be multiplied with: a value that is there, or -1. */
static int some_factor(const build *b, int left)
{
    for (int i = 0; i < 12; i++) {
        ptf_shape in[2] = {b->shapes[left], b->shapes[some_node(b)]}, out;
        ptf_attrs attrs;
        ptf_attrs_default(PTF_OP_MATMUL, &attrs);
        for (int right = 0; right < b->net.node_count; right++) {
            in[1] = b->shapes[right];
            if (pick(0, 2) > 0 &&
                ptf_op_shape(PTF_OP_MATMUL, &attrs, in, 2, &out) == NULL &&
                ptf_shape_numel(&out) < MOST)
                return right;
        }
    }
    return -1;
}

static void draw_matmul(build *b, bool rows)
{
    int i = some_node(b);
    if (rows || b->shapes[i].rank < 1 || ptf_shape_numel(&b->shapes[i]) > 2000)
        return;
    int other = pick(0, 1) == 0 ? some_factor(b, i) : -1;
    if (other >= 0) {
        add_binary(b, PTF_OP_MATMUL, i, other);
        return;
    }
    bool left = pick(0, 1) == 0;
    other = some_matrix(b, i, left);
    add_binary(b, PTF_OP_MATMUL, left ? other : i, left ? i : other);
}

static void draw_constant(build *b, bool rows)
{
    (void)rows;
    some_constant(b, &b->shapes[some_node(b)]);
}

void drawn_graph_make(build *b, uint64_t seed, bool rows)
{
    static void (*const layers[])(build *, bool) = {
        draw_conv,   draw_conv,   draw_conv,   draw_pool,    draw_plain,
        draw_plain,  draw_norm,   draw_binary, draw_binary,  draw_binary,
        draw_concat, draw_concat, draw_view,   draw_softmax, draw_constant,
        draw_matmul, draw_matmul, draw_rows};
    state = seed * 1000003;
    /* One at a time: compilers may evaluate arguments in any order. */
    int64_t channels = pick(1, 6), height = pick(6, rows ? 24 : 10);
    start(b, 3, channels, height, pick(1, 9));
    if (!rows) {
        b->input.rank = (int)pick(1, 6);
        for (int d = 3; d < b->input.rank; d++)
            b->input.dim[d] = pick(1, 2);
        b->shape = b->shapes[0] = b->input;
    }
    b->net.inputs[0] = (ptf_input){.has_shape = true, .shape = b->input};
    int64_t tries = pick(4, 24);
    for (int64_t i = 0; i < tries && b->net.node_count < NODES - 4; i++)
        layers[pick(0, PTF_ARRAY_SIZE(layers) - 1)](b, rows);
    from(b, pick(0, 3) == 0 ? some_node(b) : b->net.node_count - 1);
}
