/*
 * The form of each node of a region from those of its operands, and what comes
 * of it: the numbers that B's product is to have.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/form.h"

#include <math.h>

/* ---------------------------------------------------------------- products */

/* Channel k of what a product reads, as the plain form before it has it. */
typedef struct lead {
    const ptf_form *plain;
    int64_t each; /* 0: a map's channels; else see linear layers */
} lead;

static int64_t lead_channel(const lead *l, int64_t k)
{
    return l->plain->channels == 1 ? 0
           : l->each == 0          ? k
                                   : k / l->each % l->plain->channels;
}

/* Linear layers take channels of the last axis, and others in between. */
static bool find_lead(ptf_forming *f, const ptf_node *node,
                      const ptf_shape *shape, const ptf_form *plain, lead *out)
{
    bool linear = node->op == PTF_OP_LINEAR;
    int64_t features = node->attrs.in_channels;
    *out = (lead){plain, linear ? plain->inner : 0};
    if (plain->channels == 1)
        return true;
    bool fits = linear ? features % (plain->inner * plain->channels) == 0
                       : plain->channels == features &&
                             plain->inner * features == ptf_shape_numel(shape);
    if (!fits)
        f->reason = ptf_form_channels;
    return fits;
}

static bool pads(const ptf_node *node)
{
    bool any = ptf_op_is_transposed(node->op);
    for (int d = 0; d < PTF_MAP_AXES; d++)
        any = any || node->attrs.padding[d] != 0 || node->attrs.more[d] != 0;
    return any;
}

static void set_axes(const ptf_attrs *attrs, ptf_form *out)
{
    for (int d = 0; d < PTF_MAP_AXES; d++)
        out->axes[d] = (ptf_form_taps){-attrs->padding[d], attrs->dilation[d],
                                       attrs->kernel[d], attrs->stride[d]};
}

/*
 * b + sum of w t as if in twice the precision, within 2 u of itself and (n u)^2
 * of the terms (Ogita, Rump, Oishi, 2005), and what is not known of t.
 */
typedef struct dot {
    double sum, rest, size, unknown;
    int64_t count;
} dot;

static void dot_add(dot *d, double w, ptf_ball t)
{
    double x = w * t.value, off = fma(w, t.value, -x);
    double y = d->sum + x, part = y - d->sum;
    d->rest += (d->sum - (y - part)) + (x - part) + off;
    d->sum = y;
    d->size += fabs(x);
    d->unknown += fabs(w) * t.radius;
    d->count++;
}

static ptf_ball dot_ball(const dot *d)
{
    double y = d->sum + d->rest, n = (double)(d->count + 2) * PTF_U;
    double r = 2 * PTF_U * fabs(y) + n * n * d->size + d->unknown;
    return (ptf_ball){y, r * (1 + 0x1p-18) + PTF_TINY};
}

/* Row o of a product's weights times the plain form before it. */
static void fill_row(const ptf_parameters *n, const lead *l, int64_t o,
                     bool shifted, ptf_form *out)
{
    int64_t row = ptf_form_row(out), read = out->in / out->groups;
    int64_t first = o / (out->channels / out->groups) * read;
    dot d = {.sum = n->bias.value != NULL ? n->bias.value[o] : 0};
    double terms = fabs(d.sum);
    d.size = terms;
    for (int64_t k = 0; k < row; k++) {
        int64_t i = o * row + k;
        int64_t c = lead_channel(l, first + k / (row / read));
        ptf_ball w = ptf_constant_at(n, i),
                 t = ptf_sums_get(&l->plain->bias, c);
        ptf_sums_set(&out->weight, i,
                     ptf_ball_times(w, ptf_sums_get(&l->plain->weight, c)));
        if (!shifted)
            continue;
        dot_add(&d, w.value, t);
        terms = fmax(terms, fabs(w.value * t.value));
    }
    ptf_sums_set(&out->bias, o, shifted ? dot_ball(&d) : (ptf_ball){d.sum, 0});
    out->bias.terms[o] = terms;
}

