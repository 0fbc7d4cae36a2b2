/*
 * safetensors: a JSON header that names tensors, then their bytes.  Checked
 * as the format's own reader does: the tensors fill the data without gaps
 * and overlaps, and each has as many bytes as its shape says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

#include <jansson.h>
#include <stdlib.h>

static const struct {
    const char *name;
    ptf_dtype dtype;
} dtypes[] = {
    {"F32", PTF_DTYPE_F32},
    {"F64", PTF_DTYPE_F64},
    {"F16", PTF_DTYPE_F16},
    {"BF16", PTF_DTYPE_BF16},
    {"I8", PTF_DTYPE_I8},
    {"I16", PTF_DTYPE_I16},
    {"I32", PTF_DTYPE_I32},
    {"I64", PTF_DTYPE_I64},
    {"U8", PTF_DTYPE_U8},
    {"U16", PTF_DTYPE_U16},
    {"U32", PTF_DTYPE_U32},
    {"U64", PTF_DTYPE_U64},
    {"BOOL", PTF_DTYPE_BOOL},
    {"C64", PTF_DTYPE_C64},
    {"F8_E4M3", PTF_DTYPE_F8_E4M3FN},
    {"F8_E5M2", PTF_DTYPE_F8_E5M2},
    {"F8_E4M3FNUZ", PTF_DTYPE_F8_E4M3FNUZ},
    {"F8_E5M2FNUZ", PTF_DTYPE_F8_E5M2FNUZ},
    {"F8_E8M0", PTF_DTYPE_F8_E8M0FNU},
};

typedef struct reader {
    ptf_checkpoint *ckpt;
    const ptf_entry *header, *data;
    ptf_error *err;
} reader;

static ptf_status fail(const reader *r, ptf_status status, const char *name,
                       const char *text)
{
    ptf_origin origin = {r->ckpt->file.name, "header"};
    return ptf_fail(r->err, status, &origin, PTF_NO_OFFSET, "'%s': %s", name,
                    text);
}

/* ----------------------------------------------------------------- tensors */

static bool read_size(const json_t *value, int64_t *out)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

static ptf_status read_dtype(reader *r, const char *name, const json_t *value,
                             ptf_dtype *out)
{
    const char *text = json_string_value(value);
    if (text == NULL)
        return fail(r, PTF_FORMAT, name, "expected a dtype");
    for (size_t i = 0; i < PTF_ARRAY_SIZE(dtypes); i++) {
        if (strcmp(dtypes[i].name, text) != 0)
            continue;
        *out = dtypes[i].dtype;
        return PTF_OK;
    }
    return fail(r, PTF_UNSUPPORTED, name,
                "has a dtype that ptfold does not know");
}

static ptf_status read_shape(reader *r, const json_t *value, ptf_tensor *out,
                             size_t *bytes)
{
    size_t rank = json_array_size(value);
    if (!json_is_array(value))
        return fail(r, PTF_FORMAT, out->name, "expected a shape");
    if (rank > PTF_MAX_RANK)
        return fail(r, PTF_UNSUPPORTED, out->name,
                    "has more than 9 dimensions");
    out->rank = (int)rank;
    bool sound = true;
    for (size_t i = 0; i < rank; i++)
        sound = sound && read_size(json_array_get(value, i), &out->shape[i]);
    if (!sound || !ptf_tensor_measure(out, bytes))
        return fail(r, PTF_FORMAT, out->name, "expected a shape that exists");
    ptf_tensor_set_strides(out);
    return PTF_OK;
}

