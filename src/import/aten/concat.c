/*
 * Values one after the other along an axis, old (cat) or new (stack).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static ptf_status give_joined(ptf_lowering *l, int axis, int count,
                              const int *in)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_CONCAT);
    int node;
    if (count > PTF_OPERANDS_MAX)
        return ptf_lower_refuse(l, "joins more than %d tensors",
                                PTF_OPERANDS_MAX);
    a.dim = axis;
    ptf_status status =
        ptf_lower_add(l, PTF_OP_CONCAT, &a, count, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* PyTorch joins [0] to whatever there is, from the days when that was how a
 * tensor without elements looked. */
static int drop_empty(const ptf_lowering *l, int count, int *in)
{
    int left = 0;
    for (int i = 0; i < count; i++) {
        const ptf_shape *s = &l->shapes[in[i]];
        if (l->rank == 1 || s->rank != 1 || s->dim[0] != 0)
            in[left++] = in[i];
    }
    return left;
}

static ptf_status lower_cat(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int *in, count, axis;
    int64_t dim;
    ptf_status status = ptf_lower_int(l, "dim", &dim);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, l->rank, dim, &axis);
    if (status == PTF_OK)
        status = ptf_lower_nodes(l, "tensors", &in, &count);
    if (status == PTF_OK)
        count = drop_empty(l, count, in);
    return status == PTF_OK ? give_joined(l, axis, count, in) : status;
}

static ptf_status lower_stack(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int *in, count, axis;
    int64_t dim;
    ptf_status status = ptf_lower_int(l, "dim", &dim);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, l->rank + 1, dim, &axis);
    if (status == PTF_OK)
        status = ptf_lower_nodes(l, "tensors", &in, &count);
    for (int i = 0; status == PTF_OK && i < count; i++) {
        ptf_shape shape = l->shapes[in[i]];
        int at = axis - 1;
        if (shape.rank == PTF_SHAPE_MAX)
            return ptf_lower_refuse_rank(l, shape.rank + 1, PTF_SHAPE_MAX);
        if (shape.rank < at)
            return ptf_lower_refuse(l, "expected tensors of as many axes");
        memmove(shape.dim + at + 1, shape.dim + at,
                (size_t)(shape.rank - at) * sizeof(*shape.dim));
        shape.dim[at] = 1;
        shape.rank++;
        status = ptf_lower_reshape(l, in[i], &shape, &in[i]);
    }
    return status == PTF_OK ? give_joined(l, axis, count, in) : status;
}

const ptf_aten_row ptf_aten_concat[] = {
    {"aten.cat.default", lower_cat, .op = PTF_OP_CONCAT},
    {"aten.concat.default", lower_cat, .op = PTF_OP_CONCAT},
    {"aten.stack.default", lower_stack, .op = PTF_OP_CONCAT},
    {0},
};
