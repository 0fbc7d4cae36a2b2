/*
 * Which files make the list of images: those that are given, what comes
 * through pipes, and what lies in folders.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/images.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The most that is read from a pipe. */
enum { MOST_HELD = 1 << 30 };

/* ------------------------------------------------------------------- pipes */

static ptf_status read_all(int fd, const char *name, ptf_buffer *out,
                           ptf_error *err)
{
    enum { STEP = 1 << 16 };
    static char nothing[STEP];
    ptf_origin origin = {name, NULL};
    for (;;) {
        size_t size = out->size;
        ptf_buffer_add(out, nothing, STEP);
        if (out->failed)
            return ptf_fail_memory(err);
        ssize_t n = read(fd, out->data + size, STEP);
        out->size = n > 0 ? size + (size_t)n : size;
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return ptf_fail_errno(err, name, "read");
        if (out->size > MOST_HELD)
            return ptf_fail(err, PTF_UNSUPPORTED, &origin, out->size,
                            "expected at most %d bytes from a pipe; give a "
                            "file",
                            MOST_HELD);
    }
    return out->size > 0
               ? PTF_OK
               : ptf_fail(err, PTF_FORMAT, &origin, 0, "the file is empty");
}

static ptf_status hold(ptf_image_file *file, ptf_error *err)
{
    bool standard = strcmp(file->path, "-") == 0;
    if (standard)
        file->path = "<stdin>";
    int fd = STDIN_FILENO;
    ptf_status status =
        standard ? PTF_OK : ptf_input_open(file->path, &fd, err);
    if (status != PTF_OK)
        return status;
    ptf_buffer bytes = {0};
    status = read_all(fd, file->path, &bytes, err);
    if (!standard)
        close(fd);
    if (status != PTF_OK) {
        ptf_buffer_free(&bytes);
        return status;
    }
    file->held = bytes.data;
    file->held_size = bytes.size;
    return PTF_OK;
}

/* ------------------------------------------------------------------- files */

static ptf_image_file *append(ptf_images *images)
{
    if (images->file_count == images->file_capacity) {
        size_t capacity = images->file_capacity * 2 + 16;
        ptf_image_file *files =
            ptf_realloc(images->files, capacity * sizeof(*files));
        if (files == NULL)
            return NULL;
        images->files = files;
        images->file_capacity = capacity;
    }
    /* A pointer to the open file may have moved with the others. */
    ptf_images_leave(images);
    ptf_image_file *file = &images->files[images->file_count++];
    *file = (ptf_image_file){.first = images->count, .label = -1};
    return file;
}

static bool is_pipe(const char *path)
{
    struct stat st;
    return strcmp(path, "-") == 0 ||
           (stat(path, &st) == 0 && !S_ISREG(st.st_mode));
}

static ptf_status add_file(ptf_images *images, const char *path, int64_t label,
                           ptf_error *err)
{
    ptf_image_file *file = append(images);
    if (file == NULL)
        return ptf_fail_memory(err);
    file->path = ptf_arena_copy(&images->arena, path, strlen(path));
    file->label = label;
    if (file->path == NULL)
        return ptf_fail_memory(err);
    ptf_status status = is_pipe(path) ? hold(file, err) : PTF_OK;
    if (status == PTF_OK)
        status = ptf_images_enter(images, file, err);
    if (status != PTF_OK)
        return status;
    bool picture = images->picture != NULL;
    file->picture = images->picture;
    images->count += picture ? 1 : images->samples.images.shape[0];
    images->cifar10 = (images->cifar10 || images->file_count == 1) &&
                      !picture && images->samples.cifar10;
    return PTF_OK;
}

/* ----------------------------------------------------------------- folders */

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

typedef struct folder {
    const char *path;
    struct dirent **entries;
    int count;
} folder;

static ptf_status folder_open(const char *path, folder *out, ptf_error *err)
{
    out->path = path;
    out->count = scandir(path, &out->entries, is_visible, compare_names);
    return out->count >= 0 ? PTF_OK : ptf_fail_errno(err, path, "read");
}

static void folder_close(folder *f)
{
    for (int i = 0; i < f->count; i++)
        free(f->entries[i]); /* scandir()'s */
    if (f->count >= 0)
        free(f->entries);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Files of other kinds are counted; what is broken is named, too. */
static ptf_status add_found(ptf_images *images, const char *path, int64_t label,
                            ptf_error *err)
{
    ptf_error other;
    struct stat st;
    size_t files = images->file_count;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        images->skipped++;
        return PTF_OK;
    }
    images->unknown = false; /* an empty file was to be something */
    bool cifar10 = images->cifar10;
    ptf_status status = add_file(images, path, label, &other);
    if (status == PTF_OK) {
        images->files[files].found = true;
        return PTF_OK;
    }
    if (!ptf_images_may_leave_out(status))
        return ptf_fail(err, status, NULL, PTF_NO_OFFSET, "%s", other.message);
    images->file_count = files;
    images->cifar10 = cifar10;
    if (!images->unknown)
        return ptf_images_leave_out(images, other.message, err);
    images->skipped++;
    return PTF_OK;
}

