/*
 * What may stand for what: the identities that part 1 of a certificate rests
 * on, each with its proof.  Conditions are those of real functions, on inputs
 * of the shapes that the check has; x is what the layer reads.
 *
 * Same.  The same op with the same attributes, on the same values in the same
 * shape, with the same parameters.  Nothing is to be shown.  Attributes that
 * evaluation does not look at do not count: inplace, momentum, and whether a
 * parameter is there, since one that is not is compared as zeros or ones.
 * ceil_mode decides how many windows there are and nothing else, so that where
 * both give as many, the windows are the same.
 *
 * Batch norm folded (pair.c finds the norms).  y_c = (sum_k w_ck x_k + b_c -
 * mean_c) s_c + beta_c with s = gamma / sqrt(var + eps) is by distribution
 * sum_k (w_ck s_c) x_k + ((b_c - mean_c) s_c + beta_c): a product of the same
 * kind, with other numbers.  Padding takes part as x_k = 0 in both.  Condition:
 * the norm's channel c is the product's output channel c, which is so unless
 * the product is linear on several rows; and var + eps > 0, for else s is no
 * number.
 *
 * Batch norm as epilogue.  y_c = z_c s_c + (beta_c - mean_c s_c), of the sum
 * z, which is kept: the same with less done.
 *
 * Batch norm after a concatenation.  It does to channel c what its numbers for
 * c say, and a concatenation moves channels: so it is a batch norm after each
 * branch, with that one's channels, before the concatenation (net/split.c).
 *
 * Regions.  Several nodes of A that are one product of what the first of them
 * reads, as a batch norm before a convolution: form.c.
 *
 * Linear as convolution.  Where x is a map [C, H, W] read in its order, linear
 * gives sum_k w_ok x_k + b_o over k = (c H + h) W + w.  A convolution of one
 * group without padding whose kernel is as large as the map has one window, the
 * map, and gives the same sum for the weights w_o[c, h, w] = w_ok: the same
 * bytes.
 *
 * Axes of size 1 at the end.  A function of one number, a batch norm, and a
 * softmax over one axis that both have do to [C] what they do to [C, 1, 1].
 *
 * Cuts to a range.  relu6, hardtanh and clamp are min(max(x, low), high), relu
 * is that without high.
 *
 * Means of maps.  An adaptive average pool to size 1 is the mean over the
 * map's axes, and so is an average over one window of the map's size.
 *
 * Averages of like windows.  Where the sizes of an adaptive average pool divide
 * those of the map, output i is the mean of positions i k up to (i + 1) k, with
 * k the quotient: an average pool of kernel and stride k without padding.
 *
 * Nodes that pass numbers on (views of all numbers in their order; dropout, in
 * evaluation) are passed by: value.c.  Operands of what commutes have no order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/pair.h"
#include "op/attrs.h"
#include "op/rules.h"

#include <math.h>

/* --------------------------------------------------------------- attributes */

/* What evaluation does not look at, or parameters say. */
static bool is_idle(const ptf_field *f)
{
    static const char *const names[] = {
        "inplace", "momentum",           "bias",
        "affine",  "elementwise_affine", "scale_shift"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(f->name, names[i]) == 0)
            return true;
    }
    return false;
}

/* What nobody said is what is usual; padding is numbers, whatever its text. */
static ptf_attrs settled(const ptf_node *node)
{
    ptf_attrs attrs = node->attrs;
    attrs.padding_text = NULL;
    for (const ptf_field *f = ptf_op_fields[node->op]; f->name != NULL; f++) {
        if (f->unspecified_at != 0)
            *(bool *)((char *)&attrs + f->unspecified_at) = false;
    }
    return attrs;
}

const char *ptf_attrs_other(const ptf_node *a, const ptf_node *b)
{
    ptf_attrs x = settled(a), y = settled(b);
    for (const ptf_field *f = ptf_op_fields[a->op]; f->name != NULL; f++) {
        if (!is_idle(f) && !ptf_field_equal(f, &x, &y))
            return f->name;
    }
    return memcmp(x.more, y.more, sizeof(x.more)) != 0 ? "padding" : NULL;
}

/* ------------------------------------------------------------------ loosely */

static bool both_are(const ptf_node *a, const ptf_node *b, ptf_family family)
{
    return ptf_op_is(a->op, family) && ptf_op_is(b->op, family);
}

/* Norms by the sample and reductions have no numbers that could tell. */
static bool says_the_same(const ptf_node *a, const ptf_node *b)
{
    if (!ptf_op_is(a->op, PTF_FAMILY_NORM) &&
        !ptf_op_is(a->op, PTF_FAMILY_REDUCE))
        return true;
    return ptf_attrs_other(a, b) == NULL &&
           a->attrs.out_channels == b->attrs.out_channels;
}

