/*
 * The data of parameters, buffers and constants.  Up to PyTorch 2.8 it is a
 * file of torch.save() inside of the archive; since 2.9 a raw entry per
 * storage, which is used where it lies, and JSON that says which tensor is
 * what part of which entry.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

/* ----------------------------------------------------------------- storages */

static ptf_status fail_entry(ptf_program_reader *r, const ptf_tree *at,
                             const char *name, const char *text)
{
    return ptf_tree_fail(&r->source, at, PTF_FORMAT, "the entry '%s': %s", name,
                         text);
}

/* The bytes of an entry, whose elements all of its tensors see alike. */
static ptf_status find_storage(ptf_program_reader *r, const ptf_payload *p,
                               const ptf_tree *at, const char *path,
                               ptf_dtype dtype, ptf_held_storage **out)
{
    ptf_program *program = r->program;
    char *name = ptf_arena_printf(&program->arena, "%s%s", p->folder, path);
    if (name == NULL)
        return ptf_fail_memory(r->source.err);
    *out = ptf_text_table_find(&r->storages, name);
    if (*out != NULL && (*out)->dtype != dtype)
        return fail_entry(r, at, name, "expected one dtype, got two");
    if (*out != NULL)
        return PTF_OK;
    ptf_entry *entry = ptf_archive_find(&program->archive, name);
    if (entry == NULL)
        return fail_entry(r, at, name, "expected data, got no such entry");
    if (entry->size % ptf_dtype_size(dtype) != 0)
        return fail_entry(r, at, name, "expected whole elements");
    ptf_status status =
        ptf_archive_load(&program->archive, entry, r->source.err);
    ptf_held_storage *s = ptf_arena_alloc(&program->arena, sizeof(*s));
    if (status == PTF_OK && s == NULL)
        status = ptf_fail_memory(r->source.err);
    if (status != PTF_OK)
        return status;
    s->bytes = (ptf_storage){.key = entry->name + strlen(p->folder),
                             .data = entry->data,
                             .size = entry->size,
                             .file = entry->deflated ? NULL : &program->file,
                             .crc = entry->crc,
                             .has_crc = entry->has_crc};
    s->dtype = dtype;
    *out = s;
    return ptf_text_table_add(&r->storages, name, s)
               ? PTF_OK
               : ptf_fail_memory(r->source.err);
}

/* ------------------------------------------------------------------ tensors */

/* Elements from the first to after the last; false beyond 64 bits. */
static bool reach(const ptf_tensor *t, int64_t offset, int64_t *end)
{
    *end = offset;
    for (int i = 0; i < t->rank; i++) {
        int64_t step;
        if (t->shape[i] == 0) {
            *end = offset; /* it has no elements */
            return true;
        }
        if (!ptf_mul_i64(t->shape[i] - 1, t->stride[i], &step) ||
            !ptf_add_i64(*end, step, end))
            return false;
    }
    return ptf_add_i64(*end, 1, end);
}

static ptf_status place(ptf_program_reader *r, const ptf_tree *at,
                        const ptf_held_storage *s, int64_t offset,
                        ptf_tensor *out)
{
    static const uint8_t zeros[16];
    size_t size = ptf_dtype_size(out->dtype), bytes;
    int64_t held = (int64_t)(s->bytes.size / size), end;
    if (!ptf_tensor_measure(out, &bytes) || !reach(out, offset, &end))
        return ptf_tree_fail(&r->source, at, PTF_FORMAT,
                             "expected a shape that exists");
    out->storage = &s->bytes;
    if (held == 0 && bytes > 0) { /* PyTorch takes zeros for what has no data */
        memset(out->stride, 0, sizeof(out->stride));
        out->data = zeros;
        out->storage = NULL;
        return PTF_OK;
    }
    if (offset > held || end > held)
        return ptf_tree_fail(&r->source, at, PTF_FORMAT,
                             "expected elements inside of the %lld of '%s', "
                             "got some up to %lld",
                             (long long)held, s->bytes.key, (long long)end);
    out->data = s->bytes.data + (size_t)offset * size;
    return PTF_OK;
}

/*
 * Tensors may repeat elements and share storages, so that a small file could
 * stand for terabytes to be copied.  This much is allowed.
 */
static const size_t MAX_LOGICAL_FREE = (size_t)256 << 20;
enum { MAX_LOGICAL_RATIO = 64 };

static ptf_status add_bytes(ptf_program_reader *r, const ptf_tree *at,
                            const ptf_tensor *t)
{
    size_t most;
    if (!ptf_mul_size(r->program->file.size, MAX_LOGICAL_RATIO, &most) ||
        !ptf_add_size(most, MAX_LOGICAL_FREE, &most))
        most = SIZE_MAX;
    if (ptf_add_size(r->tensor_bytes, ptf_tensor_bytes(t), &r->tensor_bytes) &&
        r->tensor_bytes <= most)
        return PTF_OK;
    return ptf_tree_fail(&r->source, at, PTF_FORMAT,
                         "expected at most %zu bytes in all tensors of this "
                         "file, shared and repeated ones included",
                         most);
}

