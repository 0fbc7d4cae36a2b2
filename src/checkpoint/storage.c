/*
 * Storages: the bytes that persistent ids of a pickle stand for.
 *
 * An id is ('storage', class, key, location, count); in legacy files followed
 * by a view on a part of the storage, or None.  The location (cpu, cuda:0,
 * mps) is where the tensor once was; only meta, which has no data, matters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

static const struct {
    const char *name;
    ptf_dtype dtype;
    bool quantized;
} classes[] = {
    {"FloatStorage", PTF_DTYPE_F32, false},
    {"DoubleStorage", PTF_DTYPE_F64, false},
    {"HalfStorage", PTF_DTYPE_F16, false},
    {"BFloat16Storage", PTF_DTYPE_BF16, false},
    {"LongStorage", PTF_DTYPE_I64, false},
    {"IntStorage", PTF_DTYPE_I32, false},
    {"ShortStorage", PTF_DTYPE_I16, false},
    {"CharStorage", PTF_DTYPE_I8, false},
    {"ByteStorage", PTF_DTYPE_U8, false},
    {"BoolStorage", PTF_DTYPE_BOOL, false},
    {"ComplexHalfStorage", PTF_DTYPE_C32, false},
    {"ComplexFloatStorage", PTF_DTYPE_C64, false},
    {"ComplexDoubleStorage", PTF_DTYPE_C128, false},
    {"QInt8Storage", PTF_DTYPE_I8, true},
    {"QUInt8Storage", PTF_DTYPE_U8, true},
    {"QInt32Storage", PTF_DTYPE_I32, true},
    {"UntypedStorage", PTF_DTYPE_U8, false},
};

enum { MAX_KEY = 256 };

ptf_origin ptf_object_origin(const ptf_checkpoint *ckpt)
{
    ptf_archive_kind kind = ckpt->archive.kind;
    return (ptf_origin){ckpt->file.name, kind == PTF_ARCHIVE_LEGACY ? "stream"
                                         : kind == PTF_ARCHIVE_TAR
                                             ? "pickle"
                                             : "data.pkl"};
}

#define FAIL(ckpt, err, status, ...)                                        \
    do {                                                                    \
        ptf_origin origin_ = ptf_object_origin(ckpt);                       \
        return ptf_fail(err, status, &origin_, PTF_NO_OFFSET, __VA_ARGS__); \
    } while (0)

/* --------------------------------------------------------- reading the ids */

ptf_status ptf_storage_find_class(const ptf_checkpoint *ckpt,
                                  const ptf_object *value,
                                  ptf_held_storage *out, ptf_error *err)
{
    if (value->kind != PTF_OBJECT_GLOBAL)
        FAIL(ckpt, err, PTF_FORMAT, "expected a storage's class");
    const ptf_global *g = value->global;
    bool known = strcmp(g->module, "torch") == 0 ||
                 strcmp(g->module, "torch.cuda") == 0 ||
                 strcmp(g->module, "torch.storage") == 0;
    for (size_t i = 0; known && i < PTF_ARRAY_SIZE(classes); i++) {
        if (strcmp(g->name, classes[i].name) != 0)
            continue;
        out->dtype = classes[i].dtype;
        out->quantized = classes[i].quantized;
        return PTF_OK;
    }
    FAIL(ckpt, err, PTF_UNSUPPORTED,
         "expected a storage of numbers of whole bytes, got %s.%s, which "
         "ptfold does not read",
         g->module, g->name);
}

/* A key becomes part of an entry's name, so only plain ones are taken. */
static bool key_is_plain(const ptf_object *key)
{
    if (key->kind != PTF_OBJECT_STRING || key->count == 0 ||
        key->count > MAX_KEY)
        return false;
    for (uint32_t i = 0; i < key->count; i++) {
        char c = key->text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
        if (!plain)
            return false;
    }
    return true;
}

/* Legacy files and TorchScript of PyTorch 1.x have a sixth part, which may be
 * a view; TorchScript's is always None. */
