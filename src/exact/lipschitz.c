/*
 * Norms of layers as linear maps.
 *
 * Unfolding.  Let a convolution, of any stride s, dilation, padding, groups and
 * axes, have M_g as group g's weights, (outputs) x (inputs * taps).  Then
 *
 *     norm(W) <= sqrt(c) max norm(M_g),  c = product of ceil(k_j g_j / s_j),
 *
 * g_j = gcd(s_j, dilation_j): norm(W x)^2 is the sum over positions p of
 * norm(M x_p)^2 <= norm(M)^2 norm(x_p)^2, x_p the window, and input i lies in
 * the windows p with p s + t d = i for a tap t; such t are s / gcd(s, d) apart,
 * so that there are c at most.  A transposed convolution is the adjoint of a
 * convolution, which has the same norm; so for s = 1 the other unfolding,
 * (inputs) x (outputs * taps), bounds a convolution as well (compare Singla &
 * Feizi, "Fantastic Four", 2021).
 *
 * The norm of a matrix, verified.  A has n rows, G = A A^T.  If the
 * floating-point Cholesky decomposition of tau I - G runs to its end, then
 *
 *     norm(A)^2 <= tau + e + c,  e = gamma(m + 2) norm_F(A)^2,
 *     c = g / (1 - g) trace(tau I + G),  g = gamma(2 n + 8):
 *
 * e is what the sums of m terms in G may be off by (Higham, (3.13)), c the
 * backward error of the decomposition (Demmel 1989; Rump, "Verification of
 * positive definiteness", BIT 2006, with n + 3 for what is done one by one;
 * sums of blocks have no more than two roundings for each term).  tau is an
 * estimate that needs no proof.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/tile.h"
#include "exact/exact.h"

enum { ROWS = PTF_TILE_ROWS, LANES = PTF_TILE_LANES, TERMS = PTF_TILE_TERMS };

/* More operations than these are not worth it: the Frobenius norm is taken. */
#define MOST_OPERATIONS 0x1p34

/* A matrix, and the products of its rows. */
typedef struct matrix {
    int64_t n, m;
    double *a, *gram; /* [n][m], [n][n] */
} matrix;

/* ------------------------------------------------------------ gram */

/* Terms k .. k + TERMS - 1 of 'count' rows, TERMS apart, or side by side. */
static void take_rows(const matrix *x, int64_t first, int64_t count, int64_t k,
                      double *to, int64_t row_step, int64_t term_step)
{
    int64_t terms = ptf_min_i64(x->m - k, TERMS);
    for (int64_t j = 0; j < count; j++)
        for (int64_t t = 0; t < terms; t++)
            to[j * row_step + t * term_step] = x->a[(first + j) * x->m + k + t];
}

/* Products of ROWS rows with LANES, which are lanes. */
static void multiply_tile(const matrix *x, int64_t row, int64_t column)
{
    _Alignas(64) double own[TERMS * LANES] = {0}, w[ROWS * TERMS] = {0};
    _Alignas(64) double sum[ROWS * LANES] = {0};
    int64_t rows = ptf_min_i64(x->n - row, ROWS);
    int64_t lanes = ptf_min_i64(x->n - column, LANES);
    for (int64_t k = 0; k < x->m; k += TERMS) {
        take_rows(x, column, lanes, k, own, 1, LANES);
        take_rows(x, row, rows, k, w, TERMS, 1);
        ptf_tile_default()->add(ptf_min_i64(x->m - k, TERMS), LANES, w, own,
                                sum);
    }
    for (int64_t j = 0; j < rows; j++)
        memcpy(x->gram + (row + j) * x->n + column, sum + j * LANES,
               (size_t)lanes * sizeof(*sum));
}

static void multiply_panel(void *context, int64_t panel, int thread)
{
    const matrix *x = context;
    (void)thread;
    for (int64_t row = 0; row < x->n; row += ROWS)
        multiply_tile(x, row, panel * LANES);
}

/* An estimate of the largest eigenvalue, by steps of the power method. */
static double estimate(const matrix *x, double *v)
{
    enum { STEPS = 20 };
    double most = 0, *next = v + x->n;
    for (int64_t i = 0; i < x->n; i++)
        v[i] = 1 + (double)(i * 7 % 11) / 11;
    for (int step = 0; step < STEPS; step++) {
        double before = 0, after = 0;
        for (int64_t i = 0; i < x->n; i++) {
            double sum[8] = {0};
            for (int64_t k = 0; k < x->n; k++)
                sum[k % 8] += x->gram[i * x->n + k] * v[k];
            next[i] = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] +
                      sum[6] + sum[7];
            before += v[i] * v[i];
            after += next[i] * next[i];
        }
        most = before > 0 ? sqrt(after / before) : 0;
        for (int64_t i = 0; i < x->n; i++)
            v[i] = after > 0 ? next[i] / sqrt(after) : 0;
    }
    return most;
}

