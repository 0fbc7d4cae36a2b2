/*
 * drop_identity: layers that pass their input on in evaluation go away.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/rewrite.h"

ptf_status ptf_pass_drop_identity(ptf_net_edit *edit, const ptf_shape *input,
                                  int *changed, ptf_error *err)
{
    (void)input;
    for (int i = edit->net->input_count; i < edit->net->node_count; i++) {
        edit->dead[i] = ptf_op_is_identity(edit->nodes[i].op);
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
