/*
 * Convolutions and linear layers: their geometry, and what the walk back
 * needs of memory for them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/conv.h"

/* Positions that the windows reach, padding included. */
static int64_t reach(const ptf_conv *v, int axis, int64_t outputs)
{
    const ptf_window *w = &v->window;
    return (outputs - 1) * w->stride[axis] +
           (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

ptf_map ptf_back_map(const ptf_shape *shape)
{
    ptf_map map = {
        .channels = shape->dim[0], .depth = 1, .height = 1, .width = 1};
    if (shape->rank > 1)
        map.width = shape->dim[shape->rank - 1];
    if (shape->rank > 2)
        map.height = shape->dim[shape->rank - 2];
    if (shape->rank > 3)
        map.depth = shape->dim[1];
    map.rows = map.height;
    return map;
}

ptf_window ptf_back_window(const ptf_attrs *attrs)
{
    ptf_window w;
    memcpy(w.kernel, attrs->kernel, sizeof(w.kernel));
    memcpy(w.stride, attrs->stride, sizeof(w.stride));
    memcpy(w.padding, attrs->padding, sizeof(w.padding));
    memcpy(w.dilation, attrs->dilation, sizeof(w.dilation));
    return w;
}

static void set_geometry(ptf_gradient *g, int i)
{
    static const ptf_window one = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
    const ptf_node *node = &g->net->nodes[i];
    ptf_back *n = &g->nodes[i];
    ptf_conv *v = &n->conv;
    bool linear = node->op == PTF_OP_LINEAR;
    v->in = ptf_back_map(&g->shapes[node->inputs[0]]);
    v->out = ptf_back_map(&g->shapes[i]);
    if (linear) { /* of a row */
        v->in = ptf_back_map(&(ptf_shape){1, {node->attrs.in_channels}});
        v->out = ptf_back_map(&(ptf_shape){1, {node->attrs.out_channels}});
    }
    if (ptf_op_is_transposed(node->op)) {
        ptf_map in = v->in;
        v->in = v->out;
        v->out = in;
    }
    v->groups = linear ? 1 : node->attrs.groups;
    v->window = linear ? one : ptf_back_window(&node->attrs);
    const int64_t in[] = {v->in.depth, v->in.height, v->in.width};
    const int64_t out[] = {v->out.depth, v->out.height, v->out.width};
    bool pads = false;
    for (int axis = 0; axis < PTF_MAP_AXES; axis++)
        pads |=
            v->window.padding[axis] > 0 || reach(v, axis, out[axis]) > in[axis];
    for (int axis = 0; axis < PTF_MAP_AXES && pads; axis++)
        n->padded[axis] = reach(v, axis, out[axis]);
}

static int32_t *offsets(ptf_gradient *g, const ptf_node *node, int64_t count,
                        int64_t last, ptf_status *status, ptf_error *err)
{
    int32_t *out = NULL;
    if (last > INT32_MAX)
        *status = ptf_node_fail(err, PTF_UNSUPPORTED, node,
                                "one image's feature map has more than 2^31 "
                                "numbers");
    else if ((out = ptf_arena_array(&g->arena, (size_t)count,
                                    sizeof(int32_t))) == NULL)
        *status = ptf_fail_memory(err);
    return out;
}

static ptf_status make_offsets(ptf_gradient *g, int i, ptf_error *err)
{
    const ptf_node *node = &g->net->nodes[i];
    ptf_back *n = &g->nodes[i];
    const ptf_conv *v = &n->conv;
    int64_t pixels = pixels_of(&v->out), channels = group_out(v);
    int64_t rows = ptf_gradient_rows(g, i);
    bool padded = n->padded[2] > 0;
    int64_t width = padded ? n->padded[2] : v->in.width;
    int64_t down = v->window.stride[1] * width;
    int64_t deep =
        v->window.stride[0] * width * (padded ? n->padded[1] : v->in.height);
    int64_t last =
        (v->out.depth - 1) * deep + (v->out.height - 1) * down + width;
    ptf_status status = PTF_OK;
    n->channel_offset =
        offsets(g, node, channels, channels * pixels, &status, err);
    if (status == PTF_OK && n->by[PTF_ROLE_WEIGHT] != NULL && rows == 1)
        n->pixel_offset = offsets(g, node, pixels, last, &status, err);
    if (status != PTF_OK)
        return status;
    for (int64_t c = 0; c < channels; c++)
        n->channel_offset[c] = (int32_t)(c * pixels);
    for (int64_t p = 0; n->pixel_offset != NULL && p < pixels; p++)
        n->pixel_offset[p] = (int32_t)(p / v->out.width / v->out.height * deep +
                                       p / v->out.width % v->out.height * down +
                                       p % v->out.width * v->window.stride[2]);
    if (n->by[PTF_ROLE_WEIGHT] != NULL && rows > 1)
        return ptf_back_product_rows(g, i, rows, channels, err);
    return PTF_OK;
}

ptf_status ptf_back_product_rows(ptf_gradient *g, int i, int64_t rows,
                                 int64_t floats, ptf_error *err)
{
    ptf_status status = PTF_OK;
    int64_t last;
    if (!ptf_mul_i64(rows, floats, &last))
        last = INT64_MAX;
    int32_t *taps = offsets(g, &g->net->nodes[i], rows, last, &status, err);
    for (int64_t row = 0; status == PTF_OK && row < rows; row++)
        taps[row] = (int32_t)(row * floats);
    g->nodes[i].pixel_offset = taps;
    return status;
}

static void need(size_t *most, int64_t floats)
{
    if ((size_t)floats > *most)
        *most = (size_t)floats;
}

/* 'one' floats 'count' times, 'most' at most. */
static int64_t up_to(int64_t most, int64_t one, int64_t count)
{
    int64_t all;
    return ptf_mul_i64(one, count, &all) ? ptf_min_i64(all, most) : most;
}

ptf_status ptf_back_product(ptf_gradient *g, int i, ptf_error *err)
{
    set_geometry(g, i);
    ptf_back *n = &g->nodes[i];
    const ptf_conv *v = &n->conv;
    need(&g->zero_floats, v->in.channels);
    if (!is_plain(v) && group_out(v) > 1 && n->transposed == NULL)
        need(&g->reached_floats,
             ptf_max_i64(taps_of(v), up_to(REACHED_FLOATS, filter_floats(v),
                                           g->batch * pixels_of(&v->out))));
    bool rows = ptf_gradient_rows(g, i) > 1;
    if (rows && n->by[PTF_ROLE_WEIGHT] != NULL && g->batch > 1)
        need(&g->image_floats, v->out.channels * filter_floats(v));
    if (n->by[PTF_ROLE_WEIGHT] != NULL && !is_linear(v)) {
        int64_t floats = filter_floats(v);
        need(&g->padded_floats,
             v->in.channels * n->padded[0] * n->padded[1] * n->padded[2]);
        if (group_out(v) == 1)
            need(&g->reached_floats,
                 ptf_max_i64(floats, up_to(BLOCKS_FLOATS, floats,
                                           v->groups * blocks_of(v))));
        if (g->batch > 1)
            need(&g->image_floats, v->out.channels * floats);
    }
    return make_offsets(g, i, err);
}
