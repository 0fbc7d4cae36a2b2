/*
 * Files that are read: mapped, and their checksums.  Writing is in output.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
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
                        "expected a file, got a directory");
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
    /* O_NONBLOCK: a pipe in the file's place is refused, not waited for */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ptf_fail_errno(err, path, "open");
    ptf_status status = map_descriptor(fd, path, out, err);
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
    munmap((void *)(uintptr_t)file->data, file->size);
    close(file->fd);
    file->fd = -1;
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