static bool product_form(ptf_forming *f, int at, const ptf_form *plain,
                         ptf_form *out)
{
    const ptf_node *node = &f->g->a->nodes[at];
    const ptf_parameters *n = &f->numbers[at];
    const ptf_shape *read = &f->g->a_shapes[node->inputs[0]];
    bool shifted = plain->product == NULL && ptf_form_shifts(plain);
    lead l;
    if (plain->product != NULL)
        f->reason = "has two products, one after the other, in the original";
    else if (shifted && pads(node))
        f->reason = "has zeros in its padding where a batch norm's shift is "
                    "in the original";
    if (f->reason != NULL || !find_lead(f, node, read, plain, &l))
        return true;
    *out = (ptf_form){.product = node,
                      .channels = node->attrs.out_channels,
                      .in = node->attrs.in_channels,
                      .groups = node->attrs.groups};
    set_axes(&node->attrs, out);
    if (node->op == PTF_OP_LINEAR)
        out->groups = 1;
    for (int d = 0; node->op == PTF_OP_LINEAR && d < PTF_MAP_AXES; d++)
        out->axes[d] = (ptf_form_taps){0, 1, 1, 1};
    if (!ptf_sums_make(f, out->channels * ptf_form_row(out), &out->weight) ||
        !ptf_sums_make(f, out->channels, &out->bias))
        return false;
    for (int64_t o = 0; o < out->channels; o++) {
        fill_row(n, &l, o, shifted, out);
        ptf_ball s = n->scale.value != NULL
                         ? (ptf_ball){n->scale.value[o], n->scale.radius[o]}
                         : (ptf_ball){1, 0};
        ptf_ball t = n->scale.value != NULL
                         ? (ptf_ball){n->shift.value[o], n->shift.radius[o]}
                         : (ptf_ball){0, 0};
        for (int64_t k = 0; k < ptf_form_row(out); k++)
            ptf_sums_scale(&out->weight, o * ptf_form_row(out) + k, s,
                           (ptf_ball){0, 0});
        ptf_sums_scale(&out->bias, o, s, t);
    }
    return true;
}

static bool pool_form(ptf_forming *f, int at, ptf_form *plain)
{
    const ptf_node *node = &f->g->a->nodes[at];
    const ptf_attrs *attrs = &node->attrs;
    const ptf_shape *read = &f->g->a_shapes[node->inputs[0]];
    const ptf_shape *out = &f->g->a_shapes[at];
    int axes = ptf_op_map_axes(node->op), first = PTF_MAP_AXES - axes;
    bool same = plain->product == NULL && read->rank == 1 + axes;
    bool padded = false;
    int64_t count = 1;
    for (int d = 0; same && d < axes; d++) {
        int k = first + d;
        int64_t end = (out->dim[1 + d] - 1) * attrs->stride[k] +
                      attrs->kernel[k] - attrs->padding[k];
        padded = padded || attrs->padding[k] != 0;
        count *= attrs->kernel[k];
        same = end <= read->dim[1 + d] + attrs->padding[k];
    }
    same = same && (!padded || attrs->divisor > 0 || attrs->count_include_pad);
    if (!same || (padded && ptf_form_shifts(plain)))
        f->reason = "is an average whose windows are not alike in the original";
    if (f->reason != NULL)
        return true;
    if (!ptf_form_widen(f, node, read, plain) || f->reason != NULL)
        return f->reason != NULL;
    ptf_form one_tap = *plain;
    set_axes(attrs, plain);
    if (!ptf_sums_make(f, plain->channels * count, &plain->weight))
        return false;
    double by = 1 / (double)(attrs->divisor > 0 ? attrs->divisor : count);
    for (int64_t i = 0; i < plain->channels * count; i++)
        ptf_sums_set(&plain->weight, i,
                     ptf_ball_times(ptf_sums_get(&one_tap.weight, i / count),
                                    (ptf_ball){by, 2 * PTF_U * by}));
    if (attrs->divisor > 0 && attrs->divisor != count &&
        ptf_form_shifts(&one_tap))
        f->reason = "is an average by another divisor in the original";
    return true;
}

/* ----------------------------------------------------------------- regions */

/* A constant that has one number, or one for each channel of 'shape'. */
static bool find_constant(ptf_forming *f, int node, int operand,
                          const ptf_shape *shape, ptf_scaling *out)
{
    const ptf_net *a = f->g->a;
    int from = a->nodes[node].inputs[operand];
    const ptf_shape *c = &f->g->a_shapes[from];
    *out = (ptf_scaling){.channels = 1,
                         .inner = 1,
                         .constant = &f->numbers[f->g->a_makers[from]],
                         .op = a->nodes[node].op,
                         .first = operand == 0};
    bool same = c->rank <= shape->rank;
    int64_t inner = 1;
    for (int d = 0; same && d < shape->rank; d++) {
        int at = shape->rank - 1 - d, own = c->rank - 1 - d;
        int64_t size = own >= 0 ? c->dim[own] : 1;
        if (size > 1) {
            same = out->channels == 1 && size == shape->dim[at];
            out->channels = size;
            out->inner = inner;
        }
        inner *= shape->dim[at];
    }
    if (!same)
        f->reason = "has a constant of more than its channels in the original";
    return same;
}

