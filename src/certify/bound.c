/*
 * Part 3 of a certificate: how far the outputs can be from the exact ones.
 * A and B are enclosed from the inputs on; since part 1 says that they are one
 * function up to B's parameters, nothing else needs to be.  Whatever encloses a
 * net better, fills in for enclose_side().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

#include <math.h>

/* The widest ball of each node, for the report on layers. */
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
    int64_t size = ptf_balls_each(enc, node);
    for (int64_t n = 0; n < w->count; n++) {
        ptf_balls balls = ptf_enclosure_node(enc, node, n);
        for (int64_t k = 0; k < size; k++) {
            if (!(balls.radius[k] <= *widest))
                *widest = isnan(balls.radius[k]) ? HUGE_VAL : balls.radius[k];
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

/* True when balls are wider than the outputs are large, in each sample. */
static bool say_nothing(const ptf_check *c, int64_t first, int64_t count)
{
    for (int64_t n = first; n < first + count; n++) {
        double largest = 0, radius = 0;
        const ptf_balls *a = &c->outputs[PTF_SIDE_A];
        const ptf_balls *b = &c->outputs[PTF_SIDE_B];
        int64_t end = (n + 1) * c->outputs_each;
        for (int64_t k = n * c->outputs_each; k < end; k++) {
            largest = fmax(largest, fabs(a->value[k]));
            radius = fmax(radius, a->radius[k] + b->radius[k]);
        }
        if (!c->silent[n] && radius <= largest)
            return false;
    }
    return true;
}

static void add_radii(ptf_check *c)
{
    const double *a = c->sides[PTF_SIDE_A].radius;
    const double *b = c->sides[PTF_SIDE_B].radius;
    for (int i = 0; i < c->sides[PTF_SIDE_B].net->node_count; i++) {
        int value = c->pairs[i].value;
        if (value >= 0)
            c->layers[i].radius = (a[value] + b[i]) * PTF_UP;
    }
}

/* What says nothing on some inputs would say nothing on more. */
ptf_status ptf_check_bound(ptf_check *c, const float *const *in, int64_t count,
                           ptf_error *err)
{
    int64_t together =
        ptf_min_i64(ptf_enclosure_group(c->enclosures[PTF_SIDE_A]),
                    ptf_enclosure_group(c->enclosures[PTF_SIDE_B]));
    int inputs = c->sides[PTF_SIDE_A].net->input_count;
    ptf_status status = PTF_OK;
    int64_t first = 0;
    for (; status == PTF_OK && !c->wide && first < count; first += together) {
        int64_t some = ptf_min_i64(count - first, together);
        for (int k = 0; k < inputs; k++)
            c->at[k] = in[k] + first * c->inputs[k];
        for (int64_t n = first; n < first + some; n++)
            c->silent[n] = false;
        status = enclose_side(c, PTF_SIDE_A, c->at, first, some, err);
        if (status == PTF_OK)
            status = enclose_side(c, PTF_SIDE_B, c->at, first, some, err);
        c->wide = status == PTF_OK && say_nothing(c, first, some);
    }
    add_radii(c);
    for (; first < count; first++)
        c->silent[first] = true;
    return status;
}
