/*
 * NumPy's .npy: a magic number, a version, a Python dict with dtype, order
 * and shape, then the elements.  Versions 1 to 3 differ in the size of one
 * number and in the text's encoding, which matters for structures alone.
 * (NumPy, "NEP 1: A simple file format for NumPy arrays".)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/numpy.h"
#include "image/image.h"

/* The largest header that NumPy reads without being told to trust it. */
enum { MAGIC = 6, MOST_HEADER = 10000 };

typedef struct reader {
    ptf_cursor c;
    ptf_dtype dtype;
    bool big_endian, fortran;
    int rank;
    int64_t shape[PTF_MAX_RANK];
    unsigned seen; /* bits: descr, fortran_order, shape */
} reader;

static ptf_status fail(const reader *r, ptf_status status, const char *what)
{
    return ptf_fail(r->c.err, status, &r->c.origin, r->c.pos, "expected %s",
                    what);
}

/* ------------------------------------------------------------------ tokens */

static uint8_t peek(reader *r)
{
    while (r->c.pos < r->c.size &&
           (r->c.data[r->c.pos] == ' ' || r->c.data[r->c.pos] == '\n'))
        r->c.pos++;
    return r->c.pos < r->c.size ? r->c.data[r->c.pos] : 0;
}

static bool take_if(reader *r, uint8_t byte)
{
    if (peek(r) != byte)
        return false;
    r->c.pos++;
    return true;
}

/* A quoted text without escapes. */
static ptf_status take_text(reader *r, const char **out, size_t *size)
{
    uint8_t quote = peek(r);
    if (quote != '\'' && quote != '"')
        return fail(r, PTF_FORMAT, "a quoted text");
    const uint8_t *start = r->c.data + ++r->c.pos;
    const uint8_t *end = memchr(start, quote, ptf_cursor_left(&r->c));
    if (end == NULL)
        return fail(r, PTF_FORMAT, "the end of a quoted text");
    *out = (const char *)start;
    *size = (size_t)(end - start);
    r->c.pos += *size + 1;
    return PTF_OK;
}

static bool take_word(reader *r, const char *word)
{
    size_t size = strlen(word);
    peek(r);
    if (ptf_cursor_left(&r->c) < size ||
        memcmp(r->c.data + r->c.pos, word, size) != 0)
        return false;
    r->c.pos += size;
    return true;
}

/* ------------------------------------------------------------------ values */

static ptf_status take_dtype(reader *r)
{
    const char *text;
    size_t size;
    if (peek(r) == '[')
        return fail(r, PTF_UNSUPPORTED, "an array of numbers, got structures");
    ptf_status status = take_text(r, &text, &size);
    if (status != PTF_OK)
        return status;
    bool order = size > 1 && memchr("<>|=", text[0], 4) != NULL;
    if (!order || !ptf_array_code(text + 1, size - 1, &r->dtype))
        return fail(r, PTF_UNSUPPORTED, "numbers of a known dtype");
    r->big_endian = text[0] == '>';
    return PTF_OK;
}

static ptf_status take_order(reader *r)
{
    r->fortran = take_word(r, "True");
    return r->fortran || take_word(r, "False")
               ? PTF_OK
               : fail(r, PTF_FORMAT, "True or False");
}

static ptf_status take_dim(reader *r)
{
    int64_t n = 0;
    if (r->rank == PTF_MAX_RANK)
        return fail(r, PTF_UNSUPPORTED, "at most 9 dimensions");
    if (peek(r) < '0' || peek(r) > '9')
        return fail(r, PTF_FORMAT, "a size");
    while (r->c.pos < r->c.size && r->c.data[r->c.pos] >= '0' &&
           r->c.data[r->c.pos] <= '9') {
        if (!ptf_mul_i64(n, 10, &n) ||
            !ptf_add_i64(n, r->c.data[r->c.pos++] - '0', &n))
            return fail(r, PTF_FORMAT, "a size that exists");
    }
    r->shape[r->rank++] = n;
    return PTF_OK;
}

static ptf_status take_shape(reader *r)
{
    if (!take_if(r, '('))
        return fail(r, PTF_FORMAT, "a shape in parentheses");
    while (!take_if(r, ')')) {
        ptf_status status = take_dim(r);
        if (status != PTF_OK)
            return status;
        if (!take_if(r, ',') && peek(r) != ')')
            return fail(r, PTF_FORMAT, "a comma between sizes");
    }
    return PTF_OK;
}

static ptf_status take_pair(reader *r)
{
    static const struct {
        const char *key;
        ptf_status (*take)(reader *r);
    } keys[] = {
        {"descr", take_dtype},
        {"fortran_order", take_order},
        {"shape", take_shape},
    };
    const char *text;
    size_t size;
    ptf_status status = take_text(r, &text, &size);
    if (status != PTF_OK)
        return status;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(keys); i++) {
        if (strlen(keys[i].key) != size || memcmp(keys[i].key, text, size) != 0)
            continue;
        if ((r->seen & 1U << i) != 0 || !take_if(r, ':'))
            return fail(r, PTF_FORMAT, "each key once, and a value");
        r->seen |= 1U << i;
        return keys[i].take(r);
    }
    return fail(r, PTF_FORMAT, "descr, fortran_order or shape");
}

