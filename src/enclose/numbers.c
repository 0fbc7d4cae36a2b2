/*
 * Parameters for enclosures: weights where they lie, the rest as balls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"

#include <math.h>

/* For results of a few operations on exact numbers, and norms of rows. */
#define UP       (1.0 + 0x1p-40)
#define UP_NORMS (1.0 + 0x1p-18)

ptf_balls ptf_balls_new(ptf_arena *arena, int64_t count)
{
    ptf_balls balls = {
        ptf_arena_array(arena, (size_t)count, sizeof(double)),
        ptf_arena_array(arena, (size_t)count, sizeof(double)),
    };
    if (balls.radius == NULL)
        balls.value = NULL;
    return balls;
}

static ptf_status read_f64(ptf_arena *arena, const ptf_tensor *tensor,
                           double **out, ptf_error *err)
{
    *out = ptf_arena_array(arena, (size_t)ptf_tensor_numel(tensor),
                           sizeof(double));
    if (*out == NULL)
        return ptf_fail_memory(err);
    return ptf_tensor_read_f64(tensor, *out, err);
}

/* Exact numbers, or none where there is no tensor. */
static ptf_status read_exact(ptf_arena *arena, const ptf_tensor *tensor,
                             ptf_balls *out, ptf_error *err)
{
    *out = (ptf_balls){NULL, NULL};
    if (tensor == NULL)
        return PTF_OK;
    *out = ptf_balls_new(arena, ptf_tensor_numel(tensor));
    if (out->value == NULL)
        return ptf_fail_memory(err);
    return ptf_tensor_read_f64(tensor, out->value, err);
}

/* f32 and what fits into it; the kernels round the others. */
static bool is_rounded(const ptf_tensor *tensor)
{
    return tensor != NULL && tensor->dtype != PTF_DTYPE_F32 &&
           tensor->dtype != PTF_DTYPE_F16 && tensor->dtype != PTF_DTYPE_BF16;
}

/* ------------------------------------------------------------- batch norms */

/*
 * scale = gamma / sqrt(var + eps): sum, root and division give a relative
 * error below u/2 + u + u, and 4u with room.  shift = beta - mean scale: the
 * scale's error, one rounding of the product, one of the difference.
 */
static void set_norm(int64_t channels, const ptf_norm_numbers *n, double eps,
                     ptf_balls scale, ptf_balls shift)
{
    for (int64_t c = 0; c < channels; c++) {
        double a = n->gamma[c] / sqrt(n->var[c] + eps);
        double product = n->mean[c] * a, b = n->beta[c] - product;
        /* A quotient that underflows has no relative error bound. */
        bool lost = fabs(n->gamma[c]) > 0 && fabs(a) < PTF_LEAST_SCALE;
        scale.value[c] = a;
        scale.radius[c] = lost ? HUGE_VAL : 4 * PTF_U * fabs(a) * UP;
        shift.value[c] = b;
        shift.radius[c] = PTF_U * (5 * fabs(product) + fabs(b)) * UP + PTF_TINY;
    }
}

static ptf_status read_norm(ptf_arena *arena, const ptf_node *node,
                            ptf_parameters *out, ptf_error *err)
{
    ptf_norm_numbers n;
    ptf_status status = ptf_norm_numbers_read(arena, node, &n, err);
    if (status != PTF_OK)
        return status;
    out->rounded = true;
    out->beta = n.beta;
    out->mean = n.mean;
    out->scale = ptf_balls_new(arena, node->attrs.out_channels);
    out->shift = ptf_balls_new(arena, node->attrs.out_channels);
    if (out->scale.value == NULL || out->shift.value == NULL)
        return ptf_fail_memory(err);
    set_norm(node->attrs.out_channels, &n, node->attrs.eps, out->scale,
             out->shift);
    return PTF_OK;
}

/* ----------------------------------------------------------------- weights */

typedef struct rows {
    const ptf_parameters *numbers;
    int64_t terms;
} rows;

/*
 * A bound of a row's norm.  Weights that fit into f32 are 2^-149 or more, or 0,
 * and neither their squares nor their products with PTF_LEAST_SCALE underflow.
 * Others are counted 2^-125 larger: a run that rounds them to a subnormal loses
 * 2^-150, half of 2^-24 of that, and no square of it underflows.
 */
static void measure_row(void *context, int64_t row, int thread)
{
    const rows *r = context;
    const ptf_parameters *n = r->numbers;
    double floor = n->rounded ? 0x1p-125 : 0, sum[8] = {0};
    (void)thread;
    for (int64_t k = 0; k < r->terms; k++) {
        double w = n->f32 != NULL ? (double)n->f32[row * r->terms + k]
                                  : n->f64[row * r->terms + k];
        w = fabs(w) + floor;
        sum[k % 8] += w * w;
    }
    for (int i = 1; i < 8; i++)
        sum[0] += sum[i];
    n->norms[row] = sqrt(sum[0]) * UP_NORMS;
}

/* Where they lie as f32, or else copied. */
static ptf_status read_plain(ptf_arena *arena, const ptf_tensor *tensor,
                             ptf_parameters *out, ptf_error *err)
{
    double *copy = NULL;
    out->f32 = ptf_tensor_f32(tensor);
    if (out->f32 != NULL)
        return PTF_OK;
    ptf_status status = read_f64(arena, tensor, &copy, err);
    out->f64 = copy;
    return status;
}

static ptf_status read_weights(ptf_arena *arena, const ptf_node *node,
                               ptf_parameters *out, ptf_error *err)
{
    int64_t count = node->attrs.out_channels;
    ptf_tensor weight = ptf_node_rows(node);
    ptf_status status = read_plain(arena, &weight, out, err);
    out->norms = ptf_arena_array(arena, (size_t)count, sizeof(double));
    if (status == PTF_OK && out->norms == NULL)
        status = ptf_fail_memory(err);
    rows all = {out, ptf_tensor_numel(&weight) / count};
    if (status == PTF_OK)
        ptf_each(ptf_thread_count(), count, measure_row, &all);
    return status;
}

ptf_status ptf_numbers_read(ptf_arena *arena, const ptf_node *node,
                            ptf_parameters *out, ptf_error *err)
{
    *out = (ptf_parameters){0};
    if (ptf_op_is(node->op, PTF_FAMILY_AFFINE))
        return read_norm(arena, node, out, err);
    if (node->tensors[PTF_ROLE_WEIGHT] == NULL)
        return PTF_OK;
    for (int role = PTF_ROLE_WEIGHT; role <= PTF_ROLE_SHIFT; role++)
        out->rounded |= is_rounded(node->tensors[role]);
    ptf_status status =
        ptf_op_is(node->op, PTF_FAMILY_PRODUCT)
            ? read_weights(arena, node, out, err)
            : read_plain(arena, node->tensors[PTF_ROLE_WEIGHT], out, err);
    if (status == PTF_OK)
        status =
            read_exact(arena, node->tensors[PTF_ROLE_BIAS], &out->bias, err);
    if (status == PTF_OK)
        status =
            read_exact(arena, node->tensors[PTF_ROLE_SCALE], &out->scale, err);
    if (status == PTF_OK)
        status =
            read_exact(arena, node->tensors[PTF_ROLE_SHIFT], &out->shift, err);
    return status;
}
