/*
 * The attributes of an op in the text of a graph: what its parameters do not
 * tell and what is not usual, by the names that print(model) has for it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/attrs.h"
#include "op/number.h"

/* ---------------------------------------------------------------- printing */

/* 'told' is what a reader knows without the attribute. */
static bool is_stated(const ptf_field *f, const ptf_attrs *attrs,
                      const ptf_attrs *told)
{
    if (f->kind == PTF_FIELD_KIND_MODE) /* it is zeros, or pads nothing */
        return false;
    bool always = (f->flags & PTF_FIELD_REQUIRED) != 0 &&
                  (f->flags & (PTF_FIELD_TOLD | PTF_FIELD_BRIEF)) == 0;
    return always || !ptf_field_equal(f, attrs, told);
}

static void put_element(ptf_buffer *b, const ptf_field *f, int64_t value)
{
    if ((f->flags & PTF_FIELD_NONE_IS_0) != 0 && value == 0)
        ptf_buffer_add_text(b, "None");
    else
        ptf_buffer_printf(b, "%lld", (long long)value);
}

static void put_sizes(ptf_buffer *b, ptf_op op, const ptf_field *f,
                      const int64_t value[PTF_MAP_AXES])
{
    int first = ptf_op_first_axis(op);
    for (int i = first; i < PTF_MAP_AXES; i++) {
        ptf_buffer_add_text(b, i == first ? "[" : ",");
        put_element(b, f, value[i]);
    }
    ptf_buffer_add_text(b, "]");
}

static void put_list(ptf_buffer *b, int count, const int64_t *at)
{
    ptf_buffer_add_text(b, "[");
    for (int i = 0; i < count; i++)
        ptf_buffer_printf(b, "%s%lld", i > 0 ? "," : "", (long long)at[i]);
    ptf_buffer_add_text(b, "]");
}

static void put_factors(ptf_buffer *b, const ptf_factors *factors)
{
    ptf_buffer_add_text(b, "[");
    for (int i = 0; i < factors->count; i++) {
        char number[32];
        ptf_number_text(factors->at[i], number);
        ptf_buffer_printf(b, "%s%s", i > 0 ? "," : "", number);
    }
    ptf_buffer_add_text(b, "]");
}

static void put_value(ptf_buffer *b, ptf_op op, const ptf_field *f,
                      const ptf_attrs *attrs)
{
    const void *at = (const char *)attrs + f->at;
    char number[32];
    if (f->none_at != 0 && *(const bool *)((const char *)attrs + f->none_at)) {
        ptf_buffer_add_text(b, "None");
        return;
    }
    switch (f->kind) {
    case PTF_FIELD_KIND_INT: put_element(b, f, *(const int64_t *)at); break;
    case PTF_FIELD_KIND_PADDING:
        if (attrs->padding_text != NULL) {
            ptf_buffer_add_text(b, attrs->padding_text);
            break;
        }
        put_sizes(b, op, f, at);
        break;
    case PTF_FIELD_KIND_SIZES: put_sizes(b, op, f, at); break;
    case PTF_FIELD_KIND_FLOAT:
        ptf_number_text(*(const double *)at, number);
        ptf_buffer_add_text(b, number);
        break;
    case PTF_FIELD_KIND_BOOL:
        ptf_buffer_add_text(b, *(const bool *)at ? "True" : "False");
        break;
    case PTF_FIELD_KIND_LIST:
        put_list(b, ((const ptf_list *)at)->count, ((const ptf_list *)at)->at);
        break;
    case PTF_FIELD_KIND_PADS:
        put_list(b, ((const ptf_pads *)at)->count, ((const ptf_pads *)at)->at);
        break;
    case PTF_FIELD_KIND_FACTORS: put_factors(b, at); break;
    case PTF_FIELD_KIND_WORD:
        ptf_buffer_add_text(b, f->words[(int)*(const double *)at]);
        break;
    case PTF_FIELD_KIND_MODE: break; /* never stated */
    }
}

