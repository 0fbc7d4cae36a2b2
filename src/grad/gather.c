/*
 * Positions that indices name, back: each gets the sum of what was made of it,
 * +0 and then the terms in the order of the results.  A thread takes whole
 * images, so that the order is the same for any number of threads.  Indices
 * have no slope.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

typedef struct scattering {
    ptf_back_run run;
    ptf_gather gather;
    const float *index;
    int64_t indices; /* of an image */
} scattering;

static void scatter_image(void *context, int64_t n, int thread)
{
    const scattering *c = context;
    const ptf_back_run *r = &c->run;
    (void)thread;
    int64_t numel = ptf_shape_numel(r->in), outputs = ptf_shape_numel(r->out);
    const float *d = r->n->d + n * outputs, *index = c->index + n * c->indices;
    float *dx = r->dx + n * numel;
    for (int64_t i = 0; i < outputs; i++) {
        int64_t from, at;
        ptf_gather_at(&c->gather, i, &from, &at);
        int64_t position = ptf_gather_position(&c->gather, (double)index[at]);
        if (position >= 0) /* the run forward has failed otherwise */
            dx[from + position * c->gather.step] += d[i];
    }
    r->g->kernels->backward->settle(dx, numel);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    scattering c = {.run = ptf_back_run_of(g, i, operand, dx)};
    const ptf_node *node = c.run.node;
    memset(dx, 0, (size_t)c.run.floats * sizeof(float));
    if (operand != 0)
        return;
    const ptf_shape *index = &g->shapes[node->inputs[1]];
    c.gather = ptf_op_gather(node->op, &node->attrs, c.run.in, index);
    c.index = ptf_gradient_value(g, node->inputs[1]);
    c.indices = ptf_shape_numel(index);
    ptf_each(g->threads, g->count, scatter_image, &c);
}

const ptf_back_family ptf_back_family_gather = {.back = back};
