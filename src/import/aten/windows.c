/*
 * Windows that slide along axes, as axes of their own: positions by a table
 * that is a constant.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* How windows slide along an axis. */
typedef struct slide {
    int64_t size, step, dilation;
    int64_t count; /* of windows */
} slide;

static ptf_status count_windows(ptf_lowering *l, slide *s, int64_t length)
{
    int64_t reach;
    bool fits = length <= 1 << 24 && s->size >= 1 && s->step >= 1 &&
                s->dilation >= 1 &&
                ptf_mul_i64(s->size - 1, s->dilation, &reach) && reach < length;
    if (!fits)
        return ptf_lower_refuse(l,
                                "expected windows of at least 1 that fit into "
                                "%lld positions, and steps of at least 1",
                                (long long)length);
    s->count = (length - reach - 1) / s->step + 1;
    return PTF_OK;
}

/*
 * Two axes in the place of a net's axis: the window and the place in it, or
 * the other way round.
 */
static ptf_status add_windows(ptf_lowering *l, const slide *s, int axis,
                              bool transposed, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_INDEX);
    ptf_shape shape = {.rank = 2, .dim = {s->count, s->size}};
    int64_t numel;
    int in[2] = {*node};
    float *data;
    if (!ptf_mul_i64(s->count, s->size, &numel))
        return ptf_lower_refuse(l, "its output is too large");
    ptf_status status = ptf_lower_room(l, numel, &data);
    if (status != PTF_OK)
        return status;
    for (int64_t w = 0; w < s->count; w++) {
        for (int64_t i = 0; i < s->size; i++)
            data[transposed ? i * s->count + w : w * s->size + i] =
                (float)(w * s->step + i * s->dilation);
    }
    if (transposed) {
        shape.dim[0] = s->size;
        shape.dim[1] = s->count;
    }
    a.dim = axis;
    status = ptf_lower_constant(l, data, &shape, &in[1]);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_INDEX, &a, 2, in, NULL, node)
               : status;
}

/* The windows take the axis' place; the place in one is the last axis. */
static ptf_status lower_unfold(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    int64_t sizes[PTF_LOWER_LIST];
    slide s = {.dilation = 1};
    int rank, dim, axis = 0, node = -1;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && rank == 0)
        sizes[0] = 1;
    if (status == PTF_OK)
        status = ptf_lower_int(l, "size", &s.size);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "step", &s.step);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dimension", rank > 0 ? rank : 1, &dim);
    if (status == PTF_OK)
        status = count_windows(l, &s, sizes[dim]);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, rank, dim, &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK && rank > 0)
        status = add_windows(l, &s, axis, false, &node);
    else if (status == PTF_OK) /* one window of one number */
        status = ptf_lower_resize(l, node, sizes, 1, &node);
    if (status != PTF_OK)
        return status;
    int axes = l->shapes[node].rank;
    for (int d = 1; d <= axes; d++) {
        if (d != axis + 1)
            a.dims.at[a.dims.count++] = d;
    }
    if (axis + 1 < axes) {
        a.dims.at[a.dims.count++] = axis + 1;
        status = ptf_lower_add_one(l, PTF_OP_PERMUTE, &a, node, &node);
    }
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* ------------------------------------------------------------------- im2col */

/* What there is for height and width. */
static ptf_status read_slides(ptf_lowering *l, slide s[2], int64_t pads[2])
{
    static const char *const names[] = {"kernel_size", "stride", "dilation",
                                        "padding"};
    int64_t n[4][2];
    ptf_status status = PTF_OK;
    for (int i = 0; i < 4 && status == PTF_OK; i++)
        status = ptf_lower_ints(l, names[i], 2, n[i]);
    for (int d = 0; d < 2 && status == PTF_OK; d++) {
        s[d] = (slide){n[0][d], n[1][d], n[2][d], 0};
        pads[d] = n[3][d];
        if (pads[d] < 0 || pads[d] > 1 << 24)
            status = ptf_lower_refuse(l, "expected paddings of at least 0");
    }
    return status;
}

static ptf_status add_pads(ptf_lowering *l, const int64_t pads[2], int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PAD);
    if (pads[0] == 0 && pads[1] == 0)
        return PTF_OK;
    a.pads.count = 4; /* from the last axis on, both sides */
    for (int i = 0; i < 4; i++)
        a.pads.at[i] = pads[1 - i / 2];
    return ptf_lower_add_one(l, PTF_OP_PAD, &a, *node, node);
}

/* [C, H, W] after 'lead' - 1 axes to C, kh, kw and the windows. */
static ptf_status add_columns(ptf_lowering *l, const slide s[2],
                              const int64_t pads[2], int lead, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    ptf_status status = add_pads(l, pads, node);
    if (status == PTF_OK)
        status = add_windows(l, &s[0], lead + 1, true, node);
    if (status == PTF_OK)
        status = add_windows(l, &s[1], lead + 3, true, node);
    for (int d = 1; d <= lead; d++)
        a.dims.at[a.dims.count++] = d;
    for (int i = 0; i < 4; i++)
        a.dims.at[a.dims.count++] = lead + 1 + i / 2 + i % 2 * 2;
    return status == PTF_OK
               ? ptf_lower_add_one(l, PTF_OP_PERMUTE, &a, *node, node)
               : status;
}

