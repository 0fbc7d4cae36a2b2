/*
 * Layers other than products, back: from the cotangent of their output to
 * that of their input.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

typedef struct layer_run {
    const ptf_gradient *g;
    const ptf_node *node;
    const ptf_back *n;
    const ptf_shape *in, *out;
    const float *x, *y; /* the layer's input and output */
    float *dx;
    int64_t floats; /* of all images' inputs */
} layer_run;

/* ------------------------------------------------------------- activations */

static void activation_part(void *context, int64_t i, int thread)
{
    const layer_run *r = context;
    (void)thread;
    const ptf_backward *back = r->g->kernels->backward;
    int64_t begin = i * PTF_PART_FLOATS;
    int64_t n = ptf_min_i64(r->floats - begin, PTF_PART_FLOATS);
    const float *d = r->n->d + begin, *x = r->x + begin;
    float *dx = r->dx + begin;
    ptf_op op = r->node->op;
    if (op == PTF_OP_RELU)
        back->relu(dx, d, x, n);
    else if (op == PTF_OP_LEAKY_RELU)
        back->leaky_relu(dx, d, x, n, (float)r->node->attrs.negative_slope);
    else if (op == PTF_OP_SIGMOID)
        back->sigmoid(dx, d, x, n);
    else if (op == PTF_OP_TANH)
        back->tanh(dx, d, x, n);
    else if (op == PTF_OP_SOFTPLUS)
        back->softplus(dx, d, x, n, r->node->attrs.beta,
                       r->node->attrs.threshold);
    else
        memcpy(dx, d, (size_t)n * sizeof(float));
}

/* ----------------------------------------------------- batch norm, softmax */

static void norm_image(void *context, int64_t i, int thread)
{
    const layer_run *r = context;
    (void)thread;
    int64_t numel = ptf_shape_numel(r->in), channels = r->in->dim[0];
    r->g->kernels->backward->scale(r->dx + i * numel, r->n->d + i * numel,
                                   channels, numel / channels, r->n->scale);
}

static void softmax_image(void *context, int64_t i, int thread)
{
    const layer_run *r = context;
    (void)thread;
    int64_t at = i * ptf_shape_numel(r->in);
    r->g->kernels->backward->softmax(r->dx + at, r->n->d + at, r->y + at,
                                     r->n->outer, r->n->length, r->n->inner);
}

/* PyTorch counts the batch as dimension 0. */
void ptf_back_softmax(ptf_gradient *g, int i)
{
    ptf_back *n = &g->nodes[i];
    const ptf_shape *shape = &g->shapes[i];
    int axis = ptf_softmax_axis(&g->net->nodes[i].attrs, shape->rank + 1);
    n->outer = n->inner = n->length = 1;
    for (int d = 1; d <= shape->rank; d++)
        *(d < axis    ? &n->outer
          : d == axis ? &n->length
                      : &n->inner) *= shape->dim[d - 1];
}

/* ----------------------------------------------------------------- pooling */

/* One channel's map of a value of channels x height x width. */
static ptf_map plane_map(const ptf_shape *shape)
{
    return (ptf_map){.channels = 1,
                     .height = shape->dim[1],
                     .width = shape->dim[2],
                     .rows = shape->dim[1]};
}

static void pool_plane(void *context, int64_t i, int thread)
{
    const layer_run *r = context;
    (void)thread;
    const ptf_attrs *a = &r->node->attrs;
    const ptf_backward *back = r->g->kernels->backward;
    ptf_map in = plane_map(r->in), out = plane_map(r->out);
    const float *x = r->x + i * in.height * in.width;
    const float *d = r->n->d + i * out.height * out.width;
    float *dx = r->dx + i * in.height * in.width;
    ptf_window w;
    for (int axis = 0; axis < 2; axis++) {
        w.kernel[axis] = a->kernel[axis];
        w.stride[axis] = a->stride[axis];
        w.padding[axis] = a->padding[axis];
        bool max = r->node->op == PTF_OP_MAXPOOL2D;
        w.dilation[axis] = max ? a->dilation[axis] : 1;
    }
    if (r->node->op == PTF_OP_MAXPOOL2D)
        back->max_pool(&in, &out, &w, x, d, dx);
    else if (r->node->op == PTF_OP_AVGPOOL2D)
        back->avg_pool(&in, &out, &w, a->count_include_pad, d, dx);
    else
        back->adaptive_avg_pool(&in, &out, d, dx);
}

/* ------------------------------------------------------------------- layer */

void ptf_back_layer(const ptf_gradient *g, int i, float *dx)
{
    const ptf_node *node = &g->net->nodes[i];
    int input = node->inputs[0];
    layer_run r = {.g = g,
                   .node = node,
                   .n = &g->nodes[i],
                   .in = &g->shapes[input],
                   .out = &g->shapes[i],
                   .x = ptf_gradient_value(g, input),
                   .y = ptf_gradient_value(g, i),
                   .dx = dx};
    r.floats = g->count * ptf_shape_numel(r.in);
    int64_t count = g->count;
    ptf_task *task = NULL;
    switch (node->op) {
    case PTF_OP_BATCHNORM1D:
    case PTF_OP_BATCHNORM2D: task = norm_image; break;
    case PTF_OP_SOFTMAX: task = softmax_image; break;
    case PTF_OP_MAXPOOL2D:
    case PTF_OP_AVGPOOL2D:
    case PTF_OP_ADAPTIVE_AVGPOOL2D:
        task = pool_plane;
        count *= r.in->dim[0];
        break;
    case PTF_OP_RELU:
    case PTF_OP_LEAKY_RELU:
    case PTF_OP_SIGMOID:
    case PTF_OP_TANH:
    case PTF_OP_SOFTPLUS:
    case PTF_OP_FLATTEN:
    case PTF_OP_DROPOUT:
    case PTF_OP_IDENTITY:
        task = activation_part;
        count = ptf_gradient_parts(r.floats);
        break;
    case PTF_OP_INPUT:
    case PTF_OP_CONV1D:
    case PTF_OP_CONV2D:
    case PTF_OP_LINEAR:
    case PTF_OP_COUNT: return; /* not layers of this file */
    }
    ptf_each(g->threads, count, task, &r);
}
