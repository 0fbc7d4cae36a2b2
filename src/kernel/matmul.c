/*
 * Products of matrices on threads, by the kernel that is best for their size:
 * all give the same bits.
 *
 *   - the gemm() of convolutions, whose pixels are the rows of a, and whose
 *     weights are b as it lies: its columns one after the other, or transposed;
 *   - gemv() for few rows and columns that lie so;
 *   - where b is a single column, the same with a as the weights;
 *   - a plain loop for few rows of a transposed b, whose tiles would be mostly
 *     empty, and with ref.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

enum {
    PARTS_OF_THREAD = 4,
    PART_TERMS = 1 << 16, /* multiplications that are worth a part */
    FEW_ROWS = 4,         /* of so many times as many a tile is full */
};

typedef struct run {
    const ptf_kernels *kernels;
    const ptf_matmuls *all;
    int64_t parts; /* of a product */
} run;

/* A matrix times a vector. */
static bool is_swapped(const ptf_matmul *m)
{
    return m->columns == 1 && m->a_term == 1 && m->b_term == 1 &&
           (m->a_row == m->terms || m->rows == 1);
}

static ptf_gemm product_of(const void *context, int64_t i)
{
    const ptf_matmuls *all = context;
    ptf_matmul m = all->of(all->context, i);
    ptf_gemm q = {.x = m.a,
                  .taps = m.taps,
                  .terms = m.terms,
                  .weights = m.b,
                  .transposed = m.b_column == 1 ? m.b_term : 0,
                  .channels = m.columns,
                  .out_height = 1,
                  .out_width = 1,
                  .x_image = m.a_row,
                  .y = m.y,
                  .y_image = m.columns,
                  .y_channel = 1};
    if (is_swapped(&m)) {
        q.x = m.b;
        q.weights = m.a;
        q.transposed = 0;
        q.channels = m.rows;
        q.x_image = m.terms;
        q.y_image = m.rows;
    }
    return q;
}

static void strips_part(void *context, int64_t i, int thread)
{
    const run *r = context;
    (void)thread;
    ptf_matmul m = r->all->of(r->all->context, i / r->parts);
    int64_t begin, end;
    ptf_cut(i % r->parts, r->parts, m.rows * ptf_ceil_div(m.columns, PTF_STRIP),
            1, &begin, &end);
    r->kernels->matmul(&m, begin, end);
}

static void run_strips(run *r, int threads, const ptf_matmul *m)
{
    int64_t strips = m->rows * ptf_ceil_div(m->columns, PTF_STRIP);
    int64_t worth = ptf_ceil_div(strips * PTF_STRIP, 1 + PART_TERMS / m->terms);
    r->parts = threads > 1 ? ptf_min_i64(strips, worth) : 1;
    ptf_each(threads, r->all->count * r->parts, strips_part, r);
}

static void gemv_part(void *context, int64_t i, int thread)
{
    const run *r = context;
    const ptf_kernels *k = r->kernels;
    ptf_gemm q = product_of(r->all, i / r->parts);
    ptf_matmul m = r->all->of(r->all->context, i / r->parts);
    int64_t c0, c1;
    ptf_cut(i % r->parts, r->parts, q.channels, k->lanes, &c0, &c1);
    if (c0 < c1)
        k->gemv(&q, c0, c1, 0, is_swapped(&m) ? 1 : m.rows,
                r->all->scratch + (size_t)thread * k->scratch_size);
}

void ptf_matmuls_run(const ptf_kernels *kernels, int threads,
                     const ptf_matmuls *matmuls)
{
    run r = {kernels, matmuls, 1};
    ptf_matmul m = matmuls->of(matmuls->context, 0);
    ptf_gemm q = product_of(matmuls, 0);
    int64_t pixels = is_swapped(&m) ? 1 : m.rows;
    bool plain = q.taps == NULL && q.transposed == 0;
    if (kernels->gemm == NULL ||
        (!plain && FEW_ROWS * pixels <= kernels->tile_pixels)) {
        run_strips(&r, threads, &m);
        return;
    }
    if (plain && pixels <= kernels->gemv_pixels) {
        int64_t worth = ptf_ceil_div(q.channels, 1 + PART_TERMS / m.terms);
        r.parts =
            threads > 1 ? ptf_min_i64(worth, PARTS_OF_THREAD * threads) : 1;
        ptf_each(threads, matmuls->count * r.parts, gemv_part, &r);
        return;
    }
    ptf_gemms products = {.of = product_of,
                          .context = matmuls,
                          .groups = matmuls->count,
                          .channels = q.channels,
                          .pixels = pixels,
                          .scratch = matmuls->scratch};
    ptf_gemms_run(kernels, threads, &products);
}
