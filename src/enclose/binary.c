/*
 * Balls through functions of two numbers: where a is within p of the one exact
 * argument and b within q of the other, the value and its distance from the
 * exact one.  That the two may be the same value, and then move together, only
 * makes the distance smaller.
 *
 * A radius is computed from non-negative numbers by a few operations, each of
 * which may fall short by a factor 1 - u, or by 2^-1075 where it is subnormal;
 * PTF_UP and PTF_TINY make that good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* A value, and how far the exact one may be from it. */
typedef struct ball {
    double y, r;
} ball;

/* The rounding of y itself, and in a run that of one f32 operation. */
static inline ball rounded(double y, double moved, bool executed)
{
    double r = (moved + PTF_U * fabs(y)) * PTF_UP + PTF_TINY;
    return (ball){y, r + ptf_executed(executed, y, r)};
}

static inline ball add(double a, double p, double b, double q, bool executed)
{
    return rounded(a + b, p + q, executed);
}

static inline ball sub(double a, double p, double b, double q, bool executed)
{
    return rounded(a - b, p + q, executed);
}

/* (a + dp) (b + dq) - a b = a dq + b dp + dp dq. */
static inline ball mul(double a, double p, double b, double q, bool executed)
{
    return rounded(a * b, fabs(a) * q + fabs(b) * p + p * q, executed);
}

/*
 * (a + dp) / (b + dq) - a / b = (dp - (a / b) dq) / (b + dq), and b + dq is no
 * nearer to 0 than |b| - q; where that is not above 0 nothing is known.
 * Rounding takes from |b| - q a factor of 1 - u.  What underflows in the
 * dividend is divided as well.
 */
static inline ball div_(double a, double p, double b, double q, bool executed)
{
    double y = a / b, least = fabs(b) - q;
    double moved = (p + fabs(y) * q + PTF_TINY) / least;
    return rounded(y, least > 0 ? moved : HUGE_VAL, executed);
}

/* Never further apart than their arguments are, and exact; NaN wins. */
static inline ball maximum(double a, double p, double b, double q,
                           bool executed)
{
    (void)executed;
    return (ball){isnan(a) || isnan(b) ? (double)NAN : fmax(a, b), fmax(p, q)};
}

static inline ball minimum(double a, double p, double b, double q,
                           bool executed)
{
    (void)executed;
    return (ball){isnan(a) || isnan(b) ? (double)NAN : fmin(a, b), fmax(p, q)};
}

/* ------------------------------------------------------------------- table */

#define FUNCTIONS(BINARY)    \
    BINARY(ADD, add)         \
    BINARY(SUB, sub)         \
    BINARY(MUL, mul)         \
    BINARY(DIV, div_)        \
    BINARY(MAXIMUM, maximum) \
    BINARY(MINIMUM, minimum)

typedef void loop(int64_t n, bool executed, ptf_balls a, int64_t a_step,
                  ptf_balls b, int64_t b_step, ptf_balls out);

#define LOOP(id, name)                                                      \
    static void name##_all(int64_t n, bool executed, ptf_balls a,           \
                           int64_t a_step, ptf_balls b, int64_t b_step,     \
                           ptf_balls out)                                   \
    {                                                                       \
        for (int64_t i = 0; i < n; i++) {                                   \
            int64_t j = i * a_step, k = i * b_step;                         \
            ball z = name(a.value[j], a.radius[j], b.value[k], b.radius[k], \
                          executed);                                        \
            out.value[i] = z.y;                                             \
            out.radius[i] = z.r;                                            \
        }                                                                   \
    }
FUNCTIONS(LOOP)

#define ROW(id, name) [PTF_OP_##id] = name##_all,
static loop *const functions[PTF_OP_COUNT] = {FUNCTIONS(ROW)};

/* Each op of the family has its row. */
#define OP(id, name, class_name, family, attributes) \
    +(PTF_FAMILY_##family == PTF_FAMILY_BINARY)
#define ONE(id, name) +1
enum {
    OPS =
#include "op/ops.inc"
        , ROWS = FUNCTIONS(ONE)
};
#undef OP
_Static_assert((int)OPS == (int)ROWS, "FUNCTIONS lacks a row");

void ptf_enclose_binary(ptf_op op, int64_t n, bool executed, ptf_balls a,
                        int64_t a_step, ptf_balls b, int64_t b_step,
                        ptf_balls out)
{
    functions[op](n, executed, a, a_step, b, b_step, out);
}

/* ------------------------------------------------------------ broadcasting */

/* The size of an operand along axis d of the output. */
static int64_t size_along(const ptf_shape *in, const ptf_shape *out, int d)
{
    int axis = d - (out->rank - in->rank);
    return axis >= 0 ? in->dim[axis] : 1;
}

/*
 * How many of the output's last axes are one loop for an operand: it has them
 * as they are, *step is 1, or has a single number for all, and it is 0.
 */
static int last_axes(const ptf_shape *in, const ptf_shape *out, int64_t *step)
{
    bool whole = true, single = true;
    int count = 0;
    for (; count < out->rank; count++) {
        int d = out->rank - 1 - count;
        int64_t size = size_along(in, out, d);
        if (!(whole && size == out->dim[d]) && !(single && size == 1))
            break;
        whole = whole && size == out->dim[d];
        single = single && size == 1;
    }
    *step = whole ? 1 : 0;
    return count;
}

/* Where an operand's numbers for index 'i' of the first axes begin. */
static int64_t offset_of(const ptf_shape *in, const ptf_shape *out, int axes,
                         int64_t i)
{
    int64_t at = 0, step = 1;
    for (int d = axes; d < out->rank; d++)
        step *= size_along(in, out, d);
    for (int d = axes - 1; d >= 0; d--) {
        int64_t size = size_along(in, out, d);
        at += size > 1 ? i % out->dim[d] * step : 0;
        i /= out->dim[d];
        step *= size;
    }
    return at;
}

static ptf_balls balls_at(ptf_balls balls, int64_t at)
{
    return (ptf_balls){balls.value + at, balls.radius + at};
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_shape *a = ptf_enclose_shape_of(s, 0);
    const ptf_shape *b = ptf_enclose_shape_of(s, 1);
    const ptf_shape *out = &s->enc->shapes[s->node];
    int64_t a_step, b_step, run = 1, runs = 1;
    int a_last = last_axes(a, out, &a_step);
    int b_last = last_axes(b, out, &b_step);
    int first = out->rank - (a_last < b_last ? a_last : b_last);
    for (int d = 0; d < out->rank; d++)
        *(d < first ? &runs : &run) *= out->dim[d];
    for (int64_t i = 0; i < runs; i++)
        ptf_enclose_binary(
            ptf_enclose_node_of(s)->op, run, s->pass->executed,
            balls_at(ptf_enclose_in(s, 0, n), offset_of(a, out, first, i)),
            a_step,
            balls_at(ptf_enclose_in(s, 1, n), offset_of(b, out, first, i)),
            b_step, balls_at(ptf_enclose_out(s, n), i * run));
}

const ptf_enclose_family ptf_enclose_family_binary = {.image = image};
