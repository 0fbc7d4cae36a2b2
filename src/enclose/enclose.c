/*
 * Enclosures of whole nets, one image after another.  Every node keeps its
 * balls until the next image, so that any layer can be looked at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"

#include <math.h>

struct ptf_enclosure {
    ptf_arena arena;
    const ptf_net *net;
    ptf_shape *shapes;
    ptf_balls *balls;                      /* per node */
    double *(*parameters)[PTF_ROLE_COUNT]; /* per node; NULL: none */
    const char *undecided;
};

static ptf_status read_parameters(ptf_enclosure *enc, int i, ptf_error *err)
{
    for (int role = 0; role < PTF_ROLE_COUNT; role++) {
        const ptf_tensor *tensor = enc->net->nodes[i].tensors[role];
        if (!tensor || role == PTF_NUM_BATCHES)
            continue;
        double *data = ptf_arena_array(
            &enc->arena, (size_t)ptf_tensor_numel(tensor), sizeof *data);
        if (!data)
            return ptf_fail_memory(err);
        ptf_status status = ptf_tensor_read_f64(tensor, data, err);
        if (status != PTF_OK)
            return status;
        enc->parameters[i][role] = data;
    }
    return PTF_OK;
}

static ptf_status prepare_node(ptf_enclosure *enc, int i, ptf_error *err)
{
    size_t count = (size_t)ptf_shape_numel(&enc->shapes[i]);
    ptf_balls *balls = &enc->balls[i];
    balls->value = ptf_arena_array(&enc->arena, count, sizeof(double));
    balls->radius = ptf_arena_array(&enc->arena, count, sizeof(double));
    if (!balls->value || !balls->radius)
        return ptf_fail_memory(err);
    return read_parameters(enc, i, err);
}

static ptf_status prepare(ptf_enclosure *enc, const ptf_shape *input,
                          ptf_error *err)
{
    size_t nodes = (size_t)enc->net->node_count;
    enc->shapes = ptf_arena_array(&enc->arena, nodes, sizeof *enc->shapes);
    enc->balls = ptf_arena_array(&enc->arena, nodes, sizeof *enc->balls);
    enc->parameters =
        ptf_arena_array(&enc->arena, nodes, sizeof *enc->parameters);
    if (!enc->shapes || !enc->balls || !enc->parameters)
        return ptf_fail_memory(err);
    ptf_status status = ptf_net_shapes(enc->net, input, enc->shapes, err);
    for (int i = 0; status == PTF_OK && i < enc->net->node_count; i++)
        status = prepare_node(enc, i, err);
    return status;
}

ptf_status ptf_enclosure_make(const ptf_net *net, const ptf_shape *input,
                              ptf_enclosure **out, ptf_error *err)
{
    *out = NULL;
    if (!net->has_tensors)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a net without numbers has no outputs to enclose");
    ptf_enclosure *enc = ptf_alloc(sizeof *enc);
    if (!enc)
        return ptf_fail_memory(err);
    enc->net = net;
    ptf_status status = prepare(enc, input, err);
    if (status == PTF_OK)
        *out = enc;
    else
        ptf_enclosure_free(enc);
    return status;
}

void ptf_enclosure_free(ptf_enclosure *enc)
{
    if (!enc)
        return;
    ptf_arena_free(&enc->arena);
    ptf_free(enc);
}

ptf_shape ptf_enclosure_output(const ptf_enclosure *enc)
{
    return enc->shapes[enc->net->output];
}

const char *ptf_enclosure_undecided(const ptf_enclosure *enc)
{
    return enc->undecided;
}

/* Flatten, Dropout, Identity: the same numbers in the same order. */
static void copy(int64_t n, ptf_balls in, ptf_balls out)
{
    for (int64_t i = 0; i < n; i++) {
        out.value[i] = in.value[i];
        out.radius[i] = in.radius[i];
    }
}

static void run_softmax(const ptf_node *node, const ptf_shape *shape,
                        ptf_balls in, ptf_balls out)
{
    int axis = ptf_softmax_axis(&node->attrs, shape->rank + 1) - 1;
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < shape->rank; i++) {
        outer *= i < axis ? shape->dim[i] : 1;
        inner *= i > axis ? shape->dim[i] : 1;
    }
    ptf_enclose_softmax(outer, shape->dim[axis], inner, in, out);
}

static void run_norm(const ptf_enclosure *enc, int i, ptf_balls in,
                     ptf_balls out)
{
    double *const *p = enc->parameters[i];
    const ptf_shape *shape = &enc->shapes[i];
    ptf_norm norm = {p[PTF_WEIGHT], p[PTF_BIAS], p[PTF_RUNNING_MEAN],
                     p[PTF_RUNNING_VAR], enc->net->nodes[i].attrs.eps};
    ptf_enclose_norm(&norm, shape->dim[0],
                     ptf_shape_numel(shape) / shape->dim[0], in, out);
}

