/*
 * Convolutions and linear layers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static bool is_in(const int64_t values[PTF_MAP_AXES], int64_t least)
{
    bool all = true;
    for (int i = 0; i < PTF_MAP_AXES; i++)
        all &= values[i] >= least && values[i] <= INT32_MAX;
    return all;
}

/* "same" and "valid" stay words: the rules turn them into numbers. */
static ptf_status read_padding(ptf_lowering *l, int axes, ptf_attrs *a)
{
    static const char *const words[] = {"same", "valid"};
    const ptf_argument *padding = ptf_program_argument(l->call, "padding");
    if (padding == NULL || padding->kind != PTF_ARGUMENT_TEXT)
        return ptf_lower_ints(l, "padding", axes,
                              a->padding + PTF_MAP_AXES - axes);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(words); i++) {
        if (strcmp(padding->text, words[i]) == 0)
            a->padding_text = words[i];
    }
    return a->padding_text != NULL
               ? PTF_OK
               : ptf_lower_refuse(l, "expected padding 'same' or 'valid'");
}

static ptf_status read_window(ptf_lowering *l, int axes, ptf_attrs *a)
{
    int first = PTF_MAP_AXES - axes;
    ptf_status status = ptf_lower_ints(l, "stride", axes, a->stride + first);
    if (status == PTF_OK)
        status = ptf_lower_ints(l, "dilation", axes, a->dilation + first);
    if (status == PTF_OK)
        status = read_padding(l, axes, a);
    if (status == PTF_OK &&
        ptf_program_argument(l->call, "output_padding") != NULL)
        status = ptf_lower_ints(l, "output_padding", axes,
                                a->output_padding + first);
    if (status != PTF_OK)
        return status;
    if (!is_in(a->stride, 1) || !is_in(a->dilation, 1) ||
        !is_in(a->padding, 0) || !is_in(a->output_padding, 0))
        return ptf_lower_refuse(l, "expected positive strides and dilations, "
                                   "and no negative padding");
    return PTF_OK;
}

/* The op of a weight's rank. */
static ptf_op conv_op(bool transposed, int axes)
{
    static const ptf_op ops[2][PTF_MAP_AXES] = {
        {PTF_OP_CONV1D, PTF_OP_CONV2D, PTF_OP_CONV3D},
        {PTF_OP_CONV_TRANSPOSE1D, PTF_OP_CONV_TRANSPOSE2D,
         PTF_OP_CONV_TRANSPOSE3D},
    };
    return ops[transposed][axes - 1];
}

/* What the weight's shape tells. */
static ptf_status read_channels(ptf_lowering *l, const ptf_tensor *weight,
                                bool transposed, ptf_attrs *a)
{
    int64_t all;
    ptf_status status = ptf_lower_int(l, "groups", &a->groups);
    if (status != PTF_OK)
        return status;
    if (a->groups < 1 || !ptf_mul_i64(weight->shape[1], a->groups, &all))
        return ptf_lower_refuse(l, "expected at least one group");
    a->in_channels = transposed ? weight->shape[0] : all;
    a->out_channels = transposed ? all : weight->shape[0];
    for (int d = 2; d < weight->rank; d++)
        a->kernel[d + PTF_MAP_AXES - weight->rank] = weight->shape[d];
    return PTF_OK;
}

/* A weight or bias that is computed is an operand. */
static bool is_computed(const ptf_lowering *l, const char *name)
{
    const ptf_argument *a = ptf_program_argument(l->call, name);
    return a != NULL && a->kind == PTF_ARGUMENT_VALUE &&
           ptf_lower_raw(l, name) == NULL;
}

ptf_status ptf_lower_add_bias(ptf_lowering *l, const ptf_shape *shape,
                              int *node)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_ADD);
    int in[2] = {*node};
    if (ptf_lower_is_none(l, "bias"))
        return PTF_OK;
    ptf_status status = ptf_lower_node(l, "bias", &in[1]);
    if (status == PTF_OK && l->shapes[in[1]].rank != 1)
        status = ptf_lower_refuse(l, "expected a bias of one axis");
    if (status == PTF_OK && shape != NULL)
        status = ptf_lower_reshape(l, in[1], shape, &in[1]);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_ADD, &attrs, 2, in, NULL, node)
               : status;
}

