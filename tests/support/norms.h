/*
 * norms: a norm by the sample, or a reduction in double, after an input, with
 * numbers of its own; and which numbers of a sample it takes together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TESTS_NORMS_H
#define PTF_TESTS_NORMS_H

#include "moves.h"

enum { WEIGHTS = 64, GROUPS = 4096 };

/* Its tensors are those that its attributes tell. */
typedef struct layer {
    chain c;
    ptf_tensor tensors[2];
    const ptf_tensor *list[2];
    float w[WEIGHTS], b[WEIGHTS];
} layer;

/* 'l' is zeros; finish() its chain. */
void norms_make(layer *l, ptf_op op, const ptf_attrs *attrs,
                const ptf_shape *in);
/* One that follows from 'seed' alone, with at most GROUPS numbers. */
void norms_draw(layer *l, uint64_t seed);
/* The caller frees. */
float *norms_run(const layer *l, const float *in, const char *isa, int threads,
                 int64_t images);

/* The group, or output, of number i of a sample, and its weight. */
typedef struct belonging {
    int64_t group, weight;
} belonging;

belonging norms_belonging(const layer *l, int64_t i);
/* Of that weight; 1 where there is none. */
double norms_weight(const layer *l, int64_t i);
/* Around their mean, not around 0. */
bool norms_centred(const layer *l);

#endif
