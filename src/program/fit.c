/*
 * Arguments as a call has them, put into the order of its operator's schema:
 * each of a type that is declared, what is left out by its default.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

static const char *const type_names[] = {
    [PTF_SCHEMA_TENSOR] = "Tensor",
    [PTF_SCHEMA_INT] = "int",
    [PTF_SCHEMA_FLOAT] = "float",
    [PTF_SCHEMA_BOOL] = "bool",
    [PTF_SCHEMA_SCALAR] = "Scalar",
    [PTF_SCHEMA_TEXT] = "str",
    [PTF_SCHEMA_DTYPE] = "ScalarType",
    [PTF_SCHEMA_DEVICE] = "Device",
    [PTF_SCHEMA_LAYOUT] = "Layout",
    [PTF_SCHEMA_GENERATOR] = "Generator",
    [PTF_SCHEMA_MEMORY_FORMAT] = "MemoryFormat",
};

typedef struct fitting {
    const ptf_scope *scope;
    const ptf_tree *at;
    const ptf_schema_argument *wanted;
    ptf_argument *argument;
} fitting;

/* Of a VALUE. */
static ptf_program_kind value_kind(const fitting *f)
{
    return f->scope->maker->values[f->argument->value].kind;
}

/* -------------------------------------------------------------- conversions */

/* Larger integers have no exact counterpart among doubles. */
static const int64_t MOST_EXACT = (int64_t)1 << 53;

static bool int_to_double(int64_t integer, double *out)
{
    *out = (double)integer;
    return integer >= -MOST_EXACT && integer <= MOST_EXACT;
}

/* An integer where a float is declared: Python makes no difference. */
static bool take_float(ptf_argument *a)
{
    double number;
    if (a->kind == PTF_ARGUMENT_INT && int_to_double(a->integer, &number)) {
        a->kind = PTF_ARGUMENT_FLOAT;
        a->number = number;
    }
    return a->kind == PTF_ARGUMENT_FLOAT;
}

static ptf_status take_floats(const fitting *f)
{
    ptf_argument *a = f->argument;
    if (a->kind != PTF_ARGUMENT_INTS)
        return PTF_OK;
    double *numbers = ptf_arena_array(f->scope->reader->source.arena,
                                      (size_t)a->count, sizeof(*numbers));
    if (numbers == NULL)
        return ptf_fail_memory(f->scope->reader->source.err);
    for (int i = 0; i < a->count; i++) {
        if (a->integers[i].value != PTF_ABSENT ||
            !int_to_double(a->integers[i].number, &numbers[i]))
            return PTF_OK;
    }
    a->kind = PTF_ARGUMENT_FLOATS;
    a->numbers = numbers;
    return PTF_OK;
}

/* One integer where a list of a fixed length is declared stands for all. */
static ptf_status spread(const fitting *f)
{
    ptf_argument *a = f->argument;
    bool value =
        a->kind == PTF_ARGUMENT_VALUE && value_kind(f) == PTF_PROGRAM_INT;
    if (f->wanted->size == 0 || (!value && a->kind != PTF_ARGUMENT_INT))
        return PTF_OK;
    ptf_argument_int *items =
        ptf_arena_array(f->scope->reader->source.arena, (size_t)f->wanted->size,
                        sizeof(*items));
    if (items == NULL)
        return ptf_fail_memory(f->scope->reader->source.err);
    for (int i = 0; i < f->wanted->size; i++)
        items[i] = (ptf_argument_int){value ? 0 : a->integer,
                                      value ? a->value : PTF_ABSENT};
    a->kind = PTF_ARGUMENT_INTS;
    a->count = f->wanted->size;
    a->integers = items;
    return PTF_OK;
}

/* What lists are of; schemas.py lets no others into the table. */
static const ptf_argument_kind list_kinds[] = {
    [PTF_SCHEMA_TENSOR] = PTF_ARGUMENT_VALUES,
    [PTF_SCHEMA_INT] = PTF_ARGUMENT_INTS,
    [PTF_SCHEMA_FLOAT] = PTF_ARGUMENT_FLOATS,
};

