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

/*
 * libzip puts names into chains by a hash without a key (times 33, as Dan
 * Bernstein's), so that names can be made which all get into one chain and
 * take quadratic time.  Such a directory is refused before libzip sees it:
 * names that nobody made for that lie in chains of one or two.
 */
static uint32_t add_hash(uint32_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = hash * 33 + (uint8_t)*text;
    return hash;
}

static uint32_t hash_name(const ptf_archive *archive, const ptf_entry *entry)
{
    uint32_t hash = 5381;
    if (archive->root[0] != '\0')
        hash = add_hash(add_hash(hash, archive->root), "/");
    return add_hash(hash, entry->name);
}

static ptf_status check_chains(const ptf_archive *archive, ptf_error *err)
{
    static const uint64_t MAX_STEPS = 10 << 20;
    ptf_origin origin = {archive->file->name, NULL};
    size_t size = 256;
    while (size / 4 * 3 < archive->count)
        size *= 2;
    uint32_t *chains = ptf_alloc(size * sizeof(*chains));
    if (chains == NULL)
        return ptf_fail_memory(err);
    uint64_t steps = 0;
    for (size_t i = 0; i < archive->count; i++)
        steps +=
            chains[hash_name(archive, &archive->entries[i]) & (size - 1)]++;
    ptf_free(chains);
    return steps <= MAX_STEPS
               ? PTF_OK
               : ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                          "expected names of entries that nobody made to "
                          "collide, got %zu that do",
                          archive->count);
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
    ptf_status status = check_chains(archive, err);
    if (status != PTF_OK)
        return status;
    zip_error_init(&error);
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
