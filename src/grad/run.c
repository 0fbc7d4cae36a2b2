/*
 * Forward, and back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

const float *ptf_gradient_value(const ptf_gradient *g, int node)
{
    ptf_shape shape;
    return node == 0 ? g->in
                     : ptf_plan_layer(g->plan, (size_t)node - 1, &shape);
}

int64_t ptf_gradient_numel(const ptf_gradient *g, int node)
{
    return ptf_shape_numel(&g->shapes[node]);
}

ptf_status ptf_gradient_run(ptf_gradient *g, const float *in, int64_t count,
                            float *out, ptf_error *err)
{
    ptf_status status = ptf_plan_run(g->plan, in, count, out, err);
    g->count = status == PTF_OK ? count : 0;
    g->in = in;
    return status;
}

/* -------------------------------------------------------------------- back */

typedef struct add_run {
    const ptf_gradient *g;
    float *y;
    const float *x;
    int64_t n;
} add_run;

static void add_part(void *context, int64_t i, int thread)
{
    const add_run *r = context;
    (void)thread;
    int64_t begin = i * PTF_PART_FLOATS;
    r->g->kernels->backward->add(r->y + begin, r->x + begin,
                                 ptf_min_i64(r->n - begin, PTF_PART_FLOATS));
}

void ptf_gradient_add(const ptf_gradient *g, float *y, const float *x,
                      int64_t n)
{
    add_run run = {g, y, x, n};
    ptf_each(g->threads, ptf_gradient_parts(n), add_part, &run);
}

/* The first reading writes its part, the others add theirs. */
static void operand_back(ptf_gradient *g, int i, int operand)
{
    int input = g->net->nodes[i].inputs[operand];
    ptf_back *to = &g->nodes[input];
    ptf_back_input(g, i, operand, to->filled ? g->spare : to->d);
    if (to->filled)
        ptf_gradient_add(g, to->d, g->spare,
                         g->count * ptf_gradient_numel(g, input));
    to->filled = true;
}

static ptf_status node_back(ptf_gradient *g, int i, ptf_error *err)
{
    ptf_back *node = &g->nodes[i];
    if (!node->needed)
        return PTF_OK;
    size_t floats = (size_t)(g->count * ptf_gradient_numel(g, i));
    if (!node->filled) /* the input, which nothing reads */
        memset(node->d, 0, floats * sizeof(float));
    ptf_status status = ptf_back_parameters(g, i, err);
    const ptf_node *of = &g->net->nodes[i];
    for (int k = of->input_count - 1; k >= 0 && status == PTF_OK; k--) {
        if (g->nodes[of->inputs[k]].needed)
            operand_back(g, i, k);
    }
    return status;
}

/* Parameters that several nodes have get the parts of all. */
static void add_later(const ptf_gradient *g, int i)
{
    for (int role = 0; role < PTF_ROLE_COUNT; role++) {
        const float *later = g->nodes[i].later[role];
        if (later != NULL)
            ptf_gradient_add(g, g->nodes[i].by[role], later,
                             ptf_tensor_numel(g->net->nodes[i].tensors[role]));
    }
}

typedef struct back_run {
    ptf_gradient *g;
    const float *cotangent;
} back_run;

static ptf_status walk_back(void *context, ptf_error *err)
{
    const back_run *r = context;
    ptf_gradient *g = r->g;
    int output = g->net->output;
    for (int i = 0; i < g->net->node_count; i++)
        g->nodes[i].filled = false;
    if (g->nodes[output].needed) {
        size_t floats = (size_t)(g->count * ptf_gradient_numel(g, output));
        memcpy(g->nodes[output].d, r->cotangent, floats * sizeof(float));
        g->nodes[output].filled = true;
    }
    ptf_status status = PTF_OK;
    for (int i = g->net->node_count - 1; i >= 0 && status == PTF_OK; i--)
        status = node_back(g, i, err);
    for (int i = g->net->node_count - 1; i > 0; i--)
        add_later(g, i);
    return status;
}

ptf_status ptf_gradient_back(ptf_gradient *g, const float *cotangent,
                             ptf_error *err)
{
    if (g->count == 0)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a gradient needs a run forward first");
    back_run r = {g, cotangent};
    return ptf_call_ieee(walk_back, &r, err);
}

const float *ptf_gradient_input(const ptf_gradient *g)
{
    return g->count > 0 && g->nodes[0].needed ? g->nodes[0].d : NULL;
}
