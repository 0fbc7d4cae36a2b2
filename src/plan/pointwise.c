/*
 * Steps without weights: activations, softmax, pooling, and the copy of an
 * input that no step changes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

typedef struct image_run {
    const ptf_plan *plan;
    const ptf_step *step;
    const ptf_piece *piece;
} image_run;

/* ------------------------------------------------------------- activations */

enum { PART_FLOATS = 16384 }; /* what a thread takes at a time */

static void activate_part(void *context, int64_t i, int thread)
{
    const image_run *r = context;
    (void)thread;
    const ptf_kernels *k = r->plan->kernels;
    const ptf_step *s = r->step;
    int64_t first = r->piece->first, begin = i * PART_FLOATS;
    int64_t all = r->plan->values[s->in].numel * r->piece->count;
    int64_t n = ptf_min_i64(all - begin, PART_FLOATS);
    const float *x = ptf_plan_read(r->plan, r->piece, s->in, first) + begin;
    float *y = ptf_plan_at(r->plan, r->piece, s->out, first) + begin;
    ptf_op op = s->node->op;
    if (op == PTF_OP_RELU)
        k->relu(y, x, n);
    else if (op == PTF_OP_LEAKY_RELU)
        k->leaky_relu(y, x, n, (float)s->node->attrs.negative_slope);
    else if (op == PTF_OP_SIGMOID)
        k->sigmoid(y, x, n);
    else if (op == PTF_OP_TANH)
        k->tanh(y, x, n);
    else if (op == PTF_OP_SOFTPLUS)
        k->softplus(y, x, n, s->node->attrs.beta, s->node->attrs.threshold);
    else
        memcpy(y, x, (size_t)n * sizeof(float));
}

static void run_activation(const ptf_plan *plan, const ptf_step *step,
                           const ptf_piece *piece)
{
    image_run run = {plan, step, piece};
    int64_t n = plan->values[step->in].numel * piece->count;
    ptf_piece_each(plan, piece, ptf_ceil_div(n, PART_FLOATS), activate_part,
                   &run);
}

void ptf_step_pointwise(ptf_step *step)
{
    step->kernel = "pointwise";
    step->run = run_activation;
}

void ptf_step_copy(ptf_step *step)
{
    step->kernel = "copy";
    step->run = run_activation;
}

/* -------------------------------------------------------------- batch norms */

static void scale_shift_image(void *context, int64_t i, int thread)
{
    const image_run *r = context;
    (void)thread;
    const ptf_step *s = r->step;
    int64_t n = r->piece->first + i, channels = s->node->attrs.in_channels;
    r->plan->kernels->scale_shift(ptf_plan_at(r->plan, r->piece, s->out, n),
                                  ptf_plan_read(r->plan, r->piece, s->in, n),
                                  channels,
                                  r->plan->values[s->in].numel / channels,
                                  s->epilogue.scale, s->epilogue.shift);
}

static void run_scale_shift(const ptf_plan *plan, const ptf_step *step,
                            const ptf_piece *piece)
{
    image_run run = {plan, step, piece};
    ptf_piece_each(plan, piece, piece->count, scale_shift_image, &run);
}

ptf_status ptf_step_scale_shift(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    step->kernel = "scale_shift";
    step->run = run_scale_shift;
    return ptf_plan_norm(plan, step->node, &step->epilogue, err);
}

/* ----------------------------------------------------------------- softmax */

static void softmax_image(void *context, int64_t i, int thread)
{
    const image_run *r = context;
    (void)thread;
    const ptf_step *s = r->step;
    int64_t n = r->piece->first + i;
    int64_t others = r->plan->values[s->in].numel / s->count;
    bool last = s->inner == 1; /* of the dimensions; a stripe has less others */
    r->plan->kernels->softmax(ptf_plan_at(r->plan, r->piece, s->out, n),
                              ptf_plan_read(r->plan, r->piece, s->in, n), 1.0,
                              last ? others : s->outer, s->count,
                              last ? 1 : others / s->outer);
}

