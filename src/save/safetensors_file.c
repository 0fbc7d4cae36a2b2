/*
 * Tensors as safetensors: the size of a JSON header, the header, the bytes.
 * https://huggingface.co/docs/safetensors, "Format".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/writer.h"

#include <stdlib.h>

static const char *const dtypes[PTF_DTYPE_COUNT] = {
    [PTF_DTYPE_F32] = "F32",
    [PTF_DTYPE_F64] = "F64",
    [PTF_DTYPE_F16] = "F16",
    [PTF_DTYPE_BF16] = "BF16",
    [PTF_DTYPE_I8] = "I8",
    [PTF_DTYPE_I16] = "I16",
    [PTF_DTYPE_I32] = "I32",
    [PTF_DTYPE_I64] = "I64",
    [PTF_DTYPE_U8] = "U8",
    [PTF_DTYPE_U16] = "U16",
    [PTF_DTYPE_U32] = "U32",
    [PTF_DTYPE_U64] = "U64",
    [PTF_DTYPE_BOOL] = "BOOL",
    [PTF_DTYPE_C64] = "C64",
    [PTF_DTYPE_F8_E4M3FN] = "F8_E4M3",
    [PTF_DTYPE_F8_E5M2] = "F8_E5M2",
    [PTF_DTYPE_F8_E4M3FNUZ] = "F8_E4M3FNUZ",
    [PTF_DTYPE_F8_E5M2FNUZ] = "F8_E5M2FNUZ",
    [PTF_DTYPE_F8_E8M0FNU] = "F8_E8M0",
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

static void put_string(ptf_buffer *b, const char *text)
{
    size_t size = strlen(text);
    ptf_buffer_add(b, "\"", 1);
    for (size_t i = 0; i < size;) {
        char piece[16];
        i += ptf_json_character(text + i, size - i, piece);
        ptf_buffer_add_text(b, piece);
    }
    ptf_buffer_add(b, "\"", 1);
}

/* As long as the digest will be, and as plain. */
const char ptf_source_sha256[65] = "0000000000000000000000000000000000000000"
                                   "000000000000000000000000";

uint64_t ptf_save_put_metadata(ptf_buffer *b, const ptf_metadata *metadata,
                               size_t count)
{
    uint64_t digest_at = 0;
    ptf_buffer_add(b, "{", 1);
    for (size_t i = 0; i < count; i++) {
        ptf_buffer_add_text(b, i > 0 ? "," : "");
        put_string(b, metadata[i].key);
        ptf_buffer_add(b, ":", 1);
        if (metadata[i].value == ptf_source_sha256)
            digest_at = b->size + 1;
        put_string(b, metadata[i].value);
    }
    ptf_buffer_add(b, "}", 1);
    return digest_at;
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

/*
 * Where the data should start, as an offset modulo a page: the largest tensor
 * then lies in its page as in its source.  0: anywhere.
 */
static uint64_t start_of(const placed *places, size_t count)
{
    const placed *largest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (largest == NULL || ptf_tensor_bytes(places[i].tensor) >
                                   ptf_tensor_bytes(largest->tensor))
            largest = &places[i];
    }
    uint64_t place = largest != NULL ? ptf_save_place(largest->tensor) : 0;
    if (place == 0)
        return 0;
    uint64_t start = (place - largest->begin) % PTF_PAGE;
    return start == 0 ? PTF_PAGE : start % ALIGNMENT == 0 ? start : 0;
}