/* The form of an operand: that of the source, or one that is made already. */
static bool operand_form(ptf_forming *f, int from, const ptf_form *forms,
                         const int *list, int count, ptf_form *out)
{
    if (f->g->a_makers[from] == f->g->a_makers[f->source]) {
        *out = (ptf_form){.channels = 1, .inner = 1};
        if (!ptf_sums_make(f, 1, &out->weight) ||
            !ptf_sums_make(f, 1, &out->bias))
            return false;
        ptf_sums_set(&out->weight, 0, (ptf_ball){1, 0});
        return true;
    }
    for (int i = 0; i < count; i++) {
        if (list[i] != from)
            continue;
        *out = forms[i]; /* its numbers may be read again: own ones */
        int64_t weights = out->channels * ptf_form_row(out);
        ptf_sums weight = out->weight, bias = out->bias;
        if (!ptf_sums_make(f, weights, &out->weight) ||
            !ptf_sums_make(f, out->channels, &out->bias))
            return false;
        for (int64_t k = 0; k < weights; k++)
            ptf_sums_add(&out->weight, k, &weight, k, 1);
        for (int64_t k = 0; k < out->channels; k++)
            ptf_sums_add(&out->bias, k, &bias, k, 1);
        return true;
    }
    return false;
}

static bool is_constant(const ptf_forming *f, int node)
{
    return f->g->a->nodes[f->g->a_makers[node]].op == PTF_OP_CONSTANT;
}

static bool same_shape(const ptf_shape *a, const ptf_shape *b)
{
    return a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) == 0;
}

/* Two operands, of which one may be a constant. */
static bool binary_form(ptf_forming *f, int node, const ptf_form *forms,
                        const int *list, int count, ptf_form *out)
{
    const ptf_node *n = &f->g->a->nodes[node];
    const ptf_shape *shapes = f->g->a_shapes;
    int constant = is_constant(f, n->inputs[0])   ? 0
                   : is_constant(f, n->inputs[1]) ? 1
                                                  : -1;
    ptf_scaling s;
    ptf_form other;
    int first = constant == 0;
    if (!same_shape(&shapes[n->inputs[first]], &shapes[node])) {
        f->reason = "has a value repeated along an axis in the original";
        return true;
    }
    if (!operand_form(f, n->inputs[first], forms, list, count, out))
        return false;
    if (constant >= 0)
        return !find_constant(f, node, constant, &shapes[node], &s) ||
               ptf_form_scale(f, out, &shapes[node], &s);
    if (!same_shape(&shapes[n->inputs[1]], &shapes[node])) {
        f->reason = "has a value repeated along an axis in the original";
        return true;
    }
    return operand_form(f, n->inputs[1], forms, list, count, &other) &&
           ptf_form_add(f, &shapes[node], out, &other,
                        n->op == PTF_OP_SUB ? -1 : 1);
}

/* A view of the same numbers keeps channels where they lie. */
static bool view_form(ptf_forming *f, int node, ptf_form *out)
{
    const ptf_shape *to = &f->g->a_shapes[node];
    const ptf_shape *from = &f->g->a_shapes[f->g->a->nodes[node].inputs[0]];
    bool keeps = same_shape(from, to) || out->product == NULL ||
                 (out->product->op != PTF_OP_LINEAR && to->rank > 0 &&
                  to->dim[0] == from->dim[0]);
    if (!keeps)
        f->reason = "is seen in another shape in the original";
    return true;
}

static bool form_of(ptf_forming *f, int node, const ptf_form *forms,
                    const int *list, int count, ptf_form *out)
{
    const ptf_node *n = &f->g->a->nodes[node];
    const ptf_shape *shape = &f->g->a_shapes[node];
    ptf_form plain;
    if (ptf_op_is(n->op, PTF_FAMILY_BINARY))
        return binary_form(f, node, forms, list, count, out);
    if (!operand_form(f, n->inputs[0], forms, list, count, &plain))
        return false;
    if (ptf_op_is(n->op, PTF_FAMILY_PRODUCT))
        return product_form(f, node, &plain, out);
    *out = plain;
    if (ptf_op_is(n->op, PTF_FAMILY_POOL))
        return pool_form(f, node, out);
    if (ptf_passes_on(n))
        return view_form(f, node, out);
    int64_t channels = n->attrs.out_channels;
    ptf_scaling s = {.channels = channels,
                     .inner = ptf_shape_numel(shape) / channels,
                     .norm = &f->numbers[node]};
    return ptf_form_scale(f, out, shape, &s);
}

/* ------------------------------------------------------------------ result */

