/*
 * Files that are written: they appear whole or not at all.
 *
 * The file is made without a name (O_TMPFILE) and gets one when it is
 * complete.  Linux cannot link over an existing name, so replacing a file
 * takes a second, temporary name for an instant; so does, from the start, a
 * file system without nameless files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct ptf_output {
    char *path;       /* as the caller calls the target, for messages */
    char *target;     /* what it is, symbolic links resolved */
    char *temporary;  /* the temporary name, or a template for one */
    bool named;       /* there is a file under the temporary name, and ... */
    ptf_output *next; /* ... this output is in the list of those */
    bool keep;        /* a target that exists is left alone */
    int fd;
    uint64_t offset;
    uint64_t flushing; /* up to here the kernel was told to write back */
    uint64_t reserved; /* bytes for which there is room on disk */
    uint64_t expected; /* the size, as far as it is known */
};

/* Write-back is started in steps, so that the final sync has little left. */
enum { FLUSH_STEP = 32 << 20 };

/* --------------------------------------------------------- temporary names */

/*
 * The outputs that a signal handler is to remove.  A file gets and loses its
 * temporary name, and the list this output, in one step for the handler.
 */
static ptf_output *named_outputs;
static void set_named(ptf_output *out)
{
    out->named = true;
    out->next = named_outputs;
    named_outputs = out;
}

static void set_nameless(ptf_output *out)
{
    ptf_output **place = &named_outputs;
    while (*place != out)
        place = &(*place)->next;
    *place = out->next;
    out->named = false;
}

void ptf_remove_temporaries(void)
{
    sigset_t signals;
    ptf_signals_hold(&signals);
    for (const ptf_output *out = named_outputs; out != NULL; out = out->next)
        unlink(out->temporary);
    ptf_signals_release(&signals);
}

/* ----------------------------------------------------------------- opening */

static void output_free(ptf_output *out)
{
#pragma omp taskwait /* none may outlive the descriptor */
    if (out->fd >= 0)
        close(out->fd);
    ptf_free(out->path);
    ptf_free(out->target);
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
ptf_status ptf_output_check(const char *path, const ptf_file *source,
                            ptf_error *err)
{
    ptf_origin origin = {path, NULL};
    struct stat target, input;
    if (stat(path, &target) != 0) {
        /* A name that is taken by a link would lose the link. */
        if (lstat(path, &target) == 0)
            return ptf_fail(err, PTF_IO, &origin, PTF_NO_OFFSET,
                            "the output is a symbolic link that leads to no "
                            "file");
        return PTF_OK; /* does not exist, or open will say why */
    }
    if (source != NULL && source->fd >= 0 && fstat(source->fd, &input) == 0 &&
        target.st_dev == input.st_dev && target.st_ino == input.st_ino)
        return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                        "the output is the input itself; give another name");
    if (!S_ISREG(target.st_mode))
        return ptf_fail(err, PTF_IO, &origin, PTF_NO_OFFSET,
                        "the output exists and is not a regular file");
    return PTF_OK;
}

/* The folder that 'path' is in, to be freed; NULL when out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return copy_text(".", "");
    char *folder = copy_text(path, "");
    if (folder != NULL)
        folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

/* Where a nameless file can be reached in order to name it. */
static void descriptor_path(int fd, char text[PTF_OUTPUT_NAME])
{
    snprintf(text, PTF_OUTPUT_NAME, "/proc/self/fd/%d", fd);
}

/* A nameless file in the target's folder, or -1. */
static int open_nameless(const char *target)
{
    char *folder = folder_of(target);
    if (folder == NULL)
        return -1;
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    ptf_free(folder);
    char link[40];
    descriptor_path(fd, link);
    if (fd >= 0 && access(link, F_OK) != 0) { /* without /proc no name */
        close(fd);
        return -1;
    }
    return fd;
}

/* mkostemp() makes files that only the owner reads; give the usual mode. */
static void set_usual_mode(int fd)
{
    mode_t mask = umask(0);
    umask(mask);
    (void)!fchmod(fd, 0666 & ~mask);
}

