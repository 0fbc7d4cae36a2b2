/*
 * Values one after the other along an axis: each is copied to its place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

static void run_concat(const ptf_plan *plan, const ptf_step *step,
                       const ptf_piece *piece)
{
    const ptf_plan_value *out = &plan->values[step->out];
    int axis = ptf_concat_axis(&step->node->attrs, out->shape.rank + 1);
    int64_t begin = 0;
    for (int k = 0; k < step->in_count; k++) {
        const ptf_plan_value *in = &plan->values[step->in[k]];
        ptf_plan_value part = *out; /* of the result, which is the operand */
        int64_t size = in->shape.dim[axis - 1];
        part.shape.dim[axis - 1] = size;
        if (axis == 2) /* that of the rows, which is not cut then */
            part.rows = size;
        ptf_nest nest = ptf_nest_over(&part, piece, ptf_nest_copy);
        ptf_nest_write(&nest, plan, piece, step->out);
        ptf_nest_read(&nest, 1, plan, piece, step->in[k]);
        nest.y += begin * nest.axes[axis].step[0];
        ptf_nest_run(&nest, plan, piece);
        begin += size;
    }
}

ptf_status ptf_plan_concat(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "concat";
    step->run = run_concat;
    return PTF_OK;
}
