/*
 * merge_branches: convolutions of one value that are added up become one, with
 * the batch norms after each and after the sum, the value itself, and averages
 * of it, as structural re-parameterisation trains them:
 *
 *     x -+- conv 3x3 - norm -+
 *        +- conv 1x1 - norm -+- add - ReLU      x - conv 3x3 - ReLU
 *        +------------- norm -+
 *
 * By distribution each branch is a sum over taps of x, w x + b, and so is their
 * sum; what has a smaller window has zeros around it.  An average has the same
 * weight at each tap, the value itself is one tap of weight 1.  All strides
 * must be the same.  Numbers are added up in double and rounded once to f32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/batchnorm.h"

#include <math.h>

enum { MOST_DEPTH = 64, MOST_BRANCHES = 64 };

/* A convolution, an average, or the value itself, times a scale for each
 * channel. */
typedef struct branch {
    int node;
    double *scale;
} branch;

typedef struct sum {
    branch branches[MOST_BRANCHES];
    int count;
    double *bias;
} sum;

typedef struct merging {
    ptf_net_edit *edit;
    const ptf_shape *shapes;
    ptf_arena arena; /* for one sum */
    int source;      /* that all of its branches read */
    int64_t channels;
    bool *inside; /* per node: of the sum */
    int depth;
    ptf_error *err;
} merging;

/* ---------------------------------------------------------------- structure */

static bool is_convolution(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_PRODUCT) &&
           ptf_op_map_axes(node->op) > 0 && !ptf_op_is_transposed(node->op) &&
           !node->attrs.scale_shift;
}

static bool is_average(const ptf_node *node)
{
    static const bool averages[PTF_OP_COUNT] = {
        [PTF_OP_AVGPOOL1D] = true,
        [PTF_OP_AVGPOOL2D] = true,
        [PTF_OP_AVGPOOL3D] = true,
    };
    return averages[node->op];
}

/* What adds up branches, or scales one. */
typedef enum role {
    NO_ROLE,
    ADDS,
    SUBTRACTS,
    CHANGES, /* by a constant */
    NORMS,
    PASSES,
} role;

static bool is_constant(const merging *m, int node)
{
    return m->edit->nodes[node].op == PTF_OP_CONSTANT;
}

static role role_of(const merging *m, int at)
{
    static const role roles[PTF_OP_COUNT] = {
        [PTF_OP_ADD] = ADDS,        [PTF_OP_SUB] = SUBTRACTS,
        [PTF_OP_MUL] = CHANGES,     [PTF_OP_DROPOUT] = PASSES,
        [PTF_OP_IDENTITY] = PASSES,
    };
    const ptf_node *node = &m->edit->nodes[at];
    role r = roles[node->op];
    if (ptf_norm_moves(node))
        return NORMS;
    if (r == NO_ROLE || node->input_count == 1)
        return r;
    int constants =
        is_constant(m, node->inputs[0]) + is_constant(m, node->inputs[1]);
    if (constants == 1)
        return CHANGES;
    return constants == 0 && r != CHANGES ? r : NO_ROLE;
}

/* The value that the first convolution of a sum reads, or -1. */
static int find_read(const merging *m, int at, int depth)
{
    const ptf_node *node = &m->edit->nodes[at];
    if (depth > 0 && ptf_net_consumers(m->edit->net, at) != 1)
        return -1; /* it is no part of the sum alone */
    if (is_convolution(node))
        return node->inputs[0];
    if (role_of(m, at) == NO_ROLE || depth == MOST_DEPTH)
        return -1;
    int found = -1;
    for (int k = 0; found < 0 && k < node->input_count; k++)
        found = find_read(m, node->inputs[k], depth + 1);
    return found;
}

/* --------------------------------------------------------------------- sums */

static double *ones(merging *m)
{
    double *x = ptf_arena_array(&m->arena, (size_t)m->channels, sizeof(*x));
    for (int64_t c = 0; x != NULL && c < m->channels; c++)
        x[c] = 1;
    return x;
}

static bool same_shape(const ptf_shape *a, const ptf_shape *b)
{
    return a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) == 0;
}

