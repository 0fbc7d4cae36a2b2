/*
 * What the writers of the two file formats share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_SAVE_H
#define PTF_SAVE_H

#include "tensor/tensor.h"

/* What is to be written. */
typedef struct ptf_save {
    const ptf_tensor *const *tensors;
    size_t count;
    const ptf_metadata *metadata;
    size_t metadata_count;
    const char *path;
} ptf_save;

/* A format: writes all of it to 'out'. */
typedef ptf_status ptf_save_format(const ptf_save *save, ptf_output *out,
                                   ptf_error *err);

ptf_save_format ptf_save_torch;
ptf_save_format ptf_save_safetensors;

/*
 * Writes the tensor's elements in C order: copied by the kernel when they lie
 * so in a mapped file, else through a buffer of fixed size.  '*crc' (NULL is
 * fine) gets the checksum of the bytes.
 */
ptf_status ptf_save_payload(const ptf_tensor *tensor, ptf_output *out,
                            uint32_t *crc, ptf_error *err);

/* Bytes of all tensors. */
uint64_t ptf_save_size(const ptf_save *save);

/* The file that ptf_save_payload() lets the kernel copy from, or NULL. */
const ptf_file *ptf_save_source(const ptf_tensor *tensor);

#endif
