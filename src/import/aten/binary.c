/*
 * Functions of two numbers, with broadcasting, and what is made of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

ptf_status ptf_lower_add_two(ptf_lowering *l, ptf_op op, int a, int b, int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(op);
    return ptf_lower_add(l, op, &attrs, 2, (const int[]){a, b}, NULL, out);
}

/* An argument that is a tensor, or a number. */
ptf_status ptf_lower_operand(ptf_lowering *l, const char *name, int *out)
{
    const ptf_argument *a = ptf_program_argument(l->call, name);
    bool computed = a != NULL && a->kind == PTF_ARGUMENT_VALUE &&
                    l->values[a->value].node >= 0;
    double number;
    if (computed || ptf_lower_is_tensor(l, name))
        return ptf_lower_node(l, name, out);
    ptf_status status = ptf_lower_number(l, name, &number);
    const ptf_argument *self = ptf_program_argument(l->call, "self");
    bool exact = a != NULL && a->kind == PTF_ARGUMENT_INT && self != NULL &&
                 self->kind == PTF_ARGUMENT_VALUE &&
                 ptf_dtype_is_integer(ptf_lower_value(l, self->value)->dtype);
    if (status == PTF_OK && exact && fabs(number) > 16777216 &&
        fabs((double)(float)number - number) > 0)
        return ptf_lower_refuse(l, "takes %.0f, which float32 does not hold",
                                number);
    return status == PTF_OK ? ptf_lower_scalar(l, number, out) : status;
}

/* The same times a number, which is 1 where it is not said. */
static ptf_status times(ptf_lowering *l, const char *number, int *node)
{
    double factor = 1;
    int scale;
    ptf_status status = PTF_OK;
    if (ptf_program_argument(l->call, number) != NULL)
        status = ptf_lower_number(l, number, &factor);
    if (status != PTF_OK || (factor >= 1 && factor <= 1))
        return status;
    status = ptf_lower_scalar(l, factor, &scale);
    return status == PTF_OK
               ? ptf_lower_add_two(l, PTF_OP_MUL, *node, scale, node)
               : status;
}

/* Sums of bools are "or", products "and". */
static ptf_op op_of(const ptf_lowering *l, ptf_op op)
{
    static const ptf_op of_bools[PTF_OP_COUNT] = {
        [PTF_OP_ADD] = PTF_OP_LOGICAL_OR,
        [PTF_OP_MUL] = PTF_OP_LOGICAL_AND,
    };
    bool truth = ptf_lower_result_dtype(l) == PTF_DTYPE_BOOL;
    return truth && of_bools[op] != 0 ? of_bools[op] : op;
}

/* "floor" is an op of its own; "trunc" cuts the rounded quotient. */
static ptf_status divide(ptf_lowering *l, int a, int b, int *out)
{
    const ptf_argument *mode = ptf_program_argument(l->call, "rounding_mode");
    const char *how =
        mode != NULL && mode->kind == PTF_ARGUMENT_TEXT ? mode->text : "";
    bool cut = strcmp(how, "trunc") == 0, floor = strcmp(how, "floor") == 0;
    if (!cut && !floor && !ptf_lower_is_none(l, "rounding_mode"))
        return ptf_lower_refuse(l, "expected a rounding_mode 'floor' or "
                                   "'trunc'");
    ptf_status status = ptf_lower_add_two(
        l, floor ? PTF_OP_FLOOR_DIVIDE : PTF_OP_DIV, a, b, out);
    if (status == PTF_OK && cut &&
        ptf_dtype_is_integer(ptf_lower_result_dtype(l)))
        status = ptf_lower_check_integer(l, *out);
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_TRUNC);
    return status == PTF_OK && cut
               ? ptf_lower_add_one(l, PTF_OP_TRUNC, &attrs, *out, out)
               : status;
}

/* The second operand is 'other', or what the row says. */
static ptf_status lower_binary(ptf_lowering *l, const ptf_aten_row *row)
{
    const char *other = row->numbers[0] != NULL ? row->numbers[0] : "other";
    int in[2] = {0}, node;
    ptf_status status = ptf_lower_broadcast(l);
    if (status == PTF_OK)
        status = ptf_lower_operand(l, "self", &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_operand(l, other, &in[1]);
    if (status == PTF_OK)
        status = times(l, "alpha", &in[row->reversed ? 0 : 1]);
    int a = in[row->reversed ? 1 : 0], b = in[row->reversed ? 0 : 1];
    if (status == PTF_OK && row->op == PTF_OP_DIV)
        status = divide(l, a, b, &node);
    else if (status == PTF_OK)
        status = ptf_lower_add_two(l, op_of(l, row->op), a, b, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* Of bools alone, of which they are the logic. */
static ptf_status lower_bits(ptf_lowering *l, const ptf_aten_row *row)
{
    if (ptf_lower_result_dtype(l) != PTF_DTYPE_BOOL)
        return ptf_lower_refuse(l, "works on the bits of integers");
    ptf_status status = ptf_lower_check_promoted(l);
    return status == PTF_OK ? lower_binary(l, row) : status;
}

/* Bounds that are tensors; max counts more than min. */
static ptf_status lower_clamp(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    static const struct {
        const char *name;
        ptf_op op;
    } bounds[] = {{"min", PTF_OP_MAXIMUM}, {"max", PTF_OP_MINIMUM}};
    int node, bound;
    ptf_status status = ptf_lower_broadcast(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    for (int i = 0; i < 2 && status == PTF_OK; i++) {
        if (ptf_lower_is_none(l, bounds[i].name))
            continue;
        status = ptf_lower_operand(l, bounds[i].name, &bound);
        if (status == PTF_OK)
            status = ptf_lower_add_two(l, bounds[i].op, node, bound, &node);
    }
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status lower_square(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int node;
    ptf_status status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_MUL, node, node, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* self + value tensor1 tensor2, or over tensor2 */
static ptf_status lower_addcmul(ptf_lowering *l, const ptf_aten_row *row)
{
    int self, a, b;
    ptf_status status = ptf_lower_broadcast(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &self);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "tensor1", &a);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "tensor2", &b);
    if (status == PTF_OK)
        status = times(l, "value", &a);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, row->op, a, b, &a);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_ADD, self, a, &a);
    return status == PTF_OK ? ptf_lower_give(l, a) : status;
}

/*
 * self + weight (end - self), or as PyTorch from the other end where the
 * weight is not below 1/2 in size: end - (end - self) (1 - weight).
 */
static ptf_status lower_lerp(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int self, end, scale, apart;
    double weight;
    ptf_status status = ptf_lower_broadcast(l);
    if (status == PTF_OK && ptf_lower_is_tensor(l, "weight"))
        status = ptf_lower_refuse(l, "its weight is a tensor; expected a "
                                     "number");
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &self);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "end", &end);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "weight", &weight);
    if (status != PTF_OK)
        return status;
    bool near = weight > -0.5 && weight < 0.5;
    status = ptf_lower_scalar(l, near ? weight : 1 - weight, &scale);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_SUB, end, self, &apart);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_MUL, apart, scale, &apart);
    if (status == PTF_OK)
        status = near ? ptf_lower_add_two(l, PTF_OP_ADD, self, apart, &apart)
                      : ptf_lower_add_two(l, PTF_OP_SUB, end, apart, &apart);
    return status == PTF_OK ? ptf_lower_give(l, apart) : status;
}

