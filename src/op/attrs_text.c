/*
 * A layer as PyTorch prints it, from its attributes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/attrs.h"
#include "op/number.h"

/* A text of bounded size; what does not fit is cut, and nothing here is. */
typedef struct writer {
    char text[1024];
    size_t size;
} writer;

static void PTF_PRINTF(2, 3) put(writer *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(w->text + w->size, sizeof(w->text) - w->size, fmt, args);
    va_end(args);
    w->size += (size_t)n;
    if (w->size >= sizeof(w->text))
        w->size = sizeof(w->text) - 1;
}

static void put_element(writer *w, const ptf_field *f, int64_t value)
{
    if ((f->flags & PTF_FIELD_NONE_IS_0) != 0 && value == 0)
        put(w, "None");
    else
        put(w, "%lld", (long long)value);
}

bool ptf_sizes_equal(ptf_op op, const int64_t sizes[PTF_MAP_AXES])
{
    bool equal = true;
    for (int i = ptf_op_first_axis(op); i < PTF_MAP_AXES; i++)
        equal &= sizes[i] == sizes[PTF_MAP_AXES - 1];
    return equal;
}

static void put_sizes(writer *w, ptf_op op, const ptf_field *f,
                      const int64_t value[PTF_MAP_AXES])
{
    int first = ptf_op_first_axis(op);
    if (ptf_sizes_equal(op, value) && (f->flags & PTF_FIELD_TUPLE) == 0) {
        put_element(w, f, value[first]);
        return;
    }
    for (int i = first; i < PTF_MAP_AXES; i++) {
        put(w, i == first ? "(" : ", ");
        put_element(w, f, value[i]);
    }
    put(w, first == PTF_MAP_AXES - 1 ? ",)" : ")");
}

static void put_list(writer *w, int count, const int64_t *at)
{
    put(w, "(");
    for (int i = 0; i < count; i++)
        put(w, "%s%lld", i > 0 ? ", " : "", (long long)at[i]);
    put(w, count == 1 ? ",)" : ")");
}

static void put_float(writer *w, double value)
{
    char text[32];
    ptf_number_text(value, text);
    put(w, "%s", text);
}

static void put_factors(writer *w, const ptf_factors *factors)
{
    put(w, "(");
    for (int i = 0; i < factors->count; i++) {
        put(w, i > 0 ? ", " : "");
        put_float(w, factors->at[i]);
    }
    put(w, factors->count == 1 ? ",)" : ")");
}

static void put_value(writer *w, ptf_op op, const ptf_field *f,
                      const ptf_attrs *attrs)
{
    const void *at = (const char *)attrs + f->at;
    if (f->none_at != 0 && *(const bool *)((const char *)attrs + f->none_at)) {
        put(w, "None");
        return;
    }
    switch (f->kind) {
    case PTF_FIELD_KIND_INT: put_element(w, f, *(const int64_t *)at); break;
    case PTF_FIELD_KIND_PADDING:
        if (attrs->padding_text != NULL) {
            put(w, "%s", attrs->padding_text);
            break;
        }
        put_sizes(w, op, f, at);
        break;
    case PTF_FIELD_KIND_SIZES: put_sizes(w, op, f, at); break;
    case PTF_FIELD_KIND_FLOAT: put_float(w, *(const double *)at); break;
    case PTF_FIELD_KIND_WORD:
        put(w, "'%s'", f->words[(int)*(const double *)at]);
        break;
    case PTF_FIELD_KIND_BOOL:
        put(w, *(const bool *)at ? "True" : "False");
        break;
    case PTF_FIELD_KIND_LIST:
        put_list(w, ((const ptf_list *)at)->count, ((const ptf_list *)at)->at);
        break;
    case PTF_FIELD_KIND_PADS:
        put_list(w, ((const ptf_pads *)at)->count, ((const ptf_pads *)at)->at);
        break;
    case PTF_FIELD_KIND_FACTORS: put_factors(w, at); break;
    case PTF_FIELD_KIND_MODE: put(w, "zeros"); break;
    }
}

static size_t value_size(ptf_field_kind kind)
{
    static const size_t sizes[] = {
        [PTF_FIELD_KIND_INT] = sizeof(int64_t),
        [PTF_FIELD_KIND_SIZES] = PTF_MAP_AXES * sizeof(int64_t),
        [PTF_FIELD_KIND_PADDING] = PTF_MAP_AXES * sizeof(int64_t),
        [PTF_FIELD_KIND_FLOAT] = sizeof(double),
        [PTF_FIELD_KIND_WORD] = sizeof(double),
        [PTF_FIELD_KIND_BOOL] = sizeof(bool),
        [PTF_FIELD_KIND_LIST] = sizeof(ptf_list),
        [PTF_FIELD_KIND_PADS] = sizeof(ptf_pads),
        [PTF_FIELD_KIND_FACTORS] = sizeof(ptf_factors),
        [PTF_FIELD_KIND_MODE] = 0,
    };
    return sizes[kind];
}

static bool is_default(const ptf_field *f, const ptf_attrs *attrs,
                       const ptf_attrs *defaults)
{
    if (f->kind == PTF_FIELD_KIND_PADDING && attrs->padding_text != NULL)
        return false;
    return memcmp((const char *)attrs + f->at, (const char *)defaults + f->at,
                  value_size(f->kind)) == 0;
}

/* A flag of the field's; none is always false. */
static bool flag(const ptf_attrs *attrs, size_t at)
{
    return at != 0 && *(const bool *)((const char *)attrs + at);
}

bool ptf_field_equal(const ptf_field *f, const ptf_attrs *a, const ptf_attrs *b)
{
    if (f->kind == PTF_FIELD_KIND_PADDING &&
        (a->padding_text != NULL || b->padding_text != NULL))
        return a->padding_text != NULL && b->padding_text != NULL &&
               strcmp(a->padding_text, b->padding_text) == 0;
    bool is_none = flag(a, f->none_at);
    if (is_none != flag(b, f->none_at) ||
        flag(a, f->unspecified_at) != flag(b, f->unspecified_at))
        return false;
    return is_none || is_default(f, a, b);
}

void ptf_field_copy(const ptf_field *f, const ptf_attrs *from, ptf_attrs *to)
{
    memcpy((char *)to + f->at, (const char *)from + f->at, value_size(f->kind));
}

char *ptf_op_text(ptf_arena *arena, ptf_op op, const ptf_attrs *attrs)
{
    writer w = {.size = 0};
    ptf_attrs defaults;
    ptf_attrs_default(op, &defaults);
    put(&w, "%s(", ptf_op_class(op));
    const char *comma = "";
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        if ((f->flags & PTF_FIELD_ALWAYS) == 0 &&
            is_default(f, attrs, &defaults))
            continue;
        put(&w, "%s", comma);
        if ((f->flags & PTF_FIELD_POSITIONAL) == 0)
            put(&w, "%s=", f->name);
        put_value(&w, op, f, attrs);
        comma = ", ";
    }
    put(&w, ")");
    return ptf_arena_copy(arena, w.text, w.size);
}
