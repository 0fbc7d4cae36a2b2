/*
 * Opening an archive: find the kind, read the directory, and, for a zip,
 * decide what wrote it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"

#include <stdlib.h>

static const char *const kind_names[PTF_ARCHIVE_KIND_COUNT] = {
    [PTF_ARCHIVE_TORCH] = "torch zip",
    [PTF_ARCHIVE_TORCHSCRIPT] = "TorchScript zip",
    [PTF_ARCHIVE_LEGACY] = "legacy torch stream",
    [PTF_ARCHIVE_TAR] = "torch 0.1 tar",
    [PTF_ARCHIVE_SAFETENSORS] = "safetensors",
    [PTF_ARCHIVE_INDEX] = "index of shards",
    [PTF_ARCHIVE_EXPORT] = "torch.export zip",
};

const char *ptf_archive_kind_name(ptf_archive_kind kind)
{
    return kind_names[kind];
}

/* ------------------------------------------------------------------- names */

static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* As strcasecmp(), whatever the locale. */
static int compare_folded(const char *a, const char *b)
{
    while (*a != '\0' && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return fold(*a) - fold(*b);
}

static int compare_entries(const void *a, const void *b)
{
    const ptf_entry *const *x = a, *const *y = b;
    return compare_folded((*x)->name, (*y)->name);
}

ptf_entry *ptf_archive_find(const ptf_archive *archive, const char *name)
{
    ptf_entry key = {.name = name};
    const ptf_entry *at = &key;
    ptf_entry **found = bsearch(&at, archive->by_name, archive->count,
                                sizeof(*archive->by_name), compare_entries);
    return found != NULL && strcmp((*found)->name, name) == 0 ? *found : NULL;
}

/* Sorts the names; two that differ in nothing but case are refused, because
 * PyTorch's reader would take either for the other. */
static ptf_status index_names(ptf_archive *archive, ptf_error *err)
{
    ptf_origin origin = {archive->file->name, NULL};
    size_t count = archive->count;
    archive->by_name =
        ptf_arena_array(&archive->arena, count, sizeof(*archive->by_name));
    if (archive->by_name == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        archive->by_name[i] = &archive->entries[i];
    qsort(archive->by_name, count, sizeof(*archive->by_name), compare_entries);
    for (size_t i = 1; i < count; i++) {
        const ptf_entry *a = archive->by_name[i - 1], *b = archive->by_name[i];
        if (compare_folded(a->name, b->name) == 0)
            return ptf_fail(err, PTF_FORMAT, &origin, b->offset,
                            "expected every name once, got '%s' and '%s'",
                            a->name, b->name);
    }
    return PTF_OK;
}

/* ------------------------------------------------------------ other kinds */

static const char save_weights[] = "save the state dict with torch.save()";
static const char give_checkpoint[] = "give the checkpoint";

/* Zips of other kinds, by an entry that gives them away. */
static const struct {
    const char *entry;
    const char *what;
    const char *advice;
} other_kinds[] = {
    {"model.json", "TorchScript of PyTorch 1.0 or 1.1", save_weights},
    {".data/python_version", "a torch.package archive", save_weights},
    {"META-INF/MANIFEST.MF", "a Java archive", give_checkpoint},
    {"word/document.xml", "a Word document", give_checkpoint},
    {"model.weights.h5", "a Keras model", save_weights},
};

/* Whether the archive has such an entry, and then what the archive is. */
static ptf_status refuse_other_kinds(const ptf_archive *archive, ptf_error *err)
{
    ptf_origin origin = {archive->file->name, NULL};
    for (size_t i = 0; i < archive->count; i++) {
        for (size_t k = 0; k < PTF_ARRAY_SIZE(other_kinds); k++) {
            if (strcmp(archive->entries[i].name, other_kinds[k].entry) == 0)
                return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                                "expected a PyTorch checkpoint, got %s; %s",
                                other_kinds[k].what, other_kinds[k].advice);
        }
    }
    return PTF_OK;
}

/* ---------------------------------------------------------------- the root */

/* Splits the one folder that everything lies in off the names. */
static ptf_status split_root(ptf_archive *archive, ptf_error *err)
{
    ptf_origin origin = {archive->file->name, NULL};
    const char *first = archive->entries[0].name;
    const char *slash = strchr(first, '/');
    if (slash == NULL) {
        ptf_status status = refuse_other_kinds(archive, err);
        return status != PTF_OK
                   ? status
                   : ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                              "expected a PyTorch checkpoint, whose entries "
                              "lie in one folder, got a zip with '%s'; %s",
                              first, save_weights);
    }
    size_t size = (size_t)(slash - first);
    archive->root = ptf_arena_copy(&archive->arena, first, size);
    if (archive->root == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < archive->count; i++) {
        ptf_entry *entry = &archive->entries[i];
        if (strncmp(entry->name, archive->root, size) != 0 ||
            entry->name[size] != '/')
            return ptf_fail(err, PTF_FORMAT, &origin, entry->offset,
                            "expected every entry in the folder '%s', got "
                            "'%s'",
                            archive->root, entry->name);
        entry->name += size + 1;
    }
    return PTF_OK;
}

