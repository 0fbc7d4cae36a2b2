/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "nets.h"
#include "ports.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>

/* ------------------------------------------------------------ nets by hand */

void start(build *b, int rank, int64_t c, int64_t h, int64_t w)
{
    memset(b, 0, sizeof(*b));
    b->input = (ptf_shape){rank, {c, h, w}};
    b->shape = b->shapes[0] = b->input;
    b->nodes[0].name = "";
    b->net.nodes = b->nodes;
    b->net.node_count = 1;
    give_input(&b->net, NULL);
    give_output(&b->net, 0);
    b->net.has_tensors = true;
}

void finish(build *b)
{
    ptf_arena_free(&b->net.arena);
}

static float *numbers(build *b, int64_t n)
{
    float *data = ptf_arena_array(&b->net.arena, (size_t)n, sizeof(float));
    assert_non_null(data);
    ptf_random_fill(77, b->seed++, data, (size_t)n);
    return data;
}

/* A tensor of numbers in low .. low + size. */
const ptf_tensor *tensor(build *b, int rank, const int64_t *shape, float low,
                         float size)
{
    ptf_tensor *t = ptf_arena_alloc(&b->net.arena, sizeof(*t));
    assert_non_null(t);
    t->name =
        ptf_arena_printf(&b->net.arena, "t%llu", (unsigned long long)b->seed);
    assert_non_null(t->name);
    t->dtype = PTF_DTYPE_F32;
    t->rank = rank;
    int64_t n = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t->shape[i] = shape[i];
        t->stride[i] = n;
        n *= shape[i];
    }
    float *data = numbers(b, n);
    for (int64_t i = 0; i < n; i++)
        data[i] = low + size * data[i];
    t->data = data;
    return t;
}

static ptf_node *add(build *b, ptf_op op)
{
    assert_true(b->net.node_count < NODES);
    ptf_node *node = &b->nodes[b->net.node_count];
    node->op = op;
    node->name = "layer";
    node->text = node->class_name = "layer";
    node->file = "nets.c";
    assert_true(ptf_node_read(&b->net.arena, node, 1, &b->last));
    node->attrs.groups = 1;
    node->attrs.eps = 1e-5;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        node->attrs.kernel[i] = node->attrs.stride[i] = 1;
        node->attrs.dilation[i] = 1;
    }
    give_output(&b->net, b->net.node_count++);
    return node;
}

void from(build *b, int node)
{
    b->last = node;
    give_output(&b->net, node);
    b->shape = b->shapes[node];
}

void settle(build *b)
{
    ptf_error err;
    if (ptf_net_shapes(&b->net, &b->input, b->shapes, &err) != PTF_OK)
        fail_msg("%s", err.message);
    from(b, b->net.node_count - 1);
}

/* Makes the newest node read these. */
static int read_all(build *b, int count, const int *inputs)
{
    ptf_node *node = &b->nodes[b->net.node_count - 1];
    assert_true(ptf_node_read(&b->net.arena, node, count, inputs));
    settle(b);
    return b->last;
}

int add_constant(build *b, int rank, const int64_t *shape)
{
    ptf_node *node = add(b, PTF_OP_CONSTANT);
    node->tensors[PTF_ROLE_WEIGHT] = tensor(b, rank, shape, -1.5F, 3.0F);
    return read_all(b, 0, NULL);
}

int add_binary(build *b, ptf_op op, int left, int right)
{
    add(b, op);
    return read_all(b, 2, (int[]){left, right});
}

int add_concat(build *b, int64_t dim, int count, const int *inputs)
{
    add(b, PTF_OP_CONCAT)->attrs.dim = dim;
    return read_all(b, count, inputs);
}

