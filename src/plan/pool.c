/*
 * Pools of feature maps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/* One channel of one image. */
static void pool_plane(void *context, int64_t i, int thread)
{
    const ptf_step_piece *r = context;
    (void)thread;
    const ptf_step *s = r->step;
    const ptf_attrs *a = &s->node->attrs;
    ptf_pool_kind kind = ptf_op_pool_kind(s->node->op);
    ptf_pool p = {.in = ptf_map_of(&r->plan->values[s->in[0]]),
                  .out = ptf_map_of(&r->plan->values[s->out]),
                  .mean = kind.mean,
                  .adaptive = kind.adaptive,
                  .window = ptf_window_of(a),
                  .include_pad = a->count_include_pad,
                  .divisor = a->divisor};
    int64_t n = r->piece->first + i / p.in.channels, c = i % p.in.channels;
    const float *x = ptf_plan_read(r->plan, r->piece, s->in[0], n) +
                     c * ptf_map_pixels(&p.in);
    float *y =
        ptf_plan_at(r->plan, r->piece, s->out, n) + c * ptf_map_pixels(&p.out);
    p.in.channels = p.out.channels = 1;
    r->plan->kernels->pool(&p, x, y);
}

static void run_pool(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    ptf_step_piece run = {plan, step, piece};
    ptf_piece_each(plan, piece,
                   piece->count * plan->values[step->in[0]].shape.dim[0],
                   pool_plane, &run);
}

ptf_status ptf_plan_pool(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "pool";
    step->run = run_pool;
    return PTF_OK;
}
