/*
 * Pairing the nodes of two nets, by structure alone.
 *
 *     A: conv1 - bn1 - relu - conv2 - bn2 - add - relu_1
 *          \------------------------------/
 *     B: conv1 ------- relu - conv2 ------- add - relu_1
 *
 * Nodes of B are taken in their order, each with a node of A that reads the
 * values that B's reads: after batch norms that B may have folded, and without
 * what only passes numbers on.  Of several, the one is taken that does the same
 * with like numbers, then that of the same name, then the first.  This only
 * finds pairs; that they are right is checked when all are known, and with them
 * the batch norms that are folded.  Then each node of B that leads to an output
 * reads, operand by operand, the values that its counterpart reads, does the
 * same by an identity of alike.c, and the outputs are pairs.  So by induction
 * over the nodes both nets are the same function, up to B's parameters, which
 * ideal.c derives and compares.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/pair.h"

/* ----------------------------------------------------------------- readers */

/* Who reads each value of A: lists by the node that made it. */
typedef struct readers {
    int *head;        /* per node: an edge, or -1 */
    int *next, *node; /* per edge */
    int *count;       /* per node: how often it is read, outputs too */
} readers;

static size_t count_edges(const ptf_net *net)
{
    size_t edges = 0;
    for (int i = 0; i < net->node_count; i++)
        edges += (size_t)net->nodes[i].input_count;
    return edges;
}

/* Lists are in the order of the nodes. */
static bool make_readers(const ptf_net *net, const int *makers, readers *r)
{
    size_t nodes = (size_t)net->node_count, edges = count_edges(net);
    int *all = ptf_alloc(2 * (nodes + edges) * sizeof(*all));
    if (all == NULL)
        return false;
    *r = (readers){all, all + 2 * nodes, all + 2 * nodes + edges, all + nodes};
    for (size_t i = 0; i < nodes; i++)
        r->head[i] = -1;
    for (int i = 0; i < net->output_count; i++)
        r->count[net->outputs[i].node]++;
    int edge = 0;
    for (int i = net->node_count - 1; i >= 0; i--) {
        for (int k = net->nodes[i].input_count - 1; k >= 0; k--) {
            int from = net->nodes[i].inputs[k];
            r->count[from]++;
            r->node[edge] = i;
            r->next[edge] = r->head[makers[from]];
            r->head[makers[from]] = edge++;
        }
    }
    return true;
}

/* ----------------------------------------------------------------- finding */

/* Nodes of A that are looked at for one of B, where it may have left some out:
 * there can be more ways than nodes. */
enum { MOST_INSIDE = 256 };

typedef struct matching {
    ptf_pairing *p;
    const ptf_net *a, *b;
    const int *a_makers, *b_makers;
    readers read; /* of A */
} matching;

static bool is_new_constant(const matching *m, int b)
{
    return m->b->nodes[b].op == PTF_OP_CONSTANT && m->p->pairs[b].layer < 0;
}

/* What B can have made part of another node. */
static bool is_inside(const matching *m, int a)
{
    return !m->p->used[a] && m->a->nodes[a].input_count > 0 &&
           ptf_region_takes(m->a, m->a_makers, a);
}

/*
 * Whether node 'at' of A may be what B has as its value of 'wanted': that, or
 * what comes of it by batch norms and sums that can be inside of another node.
 * Those of a product can be of a value that others read, too.  'left' is how
 * many nodes may still be looked at.
 */
static bool comes_from(const matching *m, int at, int wanted, bool product,
                       int *left)
{
    const ptf_node *node = &m->a->nodes[at];
    if (at == wanted || !is_inside(m, at) || (*left)-- <= 0)
        return at == wanted;
    for (int k = 0; k < node->input_count; k++) {
        int from = node->inputs[k];
        if ((product || m->read.count[from] == 1) &&
            comes_from(m, m->a_makers[from], wanted, product, left))
            return true;
    }
    return false;
}

static bool leads_to(const matching *m, int at, int wanted, int b)
{
    int left = MOST_INSIDE;
    bool product = ptf_op_is(m->b->nodes[b].op, PTF_FAMILY_PRODUCT);
    return comes_from(m, at, wanted, product, &left);
}

/* Operand k of node a may be operand j of node b.  Constants that are alike
 * are pairs where nothing says otherwise: their numbers are compared. */
static bool reads_alike(const matching *m, int a, int k, int b, int j)
{
    int from = m->a_makers[m->a->nodes[a].inputs[k]];
    int to = m->b_makers[m->b->nodes[b].inputs[j]];
    if (is_new_constant(m, to))
        return ptf_pair_alike(&m->a->nodes[from], &m->b->nodes[to]);
    int layer = m->p->pairs[to].layer;
    return layer >= 0 && leads_to(m, from, m->a_makers[layer], b);
}

static bool is_swapped(const matching *m, int a, int b)
{
    return ptf_op_commutes(&m->b->nodes[b]) && !reads_alike(m, a, 0, b, 0) &&
           reads_alike(m, a, 1, b, 0) && reads_alike(m, a, 0, b, 1);
}

