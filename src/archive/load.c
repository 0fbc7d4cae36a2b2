/*
 * An archive's bytes: inflating compressed entries, within bounds, and
 * checking CRC-32s, on all threads for large storages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"

#include <limits.h>
#include <zlib.h>

/*
 * Deflate reaches 1032:1, weights hardly 2:1 and text 10:1.  A large entry
 * beyond 100:1 is a bomb; so are many small ones that together make more
 * than 25 times the file.
 */
enum {
    MAX_ENTRY_RATIO = 100,
    FREE_ENTRY = 1 << 20,
    MAX_TOTAL_RATIO = 25,
    FREE_TOTAL = 16 << 20,
};

static voidpf zlib_alloc(voidpf opaque, uInt count, uInt size)
{
    (void)opaque;
    size_t bytes;
    return ptf_mul_size(count, size, &bytes) ? ptf_alloc(bytes) : NULL;
}

static void zlib_free(voidpf opaque, voidpf block)
{
    (void)opaque;
    ptf_free(block);
}

/* The largest result of so many compressed bytes. */
static size_t allowance(size_t packed, size_t ratio, size_t free)
{
    size_t size;
    if (!ptf_mul_size(packed, ratio, &size))
        return SIZE_MAX;
    return size > free ? size : free;
}

static ptf_status check_ratio(const ptf_archive *archive,
                              const ptf_entry *entry, ptf_error *err)
{
    ptf_origin origin = {archive->file->name, entry->name};
    size_t most = allowance(entry->packed, MAX_ENTRY_RATIO, FREE_ENTRY);
    size_t total = allowance(archive->file->size, MAX_TOTAL_RATIO, FREE_TOTAL);
    if (entry->size > most)
        return ptf_fail(err, PTF_FORMAT, &origin, 0,
                        "expected a compression of at most %d:1, got %zu "
                        "bytes out of %zu",
                        MAX_ENTRY_RATIO, entry->size, entry->packed);
    if (entry->size > total || archive->inflated > total - entry->size)
        return ptf_fail(err, PTF_FORMAT, &origin, 0,
                        "expected an archive that inflates to at most %zu "
                        "bytes",
                        total);
    return PTF_OK;
}

/* As much as fits the 32-bit counters of zlib. */
static uInt chunk(size_t left)
{
    return left < UINT_MAX ? (uInt)left : UINT_MAX;
}

/* Z_STREAM_END when the whole input gives exactly the whole output. */
static int inflate_exactly(z_stream *z, const uint8_t *in, size_t in_size,
                           uint8_t *out, size_t out_size)
{
    size_t in_left = in_size, out_left = out_size;
    uint8_t extra; /* one byte more than declared: to see it overflow */
    int result = Z_OK;
    while (result == Z_OK) {
        uInt in_now = chunk(in_left);
        uInt out_now = out_left > 0 ? chunk(out_left) : 1;
        z->next_in = (z_const Bytef *)(uintptr_t)(in + (in_size - in_left));
        z->next_out = out_left > 0 ? out + (out_size - out_left) : &extra;
        z->avail_in = in_now;
        z->avail_out = out_now;
        result = inflate(z, Z_NO_FLUSH);
        in_left -= in_now - z->avail_in;
        if (out_left > 0)
            out_left -= out_now - z->avail_out;
        else if (z->avail_out == 0)
            return Z_DATA_ERROR;
    }
    if (result == Z_STREAM_END && (in_left > 0 || out_left > 0))
        return Z_DATA_ERROR;
    return result;
}

static ptf_status inflate_entry(const ptf_archive *archive,
                                const ptf_entry *entry, uint8_t *out,
                                ptf_error *err)
{
    ptf_origin origin = {archive->file->name, entry->name};
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return ptf_fail_memory(err);
    int result = inflate_exactly(&z, archive->file->data + entry->offset,
                                 entry->packed, out, entry->size);
    inflateEnd(&z);
    if (result == Z_MEM_ERROR)
        return ptf_fail_memory(err);
    if (result != Z_STREAM_END)
        return ptf_fail(err, PTF_FORMAT, &origin, 0,
                        "expected compressed data of exactly %zu bytes, got "
                        "it damaged",
                        entry->size);
    return PTF_OK;
}

