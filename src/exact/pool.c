/*
 * Pools: the largest number of a window, or the mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

#include <stdlib.h>

/* The taps of an output along one axis: first, step and end; and how many there
 * are in the padded input. */
typedef struct span {
    int64_t first, end, step, padded;
} span;

static span window(const ptf_attrs *a, int axis, int64_t size, int64_t at)
{
    int64_t step = a->dilation[axis] > 0 ? a->dilation[axis] : 1;
    int64_t first = at * a->stride[axis] - a->padding[axis];
    int64_t end = first + (a->kernel[axis] - 1) * step + 1;
    int64_t limit = size + a->padding[axis];
    span s = {first, ptf_min_i64(end, size), step, 0};
    s.padded = ptf_ceil_div(ptf_min_i64(end, limit) - first, step);
    while (s.first < 0)
        s.first += step;
    return s;
}

/* Window i of 'out' over 'in': floor(i in / out) to ceil((i + 1) in / out). */
static span share(int64_t in, int64_t out, int64_t i)
{
    int64_t first = i * in / out, end = ptf_ceil_div((i + 1) * in, out);
    return (span){first, end, 1, end - first};
}

typedef struct work {
    const ptf_exact_step *step;
    ptf_pool_kind kind;
    int64_t in[PTF_MAP_AXES], out[PTF_MAP_AXES], map, from; /* of a channel */
} work;

/* What the taps of a window come to. */
typedef struct gathered {
    const work *w;
    int64_t best; /* the largest number; -1: none */
    int64_t count, sum[PTF_LIMBS_MOST + 1];
    double radius, widest;
} gathered;

static void take(gathered *g, int64_t at)
{
    const ptf_fixed *in = g->w->step->in[0];
    int n = g->w->step->exact->n;
    g->radius += in->radius[at];
    g->widest = fmax(g->widest, in->radius[at]);
    if (g->w->kind.mean) {
        for (int l = 0; l < n; l++)
            g->sum[l] += in->digits[l * in->room + at];
        if (++g->count % PTF_SUM_MOST == 0)
            for (int l = 0; l < n; l++) {
                g->sum[l + 1] += g->sum[l] >> PTF_DIGIT_BITS;
                g->sum[l] &= PTF_DIGIT_MASK;
            }
    } else if (g->best < 0 || ptf_digits_less(in->digits + g->best, in->room,
                                              in->digits + at, in->room, n)) {
        g->best = at;
    }
}

static gathered gather(const work *w, int64_t channel, const span along[])
{
    gathered g = {.w = w, .best = -1};
    for (int64_t z = along[0].first; z < along[0].end; z += along[0].step)
        for (int64_t y = along[1].first; y < along[1].end; y += along[1].step)
            for (int64_t x = along[2].first; x < along[2].end;
                 x += along[2].step)
                take(&g, channel * w->from + (z * w->in[1] + y) * w->in[2] + x);
    return g;
}

static int64_t divisor_of(const work *w, const span along[])
{
    const ptf_attrs *a = &ptf_exact_node(w->step)->attrs;
    int64_t count = 1;
    if (a->divisor != 0 && !w->kind.adaptive)
        return a->divisor;
    for (int i = 0; i < PTF_MAP_AXES; i++)
        count *= a->count_include_pad && !w->kind.adaptive
                     ? along[i].padded
                     : along[i].end - along[i].first;
    return count;
}

/* Output i into the lane of means, or at once. */
static void pool_at(const work *w, int64_t i, int lane, ptf_mean *mean)
{
    const ptf_exact_step *s = w->step;
    span along[PTF_MAP_AXES];
    int64_t rest = i;
    for (int axis = PTF_MAP_AXES - 1; axis >= 0; rest /= w->out[axis--]) {
        int64_t at = rest % w->out[axis];
        along[axis] = w->kind.adaptive ? share(w->in[axis], w->out[axis], at)
                                       : window(&ptf_exact_node(s)->attrs, axis,
                                                w->in[axis], at);
    }
    gathered g = gather(w, i / w->map, along);
    ptf_fixed *out = s->out;
    if (w->kind.mean) {
        int64_t divisor = divisor_of(w, along);
        mean->divisor[lane] = divisor < 0 ? -divisor : divisor;
        for (int l = 0; l <= s->exact->n; l++)
            mean->sum[l * PTF_LANES + lane] =
                divisor < 0 ? -g.sum[l] : g.sum[l];
        out->radius[i] = (g.radius / (double)mean->divisor[lane] +
                          ldexp(PTF_MEAN_LOST, out->exponent)) *
                         PTF_UP_STEP;
        return;
    }
    out->radius[i] = g.best < 0 ? HUGE_VAL : g.widest;
    for (int l = 0; g.best >= 0 && l < s->exact->n; l++)
        out->digits[l * out->room + i] =
            s->in[0]->digits[l * s->in[0]->room + g.best];
}

