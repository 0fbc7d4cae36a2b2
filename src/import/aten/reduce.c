/*
 * Reductions over axes: sums, means, extremes, variances, norms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

#include <math.h>

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

/* Numbers that the call has for its op, and how the result is made. */
static ptf_status read_reduce(ptf_lowering *l, int rank, ptf_attrs *a)
{
    const ptf_argument *dtype = ptf_program_argument(l->call, "dtype");
    if (dtype != NULL && dtype->kind == PTF_ARGUMENT_DTYPE &&
        dtype->dtype != PTF_DTYPE_F32)
        return ptf_lower_refuse(l, "sums in %s; ptfold computes in float32",
                                ptf_dtype_name(dtype->dtype));
    a->keepdim = ptf_lower_is_true(l, "keepdim");
    return read_axes(l, rank, &a->dims);
}

static ptf_status lower_reduce(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int64_t sizes[PTF_LOWER_LIST];
    int rank, input;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = read_reduce(l, rank, &a);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &input);
    return status == PTF_OK && rank == 0 ? ptf_lower_give(l, input)
           : status == PTF_OK ? ptf_lower_give_node(l, row->op, &a, input, NULL)
                              : status;
}

/* Of no numbers all are true and none is: their sum is 0. */
static ptf_status give_truth_of_nothing(ptf_lowering *l, bool all,
                                        const ptf_attrs *a, int node)
{
    ptf_status status = ptf_lower_add_one(l, PTF_OP_SUM, a, node, &node);
    if (status == PTF_OK && all)
        status = ptf_lower_add_plain(l, PTF_OP_LOGICAL_NOT, node, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* The least truth of a number, or the greatest: NaN is true. */
static ptf_status lower_truth(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int64_t sizes[PTF_LOWER_LIST];
    int rank, node, zero;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = read_reduce(l, rank, &a);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK && ptf_shape_numel(&l->shapes[node]) == 0)
        return give_truth_of_nothing(l, row->op == PTF_OP_AMIN, &a, node);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, 0, &zero);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_NE, node, zero, &node);
    return status != PTF_OK ? status
           : rank == 0      ? ptf_lower_give(l, node)
                            : ptf_lower_give_node(l, row->op, &a, node, NULL);
}

/*
 * Variances, and with 'means' the mean as a second result.  What is taken from
 * the number of terms is 'correction', or 1 where it is None, or 'unbiased'.
 */
static ptf_status lower_variance(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    ptf_attrs mean = ptf_lower_defaults(PTF_OP_MEAN);
    const ptf_argument *unbiased = ptf_program_argument(l->call, "unbiased");
    int64_t sizes[PTF_LOWER_LIST];
    int rank, input, node;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && rank == 0)
        status = ptf_lower_refuse(l, "one number has no variance");
    if (status == PTF_OK)
        status = read_reduce(l, rank, &a);
    if (unbiased != NULL)
        a.p[0] = ptf_lower_is_true(l, "unbiased");
    else if (status == PTF_OK && !ptf_lower_is_none(l, "correction"))
        status = ptf_lower_number(l, "correction", &a.p[0]);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &input);
    if (status != PTF_OK)
        return status;
    bool none = ptf_shape_numel(&l->shapes[input]) == 0; /* then both are NaN */
    status =
        ptf_lower_give_node(l, none ? PTF_OP_MEAN : row->op, &a, input, NULL);
    if (status != PTF_OK || !row->means)
        return status;
    mean.dims = a.dims;
    mean.keepdim = a.keepdim;
    status = ptf_lower_add_one(l, PTF_OP_MEAN, &mean, input, &node);
    return status == PTF_OK ? ptf_lower_give_at(l, 1, node) : status;
}

/* |x|, or what |x| adds to a norm of another order than 2; the sum of which
 * numbers is not 0 is that of order 0. */
static ptf_status add_terms(ptf_lowering *l, double order, bool raises,
                            int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_ABS);
    ptf_attrs power = ptf_lower_defaults(PTF_OP_POW);
    int in[2] = {*node};
    power.p[0] = order;
    if (!(order < 0 || order > 0)) {
        ptf_status status = ptf_lower_scalar(l, 0, &in[1]);
        return status == PTF_OK
                   ? ptf_lower_add(l, PTF_OP_NE, &a, 2, in, NULL, node)
                   : status;
    }
    ptf_status status = ptf_lower_add_one(l, PTF_OP_ABS, &a, *node, node);
    return status == PTF_OK && raises
               ? ptf_lower_add_one(l, PTF_OP_POW, &power, *node, node)
               : status;
}

