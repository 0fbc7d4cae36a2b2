/*
 * linear_to_conv: where a feature map is flattened for linear layers, the
 * flattening goes away, the first linear layer becomes a convolution with a
 * kernel as large as the map, and those after it 1x1 convolutions.  PyTorch
 * flattens channels, rows, columns, which is the order of a convolution's
 * weights: the weights keep their bytes and only get another shape.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/rewrite.h"

/* The state of the walk: which values are maps now that were flat before. */
typedef struct walk {
    ptf_net_edit *edit;
    bool *leads;     /* node's value reaches a Linear, number by number */
    bool *is_map;    /* node's value was flat and is a map now */
    ptf_shape *maps; /* shapes of the old values, and of the maps */
    int *changed;
    ptf_error *err;
} walk;

/* Ops that do the same to each number, wherever it stands. */
static bool is_plain(ptf_op op)
{
    return ptf_op_is(op, PTF_FAMILY_UNARY) || ptf_op_is_identity(op);
}

/* A value that is flat already is so again. */
static bool flattens(const ptf_node *node)
{
    bool reshapes = node->op == PTF_OP_RESHAPE && node->attrs.size.count == 1;
    return reshapes ||
           (node->op == PTF_OP_FLATTEN && node->attrs.start_dim == 1);
}

/* A map becomes flat; a reshape of one channel takes a row out of several. */
static bool flattens_all(const walk *w, const ptf_node *node)
{
    if (!flattens(node))
        return false;
    const ptf_shape *map = &w->maps[node->inputs[0]];
    int end = (int)node->attrs.end_dim;
    if (node->op == PTF_OP_RESHAPE)
        return map->dim[0] > 1;
    return end == -1 || end == map->rank;
}

static void find_leading(walk *w)
{
    for (int i = w->edit->net->node_count - 1; i > 0; i--) {
        const ptf_node *node = &w->edit->nodes[i];
        bool passes = is_plain(node->op) || flattens_all(w, node);
        bool leads = node->op == PTF_OP_LINEAR || (passes && w->leads[i]);
        for (int k = 0; k < node->input_count; k++)
            w->leads[node->inputs[k]] |= leads;
    }
}

/* ----------------------------------------------------------------- weights */

/*
 * The same numbers as [out, C, H, W], or as many axes as the map has, instead
 * of [out, in].
 * Sizes of 1 take any stride, so theirs need no product.
 */
static ptf_tensor *reshape(ptf_arena *arena, const ptf_tensor *old,
                           const ptf_shape *map)
{
    ptf_tensor *conv = ptf_arena_alloc(arena, sizeof(*conv));
    if (conv == NULL)
        return NULL;
    *conv = *old;
    conv->rank = 1 + map->rank;
    int64_t stride = old->stride[1];
    for (int d = map->rank; d > 0; d--) {
        conv->shape[d] = map->dim[d - 1];
        conv->stride[d] = map->dim[d - 1] > 1 ? stride : 1;
        if (map->dim[d - 1] > 1)
            stride *= map->dim[d - 1];
    }
    return conv;
}

static ptf_op conv_of(const ptf_shape *map)
{
    return map->rank == 2   ? PTF_OP_CONV1D
           : map->rank == 3 ? PTF_OP_CONV2D
                            : PTF_OP_CONV3D;
}

static ptf_attrs conv_attrs(const ptf_attrs *linear, const ptf_shape *map)
{
    ptf_attrs conv;
    ptf_attrs_default(conv_of(map), &conv);
    conv.in_channels = map->dim[0];
    conv.out_channels = linear->out_channels;
    conv.has_bias = linear->has_bias;
    conv.scale_shift = linear->scale_shift;
    for (int d = 1; d < map->rank; d++)
        conv.kernel[d + PTF_MAP_AXES - map->rank] = map->dim[d];
    return conv;
}

