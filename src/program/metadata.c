/*
 * What a file says of where a call came from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/graph.h"

/* Up to PyTorch 2.8 paths begin with the name of the model: "L['self'].a". */
static const char *skip_model(const char *path)
{
    if (strncmp(path, "L['", 3) != 0 || strstr(path, "']") == NULL)
        return path;
    path = strstr(path, "']") + 2;
    return *path == '.' ? path + 1 : path;
}

/*
 * Modules stand from the outermost to the innermost, "key,path,class" with a
 * semicolon between them.  The path is that of the state dict: "layer1.0".
 */
static ptf_status read_modules(const ptf_tree_source *source, const char *stack,
                               ptf_program_node *node)
{
    const char *last = strrchr(stack, ';');
    const char *key = last != NULL ? last + 1 : stack;
    const char *path = strchr(key, ',');
    const char *class = path != NULL ? strchr(path + 1, ',') : NULL;
    if (class == NULL ||
        strncmp(key, "_empty_", 7) == 0) /* made by no module */
        return PTF_OK;
    char *copy =
        ptf_arena_copy(source->arena, path + 1, (size_t)(class - path - 1));
    if (copy == NULL)
        return ptf_fail_memory(source->err);
    node->module = skip_model(copy);
    node->class = class + 1;
    return PTF_OK;
}

ptf_status ptf_program_read_metadata(const ptf_tree_source *source,
                                     const ptf_tree *call,
                                     ptf_program_node *node)
{
    ptf_tree all;
    node->module = node->class = "";
    ptf_status status =
        ptf_tree_member(source, call, "metadata", JSON_OBJECT, &all);
    if (status != PTF_OK)
        return status;
    ptf_metadata *rows = ptf_arena_array(
        source->arena, json_object_size(all.value), sizeof(*rows));
    if (rows == NULL)
        return ptf_fail_memory(source->err);
    node->metadata = rows;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)all.value, key, value)
    {
        ptf_tree text = {value, &all, key, 0};
        ptf_metadata *row = &rows[node->metadata_count++];
        row->key = ptf_arena_copy(source->arena, key, strlen(key));
        status = ptf_tree_text(source, &text, &row->value);
        if (status == PTF_OK && row->key == NULL)
            status = ptf_fail_memory(source->err);
        if (status == PTF_OK && strcmp(key, "nn_module_stack") == 0)
            status = read_modules(source, row->value, node);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}
