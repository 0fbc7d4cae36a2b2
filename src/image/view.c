/*
 * Views: what stands between a picture's rows and a net's input.  The order
 * is torchvision's: channels, resize, centre crop, division, mean and std.
 *
 * Resizing goes across first and keeps all those rows, at the new width; then
 * each row that is asked for comes from some of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

struct ptf_view {
    ptf_arena arena;
    ptf_picture *picture;
    const ptf_image_options *options;
    int64_t channels;
    int64_t height, width; /* after resizing */
    int64_t top, left;     /* of the crop in these */
    ptf_shape shape;       /* of the result */
    int64_t next;          /* row of the resized picture, with the crop's top */
    int64_t decoded;       /* rows taken from the picture */
    size_t item;           /* bytes of a number */
    float divisor;
    void *raw;          /* a row as the picture has it */
    void *row;          /* the row with the wanted channels */
    void *sized;        /* a row at the new size */
    bool across, along; /* resizes rows, columns */
    ptf_resampler x, y;
    void *between; /* for 'along': all rows, at the new width */
};

/* ------------------------------------------------------------------- sizes */

/* Half of the difference, to the nearest even number as Python rounds. */
static int64_t half(int64_t difference)
{
    int64_t h = difference / 2;
    return difference % 2 != 0 && h % 2 != 0 ? h + 1 : h;
}

static void set_size(ptf_view *v)
{
    const ptf_picture *p = v->picture;
    const ptf_image_options *o = v->options;
    v->height = p->height;
    v->width = p->width;
    if (o->resize[0] > 0 && o->resize[1] > 0) {
        v->height = o->resize[0];
        v->width = o->resize[1];
    } else if (o->resize[0] > 0) { /* the shorter side; keeps the proportion */
        int64_t size = o->resize[0];
        bool tall = p->height > p->width;
        v->height = tall ? size * p->height / p->width : size;
        v->width = tall ? size : size * p->width / p->height;
    }
    v->across = v->width != p->width;
    v->along = v->height != p->height;
}

static ptf_status set_crop(ptf_view *v, const ptf_origin *origin,
                           ptf_error *err)
{
    const int64_t *crop = v->options->crop;
    v->shape = (ptf_shape){3, {v->channels, v->height, v->width}};
    if (crop[0] == 0)
        return PTF_OK;
    if (crop[0] > v->height || crop[1] > v->width)
        return ptf_fail(err, PTF_ARGUMENT, origin, PTF_NO_OFFSET,
                        "expected an image of at least %lld x %lld pixels to "
                        "crop, got %lld x %lld",
                        (long long)crop[1], (long long)crop[0],
                        (long long)v->width, (long long)v->height);
    v->shape.dim[1] = crop[0];
    v->shape.dim[2] = crop[1];
    v->top = half(v->height - crop[0]);
    v->left = half(v->width - crop[1]);
    return PTF_OK;
}

/* Pictures have one or three channels and can be turned into each other. */
static ptf_status set_channels(ptf_view *v, const ptf_origin *origin,
                               ptf_error *err)
{
    int64_t have = v->picture->channels;
    v->channels = v->options->channels != 0 ? v->options->channels : have;
    if (v->channels != have && (v->picture->real || have + v->channels != 4))
        return ptf_fail(err, PTF_ARGUMENT, origin, PTF_NO_OFFSET,
                        "expected %lld channels, got %lld%s",
                        (long long)v->channels, (long long)have,
                        v->picture->width == v->channels
                            ? "; if they come last, give --layout nhwc"
                            : "");
    const int counts[] = {v->options->mean_count, v->options->std_count};
    for (int i = 0; i < 2; i++) {
        if (counts[i] > 1 && counts[i] != v->channels)
            return ptf_fail(err, PTF_ARGUMENT, origin, PTF_NO_OFFSET,
                            "expected a mean and a std for each of %lld "
                            "channels, got %d",
                            (long long)v->channels, counts[i]);
    }
    return PTF_OK;
}

