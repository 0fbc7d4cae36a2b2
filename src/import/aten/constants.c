/*
 * What depends on constants alone is evaluated as the net is made, by the
 * kernels that would do it at run time: position tables, masks, standardised
 * weights.
 *
 * Integers and bools are f32 too while they are exact: below 2^24, which is
 * also what the next one is rounded to.
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
        if (!(fabs((double)x[i]) < exact))
            return false;
    }
    return true;
}

ptf_status ptf_lower_check_double(ptf_lowering *l, const ptf_tensor *tensor)
{
    int64_t numel = ptf_tensor_numel(tensor);
    double *x = ptf_alloc((size_t)numel * sizeof(*x) + 1);
    bool same = true;
    if (x == NULL)
        return ptf_fail_memory(l->err);
    ptf_status status = ptf_tensor_read_f64(tensor, x, l->err);
    for (int64_t i = 0; i < numel && status == PTF_OK; i++)
        same = same && !(fabs((double)(float)x[i] - x[i]) > 0);
    ptf_free(x);
    return status != PTF_OK || same
               ? status
               : ptf_lower_refuse(l, "a constant of float64 has numbers that "
                                     "float32 has not");
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
    if (status == PTF_OK && tensor->dtype == PTF_DTYPE_F64 &&
        ptf_lower_result_dtype(l) != PTF_DTYPE_F32)
        status = ptf_lower_check_double(l, tensor);
    if (status == PTF_OK && !ptf_dtype_is_float(tensor->dtype) &&
        !are_exact(data, numel))
        status = ptf_lower_refuse(l, "a constant of %s is not below 2^24",
                                  ptf_dtype_name(tensor->dtype));
    return status;
}

/* What a dtype holds: PyTorch would convert any other number. */
static bool are_of(ptf_dtype dtype, const float *x, int64_t numel)
{
    double least = 1 - exact, most = exact - 1;
    if (dtype == PTF_DTYPE_I8 || dtype == PTF_DTYPE_I16) {
        most = dtype == PTF_DTYPE_I8 ? 127 : 32767;
        least = -most - 1;
    } else if (dtype == PTF_DTYPE_BOOL || dtype == PTF_DTYPE_U8) {
        most = dtype == PTF_DTYPE_U8 ? 255 : 1;
        least = 0;
    }
    for (int64_t i = 0; i < numel; i++) {
        double a = (double)x[i];
        if (!(a >= least && a <= most) || floor(a) < a)
            return false;
    }
    return true;
}

ptf_status ptf_lower_check_made(ptf_lowering *l, ptf_dtype dtype,
                                const ptf_tensor *numbers)
{
    if (dtype == PTF_DTYPE_F32 || dtype == PTF_DTYPE_F64)
        return PTF_OK;
    if (!ptf_dtype_is_integer(dtype) && dtype != PTF_DTYPE_BOOL)
        return ptf_lower_refuse(l, "computes in %s; ptfold computes in float32",
                                ptf_dtype_name(dtype));
    return are_of(dtype, numbers->data, ptf_tensor_numel(numbers))
               ? PTF_OK
               : ptf_lower_refuse(l,
                                  "makes a number that %s or float32 does not "
                                  "hold",
                                  ptf_dtype_name(dtype));
}

ptf_tensor *ptf_lower_tensor_of(ptf_lowering *l, const float *data,
                                const ptf_shape *shape)
{
    ptf_tensor *t = ptf_arena_alloc(&l->net->arena, sizeof(*t));
    int64_t stride = 1;
    if (t == NULL)
        return NULL;
    *t = (ptf_tensor){
        .dtype = PTF_DTYPE_F32, .data = data, .rank = shape->rank, .name = ""};
    for (int d = shape->rank - 1; d >= 0; stride *= shape->dim[d--]) {
        t->shape[d] = shape->dim[d];
        t->stride[d] = stride;
    }
    return t;
}

/* --------------------------------------------------------- calls that write */

ptf_status ptf_lower_remember(ptf_lowering *l, float *data, int64_t numel,
                              int *out)
{
    void *memories = l->memories;
    if (!ptf_arena_grow(&l->net->arena, &memories, l->memory_count,
                        &l->memory_capacity, sizeof(*l->memories)))
        return ptf_fail_memory(l->err);
    l->memories = memories;
    *out = l->memory_count++;
    l->memories[*out] = (ptf_lowered_memory){.data = data, .numel = numel};
    return PTF_OK;
}

ptf_status ptf_lower_copy(ptf_lowering *l, ptf_lowered *value)
{
    ptf_shape shape = {.rank = value->tensor->rank};
    int64_t numel = ptf_tensor_numel(value->tensor);
    float *data;
    if (shape.rank > PTF_SHAPE_MAX)
        return ptf_lower_refuse(l, "a constant has %d axes; at most %d can be",
                                shape.rank, PTF_SHAPE_MAX);
    memcpy(shape.dim, value->tensor->shape,
           (size_t)shape.rank * sizeof(*shape.dim));
    ptf_status status = ptf_lower_room(l, numel, &data);
    if (status == PTF_OK)
        status = ptf_tensor_read_f32(value->tensor, data, l->err);
    if (status != PTF_OK)
        return status;
    value->tensor = ptf_lower_tensor_of(l, data, &shape);
    value->node = value->other = -1;
    return value->tensor != NULL
               ? ptf_lower_remember(l, data, numel, &value->memory)
               : ptf_fail_memory(l->err);
}

