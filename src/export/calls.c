/*
 * The calls of ATen that ops are: the inverse of import/aten/.  A row names the
 * operator; its schema says which arguments there are.  Each is an operand or a
 * parameter of the node, or the attribute of that name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/compose.h"
#include "op/attrs.h"

#include <math.h>

/* What operands are converted to, and what the result is of. */
typedef enum call_kind {
    FLOATS,     /* of f32, as all that is computed */
    MOVES,      /* of any dtype, which the operands have and the result keeps */
    ARITHMETIC, /* integers of integers, or f32; not of bools */
    TRUTHS,     /* of any dtype; gives bools */
    POSITIONS,  /* of f32; gives int64 */
} call_kind;

typedef struct call_row {
    const char *target;
    call_kind kind;
} call_row;

/* Ops that are not here are written below, or are no call. */
static const call_row rows[PTF_OP_COUNT] = {
    [PTF_OP_CONV1D] = {"aten.conv1d.default", FLOATS},
    [PTF_OP_CONV2D] = {"aten.conv2d.default", FLOATS},
    [PTF_OP_CONV3D] = {"aten.conv3d.default", FLOATS},
    [PTF_OP_CONV_TRANSPOSE1D] = {"aten.conv_transpose1d.default", FLOATS},
    [PTF_OP_CONV_TRANSPOSE2D] = {"aten.conv_transpose2d.input", FLOATS},
    [PTF_OP_CONV_TRANSPOSE3D] = {"aten.conv_transpose3d.input", FLOATS},
    [PTF_OP_BATCHNORM1D] = {"aten.batch_norm.default", FLOATS},
    [PTF_OP_BATCHNORM2D] = {"aten.batch_norm.default", FLOATS},
    [PTF_OP_BATCHNORM3D] = {"aten.batch_norm.default", FLOATS},
    [PTF_OP_LAYER_NORM] = {"aten.layer_norm.default", FLOATS},
    [PTF_OP_GROUP_NORM] = {"aten.group_norm.default", FLOATS},
    [PTF_OP_INSTANCE_NORM1D] = {"aten.instance_norm.default", FLOATS},
    [PTF_OP_INSTANCE_NORM2D] = {"aten.instance_norm.default", FLOATS},
    [PTF_OP_INSTANCE_NORM3D] = {"aten.instance_norm.default", FLOATS},
    [PTF_OP_RMS_NORM] = {"aten.rms_norm.default", FLOATS},
    [PTF_OP_LINEAR] = {"aten.linear.default", FLOATS},
    [PTF_OP_RELU] = {"aten.relu.default", ARITHMETIC},
    [PTF_OP_LEAKY_RELU] = {"aten.leaky_relu.default", FLOATS},
    [PTF_OP_SIGMOID] = {"aten.sigmoid.default", FLOATS},
    [PTF_OP_TANH] = {"aten.tanh.default", FLOATS},
    [PTF_OP_SOFTPLUS] = {"aten.softplus.default", FLOATS},
    [PTF_OP_HARDSIGMOID] = {"aten.hardsigmoid.default", FLOATS},
    [PTF_OP_LOG_SIGMOID] = {"aten.log_sigmoid.default", FLOATS},
    [PTF_OP_RELU6] = {"aten.relu6.default", FLOATS},
    [PTF_OP_HARDTANH] = {"aten.hardtanh.default", FLOATS},
    [PTF_OP_SILU] = {"aten.silu.default", FLOATS},
    [PTF_OP_GELU] = {"aten.gelu.default", FLOATS},
    [PTF_OP_HARDSWISH] = {"aten.hardswish.default", FLOATS},
    [PTF_OP_ELU] = {"aten.elu.default", FLOATS},
    [PTF_OP_MISH] = {"aten.mish.default", FLOATS},
    [PTF_OP_EXP] = {"aten.exp.default", FLOATS},
    [PTF_OP_LOG] = {"aten.log.default", FLOATS},
    [PTF_OP_SQRT] = {"aten.sqrt.default", FLOATS},
    [PTF_OP_RSQRT] = {"aten.rsqrt.default", FLOATS},
    [PTF_OP_ABS] = {"aten.abs.default", ARITHMETIC},
    [PTF_OP_NEG] = {"aten.neg.default", ARITHMETIC},
    [PTF_OP_ERF] = {"aten.erf.default", FLOATS},
    [PTF_OP_POW] = {"aten.pow.Tensor_Scalar", FLOATS},
    [PTF_OP_CLAMP] = {"aten.clamp.default", ARITHMETIC},
    [PTF_OP_CELU] = {"aten.celu.default", FLOATS},
    [PTF_OP_SELU] = {"aten.selu.default", FLOATS},
    [PTF_OP_THRESHOLD] = {"aten.threshold.default", FLOATS},
    [PTF_OP_RECIPROCAL] = {"aten.reciprocal.default", FLOATS},
    [PTF_OP_FLOOR] = {"aten.floor.default", FLOATS},
    [PTF_OP_LOG1P] = {"aten.log1p.default", FLOATS},
    [PTF_OP_EXPM1] = {"aten.expm1.default", FLOATS},
    [PTF_OP_SIGN] = {"aten.sign.default", ARITHMETIC},
    [PTF_OP_CEIL] = {"aten.ceil.default", FLOATS},
    [PTF_OP_ROUND] = {"aten.round.default", FLOATS},
    [PTF_OP_TRUNC] = {"aten.trunc.default", FLOATS},
    [PTF_OP_LOGICAL_NOT] = {"aten.logical_not.default", TRUTHS},
    [PTF_OP_ISNAN] = {"aten.isnan.default", TRUTHS},
    [PTF_OP_ISINF] = {"aten.isinf.default", TRUTHS},
    [PTF_OP_SIN] = {"aten.sin.default", FLOATS},
    [PTF_OP_COS] = {"aten.cos.default", FLOATS},
    [PTF_OP_LOG2] = {"aten.log2.default", FLOATS},
    [PTF_OP_EXP2] = {"aten.exp2.default", FLOATS},
    [PTF_OP_SOFTMAX] = {"aten.softmax.int", FLOATS},
    [PTF_OP_LOG_SOFTMAX] = {"aten.log_softmax.int", FLOATS},
    [PTF_OP_MAXPOOL1D] = {"aten.max_pool1d.default", FLOATS},
    [PTF_OP_MAXPOOL2D] = {"aten.max_pool2d.default", FLOATS},
    [PTF_OP_MAXPOOL3D] = {"aten.max_pool3d.default", FLOATS},
    [PTF_OP_AVGPOOL1D] = {"aten.avg_pool1d.default", FLOATS},
    [PTF_OP_AVGPOOL2D] = {"aten.avg_pool2d.default", FLOATS},
    [PTF_OP_AVGPOOL3D] = {"aten.avg_pool3d.default", FLOATS},
    [PTF_OP_ADAPTIVE_AVGPOOL1D] = {"aten.adaptive_avg_pool1d.default", FLOATS},
    [PTF_OP_ADAPTIVE_AVGPOOL2D] = {"aten.adaptive_avg_pool2d.default", FLOATS},
    [PTF_OP_ADAPTIVE_AVGPOOL3D] = {"aten.adaptive_avg_pool3d.default", FLOATS},
    [PTF_OP_ADAPTIVE_MAXPOOL1D] = {"aten.adaptive_max_pool1d.default", FLOATS},
    [PTF_OP_ADAPTIVE_MAXPOOL2D] = {"aten.adaptive_max_pool2d.default", FLOATS},
    [PTF_OP_ADAPTIVE_MAXPOOL3D] = {"aten.adaptive_max_pool3d.default", FLOATS},
    [PTF_OP_PERMUTE] = {"aten.permute.default", MOVES},
    [PTF_OP_ADD] = {"aten.add.Tensor", ARITHMETIC},
    [PTF_OP_SUB] = {"aten.sub.Tensor", ARITHMETIC},
    [PTF_OP_MUL] = {"aten.mul.Tensor", ARITHMETIC},
    [PTF_OP_DIV] = {"aten.div.Tensor", FLOATS},
    [PTF_OP_MAXIMUM] = {"aten.maximum.default", ARITHMETIC},
    [PTF_OP_MINIMUM] = {"aten.minimum.default", ARITHMETIC},
    [PTF_OP_EQ] = {"aten.eq.Tensor", TRUTHS},
    [PTF_OP_NE] = {"aten.ne.Tensor", TRUTHS},
    [PTF_OP_LT] = {"aten.lt.Tensor", TRUTHS},
    [PTF_OP_LE] = {"aten.le.Tensor", TRUTHS},
    [PTF_OP_GT] = {"aten.gt.Tensor", TRUTHS},
    [PTF_OP_GE] = {"aten.ge.Tensor", TRUTHS},
    [PTF_OP_LOGICAL_AND] = {"aten.logical_and.default", TRUTHS},
    [PTF_OP_LOGICAL_OR] = {"aten.logical_or.default", TRUTHS},
    [PTF_OP_LOGICAL_XOR] = {"aten.logical_xor.default", TRUTHS},
    [PTF_OP_REMAINDER] = {"aten.remainder.Tensor", ARITHMETIC},
    [PTF_OP_FMOD] = {"aten.fmod.Tensor", ARITHMETIC},
    [PTF_OP_FLOOR_DIVIDE] = {"aten.floor_divide.default", ARITHMETIC},
    [PTF_OP_POWER] = {"aten.pow.Tensor_Tensor", FLOATS},
    [PTF_OP_MATMUL] = {"aten.matmul.default", FLOATS},
    [PTF_OP_CONCAT] = {"aten.cat.default", MOVES},
    [PTF_OP_SUM] = {"aten.sum.dim_IntList", ARITHMETIC},
    [PTF_OP_MEAN] = {"aten.mean.dim", FLOATS},
    [PTF_OP_AMAX] = {"aten.amax.default", MOVES},
    [PTF_OP_AMIN] = {"aten.amin.default", MOVES},
    [PTF_OP_PAD] = {"aten.pad.default", FLOATS},
    [PTF_OP_VAR] = {"aten.var.correction", FLOATS},
    [PTF_OP_STD] = {"aten.std.correction", FLOATS},
    [PTF_OP_VECTOR_NORM] = {"aten.linalg_vector_norm.default", FLOATS},
    [PTF_OP_LOGSUMEXP] = {"aten.logsumexp.default", FLOATS},
};

