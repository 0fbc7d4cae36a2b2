/*
 * One of two numbers, as a third one says, with broadcasting.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

static void run_where(const ptf_plan *plan, const ptf_step *step,
                      const ptf_piece *piece)
{
    ptf_nest nest = ptf_nest_over(&plan->values[step->out], piece, NULL);
    nest.where = plan->kernels->where;
    ptf_nest_write(&nest, plan, piece, step->out);
    for (int k = 0; k < step->in_count; k++)
        ptf_nest_read(&nest, 1 + k, plan, piece, step->in[k]);
    ptf_nest_run(&nest, plan, piece);
}

ptf_status ptf_plan_where(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "where";
    step->run = run_where;
    return PTF_OK;
}
