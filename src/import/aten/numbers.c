/*
 * One element of a tensor as a number; a divergence of distributions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* A number of a constant is known: it may be a size, and an attribute. */
static ptf_status settle(ptf_lowering *l, ptf_dtype dtype, ptf_lowered *v)
{
    const ptf_node *node = &l->net->nodes[v->node];
    const float *number;
    if (node->op != PTF_OP_CONSTANT)
        return PTF_OK;
    v->tensor = node->tensors[PTF_ROLE_WEIGHT];
    ptf_status status = ptf_lower_floats(l, v->tensor, &number);
    if (status != PTF_OK)
        return status;
    v->number = (ptf_lowered_number){.known = true,
                                     .is_real = ptf_dtype_is_float(dtype),
                                     .real = (double)*number};
    if (!v->number.is_real)
        v->number.whole = (int64_t)*number;
    return PTF_OK;
}

static ptf_status lower_item(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_argument *self = ptf_program_argument(l->call, "self");
    int result = l->call->result_count > 0 ? l->call->results[0] : -1, node;
    ptf_status status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK && ptf_shape_numel(&l->shapes[node]) != 1)
        status = ptf_lower_refuse(l, "expected a tensor of one element");
    if (status == PTF_OK)
        status = ptf_lower_resize(l, node, NULL, 0, &node);
    if (status != PTF_OK || result < 0)
        return status;
    l->values[result].node = node;
    return settle(l, ptf_lower_value(l, self->value)->dtype,
                  &l->values[result]);
}

/* --------------------------------------------------------------- divergence */

static ptf_status add_one(ptf_lowering *l, ptf_op op, int input, int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(op);
    return ptf_lower_add_one(l, op, &attrs, input, out);
}

/* t log(t), 0 where t is */
static ptf_status add_entropy(ptf_lowering *l, int t, int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_WHERE);
    int in[3], zero;
    ptf_status status = ptf_lower_scalar(l, 0, &zero);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_EQ, t, zero, &in[0]);
    if (status == PTF_OK)
        status = add_one(l, PTF_OP_LOG, t, &in[2]);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_MUL, t, in[2], &in[2]);
    in[1] = zero;
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_WHERE, &attrs, 3, in, NULL, out)
               : status;
}

/* target log(target) - target self, or of the logarithm of a target. */
static ptf_status add_divergence(ptf_lowering *l, bool is_log, int self,
                                 int target, int *out)
{
    int terms, less = -1;
    ptf_status status;
    if (is_log) {
        status = add_one(l, PTF_OP_EXP, target, &terms);
        if (status == PTF_OK)
            status = ptf_lower_add_two(l, PTF_OP_SUB, target, self, &less);
        return status == PTF_OK
                   ? ptf_lower_add_two(l, PTF_OP_MUL, terms, less, out)
                   : status;
    }
    status = add_entropy(l, target, &terms);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_MUL, target, self, &less);
    return status == PTF_OK ? ptf_lower_add_two(l, PTF_OP_SUB, terms, less, out)
                            : status;
}

/* The sum or mean of all numbers. */
static ptf_status add_reduction(ptf_lowering *l, ptf_op op, int *node)
{
    ptf_attrs a = ptf_lower_defaults(op);
    int rank = l->shapes[*node].rank;
    for (int d = 0; d < rank; d++)
        a.dims.at[a.dims.count++] = d + 1;
    return rank > 0 ? ptf_lower_add_one(l, op, &a, *node, node) : PTF_OK;
}

static ptf_status lower_kl_div(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    enum { NONE, MEAN, SUM };
    int64_t reduction;
    int in[2], node = -1;
    ptf_status status = ptf_lower_int(l, "reduction", &reduction);
    if (status == PTF_OK && (reduction < NONE || reduction > SUM))
        status = ptf_lower_refuse(l, "expected a reduction from 0 to 2");
    if (status == PTF_OK)
        status =
            reduction == NONE ? ptf_lower_broadcast(l) : ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "target", &in[1]);
    if (status == PTF_OK)
        status = add_divergence(l, ptf_lower_is_true(l, "log_target"), in[0],
                                in[1], &node);
    if (status == PTF_OK && reduction != NONE)
        status = add_reduction(l, reduction == MEAN ? PTF_OP_MEAN : PTF_OP_SUM,
                               &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_numbers[] = {
    {.target = "aten.item.default", .lower = lower_item},
    {.target = "aten._local_scalar_dense.default", .lower = lower_item},
    {.target = "aten.kl_div.default", .lower = lower_kl_div},
    {0},
};
