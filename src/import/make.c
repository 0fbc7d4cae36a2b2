/*
 * From a print(model) text to a graph.  Layers run in the order of the text; a
 * module with children that is no layer is a container.  Whether that is what
 * its forward() does is the question of order.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/order.h"
#include "net/graph.h"

typedef struct maker {
    ptf_net *net;
    const ptf_reading *how;
    ptf_text text;
    const char *file; /* the text's name, as long as the net lives */
    int next_line;
    ptf_node *nodes;
    int node_capacity;
    ptf_container *containers;
    int container_capacity;
    int last;               /* node */
    ptf_partial_shape kind; /* of its value */
    int line;               /* number of the line that is being read */
    ptf_error *err;
} maker;

/* ---------------------------------------------------------------- the graph */

static ptf_status add_node(maker *m, const ptf_node *node)
{
    ptf_net *net = m->net;
    void *nodes = m->nodes;
    if (net->node_count > PTF_LAYER_MAX)
        return ptf_text_fail(m->err, PTF_UNSUPPORTED, m->text.name, m->line,
                             "more than %d layers", PTF_LAYER_MAX);
    if (!ptf_arena_grow(&net->arena, &nodes, net->node_count, &m->node_capacity,
                        sizeof(*node)))
        return ptf_fail_memory(m->err);
    m->nodes = nodes;
    net->nodes = nodes;
    m->nodes[net->node_count] = *node;
    m->nodes[net->node_count].file = m->file;
    m->last = net->node_count++;
    return PTF_OK;
}

static ptf_status add_input(maker *m)
{
    ptf_net *net = m->net;
    const ptf_input input = {.has_shape = m->text.has_input,
                             .shape = m->text.input};
    if (!ptf_net_add_input(net, &input))
        return ptf_fail_memory(m->err);
    m->kind = ptf_net_input_partial_shape(net, 0);
    return add_node(m, &(ptf_node){.op = PTF_OP_INPUT,
                                   .name = "",
                                   .class_name = "Input",
                                   .text = "Input()",
                                   .container = -1});
}

/* PyTorch code flattens a map in forward(), which print(model) cannot show. */
static ptf_status add_implied_flatten(maker *m)
{
    ptf_node node = {.op = PTF_OP_FLATTEN,
                     .name = "",
                     .class_name = "Flatten",
                     .implied = true,
                     .container = -1};
    ptf_attrs_default(PTF_OP_FLATTEN, &node.attrs);
    node.text = ptf_op_text(&m->net->arena, PTF_OP_FLATTEN, &node.attrs);
    if (node.text == NULL || !ptf_node_read(&m->net->arena, &node, 1, &m->last))
        return ptf_fail_memory(m->err);
    m->kind = (ptf_partial_shape){2, 0};
    return add_node(m, &node);
}

static ptf_status join_path(maker *m, const char *parent, const ptf_item *item,
                            int64_t index, const char **out)
{
    size_t size = strlen(parent) + item->key_size + 24;
    if (size > PTF_PATH_MAX)
        return ptf_text_fail(m->err, PTF_FORMAT, m->text.name, m->line,
                             "the names of the modules around this one have "
                             "more than %d bytes",
                             PTF_PATH_MAX);
    ptf_arena *arena = &m->net->arena;
    const char *dot = parent[0] != '\0' ? "." : "";
    if (item->first < 0)
        *out = ptf_arena_printf(arena, "%s%s%.*s", parent, dot,
                                (int)item->key_size, item->key);
    else
        *out = ptf_arena_printf(arena, "%s%s%lld", parent, dot,
                                (long long)(item->first + index));
    return *out != NULL ? PTF_OK : ptf_fail_memory(m->err);
}

/* ------------------------------------------------------------------- layers */

/* An empty Sequential passes its input on. */
static bool find_op(const ptf_item *item, ptf_op *op)
{
    static const char empty[] = "Sequential";
    if (ptf_op_find(item->class_name, item->class_size, op))
        return true;
    *op = PTF_OP_IDENTITY;
    return item->args_size == 0 && item->class_size == strlen(empty) &&
           memcmp(item->class_name, empty, strlen(empty)) == 0;
}

