/*
 * Views, back: the cotangent is passed on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

static void copy_part(void *context, int64_t i, int thread)
{
    const ptf_back_run *r = context;
    (void)thread;
    int64_t begin = i * PTF_PART_FLOATS;
    int64_t n = ptf_min_i64(r->floats - begin, PTF_PART_FLOATS);
    memcpy(r->dx + begin, r->n->d + begin, (size_t)n * sizeof(float));
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    ptf_back_run r = ptf_back_run_of(g, i, operand, dx);
    ptf_each(g->threads, ptf_gradient_parts(r.floats), copy_part, &r);
}

const ptf_back_family ptf_back_family_view = {.back = back};
