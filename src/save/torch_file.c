/*
 * Tensors as torch.save() writes a state dict: a zip file with a pickle that
 * describes the tensors, and one entry for each one's bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/zip_write.h"
#include "pickle/write.h"
#include "save/writer.h"

/*
 * The class that names a storage's dtype.  Newer dtypes have none: their
 * storages are plain bytes, and the tensor tells the dtype.
 */
static const char *const storages[PTF_DTYPE_COUNT] = {
    [PTF_DTYPE_F32] = "torch\nFloatStorage",
    [PTF_DTYPE_F64] = "torch\nDoubleStorage",
    [PTF_DTYPE_F16] = "torch\nHalfStorage",
    [PTF_DTYPE_BF16] = "torch\nBFloat16Storage",
    [PTF_DTYPE_I8] = "torch\nCharStorage",
    [PTF_DTYPE_I16] = "torch\nShortStorage",
    [PTF_DTYPE_I32] = "torch\nIntStorage",
    [PTF_DTYPE_I64] = "torch\nLongStorage",
    [PTF_DTYPE_U8] = "torch\nByteStorage",
    [PTF_DTYPE_BOOL] = "torch\nBoolStorage",
    [PTF_DTYPE_C64] = "torch\nComplexFloatStorage",
    [PTF_DTYPE_C128] = "torch\nComplexDoubleStorage",
};
static const char untyped[] = "torch.storage\nUntypedStorage";
static const char ordered_dict[] = "collections\nOrderedDict";

/* What Python's pickler puts between two marks. */
enum { BATCH = 1000 };

/* ------------------------------------------------------------------ pickle */

typedef struct writer {
    ptf_buffer out;
    ptf_pickle_memo memo;
    const ptf_payloads *payloads;
} writer;

static void put(writer *w, uint8_t opcode)
{
    ptf_pickle_put(&w->out, opcode);
}

static void put_text(writer *w, const char *text)
{
    ptf_pickle_put_once(&w->out, &w->memo, ptf_pickle_put_text, text);
}

static void put_global(writer *w, const char *text)
{
    ptf_pickle_put_once(&w->out, &w->memo, ptf_pickle_put_global, text);
}

static void put_empty_dict(writer *w)
{
    put_global(w, ordered_dict);
    put(w, PTF_PUT_EMPTY_TUPLE);
    put(w, PTF_PUT_REDUCE);
}

/* ('storage', class, key, 'cpu', elements) */
static void put_storage(writer *w, size_t index)
{
    const ptf_tensor *t = &w->payloads->items[index];
    const char *class = storages[t->dtype];
    size_t size = class != NULL ? ptf_dtype_size(t->dtype) : 1;
    char key[24];
    snprintf(key, sizeof(key), "%zu", index);
    put(w, PTF_PUT_MARK);
    put_text(w, "storage");
    put_global(w, class != NULL ? class : untyped);
    ptf_pickle_put_text(&w->out, key);
    put_text(w, "cpu");
    ptf_pickle_put_int(&w->out, (int64_t)(ptf_tensor_bytes(t) / size));
    put(w, PTF_PUT_TUPLE);
    put(w, PTF_PUT_BINPERSID);
}

static void put_dims(writer *w, const int64_t *dims, int rank)
{
    static const uint8_t closing[] = {PTF_PUT_EMPTY_TUPLE, PTF_PUT_TUPLE1,
                                      PTF_PUT_TUPLE2, PTF_PUT_TUPLE3};
    if (rank > 3)
        put(w, PTF_PUT_MARK);
    for (int i = 0; i < rank; i++)
        ptf_pickle_put_int(&w->out, dims[i]);
    put(w, rank > 3 ? PTF_PUT_TUPLE : closing[rank]);
}

/* C order.  PyTorch counts an empty dimension as one here. */
static void put_strides(writer *w, const ptf_tensor *t)
{
    int64_t strides[PTF_MAX_RANK], stride = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= t->shape[i] > 0 ? t->shape[i] : 1;
    }
    put_dims(w, strides, t->rank);
}

/* "torch\nfloat8_e5m2" */
static void put_dtype(writer *w, ptf_dtype dtype)
{
    char text[64];
    snprintf(text, sizeof(text), "torch\n%s", ptf_dtype_name(dtype));
    ptf_pickle_put_global(&w->out, text);
}

/* rebuild(storage, offset, size, stride, requires_grad, hooks[, dtype]) */
static void put_tensor(writer *w, const ptf_tensor *t, const ptf_view *view)
{
    bool typed = storages[t->dtype] != NULL;
    put_global(w, typed ? "torch._utils\n_rebuild_tensor_v2"
                        : "torch._utils\n_rebuild_tensor_v3");
    put(w, PTF_PUT_MARK);
    put_storage(w, view->payload);
    ptf_pickle_put_int(&w->out, view->offset);
    put_dims(w, t->shape, t->rank);
    if (view->shared)
        put_dims(w, t->stride, t->rank);
    else
        put_strides(w, t);
    put(w, PTF_PUT_NEWFALSE);
    put_empty_dict(w);
    if (!typed)
        put_dtype(w, t->dtype);
    put(w, PTF_PUT_TUPLE);
    put(w, PTF_PUT_REDUCE);
}

