/*
 * The tar that PyTorch 0.1 saved: 'storages' has pickles, each with a count
 * and the elements after it; 'tensors' has pickles, each with sizes and
 * strides after it; in 'pickle', the object, a persistent id is the number
 * of a tensor or storage.  The ids become what later versions write there,
 * calls of _rebuild_tensor, and the rest of the reader sees no difference.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

/* A storage or a part of one, and the persistent id for it. */
typedef struct tar_storage {
    const ptf_held_storage *held;
    ptf_object *id;
    int64_t offset, numel; /* the part, in elements of what is held */
} tar_storage;

typedef struct tar_parts {
    ptf_checkpoint *ckpt;
    ptf_cursor c;
    ptf_text_table storages; /* tar_storage by number */
    ptf_text_table tensors;  /* ptf_object: a call of _rebuild_tensor */
} tar_parts;

static ptf_status fail(const tar_parts *t, const char *text)
{
    return ptf_fail(t->c.err, PTF_FORMAT, &t->c.origin, t->c.pos, "%s", text);
}

static void enter(tar_parts *t, const char *member)
{
    const ptf_entry *entry = ptf_archive_find(&t->ckpt->archive, member);
    t->c.data = entry->data;
    t->c.size = entry->size;
    t->c.pos = 0;
    t->c.origin.entry = member;
}

static ptf_status take_pickle(tar_parts *t, ptf_object **root)
{
    ptf_pickle pickle;
    ptf_status status =
        ptf_pickle_read(t->c.data + t->c.pos, ptf_cursor_left(&t->c),
                        &t->c.origin, NULL, &t->ckpt->arena, &pickle, t->c.err);
    if (status != PTF_OK)
        return status;
    t->c.pos += pickle.size;
    *root = pickle.root;
    return PTF_OK;
}

/* A pickle that must be a tuple of so many. */
static ptf_status take_tuple(tar_parts *t, uint32_t count, ptf_object ***items)
{
    ptf_object *root = NULL;
    ptf_status status = take_pickle(t, &root);
    if (status == PTF_OK &&
        (root->kind != PTF_OBJECT_TUPLE || root->count != count))
        return fail(t, "expected a tuple of another length");
    if (status == PTF_OK)
        *items = root->items;
    return status;
}

static ptf_status take_number(tar_parts *t, int64_t *out)
{
    ptf_object *root = NULL;
    ptf_status status = take_pickle(t, &root);
    if (status == PTF_OK && (root->kind != PTF_OBJECT_INT || root->integer < 0))
        return fail(t, "expected a number of storages or tensors");
    if (status == PTF_OK)
        *out = root->integer;
    return status;
}

static ptf_status take_i64(tar_parts *t, int64_t *out, const char *what)
{
    uint64_t bits = 0;
    ptf_status status = ptf_take_u64(&t->c, &bits, what);
    *out = (int64_t)bits;
    return status;
}

/* ------------------------------------------------------------ making values */

static ptf_object *make(tar_parts *t, ptf_object value)
{
    ptf_object *v = ptf_arena_alloc(&t->ckpt->arena, sizeof(*v));
    if (v != NULL)
        *v = value;
    return v;
}

static ptf_object *make_int(tar_parts *t, int64_t n)
{
    return make(t, (ptf_object){.kind = PTF_OBJECT_INT, .integer = n});
}

static ptf_object *make_text(tar_parts *t, const char *text)
{
    return make(t, (ptf_object){.kind = PTF_OBJECT_STRING,
                                .count = (uint32_t)strlen(text),
                                .text = text});
}

/* NULL when one of the items is: out of memory. */
static ptf_object *make_with(tar_parts *t, ptf_object_kind kind,
                             ptf_object *const *items, size_t count)
{
    ptf_object **copy = ptf_arena_array(&t->ckpt->arena, count, sizeof(*copy));
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (items[i] == NULL && kind != PTF_OBJECT_INSTANCE)
            return NULL;
        copy[i] = items[i];
    }
    return make(t, (ptf_object){.kind = (uint8_t)kind,
                                .count = (uint32_t)count,
                                .items = copy});
}