static bool has_all_parts(const ptf_checkpoint *ckpt, const ptf_object *id)
{
    switch (ckpt->archive.kind) {
    case PTF_ARCHIVE_LEGACY: return id->count == 6;
    case PTF_ARCHIVE_TORCHSCRIPT:
        return id->count == 5 ||
               (id->count == 6 && id->items[5]->kind == PTF_OBJECT_NONE);
    case PTF_ARCHIVE_TORCH:
    case PTF_ARCHIVE_TAR:
    case PTF_ARCHIVE_SAFETENSORS:
    case PTF_ARCHIVE_INDEX:
    case PTF_ARCHIVE_EXPORT:
    case PTF_ARCHIVE_KIND_COUNT: break;
    }
    return id->count == 5;
}

/* The id's tuple, or NULL with an error for anything that is not one. */
static const ptf_object *id_of(const ptf_checkpoint *ckpt,
                               const ptf_object *value, ptf_error *err)
{
    ptf_origin origin = ptf_object_origin(ckpt);
    const ptf_object *id = value->items[0];
    if (id->kind != PTF_OBJECT_TUPLE || !has_all_parts(ckpt, id) ||
        !ptf_object_is(id->items[0], "storage") ||
        id->items[3]->kind != PTF_OBJECT_STRING ||
        id->items[4]->kind != PTF_OBJECT_INT || id->items[4]->integer < 0) {
        ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                 "expected the persistent id of a storage ('storage', class, "
                 "key, location, count), got something else");
        return NULL;
    }
    if (!key_is_plain(id->items[2])) {
        ptf_fail(
            err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
            "expected a plain storage key, got '%.*s'",
            id->items[2]->kind == PTF_OBJECT_STRING && id->items[2]->count < 100
                ? (int)id->items[2]->count
                : 0,
            id->items[2]->kind == PTF_OBJECT_STRING ? id->items[2]->text : "");
        return NULL;
    }
    return id;
}

/* ---------------------------------------------------------------- the bytes */

static void swap(uint8_t *data, size_t size, size_t width)
{
    for (size_t at = 0; at + width <= size; at += width) {
        for (size_t i = 0; i < width / 2; i++) {
            uint8_t byte = data[at + i];
            data[at + i] = data[at + width - 1 - i];
            data[at + width - 1 - i] = byte;
        }
    }
}

void ptf_swap_bytes(uint8_t *data, size_t size, ptf_dtype dtype)
{
    bool complex = dtype == PTF_DTYPE_C32 || dtype == PTF_DTYPE_C64 ||
                   dtype == PTF_DTYPE_C128;
    swap(data, size, ptf_dtype_size(dtype) / (complex ? 2 : 1));
}

/* A storage of one byte per element becomes four times as large at most. */
enum { MADE_RATIO = 8, MADE_FREE = 64 << 20 };

ptf_status ptf_storage_make(ptf_checkpoint *ckpt, size_t size,
                            ptf_held_storage **out, ptf_error *err)
{
    size_t most;
    if (!ptf_mul_size(ckpt->file.size, MADE_RATIO, &most) ||
        !ptf_add_size(most, MADE_FREE, &most))
        most = SIZE_MAX;
    if (size > most - ckpt->made_bytes)
        FAIL(ckpt, err, PTF_FORMAT,
             "expected tensors of at most %zu bytes made from this file", most);
    ckpt->made_bytes += size;
    ptf_held_storage *s = ptf_arena_alloc(&ckpt->arena, sizeof(*s));
    uint8_t *data = s != NULL ? ptf_arena_alloc(&ckpt->arena, size) : NULL;
    if (data == NULL)
        return ptf_fail_memory(err);
    s->bytes.key = "";
    s->bytes.data = data;
    s->bytes.size = size;
    s->loaded = true;
    *out = s;
    return PTF_OK;
}

static ptf_status copy_storage(ptf_checkpoint *ckpt, ptf_held_storage *s,
                               ptf_error *err)
{
    uint8_t *copy = ptf_arena_alloc(&ckpt->arena, s->bytes.size);
    if (copy == NULL)
        return ptf_fail_memory(err);
    if (s->bytes.size > 0)
        memcpy(copy, s->bytes.data, s->bytes.size);
    s->bytes.data = copy;
    s->bytes.file = NULL;
    s->bytes.has_crc = false;
    return PTF_OK;
}

