/*
 * Units: a layer with what B has made one with it, alone, on given inputs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

int ptf_unit_nodes(ptf_check *c, int net, int value)
{
    const ptf_side *side = &c->sides[net];
    c->chain[0] = value;
    if (side->source[value] < 0)
        return 1;
    return ptf_region_list(side->net, side->makers, value, side->source[value],
                           c->chain);
}

/* Memory for the balls of all nodes of the chain. */
static ptf_status take_room(ptf_check *c, const ptf_unit *u, int nodes,
                            ptf_error *err)
{
    const ptf_enclosure *enc = c->enclosures[u->slot];
    size_t all = 0;
    for (int i = 0; i < nodes; i++)
        all += 2 * (size_t)(u->count * ptf_balls_each(enc, c->chain[i]));
    double *at =
        ptf_scratch_take(&c->scratch[u->slot], (all + 1) * sizeof(*at));
    if (at == NULL)
        return ptf_fail_memory(err);
    for (int i = 0; i < nodes; i++) {
        int64_t balls = u->count * ptf_balls_each(enc, c->chain[i]);
        c->made[i] = (ptf_balls){at, at + balls};
        at += 2 * balls;
    }
    return PTF_OK;
}

/* What is read: balls of a node of the chain, or numbers. */
static ptf_operand operand_of(const ptf_check *c, const ptf_unit *u, int from,
                              int first, int nodes)
{
    for (int i = first; i < nodes; i++) {
        if (c->chain[i] == from)
            return (ptf_operand){NULL, c->made[i]};
    }
    return (ptf_operand){u->taps[from], {NULL, NULL}};
}

ptf_status ptf_unit_run(ptf_check *c, const ptf_unit *u, ptf_balls *out,
                        ptf_error *err)
{
    ptf_enclosure *enc = c->enclosures[u->slot];
    const ptf_net *net = c->sides[u->net].net;
    int nodes = ptf_unit_nodes(c, u->net, u->value);
    ptf_status status = take_room(c, u, nodes, err);
    for (int i = nodes - 1; status == PTF_OK && i >= 0; i--) {
        const ptf_node *node = &net->nodes[c->chain[i]];
        for (int k = 0; k < node->input_count; k++)
            c->operands[k] = operand_of(c, u, node->inputs[k], i + 1, nodes);
        status = ptf_enclosure_run_node(enc, c->chain[i], c->operands, u->count,
                                        u->executed, c->made[i], err);
        if (status == PTF_OK && u->visit != NULL)
            u->visit(c, u, c->chain[i], c->made[i]);
    }
    *out = c->made[0];
    return status;
}
