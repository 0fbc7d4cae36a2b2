/*
 * The vocabulary of ATen: which op of ours a call is, and with what
 * attributes.  Operators without a row are refused by name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten.h"
#include "op/attrs.h"

#include <float.h>
#include <math.h>

typedef struct aten_row aten_row;

struct aten_row {
    const char *target;
    ptf_status (*lower)(ptf_lowering *l, const aten_row *row);
    ptf_op op;
    const char *numbers[3]; /* arguments that are attrs.p */
    bool turned;            /* other - self */
};

static ptf_attrs defaults(ptf_op op)
{
    ptf_attrs attrs;
    ptf_attrs_default(op, &attrs);
    attrs.ceil_mode_unspecified = attrs.count_include_pad_unspecified = false;
    return attrs;
}

/* Adds a node that reads one value, and gives it as the result. */
static ptf_status give_node(ptf_lowering *l, ptf_op op, const ptf_attrs *attrs,
                            int input, const ptf_tensor *const *tensors)
{
    int node;
    ptf_status status = ptf_lower_add(l, op, attrs, 1, &input, tensors, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* ------------------------------------------------------------ nothing done */

static ptf_status lower_same(ptf_lowering *l, const aten_row *row)
{
    (void)row;
    const ptf_argument *a = &l->call->arguments[0];
    if (l->call->argument_count < 1 || a->kind != PTF_ARGUMENT_VALUE)
        return ptf_lower_refuse(l, "expected a tensor as its first argument");
    if (l->values[a->value].tensor != NULL)
        return ptf_lower_give_tensor(l, l->values[a->value].tensor);
    int node;
    ptf_status status = ptf_lower_node(l, a->name, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status lower_dropout(ptf_lowering *l, const aten_row *row)
{
    if (ptf_lower_is_true(l, "train"))
        return ptf_lower_refuse(l, "was exported in training mode; call "
                                   "model.eval() before torch.export.export()");
    return lower_same(l, row);
}

/* ------------------------------------------------------------------- sizes */

static ptf_status lower_size(ptf_lowering *l, const aten_row *row)
{
    (void)row;
    int node;
    int64_t axis;
    ptf_status status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "dim", &axis);
    if (status != PTF_OK)
        return status;
    const ptf_shape *shape = &l->shapes[node];
    if (axis < 0)
        axis += shape->rank + 1;
    if (axis < 0 || axis > shape->rank)
        return ptf_lower_refuse(l, "its input has no such dimension");
    if (l->call->result_count > 0 && l->call->results[0] >= 0)
        l->values[l->call->results[0]].number =
            axis == 0 ? -1 : shape->dim[axis - 1];
    return PTF_OK;
}

/* ---------------------------------------------------------------- products */

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

static ptf_status lower_conv(ptf_lowering *l, const aten_row *row)
{
    (void)row;
    const ptf_tensor *tensors[PTF_ROLE_COUNT] = {NULL}, *weight;
    int input;
    ptf_status status = ptf_lower_node(l, "input", &input);
    if (status == PTF_OK)
        status = ptf_lower_tensor(l, "weight", &weight);
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
    ptf_attrs a = defaults(op);
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
    return give_node(l, op, &a, input, tensors);
}

/* "same" pads both sides alike here; other kernels are refused. */
static ptf_status lower_conv_padding(ptf_lowering *l, const aten_row *row)
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
    ptf_attrs a = defaults(PTF_OP_LINEAR);
    if (weight == NULL || weight->rank != 2)
        return ptf_lower_refuse(l, "expected a weight of rank 2");
    a.out_channels = weight->shape[0];
    a.in_channels = weight->shape[1];
    a.has_bias = bias != NULL;
    return give_node(l, PTF_OP_LINEAR, &a, input, tensors);
}

static ptf_status lower_linear(ptf_lowering *l, const aten_row *row)
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
static ptf_status lower_addmm(ptf_lowering *l, const aten_row *row)
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

static ptf_status lower_turn(ptf_lowering *l, const aten_row *row)
{
    (void)row;
    const ptf_tensor *tensor;
    ptf_status status = ptf_lower_tensor(l, "self", &tensor);
    int64_t axes[2] = {1, 0};
    if (status == PTF_OK && !ptf_lower_is_none(l, "dims"))
        status = ptf_lower_ints(l, "dims", 2, axes);
    if (status != PTF_OK)
        return status;
    for (int i = 0; i < 2; i++)
        axes[i] += axes[i] < 0 ? 2 : 0;
    if (tensor->rank != 2 || axes[0] + axes[1] != 1)
        return ptf_lower_refuse(l, "expected a constant of rank 2");
    if (axes[0] == 1)
        status = swap(l, tensor, 0, 1, &tensor);
    return status == PTF_OK ? ptf_lower_give_tensor(l, tensor) : status;
}

/* ------------------------------------------------------------- batch norms */

static ptf_status lower_batch_norm(ptf_lowering *l, const aten_row *row)
{
    (void)row;
    static const struct {
        const char *name;
        ptf_role role;
    } parts[] = {
        {"weight", PTF_ROLE_WEIGHT},
        {"bias", PTF_ROLE_BIAS},
        {"running_mean", PTF_ROLE_RUNNING_MEAN},
        {"running_var", PTF_ROLE_RUNNING_VAR},
    };
    const ptf_tensor *tensors[PTF_ROLE_COUNT] = {NULL};
    int input;
    ptf_status status = ptf_lower_node(l, "input", &input);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(parts) && status == PTF_OK; i++)
        status = ptf_lower_tensor(l, parts[i].name, &tensors[parts[i].role]);
    if (status != PTF_OK)
        return status;
    const ptf_tensor *mean = tensors[PTF_ROLE_RUNNING_MEAN];
    if (ptf_lower_is_true(l, "training") || mean == NULL || mean->rank != 1 ||
        tensors[PTF_ROLE_RUNNING_VAR] == NULL)
        return ptf_lower_refuse(l, "normalises by the batch itself; call "
                                   "model.eval() before torch.export.export()");
    int rank = l->shapes[input].rank;
    ptf_op op = rank == 3 ? PTF_OP_BATCHNORM2D : PTF_OP_BATCHNORM1D;
    ptf_attrs a = defaults(op);
    a.in_channels = a.out_channels = mean->shape[0];
    a.affine = tensors[PTF_ROLE_WEIGHT] != NULL;
    a.has_bias = tensors[PTF_ROLE_BIAS] != NULL;
    if (a.has_bias && !a.affine)
        return ptf_lower_refuse(l, "a bias without a weight");
    status = ptf_lower_number(l, "eps", &a.eps);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "momentum", &a.momentum);
    return status == PTF_OK ? give_node(l, op, &a, input, tensors) : status;
}

