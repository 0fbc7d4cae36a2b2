/*
 * Chains of ops that move or reduce numbers, and what they give.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "moves.h"
#include "ports.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

void start(chain *c, const ptf_shape *input)
{
    memset(c, 0, sizeof(*c));
    c->nodes[0].name = "";
    c->net.nodes = c->nodes;
    c->net.node_count = 1;
    give_input(&c->net, NULL);
    give_output(&c->net, 0);
    c->net.has_tensors = true;
    c->shapes[0] = *input;
}

void finish(chain *c)
{
    ptf_arena_free(&c->net.arena);
}

const ptf_shape *last(const chain *c)
{
    return &c->shapes[output_of(&c->net)];
}

void add(chain *c, ptf_op op, const ptf_attrs *attrs)
{
    ptf_node *node = &c->nodes[c->net.node_count];
    ptf_error err;
    node->op = op;
    node->name = node->text = node->class_name = ptf_op_info(op)->name;
    node->attrs = *attrs;
    int before = c->net.node_count - 1;
    assert_true(ptf_node_read(&c->net.arena, node, 1, &before));
    give_output(&c->net, c->net.node_count++);
    if (ptf_net_shapes(&c->net, &c->shapes[0], c->shapes, &err) != PTF_OK)
        fail_msg("%s", err.message);
}

float *floats(int64_t n)
{
    float *data = calloc((size_t)n + 1, sizeof(float));
    assert_non_null(data);
    return data;
}

/* -------------------------------------------------------------- at random */

uint64_t draws;

int64_t between(int64_t low, int64_t high)
{
    uint64_t z = draws += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return low + (int64_t)((z ^ z >> 31) % (uint64_t)(high - low + 1));
}

static float special(void)
{
    static const uint32_t words[] = {0x00000000, 0x80000000, 0x00000001,
                                     0x80000001, 0x7f7fffff, 0x7f800000,
                                     0xff800000, 0x7fc00000, 0x3f800000};
    float f;
    memcpy(&f, &words[between(0, PTF_ARRAY_SIZE(words) - 1)], sizeof(f));
    return f;
}

void fill(float *x, int64_t n, int64_t odds)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)between(-(1 << 23), 1 << 23) * 0x1p-20F;
        if (odds > 0 && between(1, odds) == 1)
            x[i] = special();
    }
}

ptf_shape some_shape(void)
{
    ptf_shape shape = {.rank = (int)between(1, between(1, PTF_SHAPE_MAX))};
    for (int d = 0; d < shape.rank; d++)
        shape.dim[d] = between(1, shape.rank > 4 ? 3 : 6);
    if (shape.rank < 4)
        shape.dim[between(0, shape.rank - 1)] = between(1, 600);
    return shape;
}

/* As it is, or counted from the end. */
static int64_t either(int64_t axis, int rank)
{
    return between(0, 1) == 0 ? axis : axis - rank;
}

static void some_reshape(const ptf_shape *in, ptf_attrs *attrs)
{
    int64_t left = ptf_shape_numel(in);
    int rank = attrs->size.count = (int)between(1, PTF_SHAPE_MAX);
    for (int d = 0; d < rank - 1; d++) {
        int64_t size = between(1, 6);
        attrs->size.at[d] = left % size == 0 ? size : 1;
        left /= attrs->size.at[d];
    }
    attrs->size.at[rank - 1] = between(0, 1) == 0 ? left : -1;
}

static void some_expand(const ptf_shape *in, ptf_attrs *attrs)
{
    int more = (int)between(0, in->rank < 5 ? 2 : 0);
    attrs->size.count = in->rank + more;
    for (int d = 0; d < attrs->size.count; d++) {
        int64_t old = d < more ? 0 : in->dim[d - more];
        attrs->size.at[d] = old > 1 ? either(0, 1) < 0 ? -1 : old
                                    : between(1, in->rank > 3 ? 3 : 40);
    }
}

static void some_dims(const ptf_shape *in, int count, ptf_list *dims)
{
    int64_t axes[PTF_SHAPE_MAX];
    dims->count = count;
    for (int d = 0; d < in->rank; d++)
        axes[d] = d + 1;
    for (int d = 0; d < count; d++) {
        int k = (int)between(d, in->rank - 1);
        int64_t axis = axes[k];
        axes[k] = axes[d];
        axes[d] = axis;
        dims->at[d] = either(axis, in->rank + 1);
    }
}

