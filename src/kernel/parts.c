/*
 * A product on threads: how it is cut, which changes no bit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

/* Parts for each thread, so that all end at about the same time. */
enum { PARTS_OF_THREAD = 4 };

typedef struct parts {
    const ptf_kernels *kernels;
    const ptf_gemms *products;
    int64_t channel_parts, pixel_parts;
} parts;

void ptf_cut(int64_t i, int64_t n, int64_t count, int64_t unit, int64_t *begin,
             int64_t *end)
{
    int64_t units = ptf_ceil_div(count, unit);
    *begin = ptf_min_i64(units * i / n * unit, count);
    *end = ptf_min_i64(units * (i + 1) / n * unit, count);
}

enum { LONG_ROW = 16 }; /* vectors; longer rows may be cut */

/*
 * Pixels that stay together: a tile; where vectors may run along rows, a row
 * or a vector.
 */
static int64_t pixel_unit(const ptf_kernels *k, const ptf_gemm *q)
{
    if (q->taps == NULL || q->channels > k->lanes)
        return k->tile_pixels;
    return q->out_width <= LONG_ROW * k->lanes ? q->out_width : k->lanes;
}

static void run_part(void *context, int64_t i, int thread)
{
    const parts *p = context;
    const ptf_gemms *all = p->products;
    const ptf_kernels *k = p->kernels;
    int64_t count = p->channel_parts * p->pixel_parts;
    ptf_gemm q = all->of(all->context, i / count);
    int64_t c0, c1, p0, p1;
    ptf_cut(i % count / p->pixel_parts, p->channel_parts, q.channels,
            k->panel_channels, &c0, &c1);
    ptf_cut(i % p->pixel_parts, p->pixel_parts, all->pixels, pixel_unit(k, &q),
            &p0, &p1);
    if (c0 < c1 && p0 < p1)
        k->gemm(&q, c0, c1, p0, p1,
                all->scratch + (size_t)thread * k->scratch_size);
}

/*
 * What one thread does, in eighths of a tile of one panel, when the product of
 * each group is cut into so many parts.  Reading the pixels of a tile, which
 * may lie in another core's caches, costs about one; reading a panel, and
 * packing it on the way, once for each part that has it, a tile; copying the
 * terms of a product without taps, once for as many channels of a part as sums
 * are kept for, about an eighth of each tile.
 */
static int64_t cost_of(const parts *p, const ptf_gemm *q, int threads,
                       int64_t c, int64_t n)
{
    const ptf_kernels *k = p->kernels;
    bool packs = q->panels == NULL && q->transposed == 0;
    int64_t panels = ptf_ceil_div(p->products->channels, k->panel_channels);
    int64_t of_part = ptf_ceil_div(panels, c), copies = 0;
    int64_t tiles =
        ptf_ceil_div(ptf_ceil_div(p->products->pixels, k->tile_pixels), n);
    int64_t pixels = ptf_min_i64(tiles * k->tile_pixels, k->chunk_pixels);
    if (q->taps == NULL)
        copies = ptf_ceil_div(of_part, k->sums / pixels / k->panel_channels);
    return ptf_ceil_div(p->products->groups * c * n, threads) *
           (8 * of_part * (tiles + 1 + packs) + (1 + copies) * tiles);
}

/*
 * Of all ways to cut, one that costs least; of these the one with the fewest
 * parts of pixels, because each of them reads all its weights, and then with
 * the most parts.
 */
static void choose_cut(parts *p, int threads)
{
    const ptf_gemms *all = p->products;
    ptf_gemm q = all->of(all->context, 0);
    int64_t most =
        ptf_ceil_div((int64_t)threads * PARTS_OF_THREAD, all->groups);
    int64_t panels = ptf_ceil_div(all->channels, p->kernels->panel_channels);
    int64_t best = INT64_MAX;
    for (int64_t n = 1; n <= most; n++) {
        for (int64_t c = ptf_min_i64(most / n, panels); c >= 1; c--) {
            int64_t cost = cost_of(p, &q, threads, c, n);
            if (cost < best) {
                best = cost;
                p->channel_parts = c;
                p->pixel_parts = n;
            }
        }
    }
}

void ptf_gemms_run(const ptf_kernels *kernels, int threads,
                   const ptf_gemms *products)
{
    parts p = {kernels, products, 1, 1};
    if (threads > 1)
        choose_cut(&p, threads);
    ptf_each(threads, products->groups * p.channel_parts * p.pixel_parts,
             run_part, &p);
}
