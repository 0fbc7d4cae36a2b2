/*
 * One of two numbers, as a third one says: a where c is not 0, b where it is.
 * The operands are c, a, b, with the broadcasting of PyTorch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op, (void)attrs, (void)rank, (void)axis;
    return (ptf_reach){.kind = PTF_REACH_EACH};
}

const ptf_rules ptf_rules_where = {
    .least = 3, .most = 3, .shape = ptf_broadcast_shape, .reach = reach};
