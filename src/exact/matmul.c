/*
 * Sums of products of two values: the digits of the first are weights of n
 * planes.
 *
 * For |x - m| <= r and |y - v| <= q replacing m v by x y moves a sum by at most
 * that of |m| q + (|v| + q) r, which is norm(m) norm(q) + norm(r) (norm(v) +
 * norm(q)) of the row and the column at most (Cauchy and Schwarz).
 *
 * Of all errors together, dA B' + A dB for B' = B + dB, the norm is at most R_A
 * max norm(B') + max norm(A) R_B over the matrices, and sqrt(c) of an R whose
 * matrix is c times an operand.  norm(A)^2 is at most the sum of all squares,
 * and the largest sum of magnitudes of a row times that of a column.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

typedef struct work {
    const ptf_exact_step *step;
    ptf_matrices m;
    int64_t first; /* of the product's first operand */
    double *rows[2], *columns[2];
    int *exponent;
    int64_t *at;
    double *sums;   /* of the columns of a matrix */
    double most[2]; /* norms of A and B' */
} work;

static bool weights(const void *context, int64_t row, int plane, int64_t from,
                    int64_t count, double *to)
{
    const work *w = context;
    const ptf_fixed *a = w->step->in[0];
    int digit = w->step->exact->n - 1 - plane;
    const int64_t *digits =
        a->digits + digit * a->room + w->first + row * w->m.terms + from;
    bool any = false;
    for (int64_t k = 0; k < count; k++) {
        to[k] = (double)digits[k];
        any = any || digits[k] != 0;
    }
    return any;
}

/* Norms of |m| and r of 'count' numbers; r as a multiple of 'unit'. */
static void norms(const ptf_exact *exact, const ptf_fixed *v, int64_t at,
                  int64_t step, int64_t count, double *m, double *r)
{
    double scale = ptf_fixed_scale(v), a = 0, b = 0;
    for (int64_t k = 0; k < count; k++, at += step) {
        double x = ptf_fixed_double(v, exact->n, at, scale);
        double q = v->radius[at] + PTF_FLOOR;
        a += x * x;
        b += q * q;
    }
    *m = sqrt(a) * PTF_UP_STEP;
    *r = fmin(sqrt(b) * PTF_UP_STEP, v->norm);
}

static void set_norms(const work *w, int64_t second, double most[2])
{
    const ptf_exact_step *s = w->step;
    double unit = ldexp(1.0, PTF_DIGIT_BITS * s->exact->n), r, m;
    for (int64_t i = 0; i < w->m.rows; i++) {
        norms(s->exact, s->in[0], w->first + i * w->m.terms, 1, w->m.terms, &m,
              &r);
        w->rows[0][i] = m;
        w->rows[1][i] = r;
        most[0] = fmax(most[0], m);
    }
    for (int64_t j = 0; j < w->m.columns; j++) {
        norms(s->exact, s->in[1], second + j, w->m.columns, w->m.terms, &m, &r);
        w->columns[0][j] = r;
        w->columns[1][j] = (m + r / unit) * PTF_UP;
        most[1] = fmax(most[1], m);
    }
}

/* A bound of the 2-norm of |m| + r, or with 'plain' of |m|. */
static double norm_of(const work *w, const ptf_fixed *v, int64_t at,
                      int64_t rows, int64_t columns, bool plain)
{
    const ptf_exact *exact = w->step->exact;
    double scale = ptf_fixed_scale(v), squares = 0, row = 0, column = 0;
    double unit = ldexp(1.0, -PTF_DIGIT_BITS * exact->n);
    memset(w->sums, 0, (size_t)columns * sizeof(*w->sums));
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0, square = 0;
        for (int64_t j = 0; j < columns; j++, at++) {
            double x = fabs(ptf_fixed_double(v, exact->n, at, scale));
            x += plain ? 0 : v->radius[at] * unit;
            w->sums[j] += x;
            sum += x;
            square += x * x;
        }
        squares += square;
        row = fmax(row, sum);
    }
    for (int64_t j = 0; j < columns; j++)
        column = fmax(column, w->sums[j]);
    return sqrt(fmin(squares, row * column)) * PTF_UP_STEP;
}

static void add_norms(work *w, int64_t second)
{
    const ptf_exact_step *s = w->step;
    double a = norm_of(w, s->in[0], w->first, w->m.rows, w->m.terms, true);
    double b = norm_of(w, s->in[1], second, w->m.terms, w->m.columns, false);
    w->most[0] = fmax(w->most[0], a);
    w->most[1] = fmax(w->most[1], b < HUGE_VAL ? b : HUGE_VAL);
}

