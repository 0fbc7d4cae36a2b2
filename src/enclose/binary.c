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

/*
 * The same where y is off by 'lost' itself: integers, whose sums and products
 * are exact in double and in f32, stay exact.
 */
static inline ball exactly(double y, double moved, double lost, bool executed)
{
    double f32 = (double)(float)y;
    bool exact = lost >= 0 && lost <= 0 && moved <= 0 && f32 >= y && f32 <= y;
    return exact ? (ball){y, 0} : rounded(y, moved, executed);
}

/* What is lost of a sum is a double (D. Knuth, "The Art of Computer
 * Programming", volume 2, theorem B of section 4.2.2). */
static inline ball add(double a, double p, double b, double q, bool executed)
{
    double y = a + b, of_b = y - a;
    return exactly(y, p + q, (a - (y - of_b)) + (b - of_b), executed);
}

static inline ball sub(double a, double p, double b, double q, bool executed)
{
    return add(a, p, -b, q, executed);
}

/* (a + dp) (b + dq) - a b = a dq + b dp + dp dq. */
static inline ball mul(double a, double p, double b, double q, bool executed)
{
    double y = a * b, moved = fabs(a) * q + fabs(b) * p + p * q;
    bool tiny = fabs(y) < PTF_TINY_F && fabs(a) > 0 && fabs(b) > 0;
    bool inexact = tiny || !(moved <= 0);
    return exactly(y, moved, inexact ? 1 : fma(a, b, -y), executed);
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

/* ------------------------------------------------- comparisons and integers */

/* What is 0 or 1, and known where 'sure' is not negative. */
static inline ball truth(int sure)
{
    return sure < 0 ? (ball){0.5, 0.5} : (ball){sure, 0.0};
}

/* -1, 0, 1: a is surely below, equal to, above b; 2: who knows. */
static inline int order(double a, double p, double b, double q)
{
    double apart = (p + q) * PTF_UP;
    if (a - b > apart || b - a > apart)
        return a > b ? 1 : -1;
    return a >= b && a <= b && !(apart > 0) ? 0 : 2;
}

#define COMPARISON(name, below, same, above)                        \
    static inline ball name(double a, double p, double b, double q, \
                            bool executed)                          \
    {                                                               \
        static const int sure[] = {below, same, above, -1};         \
        (void)executed;                                             \
        return truth(sure[order(a, p, b, q) + 1]);                  \
    }
COMPARISON(equal, 0, 1, 0)
COMPARISON(unequal, 1, 0, 1)
COMPARISON(less, 1, 0, 0)
COMPARISON(at_most, 1, 1, 0)
COMPARISON(greater, 0, 0, 1)
COMPARISON(at_least, 0, 1, 1)

/* 1 or 0 where it is sure that x is another number than 0, or 0; else -1. */
static inline int truth_of(double x, double r)
{
    int o = order(x, r, 0, 0);
    return o == 2 ? -1 : o != 0;
}

static inline ball both(double a, double p, double b, double q, bool executed)
{
    int x = truth_of(a, p), y = truth_of(b, q);
    (void)executed;
    return truth(x == 0 || y == 0 ? 0 : x == 1 && y == 1 ? 1 : -1);
}

static inline ball either(double a, double p, double b, double q, bool executed)
{
    int x = truth_of(a, p), y = truth_of(b, q);
    (void)executed;
    return truth(x == 1 || y == 1 ? 1 : x == 0 && y == 0 ? 0 : -1);
}

static inline ball unlike(double a, double p, double b, double q, bool executed)
{
    int x = truth_of(a, p), y = truth_of(b, q);
    (void)executed;
    return truth(x < 0 || y < 0 ? -1 : x != y);
}

/*
 * floor(a / b), or the quotient cut towards 0, lies in *low .. *high; false
 * when nothing is known, as where b may be 0.  Of exact numbers the quotient is
 * that of fmod, which is exact, while it has less than 50 bits; other quotients
 * are within their ball, as of div_, and two of their roundings.
 */
static inline bool quotients(double a, double p, double b, double q,
                             bool floors, double *low, double *high)
{
    double y = a / b, least = fabs(b) - q, rest = fmod(a, b);
    if (!(least > 0) || !(fabs(y) < 0x1p50))
        return false;
    if (!(p > 0) && !(q > 0)) {
        bool below = floors && ((rest < 0 && b > 0) || (rest > 0 && b < 0));
        *low = *high = rint((a - rest) / b) - below;
        return true;
    }
    double moved = (p + fabs(y) * q + PTF_TINY) / least;
    moved = (moved + 2 * PTF_U * fabs(y)) * PTF_UP + PTF_TINY;
    *low = floors ? floor(y - moved) : trunc(y - moved);
    *high = floors ? floor(y + moved) : trunc(y + moved);
    return moved < 0x1p50;
}

/*
 * a - k b for the quotient k; where several k may be, what is left lies
 * between 0 and b, or for fmod -|b| and |b|.  A run takes the rest of numbers
 * in the balls exactly, and rounds at most once, when it adds b.
 */
static inline ball rest(double a, double p, double b, double q, bool floors,
                        bool executed)
{
    double low, high, wide = fabs(b) + q;
    if (!quotients(a, p, b, q, floors, &low, &high))
        return (ball){a, HUGE_VAL};
    if (low < high && floors)
        return rounded(b / 2, fabs(b) / 2 + q, executed);
    if (low < high)
        return rounded(0, fmin(wide, fabs(a) + p), executed);
    double y = fmod(a, b);
    bool below = floors && ((y < 0 && b > 0) || (y > 0 && b < 0));
    y = p > 0 || q > 0 ? fma(-low, b, a) : below ? y + b : y;
    return rounded(y, p + fabs(low) * q, executed);
}

static inline ball remainder_(double a, double p, double b, double q,
                              bool executed)
{
    return rest(a, p, b, q, true, executed);
}

static inline ball fmod_(double a, double p, double b, double q, bool executed)
{
    return rest(a, p, b, q, false, executed);
}

/*
 * A run rounds the difference, the quotient and perhaps one less than it, 3f of
 * the quotient; what is rounded to an integer then is the same one while that
 * is below 1/2.
 */
static inline ball floor_over(double a, double p, double b, double q,
                              bool executed)
{
    double low, high;
    if (!quotients(a, p, b, q, true, &low, &high))
        return (ball){a, HUGE_VAL};
    double size = fmax(fabs(low), fabs(high)) + 1;
    double r = high - low;
    if (executed && size * 4 * PTF_F >= 0.5)
        r += size * 4 * PTF_F * PTF_UP + 1;
    return (ball){low, r};
}

/* ------------------------------------------------------------------- powers */

/* a^b at one point, of a > 0; the ball of a function of a alone. */
static inline ball power_at(double a, double b, bool executed)
{
    ball z;
    double none = 0;
    ptf_enclose_function(PTF_OP_POW, (const double[3]){b}, 1, executed,
                         (ptf_balls){&a, &none}, (ptf_balls){&z.y, &z.r});
    return z;
}

/*
 * Of one exponent it is a function of a alone.  For a > 0 it rises or falls all
 * the way along a and along b, so that the corners are the furthest.
 */
static inline ball power_(double a, double p, double b, double q, bool executed)
{
    ball z = {pow(a, b), 0};
    if (isnan(a) || isnan(b))
        return z;
    if (!(q > 0)) {
        ptf_enclose_function(PTF_OP_POW, (const double[3]){b}, 1, executed,
                             (ptf_balls){&a, &p}, (ptf_balls){&z.y, &z.r});
        return z;
    }
    double low = (a - p * PTF_UP) * (2 - PTF_UP), high = (a + p) * PTF_UP;
    double wide = q * PTF_UP + 2 * PTF_U * fabs(b), apart = 0;
    if (!(low > 0))
        return (ball){z.y, HUGE_VAL};
    z = power_at(a, b, executed);
    for (int i = 0; i < 4; i++) {
        ball corner = power_at(i % 2 == 0 ? low : high,
                               i / 2 == 0 ? b - wide : b + wide, executed);
        apart = fmax(apart, fabs(corner.y - z.y) + corner.r);
    }
    double r = (apart + z.r) * PTF_UP + PTF_TINY;
    return (ball){z.y, r < HUGE_VAL ? r : HUGE_VAL};
}

/* ------------------------------------------------------------------- table */

#define FUNCTIONS(BINARY)            \
    BINARY(ADD, add)                 \
    BINARY(SUB, sub)                 \
    BINARY(MUL, mul)                 \
    BINARY(DIV, div_)                \
    BINARY(MAXIMUM, maximum)         \
    BINARY(MINIMUM, minimum)         \
    BINARY(EQ, equal)                \
    BINARY(NE, unequal)              \
    BINARY(LT, less)                 \
    BINARY(LE, at_most)              \
    BINARY(GT, greater)              \
    BINARY(GE, at_least)             \
    BINARY(LOGICAL_AND, both)        \
    BINARY(LOGICAL_OR, either)       \
    BINARY(LOGICAL_XOR, unlike)      \
    BINARY(REMAINDER, remainder_)    \
    BINARY(FMOD, fmod_)              \
    BINARY(FLOOR_DIVIDE, floor_over) \
    BINARY(POWER, power_)

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

void ptf_enclose_broadcast(const ptf_enclose_step *s, int count,
                           ptf_broadcast *rows)
{
    const ptf_shape *out = &s->enc->shapes[s->node];
    int axes = out->rank;
    for (int k = 0; k < count; k++) {
        int last = last_axes(ptf_enclose_shape_of(s, k), out, &rows->step[k]);
        axes = last < axes ? last : axes;
    }
    rows->axes = out->rank - axes;
    rows->count = rows->length = 1;
    for (int d = 0; d < out->rank; d++)
        *(d < rows->axes ? &rows->count : &rows->length) *= out->dim[d];
}

ptf_balls ptf_broadcast_row(const ptf_enclose_step *s,
                            const ptf_broadcast *rows, int k, int64_t n,
                            int64_t row)
{
    ptf_balls balls = ptf_enclose_in(s, k, n);
    int64_t at = offset_of(ptf_enclose_shape_of(s, k), &s->enc->shapes[s->node],
                           rows->axes, row);
    return (ptf_balls){balls.value + at, balls.radius + at};
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    ptf_broadcast rows;
    ptf_enclose_broadcast(s, 2, &rows);
    for (int64_t i = 0; i < rows.count; i++)
        ptf_enclose_binary(ptf_enclose_node_of(s)->op, rows.length,
                           s->pass->executed,
                           ptf_broadcast_row(s, &rows, 0, n, i), rows.step[0],
                           ptf_broadcast_row(s, &rows, 1, n, i), rows.step[1],
                           ptf_balls_of(ptf_enclose_out(s, n), rows.length, i));
}

const ptf_enclose_family ptf_enclose_family_binary = {.image = image};
