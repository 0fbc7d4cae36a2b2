/*
 * Quantised tensors become f32: (q - zero point) * scale, per tensor or per
 * slice along one axis, rounded where PyTorch's dequantize() rounds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

#include <math.h>

/* How integers become numbers; the arrays have one element per slice. */
typedef struct scheme {
    int axis;      /* -1: one scale for all */
    bool fraction; /* zero points are no integers: computed in float */
    double *scales;
    double *zeros;
} scheme;

static ptf_status fail(const ptf_checkpoint *ckpt, const ptf_tensor *raw,
                       ptf_error *err)
{
    ptf_origin origin = ptf_object_origin(ckpt);
    return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                    "tensor '%s': expected scales and zero points that fit "
                    "its shape",
                    raw->name);
}

/* A zero point stands for 0 among the integers, so it must be one of them;
 * a scale is a number. */
static bool numbers_fit(const scheme *s, const ptf_tensor *raw)
{
    int64_t count = s->axis < 0 ? 1 : raw->shape[s->axis];
    double least = raw->dtype == PTF_DTYPE_I8   ? INT8_MIN
                   : raw->dtype == PTF_DTYPE_U8 ? 0
                                                : INT32_MIN;
    double most = raw->dtype == PTF_DTYPE_I8   ? INT8_MAX
                  : raw->dtype == PTF_DTYPE_U8 ? UINT8_MAX
                                               : INT32_MAX;
    for (int64_t i = 0; i < count; i++) {
        bool one = s->zeros[i] >= least && s->zeros[i] <= most;
        if (!isfinite(s->scales[i]) || (!one && !s->fraction))
            return false;
    }
    return true;
}

/* The first versions wrote the numbers of slices as a list. */
static ptf_status read_list(ptf_checkpoint *ckpt, const ptf_object *list,
                            const ptf_tensor *raw, int axis, double **out,
                            bool *fraction, ptf_error *err)
{
    if (list->count != raw->shape[axis])
        return fail(ckpt, raw, err);
    *out = ptf_arena_array(&ckpt->arena, list->count, sizeof(**out));
    if (*out == NULL)
        return ptf_fail_memory(err);
    *fraction = false;
    for (uint32_t i = 0; i < list->count; i++) {
        const ptf_object *v = list->items[i];
        if (v->kind != PTF_OBJECT_FLOAT && v->kind != PTF_OBJECT_INT)
            return fail(ckpt, raw, err);
        *fraction |= v->kind == PTF_OBJECT_FLOAT;
        (*out)[i] =
            v->kind == PTF_OBJECT_FLOAT ? v->number : (double)v->integer;
    }
    return PTF_OK;
}

/* One number of a 1-d tensor each for the slices along the axis. */
static ptf_status read_slices(ptf_checkpoint *ckpt, const ptf_object *value,
                              const ptf_tensor *raw, int axis, double **out,
                              bool *fraction, ptf_error *err)
{
    ptf_tensor t;
    if (value->kind == PTF_OBJECT_LIST)
        return read_list(ckpt, value, raw, axis, out, fraction, err);
    if (!ptf_object_is_tensor(value))
        return fail(ckpt, raw, err);
    ptf_status status = ptf_tensor_rebuild(ckpt, value, raw->name, &t, err);
    if (status != PTF_OK)
        return status;
    if (t.rank != 1 || t.shape[0] != raw->shape[axis])
        return fail(ckpt, raw, err);
    *out = ptf_arena_array(&ckpt->arena, (size_t)t.shape[0], sizeof(**out));
    if (*out == NULL)
        return ptf_fail_memory(err);
    *fraction = t.dtype == PTF_DTYPE_F32 || t.dtype == PTF_DTYPE_F64;
    return ptf_tensor_read_f64(&t, *out, err);
}

static ptf_status read_per_tensor(ptf_checkpoint *ckpt,
                                  const ptf_object *params,
                                  const ptf_tensor *raw, scheme *out,
                                  ptf_error *err)
{
    if (params->count != 3 || params->items[1]->kind != PTF_OBJECT_FLOAT ||
        params->items[2]->kind != PTF_OBJECT_INT)
        return fail(ckpt, raw, err);
    double *numbers = ptf_arena_array(&ckpt->arena, 2, sizeof(*numbers));
    if (numbers == NULL)
        return ptf_fail_memory(err);
    numbers[0] = params->items[1]->number;
    numbers[1] = (double)params->items[2]->integer;
    *out = (scheme){-1, false, &numbers[0], &numbers[1]};
    return PTF_OK;
}