static void put_state_dict(writer *w, const ptf_save *save)
{
    ptf_pickle_put_start(&w->out);
    put_empty_dict(w);
    for (size_t i = 0; i < save->count; i++) {
        if (i % BATCH == 0)
            put(w, PTF_PUT_MARK);
        ptf_pickle_put_text(&w->out, save->tensors[i]->name);
        put_tensor(w, save->tensors[i], &w->payloads->views[i]);
        if (i % BATCH == BATCH - 1 || i == save->count - 1)
            put(w, PTF_PUT_SETITEMS);
    }
    put(w, PTF_PUT_STOP);
}

/* ----------------------------------------------------------------- archive */

static ptf_status save_pickle(const ptf_save *save,
                              const ptf_payloads *payloads, ptf_zip_writer *zip,
                              ptf_error *err)
{
    writer w = {.payloads = payloads};
    put_state_dict(&w, save);
    ptf_status status =
        w.out.failed
            ? ptf_fail_memory(err)
            : ptf_zip_write_entry(zip, "data.pkl", w.out.data, w.out.size, err);
    ptf_buffer_free(&w.out);
    return status;
}

static ptf_status save_data(const ptf_save *save, const ptf_tensor *t,
                            size_t index, ptf_zip_writer *zip, ptf_error *err)
{
    char name[32];
    snprintf(name, sizeof(name), "data/%zu", index);
    uint32_t crc = 0;
    ptf_status status = ptf_zip_write_begin(zip, name, ptf_tensor_bytes(t),
                                            ptf_save_place(t), err);
    if (status == PTF_OK)
        status = ptf_save_payload(save, t, zip->out, &crc, err);
    return status == PTF_OK ? ptf_zip_write_end(zip, crc, err) : status;
}

/* PyTorch does not look at this entry. */
static ptf_status save_metadata(const ptf_save *save, ptf_zip_writer *zip,
                                ptf_error *err)
{
    ptf_buffer b = {0};
    if (save->metadata_count == 0)
        return PTF_OK;
    ptf_save_put_metadata(&b, save->metadata, save->metadata_count);
    ptf_status status = b.failed ? ptf_fail_memory(err)
                                 : ptf_zip_write_entry(zip, PTF_METADATA_ENTRY,
                                                       b.data, b.size, err);
    ptf_buffer_free(&b);
    return status;
}

static ptf_status save_entries(const ptf_save *save,
                               const ptf_payloads *payloads,
                               ptf_zip_writer *zip, ptf_error *err)
{
    ptf_status status = save_pickle(save, payloads, zip, err);
    if (status == PTF_OK)
        status = ptf_zip_write_entry(zip, "byteorder", "little", 6, err);
    if (status == PTF_OK)
        status = save_metadata(save, zip, err);
    for (size_t i = 0; i < payloads->count && status == PTF_OK; i++)
        status = save_data(save, &payloads->items[i], i, zip, err);
    if (status == PTF_OK)
        status = ptf_zip_write_entry(zip, "version", "3\n", 2, err);
    return status == PTF_OK ? ptf_zip_write_finish(zip, err) : status;
}

/* 'archive' where the file's name would not be a plain one. */
char *ptf_save_root(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    size_t size = dot != NULL ? (size_t)(dot - name) : strlen(name);
    bool plain = size > 0;
    for (size_t i = 0; i < size; i++)
        plain = plain && name[i] > ' ' && name[i] < 0x7f && name[i] != '\\';
    if (strspn(name, ".") >= size)
        plain = false;
    ptf_buffer b = {0};
    ptf_buffer_printf(&b, "%.*s", plain ? (int)size : 7,
                      plain ? name : "archive");
    ptf_buffer_add(&b, "", 1);
    if (!b.failed)
        return (char *)b.data;
    ptf_buffer_free(&b);
    return NULL;
}

ptf_status ptf_save_torch(const ptf_save *save, ptf_output *out, ptf_error *err)
{
    char *root = ptf_save_root(save->path);
    if (root == NULL)
        return ptf_fail_memory(err);
    ptf_payloads payloads;
    ptf_status status = ptf_payloads_make(save, &payloads, err);
    if (status == PTF_OK) {
        ptf_zip_writer zip;
        ptf_zip_write_init(&zip, out, root);
        ptf_output_expect(out, ptf_payloads_size(&payloads));
        status = save_entries(save, &payloads, &zip, err);
        ptf_zip_write_free(&zip);
        ptf_payloads_free(&payloads);
    }
    ptf_free(root);
    return status;
}
