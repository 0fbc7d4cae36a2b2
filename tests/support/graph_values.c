/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "graph_values.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

/* A node on one sample. */
typedef struct job {
    const ptf_node *node;
    const ptf_shape *in[NODES], *out;
    const float *x[NODES];
    float *y;
} job;

static float one_nan(float x)
{
    return isnan(x) ? nanf("") : x;
}

/* The places of a number, axis by axis; aligned at the end. */
typedef struct place {
    int64_t at[PTF_SHAPE_MAX];
} place;

static place place_of(const ptf_shape *shape, int64_t i)
{
    place p;
    for (int d = shape->rank - 1; d >= 0; d--) {
        p.at[d] = i % shape->dim[d];
        i /= shape->dim[d];
    }
    return p;
}

/* The number at that place of a result of 'rank', with broadcasting. */
static float at(const float *x, const ptf_shape *shape, const place *p,
                int rank)
{
    int64_t i = 0;
    for (int d = 0; d < shape->rank; d++) {
        int64_t k = p->at[rank - shape->rank + d];
        i = i * shape->dim[d] + (shape->dim[d] == 1 ? 0 : k);
    }
    return x[i];
}

/* ----------------------------------------------------------------- families */

static float signs(float a, float b, bool both)
{
    bool negative = both ? signbit(a) && signbit(b) : signbit(a) || signbit(b);
    return negative ? -0.0F : 0.0F;
}

static float apply(ptf_op op, float a, float b)
{
    bool nan = isnan(a) || isnan(b);
    bool zeros = fpclassify(a) == FP_ZERO && fpclassify(b) == FP_ZERO;
    if (op == PTF_OP_ADD)
        return one_nan(a + b);
    if (op == PTF_OP_SUB)
        return one_nan(a - b);
    if (op == PTF_OP_MUL)
        return one_nan(a * b);
    if (op == PTF_OP_DIV)
        return one_nan(a / b);
    if (nan || zeros)
        return nan ? nanf("") : signs(a, b, op == PTF_OP_MAXIMUM);
    return (op == PTF_OP_MAXIMUM) == (a > b) ? a : b;
}

static void binary(const job *j)
{
    for (int64_t i = 0; i < ptf_shape_numel(j->out); i++) {
        place p = place_of(j->out, i);
        j->y[i] = apply(j->node->op, at(j->x[0], j->in[0], &p, j->out->rank),
                        at(j->x[1], j->in[1], &p, j->out->rank));
    }
}

static void concat(const job *j)
{
    int64_t dim = j->node->attrs.dim;
    int axis = (int)(dim < 0 ? dim + j->out->rank : dim - 1);
    for (int64_t i = 0; i < ptf_shape_numel(j->out); i++) {
        place p = place_of(j->out, i);
        int k = 0;
        for (; p.at[axis] >= j->in[k]->dim[axis]; k++)
            p.at[axis] -= j->in[k]->dim[axis];
        j->y[i] = at(j->x[k], j->in[k], &p, j->out->rank);
    }
}

/* The sizes of a map of any rank up to 3: channels, rows, columns. */
static place map_of(const ptf_shape *s)
{
    place p = {.at = {s->dim[0], 1, 1}};
    if (s->rank > 1)
        p.at[2] = s->dim[s->rank - 1];
    if (s->rank > 2)
        p.at[1] = s->dim[1];
    return p;
}

static bool is_inside(const place *map, int64_t row, int64_t column)
{
    return row >= 0 && row < map->at[1] && column >= 0 && column < map->at[2];
}

/* The canonical sum, whose terms outside of the map are +0. */
static float conv_at(const job *j, const place *in, int64_t channel,
                     int64_t row, int64_t column)
{
    const ptf_attrs *a = &j->node->attrs;
    const float *w = j->node->tensors[PTF_ROLE_WEIGHT]->data;
    int64_t channels = in->at[0] / a->groups;
    int64_t first = channel / (a->out_channels / a->groups) * channels;
    int64_t area = a->kernel[1] * a->kernel[2], terms = channels * area;
    float sum = 0.0F, block = 0.0F;
    for (int64_t t = 0; t < terms; t++) {
        int64_t r = row * a->stride[1] - a->padding[1] +
                    t % area / a->kernel[2] * a->dilation[1];
        int64_t c = column * a->stride[2] - a->padding[2] +
                    t % a->kernel[2] * a->dilation[2];
        float x = 0.0F;
        if (is_inside(in, r, c))
            x = j->x[0][((first + t / area) * in->at[1] + r) * in->at[2] + c];
        if (t > 0 && t % 256 == 0) {
            sum = t == 256 ? block : sum + block;
            block = 0.0F;
        }
        block = fmaf(w[channel * terms + t], x, block);
    }
    const float *bias = j->node->tensors[PTF_ROLE_BIAS]->data;
    return one_nan((terms > 256 ? sum + block : block) + bias[channel]);
}

