/*
 * Rows of a table in bags, each of which gives their sum, their mean or their
 * largest numbers.  The bags are known; a row that stands for nothing
 * (padding_idx) is in none, so where there are such the indices are known, too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

typedef enum bag_mode { BAG_SUM, BAG_MEAN, BAG_MAX } bag_mode;

typedef struct bags {
    int rows; /* [indices, numbers] */
    int64_t count, indices;
    const float *begin, *index; /* of each bag; NULL: not known */
    int64_t padding;
    bag_mode mode;
} bags;

/* A constant argument's numbers, of one axis. */
static ptf_status read_known(ptf_lowering *l, const char *name,
                             const float **out, int64_t *count)
{
    const ptf_argument *a = ptf_program_argument(l->call, name);
    int node;
    ptf_status status =
        a != NULL && a->kind == PTF_ARGUMENT_VALUE
            ? ptf_lower_whole_value(l, a->value, &node)
            : ptf_lower_refuse(l, "expected a tensor as %s", name);
    if (status != PTF_OK)
        return status;
    if (l->shapes[node].rank != 1)
        return ptf_lower_refuse(l, "expected %s of one axis", name);
    *count = l->shapes[node].dim[0];
    *out = NULL;
    return l->net->nodes[node].op == PTF_OP_CONSTANT
               ? ptf_lower_floats(
                     l, l->net->nodes[node].tensors[PTF_ROLE_WEIGHT], out)
               : PTF_OK;
}

static ptf_status read_bags(ptf_lowering *l, bags *b)
{
    int64_t mode, offsets = 0;
    b->padding = -1;
    ptf_status status = read_known(l, "indices", &b->index, &b->indices);
    if (status == PTF_OK)
        status = read_known(l, "offsets", &b->begin, &offsets);
    if (status == PTF_OK && (b->begin == NULL || offsets == 0))
        return ptf_lower_refuse(l, "its offsets are computed from the input");
    if (status == PTF_OK)
        status = ptf_lower_int(l, "mode", &mode);
    if (status == PTF_OK && !ptf_lower_is_none(l, "padding_idx"))
        status = ptf_lower_int(l, "padding_idx", &b->padding);
    if (status != PTF_OK)
        return status;
    if (mode < BAG_SUM || mode > BAG_MAX)
        return ptf_lower_refuse(l, "expected a mode from 0 to 2, got %lld",
                                (long long)mode);
    if (b->padding != -1 && b->index == NULL)
        return ptf_lower_refuse(l, "has a padding_idx, and indices that are "
                                   "computed from the input");
    b->mode = (bag_mode)mode;
    bool ends = ptf_lower_is_true(l, "include_last_offset");
    b->count = offsets - ends;
    if (ends && (int64_t)b->begin[b->count] != b->indices)
        return ptf_lower_refuse(l, "expected %lld as the last offset",
                                (long long)b->indices);
    return b->count > 0 && b->count <= PTF_OPERANDS_MAX
               ? PTF_OK
               : ptf_lower_refuse(l, "expected 1 to %d bags, got %lld",
                                  PTF_OPERANDS_MAX, (long long)b->count);
}

/* The rows that the indices name, times their weights. */
static ptf_status read_rows(ptf_lowering *l, bags *b)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_INDEX_SELECT);
    int in[2], weights;
    a.dim = 1;
    ptf_status status = ptf_lower_node(l, "weight", &in[0]);
    if (status == PTF_OK && b->padding < -1)
        b->padding += l->shapes[in[0]].dim[0];
    if (status == PTF_OK)
        status = ptf_lower_node(l, "indices", &in[1]);
    if (status == PTF_OK && l->shapes[in[0]].rank != 2)
        return ptf_lower_refuse(l, "expected a weight of two axes");
    if (status == PTF_OK)
        status =
            ptf_lower_add(l, PTF_OP_INDEX_SELECT, &a, 2, in, NULL, &b->rows);
    if (status != PTF_OK || ptf_lower_is_none(l, "per_sample_weights"))
        return status;
    const ptf_shape column = {.rank = 2, .dim = {b->indices, 1}};
    status = ptf_lower_node(l, "per_sample_weights", &weights);
    if (status == PTF_OK && l->shapes[weights].dim[0] != b->indices)
        return ptf_lower_refuse(l, "expected a weight for each index");
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, weights, &column, &weights);
    return status == PTF_OK
               ? ptf_lower_add_two(l, PTF_OP_MUL, b->rows, weights, &b->rows)
               : status;
}

