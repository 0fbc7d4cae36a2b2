/*
 * The positions along an axis in the order of their numbers, all of them or
 * those that come first.  Equal numbers come in the order of their positions,
 * NaN after all others, or before them where the order descends, as PyTorch
 * has it.  Positions are f32, so there are at most 2^24 of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

enum { MOST = 1 << 24 };

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)op, (void)count;
    int axis = ptf_axis_of(attrs->dim, in->rank + 1);
    const char *wrong = ptf_axis_refusal(axis);
    if (wrong != NULL)
        return wrong;
    *out = *in;
    int64_t *size = &out->dim[axis - 1];
    if (*size > MOST)
        return "it sorts more than 2^24 positions";
    if (attrs->length > *size)
        return "it gives more positions than its input has";
    *size = attrs->length > 0 ? attrs->length : *size;
    return NULL;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    (void)op;
    *out = in;
    if (in.rank == 0)
        return NULL;
    int axis = ptf_axis_of(attrs->dim, in.rank);
    if (axis == 1 && attrs->length > 0)
        out->channels = attrs->length;
    return ptf_axis_refusal(axis);
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op;
    if (axis != ptf_axis_of(attrs->dim, rank))
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return (ptf_reach){.kind = PTF_REACH_ALL, .why = "sorts positions"};
}

ptf_sorting ptf_op_sorting(const ptf_attrs *attrs, const ptf_shape *in)
{
    int axis = ptf_axis_of(attrs->dim, in->rank + 1) - 1;
    ptf_sorting s = {.outer = 1, .inner = 1, .size = in->dim[axis]};
    for (int d = 0; d < in->rank; d++) {
        s.outer *= d < axis ? in->dim[d] : 1;
        s.inner *= d > axis ? in->dim[d] : 1;
    }
    s.k = attrs->length > 0 ? attrs->length : s.size;
    s.descending = attrs->descending;
    return s;
}

const ptf_rules ptf_rules_sort = {
    .shape = shape, .partial = partial, .reach = reach};