ptf_node *add_conv(build *b, int64_t out, int64_t kernel, int64_t stride,
                   int64_t padding, int64_t dilation, int64_t groups)
{
    bool flat = b->shape.rank == 2;
    ptf_node *node = add(b, flat ? PTF_OP_CONV1D : PTF_OP_CONV2D);
    ptf_attrs *a = &node->attrs;
    a->in_channels = b->shape.dim[0];
    a->out_channels = out;
    a->groups = groups;
    a->has_bias = true;
    for (int i = flat ? 2 : 1; i < PTF_MAP_AXES; i++) {
        a->kernel[i] = kernel;
        a->stride[i] = stride;
        a->padding[i] = padding;
        a->dilation[i] = dilation;
    }
    int64_t shape[4] = {out, a->in_channels / groups, a->kernel[1],
                        a->kernel[2]};
    int64_t terms = shape[1] * shape[2] * shape[3];
    float size = 2.0F / sqrtf((float)terms);
    if (flat)
        shape[2] = shape[3];
    node->tensors[PTF_ROLE_WEIGHT] =
        tensor(b, flat ? 3 : 4, shape, -size, 2 * size);
    node->tensors[PTF_ROLE_BIAS] = tensor(b, 1, &out, -0.5F, 1.0F);
    settle(b);
    return node;
}

ptf_node *add_rows(build *b, int64_t out)
{
    int64_t in = b->shape.dim[b->shape.rank - 1];
    ptf_node *node = add(b, PTF_OP_LINEAR);
    node->attrs.in_channels = in;
    node->attrs.out_channels = out;
    node->attrs.has_bias = true;
    int64_t shape[2] = {out, in};
    float size = 2.0F / sqrtf((float)in);
    node->tensors[PTF_ROLE_WEIGHT] = tensor(b, 2, shape, -size, 2 * size);
    node->tensors[PTF_ROLE_BIAS] = tensor(b, 1, &out, -0.5F, 1.0F);
    settle(b);
    return node;
}

ptf_node *add_linear(build *b, int64_t out)
{
    if (b->shape.rank > 1) {
        ptf_node *flatten = add(b, PTF_OP_FLATTEN);
        flatten->attrs.start_dim = 1;
        flatten->attrs.end_dim = -1;
        settle(b);
    }
    return add_rows(b, out);
}

ptf_node *add_norm(build *b)
{
    int64_t c = b->shape.dim[0];
    ptf_node *node =
        add(b, b->shape.rank == 3 ? PTF_OP_BATCHNORM2D : PTF_OP_BATCHNORM1D);
    node->attrs.in_channels = node->attrs.out_channels = c;
    node->attrs.affine = node->attrs.track_running_stats = true;
    node->tensors[PTF_ROLE_WEIGHT] = tensor(b, 1, &c, 0.5F, 1.0F);
    node->tensors[PTF_ROLE_BIAS] = tensor(b, 1, &c, -0.5F, 1.0F);
    node->tensors[PTF_ROLE_RUNNING_MEAN] = tensor(b, 1, &c, -0.5F, 1.0F);
    node->tensors[PTF_ROLE_RUNNING_VAR] = tensor(b, 1, &c, 0.5F, 1.0F);
    settle(b);
    return node;
}

void add_plain(build *b, ptf_op op)
{
    ptf_node *node = add(b, op);
    node->attrs.p[0] = op == PTF_OP_SOFTPLUS ? 2.5 : 0.01;
    node->attrs.p[1] = 3.0;
    node->attrs.dim = 1;
    node->attrs.output_size[1] = 3;
    node->attrs.output_size[2] = 2;
    settle(b);
}

void add_with(build *b, ptf_op op, const ptf_attrs *attrs)
{
    add(b, op)->attrs = *attrs;
    settle(b);
}

void add_pool(build *b, ptf_op op, int64_t kernel, int64_t stride,
              int64_t padding, bool ceil_mode)
{
    ptf_node *node = add(b, op);
    for (int i = 1; i < PTF_MAP_AXES; i++) {
        node->attrs.kernel[i] = kernel;
        node->attrs.stride[i] = stride;
        node->attrs.padding[i] = padding;
    }
    node->attrs.ceil_mode = ceil_mode;
    node->attrs.count_include_pad = kernel % 2;
    settle(b);
}

