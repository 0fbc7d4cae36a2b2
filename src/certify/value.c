/*
 * Which nodes of a net have one value: what only passes numbers on has that of
 * its operand, and nodes that do the same to the same values, with the same
 * numbers, that of the first of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/pair.h"

bool ptf_passes_on(const ptf_node *node)
{
    return node->input_count == 1 && ptf_op_is_alias(node->op);
}

/* Nodes that have been met, in lists by what they do and read. */
enum { LISTS = 4096 };

typedef struct met {
    const ptf_net *net;
    int *makers;
    int heads[LISTS]; /* the last node of each list, or -1 */
    int *next;        /* per node */
} met;

static size_t list_of(const met *m, const ptf_node *node)
{
    uint64_t key = (uint64_t)node->op;
    for (int k = 0; k < node->input_count; k++)
        key = key * 31 + (uint64_t)m->makers[node->inputs[k]];
    const ptf_tensor *weight = node->tensors[PTF_ROLE_WEIGHT];
    if (weight != NULL)
        key = key * 31 + (uint64_t)ptf_tensor_numel(weight);
    return (size_t)((key * 0x9e3779b97f4a7c15u) >> 52);
}

/* The same bytes, wherever they lie. */
static bool same_tensor(const ptf_tensor *a, const ptf_tensor *b)
{
    if (a == NULL || b == NULL || a == b)
        return a == b;
    size_t axes = (size_t)a->rank;
    if (a->rank != b->rank || a->dtype != b->dtype ||
        memcmp(a->shape, b->shape, axes * sizeof(*a->shape)) != 0 ||
        memcmp(a->stride, b->stride, axes * sizeof(*a->stride)) != 0)
        return false;
    bool plain = ptf_tensor_is_contiguous(a);
    return a->data == b->data ||
           (plain && a->data != NULL && b->data != NULL &&
            memcmp(a->data, b->data, (size_t)ptf_tensor_bytes(a)) == 0);
}

static bool same_value(const met *m, const ptf_node *a, const ptf_node *b)
{
    bool same = a->op == b->op && a->input_count == b->input_count &&
                ptf_attrs_other(a, b) == NULL;
    for (int k = 0; same && k < a->input_count; k++)
        same = m->makers[a->inputs[k]] == m->makers[b->inputs[k]];
    for (int r = 0; same && r < PTF_ROLE_COUNT; r++)
        same = same_tensor(a->tensors[r], b->tensors[r]);
    return same;
}

/* Node i itself, or the first that has its value. */
static int find_maker(met *m, int i)
{
    const ptf_node *node = &m->net->nodes[i];
    if (ptf_passes_on(node))
        return m->makers[node->inputs[0]];
    if (i < m->net->input_count)
        return i;
    size_t list = list_of(m, node);
    for (int k = m->heads[list]; k >= 0; k = m->next[k]) {
        if (same_value(m, &m->net->nodes[k], node))
            return k;
    }
    m->next[i] = m->heads[list];
    m->heads[list] = i;
    return i;
}

ptf_status ptf_find_makers(const ptf_net *net, int *makers, ptf_error *err)
{
    met m = {.net = net,
             .makers = makers,
             .next = ptf_alloc((size_t)net->node_count * sizeof(*m.next))};
    if (m.next == NULL)
        return ptf_fail_memory(err);
    for (int i = 0; i < LISTS; i++)
        m.heads[i] = -1;
    for (int i = 0; i < net->node_count; i++)
        makers[i] = find_maker(&m, i);
    ptf_free(m.next);
    return PTF_OK;
}