/* Layers that cannot fail. */
static void run_simple(const ptf_enclosure *enc, int i, ptf_balls in,
                       ptf_balls out)
{
    const ptf_node *node = &enc->net->nodes[i];
    const ptf_shape *from = &enc->shapes[node->inputs[0]];
    const ptf_shape *to = &enc->shapes[i];
    int64_t n = ptf_shape_numel(to);
    switch (node->op) {
    case PTF_OP_RELU: ptf_enclose_relu(n, in, out); break;
    case PTF_OP_LEAKY_RELU:
        ptf_enclose_leaky_relu(n, node->attrs.negative_slope, in, out);
        break;
    case PTF_OP_SIGMOID: ptf_enclose_sigmoid(n, in, out); break;
    case PTF_OP_TANH: ptf_enclose_tanh(n, in, out); break;
    case PTF_OP_SOFTMAX: run_softmax(node, to, in, out); break;
    case PTF_OP_MAXPOOL2D:
        ptf_enclose_max_pool(&node->attrs, from, to, in, out);
        break;
    case PTF_OP_AVGPOOL2D:
        ptf_enclose_avg_pool(&node->attrs, from, to, in, out);
        break;
    case PTF_OP_ADAPTIVE_AVGPOOL2D:
        ptf_enclose_adaptive_pool(from, to, in, out);
        break;
    case PTF_OP_FLATTEN:
    case PTF_OP_DROPOUT:
    case PTF_OP_IDENTITY: copy(n, in, out); break;
    case PTF_OP_INPUT:
    case PTF_OP_CONV1D:
    case PTF_OP_CONV2D:
    case PTF_OP_BATCHNORM1D:
    case PTF_OP_BATCHNORM2D:
    case PTF_OP_LINEAR:
    case PTF_OP_COUNT: break; /* run_node() has them */
    }
}

static ptf_status run_node(const ptf_enclosure *enc, int i, ptf_error *err)
{
    const ptf_node *node = &enc->net->nodes[i];
    const ptf_shape *from = &enc->shapes[node->inputs[0]];
    double *const *p = enc->parameters[i];
    ptf_affine affine = {p[PTF_WEIGHT], p[PTF_BIAS], p[PTF_SCALE], p[PTF_SHIFT],
                         0};
    ptf_balls in = enc->balls[node->inputs[0]], out = enc->balls[i];
    bool norm =
        node->op == PTF_OP_BATCHNORM1D || node->op == PTF_OP_BATCHNORM2D;
    if (node->op == PTF_OP_CONV1D || node->op == PTF_OP_CONV2D)
        return ptf_enclose_conv(&node->attrs, from, &enc->shapes[i], &affine,
                                in, out, err);
    if (node->op == PTF_OP_LINEAR)
        return ptf_enclose_linear(node->attrs.in_channels,
                                  node->attrs.out_channels, &affine, in, out,
                                  err);
    if (norm && (!p[PTF_RUNNING_MEAN] || !p[PTF_RUNNING_VAR]))
        return ptf_fail(err, PTF_UNSUPPORTED, NULL, PTF_NO_OFFSET,
                        "%s: a batch norm without running statistics",
                        node->name);
    if (norm)
        run_norm(enc, i, in, out);
    else
        run_simple(enc, i, in, out);
    return PTF_OK;
}

/* One image through all nodes; *bad is the first that overflowed, or -1. */
static ptf_status run_image(const ptf_enclosure *enc, const float *in, int *bad,
                            ptf_error *err)
{
    *bad = -1;
    for (int i = 0; i < enc->net->node_count; i++) {
        int64_t count = ptf_shape_numel(&enc->shapes[i]);
        ptf_status status = PTF_OK;
        for (int64_t k = 0; i == 0 && k < count; k++) {
            enc->balls[0].value[k] = (double)in[k];
            enc->balls[0].radius[k] = 0;
        }
        if (i > 0)
            status = run_node(enc, i, err);
        if (status != PTF_OK)
            return status;
        if (ptf_balls_first_bad(enc->balls[i], count) >= 0) {
            *bad = i;
            return PTF_OK;
        }
    }
    return PTF_OK;
}

ptf_status ptf_enclosure_run(ptf_enclosure *enc, const float *in, int64_t count,
                             double *value, double *radius, ptf_error *err)
{
    int64_t inputs = ptf_shape_numel(&enc->shapes[0]);
    int64_t outputs = ptf_shape_numel(&enc->shapes[enc->net->output]);
    const ptf_balls *result = &enc->balls[enc->net->output];
    enc->undecided = NULL;
    for (int64_t n = 0; n < count; n++) {
        int bad;
        ptf_status status = run_image(enc, in + n * inputs, &bad, err);
        if (status != PTF_OK)
            return status;
        if (bad >= 0)
            enc->undecided = bad == 0 ? "the input" : enc->net->nodes[bad].name;
        for (int64_t k = 0; k < outputs; k++) {
            value[n * outputs + k] = bad < 0 ? result->value[k] : (double)NAN;
            radius[n * outputs + k] = bad < 0 ? result->radius[k] : HUGE_VAL;
        }
    }
    return PTF_OK;
}
