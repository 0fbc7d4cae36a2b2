/*
 * One of two numbers, as a third one says; the triangles of a matrix.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static ptf_status give_where(ptf_lowering *l, const char *const names[3])
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    int in[3], node;
    ptf_status status = ptf_lower_broadcast(l);
    for (int k = 0; k < 3 && status == PTF_OK; k++)
        status = ptf_lower_operand(l, names[k], &in[k]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

static ptf_status lower_where(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    return give_where(l, (const char *const[]){"condition", "self", "other"});
}

static ptf_status lower_masked_fill(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    return give_where(l, (const char *const[]){"mask", "value", "self"});
}

/* 1 where tril, or triu, keeps a number of the last two axes. */
static ptf_status triangle(ptf_lowering *l, bool upper, const ptf_shape *shape,
                           int *out)
{
    int64_t diagonal, columns = shape->dim[1];
    float *keeps;
    ptf_status status = ptf_lower_int(l, "diagonal", &diagonal);
    if (status == PTF_OK)
        status = ptf_lower_room(l, ptf_shape_numel(shape), &keeps);
    if (status != PTF_OK)
        return status;
    for (int64_t i = 0; i < ptf_shape_numel(shape); i++) {
        int64_t right = i % columns - i / columns;
        keeps[i] = upper ? right >= diagonal : right <= diagonal;
    }
    return ptf_lower_constant(l, keeps, shape, out);
}

static ptf_status lower_triangle(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    int64_t sizes[PTF_LOWER_LIST];
    int rank, in[3], node;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status != PTF_OK)
        return status;
    if (rank < 2)
        return ptf_lower_refuse(l, "expected two axes or more, got %d", rank);
    ptf_shape shape = {.rank = 2, .dim = {sizes[rank - 2], sizes[rank - 1]}};
    if (rank == 2)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = triangle(l, row->reversed, &shape, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, 0, &in[2]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_where[] = {
    {.target = "aten.where.self", .lower = lower_where},
    {.target = "aten.where.ScalarSelf", .lower = lower_where},
    {.target = "aten.where.ScalarOther", .lower = lower_where},
    {.target = "aten.where.Scalar", .lower = lower_where},
    {.target = "aten.masked_fill.Scalar", .lower = lower_masked_fill},
    {.target = "aten.masked_fill.Tensor", .lower = lower_masked_fill},
    {.target = "aten.tril.default", .lower = lower_triangle},
    {"aten.triu.default", lower_triangle, .reversed = true},
    {0},
};
