/*
 * A net that was rewritten, as a change of the program that it was made from:
 * calls whose node is gone are bypassed, tensors that are others take the
 * place of those, and a linear layer that became a convolution is called as
 * one.  A call that is more than one node of the net, or in a region, cannot
 * be changed alone, and is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/export.h"

typedef struct rewriting {
    ptf_draft_edit edit;
    const ptf_program *program;
    const ptf_net *net, *base; /* rewritten, and as the program gave it */
    int *now;                  /* by base's nodes: net's node, or -1 */
    int *instead;              /* of one that is gone: what its readers read
                                  now, of net's nodes, or -1: there are none */
    int *nodes;                /* by calls: how many nodes, but constants */
    ptf_shape *before, *after; /* of nodes */
    const ptf_shape **changed; /* by the program's values: the new shape */
    ptf_error *err;
} rewriting;

static const ptf_program_node *call_of(const rewriting *r, int node)
{
    int call = r->base->nodes[node].call;
    return call >= 0 ? &r->program->graph.nodes[call] : NULL;
}

static ptf_status refuse(const rewriting *r, int node, const char *why)
{
    const ptf_program_node *call = call_of(r, node);
    if (call == NULL)
        return ptf_node_fail(r->err, PTF_UNSUPPORTED, &r->base->nodes[node],
                             "%s, so that a .pt2 cannot be written; write "
                             ".safetensors",
                             why);
    return ptf_program_fail(r->program, call, r->err, PTF_UNSUPPORTED,
                            "%s, so that a .pt2 cannot be written; write "
                            ".safetensors",
                            why);
}

/* ------------------------------------------------------------- preparations */

/* Where each node of the first net is in the last one. */
static void follow(rewriting *r)
{
    for (int i = 0; i < r->base->node_count; i++)
        r->now[i] = -1;
    for (int i = 0; i < r->net->node_count; i++) {
        int at = i;
        for (const ptf_net *net = r->net; net != r->base; net = net->parent)
            at = net->nodes[at].origin;
        r->now[at] = i;
    }
}

/* What nodes that are left read in place of one that is gone. */
static void stand_in(rewriting *r, int gone, int now)
{
    if (r->now[gone] < 0)
        r->instead[gone] = now;
}

/* Whether what one that is gone gave comes of that node of the net, by way of
 * others that are gone. */
static bool leads_to(const rewriting *r, int node, int now)
{
    const ptf_node *base = &r->base->nodes[node];
    bool leads = r->now[node] == now;
    for (int k = 0; !leads && r->now[node] < 0 && k < base->input_count; k++)
        leads = leads_to(r, base->inputs[k], now);
    return leads;
}

/* The operand of one that is gone through which it is bypassed. */
static int way(const rewriting *r, int gone)
{
    const ptf_node *node = &r->base->nodes[gone];
    int k = 0;
    while (k + 1 < node->input_count && r->instead[gone] >= 0 &&
           !leads_to(r, node->inputs[k], r->instead[gone]))
        k++;
    return k;
}

static void find_instead(rewriting *r)
{
    for (int i = 0; i < r->base->node_count; i++)
        r->instead[i] = -1;
    for (int i = 0; i < r->base->output_count; i++)
        stand_in(r, r->base->outputs[i].node, r->net->outputs[i].node);
    for (int i = r->base->node_count - 1; i >= 0; i--) {
        const ptf_node *node = &r->base->nodes[i];
        const ptf_node *now = r->now[i] >= 0 ? &r->net->nodes[r->now[i]] : NULL;
        for (int k = 0; now != NULL && k < node->input_count; k++)
            stand_in(r, node->inputs[k], now->inputs[k]);
        if (now == NULL && r->instead[i] >= 0 && node->input_count > 0)
            stand_in(r, node->inputs[way(r, i)], r->instead[i]);
    }
}

