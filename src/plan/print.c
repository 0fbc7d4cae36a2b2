/*
 * What a plan says about itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

size_t ptf_plan_step_count(const ptf_plan *plan)
{
    return (size_t)plan->step_count;
}

void ptf_plan_step(const ptf_plan *plan, size_t index, ptf_step_info *out)
{
    const ptf_step *s = &plan->steps[index];
    const ptf_conv *v = &s->conv;
    *out = (ptf_step_info){s->node->name, s->kernel, 0.0, 0.0, 0.0};
    for (int i = 0; i < plan->threads; i++)
        out->seconds += s->shares[i].seconds;
    if (s->weights == NULL)
        return;
    double weights = (double)ptf_conv_weights(v);
    double pixels = (double)(v->out.height * v->out.width);
    out->flops = 2.0 * weights * pixels * plan->ran;
    out->weight_bytes = weights * (double)sizeof(float);
}

size_t ptf_plan_memory(const ptf_plan *plan)
{
    return plan->memory;
}

static void print_shape(const ptf_shape *shape, FILE *out)
{
    for (int i = 0; i < shape->rank; i++)
        fprintf(out, "%s%lld", i > 0 ? "x" : "", (long long)shape->dim[i]);
}

static void print_buffer(const ptf_plan_value *v, FILE *out)
{
    if (v->buffer == PTF_BUFFER_IN)
        fprintf(out, "in");
    else if (v->buffer == PTF_BUFFER_OUT)
        fprintf(out, "out");
    else if (v->buffer == PTF_BUFFER_CONSTANT)
        fprintf(out, "const");
    else
        fprintf(out, "b%d", v->buffer);
}

static void print_value(const ptf_plan *plan, int value, FILE *out)
{
    print_buffer(ptf_plan_root(plan, value), out);
    fputc(' ', out);
    print_shape(&plan->values[value].shape, out);
}

static void print_step(const ptf_plan *plan, int i, FILE *out)
{
    const ptf_step *s = &plan->steps[i];
    fprintf(out, "%3d  %-16s %-12s ", i, s->node->name, s->kernel);
    for (int k = 0; k < s->in_count; k++) {
        fprintf(out, "%s", k > 0 ? ", " : "");
        print_value(plan, s->in[k], out);
    }
    fprintf(out, "%s-> ", s->in_count > 0 ? " " : "");
    print_value(plan, s->out, out);
    fprintf(out, "  by %lld%s", (long long)s->group,
            s->per_thread ? " per thread" : "");
    const ptf_epilogue *e = &s->epilogue;
    fprintf(out, "%s%s%s%s%s\n", s->panels != NULL ? " packed" : "",
            s->padded[2] > 0 ? " padded" : "", e->bias != NULL ? " +bias" : "",
            e->scale != NULL ? " +scale" : "", e->relu ? " +relu" : "");
}

void ptf_plan_print(const ptf_plan *plan, FILE *out)
{
    fprintf(out, "plan of %s: %s, %d thread%s, batch %lld, %zu bytes\n",
            ptf_net_name(plan->net), ptf_isa_text(plan->kernels->isa),
            plan->threads, plan->threads == 1 ? "" : "s", (long long)plan->most,
            plan->memory);
    if (plan->stripe > 0)
        fprintf(out, "in stripes of %lld rows of output\n",
                (long long)plan->stripe);
    else if (plan->batch < plan->most)
        fprintf(out, "%lld inputs at a time\n", (long long)plan->batch);
    for (int i = 0; i < plan->buffer_count; i++)
        fprintf(out, "b%d: %zu floats\n", i, plan->buffers[i].floats);
    for (int i = 0; i < plan->step_count; i++)
        print_step(plan, i, out);
}