static ptf_status check_size(const ptf_view *v, const ptf_origin *origin,
                             ptf_error *err)
{
    if (v->width >= 1 && v->height >= 1 && v->width <= PTF_MAX_SIDE &&
        v->height <= PTF_MAX_SIDE && v->width <= PTF_MAX_PIXELS / v->height &&
        v->width <= PTF_MAX_PIXELS / v->picture->height)
        return PTF_OK;
    return ptf_fail(err, PTF_ARGUMENT, origin, PTF_NO_OFFSET,
                    "cannot resize %lld x %lld pixels to %lld x %lld: the "
                    "result has none, or too many",
                    (long long)v->picture->width, (long long)v->picture->height,
                    (long long)v->width, (long long)v->height);
}

/* ----------------------------------------------------------------- memory */

static void *take_rows(ptf_view *v, int64_t rows, int64_t width,
                       int64_t channels)
{
    size_t numbers;
    if (!ptf_mul_size((size_t)rows, (size_t)width, &numbers) ||
        !ptf_mul_size(numbers, (size_t)channels, &numbers))
        return NULL;
    return ptf_arena_array(&v->arena, numbers, v->item);
}

static ptf_status allocate(ptf_view *v, ptf_error *err)
{
    const ptf_picture *p = v->picture;
    const ptf_filter filter = v->options->filter;
    ptf_status status = PTF_OK;
    v->raw = take_rows(v, 1, p->width, p->channels);
    v->row = take_rows(v, 1, p->width, v->channels);
    v->sized = take_rows(v, 1, v->width, v->channels);
    if (v->along)
        v->between = take_rows(v, p->height, v->width, v->channels);
    if (v->raw == NULL || v->row == NULL || v->sized == NULL ||
        (v->along && v->between == NULL))
        return ptf_fail_memory(err);
    if (v->across)
        status = ptf_resampler_make(filter, p->width, v->width, &v->arena,
                                    &v->x, err);
    if (v->along && status == PTF_OK)
        status = ptf_resampler_make(filter, p->height, v->height, &v->arena,
                                    &v->y, err);
    return status;
}

static float divisor(const ptf_view *v)
{
    if (v->options->scale > 0.0F)
        return v->options->scale;
    return v->picture->real ? 1.0F : 255.0F;
}

ptf_status ptf_view_make(ptf_picture *picture, const ptf_image_options *options,
                         const ptf_origin *origin, ptf_view **out,
                         ptf_error *err)
{
    ptf_view *v = ptf_alloc(sizeof(*v));
    if (v == NULL) {
        picture->close(picture);
        return ptf_fail_memory(err);
    }
    v->picture = picture;
    v->options = options;
    v->item = picture->real ? sizeof(float) : 1;
    v->divisor = divisor(v);
    ptf_status status = set_channels(v, origin, err);
    if (status == PTF_OK) {
        set_size(v);
        status = check_size(v, origin, err);
    }
    if (status == PTF_OK)
        status = set_crop(v, origin, err);
    if (status == PTF_OK)
        status = allocate(v, err);
    if (status != PTF_OK) {
        ptf_view_free(v);
        return status;
    }
    *out = v;
    return PTF_OK;
}

void ptf_view_free(ptf_view *view)
{
    if (view == NULL)
        return;
    view->picture->close(view->picture);
    ptf_arena_free(&view->arena);
    ptf_free(view);
}

ptf_shape ptf_view_shape(const ptf_view *view)
{
    return view->shape;
}

int64_t ptf_view_next(const ptf_view *view)
{
    return view->next > view->top ? view->next - view->top : 0;
}

/* ---------------------------------------------------------------- channels */

/* ITU-R 601 luma in 16 bits, as Pillow's convert("L"). */
static uint8_t grey(const uint8_t *rgb)
{
    return (
        uint8_t)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >>
                 16);
}

