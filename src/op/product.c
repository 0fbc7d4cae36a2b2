/*
 * Sums of weights times inputs: convolutions, linear layers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

static bool is_linear(ptf_op op)
{
    return op == PTF_OP_LINEAR;
}

/* With the batch and the channels, or of a linear layer. */
static int rank_of(ptf_op op)
{
    return is_linear(op) ? 2 : 2 + ptf_op_map_axes(op);
}

/* Turns padding=same into numbers: what is odd, the end has more of. */
static const char *settle_padding(ptf_attrs *a)
{
    if (a->padding_text == NULL || strcmp(a->padding_text, "valid") == 0)
        return NULL;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        int64_t total = ptf_window_extent(a, i) - 1;
        if (a->stride[i] != 1)
            return "padding=same with a stride, which PyTorch does not have";
        a->padding[i] = total / 2;
        a->more[i] = total % 2;
    }
    return NULL;
}

static const char *settle_output(const ptf_attrs *a)
{
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        int64_t most = ptf_max_i64(a->stride[i], a->dilation[i]);
        if (a->output_padding[i] >= most)
            return "an output_padding that is not smaller than its stride or "
                   "its dilation, which PyTorch refuses";
    }
    return NULL;
}

bool ptf_op_is_transposed(ptf_op op)
{
    static const bool transposed[PTF_OP_COUNT] = {
        [PTF_OP_CONV_TRANSPOSE1D] = true,
        [PTF_OP_CONV_TRANSPOSE2D] = true,
        [PTF_OP_CONV_TRANSPOSE3D] = true,
    };
    return transposed[op];
}

static const char *settle(ptf_op op, ptf_attrs *a)
{
    if (is_linear(op))
        return NULL;
    if (a->in_channels % a->groups != 0 || a->out_channels % a->groups != 0)
        return "groups that do not divide the channels";
    const char *wrong =
        ptf_op_is_transposed(op) ? settle_output(a) : settle_padding(a);
    if (wrong == NULL)
        wrong = ptf_window_refusal(a);
    bool pads = false;
    for (int i = 0; i < PTF_MAP_AXES; i++)
        pads |= a->padding[i] != 0 || a->more[i] != 0;
    return wrong == NULL && pads ? a->padding_refused : wrong;
}

/* On the last axis; the others are like a batch. */
static const char *linear_shape(const ptf_attrs *attrs, const ptf_shape *in,
                                ptf_shape *out)
{
    *out = *in;
    if (in->rank < 1)
        return ptf_rank_needed(2);
    out->dim[in->rank - 1] = attrs->out_channels;
    return in->dim[in->rank - 1] != attrs->in_channels ? ptf_not_features
                                                       : NULL;
}

/*
 * Positions along axis i of what a transposed convolution gives: those of
 * which a convolution would give 'size', and 'output_padding' more.
 */
static int64_t transposed_count(const ptf_attrs *a, int i, int64_t size)
{
    int64_t count;
    if (!ptf_mul_i64(size - 1, a->stride[i], &count) || count > PTF_VALUE_MAX)
        return 0;
    count += ptf_window_extent(a, i) + a->output_padding[i] -
             2 * a->padding[i] - a->more[i];
    return ptf_max_i64(count, 0);
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)count;
    if (is_linear(op))
        return linear_shape(attrs, in, out);
    int rank = rank_of(op) - 1;
    if (in->rank != rank)
        return ptf_rank_needed(rank + 1);
    if (in->dim[0] != attrs->in_channels)
        return ptf_not_channels;
    *out = *in;
    out->dim[0] = attrs->out_channels;
    for (int d = 1; d < rank; d++) {
        int axis = d + PTF_MAP_AXES - rank;
        out->dim[d] = ptf_op_is_transposed(op)
                          ? transposed_count(attrs, axis, in->dim[d])
                          : ptf_window_count(attrs, axis, in->dim[d]);
        if (out->dim[d] == 0)
            return ptf_op_is_transposed(op)
                       ? "its padding leaves nothing of its output"
                       : "its kernel is larger than its input";
    }
    return NULL;
}

