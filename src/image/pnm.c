/*
 * Binary portable greymaps and pixmaps (P5, P6), and what all pictures share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

#include <math.h>

bool ptf_ends_with(const char *path, const char *ending)
{
    size_t size = strlen(path), n = strlen(ending);
    return size > n && strcmp(path + size - n, ending) == 0;
}

/* Deflate, the densest of the codings here, gives at most 1032 bytes for one;
 * a JPEG spends at least a bit on 64 pixels. */
enum { MOST_PIXELS_PER_BYTE = 1100 * 8, FREE_PIXELS = 1 << 20 };

ptf_status ptf_picture_check(const ptf_file *file, int64_t width,
                             int64_t height, ptf_error *err)
{
    ptf_origin origin = {file->name, NULL};
    if (width < 1 || height < 1 || width > PTF_MAX_SIDE ||
        height > PTF_MAX_SIDE || width > PTF_MAX_PIXELS / height)
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, 0,
                        "expected an image of at most %d pixels, got %lld x "
                        "%lld",
                        PTF_MAX_PIXELS, (long long)width, (long long)height);
    int64_t pixels = width * height;
    if (pixels > FREE_PIXELS &&
        (uint64_t)pixels / MOST_PIXELS_PER_BYTE > file->size)
        return ptf_fail(err, PTF_FORMAT, &origin, 0,
                        "expected an image of %lld x %lld pixels, got only "
                        "%zu bytes",
                        (long long)width, (long long)height, file->size);
    return PTF_OK;
}

ptf_status ptf_picture_check_held(const ptf_file *file, const char *what,
                                  uint64_t bytes, ptf_error *err)
{
    ptf_origin origin = {file->name, NULL};
    if (bytes <= PTF_MAX_HELD)
        return PTF_OK;
    return ptf_fail(err, PTF_UNSUPPORTED, &origin, 0,
                    "expected at most %d MiB for a picture that is %s, got "
                    "%llu; save it as a plain one",
                    PTF_MAX_HELD >> 20, what,
                    (unsigned long long)(bytes >> 20));
}

typedef struct pnm {
    ptf_picture base;
    ptf_cursor c;
    unsigned most; /* the value of white */
} pnm;

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* White space and comments, then a number. */
static ptf_status take_number(ptf_cursor *c, int64_t *out, const char *what)
{
    bool comment = false;
    uint8_t byte = 0;
    ptf_status status = PTF_OK;
    do {
        status = ptf_take_u8(c, &byte, what);
        comment = byte == '#' || (comment && byte != '\n');
    } while (status == PTF_OK && (comment || is_space(byte)));
    *out = 0;
    int digits = 0;
    while (status == PTF_OK && byte >= '0' && byte <= '9' && digits++ < 9) {
        *out = *out * 10 + (byte - '0');
        status = ptf_take_u8(c, &byte, what);
    }
    if (status == PTF_OK && (digits == 0 || !is_space(byte)))
        return ptf_fail(c->err, PTF_FORMAT, &c->origin, c->pos - 1,
                        "expected %s", what);
    return status;
}

/* Python's round(value / most * 255), as Pillow scales. */
static uint8_t to_byte(unsigned value, unsigned most)
{
    double scaled = rint((double)value / most * 255.0);
    return scaled < 255.0 ? (uint8_t)scaled : 255;
}

static ptf_status pnm_row(ptf_picture *picture, void *row, ptf_error *err)
{
    pnm *p = (pnm *)picture;
    p->c.err = err;
    size_t n = (size_t)(p->base.width * p->base.channels);
    size_t item = p->most > 255 ? 2 : 1;
    const uint8_t *in;
    ptf_status status = ptf_take(&p->c, n * item, &in, "a row of pixels");
    if (status != PTF_OK)
        return status;
    uint8_t *out = row;
    if (p->most == 255) {
        memcpy(out, in, n);
        return PTF_OK;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = to_byte(item == 1 ? in[i]
                                   : (unsigned)in[2 * i] << 8 | in[2 * i + 1],
                         p->most);
    return PTF_OK;
}

static void pnm_close(ptf_picture *picture)
{
    ptf_free(picture);
}

static ptf_status read_header(pnm *p, const ptf_file *file, ptf_error *err)
{
    int64_t most = 0;
    p->c.pos = 2;
    ptf_status status = take_number(&p->c, &p->base.width, "a width");
    if (status == PTF_OK)
        status = take_number(&p->c, &p->base.height, "a height");
    if (status == PTF_OK)
        status = take_number(&p->c, &most, "the value of white");
    if (status == PTF_OK && (most < 1 || most > 65535))
        status = ptf_fail(err, PTF_FORMAT, &p->c.origin, p->c.pos,
                          "expected white between 1 and 65535, got %lld",
                          (long long)most);
    p->most = (unsigned)most;
    return status == PTF_OK
               ? ptf_picture_check(file, p->base.width, p->base.height, err)
               : status;
}

ptf_status ptf_pnm_open(const ptf_file *file, ptf_picture **out, ptf_error *err)
{
    pnm *p = ptf_alloc(sizeof(*p));
    if (p == NULL)
        return ptf_fail_memory(err);
    p->base = (ptf_picture){.channels = file->data[1] == '6' ? 3 : 1,
                            .read_row = pnm_row,
                            .close = pnm_close};
    p->c = (ptf_cursor){.data = file->data,
                        .size = file->size,
                        .origin = {file->name, NULL},
                        .err = err};
    ptf_status status = read_header(p, file, err);
    if (status != PTF_OK) {
        ptf_free(p);
        return status;
    }
    *out = &p->base;
    return PTF_OK;
}
