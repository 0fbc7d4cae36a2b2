/*
 * Gradients into a file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/save.h"
#include "grad/grad.h"

/* The gradient by the input under the shape of the batch. */
static ptf_tensor input_tensor(const ptf_gradient *g)
{
    const ptf_shape *shape = &g->shapes[0];
    ptf_tensor t = {
        .name = "input", .dtype = PTF_DTYPE_F32, .rank = shape->rank + 1};
    int64_t stride = 1;
    for (int d = shape->rank; d >= 0; d--) {
        t.shape[d] = d == 0 ? g->count : shape->dim[d - 1];
        t.stride[d] = stride;
        stride *= t.shape[d];
    }
    t.data = ptf_gradient_input(g);
    return t;
}

ptf_status ptf_gradient_save(const ptf_gradient *g, const char *path,
                             ptf_error *err)
{
    const ptf_tensor **tensors =
        ptf_alloc((g->tensor_count + 1) * sizeof(*tensors));
    if (tensors == NULL)
        return ptf_fail_memory(err);
    ptf_tensor input = input_tensor(g);
    size_t count = 0;
    if (input.data != NULL)
        tensors[count++] = &input;
    for (size_t i = 0; i < g->tensor_count; i++)
        tensors[count++] = &g->tensors[i];
    const char *assumption = g->net->assumption;
    const ptf_metadata metadata[] = {
        {PTF_ASSUMES, assumption != NULL ? assumption : ""},
        {"ptfold", ptf_version()},
    };
    ptf_status status = ptf_tensors_save(
        tensors, count, metadata, PTF_ARRAY_SIZE(metadata), path, NULL, err);
    ptf_free(tensors);
    return status;
}