static double norm_of_errors(const work *w, double lost)
{
    const ptf_exact_step *s = w->step;
    double sizes[2] = {(double)(w->m.rows * w->m.terms),
                       (double)(w->m.terms * w->m.columns)};
    double norm = sqrt((double)s->out->count) * lost;
    for (int k = 0; k < 2; k++) {
        double copies = (double)w->m.count * sizes[k] / (double)s->in[k]->count;
        norm += w->most[1 - k] * s->in[k]->norm * sqrt(fmax(copies, 1));
    }
    return norm * PTF_UP_STEP;
}

static bool allocate(ptf_arena *arena, work *w)
{
    size_t rows = (size_t)w->m.rows, room = (size_t)ptf_sums_room(w->m.columns);
    for (int k = 0; k < 2; k++) {
        w->rows[k] = ptf_arena_array(arena, rows, sizeof(double));
        w->columns[k] = ptf_arena_array(arena, room, sizeof(double));
        if (w->rows[k] == NULL || w->columns[k] == NULL)
            return false;
    }
    int64_t wide = ptf_max_i64(w->m.columns, w->m.terms);
    w->sums = ptf_arena_array(arena, (size_t)wide + 1, sizeof(double));
    w->exponent = ptf_arena_array(arena, rows, sizeof(int));
    w->at = ptf_arena_array(arena, room, sizeof(int64_t));
    return w->exponent != NULL && w->at != NULL && w->sums != NULL;
}

/* The grid is that of all products: first all norms, then it. */
static ptf_status run(work *w, ptf_error *err)
{
    const ptf_exact_step *s = w->step;
    const ptf_fixed *a = s->in[0], *b = s->in[1];
    double most[2] = {0, 0};
    ptf_status status = PTF_OK;
    for (int64_t i = 0; i < w->m.count; i++) {
        w->first = ptf_matrix_at(&w->m, 0, i) * w->m.rows * w->m.terms;
        set_norms(w, ptf_matrix_at(&w->m, 1, i) * w->m.terms * w->m.columns,
                  most);
    }
    int lowest = a->exponent - PTF_DIGIT_BITS * s->exact->n;
    int e = ptf_exponent_of(most[0] * most[1] * PTF_UP_STEP);
    s->out->exponent = e > b->exponent + lowest ? e : b->exponent + lowest;
    ptf_sums sums = {.exact = s->exact,
                     .in = b,
                     .out = s->out,
                     .groups = 1,
                     .rows = w->m.rows,
                     .channels = w->m.terms,
                     .taps = 1,
                     .pixels = w->m.columns,
                     .at = w->at,
                     .in_channel = w->m.columns,
                     .out_row = w->m.columns,
                     .out_pixel = 1,
                     .planes = s->exact->n,
                     .weights = weights,
                     .context = w,
                     .exponent = w->exponent,
                     .row_a = w->rows[0],
                     .pixel_a = w->columns[0],
                     .row_b = w->rows[1],
                     .pixel_b = w->columns[1],
                     .lost = ldexp(0.5, s->out->exponent)};
    for (int64_t j = 0; j < w->m.rows; j++)
        w->exponent[j] = lowest;
    for (int64_t j = 0; j < ptf_sums_room(w->m.columns); j++)
        w->at[j] = j < w->m.columns ? j : -1;
    for (int64_t i = 0; status == PTF_OK && i < w->m.count; i++) {
        w->first = ptf_matrix_at(&w->m, 0, i) * w->m.rows * w->m.terms;
        sums.in_first = ptf_matrix_at(&w->m, 1, i) * w->m.terms * w->m.columns;
        sums.out_first = i * w->m.rows * w->m.columns;
        set_norms(w, sums.in_first, most);
        add_norms(w, sums.in_first);
        status = ptf_sums_run(&sums, err);
    }
    s->out->norm = norm_of_errors(w, sums.lost);
    return status;
}

ptf_status ptf_exact_family_matmul(const ptf_exact_step *s, ptf_error *err)
{
    ptf_arena arena = {0};
    work w = {.step = s,
              .m = ptf_op_matrices(ptf_exact_in(s, 0), ptf_exact_in(s, 1))};
    ptf_status status =
        allocate(&arena, &w) ? run(&w, err) : ptf_fail_memory(err);
    ptf_arena_free(&arena);
    return status;
}
