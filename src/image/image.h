/*
 * image: files of pictures and arrays into inputs of a net, row by row, and
 * results into files.
 *
 *     file -> picture (rows of pixels) -> view (resized, cropped, scaled)
 *
 * A picture hands out its rows once, from the top, so that an image larger
 * than memory can pass through.  The public face is images.c and sink.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_IMAGE_H
#define PTF_IMAGE_H

#include "base/base.h"
#include "tensor/tensor.h"

/*
 * Bounds of one picture: 16384 x 16384 pixels in all; and bytes of one that
 * must be held as a whole to be decoded or turned.
 */
enum {
    PTF_MAX_SIDE = 1 << 20,
    PTF_MAX_PIXELS = 1 << 28,
    PTF_MAX_HELD = 192 << 20,
};

bool ptf_ends_with(const char *path, const char *ending);

/* ---------------------------------------------------------------- pictures */

/*
 * A picture that is being decoded.  A row has width * channels numbers, the
 * channels of a pixel side by side: floats when 'real', else bytes.
 */
typedef struct ptf_picture ptf_picture;
struct ptf_picture {
    int64_t width, height;
    int64_t channels;
    bool real;
    int orientation; /* EXIF's, 1 to 8; 0 when there is none */
    bool held;       /* takes memory for all of it */
    ptf_status (*read_row)(ptf_picture *picture, void *row, ptf_error *err);
    void (*close)(ptf_picture *picture); /* releases the picture itself */
};

/*
 * Each opens a picture in memory, which is borrowed until close.  They refuse
 * sizes beyond the bounds, and beyond what so few bytes can hold, before they
 * allocate anything of that size.
 */
typedef ptf_status ptf_picture_open(const ptf_file *file, ptf_picture **out,
                                    ptf_error *err);
ptf_picture_open ptf_png_open, ptf_jpeg_open, ptf_pnm_open;

/* PTF_FORMAT unless a picture of that size could be in so many bytes. */
ptf_status ptf_picture_check(const ptf_file *file, int64_t width,
                             int64_t height, ptf_error *err);

/* PTF_UNSUPPORTED for more than PTF_MAX_HELD; 'what' is an adjective. */
ptf_status ptf_picture_check_held(const ptf_file *file, const char *what,
                                  uint64_t bytes, ptf_error *err);

/* Opens a picture that hands out its rows as they are to be seen. */
ptf_status ptf_picture_make(ptf_picture_open *open, const ptf_file *file,
                            ptf_picture **out, ptf_error *err);

/*
 * The orientation that a TIFF header, perhaps with "Exif" before it, or XMP's
 * text tells; 0 when it tells none.
 */
int ptf_exif_orientation(const uint8_t *data, size_t size);
int ptf_xmp_orientation(const char *text, size_t size);

/* ------------------------------------------------------------------ arrays */

/*
 * Inputs side by side in memory: count x channels x height x width through
 * any strides, and their labels, one number each, when 'has_labels'.  Of inputs
 * with more axes the rows are those of all slices; 'shape' has the axes.
 */
typedef struct ptf_samples {
    ptf_tensor images;
    ptf_shape shape; /* of one */
    ptf_tensor labels;
    bool has_labels;
    bool cifar10; /* the labels are CIFAR-10's */
} ptf_samples;

/*
 * Each fills 'out', which is zeroed, from a whole file.  What is not in the
 * file's own bytes is put into 'arena', which must be empty and is the
 * caller's to free, after a failure too.
 */
typedef ptf_status ptf_samples_open(const ptf_file *file,
                                    const ptf_image_options *options,
                                    ptf_arena *arena, ptf_samples *out,
                                    ptf_error *err);
ptf_samples_open ptf_npy_open, ptf_npz_open;
ptf_samples_open ptf_cifar_open, ptf_cifar_pickle_open;

/* True when the size and every label byte are those of CIFAR-10 records. */
bool ptf_is_cifar(const ptf_file *file);

/* One array of a .npy file; 'origin' names it. */
ptf_status ptf_npy_parse(const uint8_t *data, size_t size,
                         const ptf_origin *origin, ptf_arena *arena,
                         ptf_tensor *out, ptf_error *err);

/* All arrays of a .npz file; 'arena' as in ptf_samples_open. */
ptf_status ptf_npz_parse(const ptf_file *file, ptf_arena *arena,
                         ptf_tensor **out, size_t *count, ptf_error *err);

/*
 * Sees 'tensor' as count x channels x height x width, as options->rank and
 * the layout say.  PTF_ARGUMENT when its rank is neither that nor one more.
 */
ptf_status ptf_samples_arrange(const ptf_tensor *tensor,
                               const ptf_image_options *options,
                               const ptf_origin *origin, ptf_samples *out,
                               ptf_error *err);

/* PTF_FORMAT for a label that is below 0 or beyond all counting. */
ptf_status ptf_samples_check_labels(const ptf_samples *samples,
                                    const ptf_origin *origin, ptf_error *err);

/* The label of input 'index', which must have one. */
double ptf_samples_label(const ptf_samples *samples, int64_t index);

/* Input 'index' as a picture; 'samples' is borrowed. */
ptf_status ptf_samples_picture(const ptf_samples *samples, int64_t index,
                               ptf_picture **out, ptf_error *err);

/* ---------------------------------------------------------------- resizing */

/*
 * How the numbers along one side come from those of another size: output i
 * is the weighted sum of the 'count[i]' inputs from 'first[i]' on.  Pillow's
 * filters, whose width grows with the reduction; their weights are doubles, and
 * for bytes those times 2^22, rounded.
 */
typedef struct ptf_resampler {
    int64_t in, out;
    int64_t most; /* the largest count */
    int64_t *first, *count;
    double *weights; /* 'most' for each output */
    int32_t *fixed;
} ptf_resampler;

ptf_status ptf_resampler_make(ptf_filter filter, int64_t in, int64_t out,
                              ptf_arena *arena, ptf_resampler *r,
                              ptf_error *err);

/*
 * One output of channel-interleaved numbers that lie 'step' apart; bytes are
 * rounded as Pillow rounds them, floats summed in double.
 */
uint8_t ptf_resample_u8(const ptf_resampler *r, int64_t i, const uint8_t *in,
                        int64_t step);
float ptf_resample_f32(const ptf_resampler *r, int64_t i, const float *in,
                       int64_t step);

/* ------------------------------------------------------------------- views */

/*
 * A picture as the options want it: channels, size, crop, scale.  The view
 * owns the picture.
 */
typedef struct ptf_view ptf_view;

ptf_status ptf_view_make(ptf_picture *picture, const ptf_image_options *options,
                         const ptf_origin *origin, ptf_view **out,
                         ptf_error *err);
void ptf_view_free(ptf_view *view);

/* channels x height x width of the result */
ptf_shape ptf_view_shape(const ptf_view *view);

/* The row that can be read next. */
int64_t ptf_view_next(const ptf_view *view);

/*
 * Rows first .. first + count - 1 into 'out', channels x count x width.
 * 'first' may not lie before ptf_view_next().
 */
ptf_status ptf_view_read(ptf_view *view, int64_t first, int64_t count,
                         float *out, ptf_error *err);

/* The beginning of a .npy file; NumPy has the dtype. */
void ptf_npy_header(ptf_buffer *out, ptf_dtype dtype, int rank,
                    const int64_t *shape);

#endif
