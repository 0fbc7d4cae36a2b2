/*
 * Running a plan: segment by segment, piece by piece.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

#include <time.h>

void ptf_plan_each(const ptf_plan *plan, int64_t count, ptf_task *task,
                   void *context)
{
    ptf_each(plan->threads, count, task, context);
}

/* --------------------------------------------------------------------- run */

static int64_t image_offset(const ptf_plan *plan, const ptf_piece *piece,
                            const ptf_value *value, int64_t n)
{
    (void)plan;
    return (value->whole ? n : n - piece->first) * value->numel;
}

const float *ptf_plan_read(const ptf_plan *plan, const ptf_piece *piece,
                           int value, int64_t n)
{
    const ptf_value *v = &plan->values[value];
    if (v->buffer == PTF_BUFFER_IN)
        return piece->in + n * v->numel;
    return ptf_plan_at(plan, piece, value, n);
}

float *ptf_plan_at(const ptf_plan *plan, const ptf_piece *piece, int value,
                   int64_t n)
{
    const ptf_value *v = &plan->values[value];
    float *base = v->buffer >= 0 ? plan->buffers[v->buffer] : piece->out;
    return base + image_offset(plan, piece, v, n);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Steps first .. last - 1 on all images, a group at a time. */
static void run_segment(ptf_plan *plan, int first, int last, const float *in,
                        int64_t count, float *out)
{
    int64_t group = plan->steps[first].group;
    for (int64_t n = 0; n < count; n += group) {
        ptf_piece piece = {in, out, n, count - n < group ? count - n : group};
        double before = now();
        for (int i = first; i < last; i++) {
            plan->steps[i].run(plan, &plan->steps[i], &piece);
            double after = now();
            plan->steps[i].seconds += after - before;
            before = after;
        }
    }
}

void ptf_plan_run_steps(ptf_plan *plan, const float *in, int64_t count,
                        float *out)
{
    int last;
    for (int first = 0; first < plan->step_count; first = last) {
        last = first + 1;
        while (last < plan->step_count &&
               plan->steps[last].group == plan->steps[first].group)
            last++;
        run_segment(plan, first, last, in, count, out);
    }
}

void ptf_plan_start(ptf_plan *plan, double images)
{
    plan->ran = images;
    for (int i = 0; i < plan->step_count; i++)
        plan->steps[i].seconds = 0.0;
}

ptf_status ptf_plan_run(ptf_plan *plan, const float *in, int64_t count,
                        float *out, ptf_error *err)
{
    if (count < 0 || count > plan->most)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "%lld inputs for a plan of %lld", (long long)count,
                        (long long)plan->most);
    int64_t inputs = ptf_shape_numel(&plan->values[0].shape);
    int64_t outputs = ptf_shape_numel(&plan->values[plan->output].shape);
    ptf_plan_start(plan, (double)count);
    plan->in = in;
    plan->out = out;
    for (int64_t n = 0; n < count; n += plan->batch) {
        int64_t left = count - n;
        ptf_plan_run_images(plan, in + n * inputs,
                            left < plan->batch ? left : plan->batch,
                            out + n * outputs);
    }
    return PTF_OK;
}

const float *ptf_plan_layer(const ptf_plan *plan, size_t index,
                            ptf_shape *shape)
{
    *shape = plan->values[index + 1].shape;
    if (!plan->keep || plan->in == NULL)
        return NULL;
    const ptf_value *v = &plan->values[plan->values[index + 1].root];
    if (v->buffer == PTF_BUFFER_IN)
        return plan->in;
    return v->buffer == PTF_BUFFER_OUT ? plan->out : plan->buffers[v->buffer];
}
