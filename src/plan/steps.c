/*
 * Running the steps of a plan: segment by segment, piece by piece.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

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

static bool gave_finite(const ptf_plan *plan, const ptf_step *step,
                        const ptf_piece *piece)
{
    return ptf_all_finite(ptf_plan_at(plan, piece, step->out, piece->first),
                          piece->count * plan->values[step->out].numel);
}

static void run_piece(void *context, int64_t i, int thread)
{
    const segment *s = context;
    int64_t group = s->plan->steps[s->first].group, n = i * group;
    ptf_piece piece = {s->at, n, ptf_min_i64(s->count - n, group),
                       s->threads > 1 ? thread : PTF_ALL_THREADS};
    double before = now();
    for (int k = s->first; k < s->last; k++) {
        ptf_step *step = &s->plan->steps[k];
        step->run(s->plan, step, &piece);
        ptf_thread_stats *share = &step->shares[thread];
        if (s->plan->inspect && !gave_finite(s->plan, step, &piece))
            share->not_finite = true;
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