/* Arguments whose attribute has another name. */
static const struct {
    ptf_op op;
    const char *argument, *attribute;
} renamed[] = {
    {PTF_OP_PAD, "pad", "padding"},
    {PTF_OP_SUM, "dim", "dims"},
    {PTF_OP_MEAN, "dim", "dims"},
    {PTF_OP_AMAX, "dim", "dims"},
    {PTF_OP_AMIN, "dim", "dims"},
    {PTF_OP_VAR, "dim", "dims"},
    {PTF_OP_STD, "dim", "dims"},
    {PTF_OP_VECTOR_NORM, "dim", "dims"},
    {PTF_OP_LOGSUMEXP, "dim", "dims"},
    {PTF_OP_ARGSORT, "largest", "descending"},
    {PTF_OP_UPSAMPLE, "output_size", "size"},
    {PTF_OP_UPSAMPLE, "scale_factors", "scale_factor"},
};

/* Arguments that are the same in all calls, where no attribute has the name. */
static const struct {
    const char *name;
    bool value;
} constant[] = {
    {"training", false}, {"cudnn_enabled", false}, {"cudnn_enable", false},
    {"keepdim", true},   {"stable", true},         {"use_input_stats", true},
};

/* ------------------------------------------------------------------- dtypes */

static bool is_integer(ptf_dtype dtype)
{
    return dtype >= PTF_DTYPE_I8 && dtype <= PTF_DTYPE_U64;
}

