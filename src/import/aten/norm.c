/*
 * Norms by the sample: layer, group, instance and RMS norm, as they stand and
 * as decompositions leave them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

ptf_status ptf_lower_ones(ptf_lowering *l, const ptf_tensor *like,
                          const ptf_tensor **out)
{
    ptf_shape shape = {.rank = like->rank};
    float *data;
    int64_t numel = ptf_tensor_numel(like);
    if (like->rank > PTF_SHAPE_MAX)
        return ptf_lower_refuse_rank(l, like->rank, PTF_SHAPE_MAX);
    memcpy(shape.dim, like->shape, (size_t)like->rank * sizeof(*shape.dim));
    ptf_status status = ptf_lower_room(l, numel, &data);
    for (int64_t i = 0; i < numel && status == PTF_OK; i++)
        data[i] = 1;
    ptf_tensor *t =
        status == PTF_OK ? ptf_lower_tensor_of(l, data, &shape) : NULL;
    *out = t;
    if (t == NULL)
        return status != PTF_OK ? status : ptf_fail_memory(l->err);
    t->name = ptf_arena_printf(&l->net->arena, "%s.ones", l->call->name);
    return t->name != NULL ? PTF_OK : ptf_fail_memory(l->err);
}

/* Weight and bias, where they are, and what the attributes say of them. */
static ptf_status read_affine(ptf_lowering *l, ptf_attrs *a,
                              const ptf_tensor *tensors[PTF_ROLE_COUNT])
{
    ptf_status status =
        ptf_lower_tensor(l, "weight", &tensors[PTF_ROLE_WEIGHT]);
    if (status == PTF_OK)
        status = ptf_lower_tensor(l, "bias", &tensors[PTF_ROLE_BIAS]);
    a->affine = tensors[PTF_ROLE_WEIGHT] != NULL;
    a->has_bias = tensors[PTF_ROLE_BIAS] != NULL;
    if (status == PTF_OK && a->has_bias && !a->affine) {
        const ptf_tensor *bias = tensors[PTF_ROLE_BIAS];
        status = ptf_lower_ones(l, bias, &tensors[PTF_ROLE_WEIGHT]);
        a->affine = true;
    }
    return status;
}

/* An RMS norm has no bias, and may have no eps. */
static ptf_status lower_trailing(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    const ptf_tensor *tensors[PTF_ROLE_COUNT] = {NULL};
    int64_t sizes[PTF_LOWER_LIST], shape[PTF_LOWER_LIST];
    int rank, count, input;
    ptf_status status = ptf_lower_sizes(l, "input", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_list(l, "normalized_shape", shape, &count);
    if (status == PTF_OK)
        status = read_affine(l, &a, tensors);
    a.has_bias |= row->op == PTF_OP_RMS_NORM;
    a.eps_none = row->op == PTF_OP_RMS_NORM && ptf_lower_is_none(l, "eps");
    if (status == PTF_OK && !a.eps_none)
        status = ptf_lower_number(l, "eps", &a.eps);
    if (status == PTF_OK && (count > PTF_SHAPE_MAX || count > rank))
        status = ptf_lower_refuse(l, "normalises %d axes of %d", count, rank);
    if (status == PTF_OK && count == rank)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "input", &input);
    if (status != PTF_OK)
        return status;
    a.size.count = count;
    memcpy(a.size.at, shape, (size_t)count * sizeof(*shape));
    return ptf_lower_give_node(l, row->op, &a, input, tensors);
}

/* The channels are the second axis, in samples of one axis less. */
static ptf_status lower_channels(ptf_lowering *l, ptf_op op, ptf_attrs *a,
                                 const int64_t *sizes, int rank)
{
    const ptf_tensor *tensors[PTF_ROLE_COUNT] = {NULL};
    ptf_status status = read_affine(l, a, tensors);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "eps", &a->eps);
    a->track_running_stats = false;
    a->in_channels = sizes[1];
    return status == PTF_OK
               ? ptf_lower_samples(l, op, a, "input", rank - 1, tensors)
               : status;
}

/* The decomposed form says groups as 'group'. */
static ptf_status lower_group_norm(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    bool native = ptf_program_argument(l->call, "group") != NULL;
    ptf_status status = ptf_lower_sizes(l, "input", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_int(l, native ? "group" : "num_groups", &a.groups);
    if (status == PTF_OK && (rank < 2 || a.groups < 1))
        status = ptf_lower_refuse(l, "normalises %lld groups of %d axes",
                                  (long long)a.groups, rank);
    return status == PTF_OK ? lower_channels(l, row->op, &a, sizes, rank)
                            : status;
}

/* By its own numbers; PyTorch does not take one number alone. */
ptf_status ptf_lower_instance_norm(ptf_lowering *l, const int64_t *sizes,
                                   int rank)
{
    static const ptf_op ops[] = {[3] = PTF_OP_INSTANCE_NORM1D,
                                 [4] = PTF_OP_INSTANCE_NORM2D,
                                 [5] = PTF_OP_INSTANCE_NORM3D};
    if (rank < 3 || rank > 5)
        return ptf_lower_refuse(l, "expected 3 to 5 axes, got %d", rank);
    ptf_attrs a = ptf_lower_defaults(ops[rank]);
    return lower_channels(l, ops[rank], &a, sizes, rank);
}

static ptf_status lower_instance_norm(ptf_lowering *l, const ptf_aten_row *row)
{
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    if (!ptf_lower_is_true(l, "use_input_stats"))
        return ptf_lower_batch_norm(l, row);
    ptf_status status = ptf_lower_sizes(l, "input", sizes, &rank);
    return status == PTF_OK ? ptf_lower_instance_norm(l, sizes, rank) : status;
}

const ptf_aten_row ptf_aten_norm[] = {
    {"aten.layer_norm.default", lower_trailing, .op = PTF_OP_LAYER_NORM},
    {"aten.native_layer_norm.default", lower_trailing, .op = PTF_OP_LAYER_NORM},
    {"aten.rms_norm.default", lower_trailing, .op = PTF_OP_RMS_NORM},
    {"aten._fused_rms_norm.default", lower_trailing, .op = PTF_OP_RMS_NORM},
    {"aten.group_norm.default", lower_group_norm, .op = PTF_OP_GROUP_NORM},
    {"aten.native_group_norm.default", lower_group_norm,
     .op = PTF_OP_GROUP_NORM},
    {.target = "aten.instance_norm.default", .lower = lower_instance_norm},
    {0},
};
