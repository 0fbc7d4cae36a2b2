/*
 * The families of ops, on the way back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

static const ptf_back_family *const families[PTF_FAMILY_COUNT] = {
#define FAMILY(id, name) [PTF_FAMILY_##id] = &ptf_back_family_##name,
#include "op/families.inc"
#undef FAMILY
};

static const ptf_back_family *family_of(const ptf_gradient *g, int i)
{
    return families[ptf_op_info(g->net->nodes[i].op)->family];
}

ptf_status ptf_back_make(ptf_gradient *g, int i,
                         const ptf_plan_options *options, ptf_error *err)
{
    const ptf_back_family *family = family_of(g, i);
    return family->make != NULL ? family->make(g, i, options, err) : PTF_OK;
}

void ptf_back_input(const ptf_gradient *g, int i, int operand, float *dx)
{
    family_of(g, i)->back(g, i, operand, dx);
}

ptf_back_run ptf_back_run_of(const ptf_gradient *g, int i, int operand,
                             float *dx)
{
    const ptf_node *node = &g->net->nodes[i];
    int input = node->inputs[operand];
    ptf_back_run r = {.g = g,
                      .node = node,
                      .n = &g->nodes[i],
                      .in = &g->shapes[input],
                      .out = &g->shapes[i],
                      .x = ptf_gradient_value(g, input),
                      .y = ptf_gradient_value(g, i),
                      .dx = dx};
    r.floats = g->count * ptf_shape_numel(r.in);
    return r;
}