char *ptf_attrs_graph(ptf_arena *arena, ptf_op op, const ptf_attrs *attrs,
                      const ptf_shape *const shapes[PTF_ROLE_COUNT])
{
    ptf_attrs usual, told = *attrs;
    ptf_attrs_default(op, &usual);
    ptf_op_infer(op, shapes, &told);
    ptf_buffer b = {0};
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        bool is_told = (f->flags & PTF_FIELD_TOLD) != 0;
        if (!is_stated(f, attrs, is_told ? &told : &usual))
            continue;
        ptf_buffer_printf(&b, " %s=", f->name);
        put_value(&b, op, f, attrs);
    }
    const char *data = b.size > 0 ? (const char *)b.data : "";
    char *text = b.failed ? NULL : ptf_arena_copy(arena, data, b.size);
    ptf_buffer_free(&b);
    return text;
}

/* ----------------------------------------------------------------- reading */

enum { VALUE_MAX = 32 * PTF_SHAPE_MAX };

/* "[1,2]" is what print(model) writes (1,2). */
static bool parse_value(ptf_op op, const ptf_field *f, ptf_text_span value,
                        ptf_attrs *out)
{
    char copy[VALUE_MAX];
    if (value.size == 0 || value.size >= sizeof(copy))
        return false;
    memcpy(copy, value.text, value.size);
    if (copy[0] == '[') {
        copy[0] = '(';
        copy[value.size - 1] = ')';
    }
    return ptf_field_parse(op, f, (ptf_text_span){copy, value.size}, out);
}

static const char *parse_one(ptf_op op, const ptf_attr_text *text,
                             uint64_t *seen, ptf_attrs *out, char message[256])
{
    const char *name = ptf_op_info(op)->name;
    const ptf_field *f = ptf_field_find(op, text->name);
    int name_size = text->name.size < 60 ? (int)text->name.size : 60;
    int size = text->value.size < 60 ? (int)text->value.size : 60;
    if (f == NULL) {
        snprintf(message, 256, "expected an attribute of %s, got '%.*s'", name,
                 name_size, text->name.text);
        return message;
    }
    uint64_t bit = (uint64_t)1 << (f - ptf_op_fields[op]);
    if ((*seen & bit) != 0) {
        snprintf(message, 256, "expected %s of %s once, got it twice", f->name,
                 name);
        return message;
    }
    *seen |= bit;
    if (parse_value(op, f, text->value, out))
        return NULL;
    snprintf(message, 256,
             "expected a value of %s that ptfold supports, got "
             "'%.*s'",
             f->name, size, text->value.text);
    return message;
}

static const char *parse_all(ptf_op op, const ptf_attr_text *texts, int count,
                             uint64_t *seen, ptf_attrs *out, int *at,
                             char message[256])
{
    *seen = 0;
    for (*at = 0; *at < count; ++*at) {
        const char *wrong = parse_one(op, &texts[*at], seen, out, message);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

/* Parameters that are not there tell nothing of the layer's size. */
static bool is_missing(const ptf_field *f, bool is_seen, const ptf_attrs *attrs)
{
    if ((f->flags & PTF_FIELD_REQUIRED) == 0 || is_seen)
        return false;
    if ((f->flags & PTF_FIELD_TOLD) != 0)
        return f->kind == PTF_FIELD_KIND_INT &&
               *(const int64_t *)(const void *)((const char *)attrs + f->at) <
                   f->minimum;
    return (f->flags & PTF_FIELD_BRIEF) == 0;
}

/*
 * What is stated is read twice: groups decide what a weight's shape tells, and
 * what is stated wins over what is told.
 */
const char *ptf_attrs_graph_parse(ptf_op op, const ptf_attr_text *texts,
                                  int count,
                                  const ptf_shape *const shapes[PTF_ROLE_COUNT],
                                  ptf_attrs *out, int *at, char message[256])
{
    uint64_t seen;
    ptf_attrs_default(op, out);
    const char *wrong = parse_all(op, texts, count, &seen, out, at, message);
    if (wrong != NULL)
        return wrong;
    ptf_op_infer(op, shapes, out);
    parse_all(op, texts, count, &seen, out, at, message);
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        bool is_seen = (seen >> (f - ptf_op_fields[op]) & 1) != 0;
        if (!is_missing(f, is_seen, out))
            continue;
        bool is_told = (f->flags & PTF_FIELD_TOLD) != 0;
        snprintf(message, 256, "expected %s= after %s()%s", f->name,
                 ptf_op_info(op)->name,
                 is_told ? ", or parameters that tell it" : "");
        return message;
    }
    wrong = ptf_op_settle(op, out);
    if (wrong == NULL)
        return NULL;
    snprintf(message, 256, "%s with %s", ptf_op_info(op)->name, wrong);
    return message;
}
