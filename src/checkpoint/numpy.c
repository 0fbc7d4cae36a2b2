/*
 * NumPy arrays and scalars as NumPy pickles them: _reconstruct() with a
 * state of version, shape, dtype, order and bytes; scalar(dtype, bytes); from
 * protocol 5 on _frombuffer(bytes, dtype, shape, order[, axes]).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/numpy.h"
#include "checkpoint/reader.h"

static const struct {
    const char *text;
    ptf_dtype dtype;
} codes[] = {
    {"f2", PTF_DTYPE_F16}, {"f4", PTF_DTYPE_F32},   {"f8", PTF_DTYPE_F64},
    {"i1", PTF_DTYPE_I8},  {"i2", PTF_DTYPE_I16},   {"i4", PTF_DTYPE_I32},
    {"i8", PTF_DTYPE_I64}, {"u1", PTF_DTYPE_U8},    {"u2", PTF_DTYPE_U16},
    {"u4", PTF_DTYPE_U32}, {"u8", PTF_DTYPE_U64},   {"b1", PTF_DTYPE_BOOL},
    {"c8", PTF_DTYPE_C64}, {"c16", PTF_DTYPE_C128},
};

/* The modules that NumPy 1 and NumPy 2 name. */
static bool is_call(const ptf_object *value, const char *name)
{
    if (value->kind != PTF_OBJECT_INSTANCE)
        return false;
    const ptf_object *callee = value->items[PTF_INSTANCE_CALLEE];
    return ptf_object_is_global(callee, "numpy.core.multiarray", name) ||
           ptf_object_is_global(callee, "numpy._core.multiarray", name) ||
           ptf_object_is_global(callee, "numpy.core.numeric", name) ||
           ptf_object_is_global(callee, "numpy._core.numeric", name);
}

/*
 * What an array is made of; a scalar has neither shape nor order.  With
 * 'axes', the shape is that of the elements in memory, and axis i of the
 * array is axis axes[i] of it.
 */
typedef struct parts {
    const ptf_object *dtype, *shape, *order, *bytes, *axes;
} parts;

/* False when the call has not the form that NumPy writes. */
static bool take_apart(const ptf_object *value, parts *out)
{
    const ptf_object *args = value->items[PTF_INSTANCE_ARGS];
    const ptf_object *state = value->items[PTF_INSTANCE_STATE];
    ptf_object *const *v = args->items;
    *out = (parts){0};
    if (value->created) /* by NEWOBJ, which takes none of the three */
        return false;
    if (is_call(value, "scalar")) {
        if (args->count == 2)
            *out = (parts){.dtype = v[0], .bytes = v[1]};
    } else if (is_call(value, "_frombuffer")) {
        if (args->count == 4 || args->count == 5)
            *out =
                (parts){v[1], v[2], v[3], v[0], args->count == 5 ? v[4] : NULL};
    } else if (state != NULL && state->kind == PTF_OBJECT_TUPLE &&
               state->count == 5) {
        v = state->items;
        *out = (parts){v[2], v[1], v[3], v[4], NULL};
    }
    return out->bytes != NULL;
}

/* The code in dtype('f8', ...), or NULL. */
static const ptf_object *code_of(const ptf_object *dtype)
{
    if (dtype->kind != PTF_OBJECT_INSTANCE ||
        !ptf_object_is_global(dtype->items[PTF_INSTANCE_CALLEE], "numpy",
                              "dtype") ||
        dtype->items[PTF_INSTANCE_ARGS]->count < 1)
        return NULL;
    const ptf_object *code = dtype->items[PTF_INSTANCE_ARGS]->items[0];
    bool text =
        code->kind == PTF_OBJECT_STRING || code->kind == PTF_OBJECT_BYTES;
    return text && code->count > 0 ? code : NULL;
}

/* numpy.rec.array() names a class instead of a code. */
static bool is_record(const ptf_object *dtype)
{
    const ptf_object *args = dtype->kind == PTF_OBJECT_INSTANCE
                                 ? dtype->items[PTF_INSTANCE_ARGS]
                                 : NULL;
    return args != NULL && args->count > 0 &&
           ptf_object_is_global(args->items[0], "numpy", "record");
}

/* Arrays of objects, texts, records and dates are left where they are. */
bool ptf_object_is_array(const ptf_object *value)
{
    parts p;
    if (!is_call(value, "_reconstruct") && !is_call(value, "scalar") &&
        !is_call(value, "_frombuffer"))
        return false;
    if (!take_apart(value, &p))
        return true;
    const ptf_object *code = code_of(p.dtype);
    return code == NULL ? !is_record(p.dtype)
                        : strchr("OUSVMma", code->text[0]) == NULL;
}

static ptf_status fail(const ptf_checkpoint *ckpt, const char *name,
                       const char *what, ptf_error *err)
{
    ptf_origin origin = ptf_object_origin(ckpt);
    return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                    "array '%s': expected %s, got something else", name, what);
}

bool ptf_array_code(const char *text, size_t size, ptf_dtype *out)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(codes); i++) {
        if (strlen(codes[i].text) == size &&
            memcmp(codes[i].text, text, size) == 0) {
            *out = codes[i].dtype;
            return true;
        }
    }
    return false;
}

