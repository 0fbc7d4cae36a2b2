/*
 * Images from files and folders as one numbered list.  Only one file is open
 * at a time; what kind it is, its first bytes say.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/images.h"

#include <errno.h>

static const struct format {
    const char *name;
    const char *bytes;
    ptf_picture_open *picture;
    ptf_samples_open *samples;
} formats[] = {
#ifdef PTF_HAVE_PNG
    {"PNG", "\x89PNG", ptf_png_open, NULL},
#else
    {"PNG", "\x89PNG", NULL, NULL},
#endif
#ifdef PTF_HAVE_JPEG
    {"JPEG", "\xff\xd8\xff", ptf_jpeg_open, NULL},
#else
    {"JPEG", "\xff\xd8\xff", NULL, NULL},
#endif
    {"PGM", "P5", ptf_pnm_open, NULL},
    {"PPM", "P6", ptf_pnm_open, NULL},
    {"NumPy", "\x93NUMPY", NULL, ptf_npy_open},
    {"NumPy", "PK\3\4", NULL, ptf_npz_open},
    {"pickle", "\x80\2", NULL, ptf_cifar_pickle_open},
    {"pickle", "\x80\3", NULL, ptf_cifar_pickle_open},
    {"pickle", "\x80\4", NULL, ptf_cifar_pickle_open},
    {"pickle", "\x80\5", NULL, ptf_cifar_pickle_open},
};

/* The order of CIFAR-10's labels (batches.meta). */
static const char *const cifar10[] = {
    "airplane", "automobile", "bird",  "cat",  "deer",
    "dog",      "frog",       "horse", "ship", "truck",
};

/* -------------------------------------------------------------- one file */

static const struct format *find_format(const ptf_file *file)
{
    static const struct format records = {"CIFAR-10", "", NULL, ptf_cifar_open};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(formats); i++) {
        size_t n = strlen(formats[i].bytes);
        if (file->size >= n && memcmp(file->data, formats[i].bytes, n) == 0)
            return &formats[i];
    }
    return ptf_is_cifar(file) ? &records : NULL;
}

/* A .bin file can only be meant as records: say what is wrong with them. */
static ptf_status refuse_unknown(const ptf_file *file, ptf_error *err)
{
    ptf_samples none = {0};
    ptf_arena arena = {0};
    ptf_origin origin = {file->name, NULL};
    if (ptf_ends_with(file->name, ".bin"))
        return ptf_cifar_open(file, NULL, &arena, &none, err);
    return ptf_fail(err, PTF_UNSUPPORTED, &origin, 0,
                    "expected an image (PNG, JPEG, PPM, PGM), an array (.npy, "
                    ".npz) or CIFAR-10 images, got something else");
}

/* Reads what the file has beside pictures, which are decoded when asked. */
static ptf_status open_samples(ptf_images *images, ptf_error *err)
{
    const struct format *format = find_format(&images->file);
    ptf_origin origin = {images->file.name, NULL};
    images->picture = NULL;
    if (format == NULL)
        return refuse_unknown(&images->file, err);
    if (format->picture == NULL && format->samples == NULL)
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, 0,
                        "expected a format that this build reads, got %s",
                        format->name);
    images->picture = format->picture;
    if (format->picture != NULL)
        return PTF_OK;
    images->samples = (ptf_samples){0};
    return format->samples(&images->file, &images->options, &images->file_arena,
                           &images->samples, err);
}

void ptf_images_leave(ptf_images *images)
{
    ptf_view_free(images->view);
    images->view = NULL;
    ptf_arena_free(&images->file_arena);
    ptf_file_close(&images->file);
    images->current = NULL;
}

ptf_status ptf_images_enter(ptf_images *images, const ptf_image_file *file,
                            ptf_error *err)
{
    if (images->current == file)
        return PTF_OK;
    ptf_images_leave(images);
    ptf_status status = PTF_OK;
    if (file->held != NULL)
        images->file =
            (ptf_file){file->path, file->held, file->held_size, -1, NULL};
    else
        status = ptf_file_open(file->path, &images->file, err);
    if (status != PTF_OK)
        return status;
    status = open_samples(images, err);
    if (status != PTF_OK)
        ptf_images_leave(images);
    else
        images->current = file;
    return status;
}

/* ------------------------------------------------------------- one image */

/* Opens the file of image 'index'; '*at' is its number in there. */
static ptf_status find_image(ptf_images *images, int64_t index, int64_t *at,
                             ptf_error *err)
{
    if (index < 0 || index >= images->count)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "expected an image below %lld, got %lld",
                        (long long)images->count, (long long)index);
    size_t low = 0, high = images->file_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (images->files[middle].first <= index)
            low = middle;
        else
            high = middle;
    }
    *at = index - images->files[low].first;
    return ptf_images_enter(images, &images->files[low], err);
}

