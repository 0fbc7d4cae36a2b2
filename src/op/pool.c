/*
 * Pools of feature maps: largest, mean, adaptive mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

static const char *settle(ptf_op op, ptf_attrs *a)
{
    if (op == PTF_OP_ADAPTIVE_AVGPOOL2D)
        return NULL;
    for (int i = 0; i < 2; i++) {
        int64_t extent = a->dilation[i] * (a->kernel[i] - 1) + 1;
        if (2 * a->padding[i] > extent)
            return "more padding than half the window, which PyTorch refuses";
    }
    const char *wrong = ptf_window_refusal(a);
    if (wrong != NULL)
        return wrong;
    bool padded = a->padding[0] != 0 || a->padding[1] != 0;
    if (padded && a->count_include_pad_unspecified)
        return "padding, where PyTorch does not print whether the zeros count; "
               "add count_include_pad=True (the default) or "
               "count_include_pad=False to the text";
    return NULL;
}

/* The windows of AvgPool2d must divide its input where ceil_mode matters. */
static bool is_ambiguous(const ptf_attrs *a, int i, int64_t size)
{
    int64_t room = size + 2 * a->padding[i] - a->kernel[i];
    return a->ceil_mode_unspecified && room % a->stride[i] != 0;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)count;
    if (in->rank != 3)
        return ptf_rank_needed(4);
    *out = *in;
    for (int i = 0; i < 2; i++) {
        int64_t *size = &out->dim[i + 1];
        if (op == PTF_OP_ADAPTIVE_AVGPOOL2D) {
            *size = attrs->output_size[i] > 0 ? attrs->output_size[i] : *size;
            continue;
        }
        *size = ptf_window_count(attrs, i, in->dim[i + 1]);
        if (*size == 0)
            return "its window is larger than its input";
        if (is_ambiguous(attrs, i, in->dim[i + 1]))
            return "its windows do not divide its input, and PyTorch does not "
                   "print what happens then; add ceil_mode=False (the default) "
                   "or ceil_mode=True to the text";
    }
    return NULL;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    (void)op, (void)attrs;
    *out = (ptf_partial_shape){4, in.channels};
    return ptf_partial_needs(in, 4);
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    if (axis < 2)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    if (op != PTF_OP_ADAPTIVE_AVGPOOL2D)
        return ptf_window_reach(attrs, rank, axis);
    return (ptf_reach){.kind = PTF_REACH_ALL,
                       .why = "has windows that depend on the size of the map"};
}

const ptf_rules ptf_rules_pool = {
    .settle = settle, .shape = shape, .partial = partial, .reach = reach};