static ptf_status read_layer(maker *m, const ptf_item *item, ptf_node *out)
{
    if (!find_op(item, &out->op))
        return ptf_text_fail(m->err, PTF_UNSUPPORTED, m->text.name, m->line,
                             "%.*s is a layer that ptfold does not know; "
                             "torch.export.save() writes what it is made of",
                             (int)item->class_size, item->class_name);
    char message[256];
    const char *implied = ptf_op_implied(item->class_name, item->class_size);
    const char *wrong = ptf_attrs_parse(out->op, implied, item->args,
                                        item->args_size, &out->attrs, message);
    if (wrong != NULL)
        return ptf_text_fail(m->err, PTF_UNSUPPORTED, m->text.name, m->line,
                             "%s", wrong);
    out->op = ptf_op_fit(out->op, item->class_name, item->class_size,
                         &out->attrs, m->kind.rank);
    ptf_arena *arena = &m->net->arena;
    out->text = ptf_arena_copy(arena, item->text, item->text_size);
    out->class_name = ptf_arena_copy(arena, item->class_name, item->class_size);
    if (out->text == NULL || out->class_name == NULL)
        return ptf_fail_memory(m->err);
    return PTF_OK;
}

/*
 * After a map, PyTorch's code flattens in forward(); an nn.Sequential has no
 * code of its own, and its Linear works on the last dimension.
 */
static ptf_status flatten_for(maker *m, const ptf_node *linear)
{
    if (m->how->assumes == NULL && ptf_order_unknown(m->net) < 0)
        return PTF_OK;
    if (m->kind.rank == 4)
        return add_implied_flatten(m);
    return ptf_text_fail(m->err, PTF_UNSUPPORTED, m->text.name, m->line,
                         "%s follows channels x length, and forward() may or "
                         "may not flatten them; put a Flatten there",
                         linear->text);
}

/* The order is to blame as long as nobody vouched for it. */
static ptf_status refuse_layer(maker *m, const ptf_node *node, int64_t got,
                               const char *wrong)
{
    char text[PTF_REFUSAL_TEXT];
    int unknown = ptf_order_unknown(m->net);
    if (unknown >= 0 && !m->how->in_order && m->how->assumes == NULL)
        return ptf_order_fail(m->net, unknown, m->how, m->text.name, m->err);
    return ptf_text_fail(m->err, PTF_UNSUPPORTED, m->text.name, m->line,
                         "%s cannot follow %s: %s", node->class_name,
                         m->nodes[m->last].class_name,
                         ptf_op_refusal(wrong, &node->attrs, got, text));
}

static ptf_status add_layer(maker *m, const ptf_item *item, const char *path,
                            int container)
{
    ptf_node node = {.name = path, .container = container};
    ptf_status status = read_layer(m, item, &node);
    bool linear = status == PTF_OK && node.op == PTF_OP_LINEAR;
    if (linear && m->kind.rank > 2)
        status = flatten_for(m, &node);
    else if (linear && m->kind.rank == 0) /* see ptf_net_find_flat() */
        m->kind = (ptf_partial_shape){2, m->kind.channels};
    if (status != PTF_OK)
        return status;
    int64_t got = m->kind.channels;
    const char *wrong =
        ptf_op_partial_shape(node.op, &node.attrs, m->kind, &m->kind);
    if (wrong != NULL)
        return refuse_layer(m, &node, got, wrong);
    if (!ptf_node_read(&m->net->arena, &node, 1, &m->last))
        return ptf_fail_memory(m->err);
    return add_node(m, &node);
}

/* --------------------------------------------------------------- containers */

