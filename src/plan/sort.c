/*
 * Positions in the order of their numbers, line by line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { PART_TERMS = 16384 }; /* what a thread takes at a time */

/* The lines of one sample, in some parts. */
typedef struct sorting {
    ptf_step_piece run;
    ptf_sorting lines;
    int64_t parts;
} sorting;

static void sort_part(void *context, int64_t i, int thread)
{
    const sorting *c = context;
    const ptf_step_piece *r = &c->run;
    const ptf_sorting *s = &c->lines;
    (void)thread;
    int64_t n = r->piece->first + i / c->parts, begin, end;
    const float *x = ptf_plan_read(r->plan, r->piece, r->step->in[0], n);
    float *y = ptf_plan_at(r->plan, r->piece, r->step->out, n);
    ptf_cut(i % c->parts, c->parts, s->outer * s->inner, 1, &begin, &end);
    for (; begin < end; begin++) {
        int64_t outer = begin / s->inner, inner = begin % s->inner;
        ptf_argsort(s->size, s->k, s->descending, s->inner,
                    x + outer * s->size * s->inner + inner,
                    y + outer * s->k * s->inner + inner);
    }
}

static void run_sort(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    ptf_shape in, out;
    sorting c = {.run = {plan, step, piece}};
    ptf_step_shapes(plan, step, &in, &out);
    c.lines = ptf_op_sorting(&step->node->attrs, &in);
    c.parts =
        ptf_min_i64(c.lines.outer * c.lines.inner,
                    ptf_ceil_div(ptf_shape_numel(&in), (int64_t)PART_TERMS));
    ptf_piece_each(plan, piece, piece->count * c.parts, sort_part, &c);
}

ptf_status ptf_plan_sort(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "sort";
    step->run = run_sort;
    return PTF_OK;
}
