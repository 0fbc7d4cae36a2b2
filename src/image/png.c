/*
 * PNG through libpng, row by row; an interlaced picture is held as a whole.
 * Pixels are those of Pillow's convert("RGB") or "L": palettes are resolved,
 * alpha is dropped, of 16 bits the high byte stays.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

#include <png.h>

typedef struct png_picture {
    ptf_picture base;
    const ptf_file *file;
    size_t pos;
    png_structp png;
    png_infop info;
    uint8_t *whole; /* of an interlaced picture */
    int64_t next;
    bool interlaced, out_of_memory;
    ptf_error *err; /* of the call that runs */
    ptf_status status;
} png_picture;

/* ---------------------------------------------------------------- callbacks */

static PNG_NORETURN void on_error(png_structp png, png_const_charp text)
{
    png_picture *p = png_get_error_ptr(png);
    ptf_origin origin = {p->file->name, NULL};
    p->status = p->out_of_memory
                    ? ptf_fail_memory(p->err)
                    : ptf_fail(p->err, PTF_FORMAT, &origin, p->pos,
                               "expected a sound PNG image: %s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep out, size_t size)
{
    png_picture *p = png_get_io_ptr(png);
    if (size > p->file->size - p->pos)
        png_error(png, "the file ends too early");
    memcpy(out, p->file->data + p->pos, size);
    p->pos += size;
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t size)
{
    png_picture *p = png_get_mem_ptr(png);
    void *block = ptf_alloc(size);
    p->out_of_memory |= block == NULL;
    return block;
}

static void on_free(png_structp png, png_voidp block)
{
    (void)png;
    ptf_free(block);
}

/* ----------------------------------------------------------------- decoding */

/* Whatever the file has becomes bytes of grey or of red, green and blue. */
static void set_transforms(png_picture *p)
{
    int type = png_get_color_type(p->png, p->info);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(p->png);
    if (type == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(p->png);
    png_set_strip_16(p->png);
    png_set_strip_alpha(p->png);
    p->base.channels = (type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
}

static ptf_status read_info(png_picture *p)
{
    if (setjmp(png_jmpbuf(p->png)))
        return p->status;
    png_set_read_fn(p->png, p, on_read);
    png_set_user_limits(p->png, PTF_MAX_SIDE, PTF_MAX_SIDE);
    png_read_info(p->png, p->info);
    p->base.width = png_get_image_width(p->png, p->info);
    p->base.height = png_get_image_height(p->png, p->info);
    ptf_status status =
        ptf_picture_check(p->file, p->base.width, p->base.height, p->err);
    if (status != PTF_OK)
        return status;
    p->interlaced =
        png_get_interlace_type(p->png, p->info) != PNG_INTERLACE_NONE;
    set_transforms(p);
    png_set_interlace_handling(p->png);
    png_read_update_info(p->png, p->info);
    return PTF_OK;
}

static size_t row_bytes(const png_picture *p)
{
    return (size_t)(p->base.width * p->base.channels);
}

/* All passes of an interlaced picture. */
static ptf_status read_whole(png_picture *p)
{
    enum { PASSES = 7 };
    p->whole = ptf_alloc((size_t)p->base.height * row_bytes(p));
    if (p->whole == NULL)
        return ptf_fail_memory(p->err);
    if (setjmp(png_jmpbuf(p->png)))
        return p->status;
    for (int pass = 0; pass < PASSES; pass++) {
        for (int64_t y = 0; y < p->base.height; y++)
            png_read_row(p->png, p->whole + (size_t)y * row_bytes(p), NULL);
    }
    png_read_end(p->png, NULL);
    return PTF_OK;
}

static ptf_status read_one(png_picture *p, void *row)
{
    if (setjmp(png_jmpbuf(p->png)))
        return p->status;
    png_read_row(p->png, row, NULL);
    if (p->next + 1 == p->base.height)
        png_read_end(p->png, NULL);
    return PTF_OK;
}

static ptf_status png_row(ptf_picture *picture, void *row, ptf_error *err)
{
    png_picture *p = (png_picture *)picture;
    ptf_status status = PTF_OK;
    p->err = err;
    if (!p->interlaced) {
        status = read_one(p, row);
    } else {
        if (p->whole == NULL)
            status = read_whole(p);
        if (status == PTF_OK)
            memcpy(row, p->whole + (size_t)p->next * row_bytes(p),
                   row_bytes(p));
    }
    p->next++;
    return status;
}

static void png_close(ptf_picture *picture)
{
    png_picture *p = (png_picture *)picture;
    png_destroy_read_struct(&p->png, &p->info, NULL);
    ptf_free(p->whole);
    ptf_free(p);
}

ptf_status ptf_png_open(const ptf_file *file, ptf_picture **out, ptf_error *err)
{
    png_picture *p = ptf_alloc(sizeof(*p));
    if (p == NULL)
        return ptf_fail_memory(err);
    p->base.read_row = png_row;
    p->base.close = png_close;
    p->file = file;
    p->err = err;
    p->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, p, on_error,
                                      on_warning, p, on_alloc, on_free);
    p->info = p->png != NULL ? png_create_info_struct(p->png) : NULL;
    ptf_status status = p->info != NULL ? read_info(p) : ptf_fail_memory(err);
    if (status != PTF_OK) {
        png_close(&p->base);
        return status;
    }
    *out = &p->base;
    return PTF_OK;
}