/* aten.convolution says itself whether it is transposed. */
static ptf_status lower_conv(ptf_lowering *l, const ptf_aten_row *row)
{
    const ptf_tensor *tensors[PTF_ROLE_COUNT] = {NULL}, *weight;
    if (row->op == PTF_OP_CONV2D &&
        (is_computed(l, "weight") || is_computed(l, "bias")))
        return ptf_lower_conv_of_values(l);
    ptf_status status = ptf_lower_tensor(l, "weight", &weight);
    if (status == PTF_OK)
        status = ptf_lower_tensor(l, "bias", &tensors[PTF_ROLE_BIAS]);
    if (status != PTF_OK)
        return status;
    if (weight == NULL || weight->rank < 3 || weight->rank > 2 + PTF_MAP_AXES)
        return ptf_lower_refuse(l, "expected a weight of rank 3, 4 or 5");
    int axes = weight->rank - 2;
    bool transposed = row->reversed || ptf_lower_is_true(l, "transposed");
    ptf_op op = conv_op(transposed, axes);
    ptf_attrs a = ptf_lower_defaults(op);
    status = read_window(l, axes, &a);
    if (status == PTF_OK)
        status = read_channels(l, weight, transposed, &a);
    if (status != PTF_OK)
        return status;
    if (!transposed) /* of which PyTorch takes no notice then */
        memset(a.output_padding, 0, sizeof(a.output_padding));
    a.has_bias = tensors[PTF_ROLE_BIAS] != NULL;
    tensors[PTF_ROLE_WEIGHT] = weight;
    return ptf_lower_samples(l, op, &a, "input", axes + 1, tensors);
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

/* A product of two values, of which the second one is transposed. */
static ptf_status lower_linear_of_values(ptf_lowering *l)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_PERMUTE);
    int in[2], node = -1;
    ptf_status status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "input", &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "weight", &in[1]);
    if (status == PTF_OK && l->shapes[in[1]].rank != 2)
        status = ptf_lower_refuse(l, "expected a weight of rank 2");
    attrs.dims = (ptf_list){2, {2, 1}};
    if (status == PTF_OK)
        status = ptf_lower_add_one(l, PTF_OP_PERMUTE, &attrs, in[1], &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_matmul(l, in[0], in[1], &node);
    if (status == PTF_OK)
        status = ptf_lower_add_bias(l, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status lower_linear(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_tensor *weight, *bias;
    int input;
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    if (is_computed(l, "weight") || is_computed(l, "bias"))
        return lower_linear_of_values(l);
    ptf_status status = ptf_lower_sizes(l, "input", sizes, &rank);
    if (status == PTF_OK && rank < 2) /* the only axis is that of features */
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "input", &input);
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

/* self + mat1 @ mat2: a Linear where both are its parameters, the weight
 * transposed. */
static ptf_status lower_addmm(ptf_lowering *l, const ptf_aten_row *row)
{
    const ptf_tensor *weight = ptf_lower_raw(l, "mat2");
    const ptf_tensor *bias = ptf_lower_raw(l, "self");
    double beta, alpha;
    int input;
    ptf_status status = ptf_lower_number(l, "beta", &beta);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "alpha", &alpha);
    if (status != PTF_OK)
        return status;
    if (weight == NULL || bias == NULL || weight->rank != 2 ||
        bias->rank != 1 || bias->shape[0] != weight->shape[1] || beta < 1 ||
        beta > 1 || alpha < 1 || alpha > 1)
        return ptf_lower_add_product(l, row);
    status = ptf_lower_node(l, "mat1", &input);
    if (status == PTF_OK)
        status = swap(l, weight, 0, 1, &weight);
    return status == PTF_OK ? give_linear(l, input, weight, bias) : status;
}

const ptf_aten_row ptf_aten_product[] = {
    {.target = "aten.conv1d.default", .lower = lower_conv},
    {"aten.conv2d.default", lower_conv, .op = PTF_OP_CONV2D},
    {.target = "aten.conv3d.default", .lower = lower_conv},
    {.target = "aten.conv1d.padding", .lower = lower_conv},
    {.target = "aten.conv2d.padding", .lower = lower_conv},
    {.target = "aten.conv3d.padding", .lower = lower_conv},
    {.target = "aten.convolution.default", .lower = lower_conv},
    {"aten.conv_transpose1d.default", lower_conv, .reversed = true},
    {"aten.conv_transpose2d.input", lower_conv, .reversed = true},
    {"aten.conv_transpose3d.input", lower_conv, .reversed = true},
    {.target = "aten.linear.default", .lower = lower_linear},
    {"aten.addmm.default", lower_addmm, .numbers = {"mat1", "mat2"}},
    {0},
};
