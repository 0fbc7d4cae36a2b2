/*
 * Softmax: the exponentials of what each number is below the largest one, to n
 * + 1 digits, over their sum.
 *
 * An exponential e is off by 2^23 2^(-51 k) at most, 2^-28 of a unit of n
 * digits (functions.c), and the sum S of N of them, 1 at least, by N times
 * that: e / S by less than (N + 2) 2^-27 units, with what the quotient loses.
 *
 * Where all inputs of a row move by R at most, so does the logarithm of each
 * result y by 2 R: y by y (exp(2 R) - 1) <= y (2 R + 4 R^2) for R <= 1/2, and
 * by 1 at most.  The derivative is diag(y) - y y', of norm 2 max y (1 - y) at
 * most, for a row's sum of magnitudes is 2 y (1 - y) (Gershgorin): 1/2, and no
 * more than 2 max y exp(2 R) on the way.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/functions.h"

enum {
    WIDE = (PTF_LIMBS_MOST + 1) * PTF_LANES,
    PRODUCT = PTF_DIGITS_MOST * PTF_LANES,
    OUT = 2, /* the exponent of numbers up to 1 */
};

typedef struct work {
    const ptf_exact_step *step;
    const ptf_functions *functions;
    int64_t n, inner, blocks; /* of a row */
    int64_t *rooms;           /* per thread: [block][k][PTF_LANES] */
    double lost;
    double *slopes; /* per row: a bound of the derivative's norm */
} work;

/* The largest number of a row, and the largest radius. */
static int64_t find_top(const work *w, int64_t base, double *reach)
{
    const ptf_fixed *in = w->step->in[0];
    int64_t top = base;
    *reach = 0;
    for (int64_t i = 0; i < w->n; i++) {
        int64_t at = base + i * w->inner;
        bool known = in->radius[at] < HUGE_VAL; /* nor NaN */
        *reach = fmax(*reach, known ? in->radius[at] : HUGE_VAL);
        if (ptf_digits_less(in->digits + top, in->room, in->digits + at,
                            in->room, w->step->exact->n))
            top = at;
    }
    return top;
}

/* exp(x - the largest) of a block, 0 after the last one. */
static void take_block(const work *w, int64_t base, int64_t top, int64_t block,
                       int64_t *to)
{
    const ptf_fixed *in = w->step->in[0];
    const ptf_exact *exact = w->step->exact;
    int n = exact->n;
    int64_t below[WIDE] = {0}, wide[WIDE], e[WIDE];
    int64_t left = ptf_min_i64(w->n - block * PTF_LANES, PTF_LANES);
    for (int l = 0; l < n; l++)
        for (int64_t i = 0; i < left; i++) {
            const int64_t *digits = in->digits + l * in->room;
            int64_t at = base + (block * PTF_LANES + i) * w->inner;
            below[l * PTF_LANES + i] = digits[at] - digits[top];
        }
    exact->limbs->cut(n, below, 0, NULL, n + 1, wide);
    ptf_lane_numbers x = {wide, n + 1, in->exponent + PTF_DIGIT_BITS, {0}};
    double scale = ldexp(1.0, in->exponent);
    for (int i = 0; i < PTF_LANES; i++)
        x.m[i] = ptf_lane_double(wide, n + 1, i, scale);
    ptf_lanes_exp(w->functions, &x, e);
    for (int l = 0; l <= n; l++)
        for (int64_t i = left; i < PTF_LANES; i++)
            e[l * PTF_LANES + i] = 0;
    memcpy(to, e, (size_t)((n + 1) * PTF_LANES) * sizeof(*to));
}

/* Digits 0 .. 2^51 - 1 of the sum, one more than its terms have. */
static void add_block(int k, const int64_t *e, int64_t *sum)
{
    for (int l = 0; l < k; l++)
        for (int i = 0; i < PTF_LANES; i++)
            sum[l] += e[l * PTF_LANES + i];
    for (int l = 0; l < k; l++) {
        sum[l + 1] += sum[l] >> PTF_DIGIT_BITS;
        sum[l] &= PTF_DIGIT_MASK;
    }
}

