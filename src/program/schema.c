/*
 * Finding operators in the table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/schema.h"

static const char *const kind_names[] = {
    [PTF_ARGUMENT_NONE] = "None",
    [PTF_ARGUMENT_VALUE] = "a value",
    [PTF_ARGUMENT_VALUES] = "a list of tensors",
    [PTF_ARGUMENT_INT] = "an integer",
    [PTF_ARGUMENT_INTS] = "a list of integers",
    [PTF_ARGUMENT_FLOAT] = "a number",
    [PTF_ARGUMENT_FLOATS] = "a list of numbers",
    [PTF_ARGUMENT_BOOL] = "a truth value",
    [PTF_ARGUMENT_BOOLS] = "a list of truth values",
    [PTF_ARGUMENT_COMPLEX] = "a complex number",
    [PTF_ARGUMENT_TEXT] = "a text",
    [PTF_ARGUMENT_TEXTS] = "a list of texts",
    [PTF_ARGUMENT_DTYPE] = "a dtype",
    [PTF_ARGUMENT_DEVICE] = "a device",
    [PTF_ARGUMENT_LAYOUT] = "a layout",
    [PTF_ARGUMENT_MEMORY_FORMAT] = "a memory format",
    [PTF_ARGUMENT_GRAPH] = "a graph",
    [PTF_ARGUMENT_OTHER] = "something else",
};

const char *ptf_argument_kind_name(ptf_argument_kind kind)
{
    return kind_names[kind];
}

const ptf_schema *ptf_schema_find(const char *target)
{
    size_t from = 0, to;
    const ptf_schema *table = ptf_schema_table(&to);
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(target, table[middle].target);
        if (order == 0)
            return &table[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}