/* The keys of the module's first children, which are the next lines. */
static size_t first_keys(maker *m, ptf_text_span keys[PTF_ORDER_KEYS])
{
    size_t count = 0;
    int depth = 1;
    for (int i = m->next_line; i < m->text.line_count && depth > 0; i++) {
        ptf_item item;
        if (ptf_text_item(&m->text, &m->text.lines[i], false, &item, NULL) !=
            PTF_OK)
            break;
        if (depth == 1 && item.kind != PTF_LINE_CLOSE)
            keys[count++] = (ptf_text_span){item.key, item.key_size};
        if (count == PTF_ORDER_KEYS)
            break;
        depth += item.kind == PTF_LINE_OPEN;
        depth -= item.kind == PTF_LINE_CLOSE;
    }
    return count;
}

/* Why a module of that class does not run its children in order, or NULL. */
static const char *refusal(maker *m, const char *class_name, int parent)
{
    ptf_text_span keys[PTF_ORDER_KEYS];
    ptf_op op;
    if (ptf_op_find(class_name, strlen(class_name), &op))
        return "is a layer, and no layer has children";
    if (!ptf_order_is_list(class_name))
        return ptf_order_refusal(class_name, keys, first_keys(m, keys));
    bool owned = parent >= 0 &&
                 strcmp(m->containers[parent].class_name, "Sequential") != 0;
    return owned ? NULL : "has no forward() of its own";
}

static ptf_status add_container(maker *m, const ptf_item *item,
                                const char *path, int parent, int *out)
{
    ptf_net *net = m->net;
    const char *class_name =
        ptf_arena_copy(&net->arena, item->class_name, item->class_size);
    if (class_name == NULL)
        return ptf_fail_memory(m->err);
    const char *reason = refusal(m, class_name, parent);
    if (reason != NULL)
        return ptf_text_fail(m->err, PTF_UNSUPPORTED, m->text.name, m->line,
                             "%s %s; ptfold runs children in order only",
                             class_name, reason);
    void *containers = m->containers;
    if (net->container_count >= PTF_LAYER_MAX)
        return ptf_text_fail(m->err, PTF_UNSUPPORTED, m->text.name, m->line,
                             "more than %d containers", PTF_LAYER_MAX);
    if (!ptf_arena_grow(&net->arena, &containers, net->container_count,
                        &m->container_capacity, sizeof(ptf_container)))
        return ptf_fail_memory(m->err);
    m->containers = containers;
    net->containers = containers;
    *out = net->container_count++;
    m->containers[*out] =
        (ptf_container){path, class_name, parent, m->line, .in_order = true};
    return PTF_OK;
}

static ptf_status add_module(maker *m, const ptf_item *item, const char *path,
                             int parent, int depth);

