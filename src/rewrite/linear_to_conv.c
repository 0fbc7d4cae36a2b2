/*
 * linear_to_conv: where a feature map is flattened for linear layers, the
 * flattening goes away, the first linear layer becomes a convolution with a
 * kernel as large as the map, and those after it 1x1 convolutions.  PyTorch
 * flattens channels, rows, columns, which is the order of a convolution's
 * weights: the weights keep their bytes and only get another shape.
 *
 * A mean of all of the map before them becomes an average over a window of that
 * size, with stride 1, and an adaptive average over windows that are alike one
 * over windows of their size: the same terms in the same order.
 *
 *     conv - mean - flatten - linear      conv - average 7x7 - conv 1x1
 *
 * What reads the linear layers must work on maps, too; where it does not, as in
 * a gate that is multiplied with a map, all stays as it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"
#include "rewrite/rewrite.h"

/* The state of the walk: which values are maps now that were flat before. */
typedef struct walk {
    ptf_net_edit *edit;
    bool *leads;     /* node's value reaches a Linear, number by number */
    int *blocks;     /* what cannot read a map in place of that value, or 0 */
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

/* A mean of all positions of a map, for each channel. */
static bool is_map_mean(const walk *w, const ptf_node *node)
{
    const ptf_shape *map = &w->maps[node->inputs[0]];
    bool reduced[PTF_SHAPE_MAX];
    bool all = node->op == PTF_OP_MEAN && map->rank > 1 &&
               map->rank <= 1 + PTF_MAP_AXES &&
               ptf_reduced_axes(&node->attrs, map->rank, reduced);
    for (int d = 0; all && d < map->rank; d++)
        all = reduced[d] == (d > 0);
    return all;
}

static bool is_adaptive_mean(ptf_op op)
{
    ptf_pool_kind kind = ptf_op_pool_kind(op);
    return kind.adaptive && kind.mean;
}

static bool averages(const walk *w, const ptf_node *node)
{
    return is_adaptive_mean(node->op) || is_map_mean(w, node);
}

/* What can be done to a map of one position, or to all of it, as to a list. */
static bool takes_map(const walk *w, const ptf_node *node)
{
    static const bool takes[PTF_OP_COUNT] = {
        [PTF_OP_LINEAR] = true,
        [PTF_OP_BATCHNORM1D] = true,
        [PTF_OP_SOFTMAX] = true,
    };
    return node->input_count == 1 && (takes[node->op] || is_plain(node->op) ||
                                      flattens(node) || averages(w, node));
}

/* From the end on: which values reach a linear layer, and what is in the way
 * of their being maps. */
static void find_leading(walk *w)
{
    for (int i = w->edit->net->node_count - 1; i > 0; i--) {
        const ptf_node *node = &w->edit->nodes[i];
        if (node->input_count == 0)
            continue;
        bool passes =
            is_plain(node->op) || flattens_all(w, node) || averages(w, node);
        bool leads = node->op == PTF_OP_LINEAR || (passes && w->leads[i]);
        int blocks = takes_map(w, node) ? w->blocks[i] : i;
        for (int k = 0; k < node->input_count; k++) {
            w->leads[node->inputs[k]] |= leads;
            if (blocks > 0)
                w->blocks[node->inputs[k]] = blocks;
        }
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

/* ----------------------------------------------------------------- averages */

static ptf_op average_of(const ptf_shape *map)
{
    return map->rank == 2   ? PTF_OP_AVGPOOL1D
           : map->rank == 3 ? PTF_OP_AVGPOOL2D
                            : PTF_OP_AVGPOOL3D;
}

/* Whether windows of 'kernel' positions are those of the mean along an axis. */
static bool find_window(const ptf_node *node, const ptf_shape *map, int d,
                        int64_t *kernel, int64_t *stride)
{
    int i = d + PTF_MAP_AXES - map->rank;
    int64_t count = node->op == PTF_OP_MEAN ? 1 : node->attrs.output_size[i];
    count = count > 0 ? count : map->dim[d];
    *kernel = map->dim[d] / count;
    *stride = count > 1 ? *kernel : 1;
    return map->dim[d] % count == 0;
}

/*
 * A mean over a map as an average of windows; it stays where there are none
 * that are alike, or more terms than a mean adds up without a break.
 */
static bool convert_average(walk *w, int index)
{
    enum { TERMS = 256 };
    ptf_node *node = &w->edit->nodes[index];
    const ptf_shape *map = &w->maps[node->inputs[0]];
    ptf_shape made = {map->rank, {map->dim[0]}};
    ptf_attrs attrs;
    int64_t terms = 1;
    ptf_attrs_default(average_of(map), &attrs);
    for (int d = 1; d < map->rank; d++) {
        int i = d + PTF_MAP_AXES - map->rank;
        if (!find_window(node, map, d, &attrs.kernel[i], &attrs.stride[i]))
            return false;
        terms *= attrs.kernel[i];
        made.dim[d] = map->dim[d] / attrs.kernel[i];
    }
    if (node->op == PTF_OP_MEAN && terms > TERMS)
        return false;
    w->is_map[index] = node->op == PTF_OP_MEAN && !node->attrs.keepdim;
    w->maps[index] = made;
    node->op = average_of(map);
    node->attrs = attrs;
    node->text = NULL;
    return true;
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

/* What reaches a linear layer from here, and cannot be a map. */
static ptf_status remark_blocked(const walk *w, int index)
{
    const ptf_node *by = &w->edit->nodes[w->blocks[index]];
    if (is_adaptive_mean(w->edit->nodes[index].op))
        return PTF_OK; /* it is said of what flattens after it */
    return ptf_net_edit_remark(w->edit, index, true, w->err,
                               "leads to linear layers, but %s (%s) works on "
                               "the flattened map, which linear_to_conv cannot "
                               "express on the map itself",
                               by->implied ? "an implied layer" : by->name,
                               by->class_name);
}

static ptf_status visit(walk *w, int index)
{
    const ptf_node *node = &w->edit->nodes[index];
    bool reads_map = false;
    for (int k = 0; k < node->input_count; k++)
        reads_map |= w->is_map[node->inputs[k]];
    if (reads_map)
        return convert_node(w, index);
    if (node->input_count != 1 || !w->leads[index])
        return PTF_OK;
    int from = node->inputs[0];
    int rank = w->maps[from].rank;
    bool averages_map = averages(w, node), flat = flattens_all(w, node);
    if ((!averages_map && !flat) || rank < 2 || rank > 1 + PTF_MAP_AXES)
        return PTF_OK;
    if (w->blocks[index] > 0)
        return remark_blocked(w, index);
    if (averages_map) {
        convert_average(w, index);
        return PTF_OK;
    }
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
        .blocks = ptf_arena_array(arena, count, sizeof(*w.blocks)),
        .is_map = ptf_arena_array(arena, count, sizeof(*w.is_map)),
        .maps = ptf_arena_array(arena, count, sizeof(*w.maps)),
        .changed = changed,
        .err = err,
    };
    if (w.leads == NULL || w.blocks == NULL || w.is_map == NULL ||
        w.maps == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_net_shapes(edit->net, input, w.maps, err);
    if (status == PTF_OK)
        find_leading(&w);
    for (int i = 1; status == PTF_OK && i < edit->net->node_count; i++)
        status = visit(&w, i);
    return status;
}
