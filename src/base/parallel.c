/*
 * Tasks on threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

/*
 * The caller may have told its processor to flush subnormals or to round
 * another way (programs linked with -ffast-math do).  Each task runs with
 * the arithmetic of IEEE 754 and leaves the caller's as it was.
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

void ptf_each(int threads, int64_t count, ptf_task *task, void *context)
{
    if (count < threads)
        threads = (int)count;
    if (threads <= 1) {
        each_part(count, task, context, 0, 1);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int thread = 0; thread < threads; thread++)
        each_part(count, task, context, thread, threads);
}
