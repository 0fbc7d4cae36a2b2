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

typedef ptf_status read_element(const ptf_scope *scope, const ptf_tree *at,
                                void *to);

static ptf_status read_list(const ptf_scope *scope, const ptf_tree *at,
                            ptf_argument_kind kind, read_element *element,
                            size_t size, ptf_argument *out)
{
    ptf_status status = ptf_tree_is(source_of(scope), at, JSON_ARRAY);
    if (status != PTF_OK)
        return status;
    out->kind = kind;
    out->count = (int)ptf_tree_count(at); /* the values of a file are bounded */
    char *room = allocate(scope, (size_t)out->count, size);
    if (room == NULL)
        return fail_memory(scope);
    out->items = room;
    for (size_t i = 0; status == PTF_OK && i < (size_t)out->count; i++) {
        ptf_tree one = ptf_tree_element(at, i);
        status = element(scope, &one, room + i * size);
    }
    return status;
}

static ptf_status tensor_element(const ptf_scope *scope, const ptf_tree *at,
                                 void *to)
{
    return read_value(scope, at, "name", PTF_PROGRAM_TENSOR, to);
}

static ptf_status optional_element(const ptf_scope *scope, const ptf_tree *at,
                                   void *to)
{
    return read_optional(scope, at, to);
}

static ptf_status int_element(const ptf_scope *scope, const ptf_tree *at,
                              void *to)
{
    ptf_argument_int *out = to;
    out->value = PTF_ABSENT;
    return ptf_tree_integer(source_of(scope), at, &out->number);
}

static ptf_status sym_int_element(const ptf_scope *scope, const ptf_tree *at,
                                  void *to)
{
    ptf_argument_int *out = to;
    ptf_tree only;
    ptf_status status =
        read_symbolic(scope, at, "as_int", PTF_PROGRAM_INT, &out->value, &only);
    return status == PTF_OK && out->value == PTF_ABSENT
               ? int_element(scope, &only, to)
               : status;
}

static ptf_status float_element(const ptf_scope *scope, const ptf_tree *at,
                                void *to)
{
    return ptf_tree_number(source_of(scope), at, to);
}

static ptf_status bool_element(const ptf_scope *scope, const ptf_tree *at,
                               void *to)
{
    return ptf_tree_truth(source_of(scope), at, to);
}

static ptf_status text_element(const ptf_scope *scope, const ptf_tree *at,
                               void *to)
{
    return ptf_tree_text(source_of(scope), at, to);
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
    {"as_none", read_none},
    {"as_float", read_float},
    {"as_bool", read_bool},
    {"as_sym_int", read_sym_int},
    {"as_string", read_text},
    {"as_scalar_type", read_dtype},
    {"as_memory_format", read_memory_format},
    {"as_layout", read_layout},
    {"as_device", read_device},
    {"as_optional_tensor", read_optional_tensor},
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

static const struct {
    const char *key;
    ptf_argument_kind kind;
    read_element *element;
    size_t size;
} lists[] = {
    {"as_ints", PTF_ARGUMENT_INTS, int_element, sizeof(ptf_argument_int)},
    {"as_sym_ints", PTF_ARGUMENT_INTS, sym_int_element,
     sizeof(ptf_argument_int)},
    {"as_tensors", PTF_ARGUMENT_VALUES, tensor_element, sizeof(int)},
    {"as_optional_tensors", PTF_ARGUMENT_VALUES, optional_element, sizeof(int)},
    {"as_floats", PTF_ARGUMENT_FLOATS, float_element, sizeof(double)},
    {"as_bools", PTF_ARGUMENT_BOOLS, bool_element, sizeof(bool)},
    {"as_strings", PTF_ARGUMENT_TEXTS, text_element, sizeof(const char *)},
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
    for (size_t i = 0; i < PTF_ARRAY_SIZE(lists); i++) {
        if (strcmp(only.key, lists[i].key) == 0)
            return read_list(scope, &only, lists[i].kind, lists[i].element,
                             lists[i].size, out);
    }
    return ptf_tree_fail(source_of(scope), tree, PTF_UNSUPPORTED,
                         "expected an argument of a known kind, got '%s'",
                         only.key);
}