static void give_block(const work *w, int64_t base, int64_t block,
                       const int64_t *e, const ptf_real *inverse, double reach,
                       double *most)
{
    const ptf_exact *exact = w->step->exact;
    ptf_fixed *out = w->step->out;
    int n = exact->n, k = n + 1;
    int64_t product[PRODUCT], y[WIDE];
    int64_t left = ptf_min_i64(w->n - block * PTF_LANES, PTF_LANES);
    double r = ldexp(reach, -PTF_DIGIT_BITS * n), scale = ptf_fixed_scale(out);
    exact->limbs->multiply(k, e, k, inverse->digits, product);
    exact->limbs->cut(2 * k, product,
                      (int64_t)PTF_DIGIT_BITS * (2 * k - n) + OUT -
                          PTF_FUNCTION_EXPONENT - inverse->exponent,
                      NULL, n, y);
    for (int64_t i = 0; i < left; i++) {
        int64_t at = base + (block * PTF_LANES + i) * w->inner;
        double p = fabs(ptf_lane_double(y, n, (int)i, scale)) * PTF_UP +
                   ldexp(w->lost, -PTF_DIGIT_BITS * n);
        for (int l = 0; l < n; l++)
            out->digits[l * out->room + at] = y[l * PTF_LANES + i];
        out->radius[at] = (p * 2 * reach * (1 + 2 * r) + w->lost) * PTF_UP_STEP;
        if (!(r <= 0.5))
            out->radius[at] = ldexp(1, PTF_DIGIT_BITS * n) + w->lost;
        *most = fmax(*most, p);
    }
}

static void run_row(void *context, int64_t row, int thread)
{
    const work *w = context;
    const ptf_exact *exact = w->step->exact;
    int k = exact->n + 1;
    int64_t base = row / w->inner * w->n * w->inner + row % w->inner;
    int64_t *room = w->rooms + thread * w->blocks * k * PTF_LANES;
    int64_t sum[PTF_LIMBS_MOST + 2] = {0};
    double reach, most = 0, r;
    int64_t top = find_top(w, base, &reach);
    for (int64_t b = 0; b < w->blocks; b++) {
        take_block(w, base, top, b, room + b * k * PTF_LANES);
        add_block(k, room + b * k * PTF_LANES, sum);
    }
    ptf_real inverse,
        all = ptf_real_of_digits(exact->limbs, k, k + 1, sum,
                                 PTF_FUNCTION_EXPONENT - PTF_DIGIT_BITS * k);
    w->slopes[row] = HUGE_VAL;
    if (!ptf_real_reciprocal(&all, &inverse))
        return;
    for (int64_t b = 0; b < w->blocks; b++)
        give_block(w, base, b, room + b * k * PTF_LANES, &inverse, reach,
                   &most);
    r = ldexp(reach, -PTF_DIGIT_BITS * exact->n);
    w->slopes[row] = r <= 0.5 ? fmin(0.5, 2 * most * (1 + 4 * r)) : 0.5;
}

static ptf_status run(work *w, ptf_error *err)
{
    const ptf_exact_step *s = w->step;
    int64_t rows = s->out->count / w->n, k = s->exact->n + 1;
    int64_t room = w->blocks * k * PTF_LANES * s->exact->threads;
    double slope = 0;
    w->functions = ptf_exact_functions(s->exact);
    w->rooms = ptf_alloc((size_t)room * sizeof(*w->rooms));
    w->slopes = ptf_alloc((size_t)rows * sizeof(*w->slopes));
    if (w->functions == NULL || w->rooms == NULL || w->slopes == NULL)
        return ptf_fail_memory(err);
    ptf_each(s->exact->threads, rows, run_row, w);
    for (int64_t i = 0; i < rows; i++)
        slope = fmax(slope, w->slopes[i]);
    if (!(slope < HUGE_VAL))
        s->exact->bad = s->node;
    s->out->norm =
        (s->in[0]->norm * slope + sqrt((double)s->out->count) * w->lost) *
        PTF_UP_STEP;
    return PTF_OK;
}

ptf_status ptf_exact_family_softmax(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    const ptf_shape *shape = ptf_exact_in(s, 0);
    int axis = ptf_softmax_axis(&node->attrs, shape->rank + 1) - 1;
    work w = {.step = s, .inner = 1};
    if (node->op != PTF_OP_SOFTMAX || axis < 0)
        return ptf_exact_refuse(s, err);
    w.n = shape->dim[axis];
    for (int d = axis + 1; d < shape->rank; d++)
        w.inner *= shape->dim[d];
    w.blocks = ptf_ceil_div(w.n, PTF_LANES);
    s->out->exponent = OUT;
    w.lost = ldexp(0.5, OUT) + (double)(w.n + 2) * 0x1p-27;
    ptf_status status = run(&w, err);
    ptf_free(w.rooms);
    ptf_free(w.slopes);
    return status;
}
