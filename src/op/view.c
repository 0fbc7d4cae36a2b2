/*
 * The same numbers in another shape (Flatten), or in the same one (Dropout in
 * evaluation, Identity).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

static const char mixes[] = "it would mix the samples of a batch";
static const char no_dimension[] = "its input has no such dimensions";

bool ptf_op_is_identity(ptf_op op)
{
    return op == PTF_OP_INPUT ||
           (ptf_op_is(op, PTF_FAMILY_VIEW) && op != PTF_OP_FLATTEN);
}

/* The dimensions that a Flatten joins, of a value of 'rank' with the batch. */
static const char *joined(const ptf_attrs *attrs, int rank, int *first,
                          int *last)
{
    *first = ptf_axis_of(attrs->start_dim, rank);
    *last = ptf_axis_of(attrs->end_dim, rank);
    if (*first < 0 || *last < *first)
        return no_dimension;
    return *first == 0 && *last > 0 ? mixes : NULL;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)count;
    int first, last;
    *out = *in;
    if (ptf_op_is_identity(op))
        return NULL;
    const char *wrong = joined(attrs, in->rank + 1, &first, &last);
    if (wrong != NULL)
        return wrong;
    *out = (ptf_shape){0, {0}};
    for (int d = 1; d <= in->rank; d++) {
        int64_t size = in->dim[d - 1];
        if (d <= first || d > last)
            out->dim[out->rank++] = size;
        else if (!ptf_mul_i64(out->dim[out->rank - 1], size,
                              &out->dim[out->rank - 1]))
            return "its output is too large";
    }
    return NULL;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    int first, last;
    *out = in;
    if (ptf_op_is_identity(op))
        return NULL;
    bool is_plain = attrs->start_dim == 1 && attrs->end_dim == -1;
    *out = (ptf_partial_shape){in.rank == 0 && is_plain ? 2 : 0, 0};
    if (in.rank == 0)
        return NULL;
    const char *wrong = joined(attrs, in.rank, &first, &last);
    bool keeps_channels = first > 1 || last == first;
    *out = (ptf_partial_shape){in.rank - (last - first),
                               keeps_channels ? in.channels : 0};
    return wrong;
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    int first, last;
    bool keeps = ptf_op_is_identity(op) || axis == 0 ||
                 (joined(attrs, rank, &first, &last) == NULL && axis < first);
    if (keeps)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return (ptf_reach){.kind = PTF_REACH_ALL,
                       .why = "takes one size of map only"};
}

const ptf_rules ptf_rules_view = {
    .shape = shape, .partial = partial, .reach = reach};
