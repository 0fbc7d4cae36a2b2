/*
 * JSON whose every value knows where it stands.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/tree.h"

#include <math.h>

/* ------------------------------------------------------------------- places */

enum { PLACE_SIZE = 160 };

/* Writes the place before 'end', from its end to its beginning. */
static char *write_place(const ptf_tree *at, char *start, char *end)
{
    char part[72];
    for (; at->above != NULL; at = at->above) {
        int n = at->key != NULL
                    ? snprintf(part, sizeof(part), "%s%s",
                               at->above->above != NULL ? "." : "", at->key)
                    : snprintf(part, sizeof(part), "[%zu]", at->index);
        size_t size = n < (int)sizeof(part) ? (size_t)n : sizeof(part) - 1;
        if (size > (size_t)(end - start))
            break;
        end -= size;
        memcpy(end, part, size);
    }
    return end;
}

ptf_status ptf_tree_fail(const ptf_tree_source *source, const ptf_tree *at,
                         ptf_status status, const char *fmt, ...)
{
    char place[PLACE_SIZE + 1], text[PTF_MESSAGE_SIZE];
    place[PLACE_SIZE] = '\0';
    const char *start = write_place(at, place, place + PLACE_SIZE);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return ptf_fail(source->err, status, &source->origin, PTF_NO_OFFSET,
                    "%s%s%s", start, *start != '\0' ? ": " : "", text);
}

/* -------------------------------------------------------------------- types */

static const char *const kinds[] = {
    [JSON_OBJECT] = "an object",    [JSON_ARRAY] = "an array",
    [JSON_STRING] = "a string",     [JSON_INTEGER] = "an integer",
    [JSON_REAL] = "a number",       [JSON_TRUE] = "a truth value",
    [JSON_FALSE] = "a truth value", [JSON_NULL] = "null",
};

const char *ptf_tree_kind(const ptf_tree *at)
{
    return at->value != NULL ? kinds[json_typeof(at->value)] : "nothing";
}

static bool has_type(const json_t *value, json_type type)
{
    return value != NULL && (json_typeof(value) == type ||
                             (type == JSON_TRUE && json_is_false(value)));
}

ptf_status ptf_tree_is(const ptf_tree_source *source, const ptf_tree *at,
                       json_type type)
{
    if (has_type(at->value, type))
        return PTF_OK;
    return ptf_tree_fail(source, at, PTF_FORMAT, "expected %s, got %s",
                         kinds[type], ptf_tree_kind(at));
}

/* ------------------------------------------------------------------ members */

ptf_status ptf_tree_member(const ptf_tree_source *source, const ptf_tree *at,
                           const char *key, json_type type, ptf_tree *out)
{
    ptf_status status = ptf_tree_is(source, at, JSON_OBJECT);
    if (status != PTF_OK)
        return status;
    *out = (ptf_tree){json_object_get(at->value, key), at, key, 0};
    return ptf_tree_is(source, out, type);
}

ptf_status ptf_tree_optional(const ptf_tree_source *source, const ptf_tree *at,
                             const char *key, json_type type, ptf_tree *out)
{
    ptf_status status = ptf_tree_is(source, at, JSON_OBJECT);
    if (status != PTF_OK)
        return status;
    *out = (ptf_tree){json_object_get(at->value, key), at, key, 0};
    if (out->value != NULL && !json_is_null(out->value))
        return ptf_tree_is(source, out, type);
    out->value = NULL;
    return PTF_OK;
}

ptf_status ptf_tree_union(const ptf_tree_source *source, const ptf_tree *at,
                          ptf_tree *out)
{
    ptf_status status = ptf_tree_is(source, at, JSON_OBJECT);
    if (status != PTF_OK)
        return status;
    if (json_object_size(at->value) != 1)
        return ptf_tree_fail(source, at, PTF_FORMAT,
                             "expected one member, got %zu",
                             json_object_size(at->value));
    json_t *object = (json_t *)(uintptr_t)at->value;
    void *only = json_object_iter(object);
    *out = (ptf_tree){json_object_iter_value(only), at,
                      json_object_iter_key(only), 0};
    return PTF_OK;
}

ptf_tree ptf_tree_element(const ptf_tree *array, size_t index)
{
    return (ptf_tree){json_array_get(array->value, index), array, NULL, index};
}

size_t ptf_tree_count(const ptf_tree *array)
{
    return json_array_size(array->value);
}

/* ------------------------------------------------------------------- values */

ptf_status ptf_tree_text(const ptf_tree_source *source, const ptf_tree *at,
                         const char **out)
{
    ptf_status status = ptf_tree_is(source, at, JSON_STRING);
    if (status != PTF_OK)
        return status;
    *out = ptf_arena_copy(source->arena, json_string_value(at->value),
                          json_string_length(at->value));
    return *out != NULL ? PTF_OK : ptf_fail_memory(source->err);
}

ptf_status ptf_tree_integer(const ptf_tree_source *source, const ptf_tree *at,
                            int64_t *out)
{
    *out = json_integer_value(at->value);
    return ptf_tree_is(source, at, JSON_INTEGER);
}

ptf_status ptf_tree_truth(const ptf_tree_source *source, const ptf_tree *at,
                          bool *out)
{
    *out = json_is_true(at->value);
    return ptf_tree_is(source, at, JSON_TRUE);
}

ptf_status ptf_tree_number(const ptf_tree_source *source, const ptf_tree *at,
                           double *out)
{
    static const struct {
        const char *name;
        double value;
    } others[] = {{"Infinity", (double)INFINITY},
                  {"-Infinity", -(double)INFINITY},
                  {"NaN", (double)NAN}};
    const char *text = json_string_value(at->value);
    for (size_t i = 0; text != NULL && i < PTF_ARRAY_SIZE(others); i++) {
        if (strcmp(text, others[i].name) != 0)
            continue;
        *out = others[i].value;
        return PTF_OK;
    }
    *out = json_number_value(at->value);
    if (json_is_number(at->value))
        return PTF_OK;
    return ptf_tree_fail(source, at, PTF_FORMAT, "expected a number, got %s",
                         ptf_tree_kind(at));
}

ptf_status ptf_tree_text_member(const ptf_tree_source *source,
                                const ptf_tree *at, const char *key,
                                const char **out)
{
    ptf_tree member;
    ptf_status status = ptf_tree_member(source, at, key, JSON_STRING, &member);
    return status == PTF_OK ? ptf_tree_text(source, &member, out) : status;
}

ptf_status ptf_tree_integer_member(const ptf_tree_source *source,
                                   const ptf_tree *at, const char *key,
                                   int64_t *out)
{
    ptf_tree member;
    ptf_status status = ptf_tree_member(source, at, key, JSON_INTEGER, &member);
    return status == PTF_OK ? ptf_tree_integer(source, &member, out) : status;
}
