/*
 * JPEG through libjpeg-turbo with its default transform and upsampling, which
 * are Pillow's: the pixels are the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>

/* Encoders make about ten scans; a file with thousands is an attack. */
enum { MOST_SCANS = 200 };

/* In front of XMP's text, with the zero after it. */
#define XMP_NAME "http://ns.adobe.com/xap/1.0/"

typedef struct jpeg_picture {
    ptf_picture base;
    const ptf_file *file;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    int64_t next;
    ptf_error *err; /* of the call that runs */
    ptf_status status;
} jpeg_picture;

/* ---------------------------------------------------------------- callbacks */

static size_t position(const jpeg_picture *p)
{
    const struct jpeg_source_mgr *src = p->jpeg.src;
    return src != NULL && src->bytes_in_buffer <= p->file->size
               ? p->file->size - src->bytes_in_buffer
               : 0;
}

_Noreturn static void give_up(jpeg_picture *p, const char *text)
{
    ptf_origin origin = {p->file->name, NULL};
    p->status = ptf_fail(p->err, PTF_FORMAT, &origin, position(p),
                         "expected a sound JPEG image: %s", text);
    longjmp(p->jump, 1);
}

_Noreturn static void on_error(j_common_ptr common)
{
    jpeg_picture *p = common->client_data;
    char text[JMSG_LENGTH_MAX];
    if (common->err->msg_code == JERR_OUT_OF_MEMORY) {
        p->status = ptf_fail_memory(p->err);
        longjmp(p->jump, 1);
    }
    common->err->format_message(common, text);
    give_up(p, text);
}

/*
 * libjpeg goes on after damage, with grey where pixels are missing; that is
 * no answer here.  Bytes between two segments are harmless and frequent.
 */
static void on_message(j_common_ptr common, int level)
{
    if (level < 0 && common->err->msg_code != JWRN_EXTRANEOUS_DATA)
        on_error(common);
}

static void on_progress(j_common_ptr common)
{
    jpeg_picture *p = common->client_data;
    if (p->jpeg.input_scan_number > MOST_SCANS)
        give_up(p, "too many scans");
}

/* ----------------------------------------------------------------- decoding */

static ptf_status set_channels(jpeg_picture *p)
{
    ptf_origin origin = {p->file->name, NULL};
    int n = p->jpeg.num_components;
    if (n != 1 && n != 3)
        return ptf_fail(p->err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "expected a grey or RGB image, got %d components "
                        "(CMYK?); convert it first",
                        n);
    p->base.channels = n;
    p->jpeg.out_color_space = n == 1 ? JCS_GRAYSCALE : JCS_RGB;
    return PTF_OK;
}

/*
 * What libjpeg keeps of an image that comes in several scans: a coefficient
 * of two bytes for each sample.
 */
static uint64_t held_bytes(const jpeg_picture *p)
{
    uint64_t blocks = 0;
    for (int i = 0; i < p->jpeg.num_components; i++)
        blocks += (uint64_t)p->jpeg.comp_info[i].width_in_blocks *
                  p->jpeg.comp_info[i].height_in_blocks;
    return blocks * DCTSIZE2 * sizeof(JCOEF);
}

static bool starts_with(const struct jpeg_marker_struct *m, const char *text,
                        size_t size)
{
    return m->data_length >= size && memcmp(m->data, text, size) == 0;
}

/* EXIF may lie in several segments; of XMP's texts the last one counts. */
static int find_orientation(const jpeg_picture *p)
{
    static const char exif[] = "Exif\0", xmp[] = XMP_NAME;
    ptf_buffer bytes = {0};
    int other = 0;
    for (const struct jpeg_marker_struct *m = p->jpeg.marker_list; m != NULL;
         m = m->next) {
        if (starts_with(m, exif, sizeof(exif)))
            ptf_buffer_add(&bytes, m->data + sizeof(exif),
                           m->data_length - sizeof(exif));
        else if (starts_with(m, xmp, sizeof(xmp)))
            other = ptf_xmp_orientation((const char *)m->data + sizeof(xmp),
                                        m->data_length - sizeof(xmp));
    }
    int found = bytes.failed ? 0 : ptf_exif_orientation(bytes.data, bytes.size);
    ptf_buffer_free(&bytes);
    return found > 0 ? found : other;
}

static ptf_status start(jpeg_picture *p)
{
    if (setjmp(p->jump))
        return p->status;
    jpeg_create_decompress(&p->jpeg);
    p->progress.progress_monitor = on_progress;
    p->jpeg.progress = &p->progress;
    jpeg_mem_src(&p->jpeg, p->file->data, p->file->size);
    jpeg_save_markers(&p->jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&p->jpeg, TRUE);
    p->base.width = p->jpeg.image_width;
    p->base.height = p->jpeg.image_height;
    ptf_status status =
        ptf_picture_check(p->file, p->base.width, p->base.height, p->err);
    if (status == PTF_OK)
        status = set_channels(p);
    p->base.orientation = find_orientation(p);
    p->base.held = jpeg_has_multiple_scans(&p->jpeg);
    if (status == PTF_OK && p->base.held)
        status = ptf_picture_check_held(p->file, "progressive", held_bytes(p),
                                        p->err);
    return status;
}

static ptf_status jpeg_row(ptf_picture *picture, void *row, ptf_error *err)
{
    jpeg_picture *p = (jpeg_picture *)picture;
    JSAMPROW rows[] = {row};
    p->err = err;
    if (setjmp(p->jump))
        return p->status;
    if (p->next == 0)
        jpeg_start_decompress(&p->jpeg);
    jpeg_read_scanlines(&p->jpeg, rows, 1);
    if (++p->next == p->base.height)
        jpeg_finish_decompress(&p->jpeg);
    return PTF_OK;
}

static void jpeg_close(ptf_picture *picture)
{
    jpeg_picture *p = (jpeg_picture *)picture;
    jpeg_destroy_decompress(&p->jpeg);
    ptf_free(p);
}

ptf_status ptf_jpeg_open(const ptf_file *file, ptf_picture **out,
                         ptf_error *err)
{
    jpeg_picture *p = ptf_alloc(sizeof(*p));
    if (p == NULL)
        return ptf_fail_memory(err);
    p->base.read_row = jpeg_row;
    p->base.close = jpeg_close;
    p->file = file;
    p->err = err;
    p->jpeg.client_data = p;
    p->jpeg.err = jpeg_std_error(&p->errors);
    p->errors.error_exit = on_error;
    p->errors.emit_message = on_message;
    ptf_status status = start(p);
    if (status != PTF_OK) {
        jpeg_close(&p->base);
        return status;
    }
    *out = &p->base;
    return PTF_OK;
}
