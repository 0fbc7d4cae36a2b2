/*
 * Setting up a check, and what it has found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

/* -------------------------------------------------------------------- make */

/* Arrays of a side that depend on the net and the shapes alone. */
static ptf_status make_side(ptf_check *c, int which, const ptf_net *net,
                            const ptf_shape *inputs, ptf_error *err)
{
    size_t nodes = (size_t)net->node_count;
    ptf_side *side = &c->sides[which];
    side->net = net;
    side->taps = ptf_arena_array(&c->arena, nodes, sizeof(*side->taps));
    side->inside = ptf_arena_array(&c->arena, nodes, sizeof(*side->inside));
    side->source = ptf_arena_array(&c->arena, nodes, sizeof(*side->source));
    side->makers = ptf_arena_array(&c->arena, nodes, sizeof(*side->makers));
    side->shapes = ptf_arena_array(&c->arena, nodes, sizeof(*side->shapes));
    side->held = ptf_arena_array(&c->arena, nodes, sizeof(*side->held));
    side->beyond = ptf_arena_array(&c->arena, nodes, sizeof(*side->beyond));
    side->radius = ptf_arena_array(&c->arena, nodes, sizeof(*side->radius));
    side->largest = ptf_arena_array(&c->arena, nodes, sizeof(*side->largest));
    if (!side->taps || !side->inside || !side->source || !side->makers ||
        !side->shapes || !side->held || !side->beyond || !side->radius ||
        !side->largest)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < nodes; i++)
        side->source[i] = -1;
    ptf_status status = ptf_find_makers(net, side->makers, err);
    return status == PTF_OK ? ptf_net_shapes(net, inputs, side->shapes, err)
                            : status;
}

/* Marks what the values of a pair are made of. */
static void mark_inside(ptf_check *c, const ptf_pair *pair)
{
    ptf_side *a = &c->sides[PTF_SIDE_A];
    if (pair->source < 0)
        return;
    a->source[pair->value] = pair->source;
    int count = ptf_unit_nodes(c, PTF_SIDE_A, pair->value);
    for (int i = 1; i < count; i++)
        a->inside[c->chain[i]] = true;
}

static ptf_graphs graphs_of(const ptf_check *c)
{
    const ptf_side *from = &c->sides[PTF_SIDE_A], *to = &c->sides[PTF_SIDE_B];
    return (ptf_graphs){from->net,  to->net,      from->makers,
                        to->makers, from->shapes, to->shapes};
}

static ptf_status pair_nets(ptf_check *c, bool *folded, ptf_error *err)
{
    const ptf_net *a = c->sides[PTF_SIDE_A].net, *b = c->sides[PTF_SIDE_B].net;
    ptf_graphs graphs = graphs_of(c);
    ptf_status status =
        ptf_pair_nets(&graphs, &c->arena, c->pairs, folded, &c->mismatch, err);
    if (a->whole != b->whole && c->mismatch.reason == NULL)
        c->mismatch =
            (ptf_pair_mismatch){"has a batch axis in one of the networks only",
                                b->nodes[b->outputs[0].node].name};
    for (int i = b->input_count; status == PTF_OK && i < b->node_count; i++)
        mark_inside(c, &c->pairs[i]);
    return status;
}

static ptf_status read_numbers(ptf_check *c, const ptf_net *net,
                               const ptf_parameters **out, ptf_error *err)
{
    ptf_parameters *numbers =
        ptf_arena_array(&c->arena, (size_t)net->node_count, sizeof(*numbers));
    if (numbers == NULL)
        return ptf_fail_memory(err);
    *out = numbers;
    ptf_status status = PTF_OK;
    for (int i = net->input_count; status == PTF_OK && i < net->node_count; i++)
        status = ptf_numbers_read(&c->arena, &net->nodes[i], &numbers[i], err);
    return status;
}

/* The next of c->parameters, which is one of node 'node' of B. */
static void add_parameter(ptf_check *c, int node)
{
    const ptf_parameter_check *p = &c->parameters[c->parameter_count];
    ptf_certificate *f = &c->certificate;
    ptf_layer_check *layer = &c->layers[node];
    f->parameters += p->count;
    f->parameters_open += p->open;
    f->parameters_wrong += p->wrong;
    f->parameters_beyond += p->beyond;
    if (p->worst_ulps > f->ulps) {
        f->ulps = p->worst_ulps;
        f->ulps_name = p->name;
        f->ulps_of_terms = p->ulps_of_terms;
        f->ulps_at = p->worst;
    }
    layer->ulps = p->worst_ulps > layer->ulps ? p->worst_ulps : layer->ulps;
    c->parameter_count++;
}