/* -------------------------------------------------------------- zip's kind */

/* Readers that look for any entry with such a name could take it instead. */
static const char second_pickle[] = "/data.pkl";

static ptf_status find_kind(ptf_archive *archive, ptf_error *err)
{
    ptf_origin origin = {archive->file->name, NULL};
    ptf_status status = refuse_other_kinds(archive, err);
    if (status != PTF_OK)
        return status;
    for (size_t i = 0; i < archive->count; i++) {
        const ptf_entry *entry = &archive->entries[i];
        size_t size = strlen(entry->name), n = strlen(second_pickle);
        if (size >= n && strcmp(entry->name + size - n, second_pickle) == 0)
            return ptf_fail(err, PTF_FORMAT, &origin, entry->offset,
                            "expected one data.pkl, got also '%s'",
                            entry->name);
    }
    if (ptf_archive_find(archive, "data.pkl") == NULL)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected the entry '%s/data.pkl' of a PyTorch "
                        "checkpoint, got none among %zu entries",
                        archive->root, archive->count);
    archive->kind = ptf_archive_find(archive, "constants.pkl") != NULL
                        ? PTF_ARCHIVE_TORCHSCRIPT
                        : PTF_ARCHIVE_TORCH;
    return PTF_OK;
}

/* The format's version: PyTorch reads 1 to 10 and demands that it is there. */
static ptf_status check_version(ptf_archive *archive, ptf_error *err)
{
    ptf_entry *entry = ptf_archive_find(archive, ".data/version");
    if (entry == NULL)
        entry = ptf_archive_find(archive, "version");
    ptf_origin origin = {archive->file->name, "version"};
    if (entry == NULL)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected the format's version, got no such entry");
    ptf_status status = ptf_archive_load(archive, entry, err);
    if (status == PTF_OK)
        status = ptf_archive_check(archive, entry, err);
    if (status != PTF_OK)
        return status;
    int version = 0;
    size_t i = 0;
    for (; i < entry->size && i < 3; i++) {
        if (entry->data[i] < '0' || entry->data[i] > '9')
            break;
        version = version * 10 + (entry->data[i] - '0');
    }
    bool newline = i + 1 == entry->size && entry->data[i] == '\n';
    if (version < 1 || version > 10 || (i != entry->size && !newline))
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, entry->offset,
                        "expected a format version from 1 to 10, got '%.*s'",
                        entry->size < 16 ? (int)entry->size : 16,
                        (const char *)entry->data);
    archive->version = version;
    return PTF_OK;
}

/* Programs of PyTorch 2.1 to 2.7 are zips without a root folder. */
static bool has_old_program(const ptf_archive *archive)
{
    for (size_t i = 0; i < archive->count; i++) {
        if (strcmp(archive->entries[i].name, PTF_OLD_PROGRAM_ENTRY) == 0)
            return true;
    }
    return false;
}

static ptf_status open_zip(ptf_archive *archive, ptf_error *err)
{
    ptf_status status = ptf_zip_open(archive, err);
    bool old_program = status == PTF_OK && has_old_program(archive);
    if (status == PTF_OK && !old_program)
        status = split_root(archive, err);
    if (status == PTF_OK)
        status = index_names(archive, err);
    if (status == PTF_OK)
        status = ptf_zip_compare(archive, err);
    if (status != PTF_OK)
        return status;
    archive->kind = PTF_ARCHIVE_EXPORT;
    if (old_program)
        return PTF_OK;
    bool program = ptf_archive_find(archive, PTF_PROGRAM_ENTRY) != NULL;
    ptf_origin origin = {archive->file->name, NULL};
    if (program && ptf_archive_find(archive, "data.pkl") != NULL)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected a checkpoint or a torch.export archive, got "
                        "the entries of both");
    if (program)
        return PTF_OK;
    status = find_kind(archive, err);
    return status == PTF_OK ? check_version(archive, err) : status;
}

/* -------------------------------------------------------- the other kinds */

ptf_status ptf_archive_set_entries(ptf_archive *archive,
                                   const ptf_entry *entries, size_t count,
                                   ptf_error *err)
{
    archive->entries =
        ptf_arena_array(&archive->arena, count, sizeof(*entries));
    if (archive->entries == NULL)
        return ptf_fail_memory(err);
    if (count > 0)
        memcpy(archive->entries, entries, count * sizeof(*entries));
    archive->count = count;
    return index_names(archive, err);
}

