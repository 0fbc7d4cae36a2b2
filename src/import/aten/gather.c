/*
 * Positions that indices name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

#include <math.h>

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

/* ------------------------------------------------ several indices, x[i, j] */

/* The axes that are indexed, counted from the front, and by what. */
typedef struct places {
    int axis[PTF_LOWER_LIST], value[PTF_LOWER_LIST], count;
    const ptf_tensor *index[PTF_LOWER_LIST];
    ptf_shape shape; /* of all indices, broadcast */
} places;

/* Shapes are aligned at their ends. */
static ptf_status broadcast_index(ptf_lowering *l, ptf_shape *all,
                                  const ptf_tensor *t)
{
    if (t->rank > PTF_SHAPE_MAX)
        return ptf_lower_refuse(l, "an index has %d axes; at most %d can be",
                                t->rank, PTF_SHAPE_MAX);
    int more = t->rank > all->rank ? t->rank - all->rank : 0;
    memmove(all->dim + more, all->dim, (size_t)all->rank * sizeof(*all->dim));
    all->rank += more;
    for (int d = 0; d < more; d++)
        all->dim[d] = 1;
    for (int d = 0; d < t->rank; d++) {
        int64_t *size = &all->dim[all->rank - t->rank + d];
        if (*size != 1 && t->shape[d] != 1 && *size != t->shape[d])
            return ptf_lower_refuse(l, "the sizes of its indices do not fit");
        *size = t->shape[d] != 1 ? t->shape[d] : *size;
    }
    return PTF_OK;
}

static ptf_status read_indices(ptf_lowering *l, places *p)
{
    ptf_status status = PTF_OK;
    for (int i = 0; i < p->count && status == PTF_OK; i++) {
        int node;
        status = ptf_lower_whole_value(l, p->value[i], &node);
        if (status == PTF_OK && !is_constant(l, node))
            return ptf_lower_refuse(l,
                                    "one of its %d indices is computed from "
                                    "the input",
                                    p->count);
        if (status != PTF_OK)
            return status;
        p->index[i] = l->net->nodes[node].tensors[PTF_ROLE_WEIGHT];
        status = broadcast_index(l, &p->shape, p->index[i]);
    }
    return status;
}

/* Where a tensor in C order has what is at 'i' when it is broadcast. */
static int64_t place_in(const ptf_tensor *t, const ptf_shape *all, int64_t i)
{
    int64_t place = 0, step = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        int64_t size = all->dim[all->rank - t->rank + d];
        place += t->shape[d] > 1 ? i % size * step : 0;
        step *= t->shape[d];
        i /= size;
    }
    return place;
}

/* Adds an index to the numbers of all indices before it. */
static ptf_status join_index(ptf_lowering *l, const places *p, int which,
                             int64_t size, float *data)
{
    const float *index;
    ptf_status status = ptf_lower_floats(l, p->index[which], &index);
    int64_t n = ptf_shape_numel(&p->shape);
    for (int64_t i = 0; i < n && status == PTF_OK; i++) {
        double at = (double)index[place_in(p->index[which], &p->shape, i)];
        if (!(at >= -(double)size && at < (double)size) || floor(at) < at)
            return ptf_lower_refuse(
                l, "an index is %g; expected one of %lld positions", at,
                (long long)size);
        at += at < 0 ? (double)size : 0;
        data[i] = (float)((double)data[i] * (double)size + at);
    }
    return status;
}

/* All indices as one, of the indexed axes as one. */
static ptf_status add_index(ptf_lowering *l, const places *p,
                            const int64_t *sizes, int *out)
{
    int64_t n = ptf_shape_numel(&p->shape);
    float *data;
    ptf_status status = ptf_lower_room(l, n, &data);
    for (int64_t i = 0; i < n && status == PTF_OK; i++)
        data[i] = 0;
    for (int i = 0; i < p->count && status == PTF_OK; i++)
        status = join_index(l, p, i, sizes[p->axis[i]], data);
    return status == PTF_OK ? ptf_lower_constant(l, data, &p->shape, out)
                            : status;
}

