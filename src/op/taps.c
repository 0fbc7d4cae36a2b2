/*
 * Sums over positions of an operand, axis by axis.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/taps.h"

static bool allocate(ptf_arena *arena, int64_t taps, ptf_axis_taps *t)
{
    size_t count = (size_t)ptf_max_i64(taps, 1);
    t->begin = ptf_arena_array(arena, (size_t)t->out + 1, sizeof(*t->begin));
    t->index = ptf_arena_array(arena, count, sizeof(*t->index));
    t->weight = ptf_arena_array(arena, count, sizeof(*t->weight));
    t->rounded = ptf_arena_array(arena, count, sizeof(*t->rounded));
    return t->begin != NULL && t->index != NULL && t->weight != NULL &&
           t->rounded != NULL;
}

static int64_t count_pad(const ptf_pad_axis *axis, int64_t out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < out; i++)
        count += ptf_pad_from(axis, i) >= 0;
    return count;
}

static int64_t count_resize(const ptf_resize_axis *axis)
{
    int64_t count = 0;
    for (int64_t i = 0; i < axis->out; i++)
        count += ptf_resize_from(axis, i, NULL, NULL);
    return count;
}

int64_t ptf_op_tap_count(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         const ptf_shape *out, int axis)
{
    if (ptf_op_is(op, PTF_FAMILY_PAD)) {
        ptf_pad_axis pad = ptf_pad_axis_of(attrs, in, axis);
        return count_pad(&pad, out->dim[axis]);
    }
    ptf_resize_axis resize = ptf_resize_axis_of(attrs, in, out, axis);
    return count_resize(&resize);
}

static void fill_pad(const ptf_pad_axis *axis, ptf_axis_taps *t)
{
    int64_t used = 0;
    for (int64_t i = 0; i < t->out; i++) {
        int64_t from = ptf_pad_from(axis, i);
        if (from >= 0) {
            t->index[used] = from;
            t->weight[used++] = 1;
        }
        t->begin[i + 1] = used;
    }
}

static void fill_resize(const ptf_resize_axis *axis, ptf_axis_taps *t)
{
    int64_t used = 0;
    for (int64_t i = 0; i < t->out; i++) {
        used += ptf_resize_from(axis, i, t->index + used, t->weight + used);
        t->begin[i + 1] = used;
    }
}

static bool fill(ptf_arena *arena, ptf_op op, const ptf_attrs *attrs,
                 const ptf_shape *in, const ptf_shape *out, int axis,
                 ptf_axis_taps *t)
{
    *t = (ptf_axis_taps){.in = in->dim[axis], .out = out->dim[axis]};
    int64_t count = ptf_op_tap_count(op, attrs, in, out, axis);
    if (!allocate(arena, count, t))
        return false;
    if (ptf_op_is(op, PTF_FAMILY_PAD)) {
        ptf_pad_axis pad = ptf_pad_axis_of(attrs, in, axis);
        fill_pad(&pad, t);
    } else {
        ptf_resize_axis resize = ptf_resize_axis_of(attrs, in, out, axis);
        fill_resize(&resize, t);
    }
    for (int64_t k = 0; k < count; k++)
        t->rounded[k] = (float)t->weight[k];
    return true;
}

bool ptf_op_taps(ptf_arena *arena, ptf_op op, const ptf_attrs *attrs,
                 const ptf_shape *in, const ptf_shape *out, ptf_taps *taps)
{
    int rank = in->rank, first = 0;
    while (first < rank - 1 &&
           ptf_op_reach(op, attrs, rank + 1, first + 1).kind == PTF_REACH_EACH)
        first++;
    *taps = (ptf_taps){.first = first, .rank = rank};
    for (int d = first; d < rank; d++) {
        if (!fill(arena, op, attrs, in, out, d, &taps->axes[d]))
            return false;
    }
    return true;
}

/* Counts, then places: the taps of a position stay in order. */
static bool turn(ptf_arena *arena, const ptf_axis_taps *t, ptf_axis_taps *out)
{
    int64_t count = t->begin[t->out];
    *out = (ptf_axis_taps){.in = t->out, .out = t->in};
    if (!allocate(arena, count, out))
        return false;
    for (int64_t k = 0; k < count; k++)
        out->begin[t->index[k] + 1]++;
    for (int64_t i = 0; i < out->out; i++)
        out->begin[i + 1] += out->begin[i];
    for (int64_t i = 0; i < t->out; i++) {
        for (int64_t k = t->begin[i]; k < t->begin[i + 1]; k++) {
            int64_t at = out->begin[t->index[k]]++;
            out->index[at] = i;
            out->weight[at] = t->weight[k];
            out->rounded[at] = t->rounded[k];
        }
    }
    for (int64_t i = out->out; i > 0;
         i--) /* they ended where the next begins */
        out->begin[i] = out->begin[i - 1];
    out->begin[0] = 0;
    return true;
}

bool ptf_taps_transpose(ptf_arena *arena, const ptf_taps *taps, ptf_taps *out)
{
    *out = (ptf_taps){.first = taps->first, .rank = taps->rank};
    for (int d = taps->first; d < taps->rank; d++) {
        if (!turn(arena, &taps->axes[d], &out->axes[d]))
            return false;
    }
    return true;
}

bool ptf_op_moves(ptf_op op, const ptf_attrs *attrs)
{
    return ptf_op_is(op, PTF_FAMILY_PAD) ||
           attrs->p[0] <= (double)PTF_UPSAMPLE_NEAREST_EXACT;
}