static ptf_status prepare(rewriting *r, ptf_arena *arena)
{
    const ptf_program_graph *g = &r->program->graph;
    size_t base = (size_t)r->base->node_count, net = (size_t)r->net->node_count;
    r->now = ptf_arena_array(arena, base, sizeof(*r->now));
    r->instead = ptf_arena_array(arena, base, sizeof(*r->instead));
    r->nodes = ptf_arena_array(arena, (size_t)g->node_count, sizeof(*r->nodes));
    r->before = ptf_arena_array(arena, base, sizeof(*r->before));
    r->after = ptf_arena_array(arena, net, sizeof(*r->after));
    r->changed =
        ptf_arena_array(arena, (size_t)g->value_count, sizeof(*r->changed));
    ptf_shape *inputs =
        ptf_arena_array(arena, (size_t)r->base->input_count, sizeof(*inputs));
    if (r->now == NULL || r->instead == NULL || r->nodes == NULL ||
        r->before == NULL || r->after == NULL || r->changed == NULL ||
        inputs == NULL)
        return ptf_fail_memory(r->err);
    follow(r);
    find_instead(r);
    for (int i = 0; i < r->base->node_count; i++) {
        const ptf_node *node = &r->base->nodes[i];
        if (node->call >= 0 && node->op != PTF_OP_CONSTANT)
            r->nodes[node->call]++;
    }
    ptf_net_own_shapes(r->base, inputs); /* programs say them */
    ptf_status status = ptf_net_shapes(r->base, inputs, r->before, r->err);
    return status == PTF_OK ? ptf_net_shapes(r->net, inputs, r->after, r->err)
                            : status;
}

/* The JSON of a node's call, which makes this node and no other. */
static ptf_status find_call(rewriting *r, int node, json_t **out)
{
    const ptf_program_node *call = call_of(r, node);
    if (call == NULL || r->nodes[r->base->nodes[node].call] != 1 ||
        call->result_count < 1 || call->results[0] < 0)
        return refuse(r, node, "is several layers, of which one changed");
    *out = ptf_draft_edit_call(&r->edit,
                               r->program->graph.values[call->results[0]].name);
    const char *target = json_string_value(json_object_get(*out, "target"));
    static const char prefix[] = "torch.ops.";
    if (target == NULL || call->schema == NULL ||
        strncmp(target, prefix, strlen(prefix)) != 0 ||
        strcmp(target + strlen(prefix), call->target) != 0)
        return refuse(r, node, "was changed inside of a region (autocast)");
    return PTF_OK;
}

/* ------------------------------------------------------------------ changes */

static bool same_tensor(const ptf_tensor *a, const ptf_tensor *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    size_t size = (size_t)a->rank * sizeof(*a->shape);
    return a->data == b->data && a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->shape, b->shape, size) == 0 &&
           memcmp(a->stride, b->stride, size) == 0;
}

static bool is_changed(const ptf_node *a, const ptf_node *b)
{
    bool same = a->op == b->op && strcmp(a->text, b->text) == 0;
    for (int role = 0; role < PTF_ROLE_COUNT && same; role++)
        same = same_tensor(a->tensors[role], b->tensors[role]);
    return !same;
}

/* What the call reads first, whatever its operator calls it. */
static const char *first_argument(const ptf_program_node *call)
{
    static const char *const names[] = {"input", "self", "mat1"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        const ptf_argument *a = ptf_program_argument(call, names[i]);
        bool adds = strcmp(names[i], "self") == 0 &&
                    ptf_program_argument(call, "mat1") != NULL;
        if (a != NULL && a->kind == PTF_ARGUMENT_VALUE && !adds)
            return names[i];
    }
    return NULL;
}

static ptf_status bypass(rewriting *r, int node)
{
    json_t *json = NULL;
    const char *input = NULL;
    ptf_status status = find_call(r, node, &json);
    if (status == PTF_OK)
        input = way(r, node) == 0 ? first_argument(call_of(r, node)) : "other";
    if (status == PTF_OK &&
        (input == NULL || !ptf_draft_edit_bypass(&r->edit, json, input)))
        return refuse(r, node, "gives what is read elsewhere");
    return status;
}

/* The state dict's name of what has none yet. */
static const char *wanted(rewriting *r, int node, ptf_role role)
{
    const ptf_program_node *call = call_of(r, node);
    bool inside = call->module[0] != '\0';
    return ptf_arena_printf(&r->edit.draft->arena, "%s.%s",
                            inside ? call->module : call->name,
                            ptf_role_name(role));
}

static ptf_status set_tensors(rewriting *r, int node, json_t *json)
{
    static const ptf_role roles[] = {PTF_ROLE_WEIGHT, PTF_ROLE_BIAS};
    const ptf_node *now = &r->net->nodes[r->now[node]];
    for (size_t i = 0; i < PTF_ARRAY_SIZE(roles); i++) {
        const char *name = wanted(r, node, roles[i]);
        if (name == NULL)
            return ptf_fail_memory(r->err);
        ptf_draft_edit_tensor(&r->edit, json, ptf_role_name(roles[i]),
                              now->tensors[roles[i]], name);
    }
    return PTF_OK;
}

