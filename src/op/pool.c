/*
 * Pools of feature maps: the largest or the mean, of windows or adaptive ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

ptf_pool_kind ptf_op_pool_kind(ptf_op op)
{
    static const ptf_pool_kind kinds[PTF_OP_COUNT] = {
        [PTF_OP_AVGPOOL1D] = {.mean = true},
        [PTF_OP_AVGPOOL2D] = {.mean = true},
        [PTF_OP_AVGPOOL3D] = {.mean = true},
        [PTF_OP_ADAPTIVE_AVGPOOL1D] = {.mean = true, .adaptive = true},
        [PTF_OP_ADAPTIVE_AVGPOOL2D] = {.mean = true, .adaptive = true},
        [PTF_OP_ADAPTIVE_AVGPOOL3D] = {.mean = true, .adaptive = true},
        [PTF_OP_ADAPTIVE_MAXPOOL1D] = {.adaptive = true},
        [PTF_OP_ADAPTIVE_MAXPOOL2D] = {.adaptive = true},
        [PTF_OP_ADAPTIVE_MAXPOOL3D] = {.adaptive = true},
    };
    return kinds[op];
}

static const char *settle(ptf_op op, ptf_attrs *a)
{
    bool padded = false;
    if (ptf_op_pool_kind(op).adaptive)
        return NULL;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        padded |= a->padding[i] != 0;
        if (2 * a->padding[i] > ptf_window_extent(a, i))
            return "more padding than half the window, which PyTorch refuses";
    }
    const char *wrong = ptf_window_refusal(a);
    if (wrong != NULL)
        return wrong;
    if (padded && a->count_include_pad_unspecified)
        return "padding, where PyTorch does not print whether the zeros count; "
               "add count_include_pad=True (the default) or "
               "count_include_pad=False to the text";
    return NULL;
}

/* The windows of an AvgPool must divide its input where ceil_mode matters. */
static bool is_ambiguous(const ptf_attrs *a, int i, int64_t size)
{
    int64_t room = size + 2 * a->padding[i] - a->kernel[i];
    return a->ceil_mode_unspecified && room % a->stride[i] != 0;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)count;
    int rank = 1 + ptf_op_map_axes(op);
    if (in->rank != rank)
        return ptf_rank_needed(rank + 1);
    *out = *in;
    for (int d = 1; d < rank; d++) {
        int64_t *size = &out->dim[d];
        int i = d + PTF_MAP_AXES - rank;
        if (ptf_op_pool_kind(op).adaptive) {
            *size = attrs->output_size[i] > 0 ? attrs->output_size[i] : *size;
            continue;
        }
        *size = ptf_window_count(attrs, i, in->dim[d]);
        if (*size == 0)
            return "its window is larger than its input";
        if (is_ambiguous(attrs, i, in->dim[d]))
            return "its windows do not divide its input, and PyTorch does not "
                   "print what happens then; add ceil_mode=False (the default) "
                   "or ceil_mode=True to the text";
    }
    return NULL;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    (void)attrs;
    int rank = 2 + ptf_op_map_axes(op);
    *out = (ptf_partial_shape){rank, in.channels};
    return ptf_partial_needs(in, rank);
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    if (axis < 2)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    if (!ptf_op_pool_kind(op).adaptive)
        return ptf_window_reach(attrs, rank, axis);
    bool one = attrs->output_size[axis + PTF_MAP_AXES - rank] == 1;
    return (ptf_reach){.kind = PTF_REACH_ALL,
                       .one = one,
                       .why = one ? "takes all of the map"
                                  : "has windows that depend on the size of "
                                    "the map"};
}

const ptf_rules ptf_rules_pool = {
    .settle = settle, .shape = shape, .partial = partial, .reach = reach};
