/*
 * Positions that indices name.  An index that is none gives NaN, and the run
 * then fails: nothing is read outside of the operand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { PART_FLOATS = 16384 }; /* what a thread takes at a time */

/* The outputs of one sample, in some parts. */
typedef struct gathering {
    ptf_step_piece run;
    ptf_gather gather;
    int64_t outputs, parts;
} gathering;

static void note(const gathering *c, int thread, float index)
{
    ptf_thread_stats *share = &c->run.step->shares[thread];
    if (!share->bad_index)
        share->index = index;
    share->bad_index = true;
}

static void gather_part(void *context, int64_t i, int thread)
{
    const gathering *c = context;
    const ptf_step_piece *r = &c->run;
    int64_t n = r->piece->first + i / c->parts;
    int64_t end = ptf_min_i64((i % c->parts + 1) * PART_FLOATS, c->outputs);
    const float *x = ptf_plan_read(r->plan, r->piece, r->step->in[0], n);
    const float *index = ptf_plan_read(r->plan, r->piece, r->step->in[1], n);
    float *y = ptf_plan_at(r->plan, r->piece, r->step->out, n);
    for (int64_t k = i % c->parts * PART_FLOATS; k < end; k++) {
        int64_t from, at;
        ptf_gather_at(&c->gather, k, &from, &at);
        int64_t position = ptf_gather_position(&c->gather, (double)index[at]);
        if (position >= 0)
            y[k] = x[from + position * c->gather.step];
        else
            y[k] = __builtin_nanf("");
        if (position < 0)
            note(c, thread, index[at]);
    }
}

static void run_gather(const ptf_plan *plan, const ptf_step *step,
                       const ptf_piece *piece)
{
    gathering c = {.run = {plan, step, piece}};
    c.gather = ptf_op_gather(step->node->op, &step->node->attrs,
                             &plan->values[step->in[0]].shape,
                             &plan->values[step->in[1]].shape);
    c.outputs = plan->values[step->out].numel;
    c.parts = ptf_ceil_div(c.outputs, PART_FLOATS);
    ptf_piece_each(plan, piece, piece->count * c.parts, gather_part, &c);
}

ptf_status ptf_plan_gather(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "gather";
    step->run = run_gather;
    return PTF_OK;
}
