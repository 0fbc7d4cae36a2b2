/*
 * dead_code: what no output comes of goes away.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/rewrite.h"

ptf_status ptf_pass_dead_code(ptf_net_edit *edit, const ptf_shape *input,
                              int *changed, ptf_error *err)
{
    const ptf_net *net = edit->net;
    (void)input;
    int *reads = ptf_arena_array(&edit->net->arena, (size_t)net->node_count,
                                 sizeof(*reads));
    if (reads == NULL)
        return ptf_fail_memory(err);
    ptf_net_count_reads(net, reads);
    for (int i = net->input_count; i < net->node_count; i++) {
        edit->dead[i] = reads[i] == 0;
        *changed += edit->dead[i];
    }
    return PTF_OK;
}
