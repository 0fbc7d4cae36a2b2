/*
 * Balls through functions of one number: where m is within r of the exact
 * argument, the value and its distance from the exact one.
 *
 * A radius is computed from non-negative numbers by a few operations, each of
 * which may fall short by a factor 1 - u; PTF_UP makes that good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* A value, and how far the exact one may be from it. */
typedef struct ball {
    double y, r;
} ball;

/* A run computes in double, off by less than 2^-48, and rounds once: twice f
 * covers both. */
static inline ball rounded(double y, double r, bool executed)
{
    return (ball){y, r + 2 * ptf_executed(executed, y, r)};
}

/* Exact on the centre, and never further apart than its arguments. */
static inline ball relu(double m, double r, const double *p, bool executed)
{
    (void)p, (void)executed;
    /* Wholly negative: the output is 0 and nothing else. */
    return (ball){m > 0 || isnan(m) ? m : 0.0, m + r < 0 ? 0.0 : r};
}

/*
 * The slope is the text's double; max(1, |slope|) is the Lipschitz bound.  A
 * run rounds the slope first, perhaps to a subnormal, and then the product.
 */
static inline ball leaky_relu(double m, double r, const double *p,
                              bool executed)
{
    double slope = p[0], lipschitz = fmax(1.0, fabs(slope));
    double y = m > 0 ? m : slope * m;
    double moved = lipschitz * r + 2 * PTF_U * fabs(y) +
                   ptf_executed(executed, slope, 0) * (fabs(m) + r);
    moved = moved * PTF_UP + PTF_TINY;
    return (ball){y, moved + ptf_executed(executed, y, moved)};
}

/*
 * Lipschitz bound 1/4.  With e = exp(-|x|) both forms, 1 / (1 + e) and
 * e / (1 + e), are off by the relative error of e twice and 3u.
 */
static inline ball sigmoid(double m, double r, const double *p, bool executed)
{
    double e = ptf_enclose_exp(-fabs(m));
    double y = m >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
    double moved = fmin(0.25 * r, 1.0);
    (void)p;
    moved = (moved + 4 * PTF_EXP_ERROR * y) * PTF_UP + PTF_TINY;
    return rounded(isnan(m) ? m : y, moved, executed);
}

/*
 * Lipschitz bound 1.  (1 - e) / (1 + e) with e = exp(-2|x|) <= 1: the error of
 * e moves the quotient by at most 2 e PTF_EXP_ERROR, the rest is 3u; the
 * bound is absolute.
 */
static inline ball tanh_(double m, double r, const double *p, bool executed)
{
    double e = ptf_enclose_exp(-2 * fabs(m));
    double y = (1.0 - e) / (1.0 + e);
    double moved = (fmin(r, 2.0) + 4 * PTF_EXP_ERROR) * PTF_UP;
    (void)p;
    return rounded(isnan(m) ? m : copysign(y, m), moved, executed);
}

/*
 * log(1 + t) = 2 atanh(s) for t in 0 .. 1 and s = t / (2 + t) <= 1/3.  s is
 * off by 2u, the series by 3u with its remainder, the product by u: 8u with
 * room.
 */
static double log1p_of(double t)
{
    double s = t / (2.0 + t), sum = 0;
    for (int k = 33; k > 0; k -= 2)
        sum = sum * s * s + 1.0 / k;
    return 2.0 * s * sum;
}

/*
 * max(z, 0) + log(1 + exp(-|z|)) and a bound of its error, where z is off by
 * u |z|.  An argument of exp that is off by u |z| and the error of exp move the
 * logarithm by as much relative to itself, because e / (1 + e) is below
 * log(1 + e).
 */
static double bend(double z, double *error)
{
    double linear = fmax(z, 0.0), rest = log1p_of(ptf_enclose_exp(-fabs(z)));
    *error = PTF_U * (linear + (fabs(z) + 10) * rest + (linear + rest)) +
             PTF_EXP_ERROR * rest + PTF_TINY;
    return linear + rest;
}

/*
 * Lipschitz bound 1 on both sides of z = beta x = threshold, where the output
 * drops from bend(z) / beta to x, by bend(-threshold) / beta; further on the
 * two are nearer.  A ball that may reach it takes the drop into its radius.
 */
static inline ball softplus(double m, double r, const double *p, bool executed)
{
    double beta = p[0], threshold = p[1], size = fabs(beta), error;
    double z = beta * m, y = bend(z, &error) / beta;
    bool above = z > threshold;
    bool near = !(fabs(z - threshold) >
                  (size * r + 4 * PTF_U * fabs(z) + PTF_TINY) * PTF_UP);
    r += above ? 0.0 : error / size + 2 * PTF_U * fabs(y);
    if (near) {
        double drop = bend(-threshold, &error);
        r += (drop + error) / size;
    }
    return rounded(above ? m : y, r * PTF_UP + PTF_TINY, executed);
}

/* ------------------------------------------------------------------- table */

#define FUNCTIONS(UNARY)          \
    UNARY(RELU, relu)             \
    UNARY(LEAKY_RELU, leaky_relu) \
    UNARY(SIGMOID, sigmoid)       \
    UNARY(TANH, tanh_)            \
    UNARY(SOFTPLUS, softplus)

/* The parameters are copied, so that no store can change them. */
#define LOOP(id, name)                                                     \
    static void name##_all(const double parameters[3], int64_t n,          \
                           bool executed, ptf_balls in, ptf_balls out)     \
    {                                                                      \
        const double p[3] = {parameters[0], parameters[1], parameters[2]}; \
        for (int64_t i = 0; i < n; i++) {                                  \
            ball b = name(in.value[i], in.radius[i], p, executed);         \
            out.value[i] = b.y;                                            \
            out.radius[i] = b.r;                                           \
        }                                                                  \
    }
FUNCTIONS(LOOP)

#define ROW(id, name) [PTF_OP_##id] = name##_all,
static void (*const functions[PTF_OP_COUNT])(const double p[3], int64_t n,
                                             bool executed, ptf_balls in,
                                             ptf_balls out) = {FUNCTIONS(ROW)};

/* Each op of the family has its row. */
#define OP(id, class_name, family, attributes) \
    +(PTF_FAMILY_##family == PTF_FAMILY_UNARY)
#define ONE(id, name) +1
enum {
    OPS =
#include "op/ops.inc"
        , ROWS = FUNCTIONS(ONE)
};
#undef OP
_Static_assert((int)OPS == (int)ROWS, "FUNCTIONS lacks a row");

void ptf_enclose_function(ptf_op op, const double p[3], int64_t n,
                          bool executed, ptf_balls in, ptf_balls out)
{
    functions[op](p, n, executed, in, out);
}

static void image(const ptf_enclosure *enc, int node, bool executed,
                  ptf_balls in, ptf_balls out)
{
    const ptf_node *of = &enc->net->nodes[node];
    ptf_enclose_function(of->op, of->attrs.p, enc->sizes[node], executed, in,
                         out);
}

const ptf_enclose_family ptf_enclose_family_unary = {.image = image};
