/*
 * Nets that are no chains, and what they give in long double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "graphs.h"
#include "ports.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ------------------------------------------------------------------ numbers */

static uint64_t seed_of(const char *name, ptf_role role)
{
    uint64_t seed = 1469598103934665603u + (uint64_t)role;
    for (; *name != '\0'; name++)
        seed = (seed ^ (uint64_t)(unsigned char)*name) * 1099511628211u;
    return seed;
}

static void set_tensor(graph *g, ptf_node *node, ptf_role role, int rank,
                       const int64_t *shape, float low, float high)
{
    ptf_arena *arena = &g->net.arena;
    ptf_tensor *t = ptf_arena_alloc(arena, sizeof(*t));
    char name[PTF_PARAMETER_NAME];
    assert_non_null(t);
    ptf_node_parameter_name(node, role, name);
    *t = (ptf_tensor){.dtype = PTF_DTYPE_F32,
                      .rank = rank,
                      .name = ptf_arena_copy(arena, name, strlen(name))};
    int64_t n = 1;
    for (int d = rank - 1; d >= 0; d--) {
        t->shape[d] = shape[d];
        t->stride[d] = n;
        n *= shape[d];
    }
    float *data = ptf_arena_array(arena, (size_t)n, sizeof(*data));
    assert_true(t->name != NULL && data != NULL);
    ptf_random_fill(seed_of(node->name, role), 0, data, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        data[i] = low + (high - low) * data[i];
    t->data = data;
    node->tensors[role] = t;
}

float *graph_numbers(graph *g, const char *name, ptf_role role)
{
    for (int i = 1; i < g->net.node_count; i++) {
        if (strcmp(g->nodes[i].name, name) == 0)
            return (float *)(uintptr_t)g->nodes[i].tensors[role]->data;
    }
    fail_msg("the net has no %s", name);
    return NULL;
}

/* -------------------------------------------------------------------- nodes */

void graph_start(graph *g, const ptf_shape *input)
{
    *g = (graph){.net = {.has_tensors = true, .node_count = 1}};
    give_input(&g->net, input);
    g->net.nodes = g->nodes;
    g->nodes[0] = (ptf_node){.op = PTF_OP_INPUT,
                             .name = "",
                             .class_name = "Input",
                             .text = "Input()",
                             .container = -1,
                             .file = "graphs.c"};
}

void graph_finish(graph *g, int output)
{
    ptf_shape shapes[GRAPH_NODES];
    ptf_error err;
    give_output(&g->net, output);
    if (ptf_net_check(&g->net, &err) != PTF_OK ||
        ptf_net_shapes(&g->net, &g->net.inputs[0].shape, shapes, &err) !=
            PTF_OK ||
        ptf_net_list_parameters(&g->net, &err) != PTF_OK ||
        ptf_net_collect(&g->net, &err) != PTF_OK)
        fail_msg("%s", err.message);
}

void graph_free(graph *g)
{
    ptf_arena_free(&g->net.arena);
}

int graph_node(graph *g, const char *name, ptf_op op, int count,
               const int *from)
{
    int index = g->net.node_count++;
    assert_true(index < GRAPH_NODES);
    ptf_node *node = &g->nodes[index];
    const ptf_op_row *row = ptf_op_info(op);
    *node = (ptf_node){
        .op = op,
        .name = ptf_arena_copy(&g->net.arena, name, strlen(name)),
        .class_name = row->class_name[0] != '\0' ? row->class_name : row->name,
        .text = row->name,
        .container = -1,
        .file = "graphs.c"};
    ptf_attrs_default(op, &node->attrs);
    assert_non_null(node->name);
    assert_true(ptf_node_read(&g->net.arena, node, count, from));
    return index;
}

int graph_one(graph *g, const char *name, ptf_op op, int from)
{
    int node = graph_node(g, name, op, 1, &from);
    if (op == PTF_OP_ADAPTIVE_AVGPOOL2D)
        g->nodes[node].attrs.output_size[1] =
            g->nodes[node].attrs.output_size[2] = 1;
    return node;
}

int graph_two(graph *g, const char *name, ptf_op op, int a, int b)
{
    return graph_node(g, name, op, 2, (int[]){a, b});
}

int graph_join(graph *g, const char *name, int64_t dim, int count,
               const int *from)
{
    int node = graph_node(g, name, PTF_OP_CONCAT, count, from);
    g->nodes[node].attrs.dim = dim;
    return node;
}

int graph_constant(graph *g, const char *name, const ptf_shape *shape)
{
    int node = graph_node(g, name, PTF_OP_CONSTANT, 0, NULL);
    set_tensor(g, &g->nodes[node], PTF_ROLE_WEIGHT, shape->rank, shape->dim,
               0.5F, 1.5F);
    return node;
}

int graph_norm(graph *g, const char *name, int from, int64_t channels)
{
    int index = graph_one(g, name, PTF_OP_BATCHNORM2D, from);
    ptf_node *node = &g->nodes[index];
    node->attrs.in_channels = node->attrs.out_channels = channels;
    node->attrs.eps = 1e-5;
    set_tensor(g, node, PTF_ROLE_WEIGHT, 1, &channels, 0.5F, 1.5F);
    set_tensor(g, node, PTF_ROLE_BIAS, 1, &channels, -0.5F, 0.5F);
    set_tensor(g, node, PTF_ROLE_RUNNING_MEAN, 1, &channels, -0.5F, 0.5F);
    set_tensor(g, node, PTF_ROLE_RUNNING_VAR, 1, &channels, 0.5F, 1.5F);
    return index;
}

int graph_linear(graph *g, const char *name, int from, int64_t in, int64_t out)
{
    int index = graph_one(g, name, PTF_OP_LINEAR, from);
    ptf_node *node = &g->nodes[index];
    float size = 1 / sqrtf((float)in);
    node->attrs.in_channels = in;
    node->attrs.out_channels = out;
    set_tensor(g, node, PTF_ROLE_WEIGHT, 2, (int64_t[]){out, in}, -size, size);
    set_tensor(g, node, PTF_ROLE_BIAS, 1, &out, -0.5F, 0.5F);
    return index;
}

int graph_conv(graph *g, const char *name, int from, int64_t in, int64_t out,
               graph_window window, bool bias)
{
    int index = graph_one(g, name, PTF_OP_CONV2D, from);
    ptf_node *node = &g->nodes[index];
    int64_t k = window.kernel, shape[] = {out, in, k, k};
    float size = 2 / sqrtf((float)(in * k * k));
    node->attrs.in_channels = in;
    node->attrs.out_channels = out;
    node->attrs.has_bias = bias;
    for (int i = 1; i < PTF_MAP_AXES; i++) {
        node->attrs.kernel[i] = k;
        node->attrs.stride[i] = window.stride;
        node->attrs.padding[i] = window.padding;
    }
    set_tensor(g, node, PTF_ROLE_WEIGHT, 4, shape, -size, size);
    if (bias)
        set_tensor(g, node, PTF_ROLE_BIAS, 1, &out, -0.5F, 0.5F);
    return index;
}

/* ---------------------------------------------------------- in long double */

typedef struct exact {
    const graph *g;
    ptf_shape shapes[GRAPH_NODES];
    long double **values;
} exact;

static long double number(const ptf_node *node, ptf_role role, int64_t i)
{
    const ptf_tensor *t = node->tensors[role];
    return t != NULL ? (long double)((const float *)t->data)[i] : 0;
}

/* A linear layer's map is 1x1, and so is its kernel. */
static void product(const exact *e, int index)
{
    const ptf_node *node = &e->g->nodes[index];
    const ptf_attrs *a = &node->attrs;
    const ptf_shape *in = &e->shapes[node->inputs[0]], *out = &e->shapes[index];
    const long double *x = e->values[node->inputs[0]];
    int64_t h = in->rank == 3 ? in->dim[1] : 1;
    int64_t w = in->rank == 3 ? in->dim[2] : 1, k = a->kernel[1];
    int64_t rows = in->rank == 3 ? out->dim[1] : 1;
    int64_t columns = in->rank == 3 ? out->dim[2] : 1;
    for (int64_t i = 0; i < out->dim[0] * rows * columns; i++) {
        int64_t o = i / (rows * columns);
        long double sum = number(node, PTF_ROLE_BIAS, o);
        for (int64_t t = 0; t < a->in_channels * k * k; t++) {
            int64_t y =
                i / columns % rows * a->stride[1] + t / k % k - a->padding[1];
            int64_t z = i % columns * a->stride[2] + t % k - a->padding[2];
            if (y >= 0 && y < h && z >= 0 && z < w)
                sum += x[(t / (k * k) * h + y) * w + z] *
                       number(node, PTF_ROLE_WEIGHT,
                              o * a->in_channels * k * k + t);
        }
        e->values[index][i] = sum;
    }
}

static void norm(const exact *e, int index)
{
    const ptf_node *node = &e->g->nodes[index];
    int64_t size = ptf_shape_numel(&e->shapes[index]);
    int64_t map = size / node->attrs.out_channels;
    for (int64_t i = 0; i < size; i++) {
        int64_t c = i / map;
        long double x = e->values[node->inputs[0]][i] -
                        number(node, PTF_ROLE_RUNNING_MEAN, c);
        e->values[index][i] = x * number(node, PTF_ROLE_WEIGHT, c) /
                                  sqrtl(number(node, PTF_ROLE_RUNNING_VAR, c) +
                                        (long double)node->attrs.eps) +
                              number(node, PTF_ROLE_BIAS, c);
    }
}

/* The number of an operand that meets number i of the output. */
static int64_t meets(const ptf_shape *in, const ptf_shape *out, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int d = 1; d <= out->rank; d++) {
        int64_t size = d <= in->rank ? in->dim[in->rank - d] : 1;
        at += size > 1 ? i % out->dim[out->rank - d] * step : 0;
        step *= size;
        i /= out->dim[out->rank - d];
    }
    return at;
}

