/*
 * backward: the gradients of the operations of kernel.h.
 *
 * 'd' is the cotangent of an operation's output y: d[i] is the derivative, by
 * y[i], of the number whose gradient is asked for.  In f32 unless said
 * otherwise, under the rules of kernel.h; a NaN is the word 0x7fc00000.
 *
 *   product      y = w * x, one image.  Output pixel (r, c) reads input pixel
 *                (h, v) through tap (i, j) of the kernel when
 *                h = r * stride - padding + i * dilation, columns alike.
 *                What follows is for maps without a depth; of others and of
 *                transposed convolutions the sum by x is the canonical sum of
 *                the layer that takes d back (grad/product.c).
 *     by x       dx = +0; then, over the taps through which some output pixel
 *                reads the input pixel, in row, column order, dx = dx + t,
 *                where t is a canonical sum over the output channels of the
 *                group, in order, of the terms w * d: a transposed
 *                convolution.
 *     by w       a canonical sum over the output pixels, in row, column
 *                order (of a linear layer: its rows), of the terms d * x,
 *                where x is +0 in the padding.
 *   sums         of d (bias, shift, beta) or of d * (x - mean) (scale, gamma)
 *                over the pixels of a channel: in double, blocks of 256
 *                terms, acc = +0; acc = acc + d or acc = fma(d, x - mean,
 *                acc); then the blocks in order.  Times a factor that the
 *                caller has in double, and rounded once.
 *   images       Parameters gather the gradients of several images in order:
 *                g = that of image 0; g = g + that of image 1; ...
 *   scale        d * scale
 *   unary        a function of one number: functions.inc has each formula.
 *   plus, minus  d for both, of minus -d for b.
 *   times        d * b for a, d * a for b.
 *   over         d / b for a, -(d * a) / (b * b) for b.
 *   maximum      d for the greater one, d / 2 for each where they are equal,
 *                d for both where one is NaN, +0 elsewhere; minimum alike.
 *   fmod         d; -d trunc(a / b).  remainder: d; -d floor(a / b).
 *   gather       dx = +0; then d of each result in order, dx = dx + d.
 *   comparisons, logic, floor_over: +0.  where: d for what is taken, else +0.
 *                These are terms in double.  What an operand of the result's
 *                shape gets is its term, rounded once.  What one that is
 *                broadcast gets is a sum of the terms over the positions of an
 *                image that have this number, in C order: in double, blocks of
 *                256 terms, acc = +0; acc = acc + t; then the blocks in order;
 *                rounded once, as the sums above.
 *   softmax      y * (d - dot) where dot is the sum of d * y in index order
 *                (acc = fma(d, y, acc)), all in double, rounded once.
 *   log_softmax  d - exp(y) * the sum of d.  matmul: see grad/matmul.c.
 *   max pool     dx = +0; windows in depth, row, column order add their d
 *                where their maximum was taken: the first of equal numbers, the
 *                last NaN, and the first tap inside the map when all are -inf.
 *   mean pool    dx = +0; windows in that order add d / taps, or d / divisor,
 *                to all of their taps inside the map.
 *   norm         norm.inc; var, std, vector_norm, logsumexp: moments.inc.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_BACKWARD_H
#define PTF_BACKWARD_H

#include "kernel/kernel.h"

/* Rows and columns of an output map: whole rows, or a piece of one row. */
typedef struct ptf_part {
    int64_t row, rows, column, columns;
} ptf_part;

/*
 * The terms t[i], of d[i], a[i * a_step], b[i * b_step], that one operand of a
 * function of two numbers gets.  Steps are 1, or one of them 0.
 */
typedef void ptf_binary_back_kernel(double *t, const float *d, const float *a,
                                    int64_t a_step, const float *b,
                                    int64_t b_step, int64_t n);

/*
 * Maps are whole images (first 0, rows height).  dx must not overlap d, but
 * scale and unary may work in place.
 */
typedef struct ptf_backward {
    void (*scale)(float *dx, const float *d, int64_t channels, int64_t pixels,
                  const float *scale);
    ptf_unary_back_kernel *const *unary; /* by ptf_unary */
    /* By ptf_binary and the operand, and what follows: y = y + t, y = t. */
    ptf_binary_back_kernel *const (*binary)[2];
    /* Of what is taken where the first number is not 0, and where it is. */
    ptf_binary_back_kernel *where[2];
    void (*add_terms)(double *y, const double *t, int64_t n);
    void (*round_terms)(float *y, const double *t, int64_t n);
    /* d[outer][n][inner] as in the forward pass, whose result is y. */
    void (*softmax)(float *dx, const float *d, const float *y, int64_t outer,
                    int64_t n, int64_t inner);
    void (*log_softmax)(float *dx, const float *d, const float *y,
                        int64_t outer, int64_t n, int64_t inner);
    void (*pool)(const ptf_pool *pool, const float *x, const float *d,
                 float *dx);
    /*
     * Of outputs begin .. end - 1 to all of their terms, which lie in dx as in
     * x.  sum: d to each term.  mean: d / n, n rounded to f32.  amax, amin:
     * d / k to the k terms that are equal to y, 0 / k to the others; so all are
     * NaN when y is.
     */
    void (*reduce)(const ptf_reduction *r, int64_t begin, int64_t end,
                   const float *x, const float *y, const float *d, float *dx);

    /* Mean and size of groups begin .. end - 1, for the two that follow. */
    void (*norm_measure)(const ptf_norm *norm, int64_t begin, int64_t end,
                         const float *x, double *mean, double *size);
    void (*norm)(const ptf_norm *norm, int64_t begin, int64_t end,
                 const double *mean, const double *size, const float *w,
                 const float *x, const float *d, float *dx);
    /* By weights begin .. end - 1 of one sample, or y = y + that. */
    void (*norm_parameters)(const ptf_norm *norm, int64_t begin, int64_t end,
                            int64_t numel, const double *mean,
                            const double *size, const float *x, const float *d,
                            bool add, float *dw, float *db);

    /* The sum of d, or with x that of d * (x - mean). */
    double (*sum)(const float *d, const float *x, double mean, int64_t n);
    /* y = y + x */
    void (*add)(float *y, const float *x, int64_t n);
    /* y = fma(a, x, +0), or y = y + that */
    void (*outer)(float *y, float a, const float *x, int64_t n, bool add);

    /*
     * Adds to the plane 'dx' of one input channel what the taps of the kernel
     * bring from 'part' of the output map, tap by tap: the number of pixel p
     * of the part at tap t is t's factor times d[t * tap_stride + p].  Without
     * 'factors' they are 1.  Parts of a map that come from the last to the
     * first, in row, column order, give the sum by x.
     */
    void (*add_taps)(const ptf_conv *conv, const ptf_part *part, const float *d,
                     int64_t tap_stride, const float *factors, float *dx);
    /*
     * The whole sums by x of pixels begin .. end - 1 of one plane, where the
     * stride is 1 and the group has one output channel: the number of output
     * pixel p at tap t is factors[t] times d[p].
     */
    void (*take_taps)(const ptf_conv *conv, const float *d,
                      const float *factors, int64_t begin, int64_t end,
                      float *dx);
    /* NaN to the one NaN, in place. */
    void (*settle)(float *x, int64_t n);
} ptf_backward;

/* The definitions: one image; 'weights' and 'dw' in PyTorch's order. */
void ptf_ref_conv_input(const ptf_conv *conv, const float *d,
                        const float *weights, float *dx);
void ptf_ref_conv_weights(const ptf_conv *conv, const float *x, const float *d,
                          float *dw);

#endif
