/*
 * What the families' rules share: axes and windows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

const char ptf_not_channels[] = "channels";
const char ptf_not_features[] = "features";

const char *ptf_rank_needed(int rank)
{
    static const char *const texts[] = {
        [2] = "it takes a flat list of features",
        [3] = "it takes channels x length",
        [4] = "it takes channels x height x width",
        [5] = "it takes channels x depth x height x width",
    };
    return texts[rank];
}

int ptf_axis_of(int64_t dim, int rank)
{
    int64_t axis = dim < 0 ? dim + rank : dim;
    return axis < 0 || axis >= rank ? -1 : (int)axis;
}

const char *ptf_axis_refusal(int axis)
{
    if (axis < 0)
        return "its input has no such dimension";
    return axis == 0 ? "it would mix the samples of a batch" : NULL;
}

const char *ptf_broadcast_shape(ptf_op op, const ptf_attrs *attrs,
                                const ptf_shape *in, int count, ptf_shape *out)
{
    (void)op, (void)attrs;
    int longest = 0;
    for (int k = 1; k < count; k++)
        longest = in[k].rank > in[longest].rank ? k : longest;
    *out = in[longest];
    for (int k = 0; k < count; k++) {
        for (int i = 1; i <= in[k].rank; i++) {
            int64_t size = in[k].dim[in[k].rank - i];
            int64_t *to = &out->dim[out->rank - i];
            if (size != *to && size != 1 && *to != 1)
                return "the sizes of its inputs do not fit each other";
            *to = *to != 1 ? *to : size;
        }
    }
    return NULL;
}

int64_t ptf_window_extent(const ptf_attrs *a, int i)
{
    return a->dilation[i] * (a->kernel[i] - 1) + 1;
}

int64_t ptf_window_count(const ptf_attrs *a, int i, int64_t size)
{
    int64_t room =
        size + 2 * a->padding[i] + a->more[i] - ptf_window_extent(a, i);
    if (room < 0)
        return 0;
    int64_t count = room / a->stride[i] + 1;
    if (a->ceil_mode && room % a->stride[i] != 0 &&
        count * a->stride[i] < size + a->padding[i])
        count++;
    return count;
}

const char *ptf_window_refusal(const ptf_attrs *a)
{
    int64_t numbers = 1;
    bool fits = true;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        int64_t least = ptf_window_extent(a, i) - 2 * a->padding[i];
        fits = fits && ptf_mul_i64(numbers, ptf_max_i64(least, 1), &numbers) &&
               numbers <= PTF_VALUE_MAX;
    }
    return fits ? NULL : "a window that is larger than any input can be";
}

ptf_reach ptf_window_reach(const ptf_attrs *attrs, int rank, int axis)
{
    if (axis == 0)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    int i = axis + PTF_MAP_AXES - rank; /* width is the last */
    return (ptf_reach){.kind = PTF_REACH_WINDOW,
                       .stride = attrs->stride[i],
                       .before = attrs->padding[i],
                       .after = attrs->padding[i] + attrs->more[i],
                       .extent = ptf_window_extent(attrs, i),
                       .cut = attrs->ceil_mode};
}

const char *ptf_partial_needs(ptf_partial_shape in, int rank)
{
    return in.rank == 0 || in.rank == rank ? NULL : ptf_rank_needed(rank);
}

const char *ptf_partial_channels(ptf_partial_shape in, int64_t channels)
{
    return in.channels != 0 && in.channels != channels ? ptf_not_channels
                                                       : NULL;
}
