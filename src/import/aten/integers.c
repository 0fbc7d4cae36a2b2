/*
 * Integers and bools, which a net has as f32: exact up to 2^24.  What is
 * computed of them must not leave that, whatever the input is; and conversions
 * between dtypes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

#include <math.h>

static const double exact = 16777216; /* 2^24 */

bool ptf_dtype_is_integer(ptf_dtype dtype)
{
    return dtype >= PTF_DTYPE_I8 && dtype <= PTF_DTYPE_U64;
}

/* ------------------------------------------------------------------- bounds */

enum { MOST_LOOKS = 10000, MOST_DEEP = 64 };

typedef struct search {
    const ptf_lowering *l;
    int looks; /* that are left; then nothing is known */
} search;

static double bound_of(search *s, int node, int deep);

static double bound_of_constant(const search *s, int node)
{
    const ptf_tensor *t = s->l->net->nodes[node].tensors[PTF_ROLE_WEIGHT];
    const float *x = t->dtype == PTF_DTYPE_F32 ? ptf_tensor_f32(t) : NULL;
    double most = x != NULL ? 0 : HUGE_VAL;
    for (int64_t i = 0; x != NULL && i < ptf_tensor_numel(t); i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

/* The largest bound of the operands from 'first' on. */
static double bound_of_all(search *s, const ptf_node *n, int first, int deep)
{
    double most = 0;
    for (int k = first; k < n->input_count; k++)
        most = fmax(most, bound_of(s, n->inputs[k], deep));
    return most;
}

static double bound_of_binary(search *s, const ptf_node *n, int deep)
{
    double a = bound_of(s, n->inputs[0], deep);
    double b = bound_of(s, n->inputs[1], deep);
    if (n->op >= PTF_OP_EQ && n->op <= PTF_OP_LOGICAL_XOR)
        return 1;
    if (n->op == PTF_OP_ADD || n->op == PTF_OP_SUB)
        return a + b;
    if (n->op == PTF_OP_MUL)
        return a * b;
    if (n->op == PTF_OP_REMAINDER || n->op == PTF_OP_FMOD)
        return b;
    if (n->op == PTF_OP_DIV || n->op == PTF_OP_FLOOR_DIVIDE)
        return a; /* integers, of which no divisor is smaller than 1 */
    return fmax(a, b);
}

static double bound_of_unary(search *s, const ptf_node *n, int deep)
{
    static const ptf_op whole[] = {PTF_OP_FLOOR, PTF_OP_CEIL, PTF_OP_ROUND,
                                   PTF_OP_TRUNC, PTF_OP_NEG,  PTF_OP_ABS,
                                   PTF_OP_RELU};
    static const ptf_op truths[] = {PTF_OP_SIGN, PTF_OP_LOGICAL_NOT,
                                    PTF_OP_ISNAN, PTF_OP_ISINF};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(truths); i++) {
        if (n->op == truths[i])
            return 1;
    }
    if (n->op == PTF_OP_CLAMP)
        return fmax(fabs(n->attrs.p[0]), fabs(n->attrs.p[1]));
    for (size_t i = 0; i < PTF_ARRAY_SIZE(whole); i++) {
        if (n->op == whole[i])
            return bound_of(s, n->inputs[0], deep);
    }
    return HUGE_VAL;
}

/* No number of the node's value is larger than that; NaN is none. */
static double bound_of(search *s, int node, int deep)
{
    const ptf_node *n = &s->l->net->nodes[node];
    if (deep > MOST_DEEP || --s->looks < 0)
        return HUGE_VAL;
    if (n->op == PTF_OP_CONSTANT)
        return bound_of_constant(s, node);
    if (n->op == PTF_OP_SUM)
        return bound_of(s, n->inputs[0], deep + 1) *
               (double)ptf_shape_numel(&s->l->shapes[n->inputs[0]]) /
               (double)ptf_shape_numel(&s->l->shapes[node]);
    if (n->op == PTF_OP_AMAX || n->op == PTF_OP_AMIN ||
        ptf_op_is(n->op, PTF_FAMILY_GATHER))
        return bound_of(s, n->inputs[0], deep + 1);
    if (ptf_op_is(n->op, PTF_FAMILY_UNARY))
        return bound_of_unary(s, n, deep + 1);
    if (ptf_op_is(n->op, PTF_FAMILY_BINARY))
        return bound_of_binary(s, n, deep + 1);
    if (ptf_op_is(n->op, PTF_FAMILY_WHERE))
        return bound_of_all(s, n, 1, deep + 1);
    return ptf_op_is(n->op, PTF_FAMILY_VIEW) ||
                   ptf_op_is(n->op, PTF_FAMILY_CONCAT)
               ? bound_of_all(s, n, 0, deep + 1)
               : HUGE_VAL;
}

/* True where integers come of others that f32 holds as exactly, or where f32
 * rounds none: a conversion of f32 to integers is exact, however large. */
static bool never_rounds(const ptf_node *n)
{
    static const ptf_op ops[] = {
        PTF_OP_FLOOR,     PTF_OP_CEIL, PTF_OP_ROUND,   PTF_OP_TRUNC,
        PTF_OP_NEG,       PTF_OP_ABS,  PTF_OP_RELU,    PTF_OP_SIGN,
        PTF_OP_REMAINDER, PTF_OP_FMOD, PTF_OP_MAXIMUM, PTF_OP_MINIMUM,
        PTF_OP_AMAX,      PTF_OP_AMIN, PTF_OP_INPUT,   PTF_OP_WHERE};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(ops); i++) {
        if (n->op == ops[i])
            return true;
    }
    return ptf_op_is(n->op, PTF_FAMILY_VIEW) ||
           ptf_op_is(n->op, PTF_FAMILY_GATHER) ||
           ptf_op_is(n->op, PTF_FAMILY_CONCAT);
}

