/*
 * Pools of feature maps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/* Channels that a thread takes at a time. */
enum { MEANS = 16 };

typedef struct pool_run {
    ptf_step_piece run;
    ptf_pool pool;           /* of some channels of one image, */
    int64_t channels, parts; /* of all, in so many parts */
} pool_run;

static void pool_part(void *context, int64_t i, int thread)
{
    const pool_run *r = context;
    const ptf_step_piece *at = &r->run;
    (void)thread;
    ptf_pool p = r->pool;
    int64_t n = at->piece->first + i / r->parts;
    int64_t c = i % r->parts * p.in.channels;
    const float *x = ptf_plan_read(at->plan, at->piece, at->step->in[0], n) +
                     c * ptf_map_pixels(&p.in);
    float *y = ptf_plan_at(at->plan, at->piece, at->step->out, n) +
               c * ptf_map_pixels(&p.out);
    p.in.channels = p.out.channels =
        ptf_min_i64(r->channels - c, p.in.channels);
    at->plan->kernels->pool(&p, x, y);
}

static void run_pool(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    const ptf_attrs *a = &step->node->attrs;
    ptf_pool_kind kind = ptf_op_pool_kind(step->node->op);
    pool_run r = {.run = {plan, step, piece},
                  .pool = {.in = ptf_map_of(&plan->values[step->in[0]]),
                           .out = ptf_map_of(&plan->values[step->out]),
                           .mean = kind.mean,
                           .adaptive = kind.adaptive,
                           .window = ptf_window_of(a),
                           .include_pad = a->count_include_pad,
                           .divisor = a->divisor}};
    r.channels = r.pool.in.channels;
    r.pool.in.channels = ptf_pool_is_mean_of_map(&r.pool) ? MEANS : 1;
    r.parts = ptf_ceil_div(r.channels, r.pool.in.channels);
    ptf_piece_each(plan, piece, piece->count * r.parts, pool_part, &r);
}

ptf_status ptf_plan_pool(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "pool";
    step->run = run_pool;
    return PTF_OK;
}
