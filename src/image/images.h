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
} ptf_image_file;

struct ptf_images {
    ptf_arena arena;
    ptf_image_options options;
    ptf_image_file *files;
    size_t file_count, file_capacity;
    int64_t count;
    int64_t skipped;
    const char **classes; /* the names of the folders */
    int64_t class_count;
    bool cifar10; /* all labels are CIFAR-10's */

    const ptf_image_file *current; /* the open one, or NULL */
    ptf_file file;
    ptf_arena file_arena;
    ptf_picture_open *picture; /* for a file that is one picture */
    ptf_samples samples;       /* else */
    ptf_view *view;            /* of image 'view_index', or NULL */
    int64_t view_index;
    char name[PATH_MAX + 32];
};

/* Makes 'file' the open one, or fails with none open. */
ptf_status ptf_images_enter(ptf_images *images, const ptf_image_file *file,
                            ptf_error *err);
void ptf_images_leave(ptf_images *images);

#endif
