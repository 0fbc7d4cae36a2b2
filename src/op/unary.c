/*
 * Functions of one number: activations.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

#include <float.h>
#include <math.h>

/* PyTorch divides by Softplus's beta, and has it in f32. */
static const char *settle(ptf_op op, ptf_attrs *attrs)
{
    double size = fabs(attrs->p[0]);
    bool usable = size >= (double)FLT_MIN && size <= (double)FLT_MAX;
    return op != PTF_OP_SOFTPLUS || usable ? NULL
                                           : "a beta that is no normal f32";
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op, (void)attrs, (void)rank, (void)axis;
    return (ptf_reach){.kind = PTF_REACH_EACH};
}

const ptf_rules ptf_rules_unary = {.settle = settle, .reach = reach};
