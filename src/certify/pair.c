/*
 * Which layer of one net stands for which of the other, and which batch norms
 * are folded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/pair.h"

/* The only reader of a node's value, of those that change it, or -1. */
static int next_reader(const ptf_net *net, int node)
{
    do {
        node = ptf_net_only_consumer(net, node);
    } while (node >= 0 && ptf_passes_on(&net->nodes[node]));
    return node;
}

static int next_norm(const ptf_net *net, int node)
{
    node = next_reader(net, node);
    bool norm = node >= 0 && ptf_op_is(net->nodes[node].op, PTF_FAMILY_AFFINE);
    return norm ? node : -1;
}

int ptf_next_folded(const ptf_net *a, const bool *folded, int node)
{
    int norm = next_norm(a, node);
    return norm >= 0 && folded[norm] ? norm : -1;
}

/* After the batch norms of a layer that have no counterpart in B. */
static int after_norms(const ptf_pairing *p, int layer)
{
    const ptf_net *a = p->g->a;
    bool flat = p->g->a_shapes[layer].rank == 1;
    int value = layer;
    for (int norm = next_norm(a, layer);
         norm >= 0 && !p->used[norm] &&
         ptf_norm_fits(&a->nodes[layer], flat, &a->nodes[norm]);
         norm = next_norm(a, norm))
        value = norm;
    return value;
}

/* After all that can be of one region with it and has no counterpart. */
static int after_region(const ptf_pairing *p, int layer)
{
    const ptf_net *a = p->g->a;
    int value = layer;
    for (int next = next_reader(a, layer);
         next >= 0 && !p->used[next] &&
         !ptf_op_is(a->nodes[next].op, PTF_FAMILY_PRODUCT) &&
         ptf_region_takes(a, p->g->a_makers, next);
         next = next_reader(a, next))
        value = next;
    return value;
}

/* All but the layer have no counterpart, and more than norms are there. */
static bool is_formed(const ptf_pairing *p, int layer, int count)
{
    const ptf_net *a = p->g->a;
    bool more = false, free = count > 0;
    for (int i = 0; i < count; i++) {
        int node = p->list[i];
        bool norm = ptf_op_is(a->nodes[node].op, PTF_FAMILY_AFFINE);
        if (node == layer || ptf_passes_on(&a->nodes[node]))
            continue;
        free = free && !p->used[node];
        more = more || !norm || node < layer;
    }
    return free && more;
}

/* With the constants that they read: who else does has them, too. */
static void fold_list(const ptf_pairing *p, const ptf_pair *pair, int count)
{
    const ptf_net *a = p->g->a;
    for (int i = 0; i < count; i++) {
        const ptf_node *node = &a->nodes[p->list[i]];
        p->folded[p->list[i]] = p->list[i] != pair->layer;
        for (int k = 0; k < node->input_count; k++) {
            int maker = p->g->a_makers[node->inputs[k]];
            if (a->nodes[maker].op == PTF_OP_CONSTANT)
                p->folded[maker] = true;
        }
    }
}

/* What is inside of node b of B; its operand is known. */
static void fold(const ptf_pairing *p, int b)
{
    const ptf_net *a = p->g->a;
    const int *makers = p->g->a_makers;
    ptf_pair *pair = &p->pairs[b];
    int layer = pair->layer;
    *pair = (ptf_pair){layer, layer, -1, false};
    if (layer < 0 || !ptf_op_is(a->nodes[layer].op, PTF_FAMILY_PRODUCT))
        return;
    int read = p->g->b->nodes[b].inputs[0];
    int from = p->pairs[p->g->b_makers[read]].value;
    int ends[] = {after_region(p, layer), after_norms(p, layer)};
    for (int i = 0; from >= 0 && i < 2; i++) {
        int count = ptf_region_list(a, makers, ends[i], from, p->list);
        if (!is_formed(p, layer, count))
            continue;
        *pair = (ptf_pair){layer, ends[i], from, true};
        fold_list(p, pair, count);
        return;
    }
    if (ends[1] == layer)
        return;
    *pair = (ptf_pair){layer, ends[1], a->nodes[layer].inputs[0], false};
    fold_list(p, pair,
              ptf_region_list(a, makers, ends[1], pair->source, p->list));
}

ptf_status ptf_pair_nets(const ptf_graphs *g, ptf_arena *arena, ptf_pair *pairs,
                         bool *folded, ptf_pair_mismatch *mismatch,
                         ptf_error *err)
{
    size_t nodes = (size_t)g->a->node_count;
    ptf_pairing p = {g,      NULL,
                     pairs,  ptf_alloc(nodes * sizeof(bool)),
                     folded, ptf_alloc((nodes + 1) * sizeof(int))};
    ptf_status status =
        p.used != NULL && p.list != NULL ? PTF_OK : ptf_fail_memory(err);
    if (status == PTF_OK)
        status = ptf_find_pairs(&p, err);
    for (int i = 0; status == PTF_OK && i < g->b->node_count; i++)
        fold(&p, i);
    p.arena = arena;
    if (status == PTF_OK)
        status = ptf_find_mismatch(&p, mismatch, err);
    ptf_free(p.used);
    ptf_free(p.list);
    return status;
}
