/*
 * Views, back.  What passes its input on passes the cotangent on; a
 * permutation is undone; numbers that a slice leaves have +0, and those that
 * an expand repeats the sum of all repetitions, as kernel.h sums.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

#include <stdlib.h>

static void pass_part(void *context, int64_t i, int thread)
{
    const ptf_back_run *r = context;
    (void)thread;
    int64_t begin = i * PTF_PART_FLOATS;
    int64_t n = ptf_min_i64(r->floats - begin, PTF_PART_FLOATS);
    memcpy(r->dx + begin, r->n->d + begin, (size_t)n * sizeof(float));
}

static void clear_part(void *context, int64_t i, int thread)
{
    const ptf_back_run *r = context;
    (void)thread;
    int64_t begin = i * PTF_PART_FLOATS;
    int64_t n = ptf_min_i64(r->floats - begin, PTF_PART_FLOATS);
    memset(r->dx + begin, 0, (size_t)n * sizeof(float));
}

/* What goes back from one sample, in some parts. */
typedef struct moving {
    ptf_back_run run;
    ptf_view view;
    ptf_strides strides;
    ptf_reduction reduction;
    int64_t parts;
} moving;

/* ------------------------------------------------------- permute and slice */

static void place_part(void *context, int64_t i, int thread)
{
    const moving *m = context;
    const ptf_back_run *r = &m->run;
    (void)thread;
    int64_t n = i / m->parts;
    ptf_copy(&m->strides, i % m->parts, m->parts,
             r->n->d + n * ptf_shape_numel(r->out),
             r->dx + n * ptf_shape_numel(r->in) + m->view.first);
}

/* From where the view has its numbers to there, in the operand's order. */
static void back_to_places(moving *m)
{
    const ptf_shape *out = m->run.out;
    int64_t from[PTF_SHAPE_MAX], stride = 1;
    int order[PTF_SHAPE_MAX];
    for (int d = out->rank - 1; d >= 0; stride *= out->dim[d--])
        from[d] = stride;
    for (int d = 0; d < out->rank; d++) {
        int k = d;
        for (; k > 0 &&
               llabs(m->view.stride[order[k - 1]]) < llabs(m->view.stride[d]);
             k--)
            order[k] = order[k - 1];
        order[k] = d;
    }
    m->strides.rank = 0;
    for (int k = 0; k < out->rank; k++)
        ptf_strides_add(&m->strides, out->dim[order[k]], from[order[k]],
                        m->view.stride[order[k]]);
    m->parts = ptf_copy_parts(&m->strides);
    ptf_each(m->run.g->threads, m->run.g->count * m->parts, place_part, m);
}

/* ------------------------------------------------------------------- expand */

static void add_part(void *context, int64_t i, int thread)
{
    const moving *m = context;
    const ptf_back_run *r = &m->run;
    (void)thread;
    int64_t n = i / m->parts, begin, end;
    ptf_cut(i % m->parts, m->parts, ptf_shape_numel(r->in), 1, &begin, &end);
    r->g->kernels->reduce(&m->reduction, begin, end,
                          r->n->d + n * ptf_shape_numel(r->out),
                          r->dx + n * ptf_shape_numel(r->in));
}

static void add_copies(moving *m)
{
    const ptf_shape *out = m->run.out;
    bool reduced[PTF_SHAPE_MAX];
    for (int d = 0; d < out->rank; d++)
        reduced[d] = m->view.stride[d] == 0;
    m->reduction.how = PTF_REDUCE_SUM;
    ptf_reduction_make(&m->reduction, out->rank, out->dim, reduced);
    m->parts = ptf_min_i64(ptf_shape_numel(m->run.in),
                           ptf_gradient_parts(ptf_shape_numel(out)));
    ptf_each(m->run.g->threads, m->run.g->count * m->parts, add_part, m);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    moving m = {.run = ptf_back_run_of(g, i, operand, dx)};
    const ptf_node *node = m.run.node;
    int64_t parts = ptf_gradient_parts(m.run.floats);
    if (ptf_op_is_alias(node->op)) {
        ptf_each(g->threads, parts, pass_part, &m.run);
        return;
    }
    if (node->op == PTF_OP_SLICE)
        ptf_each(g->threads, parts, clear_part, &m.run);
    m.view = ptf_op_view(node->op, &node->attrs, m.run.in, m.run.out);
    if (node->op == PTF_OP_EXPAND)
        add_copies(&m);
    else
        back_to_places(&m);
}

const ptf_back_family ptf_back_family_view = {.back = back};
