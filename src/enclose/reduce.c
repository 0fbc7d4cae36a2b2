/*
 * Balls through reductions over axes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/spread.h"
#include "enclose/walk.h"

/* What an output is made from. */
typedef struct sums {
    double value, magnitude, radius; /* sums of m, |m| and r */
    double most, least, widest;      /* extremes of m, and the largest r */
} sums;

static sums sum_up(const ptf_axes *terms, ptf_balls in)
{
    sums s = {.most = -HUGE_VAL, .least = HUGE_VAL};
    int64_t n = ptf_axes_count(terms);
    int64_t length = terms->size[terms->rank - 1];
    int64_t step = terms->stride[terms->rank - 1], at = 0;
    for (int64_t k = 0; k < n; k++, at += step) {
        if (k % length == 0)
            at = ptf_axes_at(terms, k);
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

/* What a reduction has of one output. */
typedef struct reducing {
    const ptf_node *node;
    const ptf_axes *terms;
    ptf_balls in;
    bool executed;
} reducing;

static void add(const reducing *c, double *value, double *radius)
{
    sums all = sum_up(c->terms, c->in);
    add_up(&all, ptf_axes_count(c->terms), c->node->op == PTF_OP_MEAN,
           c->executed, value, radius);
}

/* An extreme is no further from another than the furthest argument. */
static void choose(const reducing *c, double *value, double *radius)
{
    sums all = sum_up(c->terms, c->in);
    *value = c->node->op == PTF_OP_AMAX ? all.most : all.least;
    *radius = all.widest;
}

/*
 * A norm of numbers around their mean, or around 0, is within 'off' of 'size':
 * its square within (2 size + off) off.  A quotient, a root and what a run
 * rounds in double are below 8u.
 */
static void spread(const reducing *c, double *value, double *radius)
{
    ptf_op op = c->node->op;
    bool norm = op == PTF_OP_VECTOR_NORM;
    ptf_spread s = ptf_spread_of(c->terms, c->in, !norm, c->executed);
    double divisor = norm ? 1.0 : (double)s.n - c->node->attrs.p[0], y, r;
    if (op == PTF_OP_VAR) {
        y = s.square / divisor;
        r = (2 * s.size + s.off) * s.off / divisor;
    } else {
        y = sqrt(s.square / divisor);
        r = s.off / sqrt(divisor);
    }
    r = (r + 8 * PTF_U * (y + r)) * PTF_UP + PTF_TINY;
    *value = y;
    *radius = r + ptf_executed(c->executed, y, r);
}

/*
 * log(sum of exp(x)) moves no further than the furthest x, whose exponentials
 * add up to at least 1 when the largest is taken away.  Each is off by u |x -
 * most| <= 700u (smaller ones than exp(-700) are nothing, here and in a run)
 * and the error of exp, their sum by gamma(n): as much as the logarithm of it
 * is, and a run alike.
 */
static void log_sum_exp(const reducing *c, double *value, double *radius)
{
    sums all = sum_up(c->terms, c->in);
    int64_t n = ptf_axes_count(c->terms), at = 0;
    int64_t length = c->terms->size[c->terms->rank - 1];
    int64_t step = c->terms->stride[c->terms->rank - 1];
    double sum = 0, error;
    for (int64_t k = 0; k < n; k++, at += step) {
        if (k % length == 0)
            at = ptf_axes_at(c->terms, k);
        sum += ptf_enclose_exp(c->in.value[at] - all.most);
    }
    double y = all.most + ptf_enclose_log(sum, &error), r = all.widest;
    double relative = 701 * PTF_U + PTF_EXP_ERROR + ptf_gamma(n + 2, PTF_U);
    r += 4 * (relative + error + PTF_U * (fabs(all.most) + fabs(y)));
    r = r * PTF_UP + (double)n * 0x1p-990;
    *value = y;
    *radius = r + ptf_executed(c->executed, y, r);
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    static void (*const reduce[PTF_OP_COUNT])(const reducing *, double *,
                                              double *) = {
        [PTF_OP_SUM] = add,
        [PTF_OP_MEAN] = add,
        [PTF_OP_AMAX] = choose,
        [PTF_OP_AMIN] = choose,
        [PTF_OP_VAR] = spread,
        [PTF_OP_STD] = spread,
        [PTF_OP_VECTOR_NORM] = spread,
        [PTF_OP_LOGSUMEXP] = log_sum_exp,
    };
    const ptf_node *node = ptf_enclose_node_of(s);
    const ptf_shape *shape = ptf_enclose_shape_of(s, 0);
    ptf_balls in = ptf_enclose_in(s, 0, n), out = ptf_enclose_out(s, n);
    bool reduced[PTF_SHAPE_MAX];
    ptf_axes kept, terms;
    ptf_reduced_axes(&node->attrs, shape->rank, reduced);
    ptf_axes_split(shape, reduced, &kept, &terms);
    int64_t outputs = ptf_axes_count(&kept);
    for (int64_t i = 0; i < outputs; i++) {
        int64_t at = ptf_axes_at(&kept, i);
        reducing c = {node, &terms, ptf_balls_of(in, 1, at), s->pass->executed};
        reduce[node->op](&c, &out.value[i], &out.radius[i]);
    }
}

const ptf_enclose_family ptf_enclose_family_reduce = {.image = image};
