/*
 * Files that are read: mapped, and their checksums.  Writing is in output.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifdef PTF_HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif
#include <zlib.h>

/* ---------------------------------------------------------------- mappings */

/*
 * What is mapped, for ptf_mapping_fault().  Reading files into memory would
 * need no handler; but a checkpoint can be as large as the memory, most
 * commands look at a part of it, and the others would wait for the copy.
 */
typedef struct ptf_mapping {
    struct ptf_mapping *next;
    const char *name;
    const uint8_t *data;
    size_t size;
    int fd;
    struct timespec written; /* when the file was, as it was opened */
} ptf_mapping;

static ptf_mapping *mappings;

static void add_mapping(ptf_mapping *mapping)
{
    sigset_t signals;
    ptf_signals_hold(&signals);
    mapping->next = mappings;
    mappings = mapping;
    ptf_signals_release(&signals);
}

static void remove_mapping(const ptf_mapping *mapping)
{
    sigset_t signals;
    ptf_signals_hold(&signals);
    ptf_mapping **place = &mappings;
    while (*place != mapping)
        place = &(*place)->next;
    *place = mapping->next;
    ptf_signals_release(&signals);
}

/* Calls only what a signal handler may call. */
static bool was_cut(int fd, size_t size)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (size_t)st.st_size < size;
}

/* Puts 'more' after the text, as far as there is room. */
static void append(char *text, size_t size, const char *more)
{
    size_t n = strlen(text), left = size - n - 1, k = strlen(more);
    memcpy(text + n, more, k < left ? k : left);
    text[n + (k < left ? k : left)] = '\0';
}

bool ptf_mapping_fault(const void *address, char *text, size_t size)
{
    sigset_t signals;
    ptf_signals_hold(&signals);
    const ptf_mapping *m = mappings;
    uintptr_t at = (uintptr_t)address;
    while (m != NULL &&
           (at < (uintptr_t)m->data || at - (uintptr_t)m->data >= m->size))
        m = m->next;
    if (m != NULL && size > 0) {
        ptf_escape(text, size, m->name);
        append(text, size,
               was_cut(m->fd, m->size)
                   ? ": was truncated while it was in use"
                   : ": cannot read: the disk or the network failed");
    }
    ptf_signals_release(&signals);
    return m != NULL;
}

/* ----------------------------------------------------------------- reading */

static ptf_status map_descriptor(int fd, const char *path, ptf_file *out,
                                 ptf_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ptf_fail_errno(err, path, "read");
    ptf_origin origin = {path, NULL};
    if (st.st_size == 0)
        return ptf_fail(err, PTF_FORMAT, &origin, 0, "the file is empty");
    ptf_mapping *m = ptf_alloc(sizeof(*m));
    if (m == NULL)
        return ptf_fail_memory(err);
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        ptf_free(m);
        return ptf_fail_errno(err, path, "map");
    }
    *m = (ptf_mapping){.name = path,
                       .data = data,
                       .size = (size_t)st.st_size,
                       .fd = fd,
                       .written = st.st_mtim};
    add_mapping(m);
    *out = (ptf_file){path, data, m->size, fd, m};
    return PTF_OK;
}

/* A pipe without a name, as shells make them. */
static bool is_pipe(int fd, const struct stat *st)
{
    struct statfs fs;
    return S_ISFIFO(st->st_mode) && fstatfs(fd, &fs) == 0 &&
           fs.f_type == PIPEFS_MAGIC;
}

static const char *kind_of(const struct stat *st)
{
    return S_ISDIR(st->st_mode)    ? "a directory"
           : S_ISFIFO(st->st_mode) ? "a pipe"
           : S_ISSOCK(st->st_mode) ? "a socket"
                                   : "a device";
}