/* True where the call has weight and bias as the layer has them. */
static bool has_weight(const rewriting *r, int node)
{
    const ptf_program_node *call = call_of(r, node);
    const ptf_argument *weight = ptf_program_argument(call, "weight");
    const ptf_tensor *old = r->base->nodes[node].tensors[PTF_ROLE_WEIGHT];
    if (weight == NULL || weight->kind != PTF_ARGUMENT_VALUE || old == NULL ||
        ptf_program_argument(call, "bias") == NULL)
        return false;
    const ptf_program_value *v = &r->program->graph.values[weight->value];
    bool same = v->rank == old->rank;
    for (int d = 0; d < v->rank && same; d++)
        same = v->sizes[d].known && v->sizes[d].value == old->shape[d];
    return same;
}

static const char *target_of(ptf_op op)
{
    static const char *const targets[PTF_OP_COUNT] = {
        [PTF_OP_LINEAR] = "aten.linear.default",
        [PTF_OP_CONV1D] = "aten.conv1d.default",
        [PTF_OP_CONV2D] = "aten.conv2d.default",
        [PTF_OP_CONV3D] = "aten.conv3d.default",
        [PTF_OP_AVGPOOL1D] = "aten.avg_pool1d.default",
        [PTF_OP_AVGPOOL2D] = "aten.avg_pool2d.default",
        [PTF_OP_AVGPOOL3D] = "aten.avg_pool3d.default",
    };
    return targets[op];
}

/* A product whose weights are others, or that is another kind of product. */
static ptf_status change_product(rewriting *r, int node)
{
    const ptf_node *was = &r->base->nodes[node];
    const ptf_node *now = &r->net->nodes[r->now[node]];
    json_t *json = NULL;
    ptf_status status = find_call(r, node, &json);
    if (status != PTF_OK)
        return status;
    if (now->attrs.scale_shift)
        return refuse(r, node,
                      "has a scale and a shift, which PyTorch's has "
                      "not");
    if (was->op != now->op || !has_weight(r, node)) {
        const char *input = first_argument(call_of(r, node));
        if (was->op != PTF_OP_LINEAR || target_of(now->op) == NULL ||
            input == NULL)
            return refuse(r, node, "has no weights of its own");
        ptf_draft_edit_retarget(&r->edit, json, target_of(now->op), input);
    }
    return set_tensors(r, node, json);
}

static json_t *list_of(const int64_t *numbers, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    return json_pack("{s:o}", "as_ints", list);
}

/* A mean that became one of windows. */
static ptf_status change_average(rewriting *r, int node)
{
    const ptf_node *now = &r->net->nodes[r->now[node]];
    int axes = ptf_op_map_axes(now->op), first = PTF_MAP_AXES - axes;
    json_t *json = NULL;
    ptf_status status = find_call(r, node, &json);
    if (status != PTF_OK)
        return status;
    const char *input = first_argument(call_of(r, node));
    if (input == NULL)
        return refuse(r, node, "became an average of windows");
    ptf_draft_edit_retarget(&r->edit, json, target_of(now->op), input);
    ptf_draft_edit_set(&r->edit, json, "kernel_size",
                       list_of(now->attrs.kernel + first, axes));
    ptf_draft_edit_set(&r->edit, json, "stride",
                       list_of(now->attrs.stride + first, axes));
    return PTF_OK;
}

static ptf_status change(rewriting *r, int node)
{
    const ptf_node *was = &r->base->nodes[node];
    const ptf_node *now = &r->net->nodes[r->now[node]];
    json_t *json = NULL;
    if (!is_changed(was, now))
        return PTF_OK;
    if (ptf_op_is(was->op, PTF_FAMILY_PRODUCT) &&
        ptf_op_is(now->op, PTF_FAMILY_PRODUCT))
        return change_product(r, node);
    if (was->op != now->op && ptf_op_is(now->op, PTF_FAMILY_POOL) &&
        target_of(now->op) != NULL)
        return change_average(r, node);
    bool same = true; /* of one, two or three axes: PyTorch calls it the same */
    for (int role = 0; role < PTF_ROLE_COUNT; role++)
        same = same && same_tensor(was->tensors[role], now->tensors[role]);
    if (same && ptf_op_is(was->op, PTF_FAMILY_AFFINE) &&
        ptf_op_is(now->op, PTF_FAMILY_AFFINE))
        return PTF_OK;
    if (!ptf_op_is(now->op, PTF_FAMILY_SOFTMAX))
        return refuse(r, node, "became a layer that is called otherwise");
    ptf_status status = find_call(r, node, &json);
    if (status == PTF_OK)
        ptf_draft_edit_set(
            &r->edit, json, "dim",
            json_pack("{s:I}", "as_int", (json_int_t)now->attrs.dim));
    return status;
}

/* ------------------------------------------------------------------- shapes */

