/*
 * Products, back: their parameters, and the layer without its epilogue.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

/* Numbers of a parameter as f32 in C order, in place where they are so. */

/*
 * The gradient of an epilogue's scale is a sum over what stands before it,
 * which the layer alone, without it, gives again.
 */
static ptf_status make_plain(ptf_gradient *g, int i,
                             const ptf_plan_options *options, ptf_error *err)
{
    const ptf_node *node = &g->net->nodes[i];
    const ptf_shape *shape = &g->shapes[node->inputs[0]];
    ptf_net *net = ptf_arena_alloc(&g->arena, sizeof(*net));
    ptf_node *nodes = ptf_arena_array(&g->arena, 2, sizeof(*nodes));
    g->nodes[i].sums =
        ptf_gradient_floats(g, (size_t)(g->batch * ptf_gradient_numel(g, i)));
    if (net == NULL || nodes == NULL || g->nodes[i].sums == NULL)
        return ptf_fail_memory(err);
    nodes[0] = g->net->nodes[0];
    nodes[1] = *node;
    if (!ptf_node_read(&g->arena, &nodes[1], 1, &(int){0}))
        return ptf_fail_memory(err);
    nodes[1].attrs.scale_shift = false;
    nodes[1].tensors[PTF_ROLE_SCALE] = nodes[1].tensors[PTF_ROLE_SHIFT] = NULL;
    *net = (ptf_net){.nodes = nodes, .node_count = 2, .has_tensors = true};
    net->inputs = ptf_arena_alloc(&g->arena, sizeof(*net->inputs));
    net->outputs = ptf_arena_alloc(&g->arena, sizeof(*net->outputs));
    if (net->inputs == NULL || net->outputs == NULL)
        return ptf_fail_memory(err);
    net->input_count = net->output_count = 1;
    net->outputs[0].node = 1;
    return ptf_plan_make(net, shape, g->batch, options, &g->nodes[i].plain,
                         err);
}

static ptf_status make(ptf_gradient *g, int i, const ptf_plan_options *options,
                       ptf_error *err)
{
    const ptf_node *node = &g->net->nodes[i];
    ptf_back *n = &g->nodes[i];
    const ptf_tensor *scale = node->tensors[PTF_ROLE_SCALE];
    ptf_status status = ptf_gradient_read_f32(g, node->tensors[PTF_ROLE_WEIGHT],
                                              &n->weights, err);
    if (status == PTF_OK && scale != NULL)
        status = ptf_gradient_read_f32(g, scale, &n->scale, err);
    if (status == PTF_OK && n->by[PTF_ROLE_SCALE] != NULL)
        status = make_plain(g, i, options, err);
    return status == PTF_OK ? ptf_back_product(g, i, err) : status;
}

const ptf_back_family ptf_back_family_product = {make, ptf_back_conv_input};
