/*
 * Values one after the other along an axis.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

int ptf_concat_axis(const ptf_attrs *attrs, int rank)
{
    return ptf_axis_of(attrs->dim, rank);
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)op;
    int axis = ptf_concat_axis(attrs, in->rank + 1);
    if (axis < 0)
        return "its inputs have no such dimension";
    if (axis == 0)
        return "it would mix the samples of a batch";
    *out = in[0];
    for (int k = 1; k < count; k++) {
        if (in[k].rank != out->rank)
            return "its inputs have different ranks";
        for (int d = 0; d < out->rank; d++) {
            if (d + 1 != axis && in[k].dim[d] != out->dim[d])
                return "its inputs differ in another dimension than that "
                       "along which they are joined";
        }
        if (!ptf_add_i64(out->dim[axis - 1], in[k].dim[axis - 1],
                         &out->dim[axis - 1]))
            return "its output is too large";
    }
    return NULL;
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op;
    if (axis != ptf_concat_axis(attrs, rank))
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return (ptf_reach){.kind = PTF_REACH_ALL,
                       .why = "joins maps along this axis"};
}

const ptf_rules ptf_rules_concat = {
    .least = 1, .most = PTF_OPERANDS_MAX, .shape = shape, .reach = reach};