static void some_slice(const ptf_shape *in, ptf_attrs *attrs)
{
    int64_t axis = between(1, in->rank), size = in->dim[axis - 1];
    attrs->dim = either(axis, in->rank + 1);
    int64_t start = between(0, size - 1);
    attrs->start = between(0, 1) == 0 ? start : start - size;
    attrs->step = between(1, 3) * (between(0, 2) == 0 ? -1 : 1);
    int64_t most = attrs->step > 0 ? (size - 1 - start) / attrs->step
                                   : start / -attrs->step;
    attrs->length = between(0, most + 1);
}

void add_some(chain *c)
{
    static const ptf_op ops[] = {PTF_OP_RESHAPE, PTF_OP_PERMUTE, PTF_OP_SLICE,
                                 PTF_OP_EXPAND,  PTF_OP_SUM,     PTF_OP_MEAN,
                                 PTF_OP_AMAX,    PTF_OP_AMIN};
    ptf_op op = ops[between(0, PTF_ARRAY_SIZE(ops) - 1)];
    const ptf_shape *in = last(c);
    ptf_attrs attrs;
    ptf_attrs_default(op, &attrs);
    if (in->rank == 0 || op == PTF_OP_RESHAPE) {
        op = PTF_OP_RESHAPE;
        some_reshape(in, &attrs);
    } else if (op == PTF_OP_PERMUTE) {
        some_dims(in, in->rank, &attrs.dims);
    } else if (op == PTF_OP_SLICE) {
        some_slice(in, &attrs);
    } else if (op == PTF_OP_EXPAND) {
        some_expand(in, &attrs);
    } else {
        some_dims(in, (int)between(1, in->rank), &attrs.dims);
        attrs.keepdim = between(0, 1) == 1;
    }
    add(c, op, &attrs);
}

/* ---------------------------------------------------------------- by loops */

static int axis_of(int64_t dim, const ptf_shape *in)
{
    return (int)(dim < 0 ? dim + in->rank : dim - 1);
}

bool is_view(ptf_op op)
{
    return ptf_op_is(op, PTF_FAMILY_VIEW);
}

int64_t flat(const int64_t *at, const ptf_shape *shape)
{
    int64_t n = 0;
    for (int d = 0; d < shape->rank; d++)
        n = n * shape->dim[d] + at[d];
    return n;
}

void positions(int64_t n, const ptf_shape *shape, int64_t *at)
{
    for (int d = shape->rank - 1; d >= 0; n /= shape->dim[d--])
        at[d] = n % shape->dim[d];
}

int64_t source(const ptf_node *node, const ptf_shape *in, const ptf_shape *out,
               int64_t i)
{
    const ptf_attrs *a = &node->attrs;
    int64_t to[PTF_SHAPE_MAX], from[PTF_SHAPE_MAX];
    if (node->op == PTF_OP_RESHAPE)
        return i;
    positions(i, out, to);
    for (int d = 0; d < in->rank; d++) {
        int axis = d;
        if (node->op == PTF_OP_EXPAND)
            from[d] = in->dim[d] > 1 ? to[d + out->rank - in->rank] : 0;
        else if (node->op == PTF_OP_PERMUTE)
            from[axis = axis_of(a->dims.at[d], in)] = to[d];
        else
            from[d] = to[d];
    }
    if (node->op == PTF_OP_SLICE) {
        int axis = axis_of(a->dim, in);
        int64_t start = a->start < 0 ? a->start + in->dim[axis] : a->start;
        from[axis] = start + to[axis] * a->step;
    }
    return flat(from, in);
}

int64_t target(const ptf_node *node, const ptf_shape *in, int64_t i)
{
    int64_t at[PTF_SHAPE_MAX];
    ptf_shape kept = *in;
    positions(i, in, at);
    for (int k = 0; k < node->attrs.dims.count; k++) {
        int axis = axis_of(node->attrs.dims.at[k], in);
        kept.dim[axis] = 1;
        at[axis] = 0;
    }
    return flat(at, &kept);
}

static float one_nan(float x)
{
    return isnan(x) ? (float)NAN : x;
}

/* A canonical sum for each of some outputs. */
typedef struct sums {
    float *all, *block;
    int64_t *terms;
} sums;

static sums new_sums(int64_t n)
{
    sums s = {floats(n), floats(n), calloc((size_t)n + 1, sizeof(int64_t))};
    assert_non_null(s.terms);
    return s;
}

static void add_term(sums *s, int64_t i, float x)
{
    if (s->terms[i] > 0 && s->terms[i] % 256 == 0) {
        s->all[i] = s->terms[i] == 256 ? s->block[i] : s->all[i] + s->block[i];
        s->block[i] = 0;
    }
    s->block[i] = fmaf(1, x, s->block[i]);
    s->terms[i]++;
}

