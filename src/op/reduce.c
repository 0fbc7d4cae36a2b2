/*
 * Reductions over axes of a sample: sums, means, extremes, variances, norms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

/* Which axes, counted with the batch; NULL, or what is wrong. */
static const char *list_axes(const ptf_attrs *attrs, int rank,
                             bool reduced[PTF_SHAPE_MAX + 1])
{
    memset(reduced, 0, (PTF_SHAPE_MAX + 1) * sizeof(*reduced));
    if (attrs->dims.count == 0)
        return "it states no dimensions";
    for (int i = 0; i < attrs->dims.count; i++) {
        int axis = ptf_axis_of(attrs->dims.at[i], rank);
        if (axis <= 0)
            return axis == 0 ? "it would mix the samples of a batch"
                             : "its input has no such dimensions";
        if (reduced[axis])
            return "it states a dimension twice";
        reduced[axis] = true;
    }
    return NULL;
}

bool ptf_reduced_axes(const ptf_attrs *attrs, int rank,
                      bool reduced[PTF_SHAPE_MAX])
{
    bool axes[PTF_SHAPE_MAX + 1];
    const char *wrong = list_axes(attrs, rank + 1, axes);
    memcpy(reduced, axes + 1, PTF_SHAPE_MAX * sizeof(*reduced));
    return wrong == NULL;
}

/* Those that divide by the count of terms less a correction. */
static const bool divides[PTF_OP_COUNT] = {
    [PTF_OP_VAR] = true,
    [PTF_OP_STD] = true,
};

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)count;
    bool reduced[PTF_SHAPE_MAX + 1];
    const char *wrong = list_axes(attrs, in->rank + 1, reduced);
    double terms = 1;
    *out = (ptf_shape){0, {0}};
    for (int d = 0; wrong == NULL && d < in->rank; d++) {
        if (!reduced[d + 1])
            out->dim[out->rank++] = in->dim[d];
        else if (attrs->keepdim)
            out->dim[out->rank++] = 1;
        terms *= reduced[d + 1] ? (double)in->dim[d] : 1.0;
    }
    if (wrong == NULL && divides[op] && !(terms - attrs->p[0] > 0))
        return "its correction leaves nothing to divide by";
    return wrong;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    (void)op;
    bool reduced[PTF_SHAPE_MAX + 1];
    *out = (ptf_partial_shape){0, 0};
    if (in.rank == 0)
        return NULL;
    const char *wrong = list_axes(attrs, in.rank, reduced);
    if (wrong != NULL)
        return wrong;
    *out = in;
    if (!attrs->keepdim)
        out->rank -= attrs->dims.count;
    if (reduced[1])
        out->channels = attrs->keepdim ? 1 : 0;
    return NULL;
}

/* Without keepdim the axes after the first one that is gone have moved. */
static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op;
    bool reduced[PTF_SHAPE_MAX + 1];
    bool is_known = attrs->keepdim && list_axes(attrs, rank, reduced) == NULL;
    if (axis == 0 || (is_known && !reduced[axis]))
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return (ptf_reach){.kind = PTF_REACH_ALL,
                       .one = is_known,
                       .why = "reduces over positions"};
}

const ptf_rules ptf_rules_reduce = {
    .shape = shape, .partial = partial, .reach = reach};