/* Python's empty list has no type. */
static void retype_empty_list(const fitting *f)
{
    ptf_argument *a = f->argument;
    bool list = a->kind == PTF_ARGUMENT_VALUES ||
                a->kind == PTF_ARGUMENT_INTS ||
                a->kind == PTF_ARGUMENT_FLOATS ||
                a->kind == PTF_ARGUMENT_BOOLS || a->kind == PTF_ARGUMENT_TEXTS;
    if (list && a->count == 0)
        a->kind = list_kinds[f->wanted->type];
}

/* ------------------------------------------------------------------ fitting */

static bool has_absent(const ptf_argument *a)
{
    for (int i = 0; i < a->count; i++) {
        if (a->values[i] == PTF_ABSENT)
            return true;
    }
    return false;
}

static ptf_status fit_list(const fitting *f, bool *fits)
{
    ptf_argument *a = f->argument;
    ptf_schema_type type = f->wanted->type;
    ptf_status status = PTF_OK;
    retype_empty_list(f);
    if (type == PTF_SCHEMA_FLOAT)
        status = take_floats(f);
    else if (type == PTF_SCHEMA_INT)
        status = spread(f);
    *fits = a->kind == list_kinds[type] &&
            (type != PTF_SCHEMA_TENSOR || f->wanted->has_optional_elements ||
             !has_absent(a));
    return status;
}

static bool is_number(const ptf_argument *a)
{
    return a->kind == PTF_ARGUMENT_INT || a->kind == PTF_ARGUMENT_FLOAT ||
           a->kind == PTF_ARGUMENT_BOOL || a->kind == PTF_ARGUMENT_COMPLEX;
}

/* What kind of a graph's value stands for each type; TENSOR for none. */
static bool fits_value(const fitting *f)
{
    ptf_program_kind kind = value_kind(f);
    switch (f->wanted->type) {
    case PTF_SCHEMA_TENSOR: /* a number is made a tensor */
    case PTF_SCHEMA_SCALAR:
        return kind != PTF_PROGRAM_OBJECT &&
               (kind != PTF_PROGRAM_TENSOR ||
                f->wanted->type == PTF_SCHEMA_TENSOR);
    case PTF_SCHEMA_INT: return kind == PTF_PROGRAM_INT;
    case PTF_SCHEMA_FLOAT:
        return kind == PTF_PROGRAM_FLOAT || kind == PTF_PROGRAM_INT;
    case PTF_SCHEMA_BOOL: return kind == PTF_PROGRAM_BOOL;
    case PTF_SCHEMA_TEXT:
    case PTF_SCHEMA_DTYPE:
    case PTF_SCHEMA_DEVICE:
    case PTF_SCHEMA_LAYOUT:
    case PTF_SCHEMA_MEMORY_FORMAT:
    case PTF_SCHEMA_GENERATOR: break;
    }
    return false;
}

static bool fits_single(const fitting *f)
{
    ptf_argument *a = f->argument;
    if (a->kind == PTF_ARGUMENT_VALUE)
        return fits_value(f);
    switch (f->wanted->type) {
    case PTF_SCHEMA_TENSOR: /* a number is made a tensor */
    case PTF_SCHEMA_SCALAR: return is_number(a);
    case PTF_SCHEMA_INT: return a->kind == PTF_ARGUMENT_INT;
    case PTF_SCHEMA_FLOAT: return take_float(a);
    case PTF_SCHEMA_BOOL: return a->kind == PTF_ARGUMENT_BOOL;
    case PTF_SCHEMA_TEXT: return a->kind == PTF_ARGUMENT_TEXT;
    case PTF_SCHEMA_DTYPE: return a->kind == PTF_ARGUMENT_DTYPE;
    case PTF_SCHEMA_DEVICE: return a->kind == PTF_ARGUMENT_DEVICE;
    case PTF_SCHEMA_LAYOUT: return a->kind == PTF_ARGUMENT_LAYOUT;
    case PTF_SCHEMA_MEMORY_FORMAT: return a->kind == PTF_ARGUMENT_MEMORY_FORMAT;
    case PTF_SCHEMA_GENERATOR: break;
    }
    return false;
}

