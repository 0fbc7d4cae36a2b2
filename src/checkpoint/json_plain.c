/*
 * JSON as programs write it, several times as fast as jansson reads it: ASCII
 * texts with short escapes, whole numbers, no key twice.  A scalar that is not
 * so plain is left to jansson, and so is all of a text that is not; jansson
 * alone says what is no JSON, and why.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

#include <jansson.h>

enum { MAX_DEPTH = 256, MAX_DIGITS = 18 };

typedef struct reader {
    const char *at, *end;
    char *text; /* the last one, behind the keys of what is open */
    int depth;
} reader;

static json_t *read_value(reader *r);

static char next(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' ||
                              *r->at == '\t' || *r->at == '\r'))
        r->at++;
    return r->at < r->end ? *r->at : '\0';
}

static bool take(reader *r, char c)
{
    if (next(r) != c)
        return false;
    r->at++;
    return true;
}

static bool take_word(reader *r, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0)
        return false;
    r->at += size;
    return true;
}

/* ------------------------------------------------------------------ scalars */

/* What an escape of two characters stands for; '\0' where it is none. */
static char escaped(char c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    return at != NULL ? to[at - from] : '\0';
}

/* The text that begins at a quote into r->text; false where it is not plain. */
static bool read_text(reader *r, size_t *size)
{
    const char *at = r->at + 1;
    char *to = r->text;
    while (at < r->end && *at >= ' ' && *at <= '~' && *at != '"') {
        *to = *at++;
        if (*to == '\\')
            *to = at < r->end ? escaped(*at++) : '\0';
        if (*to++ == '\0')
            return false;
    }
    if (at >= r->end || *at != '"')
        return false;
    *to = '\0';
    *size = (size_t)(to - r->text);
    r->at = at + 1;
    return true;
}

/* A scalar up to 'end', as jansson has it. */
static json_t *read_other(reader *r, const char *end)
{
    json_t *value =
        json_loadb(r->at, (size_t)(end - r->at), JSON_DECODE_ANY, NULL);
    r->at = end;
    return value;
}

static json_t *read_string(reader *r)
{
    size_t size;
    if (read_text(r, &size))
        return json_stringn_nocheck(r->text, size);
    const char *end = r->at + 1;
    while (end < r->end && *end != '"')
        end += *end == '\\' && r->end - end > 1 ? 2 : 1;
    return end < r->end ? read_other(r, end + 1) : NULL;
}

static json_t *read_number(reader *r)
{
    static const char others[] = "+-.eE0123456789";
    const char *at = r->at + (*r->at == '-'), *first = at;
    json_int_t value = 0;
    for (; at < r->end && *at >= '0' && *at <= '9' && at - first < MAX_DIGITS;
         at++)
        value = 10 * value + (*at - '0');
    bool plain = at > first && (*first != '0' || at == first + 1);
    const char *end = at;
    while (end < r->end && *end != '\0' && strchr(others, *end) != NULL)
        end++;
    if (!plain || end > at)
        return end > r->at ? read_other(r, end) : NULL;
    bool negative = *r->at == '-';
    r->at = end;
    return json_integer(negative ? -value : value);
}

/* --------------------------------------------------------------- containers */

/* Each takes the reference to 'value'. */
static bool add_member(json_t *object, const char *key, json_t *value)
{
    size_t count = json_object_size(object);
    return json_object_set_new_nocheck(object, key, value) == 0 &&
           json_object_size(object) == count + 1;
}

static bool read_member(reader *r, json_t *object)
{
    size_t size;
    char *key = r->text;
    if (next(r) != '"' || !read_text(r, &size))
        return false;
    r->text += size + 1;
    json_t *value = take(r, ':') ? read_value(r) : NULL;
    r->text = key;
    return value != NULL && add_member(object, key, value);
}

static bool read_element(reader *r, json_t *array)
{
    json_t *value = read_value(r);
    return value != NULL && json_array_append_new(array, value) == 0;
}

typedef bool read_part(reader *r, json_t *container);

/* Parts up to the bracket that closes; releases what is not whole. */
static json_t *read_parts(reader *r, json_t *container, char close,
                          read_part *read)
{
    r->at++;
    bool whole = container != NULL && ++r->depth < MAX_DEPTH;
    if (whole && !take(r, close)) {
        do
            whole = read(r, container);
        while (whole && take(r, ','));
        whole = whole && take(r, close);
    }
    r->depth--;
    if (whole)
        return container;
    json_decref(container);
    return NULL;
}

static json_t *read_value(reader *r)
{
    switch (next(r)) {
    case '{': return read_parts(r, json_object(), '}', read_member);
    case '[': return read_parts(r, json_array(), ']', read_element);
    case '"': return read_string(r);
    case 't': return take_word(r, "true") ? json_true() : NULL;
    case 'f': return take_word(r, "false") ? json_false() : NULL;
    case 'n': return take_word(r, "null") ? json_null() : NULL;
    case '\0': return NULL;
    default: return read_number(r);
    }
}

struct json_t *ptf_json_plain(const void *text, size_t size)
{
    char *texts = ptf_alloc(size + 1); /* each is shorter than its JSON */
    if (texts == NULL)
        return NULL;
    reader r = {text, (const char *)text + size, texts, 0};
    json_t *root = read_value(&r);
    if (root != NULL && (next(&r) != '\0' || r.at < r.end)) {
        json_decref(root);
        root = NULL;
    }
    ptf_free(texts);
    return root;
}
