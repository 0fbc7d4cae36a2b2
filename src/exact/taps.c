/*
 * Pads, and maps of another size: sums over taps, axis by axis.  A weight is a
 * double, thus two digits, and an axis is exact but for one cut.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/taps.h"

/* One axis of a value [outer][in][inner]. */
typedef struct axis {
    const ptf_exact_step *step;
    const ptf_axis_taps *taps;
    const ptf_fixed *in;
    ptf_fixed *out;
    int64_t inner;
    int64_t *weights; /* of each tap: two digits */
    int exponent;     /* of the weights */
    double otherwise;
    int64_t constant[PTF_LIMBS_MOST];
    double lost;
    bool moves;
} axis;

/* Number i of the output is made of taps begin .. end - 1 from 'base' on. */
static int64_t taps_of(const axis *a, int64_t i, int64_t *begin, int64_t *end)
{
    int64_t at = i / a->inner % a->taps->out;
    *begin = a->taps->begin[at];
    *end = a->taps->begin[at + 1];
    return i / a->inner / a->taps->out * a->taps->in * a->inner + i % a->inner;
}

static void move_at(const axis *a, int64_t i)
{
    int64_t begin, end, base = taps_of(a, i, &begin, &end);
    bool there = begin < end;
    int64_t from = there ? base + a->taps->index[begin] * a->inner : 0;
    for (int l = 0; l < a->step->exact->n; l++)
        a->out->digits[l * a->out->room + i] =
            there ? a->in->digits[l * a->in->room + from] : a->constant[l];
    a->out->radius[i] = there ? a->in->radius[from] : a->lost;
}

/* Lanes have taps of their own: tap by tap, 0 where there is none. */
static void mix_lanes(const axis *a, int64_t first, int64_t left)
{
    const ptf_limbs *limbs = a->step->exact->limbs;
    int n = a->step->exact->n;
    int64_t sum[PTF_DIGITS_MOST * PTF_LANES] = {0}, more = 1;
    double r[PTF_LANES] = {0};
    for (int64_t t = 0; more > 0; t++) {
        int64_t x[PTF_LANE_DIGITS] = {0}, w[2 * PTF_LANES] = {0};
        int64_t product[PTF_DIGITS_MOST * PTF_LANES];
        more = 0;
        for (int64_t i = 0; i < left; i++) {
            int64_t begin, end, base = taps_of(a, first + i, &begin, &end);
            if (begin + t >= end)
                continue;
            int64_t from = base + a->taps->index[begin + t] * a->inner;
            for (int l = 0; l < n; l++)
                x[l * PTF_LANES + i] = a->in->digits[l * a->in->room + from];
            for (int l = 0; l < 2; l++)
                w[l * PTF_LANES + i] = a->weights[2 * (begin + t) + l];
            r[i] += fabs(a->taps->weight[begin + t]) * a->in->radius[from];
            more++;
        }
        limbs->multiply(n, x, 2, w, product);
        for (int l = 0; l < (n + 2) * PTF_LANES; l++)
            sum[l] += product[l];
        if (t % 16 == 15)
            limbs->carry(n + 2, sum);
    }
    int64_t out[PTF_LANE_DIGITS];
    limbs->cut(n + 2, sum,
               2 * PTF_DIGIT_BITS + a->out->exponent - a->in->exponent -
                   a->exponent,
               NULL, n, out);
    for (int64_t i = 0; i < left; i++) {
        for (int l = 0; l < n; l++)
            a->out->digits[l * a->out->room + first + i] =
                out[l * PTF_LANES + i];
        a->out->radius[first + i] = r[i] * PTF_UP_STEP + a->lost;
    }
}

static void run_lanes(void *context, int64_t block, int thread)
{
    const axis *a = context;
    int64_t first = block * PTF_LANES;
    int64_t left = ptf_min_i64(a->out->count - first, PTF_LANES);
    (void)thread;
    if (!a->moves) {
        mix_lanes(a, first, left);
        return;
    }
    for (int64_t i = 0; i < left; i++)
        move_at(a, first + i);
}

/* The largest sums of |weights| of a position of the result, and of one of the
 * operand. */
static bool sums_of(const ptf_axis_taps *t, double *rows, double *columns)
{
    double *of = ptf_alloc((size_t)t->in * sizeof(*of));
    if (of == NULL)
        return false;
    *rows = *columns = 0;
    for (int64_t i = 0; i < t->out; i++) {
        double sum = 0;
        for (int64_t k = t->begin[i]; k < t->begin[i + 1]; k++) {
            sum += fabs(t->weight[k]);
            of[t->index[k]] += fabs(t->weight[k]);
        }
        *rows = fmax(*rows, sum * PTF_UP_STEP);
    }
    for (int64_t i = 0; i < t->in; i++)
        *columns = fmax(*columns, of[i] * PTF_UP_STEP);
    ptf_free(of);
    return true;
}