/* The channels are its features where there is no other axis. */
static const char *linear_partial(const ptf_attrs *attrs, ptf_partial_shape in,
                                  ptf_partial_shape *out)
{
    *out = in;
    if (in.rank == 1)
        return ptf_rank_needed(2);
    if (in.rank != 2)
        return NULL;
    out->channels = attrs->out_channels;
    return in.channels != 0 && in.channels != attrs->in_channels
               ? ptf_not_features
               : NULL;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    if (is_linear(op))
        return linear_partial(attrs, in, out);
    int rank = rank_of(op);
    *out = (ptf_partial_shape){rank, attrs->out_channels};
    const char *wrong = ptf_partial_needs(in, rank);
    return wrong != NULL ? wrong : ptf_partial_channels(in, attrs->in_channels);
}

static bool parameter(ptf_op op, const ptf_attrs *attrs, ptf_role role,
                      int *rank, int64_t size[PTF_MAX_RANK])
{
    const bool has[PTF_ROLE_COUNT] = {
        [PTF_ROLE_WEIGHT] = true,
        [PTF_ROLE_BIAS] = attrs->has_bias,
        [PTF_ROLE_SCALE] = attrs->scale_shift,
        [PTF_ROLE_SHIFT] = attrs->scale_shift,
    };
    *rank = 1;
    size[0] = attrs->out_channels;
    if (role != PTF_ROLE_WEIGHT)
        return has[role];
    *rank = rank_of(op);
    size[1] = attrs->in_channels / attrs->groups; /* of a linear layer 1 */
    if (ptf_op_is_transposed(op)) {
        size[0] = attrs->in_channels;
        size[1] = attrs->out_channels / attrs->groups;
    }
    for (int d = 2; d < *rank; d++)
        size[d] = attrs->kernel[d + PTF_MAP_AXES - *rank];
    return true;
}

/*
 * Each group's outputs read in_channels / groups; transposed, its inputs give
 * out_channels / groups.
 */
static void infer(ptf_op op, const ptf_shape *const shapes[PTF_ROLE_COUNT],
                  ptf_attrs *attrs)
{
    const ptf_shape *weight = shapes[PTF_ROLE_WEIGHT];
    attrs->has_bias = shapes[PTF_ROLE_BIAS] != NULL;
    attrs->scale_shift = shapes[PTF_ROLE_SCALE] != NULL;
    int rank = rank_of(op);
    if (weight == NULL || weight->rank != rank)
        return;
    int64_t all = weight->dim[1];
    bool fits = is_linear(op) || ptf_mul_i64(all, attrs->groups, &all);
    all = fits && all <= INT32_MAX ? all : 0; /* 0: not told */
    bool transposed = ptf_op_is_transposed(op);
    attrs->out_channels = transposed ? all : weight->dim[0];
    attrs->in_channels = transposed ? weight->dim[0] : all;
    for (int d = 2; d < rank; d++)
        attrs->kernel[d + PTF_MAP_AXES - rank] = weight->dim[d];
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    if (axis == 0)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    if (is_linear(op) && axis < rank - 1)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    if (is_linear(op))
        return (ptf_reach){.kind = PTF_REACH_ALL,
                           .why = "takes one size of map only"};
    if (axis == 1)
        return (ptf_reach){.kind = PTF_REACH_ALL, .why = "sums over channels"};
    if (ptf_op_is_transposed(op))
        return (ptf_reach){.kind = PTF_REACH_ALL,
                           .why = "gives several positions for each one"};
    return ptf_window_reach(attrs, rank, axis);
}

const ptf_rules ptf_rules_product = {.settle = settle,
                                     .shape = shape,
                                     .partial = partial,
                                     .parameter = parameter,
                                     .infer = infer,
                                     .reach = reach};