/* ----------------------------------------------------- unary, softmax, pool */

/* What is divided by must be a number that f32 holds with all its bits. */
static ptf_status check_divisors(ptf_lowering *l, ptf_op op, const ptf_attrs *a)
{
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        if ((f->flags & PTF_FIELD_DIVISOR) == 0)
            continue;
        double size =
            fabs(*(const double *)(const void *)((const char *)a + f->at));
        if (!(size >= (double)FLT_MIN && size <= (double)FLT_MAX))
            return ptf_lower_refuse(l, "its %s is no normal float32", f->name);
    }
    return PTF_OK;
}

static ptf_status lower_unary(ptf_lowering *l, const aten_row *row)
{
    ptf_attrs a = defaults(row->op);
    int input;
    ptf_status status = ptf_lower_node(l, l->call->arguments[0].name, &input);
    for (int i = 0; i < 3 && row->numbers[i] != NULL && status == PTF_OK; i++)
        status = ptf_lower_number(l, row->numbers[i], &a.p[i]);
    if (status == PTF_OK)
        status = check_divisors(l, row->op, &a);
    return status == PTF_OK ? give_node(l, row->op, &a, input, NULL) : status;
}

static ptf_status lower_gelu(ptf_lowering *l, const aten_row *row)
{
    ptf_attrs a = defaults(row->op);
    int input;
    const ptf_argument *how = ptf_program_argument(l->call, "approximate");
    ptf_status status = ptf_lower_node(l, "self", &input);
    bool tanh = how != NULL && how->kind == PTF_ARGUMENT_TEXT &&
                strcmp(how->text, "tanh") == 0;
    bool none = how != NULL && how->kind == PTF_ARGUMENT_TEXT &&
                strcmp(how->text, "none") == 0;
    if (status == PTF_OK && !tanh && !none)
        status = ptf_lower_refuse(l, "expected approximate 'none' or 'tanh'");
    a.p[0] = tanh;
    return status == PTF_OK ? give_node(l, row->op, &a, input, NULL) : status;
}

