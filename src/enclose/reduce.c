/*
 * Balls through sums, means and extremes over axes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* Axes of a dense array. */
typedef struct axes {
    int rank;
    int64_t size[PTF_SHAPE_MAX], stride[PTF_SHAPE_MAX];
} axes;

static int64_t count(const axes *a)
{
    int64_t n = 1;
    for (int d = 0; d < a->rank; d++)
        n *= a->size[d];
    return n;
}

/* Where position i lies. */
static int64_t place(const axes *a, int64_t i)
{
    int64_t at = 0;
    for (int d = a->rank - 1; d >= 0; i /= a->size[d--])
        at += i % a->size[d] * a->stride[d];
    return at;
}

static void split(const ptf_shape *shape, const bool *reduced, axes *kept,
                  axes *terms)
{
    int64_t stride = ptf_shape_numel(shape);
    kept->rank = terms->rank = 0;
    for (int d = 0; d < shape->rank; d++) {
        axes *to = reduced[d] ? terms : kept;
        stride /= shape->dim[d];
        to->size[to->rank] = shape->dim[d];
        to->stride[to->rank++] = stride;
    }
}

/* What an output is made from. */
typedef struct sums {
    double value, magnitude, radius; /* sums of m, |m| and r */
    double most, least, widest;      /* extremes of m, and the largest r */
} sums;

static sums sum_up(const axes *terms, ptf_balls in)
{
    sums s = {.most = -HUGE_VAL, .least = HUGE_VAL};
    int64_t n = count(terms);
    int64_t length = terms->size[terms->rank - 1];
    int64_t step = terms->stride[terms->rank - 1], at = 0;
    for (int64_t k = 0; k < n; k++, at += step) {
        if (k % length == 0)
            at = place(terms, k);
        double m = in.value[at], r = in.radius[at];
        s.value += m;
        s.magnitude += fabs(m);
        s.radius += r;
        s.most = m > s.most || isnan(m) ? m : s.most;
        s.least = m < s.least || isnan(m) ? m : s.least;
        s.widest = r > s.widest || isnan(r) ? r : s.widest;
    }
    return s;
}

/*
 * Of n terms, each of which is within r of m.  Here a term goes through at most
 * n - 1 additions in double.  In a run (kernel.h) it goes through at most 255
 * in its block and one for each further block, as the first addition to 0 is
 * exact.  By lemma 3.1 a sum in which no term goes through more than k
 * roundings is off by gamma(k) of the sum of its terms' magnitudes, which are
 * at most |m| + r.  A mean divides by n, rounded to f32 in a run: two more
 * roundings.  f32 additions whose result is subnormal are exact, and the
 * quotient may be subnormal.  The sums of radii and magnitudes fall short by
 * gamma(n) at most, the rest of the radius by less than 6 u.
 */
static void add_up(const sums *s, int64_t n, bool mean, bool executed,
                   double *value, double *radius)
{
    int64_t depth = ptf_min_i64(n, 256) + (n - 1) / 256 + 2;
    double g = ptf_gamma(n + 2, PTF_U), divisor = mean ? (double)n : 1.0;
    double up = 1 + 2 * ptf_gamma(n + 8, PTF_U);
    g += executed ? ptf_gamma(depth, PTF_F) : 0;
    *value = s->value / divisor;
    *radius = (s->radius + g * (s->magnitude + s->radius)) / divisor * up +
              (executed ? PTF_TINY_F : PTF_TINY);
}

/* An extreme is no further from another than the furthest of its arguments. */
static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_node *node = ptf_enclose_node_of(s);
    const ptf_shape *shape = ptf_enclose_shape_of(s, 0);
    ptf_balls in = ptf_enclose_in(s, 0, n), out = ptf_enclose_out(s, n);
    bool reduced[PTF_SHAPE_MAX];
    axes kept, terms;
    ptf_reduced_axes(&node->attrs, shape->rank, reduced);
    split(shape, reduced, &kept, &terms);
    int64_t outputs = count(&kept);
    for (int64_t i = 0; i < outputs; i++) {
        int64_t at = place(&kept, i);
        sums all = sum_up(&terms, (ptf_balls){in.value + at, in.radius + at});
        if (node->op == PTF_OP_SUM || node->op == PTF_OP_MEAN) {
            add_up(&all, count(&terms), node->op == PTF_OP_MEAN,
                   s->pass->executed, &out.value[i], &out.radius[i]);
            continue;
        }
        out.value[i] = node->op == PTF_OP_AMAX ? all.most : all.least;
        out.radius[i] = all.widest;
    }
}

const ptf_enclose_family ptf_enclose_family_reduce = {.image = image};
