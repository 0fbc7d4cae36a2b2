/*
 * A program that was written must be the network that it was written for:
 * whatever went into it, the file decides.
 *
 * Two nets are the same when their layers are, in order, with the same
 * numbers.  Views that keep numbers in their order are looked through: a
 * program may have others, since it counts the batch among the axes.  A
 * constant is its numbers, whatever made it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/export.h"
#include "export/plain.h"
#include "net/graph.h"

typedef struct side {
    const ptf_net *net;
    ptf_shape *shapes; /* of nodes */
    int *reads;        /* as ptf_net_count_reads() */
    int at;            /* the node that is compared, or the end */
} side;

typedef struct comparison {
    side sides[2]; /* as it was, as it reads back */
    int *pairs;    /* by nodes of the first: the other's, or -1 */
    ptf_arena arena;
    ptf_error *err;
} comparison;

/* ------------------------------------------------------------------ tensors */

/* All elements as f32 in C order, or of integers as they are; the copy, if one
 * is made, is to be released. */
static const void *bytes_of(const ptf_tensor *t, void **copy)
{
    *copy = NULL;
    if (ptf_tensor_f32(t) != NULL)
        return t->data;
    *copy = ptf_alloc((size_t)(ptf_tensor_numel(t) + 1) * sizeof(float));
    if (*copy != NULL && ptf_tensor_read_f32(t, *copy, NULL) != PTF_OK) {
        ptf_free(*copy);
        *copy = NULL;
    }
    return *copy;
}

static bool same_numbers(const ptf_tensor *a, const ptf_tensor *b)
{
    void *copies[2];
    if (ptf_tensor_numel(a) != ptf_tensor_numel(b))
        return false;
    const void *x = bytes_of(a, &copies[0]), *y = bytes_of(b, &copies[1]);
    size_t size = (size_t)ptf_tensor_numel(a) * sizeof(float);
    bool same =
        x != NULL && y != NULL && (size == 0 || memcmp(x, y, size) == 0);
    ptf_free(copies[0]);
    ptf_free(copies[1]);
    return same;
}

static bool same_tensor(const ptf_tensor *a, const ptf_tensor *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof(*a->shape)) ==
               0 &&
           same_numbers(a, b);
}

/* -------------------------------------------------------------------- nodes */

/* The next node that computes, from 'at' on. */
static void go_on(side *s)
{
    while (s->at < s->net->node_count &&
           (s->reads[s->at] == 0 ||
            ptf_op_is(s->net->nodes[s->at].op, PTF_FAMILY_SOURCE) ||
            ptf_plain_is_view(s->net, s->shapes, s->at)))
        s->at++;
}

/* Shapes are aligned at their ends where each number goes on its own. */
static bool same_shape(const ptf_shape *a, const ptf_shape *b, bool aligned)
{
    int more = a->rank - b->rank;
    if (more < 0)
        return same_shape(b, a, aligned);
    for (int d = 0; d < more; d++) {
        if (!aligned || a->dim[d] != 1)
            return false;
    }
    return memcmp(a->dim + more, b->dim, (size_t)b->rank * sizeof(*b->dim)) ==
           0;
}

/* Ops that count axes from the last one. */
static bool goes_alone(ptf_op op)
{
    static const bool counts[PTF_OP_COUNT] = {
        [PTF_OP_WHERE] = true, [PTF_OP_MATMUL] = true, [PTF_OP_LINEAR] = true};
    return counts[op] || ptf_op_is(op, PTF_FAMILY_UNARY) ||
           ptf_op_is(op, PTF_FAMILY_BINARY);
}

/* The two nodes have the same numbers in the same order. */
static bool same_value(const comparison *c, int a, int b)
{
    const ptf_net *x = c->sides[0].net, *y = c->sides[1].net;
    a = ptf_plain_root(x, c->sides[0].shapes, a);
    b = ptf_plain_root(y, c->sides[1].shapes, b);
    if (x->nodes[a].op == PTF_OP_CONSTANT)
        return y->nodes[b].op == PTF_OP_CONSTANT &&
               same_numbers(x->nodes[a].tensors[PTF_ROLE_WEIGHT],
                            y->nodes[b].tensors[PTF_ROLE_WEIGHT]);
    return a < x->input_count ? a == b : c->pairs[a] == b;
}

