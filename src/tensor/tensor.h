/*
 * tensor: named tensors out of an archive and a value tree, and back into a
 * file.  The types and most functions are public (ptfold.h); this is what
 * only the library uses.
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

/* The mapped file behind a checkpoint. */
const ptf_file *ptf_checkpoint_file(const ptf_checkpoint *ckpt);

/*
 * Refuses an output that cannot be replaced, or that is one of the files of
 * 'ckpt'.
 */
ptf_status ptf_checkpoint_check_output(const ptf_checkpoint *ckpt,
                                       const char *path, ptf_error *err);

/*
 * Compares the data with the checksums on file, and with those that
 * ptf_checkpoint_verify() has made where there are none.
 */
ptf_status ptf_checkpoint_compare(const ptf_checkpoint *ckpt, ptf_error *err);

/* ptf_file_release() of all its files. */
void ptf_checkpoint_release(const ptf_checkpoint *ckpt);

/* ------------------------------------------------------------ whole models */

/* A pickled nn.Module; it lives as long as the checkpoint. */
typedef struct ptf_module ptf_module;

/* A piece of text without a zero at its end. */
typedef struct ptf_text_span {
    const char *text;
    size_t size;
} ptf_text_span;

/* The module that the checkpoint's tensors are the state dict of, or NULL. */
const ptf_module *ptf_checkpoint_module(const ptf_checkpoint *ckpt);

/*
 * Hands every module to 'visit' that the tensors may be of: that one, or those
 * in the lists and dicts that were chosen.  False as soon as it does, and for
 * more values than anybody saves.
 */
bool ptf_checkpoint_visit_modules(const ptf_checkpoint *ckpt,
                                  bool (*visit)(void *to,
                                                const ptf_module *module),
                                  void *to);

/* True when its class comes from that package; '*name' is the class's. */
bool ptf_module_is(const ptf_module *module, const char *package,
                   const char **name);

/* Its children in order; NULL for one that is no module, such as None. */
size_t ptf_module_child_count(const ptf_module *module);
const ptf_module *ptf_module_child(const ptf_module *module, size_t index,
                                   ptf_text_span *name);

/* The names of all its attributes; false behind the last. */
bool ptf_module_attribute(const ptf_module *module, size_t index,
                          ptf_text_span *name);

/* True when the parameter is there and not None. */
bool ptf_module_has_parameter(const ptf_module *module, const char *name);
/* The same of a buffer. */
bool ptf_module_has_buffer(const ptf_module *module, const char *name);

enum { PTF_MODULE_VALUE_TEXT = 128 };

/*
 * The attribute as Python prints it: numbers, True, None, lower case words
 * without quotes, rows of them as tuples, "{}".  False for anything else, and
 * when there is no such attribute.
 */
bool ptf_module_value(const ptf_module *module, const char *name,
                      char text[PTF_MODULE_VALUE_TEXT]);

/* ----------------------------------------------------------------- writing */

/*
 * As a value, for safetensors that have a source: the SHA-256 of the source,
 * which is worked out while the tensors are written.
 */
extern const char ptf_source_sha256[65];

const ptf_metadata *ptf_checkpoint_texts(const ptf_checkpoint *ckpt,
                                         size_t *count);

/* The zip entry with metadata, a JSON object of strings. */
#define PTF_METADATA_ENTRY "extra/ptfold.json"

/*
 * Writes 'count' tensors under their names, each in C order with a storage of
 * its own, as a PyTorch zip (.pt, .pth) or as safetensors (.bin,
 * .safetensors).  Names must differ.  See ptf_net_save().
 */
ptf_status ptf_tensors_save(const ptf_tensor *const *tensors, size_t count,
                            const ptf_metadata *metadata, size_t metadata_count,
                            const char *path, const ptf_checkpoint *source,
                            ptf_error *err);

#endif
