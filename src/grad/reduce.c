/*
 * Reductions over axes, back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

static const ptf_reduce kinds[PTF_OP_COUNT] = {
    [PTF_OP_SUM] = PTF_REDUCE_SUM,
    [PTF_OP_MEAN] = PTF_REDUCE_MEAN,
    [PTF_OP_AMAX] = PTF_REDUCE_AMAX,
    [PTF_OP_AMIN] = PTF_REDUCE_AMIN,
    [PTF_OP_VAR] = PTF_REDUCE_VAR,
    [PTF_OP_STD] = PTF_REDUCE_STD,
    [PTF_OP_VECTOR_NORM] = PTF_REDUCE_NORM,
    [PTF_OP_LOGSUMEXP] = PTF_REDUCE_LOGSUMEXP,
};

/* The outputs of one sample, in some parts. */
typedef struct giving {
    ptf_back_run run;
    ptf_reduction reduction;
    int64_t inputs, outputs, parts;
} giving;

static void give_part(void *context, int64_t i, int thread)
{
    const giving *c = context;
    const ptf_back_run *r = &c->run;
    (void)thread;
    int64_t n = i / c->parts, in = n * c->inputs, out = n * c->outputs;
    int64_t begin, end;
    ptf_cut(i % c->parts, c->parts, c->outputs, 1, &begin, &end);
    r->g->kernels->backward->reduce(&c->reduction, begin, end, r->x + in,
                                    r->y + out, r->n->d + out, r->dx + in);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    giving c = {.run = ptf_back_run_of(g, i, operand, dx)};
    const ptf_shape *in = c.run.in;
    bool reduced[PTF_SHAPE_MAX];
    ptf_reduced_axes(&c.run.node->attrs, in->rank, reduced);
    ptf_reduction_make(&c.reduction, in->rank, in->dim, reduced);
    c.reduction.how = kinds[c.run.node->op];
    c.reduction.correction = c.run.node->attrs.p[0];
    c.inputs = ptf_shape_numel(in);
    c.outputs = ptf_shape_numel(c.run.out);
    c.parts = ptf_min_i64(c.outputs, ptf_gradient_parts(c.inputs));
    ptf_each(g->threads, g->count * c.parts, give_part, &c);
}

const ptf_back_family ptf_back_family_reduce = {.back = back};
