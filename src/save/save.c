/*
 * Tensors into a file.
 *
 * No tensor is copied as a whole: a large layer goes from file to file inside
 * the kernel, and what must be put in order goes through a small buffer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/writer.h"

#include <stdlib.h>

/* Both formats hold the bytes as this machine has them in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "writing needs a little-endian machine");

/* ---------------------------------------------------------------- payloads */

/* The file that the kernel can copy a payload from, or NULL. */
static const ptf_file *source_of(const ptf_tensor *tensor)
{
    const ptf_storage *s = tensor->storage;
    return s != NULL && s->file != NULL && ptf_tensor_is_contiguous(tensor)
               ? s->file
               : NULL;
}

/* Small payloads are not worth up to a page of padding each. */
enum { PLACING_PAYS = 1 << 20 };

uint64_t ptf_save_place(const ptf_tensor *tensor)
{
    const ptf_file *file = source_of(tensor);
    if (file == NULL || ptf_tensor_bytes(tensor) < PLACING_PAYS)
        return 0;
    return (uint64_t)((const uint8_t *)tensor->data - file->data) + PTF_PAGE;
}

static void compare_written(ptf_written *written, const ptf_storage *storage,
                            const ptf_output *out, uint64_t at)
{
    uint32_t crc;
    ptf_error err;
    ptf_status status = ptf_output_crc32(out, at, storage->size, &crc, &err);
    if (status == PTF_OK && crc != storage->crc)
        status = ptf_file_fail_changed(storage->file, &err);
    if (status == PTF_OK)
        return;
#pragma omp critical(ptf_written)
    *written = (ptf_written){status, err};
}

/*
 * From file to file inside the kernel, so that only what was written tells
 * whether it is what was verified.
 */
static ptf_status save_mapped(const ptf_save *save, const ptf_tensor *tensor,
                              const ptf_file *file, ptf_output *out,
                              uint32_t *crc, ptf_error *err)
{
    size_t bytes = ptf_tensor_bytes(tensor);
    const ptf_storage *s = tensor->storage;
    uint64_t at = ptf_output_offset(out);
    ptf_status status = ptf_output_copy(out, file, tensor->data, bytes, err);
    if (status != PTF_OK)
        return status;
    if (!s->has_crc || !ptf_tensor_is_storage(tensor))
        return crc != NULL ? ptf_output_crc32(out, at, bytes, crc, err)
                           : PTF_OK;
    ptf_written *written = save->written; /* 'save' may not live as long */
#pragma omp task firstprivate(written, s, out, at)
    compare_written(written, s, out, at);
    if (crc != NULL)
        *crc = s->crc;
    return PTF_OK;
}

static ptf_status save_contiguous(const ptf_save *save,
                                  const ptf_tensor *tensor, ptf_output *out,
                                  uint32_t *crc, ptf_error *err)
{
    size_t bytes = ptf_tensor_bytes(tensor);
    const ptf_file *file = source_of(tensor);
    if (bytes == 0)
        return PTF_OK;
    if (file != NULL)
        return save_mapped(save, tensor, file, out, crc, err);
    if (crc != NULL)
        *crc = ptf_crc32_parallel(0, tensor->data, bytes);
    return ptf_output_write(out, tensor->data, bytes, err);
}

/* Where elements go on their way from strides to C order. */
typedef struct sink {
    ptf_output *out;
    uint32_t *crc;
} sink;

static ptf_status sink_take(void *to, const void *data, size_t size,
                            ptf_error *err)
{
    sink *s = to;
    if (s->crc != NULL)
        *s->crc = ptf_crc32(*s->crc, data, size);
    return ptf_output_write(s->out, data, size, err);
}

ptf_status ptf_save_payload(const ptf_save *save, const ptf_tensor *tensor,
                            ptf_output *out, uint32_t *crc, ptf_error *err)
{
    ptf_tensor t = *tensor;
    const uint8_t *copy = ptf_copies_find(save->copies, t.storage);
    if (copy != NULL) {
        t.data = copy + ((const uint8_t *)t.data - t.storage->data);
        t.storage = NULL;
    }
    if (crc != NULL)
        *crc = 0;
    if (ptf_tensor_is_contiguous(&t))
        return save_contiguous(save, &t, out, crc, err);
    sink s = {out, crc};
    return ptf_tensor_stream(&t, sink_take, &s, err);
}

uint64_t ptf_save_size(const ptf_save *save)
{
    uint64_t size = 0;
    for (size_t i = 0; i < save->count; i++)
        size += ptf_tensor_bytes(save->tensors[i]);
    return size;
}

/* ------------------------------------------------------------------ checks */