/* A fresh view of the image, or the one that is open and not past 'row'. */
static ptf_status open_view(ptf_images *images, int64_t index, int64_t row,
                            ptf_error *err)
{
    int64_t at = 0;
    ptf_status status = find_image(images, index, &at, err);
    if (status != PTF_OK ||
        (images->view != NULL && images->view_index == index &&
         ptf_view_next(images->view) <= row))
        return status;
    ptf_view_free(images->view);
    images->view = NULL;
    images->view_index = index;
    ptf_picture *picture = NULL;
    if (images->picture != NULL)
        status = images->picture(&images->file, &picture, err);
    else
        status = ptf_samples_picture(&images->samples, at, &picture, err);
    ptf_origin origin = {images->file.name, NULL};
    return status == PTF_OK ? ptf_view_make(picture, &images->options, &origin,
                                            &images->view, err)
                            : status;
}

/* Where folders are the classes, other labels are of other classes. */
static int64_t label_of(const ptf_images *images, int64_t at)
{
    const ptf_tensor *labels = &images->samples.labels;
    if (images->class_count > 0 || images->picture != NULL ||
        !images->samples.has_labels)
        return images->current->label;
    ptf_tensor one = *labels;
    double value;
    one.shape[0] = 1;
    one.data = (const uint8_t *)labels->data +
               (size_t)(at * labels->stride[0]) * ptf_dtype_size(labels->dtype);
    if (ptf_tensor_read_f64(&one, &value, NULL) != PTF_OK || value < 0.0 ||
        value > INT32_MAX)
        return -1;
    return (int64_t)value;
}

ptf_status ptf_images_info(ptf_images *images, int64_t index,
                           ptf_image_info *out, ptf_error *err)
{
    ptf_status status = open_view(images, index, INT64_MAX, err);
    if (status != PTF_OK)
        return status;
    const ptf_image_file *file = images->current;
    int64_t at = index - file->first;
    out->shape = ptf_view_shape(images->view);
    if (images->options.rank < 3) { /* the dimensions that an array has */
        out->shape.dim[1] = out->shape.dim[2];
        out->shape.rank = images->options.rank;
    }
    out->label = label_of(images, at);
    if (images->picture != NULL)
        snprintf(images->name, sizeof(images->name), "%s", file->path);
    else
        snprintf(images->name, sizeof(images->name), "%s[%lld]", file->path,
                 (long long)at);
    out->name = images->name;
    return PTF_OK;
}

ptf_status ptf_images_read_rows(ptf_images *images, int64_t index,
                                int64_t first, int64_t count, float *out,
                                ptf_error *err)
{
    ptf_status status = open_view(images, index, first, err);
    if (status != PTF_OK)
        return status;
    int64_t height = ptf_view_shape(images->view).dim[1];
    if (first < 0 || count < 0 || count > height - first)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "expected rows inside an image of %lld, got %lld "
                        "from %lld on",
                        (long long)height, (long long)count, (long long)first);
    status = ptf_view_read(images->view, first, count, out, err);
    if (status != PTF_OK) { /* a decoder is not asked again after a fault */
        ptf_view_free(images->view);
        images->view = NULL;
    }
    return status;
}

ptf_status ptf_images_read(ptf_images *images, int64_t index, float *out,
                           ptf_error *err)
{
    ptf_status status = open_view(images, index, 0, err);
    return status == PTF_OK
               ? ptf_images_read_rows(images, index, 0,
                                      ptf_view_shape(images->view).dim[1], out,
                                      err)
               : status;
}

/* ---------------------------------------------------------------- the list */

int64_t ptf_images_count(const ptf_images *images)
{
    return images->count;
}

int64_t ptf_images_skipped(const ptf_images *images)
{
    return images->skipped;
}

const char *ptf_images_class(const ptf_images *images, int64_t label)
{
    if (label < 0)
        return NULL;
    if (images != NULL && images->class_count > 0)
        return label < images->class_count ? images->classes[label] : NULL;
    bool known = images == NULL || images->cifar10;
    return known && label < (int64_t)PTF_ARRAY_SIZE(cifar10) ? cifar10[label]
                                                             : NULL;
}

void ptf_images_close(ptf_images *images)
{
    if (images == NULL)
        return;
    ptf_images_leave(images);
    for (size_t i = 0; i < images->file_count; i++)
        ptf_free(images->files[i].held);
    ptf_free(images->files);
    ptf_arena_free(&images->arena);
    ptf_free(images);
}
