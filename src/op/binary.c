/*
 * Functions of two numbers, with the broadcasting of PyTorch: shapes are
 * aligned at their ends, and where one has size 1 (or no such axis) its
 * numbers are those of all positions of the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)op, (void)attrs, (void)count;
    const ptf_shape *a = &in[0], *b = &in[1];
    *out = a->rank >= b->rank ? *a : *b;
    for (int i = 1; i <= out->rank; i++) {
        int64_t x = i <= a->rank ? a->dim[a->rank - i] : 1;
        int64_t y = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (x != y && x != 1 && y != 1)
            return "the sizes of its two inputs do not fit each other";
        out->dim[out->rank - i] = x != 1 ? x : y;
    }
    return NULL;
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op, (void)attrs, (void)rank, (void)axis;
    return (ptf_reach){.kind = PTF_REACH_EACH};
}

const ptf_rules ptf_rules_binary = {
    .least = 2, .most = 2, .shape = shape, .reach = reach};
