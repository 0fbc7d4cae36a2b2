/*
 * Some of the positions of an axis, or all in another order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* 'self', and the axis of it that 'dim' names. */
typedef struct cut {
    const ptf_tensor *raw; /* of a constant; then 'axis' is the tensor's */
    int node, axis;        /* otherwise as the net has them */
    int64_t size;
} cut;

static ptf_status read_cut(ptf_lowering *l, cut *out)
{
    int64_t sizes[PTF_LOWER_LIST];
    int rank, dim;
    *out = (cut){.raw = ptf_lower_raw(l, "self")};
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status != PTF_OK)
        return status;
    out->size = sizes[dim];
    out->axis = dim;
    if (out->raw != NULL)
        return PTF_OK;
    status = ptf_lower_axis(l, rank, dim, &out->axis);
    return status == PTF_OK ? ptf_lower_node(l, "self", &out->node) : status;
}

ptf_status ptf_lower_add_slice(ptf_lowering *l, int node, int axis,
                               int64_t first, int64_t step, int64_t length,
                               int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_SLICE);
    a.dim = axis;
    a.start = first;
    a.step = step;
    a.length = length;
    *out = node;
    if (length == 0)
        return ptf_lower_cut(l, axis - 1, out);
    if (first == 0 && step == 1 && length == l->shapes[node].dim[axis - 1])
        return PTF_OK;
    return ptf_lower_add_one(l, PTF_OP_SLICE, &a, node, out);
}

/* The same of a constant, whose axis may go. */
static ptf_status give_raw(ptf_lowering *l, const cut *c, int index,
                           int64_t first, int64_t step, int64_t length,
                           bool goes)
{
    ptf_tensor *t;
    ptf_status status = ptf_lower_view(l, c->raw, &t);
    if (status != PTF_OK)
        return status;
    t->data = (const char *)t->data +
              first * t->stride[c->axis] * (int64_t)ptf_dtype_size(t->dtype);
    t->stride[c->axis] *= step;
    t->shape[c->axis] = length;
    for (int d = c->axis; goes && d < t->rank - 1; d++) {
        t->shape[d] = t->shape[d + 1];
        t->stride[d] = t->stride[d + 1];
    }
    t->rank -= goes;
    return ptf_lower_give_view(l, index, t);
}

static ptf_status give_slice(ptf_lowering *l, const cut *c, int index,
                             int64_t first, int64_t step, int64_t length)
{
    int node;
    if (c->raw != NULL)
        return give_raw(l, c, index, first, step, length, false);
    ptf_status status =
        ptf_lower_add_slice(l, c->node, c->axis, first, step, length, &node);
    return status == PTF_OK ? ptf_lower_give_at(l, index, node) : status;
}

/* One position of the axis, which is gone afterwards. */
static ptf_status give_position(ptf_lowering *l, const cut *c, int index,
                                int64_t position)
{
    int node, axis = c->axis;
    if (c->raw != NULL)
        return give_raw(l, c, index, position, 1, 1, true);
    ptf_status status =
        ptf_lower_add_slice(l, c->node, axis, position, 1, 1, &node);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[node];
    shape.rank--;
    memmove(shape.dim + axis - 1, shape.dim + axis,
            (size_t)(shape.rank - axis + 1) * sizeof(*shape.dim));
    status = ptf_lower_reshape(l, node, &shape, &node);
    return status == PTF_OK ? ptf_lower_give_at(l, index, node) : status;
}

/* ------------------------------------------------------------------- slices */

/* A limit of a slice, as Python takes it. */
static int64_t limit(int64_t at, int64_t size)
{
    at += at < 0 ? size : 0;
    return at < 0 ? 0 : at > size ? size : at;
}

ptf_status ptf_lower_span(ptf_lowering *l, int64_t size, ptf_lowered_span *out)
{
    int64_t end = INT64_MAX;
    *out = (ptf_lowered_span){.first = 0};
    ptf_status status = PTF_OK;
    if (!ptf_lower_is_none(l, "start"))
        status = ptf_lower_int(l, "start", &out->first);
    if (status == PTF_OK && !ptf_lower_is_none(l, "end"))
        status = ptf_lower_int(l, "end", &end);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "step", &out->step);
    if (status != PTF_OK)
        return status;
    out->first = limit(out->first, size);
    end = limit(end, size);
    if (out->step < 1)
        return ptf_lower_refuse(l, "expected a step of at least 1");
    if (end > out->first)
        out->length = (end - out->first - 1) / out->step + 1;
    return PTF_OK;
}

