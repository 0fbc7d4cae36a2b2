/*
 * drop_identity: layers that pass their input on in evaluation go away, and
 * reshapes that change no shape or that another reshape alone reads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/rewrite.h"

static bool same_shape(const ptf_shape *a, const ptf_shape *b)
{
    return a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) == 0;
}

/* What a reshape gives depends on the numbers alone that it reads. */
static bool is_idle_reshape(const ptf_net_edit *edit, const ptf_shape *shapes,
                            int at)
{
    const ptf_node *node = &edit->nodes[at];
    if (node->op != PTF_OP_RESHAPE)
        return false;
    int reader = ptf_net_only_consumer(edit->net, at);
    return (reader >= 0 && edit->nodes[reader].op == PTF_OP_RESHAPE) ||
           (shapes != NULL &&
            same_shape(&shapes[at], &shapes[node->inputs[0]]));
}

ptf_status ptf_pass_drop_identity(ptf_net_edit *edit, const ptf_shape *input,
                                  int *changed, ptf_error *err)
{
    ptf_shape *shapes = NULL;
    ptf_status status = PTF_OK;
    if (input != NULL) {
        shapes = ptf_arena_array(
            &edit->net->arena, (size_t)edit->net->node_count, sizeof(*shapes));
        if (shapes == NULL)
            return ptf_fail_memory(err);
        status = ptf_net_shapes(edit->net, input, shapes, err);
    }
    if (status != PTF_OK)
        return status;
    for (int i = edit->net->input_count; i < edit->net->node_count; i++) {
        edit->dead[i] = ptf_op_is_identity(edit->nodes[i].op) ||
                        is_idle_reshape(edit, shapes, i);
        *changed += edit->dead[i];
    }
    int left = 0;
    for (int i = edit->net->input_count; i < edit->net->node_count; i++)
        left += !edit->dead[i];
    if (left == 0)
        return ptf_net_fail(err, PTF_UNSUPPORTED, edit->net,
                            "drop_identity: %s would have no layer left",
                            ptf_net_name(edit->net));
    return PTF_OK;
}
