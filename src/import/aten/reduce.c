/*
 * Sums, means and extremes over axes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* The axes that 'dim' names, all of them where it names none. */
static ptf_status read_axes(ptf_lowering *l, int rank, ptf_list *out)
{
    int64_t dims[PTF_LOWER_LIST];
    int count = 0, axis;
    ptf_status status = PTF_OK;
    if (!ptf_lower_is_none(l, "dim"))
        status = ptf_lower_list(l, "dim", dims, &count);
    bool all = count == 0;
    for (int d = 0; all && d < rank; d++)
        dims[count++] = d;
    /* Twice, since the first axis changes how the others are counted. */
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < count && status == PTF_OK; i++) {
            status = ptf_lower_axis(l, rank, dims[i], &axis);
            if (i < PTF_SHAPE_MAX)
                out->at[i] = axis;
        }
    }
    out->count = count;
    return count <= PTF_SHAPE_MAX || status != PTF_OK
               ? status
               : ptf_lower_refuse(l, "reduces more than %d axes",
                                  PTF_SHAPE_MAX);
}

static ptf_status lower_reduce(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int64_t sizes[PTF_LOWER_LIST];
    int rank, input;
    const ptf_argument *dtype = ptf_program_argument(l->call, "dtype");
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && dtype != NULL &&
        dtype->kind == PTF_ARGUMENT_DTYPE && dtype->dtype != PTF_DTYPE_F32)
        status = ptf_lower_refuse(l, "sums in %s; ptfold computes in float32",
                                  ptf_dtype_name(dtype->dtype));
    if (status == PTF_OK)
        status = read_axes(l, rank, &a.dims);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &input);
    a.keepdim = ptf_lower_is_true(l, "keepdim");
    return status == PTF_OK && rank == 0 ? ptf_lower_give(l, input)
           : status == PTF_OK ? ptf_lower_give_node(l, row->op, &a, input, NULL)
                              : status;
}

const ptf_aten_row ptf_aten_reduce[] = {
    {"aten.sum.default", lower_reduce, .op = PTF_OP_SUM},
    {"aten.sum.dim_IntList", lower_reduce, .op = PTF_OP_SUM},
    {"aten.mean.default", lower_reduce, .op = PTF_OP_MEAN},
    {"aten.mean.dim", lower_reduce, .op = PTF_OP_MEAN},
    {"aten.amax.default", lower_reduce, .op = PTF_OP_AMAX},
    {"aten.max.default", lower_reduce, .op = PTF_OP_AMAX},
    {"aten.amin.default", lower_reduce, .op = PTF_OP_AMIN},
    {"aten.min.default", lower_reduce, .op = PTF_OP_AMIN},
    {0},
};
