/*
 * Functions of two numbers.  Sums, products, quotients and extremes are done in
 * digits;
 * the others by enclose's balls, which are exact where they decide or count.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

/* What each block of a step has in common. */
typedef struct pair {
    ptf_op op;
    ptf_align align[2];
    double scale[2], unit;
    int64_t shift; /* of a product */
} pair;

static ptf_exact_apply add, multiply, choose;

static void add(const void *context, ptf_exact_lanes *lanes)
{
    const pair *p = context;
    const ptf_exact *exact = lanes->step->exact;
    int64_t a[PTF_LANE_DIGITS], b[PTF_LANE_DIGITS];
    ptf_align_lanes(exact, p->align[0], lanes->in[0], a);
    ptf_align_lanes(exact, p->align[1], lanes->in[1], b);
    int sign = p->op == PTF_OP_SUB ? -1 : 1;
    for (int i = 0; i < exact->n * PTF_LANES; i++)
        a[i] += sign * b[i];
    exact->limbs->cut(exact->n, a, 0, NULL, exact->n, lanes->out);
    for (int i = 0; i < PTF_LANES; i++)
        lanes->radius[i] = (lanes->r[0][i] + lanes->r[1][i] + p->align[0].lost +
                            p->align[1].lost) *
                           PTF_UP;
}

/* (a + dp) (b + dq) - a b = a dq + b dp + dp dq; radii are scaled by 'unit'. */
static void multiply(const void *context, ptf_exact_lanes *lanes)
{
    const pair *p = context;
    const ptf_exact *exact = lanes->step->exact;
    int n = exact->n;
    int64_t product[PTF_DIGITS_MOST * PTF_LANES];
    exact->limbs->multiply(n, lanes->in[0], n, lanes->in[1], product);
    exact->limbs->cut(2 * n, product, p->shift, NULL, n, lanes->out);
    double lost = ldexp(0.5, lanes->step->out->exponent);
    for (int i = 0; i < PTF_LANES; i++) {
        double a = fabs(ptf_lane_double(lanes->in[0], n, i, p->scale[0]));
        double b = fabs(ptf_lane_double(lanes->in[1], n, i, p->scale[1]));
        double r = lanes->r[0][i], q = lanes->r[1][i];
        lanes->radius[i] =
            (a * q + b * r + r * (q / p->unit) + lost) * PTF_UP_STEP;
    }
}

static void choose(const void *context, ptf_exact_lanes *lanes)
{
    const pair *p = context;
    const ptf_exact *exact = lanes->step->exact;
    int64_t of[2][PTF_LANE_DIGITS];
    for (int k = 0; k < 2; k++)
        ptf_align_lanes(exact, p->align[k], lanes->in[k], of[k]);
    for (int i = 0; i < PTF_LANES; i++) {
        bool less = ptf_digits_less(of[0] + i, PTF_LANES, of[1] + i, PTF_LANES,
                                    exact->n);
        const int64_t *from = of[less == (p->op == PTF_OP_MAXIMUM)];
        for (int l = 0; l < exact->n; l++)
            lanes->out[l * PTF_LANES + i] = from[l * PTF_LANES + i];
        lanes->radius[i] = fmax(lanes->r[0][i] + p->align[0].lost,
                                lanes->r[1][i] + p->align[1].lost) *
                           PTF_UP;
    }
}

/* ------------------------------------------------------------ quotients */

/* What is lost on the way is found with each number: see divide(). */
typedef struct quotient {
    const ptf_exact *exact;
    int b, inverse; /* exponents of the divisor and of what divides by it */
    double scale[2], unit, y_scale, lost;
    int64_t shift;
} quotient;

/*
 * r = 1 / b to k = n + 1 digits by Newton's steps r += r (1 - b r) from a
 * double, and d = |1 - b r|, off by 2^-(51 n): r is within d / (1 - d) of 1 /
 * b, relative to it, whatever the steps did.
 */
