/*
 * Functions of two numbers, with broadcasting.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

static const ptf_binary binary[PTF_OP_COUNT] = {
#define BINARY(id, name) [PTF_OP_##id] = PTF_BINARY_##id,
#include "kernel/operators.inc"
#undef BINARY
};

/* Each op of the family has its function. */
#define OP(id, name, class_name, family, attributes) \
    +(PTF_FAMILY_##family == PTF_FAMILY_BINARY)
enum {
    OPS =
#include "op/ops.inc"
};
#undef OP
_Static_assert((int)OPS == (int)PTF_BINARY_COUNT,
               "kernel/operators.inc lacks one");

static void run_binary(const ptf_plan *plan, const ptf_step *step,
                       const ptf_piece *piece)
{
    ptf_nest nest =
        ptf_nest_over(&plan->values[step->out], piece,
                      plan->kernels->binary[binary[step->node->op]]);
    ptf_nest_write(&nest, plan, piece, step->out);
    ptf_nest_read(&nest, 1, plan, piece, step->in[0]);
    ptf_nest_read(&nest, 2, plan, piece, step->in[1]);
    ptf_nest_run(&nest, plan, piece);
}

ptf_status ptf_plan_binary(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "binary";
    step->run = run_binary;
    return PTF_OK;
}
