/*
 * Views.  Where they are the numbers of their operand in the same order they
 * need no step; one that must be a step is a copy.  The others are copies with
 * strides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/* A copy of one sample, in some parts. */
typedef struct copying {
    ptf_step_piece run;
    ptf_strides strides;
    int64_t first, parts;
} copying;

static void copy_part(void *context, int64_t i, int thread)
{
    const copying *c = context;
    const ptf_step_piece *r = &c->run;
    (void)thread;
    int64_t n = r->piece->first + i / c->parts;
    ptf_copy(&c->strides, i % c->parts, c->parts,
             ptf_plan_read(r->plan, r->piece, r->step->in[0], n) + c->first,
             ptf_plan_at(r->plan, r->piece, r->step->out, n));
}

/* The strides are those of the rows that are in memory now. */
static void run_view(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    ptf_shape in, out;
    copying c = {.run = {plan, step, piece}};
    ptf_step_shapes(plan, step, &in, &out);
    ptf_view view = ptf_op_view(step->node->op, &step->node->attrs, &in, &out);
    ptf_strides_dense(&c.strides, out.rank, out.dim, view.stride);
    c.first = view.first;
    c.parts = ptf_copy_parts(&c.strides);
    ptf_piece_each(plan, piece, piece->count * c.parts, copy_part, &c);
}

ptf_status ptf_plan_view(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    if (ptf_op_is_alias(step->node->op))
        return ptf_plan_source(plan, step, err);
    step->kernel = "view";
    step->run = run_view;
    return PTF_OK;
}
