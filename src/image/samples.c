/*
 * Arrays as inputs: which of their dimensions is what, and one input as a
 * picture.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/image.h"

/* Dimension 'd' of 'from' becomes dimension 'to' of 'out'. */
static void move_dim(const ptf_tensor *from, int d, ptf_tensor *out, int to)
{
    out->shape[to] = from->shape[d];
    out->stride[to] = from->stride[d];
}

/* The slices of a volume are rows below each other. */
static bool add_rows(const ptf_tensor *from, int d, ptf_tensor *out)
{
    return from->stride[d] == out->shape[2] * out->stride[2] &&
           ptf_mul_i64(out->shape[2], from->shape[d], &out->shape[2]);
}

ptf_status ptf_samples_arrange(const ptf_tensor *tensor,
                               const ptf_image_options *options,
                               const ptf_origin *origin, ptf_samples *samples,
                               ptf_error *err)
{
    ptf_tensor *out = &samples->images;
    char shape[192];
    int rank = options->rank, first = tensor->rank - rank;
    if (tensor->rank == 0)
        return ptf_fail(err, PTF_FORMAT, origin, PTF_NO_OFFSET,
                        "expected an array of inputs, got a single number");
    if (first != 0 && first != 1) {
        ptf_tensor_shape_text(tensor, shape);
        return ptf_fail(err, PTF_ARGUMENT, origin, PTF_NO_OFFSET,
                        "expected an array of %d dimensions, or of %d for one "
                        "input, got shape %s",
                        rank + 1, rank, shape);
    }
    *out = *tensor;
    out->rank = 4;
    for (int d = 0; d < 4; d++) {
        out->shape[d] = 1;
        out->stride[d] = 0;
    }
    if (first == 1)
        move_dim(tensor, 0, out, 0);
    samples->shape.rank = rank;
    int channel = options->channels_last ? tensor->rank - 1 : first;
    move_dim(tensor, channel, out, 1);
    samples->shape.dim[0] = tensor->shape[channel];
    for (int d = tensor->rank - 1, to = 3, axis = rank - 1; d >= first; d--) {
        if (d == channel)
            continue;
        samples->shape.dim[axis--] = tensor->shape[d];
        if (to >= 2)
            move_dim(tensor, d, out, to--);
        else if (!add_rows(tensor, d, out))
            return ptf_fail(err, PTF_UNSUPPORTED, origin, PTF_NO_OFFSET,
                            "expected an array in C order, got one whose rows "
                            "do not follow each other; save "
                            "np.ascontiguousarray() of it");
    }
    for (int d = 0; d < 4; d++) {
        if (out->shape[d] < 1 || (d > 0 && out->shape[d] > PTF_MAX_PIXELS))
            return ptf_fail(err, PTF_FORMAT, origin, PTF_NO_OFFSET,
                            "expected inputs of a size that exists");
    }
    return PTF_OK;
}

double ptf_samples_label(const ptf_samples *samples, int64_t index)
{
    double value = -1.0;
    ptf_tensor one = samples->labels;
    one.shape[0] = 1;
    one.data = (const uint8_t *)one.data +
               (size_t)(index * one.stride[0]) * ptf_dtype_size(one.dtype);
    return ptf_tensor_read_f64(&one, &value, NULL) == PTF_OK ? value : -1.0;
}

ptf_status ptf_samples_check_labels(const ptf_samples *samples,
                                    const ptf_origin *origin, ptf_error *err)
{
    int64_t count = samples->has_labels ? samples->labels.shape[0] : 0;
    for (int64_t i = 0; i < count; i++) {
        double label = ptf_samples_label(samples, i);
        if (!(label >= 0.0 && label <= INT32_MAX))
            return ptf_fail(err, PTF_FORMAT, origin, PTF_NO_OFFSET,
                            "expected labels from 0 to %d, got %.0f for input "
                            "%lld",
                            INT32_MAX, label, (long long)i);
    }
    return PTF_OK;
}

typedef struct array_picture {
    ptf_picture base;
    ptf_tensor row; /* the next one, width x channels */
    size_t step;    /* bytes to the one after it */
} array_picture;

static ptf_status array_row(ptf_picture *picture, void *row, ptf_error *err)
{
    array_picture *p = (array_picture *)picture;
    ptf_status status = PTF_OK;
    if (p->base.real)
        status = ptf_tensor_read_f32(&p->row, row, err);
    else
        ptf_tensor_read_bytes(&p->row, row);
    p->row.data = (const uint8_t *)p->row.data + p->step;
    return status;
}

static void array_close(ptf_picture *picture)
{
    ptf_free(picture);
}

ptf_status ptf_samples_picture(const ptf_samples *samples, int64_t index,
                               ptf_picture **out, ptf_error *err)
{
    const ptf_tensor *t = &samples->images;
    size_t item = ptf_dtype_size(t->dtype);
    array_picture *p = ptf_alloc(sizeof(*p));
    if (p == NULL)
        return ptf_fail_memory(err);
    p->base = (ptf_picture){.width = t->shape[3],
                            .height = t->shape[2],
                            .channels = t->shape[1],
                            .real = t->dtype != PTF_DTYPE_U8,
                            .read_row = array_row,
                            .close = array_close};
    p->row = (ptf_tensor){.name = t->name,
                          .dtype = t->dtype,
                          .rank = 2,
                          .shape = {t->shape[3], t->shape[1]},
                          .stride = {t->stride[3], t->stride[1]},
                          .data = (const uint8_t *)t->data +
                                  (size_t)(index * t->stride[0]) * item};
    p->step = (size_t)t->stride[2] * item;
    *out = &p->base;
    return PTF_OK;
}
