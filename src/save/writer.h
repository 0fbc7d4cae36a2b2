/*
 * What the writers of the two file formats share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_WRITER_H
#define PTF_WRITER_H

#include "save/save.h"

/*
 * A checksum tells of a whole storage.  Where a part of one is to be written,
 * the storage is first copied into memory and the copy compared.
 */
typedef struct ptf_copy {
    const ptf_storage *of;
    uint8_t *data;
} ptf_copy;

typedef struct ptf_copies {
    ptf_copy *items; /* sorted by 'of' */
    size_t count;
} ptf_copies;

ptf_status ptf_copies_make(const ptf_tensor *const *tensors, size_t count,
                           ptf_copies *out, ptf_error *err);
/* The storage's bytes there, or NULL. */
const uint8_t *ptf_copies_find(const ptf_copies *copies,
                               const ptf_storage *storage);
/* Also after a failure. */
void ptf_copies_free(ptf_copies *copies);

/*
 * The first payload that was written and does not have the checksum of its
 * storage.  They are read back by tasks, beside the writing.
 */
typedef struct ptf_written {
    ptf_status status;
    ptf_error err;
} ptf_written;

/* What is to be written. */
typedef struct ptf_save {
    const ptf_tensor *const *tensors;
    size_t count;
    const ptf_metadata *metadata;
    size_t metadata_count;
    const char *path;
    bool share; /* tensors of one storage stay so, where the format can */
    bool keep_strides;   /* with 'share': also the strides of those alone */
    uint64_t *digest_at; /* gets the place of the source's digest, if asked */
    const ptf_copies *copies;
    ptf_written *written;
    const void *more; /* what the format alone knows of */
} ptf_save;

/* Which payload of the file has a tensor's elements. */
typedef struct ptf_view {
    size_t payload;
    int64_t offset; /* of its first element there */
    bool shared;    /* else the payload is the tensor alone, in C order */
} ptf_view;

typedef struct ptf_payloads {
    ptf_tensor *items; /* what each payload holds */
    size_t count;
    ptf_view *views; /* one for each tensor */
} ptf_payloads;

/*
 * One payload for each tensor, or with save->share for each storage.  Views
 * of one storage with different dtypes get payloads of their own.
 */
ptf_status ptf_payloads_make(const ptf_save *save, ptf_payloads *out,
                             ptf_error *err);
void ptf_payloads_free(ptf_payloads *payloads);

/* Bytes of all payloads. */
uint64_t ptf_payloads_size(const ptf_payloads *payloads);

/* A format: writes all of it to 'out'. */
typedef ptf_status ptf_save_format(const ptf_save *save, ptf_output *out,
                                   ptf_error *err);

/*
 * The folder in a zip that all entries are in, as PyTorch calls it: the file's
 * name up to its last dot.  To be released; NULL when out of memory.
 */
char *ptf_save_root(const char *path);

ptf_save_format ptf_save_torch;
ptf_save_format ptf_save_safetensors;

/*
 * Writes a file of that format to save->path, which must not be 'input'.
 * 'source' is the checkpoint that the tensors are from.  Both may be NULL.
 */
ptf_status ptf_save_file(const ptf_save *save, ptf_save_format *write,
                         const ptf_file *input, const ptf_checkpoint *source,
                         ptf_error *err);

/*
 * Writes the tensor's elements in C order: copied by the kernel when they lie
 * so in a mapped file, else through a buffer of fixed size.  '*crc' (NULL is
 * fine) gets the checksum of the bytes.  Those that have one already are
 * compared with it once they are written: see save->written.
 */
ptf_status ptf_save_payload(const ptf_save *save, const ptf_tensor *tensor,
                            ptf_output *out, uint32_t *crc, ptf_error *err);

/* Bytes of all tensors. */
uint64_t ptf_save_size(const ptf_save *save);

/*
 * The texts as a JSON object of strings, for either format.  Returns where in
 * 'b' the source's digest is to be put, 0 when no text is ptf_source_sha256.
 */
uint64_t ptf_save_put_metadata(ptf_buffer *b, const ptf_metadata *metadata,
                               size_t count);

/*
 * An offset whose place in its page the payload should have, so that the
 * kernel copies whole pages or shares them; 0 when it does not matter.
 */
uint64_t ptf_save_place(const ptf_tensor *tensor);

#endif
