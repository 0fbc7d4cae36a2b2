/*
 * From a net and an input shape to steps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

static ptf_plan_family *const families[PTF_FAMILY_COUNT] = {
#define FAMILY(id, name) [PTF_FAMILY_##id] = ptf_plan_##name,
#include "op/families.inc"
#undef FAMILY
};

static ptf_status fill_step(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    return families[ptf_op_info(step->node->op)->family](plan, step, err);
}

static ptf_status add_step(ptf_plan *plan, const ptf_node *node, int out,
                           const ptf_fused *fused, ptf_error *err)
{
    ptf_step *step = &plan->steps[plan->step_count++];
    step->node = node;
    step->in = node->inputs;
    step->in_count = node->input_count;
    step->out = out;
    plan->values[out].maker = plan->step_count - 1;
    step->epilogue.relu = fused->relu;
    step->epilogue.shows = plan->inspect;
    step->norm = fused->norm;
    ptf_status status = fill_step(plan, step, err);
    if (status == PTF_OK && fused->norm != NULL)
        status = ptf_plan_batch_norm(plan, fused->norm, &step->epilogue, err);
    return status;
}

/* A constant needs no step, unless each image gets its own. */
static ptf_status add_constant(ptf_plan *plan, int i, const ptf_fused *fused,
                               ptf_error *err)
{
    const ptf_node *node = &plan->net->nodes[i];
    ptf_plan_value *v = &plan->values[i];
    ptf_status status =
        ptf_plan_f32(plan, node->tensors[PTF_ROLE_WEIGHT], &v->constant, err);
    if (status == PTF_OK && fused->copied)
        return add_step(plan, node, i, fused, err);
    v->buffer = PTF_BUFFER_CONSTANT;
    return status;
}

/* A copy of a value, which stands after those of the nodes. */
static ptf_status add_copy(ptf_plan *plan, int of, int *copy, ptf_error *err)
{
    ptf_step *step = &plan->steps[plan->step_count++];
    int *in = ptf_arena_alloc(&plan->arena, sizeof(*in));
    ptf_node *node = ptf_arena_alloc(&plan->arena, sizeof(*node));
    if (in == NULL || node == NULL)
        return ptf_fail_memory(err);
    *in = of;
    *node = plan->net->nodes[0]; /* whose family copies */
    node->name = plan->net->nodes[of].name;
    *copy = plan->value_count++;
    ptf_plan_value *v = &plan->values[*copy];
    *v = (ptf_plan_value){.shape = plan->values[of].shape,
                          .rows = plan->values[of].rows,
                          .numel = plan->values[of].numel,
                          .root = *copy,
                          .maker = plan->step_count - 1};
    step->node = node;
    step->in = in;
    step->in_count = 1;
    step->out = *copy;
    return fill_step(plan, step, err);
}

/*
 * An output is the value of its root, unless that is an input or another output
 * already: then it gets a copy.
 */
static ptf_status make_output(ptf_plan *plan, int k, const ptf_fused *fused,
                              ptf_error *err)
{
    const ptf_net *net = plan->net;
    int value = fused[net->outputs[k].node].root;
    ptf_status status = PTF_OK;
    if (value < net->input_count || plan->values[value].is_output)
        status = add_copy(plan, value, &value, err);
    plan->outputs[k] = value;
    plan->values[value].is_output = true;
    plan->values[value].port = k;
    return status;
}

/* One step for each root that is needed, and copies after them. */
static ptf_status make_steps(ptf_plan *plan, ptf_error *err)
{
    const ptf_net *net = plan->net;
    ptf_fused *fused = ptf_arena_array(&plan->arena, (size_t)net->node_count,
                                       sizeof(ptf_fused));
    if (fused == NULL)
        return ptf_fail_memory(err);
    for (int i = 0; i < net->node_count; i++)
        fused[i].flat = plan->values[i].shape.rank == 1;
    ptf_plan_fuse(net, plan->keep, plan->inspect, fused);
    ptf_status status = PTF_OK;
    for (int i = 0; i < net->node_count && status == PTF_OK; i++) {
        plan->values[i].root = fused[i].root;
        if (i < net->input_count || fused[i].root != i || !fused[i].needed)
            continue;
        if (net->nodes[i].op == PTF_OP_CONSTANT)
            status = add_constant(plan, i, &fused[i], err);
        else
            status = add_step(plan, &net->nodes[i], i, &fused[i], err);
    }
    for (int k = 0; k < net->output_count && status == PTF_OK; k++)
        status = make_output(plan, k, fused, err);
    return status;
}