#define TUPLE(t, ...)                                             \
    make_with(t, PTF_OBJECT_TUPLE, (ptf_object *[]){__VA_ARGS__}, \
              sizeof((ptf_object *[]){__VA_ARGS__}) / sizeof(ptf_object *))

/* ('storage', class, key, location, count, view) */
static ptf_object *make_id(tar_parts *t, const ptf_held_storage *held,
                           ptf_object *class, ptf_object *view)
{
    ptf_object *id =
        TUPLE(t, make_text(t, "storage"), class, make_text(t, held->bytes.key),
              make_text(t, "cpu"), make_int(t, held->numel), view);
    return make_with(t, PTF_OBJECT_PERSISTENT, &id, 1);
}

/* ----------------------------------------------------------------- storages */

/* The text of a key: 0.1 took the address of the object, as number or text. */
static ptf_status key_text(const tar_parts *t, const ptf_object *key,
                           const char **out)
{
    ptf_arena *arena = &t->ckpt->arena;
    bool plain =
        key->kind == PTF_OBJECT_STRING && key->count > 0 && key->count < 24;
    for (uint32_t i = 0; plain && i < key->count; i++)
        plain = key->text[i] >= '0' && key->text[i] <= '9';
    if (!plain && key->kind != PTF_OBJECT_INT)
        return fail(t, "expected the number of a storage or tensor");
    *out = plain ? ptf_arena_copy(arena, key->text, key->count)
                 : ptf_arena_printf(arena, "%lld", (long long)key->integer);
    return *out != NULL ? PTF_OK : ptf_fail_memory(t->c.err);
}

static ptf_status add(tar_parts *t, ptf_text_table *table, const char *key,
                      void *value)
{
    if (value == NULL)
        return ptf_fail_memory(t->c.err);
    if (ptf_text_table_find(&t->storages, key) != NULL ||
        ptf_text_table_find(&t->tensors, key) != NULL)
        return fail(t, "expected every number once");
    return ptf_text_table_add(table, key, value) ? PTF_OK
                                                 : ptf_fail_memory(t->c.err);
}

static ptf_status add_storage(tar_parts *t, const char *key,
                              tar_storage storage)
{
    tar_storage *s = ptf_arena_alloc(&t->ckpt->arena, sizeof(*s));
    if (s != NULL)
        *s = storage;
    return add(t, &t->storages, key, storage.id != NULL ? s : NULL);
}

/* (key, location, class), a count, and the elements. */
static ptf_status take_storage(tar_parts *t)
{
    ptf_object **items = NULL;
    ptf_held_storage found = {.loaded = true}, *held;
    const char *key = NULL;
    ptf_status status = take_tuple(t, 3, &items);
    if (status == PTF_OK)
        status = key_text(t, items[0], &key);
    if (status == PTF_OK)
        status = ptf_storage_find_class(t->ckpt, items[2], &found, t->c.err);
    if (status == PTF_OK)
        status = take_i64(t, &found.numel, "a storage's element count");
    if (status != PTF_OK)
        return status;
    if (found.numel < 0 ||
        !ptf_mul_size((size_t)found.numel, ptf_dtype_size(found.dtype),
                      &found.bytes.size))
        return fail(t, "expected a storage of a size that exists");
    status = ptf_take(&t->c, found.bytes.size, &found.bytes.data, "a storage");
    if (status != PTF_OK)
        return status;
    found.bytes.key = key;
    found.bytes.file = &t->ckpt->file;
    held = ptf_arena_alloc(&t->ckpt->arena, sizeof(*held));
    if (held == NULL)
        return ptf_fail_memory(t->c.err);
    *held = found;
    ptf_object *none = make(t, (ptf_object){.kind = PTF_OBJECT_NONE});
    ptf_object *id = make_id(t, held, items[2], none);
    status = add_storage(t, key, (tar_storage){held, id, 0, held->numel});
    if (status == PTF_OK && !ptf_text_table_add(&t->ckpt->storages, key, held))
        return ptf_fail_memory(t->c.err);
    return status;
}

