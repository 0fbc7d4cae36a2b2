/*
 * Tensors as such: the table of dtypes, sizes, strides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tensor/tensor.h"

static const struct {
    const char *name, *short_name;
    size_t size;
} dtypes[PTF_DTYPE_COUNT] = {
    [PTF_DTYPE_F32] = {"float32", "f32", 4},
    [PTF_DTYPE_F64] = {"float64", "f64", 8},
    [PTF_DTYPE_F16] = {"float16", "f16", 2},
    [PTF_DTYPE_BF16] = {"bfloat16", "bf16", 2},
    [PTF_DTYPE_I8] = {"int8", "i8", 1},
    [PTF_DTYPE_I16] = {"int16", "i16", 2},
    [PTF_DTYPE_I32] = {"int32", "i32", 4},
    [PTF_DTYPE_I64] = {"int64", "i64", 8},
    [PTF_DTYPE_U8] = {"uint8", "u8", 1},
    [PTF_DTYPE_U16] = {"uint16", "u16", 2},
    [PTF_DTYPE_U32] = {"uint32", "u32", 4},
    [PTF_DTYPE_U64] = {"uint64", "u64", 8},
    [PTF_DTYPE_BOOL] = {"bool", "bool", 1},
    [PTF_DTYPE_C32] = {"complex32", "c32", 4},
    [PTF_DTYPE_C64] = {"complex64", "c64", 8},
    [PTF_DTYPE_C128] = {"complex128", "c128", 16},
    [PTF_DTYPE_F8_E4M3FN] = {"float8_e4m3fn", "f8_e4m3fn", 1},
    [PTF_DTYPE_F8_E5M2] = {"float8_e5m2", "f8_e5m2", 1},
    [PTF_DTYPE_F8_E4M3FNUZ] = {"float8_e4m3fnuz", "f8_e4m3fnuz", 1},
    [PTF_DTYPE_F8_E5M2FNUZ] = {"float8_e5m2fnuz", "f8_e5m2fnuz", 1},
    [PTF_DTYPE_F8_E8M0FNU] = {"float8_e8m0fnu", "f8_e8m0fnu", 1},
    [PTF_DTYPE_F4_E2M1FN_X2] = {"float4_e2m1fn_x2", "f4_e2m1fn_x2", 1},
    [PTF_DTYPE_BITS1X8] = {"bits1x8", "bits1x8", 1},
    [PTF_DTYPE_BITS2X4] = {"bits2x4", "bits2x4", 1},
    [PTF_DTYPE_BITS4X2] = {"bits4x2", "bits4x2", 1},
    [PTF_DTYPE_BITS8] = {"bits8", "bits8", 1},
    [PTF_DTYPE_BITS16] = {"bits16", "bits16", 2},
};

const char *ptf_dtype_name(ptf_dtype dtype)
{
    return dtypes[dtype].name;
}

const char *ptf_dtype_short(ptf_dtype dtype)
{
    return dtypes[dtype].short_name;
}

bool ptf_dtype_find_short(ptf_text_span name, ptf_dtype *out)
{
    for (size_t i = 0; i < PTF_DTYPE_COUNT; i++) {
        if (ptf_span_is(name, dtypes[i].short_name)) {
            *out = (ptf_dtype)i;
            return true;
        }
    }
    return false;
}

size_t ptf_dtype_size(ptf_dtype dtype)
{
    return dtypes[dtype].size;
}

bool ptf_dtype_is_float(ptf_dtype dtype)
{
    return dtype == PTF_DTYPE_F32 || dtype == PTF_DTYPE_F64 ||
           dtype == PTF_DTYPE_F16 || dtype == PTF_DTYPE_BF16;
}

bool ptf_dtype_find(const char *name, ptf_dtype *out)
{
    for (size_t i = 0; i < PTF_DTYPE_COUNT; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *out = (ptf_dtype)i;
            return true;
        }
    }
    return false;
}

int64_t ptf_tensor_numel(const ptf_tensor *tensor)
{
    int64_t n = 1;
    for (int i = 0; i < tensor->rank; i++)
        n *= tensor->shape[i];
    return n;
}

size_t ptf_tensor_bytes(const ptf_tensor *tensor)
{
    return (size_t)ptf_tensor_numel(tensor) * dtypes[tensor->dtype].size;
}

bool ptf_tensor_is_storage(const ptf_tensor *tensor)
{
    const ptf_storage *s = tensor->storage;
    return s != NULL && s->data == tensor->data &&
           s->size == ptf_tensor_bytes(tensor) &&
           ptf_tensor_is_contiguous(tensor);
}

bool ptf_tensor_measure(const ptf_tensor *tensor, size_t *bytes)
{
    size_t size = ptf_dtype_size(tensor->dtype);
    bool empty = false;
    for (int i = 0; i < tensor->rank; i++) {
        empty = empty || tensor->shape[i] == 0;
        if (tensor->shape[i] != 0 &&
            !ptf_mul_size(size, (size_t)tensor->shape[i], &size))
            return false;
    }
    *bytes = empty ? 0 : size;
    return size <= INT64_MAX;
}

void ptf_tensor_set_strides(ptf_tensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        tensor->stride[i] = stride;
        stride *= tensor->shape[i] > 0 ? tensor->shape[i] : 1;
    }
}

bool ptf_tensor_is_contiguous(const ptf_tensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->shape[i] == 0)
            return true;
        if (tensor->shape[i] != 1 && tensor->stride[i] != stride)
            return ptf_tensor_numel(tensor) == 0;
        stride *= tensor->shape[i];
    }
    return true;
}

const float *ptf_tensor_f32(const ptf_tensor *tensor)
{
    bool usable = tensor->dtype == PTF_DTYPE_F32 &&
                  (uintptr_t)tensor->data % sizeof(float) == 0 &&
                  ptf_tensor_is_contiguous(tensor);
    return usable ? (const float *)tensor->data : NULL;
}

void ptf_tensor_shape_text(const ptf_tensor *tensor, char text[192])
{
    size_t at = 0;
    text[at++] = '[';
    for (int i = 0; i < tensor->rank; i++)
        at += (size_t)snprintf(text + at, 192 - at, "%s%lld", i > 0 ? ", " : "",
                               (long long)tensor->shape[i]);
    snprintf(text + at, 192 - at, "]");
}
