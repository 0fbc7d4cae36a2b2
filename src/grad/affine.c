/*
 * A scale and a shift per channel, back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

#include <math.h>

static void norm_image(void *context, int64_t i, int thread)
{
    const ptf_back_run *r = context;
    (void)thread;
    int64_t numel = ptf_shape_numel(r->in), channels = r->in->dim[0];
    r->g->kernels->backward->scale(r->dx + i * numel, r->n->d + i * numel,
                                   channels, numel / channels, r->n->scale);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    ptf_back_run r = ptf_back_run_of(g, i, operand, dx);
    ptf_each(g->threads, g->count, norm_image, &r);
}

static ptf_status make(ptf_gradient *g, int i, const ptf_plan_options *options,
                       ptf_error *err)
{
    (void)options;
    const ptf_node *node = &g->net->nodes[i];
    int64_t channels = node->attrs.in_channels;
    ptf_norm_numbers n;
    float *scale = ptf_gradient_floats(g, (size_t)channels);
    ptf_status status = ptf_norm_numbers_read(&g->arena, node, &n, err);
    if (status != PTF_OK || scale == NULL)
        return status != PTF_OK ? status : ptf_fail_memory(err);
    double *factor = n.var;
    for (int64_t c = 0; c < channels; c++) {
        double size = sqrt(n.var[c] + node->attrs.eps);
        scale[c] = (float)(n.gamma[c] / size);
        factor[c] = 1.0 / size;
    }
    g->nodes[i].scale = scale;
    g->nodes[i].mean = n.mean;
    g->nodes[i].factor = factor;
    return PTF_OK;
}

const ptf_back_family ptf_back_family_affine = {make, back};
