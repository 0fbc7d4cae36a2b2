/*
 * A scale and a shift per channel: batch norms that no product takes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

static void scale_shift_image(void *context, int64_t i, int thread)
{
    const ptf_step_piece *r = context;
    (void)thread;
    const ptf_step *s = r->step;
    int64_t n = r->piece->first + i, channels = s->node->attrs.in_channels;
    r->plan->kernels->scale_shift(ptf_plan_at(r->plan, r->piece, s->out, n),
                                  ptf_plan_read(r->plan, r->piece, s->in[0], n),
                                  channels,
                                  r->plan->values[s->in[0]].numel / channels,
                                  s->epilogue.scale, s->epilogue.shift);
}

static void run_scale_shift(const ptf_plan *plan, const ptf_step *step,
                            const ptf_piece *piece)
{
    ptf_step_piece run = {plan, step, piece};
    ptf_piece_each(plan, piece, piece->count, scale_shift_image, &run);
}

ptf_status ptf_plan_affine(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    step->kernel = "scale_shift";
    step->run = run_scale_shift;
    return ptf_plan_batch_norm(plan, step->node, &step->epilogue, err);
}
