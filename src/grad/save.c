/*
 * Gradients into a file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/save.h"
#include "grad/grad.h"

/* The gradient by an input: of whole programs as it is, else with the batch. */
static bool input_tensor(const ptf_gradient *g, int k, ptf_arena *arena,
                         ptf_tensor *t)
{
    const ptf_shape *shape = &g->shapes[k];
    int batch = g->net->whole ? 0 : 1;
    *t = (ptf_tensor){
        .name = "input", .dtype = PTF_DTYPE_F32, .rank = shape->rank + batch};
    t->shape[0] = g->count;
    for (int d = 0; d < shape->rank; d++)
        t->shape[batch + d] = shape->dim[d];
    ptf_tensor_set_strides(t);
    t->data = ptf_gradient_input(g, (size_t)k);
    if (g->net->input_count > 1)
        t->name = ptf_arena_printf(arena, "input.%s", g->net->nodes[k].name);
    return t->name != NULL;
}

/* All gradients, into room for as many as there can be. */
static bool list_tensors(const ptf_gradient *g, ptf_arena *arena,
                         ptf_tensor *inputs, const ptf_tensor **out,
                         size_t *count)
{
    for (int k = 0; k < g->net->input_count; k++) {
        if (!input_tensor(g, k, arena, &inputs[k]))
            return false;
        if (inputs[k].data != NULL)
            out[(*count)++] = &inputs[k];
    }
    for (size_t i = 0; i < g->tensor_count; i++)
        out[(*count)++] = &g->tensors[i];
    return true;
}

ptf_status ptf_gradient_save(const ptf_gradient *g, const char *path,
                             ptf_error *err)
{
    ptf_arena arena = {NULL};
    size_t most = (size_t)g->net->input_count, count = 0;
    ptf_tensor *inputs = ptf_arena_array(&arena, most, sizeof(*inputs));
    const ptf_tensor **tensors =
        ptf_arena_array(&arena, most + g->tensor_count, sizeof(*tensors));
    if (inputs == NULL || tensors == NULL ||
        !list_tensors(g, &arena, inputs, tensors, &count)) {
        ptf_arena_free(&arena);
        return ptf_fail_memory(err);
    }
    const char *assumption = g->net->assumption;
    const ptf_metadata metadata[] = {
        {PTF_ASSUMES, assumption != NULL ? assumption : ""},
        {"ptfold", ptf_version()},
    };
    ptf_status status = ptf_tensors_save(
        tensors, count, metadata, PTF_ARRAY_SIZE(metadata), path, NULL, err);
    ptf_arena_free(&arena);
    return status;
}
