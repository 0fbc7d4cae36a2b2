/*
 * Batch norm in evaluation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static ptf_status lower_batch_norm(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    static const struct {
        const char *name;
        ptf_role role;
    } parts[] = {
        {"weight", PTF_ROLE_WEIGHT},
        {"bias", PTF_ROLE_BIAS},
        {"running_mean", PTF_ROLE_RUNNING_MEAN},
        {"running_var", PTF_ROLE_RUNNING_VAR},
    };
    const ptf_tensor *tensors[PTF_ROLE_COUNT] = {NULL};
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    ptf_status status = ptf_lower_sizes(l, "input", sizes, &rank);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(parts) && status == PTF_OK; i++)
        status = ptf_lower_tensor(l, parts[i].name, &tensors[parts[i].role]);
    if (status != PTF_OK)
        return status;
    const ptf_tensor *mean = tensors[PTF_ROLE_RUNNING_MEAN];
    if (ptf_lower_is_true(l, "training") || mean == NULL || mean->rank != 1 ||
        tensors[PTF_ROLE_RUNNING_VAR] == NULL)
        return ptf_lower_refuse(l, "normalises by the batch itself; call "
                                   "model.eval() before torch.export.export()");
    ptf_op op = rank == 4 ? PTF_OP_BATCHNORM2D : PTF_OP_BATCHNORM1D;
    ptf_attrs a = ptf_lower_defaults(op);
    a.in_channels = a.out_channels = mean->shape[0];
    a.affine = tensors[PTF_ROLE_WEIGHT] != NULL;
    a.has_bias = tensors[PTF_ROLE_BIAS] != NULL;
    if (a.has_bias && !a.affine)
        return ptf_lower_refuse(l, "a bias without a weight");
    status = ptf_lower_number(l, "eps", &a.eps);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "momentum", &a.momentum);
    return status == PTF_OK
               ? ptf_lower_samples(l, op, &a, "input", rank - 1, tensors)
               : status;
}

const ptf_aten_row ptf_aten_affine[] = {
    {.target = "aten.batch_norm.default", .lower = lower_batch_norm},
    {.target = "aten._native_batch_norm_legit_no_training.default",
     .lower = lower_batch_norm},
    {0},
};