/* Of all windows or none: whether the divisor is the same for all of them. */
static bool averages_alike(const merging *m, int at)
{
    const ptf_node *node = &m->edit->nodes[at];
    const ptf_shape *in = &m->shapes[node->inputs[0]], *out = &m->shapes[at];
    int axes = ptf_op_map_axes(node->op), first = PTF_MAP_AXES - axes;
    bool alike = in->rank == 1 + axes, padded = false;
    for (int d = 0; alike && d < axes; d++) {
        int64_t padding = node->attrs.padding[first + d];
        int64_t last = (out->dim[1 + d] - 1) * node->attrs.stride[first + d];
        padded = padded || padding != 0;
        alike = last + node->attrs.kernel[first + d] <=
                in->dim[1 + d] + 2 * padding;
    }
    return alike && (!padded || node->attrs.divisor > 0 ||
                     node->attrs.count_include_pad);
}

/* One branch; *ok: it is one. */
static ptf_status take_branch(merging *m, int at, sum *out, bool *ok)
{
    const ptf_node *node = &m->edit->nodes[at];
    bool reads = at == m->source ||
                 (node->input_count == 1 && node->inputs[0] == m->source);
    *ok = reads && (at == m->source || is_convolution(node) ||
                    (is_average(node) && averages_alike(m, at)));
    if (!*ok)
        return PTF_OK;
    out->count = 1;
    out->branches[0] = (branch){at, ones(m)};
    out->bias =
        ptf_arena_array(&m->arena, (size_t)m->channels, sizeof(*out->bias));
    if (out->branches[0].scale == NULL || out->bias == NULL)
        return ptf_fail_memory(m->err);
    bool biased = at != m->source && is_convolution(node) &&
                  node->tensors[PTF_ROLE_BIAS] != NULL;
    return biased ? ptf_tensor_read_f64(node->tensors[PTF_ROLE_BIAS], out->bias,
                                        m->err)
                  : PTF_OK;
}

static void scale_sum(sum *s, int64_t c, double by)
{
    for (int i = 0; i < s->count; i++)
        s->branches[i].scale[c] *= by;
}

static ptf_status norm_sum(merging *m, int at, sum *s, bool *ok)
{
    ptf_norm norm;
    ptf_status status =
        ptf_norm_read(&m->arena, &m->edit->nodes[at], &norm, m->err);
    *ok = status == PTF_OK && norm.channels == m->channels;
    for (int64_t c = 0; *ok && c < m->channels; c++) {
        s->bias[c] = (s->bias[c] - norm.mean[c]) * norm.scale[c] + norm.beta[c];
        scale_sum(s, c, norm.scale[c]);
    }
    return status;
}

/* s becomes s * c, s + c, s - c or c - s. */
static void change_channel(const merging *m, int at, sum *s, int64_t channel,
                           double c)
{
    const ptf_node *node = &m->edit->nodes[at];
    bool subtracts = node->op == PTF_OP_SUB;
    if (node->op == PTF_OP_MUL) {
        s->bias[channel] *= c;
        scale_sum(s, channel, c);
    } else if (subtracts && is_constant(m, node->inputs[0])) {
        s->bias[channel] = c - s->bias[channel];
        scale_sum(s, channel, -1);
    } else {
        s->bias[channel] += subtracts ? -c : c;
    }
}

/* With one number, or one for each channel of a map of that shape. */
static ptf_status change_sum(merging *m, int at, sum *s, bool *ok)
{
    const ptf_node *node = &m->edit->nodes[at];
    int constant = node->inputs[is_constant(m, node->inputs[0]) ? 0 : 1];
    const ptf_tensor *tensor =
        m->edit->nodes[constant].tensors[PTF_ROLE_WEIGHT];
    int64_t count = ptf_tensor_numel(tensor);
    int axis = tensor->rank - m->shapes[at].rank;
    *ok = count == 1 ||
          (count == m->channels && axis >= 0 && tensor->shape[axis] == count);
    if (!*ok)
        return PTF_OK;
    double *by = ptf_arena_array(&m->arena, (size_t)count, sizeof(*by));
    ptf_status status = by != NULL ? ptf_tensor_read_f64(tensor, by, m->err)
                                   : ptf_fail_memory(m->err);
    for (int64_t c = 0; status == PTF_OK && c < m->channels; c++)
        change_channel(m, at, s, c, by[count == 1 ? 0 : c]);
    return status;
}

