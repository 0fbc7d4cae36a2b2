/*
 * Where a zip's directory lies: the records at the end of the file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"

enum {
    END_SIZE = 22,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    ENTRY_SIZE = 46, /* of a directory entry, at least */
    MAX_DIRECTORY = 256 << 20,
};

typedef struct end_reader {
    const uint8_t *data;
    size_t size;
    ptf_origin origin;
    ptf_error *err;
    ptf_zip_directory *directory;
} end_reader;

#define FAIL(zip, offset, ...) \
    ptf_fail((zip)->err, PTF_FORMAT, &(zip)->origin, offset, __VA_ARGS__)

/* The last end record is not where it belongs: say why. */
static ptf_status explain_no_end(end_reader *zip)
{
    size_t reach = zip->size < 65557 ? zip->size : 65557;
    for (size_t back = END_SIZE; back <= reach; back++) {
        const uint8_t *p = zip->data + zip->size - back;
        if (memcmp(p, "PK\5\6", 4) == 0 && back == END_SIZE)
            return FAIL(zip, zip->size, "expected a zip without a comment");
        if (memcmp(p, "PK\5\6", 4) == 0)
            return FAIL(zip, zip->size - back + END_SIZE,
                        "expected the end of the file after the zip's end "
                        "record, got %zu more bytes",
                        back - END_SIZE);
    }
    return FAIL(zip, zip->size,
                "expected the end record of a zip archive, got none: the "
                "file is truncated or has trailing data; download or copy it "
                "again");
}

/* Takes the value of the 64-bit record unless the short one contradicts. */
static bool widen(uint64_t narrow, uint64_t sentinel, uint64_t wide,
                  uint64_t *out)
{
    *out = wide;
    return narrow == sentinel || narrow == wide;
}

static ptf_status read_end64(end_reader *zip, const uint8_t *end,
                             size_t *directory_end)
{
    size_t at = (size_t)(end - zip->data) - LOCATOR_SIZE;
    const uint8_t *locator = zip->data + at;
    uint64_t record = ptf_get_u64(locator + 8);
    if (ptf_get_u32(locator + 4) != 0 || ptf_get_u32(locator + 16) != 1)
        return FAIL(zip, at, "expected a zip on one disk, got several");
    if (at < END64_SIZE || record != at - END64_SIZE ||
        memcmp(zip->data + record, "PK\6\6", 4) != 0 ||
        ptf_get_u64(zip->data + record + 4) != END64_SIZE - 12)
        return FAIL(zip, at,
                    "expected the zip64 end record before its locator, got "
                    "offset %llu",
                    (unsigned long long)record);

    const uint8_t *p = zip->data + record;
    ptf_zip_directory *d = zip->directory;
    uint64_t here = ptf_get_u64(p + 24);
    if (ptf_get_u32(p + 16) != 0 || ptf_get_u32(p + 20) != 0 ||
        here != ptf_get_u64(p + 32))
        return FAIL(zip, record, "expected a zip on one disk, got several");
    if (!widen(ptf_get_u16(end + 10), 0xffff, here, &d->count) ||
        !widen(ptf_get_u32(end + 12), 0xffffffff, ptf_get_u64(p + 40),
               &d->size) ||
        !widen(ptf_get_u32(end + 16), 0xffffffff, ptf_get_u64(p + 48),
               &d->offset))
        return FAIL(zip, record,
                    "expected the two end records to agree, got different "
                    "counts, sizes or offsets");
    *directory_end = record;
    return PTF_OK;
}

static ptf_status read_end(end_reader *zip)
{
    if (zip->size < END_SIZE)
        return explain_no_end(zip);
    size_t at = zip->size - END_SIZE;
    const uint8_t *end = zip->data + at;
    if (memcmp(end, "PK\5\6", 4) != 0 || ptf_get_u16(end + 20) != 0)
        return explain_no_end(zip);
    if (ptf_get_u16(end + 4) != 0 || ptf_get_u16(end + 6) != 0 ||
        ptf_get_u16(end + 8) != ptf_get_u16(end + 10))
        return FAIL(zip, at, "expected a zip on one disk, got several");

    ptf_zip_directory *d = zip->directory;
    *d = (ptf_zip_directory){ptf_get_u16(end + 10), ptf_get_u32(end + 12),
                             ptf_get_u32(end + 16)};
    size_t directory_end = at;
    if (at >= LOCATOR_SIZE && memcmp(end - LOCATOR_SIZE, "PK\6\7", 4) == 0) {
        ptf_status status = read_end64(zip, end, &directory_end);
        if (status != PTF_OK)
            return status;
    }
    if (d->offset > directory_end || d->size != directory_end - d->offset)
        return FAIL(zip, at,
                    "expected the directory to end at byte %zu, got %llu "
                    "bytes from byte %llu",
                    directory_end, (unsigned long long)d->size,
                    (unsigned long long)d->offset);
    if (d->size > MAX_DIRECTORY || d->count > d->size / ENTRY_SIZE)
        return FAIL(zip, at,
                    "expected a directory that can hold its entries, got "
                    "%llu entries in %llu bytes",
                    (unsigned long long)d->count, (unsigned long long)d->size);
    if (d->count == 0)
        return FAIL(zip, at, "expected entries, got an empty archive");
    return PTF_OK;
}

ptf_status ptf_zip_find_directory(const ptf_file *file, ptf_zip_directory *out,
                                  ptf_error *err)
{
    end_reader zip = {file->data, file->size, {file->name, NULL}, err, out};
    return read_end(&zip);
}
