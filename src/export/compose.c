/*
 * The walk through a net that becomes a program, and the program's frame:
 * inputs, outputs, signature.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/compose.h"

/* -------------------------------------------------------------------- forms */

typedef struct walk {
    const ptf_net *net;
    const ptf_shape *shapes;
    const bool *computed; /* by node: it depends on an input */
} walk;

static int rank_of(const walk *w, const ptf_node *node, int operand)
{
    return w->shapes[node->inputs[operand]].rank;
}

/* PyTorch aligns shapes at their ends: what has a batch must begin with it. */
static bool is_aligned(const walk *w, const ptf_node *node, int rank)
{
    bool all = true;
    for (int i = 0; i < node->input_count; i++)
        all =
            all && (w->computed[node->inputs[i]] ? rank_of(w, node, i) == rank
                                                 : rank_of(w, node, i) <= rank);
    return all;
}

static bool multiplies(const walk *w, const ptf_node *node)
{
    const bool a = w->computed[node->inputs[0]],
               b = w->computed[node->inputs[1]];
    int left = rank_of(w, node, 0), right = rank_of(w, node, 1);
    if (a && b)
        return left == right && left >= 2;
    return a ? right <= left || right == 2 : left <= right && right >= 2;
}

/* Each sample's own positions, of what has no batch or has one. */
static bool looks_up(const walk *w, const ptf_node *node)
{
    bool own = w->computed[node->inputs[1]];
    if (node->op == PTF_OP_GATHER)
        return true;
    return own ? node->op == PTF_OP_INDEX_SELECT &&
                     !w->computed[node->inputs[0]]
               : w->computed[node->inputs[0]];
}

static bool is_batched(const walk *w, int index)
{
    const ptf_node *node = &w->net->nodes[index];
    if (ptf_op_is(node->op, PTF_FAMILY_SOURCE))
        return true;
    if (ptf_op_is(node->op, PTF_FAMILY_BINARY) || node->op == PTF_OP_WHERE)
        return is_aligned(w, node, w->shapes[index].rank);
    if (node->op == PTF_OP_MATMUL)
        return multiplies(w, node);
    return !ptf_op_is(node->op, PTF_FAMILY_GATHER) || looks_up(w, node);
}

static bool are_batched(const walk *w, bool *computed, const int *reads)
{
    bool all = w->net->input_count > 0 && !w->net->whole;
    for (int i = 0; i < w->net->node_count; i++) {
        const ptf_node *node = &w->net->nodes[i];
        computed[i] = i < w->net->input_count;
        for (int k = 0; k < node->input_count; k++)
            computed[i] = computed[i] || computed[node->inputs[k]];
        all = all && (reads[i] == 0 || is_batched(w, i));
    }
    for (int i = 0; i < w->net->output_count; i++)
        all = all && computed[w->net->outputs[i].node];
    return all;
}

/* -------------------------------------------------------------------- ports */

static void keep(ptf_composing *c, bool ok)
{
    c->failed = c->failed || !ok;
}

static void put_inputs(ptf_composing *c, json_t *names)
{
    for (int i = 0; i < c->net->input_count; i++) {
        const char *name = c->net->nodes[i].name;
        ptf_composed *v = &c->values[i];
        *v = (ptf_composed){
            .name = ptf_compose_name(c, "", name[0] != '\0' ? name : "x"),
            .dtype = c->net->inputs[i].dtype,
            .shape = c->shapes[i],
            .has_batch = !c->net->whole};
        keep(c, json_array_append_new(names, json_string(v->name)) == 0 &&
                    json_object_set_new(c->metas, v->name,
                                        ptf_compose_meta(c, v)) == 0);
    }
}

/* Where there is one sample, its axis goes. */
static void drop_batch(ptf_composing *c)
{
    for (int i = 0; i < c->net->input_count && !c->net->whole; i++) {
        ptf_composed *v = &c->values[i];
        if (c->batched)
            continue;
        v->name = ptf_compose_turn(c, v->name, v, false);
        v->has_batch = false;
    }
}

/* "output.1" has its place alone for a name. */
static bool is_place(const char *name, int index)
{
    char place[32];
    snprintf(place, sizeof(place), "output.%d", index);
    return name == NULL || strcmp(name, place) == 0;
}

static json_t *leaf(void)
{
    return json_pack("{s:n, s:n, s:[]}", "type", "context", "children_spec");
}

static json_t *branch(const char *type, json_t *context, json_t *children)
{
    return json_pack("{s:s, s:o, s:o}", "type", type, "context", context,
                     "children_spec", children);
}

static json_t *leaves(int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, leaf());
    return list;
}

static int add_text(const char *text, size_t size, void *buffer)
{
    ptf_buffer_add(buffer, text, size);
    return 0;
}

/* JSON as a text in JSON; takes it. */
static json_t *text_of(json_t *json)
{
    ptf_buffer b = {0};
    bool ok = json != NULL &&
              json_dump_callback(json, add_text, &b, JSON_ENSURE_ASCII) == 0 &&
              !b.failed;
    json_t *text = ok ? json_stringn((const char *)b.data, b.size) : NULL;
    ptf_buffer_free(&b);
    json_decref(json);
    return text;
}

