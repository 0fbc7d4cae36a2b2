/*
 * Softmax and its logarithm over one dimension.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

static void softmax_image(void *context, int64_t i, int thread)
{
    const ptf_step_piece *r = context;
    (void)thread;
    const ptf_step *s = r->step;
    int64_t n = r->piece->first + i;
    int64_t others = r->plan->values[s->in[0]].numel / s->count;
    bool last = s->inner == 1; /* of the dimensions; a stripe has less others */
    int64_t outer = last ? others : s->outer;
    int64_t inner = last ? 1 : others / s->outer;
    const ptf_kernels *kernels = r->plan->kernels;
    const float *x = ptf_plan_read(r->plan, r->piece, s->in[0], n);
    float *y = ptf_plan_at(r->plan, r->piece, s->out, n);
    if (s->node->op == PTF_OP_LOG_SOFTMAX)
        kernels->log_softmax(y, x, outer, s->count, inner);
    else
        kernels->softmax(y, x, 1.0, outer, s->count, inner);
}

static void run_softmax(const ptf_plan *plan, const ptf_step *step,
                        const ptf_piece *piece)
{
    ptf_step_piece run = {plan, step, piece};
    ptf_piece_each(plan, piece, piece->count, softmax_image, &run);
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