/* A constant of integers stands for any that are wanted. */
static bool can_be_integer(ptf_composing *c, int operand)
{
    const ptf_composed *v = ptf_compose_operand(c, operand);
    return is_integer(v->dtype) ||
           ptf_compose_is_whole(&c->net->nodes[c->node->inputs[operand]]);
}

/* int64 where all operands can be, and one is. */
static bool are_integers(ptf_composing *c)
{
    bool some = false, all = true;
    for (int i = 0; i < c->node->input_count; i++) {
        some = some || is_integer(ptf_compose_operand(c, i)->dtype);
        all = all && can_be_integer(c, i);
    }
    return some && all;
}

static ptf_dtype common(ptf_composing *c, int first)
{
    ptf_dtype dtype = ptf_compose_operand(c, first)->dtype;
    for (int i = first + 1; i < c->node->input_count; i++) {
        if (ptf_compose_operand(c, i)->dtype != dtype)
            return are_integers(c) ? PTF_DTYPE_I64 : PTF_DTYPE_F32;
    }
    return dtype;
}

/* What the operands are converted to. */
static ptf_dtype wanted(ptf_composing *c, call_kind kind)
{
    if (kind == MOVES || kind == TRUTHS)
        return common(c, 0);
    if (kind == ARITHMETIC && are_integers(c))
        return PTF_DTYPE_I64;
    return PTF_DTYPE_F32;
}

static ptf_dtype given(call_kind kind, ptf_dtype wanted)
{
    return kind == TRUTHS      ? PTF_DTYPE_BOOL
           : kind == POSITIONS ? PTF_DTYPE_I64
                               : wanted;
}

/* ---------------------------------------------------------------- arguments */

/* Axes count the batch; without one, they count from 0. */
static int64_t axis_of(const ptf_composing *c, int64_t axis)
{
    return c->batched ? axis : axis - 1;
}

/* A permutation has the batch in front of it. */
static json_t *axes_of(const ptf_composing *c, const ptf_list *axes)
{
    int more = c->batched && c->node->op == PTF_OP_PERMUTE;
    int64_t list[PTF_SHAPE_MAX + 1] = {0};
    for (int i = 0; i < axes->count; i++)
        list[i + more] = axis_of(c, axes->at[i]);
    return ptf_compose_ints(list, axes->count + more);
}

