/*
 * The stream that torch.save() wrote up to 1.5, after its magic number:
 * four pickles (protocol version, machine, object, storage keys), then for
 * each key the number of elements and the elements.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

enum { PROTOCOL_VERSION = 1001 };

typedef struct stream {
    ptf_checkpoint *ckpt;
    ptf_cursor c;
} stream;

static ptf_status fail(const stream *s, ptf_status status, const char *text)
{
    return ptf_fail(s->c.err, status, &s->c.origin, s->c.pos, "%s", text);
}

static ptf_status take_pickle(stream *s, ptf_pickle *out)
{
    ptf_status status = ptf_pickle_read(
        s->c.data + s->c.pos, ptf_cursor_left(&s->c), &s->c.origin,
        ptf_object_is_numbers, &s->ckpt->arena, out, s->c.err);
    if (status == PTF_OK)
        s->c.pos += out->size;
    return status;
}

/* Protocol version and byte order. */
static ptf_status take_head(stream *s)
{
    ptf_pickle version, machine;
    ptf_status status = take_pickle(s, &version);
    if (status != PTF_OK)
        return status;
    if (version.root->kind != PTF_OBJECT_INT ||
        version.root->integer != PROTOCOL_VERSION)
        return fail(s, PTF_UNSUPPORTED,
                    "expected protocol version 1001 of "
                    "the legacy format, got another");
    status = take_pickle(s, &machine);
    if (status != PTF_OK)
        return status;
    const ptf_object *little = ptf_dict_find(machine.root, "little_endian");
    if (little == NULL || little->kind != PTF_OBJECT_BOOL)
        return fail(s, PTF_FORMAT, "expected the machine's byte order");
    s->ckpt->big_endian = !little->boolean;
    s->ckpt->archive.version = PROTOCOL_VERSION;
    return PTF_OK;
}

static ptf_status take_count(stream *s, int64_t *out)
{
    uint64_t n = 0;
    ptf_status status = ptf_take_u64(&s->c, &n, "a storage's element count");
    *out = (int64_t)(s->ckpt->big_endian ? __builtin_bswap64(n) : n);
    return status;
}

static ptf_status swap_copy(stream *s, ptf_held_storage *h)
{
    uint8_t *copy = ptf_arena_alloc(&s->ckpt->arena, h->bytes.size);
    if (copy == NULL)
        return ptf_fail_memory(s->c.err);
    if (h->bytes.size > 0)
        memcpy(copy, h->bytes.data, h->bytes.size);
    ptf_swap_bytes(copy, h->bytes.size, h->dtype);
    h->bytes.data = copy;
    h->bytes.file = NULL;
    return PTF_OK;
}

static ptf_held_storage *storage_of_key(const stream *s, const ptf_object *key)
{
    char text[257];
    if (key->kind != PTF_OBJECT_STRING || key->count >= sizeof(text))
        return NULL;
    memcpy(text, key->text, key->count);
    text[key->count] = '\0';
    return strlen(text) == key->count
               ? ptf_text_table_find(&s->ckpt->storages, text)
               : NULL;
}

static ptf_status take_storage(stream *s, const ptf_object *key)
{
    ptf_held_storage *h = storage_of_key(s, key);
    if (h == NULL || h->loaded)
        return fail(s, PTF_FORMAT,
                    "expected the key of a storage that a "
                    "tensor uses, each once");
    int64_t count = 0;
    ptf_status status = take_count(s, &count);
    if (status != PTF_OK)
        return status;
    if (count != h->numel)
        return ptf_fail(s->c.err, PTF_FORMAT, &s->c.origin, s->c.pos - 8,
                        "storage '%s': expected %lld elements, got %lld",
                        h->bytes.key, (long long)h->numel, (long long)count);
    status = ptf_take(&s->c, h->bytes.size, &h->bytes.data, "a storage");
    if (status != PTF_OK)
        return status;
    h->loaded = true;
    h->bytes.file = &s->ckpt->file;
    return s->ckpt->big_endian && ptf_dtype_size(h->dtype) > 1 ? swap_copy(s, h)
                                                               : PTF_OK;
}

static ptf_status take_storages(stream *s)
{
    ptf_pickle keys;
    ptf_status status = take_pickle(s, &keys);
    if (status != PTF_OK)
        return status;
    if (keys.root->kind != PTF_OBJECT_LIST)
        return fail(s, PTF_FORMAT, "expected the list of storage keys");
    for (uint32_t i = 0; i < keys.root->count && status == PTF_OK; i++)
        status = take_storage(s, keys.root->items[i]);
    if (status == PTF_OK && keys.root->count != s->ckpt->storages.count)
        return ptf_fail(s->c.err, PTF_FORMAT, &s->c.origin, s->c.pos,
                        "expected %zu storages, got %u",
                        s->ckpt->storages.count, keys.root->count);
    return status;
}

ptf_status ptf_legacy_read(ptf_checkpoint *ckpt, ptf_error *err)
{
    const ptf_entry *entry = ptf_archive_find(&ckpt->archive, "stream");
    ptf_origin origin = {ckpt->file.name, "stream"};
    stream s = {ckpt, {entry->data, entry->size, 0, origin, err}};
    ptf_status status = take_head(&s);
    if (status == PTF_OK)
        status = take_pickle(&s, &ckpt->pickle);
    if (status == PTF_OK)
        status = ptf_storages_load(ckpt, err);
    return status == PTF_OK ? take_storages(&s) : status;
}
