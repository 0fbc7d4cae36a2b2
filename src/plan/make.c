/*
 * From a net and an input shape to steps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/*
 * A light segment's piece has so few images that its maps stay in the caches:
 * those of one core where a thread has the piece, else those of all; but if
 * these suffice, so many that large weights are used by enough pixels each
 * time they are read.  Each thread gets several pieces, so that all end at
 * about the same time.
 */
enum {
    CORE_FLOATS = 1 << 17,
    GROUP_FLOATS = 1 << 20,
    LARGE_WEIGHTS = 1 << 16,
    ENOUGH_PIXELS = 128,
    PIECES_OF_THREAD = 4,
};

static bool is_alias(ptf_op op)
{
    return op == PTF_OP_FLATTEN || op == PTF_OP_DROPOUT ||
           op == PTF_OP_IDENTITY;
}

/* What stands behind a product and is done in its step. */
typedef struct chain {
    int root;             /* the node whose value this node's is */
    bool open;            /* nobody else reads a value between the two */
    const ptf_node *norm; /* of a root: the batch norm behind it */
    bool relu;            /* of a root */
} chain;

/*
 * A batch norm behind a product is the scale and shift of its epilogue: by
 * kernel.h that gives the bits of the two steps.
 */
static bool takes_norm(const chain *root, const ptf_node *product,
                       const ptf_node *norm)
{
    return ptf_op_info(norm->op)->norm && !root->relu && root->norm == NULL &&
           product->tensors[PTF_ROLE_SCALE] == NULL &&
           norm->attrs.in_channels == product->attrs.out_channels;
}

/*
 * Which nodes are one step: aliases belong to their input; batch norm and
 * ReLU to the product before them when nobody else reads that, unless every
 * node is to be a step 'alone'.
 */
static void find_chains(const ptf_net *net, bool alone, chain *chains)
{
    for (int i = 0; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        chains[i] = (chain){.root = i,
                            .open = !alone && ptf_op_info(node->op)->weighted};
        if (node->input_count != 1)
            continue;
        int in = node->inputs[0];
        chain *root = &chains[chains[in].root];
        bool open = chains[in].open && ptf_net_consumers(net, in) == 1;
        bool norm = open && takes_norm(root, &net->nodes[root->root], node);
        bool relu = open && node->op == PTF_OP_RELU && !root->relu;
        if (!is_alias(node->op) && !norm && !relu)
            continue;
        chains[i].root = root->root;
        chains[i].open = open;
        if (norm)
            root->norm = node;
        if (relu)
            root->relu = true;
    }
}

static ptf_status fill_step(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    switch (step->node->op) {
    case PTF_OP_CONV1D:
    case PTF_OP_CONV2D:
    case PTF_OP_LINEAR: return ptf_step_product(plan, step, err);
    case PTF_OP_BATCHNORM1D:
    case PTF_OP_BATCHNORM2D: return ptf_step_scale_shift(plan, step, err);
    case PTF_OP_SOFTMAX: return ptf_step_softmax(plan, step, err);
    case PTF_OP_MAXPOOL2D:
    case PTF_OP_AVGPOOL2D:
    case PTF_OP_ADAPTIVE_AVGPOOL2D: ptf_step_pool(step); return PTF_OK;
    case PTF_OP_RELU:
    case PTF_OP_LEAKY_RELU:
    case PTF_OP_SIGMOID:
    case PTF_OP_TANH:
    case PTF_OP_SOFTPLUS: ptf_step_pointwise(step); return PTF_OK;
    case PTF_OP_INPUT: ptf_step_copy(step); return PTF_OK;
    case PTF_OP_FLATTEN:
    case PTF_OP_DROPOUT:
    case PTF_OP_IDENTITY:
    case PTF_OP_COUNT: break;
    }
    return ptf_node_fail(err, PTF_UNSUPPORTED, step->node, "no kernel runs it");
}

