/*
 * Tensors as safetensors: the size of a JSON header, the header, the bytes.
 * https://huggingface.co/docs/safetensors, "Format".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tensor/save.h"

#include <stdlib.h>

static const char *const dtypes[PTF_DTYPE_COUNT] = {
    [PTF_F32] = "F32",
    [PTF_F64] = "F64",
    [PTF_F16] = "F16",
    [PTF_BF16] = "BF16",
    [PTF_I8] = "I8",
    [PTF_I16] = "I16",
    [PTF_I32] = "I32",
    [PTF_I64] = "I64",
    [PTF_U8] = "U8",
    [PTF_U16] = "U16",
    [PTF_U32] = "U32",
    [PTF_U64] = "U64",
    [PTF_BOOL] = "BOOL",
    [PTF_C64] = "C64",
    [PTF_F8_E4M3FN] = "F8_E4M3",
    [PTF_F8_E5M2] = "F8_E5M2",
    [PTF_F8_E4M3FNUZ] = "F8_E4M3FNUZ",
    [PTF_F8_E5M2FNUZ] = "F8_E5M2FNUZ",
    [PTF_F8_E8M0FNU] = "F8_E8M0",
};

/* The data starts at a multiple of this; what reads headers allows 100 MB. */
enum { ALIGNMENT = 64, MAX_HEADER = 100000000 };

/* A tensor and where its bytes go. */
typedef struct placed {
    const ptf_tensor *tensor;
    size_t index;
    uint64_t begin;
} placed;

/* -------------------------------------------------------------------- JSON */

/* Bytes of the character at 'p' that JSON can hold as it is, 0 for none. */
static size_t plain_length(const uint8_t *p, size_t left)
{
    if (p[0] == '"' || p[0] == '\\')
        return 0;
    for (size_t n = 1; n <= 4 && n <= left; n++) {
        if (ptf_is_printable((const char *)p, n))
            return n;
    }
    return 0;
}

/* Escapes what is no plain character; returns how many bytes it was. */
static size_t put_escape(ptf_buffer *b, const uint8_t *p, size_t left)
{
    bool c1 = left >= 2 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
    if (p[0] == '"' || p[0] == '\\')
        ptf_buffer_printf(b, "\\%c", p[0]);
    else if (p[0] == '\n')
        ptf_buffer_add_text(b, "\\n");
    else /* a control character, or what is no UTF-8 at all */
        ptf_buffer_printf(b, "\\u%04x",
                          c1            ? p[1]
                          : p[0] < 0x80 ? p[0]
                                        : 0xfffd);
    return c1 ? 2 : 1;
}

static void put_string(ptf_buffer *b, const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t size = strlen(text);
    ptf_buffer_add(b, "\"", 1);
    for (size_t i = 0; i < size;) {
        size_t n = plain_length(p + i, size - i);
        ptf_buffer_add(b, p + i, n);
        i += n > 0 ? n : put_escape(b, p + i, size - i);
    }
    ptf_buffer_add(b, "\"", 1);
}

static void put_metadata(ptf_buffer *b, const ptf_save *save)
{
    ptf_buffer_add_text(b, "\"__metadata__\":{");
    for (size_t i = 0; i < save->metadata_count; i++) {
        ptf_buffer_add_text(b, i > 0 ? "," : "");
        put_string(b, save->metadata[i].key);
        ptf_buffer_add(b, ":", 1);
        put_string(b, save->metadata[i].value);
    }
    ptf_buffer_add(b, "}", 1);
}

static void put_tensor(ptf_buffer *b, const placed *p)
{
    const ptf_tensor *t = p->tensor;
    put_string(b, t->name);
    ptf_buffer_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", dtypes[t->dtype]);
    for (int i = 0; i < t->rank; i++)
        ptf_buffer_printf(b, "%s%lld", i > 0 ? "," : "",
                          (long long)t->shape[i]);
    ptf_buffer_printf(b, "],\"data_offsets\":[%llu,%llu]}",
                      (unsigned long long)p->begin,
                      (unsigned long long)(p->begin + ptf_tensor_bytes(t)));
}

/* ---------------------------------------------------------- header and data */

/*
 * Larger elements first, so that none is misaligned: the format has no room
 * between tensors.  Elements of one size stay in the given order.
 */
static int compare_places(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    size_t m = ptf_dtype_size(x->tensor->dtype);
    size_t n = ptf_dtype_size(y->tensor->dtype);
    if (m != n)
        return m > n ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static int compare_indices(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    return x->index < y->index ? -1 : 1;
}

static void place_tensors(const ptf_save *save, placed *places)
{
    for (size_t i = 0; i < save->count; i++)
        places[i] = (placed){save->tensors[i], i, 0};
    qsort(places, save->count, sizeof(*places), compare_places);
    uint64_t at = 0;
    for (size_t i = 0; i < save->count; i++) {
        places[i].begin = at;
        at += ptf_tensor_bytes(places[i].tensor);
    }
}

/* The header names the tensors in the given order. */
static ptf_status save_header(const ptf_save *save, placed *places,
                              ptf_output *out, ptf_error *err)
{
    ptf_origin origin = {save->path, NULL};
    ptf_buffer b = {0};
    qsort(places, save->count, sizeof(*places), compare_indices);
    ptf_buffer_add_int(&b, 0, 8);
    ptf_buffer_add(&b, "{", 1);
    if (save->metadata_count > 0)
        put_metadata(&b, save);
    for (size_t i = 0; i < save->count; i++) {
        ptf_buffer_add_text(&b, i > 0 || save->metadata_count > 0 ? "," : "");
        put_tensor(&b, &places[i]);
    }
    ptf_buffer_add(&b, "}", 1);
    while (!b.failed && b.size % ALIGNMENT != 0)
        ptf_buffer_add(&b, " ", 1);

    ptf_status status = PTF_OK;
    if (b.failed)
        status = ptf_fail_memory(err);
    else if (b.size - 8 > MAX_HEADER)
        status = ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                          "expected a header of at most %d bytes, found %zu",
                          MAX_HEADER, b.size - 8);
    for (int i = 0; i < 8 && status == PTF_OK; i++)
        b.data[i] = (uint8_t)((uint64_t)(b.size - 8) >> 8 * i);
    if (status == PTF_OK)
        status = ptf_output_write(out, b.data, b.size, err);
    ptf_buffer_free(&b);
    return status;
}

static ptf_status check_tensors(const ptf_save *save, ptf_error *err)
{
    ptf_origin origin = {save->path, NULL};
    for (size_t i = 0; i < save->count; i++) {
        const ptf_tensor *t = save->tensors[i];
        if (dtypes[t->dtype] == NULL)
            return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                            "tensor '%s': safetensors has no dtype %s", t->name,
                            ptf_dtype_name(t->dtype));
        if (strcmp(t->name, "__metadata__") == 0)
            return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                            "safetensors cannot hold a tensor '__metadata__'");
    }
    return PTF_OK;
}

ptf_status ptf_save_safetensors(const ptf_save *save, ptf_output *out,
                                ptf_error *err)
{
    ptf_status status = check_tensors(save, err);
    if (status != PTF_OK)
        return status;
    placed *places = ptf_alloc(save->count * sizeof(*places));
    if (places == NULL)
        return ptf_fail_memory(err);
    place_tensors(save, places);
    ptf_output_expect(out, ptf_save_size(save));
    status = save_header(save, places, out, err);
    qsort(places, save->count, sizeof(*places), compare_places);
    for (size_t i = 0; i < save->count && status == PTF_OK; i++)
        status = ptf_save_payload(places[i].tensor, out, NULL, err);
    ptf_free(places);
    return status;
}
