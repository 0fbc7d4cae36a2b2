/*
 * save: tensors into files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_SAVE_H
#define PTF_SAVE_H

#include "checkpoint/checkpoint.h"

/*
 * As a value, for safetensors that have a source: the SHA-256 of the source,
 * which is worked out while the tensors are written.
 */
extern const char ptf_source_sha256[65];

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