static ptf_status check_parameters(ptf_check *c, const ptf_parameters *ideal,
                                   ptf_error *err)
{
    const ptf_net *a = c->sides[PTF_SIDE_A].net, *b = c->sides[PTF_SIDE_B].net;
    size_t most = (size_t)b->node_count * PTF_ROLE_COUNT;
    c->parameters = ptf_arena_array(&c->arena, most, sizeof(*c->parameters));
    if (c->parameters == NULL)
        return ptf_fail_memory(err);
    ptf_status status = PTF_OK;
    for (int i = b->input_count; status == PTF_OK && i < b->node_count; i++) {
        int count = 0;
        if (c->pairs[i].layer >= 0)
            status = ptf_check_parameters(
                &a->nodes[c->pairs[i].layer], &b->nodes[i], &ideal[i],
                c->options.max_ulps, c->parameters + c->parameter_count, &count,
                err);
        for (int k = 0; k < count; k++)
            add_parameter(c, i);
    }
    return status;
}

/* The numbers of all three, and B's parameters against the ideal. */
static ptf_status make_numbers(ptf_check *c, const bool *folded,
                               const ptf_parameters *numbers[PTF_SIDE_COUNT],
                               ptf_error *err)
{
    const ptf_net *a = c->sides[PTF_SIDE_A].net, *b = c->sides[PTF_SIDE_B].net;
    ptf_parameters *ideal =
        ptf_arena_array(&c->arena, (size_t)b->node_count, sizeof(*ideal));
    if (ideal == NULL)
        return ptf_fail_memory(err);
    numbers[PTF_SIDE_I] = ideal;
    ptf_graphs graphs = graphs_of(c);
    ptf_status status = read_numbers(c, a, &numbers[PTF_SIDE_A], err);
    if (status == PTF_OK)
        status = read_numbers(c, b, &numbers[PTF_SIDE_B], err);
    if (status == PTF_OK)
        status =
            ptf_ideal_numbers(&c->arena, &graphs, c->pairs, folded,
                              numbers[PTF_SIDE_A], ideal, &c->mismatch, err);
    if (status == PTF_OK)
        status = check_parameters(c, ideal, err);
    return status;
}

static ptf_status make_enclosures(ptf_check *c, const ptf_shape *inputs,
                                  const ptf_parameters *const *numbers,
                                  ptf_error *err)
{
    ptf_status status = PTF_OK;
    for (int i = 0; status == PTF_OK && i < PTF_SIDE_COUNT; i++) {
        if (i == PTF_SIDE_I && c->mismatch.reason != NULL)
            continue;
        const ptf_net *net =
            c->sides[i == PTF_SIDE_A ? PTF_SIDE_A : PTF_SIDE_B].net;
        status =
            ptf_enclosure_make_with(net, numbers[i], inputs, c->options.threads,
                                    &c->enclosures[i], err);
    }
    return status;
}

/* Inputs and outputs are the same by number, and several by name too. */
static ptf_status check_ports(const ptf_net *a, const ptf_net *b,
                              ptf_error *err)
{
    if (a->input_count != b->input_count || a->output_count != b->output_count)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "the networks have %d and %d inputs, %d and %d outputs",
                        a->input_count, b->input_count, a->output_count,
                        b->output_count);
    for (int i = 0; i < a->input_count + a->output_count; i++) {
        ptf_port x, y;
        int k = i - a->input_count;
        if (k < 0) {
            ptf_net_input(a, (size_t)i, &x);
            ptf_net_input(b, (size_t)i, &y);
        } else {
            ptf_net_output(a, (size_t)k, &x);
            ptf_net_output(b, (size_t)k, &y);
        }
        bool several = (k < 0 ? a->input_count : a->output_count) > 1;
        if (several && strcmp(x.name, y.name) != 0)
            return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                            "%s %d of the networks: expected one name, got "
                            "'%s' and '%s'",
                            k < 0 ? "input" : "output", k < 0 ? i : k, x.name,
                            y.name);
    }
    return PTF_OK;
}

