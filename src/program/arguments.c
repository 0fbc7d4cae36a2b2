/*
 * The arguments of calls: PyTorch's union "Argument" into ours, and a list of
 * them into the order and types of the operator's schema.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

/* --------------------------------------------------------------- one by one */

typedef ptf_status read_function(const ptf_scope *scope, const ptf_tree *at,
                                 ptf_argument *out);

static const ptf_tree_source *source_of(const ptf_scope *scope)
{
    return &scope->reader->source;
}

static void *allocate(const ptf_scope *scope, size_t count, size_t size)
{
    return ptf_arena_array(source_of(scope)->arena, count, size);
}

static ptf_status fail_memory(const ptf_scope *scope)
{
    return ptf_fail_memory(source_of(scope)->err);
}

static ptf_status read_none(const ptf_scope *scope, const ptf_tree *at,
                            ptf_argument *out)
{
    (void)scope; /* the value is true, or [] in old files */
    (void)at;
    out->kind = PTF_ARGUMENT_NONE;
    return PTF_OK;
}

static ptf_status read_value(const ptf_scope *scope, const ptf_tree *at,
                             const char *key, ptf_program_kind kind, int *out)
{
    ptf_tree name;
    ptf_status status =
        ptf_tree_member(source_of(scope), at, key, JSON_STRING, &name);
    return status == PTF_OK ? ptf_scope_find(scope, &name, kind, out) : status;
}

static ptf_status read_tensor(const ptf_scope *scope, const ptf_tree *at,
                              ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_VALUE;
    return read_value(scope, at, "name", PTF_PROGRAM_TENSOR, &out->value);
}

/* {"as_tensor": {"name": ...}} or {"as_none": true} */
static ptf_status read_optional(const ptf_scope *scope, const ptf_tree *at,
                                int *out)
{
    ptf_tree only;
    *out = PTF_ABSENT;
    ptf_status status = ptf_tree_union(source_of(scope), at, &only);
    if (status != PTF_OK || strcmp(only.key, "as_none") == 0)
        return status;
    if (strcmp(only.key, "as_tensor") == 0)
        return read_value(scope, &only, "name", PTF_PROGRAM_TENSOR, out);
    return ptf_tree_fail(source_of(scope), &only, PTF_FORMAT,
                         "expected as_tensor or as_none");
}

static ptf_status read_optional_tensor(const ptf_scope *scope,
                                       const ptf_tree *at, ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_VALUE;
    ptf_status status = read_optional(scope, at, &out->value);
    if (status == PTF_OK && out->value == PTF_ABSENT)
        out->kind = PTF_ARGUMENT_NONE;
    return status;
}

/* Makes room for a list's elements, which are counted. */
static ptf_status start_list(const ptf_scope *scope, const ptf_tree *at,
                             ptf_argument_kind kind, size_t size,
                             ptf_argument *out, void **room)
{
    ptf_status status = ptf_tree_is(source_of(scope), at, JSON_ARRAY);
    if (status != PTF_OK)
        return status;
    size_t count = ptf_tree_count(at);
    out->kind = kind;
    out->count = (int)count; /* a file has fewer values: see tree.c */
    *room = allocate(scope, count, size);
    return *room != NULL ? PTF_OK : fail_memory(scope);
}

static ptf_status read_tensor_list(const ptf_scope *scope, const ptf_tree *at,
                                   bool optional, ptf_argument *out)
{
    void *room = NULL;
    ptf_status status =
        start_list(scope, at, PTF_ARGUMENT_VALUES, sizeof(int), out, &room);
    int *values = room;
    for (int i = 0; status == PTF_OK && i < out->count; i++) {
        ptf_tree element = ptf_tree_element(at, (size_t)i);
        status = optional ? read_optional(scope, &element, &values[i])
                          : read_value(scope, &element, "name",
                                       PTF_PROGRAM_TENSOR, &values[i]);
    }
    out->values = room;
    return status;
}

static ptf_status read_tensors(const ptf_scope *scope, const ptf_tree *at,
                               ptf_argument *out)
{
    return read_tensor_list(scope, at, false, out);
}

static ptf_status read_optional_tensors(const ptf_scope *scope,
                                        const ptf_tree *at, ptf_argument *out)
{
    return read_tensor_list(scope, at, true, out);
}

static ptf_status read_int(const ptf_scope *scope, const ptf_tree *at,
                           ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_INT;
    return ptf_tree_integer(source_of(scope), at, &out->integer);
}

static ptf_status read_float(const ptf_scope *scope, const ptf_tree *at,
                             ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_FLOAT;
    return ptf_tree_number(source_of(scope), at, &out->number);
}

static ptf_status read_bool(const ptf_scope *scope, const ptf_tree *at,
                            ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_BOOL;
    return ptf_tree_truth(source_of(scope), at, &out->truth);
}

static ptf_status read_text(const ptf_scope *scope, const ptf_tree *at,
                            ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_TEXT;
    return ptf_tree_text(source_of(scope), at, &out->text);
}

