/*
 * What a checkpoint says about itself: container, entries, metadata, the
 * names that were left opaque.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

#include <stdlib.h>

/* ------------------------------------------------------ container and texts */

/* An index stands in front of its files. */
static const ptf_checkpoint *file_at(const ptf_checkpoint *ckpt, size_t index)
{
    return index == 0 ? ckpt : ckpt->shards[index - 1];
}

static size_t count_constants(const ptf_archive *archive)
{
    static const char folder[] = "constants/";
    size_t count = 0;
    for (size_t i = 0; i < archive->count; i++)
        count +=
            strncmp(archive->entries[i].name, folder, sizeof(folder) - 1) == 0;
    return count;
}

void ptf_checkpoint_describe(const ptf_checkpoint *ckpt,
                             ptf_checkpoint_info *out)
{
    *out = (ptf_checkpoint_info){
        .kind = ptf_archive_kind_name(ckpt->archive.kind),
        .root = ckpt->archive.root,
        .byteorder = ckpt->big_endian ? "big" : "little",
        .version = ckpt->archive.version,
        .file_count = 1 + ckpt->shard_count,
        .constant_count = count_constants(&ckpt->archive),
    };
    for (size_t i = 0; i < out->file_count; i++) {
        const ptf_checkpoint *file = file_at(ckpt, i);
        out->size += file->file.size;
        out->entry_count += file->archive.count;
        out->closed_count += file->closed_count;
    }
}

bool ptf_checkpoint_entry(const ptf_checkpoint *ckpt, size_t index,
                          ptf_file_entry *out)
{
    size_t file = 0;
    while (file <= ckpt->shard_count &&
           index >= file_at(ckpt, file)->archive.count)
        index -= file_at(ckpt, file++)->archive.count;
    if (file > ckpt->shard_count)
        return false;
    const ptf_checkpoint *at = file_at(ckpt, file);
    const ptf_entry *e = &at->archive.entries[index];
    *out = (ptf_file_entry){
        .file = at->file.name,
        .name = e->name,
        .offset = e->offset,
        .size = e->size,
        .packed = e->packed,
        .crc = e->crc,
        .has_crc = e->has_crc,
    };
    return true;
}

const char *ptf_checkpoint_metadata(const ptf_checkpoint *ckpt, const char *key)
{
    return ptf_text_table_find(&ckpt->metadata_by_key, key);
}

const char *ptf_checkpoint_metadata_key(const ptf_checkpoint *ckpt,
                                        size_t index)
{
    return index < ckpt->metadata_count ? ckpt->metadata[index].key : NULL;
}

const ptf_metadata *ptf_checkpoint_texts(const ptf_checkpoint *ckpt,
                                         size_t *count)
{
    *count = ckpt->metadata_count;
    return ckpt->metadata;
}

/* ---------------------------------------------------------- where bytes lie */

void ptf_tensor_locate(const ptf_tensor *tensor, ptf_location *out)
{
    const ptf_storage *s = tensor->storage;
    *out = (ptf_location){.storage = "", .size = ptf_tensor_bytes(tensor)};
    if (s == NULL)
        return;
    out->storage = s->key;
    out->storage_size = s->size;
    out->offset = (size_t)((const uint8_t *)tensor->data - s->data);
    if (s->file == NULL)
        return;
    out->file = s->file->name;
    out->file_offset =
        (uint64_t)((const uint8_t *)tensor->data - s->file->data);
}

/* ------------------------------------------------------------------- opaque */

/* Globals that mean tensors, numbers or plain containers; NULL: the module. */
static const struct {
    const char *module, *name;
} understood[] = {
    {"torch", "Size"},
    {"torch", "device"},
    {"torch", "per_tensor_affine"},
    {"torch", "per_tensor_symmetric"},
    {"torch", "per_channel_affine"},
    {"torch", "per_channel_symmetric"},
    {"torch.storage", "UntypedStorage"},
    {"torch.storage", "TypedStorage"},
    {"torch.serialization", "_get_layout"},
    {"torch.jit._pickle", NULL},
    {"collections", "OrderedDict"},
    {"collections", "Counter"},
    {"collections", "defaultdict"},
    {"builtins", "set"},
    {"builtins", "frozenset"},
    {"builtins", "dict"},
    {"builtins", "list"},
    {"builtins", "int"},
    {"builtins", "float"},
    {"builtins", "complex"},
    {"builtins", "bytes"},
    {"builtins", "bytearray"},
    {"__builtin__", "set"},
    {"__builtin__", "frozenset"},
    {"__builtin__", "dict"},
    {"__builtin__", "list"},
    {"__builtin__", "int"},
    {"__builtin__", "float"},
    {"__builtin__", "complex"},
    {"__builtin__", "bytes"},
    {"__builtin__", "bytearray"},
    {"_codecs", "encode"},
    {"numpy", "dtype"},
    {"numpy", "ndarray"},
    {"numpy.core.multiarray", NULL},
    {"numpy._core.multiarray", NULL},
    {"numpy.core.numeric", "_frombuffer"},
    {"numpy._core.numeric", "_frombuffer"},
};

static bool ends_with(const char *text, const char *ending)
{
    size_t size = strlen(text), n = strlen(ending);
    return size >= n && strcmp(text + size - n, ending) == 0;
}

/* torch.float32, torch.FloatStorage, torch.cuda.HalfTensor and the like. */
static bool is_torch_type(const ptf_global *g)
{
    ptf_dtype dtype;
    bool torch = strcmp(g->module, "torch") == 0;
    return (torch && ptf_dtype_find(g->name, &dtype)) ||
           ((torch || strcmp(g->module, "torch.cuda") == 0) &&
            (ends_with(g->name, "Storage") || ends_with(g->name, "Tensor")));
}

static bool is_understood(const ptf_global *g)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(understood); i++) {
        if (strcmp(g->module, understood[i].module) == 0 &&
            (understood[i].name == NULL ||
             strcmp(g->name, understood[i].name) == 0))
            return true;
    }
    ptf_object callee = {.kind = PTF_OBJECT_GLOBAL, .global = g};
    ptf_object *parts[PTF_INSTANCE_PARTS] = {&callee};
    ptf_object call = {.kind = PTF_OBJECT_INSTANCE, .items = parts};
    return is_torch_type(g) || ptf_object_is_tensor(&call) ||
           strncmp(g->module, "__torch__", 9) == 0;
}

static int compare_texts(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

ptf_status ptf_opaque_list(ptf_checkpoint *ckpt, ptf_error *err)
{
    const ptf_pickle *pickle = &ckpt->pickle;
    ckpt->opaque = ptf_arena_array(&ckpt->arena, pickle->global_count,
                                   sizeof(*ckpt->opaque));
    if (ckpt->opaque == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < pickle->global_count; i++) {
        const ptf_global *g = pickle->globals[i];
        if (is_understood(g))
            continue;
        const char *name =
            ptf_arena_printf(&ckpt->arena, "%s.%s", g->module, g->name);
        if (name == NULL)
            return ptf_fail_memory(err);
        ckpt->opaque[ckpt->opaque_count++] = name;
    }
    qsort(ckpt->opaque, ckpt->opaque_count, sizeof(*ckpt->opaque),
          compare_texts);
    return PTF_OK;
}

const char *ptf_checkpoint_opaque(const ptf_checkpoint *ckpt, size_t index)
{
    for (size_t i = 0; i <= ckpt->shard_count; i++) {
        const ptf_checkpoint *file = file_at(ckpt, i);
        if (index < file->opaque_count)
            return file->opaque[index];
        index -= file->opaque_count;
    }
    return NULL;
}