static json_t *sizes_of(const ptf_composing *c, const int64_t *all)
{
    int axes = ptf_op_map_axes(c->node->op);
    return ptf_compose_ints(all + PTF_MAP_AXES - axes, axes);
}

static json_t *word(const char *text)
{
    return json_pack("{s:s}", "as_string", text);
}

static json_t *truth(bool value)
{
    return json_pack("{s:b}", "as_bool", value);
}

static json_t *factors_of(const ptf_factors *scale)
{
    json_t *list = json_array();
    for (int d = 0; d < scale->count; d++)
        json_array_append_new(list, json_real(scale->at[d]));
    return json_pack("{s:o}", "as_floats", list);
}

/* Numbers of a call on integers are integers. */
static json_t *number(ptf_dtype dtype, double value)
{
    return dtype == PTF_DTYPE_F32 ? ptf_compose_float(value)
                                  : ptf_compose_int((int64_t)value);
}

/* None where it is the usual thing, which the call may leave open. */
static bool is_none(const ptf_composing *c, const ptf_field *f, const void *at,
                    bool is_optional)
{
    const char *attrs = (const char *)&c->attrs;
    switch (f->kind) {
    case PTF_FIELD_KIND_INT:
        return (f->flags & PTF_FIELD_NONE_IS_0) != 0 &&
               *(const int64_t *)at == 0;
    case PTF_FIELD_KIND_FLOAT:
        return (c->node->op == PTF_OP_CLAMP && isinf(*(const double *)at)) ||
               (f->none_at != 0 && *(const bool *)(attrs + f->none_at));
    case PTF_FIELD_KIND_LIST:
        return is_optional && ((const ptf_list *)at)->count == 0;
    case PTF_FIELD_KIND_FACTORS: return ((const ptf_factors *)at)->count == 0;
    case PTF_FIELD_KIND_SIZES:
    case PTF_FIELD_KIND_PADDING:
    case PTF_FIELD_KIND_BOOL:
    case PTF_FIELD_KIND_PADS:
    case PTF_FIELD_KIND_WORD:
    case PTF_FIELD_KIND_MODE: break;
    }
    return false;
}

static json_t *attribute_of(const ptf_composing *c, const ptf_field *f,
                            const void *at, ptf_dtype dtype)
{
    const ptf_list *list = at;
    const ptf_pads *pads = at;
    bool is_axis = strcmp(f->name, "dim") == 0;
    switch (f->kind) {
    case PTF_FIELD_KIND_INT:
        return ptf_compose_int(is_axis ? axis_of(c, *(const int64_t *)at)
                                       : *(const int64_t *)at);
    case PTF_FIELD_KIND_PADDING:
        return c->attrs.padding_text != NULL ? word(c->attrs.padding_text)
                                             : sizes_of(c, at);
    case PTF_FIELD_KIND_SIZES: return sizes_of(c, at);
    case PTF_FIELD_KIND_FLOAT: return number(dtype, *(const double *)at);
    case PTF_FIELD_KIND_BOOL: return truth(*(const bool *)at);
    case PTF_FIELD_KIND_LIST:
        return strcmp(f->name, "dims") == 0
                   ? axes_of(c, list)
                   : ptf_compose_ints(list->at, list->count);
    case PTF_FIELD_KIND_PADS: return ptf_compose_ints(pads->at, pads->count);
    case PTF_FIELD_KIND_FACTORS: return factors_of(at);
    case PTF_FIELD_KIND_WORD: return word(f->words[(int)*(const double *)at]);
    case PTF_FIELD_KIND_MODE: break;
    }
    return ptf_compose_none();
}

static const ptf_field *field_of(ptf_op op, const char *argument)
{
    const char *name = argument;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(renamed); i++) {
        if (renamed[i].op == op && strcmp(renamed[i].argument, argument) == 0)
            name = renamed[i].attribute;
    }
    return ptf_field_find(op, (ptf_text_span){name, strlen(name)});
}

/* All operands, with a batch each where the result has one. */
static json_t *operands_of(ptf_composing *c, ptf_dtype dtype)
{
    json_t *list = json_array();
    for (int i = 0; i < c->node->input_count; i++) {
        ptf_composed own = *ptf_compose_operand(c, i);
        own.name = ptf_compose_as(c, ptf_compose_operand(c, i), dtype);
        own.dtype = dtype;
        json_array_append_new(
            list, json_pack("{s:s}", "name", ptf_compose_for_batch(c, &own)));
    }
    return json_pack("{s:o}", "as_tensors", list);
}

