/*
 * Tasks on threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#ifdef _OPENMP
#include <omp.h>
#else
#define omp_get_thread_num() 0
#endif

enum { PARTS_OF_THREAD = 8 };

/*
 * The caller may have told its processor to flush subnormals or to round
 * another way (programs linked with -ffast-math do).  What is called from
 * here runs with the arithmetic of IEEE 754 and leaves the caller's as it was;
 * it is called through a pointer, so that no operation moves out of it.
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

ptf_status ptf_call_ieee(ptf_work *work, void *context, ptf_error *err)
{
    uint64_t old = arithmetic_enter();
    ptf_status status = work(context, err);
    arithmetic_leave(old);
    return status;
}

/* Part 'part' of 'parts' of all tasks. */
static void each_part(int64_t count, ptf_task *task, void *context,
                      int64_t part, int64_t parts, int thread)
{
    uint64_t old = arithmetic_enter();
    int64_t end = count * (part + 1) / parts;
    for (int64_t i = count * part / parts; i < end; i++)
        task(context, i, thread);
    arithmetic_leave(old);
}

/*
 * A thread takes the next part when it is done with one, so that one which
 * the system holds up does not hold up the others.
 */
/*
 * Parts in a row.  Each thread begins with its own queue, so that what follows
 * finds much of what it reads in the caches of its core; then it helps others.
 */
typedef struct queue {
    _Alignas(64) int64_t next;
    int64_t end;
} queue;

enum { QUEUES = 64 };

static int64_t take(queue *q)
{
    int64_t part;
#pragma omp atomic capture
    part = q->next++;
    return part;
}

void ptf_each(int threads, int64_t count, ptf_task *task, void *context)
{
    if (count < threads)
        threads = (int)count;
    if (threads <= 1) {
        each_part(count, task, context, 0, 1, 0);
        return;
    }
    int64_t most = (int64_t)threads * PARTS_OF_THREAD;
    int64_t parts = count < most ? count : most;
    queue queues[QUEUES];
    int n = threads < QUEUES ? threads : QUEUES;
    for (int i = 0; i < n; i++)
        queues[i] = (queue){parts * i / n, parts * (i + 1) / n};
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num();
        for (int i = 0; i < n; i++) {
            queue *q = &queues[(thread + i) % n];
            for (int64_t part = take(q); part < q->end; part = take(q))
                each_part(count, task, context, part, parts, thread);
        }
    }
}
