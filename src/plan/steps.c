/*
 * Running the steps of a plan: segment by segment, piece by piece.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

#include <math.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Steps first .. last - 1 on 'count' images. */
typedef struct segment {
    ptf_plan *plan;
    int first, last;
    const ptf_buffers *at;
    int64_t count;
    int threads; /* that have pieces of their own */
} segment;

/* ---------------------------------------------------------- what is finite */

enum { PART_FLOATS = 1 << 15 }; /* what a thread looks at at a time */

/* Numbers that threads look at, each at parts of its own. */
typedef struct looking {
    const ptf_plan *plan;
    const float *x;
    int64_t floats;
    ptf_thread_stats *shares;
} looking;

static void look_at_part(void *context, int64_t i, int thread)
{
    const looking *l = context;
    int64_t at = i * PART_FLOATS;
    if (!l->plan->kernels->all_finite(l->x + at,
                                      ptf_min_i64(l->floats - at, PART_FLOATS)))
        l->shares[thread].looked = true;
}

/* Finite operands and parameters give finite results: these need no look. */
static bool keeps_finite(const ptf_node *node)
{
    static const bool bounded[PTF_OP_COUNT] = {
        [PTF_OP_RELU] = true,        [PTF_OP_RELU6] = true,
        [PTF_OP_SIGMOID] = true,     [PTF_OP_TANH] = true,
        [PTF_OP_HARDSIGMOID] = true, [PTF_OP_HARDTANH] = true,
        [PTF_OP_CLAMP] = true,
    };
    const double *p = node->attrs.p;
    return ptf_op_is(node->op, PTF_FAMILY_VIEW) ||
           (bounded[node->op] && isfinite(p[0]) && isfinite(p[1]));
}

/* What the step gave in this piece. */
static bool gave_finite(const ptf_plan *plan, const ptf_step *step,
                        const ptf_piece *piece)
{
    looking l = {plan, ptf_plan_at(plan, piece, step->out, piece->first),
                 piece->count * plan->values[step->out].numel, step->shares};
    int first = piece->thread == PTF_ALL_THREADS ? 0 : piece->thread;
    int end = piece->thread == PTF_ALL_THREADS ? plan->threads : first + 1;
    for (int t = first; t < end; t++)
        step->shares[t].looked = false;
    ptf_piece_each(plan, piece, ptf_ceil_div(l.floats, PART_FLOATS),
                   look_at_part, &l);
    bool finite = true;
    for (int t = first; t < end; t++)
        finite = finite && !step->shares[t].looked;
    return finite;
}

/*
 * Runs a step and says where NaN or infinity came in.  The epilogue shows what
 * its ReLU would hide, which changes the result then and only then: so the step
 * runs again, for the product without its norm, and for the result itself.
 */
static void run_inspected(const ptf_plan *plan, const ptf_step *step,
                          const ptf_piece *piece, ptf_thread_stats *share)
{
    step->run(plan, step, piece);
    if (keeps_finite(step->node) || gave_finite(plan, step, piece))
        return;
    ptf_step again = *step;
    bool norm = step->norm != NULL;
    if (norm) {
        again.epilogue.scale = again.epilogue.shift = NULL;
        again.run(plan, &again, piece);
        norm = gave_finite(plan, step, piece);
    }
    *(norm ? &share->norm_not_finite : &share->not_finite) = true;
    again.epilogue = step->epilogue;
    again.epilogue.shows = false;
    if (step->norm != NULL || step->epilogue.relu)
        again.run(plan, &again, piece);
}

/* ---------------------------------------------------------------- segments */

static void run_piece(void *context, int64_t i, int thread)
{
    const segment *s = context;
    int64_t group = s->plan->steps[s->first].group, n = i * group;
    ptf_piece piece = {s->at, n, ptf_min_i64(s->count - n, group),
                       s->threads > 1 ? thread : PTF_ALL_THREADS};
    double before = now();
    for (int k = s->first; k < s->last; k++) {
        ptf_step *step = &s->plan->steps[k];
        ptf_thread_stats *share = &step->shares[thread];
        if (s->plan->inspect)
            run_inspected(s->plan, step, &piece, share);
        else
            step->run(s->plan, step, &piece);
        double after = now();
        share->seconds += (after - before) / s->threads;
        before = after;
    }
}

static void run_segment(segment *s)
{
    const ptf_step *step = &s->plan->steps[s->first];
    int64_t pieces = ptf_ceil_div(s->count, step->group);
    bool per_thread =
        step->per_thread && pieces >= 2 * (int64_t)s->plan->threads;
    s->threads = per_thread ? s->plan->threads : 1;
    ptf_each(s->threads, pieces, run_piece, s);
}

void ptf_plan_run_steps(ptf_plan *plan, const ptf_buffers *at, int64_t count)
{
    for (int i = 0; i < plan->step_count; i = plan->steps[i].last + 1) {
        segment s = {plan, i, plan->steps[i].last + 1, at, count, 1};
        run_segment(&s);
    }
}

void ptf_plan_look(ptf_plan *plan, int input, const float *in, int64_t floats)
{
    if (plan->inspect && plan->not_finite < 0 && !ptf_all_finite(in, floats))
        plan->not_finite = input;
}

void ptf_plan_start(ptf_plan *plan, double images)
{
    plan->ran = images;
    plan->not_finite = -1;
    for (int i = 0; i < plan->step_count; i++)
        memset(plan->steps[i].shares, 0,
               (size_t)plan->threads * sizeof(ptf_thread_stats));
}