/* Finds data/KEY in the zip. */
static ptf_status attach_entry(ptf_checkpoint *ckpt, ptf_held_storage *s,
                               size_t expected, ptf_error *err)
{
    char name[MAX_KEY + 8];
    snprintf(name, sizeof(name), "data/%s", s->bytes.key);
    ptf_entry *entry = ptf_archive_find(&ckpt->archive, name);
    if (entry == NULL)
        FAIL(ckpt, err, PTF_FORMAT,
             "expected the entry '%s', which a tensor needs, got none", name);
    if (entry->size != expected)
        FAIL(ckpt, err, PTF_FORMAT,
             "expected %zu bytes in the entry '%s', got %zu", expected, name,
             entry->size);
    ptf_status status = ptf_archive_load(&ckpt->archive, entry, err);
    if (status != PTF_OK)
        return status;
    s->bytes.data = entry->data;
    s->bytes.size = entry->size;
    s->bytes.file = entry->deflated ? NULL : &ckpt->file;
    s->bytes.crc = entry->crc;
    s->bytes.has_crc = entry->has_crc;
    s->loaded = true;
    if (!ckpt->big_endian || ptf_dtype_size(s->dtype) == 1)
        return PTF_OK;
    status = copy_storage(ckpt, s, err);
    if (status == PTF_OK) /* nobody else will see these bytes */
        status =
            ptf_archive_check_copy(&ckpt->archive, entry, s->bytes.data, err);
    if (status == PTF_OK)
        ptf_swap_bytes((uint8_t *)(uintptr_t)s->bytes.data, s->bytes.size,
                       s->dtype);
    return status;
}

/* ------------------------------------------------------------ all of them */

static ptf_status add_storage(ptf_checkpoint *ckpt,
                              const ptf_held_storage *like, const char *key,
                              ptf_error *err)
{
    size_t bytes;
    if (!ptf_mul_size((size_t)like->numel, ptf_dtype_size(like->dtype),
                      &bytes) ||
        bytes > INT64_MAX)
        FAIL(ckpt, err, PTF_FORMAT,
             "storage '%s': expected a size that exists, got %lld elements",
             key, (long long)like->numel);
    ptf_held_storage *s = ptf_arena_alloc(&ckpt->arena, sizeof(*s));
    char *copy = ptf_arena_copy(&ckpt->arena, key, strlen(key));
    if (s == NULL || copy == NULL)
        return ptf_fail_memory(err);
    *s = *like;
    s->bytes.key = copy;
    s->bytes.size = bytes;
    if (!ptf_text_table_add(&ckpt->storages, copy, s))
        return ptf_fail_memory(err);
    return ckpt->archive.kind == PTF_ARCHIVE_LEGACY
               ? PTF_OK /* its bytes follow the pickles */
               : attach_entry(ckpt, s, bytes, err);
}

/* A plain key. */
static void copy_key(const ptf_object *text, char key[MAX_KEY + 1])
{
    memcpy(key, text->text, text->count);
    key[text->count] = '\0';
}

/* Legacy files also name module classes by persistent ids. */
static bool is_module_id(const ptf_checkpoint *ckpt, const ptf_object *value)
{
    const ptf_object *id = value->items[0];
    return ckpt->archive.kind == PTF_ARCHIVE_LEGACY &&
           id->kind == PTF_OBJECT_TUPLE && id->count >= 2 &&
           ptf_object_is(id->items[0], "module") &&
           id->items[1]->kind == PTF_OBJECT_GLOBAL;
}

static bool has_view(const ptf_checkpoint *ckpt, const ptf_object *value)
{
    const ptf_object *id = value->items[0];
    return !is_module_id(ckpt, value) && id->count > 5 &&
           id->items[5]->kind != PTF_OBJECT_NONE;
}

static ptf_status load_storage(ptf_checkpoint *ckpt, const ptf_object *value,
                               ptf_error *err)
{
    if (is_module_id(ckpt, value))
        return PTF_OK;
    const ptf_object *id = id_of(ckpt, value, err);
    if (id == NULL)
        return PTF_FORMAT;
    ptf_held_storage s = {.numel = id->items[4]->integer};
    ptf_status status = ptf_storage_find_class(ckpt, id->items[1], &s, err);
    if (status != PTF_OK)
        return status;
    char key[MAX_KEY + 1];
    copy_key(id->items[2], key);
    if (ptf_object_is(id->items[3], "meta"))
        FAIL(ckpt, err, PTF_UNSUPPORTED,
             "storage '%s': expected elements, got none (meta device)", key);
    const ptf_held_storage *known = ptf_text_table_find(&ckpt->storages, key);
    if (known == NULL)
        return add_storage(ckpt, &s, key, err);
    /* plain bytes and a tensor of bytes may share a storage */
    if (known->numel != s.numel || known->dtype != s.dtype ||
        known->quantized != s.quantized)
        FAIL(ckpt, err, PTF_FORMAT,
             "storage '%s': expected one class and size, got two", key);
    return PTF_OK;
}

