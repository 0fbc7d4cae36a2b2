/*
 * A copy: of an input that no step changes, or of a view.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { PART_FLOATS = 16384 }; /* what a thread takes at a time */

static void copy_part(void *context, int64_t i, int thread)
{
    const ptf_step_piece *r = context;
    (void)thread;
    const ptf_step *s = r->step;
    int64_t first = r->piece->first, begin = i * PART_FLOATS;
    int64_t all = r->plan->values[s->in].numel * r->piece->count;
    int64_t n = ptf_min_i64(all - begin, PART_FLOATS);
    memcpy(ptf_plan_at(r->plan, r->piece, s->out, first) + begin,
           ptf_plan_read(r->plan, r->piece, s->in, first) + begin,
           (size_t)n * sizeof(float));
}

static void run_copy(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    ptf_step_piece run = {plan, step, piece};
    int64_t n = plan->values[step->in].numel * piece->count;
    ptf_piece_each(plan, piece, ptf_ceil_div(n, PART_FLOATS), copy_part, &run);
}

ptf_status ptf_plan_source(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "copy";
    step->run = run_copy;
    return PTF_OK;
}