/* The norm of a matrix is at most the root of its largest row sum times its
 * largest column sum. */
static bool set_grid(axis *a)
{
    double rows, columns, count = (double)a->out->count;
    int n = a->step->exact->n;
    if (!sums_of(a->taps, &rows, &columns))
        return false;
    double norm = sqrt(rows * columns) * PTF_UP;
    bool exact = true;
    int e = ptf_exponent_of(a->moves ? fabs(a->otherwise) : a->in->most * rows);
    int least = a->in->exponent;
    if (!a->moves)
        least += a->exponent - 2 * PTF_DIGIT_BITS;
    a->out->exponent = e > least ? e : least;
    if (a->moves) { /* the operand's grid, unless the constant is too large */
        if (e > a->in->exponent)
            return false;
        ptf_digits_of(a->otherwise, a->out->exponent, n, a->constant, &exact);
    }
    a->out->most =
        a->moves ? fmax(a->in->most, fabs(a->otherwise)) : a->in->most * rows;
    a->lost = a->moves && exact ? 0 : ldexp(0.5, a->out->exponent);
    a->out->norm = (a->in->norm * norm + sqrt(count) * a->lost) * PTF_UP_STEP;
    return true;
}

static bool set_weights(ptf_arena *arena, axis *a)
{
    const ptf_axis_taps *t = a->taps;
    int64_t count = t->begin[t->out];
    double most = 0;
    a->weights = ptf_arena_array(arena, (size_t)count * 2 + 1, sizeof(int64_t));
    for (int64_t k = 0; k < count; k++)
        most = fmax(most, fabs(t->weight[k]));
    a->exponent = ptf_exponent_of(most);
    for (int64_t k = 0; a->weights != NULL && k < count; k++) {
        bool exact = true;
        ptf_digits_of(t->weight[k], a->exponent, 2, a->weights + 2 * k, &exact);
    }
    return a->weights != NULL;
}

/* A value with room in the arena; the last axis writes the output's. */
static bool make_value(ptf_arena *arena, int n, int64_t count, ptf_fixed *v)
{
    int64_t room = ptf_sums_room(count);
    *v = (ptf_fixed){.count = count, .room = room, .norm = HUGE_VAL};
    v->digits = ptf_arena_array(arena, (size_t)(room * n), sizeof(int64_t));
    v->radius = ptf_arena_array(arena, (size_t)room, sizeof(double));
    return v->digits != NULL && v->radius != NULL;
}

static ptf_status run(const ptf_exact_step *s, ptf_arena *arena, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    const ptf_shape *in = ptf_exact_in(s, 0), *out = ptf_exact_out(s);
    ptf_taps taps;
    if (!ptf_op_taps(arena, node->op, &node->attrs, in, out, &taps))
        return ptf_fail_memory(err);
    ptf_fixed values[PTF_SHAPE_MAX];
    const ptf_fixed *from = s->in[0];
    int64_t count = from->count;
    for (int d = taps.first; d < taps.rank; d++) {
        axis a = {.step = s,
                  .taps = &taps.axes[d],
                  .in = from,
                  .inner = 1,
                  .out = d == taps.rank - 1 ? s->out : &values[d],
                  .otherwise = (double)(float)node->attrs.p[0],
                  .moves = ptf_op_moves(node->op, &node->attrs)};
        if (!ptf_op_is(node->op, PTF_FAMILY_PAD))
            a.otherwise = 0;
        for (int b = d + 1; b < taps.rank; b++)
            a.inner *= in->dim[b];
        count = count / a.taps->in * a.taps->out;
        if (a.out != s->out && !make_value(arena, s->exact->n, count, a.out))
            return ptf_fail_memory(err);
        if (!set_weights(arena, &a))
            return ptf_fail_memory(err);
        if (!set_grid(&a))
            return ptf_exact_refuse(s, err);
        ptf_each(s->exact->threads, ptf_ceil_div(count, PTF_LANES), run_lanes,
                 &a);
        from = a.out;
    }
    return PTF_OK;
}

ptf_status ptf_exact_taps(const ptf_exact_step *s, ptf_error *err)
{
    ptf_arena arena = {0};
    ptf_status status = run(s, &arena, err);
    ptf_arena_free(&arena);
    return status;
}
