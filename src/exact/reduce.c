/*
 * Sums, means and extremes over axes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/spread.h"
#include "exact/exact.h"

/* What a reduction gives of its terms. */
typedef enum kind { REFUSED, SUM, MEAN, LARGEST, SMALLEST } kind;

static const kind kinds[PTF_OP_COUNT] = {[PTF_OP_SUM] = SUM,
                                         [PTF_OP_MEAN] = MEAN,
                                         [PTF_OP_AMAX] = LARGEST,
                                         [PTF_OP_AMIN] = SMALLEST};

typedef struct work {
    const ptf_exact_step *step;
    kind kind;
    ptf_axes kept, terms;
    int64_t count, shift; /* terms; bits that a sum is cut by */
} work;

/* Of one output: the sum of its terms' digits, or its extreme. */
static int64_t add_up(const work *w, int64_t base, ptf_mean *mean, int lane,
                      double *radius)
{
    const ptf_fixed *in = w->step->in[0];
    int n = w->step->exact->n;
    bool extreme = w->kind >= LARGEST;
    int64_t best = -1;
    double sum = 0, widest = 0;
    for (int64_t k = 0; k < w->count; k++) {
        int64_t at = base + ptf_axes_at(&w->terms, k);
        sum += in->radius[at];
        widest = fmax(widest, in->radius[at]);
        int64_t low = best, high = at;
        if (w->kind == SMALLEST)
            low = at, high = best;
        if (extreme &&
            (best < 0 || ptf_digits_less(in->digits + low, in->room,
                                         in->digits + high, in->room, n)))
            best = at;
        for (int l = 0; l < n; l++)
            mean->sum[l * PTF_LANES + lane] += in->digits[l * in->room + at];
        for (int l = 0; k % PTF_SUM_MOST == PTF_SUM_MOST - 1 && l < n; l++) {
            int64_t *d = &mean->sum[l * PTF_LANES + lane];
            d[PTF_LANES] += *d >> PTF_DIGIT_BITS;
            *d &= PTF_DIGIT_MASK;
        }
    }
    *radius = extreme ? widest : sum;
    return best;
}

static void finish(const work *w, int64_t first, int64_t left, ptf_mean *mean,
                   const int64_t *best)
{
    const ptf_exact_step *s = w->step;
    const ptf_exact *exact = s->exact;
    int64_t lanes[PTF_LANE_DIGITS] = {0};
    double by = 1, lost = 0;
    if (w->kind == MEAN) {
        ptf_mean_lanes(exact, mean, lanes);
        by = 1 / (double)w->count;
        lost = ldexp(PTF_MEAN_LOST, s->out->exponent);
    } else if (w->kind == SUM) {
        exact->limbs->cut(exact->n + 1, mean->sum, w->shift, NULL, exact->n,
                          lanes);
        lost = ldexp(0.5, s->out->exponent);
    }
    bool extreme = w->kind >= LARGEST;
    for (int64_t i = 0; i < left; i++) {
        double *r = &s->out->radius[first + i];
        *r = (*r * by + lost) * PTF_UP_STEP;
        for (int l = 0; l < exact->n; l++)
            s->out->digits[l * s->out->room + first + i] =
                extreme ? s->in[0]->digits[l * s->in[0]->room + best[i]]
                        : lanes[l * PTF_LANES + i];
    }
}

static void reduce_lanes(void *context, int64_t block, int thread)
{
    const work *w = context;
    int64_t first = block * PTF_LANES, best[PTF_LANES];
    int64_t left = ptf_min_i64(w->step->out->count - first, PTF_LANES);
    ptf_mean mean = {{0}, {0}};
    (void)thread;
    for (int i = 0; i < PTF_LANES; i++)
        mean.divisor[i] = w->count;
    for (int i = 0; i < left; i++)
        best[i] = add_up(w, ptf_axes_at(&w->kept, first + i), &mean, i,
                         &w->step->out->radius[first + i]);
    finish(w, first, left, &mean, best);
}

/* Errors of n terms that lie apart for each output: sqrt(n) of their norm in a
 * sum, 1 / sqrt(n) in a mean, once in an extreme. */
static void set_output(work *w)
{
    const ptf_exact_step *s = w->step;
    const ptf_fixed *in = s->in[0];
    double count = (double)w->count, norm = in->norm, lost = 0;
    s->out->exponent = in->exponent;
    if (w->kind == SUM) {
        int e = ptf_exponent_of(in->most * count * PTF_UP);
        s->out->exponent = e > in->exponent ? e : in->exponent;
        norm *= sqrt(count);
        lost = 0.5;
    } else if (w->kind == MEAN) {
        norm /= sqrt(count);
        lost = PTF_MEAN_LOST;
    }
    w->shift = s->out->exponent - in->exponent;
    s->out->norm =
        (norm + sqrt((double)s->out->count) * ldexp(lost, s->out->exponent)) *
        PTF_UP_STEP;
}

ptf_status ptf_exact_family_reduce(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    const ptf_shape *shape = ptf_exact_in(s, 0);
    bool reduced[PTF_SHAPE_MAX];
    work w = {.step = s, .kind = kinds[node->op]};
    if (w.kind == REFUSED)
        return ptf_exact_refuse(s, err);
    ptf_reduced_axes(&node->attrs, shape->rank, reduced);
    ptf_axes_split(shape, reduced, &w.kept, &w.terms);
    w.count = ptf_axes_count(&w.terms);
    set_output(&w);
    ptf_each(s->exact->threads, ptf_ceil_div(s->out->count, PTF_LANES),
             reduce_lanes, &w);
    return PTF_OK;
}
