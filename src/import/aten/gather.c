/*
 * Positions that indices name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* The argument's node with all its axes, whatever the call's form is. */
static ptf_status whole_node(ptf_lowering *l, const char *name, int *out)
{
    const ptf_argument *a = ptf_program_argument(l->call, name);
    return a != NULL && a->kind == PTF_ARGUMENT_VALUE
               ? ptf_lower_whole_value(l, a->value, out)
               : ptf_lower_refuse(l, "expected a tensor as %s", name);
}

static bool is_constant(const ptf_lowering *l, int node)
{
    return l->net->nodes[node].op == PTF_OP_CONSTANT;
}

/* Rows of a table, which is the same for all samples. */
static ptf_status give_rows(ptf_lowering *l, ptf_op op, int table,
                            const char *indices)
{
    ptf_attrs a = ptf_lower_defaults(op);
    int in[2] = {table}, node;
    a.dim = 1; /* a table has no batch */
    ptf_status status = ptf_lower_node(l, indices, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, op, &a, 2, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status lower_embedding(ptf_lowering *l, const ptf_aten_row *row)
{
    int table;
    ptf_status status = whole_node(l, "weight", &table);
    if (status == PTF_OK && !is_constant(l, table))
        status = ptf_lower_refuse(l, "its weight is computed from the input");
    return status == PTF_OK ? give_rows(l, row->op, table, "indices") : status;
}

/* Of a value that is computed, by indices that are the same for all samples. */
static ptf_status lower_index_select(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int64_t sizes[PTF_LOWER_LIST];
    int rank, dim, axis = 0, in[2], node;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status == PTF_OK)
        status = whole_node(l, "index", &in[1]);
    if (status == PTF_OK && !is_constant(l, in[1]))
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, rank, dim, &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &in[0]);
    a.dim = axis;
    if (status == PTF_OK)
        status = ptf_lower_add(l, row->op, &a, 2, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* x[:, i]: one of the indices is there; a mask of bools would decide sizes. */
static ptf_status lower_index(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    const ptf_argument *list = ptf_program_argument(l->call, "indices");
    int64_t sizes[PTF_LOWER_LIST];
    int rank, at = -1, count = 0, axis = 0, in[2], node;
    bool is_list = list != NULL && list->kind == PTF_ARGUMENT_VALUES;
    for (int i = 0; is_list && i < list->count; i++) {
        count += list->values[i] >= 0;
        at = list->values[i] >= 0 ? i : at;
    }
    if (count != 1)
        return ptf_lower_refuse(l, "expected one tensor of indices, got %d",
                                count);
    if (ptf_lower_value(l, list->values[at])->dtype == PTF_DTYPE_BOOL)
        return ptf_lower_refuse(l, "its indices are a mask, which decides the "
                                   "size of the result");
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_whole_value(l, list->values[at], &in[1]);
    if (status == PTF_OK && !is_constant(l, in[1]))
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, rank, at, &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &in[0]);
    a.dim = axis;
    if (status == PTF_OK)
        status = ptf_lower_add(l, row->op, &a, 2, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status lower_gather(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int64_t sizes[PTF_LOWER_LIST];
    int rank, dim, axis = 0, in[2], node;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, rank, dim, &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "index", &in[1]);
    a.dim = axis;
    if (status == PTF_OK)
        status = ptf_lower_add(l, row->op, &a, 2, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_gather[] = {
    {"aten.embedding.default", lower_embedding, .op = PTF_OP_INDEX_SELECT},
    {"aten.index_select.default", lower_index_select,
     .op = PTF_OP_INDEX_SELECT},
    {"aten.index.Tensor", lower_index, .op = PTF_OP_INDEX},
    {"aten.gather.default", lower_gather, .op = PTF_OP_GATHER},
    {0},
};