static bool add_sum(const merging *m, const sum *from, double sign, sum *to)
{
    if (to->count + from->count > MOST_BRANCHES)
        return false;
    for (int64_t c = 0; c < m->channels; c++) {
        to->bias[c] += sign * from->bias[c];
        for (int i = 0; i < from->count; i++)
            from->branches[i].scale[c] *= sign;
    }
    memcpy(to->branches + to->count, from->branches,
           (size_t)from->count * sizeof(*from->branches));
    to->count += from->count;
    return true;
}

static ptf_status take(merging *m, int at, bool top, sum *out, bool *ok);

/* Both operands of a sum or difference, of which none is repeated. */
static ptf_status take_both(merging *m, int at, sum *out, bool *ok)
{
    const ptf_node *node = &m->edit->nodes[at];
    bool same =
        same_shape(&m->shapes[node->inputs[0]], &m->shapes[node->inputs[1]]);
    sum *other = ptf_arena_alloc(&m->arena, sizeof(*other));
    if (other == NULL)
        return ptf_fail_memory(m->err);
    *ok = false;
    if (!same || node->inputs[0] == node->inputs[1])
        return PTF_OK;
    ptf_status status = take(m, node->inputs[0], false, out, ok);
    if (status == PTF_OK && *ok)
        status = take(m, node->inputs[1], false, other, ok);
    if (status == PTF_OK && *ok)
        *ok = add_sum(m, other, role_of(m, at) == SUBTRACTS ? -1 : 1, out);
    return status;
}

/* The value of 'at' as a sum of branches of the source. */
static ptf_status take(merging *m, int at, bool top, sum *out, bool *ok)
{
    const ptf_node *node = &m->edit->nodes[at];
    role r = at == m->source ? NO_ROLE : role_of(m, at);
    bool own =
        at == m->source || top || ptf_net_consumers(m->edit->net, at) == 1;
    *ok = false;
    if (!own || m->edit->dead[at] || m->depth == MOST_DEPTH ||
        m->shapes[at].rank < 2 || m->shapes[at].dim[0] != m->channels)
        return PTF_OK;
    m->inside[at] = at != m->source;
    if (r == NO_ROLE)
        return take_branch(m, at, out, ok);
    m->depth++;
    int operand = r == CHANGES && is_constant(m, node->inputs[0]) ? 1 : 0;
    bool repeats =
        r == CHANGES &&
        !same_shape(&m->shapes[node->inputs[operand]], &m->shapes[at]);
    ptf_status status = r == ADDS || r == SUBTRACTS ? take_both(m, at, out, ok)
                        : repeats
                            ? PTF_OK
                            : take(m, node->inputs[operand], false, out, ok);
    m->depth--;
    if (status == PTF_OK && *ok && r == NORMS)
        return norm_sum(m, at, out, ok);
    if (status == PTF_OK && *ok && r == CHANGES)
        return change_sum(m, at, out, ok);
    return status;
}

/* ------------------------------------------------------------------ windows */

/* Where tap k of a branch is along an axis of the host, or -1. */
static int64_t find_tap(const ptf_attrs *from, const ptf_attrs *host, int d,
                        int64_t k)
{
    int64_t off = from == NULL ? host->padding[d]
                               : k * from->dilation[d] - from->padding[d] +
                                     host->padding[d];
    int64_t at = off / host->dilation[d];
    return off < 0 || off % host->dilation[d] != 0 || at >= host->kernel[d]
               ? -1
               : at;
}

/* A branch as weights: [channels][read][taps]. */
typedef struct window {
    const ptf_attrs *attrs; /* NULL: one tap */
    int64_t groups, taps;
    const double *weight; /* NULL: all are 'each' */
    double each;
} window;