/* Node 'a' is free to be the counterpart of 'b'. */
static bool is_free(const matching *m, int a, int b)
{
    const ptf_node *from = &m->a->nodes[a];
    return !m->p->used[a] && (m->a_makers[a] == a || ptf_passes_on(from)) &&
           ptf_pair_alike(from, &m->b->nodes[b]);
}

static bool fits(const matching *m, int a, int b)
{
    int count = m->b->nodes[b].input_count;
    bool same = is_free(m, a, b) && m->a->nodes[a].input_count == count;
    if (same && is_swapped(m, a, b))
        return true;
    for (int k = 0; same && k < count; k++)
        same = reads_alike(m, a, k, b, k);
    return same;
}

/* With the constants that both read. */
static bool numbers_alike(const matching *m, int a, int b)
{
    const ptf_node *from = &m->a->nodes[a], *to = &m->b->nodes[b];
    bool same = ptf_numbers_alike(from, to), swapped = is_swapped(m, a, b);
    for (int k = 0; same && k < to->input_count; k++) {
        int x = m->a_makers[from->inputs[swapped ? 1 - k : k]];
        int y = m->b_makers[to->inputs[k]];
        if (m->b->nodes[y].op == PTF_OP_CONSTANT)
            same = ptf_numbers_alike(&m->a->nodes[x], &m->b->nodes[y]);
    }
    return same;
}

static bool same_name(const matching *m, int a, int b)
{
    return strcmp(m->a->nodes[a].name, m->b->nodes[b].name) == 0;
}

/* The best counterpart so far, and how good it is. */
typedef struct choice {
    int node, rank;
} choice;

static void consider(const matching *m, int a, int b, choice *best)
{
    if (!fits(m, a, b))
        return;
    int rank = 1 + 4 * (ptf_identity_broken(m->p, a, b) == NULL) +
               2 * numbers_alike(m, a, b) + same_name(m, a, b);
    if (rank > best->rank || (rank == best->rank && a < best->node))
        *best = (choice){a, rank};
}

/* Those that read a value of A, or what can be inside of another node with it.
 */
static void consider_readers(const matching *m, int value, int b, int *left,
                             choice *best)
{
    for (int edge = m->read.head[value]; edge >= 0; edge = m->read.next[edge]) {
        int reader = m->read.node[edge];
        consider(m, reader, b, best);
        if (is_inside(m, reader) && m->a_makers[reader] == reader &&
            (*left)-- > 0)
            consider_readers(m, reader, b, left, best);
    }
}

/* The node of A with the name of 'b', the first that is alike, or -1. */
static int find_any(const matching *m, int b)
{
    int first = -1;
    for (int i = m->a->node_count - 1; i >= m->a->input_count; i--) {
        if (!is_free(m, i, b))
            continue;
        if (same_name(m, i, b))
            return i;
        first = i;
    }
    return first;
}

/*
 * The node of A for node 'b', or -1.  One that reads other values is better
 * than none: it is known then what is wrong.
 */
static int find_layer(const matching *m, int b)
{
    const ptf_node *node = &m->b->nodes[b];
    choice best = {-1, 0};
    int known = -1, left = MOST_INSIDE;
    for (int k = 0; known < 0 && k < node->input_count; k++)
        known = m->p->pairs[m->b_makers[node->inputs[k]]].layer;
    if (known >= 0)
        consider_readers(m, m->a_makers[known], b, &left, &best);
    for (int i = m->a->input_count; known < 0 && i < m->a->node_count; i++)
        consider(m, i, b, &best);
    if (best.node >= 0 || ptf_passes_on(node))
        return best.node;
    return find_any(m, b);
}

/* The constants that a pair reads are pairs, too, where they can be. */
static void use(matching *m, int a, int b)
{
    const ptf_node *from = &m->a->nodes[a], *to = &m->b->nodes[b];
    bool same = fits(m, a, b), swapped = same && is_swapped(m, a, b);
    for (int k = 0; same && k < to->input_count; k++) {
        int x = m->a_makers[from->inputs[swapped ? 1 - k : k]];
        int y = m->b_makers[to->inputs[k]];
        if (is_new_constant(m, y)) {
            m->p->pairs[y].layer = x;
            m->p->used[x] = true;
        }
    }
    m->p->pairs[b].layer = a;
    m->p->used[a] = true;
}

/*
 * Constants are known by who reads them; those that nothing of a pair reads by
 * their names.  A value that is made twice has one counterpart.
 */
static void find_all(matching *m)
{
    for (int i = 0; i < m->b->node_count; i++)
        m->p->pairs[i].layer = -1;
    for (int i = 0; i < m->b->input_count; i++)
        use(m, i, i);
    for (int constants = 0; constants < 2; constants++) {
        for (int i = m->b->input_count; i < m->b->node_count; i++) {
            bool constant = m->b->nodes[i].op == PTF_OP_CONSTANT;
            if (constant != (constants == 1) || m->p->pairs[i].layer >= 0)
                continue;
            int maker = m->b_makers[i];
            bool again = maker != i && !ptf_passes_on(&m->b->nodes[i]);
            int found = again      ? m->p->pairs[maker].layer
                        : constant ? find_any(m, i)
                                   : find_layer(m, i);
            if (again)
                m->p->pairs[i].layer = found;
            else if (found >= 0)
                use(m, found, i);
        }
    }
}

