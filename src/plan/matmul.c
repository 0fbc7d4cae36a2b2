/*
 * Products of two values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/* The products of a piece. */
typedef struct matmul_run {
    ptf_step_piece of;
    ptf_matrices matrices;
} matmul_run;

static ptf_matmul product_of(const void *context, int64_t i)
{
    const matmul_run *r = context;
    const ptf_matrices *m = &r->matrices;
    const ptf_step *s = r->of.step;
    int64_t n = r->of.piece->first + i / m->count, k = i % m->count;
    const float *a = ptf_plan_read(r->of.plan, r->of.piece, s->in[0], n);
    const float *b = ptf_plan_read(r->of.plan, r->of.piece, s->in[1], n);
    float *y = ptf_plan_at(r->of.plan, r->of.piece, s->out, n);
    return (ptf_matmul){
        .rows = m->rows,
        .terms = m->terms,
        .columns = m->columns,
        .a = a + ptf_matrix_at(m, 0, k) * m->rows * m->terms,
        .a_row = m->terms,
        .a_term = 1,
        .b = b + ptf_matrix_at(m, 1, k) * m->terms * m->columns,
        .b_term = m->columns,
        .b_column = 1,
        .y = y + k * m->rows * m->columns,
    };
}

static bool is_constant(const ptf_plan *plan, int value)
{
    return ptf_plan_root(plan, value)->buffer == PTF_BUFFER_CONSTANT;
}

static void run_matmul(const ptf_plan *plan, const ptf_step *step,
                       const ptf_piece *piece)
{
    matmul_run r = {.of = {plan, step, piece}};
    bool alone = piece->thread != PTF_ALL_THREADS;
    size_t thread = piece->thread > 0 ? (size_t)piece->thread : 0;
    r.matrices = ptf_op_matrices(&plan->values[step->in[0]].shape,
                                 &plan->values[step->in[1]].shape);
    ptf_matmuls all = {.of = product_of,
                       .context = &r,
                       .count = piece->count * r.matrices.count,
                       .scratch = plan->scratch +
                                  thread * plan->kernels->scratch_size};
    if (r.matrices.count == 1 && is_constant(plan, step->in[1]) &&
        !is_constant(plan, step->in[0])) { /* images are rows, too */
        r.matrices.rows *= piece->count;
        all.count = 1;
    }
    ptf_matmuls_run(plan->kernels, alone ? 1 : plan->threads, &all);
}

ptf_status ptf_plan_matmul(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    (void)plan, (void)err;
    step->kernel = "matmul";
    step->run = run_matmul;
    return PTF_OK;
}
