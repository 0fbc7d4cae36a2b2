/*
 * Results into files: NumPy arrays, pictures and texts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

#ifdef PTF_HAVE_PNG
#include <png.h>
#endif

typedef enum sink_kind { SINK_NPY, SINK_PPM, SINK_PNG } sink_kind;

struct ptf_sink {
    sink_kind kind;
    ptf_output *output;
    uint64_t start; /* of an array's elements */
    uint64_t need;  /* bytes that are to be written */
    uint64_t written;
    size_t row; /* bytes of a picture's row */
#ifdef PTF_HAVE_PNG
    png_structp png;
    png_infop info;
    ptf_error *err; /* of the call that runs */
    ptf_status status;
#endif
};

/* ------------------------------------------------------------------ arrays */

static ptf_status sink_make(const char *path, sink_kind kind, ptf_sink **out,
                            ptf_error *err)
{
    *out = NULL;
    ptf_sink *sink = ptf_alloc(sizeof(*sink));
    if (sink == NULL)
        return ptf_fail_memory(err);
    sink->kind = kind;
    ptf_status status = ptf_output_open(path, NULL, &sink->output, err);
    if (status != PTF_OK) {
        ptf_free(sink);
        return status;
    }
    *out = sink;
    return PTF_OK;
}

/* Writes what comes before the numbers, or gives the sink up. */
static ptf_status sink_begin(ptf_sink **sink, ptf_buffer *header,
                             ptf_error *err)
{
    ptf_status status =
        header->failed ? ptf_fail_memory(err)
                       : ptf_output_write_at((*sink)->output, 0, header->data,
                                             header->size, err);
    (*sink)->start = header->size;
    ptf_buffer_free(header);
    if (status != PTF_OK) {
        ptf_sink_abort(*sink);
        *sink = NULL;
    }
    return status;
}

ptf_status ptf_npy_create(const char *path, int rank, const int64_t *shape,
                          ptf_sink **out, ptf_error *err)
{
    *out = NULL;
    int64_t bytes = sizeof(float);
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 1 || !ptf_mul_i64(bytes, shape[i], &bytes))
            return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                            "%s: expected an array of a size that exists",
                            path);
    }
    ptf_buffer header = {0};
    ptf_npy_header(&header, PTF_DTYPE_F32, rank, shape);
    ptf_status status = sink_make(path, SINK_NPY, out, err);
    if (status != PTF_OK) {
        ptf_buffer_free(&header);
        return status;
    }
    (*out)->need = (uint64_t)bytes;
    return sink_begin(out, &header, err);
}

/* --------------------------------------------------------------------- PNG */

#ifdef PTF_HAVE_PNG

