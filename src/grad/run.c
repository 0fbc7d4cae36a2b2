/*
 * Forward, and back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

const float *ptf_gradient_value(const ptf_gradient *g, int node)
{
    ptf_shape shape;
    int first = g->net->input_count;
    return node < first
               ? g->in[node]
               : ptf_plan_layer(g->plan, (size_t)(node - first), &shape);
}

int64_t ptf_gradient_numel(const ptf_gradient *g, int node)
{
    return ptf_shape_numel(&g->shapes[node]);
}

int64_t ptf_gradient_channels(const ptf_gradient *g, int node)
{
    const ptf_node *of = &g->net->nodes[node];
    return of->op == PTF_OP_LINEAR ? of->attrs.out_channels
                                   : g->shapes[node].dim[0];
}

int64_t ptf_gradient_rows(const ptf_gradient *g, int node)
{
    const ptf_node *of = &g->net->nodes[node];
    if (of->op != PTF_OP_LINEAR)
        return 1;
    return ptf_gradient_numel(g, node) / of->attrs.out_channels;
}

ptf_status ptf_gradient_run_all(ptf_gradient *g, const float *const *in,
                                int64_t count, float *const *out,
                                ptf_error *err)
{
    ptf_status status = ptf_plan_run_all(g->plan, in, count, out, err);
    g->count = status == PTF_OK ? count : 0;
    memcpy(g->in, in, (size_t)g->net->input_count * sizeof(*g->in));
    return status;
}

ptf_status ptf_gradient_run(ptf_gradient *g, const float *in, int64_t count,
                            float *out, ptf_error *err)
{
    ptf_status status =
        ptf_net_check_single(g->net, "ptf_gradient_run() takes", err);
    return status == PTF_OK ? ptf_gradient_run_all(g, &in, count, &out, err)
                            : status;
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
    if (!node->filled) /* an input, which nothing reads */
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
    const float *const *cotangents;
} back_run;

/* The first of several outputs that are one value writes, the others add. */
static void output_back(ptf_gradient *g, int node, const float *cotangent)
{
    ptf_back *to = &g->nodes[node];
    int64_t floats = g->count * ptf_gradient_numel(g, node);
    if (to->filled)
        ptf_gradient_add(g, to->d, cotangent, floats);
    else if (to->needed)
        memcpy(to->d, cotangent, (size_t)floats * sizeof(float));
    to->filled = to->needed;
}

static ptf_status walk_back(void *context, ptf_error *err)
{
    const back_run *r = context;
    ptf_gradient *g = r->g;
    for (int i = 0; i < g->net->node_count; i++)
        g->nodes[i].filled = false;
    for (int k = 0; k < g->net->output_count; k++)
        output_back(g, g->net->outputs[k].node, r->cotangents[k]);
    ptf_status status = PTF_OK;
    for (int i = g->net->node_count - 1; i >= 0 && status == PTF_OK; i--)
        status = node_back(g, i, err);
    for (int i = g->net->node_count - 1; i >= g->net->input_count; i--)
        add_later(g, i);
    return status;
}

ptf_status ptf_gradient_back_all(ptf_gradient *g,
                                 const float *const *cotangents, ptf_error *err)
{
    if (g->count == 0)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a gradient needs a run forward first");
    back_run r = {g, cotangents};
    return ptf_call_ieee(walk_back, &r, err);
}

ptf_status ptf_gradient_back(ptf_gradient *g, const float *cotangent,
                             ptf_error *err)
{
    ptf_status status =
        ptf_net_check_single(g->net, "ptf_gradient_back() takes", err);
    return status == PTF_OK ? ptf_gradient_back_all(g, &cotangent, err)
                            : status;
}

const float *ptf_gradient_input(const ptf_gradient *g, size_t index)
{
    bool given = g->count > 0 && g->nodes[index].needed &&
                 ptf_dtype_is_float(g->net->inputs[index].dtype);
    return given ? g->nodes[index].d : NULL;
}