/* Both nets must give as many numbers, at layers that pair too. */
static ptf_status check_sizes(ptf_check *c, ptf_error *err)
{
    const ptf_net *a = c->sides[PTF_SIDE_A].net, *b = c->sides[PTF_SIDE_B].net;
    const ptf_enclosure *in_a = c->enclosures[PTF_SIDE_A];
    const ptf_enclosure *in_b = c->enclosures[PTF_SIDE_B];
    c->inputs =
        ptf_arena_array(&c->arena, (size_t)a->input_count, sizeof(*c->inputs));
    c->sizes =
        ptf_arena_array(&c->arena, (size_t)a->output_count, sizeof(*c->sizes));
    c->each =
        ptf_arena_array(&c->arena, (size_t)a->output_count, sizeof(*c->each));
    if (c->inputs == NULL || c->sizes == NULL || c->each == NULL)
        return ptf_fail_memory(err);
    for (int i = 0; i < a->input_count; i++)
        c->inputs[i] = ptf_balls_each(in_a, i);
    for (int i = 0; i < a->output_count; i++) {
        int64_t other = ptf_balls_each(in_b, b->outputs[i].node);
        ptf_verdict_init(&c->each[i], c->options.atol, c->options.rtol);
        c->sizes[i] = ptf_balls_each(in_a, a->outputs[i].node);
        c->outputs_each += c->sizes[i];
        if (c->sizes[i] != other)
            return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                            "the networks have %lld and %lld outputs",
                            (long long)c->sizes[i], (long long)other);
    }
    for (int i = b->input_count; i < b->node_count; i++) {
        int value = c->pairs[i].value;
        if (value < 0 || ptf_balls_each(in_a, value) == ptf_balls_each(in_b, i))
            continue;
        c->pairs[i].value = -1;
        if (c->mismatch.reason == NULL)
            c->mismatch = (ptf_pair_mismatch){
                "gives values of another shape than its counterpart",
                b->nodes[i].name};
    }
    return PTF_OK;
}

static bool make_outs(ptf_check *c, ptf_side *side)
{
    int count = side->net->output_count, k = 0;
    side->outs = ptf_arena_array(&c->arena, (size_t)count, sizeof(*side->outs));
    for (; side->outs != NULL && k < count; k++) {
        side->outs[k] = ptf_arena_array(
            &c->arena, (size_t)(c->group * c->sizes[k]), sizeof(float));
        if (side->outs[k] == NULL)
            return false;
    }
    return k == count;
}

/*
 * The most inputs that run together: what both runs give in all layers is kept
 * until it has been looked at.
 */
static int64_t group_of(const ptf_check *c)
{
    enum { MOST_NUMBERS = 1 << 26 };
    int64_t each = 1;
    for (int i = PTF_SIDE_A; i <= PTF_SIDE_B; i += PTF_SIDE_B - PTF_SIDE_A) {
        const ptf_side *side = &c->sides[i];
        for (int k = 0; k < side->net->node_count; k++)
            each += ptf_shape_numel(&side->shapes[k]);
    }
    if (c->sides[PTF_SIDE_A].net->whole)
        return 1;
    return ptf_max_i64(ptf_min_i64(MOST_NUMBERS / each, PTF_ENCLOSE_IMAGES), 1);
}

static ptf_status make_plans(ptf_check *c, const ptf_shape *inputs,
                             ptf_error *err)
{
    c->group = group_of(c);
    size_t room = (size_t)(c->group * c->outputs_each);
    ptf_status status = PTF_OK;
    for (int i = PTF_SIDE_A; status == PTF_OK && i <= PTF_SIDE_B;
         i += PTF_SIDE_B - PTF_SIDE_A) {
        ptf_side *side = &c->sides[i];
        ptf_plan_options options = {.threads = c->options.threads};
        side->out = ptf_arena_array(&c->arena, room, sizeof(float));
        side->kept_out = ptf_arena_array(&c->arena, room, sizeof(float));
        if (side->out == NULL || side->kept_out == NULL || !make_outs(c, side))
            return ptf_fail_memory(err);
        status = ptf_plan_make(side->net, inputs, c->group, &options,
                               &side->plan, err);
        options.keep = true;
        if (status == PTF_OK)
            status = ptf_plan_make(side->net, inputs, c->group, &options,
                                   &side->kept, err);
    }
    return status;
}

static size_t most_operands(const ptf_net *net)
{
    int most = 1;
    for (int i = 0; i < net->node_count; i++)
        most =
            net->nodes[i].input_count > most ? net->nodes[i].input_count : most;
    return (size_t)most;
}

