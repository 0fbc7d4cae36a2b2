/*
 * A tensor with other numbers in a part of it: what a call that writes in place
 * to a slice becomes when a program is decomposed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* Positions first, first + step, ... along an axis of a node. */
typedef struct part {
    int axis;
    ptf_lowered_span span;
} part;

/* Where the numbers of the part are, in its order. */
static ptf_status find_positions(ptf_lowering *l, int node, const part *p,
                                 float **out)
{
    const ptf_shape *shape = &l->shapes[node];
    int64_t inner = 1, outer = 1, size = shape->dim[p->axis - 1];
    for (int d = 0; d < shape->rank; d++) {
        outer *= d < p->axis - 1 ? shape->dim[d] : 1;
        inner *= d > p->axis - 1 ? shape->dim[d] : 1;
    }
    ptf_status status = ptf_lower_room(l, outer * p->span.length * inner, out);
    for (int64_t i = 0; i < outer * p->span.length && status == PTF_OK; i++) {
        int64_t at = p->span.first + i % p->span.length * p->span.step;
        int64_t from = (i / p->span.length * size + at) * inner;
        for (int64_t k = 0; k < inner; k++)
            (*out)[i * inner + k] = (float)(from + k);
    }
    return status;
}

/* 'src' has the part's sizes, with or without its axis. */
static ptf_status give_put(ptf_lowering *l, part *p, int dim, bool has_axis)
{
    int into, numbers, node;
    float *positions;
    ptf_status status = dim == 0 ? ptf_lower_whole(l) : PTF_OK;
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &into);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "src", &numbers);
    if (status != PTF_OK)
        return status;
    ptf_shape want = l->shapes[into];
    p->axis = ptf_lower_net_axis(l, dim);
    want.dim[p->axis - 1] = p->span.length;
    if (!has_axis) {
        want.rank--;
        memmove(want.dim + p->axis - 1, want.dim + p->axis,
                (size_t)(want.rank - p->axis + 1) * sizeof(*want.dim));
    }
    const ptf_shape *got = &l->shapes[numbers];
    if (got->rank != want.rank ||
        memcmp(got->dim, want.dim, (size_t)want.rank * sizeof(*want.dim)) != 0)
        return ptf_lower_refuse(l, "expected a src of the sizes of the part");
    status = find_positions(l, into, p, &positions);
    if (status == PTF_OK)
        status = ptf_lower_put(l, into, positions, numbers, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status read_dim(ptf_lowering *l, int *dim, int64_t *size)
{
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, dim);
    if (status == PTF_OK)
        *size = sizes[*dim];
    return status;
}

static ptf_status lower_slice_scatter(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    part p = {.axis = 0};
    int64_t size;
    int dim;
    ptf_status status = read_dim(l, &dim, &size);
    if (status == PTF_OK)
        status = ptf_lower_span(l, size, &p.span);
    if (status == PTF_OK && p.span.length == 0)
        status = ptf_lower_refuse(l, "writes to a slice of nothing");
    return status == PTF_OK ? give_put(l, &p, dim, true) : status;
}

static ptf_status lower_select_scatter(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    part p = {.span = {.step = 1, .length = 1}};
    int64_t size;
    int dim;
    ptf_status status = read_dim(l, &dim, &size);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "index", &p.span.first);
    if (status == PTF_OK && (p.span.first < -size || p.span.first >= size))
        status = ptf_lower_refuse(l, "expected a position of %lld, got %lld",
                                  (long long)size, (long long)p.span.first);
    p.span.first += p.span.first < 0 ? size : 0;
    return status == PTF_OK ? give_put(l, &p, dim, false) : status;
}

const ptf_aten_row ptf_aten_scatter[] = {
    {.target = "aten.slice_scatter.default", .lower = lower_slice_scatter},
    {.target = "aten.select_scatter.default", .lower = lower_select_scatter},
    {0},
};