static void invert(const quotient *q, const int64_t *b, int64_t *r,
                   double d[PTF_LANES])
{
    enum { WIDE = (PTF_LIMBS_MOST + 1) * PTF_LANES };
    const ptf_limbs *limbs = q->exact->limbs;
    int n = q->exact->n, k = n + 1;
    int64_t product[PTF_DIGITS_MOST * PTF_LANES], left[WIDE], one[WIDE] = {0};
    double scale = ldexp(1.0, 2 - PTF_DIGIT_BITS);
    for (int i = 0; i < PTF_LANES; i++) {
        int64_t own[PTF_LIMBS_MOST + 1];
        bool exactly = true;
        double x = 1 / ptf_lane_double(b, n, i, q->scale[1]);
        if (!(fabs(x) < ldexp(0.5, q->inverse)))
            x = 0; /* of a divisor that is 0, or after the last */
        ptf_digits_of(x, q->inverse, k, own, &exactly);
        for (int l = 0; l < k; l++)
            r[l * PTF_LANES + i] = own[l];
        one[(k - 1) * PTF_LANES + i] = INT64_C(1) << (PTF_DIGIT_BITS - 2);
    }
    for (int right = 24;; right *= 2) {
        limbs->multiply(n, b, k, r, product);
        limbs->cut(n + k, product,
                   (int64_t)PTF_DIGIT_BITS * n + 2 - q->b - q->inverse, NULL, k,
                   left);
        for (int i = 0; i < k * PTF_LANES; i++)
            left[i] = one[i] - left[i];
        limbs->cut(k, left, 0, NULL, k, left);
        if (right > PTF_DIGIT_BITS * k)
            break;
        limbs->multiply(k, left, k, r, product);
        limbs->cut(2 * k, product, (int64_t)PTF_DIGIT_BITS * k - 2, NULL, k,
                   product);
        for (int i = 0; i < k * PTF_LANES; i++)
            product[i] += r[i];
        limbs->cut(k, product, 0, NULL, k, r);
    }
    for (int i = 0; i < PTF_LANES; i++)
        d[i] = fabs(ptf_lane_double(left, k, i, scale)) * PTF_UP + 1 / q->unit;
}

/* (a + dp) / (b + dq) - a / b = (dp - a / b dq) / (b + dq) */
static void divide(const void *context, ptf_exact_lanes *lanes)
{
    const quotient *q = context;
    const ptf_limbs *limbs = q->exact->limbs;
    int n = q->exact->n, k = n + 1;
    int64_t r[(PTF_LIMBS_MOST + 1) * PTF_LANES];
    int64_t product[PTF_DIGITS_MOST * PTF_LANES];
    double d[PTF_LANES];
    invert(q, lanes->in[1], r, d);
    limbs->multiply(n, lanes->in[0], k, r, product);
    limbs->cut(n + k, product, q->shift, NULL, n, lanes->out);
    for (int i = 0; i < PTF_LANES; i++) {
        double b = fabs(ptf_lane_double(lanes->in[1], n, i, q->scale[1]));
        double y = fabs(ptf_lane_double(lanes->out, n, i, q->y_scale));
        double least = b * (1 - 8 * PTF_U) - lanes->r[1][i] / q->unit * PTF_UP;
        double own = (y * q->unit + q->lost) * d[i] / (1 - d[i]) + q->lost;
        lanes->radius[i] =
            least > 0 && d[i] * q->unit < 4
                ? ((lanes->r[0][i] + (y + own / q->unit) * lanes->r[1][i]) /
                       least +
                   own) *
                      PTF_UP_STEP
                : HUGE_VAL;
    }
}

/* The least divisor, less what it is off by; 0 where one may be 0. */
static double least_divisor(const ptf_exact_step *s)
{
    const ptf_fixed *b = s->in[1];
    double scale = ptf_fixed_scale(b), least = HUGE_VAL;
    double unit = ldexp(1.0, PTF_DIGIT_BITS * s->exact->n);
    for (int64_t i = 0; i < b->count; i++) {
        double m = fabs(ptf_fixed_double(b, s->exact->n, i, scale));
        double r = b->radius[i] / unit;
        least = fmin(least, r < m ? m * (1 - 8 * PTF_U) - r * PTF_UP : 0);
    }
    return fmax(least, 0);
}

/* False where a divisor may be 0, or is so small beside the others that its
 * inverse finds no grid. */
