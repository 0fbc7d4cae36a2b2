/*
 * A scale and a shift per channel: batch norms that no product takes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { PART_FLOATS = 16384 }; /* what a thread takes at a time */

/* Images whose channels are cut into parts. */
typedef struct scaling {
    ptf_step_piece run;
    int64_t channels, pixels, parts;
} scaling;

static void scale_shift_part(void *context, int64_t i, int thread)
{
    const scaling *c = context;
    const ptf_step_piece *r = &c->run;
    const ptf_step *s = r->step;
    (void)thread;
    int64_t n = r->piece->first + i / c->parts, begin, end;
    ptf_cut(i % c->parts, c->parts, c->channels, 1, &begin, &end);
    int64_t at = begin * c->pixels;
    r->plan->kernels->scale_shift(
        ptf_plan_at(r->plan, r->piece, s->out, n) + at,
        ptf_plan_read(r->plan, r->piece, s->in[0], n) + at, end - begin,
        c->pixels, s->epilogue.scale + begin, s->epilogue.shift + begin,
        s->epilogue.relu);
}

static void run_scale_shift(const ptf_plan *plan, const ptf_step *step,
                            const ptf_piece *piece)
{
    scaling c = {.run = {plan, step, piece}};
    int64_t numel = plan->values[step->in[0]].numel;
    c.channels = step->node->attrs.in_channels;
    c.pixels = numel / c.channels;
    c.parts = ptf_min_i64(c.channels, ptf_ceil_div(numel, PART_FLOATS));
    ptf_piece_each(plan, piece, piece->count * c.parts, scale_shift_part, &c);
}

ptf_status ptf_plan_affine(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    step->kernel = "scale_shift";
    step->run = run_scale_shift;
    return ptf_plan_batch_norm(plan, step->node, &step->epilogue, err);
}