/* Of order 2; of 1, inf and -inf as the sum and extremes of |x|; of others as
 * the root of the sum of powers. */
ptf_status ptf_lower_add_norm(ptf_lowering *l, double order,
                              const ptf_list *dims, bool keepdim, int *node)
{
    bool is_2 = order >= 2 && order <= 2, is_1 = order >= 1 && order <= 1;
    bool raises = dims->count > 0 && !is_1 && !isinf(order) && fabs(order) > 0;
    ptf_op op = is_2            ? PTF_OP_VECTOR_NORM
                : !isinf(order) ? PTF_OP_SUM
                : order > 0     ? PTF_OP_AMAX
                                : PTF_OP_AMIN;
    ptf_attrs a = ptf_lower_defaults(op), root = ptf_lower_defaults(PTF_OP_POW);
    ptf_status status = PTF_OK;
    a.dims = *dims;
    a.keepdim = keepdim;
    root.p[0] = 1 / order;
    if (isnan(order))
        return ptf_lower_refuse(l, "its order is NaN");
    if (!is_2 || dims->count == 0)
        status = add_terms(l, order, raises, node);
    if (status == PTF_OK && dims->count > 0)
        status = ptf_lower_add_one(l, op, &a, *node, node);
    return status == PTF_OK && raises && !is_2
               ? ptf_lower_add_one(l, PTF_OP_POW, &root, *node, node)
               : status;
}

static ptf_status lower_norm(ptf_lowering *l, const ptf_aten_row *row)
{
    const char *name = row->numbers[0];
    ptf_attrs a = ptf_lower_defaults(PTF_OP_SUM);
    int64_t sizes[PTF_LOWER_LIST];
    int rank, node;
    double order = 2;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && name != NULL && !ptf_lower_is_none(l, name))
        status = ptf_lower_number(l, name, &order);
    if (status == PTF_OK)
        status = read_reduce(l, rank, &a);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    a.dims.count = rank > 0 ? a.dims.count : 0;
    if (status == PTF_OK)
        status = ptf_lower_add_norm(l, order, &a.dims, a.keepdim, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
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
    {"aten.all.default", lower_truth, .op = PTF_OP_AMIN},
    {"aten.all.dim", lower_truth, .op = PTF_OP_AMIN},
    {"aten.all.dims", lower_truth, .op = PTF_OP_AMIN},
    {"aten.any.default", lower_truth, .op = PTF_OP_AMAX},
    {"aten.any.dim", lower_truth, .op = PTF_OP_AMAX},
    {"aten.any.dims", lower_truth, .op = PTF_OP_AMAX},
    {"aten.logsumexp.default", lower_reduce, .op = PTF_OP_LOGSUMEXP},
    {"aten.var.default", lower_variance, .op = PTF_OP_VAR},
    {"aten.var.dim", lower_variance, .op = PTF_OP_VAR},
    {"aten.var.correction", lower_variance, .op = PTF_OP_VAR},
    {"aten.std.default", lower_variance, .op = PTF_OP_STD},
    {"aten.std.dim", lower_variance, .op = PTF_OP_STD},
    {"aten.std.correction", lower_variance, .op = PTF_OP_STD},
    {"aten.var_mean.default", lower_variance, .op = PTF_OP_VAR, .means = true},
    {"aten.var_mean.dim", lower_variance, .op = PTF_OP_VAR, .means = true},
    {"aten.var_mean.correction", lower_variance, .op = PTF_OP_VAR,
     .means = true},
    {"aten.std_mean.default", lower_variance, .op = PTF_OP_STD, .means = true},
    {"aten.std_mean.dim", lower_variance, .op = PTF_OP_STD, .means = true},
    {"aten.std_mean.correction", lower_variance, .op = PTF_OP_STD,
     .means = true},
    {"aten.linalg_vector_norm.default", lower_norm, .numbers = {"ord"}},
    {"aten.norm.Scalar", lower_norm, .numbers = {"p"}},
    {"aten.norm.ScalarOpt_dim", lower_norm, .numbers = {"p"}},
    {"aten.norm.ScalarOpt_dtype", lower_norm, .numbers = {"p"}},
    {"aten.norm.ScalarOpt_dim_dtype", lower_norm, .numbers = {"p"}},
    {.target = "aten.frobenius_norm.dim", .lower = lower_norm},
    {0},
};