/* B's product, of no numbers yet. */
static const char *empty_like(const ptf_node *b, const ptf_form *from,
                              ptf_form *out)
{
    bool linear = b->op == PTF_OP_LINEAR;
    bool transposed = ptf_op_is_transposed(from->product->op);
    *out = (ptf_form){.product = b,
                      .channels = b->attrs.out_channels,
                      .in = b->attrs.in_channels,
                      .groups = linear ? 1 : b->attrs.groups};
    set_axes(&b->attrs, out);
    for (int d = 0; linear && d < PTF_MAP_AXES; d++)
        out->axes[d] = (ptf_form_taps){0, 1, 1, 1};
    bool same = out->channels == from->channels && out->in == from->in &&
                linear == (from->product->op == PTF_OP_LINEAR) &&
                transposed == ptf_op_is_transposed(b->op) &&
                !b->attrs.scale_shift;
    if (!same)
        return "is no product of the same kind as in the original";
    if (transposed && (b->op != from->product->op ||
                       ptf_attrs_other(from->product, b) != NULL))
        return "has other windows than in the original";
    for (int d = 0; d < PTF_MAP_AXES; d++) {
        if (out->axes[d].stride != from->axes[d].stride)
            return "has another stride than in the original";
    }
    return NULL;
}

/* How far a row is off is taken as a part of its Euclidean norm: see product.c
 * of enclose/. */
static ptf_status give(ptf_arena *arena, const ptf_form *x, ptf_parameters *out,
                       ptf_error *err)
{
    int64_t row = ptf_form_row(x);
    *out = (ptf_parameters){.f64 = x->weight.value,
                            .weights = {x->weight.value, x->weight.radius},
                            .weight_terms = x->weight.terms,
                            .bias = {x->bias.value, x->bias.radius},
                            .bias_terms = x->bias.terms,
                            .weight_scale = ptf_balls_new(arena, x->channels)};
    out->norms =
        ptf_arena_array(arena, (size_t)x->channels, sizeof(*out->norms));
    if (out->weight_scale.value == NULL || out->norms == NULL)
        return ptf_fail_memory(err);
    for (int64_t o = 0; o < x->channels; o++) {
        double size = 0, off = 0;
        for (int64_t k = o * row; k < (o + 1) * row; k++) {
            double w = fabs(x->weight.value[k]) + 0x1p-125;
            double r = x->weight.radius[k] + 0x1p-200;
            size += (w + r) * (w + r);
            off += r * r;
        }
        out->norms[o] = sqrt(size) * (1 + 0x1p-18);
        out->weight_scale.value[o] = 1;
        out->weight_scale.radius[o] =
            sqrt(off) * (1 + 0x1p-18) / out->norms[o] * (1 + 0x1p-18);
    }
    return PTF_OK;
}

/* The form of the last node of the list, which is the region's value. */
static bool form_region(ptf_forming *f, const int *list, int count,
                        ptf_form *forms)
{
    bool ok = true;
    for (int i = count - 1; ok && f->reason == NULL && i >= 0; i--)
        ok = form_of(f, list[i], forms, list, count, &forms[i]);
    if (ok && f->reason == NULL && forms[0].product == NULL)
        f->reason = "is no product in the original";
    return ok;
}

ptf_status ptf_form_numbers(ptf_arena *arena, const ptf_graphs *g,
                            const ptf_parameters *numbers, const ptf_pair *pair,
                            int node, ptf_parameters *out, const char **reason,
                            ptf_error *err)
{
    ptf_arena own = {NULL};
    size_t room = (size_t)g->a->node_count;
    int *list = ptf_arena_array(&own, room, sizeof(*list));
    ptf_forming f = {&own, g, numbers, pair->source, NULL, err};
    ptf_form result;
    int count = list == NULL ? 0
                             : ptf_region_list(g->a, g->a_makers, pair->value,
                                               pair->source, list);
    ptf_form *forms = ptf_arena_array(&own, (size_t)count + 1, sizeof(*forms));
    bool ok = list != NULL && forms != NULL && count > 0 &&
              form_region(&f, list, count, forms);
    if (ok && f.reason == NULL)
        f.reason = empty_like(&g->b->nodes[node], &forms[0], &result);
    f.arena = arena;
    ok = ok && (f.reason != NULL || ptf_form_empty(&f, &result));
    if (ok && f.reason == NULL && !ptf_form_move(&forms[0], &result, 1))
        f.reason = "has no weights where the original has some";
    ptf_status status = ok ? PTF_OK : ptf_fail_memory(err);
    if (ok && f.reason == NULL)
        status = give(arena, &result, out, err);
    *reason = f.reason;
    ptf_arena_free(&own);
    return status;
}