static ptf_status open_kind(const char *path, bool pipes, int *fd,
                            ptf_error *err)
{
    ptf_origin origin = {path, NULL};
    struct stat st;
    /* O_NONBLOCK: what is no file is refused, not waited for */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool known = *fd >= 0 ? fstat(*fd, &st) == 0
                          : errno == ENXIO && stat(path, &st) == 0;
    if (!known && *fd < 0)
        return ptf_fail_errno(err, path, "open");
    if (known && *fd >= 0 && S_ISREG(st.st_mode))
        return PTF_OK;
    if (known && *fd >= 0 && pipes && is_pipe(*fd, &st) &&
        fcntl(*fd, F_SETFL, 0) == 0)
        return PTF_OK;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return ptf_fail(err, PTF_IO, &origin, PTF_NO_OFFSET,
                    "expected a regular file, got %s",
                    known ? kind_of(&st) : "something else");
}

ptf_status ptf_input_open(const char *path, int *fd, ptf_error *err)
{
    return open_kind(path, true, fd, err);
}

bool ptf_file_is_there(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0)
        return S_ISREG(st.st_mode);
    return errno != ENOENT && errno != ELOOP && errno != ENOTDIR;
}

ptf_status ptf_file_open(const char *path, ptf_file *out, ptf_error *err)
{
    int fd;
    ptf_status status = open_kind(path, false, &fd, err);
    if (status != PTF_OK)
        return status;
    status = map_descriptor(fd, path, out, err);
    if (status != PTF_OK)
        close(fd);
    return status;
}

void ptf_file_release(const ptf_file *file)
{
    if (file->fd >= 0)
        madvise((void *)(uintptr_t)file->data, file->size, MADV_DONTNEED);
}

void ptf_file_close(ptf_file *file)
{
    if (file->fd < 0)
        return;
    remove_mapping(file->mapping);
    ptf_free(file->mapping);
    munmap((void *)(uintptr_t)file->data, file->size);
    close(file->fd);
    file->fd = -1;
}

/* ----------------------------------------------- files that others write to */

ptf_status ptf_file_fail_changed(const ptf_file *file, ptf_error *err)
{
    ptf_origin origin = {file->name, NULL};
    return ptf_fail(err, PTF_IO, &origin, PTF_NO_OFFSET,
                    "was %s while it was in use; try again when no other "
                    "program writes to it",
                    was_cut(file->fd, file->size) ? "truncated" : "changed");
}

ptf_status ptf_file_check(const ptf_file *file, ptf_error *err)
{
    struct stat st;
    if (file->fd < 0)
        return PTF_OK;
    if (fstat(file->fd, &st) != 0)
        return ptf_fail_errno(err, file->name, "read");
    const struct timespec *written = &file->mapping->written;
    if ((size_t)st.st_size == file->size &&
        st.st_mtim.tv_sec == written->tv_sec &&
        st.st_mtim.tv_nsec == written->tv_nsec)
        return PTF_OK;
    return ptf_file_fail_changed(file, err);
}

ptf_status ptf_file_copy(const ptf_file *file, const void *data, size_t size,
                         void *out, ptf_error *err)
{
    off_t at = (const uint8_t *)data - file->data;
    uint8_t *to = out;
    if (file->fd < 0) {
        memcpy(to, data, size);
        return PTF_OK;
    }
    while (size > 0) {
        ssize_t n = pread(file->fd, to, size, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ptf_fail_errno(err, file->name, "read");
        if (n == 0)
            return ptf_file_fail_changed(file, err);
        at += n;
        to += n;
        size -= (size_t)n;
    }
    return PTF_OK;
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

/* A piece is worth a thread when it takes much longer than starting one. */
enum { PIECE = 4 << 20, MAX_PIECES = 64 };

uint32_t ptf_crc32_parallel(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t crcs[MAX_PIECES];
    size_t step = size / MAX_PIECES + 1;
    if (step < PIECE)
        step = PIECE;
    int pieces = (int)((size + step - 1) / step);
#pragma omp parallel for schedule(dynamic) if (pieces > 1)
    for (int i = 0; i < pieces; i++) {
        size_t at = (size_t)i * step;
        size_t n = size - at < step ? size - at : step;
        crcs[i] = ptf_crc32(0, p + at, n);
    }
    for (int i = 0; i < pieces; i++) {
        size_t left = size - (size_t)i * step;
        crc = (uint32_t)crc32_combine(crc, crcs[i],
                                      (z_off_t)(left < step ? left : step));
    }
    return crc;
}