static ptf_status fit(const fitting *f)
{
    const ptf_schema_argument *w = f->wanted;
    bool fits = true;
    ptf_status status = PTF_OK;
    if (f->argument->kind == PTF_ARGUMENT_NONE)
        fits = w->is_optional;
    else if (w->is_list)
        status = fit_list(f, &fits);
    else
        fits = fits_single(f);
    if (status != PTF_OK || fits)
        return status;
    const char *got = f->argument->kind == PTF_ARGUMENT_VALUE
                          ? ptf_program_kind_name(value_kind(f))
                          : ptf_argument_kind_name(f->argument->kind);
    return ptf_tree_fail(&f->scope->reader->source, f->at, PTF_FORMAT,
                         "expected %s%s%s for '%s', got %s",
                         type_names[w->type], w->is_list ? "[]" : "",
                         w->is_optional ? " or None" : "", w->name, got);
}

/* ---------------------------------------------------------------- all of it */

/* Which of the schema's arguments has that name; -1 for none. */
static int find_wanted(const ptf_schema *schema, const char *name)
{
    for (int i = 0; i < schema->argument_count; i++) {
        if (strcmp(schema->arguments[i].name, name) == 0)
            return i;
    }
    return -1;
}

static ptf_status read_one(const ptf_scope *scope, const ptf_tree *at,
                           const ptf_schema *schema, ptf_argument *arguments)
{
    const ptf_tree_source *source = &scope->reader->source;
    ptf_tree name, value;
    ptf_status status = ptf_tree_member(source, at, "name", JSON_STRING, &name);
    if (status == PTF_OK)
        status = ptf_tree_member(source, at, "arg", JSON_OBJECT, &value);
    if (status != PTF_OK)
        return status;
    int i = find_wanted(schema, json_string_value(name.value));
    if (i < 0)
        return ptf_tree_fail(source, &name, PTF_UNSUPPORTED,
                             "expected an argument of %s, got '%s', which "
                             "ptfold does not know",
                             schema->target, json_string_value(name.value));
    if (arguments[i].given)
        return ptf_tree_fail(source, &name, PTF_FORMAT,
                             "expected the argument '%s' once",
                             schema->arguments[i].name);
    arguments[i].given = true;
    status = ptf_program_read_argument(scope, &value, &arguments[i]);
    arguments[i].name = schema->arguments[i].name;
    fitting f = {scope, &value, &schema->arguments[i], &arguments[i]};
    return status == PTF_OK ? fit(&f) : status;
}

static ptf_status add_defaults(const ptf_scope *scope, const ptf_tree *at,
                               const ptf_schema *schema,
                               ptf_argument *arguments)
{
    for (int i = 0; i < schema->argument_count; i++) {
        const ptf_schema_argument *wanted = &schema->arguments[i];
        if (arguments[i].given)
            continue;
        if (!wanted->has_default)
            return ptf_tree_fail(&scope->reader->source, at, PTF_FORMAT,
                                 "expected the argument '%s' of %s, got none",
                                 wanted->name, schema->target);
        arguments[i] = wanted->otherwise;
    }
    return PTF_OK;
}

/* Of an operator that is not in the table: as they come. */
static ptf_status read_any(const ptf_scope *scope, const ptf_tree *at,
                           ptf_argument *out)
{
    const ptf_tree_source *source = &scope->reader->source;
    const char *name;
    ptf_tree value;
    ptf_status status = ptf_tree_text_member(source, at, "name", &name);
    if (status == PTF_OK)
        status = ptf_tree_member(source, at, "arg", JSON_OBJECT, &value);
    if (status != PTF_OK)
        return status;
    out->name = name;
    out->given = true;
    return ptf_program_read_argument(scope, &value, out);
}

ptf_status ptf_program_read_arguments(const ptf_scope *scope,
                                      const ptf_tree *inputs,
                                      ptf_program_node *node)
{
    size_t given = ptf_tree_count(inputs);
    const ptf_schema *schema = node->schema;
    node->argument_count = schema != NULL ? schema->argument_count : (int)given;
    ptf_argument *arguments =
        ptf_arena_array(scope->reader->source.arena,
                        (size_t)node->argument_count, sizeof(*arguments));
    if (arguments == NULL)
        return ptf_fail_memory(scope->reader->source.err);
    ptf_status status = PTF_OK;
    for (size_t i = 0; status == PTF_OK && i < given; i++) {
        ptf_tree input = ptf_tree_element(inputs, i);
        status = schema != NULL ? read_one(scope, &input, schema, arguments)
                                : read_any(scope, &input, &arguments[i]);
    }
    node->arguments = arguments;
    return status == PTF_OK && schema != NULL
               ? add_defaults(scope, inputs, schema, arguments)
               : status;
}
