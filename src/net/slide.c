/*
 * May a net be slid over a larger image?  A convolution or a pooling without
 * padding moves with its input, by its stride; nothing else that mixes pixels
 * does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

/* The walk along the net: what is known of the value that a node reads. */
typedef struct slide {
    ptf_partial_shape value;
    int64_t edge[2]; /* rows, columns of it that padding changes */
    ptf_slide *out;
} slide;

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
    if (reach->before != 0)
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
static bool advance(slide *s, const ptf_reach *reach, int d)
{
    int64_t changed, *edge = &s->edge[d];
    if (!ptf_mul_i64(s->out->stride[d], reach->stride, &s->out->stride[d]) ||
        !ptf_add_i64(*edge, reach->before, &changed))
        return false;
    if (reach->cut)
        changed = changed > 0 ? changed : 1;
    *edge = ptf_ceil_div(changed, reach->stride);
    return ptf_mul_i64(*edge, s->out->stride[d], &s->out->border[d]);
}

/* NULL, or why the node does not slide along rows or columns. */
static const char *pass(slide *s, const ptf_node *node, int d)
{
    ptf_reach reach = reach_of(node, s->value, d);
    s->out->any_size = s->out->any_size && reach.kind != PTF_REACH_ALL;
    if (reach.kind != PTF_REACH_WINDOW || advance(s, &reach, d))
        return blocks_sliding(&reach);
    s->out->any_size = false;
    return "makes the stride overflow";
}

void ptf_net_slide(const ptf_net *net, ptf_slide *out)
{
    slide s = {.value = ptf_net_input_partial_shape(net), .out = out};
    *out = (ptf_slide){.stride = {1, 1}, .any_size = true};
    for (int i = 1; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        bool could = out->any_size;
        const char *rows = pass(&s, node, 0), *columns = pass(&s, node, 1);
        const char *reason = rows != NULL ? rows : columns;
        ptf_op_partial_shape(node->op, &node->attrs, s.value, &s.value);
        bool first = out->blocker == NULL || (could && !out->any_size);
        if (reason == NULL || !first)
            continue;
        out->blocker = node->implied ? "the implied flatten" : node->name;
        out->reason = reason;
    }
}