static void pool_lanes(void *context, int64_t block, int thread)
{
    const work *w = context;
    const ptf_exact_step *s = w->step;
    int64_t first = block * PTF_LANES, lanes[PTF_LANE_DIGITS];
    int64_t left = ptf_min_i64(s->out->count - first, PTF_LANES);
    ptf_mean mean = {{0}, {0}};
    (void)thread;
    for (int i = 0; i < PTF_LANES; i++)
        mean.divisor[i] = 1;
    for (int i = 0; i < left; i++)
        pool_at(w, first + i, i, &mean);
    if (!w->kind.mean)
        return;
    ptf_mean_lanes(s->exact, &mean, lanes);
    for (int l = 0; l < s->exact->n; l++)
        memcpy(s->out->digits + l * s->out->room + first, lanes + l * PTF_LANES,
               (size_t)left * sizeof(*lanes));
}

/* How many windows an input lies in at most. */
static double overlap(const work *w)
{
    const ptf_attrs *a = &ptf_exact_node(w->step)->attrs;
    double copies = 1;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        int64_t own = ptf_ceil_div(a->kernel[i], a->stride[i]);
        if (w->kind.adaptive)
            own = w->in[i] % w->out[i] == 0
                      ? 1
                      : ptf_ceil_div(w->out[i], w->in[i]) + 1;
        copies *= (double)own;
    }
    return copies;
}

/* The fewest terms of a mean that divides by their number; or 1. */
static double fewest(const work *w)
{
    const ptf_attrs *a = &ptf_exact_node(w->step)->attrs;
    double terms = 1, adaptive = 1;
    bool whole = a->divisor == 0 && !a->ceil_mode;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        adaptive *= (double)ptf_max_i64(w->in[i] / w->out[i], 1);
        terms *= (double)a->kernel[i];
        whole = whole && (a->padding[i] == 0 || a->count_include_pad);
    }
    return w->kind.adaptive ? adaptive : whole ? terms : 1;
}

/*
 * Each input is in 'copies' windows at most, so that the norm of all windows'
 * errors is that of the inputs' times its root; a mean of n has 1 / sqrt(n) of
 * its window's, or less where zeros count as well.
 */
static void set_norm(const work *w)
{
    const ptf_exact_step *s = w->step;
    double norm = s->in[0]->norm * sqrt(overlap(w)), lost = 0;
    if (w->kind.mean) {
        norm /= sqrt(fewest(w));
        lost = ldexp(PTF_MEAN_LOST, s->out->exponent);
    }
    s->out->norm = (norm + sqrt((double)s->out->count) * lost) * PTF_UP_STEP;
}

/* A mean of numbers is no larger than they are, unless its divisor is smaller
 * than the window. */
ptf_status ptf_exact_family_pool(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    work w = {.step = s, .kind = ptf_op_pool_kind(node->op)};
    int64_t taps = 1;
    ptf_enclose_map(ptf_exact_in(s, 0), w.in);
    ptf_enclose_map(ptf_exact_out(s), w.out);
    w.map = w.out[0] * w.out[1] * w.out[2];
    w.from = w.in[0] * w.in[1] * w.in[2];
    for (int i = 0; i < PTF_MAP_AXES && !w.kind.adaptive; i++)
        taps *= node->attrs.kernel[i];
    if (w.kind.mean && node->attrs.divisor != 0 && !w.kind.adaptive &&
        llabs(node->attrs.divisor) < taps)
        return ptf_exact_refuse(s, err);
    s->out->exponent = s->in[0]->exponent;
    set_norm(&w);
    ptf_each(s->exact->threads, ptf_ceil_div(s->out->count, PTF_LANES),
             pool_lanes, &w);
    return PTF_OK;
}
