/*
 * Arrays into NumPy's files: one as .npy, several by name as .npz.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/zip_write.h"
#include "image/image.h"

/* What NumPy calls the dtypes that it has, of little-endian numbers. */
static const char *const descriptions[] = {
    [PTF_DTYPE_F32] = "<f4", [PTF_DTYPE_F64] = "<f8", [PTF_DTYPE_F16] = "<f2",
    [PTF_DTYPE_I8] = "|i1",  [PTF_DTYPE_I16] = "<i2", [PTF_DTYPE_I32] = "<i4",
    [PTF_DTYPE_I64] = "<i8", [PTF_DTYPE_U8] = "|u1",  [PTF_DTYPE_U16] = "<u2",
    [PTF_DTYPE_U32] = "<u4", [PTF_DTYPE_U64] = "<u8", [PTF_DTYPE_BOOL] = "|b1",
};

/* NumPy aligns the elements to 64 bytes with spaces after the dict. */
void ptf_npy_header(ptf_buffer *out, ptf_dtype dtype, int rank,
                    const int64_t *shape)
{
    enum { ALIGNMENT = 64, PREFIX = 10 };
    ptf_buffer dict = {0};
    ptf_buffer_printf(&dict,
                      "{'descr': '%s', 'fortran_order': False, 'shape': (",
                      descriptions[dtype]);
    for (int i = 0; i < rank; i++)
        ptf_buffer_printf(&dict, "%s%lld%s", i > 0 ? " " : "",
                          (long long)shape[i],
                          i + 1 < rank || rank == 1 ? "," : "");
    ptf_buffer_add_text(&dict, "), }");
    while ((dict.size + 1 + PREFIX) % ALIGNMENT != 0 && !dict.failed)
        ptf_buffer_add_text(&dict, " ");
    ptf_buffer_add_text(&dict, "\n");
    ptf_buffer_add(out, "\x93NUMPY\1\0", 8);
    ptf_buffer_add_int(out, dict.size, 2);
    ptf_buffer_add(out, dict.data, dict.size);
    out->failed |= dict.failed;
    ptf_buffer_free(&dict);
}

/* An array as the file or the entry that it becomes. */
static ptf_status put_array(const ptf_tensor *t, ptf_buffer *out,
                            ptf_error *err)
{
    ptf_origin origin = {NULL, t->name};
    bool known = (size_t)t->dtype < PTF_ARRAY_SIZE(descriptions) &&
                 descriptions[t->dtype] != NULL;
    if (!known)
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "NumPy has no dtype for %s", ptf_dtype_name(t->dtype));
    size_t bytes = (size_t)ptf_tensor_numel(t) * ptf_dtype_size(t->dtype);
    ptf_npy_header(out, t->dtype, t->rank, t->shape);
    char *data = ptf_alloc(bytes + 1);
    if (data == NULL)
        return ptf_fail_memory(err);
    ptf_tensor_read_bytes(t, data);
    ptf_buffer_add(out, data, bytes);
    ptf_free(data);
    return out->failed ? ptf_fail_memory(err) : PTF_OK;
}

static ptf_status write_npy(const ptf_tensor *array, ptf_output *output,
                            ptf_error *err)
{
    ptf_buffer b = {0};
    ptf_status status = put_array(array, &b, err);
    if (status == PTF_OK)
        status = ptf_output_write_at(output, 0, b.data, b.size, err);
    ptf_buffer_free(&b);
    return status;
}

static ptf_status write_entry(ptf_zip_writer *zip, const ptf_tensor *array,
                              ptf_error *err)
{
    ptf_buffer b = {0}, name = {0};
    ptf_buffer_printf(&name, "%s.npy", array->name);
    ptf_buffer_add(&name, "", 1);
    ptf_status status = name.failed ? ptf_fail_memory(err) : PTF_OK;
    if (status == PTF_OK)
        status = put_array(array, &b, err);
    if (status == PTF_OK)
        status = ptf_zip_write_entry(zip, (const char *)name.data, b.data,
                                     b.size, err);
    ptf_buffer_free(&name);
    ptf_buffer_free(&b);
    return status;
}

static ptf_status write_npz(const ptf_tensor *arrays, size_t count,
                            ptf_output *output, ptf_error *err)
{
    ptf_zip_writer zip;
    ptf_zip_write_init(&zip, output, "");
    ptf_status status = PTF_OK;
    for (size_t i = 0; i < count && status == PTF_OK; i++)
        status = write_entry(&zip, &arrays[i], err);
    if (status == PTF_OK)
        status = ptf_zip_write_finish(&zip, err);
    ptf_zip_write_free(&zip);
    return status;
}

ptf_status ptf_arrays_save(const char *path, const ptf_tensor *arrays,
                           size_t count, bool zip, ptf_error *err)
{
    if (!zip && count != 1)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "%s: expected one array for a .npy, got %zu", path,
                        count);
    ptf_output *output;
    ptf_status status = ptf_output_open(path, NULL, &output, err);
    if (status != PTF_OK)
        return status;
    status = zip ? write_npz(arrays, count, output, err)
                 : write_npy(arrays, output, err);
    if (status == PTF_OK)
        return ptf_output_commit(output, err);
    ptf_output_abort(output);
    return status;
}
