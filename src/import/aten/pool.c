/*
 * Pools.  Where a largest number is, is computed only for what reads it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static bool is_window(const ptf_attrs *a)
{
    bool all = true;
    for (int i = 0; i < PTF_MAP_AXES; i++)
        all &= a->kernel[i] >= 1 && a->stride[i] >= 1 && a->dilation[i] >= 1 &&
               a->padding[i] >= 0 && a->kernel[i] <= INT32_MAX &&
               a->stride[i] <= INT32_MAX && a->dilation[i] <= INT32_MAX;
    return all;
}

static ptf_status read_divisor(ptf_lowering *l, ptf_attrs *a)
{
    if (ptf_program_argument(l->call, "divisor_override") == NULL ||
        ptf_lower_is_none(l, "divisor_override"))
        return PTF_OK;
    ptf_status status = ptf_lower_int(l, "divisor_override", &a->divisor);
    if (status == PTF_OK && (a->divisor < 1 || a->divisor > INT32_MAX))
        return ptf_lower_refuse(l, "expected a positive divisor_override");
    return status;
}

static ptf_status lower_pool(ptf_lowering *l, const ptf_aten_row *row)
{
    bool mean = ptf_op_pool_kind(row->op).mean;
    int axes = ptf_op_map_axes(row->op), first = PTF_MAP_AXES - axes;
    ptf_attrs a = ptf_lower_defaults(row->op);
    ptf_status status =
        ptf_lower_ints(l, "kernel_size", axes, a.kernel + first);
    if (status == PTF_OK)
        status = ptf_lower_ints(
            l, ptf_lower_is_none(l, "stride") ? "kernel_size" : "stride", axes,
            a.stride + first);
    if (status == PTF_OK)
        status = ptf_lower_ints(l, "padding", axes, a.padding + first);
    if (status == PTF_OK)
        status = mean ? read_divisor(l, &a)
                      : ptf_lower_ints(l, "dilation", axes, a.dilation + first);
    if (status != PTF_OK)
        return status;
    if (!is_window(&a))
        return ptf_lower_refuse(l, "expected a window of at least 1");
    a.ceil_mode = ptf_lower_is_true(l, "ceil_mode");
    a.count_include_pad = ptf_lower_is_true(l, "count_include_pad");
    status = ptf_lower_samples(l, row->op, &a, "self", axes + 1, NULL);
    return status == PTF_OK && !mean ? ptf_lower_places(l, &a, axes, false)
                                     : status;
}

static ptf_status lower_adaptive(ptf_lowering *l, const ptf_aten_row *row)
{
    int axes = ptf_op_map_axes(row->op);
    ptf_attrs a = ptf_lower_defaults(row->op);
    int64_t *size = a.output_size + PTF_MAP_AXES - axes;
    ptf_status status = ptf_lower_ints(l, "output_size", axes, size);
    for (int i = 0; i < axes && status == PTF_OK; i++) {
        if (size[i] < 1 || size[i] > INT32_MAX)
            status = ptf_lower_refuse(l, "expected an output of at least 1");
    }
    if (status == PTF_OK)
        status = ptf_lower_samples(l, row->op, &a, "self", axes + 1, NULL);
    return status == PTF_OK && !ptf_op_pool_kind(row->op).mean
               ? ptf_lower_places(l, &a, axes, true)
               : status;
}

const ptf_aten_row ptf_aten_pool[] = {
    {"aten.max_pool1d.default", lower_pool, .op = PTF_OP_MAXPOOL1D},
    {"aten.max_pool2d.default", lower_pool, .op = PTF_OP_MAXPOOL2D},
    {"aten.max_pool3d.default", lower_pool, .op = PTF_OP_MAXPOOL3D},
    {"aten.max_pool1d_with_indices.default", lower_pool,
     .op = PTF_OP_MAXPOOL1D},
    {"aten.max_pool2d_with_indices.default", lower_pool,
     .op = PTF_OP_MAXPOOL2D},
    {"aten.max_pool3d_with_indices.default", lower_pool,
     .op = PTF_OP_MAXPOOL3D},
    {"aten.avg_pool1d.default", lower_pool, .op = PTF_OP_AVGPOOL1D},
    {"aten.avg_pool2d.default", lower_pool, .op = PTF_OP_AVGPOOL2D},
    {"aten.avg_pool3d.default", lower_pool, .op = PTF_OP_AVGPOOL3D},
    {"aten.adaptive_avg_pool1d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_AVGPOOL1D},
    {"aten.adaptive_avg_pool2d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_AVGPOOL2D},
    {"aten.adaptive_avg_pool3d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_AVGPOOL3D},
    {"aten._adaptive_avg_pool2d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_AVGPOOL2D},
    {"aten._adaptive_avg_pool3d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_AVGPOOL3D},
    {"aten.adaptive_max_pool1d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_MAXPOOL1D},
    {"aten.adaptive_max_pool2d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_MAXPOOL2D},
    {"aten.adaptive_max_pool3d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_MAXPOOL3D},
    {0},
};
