/*
 * May a net be slid over a larger image?  A convolution or a pooling without
 * padding moves with its input, by its stride; nothing else that mixes pixels
 * does.  What padding changes of a window is counted, layer by layer; where one
 * number is made of all of the image, as a gate is, no window is its crop from
 * there on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

/* What is known of a value, and how it moves with the image. */
typedef struct motion {
    ptf_partial_shape value;
    ptf_slide_layer at;
    bool fixed; /* a constant: it does not move */
    bool one;   /* nor does what has one position, made of all of the image */
} motion;

/*
 * A node's reach along rows (0) or columns (1) of its map; those of a value
 * of channels x length are its columns.
 */
static ptf_reach reach_of(const ptf_node *node, ptf_partial_shape in, int d)
{
    int rank = in.rank > 2 ? in.rank : 4; /* unknown, or flat: as of images */
    int axis = d + rank - 2;
    if (axis < 2)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return ptf_op_reach(node->op, &node->attrs, rank, axis);
}

/* Why a value along one axis of an image is not its value on each crop. */
static const char *blocks_sliding(const ptf_reach *reach)
{
    if (reach->kind == PTF_REACH_ALL)
        return reach->why;
    if (reach->kind == PTF_REACH_EACH)
        return NULL;
    if (reach->before > 0 || reach->after > 0)
        return "pads its input, so a crop sees padding where the larger image "
               "goes on";
    return reach->cut ? "rounds its output size up, so windows at the border "
                        "are cut"
                      : NULL;
}

/*
 * Counts at 'edge[d]' the rows or columns of the node's output, from either
 * edge of a window, that padding or features changed by it reach.
 */
static bool advance(ptf_slide_layer *m, const ptf_reach *reach, int d)
{
    int64_t changed, *edge = &m->edge[d], border;
    int64_t pads = ptf_max_i64(reach->before, reach->after);
    if (!ptf_mul_i64(m->stride[d], reach->stride, &m->stride[d]) ||
        !ptf_add_i64(*edge, pads, &changed))
        return false;
    changed = ptf_max_i64(changed, 0); /* a crop takes some away */
    if (reach->cut)
        changed = changed > 0 ? changed : 1;
    *edge = ptf_ceil_div(changed, reach->stride);
    return ptf_mul_i64(*edge, m->stride[d], &border);
}

/* NULL, or why the node does not slide along rows or columns. */
static const char *pass(motion *m, const ptf_reach *reach, int d,
                        bool *any_size)
{
    bool all = reach->kind == PTF_REACH_ALL;
    *any_size = *any_size && !(all && !m->one);
    m->at.differs = m->at.differs || all;
    if (reach->kind != PTF_REACH_WINDOW || advance(&m->at, reach, d))
        return blocks_sliding(reach);
    *any_size = false;
    return "makes the stride overflow";
}

/* A constant whose rows or columns differ belongs to one size of map. */
static bool has_positions(const ptf_node *constant)
{
    const ptf_tensor *t = constant->tensors[PTF_ROLE_WEIGHT];
    return t == NULL || (t->rank > 1 && (t->shape[t->rank - 1] != 1 ||
                                         t->shape[t->rank - 2] != 1));
}

/* What reads a value that moves and this one. */
static const char *join_one(const ptf_net *net, const motion *m, int node,
                            motion *out)
{
    if (m->fixed)
        return has_positions(&net->nodes[node])
                   ? "reads a constant that has one size of map only"
                   : NULL;
    ptf_slide_layer *at = &out->at;
    bool differs = at->differs || m->at.differs;
    bool first = out->fixed || (out->one && !m->one);
    bool same =
        m->at.stride[0] == at->stride[0] && m->at.stride[1] == at->stride[1];
    if (first)
        *out = *m;
    for (int d = 0; d < 2 && !first && !m->one; d++)
        at->edge[d] = ptf_max_i64(at->edge[d], m->at.edge[d]);
    at->differs = differs;
    return first || m->one || same ? NULL : "joins maps of different strides";
}

