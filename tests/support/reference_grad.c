/*
 * Forward and back in double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "reference_grad.h"
#include "ports.h"
#include "samples.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

/* One layer between two values; those of several operands look at the tape. */
typedef struct layer {
    tape *t;
    const ptf_node *node;
    const ptf_attrs *a;
    ptf_op op;
    const ptf_shape *in, *out;
    int64_t from[3], to[3]; /* channels, height, width */
    int64_t n;              /* of the input */
    const double *x, *y, *d;
    double *result, *dx;
    double *const *p, *const *by;
} layer;

static double *doubles(int64_t n)
{
    double *d = calloc((size_t)n + 1, sizeof(double));
    assert_non_null(d);
    return d;
}

static void map_size(const ptf_shape *shape, int64_t size[3])
{
    size[1] = shape->rank > 2 ? shape->dim[1] : 1;
    size[2] = shape->rank > 1 ? shape->dim[shape->rank - 1] : 1;
    size[0] = shape->dim[0];
}

/* ------------------------------------------------------------ convolutions */

/* The parts of a window that a visitor is called with. */
typedef struct meeting {
    int64_t y, x, w; /* indices; x is -1 in the padding */
} meeting;

typedef void visitor(const layer *l, meeting m);

/* Each row of a linear layer meets all weights. */
static void each_row_meeting(const layer *l, visitor *visit)
{
    int64_t in = l->a->in_channels, out = l->a->out_channels;
    for (int64_t i = 0; i < ptf_shape_numel(l->out) * in; i++) {
        int64_t y = i / in, k = i % in;
        visit(l, (meeting){y, y / out * in + k, y % out * in + k});
    }
}

/* Every output with every input that it reads, and the weight between them. */
static void each_meeting(const layer *l, visitor *visit)
{
    const ptf_attrs *a = l->a;
    if (l->op == PTF_OP_LINEAR) {
        each_row_meeting(l, visit);
        return;
    }
    int64_t in = l->from[0] / a->groups, out = l->to[0] / a->groups;
    int64_t kh = a->kernel[1], kw = a->kernel[2];
    int64_t terms = in * kh * kw, plane = l->to[1] * l->to[2];
    for (int64_t i = 0; i < l->to[0] * plane * terms; i++) {
        meeting m = {.y = i / terms};
        int64_t k = i % terms, o = m.y / plane;
        int64_t h = m.y % plane / l->to[2], v = m.y % l->to[2];
        h = h * a->stride[1] - a->padding[1] + k / kw % kh * a->dilation[1];
        v = v * a->stride[2] - a->padding[2] + k % kw * a->dilation[2];
        m.w = o * terms + k;
        if (h >= 0 && h < l->from[1] && v >= 0 && v < l->from[2])
            m.x =
                ((o / out * in + k / (kh * kw)) * l->from[1] + h) * l->from[2] +
                v;
        else
            m.x = -1;
        if (m.x >= 0)
            visit(l, m);
    }
}

static void multiply(const layer *l, meeting m)
{
    l->result[m.y] += l->p[PTF_ROLE_WEIGHT][m.w] * l->x[m.x];
}

/* The features of a linear layer are the last axis. */
static int64_t channel_of(const layer *l, int64_t y)
{
    return l->op == PTF_OP_LINEAR ? y % l->a->out_channels
                                  : y / (l->to[1] * l->to[2]);
}

static double scale_of(const layer *l, int64_t y)
{
    int64_t c = channel_of(l, y);
    return l->p[PTF_ROLE_SCALE] != NULL ? l->p[PTF_ROLE_SCALE][c] : 1.0;
}

static void multiply_back(const layer *l, meeting m)
{
    double d = l->d[m.y] * scale_of(l, m.y);
    l->dx[m.x] += l->p[PTF_ROLE_WEIGHT][m.w] * d;
    l->by[PTF_ROLE_WEIGHT][m.w] += l->x[m.x] * d;
}