/*
 * (key, key of a storage, offset, count): a storage inside another, which may
 * be a view itself; the offset counts from where that one starts.
 */
static ptf_status take_view(tar_parts *t, const ptf_object *view)
{
    const char *key = NULL, *root = NULL;
    if (view->kind != PTF_OBJECT_TUPLE || view->count != 4)
        return fail(t, "expected a view of a storage");
    ptf_status status = key_text(t, view->items[0], &key);
    if (status == PTF_OK)
        status = key_text(t, view->items[1], &root);
    if (status != PTF_OK)
        return status;
    const tar_storage *s = ptf_text_table_find(&t->storages, root);
    if (s == NULL)
        return fail(t, "expected a view of a storage that is there");
    const ptf_object *offset = view->items[2], *numel = view->items[3];
    if (offset->kind != PTF_OBJECT_INT || numel->kind != PTF_OBJECT_INT ||
        offset->integer < 0 || numel->integer < 0 ||
        numel->integer > s->numel - offset->integer)
        return fail(t, "expected a view inside its storage");
    tar_storage part = {s->held, NULL, s->offset + offset->integer,
                        numel->integer};
    part.id = make_id(t, s->held, s->id->items[0]->items[1],
                      TUPLE(t, make_text(t, key), make_int(t, part.offset),
                            make_int(t, part.numel)));
    return add_storage(t, key, part);
}

static ptf_status read_storages(tar_parts *t)
{
    int64_t count = 0;
    ptf_object *views = NULL;
    enter(t, "storages");
    ptf_status status = take_number(t, &count);
    for (int64_t i = 0; i < count && status == PTF_OK; i++)
        status = take_storage(t);
    if (status == PTF_OK)
        status = take_pickle(t, &views);
    if (status == PTF_OK && views->kind != PTF_OBJECT_LIST)
        return fail(t, "expected the list of views");
    for (uint32_t i = 0; status == PTF_OK && i < views->count; i++)
        status = take_view(t, views->items[i]);
    return status;
}

/* ------------------------------------------------------------------ tensors */

static ptf_object *take_dims(tar_parts *t, uint32_t rank, ptf_status *status)
{
    ptf_object *dims[PTF_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        int64_t n = 0;
        *status = take_i64(t, &n, "a tensor's size");
        if (*status != PTF_OK)
            return NULL;
        dims[i] = make_int(t, n);
    }
    ptf_object *tuple = make_with(t, PTF_OBJECT_TUPLE, dims, rank);
    if (tuple == NULL)
        *status = ptf_fail_memory(t->c.err);
    return tuple;
}

static ptf_object *make_call(tar_parts *t, ptf_object *args)
{
    static const ptf_global rebuild = {"torch._utils", "_rebuild_tensor"};
    ptf_object *parts[PTF_INSTANCE_PARTS] = {
        [PTF_INSTANCE_CALLEE] = make(
            t, (ptf_object){.kind = PTF_OBJECT_GLOBAL, .global = &rebuild}),
        [PTF_INSTANCE_ARGS] = args,
    };
    return parts[PTF_INSTANCE_CALLEE] != NULL && args != NULL
               ? make_with(t, PTF_OBJECT_INSTANCE, parts, PTF_INSTANCE_PARTS)
               : NULL;
}

