/*
 * One of two numbers, as a third one says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static ptf_status give_where(ptf_lowering *l, const char *const names[3])
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    int in[3], node;
    ptf_status status = ptf_lower_broadcast(l);
    for (int k = 0; k < 3 && status == PTF_OK; k++)
        status = ptf_lower_operand(l, names[k], &in[k]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status lower_where(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    return give_where(l, (const char *const[]){"condition", "self", "other"});
}

static ptf_status lower_masked_fill(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    return give_where(l, (const char *const[]){"mask", "value", "self"});
}

const ptf_aten_row ptf_aten_where[] = {
    {.target = "aten.where.self", .lower = lower_where},
    {.target = "aten.where.ScalarSelf", .lower = lower_where},
    {.target = "aten.where.ScalarOther", .lower = lower_where},
    {.target = "aten.where.Scalar", .lower = lower_where},
    {.target = "aten.masked_fill.Scalar", .lower = lower_masked_fill},
    {.target = "aten.masked_fill.Tensor", .lower = lower_masked_fill},
    {0},
};