/* A mean over axes, which may be those of a map. */
static bool is_mean(const ptf_node *node)
{
    return node->op == PTF_OP_MEAN || ptf_op_is(node->op, PTF_FAMILY_POOL);
}

bool ptf_pair_alike(const ptf_node *a, const ptf_node *b)
{
    const ptf_tensor *v = a->tensors[PTF_ROLE_WEIGHT],
                     *w = b->tensors[PTF_ROLE_WEIGHT];
    if (both_are(a, b, PTF_FAMILY_UNARY) ||
        (a->op != b->op && is_mean(a) && is_mean(b)) ||
        both_are(a, b, PTF_FAMILY_POOL))
        return true;
    if (both_are(a, b, PTF_FAMILY_AFFINE))
        return a->attrs.out_channels == b->attrs.out_channels;
    if (a->op == PTF_OP_CONSTANT && b->op == PTF_OP_CONSTANT)
        return v->rank == w->rank &&
               memcmp(v->shape, w->shape,
                      (size_t)v->rank * sizeof(*v->shape)) == 0;
    if (both_are(a, b, PTF_FAMILY_PRODUCT))
        return v != NULL && w != NULL && v->shape[0] == w->shape[0] &&
               ptf_tensor_numel(v) == ptf_tensor_numel(w);
    return a->op == b->op && says_the_same(a, b);
}

/* ------------------------------------------------------------------ numbers */

enum { SOME = 32 };

/* Some numbers from the corner of a tensor; how many. */
static int64_t read_some(ptf_tensor tensor, double numbers[SOME])
{
    int64_t count = 1;
    for (int d = tensor.rank - 1; d >= 0; d--) {
        tensor.shape[d] = ptf_min_i64(tensor.shape[d], SOME / count);
        count *= tensor.shape[d];
    }
    return ptf_tensor_read_f64(&tensor, numbers, NULL) == PTF_OK ? count : 0;
}

/* One output channel of a product's weights. */
static ptf_tensor row_of(const ptf_tensor *rows, int64_t row)
{
    ptf_tensor tensor = *rows;
    tensor.rank--;
    for (int d = 0; d < tensor.rank; d++) {
        tensor.shape[d] = rows->shape[d + 1];
        tensor.stride[d] = rows->stride[d + 1];
    }
    tensor.data = (const char *)rows->data +
                  row * rows->stride[0] * (int64_t)ptf_dtype_size(rows->dtype);
    return tensor;
}

/* Of a few rows the first numbers are in proportion, as folding leaves them. */
static bool in_proportion(const ptf_node *a, const ptf_node *b)
{
    enum { ROWS = 4 };
    ptf_tensor v = ptf_node_rows(a), w = ptf_node_rows(b);
    int64_t rows = v.rank == w.rank ? ptf_min_i64(v.shape[0], ROWS) : 0;
    for (int64_t r = 0; r < rows; r++) {
        double x[SOME], y[SOME];
        int64_t count = read_some(row_of(&v, r), x);
        if (read_some(row_of(&w, r), y) != count)
            return false;
        for (int64_t k = 1; k < count; k++) {
            double one = x[0] * y[k], other = x[k] * y[0];
            if (fabs(one - other) > 0x1p-12 * (fabs(one) + fabs(other)))
                return false;
        }
    }
    return true;
}

static bool same_start(const ptf_tensor *v, const ptf_tensor *w)
{
    double x[SOME], y[SOME];
    if (v == NULL || w == NULL || v->data == NULL || w->data == NULL)
        return true;
    int64_t count = read_some(*v, x);
    bool same = read_some(*w, y) == count;
    for (int64_t k = 0; same && k < count; k++)
        same = x[k] >= y[k] && x[k] <= y[k];
    return same;
}

bool ptf_numbers_alike(const ptf_node *a, const ptf_node *b)
{
    if (both_are(a, b, PTF_FAMILY_PRODUCT))
        return in_proportion(a, b);
    bool same = true;
    for (int role = 0; same && role < PTF_ROLE_COUNT; role++)
        same = same_start(a->tensors[role], b->tensors[role]);
    return same;
}

bool ptf_op_commutes(const ptf_node *node)
{
    static const bool commutes[PTF_OP_COUNT] = {
        [PTF_OP_ADD] = true,
        [PTF_OP_MUL] = true,
        [PTF_OP_MAXIMUM] = true,
        [PTF_OP_MINIMUM] = true,
    };
    return node->input_count == 2 && commutes[node->op];
}

/* --------------------------------------------------------------- identities */

static const ptf_shape *in_shape(const ptf_net *net, const ptf_shape *shapes,
                                 int node, int k)
{
    return &shapes[net->nodes[node].inputs[k]];
}

