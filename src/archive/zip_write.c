/*
 * Writing a zip file as torch.save() lays it out: entries stored, payloads
 * aligned by an extra field of the local header, sizes and checksum after
 * the payload and in the directory, a zip64 end record always, no times.
 *
 * libzip is not used here, because it cannot do what the format needs: it
 * decides itself where a payload starts, so it cannot align one, and it
 * takes every byte through user space, so the kernel could not copy the
 * gigabyte of a large layer from file to file.
 *
 * The records' layouts are sections 4.3.7 to 4.3.16 and 4.5.3 of PKWARE's
 * APPNOTE.TXT.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/zip_write.h"

enum {
    VERSION_PLAIN = 0, /* what torch writes */
    VERSION_ZIP64 = 45,
    FLAG_DESCRIPTOR = 1 << 3,
    FLAG_UTF8 = 1 << 11,
    FIELD_ZIP64 = 0x0001,
    FIELD_PADDING = 0x4246, /* "FB" */
    LOCAL_SIZE = 30,
    END64_SIZE = 56,
};

void ptf_zip_write_init(ptf_zip_writer *zip, ptf_output *out, const char *root)
{
    *zip = (ptf_zip_writer){.out = out, .root = root, .limit = UINT32_MAX};
}

void ptf_zip_write_free(ptf_zip_writer *zip)
{
    ptf_buffer_free(&zip->directory);
}

/* Writes what the buffer has and empties it. */
static ptf_status flush(ptf_zip_writer *zip, ptf_buffer *b, ptf_error *err)
{
    ptf_status status = b->failed
                            ? ptf_fail_memory(err)
                            : ptf_output_write(zip->out, b->data, b->size, err);
    ptf_buffer_free(b);
    return status;
}

static size_t name_size(const ptf_zip_writer *zip)
{
    size_t root = strlen(zip->root);
    return root + (root > 0 ? 1 : 0) + strlen(zip->name);
}

static void add_name(const ptf_zip_writer *zip, ptf_buffer *b)
{
    ptf_buffer_add_text(b, zip->root);
    if (zip->root[0] != '\0')
        ptf_buffer_add(b, "/", 1);
    ptf_buffer_add_text(b, zip->name);
}

static bool needs_zip64(const ptf_zip_writer *zip)
{
    return zip->size >= zip->limit || zip->offset >= zip->limit;
}

/* An empty entry has nothing that must be told later. */
static uint16_t flags_of(const ptf_zip_writer *zip)
{
    return zip->size > 0 ? FLAG_UTF8 | FLAG_DESCRIPTOR : FLAG_UTF8;
}

/* Signature to method, the same in local headers and the directory. */
static void add_version_to_time(const ptf_zip_writer *zip, ptf_buffer *b)
{
    uint64_t version = needs_zip64(zip) ? VERSION_ZIP64 : VERSION_PLAIN;
    ptf_buffer_add_int(b, version, 2);
    ptf_buffer_add_int(b, flags_of(zip), 2);
    ptf_buffer_add_int(b, 0, 2); /* stored */
    ptf_buffer_add_int(b, 0, 4); /* no time, no date */
}

/*
 * Bytes of padding after 'at' so that the payload has the place in its page
 * that 'like' has, or is at least aligned.
 */
static size_t padding(uint64_t at, uint64_t like)
{
    if (like == 0 || like % PTF_ZIP_ALIGNMENT != 0)
        return (size_t)(-at % PTF_ZIP_ALIGNMENT);
    return (size_t)((like - at) % PTF_PAGE);
}

ptf_status ptf_zip_write_begin(ptf_zip_writer *zip, const char *name,
                               uint64_t size, uint64_t like, ptf_error *err)
{
    zip->name = name;
    zip->size = size;
    zip->offset = ptf_output_offset(zip->out);
    bool zip64 = needs_zip64(zip);
    size_t extra = zip64 ? 20 : 0;
    size_t pad =
        padding(zip->offset + LOCAL_SIZE + name_size(zip) + extra + 4, like);

    ptf_buffer b = {0};
    ptf_buffer_add(&b, "PK\3\4", 4);
    add_version_to_time(zip, &b);
    ptf_buffer_add_int(&b, 0, 4); /* checksum: in the descriptor */
    ptf_buffer_add_int(&b, zip64 ? UINT64_MAX : 0, 4);
    ptf_buffer_add_int(&b, zip64 ? UINT64_MAX : 0, 4);
    ptf_buffer_add_int(&b, name_size(zip), 2);
    ptf_buffer_add_int(&b, extra + 4 + pad, 2);
    add_name(zip, &b);
    if (zip64) {
        ptf_buffer_add_int(&b, FIELD_ZIP64, 2);
        ptf_buffer_add_int(&b, 16, 2);
        ptf_buffer_add_int(&b, size, 8);
        ptf_buffer_add_int(&b, size, 8);
    }
    ptf_buffer_add_int(&b, FIELD_PADDING, 2);
    ptf_buffer_add_int(&b, pad, 2);
    for (size_t i = 0; i < pad; i++)
        ptf_buffer_add(&b, "Z", 1);
    return flush(zip, &b, err);
}

