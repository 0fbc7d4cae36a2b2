/*
 * One node of a net on balls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

static void run_softmax(const ptf_node *node, const ptf_shape *shape,
                        bool executed, ptf_balls in, ptf_balls out)
{
    int axis = ptf_softmax_axis(&node->attrs, shape->rank + 1) - 1;
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < shape->rank; i++) {
        outer *= i < axis ? shape->dim[i] : 1;
        inner *= i > axis ? shape->dim[i] : 1;
    }
    ptf_enclose_softmax(outer, shape->dim[axis], inner, executed, in, out);
}

/* Layers that take one image at a time and cannot fail. */
static void run_simple(const ptf_enclosure *enc, int i, bool executed,
                       ptf_balls in, ptf_balls out)
{
    const ptf_node *node = &enc->net->nodes[i];
    const ptf_shape *from = &enc->shapes[node->inputs[0]];
    const ptf_shape *to = &enc->shapes[i];
    int64_t n = enc->sizes[i];
    switch (node->op) {
    case PTF_OP_BATCHNORM1D:
    case PTF_OP_BATCHNORM2D:
        ptf_enclose_scale_shift(&enc->numbers[i], executed, to->dim[0],
                                n / to->dim[0], in, out);
        break;
    case PTF_OP_RELU: ptf_enclose_relu(n, in, out); break;
    case PTF_OP_LEAKY_RELU:
        ptf_enclose_leaky_relu(n, node->attrs.negative_slope, executed, in,
                               out);
        break;
    case PTF_OP_SIGMOID: ptf_enclose_sigmoid(n, executed, in, out); break;
    case PTF_OP_TANH: ptf_enclose_tanh(n, executed, in, out); break;
    case PTF_OP_SOFTPLUS:
        ptf_enclose_softplus(n, node->attrs.beta, node->attrs.threshold,
                             executed, in, out);
        break;
    case PTF_OP_SOFTMAX: run_softmax(node, to, executed, in, out); break;
    case PTF_OP_MAXPOOL2D:
        ptf_enclose_max_pool(&node->attrs, from, to, in, out);
        break;
    case PTF_OP_AVGPOOL2D:
        ptf_enclose_avg_pool(&node->attrs, from, to, executed, in, out);
        break;
    case PTF_OP_ADAPTIVE_AVGPOOL2D:
        ptf_enclose_avg_pool(NULL, from, to, executed, in, out);
        break;
    case PTF_OP_INPUT:
    case PTF_OP_FLATTEN:
    case PTF_OP_DROPOUT:
    case PTF_OP_IDENTITY: ptf_balls_copy(n, in, out); break;
    case PTF_OP_CONV1D:
    case PTF_OP_CONV2D:
    case PTF_OP_LINEAR:
    case PTF_OP_COUNT: break; /* run_product() has them */
    }
}

bool ptf_enclose_passes_on(const ptf_node *node)
{
    return node->op == PTF_OP_FLATTEN || ptf_op_info(node->op)->identity;
}

/* A max pool does not: where a window lies in the padding alone it is -inf. */
static bool keeps_finite(const ptf_node *node)
{
    return node->op == PTF_OP_RELU || ptf_enclose_passes_on(node);
}

void ptf_enclose_note(void *context, int64_t n, int thread)
{
    const ptf_enclose_step *s = context;
    int64_t size = s->enc->sizes[s->node];
    int *bad = &s->enc->bad[s->first + n];
    (void)thread;
    if (*bad < 0 &&
        ptf_balls_first_bad(ptf_balls_of(s->out, size, n), size) >= 0)
        *bad = s->node;
}

/* A layer and, while its balls are in the thread's cache, what they say. */
static void run_image(void *context, int64_t n, int thread)
{
    const ptf_enclose_step *s = context;
    const int64_t *sizes = s->enc->sizes;
    int from = s->enc->net->nodes[s->node].inputs[0];
    run_simple(s->enc, s->node, s->pass->executed,
               ptf_balls_of(s->in, sizes[from], n),
               ptf_balls_of(s->out, sizes[s->node], n));
    if (!keeps_finite(&s->enc->net->nodes[s->node]))
        ptf_enclose_note(context, n, thread);
}

static ptf_status run_product(const ptf_enclose_step *s, ptf_error *err)
{
    const ptf_enclosure *enc = s->enc;
    const ptf_node *node = &enc->net->nodes[s->node];
    if (node->op == PTF_OP_LINEAR)
        return ptf_enclose_linear(s->pass, node->attrs.in_channels,
                                  node->attrs.out_channels,
                                  &enc->numbers[s->node], s->in, s->out, err);
    return ptf_enclose_conv(
        s->pass, &node->attrs, &enc->shapes[node->inputs[0]],
        &enc->shapes[s->node], &enc->numbers[s->node], s->in, s->out, err);
}

ptf_status ptf_enclose_run_step(ptf_enclose_step *s, ptf_error *err)
{
    bool product = ptf_op_info(s->enc->net->nodes[s->node].op)->weighted;
    ptf_status status = product ? run_product(s, err) : PTF_OK;
    if (status == PTF_OK)
        ptf_each(s->pass->threads, s->pass->images,
                 product ? ptf_enclose_note : run_image, s);
    return status;
}
