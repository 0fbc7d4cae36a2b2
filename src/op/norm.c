/*
 * Norms by what a sample itself says: layer, group, instance and RMS norm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

#include <float.h>

/* Over the last dimensions, which are listed in 'size'. */
static bool is_trailing(ptf_op op)
{
    static const bool trailing[PTF_OP_COUNT] = {
        [PTF_OP_LAYER_NORM] = true,
        [PTF_OP_RMS_NORM] = true,
    };
    return trailing[op];
}

/* The rank, with the batch, that an instance norm takes; 0: any. */
static int rank_of(ptf_op op)
{
    int axes = ptf_op_map_axes(op);
    return axes > 0 ? 2 + axes : 0;
}

/* All numbers that are normalised together are its features. */
static const char *count_features(ptf_attrs *attrs)
{
    int64_t n = 1;
    if (attrs->size.count == 0)
        return "an empty normalized_shape";
    for (int d = 0; d < attrs->size.count; d++) {
        if (!ptf_mul_i64(n, attrs->size.at[d], &n) || n > PTF_VALUE_MAX)
            return "a normalized_shape that is larger than any input can be";
    }
    attrs->in_channels = attrs->out_channels = n;
    return NULL;
}

/* An RMS norm without eps has that of the numbers' type. */
static const char *settle(ptf_op op, ptf_attrs *attrs)
{
    if (attrs->eps_none)
        attrs->eps = (double)FLT_EPSILON;
    if (!(attrs->eps >= 0 && attrs->eps <= DBL_MAX))
        return "an eps that is less than 0, or no number";
    if (is_trailing(op))
        return count_features(attrs);
    attrs->out_channels = attrs->in_channels;
    if (op == PTF_OP_GROUP_NORM && attrs->in_channels % attrs->groups != 0)
        return "num_channels that num_groups does not divide";
    return NULL;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    static const char other[] = "its input does not end with normalized_shape";
    (void)count;
    *out = *in;
    if (is_trailing(op)) {
        const ptf_list *size = &attrs->size;
        if (in->rank < size->count)
            return other;
        for (int d = 0; d < size->count; d++) {
            if (in->dim[in->rank - size->count + d] != size->at[d])
                return other;
        }
        return NULL;
    }
    int rank = rank_of(op);
    if (rank != 0 && attrs->track_running_stats) /* see ptf_op_fit() */
        return "it has track_running_stats=True; write it as a batch_norm";
    if (rank != 0 && in->rank != rank - 1)
        return ptf_rank_needed(rank);
    if (in->rank == 0)
        return "it takes channels";
    return in->dim[0] != attrs->in_channels ? ptf_not_channels : NULL;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    int rank = rank_of(op);
    *out = in;
    if (is_trailing(op))
        return in.rank != 0 && in.rank <= attrs->size.count
                   ? "its input has too few dimensions"
                   : NULL;
    out->channels = attrs->in_channels;
    if (rank != 0)
        out->rank = rank;
    const char *wrong = rank != 0 ? ptf_partial_needs(in, rank) : NULL;
    return wrong != NULL ? wrong : ptf_partial_channels(in, attrs->in_channels);
}

static bool parameter(ptf_op op, const ptf_attrs *attrs, ptf_role role,
                      int *rank, int64_t size[PTF_MAX_RANK])
{
    *rank = is_trailing(op) ? attrs->size.count : 1;
    size[0] = attrs->in_channels;
    for (int d = 0; d < *rank && is_trailing(op); d++)
        size[d] = attrs->size.at[d];
    bool bias = attrs->has_bias && op != PTF_OP_RMS_NORM;
    return attrs->affine &&
           (role == PTF_ROLE_WEIGHT || (role == PTF_ROLE_BIAS && bias));
}

/* Without parameters nothing tells the channels, or normalized_shape. */
static void infer(ptf_op op, const ptf_shape *const shapes[PTF_ROLE_COUNT],
                  ptf_attrs *attrs)
{
    const ptf_shape *weight = shapes[PTF_ROLE_WEIGHT];
    attrs->affine = weight != NULL;
    attrs->has_bias = weight == NULL || shapes[PTF_ROLE_BIAS] != NULL ||
                      op == PTF_OP_RMS_NORM;
    if (!is_trailing(op))
        attrs->track_running_stats = false;
    if (weight == NULL)
        return;
    if (!is_trailing(op)) {
        attrs->in_channels = weight->rank == 1 ? weight->dim[0] : 0;
        return;
    }
    attrs->size = (ptf_list){.count = weight->rank};
    for (int d = 0; d < weight->rank; d++)
        attrs->size.at[d] = weight->dim[d];
}

/* The axis, counted with the batch, from which on positions are mixed. */
static int first_mixed(ptf_op op, const ptf_attrs *attrs, int rank)
{
    if (is_trailing(op))
        return rank - attrs->size.count;
    return op == PTF_OP_GROUP_NORM ? 1 : 2;
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    if (axis == 0 || axis < first_mixed(op, attrs, rank))
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return (ptf_reach){.kind = PTF_REACH_ALL,
                       .why = "normalises over positions"};
}

ptf_norm_cut ptf_op_norm_cut(ptf_op op, const ptf_attrs *attrs,
                             const ptf_shape *in)
{
    ptf_norm_cut cut = {.n = 1, .weights = 1, .inner = 1};
    cut.centred = op != PTF_OP_RMS_NORM;
    if (is_trailing(op)) {
        for (int d = 0; d < attrs->size.count; d++)
            cut.n *= attrs->size.at[d];
        cut.weights = cut.n;
        return cut;
    }
    int64_t groups =
        op == PTF_OP_GROUP_NORM ? attrs->groups : attrs->in_channels;
    cut.weights = attrs->in_channels;
    cut.inner = ptf_shape_numel(in) / cut.weights;
    cut.n = cut.weights / groups * cut.inner;
    return cut;
}

const ptf_rules ptf_rules_norm = {.settle = settle,
                                  .shape = shape,
                                  .partial = partial,
                                  .parameter = parameter,
                                  .infer = infer,
                                  .reach = reach};
