/*
 * The parts of NumPy arrays that pickles and .npy files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_NUMPY_H
#define PTF_NUMPY_H

#include "pickle/pickle.h"
#include "tensor/tensor.h"

/* The dtype of a code without byte order, as "f4"; false for another. */
bool ptf_array_code(const char *text, size_t size, ptf_dtype *out);

/* The same for a pickled dtype; 'swap' says that it is big-endian. */
bool ptf_array_dtype(const ptf_object *value, ptf_dtype *out, bool *swap);

/*
 * Copies exactly 'size' bytes out of what stands for an array's bytes: bytes,
 * a Python 2 string, or text to be encoded as latin1.  False for anything
 * else.
 */
bool ptf_array_bytes(const ptf_object *value, uint8_t *out, size_t size);

/* Strides of column-major order: the first index runs fastest. */
void ptf_tensor_set_fortran(ptf_tensor *tensor);

#endif