/* Sizes that are plain numbers, into at most PTF_MAX_RANK places. */
static ptf_status take_sizes(ptf_program_reader *r, const ptf_tree *at,
                             const ptf_program_size *sizes, int count,
                             int64_t *out)
{
    if (count > PTF_MAX_RANK)
        return ptf_tree_fail(&r->source, at, PTF_UNSUPPORTED,
                             "has more than %d dimensions", PTF_MAX_RANK);
    for (int i = 0; i < count; i++) {
        if (sizes[i].expr != NULL)
            return ptf_tree_fail(&r->source, at, PTF_FORMAT,
                                 "expected sizes that are numbers");
        out[i] = sizes[i].value;
    }
    return PTF_OK;
}

/* 'meta' is the tensor_meta of a payload. */
static ptf_status build(ptf_program_reader *r, const ptf_payload *p,
                        const ptf_tree *meta, const char *path, ptf_tensor *out)
{
    ptf_program_value v = {0};
    ptf_held_storage *s = NULL;
    ptf_status status = ptf_program_read_meta(r, meta, &v);
    if (status == PTF_OK && v.layout != PTF_PROGRAM_STRIDED)
        return ptf_tree_fail(&r->source, meta, PTF_UNSUPPORTED,
                             "expected a dense tensor, got a sparse one; "
                             "export the model with x.to_dense()");
    if (status == PTF_OK)
        status = take_sizes(r, meta, v.sizes, v.rank, out->shape);
    if (status == PTF_OK)
        status = take_sizes(r, meta, v.strides, v.rank, out->stride);
    if (status == PTF_OK && v.offset.expr != NULL)
        status = ptf_tree_fail(&r->source, meta, PTF_FORMAT,
                               "expected an offset that is a number");
    if (status != PTF_OK)
        return status;
    out->dtype = v.dtype;
    out->rank = v.rank;
    status = find_storage(r, p, meta, path, v.dtype, &s);
    if (status == PTF_OK)
        status = place(r, meta, s, v.offset.value, out);
    return status == PTF_OK ? add_bytes(r, meta, out) : status;
}

/* ----------------------------------------------------------------- payloads */

static ptf_status refuse_object(ptf_program_reader *r, const ptf_tree *at,
                                const char *what)
{
    return ptf_tree_fail(&r->source, at, PTF_UNSUPPORTED,
                         "expected a tensor, got %s; make it a plain tensor "
                         "before torch.export.export()",
                         what);
}

static ptf_status read_payload(ptf_program_reader *r, const ptf_payload *p,
                               const ptf_tree *config, const char *name,
                               ptf_tensor *out)
{
    ptf_tree own = {json_object_get(config->value, name), config, name, 0};
    ptf_tree pickled, meta;
    const char *path = NULL;
    ptf_status status =
        ptf_tree_text_member(&r->source, &own, "path_name", &path);
    if (status == PTF_OK)
        status = ptf_tree_member(&r->source, &own, "use_pickle", JSON_TRUE,
                                 &pickled);
    if (status != PTF_OK)
        return status;
    if (strncmp(path, "custom_obj_", 11) == 0 ||
        strncmp(path, "opaque_obj_", 11) == 0)
        return refuse_object(r, &own, "an object of a class (torchbind)");
    if (json_is_true(pickled.value))
        return refuse_object(r, &own, "a pickled subclass of torch.Tensor");
    status =
        ptf_tree_member(&r->source, &own, "tensor_meta", JSON_OBJECT, &meta);
    return status == PTF_OK ? build(r, p, &meta, path, out) : status;
}

static ptf_status find_raw(ptf_program_reader *r, const ptf_payload *p,
                           const ptf_tree *at, const char *name,
                           const ptf_tensor **out)
{
    ptf_tree root = {p->config, NULL, NULL, 0}, config;
    const char *entry = r->source.origin.entry;
    ptf_tensor *t = ptf_arena_alloc(&r->program->arena, sizeof(*t));
    if (t == NULL)
        return ptf_fail_memory(r->source.err);
    t->name = name;
    r->source.origin.entry = p->entry;
    ptf_status status =
        ptf_tree_member(&r->source, &root, "config", JSON_OBJECT, &config);
    bool found =
        status == PTF_OK && json_object_get(config.value, name) != NULL;
    if (found)
        status = read_payload(r, p, &config, name, t);
    r->source.origin.entry = entry;
    if (status == PTF_OK && !found)
        status = ptf_tree_fail(&r->source, at, PTF_FORMAT,
                               "expected '%s' in %s, got no data of it", name,
                               p->entry);
    *out = t;
    return status;
}

ptf_status ptf_payload_find(ptf_program_reader *r, const ptf_payload *p,
                            const ptf_tree *at, const char *name,
                            const ptf_tensor **out)
{
    if (p->config != NULL)
        return find_raw(r, p, at, name, out);
    *out = p->torch != NULL ? ptf_checkpoint_find(p->torch, name) : NULL;
    if (*out == NULL)
        return ptf_tree_fail(&r->source, at, PTF_FORMAT,
                             "expected '%s' in %s, got no data of it", name,
                             p->entry);
    return PTF_OK;
}