/* A file of the folder, whose path may end in a slash. */
static const char *path_below(ptf_images *images, const char *path,
                              const char *name)
{
    return ptf_arena_printf(&images->arena, "%s%s%s", path,
                            ptf_ends_with(path, "/") ? "" : "/", name);
}

static ptf_status add_class(ptf_images *images, const char *path,
                            const char *name, ptf_error *err)
{
    folder f;
    int64_t label = images->class_count++;
    images->classes[label] = ptf_arena_copy(&images->arena, name, strlen(name));
    if (images->classes[label] == NULL)
        return ptf_fail_memory(err);
    ptf_status status = folder_open(path, &f, err);
    for (int i = 0; status == PTF_OK && i < f.count; i++) {
        const char *file = path_below(images, path, f.entries[i]->d_name);
        status = file != NULL ? add_found(images, file, label, err)
                              : ptf_fail_memory(err);
    }
    folder_close(&f);
    return status;
}

/* Files lie in the folder itself, or in one folder for each class. */
static ptf_status add_folder(ptf_images *images, const char *path,
                             ptf_error *err)
{
    folder f;
    ptf_status status = folder_open(path, &f, err);
    if (status != PTF_OK)
        return status;
    bool first = images->class_count == 0;
    if (first && f.count > 0)
        images->classes = ptf_arena_array(&images->arena, (size_t)f.count,
                                          sizeof(*images->classes));
    if (first && f.count > 0 && images->classes == NULL)
        status = ptf_fail_memory(err);
    for (int i = 0; i < f.count && status == PTF_OK; i++) {
        const char *name = f.entries[i]->d_name;
        const char *file = path_below(images, path, name);
        if (file == NULL)
            status = ptf_fail_memory(err);
        else if (!is_folder(file))
            status = add_found(images, file, -1, err);
        else if (first)
            status = add_class(images, file, name, err);
        else
            status = ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                              "%s: expected one folder with classes, got a "
                              "second",
                              path);
    }
    folder_close(&f);
    return status;
}

/* -------------------------------------------------------------------- open */

static ptf_status copy_list(ptf_images *images, const float **list, int count,
                            bool divides, ptf_error *err)
{
    float *copy =
        ptf_arena_array(&images->arena, (size_t)count + 1, sizeof(*copy));
    if (copy == NULL)
        return ptf_fail_memory(err);
    for (int i = 0; i < count; i++) {
        copy[i] = (*list)[i];
        if (!__builtin_isfinite(copy[i]) || (divides && !(copy[i] > 0.0F)))
            return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                            "expected a finite mean and a std above 0, got "
                            "%g",
                            (double)copy[i]);
    }
    *list = copy;
    return PTF_OK;
}

static ptf_status set_options(ptf_images *images,
                              const ptf_image_options *options, ptf_error *err)
{
    ptf_image_options *o = &images->options;
    ptf_options_read(options, o, sizeof(*o));
    if (o->rank == 0)
        o->rank = 3;
    for (int d = 0; d < 2; d++) {
        if (o->rank < 1 || o->rank > PTF_SHAPE_MAX ||
            (o->rank > 3 && o->resize[d] + o->crop[d] > 0) || o->channels < 0 ||
            o->resize[d] < 0 || o->crop[d] < 0 || o->resize[d] > PTF_MAX_SIDE ||
            (o->crop[d] == 0) != (o->crop[0] == 0) || o->mean_count < 0 ||
            o->std_count < 0 || !(o->scale >= 0.0F))
            return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                            "expected image options within their bounds");
    }
    ptf_status status = copy_list(images, &o->mean, o->mean_count, false, err);
    if (status == PTF_OK)
        status = copy_list(images, &o->std, o->std_count, true, err);
    if (status == PTF_OK && o->array != NULL) {
        o->array = ptf_arena_copy(&images->arena, o->array, strlen(o->array));
        status = o->array != NULL ? PTF_OK : ptf_fail_memory(err);
    }
    return status;
}

ptf_status ptf_images_open(const char *const *paths, size_t count,
                           const ptf_image_options *options, ptf_images **out,
                           ptf_error *err)
{
    *out = NULL;
    ptf_images *images = ptf_alloc(sizeof(*images));
    if (images == NULL)
        return ptf_fail_memory(err);
    images->file.fd = -1;
    ptf_status status = set_options(images, options, err);
    for (size_t i = 0; i < count && status == PTF_OK; i++)
        status = is_folder(paths[i]) ? add_folder(images, paths[i], err)
                                     : add_file(images, paths[i], -1, err);
    if (status == PTF_OK)
        status = ptf_images_keep_sound(images, err);
    if (status == PTF_OK && images->count == 0 && images->out_count > 0)
        status = ptf_fail(err, PTF_FORMAT, NULL, PTF_NO_OFFSET,
                          "%s: expected images, got %zu that cannot be read; "
                          "the first: %s",
                          paths[0], images->out_count, images->left_out[0]);
    if (status == PTF_OK && images->count == 0)
        status = ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                          "%s: expected images, got none",
                          count > 0 ? paths[0] : "");
    if (status != PTF_OK) {
        ptf_images_close(images);
        return status;
    }
    *out = images;
    return PTF_OK;
}
