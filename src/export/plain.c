/*
 * Attributes as calls of ATen have them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/plain.h"

/* An axis of a value with that many axes beside the batch, from the front. */
static int64_t from_front(int64_t axis, int rank)
{
    return axis < 0 ? axis + rank + 1 : axis;
}

static void plain_list(ptf_list *axes, int rank)
{
    for (int i = 0; i < axes->count; i++)
        axes->at[i] = from_front(axes->at[i], rank);
}

static ptf_list list_of(const int64_t *sizes, int count)
{
    ptf_list list = {.count = count};
    memcpy(list.at, sizes, (size_t)count * sizeof(*sizes));
    return list;
}

static void plain_view(const ptf_node *node, const ptf_shape *in,
                       const ptf_shape *out, ptf_attrs *a)
{
    if (node->op == PTF_OP_EXPAND)
        a->size = list_of(out->dim, out->rank);
    if (node->op != PTF_OP_SLICE)
        return;
    int64_t axis = a->dim - 1;
    a->start += a->start < 0 ? in->dim[axis] : 0;
    a->length = out->dim[axis];
    a->step = a->length > 1 ? a->step : 1;
}

static void plain_pool(const ptf_node *node, const ptf_shape *in, ptf_attrs *a)
{
    a->ceil_mode_unspecified = a->count_include_pad_unspecified = false;
    for (int i = PTF_MAP_AXES - ptf_op_map_axes(node->op); i < PTF_MAP_AXES;
         i++) {
        if (a->output_size[i] == 0)
            a->output_size[i] = in->dim[in->rank - PTF_MAP_AXES + i];
    }
}

/* A size or a factor for each axis, and what the mode has no use for. */
static void plain_resize(const ptf_shape *out, ptf_attrs *a)
{
    bool sized = a->size.count > 0 || a->recompute_scale_factor;
    if (sized)
        a->size = list_of(out->dim + 1, out->rank - 1);
    if (a->recompute_scale_factor)
        a->scale.count = 0;
    for (int i = 1; a->scale.count == 1 && i < out->rank - 1; i++)
        a->scale.at[i] = a->scale.at[0];
    if (a->scale.count > 0)
        a->scale.count = out->rank - 1;
    a->recompute_scale_factor = false;
    a->recompute_scale_factor_unspecified = true;
    a->align_corners_unspecified = a->p[0] <= PTF_UPSAMPLE_NEAREST_EXACT;
}

ptf_attrs ptf_plain_attrs(const ptf_node *node, const ptf_shape *in,
                          const ptf_shape *out)
{
    ptf_attrs a = node->attrs;
    a.inplace = false;
    if (a.momentum_none || ptf_op_is(node->op, PTF_FAMILY_NORM))
        a.momentum = 0;
    a.momentum_none = false;
    if (ptf_op_is(node->op, PTF_FAMILY_SOFTMAX))
        a.dim = ptf_softmax_axis(&a, in->rank + 1);
    a.dim_none = false;
    a.dim = from_front(a.dim, in->rank);
    plain_list(&a.dims, in->rank);
    if (ptf_op_is(node->op, PTF_FAMILY_VIEW))
        plain_view(node, in, out, &a);
    else if (ptf_op_is(node->op, PTF_FAMILY_POOL))
        plain_pool(node, in, &a);
    else if (ptf_op_is(node->op, PTF_FAMILY_RESIZE))
        plain_resize(out, &a);
    else if (node->op == PTF_OP_ARGSORT && a.length == in->dim[a.dim - 1])
        a.length = 0;
    return a;
}

bool ptf_plain_is_view(const ptf_net *net, const ptf_shape *shapes, int node)
{
    const ptf_node *n = &net->nodes[node];
    static const bool may_be[PTF_OP_COUNT] = {
        [PTF_OP_EXPAND] = true,
        [PTF_OP_SLICE] = true,
        [PTF_OP_PERMUTE] = true,
    };
    if (n->input_count == 0 || ptf_op_is_alias(n->op) || !may_be[n->op])
        return n->input_count > 0 && ptf_op_is_alias(n->op);
    const ptf_shape *in = &shapes[n->inputs[0]], *out = &shapes[node];
    const ptf_attrs a = ptf_plain_attrs(n, in, out);
    bool same = in->rank == out->rank && (n->op != PTF_OP_SLICE || a.step > 0);
    for (int d = 0; d < in->rank && same; d++)
        same = in->dim[d] == out->dim[d] &&
               (n->op != PTF_OP_PERMUTE || a.dims.at[d] == d + 1);
    return same;
}

int ptf_plain_root(const ptf_net *net, const ptf_shape *shapes, int node)
{
    while (ptf_plain_is_view(net, shapes, node))
        node = net->nodes[node].inputs[0];
    return node;
}
