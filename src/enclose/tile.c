/*
 * Compiled once for each instruction set, as PTF_TILE, with contraction,
 * because the bounds hold with fused multiply-adds and without.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/tile.h"

/* One register. */
#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX2__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
typedef double vec __attribute__((vector_size(BYTES)));

enum { WIDTH = BYTES / 8, VECS = PTF_TILE_LANES / WIDTH };

static void add(int64_t terms, int64_t lanes, const double *w, const double *x,
                double *sum)
{
    const vec *in = (const vec *)(const void *)x;
    vec *out = (vec *)(void *)sum;
    for (int v = 0; v < VECS && v * WIDTH < lanes; v++) {
        vec s[PTF_TILE_ROWS] = {{0}};
        for (int64_t k = 0; k < terms; k++)
            for (int j = 0; j < PTF_TILE_ROWS; j++)
                s[j] += w[j * PTF_TILE_TERMS + k] * in[k * VECS + v];
        for (int j = 0; j < PTF_TILE_ROWS; j++)
            out[j * VECS + v] += s[j];
    }
}

static void widen(const float *restrict from, int64_t n, double *restrict to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (double)from[i];
}

const ptf_tile PTF_TILE = {add, widen};
