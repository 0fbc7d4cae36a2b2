/*
 * Where a tensor's elements lie: sizes, strides and offsets, checked against
 * the storage before anybody follows them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

ptf_status ptf_read_dims(const ptf_checkpoint *ckpt, const ptf_object *tuple,
                         const char *name, const char *what, int64_t *out,
                         int *rank, ptf_error *err)
{
    ptf_origin origin = ptf_object_origin(ckpt);
    if (ptf_object_is_global(tuple->kind == PTF_OBJECT_INSTANCE
                                 ? tuple->items[PTF_INSTANCE_CALLEE]
                                 : NULL,
                             "torch", "Size") &&
        tuple->items[PTF_INSTANCE_ARGS]->count == 1)
        tuple = tuple->items[PTF_INSTANCE_ARGS]->items[0];
    if (tuple->kind != PTF_OBJECT_TUPLE && tuple->kind != PTF_OBJECT_LIST)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "tensor '%s': expected a tuple for its %s", name, what);
    if (tuple->count > PTF_MAX_RANK)
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "tensor '%s': expected at most %d dimensions, got "
                        "%u",
                        name, PTF_MAX_RANK, tuple->count);
    for (uint32_t i = 0; i < tuple->count; i++) {
        const ptf_object *v = tuple->items[i];
        if (v->kind != PTF_OBJECT_INT || v->integer < 0)
            return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                            "tensor '%s': expected integers of 0 or more for "
                            "its %s",
                            name, what);
        out[i] = v->integer;
    }
    *rank = (int)tuple->count;
    return PTF_OK;
}

/*
 * A view that repeats elements may be far larger than its file; this much is
 * allowed, so that a small file cannot make its reader allocate terabytes.
 */
static const size_t MAX_REPEATED = (size_t)16 << 20;

/* The largest index, with checked arithmetic. */
static bool find_extent(const ptf_tensor *t, int64_t *extent)
{
    *extent = 0;
    for (int i = 0; i < t->rank; i++) {
        int64_t reach;
        if (t->shape[i] > 1 &&
            (!ptf_mul_i64(t->shape[i] - 1, t->stride[i], &reach) ||
             !ptf_add_i64(*extent, reach, extent)))
            return false;
    }
    return true;
}

ptf_status ptf_tensor_place(const ptf_checkpoint *ckpt,
                            const ptf_storage_view *view, int64_t offset,
                            ptf_tensor *out, ptf_error *err)
{
    ptf_origin origin = ptf_object_origin(ckpt);
    size_t size = ptf_dtype_size(out->dtype), bytes;
    int64_t extent, last;
    int64_t available =
        view->numel * (int64_t)ptf_dtype_size(view->storage->dtype);
    available /= (int64_t)size;
    out->storage = &view->storage->bytes;
    out->data = view->storage->bytes.data;
    if (!ptf_tensor_measure(out, &bytes) || !find_extent(out, &extent) ||
        offset < 0 || !ptf_add_i64(offset, extent, &last))
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "tensor '%s': expected a size that exists, got one "
                        "beyond 64 bits",
                        out->name);
    size_t start = (size_t)view->offset * ptf_dtype_size(view->storage->dtype) +
                   (size_t)offset * size;
    if (bytes == 0 && (start == 0 || offset > available))
        return PTF_OK;
    if (bytes > 0 && last >= available)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "tensor '%s': expected elements up to number %lld in "
                        "its storage, got %lld elements there",
                        out->name, (long long)last, (long long)available);
    if (bytes > view->storage->bytes.size && bytes > MAX_REPEATED)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "tensor '%s': expected at most %zu bytes of repeated "
                        "elements, got %zu",
                        out->name, MAX_REPEATED, bytes);
    out->data = view->storage->bytes.data + start;
    return PTF_OK;
}
