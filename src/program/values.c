/*
 * What a file records of values: dtypes, sizes with their symbols, strides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

/* ------------------------------------------------------------------- dtypes */

/* Numbers of these files, which are not those of PyTorch's C++. */
static const struct {
    int64_t number;
    ptf_dtype dtype;
} dtypes[] = {
    {7, PTF_DTYPE_F32},          {5, PTF_DTYPE_I64},
    {12, PTF_DTYPE_BOOL},        {1, PTF_DTYPE_U8},
    {2, PTF_DTYPE_I8},           {3, PTF_DTYPE_I16},
    {4, PTF_DTYPE_I32},          {6, PTF_DTYPE_F16},
    {8, PTF_DTYPE_F64},          {9, PTF_DTYPE_C32},
    {10, PTF_DTYPE_C64},         {11, PTF_DTYPE_C128},
    {13, PTF_DTYPE_BF16},        {28, PTF_DTYPE_U16},
    {29, PTF_DTYPE_F8_E4M3FN},   {30, PTF_DTYPE_F8_E5M2},
    {31, PTF_DTYPE_F8_E4M3FNUZ}, {32, PTF_DTYPE_F8_E5M2FNUZ},
    {33, PTF_DTYPE_F8_E8M0FNU},  {34, PTF_DTYPE_U32},
    {35, PTF_DTYPE_U64},
};

ptf_status ptf_program_read_dtype(const ptf_tree_source *source,
                                  const ptf_tree *tree, ptf_dtype *out)
{
    int64_t number;
    ptf_status status = ptf_tree_integer(source, tree, &number);
    if (status != PTF_OK)
        return status;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(dtypes); i++) {
        if (dtypes[i].number != number)
            continue;
        *out = dtypes[i].dtype;
        return PTF_OK;
    }
    return ptf_tree_fail(source, tree, PTF_UNSUPPORTED,
                         "expected the number of a dtype, got %lld, which "
                         "ptfold does not know",
                         (long long)number);
}

int ptf_program_dtype_number(ptf_dtype dtype)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(dtypes); i++) {
        if (dtypes[i].dtype == dtype)
            return (int)dtypes[i].number;
    }
    return 0;
}

/* ------------------------------------------------------------------ symbols */

/* The number of a symbol, which is added when it is new. */
static ptf_status find_symbol(ptf_program_reader *r, const char *name,
                              size_t size, int *out)
{
    ptf_program *p = r->program;
    char *copy = ptf_arena_copy(&p->arena, name, size);
    if (copy == NULL)
        return ptf_fail_memory(r->source.err);
    size_t known = (size_t)(uintptr_t)ptf_text_table_find(&r->by_symbol, copy);
    if (known > 0) {
        *out = (int)known - 1;
        return PTF_OK;
    }
    size_t count = (size_t)p->symbol_count;
    if (count == r->symbol_capacity) {
        size_t capacity = count > 0 ? 2 * count : 8;
        ptf_program_symbol *more =
            ptf_arena_array(&p->arena, capacity, sizeof(*more));
        if (more == NULL)
            return ptf_fail_memory(r->source.err);
        if (count > 0)
            memcpy(more, p->symbols, count * sizeof(*more));
        p->symbols = more;
        r->symbol_capacity = capacity;
    }
    p->symbols[count] = (ptf_program_symbol){copy, INT64_MIN, INT64_MAX};
    if (!ptf_text_table_add(&r->by_symbol, copy, (void *)(count + 1)))
        return ptf_fail_memory(r->source.err);
    p->symbol_count++;
    *out = (int)count;
    return PTF_OK;
}

