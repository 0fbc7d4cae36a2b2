/*
 * Functions of two numbers, with the broadcasting of PyTorch: shapes are
 * aligned at their ends, and where one has size 1 (or no such axis) its
 * numbers are those of all positions of the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op, (void)attrs, (void)rank, (void)axis;
    return (ptf_reach){.kind = PTF_REACH_EACH};
}

const ptf_rules ptf_rules_binary = {
    .least = 2, .most = 2, .shape = ptf_broadcast_shape, .reach = reach};