static void conv(const layer *l)
{
    each_meeting(l, multiply);
    for (int64_t y = 0; y < ptf_shape_numel(l->out); y++) {
        int64_t c = channel_of(l, y);
        if (l->p[PTF_ROLE_BIAS] != NULL)
            l->result[y] += l->p[PTF_ROLE_BIAS][c];
        if (l->p[PTF_ROLE_SCALE] != NULL)
            l->result[y] = l->result[y] * l->p[PTF_ROLE_SCALE][c] +
                           l->p[PTF_ROLE_SHIFT][c];
    }
}

static void conv_back(const layer *l)
{
    each_meeting(l, multiply_back);
    for (int64_t y = 0; y < ptf_shape_numel(l->out); y++) {
        int64_t c = channel_of(l, y);
        if (l->p[PTF_ROLE_BIAS] != NULL)
            l->by[PTF_ROLE_BIAS][c] += l->d[y] * scale_of(l, y);
        if (l->p[PTF_ROLE_SCALE] == NULL)
            continue;
        l->by[PTF_ROLE_SHIFT][c] += l->d[y];
        l->by[PTF_ROLE_SCALE][c] += l->d[y] *
                                    (l->y[y] - l->p[PTF_ROLE_SHIFT][c]) /
                                    l->p[PTF_ROLE_SCALE][c];
    }
}

/* ------------------------------------------------------------- batch norms */

/* Number i in normal form; *size is what it was divided by. */
static double normal(const layer *l, int64_t i, double *size)
{
    int64_t c = i / (l->n / l->from[0]);
    *size = sqrt(l->p[PTF_ROLE_RUNNING_VAR][c] + l->a->eps);
    return (l->x[i] - l->p[PTF_ROLE_RUNNING_MEAN][c]) / *size;
}

static void norm(const layer *l, bool back)
{
    for (int64_t i = 0; i < l->n; i++) {
        int64_t c = i / (l->n / l->from[0]);
        double size, x = normal(l, i, &size);
        double gamma =
            l->p[PTF_ROLE_WEIGHT] != NULL ? l->p[PTF_ROLE_WEIGHT][c] : 1.0;
        double beta =
            l->p[PTF_ROLE_BIAS] != NULL ? l->p[PTF_ROLE_BIAS][c] : 0.0;
        if (!back) {
            l->result[i] = x * gamma + beta;
            continue;
        }
        l->dx[i] += l->d[i] * gamma / size;
        if (l->p[PTF_ROLE_WEIGHT] != NULL)
            l->by[PTF_ROLE_WEIGHT][c] += l->d[i] * x;
        if (l->p[PTF_ROLE_BIAS] != NULL)
            l->by[PTF_ROLE_BIAS][c] += l->d[i];
    }
}

/* ------------------------------------------------------------- activations */

static void activate(const layer *l, bool back)
{
    bool view = ptf_op_is(l->op, PTF_FAMILY_VIEW);
    for (int64_t i = 0; i < l->n; i++) {
        long double x = (long double)l->x[i];
        if (back)
            l->dx[i] += view
                            ? l->d[i]
                            : l->d[i] * (double)sample_slope(l->op, x, l->a->p);
        else
            l->result[i] =
                view ? l->x[i] : (double)sample_value(l->op, x, l->a->p);
    }
}

static void softmax(const layer *l, bool back)
{
    int axis = ptf_softmax_axis(l->a, l->in->rank + 1) - 1;
    int64_t n = l->in->dim[axis], inner = 1;
    for (int d = axis + 1; d < l->in->rank; d++)
        inner *= l->in->dim[d];
    bool log_ = l->op == PTF_OP_LOG_SOFTMAX;
    for (int64_t i = 0; i < l->n; i++) {
        int64_t first = i / (n * inner) * n * inner + i % inner;
        double sum = 0, dot = 0;
        for (int64_t k = 0; k < n; k++) {
            int64_t at = first + k * inner;
            sum += exp(l->x[at] - l->x[i]);
            dot += back ? l->d[at] * (log_ ? 1.0 : l->y[at]) : 0.0;
        }
        if (!back)
            l->result[i] = log_ ? -log(sum) : 1.0 / sum;
        else if (log_)
            l->dx[i] += l->d[i] - exp(l->y[i]) * dot;
        else
            l->dx[i] += l->y[i] * (l->d[i] - dot);
    }
}