static ptf_status output_create(ptf_output *o, ptf_error *err)
{
    o->fd = open_nameless(o->target);
    if (o->fd >= 0)
        return PTF_OK;
    sigset_t signals;
    ptf_signals_hold(&signals);
    o->fd = mkostemp(o->temporary, O_CLOEXEC);
    if (o->fd >= 0)
        set_named(o);
    ptf_signals_release(&signals);
    if (o->fd < 0)
        return ptf_fail_errno(err, o->path, "write");
    set_usual_mode(o->fd);
    return PTF_OK;
}

static _Thread_local bool keep_files;

void ptf_keep_files(bool keep)
{
    keep_files = keep;
}

static ptf_status refuse_existing(const char *path, ptf_error *err)
{
    ptf_origin origin = {path, NULL};
    return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                    "the output exists by now and is left alone; remove it or "
                    "give another name");
}

ptf_status ptf_output_open(const char *path, const ptf_file *source,
                           ptf_output **out, ptf_error *err)
{
    *out = NULL;
    ptf_status status = ptf_output_check(path, source, err);
    if (status != PTF_OK)
        return status;
    if (keep_files && access(path, F_OK) == 0)
        return refuse_existing(path, err);
    ptf_output *o = ptf_alloc(sizeof(*o));
    if (o == NULL)
        return ptf_fail_memory(err);
    char resolved[PATH_MAX];
    const char *target = realpath(path, resolved) != NULL ? resolved : path;
    o->fd = -1;
    o->keep = keep_files;
    o->path = copy_text(path, "");
    o->target = copy_text(target, "");
    o->temporary = copy_text(target, ".XXXXXX");
    if (o->path == NULL || o->target == NULL || o->temporary == NULL)
        status = ptf_fail_memory(err);
    else
        status = output_create(o, err);
    if (status != PTF_OK) {
        output_free(o);
        return status;
    }
    *out = o;
    return PTF_OK;
}

/* ----------------------------------------------------------------- writing */

void ptf_output_expect(ptf_output *out, uint64_t size)
{
    if (size > INT64_MAX || size <= out->reserved)
        return;
    out->expected = size;
    if (fallocate(out->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) == 0)
        out->reserved = size;
}

/* To hand a disk its work takes time, too: a task for an idle thread. */
void ptf_output_flush(ptf_output *out)
{
    int fd = out->fd;
    off_t from = (off_t)out->flushing;
    off_t size = (off_t)(out->offset - out->flushing);
#pragma omp task firstprivate(fd, from, size)
    sync_file_range(fd, from, size, SYNC_FILE_RANGE_WRITE);
    out->flushing = out->offset;
}

static void output_advance(ptf_output *out, size_t size)
{
    out->offset += size;
    ptf_report("writing", out->offset, out->expected);
    if (out->offset - out->flushing >= FLUSH_STEP)
        ptf_output_flush(out);
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

ptf_status ptf_output_write_at(ptf_output *out, uint64_t offset,
                               const void *data, size_t size, ptf_error *err)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = pwrite(out->fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ptf_fail_errno(err, out->path, "write");
        offset += (uint64_t)n;
        p += n;
        size -= (size_t)n;
        if (out->offset < offset)
            out->offset = offset;
    }
    return PTF_OK;
}

/*
 * Bytes before the next page of the source, when that is also where a page
 * of the output begins: from there on pages can be shared.
 */
static size_t unshared_head(const ptf_output *out, uint64_t from, size_t size)
{
    size_t head = (size_t)(-from % PTF_PAGE);
    bool alike = from % PTF_PAGE == out->offset % PTF_PAGE;
    return alike && head < size ? head : 0;
}