static long double of_two(ptf_op op, long double a, long double b)
{
    long double results[] = {
        [PTF_OP_ADD - PTF_OP_ADD] = a + b,
        [PTF_OP_SUB - PTF_OP_ADD] = a - b,
        [PTF_OP_MUL - PTF_OP_ADD] = a * b,
        [PTF_OP_DIV - PTF_OP_ADD] = a / b,
        [PTF_OP_MAXIMUM - PTF_OP_ADD] = a > b ? a : b,
        [PTF_OP_MINIMUM - PTF_OP_ADD] = a < b ? a : b,
    };
    return results[op - PTF_OP_ADD];
}

static void two(const exact *e, int index)
{
    const ptf_node *node = &e->g->nodes[index];
    const ptf_shape *out = &e->shapes[index];
    int a = node->inputs[0], b = node->inputs[1];
    for (int64_t i = 0; i < ptf_shape_numel(out); i++)
        e->values[index][i] =
            of_two(node->op, e->values[a][meets(&e->shapes[a], out, i)],
                   e->values[b][meets(&e->shapes[b], out, i)]);
}

static void join(const exact *e, int index)
{
    const ptf_node *node = &e->g->nodes[index];
    const ptf_shape *out = &e->shapes[index];
    int axis = ptf_concat_axis(&node->attrs, out->rank + 1) - 1;
    int64_t inner = 1, at = 0;
    for (int d = axis + 1; d < out->rank; d++)
        inner *= out->dim[d];
    for (int k = 0; k < node->input_count; k++) {
        int from = node->inputs[k];
        int64_t part = e->shapes[from].dim[axis] * inner;
        for (int64_t i = 0; i < ptf_shape_numel(&e->shapes[from]); i++)
            e->values[index][i / part * out->dim[axis] * inner + at +
                             i % part] = e->values[from][i];
        at += part;
    }
}