/* Spaces after the header, which the format allows. */
static void pad(ptf_buffer *b, const ptf_save *save, const placed *places)
{
    uint64_t start = start_of(places, save->count);
    size_t unit = start > 0 ? PTF_PAGE : ALIGNMENT;
    while (!b->failed && b->size % unit != start % unit)
        ptf_buffer_add(b, " ", 1);
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
    if (save->metadata_count > 0) {
        ptf_buffer_add_text(&b, "\"__metadata__\":");
        *save->digest_at =
            ptf_save_put_metadata(&b, save->metadata, save->metadata_count);
    }
    for (size_t i = 0; i < save->count; i++) {
        ptf_buffer_add_text(&b, i > 0 || save->metadata_count > 0 ? "," : "");
        put_tensor(&b, &places[i]);
    }
    ptf_buffer_add(&b, "}", 1);
    pad(&b, save, places);

    ptf_status status = PTF_OK;
    if (b.failed)
        status = ptf_fail_memory(err);
    else if (b.size - 8 > MAX_HEADER)
        status = ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                          "expected a header of at most %d bytes, got %zu",
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

/* -------------------------------------------------------- memory in common */

static const char shared_key[] = "shared_memory";

/* Copies of what was shared may be this much larger, and no more. */
enum { COPIES_RATIO = 8, COPIES_FREE = 64 << 20 };

/* {"b":"a"}: b shares memory with a, the first that has it. */
static void put_shared(ptf_buffer *b, const ptf_save *save,
                       const ptf_payloads *payloads, const char **firsts)
{
    const char *before = "{";
    for (size_t i = 0; i < save->count; i++) {
        const char **first = &firsts[payloads->views[i].payload];
        if (*first != NULL) {
            ptf_buffer_add_text(b, before);
            put_string(b, save->tensors[i]->name);
            ptf_buffer_add(b, ":", 1);
            put_string(b, *first);
            before = ",";
        } else {
            *first = save->tensors[i]->name;
        }
    }
    if (b->size > 0)
        ptf_buffer_add(b, "}", 2); /* with the zero */
}

/* Leaves 'b' empty when nothing is shared. */
static ptf_status list_shared(const ptf_save *save, ptf_buffer *b,
                              ptf_error *err)
{
    ptf_origin origin = {save->path, NULL};
    ptf_payloads payloads;
    ptf_status status = ptf_payloads_make(save, &payloads, err);
    if (status != PTF_OK)
        return status;
    uint64_t copied = ptf_save_size(save), had = ptf_payloads_size(&payloads);
    const char **firsts = ptf_alloc(payloads.count * sizeof(*firsts));
    if (copied / COPIES_RATIO > had + COPIES_FREE / COPIES_RATIO)
        status = ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                          "the tensors share %llu bytes of memory, and would "
                          "take %llu as the copies that safetensors needs",
                          (unsigned long long)had, (unsigned long long)copied);
    else if (firsts == NULL)
        status = ptf_fail_memory(err);
    else
        put_shared(b, save, &payloads, firsts);
    if (status == PTF_OK && b->failed)
        status = ptf_fail_memory(err);
    ptf_free(firsts);
    ptf_payloads_free(&payloads);
    return status;
}

/* ---------------------------------------------------------------- all of it */

static ptf_status save_placed(const ptf_save *save, ptf_output *out,
                              ptf_error *err)
{
    placed *places = ptf_alloc(save->count * sizeof(*places));
    if (places == NULL)
        return ptf_fail_memory(err);
    place_tensors(save, places);
    ptf_output_expect(out, ptf_save_size(save));
    ptf_status status = save_header(save, places, out, err);
    qsort(places, save->count, sizeof(*places), compare_places);
    for (size_t i = 0; i < save->count && status == PTF_OK; i++)
        status = ptf_save_payload(save, places[i].tensor, out, NULL, err);
    ptf_free(places);
    return status;
}

/* The same with a note on what shares memory instead of an older one. */
static ptf_status save_noted(const ptf_save *save, const char *note,
                             ptf_output *out, ptf_error *err)
{
    ptf_save noted = *save;
    ptf_metadata *texts =
        ptf_alloc((save->metadata_count + 1) * sizeof(*texts));
    if (texts == NULL)
        return ptf_fail_memory(err);
    noted.metadata = texts;
    noted.metadata_count = 0;
    for (size_t i = 0; i < save->metadata_count; i++) {
        if (strcmp(save->metadata[i].key, shared_key) != 0)
            texts[noted.metadata_count++] = save->metadata[i];
    }
    texts[noted.metadata_count++] = (ptf_metadata){shared_key, note};
    ptf_status status = save_placed(&noted, out, err);
    ptf_free(texts);
    return status;
}

ptf_status ptf_save_safetensors(const ptf_save *save, ptf_output *out,
                                ptf_error *err)
{
    ptf_buffer note = {0};
    ptf_status status = check_tensors(save, err);
    if (status == PTF_OK && save->share)
        status = list_shared(save, &note, err);
    if (status == PTF_OK)
        status = note.size > 0
                     ? save_noted(save, (const char *)note.data, out, err)
                     : save_placed(save, out, err);
    ptf_buffer_free(&note);
    return status;
}