/* smallNet in small: padded convolutions, batch norms, linear layers. */
void build_small(build *b)
{
    start(b, 3, 3, 12, 10);
    for (int i = 0; i < 2; i++) {
        add_conv(b, 16, 3, 1, 1, 1, 1);
        add_norm(b);
        add_plain(b, PTF_OP_RELU);
    }
    add_linear(b, 70);
    add_norm(b);
    add_plain(b, PTF_OP_RELU);
    add_plain(b, PTF_OP_DROPOUT);
    add_linear(b, 10);
    add_plain(b, PTF_OP_RELU);
}

/* Everything else, so that each op and each kind of window occurs. */
void build_mixed(build *b)
{
    start(b, 3, 4, 29, 31);
    add_conv(b, 70, 3, 2, 2, 1, 2);
    add_plain(b, PTF_OP_LEAKY_RELU);
    add_pool(b, PTF_OP_MAXPOOL2D, 3, 2, 1, true);
    add_conv(b, 33, 3, 1, 2, 2, 1);
    add_plain(b, PTF_OP_TANH);
    add_pool(b, PTF_OP_AVGPOOL2D, 3, 2, 1, true);
    add_plain(b, PTF_OP_IDENTITY);
    add_conv(b, 66, 1, 1, 0, 1, 33);
    add_plain(b, PTF_OP_SIGMOID);
    add_plain(b, PTF_OP_ADAPTIVE_AVGPOOL2D);
    add_linear(b, 300);
    add_plain(b, PTF_OP_RELU);
    add_linear(b, 10);
    add_plain(b, PTF_OP_SOFTMAX);
}

void build_1d(build *b)
{
    start(b, 2, 3, 200, 0);
    add_conv(b, 20, 5, 2, 2, 1, 1);
    add_norm(b);
    add_plain(b, PTF_OP_RELU);
    add_conv(b, 40, 3, 1, 0, 3, 2);
    add_plain(b, PTF_OP_SOFTPLUS);
    add_linear(b, 17);
}

/* Net1 in small, its classifier linear or slid. */
void build_tail(build *b, bool slid, int64_t h, int64_t w)
{
    start(b, 3, 3, h, w);
    add_conv(b, 30, 3, 1, 0, 1, 1);
    add_plain(b, PTF_OP_RELU);
    add_conv(b, 40, 3, 1, 0, 1, 1);
    if (slid)
        add_conv(b, 90, 6, 1, 0, 1, 1);
    else
        add_linear(b, 90);
    add_plain(b, PTF_OP_RELU);
    if (slid)
        add_conv(b, 10, 1, 1, 0, 1, 1);
    else
        add_linear(b, 10);
}

/* ------------------------------------------------------------------ running */

/* The outputs of samples 0 .. count - 1; the caller frees. */
float *outputs_of(const build *b, const float *in, int64_t count, runs how)
{
    ptf_plan_options options = {.threads = how.threads,
                                .isa = how.isa,
                                .memory_limit = how.memory_limit};
    ptf_plan *plan;
    ptf_error err;
    if (ptf_plan_make(&b->net, &b->input, how.batch, &options, &plan, &err) !=
        PTF_OK)
        fail_msg("%s", err.message);
    ptf_shape shape = ptf_plan_output(plan, 0);
    int64_t outputs = ptf_shape_numel(&shape);
    int64_t inputs = ptf_shape_numel(&b->input);
    float *out = ptf_alloc((size_t)(count * outputs) * sizeof(float));
    assert_non_null(out);
    for (int64_t i = 0; i < count; i += how.batch) {
        int64_t n = count - i < how.batch ? count - i : how.batch;
        assert_int_equal(
            ptf_plan_run(plan, in + i * inputs, n, out + i * outputs, &err),
            PTF_OK);
    }
    ptf_plan_free(plan);
    return out;
}

float *inputs_of(const build *b, int64_t count)
{
    int64_t n = ptf_shape_numel(&b->input);
    float *in = ptf_alloc((size_t)(count * n) * sizeof(float));
    assert_non_null(in);
    for (int64_t i = 0; i < count; i++)
        ptf_random_fill(5, (uint64_t)i, in + i * n, (size_t)n);
    return in;
}

int64_t outputs_count(const build *b)
{
    return ptf_shape_numel(&b->shape);
}
