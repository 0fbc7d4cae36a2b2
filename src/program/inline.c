/*
 * Regions: the body of "with torch.no_grad():" or of an autocast that is off
 * is a graph of its own in the file.  Neither changes a number, so its calls
 * are read as if they stood in the graph around.
 *
 * What a region computes and hands out has two names, that inside and that of
 * the result outside; the value keeps the latter.  All other names get the
 * region's in front.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/graph.h"

/* A call of a region: which of its operands is what. */
typedef struct region {
    const char *target;
    size_t graph; /* operands before it belong to the switch */
    size_t dtype; /* of an autocast, else 0 */
    size_t enabled;
} region;

static const region regions[] = {
    {"higher_order.wrap_with_set_grad_enabled", 1, 0, 0},
    {"higher_order.wrap_with_autocast", 4, 1, 2},
};

static const region *find_region(const char *target)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(regions); i++) {
        if (strcmp(target, regions[i].target) == 0)
            return &regions[i];
    }
    return NULL;
}

/* The argument of a call by its number, as a union. */
static ptf_status read_operand(const ptf_tree_source *source,
                               const ptf_tree *operand, ptf_tree *arg,
                               ptf_tree *only)
{
    ptf_status status =
        ptf_tree_member(source, operand, "arg", JSON_OBJECT, arg);
    return status == PTF_OK ? ptf_tree_union(source, arg, only) : status;
}

/* An autocast changes numbers when it is on and casts to another dtype. */
static ptf_status is_without_effect(ptf_scope *scope, const region *kind,
                                    const ptf_tree *inputs, bool *out)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_tree switched = ptf_tree_element(inputs, kind->enabled);
    ptf_tree cast = ptf_tree_element(inputs, kind->dtype), arg, only;
    bool enabled;
    ptf_dtype dtype;
    *out = kind->dtype == 0;
    /* Inside of a graph that stays one, an outer autocast could be on. */
    if (*out || scope->reader->depth > 1)
        return PTF_OK;
    ptf_status status = read_operand(source, &switched, &arg, &only);
    if (status == PTF_OK)
        status = ptf_tree_truth(source, &only, &enabled);
    if (status == PTF_OK)
        *out = !enabled;
    if (status != PTF_OK || !enabled)
        return status;
    status = read_operand(source, &cast, &arg, &only);
    if (status != PTF_OK || strcmp(only.key, "as_scalar_type") != 0)
        return status;
    status = ptf_program_read_dtype(source, &only, &dtype);
    *out = status == PTF_OK && dtype == PTF_DTYPE_F32;
    return status;
}

/* -------------------------------------------------------------------- names */

typedef struct naming {
    ptf_scope *inner;
    const ptf_tree *outputs; /* of the graph */
} naming;

/* Notes the name outside of a result, for the first of its names. */
static ptf_status note_name(void *to, const char *key, const ptf_tree *at,
                            size_t index)
{
    naming *n = to;
    const ptf_tree_source *source = &n->inner->reader->source;
    ptf_program_kind kind;
    ptf_tree outside, inside, output = ptf_tree_element(n->outputs, index);
    ptf_tree only;
    const char *from, *name;
    ptf_status status = ptf_result_name(source, key, at, &outside, &kind);
    if (status == PTF_OK)
        status = ptf_tree_union(source, &output, &only);
    if (status == PTF_OK)
        status = ptf_result_name(source, only.key, &only, &inside, &kind);
    if (status != PTF_OK || outside.value == NULL || inside.value == NULL)
        return status;
    status = ptf_tree_text(source, &inside, &from);
    if (status == PTF_OK)
        status = ptf_tree_text(source, &outside, &name);
    if (status != PTF_OK ||
        ptf_text_table_find(&n->inner->renamed, from) != NULL)
        return status;
    void *held = (void *)(uintptr_t)name;
    return ptf_text_table_add(&n->inner->renamed, from, held)
               ? PTF_OK
               : ptf_fail_memory(source->err);
}

typedef struct binding {
    ptf_scope *scope;
    const ptf_argument *results;
} binding;

static ptf_status bind_result(void *to, const char *key, const ptf_tree *at,
                              size_t index)
{
    binding *b = to;
    const ptf_tree_source *source = &b->scope->reader->source;
    const ptf_argument *result = &b->results[index];
    ptf_tree name;
    ptf_program_kind kind = PTF_PROGRAM_OBJECT;
    ptf_status status = ptf_result_name(source, key, at, &name, &kind);
    if (status != PTF_OK)
        return status;
    bool same = name.value == NULL
                    ? result->kind == PTF_ARGUMENT_NONE
                    : result->kind == PTF_ARGUMENT_VALUE &&
                          b->scope->maker->values[result->value].kind == kind;
    if (!same)
        return ptf_tree_fail(source, at, PTF_UNSUPPORTED,
                             "expected what the region's graph gives, got "
                             "another kind of result");
    return name.value != NULL ? ptf_scope_bind(b->scope, &name, result->value)
                              : PTF_OK;
}

/* ------------------------------------------------------------------- inputs */

/* Inside, an input's name stands for the operand. */
static ptf_status bind_input(ptf_scope *scope, ptf_scope *inner,
                             const ptf_tree *operand, const ptf_tree *input)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_argument value = {0};
    ptf_tree arg, only, name;
    ptf_program_kind kind = PTF_PROGRAM_OBJECT;
    ptf_status status =
        ptf_tree_member(source, operand, "arg", JSON_OBJECT, &arg);
    if (status == PTF_OK)
        status = ptf_program_read_argument(scope, &arg, &value);
    if (status == PTF_OK)
        status = ptf_tree_union(source, input, &only);
    if (status == PTF_OK)
        status = ptf_result_name(source, only.key, &only, &name, &kind);
    if (status != PTF_OK || name.value == NULL)
        return status; /* a constant, which no name stands for */
    if (value.kind != PTF_ARGUMENT_VALUE ||
        scope->maker->values[value.value].kind != kind)
        return ptf_tree_fail(source, operand, PTF_UNSUPPORTED,
                             "expected what the region's graph takes, got %s",
                             ptf_argument_kind_name(value.kind));
    return ptf_scope_bind(inner, &name, value.value);
}