static ptf_entry slice(const ptf_file *file, const char *name, size_t offset,
                       size_t size)
{
    return (ptf_entry){.name = name,
                       .data = file->data + offset,
                       .size = size,
                       .packed = size,
                       .offset = offset};
}

static ptf_status open_legacy(ptf_archive *archive, size_t start,
                              ptf_error *err)
{
    const ptf_file *file = archive->file;
    archive->kind = PTF_ARCHIVE_LEGACY;
    ptf_entry stream = slice(file, "stream", start, file->size - start);
    return ptf_archive_set_entries(archive, &stream, 1, err);
}

/* The longest header that the format's own reader takes. */
enum { MAX_SAFETENSORS_HEADER = 100000000 };

static ptf_status open_safetensors(ptf_archive *archive, ptf_error *err)
{
    const ptf_file *file = archive->file;
    ptf_origin origin = {file->name, NULL};
    uint64_t header = ptf_get_u64(file->data);
    if (header > file->size - 8 || header > MAX_SAFETENSORS_HEADER)
        return ptf_fail(err, PTF_FORMAT, &origin, 0,
                        "expected a safetensors header of at most %zu bytes, "
                        "got %llu",
                        file->size - 8, (unsigned long long)header);
    size_t start = 8 + (size_t)header;
    archive->kind = PTF_ARCHIVE_SAFETENSORS;
    ptf_entry entries[] = {
        slice(file, "header", 8, (size_t)header),
        slice(file, "data", start, file->size - start),
    };
    return ptf_archive_set_entries(archive, entries, 2, err);
}

static ptf_status open_tar(ptf_archive *archive, ptf_error *err)
{
    static const char *const parts[] = {"storages", "tensors", "pickle"};
    ptf_origin origin = {archive->file->name, NULL};
    archive->kind = PTF_ARCHIVE_TAR;
    ptf_status status = ptf_tar_open(archive, err);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(parts) && status == PTF_OK; i++) {
        if (ptf_archive_find(archive, parts[i]) == NULL)
            status = ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                              "expected a PyTorch checkpoint, got a tar "
                              "archive without the member '%s'; unpack it",
                              parts[i]);
    }
    return status;
}

static ptf_status open_index(ptf_archive *archive, ptf_error *err)
{
    const ptf_file *file = archive->file;
    archive->kind = PTF_ARCHIVE_INDEX;
    ptf_entry index = slice(file, "index", 0, file->size);
    return ptf_archive_set_entries(archive, &index, 1, err);
}

/* ----------------------------------------------------------- open and close */

ptf_status ptf_archive_open(const ptf_file *file, ptf_archive *out,
                            ptf_error *err)
{
    *out = (ptf_archive){.file = file, .root = ""};
    size_t start;
    ptf_sniffed kind;
    ptf_status status = ptf_sniff(file, &kind, &start, err);
    if (status != PTF_OK)
        return status;
    switch (kind) {
    case PTF_SNIFFED_ZIP: status = open_zip(out, err); break;
    case PTF_SNIFFED_LEGACY: status = open_legacy(out, start, err); break;
    case PTF_SNIFFED_TAR: status = open_tar(out, err); break;
    case PTF_SNIFFED_SAFETENSORS: status = open_safetensors(out, err); break;
    case PTF_SNIFFED_JSON: status = open_index(out, err); break;
    }
    if (status != PTF_OK)
        ptf_archive_close(out);
    return status;
}

ptf_status ptf_archive_open_zip(const ptf_file *file, ptf_archive *out,
                                ptf_error *err)
{
    *out = (ptf_archive){.file = file, .root = ""};
    ptf_status status = ptf_zip_open(out, err);
    if (status == PTF_OK)
        status = ptf_zip_compare(out, err);
    if (status != PTF_OK)
        ptf_archive_close(out);
    return status;
}

void ptf_archive_close(ptf_archive *archive)
{
    ptf_arena_free(&archive->arena);
}

void ptf_archive_print(const ptf_archive *archive, FILE *out)
{
    fprintf(out, "%s, %zu bytes", kind_names[archive->kind],
            archive->file->size);
    if (archive->root[0] != '\0') {
        fprintf(out, ", root '");
        ptf_print_escaped(out, archive->root, strlen(archive->root));
        fprintf(out, "'");
    }
    fprintf(out, ", %zu entries\n", archive->count);
    fprintf(out, "%12s %12s %8s %8s  name\n", "offset", "bytes", "packed",
            "crc");
    for (size_t i = 0; i < archive->count; i++) {
        const ptf_entry *e = &archive->entries[i];
        fprintf(out, "%12llu %12zu %8s ", (unsigned long long)e->offset,
                e->size, e->deflated ? "deflated" : "stored");
        if (e->has_crc)
            fprintf(out, "%08x  ", (unsigned)e->crc);
        else
            fprintf(out, "%8s  ", "-");
        ptf_print_escaped(out, e->name, strlen(e->name));
        fputc('\n', out);
    }
}