static void convert_row(const ptf_view *v)
{
    const uint8_t *in = v->raw;
    uint8_t *out = v->row;
    int64_t width = v->picture->width;
    if (v->channels == v->picture->channels) {
        memcpy(v->row, v->raw, (size_t)(width * v->channels) * v->item);
    } else if (v->channels == 1) {
        for (int64_t x = 0; x < width; x++)
            out[x] = grey(in + 3 * x);
    } else {
        for (int64_t x = 0; x < 3 * width; x++)
            out[x] = in[x / 3];
    }
}

/* --------------------------------------------------------------- resizing */

/* The row in v->row at the new width. */
static void resize_across(const ptf_view *v, void *out)
{
    int64_t n = v->channels;
    if (!v->across) {
        memcpy(out, v->row, (size_t)(v->width * n) * v->item);
        return;
    }
    for (int64_t i = 0; i < v->width * n; i++) {
        if (v->picture->real)
            ((float *)out)[i] = ptf_resample_f32(
                &v->x, i / n, (const float *)v->row + i % n, n);
        else
            ((uint8_t *)out)[i] = ptf_resample_u8(
                &v->x, i / n, (const uint8_t *)v->row + i % n, n);
    }
}

static void resize_along(const ptf_view *v, int64_t y, void *out)
{
    int64_t n = v->width * v->channels;
    for (int64_t i = 0; i < n; i++) {
        if (v->picture->real)
            ((float *)out)[i] =
                ptf_resample_f32(&v->y, y, (const float *)v->between + i, n);
        else
            ((uint8_t *)out)[i] =
                ptf_resample_u8(&v->y, y, (const uint8_t *)v->between + i, n);
    }
}

/* ------------------------------------------------------------------- rows */

static ptf_status decode_row(ptf_view *v, void *out, ptf_error *err)
{
    ptf_status status = v->picture->read_row(v->picture, v->raw, err);
    if (status != PTF_OK)
        return status;
    convert_row(v);
    resize_across(v, out);
    v->decoded++;
    return PTF_OK;
}

/* The next row of the resized picture into v->sized. */
static ptf_status next_row(ptf_view *v, ptf_error *err)
{
    if (!v->along) {
        v->next++;
        return decode_row(v, v->sized, err);
    }
    int64_t need = v->y.first[v->next] + v->y.count[v->next];
    size_t bytes = (size_t)(v->width * v->channels) * v->item;
    ptf_status status = PTF_OK;
    while (v->decoded < need && status == PTF_OK)
        status = decode_row(
            v, (uint8_t *)v->between + (size_t)v->decoded * bytes, err);
    if (status == PTF_OK)
        resize_along(v, v->next++, v->sized);
    return status;
}

/* The crop of v->sized into row 'y' of 'rows' rows of each plane. */
static void put_row(const ptf_view *v, int64_t y, int64_t rows, float *out)
{
    const ptf_image_options *o = v->options;
    int64_t width = v->shape.dim[2], n = v->channels;
    for (int64_t c = 0; c < n; c++) {
        float *to = out + (c * rows + y) * width;
        float mean = o->mean_count > 0 ? o->mean[c % o->mean_count] : 0.0F;
        float std = o->std_count > 0 ? o->std[c % o->std_count] : 1.0F;
        for (int64_t x = 0; x < width; x++) {
            int64_t at = (v->left + x) * n + c;
            float value = v->picture->real ? ((const float *)v->sized)[at]
                                           : ((const uint8_t *)v->sized)[at];
            to[x] = (value / v->divisor - mean) / std;
        }
    }
}

ptf_status ptf_view_read(ptf_view *view, int64_t first, int64_t count,
                         float *out, ptf_error *err)
{
    ptf_status status = PTF_OK;
    while (view->next < view->top + first && status == PTF_OK)
        status = next_row(view, err);
    for (int64_t y = 0; y < count && status == PTF_OK; y++) {
        status = next_row(view, err);
        if (status == PTF_OK)
            put_row(view, y, count, out);
    }
    return status;
}