static bool run_quotient(const ptf_exact_step *s, const ptf_strides *strides)
{
    const ptf_fixed *a = s->in[0], *b = s->in[1];
    double least = least_divisor(s), count = (double)s->out->count;
    int n = s->exact->n;
    if (!(least > 0x1p-100) || !(a->most < 0x1p100))
        return false;
    quotient q = {.exact = s->exact,
                  .b = b->exponent,
                  .inverse = ptf_exponent_of(2 / least),
                  .scale = {ptf_fixed_scale(a), ptf_fixed_scale(b)},
                  .unit = ldexp(1.0, PTF_DIGIT_BITS * n)};
    int e = ptf_exponent_of(a->most / least * PTF_UP);
    int from = a->exponent + q.inverse;
    s->out->exponent = e > from - PTF_DIGIT_BITS ? e : from - PTF_DIGIT_BITS;
    q.y_scale = ptf_fixed_scale(s->out);
    q.lost = ldexp(0.5, s->out->exponent);
    q.shift = (int64_t)PTF_DIGIT_BITS * (n + 1) + s->out->exponent - from;
    if (q.b + q.inverse > PTF_DIGIT_BITS - 11)
        return false;
    ptf_exact_each(s, 2, strides, divide, &q);
    double copies[2], most = a->most / least + q.lost / q.unit, own = 0;
    for (int k = 0; k < 2; k++)
        copies[k] = sqrt(count / (double)s->in[k]->count);
    for (int64_t i = 0; i < s->out->count; i++)
        own = fmax(own, s->out->radius[i]);
    if (own < HUGE_VAL) /* each lost 4.1 most units, and the cut */
        s->out->norm =
            ((a->norm * copies[0] + most * b->norm * copies[1]) / least +
             sqrt(count) * (4.1 * most + 2 * q.lost)) *
            PTF_UP_STEP;
    return true;
}

/* ------------------------------------------------------------ norms */

/*
 * The largest Euclidean norm of the numbers |m| + r of 'in' that one number of
 * operand k is multiplied with.
 */
static ptf_status gathered(const ptf_exact_step *s, int k,
                           const ptf_strides *strides, double *most,
                           ptf_error *err)
{
    const ptf_fixed *in = s->in[1 - k];
    double scale = ptf_fixed_scale(in), unit = ldexp(1, 51 * s->exact->n);
    double *squares = ptf_alloc((size_t)s->in[k]->count * sizeof(*squares));
    if (squares == NULL)
        return ptf_fail_memory(err);
    for (int64_t i = 0; i < s->out->count; i += PTF_LANES) {
        int64_t own[PTF_LANES], other[PTF_LANES];
        ptf_strides_at(&strides[k], i, own);
        ptf_strides_at(&strides[1 - k], i, other);
        for (int j = 0; j < ptf_min_i64(PTF_LANES, s->out->count - i); j++) {
            double m =
                fabs(ptf_fixed_double(in, s->exact->n, other[j], scale)) +
                in->radius[other[j]] / unit;
            squares[own[j]] += m * m;
        }
    }
    *most = 0;
    for (int64_t i = 0; i < s->in[k]->count; i++)
        *most = fmax(*most, sqrt(squares[i]) * PTF_UP_STEP);
    ptf_free(squares);
    return PTF_OK;
}

/*
 * a b: the error b da + a db + da db as ((b + db) da) + a db, each the norm of
 * a diagonal map (or of one that also copies) times R.
 */
static ptf_status product_norm(const ptf_exact_step *s,
                               const ptf_strides *strides, ptf_error *err)
{
    double by[2];
    ptf_status status = PTF_OK;
    for (int k = 0; status == PTF_OK && k < 2; k++)
        status = gathered(s, k, strides, &by[k], err);
    if (status == PTF_OK)
        s->out->norm =
            (by[0] * s->in[0]->norm + by[1] * s->in[1]->norm +
             sqrt((double)s->out->count) * ldexp(0.5, s->out->exponent)) *
            PTF_UP_STEP;
    return status;
}

/* ------------------------------------------------------------ by balls */