static void end_sums(sums *s, int64_t n, bool mean, float *y)
{
    for (int64_t i = 0; i < n; i++) {
        float sum = s->terms[i] > 256 ? s->all[i] + s->block[i] : s->block[i];
        y[i] = one_nan(mean ? sum / (float)s->terms[i] : sum);
    }
    free(s->all);
    free(s->block);
    free(s->terms);
}

void evaluate(const ptf_node *node, const ptf_shape *in, const ptf_shape *out,
              const float *x, float *y)
{
    int64_t n = ptf_shape_numel(in), outputs = ptf_shape_numel(out);
    bool most = node->op == PTF_OP_AMAX, least = node->op == PTF_OP_AMIN;
    for (int64_t i = 0; i < outputs; i++) {
        if (is_view(node->op))
            y[i] = x[source(node, in, out, i)];
        else
            y[i] = most ? -(float)INFINITY : (float)INFINITY;
    }
    if (is_view(node->op))
        return;
    sums s = new_sums(outputs);
    for (int64_t i = 0; i < n; i++) {
        float *to = &y[target(node, in, i)];
        if (most || least)
            *to = (most ? x[i] > *to : x[i] < *to) || isnan(x[i]) ? x[i] : *to;
        else
            add_term(&s, to - y, x[i]);
    }
    if (!most && !least)
        end_sums(&s, outputs, node->op == PTF_OP_MEAN, y);
    else
        end_sums(&s, 0, false, y);
}

static void evaluate_back(const ptf_node *node, const ptf_shape *in,
                          const ptf_shape *out, const float *x, const float *y,
                          const float *d, float *dx)
{
    int64_t n = ptf_shape_numel(in), outputs = ptf_shape_numel(out);
    if (node->op == PTF_OP_EXPAND) {
        sums s = new_sums(n);
        for (int64_t i = 0; i < outputs; i++)
            add_term(&s, source(node, in, out, i), d[i]);
        end_sums(&s, n, false, dx);
        return;
    }
    memset(dx, 0, (size_t)n * sizeof(float));
    if (is_view(node->op)) {
        for (int64_t i = 0; i < outputs; i++)
            dx[source(node, in, out, i)] = d[i];
        return;
    }
    float *ties = floats(outputs);
    bool extreme = node->op == PTF_OP_AMAX || node->op == PTF_OP_AMIN;
    for (int64_t i = 0; i < n; i++) {
        int64_t k = target(node, in, i);
        ties[k] += !extreme || (x[i] >= y[k] && x[i] <= y[k]) ? 1.0F : 0.0F;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t k = target(node, in, i);
        bool takes = !extreme || (x[i] >= y[k] && x[i] <= y[k]);
        float share = takes ? d[k] : 0.0F;
        dx[i] = one_nan(node->op == PTF_OP_SUM ? share : share / ties[k]);
    }
    free(ties);
}

void loop_over(const chain *c, const float *in, const float *d, float *out,
               float *dx)
{
    float *values[CHAIN], *cotangents[CHAIN];
    int count = c->net.node_count;
    for (int i = 0; i < count; i++) {
        int64_t n = ptf_shape_numel(&c->shapes[i]);
        values[i] = floats(n);
        cotangents[i] = floats(n);
    }
    memcpy(values[0], in,
           (size_t)ptf_shape_numel(&c->shapes[0]) * sizeof(float));
    for (int i = 1; i < count; i++)
        evaluate(&c->nodes[i], &c->shapes[i - 1], &c->shapes[i], values[i - 1],
                 values[i]);
    size_t outputs = (size_t)ptf_shape_numel(last(c)) * sizeof(float);
    memcpy(out, values[count - 1], outputs);
    memcpy(cotangents[count - 1], d, outputs);
    for (int i = count - 1; i > 0; i--)
        evaluate_back(&c->nodes[i], &c->shapes[i - 1], &c->shapes[i],
                      values[i - 1], values[i], cotangents[i],
                      cotangents[i - 1]);
    memcpy(dx, cotangents[0],
           (size_t)ptf_shape_numel(&c->shapes[0]) * sizeof(float));
    for (int i = 0; i < count; i++) {
        free(values[i]);
        free(cotangents[i]);
    }
}

void draw(chain *c, uint64_t seed)
{
    draws = seed;
    ptf_shape shape = some_shape();
    start(c, &shape);
    for (int64_t k = between(1, CHAIN - 1); k > 0; k--)
        add_some(c);
}