static ptf_status add_step(ptf_plan *plan, int node, const chain *chains,
                           ptf_error *err)
{
    ptf_step *step = &plan->steps[plan->step_count++];
    step->node = &plan->net->nodes[node];
    step->in = chains[step->node->inputs[0]].root;
    step->out = node;
    step->epilogue.relu = chains[node].relu;
    ptf_status status = fill_step(plan, step, err);
    if (status == PTF_OK && chains[node].norm != NULL)
        status = ptf_plan_norm(plan, chains[node].norm, &step->epilogue, err);
    return status;
}

/*
 * One step for each root.  A net whose output is its input gets a copy, whose
 * value stands behind those of the nodes.
 */
static ptf_status make_steps(ptf_plan *plan, ptf_error *err)
{
    const ptf_net *net = plan->net;
    chain *chains =
        ptf_arena_array(&plan->arena, (size_t)net->node_count, sizeof(chain));
    if (chains == NULL)
        return ptf_fail_memory(err);
    find_chains(net, plan->keep || plan->inspect, chains);
    plan->output = chains[net->output].root;
    for (int i = 1; i < net->node_count; i++) {
        ptf_status status = PTF_OK;
        plan->values[i].root = chains[i].root;
        if (chains[i].root == i)
            status = add_step(plan, i, chains, err);
        if (status != PTF_OK)
            return status;
    }
    if (plan->output == 0) {
        ptf_step *step = &plan->steps[plan->step_count++];
        plan->output = net->node_count;
        plan->values[plan->output] = plan->values[0];
        step->node = &net->nodes[0];
        step->out = plan->output;
        ptf_step_copy(step);
    }
    return PTF_OK;
}

static ptf_status make_values(ptf_plan *plan, const ptf_shape *input,
                              ptf_error *err)
{
    int count = plan->net->node_count;
    ptf_shape *shapes =
        ptf_arena_array(&plan->arena, (size_t)count, sizeof(ptf_shape));
    plan->values = ptf_arena_array(&plan->arena, (size_t)count + 1,
                                   sizeof(ptf_plan_value));
    plan->steps =
        ptf_arena_array(&plan->arena, (size_t)count + 1, sizeof(ptf_step));
    if (shapes == NULL || plan->values == NULL || plan->steps == NULL)
        return ptf_fail_memory(err);
    for (int i = 0; i <= count; i++) {
        plan->steps[i].shares = ptf_arena_array(
            &plan->arena, (size_t)plan->threads, sizeof(ptf_thread_stats));
        if (plan->steps[i].shares == NULL)
            return ptf_fail_memory(err);
    }
    ptf_status status = ptf_net_shapes(plan->net, input, shapes, err);
    for (int i = 0; i < count && status == PTF_OK; i++) {
        plan->values[i].shape = shapes[i];
        int64_t n = 1;
        for (int d = 0; d < shapes[i].rank; d++) {
            if (!ptf_mul_i64(n, shapes[i].dim[d], &n) || n > INT64_MAX / 64)
                return ptf_node_fail(err, PTF_ARGUMENT, &plan->net->nodes[i],
                                     "its output is too large");
        }
        plan->values[i].numel = n;
        plan->values[i].rows = shapes[i].rank == 3 ? shapes[i].dim[1] : 1;
    }
    return status;
}

/* ---------------------------------------------------------------- segments */

static int64_t clamp(int64_t n, int64_t least, int64_t most)
{
    return ptf_min_i64(ptf_max_i64(n, least), most);
}

/* The images that a light step needs for ENOUGH_PIXELS. */
static int64_t least_group(const ptf_step *s)
{
    const ptf_map *out = &s->conv.out;
    if (s->weights == NULL || ptf_conv_weights(&s->conv) < LARGE_WEIGHTS)
        return 1;
    return ptf_ceil_div(ENOUGH_PIXELS, out->height * out->width);
}

