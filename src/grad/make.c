/*
 * From a net to what its gradients need: which cotangents, and where they
 * lie.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

enum { ALIGNMENT = 64 };

float *ptf_gradient_floats(ptf_gradient *g, size_t count)
{
    size_t size;
    if (!ptf_mul_size(count, sizeof(float), &size) ||
        !ptf_add_size(size, ALIGNMENT, &size))
        return NULL;
    char *block = ptf_arena_alloc(&g->arena, size);
    if (block == NULL)
        return NULL;
    return (float *)(void *)(block + (-(uintptr_t)block & (ALIGNMENT - 1)));
}

ptf_status ptf_gradient_read_f32(ptf_gradient *g, const ptf_tensor *tensor,
                                 const float **out, ptf_error *err)
{
    *out = tensor != NULL ? ptf_tensor_f32(tensor) : NULL;
    if (*out != NULL || tensor == NULL)
        return PTF_OK;
    float *copy = ptf_gradient_floats(g, (size_t)ptf_tensor_numel(tensor));
    *out = copy;
    return copy != NULL ? ptf_tensor_read_f32(tensor, copy, err)
                        : ptf_fail_memory(err);
}

/* ----------------------------------------------------------------- buffers */

/* The first slot that is not taken; it grows to hold the cotangent of i. */
static void take_slot(ptf_gradient *g, bool *taken, int i)
{
    int slot = 0;
    while (taken[slot])
        slot++;
    taken[slot] = true;
    g->nodes[i].slot = slot;
    size_t floats = (size_t)(g->batch * ptf_gradient_numel(g, i));
    if (floats > g->slot_floats[slot])
        g->slot_floats[slot] = floats;
    if (slot >= g->slot_count)
        g->slot_count = slot + 1;
}

/*
 * A cotangent lives from the last node that reads the value, which the walk
 * back meets first, to the node itself.  All operands of a node have theirs
 * before the node's own is given up, so that no part overwrites what it is
 * made from.
 */
static ptf_status assign_slots(ptf_gradient *g, ptf_error *err)
{
    size_t nodes = (size_t)g->net->node_count;
    bool *taken = ptf_arena_array(&g->arena, nodes + 1, sizeof(bool));
    bool *placed = ptf_arena_array(&g->arena, nodes, sizeof(bool));
    g->slots = ptf_arena_array(&g->arena, nodes + 1, sizeof(float *));
    g->slot_floats = ptf_arena_array(&g->arena, nodes + 1, sizeof(size_t));
    if (taken == NULL || placed == NULL || g->slots == NULL ||
        g->slot_floats == NULL)
        return ptf_fail_memory(err);
    for (int k = 0; k < g->net->output_count; k++) {
        int output = g->net->outputs[k].node;
        if (g->nodes[output].needed && !placed[output])
            take_slot(g, taken, output);
        placed[output] = g->nodes[output].needed;
    }
    for (int i = g->net->node_count - 1; i >= 0; i--) {
        if (!g->nodes[i].needed)
            continue;
        if (!placed[i]) /* an input, which nothing reads */
            take_slot(g, taken, i);
        for (int k = 0; k < g->net->nodes[i].input_count; k++) {
            int input = g->net->nodes[i].inputs[k];
            if (g->nodes[input].needed && !placed[input])
                take_slot(g, taken, input);
            placed[input] = g->nodes[input].needed;
        }
        taken[g->nodes[i].slot] =
            i < g->net->input_count; /* those of inputs stay */
    }
    return PTF_OK;
}

static ptf_status allocate(ptf_gradient *g, size_t floats, float **out,
                           ptf_error *err)
{
    *out = floats > 0 ? ptf_gradient_floats(g, floats) : NULL;
    return floats == 0 || *out != NULL ? PTF_OK : ptf_fail_memory(err);
}

ptf_status ptf_gradient_buffers(ptf_gradient *g, ptf_error *err)
{
    float *scratch = NULL;
    ptf_status status = assign_slots(g, err);
    for (int s = 0; s < g->slot_count && status == PTF_OK; s++)
        status = allocate(g, g->slot_floats[s], &g->slots[s], err);
    for (int i = 0; i < g->net->node_count && status == PTF_OK; i++) {
        if (g->nodes[i].needed)
            g->nodes[i].d = g->slots[g->nodes[i].slot];
    }
    const struct {
        size_t floats;
        float **out;
    } shared[] = {
        {g->spare_floats, &g->spare},
        {g->padded_floats, &g->padded},
        {g->image_floats, &g->image},
        {g->reached_floats, &g->reached},
        {g->zero_floats, &g->zeros},
        {g->kernels->scratch_size * (size_t)g->threads / sizeof(float),
         &scratch},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(shared) && status == PTF_OK; i++)
        status = allocate(g, shared[i].floats, shared[i].out, err);
    g->scratch = (char *)scratch;
    return status;
}

/* ------------------------------------------------------------------- nodes */

static bool has_parameters(const ptf_node *node)
{
    if (node->op == PTF_OP_CONSTANT)
        return ptf_node_is_parameter(node);
    return node->tensors[PTF_ROLE_WEIGHT] != NULL ||
           node->tensors[PTF_ROLE_BIAS] != NULL;
}