/* A child, or each of its copies: all are read from the same lines. */
static ptf_status add_child(maker *m, const ptf_item *item, int parent,
                            int depth)
{
    int start = m->next_line;
    for (int64_t i = 0; i < item->count; i++) {
        const char *path = NULL;
        m->next_line = start;
        m->line = m->text.lines[start - 1].number;
        ptf_status status =
            join_path(m, m->containers[parent].path, item, i, &path);
        if (status == PTF_OK)
            status = add_module(m, item, path, parent, depth);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}

/* The next line as an item; 'opened' is the line of the module around it. */
static ptf_status read_item(maker *m, int opened, ptf_item *out)
{
    if (m->next_line == m->text.line_count)
        return ptf_text_fail(
            m->err, PTF_FORMAT, m->text.name, m->text.last_number,
            "the text ends before the ')' that closes line %d", opened);
    const ptf_line *line = &m->text.lines[m->next_line++];
    m->line = line->number;
    return ptf_text_item(&m->text, line, false, out, m->err);
}

/* 'child' is NULL at the end. */
static void check_order(maker *m, int container, int index,
                        const ptf_item *child)
{
    ptf_container *c = &m->containers[container];
    c->in_order = c->in_order && ptf_order_takes(c->class_name, index, child);
}

static ptf_status add_children(maker *m, int container, int depth)
{
    int opened = m->line;
    for (int count = 0;; count++) {
        ptf_item item = {.kind = PTF_LINE_CLOSE};
        ptf_status status = read_item(m, opened, &item);
        if (status != PTF_OK)
            return status;
        if (item.kind == PTF_LINE_CLOSE && count == 0)
            return ptf_text_fail(m->err, PTF_UNSUPPORTED, m->text.name, m->line,
                                 "a module without children");
        bool closed = item.kind == PTF_LINE_CLOSE;
        check_order(m, container, count, closed ? NULL : &item);
        if (closed)
            return PTF_OK;
        status = add_child(m, &item, container, depth + 1);
        if (status != PTF_OK)
            return status;
    }
}

/* The child 'key' stands for its wrapper, in names too. */
static ptf_status add_wrapped(maker *m, const ptf_item *wrapper,
                              const char *key, const char *path, int parent,
                              int depth)
{
    int opened = m->line;
    ptf_item child = {.kind = PTF_LINE_CLOSE}, end = {.kind = PTF_LINE_LAYER};
    ptf_status status = read_item(m, opened, &child);
    bool fits = status == PTF_OK && child.kind != PTF_LINE_CLOSE &&
                child.count == 1 && child.key_size == strlen(key) &&
                memcmp(child.key, key, child.key_size) == 0;
    if (fits)
        status = add_module(m, &child, path, parent, depth + 1);
    if (fits && status == PTF_OK)
        status = read_item(m, opened, &end);
    if (status != PTF_OK || end.kind == PTF_LINE_CLOSE)
        return status;
    return ptf_text_fail(m->err, PTF_UNSUPPORTED, m->text.name, m->line,
                         "expected one child '%s' of %.*s, got another or more",
                         key, (int)wrapper->class_size, wrapper->class_name);
}

static ptf_status add_module(maker *m, const ptf_item *item, const char *path,
                             int parent, int depth)
{
    if (item->kind == PTF_LINE_LAYER)
        return add_layer(m, item, path, parent);
    const char *wrapped =
        ptf_wrapped_child((ptf_text_span){item->class_name, item->class_size});
    if (wrapped != NULL && depth <= PTF_DEPTH_MAX)
        return add_wrapped(m, item, wrapped, path, parent, depth);
    if (depth > PTF_DEPTH_MAX)
        return ptf_text_fail(m->err, PTF_FORMAT, m->text.name, m->line,
                             "modules nested more than %d deep", PTF_DEPTH_MAX);
    int container = -1;
    ptf_status status = add_container(m, item, path, parent, &container);
    return status == PTF_OK ? add_children(m, container, depth) : status;
}

static ptf_status read_text(maker *m)
{
    ptf_item root;
    m->line = m->text.lines[0].number;
    m->next_line = 1;
    ptf_status status =
        ptf_text_item(&m->text, &m->text.lines[0], true, &root, m->err);
    if (status == PTF_OK)
        status = add_input(m);
    if (status == PTF_OK)
        status = add_module(m, &root, "", -1, 1);
    if (status == PTF_OK &&
        !ptf_net_add_output(m->net, &(ptf_output){.node = m->last}))
        status = ptf_fail_memory(m->err);
    if (status != PTF_OK || m->next_line == m->text.line_count)
        return status;
    status = ptf_code_check(m->net, &m->text, m->next_line, m->err);
    for (int i = 0; i < m->net->container_count; i++)
        m->containers[i].in_order = true; /* the code says so */
    return status;
}

/* --------------------------------------------------------------- whole nets */

ptf_status ptf_net_parse(const char *text, const char *text_name,
                         const ptf_reading *how, ptf_net **out, ptf_error *err)
{
    *out = NULL;
    ptf_net *net = ptf_net_new();
    if (net == NULL)
        return ptf_fail_memory(err);
    maker m = {.net = net, .how = how, .err = err};
    m.file = ptf_arena_copy(&net->arena, text_name, strlen(text_name));
    ptf_arena scratch = {NULL}; /* the lines are not needed afterwards */
    ptf_status status =
        m.file != NULL ? ptf_text_read(&scratch, text, text_name, &m.text, err)
                       : ptf_fail_memory(err);
    if (status == PTF_OK)
        status = read_text(&m);
    ptf_arena_free(&scratch);
    if (status == PTF_OK)
        status = ptf_order_settle(net, how, text_name, err);
    if (status == PTF_OK)
        status = ptf_net_check(net, err);
    if (status == PTF_OK)
        status = ptf_net_list_parameters(net, err);
    if (status != PTF_OK) {
        ptf_net_free(net);
        return status;
    }
    *out = net;
    return PTF_OK;
}

/* A graph leaves nothing to assume but what it was made with. */
static ptf_status parse_graph(const char *text, const char *text_name,
                              const char *assumes, ptf_net **out,
                              ptf_error *err)
{
    ptf_status status = ptf_graph_parse(text, text_name, out, err);
    if (status != PTF_OK || assumes == NULL || assumes[0] == '\0')
        return status;
    ptf_net *net = *out;
    net->assumption = ptf_arena_copy(&net->arena, assumes, strlen(assumes));
    if (net->assumption != NULL)
        return PTF_OK;
    ptf_net_free(net);
    *out = NULL;
    return ptf_fail_memory(err);
}

/* What a file that ptf_net_save() wrote says of itself. */
static ptf_status read_saved(const ptf_checkpoint *ckpt, bool in_order,
                             ptf_net **out, ptf_error *err)
{
    const char *file = ptf_checkpoint_file(ckpt)->name;
    const char *graph = ptf_checkpoint_metadata(ckpt, "graph");
    const char *text = ptf_checkpoint_metadata(ckpt, "architecture");
    ptf_reading how = {.in_order = in_order};
    how.assumes = ptf_checkpoint_metadata(ckpt, PTF_ASSUMES);
    ptf_origin origin = {file, "__metadata__"};
    if (graph != NULL && text != NULL)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected \"architecture\" or \"graph\", got both");
    if (graph != NULL)
        return parse_graph(graph, file, how.assumes, out, err);
    if (text != NULL)
        return ptf_net_parse(text, file, &how, out, err);
    return ptf_net_parse_model(ckpt, in_order, out, err);
}