#define BOTH(name, lower_, op_)                   \
    {"aten." name ".Tensor", lower_, .op = op_},  \
    {                                             \
        "aten." name ".Scalar", lower_, .op = op_ \
    }

const ptf_aten_row ptf_aten_binary[] = {
    BOTH("add", lower_binary, PTF_OP_ADD),
    BOTH("sub", lower_binary, PTF_OP_SUB),
    {"aten.rsub.Scalar", lower_binary, .op = PTF_OP_SUB, .reversed = true},
    {"aten.rsub.Tensor", lower_binary, .op = PTF_OP_SUB, .reversed = true},
    BOTH("mul", lower_binary, PTF_OP_MUL),
    BOTH("div", lower_binary, PTF_OP_DIV),
    {"aten.div.Tensor_mode", lower_binary, .op = PTF_OP_DIV},
    {"aten.div.Scalar_mode", lower_binary, .op = PTF_OP_DIV},
    {"aten.floor_divide.default", lower_binary, .op = PTF_OP_FLOOR_DIVIDE},
    {"aten.floor_divide.Scalar", lower_binary, .op = PTF_OP_FLOOR_DIVIDE},
    BOTH("remainder", lower_binary, PTF_OP_REMAINDER),
    {"aten.remainder.Scalar_Tensor", lower_binary, .op = PTF_OP_REMAINDER},
    BOTH("fmod", lower_binary, PTF_OP_FMOD),
    {"aten.pow.Scalar", lower_binary, .op = PTF_OP_POWER,
     .numbers = {"exponent"}},
    {"aten.pow.Tensor_Tensor", lower_binary, .op = PTF_OP_POWER,
     .numbers = {"exponent"}},
    {"aten.maximum.default", lower_binary, .op = PTF_OP_MAXIMUM},
    {"aten.max.other", lower_binary, .op = PTF_OP_MAXIMUM},
    {"aten.minimum.default", lower_binary, .op = PTF_OP_MINIMUM},
    {"aten.min.other", lower_binary, .op = PTF_OP_MINIMUM},
    BOTH("eq", lower_binary, PTF_OP_EQ),
    BOTH("ne", lower_binary, PTF_OP_NE),
    BOTH("lt", lower_binary, PTF_OP_LT),
    BOTH("le", lower_binary, PTF_OP_LE),
    BOTH("gt", lower_binary, PTF_OP_GT),
    BOTH("ge", lower_binary, PTF_OP_GE),
    {"aten.logical_and.default", lower_binary, .op = PTF_OP_LOGICAL_AND},
    {"aten.logical_or.default", lower_binary, .op = PTF_OP_LOGICAL_OR},
    {"aten.logical_xor.default", lower_binary, .op = PTF_OP_LOGICAL_XOR},
    BOTH("bitwise_and", lower_bits, PTF_OP_LOGICAL_AND),
    BOTH("bitwise_or", lower_bits, PTF_OP_LOGICAL_OR),
    BOTH("bitwise_xor", lower_bits, PTF_OP_LOGICAL_XOR),
    BOTH("__and__", lower_bits, PTF_OP_LOGICAL_AND),
    BOTH("__or__", lower_bits, PTF_OP_LOGICAL_OR),
    BOTH("__xor__", lower_bits, PTF_OP_LOGICAL_XOR),
    {.target = "aten.clamp.Tensor", .lower = lower_clamp},
    {.target = "aten.clamp_min.Tensor", .lower = lower_clamp},
    {.target = "aten.clamp_max.Tensor", .lower = lower_clamp},
    {.target = "aten.square.default", .lower = lower_square},
    {"aten.addcmul.default", lower_addcmul, .op = PTF_OP_MUL},
    {"aten.addcdiv.default", lower_addcmul, .op = PTF_OP_DIV},
    {.target = "aten.lerp.Scalar", .lower = lower_lerp},
    {.target = "aten.lerp.Tensor", .lower = lower_lerp},
    {0},
};
