/*
 * Our own reader of zip directories.  libzip does not tell where an entry's
 * bytes lie, and two readers that must agree are harder to fool than one.
 * The format is PKWARE's APPNOTE 6.3; what PyTorch writes differs from the
 * usual in that local headers carry no sizes (they stand in the directory
 * and in a descriptor after the data) and that a padding field in the local
 * header aligns the data.
 *
 * Files of PyTorch, Info-ZIP and Python's zipfile have no byte that belongs
 * to nothing, so that is demanded: hidden entries, a second directory in the
 * comment, overlaps and foreign bytes before or after all fail there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"

#include <stdlib.h>

enum {
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    MAX_NAME = 4096,
    FLAG_DESCRIPTOR = 1 << 3,
    ATTRIBUTE_FOLDER = 1 << 4, /* of DOS; miniz goes by it */
    /* speed hints of deflate, descriptor, UTF-8 names: nothing else */
    FLAGS_KNOWN = 1 << 1 | 1 << 2 | FLAG_DESCRIPTOR | 1 << 11,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    FIELD_ZIP64 = 0x0001,
    FIELD_UNICODE_PATH = 0x7075,
};

/* One header of the directory, with zip64 fields resolved. */
typedef struct header {
    uint16_t flags, method;
    uint32_t crc;
    uint64_t packed, size, local;
    const char *name;
    size_t name_size;
} header;

/* The bytes that an entry takes in the file, from header to descriptor. */
typedef struct extent {
    uint64_t start, end;
    const char *name;
} extent;

typedef struct zip_reader {
    ptf_archive *archive;
    const uint8_t *data;
    size_t size;
    ptf_origin origin;
    ptf_error *err;
    ptf_zip_directory directory;
    extent *extents;
} zip_reader;

#define FAIL(zip, offset, ...) \
    ptf_fail((zip)->err, PTF_FORMAT, &(zip)->origin, offset, __VA_ARGS__)

/* -------------------------------------------------------------- extra field */

/*
 * Finds field 'id' among the extra fields.  Returns false when the fields do
 * not fill 'extra' exactly; *field stays NULL when there is no such field.
 */
static bool find_field(const uint8_t *extra, size_t size, uint16_t id,
                       const uint8_t **field, size_t *field_size)
{
    *field = NULL;
    *field_size = 0;
    size_t at = 0;
    while (size - at >= 4) {
        size_t n = ptf_get_u16(extra + at + 2);
        if (n > size - at - 4)
            return false;
        if (ptf_get_u16(extra + at) == id) {
            if (*field != NULL)
                return false;
            *field = extra + at + 4;
            *field_size = n;
        }
        at += 4 + n;
    }
    return at == size;
}

/* One 64-bit value for each 32-bit one that is all ones, in this order. */
static bool take_zip64(const uint8_t *field, size_t size,
                       uint64_t *const values[3])
{
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        if (*values[i] != 0xffffffff)
            continue;
        if (size - at < 8)
            return false;
        *values[i] = ptf_get_u64(field + at);
        at += 8;
    }
    return true;
}

/* A second name for the same entry, of which readers may take either. */
static bool has_other_name(const uint8_t *field, size_t size, const char *name,
                           size_t name_size)
{
    return field != NULL &&
           (size != name_size + 5 || memcmp(field + 5, name, name_size) != 0);
}

static ptf_status read_central_extra(zip_reader *zip, uint64_t at,
                                     const uint8_t *extra, size_t size,
                                     header *h)
{
    const uint8_t *field;
    size_t field_size;
    if (!find_field(extra, size, FIELD_UNICODE_PATH, &field, &field_size))
        return FAIL(zip, at, "expected whole extra fields, got a part");
    if (has_other_name(field, field_size, h->name, h->name_size))
        return FAIL(zip, at,
                    "expected one name, got a second in an extra "
                    "field");
    if (!find_field(extra, size, FIELD_ZIP64, &field, &field_size) ||
        !take_zip64(field, field_size,
                    (uint64_t *const[]){&h->size, &h->packed, &h->local}))
        return FAIL(zip, at, "expected 64-bit sizes, got none");
    return PTF_OK;
}