static ptf_status read_complex(const ptf_scope *scope, const ptf_tree *at,
                               ptf_argument *out)
{
    static const char *const parts[] = {"real", "imag"};
    out->kind = PTF_ARGUMENT_COMPLEX;
    ptf_status status = ptf_tree_is(source_of(scope), at, JSON_OBJECT);
    for (int i = 0; status == PTF_OK && i < 2; i++) {
        ptf_tree part = {json_object_get(at->value, parts[i]), at, parts[i], 0};
        status =
            ptf_tree_number(source_of(scope), &part, &out->complex_number[i]);
    }
    return status;
}

/* ------------------------------------------------ numbers that sizes decide */

/* {"as_name": ...}, or the number under the key 'plain' with *value absent. */
static ptf_status read_symbolic(const ptf_scope *scope, const ptf_tree *at,
                                const char *plain, ptf_program_kind kind,
                                int *value, ptf_tree *only)
{
    *value = PTF_ABSENT;
    ptf_status status = ptf_tree_union(source_of(scope), at, only);
    if (status != PTF_OK || strcmp(only->key, plain) == 0)
        return status;
    if (strcmp(only->key, "as_name") == 0)
        return ptf_scope_find(scope, only, kind, value);
    return ptf_tree_fail(source_of(scope), only, PTF_FORMAT,
                         "expected as_name or %s", plain);
}

static ptf_status read_sym(const ptf_scope *scope, const ptf_tree *at,
                           const char *plain, ptf_program_kind kind,
                           read_function *otherwise, ptf_argument *out)
{
    ptf_tree only;
    int value;
    ptf_status status = read_symbolic(scope, at, plain, kind, &value, &only);
    if (status != PTF_OK)
        return status;
    if (value == PTF_ABSENT)
        return otherwise(scope, &only, out);
    out->kind = PTF_ARGUMENT_VALUE;
    out->value = value;
    return PTF_OK;
}

static ptf_status read_sym_int(const ptf_scope *scope, const ptf_tree *at,
                               ptf_argument *out)
{
    return read_sym(scope, at, "as_int", PTF_PROGRAM_INT, read_int, out);
}

static ptf_status read_sym_float(const ptf_scope *scope, const ptf_tree *at,
                                 ptf_argument *out)
{
    return read_sym(scope, at, "as_float", PTF_PROGRAM_FLOAT, read_float, out);
}

static ptf_status read_sym_bool(const ptf_scope *scope, const ptf_tree *at,
                                ptf_argument *out)
{
    return read_sym(scope, at, "as_bool", PTF_PROGRAM_BOOL, read_bool, out);
}

/* -------------------------------------------------------------------- lists */

static ptf_status read_int_list(const ptf_scope *scope, const ptf_tree *at,
                                bool symbolic, ptf_argument *out)
{
    void *room = NULL;
    ptf_status status = start_list(scope, at, PTF_ARGUMENT_INTS,
                                   sizeof(ptf_argument_int), out, &room);
    ptf_argument_int *items = room;
    for (int i = 0; status == PTF_OK && i < out->count; i++) {
        ptf_tree element = ptf_tree_element(at, (size_t)i), only = element;
        items[i].value = PTF_ABSENT;
        if (symbolic)
            status = read_symbolic(scope, &element, "as_int", PTF_PROGRAM_INT,
                                   &items[i].value, &only);
        if (status == PTF_OK && items[i].value == PTF_ABSENT)
            status =
                ptf_tree_integer(source_of(scope), &only, &items[i].number);
    }
    out->integers = room;
    return status;
}

static ptf_status read_ints(const ptf_scope *scope, const ptf_tree *at,
                            ptf_argument *out)
{
    return read_int_list(scope, at, false, out);
}

static ptf_status read_sym_ints(const ptf_scope *scope, const ptf_tree *at,
                                ptf_argument *out)
{
    return read_int_list(scope, at, true, out);
}

static ptf_status read_floats(const ptf_scope *scope, const ptf_tree *at,
                              ptf_argument *out)
{
    void *room = NULL;
    ptf_status status =
        start_list(scope, at, PTF_ARGUMENT_FLOATS, sizeof(double), out, &room);
    double *numbers = room;
    for (int i = 0; status == PTF_OK && i < out->count; i++) {
        ptf_tree element = ptf_tree_element(at, (size_t)i);
        status = ptf_tree_number(source_of(scope), &element, &numbers[i]);
    }
    out->numbers = room;
    return status;
}

static ptf_status read_bools(const ptf_scope *scope, const ptf_tree *at,
                             ptf_argument *out)
{
    void *room = NULL;
    ptf_status status =
        start_list(scope, at, PTF_ARGUMENT_BOOLS, sizeof(bool), out, &room);
    bool *truths = room;
    for (int i = 0; status == PTF_OK && i < out->count; i++) {
        ptf_tree element = ptf_tree_element(at, (size_t)i);
        status = ptf_tree_truth(source_of(scope), &element, &truths[i]);
    }
    out->truths = room;
    return status;
}

