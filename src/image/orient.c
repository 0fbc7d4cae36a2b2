/*
 * Which way up a picture is: what the camera noted (EXIF), and pictures turned
 * accordingly, as Pillow's ImageOps.exif_transpose() does.
 *
 * The note is the tag Orientation of a small TIFF file, or, without one, an
 * attribute in XMP's text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

/* -------------------------------------------------------------------- EXIF */

enum { ENTRY = 12, ORIENTATION = 0x0112, UPRIGHT = 1, KINDS = 8 };

/* TIFF's types of whole numbers. */
enum { SHORT = 3, LONG = 4 };

typedef struct tiff {
    const uint8_t *data;
    size_t size;
    bool big_endian;
} tiff;

static uint32_t get(const tiff *t, size_t at, size_t width)
{
    uint32_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint32_t)t->data[at + i]
                 << 8 * (t->big_endian ? width - 1 - i : i);
    return value;
}

/* The first of the entry's numbers; upright when it has none. */
static uint32_t first_number(const tiff *t, size_t entry)
{
    uint32_t type = get(t, entry + 2, 2), count = get(t, entry + 4, 4);
    size_t width = type == SHORT ? 2 : 4, at = entry + 8;
    if ((type != SHORT && type != LONG) || count == 0)
        return UPRIGHT;
    if (count > 4 / width) { /* they lie elsewhere */
        at = get(t, entry + 8, 4);
        if (at > t->size || t->size - at < count * (uint64_t)width)
            return UPRIGHT;
    }
    return get(t, at, width);
}

int ptf_exif_orientation(const uint8_t *data, size_t size)
{
    static const char prefix[] = "Exif\0";
    for (int i = 0; i < 2 && size >= 6 && memcmp(data, prefix, 6) == 0; i++) {
        data += 6;
        size -= 6;
    }
    tiff t = {data, size, size > 0 && data[0] == 'M'};
    if (size < 8 ||
        (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0))
        return 0;
    uint32_t found = 0;
    size_t at = get(&t, 4, 4);
    if (at > size || size - at < 2)
        return 0;
    size_t count = get(&t, at, 2);
    for (at += 2; count > 0 && size - at >= ENTRY; count--, at += ENTRY) {
        if (get(&t, at, 2) == ORIENTATION)
            found = first_number(&t, at); /* Pillow takes the last one */
    }
    return found <= KINDS ? (int)found : UPRIGHT;
}

int ptf_xmp_orientation(const char *text, size_t size)
{
    static const char name[] = "tiff:Orientation";
    enum { NAME = sizeof(name) - 1 };
    const char *end = text + size;
    for (; text != NULL && end - text > NAME; text++) {
        text = memmem(text, (size_t)(end - text), name, NAME);
        if (text == NULL)
            break;
        const char *p = text + NAME;
        size_t quote = end - p > 2 && memcmp(p, "=\"", 2) == 0 ? 2
                       : end - p > 1 && *p == '>'              ? 1
                                                               : 0;
        if (quote > 0 && p[quote] >= '0' && p[quote] <= '9')
            return p[quote] - '0';
    }
    return 0;
}

/* ----------------------------------------------------------------- turning */

typedef struct turned_picture {
    ptf_picture base;
    ptf_picture *inner;
    uint8_t *whole; /* its pixels, once they are read */
    int64_t next;
} turned_picture;

/*
 * Where the pixels of each kind come from: out (X, Y) = in (x, y) with x and y
 * exchanged first, then counted from the other side.
 */
static const struct {
    bool exchanged, from_right, from_below;
} kinds[KINDS + 1] = {
    [2] = {false, true, false}, [3] = {false, true, true},
    [4] = {false, false, true}, [5] = {true, false, false},
    [6] = {true, false, true},  [7] = {true, true, true},
    [8] = {true, true, false},
};

static size_t row_bytes(const ptf_picture *p)
{
    return (size_t)(p->width * p->channels);
}

static ptf_status read_whole(turned_picture *p, ptf_error *err)
{
    size_t row = row_bytes(p->inner);
    ptf_status status = PTF_OK;
    p->whole = ptf_alloc((size_t)p->inner->height * row);
    if (p->whole == NULL)
        return ptf_fail_memory(err);
    for (int64_t y = 0; y < p->inner->height && status == PTF_OK; y++)
        status = p->inner->read_row(p->inner, p->whole + (size_t)y * row, err);
    return status;
}

static ptf_status turned_row(ptf_picture *picture, void *row, ptf_error *err)
{
    turned_picture *p = (turned_picture *)picture;
    const ptf_picture *in = p->inner;
    ptf_status status = p->whole == NULL ? read_whole(p, err) : PTF_OK;
    if (status != PTF_OK)
        return status;
    int64_t n = in->channels, y_out = p->next++;
    bool exchanged = kinds[in->orientation].exchanged;
    for (int64_t x_out = 0; x_out < p->base.width; x_out++) {
        int64_t x = exchanged ? y_out : x_out, y = exchanged ? x_out : y_out;
        if (kinds[in->orientation].from_right)
            x = in->width - 1 - x;
        if (kinds[in->orientation].from_below)
            y = in->height - 1 - y;
        memcpy((uint8_t *)row + x_out * n, p->whole + (y * in->width + x) * n,
               (size_t)n);
    }
    return PTF_OK;
}

static void turned_close(ptf_picture *picture)
{
    turned_picture *p = (turned_picture *)picture;
    p->inner->close(p->inner);
    ptf_free(p->whole);
    ptf_free(p);
}

/* Takes over 'inner'. */
static ptf_status turn(ptf_picture *inner, const ptf_file *file,
                       ptf_picture **out, ptf_error *err)
{
    ptf_status status =
        ptf_picture_check_held(file, "turned (EXIF orientation)",
                               (uint64_t)inner->height * row_bytes(inner), err);
    turned_picture *p = status == PTF_OK ? ptf_alloc(sizeof(*p)) : NULL;
    if (p == NULL) {
        inner->close(inner);
        return status == PTF_OK ? ptf_fail_memory(err) : status;
    }
    bool exchanged = kinds[inner->orientation].exchanged;
    p->inner = inner;
    p->base = (ptf_picture){.width = exchanged ? inner->height : inner->width,
                            .height = exchanged ? inner->width : inner->height,
                            .channels = inner->channels,
                            .held = true,
                            .read_row = turned_row,
                            .close = turned_close};
    *out = &p->base;
    return PTF_OK;
}

ptf_status ptf_picture_make(ptf_picture_open *open, const ptf_file *file,
                            ptf_picture **out, ptf_error *err)
{
    ptf_status status = open(file, out, err);
    if (status != PTF_OK || (*out)->orientation <= UPRIGHT ||
        (*out)->orientation > KINDS)
        return status;
    return turn(*out, file, out, err);
}