/* dtype('f8', ...) with a state (version, byte order, ...). */
bool ptf_array_dtype(const ptf_object *value, ptf_dtype *out, bool *swap)
{
    const ptf_object *code = code_of(value);
    if (code == NULL)
        return false;
    const ptf_object *state = value->items[PTF_INSTANCE_STATE];
    *swap = state != NULL && state->kind == PTF_OBJECT_TUPLE &&
            state->count > 1 && ptf_object_is(state->items[1], ">");
    return ptf_array_code(code->text, code->count, out);
}

/* Latin-1 in UTF-8 back to bytes: how Python 3 writes bytes in protocol 2. */
static bool decode_latin1(const ptf_object *text, uint8_t *out, size_t size)
{
    size_t n = 0;
    for (uint32_t i = 0; i < text->count; n++) {
        uint8_t c = (uint8_t)text->text[i++];
        if (c >= 0x80) {
            if ((c != 0xc2 && c != 0xc3) || i == text->count)
                return false;
            c = (uint8_t)(c << 6 | ((uint8_t)text->text[i++] & 63));
        }
        if (n == size)
            return false;
        out[n] = c;
    }
    return n == size;
}

bool ptf_array_bytes(const ptf_object *value, uint8_t *out, size_t size)
{
    if (value->kind == PTF_OBJECT_BYTES || value->kind == PTF_OBJECT_STRING) {
        if (value->count == size && size > 0)
            memcpy(out, value->text, size);
        return value->count == size;
    }
    if (value->kind != PTF_OBJECT_INSTANCE)
        return false;
    const ptf_object *args = value->items[PTF_INSTANCE_ARGS];
    if (ptf_object_is_global(value->items[PTF_INSTANCE_CALLEE], "_codecs",
                             "encode"))
        return args->count == 2 && args->items[0]->kind == PTF_OBJECT_STRING &&
               ptf_object_is(args->items[1], "latin1") &&
               decode_latin1(args->items[0], out, size);
    return size == 0 && args->count == 0; /* bytes() */
}

void ptf_tensor_set_fortran(ptf_tensor *t)
{
    int64_t stride = 1;
    for (int i = 0; i < t->rank; i++) {
        t->stride[i] = stride;
        stride *= t->shape[i] > 0 ? t->shape[i] : 1;
    }
}

static ptf_status fill(ptf_checkpoint *ckpt, const ptf_object *bytes, bool swap,
                       ptf_tensor *out, ptf_error *err)
{
    size_t size;
    if (!ptf_tensor_measure(out, &size) || size > PTF_PICKLE_MAX_SIZE)
        return fail(ckpt, out->name, "a size that a pickle can hold", err);
    ptf_held_storage *made = NULL;
    ptf_status status = ptf_storage_make(ckpt, size, &made, err);
    if (status != PTF_OK)
        return status;
    uint8_t *data = (uint8_t *)(uintptr_t)made->bytes.data;
    if (!ptf_array_bytes(bytes, data, size))
        return fail(ckpt, out->name, "the bytes of its elements", err);
    if (swap)
        ptf_swap_bytes(data, size, out->dtype);
    made->dtype = out->dtype;
    made->numel = ptf_tensor_numel(out);
    out->storage = &made->bytes;
    out->data = data;
    return PTF_OK;
}

/* A flag, or the letter F. */
static bool is_fortran(const ptf_object *order)
{
    return (order->kind == PTF_OBJECT_BOOL && order->boolean) ||
           (order->kind == PTF_OBJECT_INT && order->integer != 0) ||
           ptf_object_is(order, "F");
}

/* Puts the axes of memory into the array's order. */
static ptf_status permute(ptf_checkpoint *ckpt, const ptf_object *axes,
                          ptf_tensor *out, ptf_error *err)
{
    ptf_tensor in_memory = *out;
    int64_t order[PTF_MAX_RANK];
    unsigned seen = 0;
    int rank = 0;
    ptf_status status =
        ptf_read_dims(ckpt, axes, out->name, "axes", order, &rank, err);
    if (status != PTF_OK)
        return status;
    for (int i = 0; i < rank && rank == out->rank && order[i] < rank; i++) {
        seen |= 1u << order[i];
        out->shape[i] = in_memory.shape[order[i]];
        out->stride[i] = in_memory.stride[order[i]];
    }
    return rank == out->rank && seen + 1 == 1u << rank
               ? PTF_OK
               : fail(ckpt, out->name, "an order of all its axes", err);
}

ptf_status ptf_array_rebuild(ptf_checkpoint *ckpt, const ptf_object *value,
                             const char *name, ptf_tensor *out, ptf_error *err)
{
    *out = (ptf_tensor){.name = name};
    bool swap = false;
    parts p;
    if (!take_apart(value, &p))
        return fail(ckpt, name, "an array as NumPy pickles it", err);
    if (!ptf_array_dtype(p.dtype, &out->dtype, &swap))
        return fail(ckpt, name, "numbers of a known dtype", err);
    ptf_status status = PTF_OK;
    if (p.shape != NULL)
        status = ptf_read_dims(ckpt, p.shape, name, "shape", out->shape,
                               &out->rank, err);
    if (status == PTF_OK)
        status = fill(ckpt, p.bytes, swap, out, err);
    if (status != PTF_OK)
        return status;
    if (p.order != NULL && is_fortran(p.order))
        ptf_tensor_set_fortran(out);
    else
        ptf_tensor_set_strides(out);
    return p.axes != NULL && p.axes->kind != PTF_OBJECT_NONE
               ? permute(ckpt, p.axes, out, err)
               : PTF_OK;
}
