/*
 * Pools of feature maps, back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

/* One channel's map of a value of channels x height x width. */
static ptf_map plane_map(const ptf_shape *shape)
{
    return (ptf_map){.channels = 1,
                     .height = shape->dim[1],
                     .width = shape->dim[2],
                     .rows = shape->dim[1]};
}

static void pool_plane(void *context, int64_t i, int thread)
{
    const ptf_back_run *r = context;
    (void)thread;
    const ptf_attrs *a = &r->node->attrs;
    const ptf_backward *back = r->g->kernels->backward;
    ptf_map in = plane_map(r->in), out = plane_map(r->out);
    const float *x = r->x + i * in.height * in.width;
    const float *d = r->n->d + i * out.height * out.width;
    float *dx = r->dx + i * in.height * in.width;
    ptf_window w;
    for (int axis = 0; axis < 2; axis++) {
        w.kernel[axis] = a->kernel[axis];
        w.stride[axis] = a->stride[axis];
        w.padding[axis] = a->padding[axis];
        w.dilation[axis] = a->dilation[axis];
    }
    if (r->node->op == PTF_OP_MAXPOOL2D)
        back->max_pool(&in, &out, &w, x, d, dx);
    else if (r->node->op == PTF_OP_AVGPOOL2D)
        back->avg_pool(&in, &out, &w, a->count_include_pad, d, dx);
    else
        back->adaptive_avg_pool(&in, &out, d, dx);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    ptf_back_run r = ptf_back_run_of(g, i, operand, dx);
    ptf_each(g->threads, g->count * r.in->dim[0], pool_plane, &r);
}

const ptf_back_family ptf_back_family_pool = {.back = back};