ptf_status ptf_output_copy(ptf_output *out, const ptf_file *source,
                           const void *data, size_t size, ptf_error *err)
{
    off_t from = (const uint8_t *)data - source->data;
    size_t head = unshared_head(out, (uint64_t)from, size);
    ptf_status status = ptf_output_write(out, data, head, err);
    if (status != PTF_OK)
        return status;
    from += (off_t)head;
    size -= head;
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

ptf_status ptf_output_crc32(const ptf_output *out, uint64_t offset,
                            uint64_t size, uint32_t *crc, ptf_error *err)
{
    enum { STEP = 1 << 18 }; /* stays in a cache */
    uint8_t *bytes = ptf_alloc(STEP);
    if (bytes == NULL)
        return ptf_fail_memory(err);
    ptf_status status = PTF_OK;
    *crc = 0;
    while (size > 0 && status == PTF_OK) {
        ssize_t n = pread(out->fd, bytes, size < STEP ? (size_t)size : STEP,
                          (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO; /* cut by somebody */
        if (n <= 0)
            status = ptf_fail_errno(err, out->path, "read back");
        *crc = ptf_crc32(*crc, bytes, n > 0 ? (size_t)n : 0);
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    ptf_free(bytes);
    return status;
}

const char *ptf_output_name(const ptf_output *out, char room[PTF_OUTPUT_NAME])
{
    if (out->named)
        return out->temporary;
    descriptor_path(out->fd, room);
    return room;
}

uint64_t ptf_output_offset(const ptf_output *out)
{
    return out->offset;
}

/* --------------------------------------------------------------- finishing */

/* The rename itself is only safe once the folder is on disk. */
static void sync_folder(const char *path)
{
    char *folder = folder_of(path);
    int fd =
        folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    ptf_free(folder);
}

/*
 * Gives a nameless file a name: the target's, or a temporary one when the
 * target exists and may be replaced.  False with errno when neither works.
 */
static bool link_nameless(ptf_output *out)
{
    enum { TRIES = 100 };
    char link[40];
    descriptor_path(out->fd, link);
    const char *name = out->target;
    for (unsigned i = 0; i < TRIES; i++) {
        if (linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
            if (name == out->temporary)
                set_named(out);
            return true;
        }
        if (errno != EEXIST || out->keep)
            return false;
        name = out->temporary;
        size_t end = strlen(name);
        snprintf(out->temporary + end - 6, 7, "%06u",
                 ((unsigned)getpid() + i) % 1000000);
    }
    return false;
}

/* A rename that replaces no file; false with EEXIST where it would. */
static bool rename_keeping(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno == EEXIST)
        return false;
    /* Not every file system can; most of the others have links. */
    if (link(from, to) == 0) {
        unlink(from);
        return true;
    }
    if (errno == EEXIST)
        return false;
    if (access(to, F_OK) != 0) /* no call closes the gap that is left */
        return rename(from, to) == 0;
    errno = EEXIST;
    return false;
}

/* From wherever the file is to its target. */
static bool put_in_place(ptf_output *out)
{
    sigset_t signals;
    ptf_signals_hold(&signals);
    bool done = out->named || link_nameless(out);
    if (done && out->named) {
        done = out->keep ? rename_keeping(out->temporary, out->target)
                         : rename(out->temporary, out->target) == 0;
        if (done)
            set_nameless(out);
    }
    ptf_signals_release(&signals);
    return done;
}

/* Everything on disk, then the name. */
static bool output_finish(ptf_output *out)
{
    if (out->reserved > out->offset &&
        ftruncate(out->fd, (off_t)out->offset) != 0)
        return false;
    return fsync(out->fd) == 0 && put_in_place(out);
}

ptf_status ptf_output_commit(ptf_output *out, ptf_error *err)
{
    if (!output_finish(out)) {
        ptf_status status = out->keep && errno == EEXIST
                                ? refuse_existing(out->path, err)
                                : ptf_fail_errno(err, out->path, "write");
        ptf_output_abort(out);
        return status;
    }
    sync_folder(out->target);
    output_free(out);
    return PTF_OK;
}

void ptf_output_abort(ptf_output *out)
{
    if (out == NULL)
        return;
    sigset_t signals;
    ptf_signals_hold(&signals);
    if (out->named) {
        unlink(out->temporary);
        set_nameless(out);
    }
    ptf_signals_release(&signals);
    output_free(out);
}