static bool same_operands(const comparison *c, const ptf_node *a,
                          const ptf_node *b)
{
    bool aligned = goes_alone(a->op), same = a->input_count == b->input_count;
    for (int i = 0; i < a->input_count && same; i++)
        same = same_value(c, a->inputs[i], b->inputs[i]) &&
               same_shape(&c->sides[0].shapes[a->inputs[i]],
                          &c->sides[1].shapes[b->inputs[i]], aligned);
    return same;
}

static const char *attributes(comparison *c, const ptf_node *node, int which)
{
    const side *s = &c->sides[which];
    ptf_node plain = *node;
    plain.attrs =
        ptf_plain_attrs(node, &s->shapes[node->inputs[0]], &s->shapes[s->at]);
    return ptf_graph_attributes(&c->arena, &plain);
}

/* A product with a constant matrix reads back as the linear layer that it is:
 * of the columns, in the same order. */
static bool same_product(const comparison *c, const ptf_node *a,
                         const ptf_node *b)
{
    const ptf_net *net = c->sides[0].net;
    const ptf_node *right = &net->nodes[a->inputs[1]];
    if (right->op != PTF_OP_CONSTANT ||
        !same_value(c, a->inputs[0], b->inputs[0]))
        return false;
    ptf_tensor columns = *right->tensors[PTF_ROLE_WEIGHT];
    if (columns.rank != 2 || b->tensors[PTF_ROLE_BIAS] != NULL)
        return false;
    for (int d = 0; d < 2; d++) {
        columns.shape[d] = right->tensors[PTF_ROLE_WEIGHT]->shape[1 - d];
        columns.stride[d] = right->tensors[PTF_ROLE_WEIGHT]->stride[1 - d];
    }
    return same_tensor(&columns, b->tensors[PTF_ROLE_WEIGHT]);
}

static bool same_node(comparison *c, const ptf_node *a, const ptf_node *b)
{
    static const ptf_op other[PTF_OP_COUNT] = {[PTF_OP_MATMUL] = PTF_OP_LINEAR};
    if (other[a->op] == b->op)
        return same_product(c, a, b);
    bool same = a->op == b->op && same_operands(c, a, b);
    for (int role = 0; role < PTF_ROLE_NUM_BATCHES && same; role++)
        same = same_tensor(a->tensors[role], b->tensors[role]);
    const char *x = same ? attributes(c, a, 0) : NULL;
    const char *y = same ? attributes(c, b, 1) : NULL;
    return x != NULL && y != NULL && strcmp(x, y) == 0;
}

/* True for a batch norm that is that scale and shift, and nothing else. */
static bool is_epilogue(comparison *c, const ptf_node *sum, int index,
                        const ptf_node *norm)
{
    ptf_norm_numbers n;
    int64_t channels = sum->attrs.out_channels;
    bool same = ptf_op_is(norm->op, PTF_FAMILY_AFFINE) &&
                ptf_plain_root(c->sides[1].net, c->sides[1].shapes,
                               norm->inputs[0]) == index &&
                same_tensor(sum->tensors[PTF_ROLE_SCALE],
                            norm->tensors[PTF_ROLE_WEIGHT]) &&
                same_tensor(sum->tensors[PTF_ROLE_SHIFT],
                            norm->tensors[PTF_ROLE_BIAS]) &&
                ptf_norm_numbers_read(&c->arena, norm, &n, NULL) == PTF_OK &&
                norm->attrs.out_channels == channels &&
                !(norm->attrs.eps > 0 || norm->attrs.eps < 0);
    for (int64_t i = 0; i < channels && same; i++)
        same = !(n.mean[i] < 0 || n.mean[i] > 0) &&
               !(n.var[i] < 1 || n.var[i] > 1);
    return same;
}

/* A scale and a shift read back as a layer of their own. */
static bool same_layer(comparison *c)
{
    side *x = &c->sides[0], *y = &c->sides[1];
    const ptf_node *a = &x->net->nodes[x->at], *b = &y->net->nodes[y->at];
    int index = y->at;
    if (!a->attrs.scale_shift || b->attrs.scale_shift)
        return same_node(c, a, b);
    ptf_node sum = *a;
    sum.attrs.scale_shift = false;
    sum.tensors[PTF_ROLE_SCALE] = sum.tensors[PTF_ROLE_SHIFT] = NULL;
    if (!same_node(c, &sum, b))
        return false;
    y->at++;
    go_on(y);
    return y->at < y->net->node_count &&
           is_epilogue(c, a, index, &y->net->nodes[y->at]);
}

