/*
 * Softmax and its logarithm over one dimension.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { PART_NUMBERS = 4096 }; /* what a thread takes at a time */

/* The sums of a sample, some of those over the axes in front at a time. */
typedef struct softmaxing {
    ptf_step_piece run;
    int64_t outer, inner, parts;
} softmaxing;

static void softmax_part(void *context, int64_t i, int thread)
{
    const softmaxing *c = context;
    const ptf_step_piece *r = &c->run;
    (void)thread;
    const ptf_step *s = r->step;
    int64_t n = r->piece->first + i / c->parts, begin, end;
    ptf_cut(i % c->parts, c->parts, c->outer, 1, &begin, &end);
    int64_t at = begin * s->count * c->inner;
    const ptf_kernels *kernels = r->plan->kernels;
    const float *x = ptf_plan_read(r->plan, r->piece, s->in[0], n) + at;
    float *y = ptf_plan_at(r->plan, r->piece, s->out, n) + at;
    if (s->node->op == PTF_OP_LOG_SOFTMAX)
        kernels->log_softmax(y, x, end - begin, s->count, c->inner);
    else
        kernels->softmax(y, x, 1.0, end - begin, s->count, c->inner);
}

static void run_softmax(const ptf_plan *plan, const ptf_step *step,
                        const ptf_piece *piece)
{
    softmaxing c = {.run = {plan, step, piece}};
    int64_t numel = plan->values[step->in[0]].numel;
    int64_t others = numel / step->count;
    bool last = step->inner == 1; /* of the axes; a stripe has less others */
    c.outer = last ? others : step->outer;
    c.inner = last ? 1 : others / step->outer;
    c.parts = ptf_min_i64(c.outer, ptf_ceil_div(numel, PART_NUMBERS));
    ptf_piece_each(plan, piece, piece->count * c.parts, softmax_part, &c);
}

ptf_status ptf_plan_softmax(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    const ptf_shape *shape = &plan->values[step->in[0]].shape;
    int axis = ptf_softmax_axis(&step->node->attrs, shape->rank + 1);
    (void)err;
    step->outer = step->inner = 1;
    for (int d = 1; d <= shape->rank; d++) {
        if (d < axis)
            step->outer *= shape->dim[d - 1];
        else if (d == axis)
            step->count = shape->dim[d - 1];
        else
            step->inner *= shape->dim[d - 1];
    }
    step->kernel = "softmax";
    step->run = run_softmax;
    return PTF_OK;
}