static ptf_status read_offsets(reader *r, const json_t *value, size_t bytes,
                               ptf_tensor *out)
{
    int64_t begin, end;
    if (json_array_size(value) != 2 ||
        !read_size(json_array_get(value, 0), &begin) ||
        !read_size(json_array_get(value, 1), &end) || end < begin ||
        (uint64_t)end > r->data->size)
        return fail(r, PTF_FORMAT, out->name,
                    "expected two offsets inside the file");
    if ((size_t)(end - begin) != bytes)
        return fail(r, PTF_FORMAT, out->name,
                    "expected as many bytes as its shape says");
    ptf_held_storage *s = ptf_arena_alloc(&r->ckpt->arena, sizeof(*s));
    if (s == NULL)
        return ptf_fail_memory(r->err);
    s->bytes = (ptf_storage){.key = out->name,
                             .data = r->data->data + begin,
                             .size = bytes,
                             .file = &r->ckpt->file};
    out->storage = &s->bytes;
    out->data = s->bytes.data;
    return PTF_OK;
}

static ptf_status read_tensor(reader *r, const char *key, const json_t *value,
                              ptf_tensor *out)
{
    size_t size = strlen(key), bytes = 0;
    out->name = ptf_arena_copy(&r->ckpt->arena, key, size);
    if (out->name == NULL)
        return ptf_fail_memory(r->err);
    if (!ptf_is_printable(key, size))
        return fail(r, PTF_FORMAT, key, "expected a printable name");
    if (json_object_size(value) != 3)
        return fail(r, PTF_FORMAT, key,
                    "expected dtype, shape and data_offsets");
    ptf_status status =
        read_dtype(r, key, json_object_get(value, "dtype"), &out->dtype);
    if (status == PTF_OK)
        status = read_shape(r, json_object_get(value, "shape"), out, &bytes);
    return status == PTF_OK
               ? read_offsets(r, json_object_get(value, "data_offsets"), bytes,
                              out)
               : status;
}

/* ------------------------------------------------------------- whole file */

static int compare_places(const void *a, const void *b)
{
    const ptf_storage *const *x = a, *const *y = b;
    if ((*x)->data != (*y)->data)
        return (*x)->data < (*y)->data ? -1 : 1;
    return ((*x)->size > (*y)->size) - ((*x)->size < (*y)->size);
}

/* One after the other, from the first byte of the data to the last. */
static ptf_status check_places(reader *r)
{
    size_t count = r->ckpt->count;
    const ptf_storage **order = ptf_alloc(count * sizeof(*order));
    if (order == NULL)
        return ptf_fail_memory(r->err);
    for (size_t i = 0; i < count; i++)
        order[i] = r->ckpt->tensors[i].storage;
    qsort(order, count, sizeof(*order), compare_places);
    const uint8_t *at = r->data->data;
    ptf_status status = PTF_OK;
    for (size_t i = 0; i < count && status == PTF_OK; i++) {
        if (order[i]->data != at)
            status = fail(r, PTF_FORMAT, order[i]->key,
                          "expected its bytes to follow those before it");
        at = order[i]->data + order[i]->size;
    }
    ptf_free(order);
    if (status == PTF_OK && at != r->data->data + r->data->size)
        status = fail(r, PTF_FORMAT, "data",
                      "expected no bytes after the last tensor");
    return status;
}

static ptf_status read_header(reader *r, json_t *root)
{
    ptf_checkpoint *ckpt = r->ckpt;
    ckpt->tensors = ptf_arena_array(&ckpt->arena, json_object_size(root),
                                    sizeof(*ckpt->tensors));
    if (ckpt->tensors == NULL)
        return ptf_fail_memory(r->err);
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        ptf_status status =
            strcmp(key, "__metadata__") == 0
                ? ptf_json_read_metadata(ckpt, r->header, value, false, r->err)
                : read_tensor(r, key, value, &ckpt->tensors[ckpt->count]);
        if (status != PTF_OK)
            return status;
        ckpt->count += strcmp(key, "__metadata__") != 0;
    }
    return check_places(r);
}

ptf_status ptf_safetensors_read(ptf_checkpoint *ckpt, ptf_error *err)
{
    const ptf_entry *header = ptf_archive_find(&ckpt->archive, "header");
    reader r = {ckpt, header, ptf_archive_find(&ckpt->archive, "data"), err};
    json_t *root;
    ptf_status status = ptf_json_read(ckpt, header, &root, err);
    if (status == PTF_OK)
        status = read_header(&r, root);
    ptf_json_free(root);
    return status;
}