static ptf_status window_of(merging *m, const branch *b, window *out)
{
    const ptf_node *node = &m->edit->nodes[b->node];
    *out = (window){NULL, m->channels, 1, NULL, 1};
    if (b->node == m->source)
        return PTF_OK;
    out->attrs = &node->attrs;
    for (int d = 0; d < PTF_MAP_AXES; d++)
        out->taps *= node->attrs.kernel[d];
    int64_t divisor = node->attrs.divisor;
    out->each = 1 / (double)(divisor > 0 ? divisor : out->taps);
    if (is_average(node))
        return PTF_OK;
    const ptf_tensor *weight = node->tensors[PTF_ROLE_WEIGHT];
    double *numbers = ptf_arena_array(
        &m->arena, (size_t)ptf_tensor_numel(weight), sizeof(*numbers));
    if (numbers == NULL)
        return ptf_fail_memory(m->err);
    out->weight = numbers;
    out->groups = node->attrs.groups;
    return ptf_tensor_read_f64(weight, numbers, m->err);
}

/* Where weight 'at' of row o of a branch is in the host's weights, or -1. */
static int64_t place_of(const merging *m, const window *from,
                        const ptf_node *host, int64_t o, int64_t at)
{
    const ptf_attrs *to = &host->attrs;
    int64_t rest = at % from->taps, tap[PTF_MAP_AXES];
    int64_t in = to->in_channels, read = in / to->groups;
    for (int d = PTF_MAP_AXES - 1; d >= 0; d--) {
        int64_t size = from->attrs != NULL ? from->attrs->kernel[d] : 1;
        tap[d] = find_tap(from->attrs, to, d, rest % size);
        rest /= size;
        if (tap[d] < 0)
            return -1;
    }
    int64_t channel = o / (m->channels / from->groups) * (in / from->groups) +
                      at / from->taps - o / (m->channels / to->groups) * read;
    if (channel < 0 || channel >= read)
        return -1;
    int64_t place = o * read + channel;
    for (int d = 0; d < PTF_MAP_AXES; d++)
        place = place * to->kernel[d] + tap[d];
    return place;
}

/* Adds a branch to the host's weights; false: they have no place for it. */
static bool add_window(const merging *m, const window *from, const branch *b,
                       const ptf_node *host, double *weights)
{
    int64_t row = host->attrs.in_channels / from->groups * from->taps;
    for (int64_t i = 0; i < m->channels * row; i++) {
        int64_t o = i / row, at = place_of(m, from, host, o, i % row);
        if (at < 0)
            return false;
        double w = from->weight != NULL ? from->weight[i] : from->each;
        weights[at] += b->scale[o] * w;
    }
    return true;
}

static bool same_strides(const merging *m, const sum *s, const ptf_node *host)
{
    bool same = true;
    for (int i = 0; same && i < s->count; i++) {
        int at = s->branches[i].node;
        const ptf_attrs *attrs = &m->edit->nodes[at].attrs;
        for (int d = 0; d < PTF_MAP_AXES; d++)
            same = same && host->attrs.stride[d] ==
                               (at == m->source ? 1 : attrs->stride[d]);
    }
    return same;
}

/* The branch whose window and groups have most weights, or -1. */
static int find_host(const merging *m, const sum *s)
{
    int host = -1;
    int64_t most = 0;
    for (int i = 0; i < s->count; i++) {
        const ptf_node *node = &m->edit->nodes[s->branches[i].node];
        if (s->branches[i].node == m->source || !is_convolution(node))
            continue;
        int64_t weights = ptf_tensor_numel(node->tensors[PTF_ROLE_WEIGHT]);
        if (weights > most)
            host = s->branches[i].node;
        most = ptf_max_i64(most, weights);
    }
    return host >= 0 && same_strides(m, s, &m->edit->nodes[host]) ? host : -1;
}

/* -------------------------------------------------------------------- merge */