/* ----------------------------------------------------------------- pooling */

/* The taps of output 'at' along an axis: begin .. end - 1, cut to the map. */
static void taps_along(const layer *l, int axis, int64_t at, int64_t span[3])
{
    const ptf_attrs *a = l->a;
    int64_t size = l->from[axis], outputs = l->to[axis];
    if (l->op == PTF_OP_ADAPTIVE_AVGPOOL2D) {
        span[0] = at * size / outputs;
        span[1] = ((at + 1) * size + outputs - 1) / outputs;
        span[2] = span[1] - span[0];
        return;
    }
    int64_t begin = at * a->stride[axis] - a->padding[axis];
    int64_t end = begin + (a->kernel[axis] - 1) * a->dilation[axis] + 1;
    int64_t last = size + a->padding[axis];
    span[2] = (end < last ? end : last) - begin; /* with padding */
    while (begin < 0)
        begin += a->dilation[axis];
    span[0] = begin;
    span[1] = end < size ? end : size;
    if (!a->count_include_pad)
        span[2] = span[1] - span[0];
}

static void pool_one(const layer *l, int64_t y, bool back)
{
    int64_t rows[3], columns[3], channel = y / (l->to[1] * l->to[2]);
    taps_along(l, 1, y / l->to[2] % l->to[1], rows);
    taps_along(l, 2, y % l->to[2], columns);
    bool max = l->op == PTF_OP_MAXPOOL2D;
    int64_t down = max ? l->a->dilation[1] : 1;
    int64_t right = max ? l->a->dilation[2] : 1;
    int64_t best = -1, taps = rows[2] * columns[2];
    double sum = 0;
    for (int64_t r = rows[0]; r < rows[1]; r += down) {
        for (int64_t c = columns[0]; c < columns[1]; c += right) {
            int64_t i = (channel * l->from[1] + r) * l->from[2] + c;
            best = best < 0 || l->x[i] > l->x[best] ? i : best;
            sum += l->x[i];
            if (back && !max)
                l->dx[i] += l->d[y] / (double)taps;
        }
    }
    if (back && max)
        l->dx[best] += l->d[y];
    if (!back)
        l->result[y] = max ? l->x[best] : sum / (double)taps;
}

static void pool(const layer *l, bool back)
{
    for (int64_t y = 0; y < l->to[0] * l->to[1] * l->to[2]; y++)
        pool_one(l, y, back);
}

/* -------------------------------------------------------- several operands */

/* Number i of a result, of shape 'out', is this one of the operand. */
static int64_t broadcast(const ptf_shape *out, const ptf_shape *in, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int d = 1; d <= in->rank; d++) {
        int64_t size = out->dim[out->rank - d], own = in->dim[in->rank - d];
        at += own == 1 ? 0 : i % size * step;
        i /= size;
        step *= own;
    }
    return at;
}

static double function(ptf_op op, double a, double b)
{
    switch ((int)op) {
    case PTF_OP_ADD: return a + b;
    case PTF_OP_SUB: return a - b;
    case PTF_OP_MUL: return a * b;
    case PTF_OP_DIV: return a / b;
    case PTF_OP_MAXIMUM: return a > b ? a : b;
    default: return a < b ? a : b;
    }
}

/* Its derivatives by a and by b; halves where the choice is open. */
static void slopes(ptf_op op, double a, double b, double s[2])
{
    bool first = op == PTF_OP_MAXIMUM ? a > b : a < b, open = fabs(a - b) <= 0;
    s[0] = open ? 0.5 : first ? 1 : 0;
    s[1] = 1 - s[0];
    if (op == PTF_OP_ADD || op == PTF_OP_SUB)
        s[0] = s[1] = 1;
    if (op == PTF_OP_SUB)
        s[1] = -1;
    if (op == PTF_OP_MUL)
        s[0] = b, s[1] = a;
    if (op == PTF_OP_DIV)
        s[0] = 1 / b, s[1] = -a / b / b;
}

