/*
 * Running a plan, and what can be asked of the run.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/* Fails where an index named no position: of the first step that met one. */
static ptf_status check_indices(const ptf_plan *plan, ptf_error *err)
{
    for (int i = 0; i < plan->step_count; i++) {
        const ptf_step *s = &plan->steps[i];
        for (int t = 0; t < plan->threads; t++) {
            if (!s->shares[t].bad_index)
                continue;
            const ptf_shape *in = &plan->values[s->in[0]].shape;
            ptf_gather g = ptf_op_gather(s->node->op, &s->node->attrs, in,
                                         &plan->values[s->in[1]].shape);
            return ptf_node_fail(err, PTF_ARGUMENT, s->node,
                                 "expected an index from %lld to %lld, got %g",
                                 g.wraps ? -(long long)g.positions : 0LL,
                                 (long long)g.positions - 1,
                                 (double)s->shares[t].index);
        }
    }
    return PTF_OK;
}

ptf_status ptf_plan_run(ptf_plan *plan, const float *in, int64_t count,
                        float *out, ptf_error *err)
{
    if (count < 0 || count > plan->most)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "%lld inputs for a plan of %lld", (long long)count,
                        (long long)plan->most);
    int64_t inputs = ptf_shape_numel(&plan->values[0].shape);
    int64_t outputs = ptf_shape_numel(&plan->values[plan->output].shape);
    ptf_plan_start(plan, (double)count, in, count * inputs);
    plan->in = in;
    plan->out = out;
    for (int64_t n = 0; n < count; n += plan->batch) {
        ptf_plan_run_images(plan, in + n * inputs,
                            ptf_min_i64(count - n, plan->batch),
                            out + n * outputs);
    }
    return check_indices(plan, err);
}

const char *ptf_plan_not_finite(const ptf_plan *plan)
{
    if (plan->not_finite)
        return plan->net->nodes[0].name;
    for (int i = 0; i < plan->step_count; i++) {
        for (int t = 0; t < plan->threads; t++) {
            if (plan->steps[i].shares[t].not_finite)
                return plan->steps[i].node->name;
        }
    }
    return NULL;
}

const float *ptf_plan_layer(const ptf_plan *plan, size_t index,
                            ptf_shape *shape)
{
    *shape = plan->values[index + 1].shape;
    if (!plan->keep || plan->in == NULL)
        return NULL;
    const ptf_plan_value *v = &plan->values[plan->values[index + 1].root];
    if (v->buffer == PTF_BUFFER_IN)
        return plan->in;
    return v->buffer == PTF_BUFFER_OUT ? plan->out
                                       : plan->buffers[v->buffer].data;
}
