/*
 * archive: a checkpoint file as named slices of bytes.  Finds out what kind
 * of file it is, checks the container in full, and knows nothing about what
 * the bytes mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ARCHIVE_H
#define PTF_ARCHIVE_H

#include "base/base.h"

typedef enum ptf_archive_kind {
    PTF_ARCHIVE_TORCH,       /* zip of torch.save() since 1.6 */
    PTF_ARCHIVE_TORCHSCRIPT, /* zip of torch.jit.save() */
    PTF_ARCHIVE_LEGACY,      /* pickles and raw storages in a row, to 1.5 */
    PTF_ARCHIVE_TAR,         /* a tar of three parts, to 0.1.9 */
    PTF_ARCHIVE_SAFETENSORS,
    PTF_ARCHIVE_INDEX,  /* JSON that says which files have the tensors */
    PTF_ARCHIVE_EXPORT, /* zip of torch.export.save() */
    PTF_ARCHIVE_KIND_COUNT,
} ptf_archive_kind;

/* "torch zip" and so on. */
const char *ptf_archive_kind_name(ptf_archive_kind kind);

/* The entries by which programs are known, of now and of PyTorch up to 2.7. */
#define PTF_PROGRAM_ENTRY     "archive_format"
#define PTF_OLD_PROGRAM_ENTRY "serialized_exported_program.json"

/*
 * One slice.  In zips 'name' is what stands after the root and its slash
 * ("data/0"); folders end with a slash.  A legacy stream is one entry named
 * "stream", which starts after the magic number; a safetensors file has
 * "header" and "data", a tar its members, an index is one entry "index".
 */
typedef struct ptf_entry {
    const char *name;
    const uint8_t *data; /* NULL while compressed: see ptf_archive_load() */
    size_t size;         /* of the plain bytes */
    size_t packed;       /* of the bytes in the file */
    uint64_t offset;     /* of the bytes in the file */
    uint32_t crc;        /* of the plain bytes */
    bool has_crc;        /* torch can be told to write 0 for all of them */
    bool deflated;
} ptf_entry;

typedef struct ptf_archive {
    ptf_archive_kind kind;
    const ptf_file *file; /* borrowed */
    const char *root;     /* the zip's folder, "" in other kinds */
    ptf_entry *entries;   /* in the order of the directory */
    size_t count;
    ptf_entry **by_name; /* sorted without regard to case */
    int version;         /* the format's own number, 0 where it has none */
    size_t inflated;     /* bytes that ptf_archive_load() has made */
    ptf_arena arena;
} ptf_archive;

/*
 * Checks the container and fills 'out'.  PTF_FORMAT for damage and for
 * everything on which two zip readers could disagree; PTF_UNSUPPORTED, with
 * its name and what to do, for another kind of file.  The storages' checksums
 * are not computed here.  'out' must be closed only after success.
 */
ptf_status ptf_archive_open(const ptf_file *file, ptf_archive *out,
                            ptf_error *err);
/* The same for any zip: names stay whole, and nothing is demanded of them. */
ptf_status ptf_archive_open_zip(const ptf_file *file, ptf_archive *out,
                                ptf_error *err);
void ptf_archive_close(ptf_archive *archive);

/* The entry of exactly this name, or NULL. */
ptf_entry *ptf_archive_find(const ptf_archive *archive, const char *name);

/*
 * Makes entry->data valid: inflates a compressed entry, with its size and
 * checksum verified.  Bounded: what a small file inflates to is refused when
 * it is out of proportion.
 */
ptf_status ptf_archive_load(ptf_archive *archive, ptf_entry *entry,
                            ptf_error *err);

/* Compares one loaded entry, or a copy, with its checksum, if there is one. */
ptf_status ptf_archive_check(const ptf_archive *archive, const ptf_entry *entry,
                             ptf_error *err);
ptf_status ptf_archive_check_copy(const ptf_archive *archive,
                                  const ptf_entry *entry, const void *data,
                                  ptf_error *err);

/* Compares all stored entries with their checksums, on all threads. */
ptf_status ptf_archive_verify(const ptf_archive *archive, ptf_error *err);

/* One line per entry: where, how large, how packed. */
void ptf_archive_print(const ptf_archive *archive, FILE *out);

/* ----------------------------------------------- between the folder's files */

/* What a file's first bytes say it is. */
typedef enum ptf_sniffed {
    PTF_SNIFFED_ZIP,
    PTF_SNIFFED_LEGACY,
    PTF_SNIFFED_TAR,
    PTF_SNIFFED_SAFETENSORS,
    PTF_SNIFFED_JSON,
} ptf_sniffed;

/*
 * Recognises a file by its first bytes; one that is not ours fails with its
 * name and what to do.  '*start' is where a legacy stream goes on after its
 * magic number.
 */
ptf_status ptf_sniff(const ptf_file *file, ptf_sniffed *out, size_t *start,
                     ptf_error *err);

/* Makes these the archive's entries, copied, and sorts their names. */
ptf_status ptf_archive_set_entries(ptf_archive *archive,
                                   const ptf_entry *entries, size_t count,
                                   ptf_error *err);

/* Lists the members of a tar as entries. */
ptf_status ptf_tar_open(ptf_archive *archive, ptf_error *err);

/* What the end records say about a zip's directory. */
typedef struct ptf_zip_directory {
    uint64_t count, size, offset;
} ptf_zip_directory;

/* Finds the directory; it ends where the end records begin. */
ptf_status ptf_zip_find_directory(const ptf_file *file, ptf_zip_directory *out,
                                  ptf_error *err);

/* Reads the directory with our own parser; all entries are checked. */
ptf_status ptf_zip_open(ptf_archive *archive, ptf_error *err);

/* Demands that libzip, where there is one, sees the same entries. */
#ifndef PTF_WITHOUT_LIBZIP
ptf_status ptf_zip_compare(const ptf_archive *archive, ptf_error *err);
#else
static inline ptf_status ptf_zip_compare(const ptf_archive *archive,
                                         ptf_error *err)
{
    (void)archive;
    (void)err;
    return PTF_OK;
}
#endif

/*
 * PTF_UNSUPPORTED for a folder that stands for a checkpoint, and for a part
 * of one; PTF_OK for what is to be opened, or cannot be.
 */
ptf_status ptf_folder_refuse(const char *path, ptf_error *err);

#endif
