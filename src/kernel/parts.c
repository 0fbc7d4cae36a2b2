/*
 * A product on threads: how it is cut, which changes no bit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

typedef struct parts {
    const ptf_kernels *kernels;
    const ptf_products *products;
    int64_t channel_parts, pixel_parts;
} parts;

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

void ptf_cut(int64_t i, int64_t n, int64_t count, int64_t unit, int64_t *begin,
             int64_t *end)
{
    int64_t units = ceil_div(count, unit);
    *begin = min_i64(units * i / n * unit, count);
    *end = min_i64(units * (i + 1) / n * unit, count);
}

static void run_part(void *context, int64_t i, int thread)
{
    const parts *p = context;
    const ptf_products *all = p->products;
    const ptf_kernels *k = p->kernels;
    int64_t count = p->channel_parts * p->pixel_parts;
    ptf_product q = all->of(all->context, i / count);
    int64_t c0, c1, p0, p1;
    ptf_cut(i % count / p->pixel_parts, p->channel_parts, q.channels,
            k->panel_channels, &c0, &c1);
    ptf_cut(i % p->pixel_parts, p->pixel_parts, all->pixels, k->tile_pixels,
            &p0, &p1);
    if (c0 < c1 && p0 < p1)
        k->product(&q, c0, c1, p0, p1,
                   all->scratch + (size_t)thread * k->scratch_size);
}

/*
 * One part per thread: of all ways to cut, the one whose largest part has the
 * fewest tiles, and of these the one with the most channel parts, because
 * parts that share no channels share no weights.
 */
static void choose_cut(parts *p, int threads)
{
    const ptf_products *all = p->products;
    int64_t panels = ceil_div(all->channels, p->kernels->panel_channels);
    int64_t tiles = ceil_div(all->pixels, p->kernels->tile_pixels);
    int64_t best = INT64_MAX;
    for (int64_t c = all->groups > 1 ? 1 : threads; c >= 1; c--) {
        int64_t n = all->groups > 1 ? 1 : threads / c;
        int64_t cost = ceil_div(panels, c) * ceil_div(tiles, n);
        if (cost < best) {
            best = cost;
            p->channel_parts = c;
            p->pixel_parts = n;
        }
    }
}

void ptf_products_run(const ptf_kernels *kernels, int threads,
                      const ptf_products *products)
{
    parts p = {.kernels = kernels, .products = products};
    choose_cut(&p, threads);
    ptf_each(threads, products->groups * p.channel_parts * p.pixel_parts,
             run_part, &p);
}