static ptf_status lower_slice(ptf_lowering *l, const ptf_aten_row *row)
{
    int64_t sizes[PTF_LOWER_LIST];
    int rank, dim;
    ptf_lowered_span s;
    cut c;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status == PTF_OK)
        status = ptf_lower_span(l, sizes[dim], &s);
    if (status != PTF_OK)
        return status;
    if (s.step == 1 && s.length == sizes[dim])
        return ptf_lower_same(l, row);
    status = read_cut(l, &c);
    return status == PTF_OK ? give_slice(l, &c, 0, s.first, s.step, s.length)
                            : status;
}

static ptf_status lower_narrow(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t start, length;
    cut c;
    ptf_status status = read_cut(l, &c);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "start", &start);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "length", &length);
    if (status != PTF_OK)
        return status;
    start += start < 0 ? c.size : 0;
    if (start < 0 || length < 0 || start > c.size - length)
        return ptf_lower_refuse(l, "expected positions of %lld",
                                (long long)c.size);
    return give_slice(l, &c, 0, start, 1, length);
}

static ptf_status lower_select(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t position;
    cut c;
    ptf_status status = read_cut(l, &c);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "index", &position);
    if (status != PTF_OK)
        return status;
    position += position < 0 ? c.size : 0;
    if (position < 0 || position >= c.size)
        return ptf_lower_refuse(l, "expected a position of %lld",
                                (long long)c.size);
    return give_position(l, &c, 0, position);
}

static ptf_status lower_unbind(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    cut c;
    ptf_status status = read_cut(l, &c);
    if (status == PTF_OK && c.size != l->call->result_count)
        status = ptf_lower_refuse(l, "expected %lld results, got %d",
                                  (long long)c.size, l->call->result_count);
    bool batched = l->batched;
    for (int i = 0; i < l->call->result_count && status == PTF_OK; i++) {
        if (l->call->results[i] >= 0)
            status = give_position(l, &c, i, i);
        l->batched = batched;
    }
    return status;
}

/* Pieces one after the other; sizes[] of them, or all of 'each'. */
static ptf_status give_pieces(ptf_lowering *l, const ptf_argument *sizes,
                              int64_t each)
{
    int64_t at = 0;
    cut c;
    ptf_status status = read_cut(l, &c);
    for (int i = 0; i < l->call->result_count && status == PTF_OK; i++) {
        int64_t length = each;
        if (sizes != NULL)
            status = ptf_lower_element(l, &sizes->integers[i], false, &length);
        if (status != PTF_OK)
            return status;
        if (sizes == NULL && length > c.size - at)
            length = c.size - at;
        if (length < 0 || length > c.size - at)
            return ptf_lower_refuse(l, "expected pieces that add up to %lld",
                                    (long long)c.size);
        if (l->call->results[i] >= 0)
            status = give_slice(l, &c, i, at, 1, length);
        at += length;
    }
    return status == PTF_OK && at != c.size
               ? ptf_lower_refuse(l,
                                  "expected pieces that add up to %lld, got "
                                  "%lld",
                                  (long long)c.size, (long long)at)
               : status;
}

static ptf_status lower_split(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    static const char *const names[] = {"split_sizes", "split_size"};
    const ptf_argument *sizes = NULL;
    int64_t each;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names) && sizes == NULL; i++)
        sizes = ptf_program_argument(l->call, names[i]);
    if (sizes != NULL && sizes->kind == PTF_ARGUMENT_INTS) {
        return sizes->count == l->call->result_count
                   ? give_pieces(l, sizes, 0)
                   : ptf_lower_refuse(l, "expected a size for each result");
    }
    ptf_status status = ptf_lower_int(l, "split_size", &each);
    if (status == PTF_OK && each < 1)
        status = ptf_lower_refuse(l, "expected pieces of at least 1");
    return status == PTF_OK ? give_pieces(l, NULL, each) : status;
}

static ptf_status lower_chunk(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], chunks;
    int rank, dim;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "chunks", &chunks);
    if (status == PTF_OK && chunks < 1)
        status = ptf_lower_refuse(l, "expected at least one chunk");
    return status == PTF_OK
               ? give_pieces(l, NULL, ptf_ceil_div(sizes[dim], chunks))
               : status;
}

/* Up to each of some positions, and from the last one on. */
static ptf_status lower_split_at(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_argument *at = ptf_program_argument(l->call, "indices");
    int pieces = l->call->result_count;
    cut c;
    ptf_status status = read_cut(l, &c);
    if (status == PTF_OK && (at == NULL || at->kind != PTF_ARGUMENT_INTS ||
                             at->count != pieces - 1))
        status = ptf_lower_refuse(l, "expected a position between results");
    for (int64_t i = 0, from = 0, to; i < pieces && status == PTF_OK; i++) {
        bool last = i == pieces - 1;
        if (!last && at->integers[i].value >= 0)
            return ptf_lower_refuse(l, "expected positions that are numbers");
        to = last ? c.size : limit(at->integers[i].number, c.size);
        if (l->call->results[i] >= 0)
            status =
                give_slice(l, &c, (int)i, from, 1, ptf_max_i64(to - from, 0));
        from = to;
    }
    return status;
}

