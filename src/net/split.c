/*
 * Batch norms after a concatenation as one after each of its branches:
 *
 *     conv a -+                     conv a - norm's first channels -+
 *             +- concat - norm                                      +- concat
 *     conv b -+                     conv b - norm's other channels -+
 *
 * A batch norm does to a channel what its numbers for that channel say,
 * whatever the others are, and a concatenation along the channels moves them:
 * the result has the same bits.  Then each can be folded into its branch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

/* A branch is a convolution that the concatenation alone reads. */
static bool is_branch(const ptf_net *net, int node, int concat)
{
    const ptf_node *n = &net->nodes[node];
    return ptf_op_is(n->op, PTF_FAMILY_PRODUCT) && ptf_op_map_axes(n->op) > 0 &&
           !n->attrs.scale_shift && ptf_net_only_consumer(net, node) == concat;
}

/* Whether 'norm' can be split before the concatenation that it reads. */
static bool splits(const ptf_net *net, int norm)
{
    static const int ranks[PTF_OP_COUNT] = {
        [PTF_OP_BATCHNORM1D] = 3,
        [PTF_OP_BATCHNORM2D] = 4,
        [PTF_OP_BATCHNORM3D] = 5,
    };
    const ptf_node *node = &net->nodes[norm];
    if (ranks[node->op] == 0 || !node->attrs.track_running_stats)
        return false;
    int concat = node->inputs[0];
    const ptf_node *joined = &net->nodes[concat];
    int64_t channels = 0;
    bool fits = joined->op == PTF_OP_CONCAT &&
                ptf_net_only_consumer(net, concat) == norm &&
                ptf_concat_axis(&joined->attrs, ranks[node->op]) == 1;
    for (int k = 0; fits && k < joined->input_count; k++) {
        const ptf_node *from = &net->nodes[joined->inputs[k]];
        fits = is_branch(net, joined->inputs[k], concat) &&
               ptf_op_map_axes(from->op) == ranks[node->op] - 2;
        channels += from->attrs.out_channels;
    }
    return fits && channels == node->attrs.in_channels;
}

int ptf_net_count_splits(const ptf_net *net)
{
    int count = 0;
    for (int i = net->input_count; i < net->node_count; i++)
        count += splits(net, i)
                     ? net->nodes[net->nodes[i].inputs[0]].input_count
                     : 0;
    return count;
}

/* Some channels of a tensor that has a number for each. */
static const ptf_tensor *cut(ptf_arena *arena, const ptf_tensor *all,
                             int64_t first, int64_t count)
{
    ptf_tensor *part = ptf_arena_alloc(arena, sizeof(*part));
    if (part == NULL)
        return NULL;
    *part = *all;
    part->shape[0] = count;
    if (all->data != NULL)
        part->data =
            (const char *)all->data +
            first * all->stride[0] * (int64_t)ptf_dtype_size(all->dtype);
    return part;
}

/* The norm's channels from 'first' on, after the branch that is node 'from'. */
static bool make_part(ptf_net_edit *edit, const ptf_node *norm, int from,
                      int64_t first, ptf_node *out)
{
    ptf_arena *arena = &edit->net->arena;
    int64_t count = edit->nodes[from].attrs.out_channels;
    *out = *norm;
    out->name =
        ptf_arena_printf(arena, "%s[%lld]", norm->name, (long long)first);
    out->text = NULL;
    out->attrs.in_channels = out->attrs.out_channels = count;
    for (int role = 0; role < PTF_ROLE_COUNT; role++) {
        const ptf_tensor *all = norm->tensors[role];
        if (all == NULL || all->rank != 1)
            continue;
        out->tensors[role] = cut(arena, all, first, count);
        if (out->tensors[role] == NULL)
            return false;
    }
    return out->name != NULL && ptf_node_read(arena, out, 1, &from);
}

/* The nodes so far, and where each of the old ones is. */
typedef struct splitting {
    ptf_net_edit *edit; /* its nodes are the new ones */
    const ptf_node *old;
    const bool *was_dead;
    int *moved;
    int *norms; /* per concatenation: what is split before it, or 0 */
    int count;
} splitting;

/* Node i with its operands' new numbers; a concatenation has parts before. */
static bool add(splitting *s, int i)
{
    ptf_net_edit *edit = s->edit;
    ptf_node node = s->old[i];
    int64_t first = 0;
    for (int k = 0; k < node.input_count; k++)
        node.inputs[k] = s->moved[node.inputs[k]];
    for (int k = 0; s->norms[i] > 0 && k < node.input_count; k++) {
        int from = node.inputs[k];
        if (!make_part(edit, &s->old[s->norms[i]], from, first,
                       &edit->nodes[s->count]))
            return false;
        first += edit->nodes[from].attrs.out_channels;
        node.inputs[k] = s->count++;
    }
    s->moved[i] = s->count;
    edit->dead[s->count] = s->was_dead[i];
    edit->nodes[s->count++] = node;
    return true;
}

ptf_status ptf_net_edit_split_norms(ptf_net_edit *edit, ptf_error *err)
{
    ptf_net *net = edit->net;
    ptf_arena *arena = &net->arena;
    int count = net->node_count, more = ptf_net_count_splits(net);
    if (more == 0)
        return PTF_OK;
    size_t all = (size_t)count + (size_t)more;
    splitting s = {
        .edit = edit,
        .old = edit->nodes,
        .was_dead = edit->dead,
        .moved = ptf_arena_array(arena, (size_t)count, sizeof(*s.moved)),
        .norms = ptf_arena_array(arena, (size_t)count, sizeof(*s.norms)),
    };
    ptf_node *nodes = ptf_arena_array(arena, all, sizeof(*nodes));
    bool *dead = ptf_arena_array(arena, all, sizeof(*dead));
    if (!s.moved || !s.norms || !nodes || !dead)
        return ptf_fail_memory(err);
    for (int i = net->input_count; i < count; i++) {
        if (splits(net, i))
            s.norms[net->nodes[i].inputs[0]] = i;
    }
    edit->nodes = nodes;
    edit->dead = dead;
    for (int i = 0; i < count; i++) {
        if (!add(&s, i))
            return ptf_fail_memory(err);
    }
    for (int i = net->input_count; i < count; i++) {
        if (s.norms[i] > 0)
            dead[s.moved[s.norms[i]]] = true;
    }
    for (int i = 0; i < net->output_count; i++)
        net->outputs[i].node = s.moved[net->outputs[i].node];
    net->nodes = nodes;
    net->node_count = s.count;
    return PTF_OK;
}

ptf_status ptf_net_split_norms(const ptf_net *net, ptf_net **out,
                               ptf_error *err)
{
    ptf_net_edit edit;
    *out = NULL;
    ptf_status status = ptf_net_edit_begin(net, &edit, err);
    if (status != PTF_OK)
        return status;
    status = ptf_net_edit_split_norms(&edit, err);
    if (status == PTF_OK)
        return ptf_net_edit_finish(&edit, "split_norms", out, err);
    ptf_net_edit_abort(&edit);
    return status;
}