static void run_softmax(const ptf_plan *plan, const ptf_step *step,
                        const ptf_piece *piece)
{
    image_run run = {plan, step, piece};
    ptf_piece_each(plan, piece, piece->count, softmax_image, &run);
}

/*
 * PyTorch counts the batch as dimension 0.  Without a dim it takes 0 for
 * values of rank 0, 1 and 3, else 1.
 */
ptf_status ptf_step_softmax(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    const ptf_shape *shape = &plan->values[step->node->inputs[0]].shape;
    const ptf_attrs *a = &step->node->attrs;
    int64_t rank = shape->rank + 1;
    int64_t dim = a->dim_none ? (rank == 3 ? 0 : 1) : a->dim;
    dim = dim < 0 ? dim + rank : dim;
    if (dim < 1 || dim >= rank)
        return ptf_node_fail(err, PTF_UNSUPPORTED, step->node,
                             "works over dimension %lld of a value of rank "
                             "%lld; only those after the batch are handled",
                             (long long)dim, (long long)rank);
    step->outer = step->inner = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (i + 1 < dim)
            step->outer *= shape->dim[i];
        else if (i + 1 == dim)
            step->count = shape->dim[i];
        else
            step->inner *= shape->dim[i];
    }
    step->kernel = "softmax";
    step->run = run_softmax;
    return PTF_OK;
}

/* ----------------------------------------------------------------- pooling */

ptf_map ptf_map_of(const ptf_plan_value *value)
{
    const ptf_shape *shape = &value->shape;
    ptf_map map = {.channels = shape->dim[0], .height = 1, .width = 1};
    if (shape->rank > 1)
        map.width = shape->dim[shape->rank - 1];
    if (shape->rank > 2)
        map.height = shape->dim[1];
    map.first = value->first;
    map.rows = value->rows;
    return map;
}

ptf_window ptf_window_of(const ptf_attrs *attrs)
{
    ptf_window w;
    for (int i = 0; i < 2; i++) {
        w.kernel[i] = attrs->kernel[i];
        w.stride[i] = attrs->stride[i];
        w.padding[i] = attrs->padding[i];
        w.dilation[i] = attrs->dilation[i];
    }
    return w;
}

/* One channel of one image. */
static void pool_plane(void *context, int64_t i, int thread)
{
    const image_run *r = context;
    (void)thread;
    const ptf_step *s = r->step;
    const ptf_kernels *k = r->plan->kernels;
    ptf_map in = ptf_map_of(&r->plan->values[s->in]);
    ptf_map out = ptf_map_of(&r->plan->values[s->out]);
    int64_t n = r->piece->first + i / in.channels, c = i % in.channels;
    const float *x =
        ptf_plan_read(r->plan, r->piece, s->in, n) + c * in.rows * in.width;
    float *y =
        ptf_plan_at(r->plan, r->piece, s->out, n) + c * out.rows * out.width;
    in.channels = out.channels = 1;
    ptf_window w = ptf_window_of(&s->node->attrs);
    if (s->node->op == PTF_OP_MAXPOOL2D) {
        k->max_pool(&in, &out, &w, x, y);
    } else if (s->node->op == PTF_OP_AVGPOOL2D) {
        w.dilation[0] = w.dilation[1] = 1;
        k->avg_pool(&in, &out, &w, s->node->attrs.count_include_pad, x, y);
    } else {
        k->adaptive_avg_pool(&in, &out, x, y);
    }
}

static void run_pool(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    image_run run = {plan, step, piece};
    ptf_piece_each(plan, piece,
                   piece->count * plan->values[step->in].shape.dim[0],
                   pool_plane, &run);
}

void ptf_step_pool(ptf_step *step)
{
    step->kernel = "pool";
    step->run = run_pool;
}
