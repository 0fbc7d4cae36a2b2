/*
 * Sums of all positions up to each one: of 1, 2, 4, ... of them, each the sum
 * of two such sums, one moved along the axis by as many positions.  So a term
 * goes through as many roundings as there are bits in the axis' size, and one
 * that is not finite reaches no position before its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* The sum of a node and itself, moved along an axis. */
static ptf_status add_moved(ptf_lowering *l, int axis, int64_t by, int *node)
{
    ptf_attrs pad = ptf_lower_defaults(PTF_OP_PAD);
    int moved;
    int after = l->shapes[*node].rank - axis; /* axes after it */
    pad.pads.count = 2 * (after + 1);
    pad.pads.at[2 * after] = by;
    pad.pads.at[2 * after + 1] = -by;
    ptf_status status = ptf_lower_add_one(l, PTF_OP_PAD, &pad, *node, &moved);
    return status == PTF_OK
               ? ptf_lower_add_two(l, PTF_OP_ADD, *node, moved, node)
               : status;
}

static ptf_status lower_cumsum(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], size = 1;
    int rank, dim, axis = 0, node;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank > 0 ? rank : 1, &dim);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, rank, dim, &axis);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK && rank > 0)
        size = l->shapes[node].dim[axis - 1];
    for (int64_t by = 1; by < size && status == PTF_OK; by *= 2)
        status = add_moved(l, axis, by, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_scan[] = {
    {.target = "aten.cumsum.default", .lower = lower_cumsum},
    {0},
};
