/*
 * Numbers in another shape, or some of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

static void copy(const void *context, ptf_exact_lanes *lanes)
{
    (void)context;
    memcpy(lanes->out, lanes->in[0], sizeof(lanes->out));
    memcpy(lanes->radius, lanes->r[0], sizeof(lanes->radius));
}

/* An expand has each number as often; others have none twice. */
ptf_status ptf_exact_family_view(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    const ptf_shape *out = ptf_exact_out(s);
    ptf_strides strides = ptf_strides_plain(out);
    (void)err;
    if (!ptf_op_is_alias(node->op)) {
        ptf_view view =
            ptf_op_view(node->op, &node->attrs, ptf_exact_in(s, 0), out);
        strides.first = view.first;
        memcpy(strides.stride, view.stride, sizeof(view.stride));
    }
    double copies = fmax((double)s->out->count / (double)s->in[0]->count, 1);
    s->out->exponent = s->in[0]->exponent;
    s->out->norm = s->in[0]->norm * sqrt(copies) * PTF_UP;
    ptf_exact_each(s, 1, &strides, copy, NULL);
    return PTF_OK;
}