static ptf_status read_per_channel(ptf_checkpoint *ckpt,
                                   const ptf_object *params,
                                   const ptf_tensor *raw, scheme *out,
                                   ptf_error *err)
{
    if (params->count != 4 || params->items[3]->kind != PTF_OBJECT_INT ||
        params->items[3]->integer < 0 || params->items[3]->integer >= raw->rank)
        return fail(ckpt, raw, err);
    out->axis = (int)params->items[3]->integer;
    ptf_status status = read_slices(ckpt, params->items[1], raw, out->axis,
                                    &out->scales, &out->fraction, err);
    return status == PTF_OK
               ? read_slices(ckpt, params->items[2], raw, out->axis,
                             &out->zeros, &out->fraction, err)
               : status;
}

static ptf_status read_scheme(ptf_checkpoint *ckpt, const ptf_object *params,
                              const ptf_tensor *raw, scheme *out,
                              ptf_error *err)
{
    const ptf_object *kind =
        params->kind == PTF_OBJECT_TUPLE && params->count > 0 ? params->items[0]
                                                              : NULL;
    if (ptf_object_is_global(kind, "torch", "per_tensor_affine") ||
        ptf_object_is_global(kind, "torch", "per_tensor_symmetric"))
        return read_per_tensor(ckpt, params, raw, out, err);
    if (ptf_object_is_global(kind, "torch", "per_channel_affine") ||
        ptf_object_is_global(kind, "torch", "per_channel_symmetric"))
        return read_per_channel(ckpt, params, raw, out, err);
    ptf_origin origin = ptf_object_origin(ckpt);
    return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                    "tensor '%s': expected quantisation per tensor or per "
                    "channel",
                    raw->name);
}

/*
 * One scale: the difference in 32 bits, which may wrap, and a product of
 * floats.  A scale per slice: the difference of floats, and a product of
 * doubles, or of floats where zero points are no integers.
 */
static float scale_one(const scheme *s, size_t slice, double in)
{
    double zero = s->zeros[slice], scale = s->scales[slice];
    float difference = (float)in - (float)zero;
    if (s->axis < 0)
        return (float)(int32_t)(uint32_t)(int64_t)(in - zero) * (float)scale;
    return s->fraction ? difference * (float)scale
                       : (float)((double)difference * scale);
}

/* In C order: every 'inner' elements the slice changes, 'slices' of them. */
static void scale_all(const scheme *s, const ptf_tensor *t, double *in,
                      float *out)
{
    size_t numel = (size_t)ptf_tensor_numel(t);
    size_t inner = numel > 0 ? numel : 1, slices = 1;
    if (s->axis >= 0) {
        slices = (size_t)t->shape[s->axis];
        inner = 1;
        for (int i = s->axis + 1; i < t->rank; i++)
            inner *= (size_t)t->shape[i];
    }
    for (size_t i = 0; i < numel; i++)
        out[i] = scale_one(s, i / inner % slices, in[i]);
}

ptf_status ptf_tensor_dequantize(ptf_checkpoint *ckpt, const ptf_object *params,
                                 ptf_tensor *raw, ptf_error *err)
{
    scheme s = {-1, false, NULL, NULL};
    ptf_status status = read_scheme(ckpt, params, raw, &s, err);
    if (status == PTF_OK && !numbers_fit(&s, raw))
        status = fail(ckpt, raw, err);
    if (status != PTF_OK)
        return status;
    size_t numel = (size_t)ptf_tensor_numel(raw), bytes;
    ptf_held_storage *made = NULL;
    if (!ptf_mul_size(numel, sizeof(double), &bytes))
        return ptf_fail_memory(err);
    status = ptf_storage_make(ckpt, bytes / 2, &made, err);
    if (status != PTF_OK)
        return status;
    double *integers = ptf_alloc(bytes);
    if (integers == NULL)
        return ptf_fail_memory(err);
    status = ptf_tensor_read_f64(raw, integers, err);
    if (status == PTF_OK)
        scale_all(&s, raw, integers, (float *)(uintptr_t)made->bytes.data);
    ptf_free(integers);
    made->dtype = raw->dtype = PTF_DTYPE_F32;
    made->numel = (int64_t)numel;
    made->bytes.dequantized = true;
    raw->storage = &made->bytes;
    raw->data = made->bytes.data;
    ptf_tensor_set_strides(raw);
    return status;
}
