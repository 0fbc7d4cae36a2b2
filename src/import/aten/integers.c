/*
 * Conversions between dtypes: a net has integers and bools as f32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

bool ptf_dtype_is_integer(ptf_dtype dtype)
{
    return dtype >= PTF_DTYPE_I8 && dtype <= PTF_DTYPE_U64;
}

/*
 * Numbers cut to integers; what those cannot hold, NaN too, becomes the least
 * one, as x86-64 and so PyTorch there has it.  Where the numbers are known to
 * be small a NaN stays one.
 */
static ptf_status cut(ptf_lowering *l, int node, ptf_dtype to, int *out)
{
    double least = to == PTF_DTYPE_I32 ? -0x1p31 : -0x1p63;
    ptf_attrs a = ptf_lower_defaults(PTF_OP_TRUNC);
    int size = -1, most, zero, in[3];
    ptf_status status = ptf_lower_add_one(l, PTF_OP_TRUNC, &a, node, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, 0, &zero);
    if (status == PTF_OK) /* integers have no -0 */
        status = ptf_lower_add(l, PTF_OP_ADD, &a, 2, (const int[]){in[1], zero},
                               NULL, &in[1]);
    *out = in[1];
    if (status != PTF_OK || ptf_lower_bound(l, node) < -least)
        return status;
    status = ptf_lower_add_one(l, PTF_OP_ABS, &a, node, &size);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, -least, &most);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_LT, &a, 2, (const int[]){size, most},
                               NULL, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, least, &in[2]);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, out)
               : status;
}

/* They are integers of that dtype already. */
static bool is_cut(const ptf_lowering *l, int node, ptf_dtype to)
{
    double most = to == PTF_DTYPE_I32 ? 0x1p31 : 0x1p63, limit;
    if (!ptf_net_is_cut(l->net, node, &limit))
        return false;
    return limit > 0 ? limit <= most : ptf_lower_bound(l, node) < most;
}

ptf_status ptf_lower_convert(ptf_lowering *l, int node, ptf_dtype from,
                             ptf_dtype to, int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_NE);
    int in[2] = {node};
    *out = node;
    if (to == PTF_DTYPE_BOOL && from != PTF_DTYPE_BOOL) {
        ptf_status status = ptf_lower_scalar(l, 0, &in[1]);
        return status == PTF_OK
                   ? ptf_lower_add(l, PTF_OP_NE, &a, 2, in, NULL, out)
                   : status;
    }
    if (to == PTF_DTYPE_I64 || to == PTF_DTYPE_I32)
        return ptf_dtype_is_float(from) && !is_cut(l, node, to)
                   ? cut(l, node, to, out)
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
    if (to == PTF_DTYPE_F64 &&
        (from == PTF_DTYPE_F32 || !ptf_dtype_is_float(from)))
        return ptf_lower_same(l, row); /* and nothing computes with it */
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