static ptf_status read_texts(const ptf_scope *scope, const ptf_tree *at,
                             ptf_argument *out)
{
    void *room = NULL;
    ptf_status status = start_list(scope, at, PTF_ARGUMENT_TEXTS,
                                   sizeof(const char *), out, &room);
    const char **texts = room;
    for (int i = 0; status == PTF_OK && i < out->count; i++) {
        ptf_tree element = ptf_tree_element(at, (size_t)i);
        status = ptf_tree_text(source_of(scope), &element, &texts[i]);
    }
    out->texts = room;
    return status;
}

/* ------------------------------------------------------------- enumerations */

static ptf_status read_dtype(const ptf_scope *scope, const ptf_tree *at,
                             ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_DTYPE;
    return ptf_program_read_dtype(source_of(scope), at, &out->dtype);
}

static ptf_status read_choice(const ptf_scope *scope, const ptf_tree *at,
                              int most, int *out)
{
    int64_t number;
    ptf_status status = ptf_tree_integer(source_of(scope), at, &number);
    if (status == PTF_OK && (number < 1 || number > most))
        return ptf_tree_fail(source_of(scope), at, PTF_UNSUPPORTED,
                             "expected a number from 1 to %d, got %lld", most,
                             (long long)number);
    *out = (int)number;
    return status;
}

static ptf_status read_layout(const ptf_scope *scope, const ptf_tree *at,
                              ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_LAYOUT;
    return read_choice(scope, at, PTF_PROGRAM_STRIDED, &out->layout);
}

static ptf_status read_memory_format(const ptf_scope *scope, const ptf_tree *at,
                                     ptf_argument *out)
{
    int number = 0;
    out->kind = PTF_ARGUMENT_MEMORY_FORMAT;
    ptf_status status = read_choice(scope, at, PTF_MEMORY_PRESERVE, &number);
    out->memory_format = (ptf_memory_format)number;
    return status;
}

static ptf_status read_device(const ptf_scope *scope, const ptf_tree *at,
                              ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_DEVICE;
    return ptf_tree_text_member(source_of(scope), at, "type", &out->text);
}

/* ---------------------------------------------------------- all other kinds */

static ptf_status read_graph(const ptf_scope *scope, const ptf_tree *at,
                             ptf_argument *out)
{
    const char *name;
    ptf_tree graph;
    ptf_program_graph *room = allocate(scope, 1, sizeof(*room));
    if (room == NULL)
        return fail_memory(scope);
    ptf_status status =
        ptf_tree_text_member(source_of(scope), at, "name", &name);
    if (status == PTF_OK)
        status =
            ptf_tree_member(source_of(scope), at, "graph", JSON_OBJECT, &graph);
    if (status == PTF_OK)
        status = ptf_program_read_graph(scope->reader, &graph, name, room);
    out->kind = PTF_ARGUMENT_GRAPH;
    out->graph = room;
    return status;
}

static ptf_status read_object(const ptf_scope *scope, const ptf_tree *at,
                              ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_OTHER;
    return ptf_tree_text_member(source_of(scope), at, "class_fqn", &out->text);
}

static ptf_status read_other(const ptf_scope *scope, const ptf_tree *at,
                             ptf_argument *out)
{
    out->kind = PTF_ARGUMENT_OTHER;
    out->text =
        ptf_arena_copy(source_of(scope)->arena, at->key, strlen(at->key));
    return out->text != NULL ? PTF_OK : fail_memory(scope);
}

static const struct {
    const char *key;
    read_function *read;
} kinds[] = {
    {"as_tensor", read_tensor},
    {"as_int", read_int},
    {"as_ints", read_ints},
    {"as_none", read_none},
    {"as_float", read_float},
    {"as_bool", read_bool},
    {"as_tensors", read_tensors},
    {"as_sym_int", read_sym_int},
    {"as_sym_ints", read_sym_ints},
    {"as_string", read_text},
    {"as_floats", read_floats},
    {"as_bools", read_bools},
    {"as_strings", read_texts},
    {"as_scalar_type", read_dtype},
    {"as_memory_format", read_memory_format},
    {"as_layout", read_layout},
    {"as_device", read_device},
    {"as_optional_tensor", read_optional_tensor},
    {"as_optional_tensors", read_optional_tensors},
    {"as_sym_bool", read_sym_bool},
    {"as_sym_float", read_sym_float},
    {"as_complex", read_complex},
    {"as_graph", read_graph},
    {"as_custom_obj", read_object},
    {"as_operator", read_text},
    /* No operator of the table takes these. */
    {"as_sym_bools", read_other},
    {"as_sym_floats", read_other},
    {"as_nested_tensors", read_other},
    {"as_int_lists", read_other},
    {"as_float_lists", read_other},
    {"as_string_to_argument", read_other},
};

ptf_status ptf_program_read_argument(const ptf_scope *scope,
                                     const ptf_tree *tree, ptf_argument *out)
{
    ptf_tree only;
    ptf_status status = ptf_tree_union(source_of(scope), tree, &only);
    if (status != PTF_OK)
        return status;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(kinds); i++) {
        if (strcmp(only.key, kinds[i].key) == 0)
            return kinds[i].read(scope, &only, out);
    }
    return ptf_tree_fail(source_of(scope), tree, PTF_UNSUPPORTED,
                         "expected an argument of a known kind, got '%s'",
                         only.key);
}
