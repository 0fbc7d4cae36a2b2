/*
 * Compiled once for each instruction set, as PTF_TILE, with contraction,
 * because the bounds hold with fused multiply-adds and without.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/product.h"

#include <math.h>
#include <string.h>

/* One register. */
#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX2__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
typedef double vec __attribute__((vector_size(BYTES)));

/* How many vectors of pixels have sums for all rows in registers at once. */
enum {
    WIDTH = BYTES / 8,
    VECS = PTF_TILE_LANES / WIDTH,
    AT_ONCE = BYTES == 64 ? 2 : 1
};

/* 'vectors' of pixels from x on; inlined, so that the sums are registers. */
static inline void add_some(int vectors, int64_t terms, const double *w,
                            const vec *x, vec *sum)
{
    vec s[PTF_TILE_ROWS][AT_ONCE] = {{{0}}};
    for (int64_t k = 0; k < terms; k++)
        for (int j = 0; j < PTF_TILE_ROWS; j++)
            for (int i = 0; i < vectors; i++)
                s[j][i] += w[j * PTF_TILE_TERMS + k] * x[k * VECS + i];
    for (int j = 0; j < PTF_TILE_ROWS; j++)
        for (int i = 0; i < vectors; i++)
            sum[j * VECS + i] += s[j][i];
}

static void add(int64_t terms, int64_t lanes, const double *w, const double *x,
                double *sum)
{
    const vec *in = (const vec *)(const void *)x;
    vec *out = (vec *)(void *)sum;
    for (int v = 0; v < VECS && v * WIDTH < lanes; v += AT_ONCE) {
        if (lanes > (v + 1) * WIDTH)
            add_some(AT_ONCE, terms, w, in + v, out + v);
        else
            add_some(1, terms, w, in + v, out + v);
    }
}

/* One stretch: four vectors of sums, then what is left over. */
static double dot_some(int64_t terms, const float *w, const double *x)
{
    typedef float narrow __attribute__((vector_size(BYTES / 2)));
    vec s[4] = {{0}};
    int64_t k = 0;
    for (; k + 4 * WIDTH <= terms; k += 4 * WIDTH)
        for (int i = 0; i < 4; i++) {
            narrow a;
            vec b;
            memcpy(&a, w + k + i * WIDTH, sizeof(a));
            memcpy(&b, x + k + i * WIDTH, sizeof(b));
            s[i] += __builtin_convertvector(a, vec) * b;
        }
    vec all = (s[0] + s[1]) + (s[2] + s[3]);
    double sum = 0;
    for (int i = 0; i < WIDTH; i++)
        sum += all[i];
    for (; k < terms; k++)
        sum += (double)w[k] * x[k];
    return sum;
}

static double dot(int64_t terms, const float *w, const double *x)
{
    double sum = 0;
    for (int64_t from = 0; from < terms; from += PTF_TILE_TERMS) {
        int64_t n = terms - from;
        sum += dot_some(n < PTF_TILE_TERMS ? n : PTF_TILE_TERMS, w + from,
                        x + from);
    }
    return sum;
}

static void slide(int64_t n, int64_t stride, double w, const double *restrict x,
                  double *restrict sum)
{
    if (stride == 1) {
        for (int64_t i = 0; i < n; i++)
            sum[i] += w * x[i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        sum[i] += w * x[i * stride];
}

static void widen(const float *restrict from, int64_t n, double *restrict to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (double)from[i];
}

#include "enclose/gather.inc"

#include "enclose/finish.inc"

const ptf_tile PTF_TILE = {add, dot, slide, widen, square, gather, finish};
