/*
 * Views: the same numbers in another shape (Flatten, reshape), in the same one
 * (Dropout in evaluation, Identity), in another order, or some of them again
 * or not at all (expand, permute, slice).
 *
 * What else moves numbers is made of these: squeeze and unsqueeze are
 * reshapes; select is a slice of one position and a reshape; split, chunk and
 * unbind are slices; flip is a slice with a step of -1; roll is two slices and
 * a concat; stack is reshapes and a concat; repeat is a reshape, an expand and
 * a reshape; pixel_shuffle is a reshape, a permute and a reshape.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

static const char mixes[] = "it would mix the samples of a batch";
static const char no_dimension[] = "its input has no such dimensions";
static const char too_large[] = "its output is too large";

bool ptf_op_is_identity(ptf_op op)
{
    static const bool identity[PTF_OP_COUNT] = {
        [PTF_OP_INPUT] = true,
        [PTF_OP_DROPOUT] = true,
        [PTF_OP_IDENTITY] = true,
    };
    return identity[op];
}

bool ptf_op_is_alias(ptf_op op)
{
    static const bool reshapes[PTF_OP_COUNT] = {
        [PTF_OP_FLATTEN] = true,
        [PTF_OP_RESHAPE] = true,
    };
    return ptf_op_is_identity(op) || reshapes[op];
}

/*
 * What is known of each view: the result's shape from the operand's; the same
 * before shapes are known ('out' is the operand's at first); and whether axis
 * 'axis' of the result, of 'rank' with the batch, is that of the operand,
 * position by position.
 */
typedef struct view_rules {
    const char *(*shape)(const ptf_attrs *attrs, const ptf_shape *in,
                         ptf_shape *out);
    const char *(*partial)(const ptf_attrs *attrs, ptf_partial_shape in,
                           ptf_partial_shape *out);
    bool (*keeps)(const ptf_attrs *attrs, int rank, int axis);
    const char *moves; /* what it does with the other axes */
} view_rules;

static const char one_size[] = "takes one size of map only";

/* ------------------------------------------------------------------ flatten */

/* The dimensions that a Flatten joins, of a value of 'rank' with the batch. */
static const char *joined(const ptf_attrs *attrs, int rank, int *first,
                          int *last)
{
    *first = ptf_axis_of(attrs->start_dim, rank);
    *last = ptf_axis_of(attrs->end_dim, rank);
    if (*first < 0 || *last < *first)
        return no_dimension;
    return *first == 0 && *last > 0 ? mixes : NULL;
}

static const char *flatten(const ptf_attrs *attrs, const ptf_shape *in,
                           ptf_shape *out)
{
    int first, last;
    const char *wrong = joined(attrs, in->rank + 1, &first, &last);
    if (wrong != NULL)
        return wrong;
    *out = (ptf_shape){0, {0}};
    for (int d = 1; d <= in->rank; d++) {
        int64_t size = in->dim[d - 1];
        if (d <= first || d > last)
            out->dim[out->rank++] = size;
        else if (!ptf_mul_i64(out->dim[out->rank - 1], size,
                              &out->dim[out->rank - 1]))
            return too_large;
    }
    return NULL;
}

static const char *flatten_partial(const ptf_attrs *attrs, ptf_partial_shape in,
                                   ptf_partial_shape *out)
{
    int first, last;
    bool is_plain = attrs->start_dim == 1 && attrs->end_dim == -1;
    *out = (ptf_partial_shape){in.rank == 0 && is_plain ? 2 : 0, 0};
    if (in.rank == 0)
        return NULL;
    const char *wrong = joined(attrs, in.rank, &first, &last);
    bool keeps_channels = first > 1 || last == first;
    *out = (ptf_partial_shape){in.rank - (last - first),
                               keeps_channels ? in.channels : 0};
    return wrong;
}

static bool flatten_keeps(const ptf_attrs *attrs, int rank, int axis)
{
    int first, last;
    return joined(attrs, rank, &first, &last) == NULL && axis < first;
}

/* ------------------------------------------------------- reshape and expand */