/* As many pieces, of which the first ones are by 1 larger. */
static ptf_status lower_sections(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sections, at = 0;
    cut c;
    ptf_status status = read_cut(l, &c);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "sections", &sections);
    if (status == PTF_OK && sections != l->call->result_count)
        status = ptf_lower_refuse(l, "expected %d pieces, got %lld",
                                  l->call->result_count, (long long)sections);
    for (int i = 0; status == PTF_OK && i < sections; i++) {
        int64_t length = c.size / sections + (i < c.size % sections);
        if (l->call->results[i] >= 0)
            status = give_slice(l, &c, i, at, 1, length);
        at += length;
    }
    return status;
}

/* ----------------------------------------------------------- flip and roll */

static ptf_status lower_flip(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t dims[PTF_LOWER_LIST], sizes[PTF_LOWER_LIST];
    int rank, count = 0, axis, node;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_list(l, "dims", dims, &count);
    for (int i = 0; i < count && status == PTF_OK; i++)
        status = ptf_lower_axis(l, rank, dims[i], &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    for (int i = 0; i < count && status == PTF_OK; i++) {
        status = ptf_lower_axis(l, rank, dims[i], &axis);
        if (status == PTF_OK && rank > 0)
            status = ptf_lower_add_slice(l, node, axis,
                                         l->shapes[node].dim[axis - 1] - 1, -1,
                                         l->shapes[node].dim[axis - 1], &node);
    }
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* The last 'shift' positions come first. */
static ptf_status roll_axis(ptf_lowering *l, int axis, int64_t shift, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_CONCAT);
    int64_t size = l->shapes[*node].dim[axis - 1];
    int parts[2];
    if (size == 0)
        return PTF_OK;
    shift = (shift % size + size) % size;
    if (shift == 0)
        return PTF_OK;
    ptf_status status =
        ptf_lower_add_slice(l, *node, axis, size - shift, 1, shift, &parts[0]);
    if (status == PTF_OK)
        status =
            ptf_lower_add_slice(l, *node, axis, 0, 1, size - shift, &parts[1]);
    a.dim = axis;
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_CONCAT, &a, 2, parts, NULL, node)
               : status;
}

/* All elements as one row. */
static ptf_status roll_all(ptf_lowering *l, const int64_t *sizes, int rank,
                           int64_t shift)
{
    int node;
    ptf_status status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status != PTF_OK)
        return status;
    int64_t numel = ptf_shape_numel(&l->shapes[node]);
    status = ptf_lower_resize(l, node, &numel, 1, &node);
    if (status == PTF_OK)
        status = roll_axis(l, 1, shift, &node);
    if (status == PTF_OK)
        status = ptf_lower_resize(l, node, sizes, rank, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status lower_roll(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t dims[PTF_LOWER_LIST], shifts[PTF_LOWER_LIST], sizes[PTF_LOWER_LIST];
    int rank, count = 0, goals = 0, axis = 0, node;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_list(l, "shifts", shifts, &count);
    if (status == PTF_OK && count == 1 && ptf_lower_is_none(l, "dims"))
        return roll_all(l, sizes, rank, shifts[0]);
    if (status == PTF_OK)
        status = ptf_lower_list(l, "dims", dims, &goals);
    if (status == PTF_OK && count != goals)
        status = ptf_lower_refuse(l, "expected a shift for each dimension");
    for (int i = 0; i < goals && status == PTF_OK; i++)
        status = ptf_lower_axis(l, rank, dims[i], &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    for (int i = 0; i < count && status == PTF_OK; i++) {
        status = ptf_lower_axis(l, rank, dims[i], &axis);
        if (status == PTF_OK)
            status = roll_axis(l, axis, shifts[i], &node);
    }
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_slice[] = {
    {.target = "aten.slice.Tensor", .lower = lower_slice},
    {.target = "aten.narrow.default", .lower = lower_narrow},
    {.target = "aten.select.int", .lower = lower_select},
    {.target = "aten.unbind.int", .lower = lower_unbind},
    {.target = "aten.split.Tensor", .lower = lower_split},
    {.target = "aten.split.sizes", .lower = lower_split},
    {.target = "aten.split_with_sizes.default", .lower = lower_split},
    {.target = "aten.chunk.default", .lower = lower_chunk},
    {.target = "aten.tensor_split.indices", .lower = lower_split_at},
    {.target = "aten.tensor_split.sections", .lower = lower_sections},
    {.target = "aten.flip.default", .lower = lower_flip},
    {.target = "aten.roll.default", .lower = lower_roll},
    {0},
};
