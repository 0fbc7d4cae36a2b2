/*
 * Where the largest number of each window of a pool is, counted in its plane:
 * the windows side by side, the place of the largest in its window, and that
 * place in the plane by a table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

enum { PLACES_MOST = 1 << 24 };

/* The windows of a plane. */
typedef struct windows {
    int axes;
    int64_t in[PTF_MAP_AXES], out[PTF_MAP_AXES], taps[PTF_MAP_AXES];
    int64_t planes, numbers, count, size; /* of a plane; of windows; of one */
    const ptf_attrs *pool;
    bool adaptive;
} windows;

static bool is_read(const ptf_lowering *l, int value)
{
    const ptf_program_graph *g = l->graph;
    bool some = false;
    for (int i = 0; i < g->node_count && !some; i++) {
        for (int k = 0; k < g->nodes[i].argument_count; k++)
            some = some || ptf_lower_reads(&g->nodes[i].arguments[k], value);
    }
    for (int i = 0; i < g->output_count && !some; i++)
        some = ptf_lower_reads(&g->outputs[i], value);
    return some;
}

/* Where tap 'tap' of a window is along an axis; -1: in no number. */
static int64_t place(const windows *w, int axis, int64_t window, int64_t tap)
{
    int d = PTF_MAP_AXES - w->axes + axis;
    const ptf_attrs *a = w->pool;
    int64_t at, end = w->in[axis], out = ptf_max_i64(w->out[axis], 1);
    if (w->adaptive) {
        at = window * end / out + tap;
        end = ptf_ceil_div((window + 1) * end, out);
    } else
        at = window * a->stride[d] - a->padding[d] + tap * a->dilation[d];
    return at >= 0 && at < end ? at : -1;
}

/* Of tap 'tap' of all of a window: its place in the plane, or -1. */
static int64_t place_of(const windows *w, int64_t window, int64_t tap)
{
    int64_t whole = 0, step = 1;
    for (int d = w->axes - 1; d >= 0; d--) {
        int64_t out = ptf_max_i64(w->out[d], 1);
        int64_t taps = ptf_max_i64(w->taps[d], 1);
        int64_t at = place(w, d, window % out, tap % taps);
        if (at < 0)
            return -1;
        whole += at * step;
        step *= w->in[d];
        window /= out;
        tap /= taps;
    }
    return whole;
}

/* Those in the plane, in their order; the last one of them also stands for what
 * is beside it. */
static ptf_status add_table(ptf_lowering *l, const windows *w, int *out)
{
    const ptf_shape shape = {3, {1, w->count, w->size}};
    float *data;
    ptf_status status = ptf_lower_room(l, w->count * w->size, &data);
    for (int64_t i = 0; i < w->count && status == PTF_OK; i++) {
        float *to = data + i * w->size, *end = to + w->size, *first = to;
        for (int64_t k = 0; k < w->size; k++) {
            int64_t at = place_of(w, i, k);
            if (at >= 0)
                *to++ = (float)at;
        }
        if (to == first)
            return ptf_lower_refuse(l, "has a window without a number");
        for (; to < end; to++)
            *to = to[-1];
    }
    return status == PTF_OK ? ptf_lower_constant(l, data, &shape, out) : status;
}

static ptf_status read_windows(ptf_lowering *l, windows *w)
{
    int64_t in[PTF_LOWER_LIST], out[PTF_LOWER_LIST];
    int rank, same;
    ptf_status status = ptf_lower_sizes(l, "self", in, &rank);
    if (status != PTF_OK)
        return status;
    ptf_lower_value_sizes(l, l->call->results[0], out, &same);
    w->numbers = w->count = w->size = 1;
    for (int d = 0; d < w->axes; d++) {
        w->in[d] = in[rank - w->axes + d];
        w->out[d] = out[rank - w->axes + d];
        w->taps[d] = w->adaptive ? w->in[d] / w->out[d] + 2
                                 : w->pool->kernel[PTF_MAP_AXES - w->axes + d];
        if (w->out[d] < 1 || !ptf_mul_i64(w->numbers, w->in[d], &w->numbers) ||
            !ptf_mul_i64(w->count, w->out[d], &w->count) ||
            !ptf_mul_i64(w->size, w->taps[d], &w->size))
            return ptf_lower_refuse(l, "its output is too large");
    }
    if (w->numbers >= PLACES_MOST || w->count > PLACES_MOST / w->size)
        return ptf_lower_refuse(l, "has windows of more than 2^24 numbers");
    return PTF_OK;
}

