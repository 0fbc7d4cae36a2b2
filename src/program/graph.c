/*
 * Graphs: values under names that are defined once and used afterwards, and
 * calls in the order of execution.  Any cycle would have to use a name before
 * its definition.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/graph.h"

/* ------------------------------------------------------------------ growing */

static bool grow(void *items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return true;
    size_t more = *capacity > 0 ? 2 * *capacity : 64, bytes;
    void **at = items;
    void *larger =
        ptf_mul_size(more, size, &bytes) ? ptf_realloc(*at, bytes) : NULL;
    if (larger == NULL)
        return false;
    *at = larger;
    *capacity = more;
    return true;
}

static void maker_free(ptf_graph_maker *maker)
{
    ptf_free(maker->values);
    ptf_free(maker->nodes);
    ptf_text_table_free(&maker->used);
}

/* ------------------------------------------------------------------- scopes */

ptf_status ptf_scope_open(ptf_scope *scope, const ptf_tree *graph)
{
    static const char *const keys[] = {"tensor_values", "sym_int_values",
                                       "sym_bool_values", "sym_float_values"};
    const ptf_tree_source *source = &scope->reader->source;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(keys); i++) {
        ptf_status status = ptf_tree_optional(source, graph, keys[i],
                                              JSON_OBJECT, &scope->recorded[i]);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}

void ptf_scope_close(ptf_scope *scope)
{
    ptf_text_table_free(&scope->names);
    ptf_text_table_free(&scope->renamed);
}

static int number_of(const ptf_text_table *table, const char *name)
{
    return (int)(uintptr_t)ptf_text_table_find(table, name) - 1;
}

const char *ptf_program_kind_name(ptf_program_kind kind)
{
    static const char *const kinds[] = {
        [PTF_PROGRAM_TENSOR] = "a tensor",    [PTF_PROGRAM_INT] = "an integer",
        [PTF_PROGRAM_BOOL] = "a truth value", [PTF_PROGRAM_FLOAT] = "a number",
        [PTF_PROGRAM_OBJECT] = "an object",
    };
    return kinds[kind];
}

ptf_status ptf_scope_find(const ptf_scope *scope, const ptf_tree *name,
                          ptf_program_kind kind, int *out)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_status status = ptf_tree_is(source, name, JSON_STRING);
    if (status != PTF_OK)
        return status;
    const char *text = json_string_value(name->value);
    *out = number_of(&scope->names, text);
    if (*out < 0)
        return ptf_tree_fail(source, name, PTF_FORMAT,
                             "expected a value that is defined before, got "
                             "'%s'",
                             text);
    ptf_program_kind found = scope->maker->values[*out].kind;
    if (found == kind)
        return PTF_OK;
    return ptf_tree_fail(
        source, name, PTF_FORMAT, "expected %s, got '%s', which is %s",
        ptf_program_kind_name(kind), text, ptf_program_kind_name(found));
}

ptf_status ptf_scope_bind(ptf_scope *scope, const ptf_tree *name, int value)
{
    const ptf_tree_source *source = &scope->reader->source;
    const char *text;
    ptf_status status = ptf_tree_text(source, name, &text);
    if (status != PTF_OK)
        return status;
    if (number_of(&scope->names, text) >= 0)
        return ptf_tree_fail(source, name, PTF_FORMAT,
                             "expected every name once, got '%s' twice", text);
    return ptf_text_table_add(&scope->names, text, (void *)((size_t)value + 1))
               ? PTF_OK
               : ptf_fail_memory(source->err);
}

/* What a name of an inlined graph is called in the graph around it. */
static const char *outer_name(const ptf_scope *scope, const char *name)
{
    if (scope->outer == NULL)
        return name;
    const char *known = ptf_text_table_find(&scope->renamed, name);
    return known != NULL ? outer_name(scope->outer, known)
                         : ptf_arena_printf(scope->reader->source.arena, "%s%s",
                                            scope->prefix, name);
}

/* ------------------------------------------------------------------- values */

/* What the file records of a value; of tensors it must. */
static ptf_status read_recorded(const ptf_scope *scope, const ptf_tree *name,
                                ptf_program_value *v)
{
    ptf_program_reader *r = scope->reader;
    if (v->kind == PTF_PROGRAM_OBJECT)
        return PTF_OK;
    const ptf_tree *all = &scope->recorded[v->kind];
    const char *text = json_string_value(name->value);
    ptf_tree own = {json_object_get(all->value, text), all, text, 0};
    if (v->kind == PTF_PROGRAM_TENSOR && own.value == NULL)
        return ptf_tree_fail(&r->source, name, PTF_FORMAT,
                             "expected '%s' among tensor_values, got none",
                             text);
    if (v->kind == PTF_PROGRAM_TENSOR)
        return ptf_program_read_meta(r, &own, v);
    if (own.value == NULL || v->kind == PTF_PROGRAM_FLOAT)
        return PTF_OK;
    ptf_program_size *number =
        ptf_arena_alloc(r->source.arena, sizeof(*number));
    if (number == NULL)
        return ptf_fail_memory(r->source.err);
    v->number = number;
    return ptf_program_read_size(r, &own, number);
}

