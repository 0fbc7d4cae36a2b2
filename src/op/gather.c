/*
 * Positions along an axis that indices name: index_select and index put the
 * axes of the indices in its place, gather has an index for each result.
 * index counts negative indices from the end, as PyTorch's x[i] does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)count;
    int axis = ptf_axis_of(attrs->dim, in->rank + 1);
    const ptf_shape *index = &in[1];
    if (axis <= 0)
        return ptf_axis_refusal(axis);
    *out = *index;
    if (op == PTF_OP_GATHER) {
        bool fits = index->rank == in->rank;
        for (int d = 0; d < in->rank && fits; d++)
            fits = d == axis - 1 || index->dim[d] <= in->dim[d];
        return fits ? NULL : "its indices are of other axes than its input";
    }
    if (in->rank - 1 + index->rank > PTF_SHAPE_MAX)
        return "its output has too many dimensions";
    *out = (ptf_shape){0, {0}};
    for (int d = 0; d < in->rank; d++) {
        for (int k = 0; d == axis - 1 && k < index->rank; k++)
            out->dim[out->rank++] = index->dim[k];
        if (d != axis - 1)
            out->dim[out->rank++] = in->dim[d];
    }
    return NULL;
}

static void dense(const ptf_shape *s, int64_t step[PTF_SHAPE_MAX])
{
    int64_t n = 1;
    for (int d = s->rank - 1; d >= 0; n *= s->dim[d--])
        step[d] = n;
}

ptf_gather ptf_op_gather(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         const ptf_shape *index)
{
    ptf_gather g = {.wraps = op == PTF_OP_INDEX};
    int64_t from[PTF_SHAPE_MAX] = {0}, of[PTF_SHAPE_MAX] = {0};
    int axis = ptf_axis_of(attrs->dim, in->rank + 1) - 1;
    dense(in, from);
    dense(index, of);
    g.positions = in->dim[axis];
    g.step = from[axis];
    for (int d = 0; d < in->rank; d++) {
        bool own = op == PTF_OP_GATHER;
        for (int k = 0; d == axis && !own && k < index->rank; k++, g.rank++) {
            g.size[g.rank] = index->dim[k];
            g.index[g.rank] = of[k];
        }
        if (d == axis && !own)
            continue;
        g.size[g.rank] = own ? index->dim[d] : in->dim[d];
        g.index[g.rank] = own ? of[d] : 0;
        g.from[g.rank++] = d == axis ? 0 : from[d];
    }
    return g;
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op, (void)attrs, (void)rank;
    if (axis == 0)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return (ptf_reach){.kind = PTF_REACH_ALL, .why = "gathers positions"};
}

const ptf_rules ptf_rules_gather = {
    .least = 2, .most = 2, .shape = shape, .reach = reach};
