/*
 * tensor: typed arrays in memory: dtypes, shapes, strides, elements.  The
 * types and most functions are public (ptfold.h); this is what only the
 * library uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TENSOR_H
#define PTF_TENSOR_H

#include "base/base.h"

/*
 * The bytes behind tensors.  Tensors of one storage share it (tied weights).
 * 'file' is the mapping that holds the bytes, so that a writer can let the
 * kernel copy them, or NULL when they were inflated or swapped into memory.
 */
typedef struct ptf_storage {
    const char *key; /* "0" of data/0 */
    const uint8_t *data;
    size_t size;
    const ptf_file *file;
    uint32_t crc; /* meaningful with has_crc */
    bool has_crc; /* the archive states it, or the bytes were verified once */
    bool dequantized; /* the file has integers that stand for these numbers */
} ptf_storage;

/* The dtype of that name ("float32"); false when there is none. */
bool ptf_dtype_find(const char *name, ptf_dtype *out);

/* "f32" and so on, in the text of a graph; false when there is none. */
const char *ptf_dtype_short(ptf_dtype dtype);
bool ptf_dtype_find_short(ptf_text_span name, ptf_dtype *out);

/* True for f64, f32, f16 and bf16. */
bool ptf_dtype_is_float(ptf_dtype dtype);

/* True when the elements lie in C order without gaps. */
bool ptf_tensor_is_contiguous(const ptf_tensor *tensor);

/* Bytes of all elements in C order. */
size_t ptf_tensor_bytes(const ptf_tensor *tensor);

/* True when these are just the bytes of its storage. */
bool ptf_tensor_is_storage(const ptf_tensor *tensor);

/*
 * The data as an array of f32 in C order, used in place: NULL unless the
 * tensor is f32, contiguous and aligned to 4.
 */
const float *ptf_tensor_f32(const ptf_tensor *tensor);

/*
 * The index in C order of the first element that is NaN or infinite, or -1;
 * also -1 for dtypes other than f64, f32, f16 and bf16.
 */
int64_t ptf_tensor_find_not_finite(const ptf_tensor *tensor);

/*
 * Copies the elements to 'out' in C order, bytes as they are (for any dtype).
 */
void ptf_tensor_read_bytes(const ptf_tensor *tensor, void *out);

/* Takes the next bytes; a status other than PTF_OK ends the stream. */
typedef ptf_status ptf_chunk_function(void *to, const void *data, size_t size,
                                      ptf_error *err);

/* Hands all elements to 'take' in C order, bytes as they are. */
ptf_status ptf_tensor_stream(const ptf_tensor *tensor, ptf_chunk_function *take,
                             void *to, ptf_error *err);

/* Strides of C order for the tensor's shape. */
void ptf_tensor_set_strides(ptf_tensor *tensor);

/*
 * The bytes of its elements; false when they, or the strides of an empty
 * shape, are beyond 64 bits.
 */
bool ptf_tensor_measure(const ptf_tensor *tensor, size_t *bytes);

/* Turns 'size' big-endian bytes of elements of 'dtype' around. */
void ptf_swap_bytes(uint8_t *data, size_t size, ptf_dtype dtype);

/* "[16, 3, 3, 3]" into 'text'. */
void ptf_tensor_shape_text(const ptf_tensor *tensor, char text[192]);

#endif