static bool same_shape(const ptf_shape *a, const ptf_shape *b)
{
    return a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) == 0;
}

static ptf_status set_shape(rewriting *r, int node, int value,
                            const ptf_shape *shape)
{
    const ptf_program_value *v = &r->program->graph.values[value];
    if (r->now[node] < 0) { /* its readers read another value */
        r->changed[value] = shape;
        return PTF_OK;
    }
    if (r->base->whole || v->rank != r->before[node].rank + 1)
        return refuse(r, node, "has no axis for the batch");
    r->changed[value] = shape;
    ptf_draft_edit_shape(&r->edit, v->name, shape);
    return PTF_OK;
}

/* Operators that are no layer of a net: they give what they read. */
static bool is_listed(const char *const *list, const char *target)
{
    while (*list != NULL && strcmp(*list, target) != 0)
        list++;
    return *list != NULL;
}

/*
 * A call that is no layer and reads what has another shape now.  What gives
 * the same whatever the shape is has that shape, too; a view that changed
 * nothing is left out.
 */
static ptf_status pass_shape(rewriting *r, const ptf_program_node *call)
{
    static const char *const same[] = {
        "aten.dropout.default", "aten.dropout_.default",
        "aten.clone.default",   "aten.contiguous.default",
        "aten.alias.default",   "aten.detach.default",
        "aten.detach_.default", NULL};
    static const char *const views[] = {"aten.view.default",
                                        "aten.reshape.default",
                                        "aten._unsafe_view.default", NULL};
    const ptf_argument *a = call->argument_count > 0 ? call->arguments : NULL;
    if (a == NULL || a->kind != PTF_ARGUMENT_VALUE ||
        r->changed[a->value] == NULL)
        return PTF_OK;
    const ptf_shape *shape = r->changed[a->value];
    const char *name = call->result_count > 0 && call->results[0] >= 0
                           ? r->program->graph.values[call->results[0]].name
                           : "";
    json_t *json = ptf_draft_edit_call(&r->edit, name);
    bool bypassed = json != NULL && is_listed(views, call->target) &&
                    ptf_draft_edit_bypass(&r->edit, json, a->name);
    if (json == NULL || !(bypassed || is_listed(same, call->target)))
        return ptf_program_fail(r->program, call, r->err, PTF_UNSUPPORTED,
                                "reads what became a map, so that a .pt2 "
                                "cannot be written; write .safetensors");
    r->changed[call->results[0]] = shape;
    if (!bypassed)
        ptf_draft_edit_shape(&r->edit, name, shape);
    return PTF_OK;
}

static ptf_status set_shapes(rewriting *r)
{
    const ptf_program_graph *g = &r->program->graph;
    ptf_status status = PTF_OK;
    for (int i = 0; i < r->base->node_count && status == PTF_OK; i++) {
        const ptf_program_node *call = call_of(r, i);
        int now = r->now[i] >= 0 ? r->now[i] : r->instead[i];
        if (now < 0 || same_shape(&r->before[i], &r->after[now]))
            continue;
        if (call == NULL || r->nodes[r->base->nodes[i].call] != 1)
            return refuse(r, i, "is several layers, of which one changed");
        status = set_shape(r, i, call->results[0], &r->after[now]);
    }
    for (int i = 0; i < g->node_count && status == PTF_OK; i++) {
        if (r->nodes[i] == 0)
            status = pass_shape(r, &g->nodes[i]);
    }
    return status;
}

/* -------------------------------------------------------------------- whole */

static ptf_status rewrite(rewriting *r, ptf_arena *arena)
{
    ptf_status status = prepare(r, arena);
    for (int i = r->base->input_count;
         i < r->base->node_count && status == PTF_OK; i++) {
        if (r->base->nodes[i].op != PTF_OP_CONSTANT)
            status = r->now[i] < 0 ? bypass(r, i) : change(r, i);
    }
    return status == PTF_OK ? set_shapes(r) : status;
}

ptf_status ptf_draft_rewrite(ptf_draft *draft, const ptf_net *net,
                             ptf_error *err)
{
    ptf_arena arena = {NULL};
    rewriting r = {
        .program = draft->program, .net = net, .base = net, .err = err};
    while (r.base->parent != NULL)
        r.base = r.base->parent;
    if (r.base == net)
        return PTF_OK;
    ptf_status status = ptf_draft_edit_begin(draft, &r.edit, err);
    if (status == PTF_OK)
        status = rewrite(&r, &arena);
    ptf_status finished = ptf_draft_edit_finish(&r.edit);
    ptf_arena_free(&arena);
    return status == PTF_OK ? finished : status;
}
