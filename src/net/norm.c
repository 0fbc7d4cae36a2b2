/*
 * The numbers of batch norms, and of products row by row.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

static ptf_status read_channels(ptf_arena *arena, const ptf_node *node,
                                ptf_role role, double otherwise, double **out,
                                ptf_error *err)
{
    int64_t channels = node->attrs.out_channels;
    *out = ptf_arena_array(arena, (size_t)channels, sizeof(double));
    if (*out == NULL)
        return ptf_fail_memory(err);
    if (node->tensors[role] != NULL)
        return ptf_tensor_read_f64(node->tensors[role], *out, err);
    for (int64_t i = 0; i < channels; i++)
        (*out)[i] = otherwise;
    return PTF_OK;
}

ptf_status ptf_norm_numbers_read(ptf_arena *arena, const ptf_node *node,
                                 ptf_norm_numbers *out, ptf_error *err)
{
    if (node->tensors[PTF_ROLE_RUNNING_MEAN] == NULL ||
        node->tensors[PTF_ROLE_RUNNING_VAR] == NULL)
        return ptf_node_fail(err, PTF_UNSUPPORTED, node,
                             "has no running statistics, and so no fixed "
                             "function");
    ptf_status status =
        read_channels(arena, node, PTF_ROLE_WEIGHT, 1, &out->gamma, err);
    if (status == PTF_OK)
        status = read_channels(arena, node, PTF_ROLE_BIAS, 0, &out->beta, err);
    if (status == PTF_OK)
        status = read_channels(arena, node, PTF_ROLE_RUNNING_MEAN, 0,
                               &out->mean, err);
    if (status == PTF_OK)
        status =
            read_channels(arena, node, PTF_ROLE_RUNNING_VAR, 1, &out->var, err);
    return status;
}

/* [in channels][out channels of a group][kernel] is cut into groups. */
ptf_tensor ptf_node_rows(const ptf_node *node)
{
    const ptf_tensor *weight = node->tensors[PTF_ROLE_WEIGHT];
    ptf_tensor rows = *weight;
    if (!ptf_op_is_transposed(node->op))
        return rows;
    rows.rank = weight->rank + 1;
    rows.shape[0] = node->attrs.groups;
    rows.shape[1] = weight->shape[1];
    rows.stride[1] = weight->stride[1];
    rows.shape[2] = weight->shape[0] / node->attrs.groups;
    rows.stride[2] = weight->stride[0];
    rows.stride[0] = rows.shape[2] * weight->stride[0];
    for (int d = 2; d < weight->rank; d++) {
        rows.shape[d + 1] = weight->shape[d];
        rows.stride[d + 1] = weight->stride[d];
    }
    return rows;
}