/* Chooses what steps first .. last - 1 take at a time. */
static void set_groups(ptf_plan *plan, int first, int last)
{
    int64_t floats = 1, least = 1, batch = plan->batch;
    for (int i = first; i < last; i++) {
        const ptf_step *s = &plan->steps[i];
        floats = ptf_max_i64(floats, plan->values[s->in].numel +
                                         plan->values[s->out].numel);
        least = ptf_max_i64(least, least_group(s));
    }
    int64_t group = clamp(GROUP_FLOATS / floats, 1, batch);
    int64_t own = clamp(CORE_FLOATS / floats, ptf_min_i64(least, group), batch);
    int64_t most = batch / (PIECES_OF_THREAD * plan->threads);
    bool apart = plan->threads > 1 && most >= least && floats <= GROUP_FLOATS;
    if (plan->steps[first].heavy)
        group = batch;
    else if (plan->threads == 1)
        group = own;
    else if (apart)
        group = clamp(own, 1, most);
    for (int i = first; i < last; i++) {
        plan->steps[i].group = group;
        plan->steps[i].apart = apart && !plan->steps[i].heavy;
    }
}

void ptf_plan_segments(ptf_plan *plan)
{
    int last;
    for (int i = 1; i < plan->step_count; i++) { /* light after heavy */
        ptf_step *s = &plan->steps[i];
        if (s->run != NULL && plan->steps[i - 1].heavy &&
            plan->values[s->out].numel <= 65536)
            s->heavy = true;
    }
    for (int first = 0; first < plan->step_count; first = last) {
        last = first + 1;
        while (last < plan->step_count &&
               plan->steps[last].heavy == plan->steps[first].heavy)
            last++;
        set_groups(plan, first, last);
    }
}

/* -------------------------------------------------------------------- plan */

static ptf_status choose_kernels(ptf_plan *plan,
                                 const ptf_plan_options *options,
                                 ptf_error *err)
{
    ptf_isa isa = ptf_isa_default();
    if (options != NULL && options->isa != NULL &&
        (!ptf_isa_parse(options->isa, &isa) || !ptf_isa_here(isa)))
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "instruction set \"%s\" is not one that this machine "
                        "has",
                        options->isa);
    plan->kernels = ptf_kernels_get(isa);
    plan->threads = options != NULL && options->threads > 0
                        ? options->threads
                        : ptf_thread_count();
    plan->keep = options != NULL && options->keep;
    plan->inspect = options != NULL && options->inspect;
    plan->runs = options != NULL ? options->runs : 0;
    plan->memory_limit = options != NULL ? options->memory_limit : 0;
    return PTF_OK;
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
                       const ptf_shape *input, int64_t batch,
                       const ptf_plan_options *options, ptf_error *err)
{
    if (batch < 1 || batch > 1 << 24)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a batch of %lld: it must be at least 1",
                        (long long)batch);
    if (!net->has_tensors)
        return ptf_net_fail(err, PTF_ARGUMENT, net,
                            "the net has no parameters: it cannot run");
    plan->net = net;
    plan->most = plan->batch = batch;
    ptf_status status = choose_kernels(plan, options, err);
    if (status == PTF_OK)
        status = make_values(plan, input, err);
    return status == PTF_OK ? ptf_call_ieee(prepare, plan, err) : status;
}

ptf_status ptf_plan_make(const ptf_net *net, const ptf_shape *input,
                         int64_t batch, const ptf_plan_options *options,
                         ptf_plan **out, ptf_error *err)
{
    *out = NULL;
    ptf_plan *plan = ptf_alloc(sizeof(*plan));
    if (plan == NULL)
        return ptf_fail_memory(err);
    ptf_status status = make(plan, net, input, batch, options, err);
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
    ptf_free(plan);
}

ptf_shape ptf_plan_output(const ptf_plan *plan)
{
    return plan->values[plan->net->output].shape;
}
