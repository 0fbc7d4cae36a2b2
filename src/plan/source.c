/*
 * Copies: of an input that is the output, of a view, and of a constant where
 * each image has to have its own.  These alone may have no elements.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

static void run_copy(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    if (plan->values[step->out].numel == 0)
        return;
    ptf_nest nest =
        ptf_nest_over(&plan->values[step->out], piece, ptf_nest_copy);
    ptf_nest_write(&nest, plan, piece, step->out);
    ptf_nest_read(&nest, 1, plan, piece, step->in[0]);
    ptf_nest_run(&nest, plan, piece);
}

static void run_constant(const ptf_plan *plan, const ptf_step *step,
                         const ptf_piece *piece)
{
    const ptf_plan_value *out = &plan->values[step->out];
    if (out->numel == 0)
        return;
    ptf_plan_value whole = *out;
    whole.first = 0;
    whole.rows = whole.shape.rank == 3 ? whole.shape.dim[1] : 1;
    ptf_nest nest = ptf_nest_over(out, piece, ptf_nest_copy);
    ptf_nest_write(&nest, plan, piece, step->out);
    nest.in[1] = out->constant + ptf_nest_lay(&nest, 1, &whole, 0);
    ptf_nest_run(&nest, plan, piece);
}

ptf_status ptf_plan_source(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "copy";
    step->run = step->node->op == PTF_OP_CONSTANT ? run_constant : run_copy;
    return PTF_OK;
}
