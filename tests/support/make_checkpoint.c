/*
 * Makes checkpoints byte by byte.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "make_checkpoint.h"

#include <stdlib.h>
#include <zlib.h>

const float forge_numbers[6] = {0, 1, 2, 3, 4, 5};

void forge_put(uint8_t *at, uint64_t value, int width)
{
    for (int i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void put(forge_zip *zip, uint64_t value, int width)
{
    if (zip->size + (size_t)width > FORGE_MAX_SIZE)
        abort();
    forge_put(zip->bytes + zip->size, value, width);
    zip->size += (size_t)width;
}

static void put_bytes(forge_zip *zip, const void *data, size_t size)
{
    if (zip->size + size > FORGE_MAX_SIZE)
        abort();
    if (size > 0)
        memcpy(zip->bytes + zip->size, data, size);
    zip->size += size;
}

/* What a header says about an entry. */
typedef struct facts {
    uint32_t crc;
    size_t packed;
    unsigned method, flags;
} facts;

static void put_data(forge_zip *zip, const forge_entry *e, facts *f)
{
    f->crc = ptf_crc32(0, e->data, e->size);
    f->packed = e->size;
    if (!e->deflated) {
        put_bytes(zip, e->data, e->size);
        return;
    }
    z_stream z = {0};
    if (deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    z.next_in = (z_const Bytef *)(uintptr_t)e->data;
    z.avail_in = (uInt)e->size;
    z.next_out = zip->bytes + zip->size;
    z.avail_out = (uInt)(FORGE_MAX_SIZE - zip->size);
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    f->packed = z.total_out;
    zip->size += z.total_out;
    deflateEnd(&z);
}

static void put_local(forge_zip *zip, size_t i, const forge_entry *e, facts *f)
{
    size_t name = strlen(e->name);
    size_t pad = 64 - (zip->size + 34 + name) % 64;
    *f = (facts){0, 0, e->deflated ? 8 : 0, e->size > 0 ? 0x808 : 0x800};
    zip->local[i] = zip->size;
    put_bytes(zip, "PK\3\4", 4);
    put(zip, 0, 2);
    put(zip, f->flags, 2);
    put(zip, f->method, 2);
    put(zip, 0, 8); /* time, date, checksum */
    put(zip, 0, 8); /* sizes: in the descriptor */
    put(zip, name, 2);
    put(zip, 4 + pad, 2);
    put_bytes(zip, e->name, name);
    put_bytes(zip, "FB", 2);
    put(zip, pad, 2);
    for (size_t k = 0; k < pad; k++)
        put(zip, 'Z', 1);
    zip->data[i] = zip->size;
    put_data(zip, e, f);
    if (e->size == 0)
        return;
    put_bytes(zip, "PK\7\x8", 4);
    put(zip, f->crc, 4);
    put(zip, f->packed, 4);
    put(zip, e->size, 4);
}

static void put_central(forge_zip *zip, size_t i, const forge_entry *e,
                        const facts *f)
{
    zip->central[i] = zip->size;
    put_bytes(zip, "PK\1\2", 4);
    put(zip, 0, 4);
    put(zip, f->flags, 2);
    put(zip, f->method, 2);
    put(zip, 0, 4);
    put(zip, f->crc, 4);
    put(zip, f->packed, 4);
    put(zip, e->size, 4);
    put(zip, strlen(e->name), 2);
    put(zip, 0, 2);
    put(zip, 0, 2);
    put(zip, 0, 2);
    put(zip, 0, 2);
    put(zip, 0, 4);
    put(zip, zip->local[i], 4);
    put_bytes(zip, e->name, strlen(e->name));
}

static void put_end(forge_zip *zip, size_t count)
{
    size_t start = zip->central[0], size = zip->size - start;
    zip->end64 = zip->size;
    put_bytes(zip, "PK\6\6", 4);
    put(zip, 44, 8);
    put(zip, 0x2d031e, 4);
    put(zip, 0, 8);
    put(zip, count, 8);
    put(zip, count, 8);
    put(zip, size, 8);
    put(zip, start, 8);
    zip->locator = zip->size;
    put_bytes(zip, "PK\6\7", 4);
    put(zip, 0, 4);
    put(zip, zip->end64, 8);
    put(zip, 1, 4);
    zip->end = zip->size;
    put_bytes(zip, "PK\5\6", 4);
    put(zip, 0, 4);
    put(zip, count, 2);
    put(zip, count, 2);
    put(zip, size, 4);
    put(zip, start, 4);
    put(zip, 0, 2);
}

void forge_make_zip(const forge_entry *entries, size_t count, forge_zip *out)
{
    facts f[FORGE_MAX_ENTRIES];
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < count; i++)
        put_local(out, i, &entries[i], &f[i]);
    for (size_t i = 0; i < count; i++)
        put_central(out, i, &entries[i], &f[i]);
    put_end(out, count);
}

void forge_make_checkpoint(const void *pickle, size_t pickle_size,
                           const void *storage, size_t storage_size,
                           forge_zip *out)
{
    const forge_entry entries[] = {
        {"a/data.pkl", pickle, pickle_size, false},
        {"a/byteorder", "little", 6, false},
        {"a/data/0", storage, storage_size, false},
        {"a/version", "3\n", 2, false},
    };
    forge_make_zip(entries, PTF_ARRAY_SIZE(entries), out);
}