static ptf_status by_balls(const ptf_exact_step *s, const ptf_strides *strides,
                           ptf_error *err)
{
    size_t count = (size_t)s->out->count;
    size_t sizes[2] = {(size_t)s->in[0]->count, (size_t)s->in[1]->count};
    double *room = ptf_alloc(2 * (count + sizes[0] + sizes[1]) * sizeof(*room));
    if (room == NULL)
        return ptf_fail_memory(err);
    ptf_balls out = {room, room + count}, in[2];
    double *at = room + 2 * count;
    for (int k = 0; k < 2; at += 2 * sizes[k++]) {
        in[k] = (ptf_balls){at, at + sizes[k]};
        ptf_exact_give_balls(s->exact, s->in[k], in[k]);
    }
    int64_t a[PTF_LANES], b[PTF_LANES];
    for (int64_t i = 0; i < s->out->count; i++) {
        if (i % PTF_LANES == 0) {
            ptf_strides_at(&strides[0], i, a);
            ptf_strides_at(&strides[1], i, b);
        }
        int64_t x = a[i % PTF_LANES], y = b[i % PTF_LANES];
        ptf_enclose_binary(ptf_exact_node(s)->op, 1, false,
                           (ptf_balls){in[0].value + x, in[0].radius + x}, 0,
                           (ptf_balls){in[1].value + y, in[1].radius + y}, 0,
                           (ptf_balls){out.value + i, out.radius + i});
    }
    ptf_exact_take_balls(s, out);
    ptf_free(room);
    return PTF_OK;
}

/* ------------------------------------------------------------ run */

/* No result is larger, for operands no larger than a and b. */
static double largest_sum(double a, double b)
{
    return (a + b) * PTF_UP;
}

static double largest_product(double a, double b)
{
    return a * b * PTF_UP;
}

static const struct row {
    ptf_exact_apply *apply;
    double (*largest)(double a, double b);
    bool multiplies;
} rows[PTF_OP_COUNT] = {
    [PTF_OP_ADD] = {add, largest_sum, false},
    [PTF_OP_SUB] = {add, largest_sum, false},
    [PTF_OP_MUL] = {multiply, largest_product, true},
    [PTF_OP_MAXIMUM] = {choose, fmax, false},
    [PTF_OP_MINIMUM] = {choose, fmax, false},
};

/* Sums and extremes are on the coarser grid of both, so that moving to it cuts
 * no more than it does. */
static void set_grid(const ptf_exact_step *s, const struct row *row)
{
    const ptf_fixed *a = s->in[0], *b = s->in[1];
    int e = ptf_exponent_of(row->largest(a->most, b->most));
    int least = a->exponent > b->exponent ? a->exponent : b->exponent;
    if (row->multiplies)
        least = a->exponent + b->exponent - PTF_DIGIT_BITS * s->exact->n;
    s->out->exponent = e > least ? e : least;
}

ptf_status ptf_exact_family_binary(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_fixed *a = s->in[0], *b = s->in[1];
    const struct row *row = &rows[ptf_exact_node(s)->op];
    ptf_strides strides[2];
    for (int k = 0; k < 2; k++)
        strides[k] =
            ptf_strides_broadcast(ptf_exact_in(s, k), ptf_exact_out(s));
    if (ptf_exact_node(s)->op == PTF_OP_DIV && run_quotient(s, strides))
        return PTF_OK;
    if (row->apply == NULL)
        return by_balls(s, strides, err);
    set_grid(s, row);
    int bits = PTF_DIGIT_BITS * s->exact->n;
    pair p = {
        ptf_exact_node(s)->op,
        {ptf_align_to(s->exact, a, s->out), ptf_align_to(s->exact, b, s->out)},
        {ptf_fixed_scale(a), ptf_fixed_scale(b)},
        ldexp(1.0, bits),
        bits + s->out->exponent - a->exponent - b->exponent};
    ptf_exact_each(s, 2, strides, row->apply, &p);
    if (row->multiplies)
        return product_norm(s, strides, err);
    double copies[2], count = (double)s->out->count;
    for (int k = 0; k < 2; k++)
        copies[k] = sqrt(count / (double)s->in[k]->count);
    s->out->norm = (a->norm * copies[0] + b->norm * copies[1] +
                    sqrt(count) * (p.align[0].lost + p.align[1].lost)) *
                   PTF_UP_STEP;
    return PTF_OK;
}