/* Calls that take no sample without a batch. */
static bool needs_batch(ptf_op op)
{
    static const bool some[PTF_OP_COUNT] = {
        [PTF_OP_BATCHNORM1D] = true,     [PTF_OP_BATCHNORM2D] = true,
        [PTF_OP_BATCHNORM3D] = true,     [PTF_OP_GROUP_NORM] = true,
        [PTF_OP_INSTANCE_NORM1D] = true, [PTF_OP_INSTANCE_NORM2D] = true,
        [PTF_OP_INSTANCE_NORM3D] = true, [PTF_OP_UPSAMPLE] = true,
    };
    return some[op];
}

static json_t *operand_of(ptf_composing *c, int index, ptf_dtype dtype)
{
    ptf_composed *v = ptf_compose_operand(c, index);
    const char *name = ptf_compose_as(c, v, dtype);
    if (needs_batch(c->node->op) && !v->has_batch) {
        ptf_composed own = *v;
        own.dtype = dtype;
        name = ptf_compose_turn(c, name, &own, true);
    }
    return ptf_compose_value(name);
}

/* The call's result is what the node is. */
static void give(ptf_composing *c, const char *target, json_t *arguments,
                 ptf_dtype dtype)
{
    ptf_composed *out = &c->values[c->index];
    const char *name = c->node->name;
    bool turned = needs_batch(c->node->op) && !c->batched;
    *out = (ptf_composed){.dtype = dtype,
                          .shape = c->shapes[c->index],
                          .has_batch = c->batched || turned};
    if (name == NULL || name[0] == '\0')
        name = ptf_op_info(c->node->op)->name;
    ptf_compose_call(c, target, arguments, name, out);
    if (turned) {
        out->name = ptf_compose_turn(c, out->name, out, false);
        out->has_batch = false;
    }
}

/* A parameter of that name, which may not be there; NULL for another name. */
static json_t *parameter_of(ptf_composing *c, const char *name)
{
    for (ptf_role role = PTF_ROLE_WEIGHT; role < PTF_ROLE_COUNT; role++) {
        bool learned = role == PTF_ROLE_WEIGHT || role == PTF_ROLE_BIAS;
        if (strcmp(ptf_role_name(role), name) != 0)
            continue;
        const char *value =
            ptf_compose_tensor(c, c->node->tensors[role], learned, NULL);
        return value != NULL ? ptf_compose_value(value) : ptf_compose_none();
    }
    return NULL;
}

/* What the node has for an argument; NULL: nothing, so its default holds. */
static json_t *argument_of(ptf_composing *c, const ptf_schema_argument *arg,
                           int *operands, ptf_dtype dtype)
{
    const ptf_field *f = field_of(c->node->op, arg->name);
    const void *at = f != NULL ? (const char *)&c->attrs + f->at : NULL;
    if (arg->type == PTF_SCHEMA_TENSOR) {
        json_t *parameter = parameter_of(c, arg->name);
        return parameter != NULL ? parameter
               : arg->is_list    ? operands_of(c, dtype)
                                 : operand_of(c, (*operands)++, dtype);
    }
    if (f != NULL)
        return is_none(c, f, at, arg->is_optional)
                   ? ptf_compose_none()
                   : attribute_of(c, f, at, dtype);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(constant); i++) {
        if (strcmp(constant[i].name, arg->name) == 0)
            return truth(constant[i].value);
    }
    return NULL;
}

static json_t *arguments_of(ptf_composing *c, const char *target,
                            ptf_dtype dtype)
{
    const ptf_schema *schema = ptf_schema_find(target);
    json_t *list = json_array();
    int operands = 0;
    for (int i = 0; i < schema->argument_count; i++) {
        json_t *value = argument_of(c, &schema->arguments[i], &operands, dtype);
        if (value != NULL)
            ptf_compose_argument(c, list, schema->arguments[i].name, value);
    }
    return list;
}

static void put_row(ptf_composing *c, const call_row *row)
{
    char target[64];
    ptf_dtype dtype = wanted(c, row->kind);
    snprintf(target, sizeof(target), "%s", row->target);
    if (c->attrs.padding_text != NULL)
        snprintf(strrchr(target, '.'), 9, ".padding");
    give(c, target, arguments_of(c, target, dtype), given(row->kind, dtype));
}

/* -------------------------------------------------------------- other calls */

/* Sizes of a view: what remains in front is the batch. */
static json_t *view_sizes(const ptf_composing *c)
{
    const ptf_shape *shape = &c->shapes[c->index];
    int64_t sizes[PTF_SHAPE_MAX + 1] = {-1};
    memcpy(sizes + c->batched, shape->dim,
           (size_t)shape->rank * sizeof(*sizes));
    return ptf_compose_ints(sizes, shape->rank + c->batched);
}

