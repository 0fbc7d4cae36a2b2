/*
 * pair: what the files about pairs of nodes share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_CERTIFY_PAIR_H
#define PTF_CERTIFY_PAIR_H

#include "certify/certify.h"

/*
 * In the same place: products with as many weights and channels, batch norms
 * of as many channels, constants of the same shape, two pools, two activations.
 * Whether they compute the same is for the numbers to say.
 */
bool ptf_pair_alike(const ptf_node *a, const ptf_node *b);

/* Each node reads the one before it, and the last is the output. */
bool ptf_is_chain(const ptf_net *net);

/* Finds a layer of A for each node of B, for nets of any shape. */
ptf_status ptf_pair_by_structure(const ptf_graphs *graphs, ptf_pair *pairs,
                                 ptf_error *err);

/*
 * The first node of B that has no counterpart, or reads or is another value
 * than its counterpart, once the pairs have their values.
 */
void ptf_find_miswired(const ptf_graphs *graphs, const ptf_pair *pairs,
                       ptf_pair_mismatch *out);

#endif
