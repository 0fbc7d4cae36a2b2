/*
 * Which layer of one net stands for which of the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/pair.h"

#include "op/attrs.h"

static bool is_norm(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_AFFINE);
}

/* Layers that rewrites may drop: they move no number, or can be folded. */
static bool is_optional(const ptf_node *node)
{
    return is_norm(node) || ptf_op_is_alias(node->op);
}

static bool is_pool(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_POOL);
}

static bool is_activation(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_UNARY);
}

/* Norms by the sample and reductions have no numbers that could tell. */
static bool says_the_same(const ptf_node *a, const ptf_node *b)
{
    if (!ptf_op_is(a->op, PTF_FAMILY_NORM) &&
        !ptf_op_is(a->op, PTF_FAMILY_REDUCE))
        return true;
    for (const ptf_field *f = ptf_op_fields[a->op]; f->name != NULL; f++) {
        if ((f->flags & PTF_FIELD_TOLD) == 0 &&
            !ptf_field_equal(f, &a->attrs, &b->attrs))
            return false;
    }
    return a->attrs.out_channels == b->attrs.out_channels;
}

bool ptf_pair_alike(const ptf_node *a, const ptf_node *b)
{
    if ((is_pool(a) && is_pool(b)) || (is_activation(a) && is_activation(b)))
        return true;
    const ptf_tensor *v = a->tensors[PTF_ROLE_WEIGHT],
                     *w = b->tensors[PTF_ROLE_WEIGHT];
    if (a->op == PTF_OP_CONSTANT && b->op == PTF_OP_CONSTANT)
        return v->rank == w->rank &&
               memcmp(v->shape, w->shape,
                      (size_t)v->rank * sizeof(*v->shape)) == 0;
    if (!ptf_op_is(a->op, PTF_FAMILY_PRODUCT) ||
        !ptf_op_is(b->op, PTF_FAMILY_PRODUCT))
        return a->op == b->op && says_the_same(a, b) &&
               (!is_norm(a) || a->attrs.out_channels == b->attrs.out_channels);
    return v != NULL && w != NULL && v->shape[0] == w->shape[0] &&
           ptf_tensor_numel(v) == ptf_tensor_numel(w);
}

/* -------------------------------------------------------------- the pairing */

/* The node of 'ancestor' that a node of its rewritten net comes from. */
static int trace(const ptf_net *net, int node, const ptf_net *ancestor)
{
    while (net != NULL && net != ancestor) {
        node = net->nodes[node].origin;
        net = net->parent;
    }
    return net == ancestor ? node : -1;
}

/* True when the nets have the same layers under the same names. */
static bool is_same_graph(const ptf_net *a, const ptf_net *b)
{
    if (a->node_count != b->node_count)
        return false;
    for (int i = a->input_count; i < a->node_count; i++) {
        if (a->nodes[i].op != b->nodes[i].op ||
            strcmp(a->nodes[i].name, b->nodes[i].name) != 0)
            return false;
    }
    return true;
}

static bool pair_by_log(const ptf_net *a, const ptf_net *b,
                        const ptf_net *model, ptf_pair *pairs)
{
    if (trace(b, 0, a) >= 0)
        model = b;
    if (model == NULL || trace(model, 0, a) < 0 || !is_same_graph(model, b))
        return false;
    for (int i = 0; i < b->node_count; i++)
        pairs[i].layer = trace(model, i, a);
    return true;
}

/* In order; what is optional may be missing on either side. */
static bool pair_in_order(const ptf_net *a, const ptf_net *b, ptf_pair *pairs)
{
    int next = 1;
    for (int i = b->input_count; i < b->node_count; i++) {
        const ptf_node *node = &b->nodes[i];
        int at = next;
        while (at < a->node_count && !ptf_pair_alike(&a->nodes[at], node) &&
               is_optional(&a->nodes[at]))
            at++;
        bool found = at < a->node_count && ptf_pair_alike(&a->nodes[at], node);
        if (!found && (!is_optional(node) || is_norm(node)))
            return false;
        pairs[i].layer = found ? at : -1;
        next = found ? at + 1 : next;
    }
    return true;
}

static void pair_by_name(const ptf_net *a, const ptf_net *b, ptf_pair *pairs)
{
    for (int i = b->input_count; i < b->node_count; i++) {
        pairs[i].layer = -1;
        for (int k = a->input_count; k < a->node_count && !b->nodes[i].implied;
             k++) {
            if (ptf_pair_alike(&a->nodes[k], &b->nodes[i]) &&
                strcmp(a->nodes[k].name, b->nodes[i].name) == 0)
                pairs[i].layer = k;
        }
    }
}

