/*
 * The list of images as its two files see it: collect.c makes it, images.c
 * reads from it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_IMAGES_H
#define PTF_IMAGES_H

#include "image/image.h"

#include <limits.h>

/* A file and its place in the list. */
typedef struct ptf_image_file {
    const char *path;
    uint8_t *held; /* the bytes of one that cannot be mapped, or NULL */
    size_t held_size;
    int64_t first; /* the number of its first image */
    int64_t label; /* of all its images, from the folder; -1: none */
    ptf_picture_open *picture; /* NULL: it has arrays */
    bool found;                /* in a folder, rather than given */
} ptf_image_file;

struct ptf_images {
    ptf_arena arena;
    ptf_image_options options;
    ptf_image_file *files;
    size_t file_count, file_capacity;
    int64_t count;
    int64_t skipped;       /* files that are no images */
    const char **left_out; /* and images that cannot be read: why */
    size_t out_count, out_capacity;
    const char **classes; /* the names of the folders */
    int64_t class_count;
    bool cifar10; /* all labels are CIFAR-10's */

    const ptf_image_file *current; /* the open one, or NULL */
    ptf_file file;
    ptf_arena file_arena;
    ptf_picture_open *picture; /* for a file that is one picture */
    ptf_samples samples;       /* else */
    bool unknown;              /* the last file was not even named */
    ptf_view *view;            /* of image 'view_index', or NULL */
    int64_t view_index;
    char name[PATH_MAX + 32];
};

/* Makes 'file' the open one, or fails with none open. */
ptf_status ptf_images_enter(ptf_images *images, const ptf_image_file *file,
                            ptf_error *err);
void ptf_images_leave(ptf_images *images);

/* True for the errors that a file of a folder is left out for. */
bool ptf_images_may_leave_out(ptf_status status);
/* Notes it. */
ptf_status ptf_images_leave_out(ptf_images *images, const char *message,
                                ptf_error *err);
/* Decodes the pictures that were found in folders, and keeps the sound ones. */
ptf_status ptf_images_keep_sound(ptf_images *images, ptf_error *err);

#endif