/* The operands of a node as one; NULL, or why they do not move together. */
static const char *join(const ptf_net *net, const motion *all,
                        const ptf_node *node, motion *out)
{
    const char *wrong = NULL;
    *out = (motion){.fixed = true};
    for (int k = 0; wrong == NULL && k < node->input_count; k++)
        wrong = join_one(net, &all[node->inputs[k]], node->inputs[k], out);
    return wrong;
}

static const char *move(const ptf_net *net, motion *all, int i, bool *any_size)
{
    const ptf_node *node = &net->nodes[i];
    motion *m = &all[i];
    const char *wrong = join(net, all, node, m);
    const char *rows = NULL, *columns = NULL;
    if (wrong != NULL)
        *any_size = false;
    if (!m->fixed && !m->one) {
        ptf_reach y = reach_of(node, m->value, 0);
        ptf_reach x = reach_of(node, m->value, 1);
        m->one = y.one && x.one;
        rows = pass(m, &y, 0, any_size);
        columns = pass(m, &x, 1, any_size);
    }
    ptf_op_partial_shape(node->op, &node->attrs, m->value, &m->value);
    return wrong != NULL ? wrong : rows != NULL ? rows : columns;
}

/* The walk; 'all' has room for every node. */
static void slide_nodes(const ptf_net *net, motion *all, ptf_slide *out)
{
    all[0] = (motion){.value = ptf_net_input_partial_shape(net, 0),
                      .at = {.stride = {1, 1}}};
    for (int i = 1; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        all[i] = (motion){.fixed = true};
        if (node->op == PTF_OP_CONSTANT)
            continue;
        bool could = out->any_size;
        const char *reason = move(net, all, i, &out->any_size);
        bool first = out->blocker == NULL || (could && !out->any_size);
        if (reason == NULL || !first)
            continue;
        out->blocker = node->implied ? "the implied flatten" : node->name;
        out->reason = reason;
    }
    const motion *last = &all[net->outputs[0].node];
    if (out->any_size && (last->one || last->fixed)) {
        out->any_size = false;
        out->blocker = net->nodes[net->outputs[0].node].name;
        out->reason = "is no map: it is there once for the whole image";
    }
    out->differs = last->at.differs;
    for (int d = 0; d < 2; d++) {
        out->stride[d] = last->at.stride[d];
        if (!ptf_mul_i64(last->at.edge[d], out->stride[d], &out->border[d]))
            out->border[d] = 0; /* then the stride is what blocks */
    }
}

static ptf_status slide(const ptf_net *net, ptf_slide *out,
                        ptf_slide_layer *layers, ptf_error *err)
{
    *out = (ptf_slide){.stride = {1, 1}, .any_size = true};
    ptf_status status = ptf_net_check_single(net, "sliding needs", err);
    if (status != PTF_OK)
        return status;
    motion *all = ptf_alloc((size_t)net->node_count * sizeof(*all));
    if (all == NULL)
        return ptf_fail_memory(err);
    slide_nodes(net, all, out);
    if (out->blocker == NULL && net->inputs[0].fixed) {
        out->blocker = net->nodes[0].name;
        out->reason = "has the size that the network was exported for";
    }
    for (int i = net->input_count; layers != NULL && i < net->node_count; i++) {
        layers[i - net->input_count] = all[i].at;
        layers[i - net->input_count].moves = !all[i].fixed && !all[i].one;
    }
    ptf_free(all);
    return PTF_OK;
}

ptf_status ptf_net_slide(const ptf_net *net, ptf_slide *out, ptf_error *err)
{
    return slide(net, out, NULL, err);
}

ptf_status ptf_net_slide_layers(const ptf_net *net, ptf_slide_layer *out,
                                ptf_error *err)
{
    ptf_slide whole;
    return slide(net, &whole, out, err);
}
