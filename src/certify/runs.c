/*
 * Part 2 of a certificate: each layer's run against the bounds on rounding, on
 * the inputs that it had, and how the layers' differences come about.  Layers
 * are taken one after the other, and their balls dropped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

#include <math.h>

/* ------------------------------------------------------------------- bounds */

/* Numbers of a run, and the balls that f32 allows them, in parts. */
typedef struct held {
    const float *tap;
    ptf_balls balls;
    int64_t count;
    int64_t *beyond, *not_finite; /* per thread */
} held;

enum { PART = 1 << 16 };

/* A ball without end allows anything, and so proves nothing. */
static void hold_part(void *context, int64_t part, int thread)
{
    const held *h = context;
    int64_t end = ptf_min_i64((part + 1) * PART, h->count);
    int64_t beyond = 0, not_finite = 0;
    for (int64_t k = part * PART; k < end; k++) {
        double x = (double)h->tap[k], radius = h->balls.radius[k];
        double off = fabs(x - h->balls.value[k]);
        beyond += !(off * (1 - 4 * PTF_U) <= radius && radius < HUGE_VAL);
        not_finite += !isfinite(x);
    }
    h->beyond[thread] += beyond;
    h->not_finite[thread] += not_finite;
}

/* The numbers that a node of A or B had, against the balls of its unit. */
static void hold_run(ptf_check *c, const ptf_unit *u, int node, ptf_balls balls)
{
    const ptf_side *side = &c->sides[u->net];
    int64_t count = u->count * ptf_balls_each(c->enclosures[u->slot], node);
    held h = {side->taps[node], balls, count, c->sums, c->sums + c->threads};
    int64_t beyond = 0, not_finite = 0;
    if (side->held[node])
        return;
    side->held[node] = true;
    memset(c->sums, 0, 2 * (size_t)c->threads * sizeof(*c->sums));
    ptf_each(c->threads, ptf_ceil_div(count, PART), hold_part, &h);
    for (int i = 0; i < c->threads; i++) {
        beyond += h.beyond[i];
        not_finite += h.not_finite[i];
    }
    if (not_finite > 0 && c->not_finite.reason == NULL)
        c->not_finite = (ptf_pair_mismatch){"gives NaN or infinity in f32",
                                            side->net->nodes[node].name};
    if (beyond > 0 && c->beyond == NULL)
        c->beyond = side->net->nodes[node].name;
    c->certificate.runs += count;
    c->certificate.runs_beyond += beyond;
    side->beyond[node] += beyond;
}

/* -------------------------------------------------------------- attribution */

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
static void attribute(ptf_check *c, int node, int64_t count, ptf_balls a,
                      ptf_balls ideal, ptf_balls b)
{
    ptf_layer_check *layer = &c->layers[node];
    int64_t size = ptf_balls_each(c->enclosures[PTF_SIDE_B], node);
    const float *run_a = c->sides[PTF_SIDE_A].taps[c->pairs[node].value];
    const float *run_b = c->sides[PTF_SIDE_B].taps[node];
    for (int64_t n = 0; n < count; n++)
        ptf_difference_add(&layer->difference, run_a + n * size,
                           run_b + n * size, size);
    size *= count;
    ptf_raise_to(&layer->evaluation_a, largest_rounding(run_a, a.value, size));
    ptf_raise_to(&layer->evaluation_b, largest_rounding(run_b, b.value, size));
    if (ideal.value == NULL)
        return;
    ptf_raise_to(&layer->parameter_effect,
                 largest_gap(b.value, ideal.value, size));
    ptf_raise_to(&layer->inherited, largest_gap(ideal.value, a.value, size));
}

/* ---------------------------------------------------------------- bisection */

/*
 * B's layer on the values that A's had: what is more than both layers' rounding
 * is the layer's own fault.
 */
