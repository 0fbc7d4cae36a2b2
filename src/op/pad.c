/*
 * Pads: positions around those of the last axes, which are a constant, or
 * filled from the operand; a negative pad crops.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"
#include "op/taps.h"

#include <math.h>

static ptf_pad_mode mode_of(const ptf_attrs *attrs)
{
    return (ptf_pad_mode)attrs->p[1];
}

/* Along axis 'axis' of 'rank', both with the batch or both without. */
static int64_t pad_at(const ptf_attrs *attrs, int rank, int axis, int side)
{
    int k = 2 * (rank - 1 - axis) + side;
    return k < attrs->pads.count ? attrs->pads.at[k] : 0;
}

ptf_pad_axis ptf_pad_axis_of(const ptf_attrs *attrs, const ptf_shape *in,
                             int axis)
{
    return (ptf_pad_axis){.mode = mode_of(attrs),
                          .in = in->dim[axis],
                          .before = pad_at(attrs, in->rank, axis, 0),
                          .after = pad_at(attrs, in->rank, axis, 1)};
}

/* What a crop leaves of the operand: from where, how much. */
static int64_t kept(const ptf_pad_axis *axis, int64_t *first)
{
    *first = ptf_max_i64(-axis->before, 0);
    return axis->in - *first - ptf_max_i64(-axis->after, 0);
}

/* Circular pads go round in what a crop leaves, the others know all. */
int64_t ptf_pad_from(const ptf_pad_axis *axis, int64_t i)
{
    int64_t at = i - axis->before, last = axis->in - 1, first, left;
    switch (axis->mode) {
    case PTF_PAD_CONSTANT: return at < 0 || at > last ? -1 : at;
    case PTF_PAD_REFLECT: return at < 0 ? -at : at > last ? 2 * last - at : at;
    case PTF_PAD_REPLICATE: return ptf_min_i64(ptf_max_i64(at, 0), last);
    case PTF_PAD_CIRCULAR:
        left = kept(axis, &first);
        at -= first;
        return first + (at < 0 ? at + left : at >= left ? at - left : at);
    }
    return -1;
}

/* -------------------------------------------------------------------- rules */

static const char *settle(ptf_op op, ptf_attrs *attrs)
{
    (void)op;
    if (attrs->pads.count % 2 != 0)
        return "an odd number of pads: each axis has one before and one after";
    if (mode_of(attrs) != PTF_PAD_CONSTANT &&
        (attrs->pads.count == 0 || attrs->pads.count > 2 * PTF_MAP_AXES))
        return "a mode that PyTorch has for one to three axes only";
    for (int i = 0; i < attrs->pads.count; i++) {
        if (attrs->pads.at[i] < -INT32_MAX || attrs->pads.at[i] > INT32_MAX)
            return "a pad that is larger than any input can be";
    }
    bool fits = !isfinite(attrs->p[0]) || isfinite((float)attrs->p[0]);
    return fits ? NULL : "a value that is too large for f32";
}

/* What PyTorch refuses of one axis. */
static const char *check_axis(const ptf_pad_axis *axis)
{
    int64_t first, left = kept(axis, &first);
    int64_t most = ptf_max_i64(axis->before, axis->after);
    bool cuts = axis->mode == PTF_PAD_CIRCULAR   ? left < 1
                : axis->mode == PTF_PAD_CONSTANT ? left < 0
                                                 : false;
    if (axis->in + axis->before + axis->after < 1 || cuts)
        return "it crops more than its input has";
    if (axis->mode == PTF_PAD_REFLECT && most >= axis->in)
        return "it reflects more than its input has";
    if (axis->mode == PTF_PAD_CIRCULAR && most > left)
        return "it goes round its input more than once";
    return NULL;
}

static const char *check_rank(const ptf_attrs *attrs, int rank)
{
    int axes = attrs->pads.count / 2;
    if (axes > rank)
        return "its input has no such dimensions";
    if (pad_at(attrs, rank, 0, 0) != 0 || pad_at(attrs, rank, 0, 1) != 0)
        return "it would pad the samples of a batch";
    return NULL;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)op, (void)count;
    const char *wrong = check_rank(attrs, in->rank + 1);
    if (wrong == NULL && in->rank == 0)
        wrong = "its input has no dimensions";
    for (int d = 0; d < in->rank && wrong == NULL; d++) {
        ptf_pad_axis axis = ptf_pad_axis_of(attrs, in, d);
        wrong = check_axis(&axis);
        out->dim[d] = axis.in + axis.before + axis.after;
    }
    return wrong;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    (void)op;
    *out = in;
    if (in.rank == 0) {
        out->channels = 0; /* they may be among the axes that are padded */
        return NULL;
    }
    const char *wrong = check_rank(attrs, in.rank);
    if (wrong == NULL && in.channels > 0 && in.rank > 1)
        out->channels = ptf_max_i64(in.channels + pad_at(attrs, in.rank, 1, 0) +
                                        pad_at(attrs, in.rank, 1, 1),
                                    0);
    return wrong;
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op;
    int64_t before = pad_at(attrs, rank, axis, 0);
    int64_t after = pad_at(attrs, rank, axis, 1);
    if (before == 0 && after == 0)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    if (mode_of(attrs) != PTF_PAD_CONSTANT)
        return (ptf_reach){.kind = PTF_REACH_ALL,
                           .why = "fills its borders from its input"};
    return (ptf_reach){.kind = PTF_REACH_WINDOW,
                       .stride = 1,
                       .before = before,
                       .after = after,
                       .extent = 1};
}

const ptf_rules ptf_rules_pad = {
    .settle = settle, .shape = shape, .partial = partial, .reach = reach};