static json_t *moved(ptf_composing *c, const char *name, int index)
{
    json_t *list = json_array();
    ptf_composed *v = ptf_compose_operand(c, index);
    ptf_compose_argument(c, list, name, ptf_compose_value(v->name));
    return list;
}

static ptf_status put_reshape(ptf_composing *c)
{
    json_t *list = moved(c, "self", 0);
    ptf_dtype dtype = ptf_compose_operand(c, 0)->dtype;
    if (c->node->op == PTF_OP_FLATTEN && c->batched) {
        ptf_compose_argument(c, list, "start_dim",
                             ptf_compose_int(c->attrs.start_dim));
        ptf_compose_argument(c, list, "end_dim",
                             ptf_compose_int(c->attrs.end_dim));
        give(c, "aten.flatten.using_ints", list, dtype);
        return PTF_OK;
    }
    ptf_compose_argument(c, list, "shape", view_sizes(c));
    give(c, "aten.reshape.default", list, dtype);
    return PTF_OK;
}

/* Axes that are in front come after the batch. */
static ptf_status put_expand(ptf_composing *c)
{
    ptf_composed *v = ptf_compose_operand(c, 0);
    int rank = c->shapes[c->index].rank, more = rank - v->shape.rank;
    const char *name = v->name;
    if (c->batched && more > 0) {
        json_t *list = moved(c, "self", 0);
        int64_t sizes[PTF_SHAPE_MAX + 1] = {-1};
        ptf_composed longer = {
            .dtype = v->dtype, .shape.rank = rank, .has_batch = true};
        for (int d = 0; d < rank; d++)
            longer.shape.dim[d] = sizes[d + 1] =
                d < more ? 1 : v->shape.dim[d - more];
        ptf_compose_argument(c, list, "shape",
                             ptf_compose_ints(sizes, rank + 1));
        ptf_compose_call(c, "aten.reshape.default", list, "reshape", &longer);
        name = longer.name;
    }
    json_t *list = json_array();
    ptf_compose_argument(c, list, "self", ptf_compose_value(name));
    ptf_compose_argument(c, list, "size", view_sizes(c));
    give(c, "aten.expand.default", list, v->dtype);
    return PTF_OK;
}

/* PyTorch steps forward only; all positions backward are a flip. */
static ptf_status put_slice(ptf_composing *c)
{
    const ptf_attrs *a = &c->attrs;
    int64_t size = c->shapes[c->node->inputs[0]].dim[a->dim - 1];
    int64_t axis = axis_of(c, a->dim);
    ptf_dtype dtype = ptf_compose_operand(c, 0)->dtype;
    json_t *list = moved(c, "self", 0);
    if (a->step < 0) {
        bool all = a->step == -1 && a->length == size;
        ptf_compose_argument(c, list, "dims", ptf_compose_ints(&axis, 1));
        give(c, "aten.flip.default", list, dtype);
        return all ? PTF_OK
                   : ptf_compose_refuse(c,
                                        "steps backward over some positions");
    }
    ptf_compose_argument(c, list, "dim", ptf_compose_int(axis));
    ptf_compose_argument(c, list, "start", ptf_compose_int(a->start));
    ptf_compose_argument(
        c, list, "end",
        ptf_compose_int(a->start + (a->length - 1) * a->step + 1));
    ptf_compose_argument(c, list, "step", ptf_compose_int(a->step));
    give(c, "aten.slice.Tensor", list, dtype);
    return PTF_OK;
}

static ptf_status put_where(ptf_composing *c)
{
    json_t *list = json_array();
    ptf_dtype dtype = common(c, 1);
    static const char *const names[] = {"condition", "self", "other"};
    for (int i = 0; i < 3; i++)
        ptf_compose_argument(c, list, names[i],
                             operand_of(c, i, i == 0 ? PTF_DTYPE_BOOL : dtype));
    give(c, "aten.where.self", list, dtype);
    return PTF_OK;
}

/* -------------------------------------------------------------- indices */

/* Positions are int64, or int32 as they are. */
static json_t *index_of(ptf_composing *c, int operand, bool for_batch)
{
    ptf_composed *v = ptf_compose_operand(c, operand);
    ptf_composed own = *v;
    if (v->dtype != PTF_DTYPE_I32)
        own = (ptf_composed){ptf_compose_as(c, v, PTF_DTYPE_I64),
                             PTF_DTYPE_I64,
                             v->shape,
                             v->has_batch,
                             {NULL},
                             NULL};
    return ptf_compose_value(for_batch ? ptf_compose_for_batch(c, &own)
                                       : own.name);
}

