/*
 * Functions of one number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { PART_FLOATS = 16384 }; /* what a thread takes at a time */

static const ptf_unary unary[PTF_OP_COUNT] = {
#define UNARY(id, name) [PTF_OP_##id] = PTF_UNARY_##id,
#include "kernel/functions.inc"
#undef UNARY
};

/* Each op of the family has its function. */
#define OP(id, name, class_name, family, attributes) \
    +(PTF_FAMILY_##family == PTF_FAMILY_UNARY)
enum {
    OPS =
#include "op/ops.inc"
};
#undef OP
_Static_assert((int)OPS == (int)PTF_UNARY_COUNT,
               "kernel/functions.inc lacks one");

static void run_part(void *context, int64_t i, int thread)
{
    const ptf_step_piece *r = context;
    (void)thread;
    const ptf_step *s = r->step;
    int64_t first = r->piece->first, begin = i * PART_FLOATS;
    int64_t all = r->plan->values[s->in[0]].numel * r->piece->count;
    int64_t n = ptf_min_i64(all - begin, PART_FLOATS);
    const float *x = ptf_plan_read(r->plan, r->piece, s->in[0], first) + begin;
    float *y = ptf_plan_at(r->plan, r->piece, s->out, first) + begin;
    r->plan->kernels->unary[unary[s->node->op]](y, x, n, s->node->attrs.p);
}

static void run_unary(const ptf_plan *plan, const ptf_step *step,
                      const ptf_piece *piece)
{
    ptf_step_piece run = {plan, step, piece};
    int64_t n = plan->values[step->in[0]].numel * piece->count;
    ptf_piece_each(plan, piece, ptf_ceil_div(n, PART_FLOATS), run_part, &run);
}

ptf_status ptf_plan_unary(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "pointwise";
    step->run = run_unary;
    return PTF_OK;
}
