/*
 * Layer, group, instance and RMS norms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { PART_NUMBERS = 16384 }; /* what a thread takes at a time */

/* The groups of one sample, in some parts. */
typedef struct norming {
    ptf_step_piece run;
    ptf_norm norm;
    int64_t groups, parts;
} norming;

static void norm_part(void *context, int64_t i, int thread)
{
    const norming *c = context;
    const ptf_step_piece *r = &c->run;
    const ptf_step *s = r->step;
    (void)thread;
    int64_t n = r->piece->first + i / c->parts, begin, end;
    ptf_cut(i % c->parts, c->parts, c->groups, 1, &begin, &end);
    r->plan->kernels->norm(&c->norm, begin, end, s->epilogue.scale,
                           s->epilogue.shift,
                           ptf_plan_read(r->plan, r->piece, s->in[0], n),
                           ptf_plan_at(r->plan, r->piece, s->out, n));
}

static void run_norm(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    ptf_shape in, out;
    norming c = {.run = {plan, step, piece}};
    const ptf_attrs *attrs = &step->node->attrs;
    ptf_step_shapes(plan, step, &in, &out);
    ptf_norm_cut cut = ptf_op_norm_cut(step->node->op, attrs, &in);
    c.norm = (ptf_norm){cut.n, cut.weights, cut.inner, cut.centred, attrs->eps};
    int64_t numel = ptf_shape_numel(&in);
    c.groups = numel / cut.n;
    c.parts = ptf_min_i64(c.groups, ptf_ceil_div(numel, PART_NUMBERS));
    ptf_piece_each(plan, piece, piece->count * c.parts, norm_part, &c);
}

ptf_status ptf_plan_norm(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    const ptf_node *node = step->node;
    step->kernel = "norm";
    step->run = run_norm;
    ptf_status status = ptf_plan_f32(plan, node->tensors[PTF_ROLE_WEIGHT],
                                     &step->epilogue.scale, err);
    if (status == PTF_OK)
        status = ptf_plan_f32(plan, node->tensors[PTF_ROLE_BIAS],
                              &step->epilogue.shift, err);
    return status;
}
