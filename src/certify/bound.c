/*
 * Part 3 of a certificate: how far the outputs can be from the exact ones.
 * A and B are enclosed from the inputs on; since part 1 says that they are one
 * function up to B's parameters, nothing else needs to be.
 *
 * The rule: balls of doubles first, some inputs together.  An input for which
 * they are too wide is evaluated in fixed point (fixed.c): the first such one,
 * or with a bound that is asked for all.  When they say nothing of a whole
 * group, wider than the outputs are large, doubles are not asked any more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

#include <math.h>

/* The widest ball and the largest number of each node, for the report on
 * layers. */
typedef struct widths {
    ptf_check *check;
    int which;
    int64_t count;
} widths;

static void add_width(void *context, int node)
{
    const widths *w = context;
    const ptf_enclosure *enc = w->check->enclosures[w->which];
    double *widest = &w->check->sides[w->which].radius[node];
    double *largest = &w->check->sides[w->which].largest[node];
    int64_t size = ptf_balls_each(enc, node);
    for (int64_t n = 0; n < w->count; n++) {
        ptf_balls balls = ptf_enclosure_node(enc, node, n);
        for (int64_t k = 0; k < size; k++) {
            if (!(balls.radius[k] <= *widest))
                *widest = isnan(balls.radius[k]) ? HUGE_VAL : balls.radius[k];
            ptf_raise_to(largest, fabs(balls.value[k]));
        }
    }
}

/* Balls of the outputs of one side, for samples from 'first' on. */
static ptf_status enclose_side(ptf_check *c, int which, const float *const *in,
                               int64_t first, int64_t count, ptf_error *err)
{
    ptf_enclosure *enc = c->enclosures[which];
    const ptf_net *net = c->sides[which].net;
    widths w = {c, which, count};
    ptf_status status = ptf_enclosure_run_inputs(
        enc, in, count, c->options.layers ? add_width : NULL, &w, err);
    for (int64_t n = 0; status == PTF_OK && n < count; n++) {
        int64_t at = (first + n) * c->outputs_each;
        for (int k = 0; k < net->output_count; k++) {
            ptf_balls balls = ptf_enclosure_node(enc, net->outputs[k].node, n);
            size_t size = (size_t)c->sizes[k] * sizeof(double);
            memcpy(c->outputs[which].value + at, balls.value, size);
            memcpy(c->outputs[which].radius + at, balls.radius, size);
            at += c->sizes[k];
        }
        c->silent[first + n] |= ptf_enclosure_bad(enc, n) >= 0;
    }
    return status;
}

bool ptf_check_settled(const ptf_check *c, int64_t n)
{
    ptf_outcome o = ptf_check_outcome(c, n);
    double width = ptf_outcome_width(&o);
    return width <= c->certificate.goal &&
           (width <= PTF_SETTLED ||
            ptf_outcome_prediction(&o) != PTF_PREDICTION_EQUAL);
}

/* ------------------------------------------------------------------ layers */

static double relative(const ptf_side *side, int node)
{
    double largest = side->largest[node];
    return largest > 0 ? side->radius[node] / largest : 0;
}

/* How many times wider than what it reads a node's ball is, both over their
 * largest numbers. */
static double growth(const ptf_side *side, int node)
{
    const ptf_node *n = &side->net->nodes[node];
    double before = 0;
    for (int k = 0; k < n->input_count; k++)
        before = fmax(before, relative(side, n->inputs[k]));
    return before > 0 ? relative(side, node) / before : 0;
}

static void add_layers(ptf_check *c)
{
    const ptf_side *a = &c->sides[PTF_SIDE_A], *b = &c->sides[PTF_SIDE_B];
    for (int i = 0; c->options.layers && i < b->net->node_count; i++) {
        int value = c->pairs[i].value;
        if (value < 0)
            continue;
        c->layers[i].radius = (a->radius[value] + b->radius[i]) * PTF_UP;
        c->layers[i].growth = growth(b, i);
    }
}

/* ------------------------------------------------------------------ inputs */

/* Samples first .. first + count - 1 by balls of doubles. */
static ptf_status by_doubles(ptf_check *c, const float *const *in,
                             int64_t first, int64_t count, ptf_error *err)
{
    c->wide = true;
    for (int k = 0; k < c->sides[PTF_SIDE_A].net->input_count; k++)
        c->at[k] = in[k] + first * c->inputs[k];
    for (int64_t n = first; n < first + count; n++)
        c->silent[n] = false;
    ptf_status status = enclose_side(c, PTF_SIDE_A, c->at, first, count, err);
    if (status == PTF_OK)
        status = enclose_side(c, PTF_SIDE_B, c->at, first, count, err);
    for (int64_t n = first; status == PTF_OK && n < first + count; n++) {
        ptf_outcome o = ptf_check_outcome(c, n);
        c->silent[n] = !(ptf_outcome_width(&o) <= 1);
        c->wide = c->wide && c->silent[n];
    }
    return status;
}

/* One input in fixed point, where that is asked for and possible. */
static ptf_status by_digits(ptf_check *c, const float *const *in, int64_t n,
                            ptf_error *err)
{
    bool all = c->options.bound > 0 || c->options.bits > 0;
    if (c->over || ptf_check_settled(c, n) || (c->tried && !all))
        return PTF_OK;
    c->tried = true;
    for (int k = 0; k < c->sides[PTF_SIDE_A].net->input_count; k++)
        c->at[k] = in[k] + n * c->inputs[k];
    return ptf_check_fixed(c, c->at, n, err);
}

ptf_status ptf_check_bound(ptf_check *c, const float *const *in, int64_t count,
                           ptf_error *err)
{
    int64_t together =
        ptf_min_i64(ptf_enclosure_group(c->enclosures[PTF_SIDE_A]),
                    ptf_enclosure_group(c->enclosures[PTF_SIDE_B]));
    ptf_status status = PTF_OK;
    for (int64_t n = 0; n < count; n++)
        c->silent[n] = true;
    for (int64_t n = 0; n < count && status == PTF_OK; n += together)
        if (!c->wide && c->options.bits == 0)
            status =
                by_doubles(c, in, n, ptf_min_i64(count - n, together), err);
    for (int64_t n = 0; n < count && status == PTF_OK; n++)
        status = by_digits(c, in, n, err);
    add_layers(c);
    return status;
}
