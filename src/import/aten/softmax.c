/*
 * Softmax and its logarithm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static ptf_status lower_softmax(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int64_t dim;
    int input, axis = 0;
    ptf_status status = ptf_lower_int(l, "dim", &dim);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, l->rank, dim, &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &input);
    if (status == PTF_OK && (!ptf_lower_is_none(l, "dtype") ||
                             ptf_lower_is_true(l, "half_to_float")))
        status = ptf_lower_refuse(l, "converts to another dtype");
    a.dim_none = false;
    a.dim = axis;
    return status == PTF_OK ? ptf_lower_give_node(l, row->op, &a, input, NULL)
                            : status;
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
