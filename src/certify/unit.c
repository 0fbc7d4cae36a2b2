/*
 * Units: a layer with the batch norms that B has folded into it, alone, on
 * given inputs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

/* Its nodes into c->chain, the last one first; how many. */
static int find_chain(ptf_check *c, const ptf_unit *u)
{
    const ptf_side *side = &c->sides[u->net];
    int count = 0;
    for (int node = u->value;; node = side->net->nodes[node].inputs[0]) {
        c->chain[count++] = node;
        if (side->net->nodes[node].input_count == 0 ||
            !side->inside[side->net->nodes[node].inputs[0]])
            return count;
    }
}

/* Memory for a node's balls; units of one slot take turns in two blocks. */
static ptf_status take_room(ptf_check *c, const ptf_unit *u, int turn,
                            int64_t balls, ptf_balls *out, ptf_error *err)
{
    ptf_scratch *scratch = &c->scratch[2 * u->slot + turn % 2];
    double *bytes =
        ptf_scratch_take(scratch, (2 * (size_t)balls + 1) * sizeof(*bytes));
    *out = (ptf_balls){bytes, bytes + balls};
    return bytes != NULL ? PTF_OK : ptf_fail_memory(err);
}

ptf_status ptf_unit_run(ptf_check *c, const ptf_unit *u, ptf_balls *out,
                        ptf_error *err)
{
    ptf_enclosure *enc = c->enclosures[u->slot];
    const ptf_net *net = c->sides[u->net].net;
    ptf_status status = PTF_OK;
    int count = find_chain(c, u);
    for (int i = 0; status == PTF_OK && i < count; i++) {
        int at = c->chain[count - 1 - i];
        const ptf_node *node = &net->nodes[at];
        for (int k = 0; k < node->input_count; k++)
            c->operands[k] =
                i > 0 ? (ptf_operand){NULL, *out}
                      : (ptf_operand){u->taps[node->inputs[k]], {NULL, NULL}};
        status =
            take_room(c, u, i, u->count * ptf_balls_each(enc, at), out, err);
        if (status == PTF_OK)
            status = ptf_enclosure_run_node(enc, at, c->operands, u->count,
                                            u->executed, *out, err);
        if (status == PTF_OK && u->visit != NULL)
            u->visit(c, u, at, *out);
    }
    return status;
}