static int compare_names(const void *a, const void *b)
{
    const ptf_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static ptf_status check_names(const ptf_save *save, ptf_error *err)
{
    ptf_origin origin = {save->path, NULL};
    for (size_t i = 0; i < save->count; i++) {
        const char *name = save->tensors[i]->name;
        if (name == NULL || !ptf_is_printable(name, strlen(name)))
            return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                            "expected printable names of tensors, got '%s'",
                            name != NULL ? name : "");
    }
    return PTF_OK;
}

static ptf_status check_names_differ(const ptf_save *save, ptf_error *err)
{
    ptf_origin origin = {save->path, NULL};
    const ptf_tensor **sorted = ptf_alloc(save->count * sizeof(*sorted));
    if (sorted == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < save->count; i++)
        sorted[i] = save->tensors[i];
    qsort(sorted, save->count, sizeof(*sorted), compare_names);
    ptf_status status = PTF_OK;
    for (size_t i = 1; i < save->count && status == PTF_OK; i++) {
        if (compare_names(&sorted[i - 1], &sorted[i]) == 0)
            status = ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                              "expected names of tensors to differ, got two "
                              "'%s'",
                              sorted[i]->name);
    }
    ptf_free(sorted);
    return status;
}

/* ------------------------------------------------------------------ formats */

static const struct {
    const char *ending;
    ptf_save_format *write;
} formats[] = {
    {".pt", ptf_save_torch},
    {".pth", ptf_save_torch},
    {".bin", ptf_save_safetensors},
    {".safetensors", ptf_save_safetensors},
};

static ptf_status find_format(const char *path, ptf_save_format **out,
                              ptf_error *err)
{
    ptf_origin origin = {path, NULL};
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    for (size_t i = 0; dot != NULL && i < PTF_ARRAY_SIZE(formats); i++) {
        if (strcmp(dot, formats[i].ending) == 0) {
            *out = formats[i].write;
            return PTF_OK;
        }
    }
    return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                    "expected an output that ends in .pt or .pth (for "
                    "PyTorch), in .bin or .safetensors, or of a program in "
                    ".pt2");
}

static ptf_status open_output(const ptf_save *save, const ptf_file *input,
                              const ptf_checkpoint *source, ptf_output **out,
                              ptf_error *err)
{
    ptf_status status = check_names(save, err);
    if (status == PTF_OK)
        status = check_names_differ(save, err);
    if (status == PTF_OK && source != NULL)
        status = ptf_checkpoint_check_output(source, save->path, err);
    return status == PTF_OK ? ptf_output_open(save->path, input, out, err)
                            : status;
}

/* What becomes known of the source while the tensors are written. */
typedef struct source_facts {
    ptf_status sound, hashed;
    ptf_error damage;
    char digest[65];
} source_facts;

/*
 * Writes while other threads compare the checksums and, if it is asked for,
 * hash the source: all read all of the data, and the kernel, which copies it,
 * leaves a processor free.
 */
static ptf_status write_beside(const ptf_checkpoint *source,
                               const ptf_save *save, bool hash,
                               ptf_save_format *write, ptf_output *out,
                               source_facts *facts, ptf_error *err)
{
    ptf_status written = PTF_OK;
#pragma omp parallel sections num_threads(3)
    {
#pragma omp section
        {
            written = write(save, out, err);
            ptf_output_flush(out);
        }
#pragma omp section
        if (hash)
            facts->hashed = ptf_checkpoint_sha256(source, facts->digest, NULL);
#pragma omp section
        facts->sound = ptf_checkpoint_compare(source, &facts->damage);
    }
    ptf_status unchanged = ptf_checkpoint_unchanged(source, err);
    if (unchanged != PTF_OK)
        return unchanged; /* and not damaged, as it may seem */
    if (facts->sound != PTF_OK && err != NULL)
        *err = facts->damage;
    if (facts->sound != PTF_OK || written != PTF_OK)
        return facts->sound != PTF_OK ? facts->sound : written;
    return facts->hashed == PTF_OK ? PTF_OK : ptf_fail_memory(err);
}

static bool wants_digest(const ptf_save *save)
{
    for (size_t i = 0; i < save->metadata_count; i++) {
        if (save->metadata[i].value == ptf_source_sha256)
            return true;
    }
    return false;
}

static ptf_status write_verified(const ptf_checkpoint *source,
                                 const ptf_save *tensors,
                                 ptf_save_format *write, ptf_output *out,
                                 ptf_error *err)
{
    uint64_t digest_at = 0;
    ptf_save save = *tensors;
    save.digest_at = &digest_at;
    if (source == NULL)
        return write(&save, out, err);
    source_facts *facts = ptf_alloc(sizeof(*facts));
    if (facts == NULL)
        return ptf_fail_memory(err);
    ptf_status status = write_beside(source, &save, wants_digest(&save), write,
                                     out, facts, err);
    if (status == PTF_OK && digest_at > 0)
        status = ptf_output_write_at(out, digest_at, facts->digest,
                                     strlen(facts->digest), err);
    ptf_free(facts);
    return status;
}

