/*
 * Softmax and its logarithm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* To float32, in which all is computed, is no conversion. */
static bool converts(const ptf_lowering *l)
{
    const ptf_argument *dtype = ptf_program_argument(l->call, "dtype");
    bool given = !ptf_lower_is_none(l, "dtype");
    return (given && (dtype->kind != PTF_ARGUMENT_DTYPE ||
                      dtype->dtype != PTF_DTYPE_F32)) ||
           ptf_lower_is_true(l, "half_to_float");
}

static ptf_status lower_softmax(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    static const int64_t one[] = {1};
    int64_t dim;
    int input, axis = 0;
    ptf_status status = ptf_lower_int(l, "dim", &dim);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, l->rank, dim, &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &input);
    if (status == PTF_OK && l->rank == 0) /* one number is a row of one */
        status = ptf_lower_resize(l, input, one, 1, &input);
    if (status == PTF_OK && converts(l))
        status = ptf_lower_refuse(l, "converts to another dtype; ptfold "
                                     "computes in float32");
    a.dim_none = false;
    a.dim = axis;
    if (status == PTF_OK)
        status = ptf_lower_add_one(l, row->op, &a, input, &input);
    if (status == PTF_OK && l->rank == 0)
        status = ptf_lower_resize(l, input, one, 0, &input);
    return status == PTF_OK ? ptf_lower_give(l, input) : status;
}

const ptf_aten_row ptf_aten_softmax[] = {
    {"aten.softmax.int", lower_softmax, .op = PTF_OP_SOFTMAX},
    {"aten._softmax.default", lower_softmax, .op = PTF_OP_SOFTMAX},
    {"aten.log_softmax.int", lower_softmax, .op = PTF_OP_LOG_SOFTMAX},
    {"aten._log_softmax.default", lower_softmax, .op = PTF_OP_LOG_SOFTMAX},
    {"aten.special_log_softmax.default", lower_softmax,
     .op = PTF_OP_LOG_SOFTMAX},
    {0},
};
