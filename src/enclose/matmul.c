/*
 * Balls through products of two values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

enum { STRIP = 32, BLOCK_F32 = 256 /* kernel.h's */ };

/* Sums of outputs that lie side by side. */
typedef struct sums {
    double value[STRIP], moved[STRIP], size[STRIP];
} sums;

/*
 * For terms x y with |x - m| <= r and |y - v| <= q, replacing m v by x y moves
 * the sum by at most the sum E of |m| q + (|v| + q) r.  The sum of K terms m v
 * in double is off by gamma(K) of that of |m| |v|, and a run's sum in f32
 * (kernel.h) by gamma(d, f) of that of |x| |y|, where d is the most roundings
 * that a term goes through: in its block, and one for each block.  Neither sum
 * is larger than T, that of (|m| + r) (|v| + q).  So E + (gamma + gamma) T,
 * which falls short by gamma(K + 4) at most, as a sum of non-negative numbers;
 * and what underflows.
 */
static void add_term(sums *s, double m, double r, const double *v,
                     const double *q, int64_t n)
{
    double size = fabs(m);
    for (int64_t j = 0; j < n; j++) {
        double other = fabs(v[j]) + q[j];
        s->value[j] += m * v[j];
        s->moved[j] += size * q[j] + r * other;
        s->size[j] += (size + r) * other;
    }
}

/* What each product of a step has in common. */
typedef struct bounds {
    double g, up, tiny;
} bounds;

static bounds bounds_of(int64_t terms, bool executed)
{
    int64_t depth =
        ptf_min_i64(terms, BLOCK_F32) + ptf_ceil_div(terms, BLOCK_F32);
    bounds b = {.g = ptf_gamma(terms + 2, PTF_U),
                .up = (1 + 2 * ptf_gamma(terms + 8, PTF_U)) * PTF_UP,
                .tiny = PTF_TINY};
    if (executed) {
        b.g += ptf_gamma(depth, PTF_F);
        b.tiny = PTF_TINY_F * (double)terms;
    }
    return b;
}

static void multiply(const ptf_matrices *m, const bounds *limits, ptf_balls a,
                     ptf_balls b, ptf_balls out)
{
    int64_t strips = ptf_ceil_div(m->columns, STRIP);
    for (int64_t i = 0; i < m->rows * strips; i++) {
        int64_t row = i / strips, first = i % strips * STRIP;
        int64_t n = ptf_min_i64(m->columns - first, STRIP);
        sums s = {{0}, {0}, {0}};
        for (int64_t k = 0; k < m->terms; k++) {
            int64_t from = row * m->terms + k, to = k * m->columns + first;
            add_term(&s, a.value[from], a.radius[from], b.value + to,
                     b.radius + to, n);
        }
        for (int64_t j = 0; j < n; j++) {
            int64_t at = row * m->columns + first + j;
            out.value[at] = s.value[j];
            out.radius[at] = (s.moved[j] + limits->g * s.size[j]) * limits->up +
                             limits->tiny;
        }
    }
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    ptf_matrices m =
        ptf_op_matrices(ptf_enclose_shape_of(s, 0), ptf_enclose_shape_of(s, 1));
    bounds b = bounds_of(m.terms, s->pass->executed);
    for (int64_t i = 0; i < m.count; i++)
        multiply(&m, &b,
                 ptf_balls_of(ptf_enclose_in(s, 0, n), m.rows * m.terms,
                              ptf_matrix_at(&m, 0, i)),
                 ptf_balls_of(ptf_enclose_in(s, 1, n), m.terms * m.columns,
                              ptf_matrix_at(&m, 1, i)),
                 ptf_balls_of(ptf_enclose_out(s, n), m.rows * m.columns, i));
}

const ptf_enclose_family ptf_enclose_family_matmul = {.image = image};
