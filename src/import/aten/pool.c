/*
 * Pools.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static ptf_status lower_pool(ptf_lowering *l, const ptf_aten_row *row)
{
    bool max = row->op == PTF_OP_MAXPOOL2D;
    ptf_attrs a = ptf_lower_defaults(row->op);
    ptf_status status = ptf_lower_ints(l, "kernel_size", 2, a.kernel);
    if (status == PTF_OK)
        status = ptf_lower_ints(
            l, ptf_lower_is_none(l, "stride") ? "kernel_size" : "stride", 2,
            a.stride);
    if (status == PTF_OK)
        status = ptf_lower_ints(l, "padding", 2, a.padding);
    if (status == PTF_OK && max)
        status = ptf_lower_ints(l, "dilation", 2, a.dilation);
    a.ceil_mode = ptf_lower_is_true(l, "ceil_mode");
    a.count_include_pad = ptf_lower_is_true(l, "count_include_pad");
    for (int i = 0; i < 2 && status == PTF_OK; i++) {
        if (a.kernel[i] < 1 || a.stride[i] < 1 || a.dilation[i] < 1 ||
            a.padding[i] < 0 || a.kernel[i] > INT32_MAX ||
            a.stride[i] > INT32_MAX || a.dilation[i] > INT32_MAX)
            status = ptf_lower_refuse(l, "expected a window of at least 1");
    }
    if (status == PTF_OK && !ptf_lower_is_none(l, "divisor_override"))
        status = ptf_lower_refuse(l, "divisor_override is not supported");
    return status == PTF_OK ? ptf_lower_samples(l, row->op, &a, "self", 3, NULL)
                            : status;
}

static ptf_status lower_adaptive(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    ptf_status status = ptf_lower_ints(l, "output_size", 2, a.output_size);
    if (status == PTF_OK && (a.output_size[0] < 1 || a.output_size[1] < 1))
        status = ptf_lower_refuse(l, "expected an output of at least 1x1");
    return status == PTF_OK ? ptf_lower_samples(l, row->op, &a, "self", 3, NULL)
                            : status;
}

const ptf_aten_row ptf_aten_pool[] = {
    {"aten.max_pool2d.default", lower_pool, .op = PTF_OP_MAXPOOL2D},
    {"aten.max_pool2d_with_indices.default", lower_pool,
     .op = PTF_OP_MAXPOOL2D},
    {"aten.avg_pool2d.default", lower_pool, .op = PTF_OP_AVGPOOL2D},
    {"aten.adaptive_avg_pool2d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_AVGPOOL2D},
    {"aten._adaptive_avg_pool2d.default", lower_adaptive,
     .op = PTF_OP_ADAPTIVE_AVGPOOL2D},
    {0},
};
