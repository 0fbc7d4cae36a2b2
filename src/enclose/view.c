/*
 * Views: their balls are those of their inputs, or copies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* Where the row of a result begins in the operand; its last axis is the row. */
static int64_t row_at(const ptf_view *view, const ptf_shape *out, int64_t row)
{
    int64_t at = view->first;
    for (int d = out->rank - 2; d >= 0; row /= out->dim[d--])
        at += row % out->dim[d] * view->stride[d];
    return at;
}

static void move(const ptf_node *node, const ptf_shape *from,
                 const ptf_shape *to, ptf_balls in, ptf_balls out)
{
    ptf_view view = ptf_op_view(node->op, &node->attrs, from, to);
    int64_t length = to->rank > 0 ? to->dim[to->rank - 1] : 1;
    int64_t step = to->rank > 0 ? view.stride[to->rank - 1] : 0;
    for (int64_t i = 0; i < ptf_shape_numel(to);) {
        int64_t at = row_at(&view, to, i / length);
        for (int64_t k = 0; k < length; k++, i++, at += step) {
            out.value[i] = in.value[at];
            out.radius[i] = in.radius[at];
        }
    }
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_node *node = ptf_enclose_node_of(s);
    ptf_balls in = ptf_enclose_in(s, 0, n), out = ptf_enclose_out(s, n);
    if (ptf_op_is_alias(node->op))
        ptf_balls_copy(s->enc->sizes[s->node], in, out);
    else
        move(node, ptf_enclose_shape_of(s, 0), &s->enc->shapes[s->node], in,
             out);
}

const ptf_enclose_family ptf_enclose_family_view = {.image = image};
