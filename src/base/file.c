/*
 * Files: mapped for reading, and written so that they appear whole or not at
 * all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef PTF_HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif
#include <zlib.h>

/* ----------------------------------------------------------------- reading */

static ptf_status map_descriptor(int fd, const char *path, ptf_file *out,
                                 ptf_error *err)
{
    ptf_origin origin = {path, NULL};
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ptf_fail_errno(err, path, "read");
    if (S_ISDIR(st.st_mode))
        return ptf_fail(err, PTF_IO, &origin, PTF_NO_OFFSET,
                        "expected a file, found a directory");
    if (!S_ISREG(st.st_mode))
        return ptf_fail(err, PTF_IO, &origin, PTF_NO_OFFSET,
                        "expected a regular file that can be mapped");
    if (st.st_size == 0)
        return ptf_fail(err, PTF_FORMAT, &origin, 0, "the file is empty");
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return ptf_fail_errno(err, path, "map");
    *out = (ptf_file){path, data, (size_t)st.st_size, fd};
    return PTF_OK;
}

ptf_status ptf_file_open(const char *path, ptf_file *out, ptf_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ptf_fail_errno(err, path, "open");
    ptf_status status = map_descriptor(fd, path, out, err);
    if (status != PTF_OK)
        close(fd);
    return status;
}

void ptf_file_close(ptf_file *file)
{
    if (file->fd < 0)
        return;
    munmap((void *)(uintptr_t)file->data, file->size);
    close(file->fd);
    file->fd = -1;
}

/* ----------------------------------------------------------------- writing */

struct ptf_output {
    char *path;      /* the target */
    char *temporary; /* what is being written */
    int fd;
    uint64_t offset;
    uint64_t flushing; /* up to here the kernel was told to write back */
};

/* Write-back is started in steps, so that the final sync has little left. */
enum { FLUSH_STEP = 32 << 20 };

static void output_free(ptf_output *out)
{
    if (out->fd >= 0)
        close(out->fd);
    ptf_free(out->path);
    ptf_free(out->temporary);
    ptf_free(out);
}

static char *copy_text(const char *text, const char *suffix)
{
    size_t size = strlen(text) + strlen(suffix) + 1;
    char *copy = ptf_alloc(size);
    if (copy != NULL)
        snprintf(copy, size, "%s%s", text, suffix);
    return copy;
}

/* Targets that cannot be replaced by a rename, or must not be. */
static ptf_status check_target(const char *path, const ptf_file *source,
                               ptf_error *err)
{
    ptf_origin origin = {path, NULL};
    struct stat target, input;
    if (stat(path, &target) != 0)
        return PTF_OK; /* does not exist, or open will say why */
    if (source != NULL && source->fd >= 0 && fstat(source->fd, &input) == 0 &&
        target.st_dev == input.st_dev && target.st_ino == input.st_ino)
        return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                        "the output is the input itself; give another name");
    if (!S_ISREG(target.st_mode))
        return ptf_fail(err, PTF_IO, &origin, PTF_NO_OFFSET,
                        "the output exists and is not a regular file");
    return PTF_OK;
}

/* mkostemp() makes files that only the owner reads; give the usual mode. */
static void set_usual_mode(int fd)
{
    mode_t mask = umask(0);
    umask(mask);
    (void)!fchmod(fd, 0666 & ~mask);
}

ptf_status ptf_output_open(const char *path, const ptf_file *source,
                           ptf_output **out, ptf_error *err)
{
    *out = NULL;
    ptf_status status = check_target(path, source, err);
    if (status != PTF_OK)
        return status;
    ptf_output *o = ptf_alloc(sizeof(*o));
    if (o == NULL)
        return ptf_fail_memory(err);
    o->fd = -1;
    o->path = copy_text(path, "");
    o->temporary = copy_text(path, ".XXXXXX");
    if (o->path == NULL || o->temporary == NULL) {
        output_free(o);
        return ptf_fail_memory(err);
    }
    o->fd = mkostemp(o->temporary, O_CLOEXEC);
    if (o->fd < 0) {
        status = ptf_fail_errno(err, path, "write");
        output_free(o);
        return status;
    }
    set_usual_mode(o->fd);
    *out = o;
    return PTF_OK;
}

static void output_advance(ptf_output *out, size_t size)
{
    out->offset += size;
    if (out->offset - out->flushing >= FLUSH_STEP) {
        sync_file_range(out->fd, (off_t)out->flushing,
                        (off_t)(out->offset - out->flushing),
                        SYNC_FILE_RANGE_WRITE);
        out->flushing = out->offset;
    }
}

ptf_status ptf_output_write(ptf_output *out, const void *data, size_t size,
                            ptf_error *err)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(out->fd, p, size < FLUSH_STEP ? size : FLUSH_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ptf_fail_errno(err, out->path, "write");
        output_advance(out, (size_t)n);
        p += n;
        size -= (size_t)n;
    }
    return PTF_OK;
}

ptf_status ptf_output_copy(ptf_output *out, const ptf_file *source,
                           const void *data, size_t size, ptf_error *err)
{
    off_t from = (const uint8_t *)data - source->data;
    while (size > 0 && source->fd >= 0) {
        ssize_t n = copy_file_range(source->fd, &from, out->fd, NULL,
                                    size < FLUSH_STEP ? size : FLUSH_STEP, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* not between these file systems: write the rest */
        output_advance(out, (size_t)n);
        size -= (size_t)n;
    }
    return ptf_output_write(out, source->data + from, size, err);
}

uint64_t ptf_output_offset(const ptf_output *out)
{
    return out->offset;
}

/* The rename itself is only safe once the folder is on disk. */
static void sync_folder(const char *path)
{
    char *folder = copy_text(path, "");
    if (folder == NULL)
        return;
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder] = '\0';
    int fd = open(slash != NULL ? folder : ".",
                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    ptf_free(folder);
}

ptf_status ptf_output_commit(ptf_output *out, ptf_error *err)
{
    if (fsync(out->fd) != 0 || close(out->fd) != 0 ||
        (out->fd = -1, rename(out->temporary, out->path) != 0)) {
        ptf_status status = ptf_fail_errno(err, out->path, "write");
        ptf_output_abort(out);
        return status;
    }
    sync_folder(out->path);
    output_free(out);
    return PTF_OK;
}

void ptf_output_abort(ptf_output *out)
{
    if (out == NULL)
        return;
    unlink(out->temporary);
    output_free(out);
}

/* -------------------------------------------------------------- checksums */

uint32_t ptf_crc32(uint32_t crc, const void *data, size_t size)
{
#ifdef PTF_HAVE_LIBDEFLATE
    return libdeflate_crc32(crc, data, size);
#else
    return (uint32_t)crc32_z(crc, data, size);
#endif
}
