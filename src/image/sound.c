/*
 * Pictures in folders that cannot be read: in a collection of thousands some
 * are cut short or of another kind, and a run that has begun cannot leave them
 * out any more.  So those in folders are decoded once when they are listed,
 * on all threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/images.h"

static ptf_status read_rows(ptf_picture *picture, ptf_error *err)
{
    ptf_status status = PTF_OK;
    void *row = ptf_alloc((size_t)(picture->width * picture->channels));
    if (row == NULL)
        return ptf_fail_memory(err);
    for (int64_t y = 0; y < picture->height && status == PTF_OK; y++)
        status = picture->read_row(picture, row, err);
    ptf_free(row);
    return status;
}

static ptf_status decode(const ptf_image_file *file, ptf_error *err)
{
    ptf_file mapped;
    ptf_picture *picture = NULL;
    ptf_status status = ptf_file_open(file->path, &mapped, err);
    if (status != PTF_OK)
        return status;
    status = ptf_picture_make(file->picture, &mapped, &picture, err);
    if (status == PTF_OK && picture->held) {
#pragma omp critical(ptf_held_picture) /* one that takes memory at a time */
        status = read_rows(picture, err);
    } else if (status == PTF_OK) {
        status = read_rows(picture, err);
    }
    if (picture != NULL)
        picture->close(picture);
    ptf_file_close(&mapped);
    return status;
}

ptf_status ptf_images_leave_out(ptf_images *images, const char *message,
                                ptf_error *err)
{
    if (images->out_count == images->out_capacity) {
        size_t capacity = images->out_capacity * 2 + 16;
        const char **out =
            ptf_realloc(images->left_out, capacity * sizeof(*out));
        if (out == NULL)
            return ptf_fail_memory(err);
        images->left_out = out;
        images->out_capacity = capacity;
    }
    const char *copy = ptf_arena_copy(&images->arena, message, strlen(message));
    if (copy == NULL)
        return ptf_fail_memory(err);
    images->left_out[images->out_count++] = copy;
    return PTF_OK;
}

bool ptf_images_may_leave_out(ptf_status status)
{
    return status == PTF_FORMAT || status == PTF_UNSUPPORTED;
}

/* What became of a file: its error, when it has one. */
typedef struct trial {
    ptf_status status;
    char *message; /* NULL also when memory ran out */
} trial;

static void try_all(const ptf_images *images, trial *trials)
{
    int64_t count = (int64_t)images->file_count;
#pragma omp parallel for schedule(dynamic) if (count > 1)
    for (int64_t i = 0; i < count; i++) {
        ptf_error err;
        const ptf_image_file *file = &images->files[i];
        if (!file->found || file->picture == NULL)
            continue;
        trials[i].status = decode(file, &err);
        if (trials[i].status == PTF_OK)
            continue;
        size_t size = strlen(err.message) + 1;
        trials[i].message = ptf_alloc(size);
        if (trials[i].message != NULL)
            memcpy(trials[i].message, err.message, size);
    }
}

/* Keeps the files that are sound, and numbers their images anew. */
static ptf_status keep_sound(ptf_images *images, const trial *trials,
                             ptf_error *err)
{
    size_t kept = 0;
    int64_t gone = 0;
    ptf_status status = PTF_OK;
    for (size_t i = 0; i < images->file_count; i++) {
        ptf_image_file file = images->files[i];
        file.first -= gone;
        if (trials[i].status == PTF_OK) {
            images->files[kept++] = file;
            continue;
        }
        gone++;
        if (trials[i].message == NULL && status == PTF_OK)
            status = ptf_fail_memory(err);
        if (status == PTF_OK)
            status = ptf_images_may_leave_out(trials[i].status)
                         ? ptf_images_leave_out(images, trials[i].message, err)
                         : ptf_fail(err, trials[i].status, NULL, PTF_NO_OFFSET,
                                    "%s", trials[i].message);
    }
    images->file_count = kept;
    images->count -= gone;
    return status;
}

ptf_status ptf_images_keep_sound(ptf_images *images, ptf_error *err)
{
    if (images->file_count == 0)
        return PTF_OK;
    ptf_images_leave(images); /* the files move */
    trial *trials = ptf_alloc(images->file_count * sizeof(*trials));
    if (trials == NULL)
        return ptf_fail_memory(err);
    try_all(images, trials);
    size_t count = images->file_count;
    ptf_status status = keep_sound(images, trials, err);
    for (size_t i = 0; i < count; i++)
        ptf_free(trials[i].message);
    ptf_free(trials);
    return status;
}
