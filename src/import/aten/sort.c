/*
 * Positions and numbers in the order of the numbers.  The positions are an
 * argsort; the numbers are gathered by them, so that gradients go where the
 * numbers were from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static const int64_t one[] = {1};

/* What a call asks for: k positions along an axis of a node. */
typedef struct sorting {
    ptf_attrs attrs; /* of the argsort */
    int rank, dim;   /* of the operand, with all axes; counted from the front */
    int self, index;
    bool least;   /* the largest of the negations, of which NaN is one */
    bool removes; /* the axis is gone from the results */
} sorting;

static ptf_status negate(ptf_lowering *l, int *node)
{
    return ptf_lower_add_plain(l, PTF_OP_NEG, *node, node);
}

/* One number is a line of one. */
static ptf_status read_self(ptf_lowering *l, sorting *s)
{
    int axis = 0;
    s->attrs = ptf_lower_defaults(PTF_OP_ARGSORT);
    ptf_status status = ptf_lower_axis(l, s->rank, s->dim, &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &s->self);
    if (status == PTF_OK && s->rank == 0)
        status = ptf_lower_resize(l, s->self, one, 1, &s->self);
    s->attrs.dim = axis;
    return status == PTF_OK && s->least ? negate(l, &s->self) : status;
}

static ptf_status read_dim(ptf_lowering *l, sorting *s)
{
    int64_t sizes[PTF_LOWER_LIST];
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &s->rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", s->rank > 0 ? s->rank : 1, &s->dim);
    return status == PTF_OK ? read_self(l, s) : status;
}

static ptf_status add_index(ptf_lowering *l, sorting *s)
{
    return ptf_lower_add_one(l, PTF_OP_ARGSORT, &s->attrs, s->self, &s->index);
}

/* Without the axis where it is gone, and one number as it was. */
static ptf_status give(ptf_lowering *l, const sorting *s, int result, int node)
{
    ptf_shape shape = l->shapes[node];
    if (s->removes || s->rank == 0) {
        int axis = (int)s->attrs.dim - 1;
        shape.rank--;
        memmove(shape.dim + axis, shape.dim + axis + 1,
                (size_t)(shape.rank - axis) * sizeof(*shape.dim));
    }
    ptf_status status = ptf_lower_reshape(l, node, &shape, &node);
    return status == PTF_OK ? ptf_lower_give_at(l, result, node) : status;
}

static ptf_status give_both(ptf_lowering *l, sorting *s)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_GATHER);
    int node;
    ptf_status status = add_index(l, s);
    a.dim = s->attrs.dim;
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_GATHER, &a, 2,
                               (const int[]){s->self, s->index}, NULL, &node);
    if (status == PTF_OK && s->least)
        status = negate(l, &node);
    if (status == PTF_OK)
        status = give(l, s, 0, node);
    return status == PTF_OK ? give(l, s, 1, s->index) : status;
}

/* max.dim and min.dim. */
static ptf_status lower_extreme(ptf_lowering *l, const ptf_aten_row *row)
{
    sorting s = {.least = row->reversed};
    ptf_status status = read_dim(l, &s);
    s.attrs.descending = true;
    s.attrs.length = 1;
    s.removes = !ptf_lower_is_true(l, "keepdim");
    return status == PTF_OK ? give_both(l, &s) : status;
}

/* Of all numbers where no dimension is named. */
static ptf_status lower_arg_extreme(ptf_lowering *l, const ptf_aten_row *row)
{
    sorting s = {.least = row->reversed};
    int64_t sizes[PTF_LOWER_LIST], numel[1] = {1};
    bool all = ptf_lower_is_none(l, "dim");
    ptf_status status = PTF_OK;
    if (!all) {
        status = read_dim(l, &s);
    } else {
        status = ptf_lower_sizes(l, "self", sizes, &s.rank);
        if (status == PTF_OK)
            status = read_self(l, &s);
        if (status == PTF_OK)
            numel[0] = ptf_shape_numel(&l->shapes[s.self]);
        if (status == PTF_OK)
            status = ptf_lower_resize(l, s.self, numel, 1, &s.self);
    }
    s.attrs.descending = true;
    s.attrs.length = 1;
    s.removes = all || !ptf_lower_is_true(l, "keepdim");
    if (status == PTF_OK)
        status = add_index(l, &s);
    if (status == PTF_OK && all && ptf_lower_is_true(l, "keepdim")) {
        for (int d = 0; d < s.rank; d++)
            sizes[d] = 1;
        status = ptf_lower_resize(l, s.index, sizes, s.rank, &s.index);
        return status == PTF_OK ? ptf_lower_give(l, s.index) : status;
    }
    return status == PTF_OK ? give(l, &s, 0, s.index) : status;
}

/* The same for all k: in their order, which is one of those that unsorted
 * results may be in. */
static ptf_status lower_topk(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    sorting s = {.least = false};
    ptf_status status = read_dim(l, &s);
    s.attrs.descending = ptf_lower_is_true(l, "largest");
    if (status == PTF_OK)
        status = ptf_lower_int(l, "k", &s.attrs.length);
    if (status == PTF_OK && s.attrs.length < 1)
        status = ptf_lower_refuse(l, "expected a k of at least 1, got %lld",
                                  (long long)s.attrs.length);
    return status == PTF_OK ? give_both(l, &s) : status;
}

static ptf_status lower_sort(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    sorting s = {.least = false};
    ptf_status status = read_dim(l, &s);
    s.attrs.descending = ptf_lower_is_true(l, "descending");
    return status == PTF_OK ? give_both(l, &s) : status;
}

static ptf_status lower_argsort(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    sorting s = {.least = false};
    ptf_status status = read_dim(l, &s);
    s.attrs.descending = ptf_lower_is_true(l, "descending");
    if (status == PTF_OK)
        status = add_index(l, &s);
    return status == PTF_OK ? give(l, &s, 0, s.index) : status;
}

const ptf_aten_row ptf_aten_sort[] = {
    {"aten.max.dim", lower_extreme, .reversed = false},
    {"aten.min.dim", lower_extreme, .reversed = true},
    {"aten.argmax.default", lower_arg_extreme, .reversed = false},
    {"aten.argmin.default", lower_arg_extreme, .reversed = true},
    {.target = "aten.topk.default", .lower = lower_topk},
    {.target = "aten.sort.default", .lower = lower_sort},
    {.target = "aten.sort.stable", .lower = lower_sort},
    {.target = "aten.argsort.default", .lower = lower_argsort},
    {.target = "aten.argsort.stable", .lower = lower_argsort},
    {0},
};
