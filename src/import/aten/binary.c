/*
 * Functions of two numbers, with broadcasting.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static ptf_status lower_binary(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int in[2], node;
    double number = 1;
    ptf_status status = ptf_lower_broadcast(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &in[0]);
    if (status == PTF_OK && ptf_program_argument(l->call, "alpha") != NULL)
        status = ptf_lower_number(l, "alpha", &number);
    if (status == PTF_OK && (number < 1 || number > 1))
        status = ptf_lower_refuse(l, "alpha is not 1");
    if (status == PTF_OK && !ptf_lower_is_none(l, "rounding_mode"))
        status = ptf_lower_refuse(l, "rounds its quotient");
    if (status != PTF_OK)
        return status;
    if (ptf_lower_is_tensor(l, "other")) {
        status = ptf_lower_node(l, "other", &in[1]);
    } else {
        status = ptf_lower_number(l, "other", &number);
        if (status == PTF_OK)
            status = ptf_lower_scalar(l, number, &in[1]);
    }
    if (row->turned) {
        int first = in[0];
        in[0] = in[1];
        in[1] = first;
    }
    if (status == PTF_OK)
        status = ptf_lower_add(l, row->op, &a, 2, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_binary[] = {
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
    {0},
};