/* Rounds them once; *ok: all can be written. */
static ptf_status set_numbers(merging *m, ptf_node *host, const double *weights,
                              const sum *s, bool *ok)
{
    ptf_arena *arena = &m->edit->net->arena;
    const ptf_tensor *old = host->tensors[PTF_ROLE_WEIGHT];
    float *weight = NULL, *bias = NULL;
    ptf_tensor *w = ptf_tensor_new(arena, old->rank, old->shape, &weight);
    ptf_tensor *b = ptf_tensor_new(arena, 1, &m->channels, &bias);
    if (w == NULL || b == NULL)
        return ptf_fail_memory(m->err);
    int64_t count = ptf_tensor_numel(old);
    for (int64_t i = 0; i < count; i++) {
        weight[i] = (float)weights[i];
        *ok = *ok && isfinite(weight[i]);
    }
    for (int64_t c = 0; c < m->channels; c++) {
        bias[c] = (float)s->bias[c];
        *ok = *ok && isfinite(bias[c]);
    }
    if (!*ok)
        return PTF_OK;
    host->tensors[PTF_ROLE_WEIGHT] = w;
    host->tensors[PTF_ROLE_BIAS] = b;
    host->attrs.has_bias = true;
    host->text = NULL;
    return PTF_OK;
}

/* The host becomes the sum, whose nodes go away. */
static ptf_status merge(merging *m, const sum *s, int top, bool *ok)
{
    int at = find_host(m, s);
    *ok = at >= 0 && s->count > 1;
    if (!*ok)
        return PTF_OK;
    ptf_node *host = &m->edit->nodes[at];
    double *weights = ptf_arena_array(
        &m->arena, (size_t)ptf_tensor_numel(host->tensors[PTF_ROLE_WEIGHT]),
        sizeof(*weights));
    ptf_status status = weights != NULL ? PTF_OK : ptf_fail_memory(m->err);
    for (int i = 0; status == PTF_OK && *ok && i < s->count; i++) {
        window from;
        status = window_of(m, &s->branches[i], &from);
        if (status == PTF_OK)
            *ok = add_window(m, &from, &s->branches[i], host, weights);
    }
    if (status == PTF_OK && *ok)
        status = set_numbers(m, host, weights, s, ok);
    if (status != PTF_OK || !*ok)
        return status;
    for (int i = m->source + 1; i <= top; i++)
        m->edit->dead[i] = m->edit->dead[i] || (m->inside[i] && i != at);
    m->edit->nodes[top].inputs[0] = at;
    return PTF_OK;
}

/* A sum that ends here, where there is one. */
static ptf_status try_top(merging *m, int top, int *changed)
{
    sum *s = ptf_arena_alloc(&m->arena, sizeof(*s));
    bool ok = false;
    if (s == NULL)
        return ptf_fail_memory(m->err);
    m->source = find_read(m, top, 0);
    m->channels = m->shapes[top].rank > 0 ? m->shapes[top].dim[0] : 0;
    m->depth = 0;
    memset(m->inside, 0, (size_t)m->edit->net->node_count * sizeof(*m->inside));
    if (m->source < 0)
        return PTF_OK;
    ptf_status status = take(m, top, true, s, &ok);
    if (status == PTF_OK && ok)
        status = merge(m, s, top, &ok);
    *changed += status == PTF_OK && ok ? s->count - 1 : 0;
    return status;
}

ptf_status ptf_pass_merge_branches(ptf_net_edit *edit, const ptf_shape *input,
                                   int *changed, ptf_error *err)
{
    ptf_arena *arena = &edit->net->arena;
    size_t count = (size_t)edit->net->node_count;
    if (input == NULL || !edit->net->has_tensors)
        return ptf_net_fail(err, PTF_ARGUMENT, edit->net,
                            "merge_branches needs %s",
                            input == NULL ? "the shape of the input"
                                          : "the numbers of the layers");
    ptf_shape *shapes = ptf_arena_array(arena, count, sizeof(*shapes));
    merging m = {.edit = edit,
                 .shapes = shapes,
                 .inside = ptf_arena_array(arena, count, sizeof(*m.inside)),
                 .err = err};
    if (shapes == NULL || m.inside == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_net_shapes(edit->net, input, shapes, err);
    for (int i = edit->net->node_count - 1;
         status == PTF_OK && i >= edit->net->input_count; i--) {
        role r = edit->dead[i] ? NO_ROLE : role_of(&m, i);
        if (r != NO_ROLE && r != PASSES)
            status = try_top(&m, i, changed);
        ptf_arena_free(&m.arena);
        m.arena = (ptf_arena){NULL};
    }
    ptf_drop_constants(edit);
    return status;
}