static ptf_status make_values(ptf_plan *plan, const ptf_shape *inputs,
                              ptf_error *err)
{
    int count = plan->net->node_count;
    int most = count + plan->net->output_count; /* with copies */
    ptf_shape *shapes =
        ptf_arena_array(&plan->arena, (size_t)count, sizeof(ptf_shape));
    plan->values =
        ptf_arena_array(&plan->arena, (size_t)most, sizeof(ptf_plan_value));
    plan->value_count = count;
    plan->steps = ptf_arena_array(&plan->arena, (size_t)most, sizeof(ptf_step));
    if (shapes == NULL || plan->values == NULL || plan->steps == NULL)
        return ptf_fail_memory(err);
    for (int i = 0; i < most; i++) {
        plan->steps[i].shares = ptf_arena_array(
            &plan->arena, (size_t)plan->threads, sizeof(ptf_thread_stats));
        if (plan->steps[i].shares == NULL)
            return ptf_fail_memory(err);
    }
    ptf_status status = ptf_net_shapes(plan->net, inputs, shapes, err);
    for (int i = 0; i < count && status == PTF_OK; i++) {
        plan->values[i].shape = shapes[i];
        int64_t n = 1;
        for (int d = 0; d < shapes[i].rank; d++) {
            if (!ptf_mul_i64(n, shapes[i].dim[d], &n) || n > INT64_MAX / 64)
                return ptf_node_fail(err, PTF_ARGUMENT, &plan->net->nodes[i],
                                     "its output is too large");
        }
        plan->values[i].numel = n;
        plan->values[i].maker = -1;
        plan->values[i].port = i; /* of inputs */
        plan->values[i].rows = shapes[i].rank == 3 ? shapes[i].dim[1] : 1;
    }
    return status;
}

/* -------------------------------------------------------------------- plan */

static ptf_status choose_kernels(ptf_plan *plan, const ptf_plan_options *o,
                                 ptf_error *err)
{
    ptf_isa isa = ptf_isa_default();
    if (o->isa != NULL && (!ptf_isa_parse(o->isa, &isa) || !ptf_isa_here(isa)))
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "instruction set \"%s\" is not one that this machine "
                        "has",
                        o->isa);
    plan->kernels = ptf_kernels_get(isa);
    plan->threads = o->threads > 0 ? o->threads : ptf_thread_count();
    plan->keep = o->keep;
    plan->inspect = o->inspect;
    plan->runs = o->runs;
    plan->memory_limit = o->memory_limit;
    return PTF_OK;
}

static bool make_arrays(ptf_plan *plan, ptf_buffers *out)
{
    out->in = ptf_arena_array(&plan->arena, (size_t)plan->net->input_count,
                              sizeof(*out->in));
    out->out = ptf_arena_array(&plan->arena, (size_t)plan->net->output_count,
                               sizeof(*out->out));
    return out->in != NULL && out->out != NULL;
}

static ptf_status make_buffers(ptf_plan *plan, ptf_error *err)
{
    plan->outputs = ptf_arena_array(
        &plan->arena, (size_t)plan->net->output_count, sizeof(int));
    return plan->outputs != NULL && make_arrays(plan, &plan->at) &&
                   make_arrays(plan, &plan->stripes)
               ? PTF_OK
               : ptf_fail_memory(err);
}

/* Steps with their parameters, rounded as ref.c would. */
static ptf_status prepare(void *context, ptf_error *err)
{
    ptf_plan *plan = context;
    ptf_status status = make_steps(plan, err);
    if (status == PTF_OK)
        status = ptf_plan_layout(plan, err);
    for (int i = 0; i < plan->step_count && status == PTF_OK; i++) {
        if (plan->steps[i].packs)
            ptf_plan_pack(plan, &plan->steps[i]);
    }
    return status;
}

static ptf_status make(ptf_plan *plan, const ptf_net *net,
                       const ptf_shape *inputs, int64_t batch,
                       const ptf_plan_options *options, ptf_error *err)
{
    if (batch < 1 || batch > 1 << 24)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a batch of %lld: it must be at least 1",
                        (long long)batch);
    if (net->whole && !net->stacks && batch > 1)
        return ptf_net_fail(err, PTF_ARGUMENT, net,
                            "its inputs have no batch: expected 1 sample at a "
                            "time, got %lld",
                            (long long)batch);
    if (!net->has_tensors)
        return ptf_net_fail(err, PTF_ARGUMENT, net,
                            "the net has no parameters: it cannot run");
    plan->net = net;
    ptf_users_add(net->users);
    plan->most = plan->batch = batch;
    ptf_status status = choose_kernels(plan, options, err);
    if (status == PTF_OK)
        status = make_values(plan, inputs, err);
    if (status == PTF_OK)
        status = make_buffers(plan, err);
    return status == PTF_OK ? ptf_call_ieee(prepare, plan, err) : status;
}

ptf_status ptf_plan_make(const ptf_net *net, const ptf_shape *inputs,
                         int64_t batch, const ptf_plan_options *options,
                         ptf_plan **out, ptf_error *err)
{
    *out = NULL;
    ptf_plan *plan = ptf_alloc(sizeof(*plan));
    if (plan == NULL)
        return ptf_fail_memory(err);
    ptf_plan_options all;
    ptf_options_read(options, &all, sizeof(all));
    ptf_status status = make(plan, net, inputs, batch, &all, err);
    if (status == PTF_OK)
        *out = plan;
    else
        ptf_plan_free(plan);
    return status;
}

void ptf_plan_free(ptf_plan *plan)
{
    if (plan == NULL)
        return;
    for (int i = 0; i < plan->block_count; i++)
        ptf_free(plan->blocks[i]);
    ptf_free(plan->blocks);
    ptf_arena_free(&plan->arena);
    ptf_users_drop(plan->net != NULL ? plan->net->users : NULL);
    ptf_free(plan);
}

ptf_shape ptf_plan_output(const ptf_plan *plan, size_t index)
{
    return plan->values[plan->net->outputs[index].node].shape;
}
