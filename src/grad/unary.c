/*
 * Functions of one number, back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

static const ptf_unary unary[PTF_OP_COUNT] = {
#define UNARY(id, name) [PTF_OP_##id] = PTF_UNARY_##id,
#include "kernel/functions.inc"
#undef UNARY
};

static void back_part(void *context, int64_t i, int thread)
{
    const ptf_back_run *r = context;
    (void)thread;
    int64_t begin = i * PTF_PART_FLOATS;
    int64_t n = ptf_min_i64(r->floats - begin, PTF_PART_FLOATS);
    r->g->kernels->backward->unary[unary[r->node->op]](
        r->dx + begin, r->n->d + begin, r->x + begin, n, r->node->attrs.p);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    ptf_back_run r = ptf_back_run_of(g, i, operand, dx);
    ptf_each(g->threads, ptf_gradient_parts(r.floats), back_part, &r);
}

const ptf_back_family ptf_back_family_unary = {.back = back};
