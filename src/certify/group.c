/*
 * One group of inputs through both nets and all enclosures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

#include <math.h>

/* --------------------------------------------------------------------- runs */

/* All outputs of a sample one after the other. */
static void pack(const ptf_check *c, const ptf_side *side, int64_t count,
                 float *to)
{
    for (int64_t n = 0; n < count; n++) {
        for (int k = 0; k < side->net->output_count; to += c->sizes[k++])
            memcpy(to, side->outs[k] + n * c->sizes[k],
                   (size_t)c->sizes[k] * sizeof(*to));
    }
}

/* Both plans of a side; what they give must be the same bits. */
static ptf_status run_side(ptf_check *c, int which, const float *const *in,
                           int64_t count, ptf_error *err)
{
    ptf_side *side = &c->sides[which];
    int inputs = side->net->input_count;
    ptf_status status =
        ptf_plan_run_all(side->plan, in, count, side->outs, err);
    if (status != PTF_OK)
        return status;
    pack(c, side, count, side->out);
    status = ptf_plan_run_all(side->kept, in, count, side->outs, err);
    if (status != PTF_OK)
        return status;
    pack(c, side, count, side->kept_out);
    memcpy(side->taps, in, (size_t)inputs * sizeof(*in));
    for (int i = inputs; i < side->net->node_count; i++) {
        ptf_shape shape;
        side->taps[i] =
            ptf_side_fixed(side, i)
                ? NULL
                : ptf_plan_layer(side->kept, (size_t)(i - inputs), &shape);
    }
    for (int i = 0; i < side->net->node_count; i++)
        side->steps[i] = side->inside[i] ? NULL : side->taps[i];
    size_t size = (size_t)(count * c->outputs_each) * sizeof(float);
    if (memcmp(side->out, side->kept_out, size) != 0)
        c->unequal = (ptf_pair_mismatch){
            "gives other bits when its layers are looked at",
            side->net->nodes[side->net->outputs[0].node].name};
    return PTF_OK;
}

/* Balls through the whole net; keeps those of the outputs. */
static ptf_status enclose_side(ptf_check *c, int which, const float *const *in,
                               int64_t count, ptf_error *err)
{
    ptf_enclosure *enc = c->enclosures[which];
    const ptf_net *net =
        c->sides[which == PTF_SIDE_A ? PTF_SIDE_A : PTF_SIDE_B].net;
    const float **taps = ptf_alloc((size_t)net->node_count * sizeof(*taps));
    if (taps == NULL)
        return ptf_fail_memory(err);
    memcpy(taps, in, (size_t)net->input_count * sizeof(*taps));
    ptf_status status = ptf_enclosure_run_taps(enc, taps, count, false, err);
    ptf_free(taps);
    for (int64_t n = 0; status == PTF_OK && n < count; n++) {
        double *value = c->outputs[which].value + n * c->outputs_each;
        double *radius = c->outputs[which].radius + n * c->outputs_each;
        for (int k = 0; k < net->output_count; k++) {
            ptf_balls balls = ptf_enclosure_node(enc, net->outputs[k].node, n);
            size_t size = (size_t)c->sizes[k];
            memcpy(value, balls.value, size * sizeof(*value));
            memcpy(radius, balls.radius, size * sizeof(*radius));
            value += size;
            radius += size;
        }
        c->silent[n] |= ptf_enclosure_bad(enc, n) >= 0;
    }
    return status;
}

/* ------------------------------------------------------------------- layers */

/* How much is known of a layer's exact values, from the inputs on. */
static void add_radius(ptf_check *c, int node, int64_t count)
{
    ptf_layer_check *layer = &c->layers[node];
    int64_t size =
        ptf_shape_numel(ptf_enclosure_shape(c->enclosures[PTF_SIDE_B], node));
    for (int64_t n = 0; n < count; n++) {
        ptf_balls a = ptf_enclosure_node(c->enclosures[PTF_SIDE_A],
                                         c->pairs[node].value, n);
        ptf_balls b = ptf_enclosure_node(c->enclosures[PTF_SIDE_B], node, n);
        for (int64_t k = 0; k < size; k++) {
            double radius = (a.radius[k] + b.radius[k]) * PTF_UP;
            if (!(radius <= layer->radius))
                layer->radius = isnan(radius) ? HUGE_VAL : radius;
        }
    }
}

/* How many numbers of a layer's run are outside of what f32 allows. */
static int64_t beyond(const ptf_enclosure *enc, const float *tap, int node,
                      int64_t count)
{
    int64_t size = ptf_shape_numel(ptf_enclosure_shape(enc, node)), n = 0;
    for (int64_t i = 0; i < count; i++) {
        ptf_balls balls = ptf_enclosure_node(enc, node, i);
        for (int64_t k = 0; k < size; k++) {
            double off = fabs((double)tap[i * size + k] - balls.value[k]);
            n += !(off * (1 - 4 * PTF_U) <= balls.radius[k]);
        }
    }
    return n;
}