/* The numbers of each window in a row. */
static ptf_status add_rows(ptf_lowering *l, const windows *w, int table,
                           int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_INDEX);
    const ptf_shape planes = {2, {w->planes, w->numbers}};
    const ptf_shape line = {1, {w->count * w->size}};
    const ptf_shape rows = {3, {w->planes, w->count, w->size}};
    int in[2];
    a.dim = 2;
    ptf_status status = ptf_lower_reshape(l, *node, &planes, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, table, &line, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_INDEX, &a, 2, in, NULL, node);
    return status == PTF_OK ? ptf_lower_reshape(l, *node, &rows, node) : status;
}

/* The first of the largest; the last one of those that are NaN. */
static ptf_status find_largest(ptf_lowering *l, const windows *w, int rows,
                               int *out)
{
    ptf_attrs sort = ptf_lower_defaults(PTF_OP_ARGSORT);
    ptf_attrs most = ptf_lower_defaults(PTF_OP_AMAX);
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    const ptf_shape shape = {1, {w->size}};
    float *data;
    int number, one, last, first, in[3];
    sort.dim = 3;
    sort.length = 1;
    sort.descending = true;
    most.dims = (ptf_list){1, {3}};
    most.keepdim = true;
    ptf_status status =
        ptf_lower_add_one(l, PTF_OP_ARGSORT, &sort, rows, &first);
    if (status == PTF_OK)
        status = ptf_lower_room(l, w->size, &data);
    for (int64_t i = 0; i < w->size && status == PTF_OK; i++)
        data[i] = (float)(i + 1);
    if (status == PTF_OK)
        status = ptf_lower_constant(l, data, &shape, &number);
    if (status == PTF_OK)
        status = ptf_lower_add_plain(l, PTF_OP_ISNAN, rows, &last);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_MUL, last, number, &last);
    if (status == PTF_OK)
        status = ptf_lower_add_one(l, PTF_OP_AMAX, &most, last, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, 1, &one);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_SUB, in[0], one, &in[1]);
    in[2] = first;
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, out)
               : status;
}

ptf_status ptf_lower_places(ptf_lowering *l, const ptf_attrs *pool, int axes,
                            bool adaptive)
{
    windows w = {.axes = axes, .pool = pool, .adaptive = adaptive};
    ptf_attrs expand = ptf_lower_defaults(PTF_OP_EXPAND);
    ptf_attrs a = ptf_lower_defaults(PTF_OP_GATHER);
    int result = l->call->result_count > 1 ? l->call->results[1] : -1;
    int node, table, in[2];
    if (result < 0 || l->call->results[0] < 0 || !is_read(l, result))
        return PTF_OK;
    ptf_lower_begin(l, l->call);
    ptf_status status = read_windows(l, &w);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[node];
    int first = shape.rank - axes;
    w.planes = ptf_shape_numel(&shape) / ptf_max_i64(w.numbers, 1);
    memcpy(shape.dim + first, w.out, (size_t)axes * sizeof(*w.out));
    expand.size = (ptf_list){3, {w.planes, w.count, w.size}};
    a.dim = 3;
    status = add_table(l, &w, &table);
    if (status == PTF_OK)
        status = add_rows(l, &w, table, &node);
    if (status == PTF_OK)
        status = find_largest(l, &w, node, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_add_one(l, PTF_OP_EXPAND, &expand, table, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_GATHER, &a, 2, in, NULL, &node);
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, node, &shape, &node);
    return status == PTF_OK ? ptf_lower_give_at(l, 1, node) : status;
}