ptf_status ptf_lower_share(ptf_lowering *l, ptf_lowered *value)
{
    const float *data = ptf_tensor_f32(value->tensor);
    if (data == NULL)
        return PTF_OK;
    ptf_status status =
        ptf_lower_remember(l, (float *)(uintptr_t)data,
                           ptf_tensor_numel(value->tensor), &value->memory);
    if (status == PTF_OK)
        l->memories[value->memory].in_use = true;
    return status;
}

/* Nodes keep the old numbers; all values see the new ones. */
static ptf_status move_memory(ptf_lowering *l, int memory)
{
    ptf_lowered_memory *m = &l->memories[memory];
    const float *old = m->data;
    float *data;
    ptf_status status = ptf_lower_room(l, m->numel, &data);
    if (status != PTF_OK)
        return status;
    memcpy(data, old, (size_t)m->numel * sizeof(*data));
    *m = (ptf_lowered_memory){.data = data, .numel = m->numel};
    for (int i = 0; i < l->graph->value_count; i++) {
        ptf_lowered *v = &l->values[i];
        if (v->memory != memory)
            continue;
        ptf_tensor *t = ptf_arena_alloc(&l->net->arena, sizeof(*t));
        if (t == NULL)
            return ptf_fail_memory(l->err);
        *t = *v->tensor;
        t->data = data + ((const float *)v->tensor->data - old);
        t->storage = NULL; /* no longer the file's */
        t->name = ptf_lower_value(l, i)->name;
        v->tensor = t;
        v->node = v->other = -1;
    }
    return PTF_OK;
}

/* Writes numbers in C order to where a view of 'data' sees them. */
static void scatter(const ptf_tensor *view, float *data, const float *from)
{
    int64_t at[PTF_MAX_RANK] = {0}, numel = ptf_tensor_numel(view);
    for (int64_t i = 0; i < numel; i++) {
        int64_t place = 0;
        for (int d = 0; d < view->rank; d++)
            place += at[d] * view->stride[d];
        data[place] = from[i];
        for (int d = view->rank - 1; d >= 0 && ++at[d] == view->shape[d]; d--)
            at[d] = 0;
    }
}

ptf_status ptf_lower_write(ptf_lowering *l, int to, int from)
{
    ptf_lowered *target = &l->values[to], *source = &l->values[from];
    const float *numbers;
    const char *name = ptf_lower_value(l, to)->name;
    if (target->memory == 0 || l->memories[target->memory].leaked)
        return ptf_lower_refuse(l,
                                "writes to '%s', which is no tensor that "
                                "the program made",
                                name);
    for (int d = 0; d < target->tensor->rank; d++) {
        if (target->tensor->stride[d] == 0 && target->tensor->shape[d] > 1)
            return ptf_lower_refuse(l, "writes to '%s', which is expanded",
                                    name);
    }
    bool same =
        source->tensor != NULL && source->tensor->rank == target->tensor->rank;
    for (int d = 0; same && d < target->tensor->rank; d++)
        same = source->tensor->shape[d] == target->tensor->shape[d];
    if (!same)
        return ptf_lower_refuse(l, "expected a constant of the shape of '%s'",
                                name);
    ptf_status status = ptf_lower_floats(l, source->tensor, &numbers);
    if (status == PTF_OK && l->memories[target->memory].in_use)
        status = move_memory(l, target->memory);
    if (status != PTF_OK)
        return status;
    float *data = l->memories[target->memory].data;
    scatter(target->tensor, data + ((const float *)target->tensor->data - data),
            numbers);
    *source = *target;
    return PTF_OK;
}

/* -------------------------------------------------------------- evaluation */

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
    net->name = l->net->name;
    net->node_count = count + 2;
    net->has_tensors = true;
    const ptf_input scalar = {.has_shape = true,
                              .shape = {.rank = 1, .dim = {1}}};
    const ptf_output result = {.node = count + 1};
    if (!ptf_net_add_input(net, &scalar) || !ptf_net_add_output(net, &result))
        return ptf_fail_memory(l->err);
    return PTF_OK;
}

static ptf_status run(ptf_lowering *l, const ptf_net *net, float *out)
{
    ptf_plan *plan = NULL;
    ptf_plan_options options = {.threads = 1};
    const float nothing = 0;
    ptf_status status =
        ptf_plan_make(net, &net->inputs[0].shape, 1, &options, &plan, l->err);
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
    float *data;
    ptf_status status = ptf_lower_room(l, ptf_shape_numel(shape), &data);
    if (status == PTF_OK)
        status = isolate(l, node, &net);
    if (status == PTF_OK)
        status = run(l, &net, data);
    ptf_arena_free(&net.arena);
    if (status != PTF_OK)
        return status;
    ptf_tensor *tensor = ptf_lower_tensor_of(l, data, shape);
    if (tensor == NULL)
        return ptf_fail_memory(l->err);
    tensor->name = n->name;
    const char *text = ptf_op_info(PTF_OP_CONSTANT)->name;
    *n = (ptf_node){.op = PTF_OP_CONSTANT,
                    .name = n->name,
                    .file = n->file,
                    .container = -1,
                    .class_name = text,
                    .text = text,
                    .tensors = {[PTF_ROLE_WEIGHT] = tensor}};
    return PTF_OK;
}