/* Rows first .. end - 1 of the factor, from what is left there. */
static bool factor_rows(double *work, int64_t n, int64_t first, int64_t end)
{
    for (int64_t k = first; k < end; k++) {
        double *row = work + k * n, pivot = sqrt(row[k]);
        if (!(row[k] > 0) || !isfinite(pivot))
            return false;
        for (int64_t j = k; j < n; j++)
            row[j] /= pivot;
        for (int64_t i = k + 1; i < end; i++)
            for (int64_t j = i; j < n; j++)
                work[i * n + j] -= row[i] * row[j];
    }
    return true;
}

/* Takes the products of these rows off all that is after them. */
typedef struct trailing {
    double *work;
    int64_t n, first, end;
} trailing;

static void take_off(void *context, int64_t panel, int thread)
{
    const trailing *t = context;
    const ptf_tile *tile = ptf_tile_default();
    int64_t column = t->end + panel * LANES, terms = t->end - t->first;
    int64_t lanes = ptf_min_i64(t->n - column, LANES);
    _Alignas(64) double x[TERMS * LANES] = {0}, w[ROWS * TERMS] = {0};
    _Alignas(64) double sum[ROWS * LANES];
    (void)thread;
    for (int64_t k = 0; k < terms; k++)
        memcpy(x + k * LANES, t->work + (t->first + k) * t->n + column,
               (size_t)lanes * sizeof(*x));
    for (int64_t row = t->end; row < column + lanes; row += ROWS) {
        int64_t rows = ptf_min_i64(t->n - row, ROWS);
        for (int64_t k = 0; k < terms; k++)
            for (int64_t j = 0; j < rows; j++)
                w[j * TERMS + k] = t->work[(t->first + k) * t->n + row + j];
        memset(sum, 0, sizeof(sum));
        tile->add(terms, LANES, w, x, sum);
        for (int64_t j = 0; j < rows; j++)
            for (int64_t i = 0; i < lanes; i++)
                t->work[(row + j) * t->n + column + i] -= sum[j * LANES + i];
    }
}

/* Whether the decomposition of tau I - G, in 'work', runs to its end; what is
 * below the diagonal does not count. */
static bool decompose(const matrix *x, double tau, double *work)
{
    int64_t n = x->n;
    for (int64_t i = 0; i < n * n; i++)
        work[i] = -x->gram[i];
    for (int64_t i = 0; i < n; i++)
        work[i * n + i] = tau - x->gram[i * n + i];
    for (int64_t k = 0; k < n; k += TERMS) {
        trailing t = {work, n, k, ptf_min_i64(k + TERMS, n)};
        if (!factor_rows(work, n, k, t.end))
            return false;
        ptf_each(ptf_thread_count(), ptf_ceil_div(n - t.end, LANES), take_off,
                 &t);
    }
    return true;
}

static double frobenius(const matrix *x)
{
    double sum = 0;
    for (int64_t i = 0; i < x->n; i++) {
        double row = 0;
        for (int64_t k = 0; k < x->m; k++)
            row += x->a[i * x->m + k] * x->a[i * x->m + k];
        sum += row;
    }
    return sum * PTF_UP_STEP;
}

/* A bound of the 2-norm of a matrix of no more rows than columns. */
static bool norm_of(matrix *x, double *bound)
{
    double square = frobenius(x), n = (double)x->n, m = (double)x->m;
    *bound = sqrt(square) * PTF_UP;
    if (x->n < 2 || n * n * (m + n) > MOST_OPERATIONS)
        return true;
    size_t size = (size_t)(x->n * x->n);
    x->gram = ptf_alloc((2 * size + 2 * (size_t)x->n) * sizeof(double));
    if (x->gram == NULL)
        return false;
    double *work = x->gram + size, trace = 0;
    ptf_each(ptf_thread_count(), ptf_ceil_div(x->n, LANES), multiply_panel, x);
    for (int64_t i = 0; i < x->n; i++)
        trace += x->gram[i * x->n + i];
    double tau = estimate(x, work + size) * 1.01;
    bool done = tau > 0 && isfinite(tau) && decompose(x, tau, work);
    for (int i = 0; i < 40 && !done && tau > 0 && isfinite(tau); i++) {
        tau *= 1.02;
        done = decompose(x, tau, work);
    }
    double g = ptf_gamma(2 * x->n + 8, PTF_U), e = ptf_gamma(x->m + 2, PTF_U);
    double c = 1.01 * g * (n * tau + trace);
    if (done)
        *bound =
            fmin(*bound, sqrt((tau + c + e * square) * (1 + 0x1p-40)) * PTF_UP);
    ptf_free(x->gram);
    return true;
}

