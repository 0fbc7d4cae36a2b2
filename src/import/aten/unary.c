/*
 * Functions of one number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

#include <float.h>
#include <math.h>

ptf_status ptf_lower_add_plain(ptf_lowering *l, ptf_op op, int input, int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(op);
    return ptf_lower_add_one(l, op, &attrs, input, out);
}

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

static ptf_status lower_unary(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int input;
    ptf_status status = ptf_lower_node(l, l->call->arguments[0].name, &input);
    for (int i = 0; i < 3 && row->numbers[i] != NULL && status == PTF_OK; i++)
        status = ptf_lower_number(l, row->numbers[i], &a.p[i]);
    if (status == PTF_OK)
        status = check_divisors(l, row->op, &a);
    return status == PTF_OK ? ptf_lower_give_node(l, row->op, &a, input, NULL)
                            : status;
}

static ptf_status lower_gelu(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
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
    return status == PTF_OK ? ptf_lower_give_node(l, row->op, &a, input, NULL)
                            : status;
}

/* Bounds of which one may be missing. */
static ptf_status lower_clamp(ptf_lowering *l, const ptf_aten_row *row)
{
    static const char *const names[] = {"min", "max"};
    ptf_attrs a = ptf_lower_defaults(row->op);
    int input;
    ptf_status status = ptf_lower_node(l, "self", &input);
    for (int i = 0; i < 2 && status == PTF_OK; i++) {
        if (!ptf_lower_is_none(l, names[i]))
            status = ptf_lower_number(l, names[i], &a.p[i]);
    }
    if (status == PTF_OK && (isnan(a.p[0]) || isnan(a.p[1])))
        status = ptf_lower_refuse(l, "a bound is NaN");
    return status == PTF_OK ? ptf_lower_give_node(l, row->op, &a, input, NULL)
                            : status;
}

/* scale (x > 0 ? x : alpha (exp(x input_scale) - 1)) with both scales 1 */
static ptf_status lower_elu(ptf_lowering *l, const ptf_aten_row *row)
{
    static const char *const scales[] = {"scale", "input_scale"};
    double scale;
    ptf_status status = PTF_OK;
    for (int i = 0; i < 2 && status == PTF_OK; i++) {
        status = ptf_lower_number(l, scales[i], &scale);
        if (status == PTF_OK && !(scale >= 1 && scale <= 1))
            status = ptf_lower_refuse(l, "its %s is not 1", scales[i]);
    }
    return status == PTF_OK ? lower_unary(l, row) : status;
}

/* Of bools, which it turns. */
static ptf_status lower_bitwise_not(ptf_lowering *l, const ptf_aten_row *row)
{
    if (ptf_lower_result_dtype(l) != PTF_DTYPE_BOOL)
        return ptf_lower_refuse(l, "works on the bits of integers");
    ptf_status status = ptf_lower_check_promoted(l);
    return status == PTF_OK ? lower_unary(l, row) : status;
}

const ptf_aten_row ptf_aten_unary[] = {
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
    {"aten.elu.default", lower_elu, .op = PTF_OP_ELU, .numbers = {"alpha"}},
    {"aten.pow.Tensor_Scalar", lower_unary, .op = PTF_OP_POW,
     .numbers = {"exponent"}},
    {"aten.clamp.default", lower_clamp, .op = PTF_OP_CLAMP},
    {"aten.clamp_min.default", lower_clamp, .op = PTF_OP_CLAMP},
    {"aten.clamp_max.default", lower_clamp, .op = PTF_OP_CLAMP},
    {"aten.sign.default", lower_unary, .op = PTF_OP_SIGN},
    {"aten.sgn.default", lower_unary, .op = PTF_OP_SIGN},
    {"aten.ceil.default", lower_unary, .op = PTF_OP_CEIL},
    {"aten.round.default", lower_unary, .op = PTF_OP_ROUND},
    {"aten.trunc.default", lower_unary, .op = PTF_OP_TRUNC},
    {"aten.fix.default", lower_unary, .op = PTF_OP_TRUNC},
    {"aten.logical_not.default", lower_unary, .op = PTF_OP_LOGICAL_NOT},
    {"aten.bitwise_not.default", lower_bitwise_not, .op = PTF_OP_LOGICAL_NOT},
    {"aten.isnan.default", lower_unary, .op = PTF_OP_ISNAN},
    {"aten.isinf.default", lower_unary, .op = PTF_OP_ISINF},
    {"aten.sin.default", lower_unary, .op = PTF_OP_SIN},
    {"aten.cos.default", lower_unary, .op = PTF_OP_COS},
    {"aten.log2.default", lower_unary, .op = PTF_OP_LOG2},
    {"aten.exp2.default", lower_unary, .op = PTF_OP_EXP2},
    {0},
};
