/*
 * A tensor's bytes in C order, however large it is: in place where they lie
 * so, else piece by piece through a buffer of fixed size.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tensor/tensor.h"

enum { CHUNK = 1 << 20 };

typedef struct stream {
    ptf_chunk_function *take;
    void *to;
    uint8_t *chunk;
    ptf_error *err;
} stream;

/* 'count' steps along the first dimension, from 'first' on. */
static ptf_tensor part_of(const ptf_tensor *t, int64_t first, int64_t count)
{
    ptf_tensor part = *t;
    part.shape[0] = count;
    part.data = (const uint8_t *)t->data +
                (size_t)(first * t->stride[0]) * ptf_dtype_size(t->dtype);
    return part;
}

/* The same without its first dimension. */
static ptf_tensor inner_of(const ptf_tensor *t)
{
    ptf_tensor inner = *t;
    inner.rank--;
    for (int i = 0; i < inner.rank; i++) {
        inner.shape[i] = t->shape[i + 1];
        inner.stride[i] = t->stride[i + 1];
    }
    return inner;
}

static ptf_status stream_chunk(stream *s, const ptf_tensor *t)
{
    ptf_tensor_read_bytes(t, s->chunk);
    return s->take(s->to, s->chunk, ptf_tensor_bytes(t), s->err);
}

/*
 * As many steps along the first dimension at a time as fit the chunk; where
 * not even one does, its inside in the same way.  As deep as the rank.
 */
static ptf_status stream_tensor(stream *s, const ptf_tensor *t)
{
    if (ptf_tensor_bytes(t) <= CHUNK || t->shape[0] < 1)
        return stream_chunk(s, t);
    size_t step = ptf_tensor_bytes(t) / (size_t)t->shape[0];
    int64_t count = step <= CHUNK ? (int64_t)(CHUNK / step) : 1;
    ptf_status status = PTF_OK;
    for (int64_t i = 0; i < t->shape[0] && status == PTF_OK; i += count) {
        int64_t left = t->shape[0] - i;
        ptf_tensor part = part_of(t, i, left < count ? left : count);
        if (step > CHUNK)
            part = inner_of(&part);
        status = stream_tensor(s, &part);
    }
    return status;
}

ptf_status ptf_tensor_stream(const ptf_tensor *tensor, ptf_chunk_function *take,
                             void *to, ptf_error *err)
{
    size_t bytes = ptf_tensor_bytes(tensor);
    if (ptf_tensor_is_contiguous(tensor))
        return bytes > 0 ? take(to, tensor->data, bytes, err) : PTF_OK;
    stream s = {take, to, ptf_alloc(CHUNK), err};
    ptf_status status =
        s.chunk != NULL ? stream_tensor(&s, tensor) : ptf_fail_memory(err);
    ptf_free(s.chunk);
    return status;
}