/* One symbol and no more: "Symbol('s77', positive=True, integer=True)". */
static bool is_symbol(const char *text, const char **name, size_t *size)
{
    static const char start[] = "Symbol('";
    size_t n = sizeof(start) - 1;
    if (strncmp(text, start, n) != 0)
        return false;
    *name = text + n;
    *size = strspn(*name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789_");
    const char *rest = *name + *size;
    return *size > 0 && *rest == '\'' && strchr(rest, ')') != NULL &&
           strchr(rest, ')')[1] == '\0' && strchr(rest, '(') == NULL;
}

/* -------------------------------------------------------------------- sizes */

/* {"expr_str": ..., "hint": {"as_int": 2} or null} */
static ptf_status read_expression(ptf_program_reader *r, const ptf_tree *tree,
                                  ptf_program_size *out)
{
    ptf_tree hint, only;
    ptf_status status =
        ptf_tree_text_member(&r->source, tree, "expr_str", &out->expr);
    if (status == PTF_OK)
        status =
            ptf_tree_optional(&r->source, tree, "hint", JSON_OBJECT, &hint);
    if (status != PTF_OK)
        return status;
    const char *name;
    size_t size;
    if (is_symbol(out->expr, &name, &size))
        status = find_symbol(r, name, size, &out->symbol);
    if (status != PTF_OK || hint.value == NULL)
        return status;
    status = ptf_tree_union(&r->source, &hint, &only);
    if (status != PTF_OK)
        return status;
    out->known = json_is_integer(only.value) || json_is_boolean(only.value);
    out->value = json_is_boolean(only.value) ? json_is_true(only.value)
                                             : json_integer_value(only.value);
    return PTF_OK;
}

ptf_status ptf_program_read_size(ptf_program_reader *r, const ptf_tree *tree,
                                 ptf_program_size *out)
{
    ptf_tree only;
    *out = (ptf_program_size){.symbol = PTF_ABSENT};
    ptf_status status = ptf_tree_union(&r->source, tree, &only);
    if (status != PTF_OK)
        return status;
    if (strcmp(only.key, "as_expr") == 0)
        return read_expression(r, &only, out);
    out->known = true;
    if (strcmp(only.key, "as_int") == 0)
        return ptf_tree_integer(&r->source, &only, &out->value);
    if (strcmp(only.key, "as_bool") == 0) {
        bool truth;
        status = ptf_tree_truth(&r->source, &only, &truth);
        out->value = truth;
        return status;
    }
    return ptf_tree_fail(&r->source, &only, PTF_FORMAT,
                         "expected as_int or as_expr");
}

ptf_status ptf_program_read_sizes(ptf_program_reader *r, const ptf_tree *tree,
                                  const char *key, const ptf_program_size **out,
                                  int *count)
{
    ptf_tree list;
    ptf_status status =
        ptf_tree_member(&r->source, tree, key, JSON_ARRAY, &list);
    if (status != PTF_OK)
        return status;
    *count = (int)ptf_tree_count(&list);
    ptf_program_size *sizes =
        ptf_arena_array(&r->program->arena, (size_t)*count, sizeof(*sizes));
    if (sizes == NULL)
        return ptf_fail_memory(r->source.err);
    for (int i = 0; status == PTF_OK && i < *count; i++) {
        ptf_tree element = ptf_tree_element(&list, (size_t)i);
        status = ptf_program_read_size(r, &element, &sizes[i]);
        if (status == PTF_OK && sizes[i].known && sizes[i].value < 0)
            status = ptf_tree_fail(&r->source, &element, PTF_FORMAT,
                                   "expected at least 0, got %lld",
                                   (long long)sizes[i].value);
    }
    *out = sizes;
    return status;
}

/* ------------------------------------------------------------------- ranges */

static ptf_status read_bound(ptf_program_reader *r, const ptf_tree *tree,
                             const char *key, int64_t *out)
{
    ptf_tree bound;
    ptf_status status =
        ptf_tree_optional(&r->source, tree, key, JSON_INTEGER, &bound);
    if (status == PTF_OK && bound.value != NULL)
        *out = json_integer_value(bound.value);
    return status;
}

ptf_status ptf_program_read_ranges(ptf_program_reader *r, const ptf_tree *root)
{
    ptf_tree ranges;
    ptf_status status = ptf_tree_member(&r->source, root, "range_constraints",
                                        JSON_OBJECT, &ranges);
    if (status != PTF_OK)
        return status;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)ranges.value, key, value)
    {
        int number = 0;
        ptf_tree range = {value, &ranges, key, 0};
        status = find_symbol(r, key, strlen(key), &number);
        if (status != PTF_OK)
            return status;
        ptf_program_symbol *s = &r->program->symbols[number];
        status = read_bound(r, &range, "min_val", &s->least);
        if (status == PTF_OK)
            status = read_bound(r, &range, "max_val", &s->most);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}

/* ------------------------------------------------------------------ tensors */

/* Most values lie on one device, whose name is kept once. */
static ptf_status read_device(ptf_program_reader *r, const ptf_tree *tree,
                              const char **out)
{
    ptf_tree device, type;
    ptf_status status =
        ptf_tree_member(&r->source, tree, "device", JSON_OBJECT, &device);
    if (status == PTF_OK)
        status =
            ptf_tree_member(&r->source, &device, "type", JSON_STRING, &type);
    if (status != PTF_OK)
        return status;
    if (r->device == NULL ||
        strcmp(r->device, json_string_value(type.value)) != 0)
        status = ptf_tree_text(&r->source, &type, &r->device);
    *out = r->device;
    return status;
}

ptf_status ptf_program_read_meta(ptf_program_reader *r, const ptf_tree *tree,
                                 ptf_program_value *out)
{
    ptf_tree dtype, offset, grad;
    int strides = 0;
    int64_t layout;
    ptf_status status =
        ptf_tree_member(&r->source, tree, "dtype", JSON_INTEGER, &dtype);
    if (status == PTF_OK)
        status = ptf_program_read_dtype(&r->source, &dtype, &out->dtype);
    if (status == PTF_OK)
        status =
            ptf_program_read_sizes(r, tree, "sizes", &out->sizes, &out->rank);
    if (status == PTF_OK)
        status =
            ptf_program_read_sizes(r, tree, "strides", &out->strides, &strides);
    if (status == PTF_OK && strides != out->rank)
        status = ptf_tree_fail(&r->source, tree, PTF_FORMAT,
                               "expected as many strides as sizes, got %d and "
                               "%d",
                               strides, out->rank);
    if (status == PTF_OK)
        status = ptf_tree_member(&r->source, tree, "storage_offset",
                                 JSON_OBJECT, &offset);
    if (status == PTF_OK)
        status = ptf_program_read_size(r, &offset, &out->offset);
    if (status == PTF_OK && out->offset.known && out->offset.value < 0)
        status = ptf_tree_fail(&r->source, tree, PTF_FORMAT,
                               "expected an offset of at least 0, got %lld",
                               (long long)out->offset.value);
    if (status == PTF_OK)
        status = ptf_tree_member(&r->source, tree, "requires_grad", JSON_TRUE,
                                 &grad);
    if (status == PTF_OK)
        status = read_device(r, tree, &out->device);
    if (status == PTF_OK)
        status = ptf_tree_integer_member(&r->source, tree, "layout", &layout);
    if (status != PTF_OK)
        return status;
    out->requires_grad = json_is_true(grad.value);
    out->layout = layout >= 0 && layout < PTF_PROGRAM_STRIDED
                      ? (int)layout
                      : PTF_PROGRAM_STRIDED;
    return layout >= 0 && layout <= PTF_PROGRAM_STRIDED
               ? PTF_OK
               : ptf_tree_fail(&r->source, tree, PTF_FORMAT,
                               "expected a layout from 0 to %d, got %lld",
                               PTF_PROGRAM_STRIDED, (long long)layout);
}
