/*
 * The arrays of a NumPy file under their names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

struct ptf_arrays {
    ptf_arena arena;
    ptf_file file;
    ptf_tensor *tensors;
    size_t count;
};

static ptf_status parse_npy(ptf_arrays *a, ptf_error *err)
{
    ptf_origin origin = {a->file.name, NULL};
    a->tensors = ptf_arena_array(&a->arena, 1, sizeof(*a->tensors));
    if (a->tensors == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_npy_parse(a->file.data, a->file.size, &origin,
                                      &a->arena, a->tensors, err);
    a->tensors->name = "";
    a->count = 1;
    return status;
}

static bool starts_with(const ptf_file *file, const char *bytes)
{
    size_t size = strlen(bytes);
    return file->size >= size && memcmp(file->data, bytes, size) == 0;
}

static ptf_status parse(ptf_arrays *a, const char *path, ptf_error *err)
{
    a->file.fd = -1;
    ptf_status status = ptf_file_open(path, &a->file, err);
    if (status != PTF_OK)
        return status;
    if (starts_with(&a->file, "\x93NUMPY"))
        return parse_npy(a, err);
    if (starts_with(&a->file, "PK\5\6")) /* a zip of no arrays */
        return PTF_OK;
    if (starts_with(&a->file, "PK\3\4"))
        return ptf_npz_parse(&a->file, &a->arena, &a->tensors, &a->count, err);
    ptf_origin origin = {path, NULL};
    return ptf_fail(err, PTF_UNSUPPORTED, &origin, 0,
                    "expected a NumPy array (.npy, .npz), got something "
                    "else; write one with numpy.save()");
}

ptf_status ptf_arrays_open(const char *path, ptf_arrays **out, ptf_error *err)
{
    *out = NULL;
    ptf_arrays *a = ptf_alloc(sizeof(*a));
    if (a == NULL)
        return ptf_fail_memory(err);
    ptf_status status = parse(a, path, err);
    if (status == PTF_OK)
        *out = a;
    else
        ptf_arrays_close(a);
    return status;
}

void ptf_arrays_close(ptf_arrays *arrays)
{
    if (arrays == NULL)
        return;
    ptf_file_close(&arrays->file);
    ptf_arena_free(&arrays->arena);
    ptf_free(arrays);
}

ptf_status ptf_arrays_check(const ptf_arrays *arrays, ptf_error *err)
{
    return ptf_file_check(&arrays->file, err);
}

const ptf_tensor *ptf_arrays_tensors(const ptf_arrays *arrays, size_t *count)
{
    *count = arrays->count;
    return arrays->tensors;
}
