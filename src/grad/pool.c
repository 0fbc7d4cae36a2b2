/*
 * Pools of feature maps, back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/conv.h"

static void pool_plane(void *context, int64_t i, int thread)
{
    const ptf_back_run *r = context;
    (void)thread;
    const ptf_attrs *a = &r->node->attrs;
    ptf_pool_kind kind = ptf_op_pool_kind(r->node->op);
    ptf_pool p = {.in = ptf_back_map(r->in),
                  .out = ptf_back_map(r->out),
                  .mean = kind.mean,
                  .adaptive = kind.adaptive,
                  .window = ptf_back_window(a),
                  .include_pad = a->count_include_pad,
                  .divisor = a->divisor};
    p.in.channels = p.out.channels = 1;
    int64_t in = i * ptf_map_pixels(&p.in);
    r->g->kernels->backward->pool(
        &p, r->x + in, r->n->d + i * ptf_map_pixels(&p.out), r->dx + in);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    ptf_back_run r = ptf_back_run_of(g, i, operand, dx);
    ptf_each(g->threads, g->count * r.in->dim[0], pool_plane, &r);
}

const ptf_back_family ptf_back_family_pool = {.back = back};
