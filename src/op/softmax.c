/*
 * Softmax and its logarithm over one dimension.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

int ptf_softmax_axis(const ptf_attrs *attrs, int rank)
{
    if (attrs->dim_none)
        return rank == 1 || rank == 3 ? 0 : 1;
    return ptf_axis_of(attrs->dim, rank);
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)op, (void)count;
    *out = *in;
    return ptf_axis_refusal(ptf_softmax_axis(attrs, in->rank + 1));
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    (void)op;
    *out = in;
    return in.rank == 0 ? NULL
                        : ptf_axis_refusal(ptf_softmax_axis(attrs, in.rank));
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op;
    if (axis != ptf_softmax_axis(attrs, rank))
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return (ptf_reach){.kind = PTF_REACH_ALL,
                       .why = "normalises over positions"};
}

const ptf_rules ptf_rules_softmax = {
    .shape = shape, .partial = partial, .reach = reach};
