/*
 * Batch norm in evaluation; by the numbers of a batch of one it is an instance
 * norm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/*
 * Its own statistics: those of one sample where there is one, which is how
 * instance norms are decomposed and weights are standardised.
 */
static ptf_status lower_training(ptf_lowering *l, const int64_t *sizes,
                                 int rank)
{
    if (!ptf_lower_is_none(l, "running_mean") || rank < 3 || sizes[0] != 1)
        return ptf_lower_refuse(l, "normalises by the batch itself; call "
                                   "model.eval() before torch.export.export()");
    return ptf_lower_instance_norm(l, sizes, rank);
}

ptf_status ptf_lower_batch_norm(ptf_lowering *l, const ptf_aten_row *row)
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
    if (status == PTF_OK && ptf_lower_is_true(l, "training"))
        return lower_training(l, sizes, rank);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(parts) && status == PTF_OK; i++)
        status = ptf_lower_tensor(l, parts[i].name, &tensors[parts[i].role]);
    if (status != PTF_OK)
        return status;
    const ptf_tensor *mean = tensors[PTF_ROLE_RUNNING_MEAN];
    if (mean == NULL || mean->rank != 1 ||
        tensors[PTF_ROLE_RUNNING_VAR] == NULL)
        return ptf_lower_refuse(l, "has no running statistics of channels");
    ptf_op op = ptf_batch_norm_of(rank);
    ptf_attrs a = ptf_lower_defaults(op);
    a.in_channels = a.out_channels = mean->shape[0];
    a.has_bias = tensors[PTF_ROLE_BIAS] != NULL;
    if (a.has_bias && tensors[PTF_ROLE_WEIGHT] == NULL)
        status = ptf_lower_ones(l, tensors[PTF_ROLE_BIAS],
                                &tensors[PTF_ROLE_WEIGHT]);
    a.affine = tensors[PTF_ROLE_WEIGHT] != NULL;
    if (status == PTF_OK)
        status = ptf_lower_number(l, "eps", &a.eps);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "momentum", &a.momentum);
    return status == PTF_OK
               ? ptf_lower_samples(l, op, &a, "input", rank - 1, tensors)
               : status;
}

const ptf_aten_row ptf_aten_affine[] = {
    {.target = "aten.batch_norm.default", .lower = ptf_lower_batch_norm},
    {.target = "aten._native_batch_norm_legit_no_training.default",
     .lower = ptf_lower_batch_norm},
    {.target = "aten._native_batch_norm_legit.no_stats",
     .lower = ptf_lower_batch_norm},
    {0},
};
