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

static ptf_status start(jpeg_picture *p)
{
    if (setjmp(p->jump))
        return p->status;
    jpeg_create_decompress(&p->jpeg);
    p->progress.progress_monitor = on_progress;
    p->jpeg.progress = &p->progress;
    jpeg_mem_src(&p->jpeg, p->file->data, p->file->size);
    jpeg_read_header(&p->jpeg, TRUE);
    p->base.width = p->jpeg.image_width;
    p->base.height = p->jpeg.image_height;
    ptf_status status =
        ptf_picture_check(p->file, p->base.width, p->base.height, p->err);
    if (status == PTF_OK)
        status = set_channels(p);
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