static ptf_status bind_inputs(ptf_scope *scope, ptf_scope *inner,
                              const ptf_tree *operands, size_t from,
                              const ptf_tree *graph)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_tree inputs;
    ptf_status status =
        ptf_tree_member(source, graph, "inputs", JSON_ARRAY, &inputs);
    size_t count = status == PTF_OK ? ptf_tree_count(&inputs) : 0;
    if (status == PTF_OK && ptf_tree_count(operands) - from != count)
        return ptf_tree_fail(source, operands, PTF_FORMAT,
                             "expected %zu operands of the region, got %zu",
                             count, ptf_tree_count(operands) - from);
    for (size_t i = 0; status == PTF_OK && i < count; i++) {
        ptf_tree operand = ptf_tree_element(operands, from + i);
        ptf_tree input = ptf_tree_element(&inputs, i);
        status = bind_input(scope, inner, &operand, &input);
    }
    return status;
}

/* ----------------------------------------------------------------- the call */

static ptf_status read_body(ptf_scope *scope, ptf_scope *inner,
                            const ptf_tree *call, const ptf_tree *graph)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_tree outside, outputs;
    const ptf_argument *results;
    size_t expected = 0;
    int count = 0;
    ptf_status status =
        ptf_tree_member(source, call, "outputs", JSON_ARRAY, &outside);
    if (status == PTF_OK)
        status = ptf_results_count(scope, &outside, &expected);
    if (status == PTF_OK)
        status =
            ptf_tree_member(source, graph, "outputs", JSON_ARRAY, &outputs);
    if (status == PTF_OK && ptf_tree_count(&outputs) != expected)
        return ptf_tree_fail(source, &outside, PTF_FORMAT,
                             "expected the %zu results of the region's graph, "
                             "got %zu",
                             ptf_tree_count(&outputs), expected);
    naming n = {inner, &outputs};
    if (status == PTF_OK)
        status = ptf_results_each(scope, &outside, note_name, &n);
    if (status == PTF_OK)
        status = ptf_scope_read_calls(inner, graph);
    if (status == PTF_OK)
        status = ptf_scope_read_ports(inner, graph, false, &results, &count);
    if (status != PTF_OK)
        return status;
    binding b = {scope, results};
    return ptf_results_each(scope, &outside, bind_result, &b);
}

static ptf_status inline_graph(ptf_scope *scope, const ptf_tree *call,
                               const ptf_tree *inputs, size_t at)
{
    ptf_program_reader *r = scope->reader;
    ptf_tree operand = ptf_tree_element(inputs, at), arg, only, name, graph;
    ptf_status status = read_operand(&r->source, &operand, &arg, &only);
    if (status == PTF_OK && strcmp(only.key, "as_graph") != 0)
        status =
            ptf_tree_fail(&r->source, &only, PTF_FORMAT, "expected a graph");
    if (status == PTF_OK)
        status = ptf_tree_member(&r->source, &only, "name", JSON_STRING, &name);
    if (status == PTF_OK)
        status =
            ptf_tree_member(&r->source, &only, "graph", JSON_OBJECT, &graph);
    if (status != PTF_OK)
        return status;
    ptf_scope inner = {.reader = r, .maker = scope->maker, .outer = scope};
    inner.prefix = ptf_arena_printf(r->source.arena, "%s%s__",
                                    scope->prefix != NULL ? scope->prefix : "",
                                    json_string_value(name.value));
    if (inner.prefix == NULL)
        return ptf_fail_memory(r->source.err);
    status = ptf_scope_open(&inner, &graph);
    if (status == PTF_OK)
        status = bind_inputs(scope, &inner, inputs, at + 1, &graph);
    if (status == PTF_OK)
        status = read_body(scope, &inner, call, &graph);
    ptf_scope_close(&inner);
    return status;
}

ptf_status ptf_inline_call(ptf_scope *scope, const ptf_tree *call,
                           const char *target, bool *inlined)
{
    ptf_program_reader *r = scope->reader;
    const region *kind = find_region(target);
    ptf_tree inputs;
    if (kind == NULL)
        return PTF_OK;
    ptf_status status =
        ptf_tree_member(&r->source, call, "inputs", JSON_ARRAY, &inputs);
    if (status == PTF_OK && ptf_tree_count(&inputs) <= kind->graph)
        status =
            ptf_tree_fail(&r->source, &inputs, PTF_FORMAT,
                          "expected at least %zu arguments of %s, got %zu",
                          kind->graph + 1, target, ptf_tree_count(&inputs));
    if (status == PTF_OK)
        status = is_without_effect(scope, kind, &inputs, inlined);
    if (status != PTF_OK || !*inlined)
        return status;
    int depth = 0;
    for (const ptf_scope *s = scope; s != NULL; s = s->outer)
        depth++;
    if (depth > PTF_PROGRAM_MAX_DEPTH)
        return ptf_tree_fail(&r->source, call, PTF_UNSUPPORTED,
                             "expected graphs in at most %d others",
                             PTF_PROGRAM_MAX_DEPTH);
    return inline_graph(scope, call, &inputs, kind->graph);
}