/* -------------------------------------------------------------------- whole */

static bool same_ports(const comparison *c)
{
    const ptf_net *a = c->sides[0].net, *b = c->sides[1].net;
    if (a->input_count != b->input_count ||
        a->output_count != b->output_count || a->whole != b->whole)
        return false;
    for (int i = 0; i < a->input_count; i++) {
        const ptf_input *x = &a->inputs[i], *y = &b->inputs[i];
        if (x->dtype != y->dtype || !same_shape(&x->shape, &y->shape, false))
            return false;
    }
    for (int i = 0; i < a->output_count; i++) {
        const ptf_output *x = &a->outputs[i], *y = &b->outputs[i];
        if (x->dtype != y->dtype || !same_value(c, x->node, y->node) ||
            !same_shape(&c->sides[0].shapes[x->node],
                        &c->sides[1].shapes[y->node], false))
            return false;
    }
    return true;
}

static ptf_status open_side(comparison *c, const ptf_net *net, side *s)
{
    size_t count = (size_t)net->node_count;
    ptf_shape *inputs = ptf_arena_array(&c->arena, (size_t)net->input_count + 1,
                                        sizeof(*inputs));
    *s = (side){.net = net, .at = net->input_count};
    s->shapes = ptf_arena_array(&c->arena, count, sizeof(*s->shapes));
    s->reads = ptf_arena_array(&c->arena, count, sizeof(*s->reads));
    if (inputs == NULL || s->shapes == NULL || s->reads == NULL)
        return ptf_fail_memory(c->err);
    ptf_net_own_shapes(net, inputs);
    ptf_net_count_reads(net, s->reads);
    ptf_status status = ptf_net_shapes(net, inputs, s->shapes, c->err);
    if (status == PTF_OK)
        go_on(s);
    return status;
}

/* True where all layers are the same, or else 'sides[0].at' is what is not. */
static bool compare_layers(comparison *c)
{
    side *x = &c->sides[0], *y = &c->sides[1];
    while (x->at < x->net->node_count && y->at < y->net->node_count) {
        if (!same_layer(c))
            return false;
        c->pairs[x->at++] = y->at++;
        go_on(x);
        go_on(y);
    }
    return x->at == x->net->node_count && y->at == y->net->node_count;
}

static ptf_status compare(const ptf_net *net, const ptf_net *other,
                          ptf_error *err)
{
    comparison c = {.err = err};
    c.pairs =
        ptf_arena_array(&c.arena, (size_t)net->node_count, sizeof(*c.pairs));
    ptf_status status = c.pairs != NULL ? PTF_OK : ptf_fail_memory(err);
    if (status == PTF_OK)
        status = open_side(&c, net, &c.sides[0]);
    if (status == PTF_OK)
        status = open_side(&c, other, &c.sides[1]);
    int at = net->node_count;
    bool same = status == PTF_OK && compare_layers(&c);
    if (status == PTF_OK && !same)
        at = c.sides[0].at;
    same = same && same_ports(&c);
    ptf_arena_free(&c.arena);
    if (status != PTF_OK || same)
        return status;
    return ptf_net_fail(
        err, PTF_UNSUPPORTED, net,
        "cannot be written as a .pt2: at '%s' it reads back as another network",
        at < net->node_count ? net->nodes[at].name : "an output");
}

ptf_status ptf_net_check_written(const ptf_net *net, const char *path,
                                 ptf_error *err)
{
    ptf_error cause;
    ptf_program *program = NULL;
    ptf_net *other = NULL;
    ptf_status status = ptf_program_open(path, NULL, &program, &cause);
    if (status == PTF_OK)
        status = ptf_net_from_program(program, &other, &cause);
    if (status == PTF_MEMORY)
        status = ptf_fail_memory(err);
    else if (status != PTF_OK)
        status = ptf_net_fail(err, PTF_UNSUPPORTED, net,
                              "cannot be written as a .pt2: %s", cause.message);
    else
        status = compare(net, other, err);
    ptf_net_free(other);
    ptf_program_close(program);
    return status;
}
