/*
 * The inputs and outputs of nets that tests make by hand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TESTS_PORTS_H
#define PTF_TESTS_PORTS_H

#include "net/net.h"

#include <stdlib.h>

/* One more input, f32; its shape may be NULL. */
static inline void give_input(ptf_net *net, const ptf_shape *shape)
{
    ptf_input input = {.has_shape = shape != NULL};
    if (shape != NULL)
        input.shape = *shape;
    if (!ptf_net_add_input(net, &input))
        abort();
}

/* The one output. */
static inline void give_output(ptf_net *net, int node)
{
    net->output_count = 0;
    if (!ptf_net_add_output(net, &(ptf_output){.node = node}))
        abort();
}

/* The first one's shape; false when it is not known. */
static inline bool input_of(const ptf_net *net, ptf_shape *out)
{
    *out = net->inputs[0].shape;
    return net->inputs[0].has_shape;
}

/* The node of the first one. */
static inline int output_of(const ptf_net *net)
{
    return net->outputs[0].node;
}

#endif