/* Each row of a linear layer is a map of one pixel. */
static void linear(const job *j)
{
    const ptf_attrs *a = &j->node->attrs;
    for (int64_t i = 0; i < ptf_shape_numel(j->out); i++) {
        place in = {.at = {a->in_channels, 1, 1}};
        job row = *j;
        row.x[0] += i / a->out_channels * a->in_channels;
        j->y[i] = conv_at(&row, &in, i % a->out_channels, 0, 0);
    }
}

static void product(const job *j)
{
    if (j->node->op == PTF_OP_LINEAR) {
        linear(j);
        return;
    }
    place in = map_of(j->in[0]), out = map_of(j->out);
    for (int64_t i = 0; i < ptf_shape_numel(j->out); i++) {
        int64_t area = out.at[1] * out.at[2];
        j->y[i] =
            conv_at(j, &in, i / area, i % area / out.at[2], i % out.at[2]);
    }
}

/* Where row or column 'k' of the matrix of 'rank' 2 at a place lies. */
static int64_t matrix_at(const ptf_shape *s, const place *p, int rank,
                         const int64_t k[2])
{
    int64_t i = 0;
    int own = s->rank - 2;
    for (int d = 0; d < own; d++)
        i = i * s->dim[d] + (s->dim[d] == 1 ? 0 : p->at[rank - own + d]);
    if (s->rank == 1)
        return k[0] + k[1]; /* one of them is 0 */
    return (i * s->dim[own] + k[0]) * s->dim[own + 1] + k[1];
}

/* Leading axes as PyTorch broadcasts them; canonical sums. */
static void matmul(const job *j)
{
    const ptf_shape *a = j->in[0], *b = j->in[1];
    int more = (a->rank > 1) + (b->rank > 1), rank = j->out->rank - more;
    int64_t terms = a->dim[a->rank - 1];
    for (int64_t i = 0; i < ptf_shape_numel(j->out); i++) {
        place p = place_of(j->out, i);
        int64_t row = a->rank > 1 ? p.at[rank] : 0;
        int64_t column = b->rank > 1 ? p.at[j->out->rank - 1] : 0;
        float sum = 0.0F, block = 0.0F;
        for (int64_t k = 0; k < terms; k++) {
            if (k > 0 && k % 256 == 0) {
                sum = k == 256 ? block : sum + block;
                block = 0.0F;
            }
            int64_t x = matrix_at(a, &p, rank, (int64_t[]){row, k});
            int64_t y = matrix_at(b, &p, rank, (int64_t[]){k, column});
            block = fmaf(j->x[1][y], j->x[0][x], block);
        }
        j->y[i] = one_nan(terms > 256 ? sum + block : block);
    }
}

static void norm(const job *j)
{
    const float *numbers[PTF_ROLE_COUNT] = {0};
    for (int r = 0; r < PTF_ROLE_COUNT; r++) {
        if (j->node->tensors[r] != NULL)
            numbers[r] = j->node->tensors[r]->data;
    }
    int64_t area = ptf_shape_numel(j->out) / j->out->dim[0];
    for (int64_t i = 0; i < ptf_shape_numel(j->out); i++) {
        int64_t c = i / area;
        double s =
            (double)numbers[PTF_ROLE_WEIGHT][c] /
            sqrt((double)numbers[PTF_ROLE_RUNNING_VAR][c] + j->node->attrs.eps);
        double t = (double)numbers[PTF_ROLE_BIAS][c] -
                   (double)numbers[PTF_ROLE_RUNNING_MEAN][c] * s;
        j->y[i] = one_nan(fmaf(j->x[0][i], (float)s, (float)t));
    }
}

static void unary(const job *j)
{
    float slope = (float)j->node->attrs.p[0];
    bool leaky = j->node->op == PTF_OP_LEAKY_RELU;
    for (int64_t i = 0; i < ptf_shape_numel(j->out); i++) {
        float x = j->x[0][i], small = leaky ? x * slope : 0.0F;
        j->y[i] = one_nan(x > 0 || isnan(x) ? x : small);
    }
}

