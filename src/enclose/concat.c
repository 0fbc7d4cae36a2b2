/*
 * Balls one after the other along an axis.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_node *node = ptf_enclose_node_of(s);
    const ptf_shape *shape = &s->enc->shapes[s->node];
    int axis = ptf_concat_axis(&node->attrs, shape->rank + 1) - 1;
    int64_t outer = 1;
    for (int d = 0; d < axis; d++)
        outer *= shape->dim[d];
    int64_t whole = s->enc->sizes[s->node] / outer, at = 0;
    ptf_balls out = ptf_enclose_out(s, n);
    for (int k = 0; k < node->input_count; k++) {
        ptf_balls in = ptf_enclose_in(s, k, n);
        int64_t part = s->enc->sizes[node->inputs[k]] / outer;
        for (int64_t o = 0; o < outer; o++)
            ptf_balls_copy(
                part, (ptf_balls){in.value + o * part, in.radius + o * part},
                (ptf_balls){out.value + o * whole + at,
                            out.radius + o * whole + at});
        at += part;
    }
}

const ptf_enclose_family ptf_enclose_family_concat = {.image = image};