/* ------------------------------------------------------------ local headers */

/* A size or checksum of the local header may be left to the descriptor. */
static bool local_agrees(uint64_t local, uint64_t central, bool descriptor)
{
    return local == central || (descriptor && local == 0);
}

static ptf_status check_local_sizes(zip_reader *zip, const header *h,
                                    const uint8_t *p, const uint8_t *extra,
                                    size_t extra_size)
{
    uint64_t crc = ptf_get_u32(p + 14);
    uint64_t packed = ptf_get_u32(p + 18), size = ptf_get_u32(p + 22);
    uint64_t none = 0;
    bool descriptor = (h->flags & FLAG_DESCRIPTOR) != 0;
    const uint8_t *field;
    size_t field_size;
    if (!find_field(extra, extra_size, FIELD_UNICODE_PATH, &field,
                    &field_size) ||
        has_other_name(field, field_size, h->name, h->name_size) ||
        !find_field(extra, extra_size, FIELD_ZIP64, &field, &field_size))
        return FAIL(zip, h->local,
                    "expected sound extra fields in the local "
                    "header of '%s'",
                    h->name);
    bool whole = take_zip64(field, field_size,
                            (uint64_t *const[]){&size, &packed, &none});
    if (!whole || !local_agrees(crc, h->crc, descriptor) ||
        !local_agrees(packed, h->packed, descriptor) ||
        !local_agrees(size, h->size, descriptor))
        return FAIL(zip, h->local,
                    "expected sizes and checksum of '%s' as in the directory, "
                    "got others in its local header",
                    h->name);
    return PTF_OK;
}

/* Compares the local header with the directory; *data is after it. */
static ptf_status read_local(zip_reader *zip, const header *h, uint64_t *data)
{
    uint64_t left =
        h->local < zip->directory.offset ? zip->directory.offset - h->local : 0;
    const uint8_t *p = zip->data + (left > 0 ? h->local : 0);
    if (left < LOCAL_SIZE || memcmp(p, "PK\3\4", 4) != 0)
        return FAIL(zip, h->local, "expected the local header of '%s'",
                    h->name);
    size_t name_size = ptf_get_u16(p + 26), extra_size = ptf_get_u16(p + 28);
    if (left - LOCAL_SIZE < name_size + extra_size)
        return FAIL(zip, h->local,
                    "expected the local header of '%s' before the directory",
                    h->name);
    if (name_size != h->name_size ||
        memcmp(p + LOCAL_SIZE, h->name, name_size) != 0)
        return FAIL(zip, h->local,
                    "expected the name '%s' as in the directory, got '%.*s'",
                    h->name, (int)name_size, (const char *)p + LOCAL_SIZE);
    if (ptf_get_u16(p + 6) != h->flags || ptf_get_u16(p + 8) != h->method)
        return FAIL(zip, h->local,
                    "expected flags and method of '%s' as in the directory "
                    "(%#x, %u), got %#x, %u",
                    h->name, (unsigned)h->flags, (unsigned)h->method,
                    (unsigned)ptf_get_u16(p + 6), (unsigned)ptf_get_u16(p + 8));
    *data = h->local + LOCAL_SIZE + name_size + extra_size;
    return check_local_sizes(zip, h, p, p + LOCAL_SIZE + name_size, extra_size);
}

/* The bytes of a descriptor whose checksum stands at 'p', 0 for none. */
static size_t match_descriptor(const uint8_t *p, uint64_t left, const header *h)
{
    if (left < 12 || ptf_get_u32(p) != h->crc)
        return 0;
    if (left >= 20 && ptf_get_u64(p + 4) == h->packed &&
        ptf_get_u64(p + 12) == h->size)
        return 20;
    return ptf_get_u32(p + 4) == h->packed && ptf_get_u32(p + 8) == h->size ? 12
                                                                            : 0;
}

/*
 * The bytes of the descriptor at 'at', 0 when there is none.  It has three
 * or, in zip64 archives, five words, and a signature unless an old program
 * wrote it.
 */