/* [C, H, W] to [C kh kw, windows]. */
static ptf_status lower_im2col(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], pads[2];
    int rank, node = -1;
    slide s[2];
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && rank != 3 && rank != 4)
        status = ptf_lower_refuse(l, "expected 3 or 4 axes, got %d", rank);
    if (status == PTF_OK)
        status = read_slides(l, s, pads);
    for (int d = 0; d < 2 && status == PTF_OK; d++)
        status = count_windows(l, &s[d], sizes[rank - 2 + d] + 2 * pads[d]);
    if (status == PTF_OK && rank == 3)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    int lead = ptf_lower_net_axis(l, rank - 2) - 1; /* axes before height */
    if (status == PTF_OK)
        status = add_columns(l, s, pads, lead, &node);
    if (status != PTF_OK)
        return status;
    sizes[rank - 3] *= s[0].size * s[1].size;
    sizes[rank - 2] = s[0].count * s[1].count;
    status = ptf_lower_resize(l, node, sizes, rank - 1, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* ----------------------------------------- convolutions of computed weights */

/* Windows, strides and pads of a convolution; its sizes are those that are
 * given. */
static ptf_status read_conv(ptf_lowering *l, const int64_t *x, const int64_t *w,
                            slide s[2], int64_t pads[2], int64_t *groups)
{
    int64_t step[2], dilation[2], channels;
    ptf_status status = ptf_lower_ints(l, "stride", 2, step);
    if (status == PTF_OK)
        status = ptf_lower_ints(l, "dilation", 2, dilation);
    if (status == PTF_OK)
        status = ptf_lower_ints(l, "padding", 2, pads);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "groups", groups);
    for (int d = 0; d < 2 && status == PTF_OK; d++) {
        s[d] = (slide){w[2 + d], step[d], dilation[d], 0};
        bool fits = pads[d] >= 0 && pads[d] <= 1 << 24;
        status = count_windows(l, &s[d], fits ? x[2 + d] + 2 * pads[d] : 0);
    }
    bool fits = status == PTF_OK && *groups >= 1 && w[0] % *groups == 0 &&
                ptf_mul_i64(w[1], *groups, &channels) && channels == x[1];
    return status != PTF_OK || fits
               ? status
               : ptf_lower_refuse(l, "expected groups of %lld channels",
                                  (long long)w[1]);
}

ptf_status ptf_lower_conv_of_values(ptf_lowering *l)
{
    int64_t x[PTF_LOWER_LIST], w[PTF_LOWER_LIST], pads[2], groups = 1;
    int ranks[2], in[2] = {0}, node = -1;
    slide s[2];
    ptf_status status = ptf_lower_sizes(l, "input", x, &ranks[0]);
    if (status == PTF_OK)
        status = ptf_lower_sizes(l, "weight", w, &ranks[1]);
    if (status == PTF_OK && (ranks[0] != 4 || ranks[1] != 4))
        status = ptf_lower_refuse(l, "its weight is computed from the input; "
                                     "expected a parameter or constant, or "
                                     "maps and a weight of 4 axes");
    if (status == PTF_OK)
        status = read_conv(l, x, w, s, pads, &groups);
    if (status == PTF_OK)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "weight", &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "input", &in[1]);
    if (status == PTF_OK)
        status = add_columns(l, s, pads, 2, &in[1]);
    if (status != PTF_OK)
        return status;
    int64_t terms = w[1] * w[2] * w[3], windows = s[0].count * s[1].count;
    const ptf_shape weight = {3, {groups, w[0] / groups, terms}};
    const ptf_shape columns = {4, {x[0], groups, terms, windows}};
    const ptf_shape maps = {4, {x[0], w[0], s[0].count, s[1].count}};
    const ptf_shape bias = {3, {w[0], 1, 1}};
    status = ptf_lower_reshape(l, in[0], &weight, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, in[1], &columns, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_matmul(l, in[0], in[1], &node);
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, node, &maps, &node);
    if (status == PTF_OK)
        status = ptf_lower_add_bias(l, &bias, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* ------------------------------------------------------------------- col2im */

/*
 * Where position 'at' of an axis has its numbers from: window * step + place *
 * dilation is 'at'.  Up to 'most' of the places, in their order, as numbers of
 * (place, window); the others are the zero after them all.
 */
static int64_t list_sources(const slide *s, int64_t at, int64_t most,
                            float *out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < s->size; i++) {
        int64_t from = at - i * s->dilation;
        if (from < 0 || from % s->step != 0 || from / s->step >= s->count)
            continue;
        if (count < most)
            out[count] = (float)(i * s->count + from / s->step);
        count++;
    }
    for (int64_t k = count; k < most; k++)
        out[k] = (float)(s->size * s->count);
    return count;
}