static const char *reshape(const ptf_attrs *attrs, const ptf_shape *in,
                           ptf_shape *out)
{
    int64_t all = 1, known = 1;
    int open = -1; /* the axis that takes what remains */
    *out = (ptf_shape){.rank = attrs->size.count};
    for (int d = 0; d < in->rank; d++) {
        if (!ptf_mul_i64(all, in->dim[d], &all))
            return too_large;
    }
    for (int d = 0; d < out->rank; d++) {
        int64_t size = attrs->size.at[d];
        out->dim[d] = size;
        if (size == -1 && open < 0)
            open = d;
        else if (size < 0 || !ptf_mul_i64(known, size, &known))
            return "its sizes must be positive, and one of them may be -1";
    }
    bool fits = open < 0 ? all == known : known > 0 && all % known == 0;
    if (open >= 0 && fits)
        out->dim[open] = all / known;
    return fits ? NULL : "its sizes have room for another number of elements";
}

/* The sizes that it states; the first of them are the channels. */
static const char *stated(const ptf_attrs *attrs, ptf_partial_shape in,
                          ptf_partial_shape *out)
{
    (void)in;
    *out = (ptf_partial_shape){attrs->size.count + 1, 0};
    if (attrs->size.count > 0)
        out->channels = ptf_max_i64(attrs->size.at[0], 0);
    return NULL;
}

static bool reshape_keeps(const ptf_attrs *attrs, int rank, int axis)
{
    (void)attrs, (void)rank, (void)axis;
    return false;
}

static const char *expand(const ptf_attrs *attrs, const ptf_shape *in,
                          ptf_shape *out)
{
    int more = attrs->size.count - in->rank;
    *out = (ptf_shape){.rank = attrs->size.count};
    if (more < 0)
        return "its input has more dimensions than it states";
    for (int d = 0; d < out->rank; d++) {
        int64_t size = attrs->size.at[d];
        int64_t old = d < more ? 1 : in->dim[d - more];
        if (size == -1 && d >= more)
            size = old;
        if (size < 0)
            return "its sizes must be positive, or -1 where its input has one";
        if (old != size && old != 1)
            return "only dimensions of size 1 can grow";
        out->dim[d] = size;
    }
    return NULL;
}

static const char *expand_partial(const ptf_attrs *attrs, ptf_partial_shape in,
                                  ptf_partial_shape *out)
{
    stated(attrs, in, out);
    if (out->channels == 0 && in.rank == out->rank)
        out->channels = in.channels;
    return NULL;
}

/* Where the first size is -1 there are as many axes as before. */
static bool expand_keeps(const ptf_attrs *attrs, int rank, int axis)
{
    return attrs->size.count == rank - 1 && attrs->size.at[0] == -1 &&
           attrs->size.at[axis - 1] == -1;
}

/* -------------------------------------------------------- permute and slice */

/* Axis 'd' of the result is which of a value of 'rank' with the batch. */
static int permuted(const ptf_attrs *attrs, int d, int rank)
{
    return ptf_axis_of(attrs->dims.at[d], rank);
}

static const char *check_permutation(const ptf_attrs *attrs, int rank)
{
    unsigned seen = 0;
    if (attrs->dims.count != rank - 1)
        return "it states another number of dimensions than its input has";
    for (int d = 0; d < attrs->dims.count; d++) {
        int axis = permuted(attrs, d, rank);
        if (axis <= 0)
            return axis == 0 ? mixes : no_dimension;
        if ((seen >> axis & 1) != 0)
            return "it states a dimension twice";
        seen |= 1U << axis;
    }
    return NULL;
}

static const char *permute(const ptf_attrs *attrs, const ptf_shape *in,
                           ptf_shape *out)
{
    const char *wrong = check_permutation(attrs, in->rank + 1);
    for (int d = 0; wrong == NULL && d < in->rank; d++)
        out->dim[d] = in->dim[permuted(attrs, d, in->rank + 1) - 1];
    return wrong;
}

static const char *permute_partial(const ptf_attrs *attrs, ptf_partial_shape in,
                                   ptf_partial_shape *out)
{
    int rank = attrs->dims.count + 1;
    bool same = rank > 1 && permuted(attrs, 0, rank) == 1;
    *out = (ptf_partial_shape){rank, same ? in.channels : 0};
    return check_permutation(attrs, in.rank > 0 ? in.rank : rank);
}

static bool permute_keeps(const ptf_attrs *attrs, int rank, int axis)
{
    return attrs->dims.count == rank - 1 &&
           permuted(attrs, axis - 1, rank) == axis;
}

