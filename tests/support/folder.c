/*
 * A folder of its own for a test, and system calls that fail on demand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

system_faults faults;

static char folder[64];

int folder_setup(void **state)
{
    (void)state;
    faults = (system_faults){0};
    snprintf(folder, sizeof(folder), "/tmp/ptfold-test-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

/* Calls 'each' (NULL is fine) for every file; returns their number. */
static int for_files(void (*each)(const char *path))
{
    DIR *dir = opendir(folder);
    int count = 0;
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        count++;
        if (each != NULL)
            each(in_folder(e->d_name));
    }
    closedir(dir);
    return count;
}

static void remove_one(const char *path)
{
    if (unlink(path) != 0)
        rmdir(path);
}

int folder_teardown(void **state)
{
    (void)state;
    faults = (system_faults){0};
    for_files(remove_one);
    return rmdir(folder);
}

const char *in_folder(const char *name)
{
    static char paths[4][400];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

int folder_count(void)
{
    return for_files(NULL);
}

uint8_t *file_read(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

void file_write(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

/* ------------------------------------------------------------ system calls */

int __real_open64(const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __real_copy_file_range(int in, off_t *from, int out, off_t *to,
                               size_t size, unsigned flags);
ssize_t __real_pread64(int fd, void *out, size_t size, off_t at);
int __real_fsync(int fd);
int __real_linkat(int from_dir, const char *from, int to_dir, const char *to,
                  int flags);
int __real_link(const char *from, const char *to);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                     unsigned flags);

int __wrap_open64(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_copy_file_range(int in, off_t *from, int out, off_t *to,
                               size_t size, unsigned flags);
ssize_t __wrap_pread64(int fd, void *out, size_t size, off_t at);
int __wrap_fsync(int fd);
int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to,
                  int flags);
int __wrap_link(const char *from, const char *to);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                     unsigned flags);

int __wrap_open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE
                      ? va_arg(args, mode_t)
                      : 0;
    va_end(args);
    if (faults.no_nameless && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return __real_open64(path, flags, mode);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    static bool interrupted;
    if (!faults.short_writes)
        return __real_write(fd, data, size);
    interrupted = !interrupted;
    if (interrupted) {
        errno = EINTR;
        return -1;
    }
    return __real_write(fd, data, size < 1000 ? size : 1000);
}

/* The other program goes first, and comes once more before the result. */
static void meet_other(bool before)
{
    if (faults.other != NULL)
        faults.other(before);
}

ssize_t __wrap_copy_file_range(int in, off_t *from, int out, off_t *to,
                               size_t size, unsigned flags)
{
    if (faults.no_copying) {
        errno = EXDEV;
        return -1;
    }
    meet_other(true);
    ssize_t n = __real_copy_file_range(in, from, out, to, size, flags);
    meet_other(false);
    return n;
}

ssize_t __wrap_pread64(int fd, void *out, size_t size, off_t at)
{
    meet_other(true);
    ssize_t n = __real_pread64(fd, out, size, at);
    meet_other(false);
    return n;
}

int __wrap_fsync(int fd)
{
    if (!faults.sync_fails)
        return __real_fsync(fd);
    errno = EIO;
    return -1;
}

int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to,
                  int flags)
{
    int result = -1, reason = EPERM;
    if (!faults.link_fails) {
        result = __real_linkat(from_dir, from, to_dir, to, flags);
        reason = errno;
    }
    if (faults.signal != 0)
        raise(faults.signal);
    errno = reason;
    return result;
}

int __wrap_link(const char *from, const char *to)
{
    if (!faults.no_links)
        return __real_link(from, to);
    errno = EPERM;
    return -1;
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                     unsigned flags)
{
    if (!faults.no_keeping)
        return __real_renameat2(from_dir, from, to_dir, to, flags);
    errno = EINVAL;
    return -1;
}
