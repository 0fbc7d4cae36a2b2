/*
 * What depends on constants alone is evaluated as the net is made, by the
 * kernels that would do it at run time: position tables, masks, standardised
 * weights.
 *
 * Integers and bools are f32 too while they are exact: up to 2^24.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

#include <math.h>

/* What all constants of a net may take that are no parameters. */
static const size_t most_evaluated = (size_t)1 << 30;

static const double exact = 16777216; /* 2^24 */

ptf_status ptf_lower_room(ptf_lowering *l, int64_t numel, float **out)
{
    size_t bytes;
    *out = NULL;
    if (!ptf_mul_size((size_t)numel, sizeof(float), &bytes) ||
        bytes > most_evaluated - l->evaluated)
        return ptf_lower_refuse(l, "its constants take more than %zu MiB",
                                most_evaluated >> 20);
    *out = ptf_arena_alloc(&l->net->arena, bytes + 1);
    l->evaluated += bytes;
    return *out != NULL ? PTF_OK : ptf_fail_memory(l->err);
}

/* True for integers that f32 holds. */
static bool are_exact(const float *x, int64_t numel)
{
    for (int64_t i = 0; i < numel; i++) {
        if (!(fabs((double)x[i]) <= exact))
            return false;
    }
    return true;
}

ptf_status ptf_lower_floats(ptf_lowering *l, const ptf_tensor *tensor,
                            const float **out)
{
    int64_t numel = ptf_tensor_numel(tensor);
    float *data;
    if (tensor->dtype >= PTF_DTYPE_C32 && tensor->dtype <= PTF_DTYPE_C128)
        return ptf_lower_refuse(l, "a constant is %s; expected real numbers",
                                ptf_dtype_name(tensor->dtype));
    ptf_status status = ptf_lower_room(l, numel, &data);
    *out = data;
    if (status == PTF_OK)
        status = ptf_tensor_read_f32(tensor, data, l->err);
    if (status == PTF_OK && !ptf_dtype_is_float(tensor->dtype) &&
        !are_exact(data, numel))
        status = ptf_lower_refuse(l, "a constant of %s is beyond 2^24",
                                  ptf_dtype_name(tensor->dtype));
    return status;
}

bool ptf_lower_is_constant(const ptf_lowering *l, int node)
{
    const ptf_node *n = &l->net->nodes[node];
    bool all = n->input_count > 0;
    for (int i = 0; i < n->input_count && all; i++)
        all = l->net->nodes[n->inputs[i]].op == PTF_OP_CONSTANT;
    return all;
}

/* A net of the node, its operands, and an input that nobody reads. */
static ptf_status isolate(ptf_lowering *l, int node, ptf_net *net)
{
    const ptf_node *n = &l->net->nodes[node];
    int count = n->input_count;
    ptf_node *nodes =
        ptf_arena_array(&net->arena, (size_t)count + 2, sizeof(*nodes));
    int *inputs = ptf_arena_array(&net->arena, (size_t)count, sizeof(*inputs));
    if (nodes == NULL || inputs == NULL)
        return ptf_fail_memory(l->err);
    nodes[0] = (ptf_node){.op = PTF_OP_INPUT, .name = "", .file = n->file};
    for (int i = 0; i < count; i++) {
        nodes[i + 1] = l->net->nodes[n->inputs[i]];
        inputs[i] = i + 1;
    }
    nodes[count + 1] = *n;
    nodes[count + 1].inputs = inputs;
    net->nodes = nodes;
    net->node_count = count + 2;
    net->output = count + 1;
    net->name = l->net->name;
    net->has_input = net->has_tensors = true;
    return PTF_OK;
}

static ptf_status run(ptf_lowering *l, const ptf_net *net, float *out)
{
    ptf_plan *plan = NULL;
    ptf_plan_options options = {.threads = 1};
    const ptf_shape shape = {.rank = 1, .dim = {1}};
    const float nothing = 0;
    ptf_status status = ptf_plan_make(net, &shape, 1, &options, &plan, l->err);
    if (status == PTF_OK)
        status = ptf_plan_run(plan, &nothing, 1, out, l->err);
    ptf_plan_free(plan);
    return status;
}

ptf_status ptf_lower_evaluate(ptf_lowering *l, int node)
{
    ptf_net net = {0};
    ptf_node *n = &l->net->nodes[node];
    const ptf_shape *shape = &l->shapes[node];
    ptf_tensor *tensor = ptf_arena_alloc(&l->net->arena, sizeof(*tensor));
    float *data;
    if (tensor == NULL)
        return ptf_fail_memory(l->err);
    ptf_status status = ptf_lower_room(l, ptf_shape_numel(shape), &data);
    if (status == PTF_OK)
        status = isolate(l, node, &net);
    if (status == PTF_OK)
        status = run(l, &net, data);
    ptf_arena_free(&net.arena);
    *tensor = (ptf_tensor){.dtype = PTF_DTYPE_F32,
                           .data = data,
                           .name = n->name,
                           .rank = shape->rank};
    int64_t stride = 1;
    for (int d = shape->rank - 1; d >= 0; stride *= shape->dim[d--]) {
        tensor->shape[d] = shape->dim[d];
        tensor->stride[d] = stride;
    }
    const ptf_op_row *row = ptf_op_info(PTF_OP_CONSTANT);
    *n = (ptf_node){.op = PTF_OP_CONSTANT,
                    .name = n->name,
                    .file = n->file,
                    .container = -1,
                    .class_name = row->name,
                    .text = row->name,
                    .tensors = {[PTF_ROLE_WEIGHT] = tensor}};
    return status;
}