/* A negative start counts from the end. */
static int64_t slice_start(const ptf_attrs *attrs, int64_t size)
{
    return attrs->start < 0 ? attrs->start + size : attrs->start;
}

/* The positions of a slice of 'size'; 0 when it cannot be. */
static int64_t slice_length(const ptf_attrs *attrs, int64_t size)
{
    int64_t start = slice_start(attrs, size), step = attrs->step;
    if (start < 0 || start >= size || step == 0 || step < -PTF_VALUE_MAX)
        return 0;
    int64_t most = step > 0 ? (size - 1 - start) / step : start / -step;
    if (attrs->length < 0 || attrs->length > most + 1)
        return 0;
    return attrs->length > 0 ? attrs->length : most + 1;
}

static const char *slice(const ptf_attrs *attrs, const ptf_shape *in,
                         ptf_shape *out)
{
    int axis = ptf_axis_of(attrs->dim, in->rank + 1);
    if (axis <= 0)
        return axis == 0 ? mixes : no_dimension;
    int64_t *size = &out->dim[axis - 1];
    *size = slice_length(attrs, *size);
    return *size > 0 ? NULL
                     : "its input has no such positions along the dimension "
                       "that it slices";
}

static const char *slice_partial(const ptf_attrs *attrs, ptf_partial_shape in,
                                 ptf_partial_shape *out)
{
    int axis = in.rank > 0 ? ptf_axis_of(attrs->dim, in.rank) : 0;
    if (axis <= 0) /* not known */
        out->channels = 0;
    if (axis == 1 && in.channels > 0)
        out->channels = slice_length(attrs, in.channels);
    return NULL;
}

static bool slice_keeps(const ptf_attrs *attrs, int rank, int axis)
{
    return axis != ptf_axis_of(attrs->dim, rank);
}

/* -------------------------------------------------------------------- rules */

/* Those that are not here give their operand as it is. */
static const view_rules views[PTF_OP_COUNT] = {
    [PTF_OP_FLATTEN] = {flatten, flatten_partial, flatten_keeps, one_size},
    [PTF_OP_RESHAPE] = {reshape, stated, reshape_keeps, one_size},
    [PTF_OP_EXPAND] = {expand, expand_partial, expand_keeps, one_size},
    [PTF_OP_PERMUTE] = {permute, permute_partial, permute_keeps,
                        "moves its axes"},
    [PTF_OP_SLICE] = {slice, slice_partial, slice_keeps,
                      "takes some positions of its input only"},
};

static const char *settle(ptf_op op, ptf_attrs *attrs)
{
    return op == PTF_OP_SLICE && attrs->step == 0 ? "a step of 0" : NULL;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)count;
    *out = *in;
    return views[op].shape != NULL ? views[op].shape(attrs, in, out) : NULL;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    *out = in;
    return views[op].partial != NULL ? views[op].partial(attrs, in, out) : NULL;
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    const view_rules *view = &views[op];
    if (axis == 0 || view->keeps == NULL || view->keeps(attrs, rank, axis))
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return (ptf_reach){.kind = PTF_REACH_ALL, .why = view->moves};
}

const ptf_rules ptf_rules_view = {
    .settle = settle, .shape = shape, .partial = partial, .reach = reach};

/* ------------------------------------------------------------------- places */

ptf_view ptf_op_view(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                     const ptf_shape *out)
{
    ptf_view view = {0};
    int64_t stride[PTF_SHAPE_MAX], n = 1; /* of the operand */
    for (int d = in->rank - 1; d >= 0; n *= in->dim[d--])
        stride[d] = n;
    for (int d = 0; d < out->rank; d++) {
        int from = d - (out->rank - in->rank); /* expand: aligned at the end */
        if (op == PTF_OP_PERMUTE)
            from = permuted(attrs, d, in->rank + 1) - 1;
        bool repeats = from < 0 || in->dim[from] == 1;
        view.stride[d] = op == PTF_OP_EXPAND && repeats ? 0 : stride[from];
    }
    if (op == PTF_OP_SLICE) {
        int axis = ptf_axis_of(attrs->dim, in->rank + 1) - 1;
        view.first = slice_start(attrs, in->dim[axis]) * stride[axis];
        view.stride[axis] *= attrs->step;
    }
    return view;
}