static void binary(const layer *l, bool back)
{
    const int *from = l->node->inputs;
    for (int64_t i = 0; i < ptf_shape_numel(l->out); i++) {
        int64_t at[2];
        double x[2], s[2];
        for (int k = 0; k < 2; k++) {
            at[k] = broadcast(l->out, &l->t->shapes[from[k]], i);
            x[k] = l->t->value[from[k]][at[k]];
        }
        if (!back)
            l->result[i] = function(l->op, x[0], x[1]);
        slopes(l->op, x[0], x[1], s);
        for (int k = 0; k < 2 && back; k++)
            l->t->cotangent[from[k]][at[k]] += l->d[i] * s[k];
    }
}

static void concat(const layer *l, bool back)
{
    int axis = ptf_concat_axis(l->a, l->out->rank + 1) - 1;
    int64_t inner = 1, before = 0, all = l->out->dim[axis];
    for (int d = axis + 1; d < l->out->rank; d++)
        inner *= l->out->dim[d];
    for (int k = 0; k < l->node->input_count; k++) {
        int from = l->node->inputs[k];
        int64_t own = l->t->shapes[from].dim[axis] * inner;
        for (int64_t i = 0; i < l->t->numel[from]; i++) {
            int64_t to = i / own * all * inner + before + i % own;
            if (back)
                l->t->cotangent[from][i] += l->d[to];
            else
                l->result[to] = l->t->value[from][i];
        }
        before += own;
    }
}

/* Where number (row, column) of an operand lies, for number i of a result of
 * 'rank' leading axes, which come first in 'at'. */
static int64_t entry(const ptf_shape *s, const int64_t *at, int rank,
                     int64_t row, int64_t column)
{
    int64_t i = 0;
    for (int d = 0; d < s->rank - 2; d++) {
        int64_t k = at[rank - (s->rank - 2) + d];
        i = i * s->dim[d] + (s->dim[d] == 1 ? 0 : k);
    }
    return s->rank == 1
               ? row + column
               : (i * s->dim[s->rank - 2] + row) * s->dim[s->rank - 1] + column;
}

static void matmul(const layer *l, bool back)
{
    const int *from = l->node->inputs;
    const ptf_shape *a = l->in, *b = &l->t->shapes[from[1]], *out = l->out;
    int rank = out->rank - (a->rank > 1) - (b->rank > 1);
    int64_t terms = a->dim[a->rank - 1], at[PTF_SHAPE_MAX];
    for (int64_t i = 0; i < ptf_shape_numel(out); i++) {
        int64_t rest = i;
        for (int d = out->rank - 1; d >= 0; rest /= out->dim[d--])
            at[d] = rest % out->dim[d];
        int64_t row = a->rank > 1 ? at[rank] : 0;
        int64_t column = b->rank > 1 ? at[out->rank - 1] : 0;
        for (int64_t k = 0; k < terms; k++) {
            int64_t x = entry(a, at, rank, row, k);
            int64_t y = entry(b, at, rank, k, column);
            double p = l->t->value[from[0]][x], q = l->t->value[from[1]][y];
            if (!back)
                l->result[i] += p * q;
            else
                l->t->cotangent[from[0]][x] += l->d[i] * q;
            if (back)
                l->t->cotangent[from[1]][y] += l->d[i] * p;
        }
    }
}

/* --------------------------------------------------------------------- net */

static void product(const layer *l, bool back)
{
    if (back)
        conv_back(l);
    else
        conv(l);
}

static void run_layer(const layer *l, bool back)
{
    static void (*const run[PTF_FAMILY_COUNT])(const layer *l, bool back) = {
        [PTF_FAMILY_PRODUCT] = product, [PTF_FAMILY_AFFINE] = norm,
        [PTF_FAMILY_UNARY] = activate,  [PTF_FAMILY_SOFTMAX] = softmax,
        [PTF_FAMILY_POOL] = pool,       [PTF_FAMILY_VIEW] = activate,
        [PTF_FAMILY_BINARY] = binary,   [PTF_FAMILY_CONCAT] = concat,
        [PTF_FAMILY_MATMUL] = matmul,
    };
    void (*of)(const layer *l, bool back) = run[ptf_op_info(l->op)->family];
    if (of == NULL)
        fail_msg("no layer");
    of(l, back);
}

