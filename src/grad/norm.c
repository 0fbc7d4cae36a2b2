/*
 * Layer, group, instance and RMS norms, back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

/* The groups, or the weights, of one sample, in some parts. */
typedef struct norming {
    ptf_back_run run;
    ptf_norm norm;
    int64_t numel, groups, parts;
} norming;

static norming norming_of(const ptf_gradient *g, int i, float *dx)
{
    norming c = {.run = ptf_back_run_of(g, i, 0, dx)};
    const ptf_attrs *attrs = &c.run.node->attrs;
    ptf_norm_cut cut = ptf_op_norm_cut(c.run.node->op, attrs, c.run.in);
    c.norm = (ptf_norm){cut.n, cut.weights, cut.inner, cut.centred, attrs->eps};
    c.numel = ptf_shape_numel(c.run.in);
    c.groups = c.numel / cut.n;
    c.parts = ptf_min_i64(c.groups, ptf_gradient_parts(c.numel));
    return c;
}

static void measure_part(void *context, int64_t i, int thread)
{
    const norming *c = context;
    const ptf_back *n = c->run.n;
    (void)thread;
    int64_t image = i / c->parts, at = image * c->groups, begin, end;
    ptf_cut(i % c->parts, c->parts, c->groups, 1, &begin, &end);
    c->run.g->kernels->backward->norm_measure(
        &c->norm, begin, end, c->run.x + image * c->numel, n->group_mean + at,
        n->group_size + at);
}

static void norm_part(void *context, int64_t i, int thread)
{
    const norming *c = context;
    const ptf_back *n = c->run.n;
    (void)thread;
    int64_t image = i / c->parts, at = image * c->groups, begin, end;
    ptf_cut(i % c->parts, c->parts, c->groups, 1, &begin, &end);
    c->run.g->kernels->backward->norm(
        &c->norm, begin, end, n->group_mean + at, n->group_size + at, n->scale,
        c->run.x + image * c->numel, n->d + image * c->numel,
        c->run.dx + image * c->numel);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    (void)operand;
    norming c = norming_of(g, i, dx);
    ptf_each(g->threads, g->count * c.parts, norm_part, &c);
}

/* Images in order, each rounded once: see backward.h. */
static void parameters_part(void *context, int64_t i, int thread)
{
    const norming *c = context;
    const ptf_back *n = c->run.n;
    (void)thread;
    int64_t begin, end;
    ptf_cut(i, c->parts, c->norm.weights, 1, &begin, &end);
    for (int64_t image = 0; image < c->run.g->count; image++)
        c->run.g->kernels->backward->norm_parameters(
            &c->norm, begin, end, c->numel, n->group_mean + image * c->groups,
            n->group_size + image * c->groups, c->run.x + image * c->numel,
            n->d + image * c->numel, image > 0, n->by[PTF_ROLE_WEIGHT],
            n->by[PTF_ROLE_BIAS]);
}

void ptf_back_norm(const ptf_gradient *g, int i)
{
    norming c = norming_of(g, i, NULL);
    const ptf_back *n = c.run.n;
    ptf_each(g->threads, g->count * c.parts, measure_part, &c);
    c.parts = ptf_min_i64(c.norm.weights, ptf_gradient_parts(c.numel));
    if (n->by[PTF_ROLE_WEIGHT] != NULL || n->by[PTF_ROLE_BIAS] != NULL)
        ptf_each(g->threads, c.parts, parameters_part, &c);
}

static ptf_status make(ptf_gradient *g, int i, const ptf_plan_options *options,
                       ptf_error *err)
{
    const ptf_tensor *weight = g->net->nodes[i].tensors[PTF_ROLE_WEIGHT];
    ptf_back *n = &g->nodes[i];
    ptf_norm_cut cut = ptf_op_norm_cut(g->net->nodes[i].op,
                                       &g->net->nodes[i].attrs, &g->shapes[i]);
    size_t groups = (size_t)(ptf_gradient_numel(g, i) / cut.n * g->batch);
    (void)options;
    n->group_mean = ptf_arena_array(&g->arena, groups, sizeof(double));
    n->group_size = ptf_arena_array(&g->arena, groups, sizeof(double));
    if (n->group_mean == NULL || n->group_size == NULL)
        return ptf_fail_memory(err);
    return ptf_gradient_read_f32(g, weight, &n->scale, err);
}

const ptf_back_family ptf_back_family_norm = {make, back};
