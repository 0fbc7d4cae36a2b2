/*
 * Which bytes go into a file that can share them: tensors of one storage
 * become views of one payload, as torch.save() keeps them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/writer.h"

#include <stdlib.h>

typedef struct member {
    const ptf_tensor *tensor;
    size_t index;
} member;

/* Tensors without elements stand apart: they share nothing. */
static int compare_members(const void *a, const void *b)
{
    const member *x = a, *y = b;
    bool p = ptf_tensor_numel(x->tensor) == 0;
    bool q = ptf_tensor_numel(y->tensor) == 0;
    if (p != q)
        return p ? -1 : 1;
    uintptr_t m = (uintptr_t)x->tensor->storage;
    uintptr_t n = (uintptr_t)y->tensor->storage;
    if (m != n)
        return m < n ? -1 : 1;
    if (x->tensor->dtype != y->tensor->dtype)
        return x->tensor->dtype < y->tensor->dtype ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static bool has_storage(const ptf_tensor *t)
{
    return t->storage != NULL && ptf_tensor_numel(t) > 0;
}

/* True when both may be views of one payload. */
static bool same_group(const ptf_tensor *a, const ptf_tensor *b)
{
    return has_storage(a) && has_storage(b) && a->storage == b->storage &&
           a->dtype == b->dtype;
}

/* Bytes from the first element to the end of the last. */
static size_t reach_of(const ptf_tensor *t)
{
    int64_t last = 0;
    for (int i = 0; i < t->rank; i++)
        last += t->shape[i] > 1 ? (t->shape[i] - 1) * t->stride[i] : 0;
    return (size_t)(last + 1) * ptf_dtype_size(t->dtype);
}

/* All that the members reach, as one row of elements. */
static ptf_tensor span_of(const member *members, size_t count)
{
    const ptf_tensor *first = members[0].tensor;
    const uint8_t *begin = first->data, *end = first->data;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = members[i].tensor->data;
        size_t reach = reach_of(members[i].tensor);
        begin = at < begin ? at : begin;
        end = at + reach > end ? at + reach : end;
    }
    int64_t numel = (end - begin) / (int64_t)ptf_dtype_size(first->dtype);
    return (ptf_tensor){.name = first->name,
                        .dtype = first->dtype,
                        .rank = 1,
                        .shape = {numel},
                        .stride = {1},
                        .data = begin,
                        .storage = first->storage};
}

/* Plain bytes may hold views that do not start at whole elements. */
static bool in_step(const ptf_tensor *span, const member *members, size_t count)
{
    size_t size = ptf_dtype_size(span->dtype);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = members[i].tensor->data;
        if ((size_t)(at - (const uint8_t *)span->data) % size != 0)
            return false;
    }
    return true;
}

/* Gives the members of a group their view; its payload has no number yet. */
static void share_group(const member *members, size_t count, size_t leader,
                        ptf_payloads *out)
{
    ptf_tensor span = span_of(members, count);
    if (!in_step(&span, members, count))
        return;
    int64_t size = (int64_t)ptf_dtype_size(span.dtype);
    out->items[leader] = span;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = members[i].tensor->data;
        out->views[members[i].index] = (ptf_view){
            .payload = leader,
            .offset = (at - (const uint8_t *)span.data) / size,
            .shared = true,
        };
    }
}

static ptf_status share_all(const ptf_save *save, ptf_payloads *out,
                            ptf_error *err)
{
    member *sorted = ptf_alloc(save->count * sizeof(*sorted));
    if (sorted == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < save->count; i++)
        sorted[i] = (member){save->tensors[i], i};
    qsort(sorted, save->count, sizeof(*sorted), compare_members);
    for (size_t i = 0, n; i < save->count; i += n) {
        for (n = 1; i + n < save->count &&
                    same_group(sorted[i].tensor, sorted[i + n].tensor);)
            n++;
        if (n > 1 || (save->keep_strides && has_storage(sorted[i].tensor)))
            share_group(&sorted[i], n, sorted[i].index, out);
    }
    ptf_free(sorted);
    return PTF_OK;
}

/*
 * Until here a payload has the number of its first tensor; closes the gaps,
 * so that they are numbered in the order in which the pickle names them.
 */
static void number(const ptf_save *save, ptf_payloads *out)
{
    for (size_t i = 0; i < save->count; i++) {
        ptf_view *view = &out->views[i];
        if (view->payload != i) {
            view->payload = out->views[view->payload].payload;
            continue;
        }
        out->items[out->count] = out->items[i];
        view->payload = out->count++;
    }
}

ptf_status ptf_payloads_make(const ptf_save *save, ptf_payloads *out,
                             ptf_error *err)
{
    *out = (ptf_payloads){
        .items = ptf_alloc(save->count * sizeof(*out->items)),
        .views = ptf_alloc(save->count * sizeof(*out->views)),
    };
    ptf_status status = out->items != NULL && out->views != NULL
                            ? PTF_OK
                            : ptf_fail_memory(err);
    for (size_t i = 0; i < save->count && status == PTF_OK; i++) {
        out->items[i] = *save->tensors[i];
        out->views[i].payload = i;
    }
    if (status == PTF_OK && save->share)
        status = share_all(save, out, err);
    if (status == PTF_OK)
        number(save, out);
    else
        ptf_payloads_free(out);
    return status;
}

void ptf_payloads_free(ptf_payloads *payloads)
{
    ptf_free(payloads->items);
    ptf_free(payloads->views);
}

uint64_t ptf_payloads_size(const ptf_payloads *payloads)
{
    uint64_t size = 0;
    for (size_t i = 0; i < payloads->count; i++)
        size += ptf_tensor_bytes(&payloads->items[i]);
    return size;
}
