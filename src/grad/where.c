/*
 * One of two numbers, as a third one says, back: to the number that was taken.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

static void clear_part(void *context, int64_t i, int thread)
{
    const ptf_back_run *r = context;
    (void)thread;
    int64_t begin = i * PTF_PART_FLOATS;
    int64_t n = ptf_min_i64(r->floats - begin, PTF_PART_FLOATS);
    memset(r->dx + begin, 0, (size_t)n * sizeof(float));
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    if (operand == 0) {
        ptf_back_run r = ptf_back_run_of(g, i, operand, dx);
        ptf_each(g->threads, ptf_gradient_parts(r.floats), clear_part, &r);
        return;
    }
    ptf_back_broadcast(g, i, g->kernels->backward->where[operand - 1],
                       (const int[2]){0, operand}, 1, dx);
}

const ptf_back_family ptf_back_family_where = {.back = back};