static size_t descriptor_size(const zip_reader *zip, const header *h,
                              uint64_t at)
{
    uint64_t left = zip->directory.offset - at;
    const uint8_t *p = zip->data + at;
    size_t size = left >= 4 && memcmp(p, "PK\7\x8", 4) == 0
                      ? match_descriptor(p + 4, left - 4, h)
                      : 0;
    return size > 0 ? size + 4 : match_descriptor(p, left, h);
}

static ptf_status read_extent(zip_reader *zip, const header *h, uint64_t *data,
                              extent *out)
{
    ptf_status status = read_local(zip, h, data);
    if (status != PTF_OK)
        return status;
    if (h->packed > zip->directory.offset - *data)
        return FAIL(zip, *data,
                    "expected %llu bytes of '%s', got %llu before the "
                    "directory",
                    (unsigned long long)h->packed, h->name,
                    (unsigned long long)(zip->directory.offset - *data));
    *out = (extent){h->local, *data + h->packed, h->name};
    if ((h->flags & FLAG_DESCRIPTOR) == 0)
        return PTF_OK;
    size_t size = descriptor_size(zip, h, out->end);
    if (size == 0)
        return FAIL(zip, out->end,
                    "expected sizes and checksum of '%s' after its data",
                    h->name);
    out->end += size;
    return PTF_OK;
}

/* -------------------------------------------------------- directory entries */

static bool name_is_safe(const char *name, size_t size)
{
    if (size == 0 || size > MAX_NAME || !ptf_is_printable(name, size) ||
        memchr(name, '\\', size) != NULL)
        return false;
    for (size_t at = 0; at < size;) {
        const char *slash = memchr(name + at, '/', size - at);
        size_t n = slash != NULL ? (size_t)(slash - name) - at : size - at;
        if (n == 0 || (n <= 2 && memcmp(name + at, "..", n) == 0))
            return false;
        at += n + 1;
    }
    return true;
}

/* 'p' is the directory's record. */
static ptf_status check_header(zip_reader *zip, uint64_t at, const header *h,
                               const uint8_t *p)
{
    if ((h->flags & ~FLAGS_KNOWN) != 0)
        return FAIL(zip, at, "expected a plain entry, got '%s' %s (flags %#x)",
                    h->name,
                    (h->flags & 1) != 0 ? "encrypted" : "with unknown flags",
                    (unsigned)h->flags);
    if (h->method != METHOD_STORED && h->method != METHOD_DEFLATED)
        return ptf_fail(zip->err, PTF_UNSUPPORTED, &zip->origin, at,
                        "expected '%s' stored or deflated, got method %u",
                        h->name, (unsigned)h->method);
    if (h->method == METHOD_STORED && h->packed != h->size)
        return FAIL(zip, at,
                    "expected '%s' stored with one size, got %llu and %llu",
                    h->name, (unsigned long long)h->packed,
                    (unsigned long long)h->size);
    if (ptf_get_u16(p + 34) != 0)
        return FAIL(zip, at, "expected a zip on one disk, got several");
    if (h->size > 0 && (ptf_get_u32(p + 38) & ATTRIBUTE_FOLDER) != 0)
        return FAIL(zip, at,
                    "expected a file, got '%s' marked as a folder, which "
                    "PyTorch does not read",
                    h->name);
    if (h->size == 0 && h->crc != 0)
        return FAIL(zip, at, "expected checksum 0 of the empty '%s'", h->name);
    return PTF_OK;
}

