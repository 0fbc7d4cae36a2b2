/*
 * Functions of two numbers.  Sums, products and extremes are done in digits;
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