/* Adaptive to 1x1, ReLU, and what passes on. */
static void plain(const exact *e, int index)
{
    const ptf_node *node = &e->g->nodes[index];
    int64_t size = ptf_shape_numel(&e->shapes[index]);
    const long double *x = e->values[node->inputs[0]];
    int64_t map = ptf_shape_numel(&e->shapes[node->inputs[0]]) / size;
    for (int64_t i = 0; i < size; i++) {
        long double sum = 0;
        for (int64_t k = 0; k < map; k++)
            sum += x[i * map + k];
        sum /= (long double)map;
        e->values[index][i] = node->op == PTF_OP_RELU && sum < 0 ? 0 : sum;
    }
}

static void run(const exact *e, int index, const float *in)
{
    const ptf_node *node = &e->g->nodes[index];
    int64_t size = ptf_shape_numel(&e->shapes[index]);
    if (ptf_op_is(node->op, PTF_FAMILY_PRODUCT))
        product(e, index);
    else if (ptf_op_is(node->op, PTF_FAMILY_AFFINE))
        norm(e, index);
    else if (ptf_op_is(node->op, PTF_FAMILY_BINARY))
        two(e, index);
    else if (ptf_op_is(node->op, PTF_FAMILY_CONCAT))
        join(e, index);
    else if (node->input_count > 0)
        plain(e, index);
    for (int64_t i = 0; node->input_count == 0 && i < size; i++)
        e->values[index][i] =
            index == 0 ? (long double)in[i] : number(node, PTF_ROLE_WEIGHT, i);
}

long double **graph_exact(const graph *g, const float *in)
{
    static exact e;
    ptf_error err;
    e.g = g;
    if (ptf_net_shapes(&g->net, &g->net.inputs[0].shape, e.shapes, &err) !=
        PTF_OK)
        fail_msg("%s", err.message);
    size_t nodes = (size_t)g->net.node_count, size = 0;
    for (size_t i = 0; i < nodes; i++)
        size += (size_t)ptf_shape_numel(&e.shapes[i]);
    size_t head = (nodes * sizeof(*e.values) + 15) / 16 * 16;
    e.values = malloc(head + size * sizeof(**e.values));
    assert_non_null(e.values);
    long double *at = (void *)((char *)e.values + head);
    for (size_t i = 0; i < nodes; i++) {
        e.values[i] = at;
        at += ptf_shape_numel(&e.shapes[i]);
        run(&e, (int)i, in);
    }
    return e.values;
}