/* The value, or all ones when the 64-bit field has it. */
static uint64_t short_form(const ptf_zip_writer *zip, uint64_t value)
{
    return value >= zip->limit ? UINT32_MAX : value;
}

static void add_to_directory(ptf_zip_writer *zip, uint32_t crc)
{
    ptf_buffer *b = &zip->directory;
    bool large = zip->size >= zip->limit, far = zip->offset >= zip->limit;
    unsigned wide = (large ? 16u : 0u) + (far ? 8u : 0u);
    ptf_buffer_add(b, "PK\1\2", 4);
    ptf_buffer_add_int(b, wide > 0 ? VERSION_ZIP64 : VERSION_PLAIN, 2);
    add_version_to_time(zip, b);
    ptf_buffer_add_int(b, crc, 4);
    ptf_buffer_add_int(b, short_form(zip, zip->size), 4);
    ptf_buffer_add_int(b, short_form(zip, zip->size), 4);
    ptf_buffer_add_int(b, name_size(zip), 2);
    ptf_buffer_add_int(b, wide > 0 ? wide + 4 : 0, 2);
    ptf_buffer_add_int(b, 0, 2); /* comment */
    ptf_buffer_add_int(b, 0, 2); /* disk */
    ptf_buffer_add_int(b, 0, 6); /* attributes */
    ptf_buffer_add_int(b, short_form(zip, zip->offset), 4);
    add_name(zip, b);
    if (wide > 0) {
        ptf_buffer_add_int(b, FIELD_ZIP64, 2);
        ptf_buffer_add_int(b, wide, 2);
    }
    if (large) {
        ptf_buffer_add_int(b, zip->size, 8);
        ptf_buffer_add_int(b, zip->size, 8);
    }
    if (far)
        ptf_buffer_add_int(b, zip->offset, 8);
    zip->count++;
}

ptf_status ptf_zip_write_end(ptf_zip_writer *zip, uint32_t crc, ptf_error *err)
{
    add_to_directory(zip, crc);
    if (zip->size == 0)
        return PTF_OK;
    int width = needs_zip64(zip) ? 8 : 4;
    ptf_buffer b = {0};
    ptf_buffer_add(&b, "PK\7\x8", 4);
    ptf_buffer_add_int(&b, crc, 4);
    ptf_buffer_add_int(&b, zip->size, width);
    ptf_buffer_add_int(&b, zip->size, width);
    return flush(zip, &b, err);
}

ptf_status ptf_zip_write_entry(ptf_zip_writer *zip, const char *name,
                               const void *data, size_t size, ptf_error *err)
{
    ptf_status status = ptf_zip_write_begin(zip, name, size, 0, err);
    if (status == PTF_OK)
        status = ptf_output_write(zip->out, data, size, err);
    return status == PTF_OK
               ? ptf_zip_write_end(zip, ptf_crc32(0, data, size), err)
               : status;
}

/* The zip64 end record and the locator that finds it. */
static void add_end64(const ptf_zip_writer *zip, ptf_buffer *b, uint64_t offset,
                      uint64_t size)
{
    ptf_buffer_add(b, "PK\6\6", 4);
    ptf_buffer_add_int(b, END64_SIZE - 12, 8);
    ptf_buffer_add_int(b, VERSION_ZIP64, 2);
    ptf_buffer_add_int(b, VERSION_ZIP64, 2);
    ptf_buffer_add_int(b, 0, 8); /* this disk, the directory's disk */
    ptf_buffer_add_int(b, zip->count, 8);
    ptf_buffer_add_int(b, zip->count, 8);
    ptf_buffer_add_int(b, size, 8);
    ptf_buffer_add_int(b, offset, 8);

    ptf_buffer_add(b, "PK\6\7", 4);
    ptf_buffer_add_int(b, 0, 4);
    ptf_buffer_add_int(b, offset + size, 8);
    ptf_buffer_add_int(b, 1, 4); /* disks */
}

ptf_status ptf_zip_write_finish(ptf_zip_writer *zip, ptf_error *err)
{
    ptf_buffer *b = &zip->directory;
    uint64_t offset = ptf_output_offset(zip->out), size = b->size;
    uint64_t count = zip->count >= UINT16_MAX ? UINT16_MAX : zip->count;
    add_end64(zip, b, offset, size);
    ptf_buffer_add(b, "PK\5\6", 4);
    ptf_buffer_add_int(b, 0, 4);
    ptf_buffer_add_int(b, count, 2);
    ptf_buffer_add_int(b, count, 2);
    ptf_buffer_add_int(b, short_form(zip, size), 4);
    ptf_buffer_add_int(b, short_form(zip, offset), 4);
    ptf_buffer_add_int(b, 0, 2); /* comment */
    return flush(zip, b, err);
}
