/*
 * PNG through libpng, row by row; an interlaced picture is held as a whole.
 * Pixels are those of Pillow's convert("RGB") or "L": palettes are resolved,
 * alpha is dropped, of 16 bits the high byte stays.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

#include <png.h>

/* Of texts beside the picture, which may be compressed. */
enum { MOST_TEXT = 1 << 20, MOST_TEXTS = 32 };

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

/* ------------------------------------------------------------- orientation */

/* The last chunk eXIf, which may also stand after the pixels. */
static int chunk_orientation(const ptf_file *file)
{
    enum { SIGNATURE = 8, FRAME = 12 };
    int found = 0;
    for (size_t at = SIGNATURE; file->size - at >= FRAME;) {
        const uint8_t *p = file->data + at;
        size_t size = png_get_uint_32(p);
        if (size > file->size - at - FRAME)
            break;
        if (memcmp(p + 4, "eXIf", 4) == 0 &&
            ptf_crc32(0, p + 4, size + 4) == png_get_uint_32(p + 8 + size))
            found = ptf_exif_orientation(p + 8, size);
        at += FRAME + size;
    }
    return found;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* ImageMagick's form: "", "exif", the size, and lines of digits. */
static int profile_orientation(const char *text)
{
    ptf_buffer bytes = {0};
    for (int line = 0; line < 3 && text != NULL; line++) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    for (int high = -1; text != NULL && *text != '\0'; text++) {
        int digit = digit_of(*text);
        if (digit >= 0 && high >= 0)
            ptf_buffer_add_int(&bytes, (uint64_t)(high << 4 | digit), 1);
        if (digit >= 0)
            high = high >= 0 ? -1 : digit;
    }
    int found = bytes.failed ? 0 : ptf_exif_orientation(bytes.data, bytes.size);
    ptf_buffer_free(&bytes);
    return found;
}

/* As Pillow looks for it: eXIf, a profile in a text, XMP. */
static int find_orientation(const png_picture *p)
{
    png_textp texts = NULL;
    int count = 0, profile = 0, xmp = 0;
    int found = chunk_orientation(p->file);
    png_get_text(p->png, p->info, &texts, &count);
    for (int i = 0; i < count; i++) {
        if (strcmp(texts[i].key, "Raw profile type exif") == 0)
            profile = profile_orientation(texts[i].text);
        if (strcmp(texts[i].key, "XML:com.adobe.xmp") == 0)
            xmp = ptf_xmp_orientation(texts[i].text, strlen(texts[i].text));
    }
    return found > 0 ? found : profile > 0 ? profile : xmp;
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

static size_t row_bytes(const png_picture *p)
{
    return (size_t)(p->base.width * p->base.channels);
}

static ptf_status read_info(png_picture *p)
{
    if (setjmp(png_jmpbuf(p->png)))
        return p->status;
    png_set_read_fn(p->png, p, on_read);
    png_set_user_limits(p->png, PTF_MAX_SIDE, PTF_MAX_SIDE);
    png_set_chunk_malloc_max(p->png, MOST_TEXT);
    png_set_chunk_cache_max(p->png, MOST_TEXTS);
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
    p->base.orientation = find_orientation(p);
    p->base.held = p->interlaced;
    if (p->interlaced)
        status = ptf_picture_check_held(p->file, "interlaced",
                                        (uint64_t)p->base.height * row_bytes(p),
                                        p->err);
    if (status != PTF_OK)
        return status;
    png_set_interlace_handling(p->png);
    png_read_update_info(p->png, p->info);
    return PTF_OK;
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
