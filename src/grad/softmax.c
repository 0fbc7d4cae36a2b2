/*
 * Softmax and its logarithm, back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

static void softmax_image(void *context, int64_t i, int thread)
{
    const ptf_back_run *r = context;
    (void)thread;
    int64_t at = i * ptf_shape_numel(r->in);
    const ptf_backward *k = r->g->kernels->backward;
    (r->node->op == PTF_OP_LOG_SOFTMAX ? k->log_softmax : k->softmax)(
        r->dx + at, r->n->d + at, r->y + at, r->n->outer, r->n->length,
        r->n->inner);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    ptf_back_run r = ptf_back_run_of(g, i, operand, dx);
    ptf_each(g->threads, g->count, softmax_image, &r);
}

static ptf_status make(ptf_gradient *g, int i, const ptf_plan_options *options,
                       ptf_error *err)
{
    ptf_back *n = &g->nodes[i];
    const ptf_shape *shape = &g->shapes[i];
    int axis = ptf_softmax_axis(&g->net->nodes[i].attrs, shape->rank + 1);
    (void)options, (void)err;
    n->outer = n->inner = n->length = 1;
    for (int d = 1; d <= shape->rank; d++) {
        if (d < axis)
            n->outer *= shape->dim[d - 1];
        else if (d == axis)
            n->length = shape->dim[d - 1];
        else
            n->inner *= shape->dim[d - 1];
    }
    return PTF_OK;
}

const ptf_back_family ptf_back_family_softmax = {make, back};