/* The first of the largest, or a sum, over the first axis of some rows; that
 * axis stays. */
static ptf_status reduce(ptf_lowering *l, const bags *b, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_SUM);
    int order;
    if (b->mode != BAG_MAX) {
        a.dims = (ptf_list){1, {1}};
        a.keepdim = true;
        return ptf_lower_add_one(
            l, b->mode == BAG_SUM ? PTF_OP_SUM : PTF_OP_MEAN, &a, *node, node);
    }
    a.dim = a.length = 1;
    a.descending = true;
    ptf_status status = ptf_lower_add_one(l, PTF_OP_ARGSORT, &a, *node, &order);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_GATHER, &a, 2,
                               (const int[]){*node, order}, NULL, node)
               : status;
}

/* Positions of a bag's rows; false where its limits are none. */
static bool find_rows(const bags *b, int64_t bag, float *out, int64_t *count)
{
    bool last = bag + 1 == b->count;
    double begin = (double)b->begin[bag];
    double end = last ? (double)b->indices : (double)b->begin[bag + 1];
    *count = 0;
    if (!(begin >= 0 && begin <= end && end <= (double)b->indices) ||
        (bag == 0 && begin > 0))
        return false;
    for (int64_t i = (int64_t)begin; i < (int64_t)end; i++) {
        if (b->padding < 0 || (int64_t)b->index[i] != b->padding)
            out[(*count)++] = (float)i;
    }
    return true;
}

/* What a bag gives; an empty one gives zeros. */
static ptf_status add_bag(ptf_lowering *l, const bags *b, int64_t bag, int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_INDEX_SELECT);
    ptf_shape shape = {.rank = 1};
    int in[2] = {b->rows};
    float *rows;
    ptf_status status = ptf_lower_room(l, b->indices, &rows);
    if (status != PTF_OK)
        return status;
    if (!find_rows(b, bag, rows, &shape.dim[0]))
        return ptf_lower_refuse(l,
                                "expected offsets from 0 to %lld in "
                                "ascending order",
                                (long long)b->indices);
    if (shape.dim[0] == 0) {
        const ptf_shape row = {2, {1, l->shapes[b->rows].dim[1]}};
        float *zeros;
        status = ptf_lower_room(l, row.dim[1], &zeros);
        for (int64_t i = 0; i < row.dim[1] && status == PTF_OK; i++)
            zeros[i] = 0;
        return status == PTF_OK ? ptf_lower_constant(l, zeros, &row, out)
                                : status;
    }
    a.dim = 1;
    status = ptf_lower_constant(l, rows, &shape, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_INDEX_SELECT, &a, 2, in, NULL, out);
    return status == PTF_OK ? reduce(l, b, out) : status;
}

static ptf_status lower_embedding_bag(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    ptf_attrs a = ptf_lower_defaults(PTF_OP_CONCAT);
    bags b;
    int node;
    ptf_status status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = read_bags(l, &b);
    if (status == PTF_OK)
        status = read_rows(l, &b);
    if (status != PTF_OK)
        return status;
    int *nodes = ptf_alloc((size_t)b.count * sizeof(*nodes));
    if (nodes == NULL)
        return ptf_fail_memory(l->err);
    for (int64_t i = 0; i < b.count && status == PTF_OK; i++)
        status = add_bag(l, &b, i, &nodes[i]);
    node = nodes[0];
    a.dim = 1;
    if (status == PTF_OK && b.count > 1)
        status = ptf_lower_add(l, PTF_OP_CONCAT, &a, (int)b.count, nodes, NULL,
                               &node);
    ptf_free(nodes);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_bag[] = {
    {.target = "aten.embedding_bag.default", .lower = lower_embedding_bag},
    {.target = "aten.embedding_bag.padding_idx", .lower = lower_embedding_bag},
    {.target = "aten._embedding_bag.default", .lower = lower_embedding_bag},
    {0},
};