ptf_status ptf_lower_check_integer(ptf_lowering *l, int node)
{
    search s = {.l = l, .looks = MOST_LOOKS};
    const ptf_node *n = &l->net->nodes[node];
    if (never_rounds(n))
        return PTF_OK;
    double most = bound_of(&s, node, 0);
    return most <= exact
               ? PTF_OK
               : ptf_lower_refuse(l, "computes integers that may be beyond "
                                     "2^24, which float32 does not hold");
}

/* -------------------------------------------------------------- conversions */

ptf_status ptf_lower_convert(ptf_lowering *l, int node, ptf_dtype from,
                             ptf_dtype to, int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_TRUNC);
    int in[2] = {node};
    *out = node;
    if (to == PTF_DTYPE_BOOL && from != PTF_DTYPE_BOOL) {
        ptf_status status = ptf_lower_scalar(l, 0, &in[1]);
        return status == PTF_OK
                   ? ptf_lower_add(l, PTF_OP_NE, &a, 2, in, NULL, out)
                   : status;
    }
    if (to == PTF_DTYPE_I64 || to == PTF_DTYPE_I32)
        return ptf_dtype_is_float(from)
                   ? ptf_lower_add_one(l, PTF_OP_TRUNC, &a, node, out)
                   : PTF_OK;
    if (to == from || to == PTF_DTYPE_F32 || from == PTF_DTYPE_BOOL)
        return PTF_OK;
    return ptf_lower_refuse(l, "converts to %s; ptfold computes in float32",
                            ptf_dtype_name(to));
}

/* What self is converted to: 'dtype', or that of 'other'; or what it is. */
static ptf_dtype wanted(const ptf_lowering *l, ptf_dtype from)
{
    const ptf_argument *dtype = ptf_program_argument(l->call, "dtype");
    const ptf_argument *other = ptf_program_argument(l->call, "other");
    if (dtype != NULL && dtype->kind == PTF_ARGUMENT_DTYPE)
        return dtype->dtype;
    if (other != NULL && other->kind == PTF_ARGUMENT_VALUE)
        return ptf_lower_value(l, other->value)->dtype;
    return from;
}

static ptf_status lower_convert(ptf_lowering *l, const ptf_aten_row *row)
{
    const ptf_argument *self = ptf_program_argument(l->call, "self");
    if (self == NULL || self->kind != PTF_ARGUMENT_VALUE)
        return ptf_lower_refuse(l, "expected a tensor as self");
    ptf_dtype from = ptf_lower_value(l, self->value)->dtype;
    ptf_dtype to = wanted(l, from);
    if (from == to)
        return ptf_lower_same(l, row);
    int node;
    if (ptf_lower_raw(l, "self") != NULL)
        l->batched = false; /* 'other' may be of a batch */
    ptf_status status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK)
        status = ptf_lower_convert(l, node, from, to, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_integers[] = {
    {.target = "aten._to_copy.default", .lower = lower_convert},
    {.target = "aten.to.dtype", .lower = lower_convert},
    {.target = "aten.to.dtype_layout", .lower = lower_convert},
    {.target = "aten.to.device", .lower = lower_convert},
    {.target = "aten.to.other", .lower = lower_convert},
    {.target = "aten.type_as.default", .lower = lower_convert},
    {0},
};
