/*
 * Pairing the nodes of nets that are no chains, by structure.
 *
 *     A: conv1 - bn1 - relu - conv2 - bn2 - add - relu_1
 *          \------------------------------/
 *     B: conv1 ------- relu - conv2 ------- add - relu_1
 *
 * Nodes of B are taken in their order, each with a node of A that is alike and
 * reads the values that B's reads: behind batch norms that B may have folded,
 * and without what only passes numbers on.  Names, then the order decide
 * between several.  This only finds pairs; that they are right is checked when
 * all are known and with them the batch norms that are folded.  Then each node
 * of B reads, operand by operand, the values that its counterpart reads, and
 * the outputs are pairs, so that by induction over the nodes both nets are the
 * same function when each pair is, which the other conditions are about.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/pair.h"

bool ptf_is_chain(const ptf_net *net)
{
    bool chain = net->input_count == 1 && net->output_count == 1 &&
                 net->outputs[0].node == net->node_count - 1;
    for (int i = net->input_count; chain && i < net->node_count; i++)
        chain =
            net->nodes[i].input_count == 1 && net->nodes[i].inputs[0] == i - 1;
    return chain;
}

/* Its output has the numbers of its input in their order. */
static bool passes_on(const ptf_node *node)
{
    return node->input_count == 1 &&
           (ptf_op_is_identity(node->op) || node->op == PTF_OP_FLATTEN);
}

void ptf_find_makers(const ptf_net *net, int *makers)
{
    for (int i = 0; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        makers[i] = passes_on(node) ? makers[node->inputs[0]] : i;
    }
}

/* ----------------------------------------------------------------- finding */

typedef struct matching {
    const ptf_net *a, *b;
    const int *a_makers, *b_makers;
    ptf_pair *pairs; /* per node of B */
    bool *used;      /* per node of A: it has a counterpart */
    int *reads;      /* per node of A: how often it is read */
} matching;

static bool is_new_constant(const matching *m, int b)
{
    return m->b->nodes[b].op == PTF_OP_CONSTANT && m->pairs[b].layer < 0;
}

/* Whether node 'at' of A may be what B has as its value of 'wanted': that, or
 * a batch norm behind it that can have been folded. */
static bool leads_to(const matching *m, int at, int wanted)
{
    while (at != wanted && !m->used[at]) {
        const ptf_node *node = &m->a->nodes[at];
        if (!ptf_op_is(node->op, PTF_FAMILY_AFFINE) ||
            m->reads[node->inputs[0]] > 1)
            return false;
        at = m->a_makers[node->inputs[0]];
    }
    return at == wanted;
}

/* Operand k of both nodes may be the same value. */
static bool reads_alike(const matching *m, int a, int b, int k)
{
    int from = m->a_makers[m->a->nodes[a].inputs[k]];
    int to = m->b_makers[m->b->nodes[b].inputs[k]];
    if (is_new_constant(m, to))
        return !m->used[from] &&
               ptf_pair_alike(&m->a->nodes[from], &m->b->nodes[to]);
    return m->pairs[to].layer >= 0 && leads_to(m, from, m->pairs[to].layer);
}

/* Node 'a' is free to be the counterpart of 'b'. */
static bool is_free(const matching *m, int a, int b)
{
    return !m->used[a] && ptf_pair_alike(&m->a->nodes[a], &m->b->nodes[b]);
}

static bool fits(const matching *m, int a, int b)
{
    int count = m->b->nodes[b].input_count;
    bool same = is_free(m, a, b) && m->a->nodes[a].input_count == count;
    for (int k = 0; same && k < count; k++)
        same = reads_alike(m, a, b, k);
    return same;
}

/* The free node of A with the name of 'b', or -1. */
static int find_named(const matching *m, int b)
{
    for (int i = m->a->input_count; i < m->a->node_count; i++) {
        if (is_free(m, i, b) &&
            strcmp(m->a->nodes[i].name, m->b->nodes[b].name) == 0)
            return i;
    }
    return -1;
}

/*
 * The node of A for node 'b', or -1.  One that reads other values is better
 * than none: it is known then what is wrong.
 */
