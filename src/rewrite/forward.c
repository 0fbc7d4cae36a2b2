/*
 * Which batch norms can go into the layers that read them: y = x s + t is read
 * by products alone, each of which takes s into its weights and sum w t into
 * its bias.
 *
 *     sum_k w_k (x_k s_k + t_k) + b  =  sum_k (w_k s_k) x_k + (b + sum_k w_k
 * t_k)
 *
 * Where a window hangs over the border, the taps out there see 0 and not t, so
 * that the layer must not pad, but where t is 0.  A transposed convolution has
 * such taps inside of its map, too.  What only passes numbers on may stand
 * between: a linear layer on all numbers of a map in their order has each
 * channel's weights side by side.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/batchnorm.h"

/* What stands between the norm and what reads it, from the end on. */
static bool is_between(const ptf_net_edit *edit, const ptf_forward *f, int node)
{
    const ptf_node *n = &edit->nodes[node];
    return f[node].goes || (n->input_count == 1 && ptf_op_is_alias(n->op));
}

static bool pads(const ptf_node *node)
{
    bool any = ptf_op_is_transposed(node->op);
    for (int d = 0; d < PTF_MAP_AXES; d++)
        any = any || node->attrs.padding[d] != 0 || node->attrs.more[d] != 0;
    return any;
}

/* What 'reader' has against taking in what is before it. */
static ptf_forward_why judge(const ptf_net_edit *edit, const ptf_forward *f,
                             const bool *flat, int reader)
{
    const ptf_node *node = &edit->nodes[reader];
    if (is_between(edit, f, reader))
        return f[reader].why;
    if (!ptf_op_is(node->op, PTF_FAMILY_PRODUCT))
        return PTF_FORWARD_OTHER;
    if (node->op == PTF_OP_LINEAR && !flat[reader])
        return PTF_FORWARD_ROWS;
    return PTF_FORWARD_FITS;
}

/* What those that read 'at' are, of which the first that is in the way
 * counts. */
static ptf_forward see_readers(const ptf_net_edit *edit, const ptf_forward *f,
                               const bool *flat, int at)
{
    ptf_forward out = {.why = PTF_FORWARD_UNREAD};
    if (ptf_net_is_output(edit->net, at))
        return (ptf_forward){.why = PTF_FORWARD_OUTPUT, .who = at};
    for (int i = at + 1; i < edit->net->node_count; i++) {
        const ptf_node *node = &edit->nodes[i];
        bool reads = false;
        for (int k = 0; k < node->input_count; k++)
            reads = reads || node->inputs[k] == at;
        if (!reads)
            continue;
        bool between = is_between(edit, f, i);
        out.why = judge(edit, f, flat, i);
        out.who = between ? f[i].who : i;
        if (out.why != PTF_FORWARD_FITS)
            return out;
        if (!between && pads(node))
            out.pads = i;
        if (between && f[i].pads > 0)
            out.pads = f[i].pads;
        out.maps =
            out.maps || (between ? f[i].maps : node->op != PTF_OP_LINEAR);
    }
    return out;
}

/* Convolutions after a view of another shape have other channels. */
static void see_view(const ptf_net_edit *edit, int at, ptf_forward *f)
{
    if (f->why == PTF_FORWARD_FITS && f->maps &&
        !ptf_op_is_identity(edit->nodes[at].op))
        *f = (ptf_forward){.why = PTF_FORWARD_OTHER, .who = at};
}

/* The shift of y = (x - mean) s + beta that is exactly 0. */
static bool has_no_shift(const ptf_norm *norm)
{
    bool none = true;
    for (int64_t c = 0; none && c < norm->channels; c++)
        none = !(norm->mean[c] < 0 || norm->mean[c] > 0) &&
               !(norm->beta[c] < 0 || norm->beta[c] > 0);
    return none;
}

static ptf_status see_norm(const ptf_movers *m, int at, ptf_forward *f,
                           ptf_error *err)
{
    ptf_norm norm;
    bool shifts = true;
    ptf_status status = PTF_OK;
    if (f->why != PTF_FORWARD_FITS)
        return PTF_OK;
    if (f->pads > 0 && m->edit->net->has_tensors) {
        int64_t channels = ptf_mover_channels(m, at);
        status = ptf_mover_read(m, at, channels, &norm, err);
        shifts = status != PTF_OK || !has_no_shift(&norm);
    }
    if (f->pads > 0 && shifts)
        *f = (ptf_forward){.why = PTF_FORWARD_PADS, .who = f->pads};
    f->goes = f->why == PTF_FORWARD_FITS;
    return status;
}

ptf_status ptf_find_forward(const ptf_movers *m, const bool *flat,
                            const bool *taken, ptf_forward *f, ptf_error *err)
{
    const ptf_net_edit *edit = m->edit;
    ptf_status status = PTF_OK;
    for (int i = edit->net->node_count - 1; status == PTF_OK && i > 0; i--) {
        bool moves = !taken[i] && ptf_mover_channels(m, i) > 0 &&
                     (!m->norms || ptf_norm_moves(&edit->nodes[i]));
        if (!moves && !is_between(edit, f, i))
            continue;
        f[i] = see_readers(edit, f, flat, i);
        if (moves)
            status = see_norm(m, i, &f[i], err);
        else
            see_view(edit, i, &f[i]);
    }
    return status;
}