/* A pytree, which is taken. */
static json_t *pytree(json_t *tree)
{
    return text_of(json_pack("[i, o]", 1, tree));
}

/* A tensor, a tuple where outputs have places, or a dict of their names. */
static json_t *out_tree(const ptf_net *net)
{
    bool places = true;
    json_t *names = json_array();
    for (int i = 0; i < net->output_count; i++) {
        const char *name = net->outputs[i].name;
        places = places && is_place(name, i);
        json_array_append_new(names, json_string(name != NULL ? name : ""));
    }
    const char *only = net->outputs[0].name;
    bool one =
        net->output_count == 1 && (only == NULL || strcmp(only, "output") == 0);
    json_t *keys = text_of(names);
    if (one || places)
        json_decref(keys);
    if (one)
        return leaf();
    return places ? branch("builtins.tuple", json_string("null"),
                           leaves(net->output_count))
                  : branch("builtins.dict", keys, leaves(net->output_count));
}

static json_t *in_tree(const ptf_net *net)
{
    json_t *arguments =
        branch("builtins.tuple", json_string("null"), leaves(net->input_count));
    json_t *named = branch("builtins.dict", json_string("[]"), json_array());
    return branch("builtins.tuple", json_string("null"),
                  json_pack("[o, o]", arguments, named));
}

/* A constant that is given out is a copy of it. */
static void put_constant(ptf_composing *c, const ptf_node *node,
                         ptf_composed *out)
{
    json_t *arguments = json_array();
    const char *name =
        ptf_compose_tensor(c, node->tensors[PTF_ROLE_WEIGHT], false, out);
    ptf_compose_argument(c, arguments, "self", ptf_compose_value(name));
    ptf_compose_call(c, "aten.clone.default", arguments, "clone", out);
}

static void put_outputs(ptf_composing *c, json_t *outputs, json_t *specs)
{
    c->node = NULL;
    for (int i = 0; i < c->net->output_count; i++) {
        const ptf_output *o = &c->net->outputs[i];
        ptf_composed *v = &c->values[o->node];
        const ptf_node *node = &c->net->nodes[o->node];
        if (v->name == NULL)
            put_constant(c, node, v);
        const char *name = ptf_compose_as(c, v, o->dtype);
        ptf_composed given = *v;
        given.dtype = o->dtype;
        if (!v->has_batch && !c->net->whole)
            name = ptf_compose_turn(c, name, &given, true);
        keep(c, json_array_append_new(outputs, ptf_compose_value(name)) == 0 &&
                    json_array_append_new(
                        specs, json_pack("{s:{s:o}}", "user_output", "arg",
                                         ptf_compose_value(name))) == 0);
    }
}

/* -------------------------------------------------------------------- whole */

/* Parameters, buffers, and then what the caller brings. */
static json_t *join(json_t *const lists[2], json_t *last)
{
    json_t *all = json_array();
    json_array_extend(all, lists[true]);
    json_array_extend(all, lists[false]);
    json_array_extend(all, last);
    json_decref(last);
    return all;
}

static json_t *user_inputs(const char *const *names, int count, bool specs)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_t *value = ptf_compose_value(names[i]);
        json_array_append_new(
            list,
            specs ? json_pack("{s:{s:o}}", "user_input", "arg", value) : value);
    }
    return list;
}

static json_t *call_graph(const ptf_composing *c, json_t *names)
{
    return json_pack("[{s:s, s:{s:[], s:[], s:o, s:o, s:O}}]", "fqn", "",
                     "signature", "inputs", "outputs", "in_spec",
                     pytree(in_tree(c->net)), "out_spec",
                     pytree(out_tree(c->net)), "forward_arg_names", names);
}

static json_t *ranges(const ptf_composing *c)
{
    return c->batched ? json_pack("{s:{s:i, s:n}}", PTF_COMPOSE_SYMBOL,
                                  "min_val", 0, "max_val")
                      : json_object();
}

/* What stands around the graph; takes it and the specs. */
static json_t *frame(const ptf_composing *c, json_t *graph, json_t *inputs,
                     json_t *outputs, json_t *names)
{
    json_t *module = json_pack(
        "{s:o, s:{s:o, s:o}, s:o, s:{}, s:{}}", "graph", graph, "signature",
        "input_specs", inputs, "output_specs", outputs, "module_call_graph",
        call_graph(c, names), "metadata", "treespec_namedtuple_fields");
    return json_pack("{s:o, s:{s:i}, s:o, s:{s:i, s:i}, s:[s], s:s, s:[]}",
                     "graph_module", module, "opset_version", "aten", 10,
                     "range_constraints", ranges(c), "schema_version", "major",
                     PTF_DRAFT_MAJOR, "minor", PTF_DRAFT_MINOR, "verifiers",
                     "TRAINING", "torch_version", "2.13.0", "guards_code");
}

