/*
 * The limits of the machine, for judging how near a plan comes to them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

#include <time.h>

enum { RUNS = 8, SPIN_ROUNDS = 200000, READ_BYTES = 256 << 20 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double ptf_measure_flops(int threads)
{
    const ptf_kernels *kernels = ptf_kernels_get(ptf_isa_default());
    double best = 0.0;
    for (int run = 0; run < RUNS && kernels->spin != NULL; run++) {
        double before = now();
#pragma omp parallel num_threads(threads)
        {
            float out[64] = {0};
            kernels->spin(SPIN_ROUNDS, out);
            __asm__ volatile("" : : "r"(out) : "memory");
        }
        double rate =
            kernels->spin_flops * SPIN_ROUNDS * threads / (now() - before);
        best = rate > best ? rate : best;
    }
    return best;
}

double ptf_measure_bandwidth(int threads)
{
    const ptf_kernels *kernels = ptf_kernels_get(ptf_isa_default());
    char *data = ptf_alloc_aligned(READ_BYTES, 4096);
    if (data == NULL)
        return 0.0;
    memset(data, 1, READ_BYTES);
    double best = 0.0;
    for (int run = 0; run < RUNS; run++) {
        double before = now();
#pragma omp parallel for num_threads(threads)
        for (int i = 0; i < threads; i++) {
            int64_t n = READ_BYTES / 8 / threads;
            uint64_t word = kernels->read((uint64_t *)(void *)data + i * n, n);
            __asm__ volatile("" : : "r"(word));
        }
        double rate = READ_BYTES / (now() - before);
        best = rate > best ? rate : best;
    }
    ptf_free(data);
    return best;
}