static ptf_status convert_linear(walk *w, ptf_node *node, ptf_shape *map)
{
    const ptf_tensor *weight = node->tensors[PTF_ROLE_WEIGHT];
    if (weight != NULL) {
        node->tensors[PTF_ROLE_WEIGHT] =
            reshape(&w->edit->net->arena, weight, map);
        if (node->tensors[PTF_ROLE_WEIGHT] == NULL)
            return ptf_fail_memory(w->err);
    }
    node->attrs = conv_attrs(&node->attrs, map);
    node->op = conv_of(map);
    node->text = NULL;
    (*w->changed)++;
    *map = (ptf_shape){map->rank, {node->attrs.out_channels, 1, 1, 1}};
    return PTF_OK;
}

/* -------------------------------------------------------------------- nodes */

static bool is_single(const ptf_shape *map)
{
    return ptf_shape_numel(map) == map->dim[0];
}

static ptf_status refuse_node(const walk *w, const ptf_node *node)
{
    return ptf_node_fail(w->err, PTF_UNSUPPORTED, node,
                         "works on the flattened map, which linear_to_conv "
                         "cannot express on the map itself");
}

/* A layer whose input was flat and is a map now. */
static ptf_status convert_node(walk *w, int index)
{
    ptf_node *node = &w->edit->nodes[index];
    ptf_shape *map = &w->maps[index];
    *map = w->maps[node->inputs[0]];
    w->is_map[index] = true;
    if (node->op == PTF_OP_LINEAR)
        return convert_linear(w, node, map);
    if (is_plain(node->op))
        return PTF_OK;
    if (flattens(node)) {
        w->edit->dead[index] = true;
        return PTF_OK;
    }
    if (node->op == PTF_OP_BATCHNORM1D && map->rank < 4 && is_single(map)) {
        node->op = map->rank == 3 ? PTF_OP_BATCHNORM2D : PTF_OP_BATCHNORM1D;
        node->text = NULL;
        return PTF_OK;
    }
    if (node->op == PTF_OP_SOFTMAX && is_single(map)) {
        node->attrs.dim = ptf_softmax_axis(&node->attrs, 2);
        node->attrs.dim_none = false;
        node->text = NULL;
        return PTF_OK;
    }
    return refuse_node(w, node);
}

static ptf_status visit(walk *w, int index)
{
    const ptf_node *node = &w->edit->nodes[index];
    bool reads_map = false;
    for (int k = 0; k < node->input_count; k++)
        reads_map |= w->is_map[node->inputs[k]];
    if (reads_map && node->input_count > 1)
        return refuse_node(w, node);
    if (reads_map)
        return convert_node(w, index);
    if (node->input_count != 1)
        return PTF_OK;
    int from = node->inputs[0];
    int rank = w->maps[from].rank;
    if (!flattens_all(w, node) || !w->leads[index] || rank < 2 ||
        rank > 1 + PTF_MAP_AXES)
        return PTF_OK;
    w->edit->dead[index] = true;
    w->is_map[index] = true;
    w->maps[index] = w->maps[from];
    return PTF_OK;
}

ptf_status ptf_pass_linear_to_conv(ptf_net_edit *edit, const ptf_shape *input,
                                   int *changed, ptf_error *err)
{
    if (input == NULL)
        return ptf_net_fail(
            err, PTF_ARGUMENT, edit->net,
            "linear_to_conv needs the shape of the input, because "
            "the kernel is as large as the map");
    ptf_arena *arena = &edit->net->arena;
    size_t count = (size_t)edit->net->node_count;
    walk w = {
        .edit = edit,
        .leads = ptf_arena_array(arena, count, sizeof(*w.leads)),
        .is_map = ptf_arena_array(arena, count, sizeof(*w.is_map)),
        .maps = ptf_arena_array(arena, count, sizeof(*w.maps)),
        .changed = changed,
        .err = err,
    };
    if (w.leads == NULL || w.is_map == NULL || w.maps == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_net_shapes(edit->net, input, w.maps, err);
    find_leading(&w);
    for (int i = 1; status == PTF_OK && i < edit->net->node_count; i++)
        status = visit(&w, i);
    return status;
}
