/*
 * Convolutions and linear layers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static ptf_status window(ptf_lowering *l, int dims, ptf_attrs *a)
{
    int64_t *at[] = {a->stride, a->padding, a->dilation};
    static const char *const names[] = {"stride", "padding", "dilation"};
    ptf_status status = PTF_OK;
    for (int i = 0; i < 3 && status == PTF_OK; i++)
        status = ptf_lower_ints(l, names[i], dims, at[i] + 2 - dims);
    for (int i = 2 - dims; i < 2 && status == PTF_OK; i++) {
        if (a->stride[i] < 1 || a->dilation[i] < 1 || a->padding[i] < 0 ||
            a->stride[i] > INT32_MAX || a->dilation[i] > INT32_MAX ||
            a->padding[i] > INT32_MAX)
            status = ptf_lower_refuse(l, "expected positive strides and "
                                         "dilations, and no negative padding");
    }
    return status;
}

static bool is_zero(const ptf_argument *a)
{
    bool all = a == NULL || a->kind == PTF_ARGUMENT_INTS;
    for (int i = 0; a != NULL && all && i < a->count; i++)
        all = a->integers[i].value < 0 && a->integers[i].number == 0;
    return all;
}

static ptf_status lower_conv(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_tensor *tensors[PTF_ROLE_COUNT] = {NULL}, *weight;
    ptf_status status = ptf_lower_tensor(l, "weight", &weight);
    if (status == PTF_OK)
        status = ptf_lower_tensor(l, "bias", &tensors[PTF_ROLE_BIAS]);
    if (status != PTF_OK)
        return status;
    if (weight == NULL || (weight->rank != 3 && weight->rank != 4))
        return ptf_lower_refuse(l, "expected a weight of rank 3 or 4");
    if (ptf_lower_is_true(l, "transposed") ||
        !is_zero(ptf_program_argument(l->call, "output_padding")))
        return ptf_lower_refuse(l, "transposed convolutions are not supported");
    int dims = weight->rank - 2;
    ptf_op op = dims == 1 ? PTF_OP_CONV1D : PTF_OP_CONV2D;
    ptf_attrs a = ptf_lower_defaults(op);
    status = window(l, dims, &a);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "groups", &a.groups);
    if (status != PTF_OK)
        return status;
    if (a.groups < 1 ||
        !ptf_mul_i64(weight->shape[1], a.groups, &a.in_channels))
        return ptf_lower_refuse(l, "expected at least one group");
    a.out_channels = weight->shape[0];
    a.kernel[1] = weight->shape[weight->rank - 1];
    a.kernel[0] = dims == 2 ? weight->shape[2] : 1;
    a.has_bias = tensors[PTF_ROLE_BIAS] != NULL;
    tensors[PTF_ROLE_WEIGHT] = weight;
    return ptf_lower_samples(l, op, &a, "input", dims + 1, tensors);
}

/* "same" pads both sides alike here; other kernels are refused. */
static ptf_status lower_conv_padding(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    return ptf_lower_refuse(l, "padding by name is not supported; export the "
                               "model with numbers as padding");
}

static ptf_status give_linear(ptf_lowering *l, int input,
                              const ptf_tensor *weight, const ptf_tensor *bias)
{
    const ptf_tensor *tensors[PTF_ROLE_COUNT] = {
        [PTF_ROLE_WEIGHT] = weight, [PTF_ROLE_BIAS] = bias};
    ptf_attrs a = ptf_lower_defaults(PTF_OP_LINEAR);
    if (weight == NULL || weight->rank != 2)
        return ptf_lower_refuse(l, "expected a weight of rank 2");
    a.out_channels = weight->shape[0];
    a.in_channels = weight->shape[1];
    a.has_bias = bias != NULL;
    return ptf_lower_give_node(l, PTF_OP_LINEAR, &a, input, tensors);
}

static ptf_status lower_linear(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_tensor *weight, *bias;
    int input;
    ptf_status status = ptf_lower_node(l, "input", &input);
    if (status == PTF_OK)
        status = ptf_lower_tensor(l, "weight", &weight);
    if (status == PTF_OK)
        status = ptf_lower_tensor(l, "bias", &bias);
    return status == PTF_OK ? give_linear(l, input, weight, bias) : status;
}

/* The same numbers with two axes exchanged. */
static ptf_status swap(ptf_lowering *l, const ptf_tensor *old, int a, int b,
                       const ptf_tensor **out)
{
    ptf_tensor *t = ptf_arena_alloc(&l->net->arena, sizeof(*t));
    if (t == NULL)
        return ptf_fail_memory(l->err);
    *t = *old;
    t->shape[a] = old->shape[b];
    t->shape[b] = old->shape[a];
    t->stride[a] = old->stride[b];
    t->stride[b] = old->stride[a];
    *out = t;
    return PTF_OK;
}

/* self + mat1 @ mat2: a Linear where mat2 is constant, its weight turned. */
static ptf_status lower_addmm(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_tensor *weight, *bias;
    double beta, alpha;
    int input;
    ptf_status status = ptf_lower_node(l, "mat1", &input);
    if (status == PTF_OK)
        status = ptf_lower_tensor(l, "mat2", &weight);
    if (status == PTF_OK)
        status = ptf_lower_tensor(l, "self", &bias);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "beta", &beta);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "alpha", &alpha);
    if (status != PTF_OK)
        return status;
    if (weight->rank != 2 || bias->rank != 1 ||
        bias->shape[0] != weight->shape[1] || beta < 1 || beta > 1 ||
        alpha < 1 || alpha > 1)
        return ptf_lower_refuse(l, "expected the product of a Linear layer");
    status = swap(l, weight, 0, 1, &weight);
    return status == PTF_OK ? give_linear(l, input, weight, bias) : status;
}

const ptf_aten_row ptf_aten_product[] = {
    {.target = "aten.conv1d.default", .lower = lower_conv},
    {.target = "aten.conv2d.default", .lower = lower_conv},
    {.target = "aten.convolution.default", .lower = lower_conv},
    {.target = "aten.conv1d.padding", .lower = lower_conv_padding},
    {.target = "aten.conv2d.padding", .lower = lower_conv_padding},
    {.target = "aten.linear.default", .lower = lower_linear},
    {.target = "aten.addmm.default", .lower = lower_addmm},
    {0},
};