ptf_status ptf_scope_define(ptf_scope *scope, const ptf_tree *name,
                            ptf_program_value value, int *out)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_graph_maker *m = scope->maker;
    ptf_status status = ptf_tree_is(source, name, JSON_STRING);
    if (status == PTF_OK && *json_string_value(name->value) == '\0')
        status = ptf_tree_fail(source, name, PTF_FORMAT, "expected a name");
    if (status == PTF_OK)
        status = read_recorded(scope, name, &value);
    if (status == PTF_OK)
        status = ptf_scope_bind(scope, name, (int)m->value_count);
    if (status != PTF_OK)
        return status;
    const char *text = outer_name(scope, json_string_value(name->value));
    value.name =
        text != NULL ? ptf_arena_copy(source->arena, text, strlen(text)) : NULL;
    if (value.name == NULL || !grow(&m->values, &m->value_capacity,
                                    m->value_count, sizeof(*m->values)))
        return ptf_fail_memory(source->err);
    if (ptf_text_table_find(&m->used, value.name) != NULL)
        return ptf_tree_fail(source, name, PTF_FORMAT,
                             "expected every name once, got '%s' twice",
                             value.name);
    if (!ptf_text_table_add(&m->used, value.name, m))
        return ptf_fail_memory(source->err);
    *out = (int)m->value_count;
    m->values[m->value_count++] = value;
    return PTF_OK;
}

/* ------------------------------------------------------------------ results */

/* The keys under which a value's name stands, and what it then is. */
static const struct {
    const char *key, *name;
    ptf_program_kind kind;
} named[] = {
    {"as_tensor", "name", PTF_PROGRAM_TENSOR},
    {"as_sym_int", "as_name", PTF_PROGRAM_INT},
    {"as_sym_bool", "as_name", PTF_PROGRAM_BOOL},
    {"as_sym_float", "as_name", PTF_PROGRAM_FLOAT},
    {"as_custom_obj", "name", PTF_PROGRAM_OBJECT},
};

ptf_status ptf_result_name(const ptf_tree_source *source, const char *key,
                           const ptf_tree *at, ptf_tree *name,
                           ptf_program_kind *kind)
{
    name->value = NULL;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(named); i++) {
        if (strcmp(key, named[i].key) != 0)
            continue;
        *kind = named[i].kind;
        return ptf_tree_member(source, at, named[i].name, JSON_STRING, name);
    }
    return PTF_OK;
}

ptf_status ptf_results_each(ptf_scope *scope, const ptf_tree *outputs,
                            ptf_result_function *take, void *to)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_status status = PTF_OK;
    size_t index = 0;
    for (size_t i = 0; status == PTF_OK && i < ptf_tree_count(outputs); i++) {
        ptf_tree output = ptf_tree_element(outputs, i), only;
        status = ptf_tree_union(source, &output, &only);
        bool list = status == PTF_OK && strcmp(only.key, "as_tensors") == 0;
        if (status != PTF_OK)
            return status;
        if (!list) {
            status = take(to, only.key, &only, index++);
            continue;
        }
        if (ptf_tree_count(outputs) > 1)
            return ptf_tree_fail(source, &only, PTF_UNSUPPORTED,
                                 "expected results or one list of them, got a "
                                 "list among others");
        status = ptf_tree_is(source, &only, JSON_ARRAY);
        for (size_t k = 0; status == PTF_OK && k < ptf_tree_count(&only); k++) {
            ptf_tree element = ptf_tree_element(&only, k);
            status = take(to, "as_tensor", &element, index++);
        }
    }
    return status;
}

static ptf_status count_result(void *to, const char *key, const ptf_tree *at,
                               size_t index)
{
    (void)key;
    (void)at;
    *(size_t *)to = index + 1;
    return PTF_OK;
}

ptf_status ptf_results_count(ptf_scope *scope, const ptf_tree *outputs,
                             size_t *count)
{
    *count = 0;
    return ptf_results_each(scope, outputs, count_result, count);
}

typedef struct defining {
    ptf_scope *scope;
    int node;
    int *results;
} defining;

static ptf_status define_result(void *to, const char *key, const ptf_tree *at,
                                size_t index)
{
    defining *d = to;
    const ptf_tree_source *source = &d->scope->reader->source;
    ptf_tree name;
    ptf_program_value value = {.node = d->node, .result = (int)index};
    ptf_status status = ptf_result_name(source, key, at, &name, &value.kind);
    d->results[index] = PTF_ABSENT;
    if (status != PTF_OK || strcmp(key, "as_none") == 0)
        return status;
    if (name.value == NULL)
        return ptf_tree_fail(source, at, PTF_UNSUPPORTED,
                             "expected a tensor or number as a result, got "
                             "'%s'",
                             key);
    return ptf_scope_define(d->scope, &name, value, &d->results[index]);
}