/* Equal but for axes of size 1 at the end of one of them. */
static bool extends(const ptf_shape *a, const ptf_shape *b)
{
    bool same = true;
    for (int d = 0; same && (d < a->rank || d < b->rank); d++)
        same = (d < a->rank ? a->dim[d] : 1) == (d < b->rank ? b->dim[d] : 1);
    return same;
}

/* Linear as convolution; shapes are those of the operands. */
static bool is_linear_as_conv(const ptf_node *a, const ptf_shape *x,
                              const ptf_node *b, const ptf_shape *map)
{
    int axes = ptf_op_map_axes(b->op), first = PTF_MAP_AXES - axes;
    bool same = a->op == PTF_OP_LINEAR && x->rank == 1 && axes > 0 &&
                ptf_op_is(b->op, PTF_FAMILY_PRODUCT) &&
                !ptf_op_is_transposed(b->op) && map->rank == 1 + axes &&
                b->attrs.groups == 1 && b->attrs.in_channels == map->dim[0] &&
                a->attrs.in_channels == ptf_shape_numel(map) &&
                a->attrs.out_channels == b->attrs.out_channels;
    for (int d = 0; same && d < axes; d++)
        same = b->attrs.kernel[first + d] == map->dim[1 + d] &&
               b->attrs.padding[first + d] == 0 &&
               b->attrs.more[first + d] == 0 &&
               b->attrs.dilation[first + d] == 1;
    return same;
}

/* Cuts to a range: its ends, or those that the attributes say. */
typedef struct range {
    bool is_cut, is_said;
    double low, high;
} range;

static range range_of(const ptf_node *node)
{
    static const range ranges[PTF_OP_COUNT] = {
        [PTF_OP_RELU] = {true, false, 0, HUGE_VAL},
        [PTF_OP_RELU6] = {true, false, 0, 6},
        [PTF_OP_HARDTANH] = {true, true, 0, 0},
        [PTF_OP_CLAMP] = {true, true, 0, 0},
    };
    range r = ranges[node->op];
    if (r.is_said)
        r = (range){true, true, node->attrs.p[0], node->attrs.p[1]};
    return r;
}

static bool same_range(const ptf_node *a, const ptf_node *b)
{
    range x = range_of(a), y = range_of(b);
    return x.is_cut && y.is_cut && x.low <= y.low && x.low >= y.low &&
           x.high <= y.high && x.high >= y.high;
}

/* Averages over windows that are alike, of all axes of a map. */
typedef struct averages {
    bool are;
    int64_t kernel[PTF_SHAPE_MAX], stride[PTF_SHAPE_MAX]; /* of one: 0 */
} averages;

/* A mean is one window of all that it goes over; x is the operand's shape. */
static averages mean_of(const ptf_node *node, const ptf_shape *x)
{
    averages a = {.are = node->attrs.dims.count == x->rank - 1};
    bool reduced[PTF_SHAPE_MAX] = {false};
    a.are = a.are && ptf_reduced_axes(&node->attrs, x->rank, reduced) &&
            !reduced[0];
    for (int d = 1; d < x->rank; d++)
        a.kernel[d] = x->dim[d];
    return a;
}

static averages averages_of(const ptf_node *node, const ptf_shape *x)
{
    const ptf_attrs *t = &node->attrs;
    ptf_pool_kind kind = ptf_op_pool_kind(node->op);
    int axes = ptf_op_map_axes(node->op);
    if (node->op == PTF_OP_MEAN)
        return mean_of(node, x);
    averages a = {.are = ptf_op_is(node->op, PTF_FAMILY_POOL) && kind.mean &&
                         t->divisor == 0 && x->rank == 1 + axes};
    for (int d = 1; a.are && d < x->rank; d++) {
        int i = d + PTF_MAP_AXES - x->rank;
        int64_t size = x->dim[d];
        int64_t count = !kind.adaptive          ? ptf_window_count(t, i, size)
                        : t->output_size[i] > 0 ? t->output_size[i]
                                                : size;
        a.kernel[d] = kind.adaptive ? size / count : t->kernel[i];
        a.stride[d] = count == 1      ? 0
                      : kind.adaptive ? a.kernel[d]
                                      : t->stride[i];
        a.are = kind.adaptive
                    ? size % count == 0
                    : t->padding[i] == 0 &&
                          (count - 1) * t->stride[i] + t->kernel[i] <= size;
    }
    return a;
}

static bool same_averages(const ptf_node *a, const ptf_shape *x,
                          const ptf_node *b, const ptf_shape *y)
{
    averages v = averages_of(a, x), w = averages_of(b, y);
    return v.are && w.are && x->rank == y->rank &&
           memcmp(v.kernel, w.kernel, sizeof(v.kernel)) == 0 &&
           memcmp(v.stride, w.stride, sizeof(v.stride)) == 0;
}