/* The same storage and the same part of it. */
static bool same_view(const ptf_object *a, const ptf_object *b)
{
    const ptf_object *x = a->items[5], *y = b->items[5];
    return a->items[2]->count == b->items[2]->count &&
           memcmp(a->items[2]->text, b->items[2]->text, a->items[2]->count) ==
               0 &&
           x->items[1]->integer == y->items[1]->integer &&
           x->items[2]->integer == y->items[2]->integer;
}

/* PyTorch makes one view of each key, and would take it for another part. */
static ptf_status load_view(ptf_checkpoint *ckpt, const ptf_object *value,
                            ptf_error *err)
{
    char key[MAX_KEY + 1];
    const ptf_object *id = value->items[0];
    if (!has_view(ckpt, value))
        return PTF_OK;
    const ptf_object *v = id->items[5];
    if (v->kind != PTF_OBJECT_TUPLE || v->count != 3 ||
        !key_is_plain(v->items[0]) || v->items[1]->kind != PTF_OBJECT_INT ||
        v->items[2]->kind != PTF_OBJECT_INT)
        FAIL(ckpt, err, PTF_FORMAT,
             "expected a view of a storage (key, offset, count), got "
             "something else");
    copy_key(v->items[0], key);
    const ptf_object *known = ptf_text_table_find(&ckpt->views, key);
    if (ptf_text_table_find(&ckpt->storages, key) != NULL ||
        (known != NULL && !same_view(known, id)))
        FAIL(ckpt, err, PTF_FORMAT,
             "storage '%s': expected one meaning of the key, got two", key);
    if (known != NULL)
        return PTF_OK;
    char *copy = ptf_arena_copy(&ckpt->arena, key, strlen(key));
    void *held = (void *)(uintptr_t)id;
    return copy != NULL && ptf_text_table_add(&ckpt->views, copy, held)
               ? PTF_OK
               : ptf_fail_memory(err);
}

ptf_status ptf_storages_load(ptf_checkpoint *ckpt, ptf_error *err)
{
    const ptf_pickle *pickle = &ckpt->pickle;
    ptf_status status = PTF_OK;
    for (size_t i = 0; i < pickle->persistent_count && status == PTF_OK; i++)
        status = load_storage(ckpt, pickle->persistent[i], err);
    for (size_t i = 0; i < pickle->persistent_count && status == PTF_OK; i++)
        status = load_view(ckpt, pickle->persistent[i], err);
    return status;
}

/* A legacy view: (key, offset, count) in elements, or None. */
static ptf_status apply_view(const ptf_checkpoint *ckpt,
                             const ptf_object *value, ptf_storage_view *view,
                             ptf_error *err)
{
    if (!has_view(ckpt, value))
        return PTF_OK;
    const ptf_object *v = value->items[0]->items[5];
    int64_t offset = v->items[1]->integer, numel = v->items[2]->integer;
    if (offset < 0 || numel < 0 || offset > view->numel ||
        numel > view->numel - offset)
        FAIL(ckpt, err, PTF_FORMAT,
             "storage '%s': expected a view inside its %lld elements",
             view->storage->bytes.key, (long long)view->numel);
    view->offset = offset;
    view->numel = numel;
    return PTF_OK;
}

ptf_status ptf_storage_find(const ptf_checkpoint *ckpt, const ptf_object *value,
                            ptf_storage_view *out, ptf_error *err)
{
    if (value->kind != PTF_OBJECT_PERSISTENT || is_module_id(ckpt, value))
        FAIL(ckpt, err, PTF_FORMAT,
             "expected the storage of a tensor, got something else");
    char key[MAX_KEY + 1];
    copy_key(value->items[0]->items[2], key);
    const ptf_held_storage *s = ptf_text_table_find(&ckpt->storages, key);
    const char *class = value->items[0]->items[1]->global->name;
    bool untyped = strcmp(class, "UntypedStorage") == 0;
    *out = (ptf_storage_view){s, 0, s->numel, untyped};
    return apply_view(ckpt, value, out, err);
}