/* ------------------------------------------------------------ layers */

typedef struct unfolding {
    const ptf_node *node;
    const ptf_exact_numbers *numbers;
    const double *scale;          /* of each row, or NULL */
    int64_t rows, channels, taps; /* of a group */
} unfolding;

static double weight_of(const unfolding *u, int64_t row, int64_t term)
{
    const ptf_parameters *n = &u->numbers->plain;
    int64_t i = row * u->channels * u->taps + term;
    double w = n->f32 != NULL ? (double)n->f32[i] : n->f64[i];
    w *= n->scale.value != NULL ? n->scale.value[row] : 1;
    return u->scale != NULL ? w * u->scale[row] : w;
}

/* (outputs) x (inputs * taps), or 'transposed' (inputs) x (outputs * taps); the
 * side that is shorter is the rows. */
static void fill(const unfolding *u, int64_t group, bool transposed, matrix *x)
{
    int64_t high = transposed ? u->channels : u->rows;
    int64_t wide = u->rows * u->channels * u->taps / high;
    bool flip = high > wide;
    x->n = flip ? wide : high;
    x->m = flip ? high : wide;
    for (int64_t j = 0; j < u->rows; j++)
        for (int64_t k = 0; k < u->channels; k++)
            for (int64_t t = 0; t < u->taps; t++) {
                int64_t row = transposed ? k : j;
                int64_t column = (transposed ? j : k) * u->taps + t;
                x->a[flip ? column * x->m + row : row * x->m + column] =
                    weight_of(u, group * u->rows + j, k * u->taps + t);
            }
}

/* The most windows that a position is in. */
static double overlap(const ptf_attrs *a, bool strided)
{
    double c = 1;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        int64_t g = a->stride[i], other = a->dilation[i];
        while (other != 0) {
            int64_t rest = g % other;
            g = other;
            other = rest;
        }
        c *= (double)(strided ? ptf_ceil_div(a->kernel[i] * g, a->stride[i])
                              : a->kernel[i]);
    }
    return c;
}

static bool bound_by(const unfolding *u, bool transposed, double copies,
                     double *bound)
{
    int64_t groups = u->node->attrs.out_channels / u->rows;
    matrix x = {0};
    double most = 0;
    x.a = ptf_alloc((size_t)(u->rows * u->channels * u->taps) * sizeof(double));
    bool ok = x.a != NULL;
    for (int64_t g = 0; ok && g < groups; g++) {
        double norm = 0;
        fill(u, g, transposed, &x);
        ok = norm_of(&x, &norm);
        most = fmax(most, norm);
    }
    ptf_free(x.a);
    /* weights may have been rounded when they were scaled */
    *bound = fmin(*bound, most * sqrt(copies) * PTF_UP_STEP);
    return ok;
}

/* A filter of one channel moves by no more than its weights' sum. */
static double sum_of_taps(const unfolding *u)
{
    double most = 0;
    for (int64_t j = 0; j < u->node->attrs.out_channels; j++) {
        double sum = 0;
        for (int64_t t = 0; t < u->taps; t++)
            sum += fabs(weight_of(u, j, t));
        most = fmax(most, sum * PTF_UP_STEP);
    }
    return most;
}

ptf_status ptf_exact_lipschitz(const ptf_node *node,
                               const ptf_exact_numbers *numbers,
                               const double *scale, double *bound,
                               ptf_error *err)
{
    const ptf_attrs *a = &node->attrs;
    ptf_tensor weight = ptf_node_rows(node);
    unfolding u = {node, numbers, scale, a->out_channels, a->in_channels, 1};
    *bound = HUGE_VAL;
    if (ptf_op_map_axes(node->op) == 0)
        return bound_by(&u, false, 1, bound) ? PTF_OK : ptf_fail_memory(err);
    u.rows /= a->groups;
    u.channels /= a->groups;
    u.taps = ptf_tensor_numel(&weight) / a->out_channels / u.channels;
    bool transposed = ptf_op_is_transposed(node->op), plain = true;
    for (int i = 0; i < PTF_MAP_AXES; i++)
        plain = plain && a->stride[i] == 1;
    bool ok = bound_by(&u, transposed, overlap(a, true), bound);
    if (ok && plain && u.taps > 1)
        ok = bound_by(&u, !transposed, overlap(a, false), bound);
    if (u.rows == 1 && u.channels == 1)
        *bound = fmin(*bound, sum_of_taps(&u));
    return ok ? PTF_OK : ptf_fail_memory(err);
}
