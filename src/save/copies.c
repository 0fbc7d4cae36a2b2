/*
 * Copies of storages of which only parts are written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/writer.h"

#include <stdlib.h>

static int compare_copies(const void *a, const void *b)
{
    const ptf_copy *x = a, *y = b;
    uintptr_t m = (uintptr_t)x->of, n = (uintptr_t)y->of;
    return (m > n) - (m < n);
}

/* Each storage that is needed once, without data yet. */
static void list_parts(const ptf_tensor *const *tensors, size_t count,
                       ptf_copies *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const ptf_storage *s = tensors[i]->storage;
        if (s != NULL && s->file != NULL && s->has_crc && s->size > 0 &&
            !ptf_tensor_is_storage(tensors[i]))
            out->items[out->count++].of = s;
    }
    if (out->count > 0)
        qsort(out->items, out->count, sizeof(*out->items), compare_copies);
    for (size_t i = 0; i < out->count; i++) {
        if (kept == 0 || out->items[kept - 1].of != out->items[i].of)
            out->items[kept++].of = out->items[i].of;
    }
    out->count = kept;
}

static ptf_status fill(ptf_copy *copy, ptf_error *err)
{
    const ptf_storage *s = copy->of;
    copy->data = ptf_alloc(s->size);
    if (copy->data == NULL)
        return ptf_fail_memory(err);
    ptf_status status =
        ptf_file_copy(s->file, s->data, s->size, copy->data, err);
    if (status == PTF_OK &&
        ptf_crc32_parallel(0, copy->data, s->size) != s->crc)
        status = ptf_file_fail_changed(s->file, err);
    return status;
}

ptf_status ptf_copies_make(const ptf_tensor *const *tensors, size_t count,
                           ptf_copies *out, ptf_error *err)
{
    *out = (ptf_copies){.items = ptf_alloc(count * sizeof(*out->items))};
    if (out->items == NULL)
        return ptf_fail_memory(err);
    list_parts(tensors, count, out);
    ptf_status status = PTF_OK;
    for (size_t i = 0; i < out->count && status == PTF_OK; i++)
        status = fill(&out->items[i], err);
    return status;
}

const uint8_t *ptf_copies_find(const ptf_copies *copies,
                               const ptf_storage *storage)
{
    const ptf_copy key = {.of = storage};
    if (copies->count == 0)
        return NULL;
    const ptf_copy *found = bsearch(&key, copies->items, copies->count,
                                    sizeof(key), compare_copies);
    return found != NULL ? found->data : NULL;
}

void ptf_copies_free(ptf_copies *copies)
{
    for (size_t i = 0; i < copies->count; i++)
        ptf_free(copies->items[i].data);
    ptf_free(copies->items);
}
