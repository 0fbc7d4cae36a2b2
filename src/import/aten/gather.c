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
        status = ptf_lower_whole(l);
    return status == PTF_OK ? give_rows(l, row->op, table, "indices") : status;
}

/* 1 for each row that is named. */
static ptf_status mark_rows(ptf_lowering *l, int64_t rows, int *out)
{
    const ptf_shape column = {2, {rows, 1}};
    const float *index;
    float *marks;
    int node;
    ptf_status status = whole_node(l, "indices", &node);
    if (status == PTF_OK && !is_constant(l, node))
        return ptf_lower_refuse(l, "normalises rows that the input names; "
                                   "store the normalised table in the module, "
                                   "and leave max_norm out");
    if (status == PTF_OK)
        status = ptf_lower_floats(
            l, l->net->nodes[node].tensors[PTF_ROLE_WEIGHT], &index);
    if (status == PTF_OK)
        status = ptf_lower_room(l, rows, &marks);
    for (int64_t i = 0; i < rows && status == PTF_OK; i++)
        marks[i] = 0;
    for (int64_t i = 0;
         status == PTF_OK && i < ptf_shape_numel(&l->shapes[node]); i++) {
        if (!(index[i] >= 0 && (double)index[i] < (double)rows))
            return ptf_lower_refuse(l,
                                    "an index is %g; expected one of %lld "
                                    "rows",
                                    (double)index[i], (long long)rows);
        marks[(int64_t)index[i]] = 1;
    }
    return status == PTF_OK ? ptf_lower_constant(l, marks, &column, out)
                            : status;
}

/* Rows that are named, and longer than max_norm, become as long as that. */
static ptf_status lower_renorm(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    const ptf_list columns = {1, {2}};
    double order, most;
    int table = -1, norm, limit, tiny, in[3];
    ptf_status status = ptf_lower_number(l, "norm_type", &order);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "max_norm", &most);
    if (status == PTF_OK)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &table);
    if (status == PTF_OK && l->shapes[table].rank != 2)
        return ptf_lower_refuse(l, "expected a table of two axes");
    if (status == PTF_OK)
        status = mark_rows(l, l->shapes[table].dim[0], &in[0]);
    norm = table;
    if (status == PTF_OK)
        status = ptf_lower_add_norm(l, order, &columns, true, &norm);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, most, &limit);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_GT, norm, limit, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_LOGICAL_AND, in[0], in[1], &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, 1e-7, &tiny);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_ADD, norm, tiny, &norm);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_DIV, limit, norm, &norm);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_MUL, table, norm, &in[1]);
    in[2] = table;
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, &table);
    return status == PTF_OK ? ptf_lower_give(l, table) : status;
}

/* Rows of the unit matrix. */
static ptf_status lower_one_hot(ptf_lowering *l, const ptf_aten_row *row)
{
    int64_t n;
    float *data;
    int table;
    ptf_status status = ptf_lower_int(l, "num_classes", &n);
    if (status == PTF_OK && (n < 1 || n > 4096))
        status = ptf_lower_refuse(l, "expected 1 to 4096 classes, got %lld",
                                  (long long)n);
    if (status == PTF_OK)
        status = ptf_lower_room(l, n * n, &data);
    for (int64_t i = 0; status == PTF_OK && i < n * n; i++)
        data[i] = i % (n + 1) == 0;
    const ptf_shape shape = {2, {n, n}};
    if (status == PTF_OK)
        status = ptf_lower_constant(l, data, &shape, &table);
    return status == PTF_OK ? give_rows(l, row->op, table, "self") : status;
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
    {.target = "aten.embedding_renorm.default", .lower = lower_renorm},
    {"aten.one_hot.default", lower_one_hot, .op = PTF_OP_INDEX_SELECT},
    {"aten.index_select.default", lower_index_select,
     .op = PTF_OP_INDEX_SELECT},
    {"aten.gather.default", lower_gather, .op = PTF_OP_GATHER},
    {0},
};