/* It would be numbers when the program is read. */
static ptf_status refuse_constant(const ptf_composing *c)
{
    return ptf_node_fail(c->err, PTF_UNSUPPORTED, c->node,
                         "depends on no input, so that a .pt2 cannot be "
                         "written; write .safetensors");
}

static ptf_status put_nodes(ptf_composing *c, const int *reads,
                            const bool *computed)
{
    ptf_status status = PTF_OK;
    for (int i = c->net->input_count;
         i < c->net->node_count && status == PTF_OK; i++) {
        c->index = i;
        c->node = &c->net->nodes[i];
        if (reads[i] == 0 || c->node->op == PTF_OP_CONSTANT)
            continue;
        status = computed[i] ? ptf_compose_node(c) : refuse_constant(c);
    }
    for (int i = 0; i < c->net->output_count && status == PTF_OK; i++) {
        c->node = &c->net->nodes[c->net->outputs[i].node];
        if (!computed[c->net->outputs[i].node] && !c->net->whole)
            status = refuse_constant(c);
    }
    return status;
}

static ptf_status compose(ptf_composing *c, const int *reads,
                          const bool *computed)
{
    int count = c->net->input_count;
    const char **given =
        ptf_arena_array(&c->draft->arena, (size_t)count + 1, sizeof(*given));
    json_t *names = json_array(), *outputs = json_array(),
           *results = json_array();
    if (given == NULL)
        c->failed = true;
    put_inputs(c, names);
    for (int i = 0; i < count && !c->failed; i++)
        given[i] = c->values[i].name;
    drop_batch(c);
    ptf_status status = put_nodes(c, reads, computed);
    if (status == PTF_OK)
        put_outputs(c, outputs, results);
    json_t *graph = json_pack(
        "{s:o, s:o, s:O, s:O, s:O, s:{}, s:{}, s:{}, s:b}", "inputs",
        join(c->inputs, user_inputs(given, count, false)), "outputs", outputs,
        "nodes", c->calls, "tensor_values", c->metas, "sym_int_values",
        c->numbers, "sym_bool_values", "sym_float_values", "custom_obj_values",
        "is_single_tensor_return", false);
    c->draft->root =
        frame(c, graph, join(c->specs, user_inputs(given, count, true)),
              results, names);
    json_decref(names);
    if (status == PTF_OK && (c->failed || c->draft->root == NULL))
        status = ptf_fail_memory(c->err);
    return status;
}

static ptf_status check_input(const ptf_net *net, ptf_error *err)
{
    for (int i = 0; i < net->input_count; i++) {
        if (!net->inputs[i].has_shape)
            return ptf_net_fail(err, PTF_ARGUMENT, net,
                                "expected the input's shape, which a .pt2 "
                                "states; give --input CxHxW");
    }
    return PTF_OK;
}

static ptf_status prepare(ptf_composing *c, int **reads, bool **out)
{
    ptf_arena *arena = &c->draft->arena;
    size_t count = (size_t)c->net->node_count;
    ptf_shape *shapes = ptf_arena_array(arena, count, sizeof(*shapes));
    ptf_shape *own =
        ptf_arena_array(arena, (size_t)c->net->input_count + 1, sizeof(*own));
    bool *computed = ptf_arena_array(arena, count, sizeof(*computed));
    *reads = ptf_arena_array(arena, count, sizeof(**reads));
    c->values = ptf_arena_array(arena, count, sizeof(*c->values));
    if (shapes == NULL || own == NULL || computed == NULL || *reads == NULL ||
        c->values == NULL)
        return ptf_fail_memory(c->err);
    ptf_status status = check_input(c->net, c->err);
    if (status != PTF_OK)
        return status;
    ptf_net_own_shapes(c->net, own);
    status = ptf_net_shapes(c->net, own, shapes, c->err);
    if (status != PTF_OK)
        return status;
    ptf_net_count_reads(c->net, *reads);
    c->shapes = shapes;
    const walk w = {c->net, shapes, computed};
    *out = computed;
    c->batched = are_batched(&w, computed, *reads);
    return PTF_OK;
}

ptf_status ptf_draft_compose(const ptf_net *net, ptf_draft *out, ptf_error *err)
{
    int *reads = NULL;
    bool *computed = NULL;
    *out =
        (ptf_draft){.program = net->program, /* its example and extra files */
                    .assumes = net->program == NULL ? net->assumption : NULL};
    ptf_composing c = {.draft = out,
                       .net = net,
                       .calls = json_array(),
                       .metas = json_object(),
                       .numbers = json_object(),
                       .inputs = {json_array(), json_array()},
                       .specs = {json_array(), json_array()},
                       .err = err};
    ptf_status status = prepare(&c, &reads, &computed);
    if (status == PTF_OK)
        status = compose(&c, reads, computed);
    json_t *const lists[] = {c.calls,     c.metas,    c.numbers, c.inputs[0],
                             c.inputs[1], c.specs[0], c.specs[1]};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(lists); i++)
        json_decref(lists[i]);
    ptf_text_table_free(&c.names);
    ptf_text_table_free(&c.known);
    return status;
}
