/*
 * What a step finds of its piece: where values lie, who runs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

void ptf_piece_each(const ptf_plan *plan, const ptf_piece *piece, int64_t count,
                    ptf_task *task, void *context)
{
    if (piece->thread == PTF_ALL_THREADS) {
        ptf_each(plan->threads, count, task, context);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        task(context, i, piece->thread);
}

float *ptf_plan_own(const ptf_region *buffer, const ptf_piece *piece)
{
    size_t thread = piece->thread > 0 ? (size_t)piece->thread : 0;
    return buffer->data + thread * buffer->thread_stride;
}

const float *ptf_plan_read(const ptf_plan *plan, const ptf_piece *piece,
                           int value, int64_t n)
{
    int root = plan->values[value].root;
    const ptf_plan_value *v = &plan->values[root];
    if (v->buffer == PTF_BUFFER_CONSTANT)
        return v->constant;
    if (v->buffer == PTF_BUFFER_IN)
        return piece->at->in[v->port] + n * v->numel;
    return ptf_plan_at(plan, piece, root, n);
}

float *ptf_plan_at(const ptf_plan *plan, const ptf_piece *piece, int value,
                   int64_t n)
{
    const ptf_plan_value *v = &plan->values[value];
    if (v->buffer == PTF_BUFFER_OUT)
        return piece->at->out[v->port] + n * v->numel;
    const ptf_region *buffer = &plan->buffers[v->buffer];
    if (v->whole)
        return buffer->data + n * v->numel;
    return ptf_plan_own(buffer, piece) + (n - piece->first) * v->numel;
}

ptf_map ptf_map_of(const ptf_plan_value *value)
{
    const ptf_shape *shape = &value->shape;
    ptf_map map = {
        .channels = shape->dim[0], .depth = 1, .height = 1, .width = 1};
    if (shape->rank > 1)
        map.width = shape->dim[shape->rank - 1];
    if (shape->rank > 2)
        map.height = shape->dim[shape->rank - 2];
    if (shape->rank > 3)
        map.depth = shape->dim[1];
    map.first = value->first;
    map.rows = shape->rank == 3 ? value->rows : map.height;
    return map;
}

void ptf_step_shapes(const ptf_plan *plan, const ptf_step *step, ptf_shape *in,
                     ptf_shape *out)
{
    const ptf_plan_value *from = &plan->values[step->in[0]];
    const ptf_plan_value *to = &plan->values[step->out];
    *in = from->shape;
    *out = to->shape;
    if (in->rank == 3)
        in->dim[1] = from->rows;
    if (out->rank == 3)
        out->dim[1] = to->rows;
}

ptf_window ptf_window_of(const ptf_attrs *attrs)
{
    ptf_window w;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        w.kernel[i] = attrs->kernel[i];
        w.stride[i] = attrs->stride[i];
        w.padding[i] = attrs->padding[i];
        w.dilation[i] = attrs->dilation[i];
    }
    return w;
}