/* Whether a value can be of a result's type; numbers are of any of theirs. */
static bool is_of_type(const ptf_scope *scope, int value,
                       const ptf_schema_result *declared)
{
    return value == PTF_ABSENT ||
           (scope->maker->values[value].kind == PTF_PROGRAM_TENSOR) ==
               (declared->type == PTF_SCHEMA_TENSOR);
}

/*
 * Results must be as many, and of the types, that the schema declares.  Of
 * several some may be None, but no operator of the table leaves out the first.
 */
static ptf_status check_results(const ptf_scope *scope, const ptf_tree *outputs,
                                const ptf_program_node *node)
{
    const ptf_schema *schema = node->schema;
    if (schema == NULL)
        return PTF_OK;
    bool list = schema->result_count == 1 && schema->results[0].is_list;
    bool fits = ptf_tree_count(outputs) == (size_t)schema->result_count &&
                list == node->returns_list &&
                (node->result_count == 0 || node->results[0] != PTF_ABSENT);
    for (int i = 0; fits && i < node->result_count; i++)
        fits =
            is_of_type(scope, node->results[i], &schema->results[list ? 0 : i]);
    return fits ? PTF_OK
                : ptf_tree_fail(&scope->reader->source, outputs, PTF_FORMAT,
                                "expected results as %s gives them",
                                node->target);
}

static ptf_status read_results(ptf_scope *scope, const ptf_tree *call,
                               ptf_program_node *node)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_tree outputs;
    size_t count = 0;
    ptf_status status =
        ptf_tree_member(source, call, "outputs", JSON_ARRAY, &outputs);
    if (status == PTF_OK)
        status = ptf_results_count(scope, &outputs, &count);
    if (status != PTF_OK)
        return status;
    int *results = ptf_arena_array(source->arena, count, sizeof(*results));
    if (results == NULL)
        return ptf_fail_memory(source->err);
    node->results = results;
    node->result_count = (int)count;
    node->returns_list =
        ptf_tree_count(&outputs) == 1 &&
        json_object_get(json_array_get(outputs.value, 0), "as_tensors") != NULL;
    defining d = {scope, (int)scope->maker->node_count, results};
    status = ptf_results_each(scope, &outputs, define_result, &d);
    return status == PTF_OK ? check_results(scope, &outputs, node) : status;
}

/* -------------------------------------------------------------------- calls */

static ptf_status read_target(const ptf_scope *scope, const ptf_tree *call,
                              ptf_program_node *node)
{
    static const char prefix[] = "torch.ops.";
    ptf_status status = ptf_tree_text_member(&scope->reader->source, call,
                                             "target", &node->target);
    if (status != PTF_OK)
        return status;
    if (strncmp(node->target, prefix, sizeof(prefix) - 1) == 0)
        node->target += sizeof(prefix) - 1;
    node->schema = ptf_schema_find(node->target);
    return PTF_OK;
}

/* The node's own name; before PyTorch 2.11 it is that of its first result. */
static ptf_status read_name(const ptf_scope *scope, const ptf_tree *call,
                            ptf_program_node *node)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_tree name;
    ptf_status status =
        ptf_tree_optional(source, call, "name", JSON_STRING, &name);
    if (status != PTF_OK)
        return status;
    bool single = node->result_count == 1 && node->results[0] >= 0;
    node->name = single ? scope->maker->values[node->results[0]].name : "";
    if (name.value == NULL || (single && scope->outer != NULL))
        return PTF_OK;
    node->name = outer_name(scope, json_string_value(name.value));
    node->name = node->name != NULL ? ptf_arena_copy(source->arena, node->name,
                                                     strlen(node->name))
                                    : NULL;
    return node->name != NULL ? PTF_OK : ptf_fail_memory(source->err);
}

static ptf_status read_call(ptf_scope *scope, const ptf_tree *call)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_graph_maker *m = scope->maker;
    ptf_program_node node = {0};
    ptf_tree inputs;
    bool inlined = false;
    ptf_status status = read_target(scope, call, &node);
    if (status == PTF_OK)
        status = ptf_inline_call(scope, call, node.target, &inlined);
    if (status != PTF_OK || inlined)
        return status;
    status = ptf_tree_member(source, call, "inputs", JSON_ARRAY, &inputs);
    if (status == PTF_OK)
        status = ptf_program_read_arguments(scope, &inputs, &node);
    if (status == PTF_OK)
        status = read_results(scope, call, &node);
    if (status == PTF_OK)
        status = read_name(scope, call, &node);
    if (status == PTF_OK)
        status = ptf_program_read_metadata(source, call, &node);
    if (status != PTF_OK)
        return status;
    if (!grow(&m->nodes, &m->node_capacity, m->node_count, sizeof(*m->nodes)))
        return ptf_fail_memory(source->err);
    m->nodes[m->node_count++] = node;
    return PTF_OK;
}

