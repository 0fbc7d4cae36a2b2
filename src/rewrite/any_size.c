/*
 * any_size: an input that has the size for which the network was exported gets
 * any, where reach says that each op does the same at every position of a map,
 * whatever its size.  It is the graph that is free of its size: what Python
 * decided by sizes before is decided.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/rewrite.h"

ptf_status ptf_pass_any_size(ptf_net_edit *edit, const ptf_shape *input,
                             int *changed, ptf_error *err)
{
    ptf_net *net = edit->net;
    ptf_slide slide;
    (void)input;
    ptf_status status = ptf_net_slide(net, &slide, err);
    if (status != PTF_OK || !net->inputs[0].fixed)
        return status;
    if (!slide.any_size)
        return ptf_net_fail(err, PTF_UNSUPPORTED, net,
                            "any_size: runs for one size only, since layer %s "
                            "%s",
                            slide.blocker, slide.reason);
    ptf_input *own = ptf_arena_alloc(&net->arena, sizeof(*own));
    if (own == NULL)
        return ptf_fail_memory(err);
    *own = net->inputs[0];
    own->fixed = false;
    net->inputs = own;
    net->input_room = 1;
    (*changed)++;
    return PTF_OK;
}