ptf_status ptf_archive_load(ptf_archive *archive, ptf_entry *entry,
                            ptf_error *err)
{
    if (entry->data != NULL)
        return PTF_OK;
    ptf_status status = check_ratio(archive, entry, err);
    if (status != PTF_OK)
        return status;
    uint8_t *out = ptf_arena_alloc(&archive->arena, entry->size);
    if (out == NULL)
        return ptf_fail_memory(err);
    status = inflate_entry(archive, entry, out, err);
    if (status != PTF_OK)
        return status;
    entry->data = out;
    archive->inflated += entry->size;
    status = ptf_archive_check(archive, entry, err);
    if (status != PTF_OK)
        entry->data = NULL;
    return status;
}

/* --------------------------------------------------------------- checksums */

static ptf_status compare_crc(const ptf_archive *archive,
                              const ptf_entry *entry, uint32_t found,
                              ptf_error *err)
{
    ptf_origin origin = {archive->file->name, entry->name};
    if (found == entry->crc)
        return PTF_OK;
    return ptf_fail(err, PTF_FORMAT, &origin, 0,
                    "expected CRC-32 %08x, got %08x: the data is damaged",
                    (unsigned)entry->crc, (unsigned)found);
}

ptf_status ptf_archive_check_copy(const ptf_archive *archive,
                                  const ptf_entry *entry, const void *data,
                                  ptf_error *err)
{
    if (!entry->has_crc)
        return PTF_OK;
    return compare_crc(archive, entry, ptf_crc32(0, data, entry->size), err);
}

ptf_status ptf_archive_check(const ptf_archive *archive, const ptf_entry *entry,
                             ptf_error *err)
{
    return ptf_archive_check_copy(archive, entry, entry->data, err);
}

/* Entries are cut into blocks, so that one large entry busies all threads. */
enum { CRC_BLOCK = 4 << 20 };

static bool is_verified_here(const ptf_entry *entry)
{
    return entry->has_crc && !entry->deflated;
}

static size_t block_count(const ptf_entry *entry)
{
    return is_verified_here(entry)
               ? entry->size / CRC_BLOCK + (entry->size % CRC_BLOCK != 0)
               : 0;
}

/* Where a block begins; the whole work is an array of these. */
typedef struct crc_block {
    const uint8_t *data;
    size_t size;
    uint32_t crc;
} crc_block;

static void list_blocks(const ptf_archive *archive, crc_block *blocks)
{
    for (size_t i = 0; i < archive->count; i++) {
        const ptf_entry *e = &archive->entries[i];
        for (size_t b = 0, n = block_count(e); b < n; b++) {
            size_t at = b * CRC_BLOCK;
            size_t left = e->size - at;
            *blocks++ = (crc_block){e->data + at,
                                    left < CRC_BLOCK ? left : CRC_BLOCK, 0};
        }
    }
}

static ptf_status combine_blocks(const ptf_archive *archive,
                                 const crc_block *blocks, ptf_error *err)
{
    for (size_t i = 0; i < archive->count; i++) {
        const ptf_entry *e = &archive->entries[i];
        uint32_t crc = 0;
        for (size_t b = 0, n = block_count(e); b < n; b++, blocks++)
            crc = (uint32_t)crc32_combine(crc, blocks->crc,
                                          (z_off_t)blocks->size);
        if (!is_verified_here(e))
            continue;
        ptf_status status = compare_crc(archive, e, crc, err);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}

ptf_status ptf_archive_verify(const ptf_archive *archive, ptf_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < archive->count; i++)
        count += block_count(&archive->entries[i]);
    crc_block *blocks = ptf_alloc(count * sizeof(*blocks));
    if (blocks == NULL)
        return ptf_fail_memory(err);
    list_blocks(archive, blocks);
    uint64_t done = 0, total = 0;
    for (size_t i = 0; i < count; i++)
        total += blocks[i].size;
#pragma omp parallel for schedule(dynamic) if (count > 1)
    /* Signed: libgomp has other loops for size_t, 10 KB of a static file. */
    for (int64_t i = 0; i < (int64_t)count; i++) {
        uint64_t now;
        blocks[i].crc = ptf_crc32(0, blocks[i].data, blocks[i].size);
#pragma omp atomic capture
        now = done += blocks[i].size;
        ptf_report("verifying", now, total); /* one of the threads is heard */
    }
    ptf_report("verifying", total, total);
    ptf_status status = combine_blocks(archive, blocks, err);
    ptf_free(blocks);
    return status;
}
