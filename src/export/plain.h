/*
 * plain: a node's attributes as a call of ATen states them: no None that the
 * operand's shape tells, no axis or position counted from the end, nothing
 * that evaluation takes no notice of.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_PLAIN_H
#define PTF_PLAIN_H

#include "net/net.h"

/* 'in' is the shape of its first operand, 'out' its own. */
ptf_attrs ptf_plain_attrs(const ptf_node *node, const ptf_shape *in,
                          const ptf_shape *out);

/* True for a view that leaves all numbers in their order; 'shapes' are of the
 * net's nodes. */
bool ptf_plain_is_view(const ptf_net *net, const ptf_shape *shapes, int node);

/* The node that has the numbers of 'node', in their order, and is no view. */
int ptf_plain_root(const ptf_net *net, const ptf_shape *shapes, int node);

#endif