/* What layers need, one after the other. */
static ptf_status make_room(ptf_check *c, ptf_error *err)
{
    const ptf_net *a = c->sides[PTF_SIDE_A].net, *b = c->sides[PTF_SIDE_B].net;
    size_t nodes_a = (size_t)a->node_count, nodes_b = (size_t)b->node_count;
    size_t operands = most_operands(a) + most_operands(b);
    c->threads =
        c->options.threads > 0 ? c->options.threads : ptf_thread_count();
    c->operands = ptf_arena_array(&c->arena, operands, sizeof(*c->operands));
    c->a_taps = ptf_arena_array(&c->arena, nodes_a, sizeof(*c->a_taps));
    c->taps = ptf_arena_array(&c->arena, nodes_b, sizeof(*c->taps));
    c->at = ptf_arena_array(&c->arena, (size_t)a->input_count, sizeof(*c->at));
    c->sums =
        ptf_arena_array(&c->arena, 2 * (size_t)c->threads, sizeof(*c->sums));
    c->silent = ptf_arena_array(&c->arena, (size_t)c->group, sizeof(bool));
    size_t outputs = (size_t)a->output_count;
    c->value = ptf_arena_array(&c->arena, outputs, sizeof(*c->value));
    c->radius = ptf_arena_array(&c->arena, outputs, sizeof(*c->radius));
    if (!c->operands || !c->a_taps || !c->taps || !c->at || !c->sums ||
        !c->silent || !c->value || !c->radius)
        return ptf_fail_memory(err);
    for (int i = PTF_SIDE_A; i <= PTF_SIDE_B; i += PTF_SIDE_B - PTF_SIDE_A) {
        c->outputs[i] = ptf_balls_new(&c->arena, c->group * c->outputs_each);
        if (c->outputs[i].value == NULL)
            return ptf_fail_memory(err);
    }
    return PTF_OK;
}

static bool has_numbers(const ptf_node *node)
{
    for (int role = 0; role < PTF_ROLE_COUNT; role++) {
        if (node->tensors[role] != NULL)
            return true;
    }
    return false;
}

static void name_layers(ptf_check *c)
{
    const ptf_net *a = c->sides[PTF_SIDE_A].net, *b = c->sides[PTF_SIDE_B].net;
    for (int i = b->input_count; i < b->node_count; i++) {
        int value = c->pairs[i].value;
        c->layers[i].name_a = value >= 0 ? a->nodes[value].name : NULL;
        c->layers[i].name_b = b->nodes[i].name;
        c->layers[i].op = b->nodes[i].class_name;
        c->layers[i].plain = value >= 0 && !has_numbers(&b->nodes[i]);
        c->layers[i].difference.atol = c->options.atol;
        c->layers[i].difference.rtol = c->options.rtol;
    }
}

typedef struct call {
    ptf_check *check;
    const ptf_net *a, *b;
    const ptf_shape *inputs;
} call;

static ptf_status make(void *context, ptf_error *err)
{
    const call *how = context;
    ptf_check *c = how->check;
    const ptf_net *a = how->a, *b = how->b;
    const ptf_shape *inputs = how->inputs;
    const ptf_parameters *numbers[PTF_SIDE_COUNT] = {NULL};
    size_t nodes = (size_t)b->node_count;
    size_t of_a = (size_t)a->node_count + 1;
    bool *folded = ptf_arena_array(&c->arena, of_a, sizeof(*folded));
    c->chain = ptf_arena_array(&c->arena, of_a, sizeof(*c->chain));
    c->made = ptf_arena_array(&c->arena, of_a, sizeof(*c->made));
    c->pairs = ptf_arena_array(&c->arena, nodes, sizeof(*c->pairs));
    c->layers = ptf_arena_array(&c->arena, nodes, sizeof(*c->layers));
    if (!folded || !c->chain || !c->made || !c->pairs || !c->layers)
        return ptf_fail_memory(err);
    ptf_status status = check_ports(a, b, err);
    if (status == PTF_OK)
        status = make_side(c, PTF_SIDE_A, a, inputs, err);
    if (status == PTF_OK)
        status = make_side(c, PTF_SIDE_B, b, inputs, err);
    if (status == PTF_OK)
        status = pair_nets(c, folded, err);
    if (status == PTF_OK)
        status = make_numbers(c, folded, numbers, err);
    if (status == PTF_OK)
        status = make_enclosures(c, inputs, numbers, err);
    if (status == PTF_OK)
        status = check_sizes(c, err);
    if (status == PTF_OK)
        status = make_plans(c, inputs, err);
    if (status == PTF_OK)
        status = make_room(c, err);
    if (status == PTF_OK)
        name_layers(c);
    if (status == PTF_OK && c->mismatch.reason == NULL)
        status = ptf_check_probe(c, err);
    return status;
}