static ptf_status put_index_select(ptf_composing *c)
{
    const ptf_composed *table = ptf_compose_operand(c, 0);
    const ptf_composed *index = ptf_compose_operand(c, 1);
    bool is_table = table->shape.rank == 2 && c->attrs.dim == 1 &&
                    !table->has_batch &&
                    c->net->nodes[c->node->inputs[0]].op == PTF_OP_CONSTANT;
    json_t *list = json_array();
    ptf_compose_argument(c, list, is_table ? "weight" : "self",
                         ptf_compose_value(table->name));
    if (!is_table)
        ptf_compose_argument(c, list, "dim",
                             ptf_compose_int(axis_of(c, c->attrs.dim)));
    ptf_compose_argument(c, list, is_table ? "indices" : "index",
                         index_of(c, 1, false));
    give(c, is_table ? "aten.embedding.default" : "aten.index_select.default",
         list, table->dtype);
    return is_table || index->shape.rank == 1
               ? PTF_OK
               : ptf_compose_refuse(c, "selects by indices of several axes");
}

/* x[:, :, index] */
static ptf_status put_index(ptf_composing *c)
{
    json_t *list = moved(c, "self", 0), *indices = json_array();
    for (int64_t d = 0; d < axis_of(c, c->attrs.dim); d++)
        json_array_append_new(indices, ptf_compose_none());
    json_array_append_new(indices, index_of(c, 1, false));
    ptf_compose_argument(c, list, "indices",
                         json_pack("{s:o}", "as_optional_tensors", indices));
    give(c, "aten.index.Tensor", list, ptf_compose_operand(c, 0)->dtype);
    return PTF_OK;
}

static ptf_status put_gather(ptf_composing *c)
{
    ptf_composed *self = ptf_compose_operand(c, 0);
    json_t *list = json_array();
    ptf_compose_argument(c, list, "self",
                         ptf_compose_value(ptf_compose_for_batch(c, self)));
    ptf_compose_argument(c, list, "dim",
                         ptf_compose_int(axis_of(c, c->attrs.dim)));
    ptf_compose_argument(c, list, "index", index_of(c, 1, true));
    give(c, "aten.gather.default", list, self->dtype);
    return PTF_OK;
}

/* The largest alone has a call that says which of equal ones comes first. */
static ptf_status put_argsort(ptf_composing *c)
{
    const ptf_attrs *a = &c->attrs;
    bool largest = a->length == 1 && a->descending;
    put_row(c, &(call_row){largest         ? "aten.argmax.default"
                           : a->length > 0 ? "aten.topk.default"
                                           : "aten.argsort.stable",
                           POSITIONS});
    return PTF_OK;
}

/* ------------------------------------------------------------------- resize */

static const char *resize_name(const ptf_attrs *a, int axes)
{
    static const char *const names[][PTF_MAP_AXES] = {
        [PTF_UPSAMPLE_NEAREST] = {"upsample_nearest1d", "upsample_nearest2d",
                                  "upsample_nearest3d"},
        [PTF_UPSAMPLE_NEAREST_EXACT] = {"_upsample_nearest_exact1d",
                                        "_upsample_nearest_exact2d",
                                        "_upsample_nearest_exact3d"},
        [PTF_UPSAMPLE_LINEAR] = {"upsample_linear1d", NULL, NULL},
        [PTF_UPSAMPLE_BILINEAR] = {NULL, "upsample_bilinear2d", NULL},
        [PTF_UPSAMPLE_TRILINEAR] = {NULL, NULL, "upsample_trilinear3d"},
        [PTF_UPSAMPLE_BICUBIC] = {NULL, "upsample_bicubic2d", NULL},
    };
    if (a->antialias)
        return (int)a->p[0] == PTF_UPSAMPLE_BILINEAR ? "_upsample_bilinear2d_aa"
                                                     : "_upsample_bicubic2d_aa";
    return names[(int)a->p[0]][axes - 1];
}

/* With a size and factors there is one factor for each axis. */
static void put_factors(ptf_composing *c, const char *target, int axes)
{
    static const char *const names[] = {"scales_d", "scales_h", "scales_w"};
    json_t *list = arguments_of(c, target, PTF_DTYPE_F32);
    for (int d = 0; d < axes; d++) {
        const char *name =
            axes == 1 ? "scales" : names[PTF_MAP_AXES - axes + d];
        ptf_compose_argument(c, list, name,
                             ptf_compose_float(c->attrs.scale.at[d]));
    }
    give(c, target, list, PTF_DTYPE_F32);
}

static ptf_status put_resize(ptf_composing *c)
{
    const ptf_attrs *a = &c->attrs;
    int axes = c->shapes[c->index].rank - 1;
    bool both = a->size.count > 0 && a->scale.count > 0;
    const char *name =
        axes >= 1 && axes <= PTF_MAP_AXES ? resize_name(a, axes) : NULL;
    char target[64];
    if (name == NULL)
        return ptf_compose_refuse(c, "is of a mode that maps of its axes have "
                                     "not");
    snprintf(target, sizeof(target), "aten.%s.%s", name,
             both ? "default" : "vec");
    if (both)
        put_factors(c, target, axes);
    else
        put_row(c, &(call_row){target, FLOATS});
    return PTF_OK;
}