/* ---------------------------------------------------------- folded norms */

/* The batch norm that 'node' leads to through Dropout and Identity, or -1. */
static int next_norm(const ptf_net *net, int node)
{
    do {
        node = ptf_net_only_consumer(net, node);
    } while (node >= 0 && ptf_op_is_identity(net->nodes[node].op));
    return node >= 0 && is_norm(&net->nodes[node]) ? node : -1;
}

int ptf_next_folded(const ptf_net *a, const bool *folded, int node)
{
    int norm = next_norm(a, node);
    return norm >= 0 && folded[norm] ? norm : -1;
}

/* Batch norms behind the pair's layer that have no counterpart in B. */
static void fold(const ptf_net *a, const bool *used, const bool *flat,
                 ptf_pair *pair, bool *folded)
{
    pair->value = pair->layer;
    if (pair->layer < 0 ||
        !ptf_op_is(a->nodes[pair->layer].op, PTF_FAMILY_PRODUCT))
        return;
    const ptf_node *layer = &a->nodes[pair->layer];
    for (int norm = next_norm(a, pair->layer);
         norm >= 0 && !used[norm] &&
         ptf_norm_fits(layer, flat[pair->layer], &a->nodes[norm]);
         norm = next_norm(a, norm)) {
        folded[norm] = true;
        pair->value = norm;
    }
}

/* ------------------------------------------------------------------- check */

static bool has_numbers(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_PRODUCT) || is_norm(node) ||
           ptf_op_is(node->op, PTF_FAMILY_NORM) || node->op == PTF_OP_CONSTANT;
}

static void find_mismatch(const ptf_net *a, const ptf_net *b,
                          const ptf_pair *pairs, const bool *used,
                          const bool *folded, ptf_pair_mismatch *out)
{
    for (int i = b->input_count; i < b->node_count && out->reason == NULL;
         i++) {
        const ptf_node *node = &b->nodes[i];
        if (has_numbers(node) && pairs[i].layer < 0)
            *out = (ptf_pair_mismatch){"has no counterpart in the original",
                                       node->name};
    }
    for (int i = a->input_count; i < a->node_count && out->reason == NULL;
         i++) {
        const ptf_node *node = &a->nodes[i];
        if (has_numbers(node) && !used[i] && !folded[i])
            *out = (ptf_pair_mismatch){"of the original has no counterpart",
                                       node->name};
    }
}

/* Layers alone, which may be of another kind than their counterparts. */
static ptf_status pair_layers(const ptf_graphs *g, const ptf_net *model,
                              ptf_pair *pairs, ptf_error *err)
{
    if (!ptf_is_chain(g->a) || !ptf_is_chain(g->b))
        return ptf_pair_by_structure(g, pairs, err);
    if (!pair_by_log(g->a, g->b, model, pairs) &&
        !pair_in_order(g->a, g->b, pairs))
        pair_by_name(g->a, g->b, pairs);
    return PTF_OK;
}

ptf_status ptf_pair_nets(const ptf_graphs *g, const ptf_net *model,
                         ptf_pair *pairs, bool *folded,
                         ptf_pair_mismatch *mismatch, ptf_error *err)
{
    const ptf_net *a = g->a, *b = g->b;
    bool *used = ptf_alloc(2 * (size_t)a->node_count * sizeof(*used));
    if (used == NULL)
        return ptf_fail_memory(err);
    bool *flat = used + a->node_count;
    ptf_net_find_flat(a, flat);
    ptf_status status = pair_layers(g, model, pairs, err);
    for (int i = 0; i < b->input_count; i++)
        pairs[i] = (ptf_pair){i, i};
    for (int i = b->input_count; status == PTF_OK && i < b->node_count; i++) {
        bool alike = pairs[i].layer >= 0 &&
                     ptf_pair_alike(&a->nodes[pairs[i].layer], &b->nodes[i]);
        pairs[i].layer = alike ? pairs[i].layer : -1;
        if (alike)
            used[pairs[i].layer] = true;
    }
    pairs[0] = (ptf_pair){0, 0};
    for (int i = b->input_count; status == PTF_OK && i < b->node_count; i++)
        fold(a, used, flat, &pairs[i], folded);
    *mismatch = (ptf_pair_mismatch){NULL, NULL};
    if (status == PTF_OK)
        find_mismatch(a, b, pairs, used, folded, mismatch);
    if (status == PTF_OK && (!ptf_is_chain(a) || !ptf_is_chain(b)))
        ptf_find_miswired(g, pairs, mismatch);
    ptf_free(used);
    return status;
}