static layer layer_of(tape *t, int i)
{
    const ptf_node *node = &t->net->nodes[i];
    int from = node->inputs[0];
    layer l = {.t = t,
               .node = node,
               .a = &node->attrs,
               .op = node->op,
               .in = &t->shapes[from],
               .out = &t->shapes[i],
               .n = t->numel[from],
               .x = t->value[from],
               .y = t->value[i],
               .d = t->cotangent[i],
               .result = t->value[i],
               .dx = t->cotangent[from],
               .p = t->parameter[i],
               .by = t->gradient[i]};
    map_size(l.in, l.from);
    map_size(l.out, l.to);
    return l;
}

static void clear(double *x, int64_t n)
{
    memset(x, 0, (size_t)n * sizeof(double));
}

void tape_init(tape *t, const ptf_net *net, const ptf_shape *input)
{
    ptf_error err;
    *t = (tape){.net = net};
    assert_true(net->node_count <= TAPE_NODES);
    if (ptf_net_shapes(net, input, t->shapes, &err) != PTF_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < net->node_count; i++) {
        t->numel[i] = ptf_shape_numel(&t->shapes[i]);
        t->value[i] = doubles(t->numel[i]);
        t->cotangent[i] = doubles(t->numel[i]);
        for (int role = 0; role < PTF_ROLE_NUM_BATCHES; role++) {
            const ptf_tensor *tensor = net->nodes[i].tensors[role];
            if (tensor == NULL)
                continue;
            int64_t n = ptf_tensor_numel(tensor);
            t->parameter_numel[i][role] = n;
            t->parameter[i][role] = doubles(n);
            t->gradient[i][role] = doubles(n);
            ptf_tensor_read_f64(tensor, t->parameter[i][role], NULL);
        }
    }
}

void tape_free(tape *t)
{
    for (int i = 0; i < t->net->node_count; i++) {
        free(t->value[i]);
        free(t->cotangent[i]);
        for (int role = 0; role < PTF_ROLE_COUNT; role++) {
            free(t->parameter[i][role]);
            free(t->gradient[i][role]);
        }
    }
}

const double *tape_run(tape *t, const double *in)
{
    memcpy(t->value[0], in, (size_t)t->numel[0] * sizeof(double));
    for (int i = 1; i < t->net->node_count; i++) {
        clear(t->value[i], t->numel[i]);
        if (t->net->nodes[i].op == PTF_OP_CONSTANT) {
            memcpy(t->value[i], t->parameter[i][PTF_ROLE_WEIGHT],
                   (size_t)t->numel[i] * sizeof(double));
            continue;
        }
        layer l = layer_of(t, i);
        run_layer(&l, false);
    }
    return t->value[output_of(t->net)];
}

void tape_back(tape *t, const double *cotangent)
{
    int output = output_of(t->net);
    for (int i = 0; i < t->net->node_count; i++) {
        clear(t->cotangent[i], t->numel[i]);
        for (int role = 0; role < PTF_ROLE_COUNT; role++) {
            if (t->gradient[i][role] != NULL)
                clear(t->gradient[i][role], t->parameter_numel[i][role]);
        }
    }
    memcpy(t->cotangent[output], cotangent,
           (size_t)t->numel[output] * sizeof(double));
    for (int i = t->net->node_count - 1; i > 0; i--) {
        if (t->net->nodes[i].op == PTF_OP_CONSTANT) {
            memcpy(t->gradient[i][PTF_ROLE_WEIGHT], t->cotangent[i],
                   (size_t)t->numel[i] * sizeof(double));
            continue;
        }
        layer l = layer_of(t, i);
        run_layer(&l, true);
    }
}
