/*
 * Which layer of one net stands for which of the other, and which batch norms
 * are folded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/pair.h"

/* The batch norm that 'node' leads to through Dropout and Identity, or -1. */
static int next_norm(const ptf_net *net, int node)
{
    do {
        node = ptf_net_only_consumer(net, node);
    } while (node >= 0 && ptf_op_is_identity(net->nodes[node].op));
    bool norm = node >= 0 && ptf_op_is(net->nodes[node].op, PTF_FAMILY_AFFINE);
    return norm ? node : -1;
}

int ptf_next_folded(const ptf_net *a, const bool *folded, int node)
{
    int norm = next_norm(a, node);
    return norm >= 0 && folded[norm] ? norm : -1;
}

/* Batch norms after the pair's layer that have no counterpart in B. */
static void fold(const ptf_pairing *p, ptf_pair *pair)
{
    const ptf_net *a = p->g->a;
    pair->value = pair->layer;
    if (pair->layer < 0 ||
        !ptf_op_is(a->nodes[pair->layer].op, PTF_FAMILY_PRODUCT))
        return;
    const ptf_node *layer = &a->nodes[pair->layer];
    bool flat = p->g->a_shapes[pair->layer].rank == 1;
    for (int norm = next_norm(a, pair->layer);
         norm >= 0 && !p->used[norm] &&
         ptf_norm_fits(layer, flat, &a->nodes[norm]);
         norm = next_norm(a, norm)) {
        p->folded[norm] = true;
        pair->value = norm;
    }
}

ptf_status ptf_pair_nets(const ptf_graphs *g, ptf_arena *arena, ptf_pair *pairs,
                         bool *folded, ptf_pair_mismatch *mismatch,
                         ptf_error *err)
{
    size_t nodes = (size_t)g->a->node_count;
    ptf_pairing p = {g, NULL, pairs, ptf_alloc(nodes * sizeof(bool)), folded};
    if (p.used == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_find_pairs(&p, err);
    for (int i = 0; status == PTF_OK && i < g->b->node_count; i++)
        fold(&p, &pairs[i]);
    p.arena = arena;
    if (status == PTF_OK)
        status = ptf_find_mismatch(&p, mismatch, err);
    ptf_free(p.used);
    return status;
}
