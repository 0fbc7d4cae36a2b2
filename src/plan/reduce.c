/*
 * Reductions over axes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { PART_TERMS = 16384 }; /* what a thread takes at a time */

static const ptf_reduce kinds[PTF_OP_COUNT] = {
    [PTF_OP_SUM] = PTF_REDUCE_SUM,
    [PTF_OP_MEAN] = PTF_REDUCE_MEAN,
    [PTF_OP_AMAX] = PTF_REDUCE_AMAX,
    [PTF_OP_AMIN] = PTF_REDUCE_AMIN,
    [PTF_OP_VAR] = PTF_REDUCE_VAR,
    [PTF_OP_STD] = PTF_REDUCE_STD,
    [PTF_OP_VECTOR_NORM] = PTF_REDUCE_NORM,
    [PTF_OP_LOGSUMEXP] = PTF_REDUCE_LOGSUMEXP,
};

/* The outputs of one sample, in some parts. */
typedef struct reducing {
    ptf_step_piece run;
    ptf_reduction reduction;
    int64_t outputs, parts;
} reducing;

static void reduce_part(void *context, int64_t i, int thread)
{
    const reducing *c = context;
    const ptf_step_piece *r = &c->run;
    (void)thread;
    int64_t n = r->piece->first + i / c->parts, begin, end;
    ptf_cut(i % c->parts, c->parts, c->outputs, 1, &begin, &end);
    r->plan->kernels->reduce(
        &c->reduction, begin, end,
        ptf_plan_read(r->plan, r->piece, r->step->in[0], n),
        ptf_plan_at(r->plan, r->piece, r->step->out, n));
}

static void run_reduce(const ptf_plan *plan, const ptf_step *step,
                       const ptf_piece *piece)
{
    ptf_shape in, out;
    bool reduced[PTF_SHAPE_MAX];
    reducing c = {.run = {plan, step, piece}};
    const ptf_attrs *attrs = &step->node->attrs;
    ptf_step_shapes(plan, step, &in, &out);
    c.reduction.how = kinds[step->node->op];
    c.reduction.correction = attrs->p[0];
    ptf_reduced_axes(attrs, in.rank, reduced);
    ptf_reduction_make(&c.reduction, in.rank, in.dim, reduced);
    c.outputs = ptf_shape_numel(&out);
    c.parts =
        ptf_min_i64(c.outputs, ptf_ceil_div(ptf_shape_numel(&in), PART_TERMS));
    ptf_piece_each(plan, piece, piece->count * c.parts, reduce_part, &c);
}

ptf_status ptf_plan_reduce(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "reduce";
    step->run = run_reduce;
    return PTF_OK;
}