/* Each layer's run on the inputs that it had. */
static void check_runs(ptf_check *c, int which, int64_t count)
{
    const ptf_side *side = &c->sides[which];
    for (int i = side->net->input_count; i < side->net->node_count; i++) {
        if (ptf_side_fixed(side, i))
            continue;
        int64_t n = beyond(c->enclosures[which], side->taps[i], i, count);
        int64_t numbers =
            count *
            ptf_shape_numel(ptf_enclosure_shape(c->enclosures[which], i));
        if (c->not_finite.reason == NULL &&
            !ptf_all_finite(side->taps[i], numbers))
            c->not_finite = (ptf_pair_mismatch){"gives NaN or infinity in f32",
                                                side->net->nodes[i].name};
        c->certificate.runs += numbers;
        c->certificate.runs_beyond += n;
        if (n > 0 && c->beyond == NULL)
            c->beyond = side->net->nodes[i].name;
        if (which == PTF_SIDE_B)
            c->layers[i].runs_beyond += n;
        for (int k = 0;
             which == PTF_SIDE_A && k < c->sides[PTF_SIDE_B].net->node_count;
             k++)
            c->layers[k].runs_beyond += c->pairs[k].value == i ? n : 0;
    }
}

static double largest_gap(const double *a, const double *b, int64_t n)
{
    double most = 0;
    for (int64_t k = 0; k < n; k++)
        most = fmax(most, fabs(a[k] - b[k]));
    return most;
}

static double largest_rounding(const float *run, const double *m, int64_t n)
{
    double most = 0;
    for (int64_t k = 0; k < n; k++)
        most = fmax(most, fabs((double)run[k] - m[k]));
    return most;
}

/*
 * run B - run A = (run B - B(y)) + (B(y) - I(y)) + (I(y) - A(x))
 *                 - (run A - A(x)),
 * where x and y are the inputs that the layer had in A and in B.
 */
static void attribute(ptf_check *c, int node, int64_t count)
{
    ptf_layer_check *layer = &c->layers[node];
    int value = c->pairs[node].value;
    int64_t size =
        ptf_shape_numel(ptf_enclosure_shape(c->enclosures[PTF_SIDE_B], node));
    for (int64_t n = 0; n < count; n++) {
        const float *run_a = c->sides[PTF_SIDE_A].taps[value] + n * size;
        const float *run_b = c->sides[PTF_SIDE_B].taps[node] + n * size;
        ptf_balls a = ptf_enclosure_node(c->enclosures[PTF_SIDE_A], value, n);
        ptf_balls b = ptf_enclosure_node(c->enclosures[PTF_SIDE_B], node, n);
        double *parts[] = {&layer->evaluation_a, &layer->evaluation_b};
        double found[] = {largest_rounding(run_a, a.value, size),
                          largest_rounding(run_b, b.value, size)};
        for (int i = 0; i < 2; i++)
            *parts[i] = fmax(*parts[i], found[i]);
        ptf_difference_add(&layer->difference, run_a, run_b, size);
        if (c->enclosures[PTF_SIDE_I] == NULL)
            continue;
        ptf_balls ideal =
            ptf_enclosure_node(c->enclosures[PTF_SIDE_I], node, n);
        layer->parameter_effect = fmax(layer->parameter_effect,
                                       largest_gap(b.value, ideal.value, size));
        layer->inherited =
            fmax(layer->inherited, largest_gap(ideal.value, a.value, size));
    }
}

/* -------------------------------------------------------------------- group */

/* Calls 'visit' for every node of B that has a counterpart's value, which each
 * input has its own of. */
static void each_layer(ptf_check *c, int64_t count,
                       void (*visit)(ptf_check *c, int node, int64_t count))
{
    for (int i = c->sides[PTF_SIDE_B].net->input_count;
         i < c->sides[PTF_SIDE_B].net->node_count; i++) {
        int value = c->pairs[i].value;
        if (value >= 0 && !ptf_side_fixed(&c->sides[PTF_SIDE_A], value) &&
            !ptf_side_fixed(&c->sides[PTF_SIDE_B], i))
            visit(c, i, count);
    }
}

static ptf_status run_functions(ptf_check *c, const float *const *in,
                                int64_t count, ptf_error *err)
{
    for (int64_t n = 0; n < count; n++)
        c->silent[n] = c->wide;
    if (c->wide)
        return PTF_OK;
    ptf_status status = enclose_side(c, PTF_SIDE_A, in, count, err);
    if (status == PTF_OK)
        status = enclose_side(c, PTF_SIDE_B, in, count, err);
    if (status == PTF_OK && c->options.layers)
        each_layer(c, count, add_radius);
    return status;
}

