/*
 * A scale and a shift per channel: batch norm in evaluation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

static const char not_1d[] = "it takes features, or channels x length";

/* The rank, with the batch, that it takes; of 1d: 2 or 3. */
static int rank_of(ptf_op op)
{
    return 2 + ptf_op_map_axes(op);
}

static const char *settle(ptf_op op, ptf_attrs *attrs)
{
    (void)op;
    attrs->out_channels = attrs->in_channels;
    return NULL;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)count;
    bool is_1d = op == PTF_OP_BATCHNORM1D;
    if (is_1d ? in->rank < 1 || in->rank > 2 : in->rank + 1 != rank_of(op))
        return is_1d ? not_1d : ptf_rank_needed(rank_of(op));
    *out = *in;
    return in->dim[0] != attrs->in_channels ? ptf_not_channels : NULL;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    bool is_1d = op == PTF_OP_BATCHNORM1D;
    int rank = rank_of(op);
    *out = (ptf_partial_shape){is_1d ? in.rank : rank, attrs->in_channels};
    const char *wrong = is_1d ? (in.rank == 1 || in.rank > 3 ? not_1d : NULL)
                              : ptf_partial_needs(in, rank);
    return wrong != NULL ? wrong : ptf_partial_channels(in, attrs->in_channels);
}

static bool parameter(ptf_op op, const ptf_attrs *attrs, ptf_role role,
                      int *rank, int64_t size[PTF_MAX_RANK])
{
    const bool has[PTF_ROLE_COUNT] = {
        [PTF_ROLE_WEIGHT] = attrs->affine,
        [PTF_ROLE_BIAS] = attrs->affine && attrs->has_bias,
        [PTF_ROLE_RUNNING_MEAN] = attrs->track_running_stats,
        [PTF_ROLE_RUNNING_VAR] = attrs->track_running_stats,
        [PTF_ROLE_NUM_BATCHES] = attrs->track_running_stats,
    };
    (void)op;
    *rank = role == PTF_ROLE_NUM_BATCHES ? 0 : 1;
    size[0] = attrs->in_channels;
    return has[role];
}

/* Without parameters nothing tells the channels. */
static void infer(ptf_op op, const ptf_shape *const shapes[PTF_ROLE_COUNT],
                  ptf_attrs *attrs)
{
    (void)op;
    const ptf_shape *weight = shapes[PTF_ROLE_WEIGHT];
    const ptf_shape *mean = shapes[PTF_ROLE_RUNNING_MEAN];
    attrs->affine = weight != NULL;
    attrs->has_bias = weight == NULL || shapes[PTF_ROLE_BIAS] != NULL;
    attrs->track_running_stats = mean != NULL;
    const ptf_shape *any = weight != NULL ? weight : mean;
    if (any != NULL && any->rank == 1)
        attrs->in_channels = any->dim[0];
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op, (void)attrs, (void)rank, (void)axis;
    return (ptf_reach){.kind = PTF_REACH_EACH};
}

const ptf_rules ptf_rules_affine = {.settle = settle,
                                    .shape = shape,
                                    .partial = partial,
                                    .parameter = parameter,
                                    .infer = infer,
                                    .reach = reach};
