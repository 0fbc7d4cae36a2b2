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

/* What is not read but named: a file's first bytes, and some further on. */
static const struct {
    const char *head;
    size_t at, size;
    const char *bytes;
    const char *name, *ending;
} others[] = {
    {"RIFF", 8, 4, "WEBP", "a WebP", "webp"},
    {"GIF8", 0, 0, "", "a GIF", "gif"},
    {"BM", 6, 4, "\0\0\0\0", "a BMP", "bmp"},
    {"II*", 3, 1, "\0", "a TIFF", "tif"},
    {"MM", 2, 2, "\0*", "a TIFF", "tif"},
    {"", 4, 7, "ftyphei", "a HEIC", "heic"},
    {"", 4, 7, "ftyphev", "a HEIC", "heic"},
    {"", 4, 8, "ftypmif1", "a HEIC", "heic"},
    {"", 4, 7, "ftypavi", "an AVIF", "avif"},
    {"", 4, 4, "JXL ", "a JPEG XL", "jxl"},
    {"\xff\x0a", 0, 0, "", "a JPEG XL", "jxl"},
    {"", 4, 4, "jP  ", "a JPEG 2000", "jp2"},
    {"P1", 0, 0, "", "a plain PBM", "pbm"},
    {"P2", 0, 0, "", "a plain PGM", "pgm"},
    {"P3", 0, 0, "", "a plain PPM", "ppm"},
    {"P4", 0, 0, "", "a PBM", "pbm"},
    {"P7", 0, 0, "", "a PAM", "pam"},
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

static bool has_bytes(const ptf_file *file, size_t at, const char *bytes,
                      size_t size)
{
    return file->size >= at && file->size - at >= size &&
           memcmp(file->data + at, bytes, size) == 0;
}

/* PTF_OK when it is no image of another kind, as far as is known. */
static ptf_status refuse_other(const ptf_file *file, ptf_error *err)
{
    ptf_origin origin = {file->name, NULL};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(others); i++) {
        if (has_bytes(file, 0, others[i].head, strlen(others[i].head)) &&
            has_bytes(file, others[i].at, others[i].bytes, others[i].size))
            return ptf_fail(err, PTF_UNSUPPORTED, &origin, 0,
                            "expected PNG, JPEG, PPM or PGM, got %s image; "
                            "make it one of these first (ImageMagick: convert "
                            "x.%s x.png)",
                            others[i].name, others[i].ending);
    }
    return PTF_OK;
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
    images->unknown = false;
    if (format == NULL) {
        ptf_status status = refuse_other(&images->file, err);
        images->unknown = status == PTF_OK;
        return images->unknown ? refuse_unknown(&images->file, err) : status;
    }
    if (format->picture == NULL && format->samples == NULL)
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, 0,
                        "expected a format that this build reads, got %s",
                        format->name);
    images->picture = format->picture;
    if (format->picture != NULL)
        return PTF_OK;
    images->samples = (ptf_samples){0};
    ptf_status status =
        format->samples(&images->file, &images->options, &images->file_arena,
                        &images->samples, err);
    return status == PTF_OK
               ? ptf_samples_check_labels(&images->samples, &origin, err)
               : status;
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
        status =
            ptf_picture_make(images->picture, &images->file, &picture, err);
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
    if (images->class_count > 0 || images->picture != NULL ||
        !images->samples.has_labels)
        return images->current->label;
    return (int64_t)ptf_samples_label(&images->samples, at);
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
    if (images->options.rank > 3 && images->picture == NULL)
        out->shape = images->samples.shape;
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

const char *ptf_images_left_out(const ptf_images *images, size_t index)
{
    return index < images->out_count ? images->left_out[index] : NULL;
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
    ptf_free(images->left_out);
    ptf_arena_free(&images->arena);
    ptf_free(images);
}