static bool same_softmax(const ptf_node *a, const ptf_shape *x,
                         const ptf_node *b, const ptf_shape *y)
{
    return a->op == b->op && ptf_op_is(a->op, PTF_FAMILY_SOFTMAX) &&
           ptf_softmax_axis(&a->attrs, x->rank + 1) ==
               ptf_softmax_axis(&b->attrs, y->rank + 1);
}

/* Statistics that one of them has make a batch norm of a norm by the sample. */
static bool same_statistics(const ptf_node *a, const ptf_node *b)
{
    return (a->tensors[PTF_ROLE_RUNNING_MEAN] == NULL) ==
           (b->tensors[PTF_ROLE_RUNNING_MEAN] == NULL);
}

static bool same_weight_shape(const ptf_node *a, const ptf_node *b)
{
    const ptf_tensor *v = a->tensors[PTF_ROLE_WEIGHT],
                     *w = b->tensors[PTF_ROLE_WEIGHT];
    return v->rank == w->rank &&
           memcmp(v->shape, w->shape, (size_t)v->rank * sizeof(*v->shape)) == 0;
}

/* Whether axes of size 1 at the end make no difference to the op. */
static bool takes_extended(const ptf_node *b)
{
    return ptf_op_is(b->op, PTF_FAMILY_UNARY) ||
           ptf_op_is(b->op, PTF_FAMILY_AFFINE) ||
           ptf_op_is(b->op, PTF_FAMILY_SOFTMAX);
}

/* What is told where there is nobody to tell more, or no memory for it. */
static const char *or_plain(const char *text)
{
    return text != NULL ? text : "does something else than in the original";
}

/* Same, but for the shapes of what is read; what is told of it, or NULL. */
static const char *other_op(const ptf_pairing *p, int a, int b)
{
    const ptf_node *from = &p->g->a->nodes[a], *to = &p->g->b->nodes[b];
    const ptf_shape *x = in_shape(p->g->a, p->g->a_shapes, a, 0);
    const ptf_shape *y = in_shape(p->g->b, p->g->b_shapes, b, 0);
    bool affine = both_are(from, to, PTF_FAMILY_AFFINE);
    if (same_range(from, to) || same_softmax(from, x, to, y) ||
        same_averages(from, x, to, y))
        return NULL;
    if (from->op != to->op && !affine)
        return or_plain(
            p->arena == NULL
                ? NULL
                : ptf_arena_printf(p->arena, "is %s, and is %s in the original",
                                   ptf_op_info(to->op)->name,
                                   ptf_op_info(from->op)->name));
    const char *field = ptf_attrs_other(from, to);
    bool windows = field != NULL && strcmp(field, "ceil_mode") == 0;
    if (field != NULL && !windows)
        return or_plain(
            p->arena == NULL
                ? NULL
                : ptf_arena_printf(
                      p->arena, "has another %s than in the original", field));
    if (!same_statistics(from, to))
        return "has running statistics in one of the networks only";
    if (ptf_op_is(to->op, PTF_FAMILY_PRODUCT) && !same_weight_shape(from, to))
        return "has weights of another shape than in the original";
    return NULL;
}

/* Of what both read; 'swapped': operands 0 and 1. */
static bool same_shapes(const ptf_graphs *g, int a, int b, bool swapped)
{
    const ptf_node *to = &g->b->nodes[b];
    bool same = true;
    for (int k = 0; same && k < to->input_count; k++) {
        const ptf_shape *x =
            in_shape(g->a, g->a_shapes, a, swapped ? 1 - k : k);
        const ptf_shape *y = in_shape(g->b, g->b_shapes, b, k);
        same = extends(x, y) && (takes_extended(to) || x->rank == y->rank);
    }
    return same;
}

const char *ptf_identity_broken(const ptf_pairing *p, int a, int b)
{
    const ptf_graphs *g = p->g;
    const ptf_node *from = &g->a->nodes[a], *to = &g->b->nodes[b];
    if (to->input_count == 0)
        return NULL;
    if (from->op == PTF_OP_LINEAR && to->op != PTF_OP_LINEAR)
        return is_linear_as_conv(from, in_shape(g->a, g->a_shapes, a, 0), to,
                                 in_shape(g->b, g->b_shapes, b, 0))
                   ? NULL
                   : "is no convolution over all of a map, as a linear layer is";
    const char *other = other_op(p, a, b);
    if (other == NULL && !same_shapes(g, a, b, false) &&
        !(ptf_op_commutes(to) && same_shapes(g, a, b, true)))
        return "reads values of another shape than in the original";
    if (other == NULL &&
        ptf_shape_numel(&g->a_shapes[a]) != ptf_shape_numel(&g->b_shapes[b]))
        return "gives values of another shape than in the original";
    return other;
}
