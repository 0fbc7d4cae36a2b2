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

/* Moves all arrays on by so many images. */
static void set_buffers(ptf_plan *plan, const float *const *in,
                        float *const *out, int64_t images)
{
    const ptf_net *net = plan->net;
    for (int k = 0; k < net->input_count; k++)
        plan->at.in[k] =
            in[k] + images * ptf_shape_numel(&plan->values[k].shape);
    for (int k = 0; k < net->output_count; k++) {
        const ptf_shape *shape = &plan->values[plan->outputs[k]].shape;
        plan->at.out[k] = out[k] + images * ptf_shape_numel(shape);
    }
}

ptf_status ptf_plan_run_all(ptf_plan *plan, const float *const *in,
                            int64_t count, float *const *out, ptf_error *err)
{
    if (count < 0 || count > plan->most)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "%lld inputs for a plan of %lld", (long long)count,
                        (long long)plan->most);
    ptf_plan_start(plan, (double)count);
    for (int k = 0; k < plan->net->input_count; k++)
        ptf_plan_look(plan, k, in[k],
                      count * ptf_shape_numel(&plan->values[k].shape));
    for (int64_t n = 0; n < count; n += plan->batch) {
        set_buffers(plan, in, out, n);
        ptf_plan_run_images(plan, &plan->at,
                            ptf_min_i64(count - n, plan->batch));
    }
    set_buffers(plan, in, out, 0); /* for ptf_plan_layer() */
    plan->has_run = true;
    return check_indices(plan, err);
}

ptf_status ptf_plan_run(ptf_plan *plan, const float *in, int64_t count,
                        float *out, ptf_error *err)
{
    ptf_status status =
        ptf_net_check_single(plan->net, "ptf_plan_run() takes", err);
    return status == PTF_OK ? ptf_plan_run_all(plan, &in, count, &out, err)
                            : status;
}

const char *ptf_plan_not_finite(const ptf_plan *plan)
{
    if (plan->not_finite >= 0)
        return plan->net->nodes[plan->not_finite].name;
    for (int i = 0; i < plan->step_count; i++) {
        for (int t = 0; t < plan->threads; t++) {
            if (plan->steps[i].shares[t].not_finite)
                return plan->steps[i].node->name;
        }
        for (int t = 0; t < plan->threads; t++) {
            if (plan->steps[i].shares[t].norm_not_finite)
                return plan->steps[i].norm->name;
        }
    }
    return NULL;
}

const float *ptf_plan_layer(const ptf_plan *plan, size_t index,
                            ptf_shape *shape)
{
    const ptf_plan_value *v =
        &plan->values[(size_t)plan->net->input_count + index];
    *shape = v->shape;
    if (!plan->keep || !plan->has_run)
        return NULL;
    v = &plan->values[v->root];
    if (v->buffer == PTF_BUFFER_IN)
        return plan->at.in[v->port];
    return v->buffer == PTF_BUFFER_OUT ? plan->at.out[v->port]
                                       : plan->buffers[v->buffer].data;
}
