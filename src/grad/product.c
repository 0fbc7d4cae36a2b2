/*
 * Products, back: their parameters, and the layer without its epilogue.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

/* Numbers of a parameter as f32 in C order, in place where they are so. */

/* A plan of one node, which reads the net's input. */
static ptf_status make_alone(ptf_gradient *g, const ptf_node *node,
                             const ptf_shape *shape,
                             const ptf_plan_options *options, ptf_plan **out,
                             ptf_error *err)
{
    ptf_net *net = ptf_arena_alloc(&g->arena, sizeof(*net));
    ptf_node *nodes = ptf_arena_array(&g->arena, 2, sizeof(*nodes));
    if (net == NULL || nodes == NULL)
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
    net->inputs[0] = (ptf_input){.has_shape = true, .shape = *shape};
    net->outputs[0] = (ptf_output){.node = 1};
    return ptf_plan_make(net, shape, g->batch, options, out, err);
}

/*
 * The gradient of an epilogue's scale is a sum over what stands before it,
 * which the layer alone, without it, gives again.
 */
static ptf_status make_plain(ptf_gradient *g, int i,
                             const ptf_plan_options *options, ptf_error *err)
{
    const ptf_node *node = &g->net->nodes[i];
    g->nodes[i].sums =
        ptf_gradient_floats(g, (size_t)(g->batch * ptf_gradient_numel(g, i)));
    if (g->nodes[i].sums == NULL)
        return ptf_fail_memory(err);
    return make_alone(g, node, &g->shapes[node->inputs[0]], options,
                      &g->nodes[i].plain, err);
}

/*
 * A convolution goes back to its input as the transposed one of the same
 * weights, and a transposed one as a convolution.  Both take the sizes that
 * there are, whatever the window leaves over.
 */
static ptf_status make_transposed(ptf_gradient *g, int i,
                                  const ptf_plan_options *options,
                                  ptf_error *err)
{
    static const ptf_op ops[][2] = {
        {PTF_OP_CONV_TRANSPOSE1D, PTF_OP_CONV1D},
        {PTF_OP_CONV_TRANSPOSE2D, PTF_OP_CONV2D},
        {PTF_OP_CONV_TRANSPOSE3D, PTF_OP_CONV3D},
    };
    ptf_node node = g->net->nodes[i];
    const ptf_shape *in = &g->shapes[node.inputs[0]], *out = &g->shapes[i];
    ptf_attrs *a = &node.attrs;
    bool transposed = ptf_op_is_transposed(node.op);
    if (!transposed && node.op != PTF_OP_CONV3D)
        return PTF_OK;
    node.op = ops[ptf_op_map_axes(node.op) - 1][transposed];
    a->in_channels = out->dim[0];
    a->out_channels = in->dim[0];
    a->has_bias = false;
    node.tensors[PTF_ROLE_BIAS] = NULL;
    for (int axis = 0; axis < PTF_MAP_AXES; axis++)
        a->more[axis] = a->output_padding[axis] = 0;
    for (int d = 1; d < in->rank; d++) {
        int axis = d + PTF_MAP_AXES - in->rank;
        int64_t small = transposed ? in->dim[d] : out->dim[d];
        int64_t large = transposed ? out->dim[d] : in->dim[d];
        int64_t exact = (small - 1) * a->stride[axis] +
                        (a->kernel[axis] - 1) * a->dilation[axis] + 1 -
                        2 * a->padding[axis];
        a->more[axis] = exact - large;
    }
    return make_alone(g, &node, out, options, &g->nodes[i].transposed, err);
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
    if (status == PTF_OK)
        status = make_transposed(g, i, options, err);
    return status == PTF_OK ? ptf_back_product(g, i, err) : status;
}

const ptf_back_family ptf_back_family_product = {make, ptf_back_conv_input};