static ptf_status bisect(ptf_check *c, int node, int64_t count, ptf_balls a,
                         ptf_error *err)
{
    const ptf_side *from = &c->sides[PTF_SIDE_A], *to = &c->sides[PTF_SIDE_B];
    const ptf_node *reader = &to->net->nodes[node];
    ptf_layer_check *layer = &c->layers[node];
    ptf_unit u = {PTF_SIDE_B, PTF_SIDE_B, node, c->taps, count, true, NULL};
    ptf_balls b;
    for (int k = 0; k < reader->input_count; k++) {
        int input = reader->inputs[k],
            value = c->pairs[to->makers[input]].value;
        bool fixed = ptf_side_fixed(to, input);
        c->taps[input] = fixed || value < 0 ? NULL : from->taps[value];
        if (!fixed && c->taps[input] == NULL)
            return PTF_OK;
    }
    ptf_status status = ptf_unit_run(c, &u, &b, err);
    int64_t size = count * ptf_balls_each(c->enclosures[PTF_SIDE_B], node);
    for (int64_t k = 0; status == PTF_OK && k < size; k++) {
        double own = fabs(b.value[k] - a.value[k]);
        double bound = (a.radius[k] + b.radius[k]) * PTF_UP;
        ptf_raise_to(&layer->own, own);
        ptf_raise_to(&layer->own_bound, bound);
        layer->own_apart += !(own * (1 - 4 * PTF_U) <= bound);
    }
    return status;
}

/* ------------------------------------------------------------------- layers */

/* What layers are asked about beyond their bounds.  Where there are no
 * parameters, the ideal layer is B's. */
static ptf_status look_at(ptf_check *c, int node, int64_t count, ptf_balls a,
                          ptf_balls b, ptf_error *err)
{
    const ptf_side *side = &c->sides[PTF_SIDE_B];
    ptf_unit ideal = {PTF_SIDE_I, PTF_SIDE_B, node, side->taps,
                      count,      false,      NULL};
    ptf_balls of = {NULL, NULL};
    ptf_status status = PTF_OK;
    if (c->options.layers && c->enclosures[PTF_SIDE_I] != NULL) {
        of = b;
        if (!c->layers[node].plain)
            status = ptf_unit_run(c, &ideal, &of, err);
    }
    if (status == PTF_OK && c->options.layers)
        attribute(c, node, count, a, of, b);
    if (status == PTF_OK && c->options.bisect)
        status = bisect(c, node, count, a, err);
    return status;
}

static ptf_status run_value_of_a(ptf_check *c, int value, int64_t count,
                                 ptf_balls *out, ptf_error *err)
{
    ptf_unit u = {PTF_SIDE_A, PTF_SIDE_A, value,   c->sides[PTF_SIDE_A].taps,
                  count,      true,       hold_run};
    return ptf_unit_run(c, &u, out, err);
}

/* Node of B, and the value of A that it has. */
static ptf_status run_pair(ptf_check *c, int node, int64_t count,
                           ptf_error *err)
{
    const ptf_side *from = &c->sides[PTF_SIDE_A], *to = &c->sides[PTF_SIDE_B];
    ptf_unit u = {PTF_SIDE_B, PTF_SIDE_B, node,    to->taps,
                  count,      true,       hold_run};
    int value = c->pairs[node].value;
    bool paired = value >= from->net->input_count &&
                  !ptf_side_fixed(from, value) &&
                  (c->options.layers || c->options.bisect);
    ptf_balls a, b;
    ptf_status status = PTF_OK;
    if (paired)
        status = run_value_of_a(c, value, count, &a, err);
    if (status == PTF_OK)
        status = ptf_unit_run(c, &u, &b, err);
    return status == PTF_OK && paired ? look_at(c, node, count, a, b, err)
                                      : status;
}

ptf_status ptf_check_runs(ptf_check *c, int64_t count, ptf_error *err)
{
    const ptf_side *from = &c->sides[PTF_SIDE_A], *to = &c->sides[PTF_SIDE_B];
    ptf_status status = PTF_OK;
    ptf_balls balls;
    memset(from->held, 0, (size_t)from->net->node_count * sizeof(bool));
    memset(to->held, 0, (size_t)to->net->node_count * sizeof(bool));
    for (int i = to->net->input_count;
         status == PTF_OK && i < to->net->node_count; i++) {
        if (!ptf_side_fixed(to, i))
            status = run_pair(c, i, count, err);
    }
    for (int i = from->net->input_count;
         status == PTF_OK && i < from->net->node_count; i++) {
        if (!ptf_side_fixed(from, i) && !from->inside[i] && !from->held[i])
            status = run_value_of_a(c, i, count, &balls, err);
    }
    return status;
}