ptf_status ptf_net_read(const char *text, const char *text_name,
                        const ptf_checkpoint *ckpt, bool in_order,
                        ptf_net **out, ptf_error *err)
{
    const ptf_reading how = {.in_order = in_order};
    *out = NULL;
    if (text == NULL)
        return read_saved(ckpt, in_order, out, err);
    if (ptf_graph_is(text))
        return parse_graph(text, text_name, NULL, out, err);
    return ptf_net_parse(text, text_name, &how, out, err);
}

/* The input's usual shape, of a net that does not say it. */
static void take_input(ptf_net *net, const ptf_shape *shape)
{
    if (net->input_count != 1 || net->inputs[0].has_shape)
        return;
    net->inputs[0].has_shape = true;
    net->inputs[0].shape = *shape;
}

ptf_status ptf_net_make(const char *text, const char *text_name,
                        const ptf_checkpoint *ckpt,
                        const ptf_net_options *options, ptf_net **out,
                        ptf_error *err)
{
    ptf_net_options all;
    ptf_options_read(options, &all, sizeof(all));
    *out = NULL;
    if (text == NULL && ckpt == NULL)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "expected a text or a checkpoint, got neither");
    ptf_status status = ckpt != NULL ? ptf_model_check(ckpt, err) : PTF_OK;
    if (status == PTF_OK)
        status = ptf_net_read(text, text_name, ckpt, all.in_order, out, err);
    if (status == PTF_OK && all.input != NULL)
        take_input(*out, all.input);
    if (status == PTF_OK && ckpt != NULL)
        (*out)->source = ptf_users_add(ptf_checkpoint_users(ckpt));
    if (status != PTF_OK || ckpt == NULL)
        return status;
    status = ptf_net_bind(*out, ckpt, err);
    if (status != PTF_OK) {
        ptf_net_free(*out);
        *out = NULL;
    }
    return status;
}