ptf_status ptf_scope_read_calls(ptf_scope *scope, const ptf_tree *graph)
{
    ptf_tree nodes;
    ptf_status status = ptf_tree_member(&scope->reader->source, graph, "nodes",
                                        JSON_ARRAY, &nodes);
    size_t count = status == PTF_OK ? ptf_tree_count(&nodes) : 0;
    for (size_t i = 0; status == PTF_OK && i < count; i++) {
        ptf_tree call = ptf_tree_element(&nodes, i);
        status = read_call(scope, &call);
    }
    return status;
}

/* ------------------------------------------------------------- whole graphs */

static ptf_status read_input(ptf_scope *scope, const ptf_tree *input,
                             size_t index, ptf_argument *out)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_tree only, name;
    ptf_program_value value = {.node = PTF_ABSENT, .result = (int)index};
    ptf_status status = ptf_tree_union(source, input, &only);
    if (status == PTF_OK)
        status = ptf_result_name(source, only.key, &only, &name, &value.kind);
    if (status != PTF_OK)
        return status;
    if (name.value == NULL)
        return ptf_program_read_argument(scope, input, out);
    out->kind = PTF_ARGUMENT_VALUE;
    return ptf_scope_define(scope, &name, value, &out->value);
}

ptf_status ptf_scope_read_ports(ptf_scope *scope, const ptf_tree *graph,
                                bool are_inputs, const ptf_argument **out,
                                int *count)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_tree list;
    ptf_status status = ptf_tree_member(
        source, graph, are_inputs ? "inputs" : "outputs", JSON_ARRAY, &list);
    if (status != PTF_OK)
        return status;
    *count = (int)ptf_tree_count(&list);
    ptf_argument *ports =
        ptf_arena_array(source->arena, (size_t)*count, sizeof(*ports));
    if (ports == NULL)
        return ptf_fail_memory(source->err);
    for (int i = 0; status == PTF_OK && i < *count; i++) {
        ptf_tree port = ptf_tree_element(&list, (size_t)i);
        ports[i] = (ptf_argument){.name = "", .given = true};
        status = are_inputs
                     ? read_input(scope, &port, (size_t)i, &ports[i])
                     : ptf_program_read_argument(scope, &port, &ports[i]);
    }
    *out = ports;
    return status;
}

/* Moves what has grown to where it stays. */
static ptf_status finish(const ptf_scope *scope, ptf_program_graph *out)
{
    const ptf_tree_source *source = &scope->reader->source;
    const ptf_graph_maker *m = scope->maker;
    size_t values = m->value_count * sizeof(*m->values);
    size_t nodes = m->node_count * sizeof(*m->nodes);
    void *to_values = ptf_arena_alloc(source->arena, values);
    void *to_nodes = ptf_arena_alloc(source->arena, nodes);
    if (to_values == NULL || to_nodes == NULL)
        return ptf_fail_memory(source->err);
    if (values > 0)
        memcpy(to_values, m->values, values);
    if (nodes > 0)
        memcpy(to_nodes, m->nodes, nodes);
    out->values = to_values;
    out->nodes = to_nodes;
    out->value_count = (int)m->value_count;
    out->node_count = (int)m->node_count;
    return PTF_OK;
}

ptf_status ptf_program_read_graph(ptf_program_reader *r, const ptf_tree *tree,
                                  const char *name, ptf_program_graph *out)
{
    ptf_graph_maker maker = {0};
    ptf_scope scope = {.reader = r, .maker = &maker};
    out->name = name;
    if (r->depth == PTF_PROGRAM_MAX_DEPTH)
        return ptf_tree_fail(&r->source, tree, PTF_UNSUPPORTED,
                             "expected graphs in at most %d others",
                             PTF_PROGRAM_MAX_DEPTH);
    r->depth++;
    ptf_status status = ptf_scope_open(&scope, tree);
    if (status == PTF_OK)
        status = ptf_scope_read_ports(&scope, tree, true, &out->inputs,
                                      &out->input_count);
    if (status == PTF_OK)
        status = ptf_scope_read_calls(&scope, tree);
    if (status == PTF_OK)
        status = ptf_scope_read_ports(&scope, tree, false, &out->outputs,
                                      &out->output_count);
    if (status == PTF_OK)
        status = finish(&scope, out);
    r->depth--;
    ptf_scope_close(&scope);
    maker_free(&maker);
    return status;
}
