/*
 * tile: the loops of products of balls over numbers, in double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ENCLOSE_TILE_H
#define PTF_ENCLOSE_TILE_H

#include <stdint.h>

/* Rows of weights, pixels, and the most terms that are summed at a stretch. */
enum { PTF_TILE_ROWS = 8, PTF_TILE_LANES = 16, PTF_TILE_TERMS = 128 };

typedef struct ptf_product ptf_product; /* see product.h */

typedef struct ptf_tile {
    /*
     * sum[j][i] += the sum over k of w[j][k] x[k][i], for the first 'lanes'
     * pixels i, where rows of w are PTF_TILE_TERMS apart.  The products of one
     * call are summed in order of k, and the result is added once.  x and sum
     * are aligned to 64.
     */
    void (*add)(int64_t terms, int64_t lanes, const double *w, const double *x,
                double *sum);
    /*
     * The sum of w[k] x[k], PTF_TILE_TERMS at a stretch; each stretch has no
     * more roundings on the way of a term than a sum one by one.
     */
    double (*dot)(int64_t terms, const float *w, const double *x);
    /* sum[i] += w x[i stride]. */
    void (*slide)(int64_t n, int64_t stride, double w, const double *x,
                  double *sum);
    /* f32 numbers as doubles. */
    void (*widen)(const float *from, int64_t n, double *to);
    /* Sums of t^2 over the channels of one group of one image. */
    void (*square)(const ptf_product *p, int64_t image, int64_t group);
    /* The terms of the lanes' pixels, from 'first' on, and their ||t||. */
    void (*gather)(const ptf_product *p, int64_t group, int64_t first,
                   double *x, double *norm);
    /* The balls of a channel's pixels from their sums and ||t||. */
    void (*finish)(const ptf_product *p, int64_t channel, const double *sum,
                   const double *norms, double *y, double *r);
} ptf_tile;

/* One for each instruction set that is worth it; bounds hold for all. */
extern const ptf_tile ptf_tile_plain, ptf_tile_neon, ptf_tile_avx2,
    ptf_tile_avx512;

/* The best one here, which the environment variable PTF_ISA may lower. */
const ptf_tile *ptf_tile_default(void);

#endif