static int find_alike(const matching *m, int b)
{
    int named = find_named(m, b), first = -1;
    if (named >= 0 && fits(m, named, b))
        return named;
    for (int i = m->a->node_count - 1; i >= m->a->input_count; i--)
        first = is_free(m, i, b) ? i : first;
    for (int i = first; i > 0 && i < m->a->node_count; i++) {
        if (fits(m, i, b))
            return i;
    }
    if (passes_on(&m->b->nodes[b]))
        return -1;
    return named >= 0 ? named : first;
}

/* The constants that a pair reads are pairs, too, where they can be. */
static void use(matching *m, int a, int b)
{
    const ptf_node *from = &m->a->nodes[a], *to = &m->b->nodes[b];
    bool same = fits(m, a, b);
    m->pairs[b].layer = a;
    m->used[a] = true;
    for (int k = 0; same && k < to->input_count; k++) {
        if (is_new_constant(m, m->b_makers[to->inputs[k]]))
            use(m, m->a_makers[from->inputs[k]], m->b_makers[to->inputs[k]]);
    }
}

/* Constants are known by who reads them; the others by their names. */
static void find_all(matching *m)
{
    for (int i = 0; i < m->b->node_count; i++)
        m->pairs[i].layer = -1;
    for (int i = 0; i < m->b->input_count; i++)
        use(m, i, i);
    for (int constants = 0; constants < 2; constants++) {
        for (int i = m->b->input_count; i < m->b->node_count; i++) {
            bool constant = m->b->nodes[i].op == PTF_OP_CONSTANT;
            bool due = constants ? is_new_constant(m, i) : !constant;
            int found = due ? find_alike(m, i) : -1;
            if (found >= 0)
                use(m, found, i);
        }
    }
}

static void count_reads(const ptf_net *a, int *reads)
{
    for (int i = 0; i < a->output_count; i++)
        reads[a->outputs[i].node]++;
    for (int i = a->input_count; i < a->node_count; i++) {
        for (int k = 0; k < a->nodes[i].input_count; k++)
            reads[a->nodes[i].inputs[k]]++;
    }
}

ptf_status ptf_pair_by_structure(const ptf_graphs *graphs, ptf_pair *pairs,
                                 ptf_error *err)
{
    size_t nodes = (size_t)graphs->a->node_count;
    matching m = {graphs->a,
                  graphs->b,
                  graphs->a_makers,
                  graphs->b_makers,
                  pairs,
                  ptf_alloc(nodes * sizeof(*m.used)),
                  ptf_alloc(nodes * sizeof(*m.reads))};
    bool room = m.used != NULL && m.reads != NULL;
    if (room) {
        count_reads(m.a, m.reads);
        find_all(&m);
    }
    ptf_free(m.used);
    ptf_free(m.reads);
    return room ? PTF_OK : ptf_fail_memory(err);
}

/* ---------------------------------------------------------------- checking */

/* Whether node 'a' has the value of node 'b'. */
static bool is_pair(const ptf_graphs *g, const ptf_pair *pairs, int a, int b)
{
    return g->a_makers[a] == pairs[g->b_makers[b]].value;
}

static bool is_wired(const ptf_graphs *g, const ptf_pair *pairs, int b)
{
    const ptf_node *to = &g->b->nodes[b];
    const ptf_node *from = &g->a->nodes[pairs[b].layer];
    bool same = from->input_count == to->input_count;
    for (int k = 0; same && k < to->input_count; k++)
        same = is_pair(g, pairs, from->inputs[k], to->inputs[k]);
    return same;
}

void ptf_find_miswired(const ptf_graphs *g, const ptf_pair *pairs,
                       ptf_pair_mismatch *out)
{
    const ptf_net *b = g->b;
    for (int i = b->input_count; i < b->node_count && out->reason == NULL;
         i++) {
        const ptf_node *node = &b->nodes[i];
        if (pairs[i].layer < 0 && !passes_on(node))
            *out = (ptf_pair_mismatch){"has no counterpart in the original",
                                       node->name};
        else if (pairs[i].layer >= 0 && !is_wired(g, pairs, i))
            *out = (ptf_pair_mismatch){
                "reads other values than in the original", node->name};
    }
    for (int i = 0; i < b->output_count && out->reason == NULL; i++) {
        int node = b->outputs[i].node;
        if (!is_pair(g, pairs, g->a->outputs[i].node, node))
            *out = (ptf_pair_mismatch){
                "is the output, and is not that of the original",
                b->nodes[node].name};
    }
}