/* One header at the cursor; the name is copied, with a zero after. */
static ptf_status take_header(zip_reader *zip, ptf_cursor *c, header *h)
{
    uint64_t at = c->pos;
    const uint8_t *p = NULL, *name = NULL, *rest = NULL;
    ptf_status status = ptf_take(c, CENTRAL_SIZE, &p, "a directory entry");
    if (status == PTF_OK && memcmp(p, "PK\1\2", 4) != 0)
        status = FAIL(zip, at, "expected a directory entry");
    if (status != PTF_OK)
        return status;
    *h = (header){ptf_get_u16(p + 8),
                  ptf_get_u16(p + 10),
                  ptf_get_u32(p + 16),
                  ptf_get_u32(p + 20),
                  ptf_get_u32(p + 24),
                  ptf_get_u32(p + 42),
                  NULL,
                  ptf_get_u16(p + 28)};
    size_t extra_size = ptf_get_u16(p + 30);
    status = ptf_take(c, h->name_size, &name, "an entry's name");
    if (status == PTF_OK)
        status = ptf_take(c, extra_size + ptf_get_u16(p + 32), &rest,
                          "an entry's extra fields and comment");
    if (status != PTF_OK)
        return status;
    if (!name_is_safe((const char *)name, h->name_size))
        return FAIL(zip, at, "expected a plain relative name, got '%.*s'",
                    (int)h->name_size, (const char *)name);
    h->name =
        ptf_arena_copy(&zip->archive->arena, (const char *)name, h->name_size);
    if (h->name == NULL)
        return ptf_fail_memory(zip->err);
    status = read_central_extra(zip, at, rest, extra_size, h);
    return status == PTF_OK ? check_header(zip, at, h, p) : status;
}

static ptf_status read_entry(zip_reader *zip, ptf_cursor *c, size_t i)
{
    header h;
    ptf_status status = take_header(zip, c, &h);
    if (status != PTF_OK)
        return status;
    uint64_t data = 0;
    status = read_extent(zip, &h, &data, &zip->extents[i]);
    if (status != PTF_OK)
        return status;
    bool deflated = h.method == METHOD_DEFLATED;
    zip->archive->entries[i] =
        (ptf_entry){h.name,         deflated ? NULL : zip->data + data,
                    (size_t)h.size, (size_t)h.packed,
                    data,           h.crc,
                    h.crc != 0,     deflated};
    return PTF_OK;
}

static int compare_extents(const void *a, const void *b)
{
    const extent *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* The entries must fill the file up to the directory, one after the other. */
static ptf_status check_extents(zip_reader *zip)
{
    size_t count = zip->archive->count;
    qsort(zip->extents, count, sizeof(extent), compare_extents);
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        const extent *e = &zip->extents[i];
        if (e->start != end)
            return FAIL(zip, e->start < end ? e->start : end,
                        e->start < end
                            ? "expected entries one after the other, got "
                              "'%s' overlapping another"
                            : "expected '%s' here, got bytes that belong "
                              "to no entry",
                        e->name);
        end = e->end;
    }
    if (end != zip->directory.offset)
        return FAIL(zip, end,
                    "expected the directory here, got bytes that "
                    "belong to no entry");
    return PTF_OK;
}

static ptf_status read_entries(zip_reader *zip)
{
    const ptf_zip_directory *d = &zip->directory;
    ptf_cursor c = {zip->data, (size_t)(d->offset + d->size), (size_t)d->offset,
                    zip->origin, zip->err};
    for (size_t i = 0; i < zip->archive->count; i++) {
        ptf_status status = read_entry(zip, &c, i);
        if (status != PTF_OK)
            return status;
    }
    if (ptf_cursor_left(&c) > 0)
        return FAIL(zip, c.pos,
                    "expected the end of the directory, got %zu more bytes",
                    ptf_cursor_left(&c));
    return check_extents(zip);
}

ptf_status ptf_zip_open(ptf_archive *archive, ptf_error *err)
{
    const ptf_file *file = archive->file;
    zip_reader zip = {archive, file->data, file->size, {file->name, NULL},
                      err,     {0},        NULL};
    ptf_status status = ptf_zip_find_directory(file, &zip.directory, err);
    if (status != PTF_OK)
        return status;
    archive->count = (size_t)zip.directory.count;
    archive->entries =
        ptf_arena_array(&archive->arena, archive->count, sizeof(ptf_entry));
    zip.extents = ptf_alloc(archive->count * sizeof(extent));
    status = archive->entries != NULL && zip.extents != NULL
                 ? read_entries(&zip)
                 : ptf_fail_memory(err);
    ptf_free(zip.extents);
    return status;
}