static ptf_status take_header(reader *r)
{
    if (!take_if(r, '{'))
        return fail(r, PTF_FORMAT, "a dict that describes the array");
    while (!take_if(r, '}')) {
        ptf_status status = take_pair(r);
        if (status != PTF_OK)
            return status;
        if (!take_if(r, ',') && peek(r) != '}')
            return fail(r, PTF_FORMAT, "a comma between entries");
    }
    if (peek(r) != 0 || r->c.pos != r->c.size || r->seen != 7)
        return fail(r, PTF_FORMAT, "descr, fortran_order and shape");
    return PTF_OK;
}

/* ---------------------------------------------------------------- elements */

static ptf_status find_size(const reader *r, size_t *size)
{
    int64_t bytes = (int64_t)ptf_dtype_size(r->dtype);
    for (int i = 0; i < r->rank; i++) {
        if (!ptf_mul_i64(bytes, r->shape[i] > 0 ? r->shape[i] : 1, &bytes))
            return fail(r, PTF_FORMAT, "a shape that exists");
    }
    for (int i = 0; i < r->rank; i++)
        bytes = r->shape[i] > 0 ? bytes : 0;
    *size = (size_t)bytes;
    return PTF_OK;
}

static ptf_status place(reader *r, const uint8_t *data, size_t size,
                        ptf_arena *arena, ptf_tensor *out)
{
    *out = (ptf_tensor){.name = r->c.origin.entry != NULL ? r->c.origin.entry
                                                          : r->c.origin.file,
                        .dtype = r->dtype,
                        .rank = r->rank,
                        .data = data};
    memcpy(out->shape, r->shape, sizeof(r->shape));
    if (r->fortran)
        ptf_tensor_set_fortran(out);
    else
        ptf_tensor_set_strides(out);
    if (!r->big_endian)
        return PTF_OK;
    uint8_t *copy = ptf_arena_alloc(arena, size);
    if (copy == NULL)
        return ptf_fail_memory(r->c.err);
    memcpy(copy, data, size);
    ptf_swap_bytes(copy, size, r->dtype);
    out->data = copy;
    return PTF_OK;
}

/* The header's size and version; the cursor ends where the dict begins. */
static ptf_status take_size(ptf_cursor *c, size_t *size)
{
    const uint8_t *magic;
    ptf_status status = ptf_take(c, MAGIC + 2, &magic, "a .npy header");
    if (status != PTF_OK)
        return status;
    uint16_t small = 0;
    uint32_t large = 0;
    uint8_t version = magic[MAGIC];
    if (memcmp(magic, "\x93NUMPY", MAGIC) != 0 || version < 1 || version > 3)
        return ptf_fail(c->err, PTF_FORMAT, &c->origin, 0,
                        "expected a .npy array of version 1 to 3");
    if (version == 1)
        status = ptf_take_u16(c, &small, "the header's size");
    else
        status = ptf_take_u32(c, &large, "the header's size");
    *size = small + (size_t)large;
    if (status == PTF_OK && (*size > MOST_HEADER || *size > ptf_cursor_left(c)))
        return ptf_fail(c->err, PTF_FORMAT, &c->origin, MAGIC + 2,
                        "expected a header of at most %zu bytes, got %zu",
                        ptf_cursor_left(c), *size);
    return status;
}

ptf_status ptf_npy_parse(const uint8_t *data, size_t size,
                         const ptf_origin *origin, ptf_arena *arena,
                         ptf_tensor *out, ptf_error *err)
{
    reader r = {
        .c = {.data = data, .size = size, .origin = *origin, .err = err}};
    size_t header = 0, need = 0;
    ptf_status status = take_size(&r.c, &header);
    if (status != PTF_OK)
        return status;
    size_t start = r.c.pos + header;
    r.c.size = start;
    status = take_header(&r);
    if (status == PTF_OK)
        status = find_size(&r, &need);
    if (status != PTF_OK)
        return status;
    if (size - start != need)
        return ptf_fail(err, PTF_FORMAT, origin, start,
                        "expected %zu bytes of elements, got %zu", need,
                        size - start);
    return place(&r, data + start, need, arena, out);
}

ptf_status ptf_npy_open(const ptf_file *file, const ptf_image_options *options,
                        ptf_arena *arena, ptf_samples *out, ptf_error *err)
{
    ptf_origin origin = {file->name, NULL};
    ptf_tensor array;
    ptf_status status =
        ptf_npy_parse(file->data, file->size, &origin, arena, &array, err);
    return status == PTF_OK
               ? ptf_samples_arrange(&array, options, &origin, out, err)
               : status;
}
