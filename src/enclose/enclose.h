/*
 * enclose: layers over balls.  A ball (m, r) stands for every real number
 * within r of m.  Each function here takes balls that hold the exact inputs
 * and gives balls that hold the exact outputs of the layer as a real
 * function of its parameters.  The fast engine has no part in it.
 *
 * Bounds are for round-to-nearest IEEE double without flush to zero, in any
 * order of summation, with or without fused multiply-add.  u is 2^-53 and
 * gamma(n) = n u / (1 - n u) (Higham, Accuracy and Stability of Numerical
 * Algorithms, 2nd edition, lemma 3.1 and section 3.1).  A product that
 * underflows loses at most 2^-1075; every radius carries PTF_TINY for that.
 *
 * An infinite or NaN value or radius says nothing: ptf_balls_finite() finds
 * it, and who asks must then answer "undecided".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ENCLOSE_H
#define PTF_ENCLOSE_H

#include "net/net.h"

#define PTF_U 0x1p-53
/* More than 2^40 underflows of 2^-1075 each. */
#define PTF_TINY 0x1p-1000
/* The most terms of a sum for which the bounds below are derived. */
#define PTF_MAX_TERMS ((int64_t)1 << 32)

/* 'count' balls.  Both arrays belong to whoever made them. */
typedef struct ptf_balls {
    double *value;
    double *radius;
} ptf_balls;

/* gamma(n); n is at most PTF_MAX_TERMS + 16. */
double ptf_gamma(int64_t n);

/* The index of the first ball that says nothing, or -1. */
int64_t ptf_balls_first_bad(ptf_balls balls, int64_t count);

/*
 * Weights and what follows the sum, in double.  'relative' bounds the
 * relative error of every number here: 0 for parameters taken from a file.
 * bias, and scale with shift, may be NULL.
 */
typedef struct ptf_affine {
    const double *weights, *bias, *scale, *shift;
    double relative;
} ptf_affine;

/*
 * Convolution of one image and a linear layer of one vector.  Scratch memory
 * is allocated inside: PTF_MEMORY.  The sum may have PTF_MAX_TERMS terms at
 * most: PTF_UNSUPPORTED.
 */
ptf_status ptf_enclose_conv(const ptf_attrs *attrs, const ptf_shape *in_shape,
                            const ptf_shape *out_shape,
                            const ptf_affine *affine, ptf_balls in,
                            ptf_balls out, ptf_error *err);
ptf_status ptf_enclose_linear(int64_t inputs, int64_t outputs,
                              const ptf_affine *affine, ptf_balls in,
                              ptf_balls out, ptf_error *err);

/* Batch norm in evaluation; gamma and beta may be NULL (1 and 0). */
typedef struct ptf_norm {
    const double *gamma, *beta, *mean, *var;
    double eps;
} ptf_norm;

void ptf_enclose_norm(const ptf_norm *norm, int64_t channels, int64_t pixels,
                      ptf_balls in, ptf_balls out);

/* Pointwise, 'n' balls; all may work in place. */
void ptf_enclose_relu(int64_t n, ptf_balls in, ptf_balls out);
void ptf_enclose_leaky_relu(int64_t n, double slope, ptf_balls in,
                            ptf_balls out);
void ptf_enclose_sigmoid(int64_t n, ptf_balls in, ptf_balls out);
void ptf_enclose_tanh(int64_t n, ptf_balls in, ptf_balls out);

/* Over the middle index of [outer][n][inner]; may work in place. */
void ptf_enclose_softmax(int64_t outer, int64_t n, int64_t inner, ptf_balls in,
                         ptf_balls out);

/* Pools of one image, as the attributes say. */
void ptf_enclose_max_pool(const ptf_attrs *attrs, const ptf_shape *in_shape,
                          const ptf_shape *out_shape, ptf_balls in,
                          ptf_balls out);
void ptf_enclose_avg_pool(const ptf_attrs *attrs, const ptf_shape *in_shape,
                          const ptf_shape *out_shape, ptf_balls in,
                          ptf_balls out);
void ptf_enclose_adaptive_pool(const ptf_shape *in_shape,
                               const ptf_shape *out_shape, ptf_balls in,
                               ptf_balls out);

/*
 * exp(x) for x <= 0, relative error at most PTF_EXP_ERROR while x >= -700;
 * below that 0, which is within PTF_TINY of it.
 */
#define PTF_EXP_ERROR 0x1p-47
double ptf_enclose_exp(double x);

#endif