static PNG_NORETURN void on_error(png_structp png, png_const_charp text)
{
    ptf_sink *sink = png_get_error_ptr(png);
    if (sink->status == PTF_OK)
        sink->status = ptf_fail(sink->err, PTF_MEMORY, NULL, PTF_NO_OFFSET,
                                "cannot write a PNG image: %s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_write(png_structp png, png_bytep data, size_t size)
{
    ptf_sink *sink = png_get_io_ptr(png);
    sink->status = ptf_output_write(sink->output, data, size, sink->err);
    if (sink->status != PTF_OK)
        png_error(png, "write");
}

static void on_flush(png_structp png)
{
    (void)png;
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t size)
{
    (void)png;
    return ptf_alloc(size);
}

static void on_free(png_structp png, png_voidp block)
{
    (void)png;
    ptf_free(block);
}

static ptf_status png_begin(ptf_sink *sink, int64_t width, int64_t height,
                            ptf_error *err)
{
    sink->err = err;
    sink->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, sink, on_error,
                                          on_warning, NULL, on_alloc, on_free);
    sink->info = sink->png != NULL ? png_create_info_struct(sink->png) : NULL;
    if (sink->info == NULL)
        return ptf_fail_memory(err);
    if (setjmp(png_jmpbuf(sink->png)))
        return sink->status;
    png_set_write_fn(sink->png, sink, on_write, on_flush);
    png_set_IHDR(sink->png, sink->info, (png_uint_32)width, (png_uint_32)height,
                 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(sink->png, sink->info);
    return PTF_OK;
}

static ptf_status png_rows(ptf_sink *sink, const uint8_t *rows, size_t count,
                           ptf_error *err)
{
    sink->err = err;
    if (setjmp(png_jmpbuf(sink->png)))
        return sink->status;
    for (size_t i = 0; i < count; i++)
        png_write_row(sink->png, rows + i * sink->row);
    return PTF_OK;
}

static ptf_status png_finish(ptf_sink *sink, ptf_error *err)
{
    sink->err = err;
    if (setjmp(png_jmpbuf(sink->png)))
        return sink->status;
    png_write_end(sink->png, NULL);
    return PTF_OK;
}

#endif

/* ---------------------------------------------------------------- pictures */

static ptf_status png_create(const char *path, int64_t width, int64_t height,
                             ptf_sink **out, ptf_error *err)
{
#ifdef PTF_HAVE_PNG
    ptf_status status = sink_make(path, SINK_PNG, out, err);
    if (status != PTF_OK)
        return status;
    status = png_begin(*out, width, height, err);
    if (status != PTF_OK) {
        ptf_sink_abort(*out);
        *out = NULL;
    }
    return status;
#else
    (void)width;
    (void)height;
    *out = NULL;
    return ptf_fail(err, PTF_UNSUPPORTED, NULL, PTF_NO_OFFSET,
                    "%s: this build writes no PNG; give a name ending in .ppm",
                    path);
#endif
}

static ptf_status ppm_create(const char *path, int64_t width, int64_t height,
                             ptf_sink **out, ptf_error *err)
{
    ptf_buffer header = {0};
    ptf_buffer_printf(&header, "P6\n%lld %lld\n255\n", (long long)width,
                      (long long)height);
    ptf_status status = sink_make(path, SINK_PPM, out, err);
    if (status == PTF_OK)
        return sink_begin(out, &header, err);
    ptf_buffer_free(&header);
    return status;
}

ptf_status ptf_picture_create(const char *path, int64_t width, int64_t height,
                              ptf_sink **out, ptf_error *err)
{
    *out = NULL;
    if (width < 1 || height < 1 || width > PTF_MAX_SIDE ||
        height > PTF_MAX_SIDE)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "%s: expected a picture of 1 to %d pixels a side, "
                        "got %lld x %lld",
                        path, PTF_MAX_SIDE, (long long)width,
                        (long long)height);
    ptf_status status = (ptf_ends_with(path, ".ppm") ? ppm_create : png_create)(
        path, width, height, out, err);
    if (status == PTF_OK) {
        (*out)->row = 3 * (size_t)width;
        (*out)->need = (uint64_t)height * (*out)->row;
    }
    return status;
}

/* ----------------------------------------------------------------- writing */

ptf_status ptf_sink_write(ptf_sink *sink, const void *data, size_t size,
                          ptf_error *err)
{
    if (size > sink->need - sink->written ||
        (sink->kind != SINK_NPY && size % sink->row != 0))
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "expected at most the %llu bytes that are missing",
                        (unsigned long long)(sink->need - sink->written));
    uint64_t at = sink->start + sink->written;
    sink->written += size;
#ifdef PTF_HAVE_PNG
    if (sink->kind == SINK_PNG)
        return png_rows(sink, data, size / sink->row, err);
#endif
    return ptf_output_write_at(sink->output, at, data, size, err);
}

ptf_status ptf_sink_write_at(ptf_sink *sink, int64_t at, const void *data,
                             size_t size, ptf_error *err)
{
    uint64_t start = (uint64_t)at * sizeof(float);
    if (sink->kind != SINK_NPY || at < 0 || start > sink->need ||
        size > sink->need - start || size > sink->need - sink->written)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "expected numbers inside the array");
    sink->written += size;
    return ptf_output_write_at(sink->output, sink->start + start, data, size,
                               err);
}

static void sink_free(ptf_sink *sink)
{
#ifdef PTF_HAVE_PNG
    if (sink->png != NULL)
        png_destroy_write_struct(&sink->png, &sink->info);
#endif
    ptf_free(sink);
}

ptf_status ptf_sink_commit(ptf_sink *sink, ptf_error *err)
{
    ptf_status status = PTF_OK;
    if (sink->written != sink->need)
        status = ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                          "expected %llu bytes more before the end",
                          (unsigned long long)(sink->need - sink->written));
#ifdef PTF_HAVE_PNG
    if (status == PTF_OK && sink->kind == SINK_PNG)
        status = png_finish(sink, err);
#endif
    if (status != PTF_OK) {
        ptf_sink_abort(sink);
        return status;
    }
    status = ptf_output_commit(sink->output, err);
    sink_free(sink);
    return status;
}

void ptf_sink_abort(ptf_sink *sink)
{
    if (sink == NULL)
        return;
    ptf_output_abort(sink->output);
    sink_free(sink);
}

ptf_status ptf_text_save(const char *path, const char *text, size_t size,
                         ptf_error *err)
{
    ptf_output *output;
    ptf_status status = ptf_output_open(path, NULL, &output, err);
    if (status != PTF_OK)
        return status;
    status = ptf_output_write_at(output, 0, text, size, err);
    if (status == PTF_OK)
        return ptf_output_commit(output, err);
    ptf_output_abort(output);
    return status;
}