/* Whether tensor 'part' is the numbers of 'whole' from 'first' on. */
static bool is_part(const ptf_tensor *part, const ptf_tensor *whole,
                    int64_t first)
{
    if (part == NULL || whole == NULL || whole->rank != 1)
        return part == whole || (part != NULL && whole != NULL);
    int64_t off =
        first * whole->stride[0] * (int64_t)ptf_dtype_size(whole->dtype);
    return part->dtype == whole->dtype && part->stride[0] == whole->stride[0] &&
           part->data == (const char *)whole->data + off &&
           first + part->shape[0] <= whole->shape[0];
}

/*
 * The net is split by what rewrites split with, which would prove nothing: each
 * part before a concatenation is held against A's batch norm here, channel by
 * channel in the concatenation's order.
 */
static bool is_split_of(const ptf_net *a, const ptf_net *split)
{
    bool right = true;
    for (int i = split->input_count; right && i < split->node_count; i++) {
        const ptf_node *join = &split->nodes[i];
        int64_t first = 0;
        for (int k = 0; join->op == PTF_OP_CONCAT && k < join->input_count;
             k++) {
            const ptf_node *part = &split->nodes[join->inputs[k]];
            const ptf_node *norm = &a->nodes[part->origin];
            bool own = ptf_op_is(part->op, PTF_FAMILY_AFFINE) &&
                       norm->inputs[0] == join->origin;
            for (int role = 0; own && role < PTF_ROLE_COUNT; role++)
                right = right && is_part(part->tensors[role],
                                         norm->tensors[role], first);
            first += own ? part->attrs.out_channels : 0;
        }
    }
    return right;
}

ptf_status ptf_check_make(const ptf_net *a, const ptf_net *b,
                          const ptf_shape *inputs,
                          const ptf_check_options *options, ptf_check **out,
                          ptf_error *err)
{
    *out = NULL;
    if (!a->has_tensors || !b->has_tensors)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "nets without numbers cannot be compared");
    ptf_check *c = ptf_alloc(sizeof(*c));
    if (c == NULL)
        return ptf_fail_memory(err);
    ptf_options_read(options, &c->options, sizeof(c->options));
    c->certificate.goal = c->options.bound > 0 ? c->options.bound : PTF_BOUND;
    ptf_verdict_init(&c->verdict, c->options.atol, c->options.rtol);
    ptf_status status = PTF_OK;
    if (ptf_net_count_splits(a) > 0 && ptf_net_count_splits(b) == 0)
        status = ptf_net_split_norms(a, &c->split, err);
    if (c->split != NULL && !is_split_of(a, c->split)) {
        ptf_net_free(c->split);
        c->split = NULL; /* then B's layers have no counterparts */
    }
    call how = {c, c->split != NULL ? c->split : a, b, inputs};
    if (status == PTF_OK)
        status = ptf_call_ieee(make, &how, err);
    if (status == PTF_OK)
        *out = c;
    else
        ptf_check_free(c);
    return status;
}

void ptf_check_free(ptf_check *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < PTF_SIDE_COUNT; i++) {
        ptf_enclosure_free(c->enclosures[i]);
        ptf_plan_free(c->sides[i].plan);
        ptf_plan_free(c->sides[i].kept);
        ptf_exact_free(c->sides[i].exact);
    }
    for (int i = 0; i < PTF_SIDE_COUNT; i++)
        ptf_free(c->scratch[i].bytes);
    ptf_net_free(c->split);
    ptf_arena_free(&c->arena);
    ptf_free(c->open);
    ptf_free(c);
}

ptf_status ptf_check_run(ptf_check *c, const float *const *in, int64_t count,
                         ptf_error *err)
{
    int inputs = c->sides[PTF_SIDE_A].net->input_count;
    const float **at = ptf_alloc((size_t)inputs * sizeof(*at));
    ptf_status status = at != NULL ? PTF_OK : ptf_fail_memory(err);
    for (int64_t n = 0; status == PTF_OK && n < count; n += c->group) {
        for (int k = 0; k < inputs; k++)
            at[k] = in[k] + n * c->inputs[k];
        status = ptf_check_group(c, at, ptf_min_i64(count - n, c->group), err);
    }
    ptf_free(at);
    return status;
}