/*
 * Puts the complete file in its place.  Its last bytes are waited for while
 * the source's pages leave this process; none is looked at any more.
 */
static ptf_status commit(const ptf_checkpoint *source, ptf_output *out,
                         ptf_error *err)
{
    ptf_status status = PTF_OK;
#pragma omp parallel sections num_threads(2) if (source != NULL)
    {
#pragma omp section
        status = ptf_output_commit(out, err);
#pragma omp section
        if (source != NULL)
            ptf_checkpoint_release(source);
    }
    return status;
}

/* Parts of storages from copies, and whole ones as they turn out on disk. */
static ptf_status write_held(const ptf_save *save, const ptf_checkpoint *source,
                             ptf_save_format *write, ptf_output *out,
                             ptf_error *err)
{
    ptf_copies copies;
    ptf_save held = *save;
    held.copies = &copies;
    held.written = ptf_alloc(sizeof(*held.written));
    ptf_status status =
        ptf_copies_make(save->tensors, save->count, &copies, err);
    if (status == PTF_OK && held.written == NULL)
        status = ptf_fail_memory(err);
    if (status == PTF_OK)
        status = write_verified(source, &held, write, out, err);
#pragma omp taskwait
    if (status == PTF_OK && held.written->status != PTF_OK) {
        status = held.written->status;
        if (err != NULL)
            *err = held.written->err;
    }
    ptf_copies_free(&copies);
    ptf_free(held.written);
    return status;
}

ptf_status ptf_save_file(const ptf_save *save, ptf_save_format *write,
                         const ptf_file *input, const ptf_checkpoint *source,
                         ptf_error *err)
{
    ptf_output *out = NULL;
    ptf_status status = open_output(save, input, source, &out, err);
    if (status != PTF_OK)
        return status;
    status = write_held(save, source, write, out, err);
    if (status == PTF_OK)
        return commit(source, out, err);
    ptf_output_abort(out);
    return status;
}

static ptf_status save_all(const ptf_save *save, const ptf_checkpoint *source,
                           ptf_error *err)
{
    ptf_save_format *write = NULL;
    ptf_status status = find_format(save->path, &write, err);
    return status == PTF_OK ? ptf_save_file(save, write, NULL, source, err)
                            : status;
}

ptf_status ptf_tensors_save(const ptf_tensor *const *tensors, size_t count,
                            const ptf_metadata *metadata, size_t metadata_count,
                            const char *path, const ptf_checkpoint *source,
                            ptf_error *err)
{
    const ptf_save save = {.tensors = tensors,
                           .count = count,
                           .metadata = metadata,
                           .metadata_count = metadata_count,
                           .path = path};
    return save_all(&save, source, err);
}

/* -------------------------------------------------------- whole checkpoints */

/* Refuses what would come out as something else than it is. */
static ptf_status check_exact(const ptf_checkpoint *ckpt, const char *path,
                              ptf_error *err)
{
    ptf_origin origin = {path, NULL};
    for (size_t i = 0; i < ptf_checkpoint_tensor_count(ckpt); i++) {
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, i);
        if (t->storage != NULL && t->storage->dequantized)
            return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                            "tensor '%s' is quantized: ptfold reads its "
                            "numbers, but cannot write them as they are",
                            t->name);
    }
    return PTF_OK;
}

static ptf_status list_all(const ptf_checkpoint *ckpt, ptf_arena *arena,
                           ptf_save *out, ptf_error *err)
{
    out->count = ptf_checkpoint_tensor_count(ckpt);
    const ptf_tensor **tensors =
        ptf_arena_array(arena, out->count, sizeof(*tensors));
    if (tensors == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < out->count; i++)
        tensors[i] = ptf_checkpoint_tensor(ckpt, i);
    out->tensors = tensors;
    return PTF_OK;
}

ptf_status ptf_checkpoint_save(const ptf_checkpoint *ckpt, const char *path,
                               ptf_error *err)
{
    ptf_arena arena = {NULL};
    ptf_save save = {.path = path, .share = true};
    save.metadata = ptf_checkpoint_texts(ckpt, &save.metadata_count);
    ptf_status status = check_exact(ckpt, path, err);
    if (status == PTF_OK)
        status = list_all(ckpt, &arena, &save, err);
    if (status == PTF_OK)
        status = save_all(&save, ckpt, err);
    ptf_arena_free(&arena);
    return status;
}