ptf_status ptf_find_pairs(ptf_pairing *p, ptf_error *err)
{
    const ptf_graphs *g = p->g;
    matching m = {.p = p,
                  .a = g->a,
                  .b = g->b,
                  .a_makers = g->a_makers,
                  .b_makers = g->b_makers};
    if (!make_readers(m.a, m.a_makers, &m.read))
        return ptf_fail_memory(err);
    find_all(&m);
    ptf_free(m.read.head);
    return PTF_OK;
}

/* ---------------------------------------------------------------- checking */

/* Whether node 'a' has the value of node 'b'. */
static bool is_pair(const ptf_pairing *p, int a, int b)
{
    int value = p->pairs[p->g->b_makers[b]].value;
    return value >= 0 && p->g->a_makers[a] == p->g->a_makers[value];
}

static bool is_wired(const ptf_pairing *p, int b)
{
    const ptf_node *to = &p->g->b->nodes[b];
    const ptf_node *from = &p->g->a->nodes[p->pairs[b].layer];
    bool same = from->input_count == to->input_count;
    if (same && ptf_op_commutes(to) &&
        is_pair(p, from->inputs[1], to->inputs[0]) &&
        is_pair(p, from->inputs[0], to->inputs[1]))
        return true;
    for (int k = 0; same && k < to->input_count; k++)
        same = is_pair(p, from->inputs[k], to->inputs[k]);
    return same;
}

static bool has_numbers(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_PRODUCT) ||
           ptf_op_is(node->op, PTF_FAMILY_AFFINE) ||
           ptf_op_is(node->op, PTF_FAMILY_NORM) || node->op == PTF_OP_CONSTANT;
}

/* What is wrong with node b of B. */
static const char *find_wrong(const ptf_pairing *p, int b)
{
    if (p->pairs[b].layer < 0)
        return ptf_passes_on(&p->g->b->nodes[b])
                   ? NULL
                   : "has no counterpart in the original";
    if (ptf_passes_on(&p->g->b->nodes[b]) || p->pairs[b].formed)
        return NULL; /* form.c sees to the region, which reads what b does */
    return is_wired(p, b) ? ptf_identity_broken(p, p->pairs[b].layer, b)
                          : "reads other values than in the original";
}

/* Layers with numbers that only one of the nets has: what is read says less
 * than that one is missing. */
static void find_missing(const ptf_pairing *p, const int *a_reads,
                         const int *b_reads, ptf_pair_mismatch *out)
{
    const ptf_net *a = p->g->a, *b = p->g->b;
    for (int i = b->input_count; i < b->node_count && !out->reason; i++) {
        if (has_numbers(&b->nodes[i]) && b_reads[i] > 0 &&
            p->pairs[i].layer < 0)
            *out = (ptf_pair_mismatch){"has no counterpart in the original",
                                       b->nodes[i].name};
    }
    for (int i = a->input_count; i < a->node_count && !out->reason; i++) {
        if (has_numbers(&a->nodes[i]) && a_reads[i] > 0 &&
            p->g->a_makers[i] == i && !p->used[i] && !p->folded[i])
            *out = (ptf_pair_mismatch){"of the original has no counterpart",
                                       a->nodes[i].name};
    }
}

static void find_miswired(const ptf_pairing *p, const int *b_reads,
                          ptf_pair_mismatch *out)
{
    const ptf_net *a = p->g->a, *b = p->g->b;
    for (int i = b->input_count; i < b->node_count && !out->reason; i++) {
        const char *reason = b_reads[i] > 0 ? find_wrong(p, i) : NULL;
        if (reason != NULL)
            *out = (ptf_pair_mismatch){reason, b->nodes[i].name};
    }
    for (int i = 0; i < b->output_count && !out->reason; i++) {
        int node = b->outputs[i].node;
        if (!is_pair(p, a->outputs[i].node, node))
            *out = (ptf_pair_mismatch){
                "is the output, and is not that of the original",
                b->nodes[node].name};
    }
}

ptf_status ptf_find_mismatch(const ptf_pairing *p, ptf_pair_mismatch *out,
                             ptf_error *err)
{
    size_t nodes = (size_t)p->g->a->node_count;
    int *reads =
        ptf_alloc((nodes + (size_t)p->g->b->node_count) * sizeof(*reads));
    if (reads == NULL)
        return ptf_fail_memory(err);
    *out = (ptf_pair_mismatch){NULL, NULL};
    ptf_net_count_reads(p->g->a, reads);
    ptf_net_count_reads(p->g->b, reads + nodes);
    find_missing(p, reads, reads + nodes, out);
    find_miswired(p, reads + nodes, out);
    ptf_free(reads);
    return PTF_OK;
}
