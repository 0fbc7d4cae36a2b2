/*
 * Running a plan: segment by segment, piece by piece.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/* ----------------------------------------------------------------- threads */

/*
 * The caller may have told its processor to flush subnormals or to round
 * another way (programs linked with -ffast-math do).  Each task runs with
 * the arithmetic that kernel.h demands and leaves the caller's as it was.
 */
static uint64_t arithmetic_enter(void)
{
#if defined(__x86_64__)
    unsigned old = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1f80);
    return old;
#elif defined(__aarch64__)
    uint64_t old, plain = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(plain));
    return old;
#else
    return 0;
#endif
}

static void arithmetic_leave(uint64_t old)
{
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((unsigned)old);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
#else
    (void)old;
#endif
}

static void each_part(int64_t count, ptf_task *task, void *context, int thread,
                      int threads)
{
    uint64_t old = arithmetic_enter();
    int64_t end = count * (thread + 1) / threads;
    for (int64_t i = count * thread / threads; i < end; i++)
        task(context, i, thread);
    arithmetic_leave(old);
}

void ptf_plan_each(const ptf_plan *plan, int64_t count, ptf_task *task,
                   void *context)
{
    int threads = count < plan->threads ? (int)count : plan->threads;
    if (threads <= 1) {
        each_part(count, task, context, 0, 1);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int thread = 0; thread < threads; thread++)
        each_part(count, task, context, thread, threads);
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

/* Steps first .. last - 1 on all images, a group at a time. */
static void run_segment(const ptf_plan *plan, int first, int last,
                        const float *in, int64_t count, float *out)
{
    int64_t group = plan->steps[first].group;
    for (int64_t n = 0; n < count; n += group) {
        ptf_piece piece = {in, out, n, count - n < group ? count - n : group};
        for (int i = first; i < last; i++)
            plan->steps[i].run(plan, &plan->steps[i], &piece);
    }
}

ptf_status ptf_plan_run(ptf_plan *plan, const float *in, int64_t count,
                        float *out, ptf_error *err)
{
    if (count < 0 || count > plan->batch)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "%lld inputs for a plan of %lld", (long long)count,
                        (long long)plan->batch);
    int last;
    for (int first = 0; first < plan->step_count; first = last) {
        last = first + 1;
        while (last < plan->step_count &&
               plan->steps[last].group == plan->steps[first].group)
            last++;
        run_segment(plan, first, last, in, count, out);
    }
    return PTF_OK;
}

/* ------------------------------------------------------------------- print */

static void print_shape(const ptf_shape *shape, FILE *out)
{
    for (int i = 0; i < shape->rank; i++)
        fprintf(out, "%s%lld", i > 0 ? "x" : "", (long long)shape->dim[i]);
}

static void print_buffer(const ptf_value *v, FILE *out)
{
    if (v->buffer == PTF_BUFFER_IN)
        fprintf(out, "in");
    else if (v->buffer == PTF_BUFFER_OUT)
        fprintf(out, "out");
    else
        fprintf(out, "b%d", v->buffer);
}

static void print_step(const ptf_plan *plan, int i, FILE *out)
{
    const ptf_step *s = &plan->steps[i];
    const ptf_value *a = &plan->values[s->in], *b = &plan->values[s->out];
    fprintf(out, "%3d  %-16s %-12s ", i, s->node->name, s->kernel);
    print_buffer(a, out);
    fputc(' ', out);
    print_shape(&a->shape, out);
    fprintf(out, " -> ");
    print_buffer(b, out);
    fputc(' ', out);
    print_shape(&b->shape, out);
    fprintf(out, "  by %lld", (long long)s->group);
    const ptf_epilogue *e = &s->epilogue;
    fprintf(out, "%s%s%s%s%s\n", s->panels != NULL ? " packed" : "",
            s->padded[0] > 0 ? " padded" : "", e->bias != NULL ? " +bias" : "",
            e->scale != NULL ? " +scale" : "", e->relu ? " +relu" : "");
}

void ptf_plan_print(const ptf_plan *plan, FILE *out)
{
    fprintf(out, "plan of %s: %s, %d thread%s, batch %lld, %zu bytes\n",
            ptf_net_name(plan->net), ptf_isa_text(plan->kernels->isa),
            plan->threads, plan->threads == 1 ? "" : "s",
            (long long)plan->batch, plan->memory);
    for (int i = 0; i < plan->buffer_count; i++)
        fprintf(out, "b%d: %zu floats\n", i, plan->buffer_floats[i]);
    for (int i = 0; i < plan->step_count; i++)
        print_step(plan, i, out);
}