static ptf_status lower_softmax(ptf_lowering *l, const aten_row *row)
{
    ptf_attrs a = defaults(row->op);
    int input;
    ptf_status status = ptf_lower_node(l, "self", &input);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "dim", &a.dim);
    if (status == PTF_OK && (!ptf_lower_is_none(l, "dtype") ||
                             ptf_lower_is_true(l, "half_to_float")))
        status = ptf_lower_refuse(l, "converts to another dtype");
    a.dim_none = false;
    return status == PTF_OK ? give_node(l, row->op, &a, input, NULL) : status;
}

static ptf_status lower_pool(ptf_lowering *l, const aten_row *row)
{
    bool max = row->op == PTF_OP_MAXPOOL2D;
    ptf_attrs a = defaults(row->op);
    int input;
    ptf_status status = ptf_lower_node(l, "self", &input);
    if (status == PTF_OK)
        status = ptf_lower_ints(l, "kernel_size", 2, a.kernel);
    if (status == PTF_OK)
        status = ptf_lower_ints(
            l, ptf_lower_is_none(l, "stride") ? "kernel_size" : "stride", 2,
            a.stride);
    if (status == PTF_OK)
        status = ptf_lower_ints(l, "padding", 2, a.padding);
    if (status == PTF_OK && max)
        status = ptf_lower_ints(l, "dilation", 2, a.dilation);
    a.ceil_mode = ptf_lower_is_true(l, "ceil_mode");
    a.count_include_pad = ptf_lower_is_true(l, "count_include_pad");
    for (int i = 0; i < 2 && status == PTF_OK; i++) {
        if (a.kernel[i] < 1 || a.stride[i] < 1 || a.dilation[i] < 1 ||
            a.padding[i] < 0 || a.kernel[i] > INT32_MAX ||
            a.stride[i] > INT32_MAX || a.dilation[i] > INT32_MAX)
            status = ptf_lower_refuse(l, "expected a window of at least 1");
    }
    if (status == PTF_OK && !ptf_lower_is_none(l, "divisor_override"))
        status = ptf_lower_refuse(l, "divisor_override is not supported");
    return status == PTF_OK ? give_node(l, row->op, &a, input, NULL) : status;
}

static ptf_status lower_adaptive(ptf_lowering *l, const aten_row *row)
{
    ptf_attrs a = defaults(row->op);
    int input;
    ptf_status status = ptf_lower_node(l, "self", &input);
    if (status == PTF_OK)
        status = ptf_lower_ints(l, "output_size", 2, a.output_size);
    if (status == PTF_OK && (a.output_size[0] < 1 || a.output_size[1] < 1))
        status = ptf_lower_refuse(l, "expected an output of at least 1x1");
    return status == PTF_OK ? give_node(l, row->op, &a, input, NULL) : status;
}

/* ------------------------------------------------------------------- views */

static ptf_status lower_flatten(ptf_lowering *l, const aten_row *row)
{
    ptf_attrs a = defaults(row->op);
    int input;
    ptf_status status = ptf_lower_node(l, "self", &input);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "start_dim", &a.start_dim);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "end_dim", &a.end_dim);
    return status == PTF_OK ? give_node(l, row->op, &a, input, NULL) : status;
}

/* Of reshapes only those that flatten all of a sample. */
static ptf_status lower_reshape(ptf_lowering *l, const aten_row *row)
{
    (void)row;
    ptf_attrs a = defaults(PTF_OP_FLATTEN);
    const ptf_program_value *v = &l->program->graph.values[l->call->results[0]];
    int input;
    ptf_status status = ptf_lower_node(l, "self", &input);
    if (status == PTF_OK && v->rank != 2)
        status = ptf_lower_refuse(l,
                                  "reshapes to %d axes; ptfold flattens "
                                  "samples only",
                                  v->rank);
    return status == PTF_OK ? give_node(l, PTF_OP_FLATTEN, &a, input, NULL)
                            : status;
}

/* --------------------------------------------------------- binary, concat */

/* A number as a constant. */
static ptf_status scalar(ptf_lowering *l, double number, int *out)
{
    float *data = ptf_arena_alloc(&l->net->arena, sizeof(*data));
    ptf_tensor t = {.dtype = PTF_DTYPE_F32, .data = data};
    if (data == NULL)
        return ptf_fail_memory(l->err);
    *data = (float)number;
    return ptf_lower_constant(l, &t, 1, out);
}