/* The axes in another order: those of the indices in front. */
static ptf_status bring_to_front(ptf_lowering *l, const places *p, int rank,
                                 int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    unsigned seen = 0;
    for (int i = 0; i < p->count; i++) {
        a.dims.at[a.dims.count++] = ptf_lower_net_axis(l, p->axis[i]);
        seen |= 1U << p->axis[i];
    }
    for (int d = 0; d < rank; d++) {
        if ((seen >> d & 1) == 0)
            a.dims.at[a.dims.count++] = ptf_lower_net_axis(l, d);
    }
    return ptf_lower_add_one(l, PTF_OP_PERMUTE, &a, *node, node);
}

/* PyTorch puts the indices' axes where the indexed ones were when these are
 * next to each other, or else in front. */
static ptf_status lower_several(ptf_lowering *l, places *p)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_INDEX);
    int64_t sizes[PTF_LOWER_LIST], joined = 1;
    int rank, in[2], node, last = p->axis[p->count - 1];
    bool together = last - p->axis[0] == p->count - 1;
    int first = together ? p->axis[0] : 0;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && last >= rank)
        status = ptf_lower_refuse(l, "expected at most %d indices", rank);
    for (int i = 0; i < p->count && status == PTF_OK; i++) {
        if (!ptf_mul_i64(joined, sizes[p->axis[i]], &joined) ||
            joined > 1 << 24)
            status = ptf_lower_refuse(l, "indexes more than 2^24 positions");
    }
    if (status == PTF_OK)
        status = read_indices(l, p);
    if (status == PTF_OK && first == 0)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &in[0]);
    if (status == PTF_OK)
        status = add_index(l, p, sizes, &in[1]);
    if (status == PTF_OK && !together)
        status = bring_to_front(l, p, rank, &in[0]);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[in[0]];
    a.dim = ptf_lower_net_axis(l, first);
    shape.rank -= p->count - 1;
    shape.dim[a.dim - 1] = joined;
    memmove(shape.dim + a.dim, shape.dim + a.dim + p->count - 1,
            (size_t)(shape.rank - a.dim) * sizeof(*shape.dim));
    status = ptf_lower_reshape(l, in[0], &shape, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_INDEX, &a, 2, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* x[:, i]; a mask of bools, or of the bytes that were masks before there were
 * bools, would decide sizes. */
static ptf_status lower_index(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    const ptf_argument *list = ptf_program_argument(l->call, "indices");
    int64_t sizes[PTF_LOWER_LIST];
    places p = {.count = 0};
    int rank, axis = 0, in[2], node;
    bool is_list = list != NULL && list->kind == PTF_ARGUMENT_VALUES &&
                   list->count <= PTF_LOWER_LIST;
    for (int i = 0; is_list && i < list->count; i++) {
        int value = list->values[i];
        if (value < 0)
            continue;
        ptf_dtype dtype = ptf_lower_value(l, value)->dtype;
        if (dtype == PTF_DTYPE_BOOL || dtype == PTF_DTYPE_U8)
            return ptf_lower_refuse(l, "its indices are a mask, which decides "
                                       "the size of the result");
        p.axis[p.count] = i;
        p.value[p.count++] = value;
    }
    if (p.count == 0)
        return ptf_lower_refuse(l, "expected tensors of indices, got none");
    if (p.count > 1)
        return lower_several(l, &p);
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_whole_value(l, p.value[0], &in[1]);
    if (status == PTF_OK && !is_constant(l, in[1]))
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, rank, p.axis[0], &axis);
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
    {"aten.one_hot.default", lower_one_hot, .op = PTF_OP_INDEX_SELECT},
    {"aten.index_select.default", lower_index_select,
     .op = PTF_OP_INDEX_SELECT},
    {"aten.index.Tensor", lower_index, .op = PTF_OP_INDEX},
    {"aten.gather.default", lower_gather, .op = PTF_OP_GATHER},
    {0},
};