/* (key, its storage's key, class), rank, four bytes, size, stride, offset */
static ptf_status take_tensor(tar_parts *t)
{
    ptf_object **items = NULL;
    const char *key = NULL, *storage = NULL;
    uint64_t rank = 0;
    int64_t offset = 0;
    ptf_status status = take_tuple(t, 3, &items);
    if (status == PTF_OK)
        status = key_text(t, items[0], &key);
    if (status == PTF_OK)
        status = key_text(t, items[1], &storage);
    if (status == PTF_OK)
        status = ptf_take_u64(&t->c, &rank, "a tensor's rank");
    if (status != PTF_OK)
        return status;
    const tar_storage *s = ptf_text_table_find(&t->storages, storage);
    rank &= UINT32_MAX; /* what stands after it was never set */
    if (s == NULL || rank > PTF_MAX_RANK)
        return fail(t, "expected a tensor of a storage that is there, with at "
                       "most 9 dimensions");
    ptf_object *size = take_dims(t, (uint32_t)rank, &status);
    ptf_object *stride =
        status == PTF_OK ? take_dims(t, (uint32_t)rank, &status) : NULL;
    if (status == PTF_OK)
        status = take_i64(t, &offset, "a tensor's offset");
    if (status != PTF_OK)
        return status;
    ptf_object *args = TUPLE(t, s->id, make_int(t, offset), size, stride);
    return add(t, &t->tensors, key, make_call(t, args));
}

static ptf_status read_tensors(tar_parts *t)
{
    int64_t count = 0;
    enter(t, "tensors");
    ptf_status status = take_number(t, &count);
    for (int64_t i = 0; i < count && status == PTF_OK; i++)
        status = take_tensor(t);
    return status;
}

/* --------------------------------------------------------------- the object */

/* Puts what a persistent id stands for in its place. */
static ptf_status resolve(tar_parts *t, ptf_object *value)
{
    const ptf_object *id = value->items[0];
    const char *key = NULL;
    if (id->kind == PTF_OBJECT_TUPLE && id->count > 0 &&
        id->items[0]->kind == PTF_OBJECT_GLOBAL) {
        *value = *id->items[0]; /* (class, file, source) */
        return PTF_OK;
    }
    ptf_status status = key_text(t, id, &key);
    if (status != PTF_OK)
        return status;
    const ptf_object *tensor = ptf_text_table_find(&t->tensors, key);
    const tar_storage *storage = ptf_text_table_find(&t->storages, key);
    if (tensor == NULL && storage == NULL)
        return fail(t, "expected the number of a tensor that is there");
    *value = tensor != NULL ? *tensor : *storage->id;
    return PTF_OK;
}

static ptf_status read_object(tar_parts *t)
{
    enum { CONTAINERS = 7 }; /* a tensor: call, arguments, id, view, ... */
    ptf_pickle *pickle = &t->ckpt->pickle;
    enter(t, "pickle");
    ptf_status status = ptf_pickle_read(t->c.data, t->c.size, &t->c.origin,
                                        ptf_object_is_numbers, &t->ckpt->arena,
                                        pickle, t->c.err);
    if (status == PTF_OK && pickle->size != t->c.size)
        return fail(t, "expected the end of the pickle");
    for (size_t i = 0; i < pickle->persistent_count && status == PTF_OK; i++)
        status = resolve(t, pickle->persistent[i]);
    size_t containers = pickle->container_count + pickle->persistent_count +
                        CONTAINERS * (t->tensors.count + t->storages.count);
    return status == PTF_OK
               ? ptf_object_check(pickle->root, containers, &t->c.origin,
                                  ptf_object_is_numbers, t->c.err)
               : status;
}

ptf_status ptf_tar_read(ptf_checkpoint *ckpt, ptf_error *err)
{
    tar_parts t = {.ckpt = ckpt, .c = {.origin = {ckpt->file.name, NULL}}};
    t.c.err = err;
    ptf_status status = read_storages(&t);
    if (status == PTF_OK)
        status = read_tensors(&t);
    if (status == PTF_OK)
        status = read_object(&t);
    ptf_text_table_free(&t.storages);
    ptf_text_table_free(&t.tensors);
    return status;
}
