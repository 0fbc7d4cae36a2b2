/*
 * The second opinion: libzip must see the entries that we see.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"

#include <zip.h>

/* Our entry's full name is the root, if there is one, a slash, and its name. */
static bool same_name(const ptf_archive *archive, const ptf_entry *entry,
                      const char *name)
{
    size_t n = strlen(archive->root);
    if (n == 0)
        return strcmp(name, entry->name) == 0;
    return strncmp(name, archive->root, n) == 0 && name[n] == '/' &&
           strcmp(name + n + 1, entry->name) == 0;
}

static bool same_entry(const ptf_archive *archive, const ptf_entry *entry,
                       const zip_stat_t *st)
{
    const zip_uint64_t need = ZIP_STAT_NAME | ZIP_STAT_SIZE |
                              ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC |
                              ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    return (st->valid & need) == need && same_name(archive, entry, st->name) &&
           st->size == entry->size && st->comp_size == entry->packed &&
           st->crc == entry->crc &&
           st->comp_method == (entry->deflated ? ZIP_CM_DEFLATE : 0) &&
           st->encryption_method == ZIP_EM_NONE;
}

static ptf_status compare_entries(const ptf_archive *archive, zip_t *zip,
                                  ptf_error *err)
{
    ptf_origin origin = {archive->file->name, NULL};
    zip_int64_t count = zip_get_num_entries(zip, 0);
    if (count < 0 || (uint64_t)count != archive->count)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "two zip readers disagree: %zu entries, or %lld",
                        archive->count, (long long)count);
    for (size_t i = 0; i < archive->count; i++) {
        zip_stat_t st;
        zip_stat_init(&st);
        if (zip_stat_index(zip, i, ZIP_FL_ENC_RAW, &st) != 0 ||
            !same_entry(archive, &archive->entries[i], &st))
            return ptf_fail(err, PTF_FORMAT, &origin,
                            archive->entries[i].offset,
                            "two zip readers disagree about '%s'",
                            archive->entries[i].name);
    }
    return PTF_OK;
}

static ptf_status fail_libzip(const ptf_archive *archive, zip_error_t *error,
                              ptf_error *err)
{
    ptf_origin origin = {archive->file->name, NULL};
    if (zip_error_code_zip(error) == ZIP_ER_MEMORY)
        return ptf_fail_memory(err);
    return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                    "two zip readers disagree: libzip says '%s'",
                    zip_error_strerror(error));
}

ptf_status ptf_zip_compare(const ptf_archive *archive, ptf_error *err)
{
    zip_error_t error;
    zip_error_init(&error);
    ptf_status status = PTF_OK;
    zip_source_t *source = zip_source_buffer_create(
        archive->file->data, archive->file->size, 0, &error);
    zip_t *zip = source != NULL
                     ? zip_open_from_source(source, ZIP_RDONLY, &error)
                     : NULL;
    if (zip != NULL) {
        status = compare_entries(archive, zip, err);
        zip_discard(zip);
    } else {
        status = fail_libzip(archive, &error, err);
        if (source != NULL)
            zip_source_free(source);
    }
    zip_error_fini(&error);
    return status;
}