static ptf_status lower_binary(ptf_lowering *l, const aten_row *row)
{
    ptf_attrs a = defaults(row->op);
    int in[2], node;
    const ptf_argument *other = ptf_program_argument(l->call, "other");
    double number = 1;
    ptf_status status = ptf_lower_node(l, "self", &in[0]);
    if (status == PTF_OK && ptf_program_argument(l->call, "alpha") != NULL)
        status = ptf_lower_number(l, "alpha", &number);
    if (status == PTF_OK && (number < 1 || number > 1))
        status = ptf_lower_refuse(l, "alpha is not 1");
    if (status == PTF_OK && !ptf_lower_is_none(l, "rounding_mode"))
        status = ptf_lower_refuse(l, "rounds its quotient");
    if (status != PTF_OK)
        return status;
    if (other != NULL && other->kind == PTF_ARGUMENT_VALUE) {
        status = ptf_lower_node(l, "other", &in[1]);
    } else {
        status = ptf_lower_number(l, "other", &number);
        if (status == PTF_OK)
            status = scalar(l, number, &in[1]);
    }
    /* Values without a batch axis of their own are aligned with it. */
    bool both = status == PTF_OK &&
                l->net->nodes[in[0]].op != PTF_OP_CONSTANT &&
                l->net->nodes[in[1]].op != PTF_OP_CONSTANT;
    if (both && l->shapes[in[0]].rank != l->shapes[in[1]].rank)
        status = ptf_lower_refuse(l, "its inputs have different ranks, so that "
                                     "it mixes the samples of a batch");
    if (row->turned) {
        int first = in[0];
        in[0] = in[1];
        in[1] = first;
    }
    if (status == PTF_OK)
        status = ptf_lower_add(l, row->op, &a, 2, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status lower_concat(ptf_lowering *l, const aten_row *row)
{
    ptf_attrs a = defaults(row->op);
    int *in, count, node;
    ptf_status status = ptf_lower_nodes(l, "tensors", &in, &count);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "dim", &a.dim);
    if (status == PTF_OK && (a.dim < -PTF_SHAPE_MAX || a.dim > PTF_SHAPE_MAX))
        status = ptf_lower_refuse(l, "its inputs have no such dimension");
    if (status == PTF_OK && count > PTF_OPERANDS_MAX)
        status =
            ptf_lower_refuse(l, "joins more than %d tensors", PTF_OPERANDS_MAX);
    if (status == PTF_OK)
        status = ptf_lower_add(l, row->op, &a, count, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* ---------------------------------------------------------------- the table */

static const aten_row rows[] = {
    {.target = "aten.conv1d.default", .lower = lower_conv},
    {.target = "aten.conv2d.default", .lower = lower_conv},
    {.target = "aten.convolution.default", .lower = lower_conv},
    {.target = "aten.conv1d.padding", .lower = lower_conv_padding},
    {.target = "aten.conv2d.padding", .lower = lower_conv_padding},
    {.target = "aten.linear.default", .lower = lower_linear},
    {.target = "aten.addmm.default", .lower = lower_addmm},
    {.target = "aten.batch_norm.default", .lower = lower_batch_norm},
    {.target = "aten._native_batch_norm_legit_no_training.default",
     .lower = lower_batch_norm},
    {"aten.relu.default", lower_unary, .op = PTF_OP_RELU},
    {"aten.leaky_relu.default", lower_unary, .op = PTF_OP_LEAKY_RELU,
     .numbers = {"negative_slope"}},
    {"aten.sigmoid.default", lower_unary, .op = PTF_OP_SIGMOID},
    {"aten.tanh.default", lower_unary, .op = PTF_OP_TANH},
    {"aten.softplus.default", lower_unary, .op = PTF_OP_SOFTPLUS,
     .numbers = {"beta", "threshold"}},
    {"aten.hardsigmoid.default", lower_unary, .op = PTF_OP_HARDSIGMOID},
    {"aten.log_sigmoid.default", lower_unary, .op = PTF_OP_LOG_SIGMOID},
    {"aten.relu6.default", lower_unary, .op = PTF_OP_RELU6},
    {"aten.hardtanh.default", lower_unary, .op = PTF_OP_HARDTANH,
     .numbers = {"min_val", "max_val"}},
    {"aten.silu.default", lower_unary, .op = PTF_OP_SILU},
    {"aten.gelu.default", lower_gelu, .op = PTF_OP_GELU},
    {"aten.hardswish.default", lower_unary, .op = PTF_OP_HARDSWISH},
    {"aten.mish.default", lower_unary, .op = PTF_OP_MISH},
    {"aten.exp.default", lower_unary, .op = PTF_OP_EXP},
    {"aten.log.default", lower_unary, .op = PTF_OP_LOG},
    {"aten.sqrt.default", lower_unary, .op = PTF_OP_SQRT},
    {"aten.rsqrt.default", lower_unary, .op = PTF_OP_RSQRT},
    {"aten.abs.default", lower_unary, .op = PTF_OP_ABS},
    {"aten.neg.default", lower_unary, .op = PTF_OP_NEG},
    {"aten.erf.default", lower_unary, .op = PTF_OP_ERF},
    {"aten.selu.default", lower_unary, .op = PTF_OP_SELU},
    {"aten.celu.default", lower_unary, .op = PTF_OP_CELU, .numbers = {"alpha"}},
    {"aten.threshold.default", lower_unary, .op = PTF_OP_THRESHOLD,
     .numbers = {"threshold", "value"}},
    {"aten.reciprocal.default", lower_unary, .op = PTF_OP_RECIPROCAL},
    {"aten.floor.default", lower_unary, .op = PTF_OP_FLOOR},
    {"aten.log1p.default", lower_unary, .op = PTF_OP_LOG1P},
    {"aten.expm1.default", lower_unary, .op = PTF_OP_EXPM1},
    {"aten.softmax.int", lower_softmax, .op = PTF_OP_SOFTMAX},
    {"aten._softmax.default", lower_softmax, .op = PTF_OP_SOFTMAX},
    {"aten.max_pool2d.default", lower_pool, .op = PTF_OP_MAXPOOL2D},
    {"aten.max_pool2d_with_indices.default", lower_pool,
     .op = PTF_OP_MAXPOOL2D},
    {"aten.avg_pool2d.default", lower_pool, .op = PTF_OP_AVGPOOL2D},
    {"aten.adaptive_avg_pool2d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_AVGPOOL2D},
    {"aten._adaptive_avg_pool2d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_AVGPOOL2D},
    {"aten.flatten.using_ints", lower_flatten, .op = PTF_OP_FLATTEN},
    {.target = "aten.view.default", .lower = lower_reshape},
    {.target = "aten.reshape.default", .lower = lower_reshape},
    {.target = "aten._unsafe_view.default", .lower = lower_reshape},
    {"aten.add.Tensor", lower_binary, .op = PTF_OP_ADD},
    {"aten.add.Scalar", lower_binary, .op = PTF_OP_ADD},
    {"aten.sub.Tensor", lower_binary, .op = PTF_OP_SUB},
    {"aten.sub.Scalar", lower_binary, .op = PTF_OP_SUB},
    {"aten.rsub.Scalar", lower_binary, .op = PTF_OP_SUB, .turned = true},
    {"aten.rsub.Tensor", lower_binary, .op = PTF_OP_SUB, .turned = true},
    {"aten.mul.Tensor", lower_binary, .op = PTF_OP_MUL},
    {"aten.mul.Scalar", lower_binary, .op = PTF_OP_MUL},
    {"aten.div.Tensor", lower_binary, .op = PTF_OP_DIV},
    {"aten.div.Scalar", lower_binary, .op = PTF_OP_DIV},
    {"aten.maximum.default", lower_binary, .op = PTF_OP_MAXIMUM},
    {"aten.minimum.default", lower_binary, .op = PTF_OP_MINIMUM},
    {"aten.cat.default", lower_concat, .op = PTF_OP_CONCAT},
    {.target = "aten.t.default", .lower = lower_turn},
    {.target = "aten.permute.default", .lower = lower_turn},
    {.target = "aten.dropout.default", .lower = lower_dropout},
    {.target = "aten.feature_dropout.default", .lower = lower_dropout},
    {.target = "aten.alias.default", .lower = lower_same},
    {.target = "aten.clone.default", .lower = lower_same},
    {.target = "aten.contiguous.default", .lower = lower_same},
    {.target = "aten.detach.default", .lower = lower_same},
    {.target = "aten.lift_fresh_copy.default", .lower = lower_same},
    {.target = "aten.sym_size.int", .lower = lower_size},
};

ptf_status ptf_aten_lower(ptf_lowering *l, const char *target)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].target, target) == 0)
            return rows[i].lower(l, &rows[i]);
    }
    return ptf_lower_refuse(l, "is an operator that ptfold does not support");
}