/* The exponential is the kernels' own, so is the sum. */
static void softmax(const job *j)
{
    int axis = (int)j->node->attrs.dim - 1;
    int64_t outer = 1, inner = 1;
    for (int d = 0; d < j->out->rank; d++) {
        outer *= d < axis ? j->out->dim[d] : 1;
        inner *= d > axis ? j->out->dim[d] : 1;
    }
    if (j->node->op == PTF_OP_LOG_SOFTMAX)
        ptf_kernels_ref.log_softmax(j->y, j->x[0], outer, j->out->dim[axis],
                                    inner);
    else
        ptf_kernels_ref.softmax(j->y, j->x[0], 1.0, outer, j->out->dim[axis],
                                inner);
}

static float pool_at(const job *j, const place *in, int64_t i, int64_t row,
                     int64_t column)
{
    const ptf_attrs *a = &j->node->attrs;
    bool max = j->node->op == PTF_OP_MAXPOOL2D;
    float y = max ? -INFINITY : 0.0F;
    int64_t taps = 0;
    for (int64_t t = 0; t < a->kernel[1] * a->kernel[2]; t++) {
        int64_t r = row * a->stride[1] - a->padding[1] + t / a->kernel[2];
        int64_t c = column * a->stride[2] - a->padding[2] + t % a->kernel[2];
        if (!is_inside(in, r, c))
            continue;
        float x = j->x[0][(i * in->at[1] + r) * in->at[2] + c];
        if (!max)
            y = y + x;
        else if (x > y || isnan(x))
            y = x;
        taps++;
    }
    return one_nan(max ? y : y / (float)taps);
}

static void pool(const job *j)
{
    place in = map_of(j->in[0]), out = map_of(j->out);
    for (int64_t i = 0; i < ptf_shape_numel(j->out); i++) {
        int64_t area = out.at[1] * out.at[2];
        j->y[i] =
            pool_at(j, &in, i / area, i % area / out.at[2], i % out.at[2]);
    }
}

static void move(const job *j)
{
    const float *x = j->node->op == PTF_OP_CONSTANT
                         ? j->node->tensors[PTF_ROLE_WEIGHT]->data
                         : j->x[0];
    memcpy(j->y, x, (size_t)ptf_shape_numel(j->out) * sizeof(float));
}

/* ---------------------------------------------------------------------- net */

static void evaluate(const build *b, const graph_values *v, int i, int sample)
{
    static void (*const families[PTF_FAMILY_COUNT])(const job *) = {
        [PTF_FAMILY_SOURCE] = move,   [PTF_FAMILY_PRODUCT] = product,
        [PTF_FAMILY_AFFINE] = norm,   [PTF_FAMILY_UNARY] = unary,
        [PTF_FAMILY_BINARY] = binary, [PTF_FAMILY_SOFTMAX] = softmax,
        [PTF_FAMILY_POOL] = pool,     [PTF_FAMILY_VIEW] = move,
        [PTF_FAMILY_CONCAT] = concat, [PTF_FAMILY_MATMUL] = matmul};
    const ptf_node *node = &b->nodes[i];
    job j = {.node = node, .out = &b->shapes[i]};
    assert_true(node->input_count <= NODES);
    for (int k = 0; k < node->input_count; k++) {
        int input = node->inputs[k];
        j.in[k] = &b->shapes[input];
        j.x[k] = v->values[input] + sample * ptf_shape_numel(j.in[k]);
    }
    j.y = v->values[i] + sample * ptf_shape_numel(j.out);
    families[ptf_op_info(node->op)->family](&j);
}

void graph_values_make(graph_values *out, const build *b, const float *in,
                       int count)
{
    *out = (graph_values){.count = count};
    for (int i = 0; i < b->net.node_count; i++) {
        int64_t n = count * ptf_shape_numel(&b->shapes[i]);
        out->values[i] = malloc((size_t)n * sizeof(float));
        assert_non_null(out->values[i]);
        if (i == 0)
            memcpy(out->values[0], in, (size_t)n * sizeof(float));
        for (int sample = 0; sample < count && i > 0; sample++)
            evaluate(b, out, i, sample);
    }
}

void graph_values_free(graph_values *values)
{
    for (int i = 0; i < NODES; i++)
        free(values->values[i]);
}
