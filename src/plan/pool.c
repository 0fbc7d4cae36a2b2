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
    const ptf_kernels *k = r->plan->kernels;
    ptf_map in = ptf_map_of(&r->plan->values[s->in[0]]);
    ptf_map out = ptf_map_of(&r->plan->values[s->out]);
    int64_t n = r->piece->first + i / in.channels, c = i % in.channels;
    const float *x =
        ptf_plan_read(r->plan, r->piece, s->in[0], n) + c * in.rows * in.width;
    float *y =
        ptf_plan_at(r->plan, r->piece, s->out, n) + c * out.rows * out.width;
    in.channels = out.channels = 1;
    const ptf_attrs *a = &s->node->attrs;
    ptf_window w = ptf_window_of(a);
    if (s->node->op == PTF_OP_MAXPOOL2D)
        k->max_pool(&in, &out, &w, x, y);
    else if (s->node->op == PTF_OP_AVGPOOL2D)
        k->avg_pool(&in, &out, &w, a->count_include_pad, x, y);
    else
        k->adaptive_avg_pool(&in, &out, x, y);
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