/* The cotangents of operands: if any is needed, and room for second parts. */
static bool note_operands(ptf_gradient *g, const ptf_node *node)
{
    bool needed = false;
    for (int k = 0; k < node->input_count; k++) {
        int input = node->inputs[k];
        size_t floats = (size_t)(g->batch * ptf_gradient_numel(g, input));
        if (!g->nodes[input].needed)
            continue;
        needed = true;
        if (g->reads[input] > 1 && floats > g->spare_floats)
            g->spare_floats = floats;
    }
    return needed;
}

static ptf_status make_node(ptf_gradient *g, int i,
                            const ptf_plan_options *options, ptf_error *err)
{
    const ptf_node *node = &g->net->nodes[i];
    ptf_back *n = &g->nodes[i];
    if (i < g->net->input_count) {
        n->needed = (g->by & PTF_WRT_INPUT) != 0;
        return PTF_OK;
    }
    bool by_parameters =
        (g->by & PTF_WRT_PARAMETERS) != 0 && has_parameters(node);
    ptf_status status = PTF_OK;
    if (by_parameters)
        status = ptf_back_tensors(g, i, err);
    if (status != PTF_OK || g->reads[i] == 0)
        return status; /* it has no part in an output */
    n->needed = note_operands(g, node) || by_parameters;
    return n->needed ? ptf_back_make(g, i, options, err) : PTF_OK;
}

/* -------------------------------------------------------------------- make */

typedef struct making {
    ptf_gradient *g;
    const ptf_shape *inputs;
    ptf_plan_options *options;
} making;

static ptf_status make(void *context, ptf_error *err)
{
    making *m = context;
    ptf_gradient *g = m->g;
    const ptf_shape *inputs = m->inputs;
    ptf_plan_options *options = m->options;
    size_t nodes = (size_t)g->net->node_count;
    g->shapes = ptf_arena_array(&g->arena, nodes, sizeof(*g->shapes));
    g->reads = ptf_arena_array(&g->arena, nodes, sizeof(*g->reads));
    g->nodes = ptf_arena_array(&g->arena, nodes, sizeof(*g->nodes));
    g->tensors = ptf_arena_array(&g->arena, g->net->tensor_count + 1,
                                 sizeof(*g->tensors));
    g->in =
        ptf_arena_array(&g->arena, (size_t)g->net->input_count, sizeof(*g->in));
    if (g->shapes == NULL || g->reads == NULL || g->nodes == NULL ||
        g->tensors == NULL || g->in == NULL)
        return ptf_fail_memory(err);
    options->keep = true;
    ptf_status status =
        ptf_plan_make(g->net, inputs, g->batch, options, &g->plan, err);
    options->keep = false;
    if (status == PTF_OK)
        status = ptf_net_shapes(g->net, inputs, g->shapes, err);
    ptf_net_count_reads(g->net, g->reads);
    for (int i = 0; i < g->net->node_count && status == PTF_OK; i++)
        status = make_node(g, i, options, err);
    return status == PTF_OK ? ptf_gradient_buffers(g, err) : status;
}

ptf_status ptf_gradient_make(const ptf_net *net, const ptf_shape *inputs,
                             int64_t batch, const ptf_gradient_options *options,
                             ptf_gradient **out, ptf_error *err)
{
    ptf_gradient_options o;
    ptf_options_read(options, &o, sizeof(o));
    *out = NULL;
    ptf_gradient *g = ptf_alloc(sizeof(*g));
    if (g == NULL)
        return ptf_fail_memory(err);
    ptf_isa isa = ptf_isa_default();
    if (o.isa != NULL)
        ptf_isa_parse(o.isa, &isa); /* the plan refuses what is none */
    g->net = net;
    ptf_users_add(net->users);
    g->batch = batch;
    g->by = o.by != 0 ? o.by : PTF_WRT_INPUT | PTF_WRT_PARAMETERS;
    g->threads = o.threads > 0 ? o.threads : ptf_thread_count();
    ptf_plan_options plan = {
        .threads = g->threads, .isa = o.isa, .runs = o.runs};
    g->kernels = ptf_kernels_get(isa);
    making m = {g, inputs, &plan};
    ptf_status status = ptf_call_ieee(make, &m, err);
    if (status == PTF_OK)
        *out = g;
    else
        ptf_gradient_free(g);
    return status;
}

void ptf_gradient_free(ptf_gradient *g)
{
    if (g == NULL)
        return;
    for (int i = 0; g->nodes != NULL && i < g->net->node_count; i++) {
        ptf_plan_free(g->nodes[i].plain);
        ptf_plan_free(g->nodes[i].transposed);
    }
    ptf_plan_free(g->plan);
    ptf_arena_free(&g->arena);
    ptf_users_drop(g->net->users);
    ptf_free(g);
}

ptf_shape ptf_gradient_output(const ptf_gradient *g, size_t index)
{
    return ptf_plan_output(g->plan, index);
}

size_t ptf_gradient_tensor_count(const ptf_gradient *g)
{
    return g->tensor_count;
}

const ptf_tensor *ptf_gradient_tensor(const ptf_gradient *g, size_t index)
{
    return &g->tensors[index];
}