/* -------------------------------------------------------------------- whole */

ptf_status ptf_compose_refuse(const ptf_composing *c, const char *why)
{
    return ptf_node_fail(c->err, PTF_UNSUPPORTED, c->node,
                         "%s, for which PyTorch has no call, so that a .pt2 "
                         "cannot be written; write .safetensors",
                         why);
}

static ptf_status (*const others[PTF_OP_COUNT])(ptf_composing *c) = {
    [PTF_OP_FLATTEN] = put_reshape, [PTF_OP_RESHAPE] = put_reshape,
    [PTF_OP_EXPAND] = put_expand,   [PTF_OP_SLICE] = put_slice,
    [PTF_OP_WHERE] = put_where,     [PTF_OP_INDEX_SELECT] = put_index_select,
    [PTF_OP_INDEX] = put_index,     [PTF_OP_GATHER] = put_gather,
    [PTF_OP_ARGSORT] = put_argsort, [PTF_OP_UPSAMPLE] = put_resize,
};

static ptf_status put(ptf_composing *c)
{
    const call_row *row = &rows[c->node->op];
    if (others[c->node->op] != NULL)
        return others[c->node->op](c);
    if (row->target == NULL)
        return ptf_compose_refuse(c, "is an op");
    put_row(c, row);
    return PTF_OK;
}

/* A tensor of a number for each channel of the node. */
static const ptf_tensor *channels_of(ptf_composing *c, const ptf_node *node,
                                     const char *what, float number)
{
    char name[PTF_PARAMETER_NAME];
    snprintf(name, sizeof(name), "%.1000s.%s", node->name, what);
    return ptf_compose_filled(c, name, node->attrs.out_channels, number);
}

/*
 * A scale and a shift after the sum are a batch norm with the mean 0 and the
 * variance 1: of the same bits, since 1 / sqrt(1 + 0) is 1.
 */
static ptf_status put_epilogue(ptf_composing *c)
{
    const ptf_node *node = c->node;
    ptf_node sum = *node,
             norm = {.op = ptf_batch_norm_of(c->shapes[c->index].rank + 1),
                     .input_count = 1,
                     .inputs = &c->index};
    if (node->op == PTF_OP_LINEAR && c->shapes[c->index].rank != 1)
        return ptf_compose_refuse(c, "has a scale and a shift for the last of "
                                     "several axes");
    sum.attrs.scale_shift = c->attrs.scale_shift = false;
    c->node = &sum;
    ptf_status status = put(c);
    if (status != PTF_OK)
        return status;
    ptf_attrs_default(norm.op, &norm.attrs);
    norm.attrs.eps = norm.attrs.momentum = 0;
    norm.name = ptf_arena_printf(&c->draft->arena, "%s_scale", node->name);
    norm.tensors[PTF_ROLE_WEIGHT] = node->tensors[PTF_ROLE_SCALE];
    norm.tensors[PTF_ROLE_BIAS] = node->tensors[PTF_ROLE_SHIFT];
    norm.tensors[PTF_ROLE_RUNNING_MEAN] = channels_of(c, node, "scale_mean", 0);
    norm.tensors[PTF_ROLE_RUNNING_VAR] = channels_of(c, node, "scale_var", 1);
    c->node = &norm;
    c->attrs = norm.attrs;
    if (norm.name != NULL)
        put_row(c, &rows[norm.op]);
    c->node = node;
    return norm.name != NULL ? PTF_OK : ptf_fail_memory(c->err);
}

ptf_status ptf_compose_node(ptf_composing *c)
{
    if (ptf_op_is_identity(c->node->op)) {
        c->values[c->index] = *ptf_compose_operand(c, 0);
        return PTF_OK;
    }
    /* It is part of the state dict, and nothing reads it. */
    ptf_compose_tensor(c, c->node->tensors[PTF_ROLE_NUM_BATCHES], false, NULL);
    c->attrs = ptf_plain_attrs(c->node, &c->shapes[c->node->inputs[0]],
                               &c->shapes[c->index]);
    ptf_status status = c->attrs.scale_shift ? put_epilogue(c) : put(c);
    double limit;
    ptf_composed *v = &c->values[c->index];
    if (status == PTF_OK && ptf_net_is_cut(c->net, c->index, &limit)) {
        v->name = ptf_compose_as(c, v, PTF_DTYPE_I64);
        v->dtype = PTF_DTYPE_I64;
    }
    return status;
}
