/*
 * Pads and maps of another size, back: each position of the operand has what
 * it gave to the result, with the same weights.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

/* The rows of one sample, in some parts. */
typedef struct tapping {
    ptf_back_run run;
    int64_t inputs, outputs, rows, parts;
} tapping;

static void tap_part(void *context, int64_t i, int thread)
{
    const tapping *c = context;
    const ptf_back_run *r = &c->run;
    (void)thread;
    int64_t n = i / c->parts, begin, end;
    ptf_cut(i % c->parts, c->parts, c->rows, 1, &begin, &end);
    r->g->kernels->mix(r->n->tapping, begin, end, r->n->d + n * c->outputs,
                       r->dx + n * c->inputs);
}

void ptf_back_taps(const ptf_gradient *g, int i, int operand, float *dx)
{
    tapping c = {.run = ptf_back_run_of(g, i, operand, dx)};
    c.inputs = ptf_shape_numel(c.run.in);
    c.outputs = ptf_shape_numel(c.run.out);
    c.rows = ptf_tapping_rows(c.run.n->tapping);
    c.parts = ptf_min_i64(c.rows, ptf_gradient_parts(c.outputs + c.inputs));
    ptf_each(g->threads, g->count * c.parts, tap_part, &c);
}

ptf_status ptf_back_make_taps(ptf_gradient *g, int i,
                              const ptf_plan_options *options, ptf_error *err)
{
    const ptf_node *node = &g->net->nodes[i];
    const ptf_shape *in = &g->shapes[node->inputs[0]];
    ptf_taps taps, transposed;
    ptf_tapping *t = ptf_arena_alloc(&g->arena, sizeof(*t));
    (void)options;
    if (t == NULL ||
        !ptf_op_taps(&g->arena, node->op, &node->attrs, in, &g->shapes[i],
                     &taps) ||
        !ptf_taps_transpose(&g->arena, &taps, &transposed))
        return ptf_fail_memory(err);
    *t = (ptf_tapping){.planes = 1, .rank = transposed.rank - transposed.first};
    for (int d = 0; d < transposed.first; d++)
        t->planes *= in->dim[d];
    for (int d = 0; d < t->rank; d++) {
        const ptf_axis_taps *from = &transposed.axes[transposed.first + d];
        t->axes[d] = (ptf_tap_axis){from->in, from->out, from->begin,
                                    from->index, from->rounded};
    }
    g->nodes[i].tapping = t;
    return PTF_OK;
}
