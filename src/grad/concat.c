/*
 * Values one after the other along an axis, back: each gets its slice.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

/* Rows of what is joined: of the operand, of the result, and where in it. */
typedef struct slice_run {
    ptf_back_run of;
    int64_t row, out_row, first;
} slice_run;

static void copy_part(void *context, int64_t i, int thread)
{
    const slice_run *r = context;
    (void)thread;
    int64_t at = i * PTF_PART_FLOATS, n;
    int64_t end = ptf_min_i64(at + PTF_PART_FLOATS, r->of.floats);
    for (; at < end; at += n) {
        int64_t column = at % r->row;
        n = ptf_min_i64(r->row - column, end - at);
        memcpy(r->of.dx + at,
               r->of.n->d + at / r->row * r->out_row + r->first + column,
               (size_t)n * sizeof(float));
    }
}

/* Numbers of a value from 'axis' on, counted without the batch. */
static int64_t row_of(const ptf_shape *shape, int axis)
{
    int64_t n = 1;
    for (int d = axis; d < shape->rank; d++)
        n *= shape->dim[d];
    return n;
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    slice_run r = {.of = ptf_back_run_of(g, i, operand, dx)};
    const ptf_node *node = r.of.node;
    int axis = ptf_concat_axis(&node->attrs, r.of.out->rank + 1) - 1;
    r.row = row_of(r.of.in, axis);
    r.out_row = row_of(r.of.out, axis);
    for (int k = 0; k < operand; k++)
        r.first += row_of(&g->shapes[node->inputs[k]], axis);
    ptf_each(g->threads, ptf_gradient_parts(r.of.floats), copy_part, &r);
}

const ptf_back_family ptf_back_family_concat = {.back = back};
