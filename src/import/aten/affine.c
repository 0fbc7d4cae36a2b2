/*
 * Batch norm in evaluation; without running statistics it goes by the numbers
 * of its batch, which for a batch of one is an instance norm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* Channels first and all their numbers side by side, or back again. */
static ptf_status turn(ptf_lowering *l, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    a.dims.count = l->shapes[*node].rank;
    for (int d = 0; d < a.dims.count; d++)
        a.dims.at[d] = d < 2 ? 2 - d : d + 1;
    return ptf_lower_add_one(l, PTF_OP_PERMUTE, &a, *node, node);
}

/* Times the weight, and the bias added, where they are. */
static ptf_status scale_channels(ptf_lowering *l, int rank, int *node)
{
    static const char *const names[] = {"weight", "bias"};
    ptf_status status = PTF_OK;
    for (int i = 0; i < 2 && status == PTF_OK; i++) {
        int part;
        if (ptf_lower_is_none(l, names[i]))
            continue;
        status = ptf_lower_node(l, names[i], &part);
        if (status != PTF_OK)
            return status;
        ptf_shape shape = l->shapes[part];
        while (shape.rank < rank - 1)
            shape.dim[shape.rank++] = 1;
        status = ptf_lower_reshape(l, part, &shape, &part);
        if (status == PTF_OK)
            status = ptf_lower_add_two(l, i == 0 ? PTF_OP_MUL : PTF_OP_ADD,
                                       *node, part, node);
    }
    return status;
}

/* By the numbers of all samples: each channel is a row. */
static ptf_status lower_by_batch(ptf_lowering *l)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_LAYER_NORM);
    ptf_shape rows = {.rank = 2}, shape;
    int node;
    ptf_status status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "input", &node);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "eps", &a.eps);
    if (status == PTF_OK)
        status = turn(l, &node);
    if (status != PTF_OK)
        return status;
    shape = l->shapes[node];
    rows.dim[0] = shape.dim[0];
    rows.dim[1] = ptf_shape_numel(&shape) / ptf_max_i64(shape.dim[0], 1);
    a.affine = a.has_bias = false;
    a.size = (ptf_list){1, {rows.dim[1]}};
    status = ptf_lower_reshape(l, node, &rows, &node);
    if (status == PTF_OK)
        status = ptf_lower_add_one(l, PTF_OP_LAYER_NORM, &a, node, &node);
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, node, &shape, &node);
    if (status == PTF_OK)
        status = turn(l, &node);
    if (status == PTF_OK)
        status = scale_channels(l, shape.rank, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/*
 * Its own statistics: those of one sample where there is one, which is how
 * instance norms are decomposed and weights are standardised.
 */
static ptf_status lower_training(ptf_lowering *l, const int64_t *sizes,
                                 int rank)
{
    if (!ptf_lower_is_none(l, "running_mean") || rank < 2)
        return ptf_lower_refuse(l, "normalises by the batch itself; call "
                                   "model.eval() before torch.export.export()");
    return rank == 2 || sizes[0] != 1 ? lower_by_batch(l)
                                      : ptf_lower_instance_norm(l, sizes, rank);
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
