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

/* Turns padding=same into numbers, where both sides get the same number. */
static const char *settle_padding(ptf_op op, ptf_attrs *a)
{
    if (a->padding_text == NULL || strcmp(a->padding_text, "valid") == 0)
        return NULL;
    for (int i = op == PTF_OP_CONV1D ? 1 : 0; i < 2; i++) {
        int64_t total = a->dilation[i] * (a->kernel[i] - 1);
        if (a->stride[i] != 1)
            return "padding=same with a stride, which PyTorch does not have";
        if (total % 2 != 0)
            return "padding=same with an even kernel, which pads one side "
                   "more than the other; ptfold does not do that";
        a->padding[i] = total / 2;
    }
    return NULL;
}

static const char *settle(ptf_op op, ptf_attrs *a)
{
    if (is_linear(op))
        return NULL;
    if (a->in_channels % a->groups != 0 || a->out_channels % a->groups != 0)
        return "groups that do not divide the channels";
    const char *wrong = settle_padding(op, a);
    if (wrong == NULL)
        wrong = ptf_window_refusal(a);
    bool pads = a->padding[0] != 0 || a->padding[1] != 0;
    return wrong == NULL && pads ? a->padding_refused : wrong;
}

static const char *linear_shape(const ptf_attrs *attrs, const ptf_shape *in,
                                ptf_shape *out)
{
    if (in->rank != 1)
        return ptf_rank_needed(2);
    *out = (ptf_shape){1, {attrs->out_channels}};
    return in->dim[0] != attrs->in_channels ? ptf_not_features : NULL;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)count;
    if (is_linear(op))
        return linear_shape(attrs, in, out);
    int rank = op == PTF_OP_CONV1D ? 2 : 3;
    if (in->rank != rank)
        return ptf_rank_needed(rank + 1);
    if (in->dim[0] != attrs->in_channels)
        return ptf_not_channels;
    *out = *in;
    out->dim[0] = attrs->out_channels;
    for (int d = 1; d < rank; d++) {
        out->dim[d] = ptf_window_count(attrs, d + 2 - rank, in->dim[d]);
        if (out->dim[d] == 0)
            return "its kernel is larger than its input";
    }
    return NULL;
}

static const char *linear_partial(ptf_partial_shape in)
{
    if (in.rank == 3)
        return "a Linear on channels x length works along the length only, "
               "which ptfold does not do; put a Flatten before it";
    return in.rank == 4 ? "its input has to be flattened" : NULL;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    int rank = is_linear(op) ? 2 : op == PTF_OP_CONV1D ? 3 : 4;
    *out = (ptf_partial_shape){rank, attrs->out_channels};
    const char *wrong = is_linear(op) ? linear_partial(in) : NULL;
    if (wrong == NULL)
        wrong = ptf_partial_needs(in, rank);
    if (wrong != NULL || in.channels == 0 || in.channels == attrs->in_channels)
        return wrong;
    return is_linear(op) ? ptf_not_features : ptf_not_channels;
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
    *rank = 2;
    size[1] =
        is_linear(op) ? attrs->in_channels : attrs->in_channels / attrs->groups;
    if (op == PTF_OP_CONV2D)
        size[(*rank)++] = attrs->kernel[0];
    if (!is_linear(op))
        size[(*rank)++] = attrs->kernel[1];
    return true;
}

/* Each group's outputs read in_channels / groups. */
static void infer(ptf_op op, const ptf_shape *const shapes[PTF_ROLE_COUNT],
                  ptf_attrs *attrs)
{
    const ptf_shape *weight = shapes[PTF_ROLE_WEIGHT];
    attrs->has_bias = shapes[PTF_ROLE_BIAS] != NULL;
    attrs->scale_shift = shapes[PTF_ROLE_SCALE] != NULL;
    int rank = is_linear(op) ? 2 : op == PTF_OP_CONV1D ? 3 : 4;
    if (weight == NULL || weight->rank != rank)
        return;
    attrs->out_channels = weight->dim[0];
    int64_t in = weight->dim[1];
    bool fits = is_linear(op) || ptf_mul_i64(in, attrs->groups, &in);
    attrs->in_channels = fits && in <= INT32_MAX ? in : 0; /* 0: not told */
    for (int d = 2; d < rank; d++)
        attrs->kernel[d + 2 - rank] = weight->dim[d];
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    if (axis == 0)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    if (is_linear(op))
        return (ptf_reach){.kind = PTF_REACH_ALL,
                           .why = "takes one size of map only"};
    if (axis == 1)
        return (ptf_reach){.kind = PTF_REACH_ALL, .why = "sums over channels"};
    return ptf_window_reach(attrs, rank, axis);
}

const ptf_rules ptf_rules_product = {.settle = settle,
                                     .shape = shape,
                                     .partial = partial,
                                     .parameter = parameter,
                                     .infer = infer,
                                     .reach = reach};