/* The positions of the map in the place of an axis of (place, window) and a
 * zero, and after them what each is the sum of. */
static ptf_status add_sources(ptf_lowering *l, const slide *s, int64_t length,
                              int64_t pad, int axis, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_INDEX);
    ptf_shape shape = {.rank = 2, .dim = {length, 1}};
    int in[2] = {*node};
    int64_t numel;
    float *data;
    for (int64_t at = 0; at < length; at++)
        shape.dim[1] =
            ptf_max_i64(shape.dim[1], list_sources(s, at + pad, 0, NULL));
    if (!ptf_mul_i64(length, shape.dim[1], &numel))
        return ptf_lower_refuse(l, "its output is too large");
    ptf_status status = ptf_lower_room(l, numel, &data);
    for (int64_t at = 0; at < length && status == PTF_OK; at++)
        list_sources(s, at + pad, shape.dim[1], data + at * shape.dim[1]);
    a.dim = axis;
    if (status == PTF_OK)
        status = ptf_lower_constant(l, data, &shape, &in[1]);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_INDEX, &a, 2, in, NULL, node)
               : status;
}

/* The four axes kh, kw, windows down, windows across as kh (windows down) and
 * kw (windows across), each with a zero after it; there are 'lead' before. */
static ptf_status join_places(ptf_lowering *l, const slide s[2], int lead,
                              int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    ptf_attrs pad = ptf_lower_defaults(PTF_OP_PAD);
    for (int d = 1; d <= lead; d++)
        a.dims.at[a.dims.count++] = d;
    for (int i = 0; i < 4; i++)
        a.dims.at[a.dims.count++] = lead + 1 + i / 2 + i % 2 * 2;
    ptf_status status = ptf_lower_add_one(l, PTF_OP_PERMUTE, &a, *node, node);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[*node];
    shape.rank -= 2;
    for (int d = 0; d < 2; d++)
        shape.dim[lead + d] = s[d].size * s[d].count;
    status = ptf_lower_reshape(l, *node, &shape, node);
    pad.pads.count = 4;
    pad.pads.at[1] = pad.pads.at[3] = 1;
    return status == PTF_OK
               ? ptf_lower_add_one(l, PTF_OP_PAD, &pad, *node, node)
               : status;
}

/* [C kh kw, windows] to [C, H, W]: sums of what im2col would take there, row by
 * row of a window. */
static ptf_status lower_col2im(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    ptf_attrs a = ptf_lower_defaults(PTF_OP_SUM);
    int64_t sizes[PTF_LOWER_LIST], pads[2], map[2], apart;
    int rank, node = -1;
    slide s[2];
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && rank != 2 && rank != 3)
        status = ptf_lower_refuse(l, "expected 2 or 3 axes, got %d", rank);
    if (status == PTF_OK)
        status = read_slides(l, s, pads);
    if (status == PTF_OK)
        status = ptf_lower_ints(l, "output_size", 2, map);
    for (int d = 0; d < 2 && status == PTF_OK; d++) {
        bool fits = map[d] >= 1 && map[d] <= 1 << 24;
        status = count_windows(l, &s[d], fits ? map[d] + 2 * pads[d] : 0);
    }
    if (status != PTF_OK)
        return status;
    bool fits = ptf_mul_i64(s[0].size, s[1].size, &apart) &&
                sizes[rank - 2] % apart == 0 &&
                sizes[rank - 1] == s[0].count * s[1].count;
    if (!fits)
        return ptf_lower_refuse(l, "expected columns of %lld by %lld windows",
                                (long long)s[0].count, (long long)s[1].count);
    int64_t all[PTF_LOWER_LIST] = {sizes[0], sizes[rank - 2] / apart};
    const int64_t split[] = {s[0].size, s[1].size, s[0].count, s[1].count};
    memcpy(all + rank - 1, split, sizeof(split));
    if (rank == 2)
        all[0] = all[1];
    if (rank == 2)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK)
        status = ptf_lower_resize(l, node, all, rank + 3, &node);
    int lead = ptf_lower_net_axis(l, rank - 1) - 1;
    if (status == PTF_OK)
        status = join_places(l, s, lead, &node);
    if (status == PTF_OK)
        status = add_sources(l, &s[0], map[0], pads[0], lead + 1, &node);
    if (status == PTF_OK)
        status = add_sources(l, &s[1], map[1], pads[1], lead + 3, &node);
    a.dims = (ptf_list){2, {lead + 2, lead + 4}};
    return status == PTF_OK ? ptf_lower_give_node(l, PTF_OP_SUM, &a, node, NULL)
                            : status;
}

const ptf_aten_row ptf_aten_windows[] = {
    {.target = "aten.unfold.default", .lower = lower_unfold},
    {.target = "aten.unfold_copy.default", .lower = lower_unfold},
    {.target = "aten.im2col.default", .lower = lower_im2col},
    {.target = "aten.col2im.default", .lower = lower_col2im},
    {0},
};