static ptf_status run_layers(ptf_check *c, int64_t count, ptf_error *err)
{
    ptf_status status =
        ptf_enclosure_run_taps(c->enclosures[PTF_SIDE_A],
                               c->sides[PTF_SIDE_A].steps, count, true, err);
    if (status == PTF_OK)
        status = ptf_enclosure_run_taps(c->enclosures[PTF_SIDE_B],
                                        c->sides[PTF_SIDE_B].steps, count, true,
                                        err);
    if (status == PTF_OK && c->options.layers &&
        c->enclosures[PTF_SIDE_I] != NULL)
        status = ptf_enclosure_run_taps(c->enclosures[PTF_SIDE_I],
                                        c->sides[PTF_SIDE_B].steps, count,
                                        false, err);
    if (status != PTF_OK)
        return status;
    check_runs(c, PTF_SIDE_A, count);
    check_runs(c, PTF_SIDE_B, count);
    if (c->options.layers)
        each_layer(c, count, attribute);
    return PTF_OK;
}

/* Counts the prediction of input number 'sample', and keeps an open one. */
static ptf_status add_prediction(ptf_check *c, int64_t sample,
                                 ptf_prediction kind, ptf_error *err)
{
    c->certificate.predictions[kind]++;
    if (kind == PTF_PREDICTION_CERTIFIED)
        return PTF_OK;
    if (c->open_count == c->open_room) {
        size_t room = 2 * c->open_room + 16;
        ptf_open *open = ptf_realloc(c->open, room * sizeof(*open));
        if (open == NULL)
            return ptf_fail_memory(err);
        c->open = open;
        c->open_room = room;
    }
    c->open[c->open_count++] = (ptf_open){sample, kind};
    return PTF_OK;
}

/* 'first' is the number of the group's first sample. */
static ptf_status add_outcomes(ptf_check *c, int64_t first, int64_t count,
                               ptf_error *err)
{
    int64_t size = c->outputs_each;
    const ptf_balls *a = &c->outputs[PTF_SIDE_A], *b = &c->outputs[PTF_SIDE_B];
    ptf_status status = PTF_OK;
    for (int64_t n = 0; status == PTF_OK && n < count; n++) {
        ptf_outcome outcome = {.outputs =
                                   c->sides[PTF_SIDE_A].net->output_count,
                               .sizes = c->sizes,
                               .run_a = c->sides[PTF_SIDE_A].out + n * size,
                               .run_b = c->sides[PTF_SIDE_B].out + n * size,
                               .rewritten = ptf_check_is_rewrite(c)};
        if (!c->silent[n]) {
            outcome.a = (ptf_balls){a->value + n * size, a->radius + n * size};
            outcome.b = (ptf_balls){b->value + n * size, b->radius + n * size};
        }
        status = add_prediction(
            c, first + n, ptf_certificate_add(&c->certificate, &outcome), err);
    }
    /* What says nothing on these inputs would say nothing on more. */
    c->wide = c->wide || c->certificate.bounded == 0 ||
              !(c->certificate.radius <= c->certificate.largest);
    return status;
}

static ptf_status run_group(ptf_check *c, const float *const *in, int64_t count,
                            ptf_error *err)
{
    for (int k = 0; k < c->sides[PTF_SIDE_A].net->input_count; k++) {
        if (c->not_finite.reason == NULL &&
            !ptf_all_finite(in[k], count * c->inputs[k]))
            c->not_finite =
                (ptf_pair_mismatch){"an input has NaN or infinity", NULL};
    }
    ptf_status status = run_side(c, PTF_SIDE_A, in, count, err);
    if (status == PTF_OK)
        status = run_side(c, PTF_SIDE_B, in, count, err);
    if (status == PTF_OK)
        status = run_functions(c, in, count, err);
    if (status == PTF_OK)
        status = run_layers(c, count, err);
    if (status != PTF_OK)
        return status;
    int64_t first = c->verdict.samples;
    for (int k = 0; k < c->sides[PTF_SIDE_A].net->output_count; k++)
        ptf_verdict_add(&c->each[k], c->sides[PTF_SIDE_A].outs[k],
                        c->sides[PTF_SIDE_B].outs[k], count, c->sizes[k]);
    ptf_verdict_add_outputs(&c->verdict, c->sides[PTF_SIDE_A].out,
                            c->sides[PTF_SIDE_B].out, count, c->sizes,
                            c->sides[PTF_SIDE_A].net->output_count);
    return add_outcomes(c, first, count, err);
}

typedef struct call {
    ptf_check *check;
    const float *const *in;
    int64_t count;
} call;

static ptf_status call_group(void *context, ptf_error *err)
{
    call *c = context;
    return run_group(c->check, c->in, c->count, err);
}

ptf_status ptf_check_group(ptf_check *check, const float *const *in,
                           int64_t count, ptf_error *err)
{
    call c = {check, in, count};
    return ptf_call_ieee(call_group, &c, err);
}
