/*
 * Products of two values, back.  For y = a b and the cotangent d of y:
 *
 *   by a   canonical sums over the columns of b of the terms b * d
 *   by b   over the rows of a, of a * d
 *
 * An operand that is broadcast gets the sums of the first product that has it,
 * then s = s + those of the next, ... in order; but leading axes next to the
 * rows along which b is the same are rows of a (ptf_op_matrices()).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

/* An axis of the products along which an operand is the same is shared. */
typedef struct matmul_run {
    ptf_back_run of;
    ptf_matrices m;
    int operand;
    const float *x[2];
    int64_t image[2];    /* floats of an operand's image */
    int64_t own, shared; /* products that have matrices of their own, and that
                            have one in common */
    int64_t turn;        /* of the latter */
    float *dx;
} matmul_run;

/* The product whose operand has matrix 'own', for the turn. */
static int64_t product_at(const matmul_run *r, int64_t own)
{
    int64_t at = 0, step = 1, turn = r->turn;
    for (int d = 0; d < r->m.axes; d++) {
        int64_t *i = r->m.step[r->operand][d] == 0 ? &turn : &own;
        at += *i % r->m.size[d] * step;
        *i /= r->m.size[d];
        step *= r->m.size[d];
    }
    return at;
}

/* By a, d times b transposed; by b, a transposed times d. */
static ptf_matmul product_of(const void *context, int64_t i)
{
    const matmul_run *r = context;
    const ptf_matrices *m = &r->m;
    int64_t n = i / r->own, k = product_at(r, i % r->own);
    const float *x[2];
    const int64_t size[2] = {m->rows * m->terms, m->terms * m->columns};
    for (int o = 0; o < 2; o++)
        x[o] = r->x[o] + n * r->image[o] + ptf_matrix_at(m, o, k) * size[o];
    const float *d = r->of.n->d + (n * m->count + k) * m->rows * m->columns;
    float *y = r->dx + i * size[r->operand];
    if (r->operand == 0)
        return (ptf_matmul){.rows = m->rows,
                            .terms = m->columns,
                            .columns = m->terms,
                            .a = d,
                            .a_row = m->columns,
                            .a_term = 1,
                            .b = x[1],
                            .b_term = 1,
                            .b_column = m->columns,
                            .y = y};
    return (ptf_matmul){.rows = m->terms,
                        .terms = m->rows,
                        .columns = m->columns,
                        .a = x[0],
                        .a_row = 1,
                        .a_term = m->terms,
                        .taps = r->of.n->pixel_offset,
                        .b = d,
                        .b_term = m->columns,
                        .b_column = 1,
                        .y = y};
}

static void count_products(matmul_run *r)
{
    r->own = r->shared = 1;
    for (int d = 0; d < r->m.axes; d++)
        *(r->m.step[r->operand][d] == 0 ? &r->shared : &r->own) *= r->m.size[d];
}

static matmul_run run_of(const ptf_gradient *g, int i, int operand)
{
    const int *in = g->net->nodes[i].inputs;
    matmul_run r = {.m = ptf_op_matrices(&g->shapes[in[0]], &g->shapes[in[1]]),
                    .operand = operand};
    count_products(&r);
    return r;
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    const int *in = g->net->nodes[i].inputs;
    matmul_run r = run_of(g, i, operand);
    r.of = ptf_back_run_of(g, i, operand, dx);
    for (int o = 0; o < 2; o++) {
        r.x[o] = ptf_gradient_value(g, in[o]);
        r.image[o] = ptf_gradient_numel(g, in[o]);
    }
    for (r.turn = 0; r.turn < r.shared; r.turn++) {
        r.dx = r.turn == 0 ? dx : g->reached;
        ptf_matmuls all = {.of = product_of,
                           .context = &r,
                           .count = g->count * r.own,
                           .scratch = g->scratch};
        ptf_matmuls_run(g->kernels, g->threads, &all);
        if (r.turn > 0)
            ptf_gradient_add(g, dx, g->reached, r.of.floats);
    }
}

static ptf_status make(ptf_gradient *g, int i, const ptf_plan_options *options,
                       ptf_error *err)
{
    (void)options;
    for (int operand = 0; operand < 2; operand++) {
        matmul_run r = run_of(g, i, operand);
        int input = g->net->nodes[i].inputs[operand];
        size_t floats = (size_t)(g->batch * ptf_gradient_numel(g, input));
        if (r.shared > 1 && floats > g->reached_floats)
            g->reached_floats = floats;
    }
    matmul_run r = run_of(g, i, 1);
    return ptf_back_product_rows(g, i, r.m.rows, r.m.terms, err);
}

const ptf_back_family ptf_back_family_matmul = {make, back};
