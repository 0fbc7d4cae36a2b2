/*
 * enclose: layers over balls.  A ball (m, r) stands for every real number
 * within r of m.  Each function here takes balls that hold the exact inputs
 * and gives balls that hold the exact outputs of the layer as a real
 * function of its parameters.  The fast engine has no part in it.
 *
 * Bounds are for round-to-nearest IEEE double, with or without fused
 * multiply-add.  u is 2^-53 and gamma(n) = n u / (1 - n u) (Higham, Accuracy
 * and Stability of Numerical Algorithms, 2nd edition, lemma 3.1 and section
 * 3.1).  A product that underflows loses at most 2^-1075; every radius
 * carries PTF_TINY for that.
 *
 * With 'executed' the balls also hold what the kernels compute in f32 from
 * any inputs inside the given balls: kernel.h fixes the operations and their
 * order, and each rounding adds f = 2^-24 of its result (2^-150 where that is
 * subnormal).  This is how far an honest run may be from the real function.
 *
 * An infinite or NaN value or radius says nothing: ptf_balls_first_bad()
 * finds it, and who asks must then answer "undecided".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ENCLOSE_H
#define PTF_ENCLOSE_H

#include "net/net.h"

#include <math.h>

#define PTF_U 0x1p-53
#define PTF_F 0x1p-24
/* More than 2^40 underflows of 2^-1075 each. */
#define PTF_TINY 0x1p-1000
/* Twice what an f32 operation loses when its result is subnormal. */
#define PTF_TINY_F 0x1p-149
/* Nothing is known of products with a smaller scale, except with 0. */
#define PTF_LEAST_SCALE 0x1p-500
/* The most terms of a sum for which the bounds below are derived. */
#define PTF_MAX_TERMS ((int64_t)1 << 32)

/* Makes good what a few roundings may take from a radius. */
#define PTF_UP (1.0 + 0x1p-40)

/* 'count' balls.  Both arrays belong to whoever made them. */
typedef struct ptf_balls {
    double *value;
    double *radius;
} ptf_balls;

/*
 * A run in f32 of an operation whose exact result is within r of y: one
 * rounding, which may meet a subnormal.
 */
static inline double ptf_executed(bool executed, double y, double r)
{
    return executed ? PTF_F * (fabs(y) + r) * PTF_UP + PTF_TINY_F : 0.0;
}

/* gamma(n) for unit roundoff 'u'; infinite where n u is above 1/64. */
double ptf_gamma(int64_t n, double u);

/* The index of the first ball that says nothing, or -1. */
int64_t ptf_balls_first_bad(ptf_balls balls, int64_t count);

/* --------------------------------------------------------------- parameters */

/*
 * The numbers of one layer.  Weights are one of two arrays, exact, [outputs]
 * [terms], and row c of them times the ball weight_scale[c]; bias, scale and
 * shift are balls per channel.  'value' is NULL where there are none.  A batch
 * norm is a scale and a shift, and has its exact mean and beta besides.  A norm
 * by the sample has weights and a bias, a constant one of the two arrays, and
 * nothing else.
 */
typedef struct ptf_parameters {
    const float *f32;
    const double *f64;
    double *norms; /* of a product: bounds of the Euclidean norms of the
                      weights' rows */
    ptf_balls weight_scale;
    ptf_balls bias, scale, shift;
    const double *mean, *beta;
    double *bias_terms; /* the largest term of each bias that is a sum of some,
                           or NULL */
    ptf_balls weights; /* of those that are sums: f64 by itself, as far as it is
                          known, which weight_scale has as a part of a row's
                          norm; or no value */
    double *weight_terms; /* as bias_terms */
    bool rounded; /* the kernels round these numbers to f32 before use */
} ptf_parameters;

/* Memory for 'count' balls; 'value' is NULL when there is none. */
ptf_balls ptf_balls_new(ptf_arena *arena, int64_t count);

/*
 * Reads the parameters of a convolution, linear layer or norm, or a constant;
 * others have none.  PTF_UNSUPPORTED for a batch norm without running
 * statistics.
 */
ptf_status ptf_numbers_read(ptf_arena *arena, const ptf_node *node,
                            ptf_parameters *out, ptf_error *err);

/* z = x scale + shift for one ball each, in double. */
void ptf_ball_scale_shift(double x, double x_radius, double scale,
                          double scale_radius, double shift,
                          double shift_radius, double *z, double *z_radius);

/* ------------------------------------------------------------------ layers */

/*
 * Memory that layers use one after the other, so that it does not come anew
 * from the system for each.  Starts as zeros; whoever has it frees 'bytes'.
 */
typedef struct ptf_scratch {
    void *bytes;
    size_t size;
} ptf_scratch;

/* 'size' bytes at least, aligned to 64, of any contents; or NULL. */
void *ptf_scratch_take(ptf_scratch *scratch, size_t size);

/* How a layer is to be run: on how many images, with what in the balls. */
typedef struct ptf_enclose_pass {
    int64_t images;
    int threads;
    bool executed;
    ptf_scratch *scratch;
} ptf_enclose_pass;

/*
 * Convolutions, and linear layers as convolutions of 1x1 maps.  The pass's room
 * grows to what they need: PTF_MEMORY.  The sum may have PTF_MAX_TERMS terms at
 * most: PTF_UNSUPPORTED.
 */
ptf_status ptf_enclose_conv(const ptf_enclose_pass *pass, ptf_op op,
                            const ptf_attrs *attrs, const ptf_shape *in_shape,
                            const ptf_shape *out_shape,
                            const ptf_parameters *numbers, ptf_balls in,
                            ptf_balls out, ptf_error *err);
ptf_status ptf_enclose_linear(const ptf_enclose_pass *pass, int64_t inputs,
                              int64_t outputs, const ptf_parameters *numbers,
                              ptf_balls in, ptf_balls out, ptf_error *err);

/*
 * The rest takes one image.  Affine and unary layers may work in place.
 */
void ptf_enclose_scale_shift(const ptf_parameters *numbers, bool executed,
                             int64_t channels, int64_t pixels, ptf_balls in,
                             ptf_balls out);
/* The op is of the family unary, and p are its parameters. */
void ptf_enclose_function(ptf_op op, const double p[3], int64_t n,
                          bool executed, ptf_balls in, ptf_balls out);

/*
 * The op is of the family binary; operands are 'a_step' and 'b_step' apart, 0
 * or 1, so that one of them may be the same for all n.
 */
void ptf_enclose_binary(ptf_op op, int64_t n, bool executed, ptf_balls a,
                        int64_t a_step, ptf_balls b, int64_t b_step,
                        ptf_balls out);

/* Over the middle index of [outer][n][inner]; may work in place. */
void ptf_enclose_softmax(int64_t outer, int64_t n, int64_t inner, bool executed,
                         ptf_balls in, ptf_balls out);

/* The depth, height and width of a map; 1 where it has not as many axes. */
void ptf_enclose_map(const ptf_shape *shape, int64_t size[PTF_MAP_AXES]);

/* Pools of one image. */
void ptf_enclose_pool(ptf_op op, const ptf_attrs *attrs,
                      const ptf_shape *in_shape, const ptf_shape *out_shape,
                      bool executed, ptf_balls in, ptf_balls out);

/*
 * exp(x) for x <= 0, relative error at most PTF_EXP_ERROR while x >= -700;
 * below that 0, which is within PTF_TINY of it.
 */
#define PTF_EXP_ERROR 0x1p-47
double ptf_enclose_exp(double x);

/* log(x) for x > 0, off by *error at most. */
double ptf_enclose_log(double x, double *error);

/* -------------------------------------------------------------- whole nets */

/*
 * As ptf_enclosure_make(), with 'numbers' (one per node, outliving the
 * enclosure) in place of the net's own where it is not NULL.  'threads' 0 is
 * the default.
 */
ptf_status ptf_enclosure_make_with(const ptf_net *net,
                                   const ptf_parameters *numbers,
                                   const ptf_shape *inputs, int threads,
                                   ptf_enclosure **out, ptf_error *err);

/* The most images that run together. */
int64_t ptf_enclosure_group(const ptf_enclosure *enclosure);

/*
 * Runs 'count' images, at most a group.  Who reads the value of node i, each
 * of its readers, gets the numbers taps[i] (count x shape, exact; of a constant
 * as well) where that is not NULL, and the node's balls otherwise; the
 * inputs have one each.  So with taps of the inputs
 * alone balls go through the whole net, and with taps of a run's values each
 * step stands for itself.
 */
ptf_status ptf_enclosure_run_taps(ptf_enclosure *enclosure,
                                  const float *const *taps, int64_t count,
                                  bool executed, ptf_error *err);

/*
 * Balls from the inputs in[k] (count x shape) through the whole net.  When it
 * is over, the outputs have theirs; those of any other node are there while
 * 'visit' is called for it, which may be NULL.
 */
typedef void ptf_enclose_visit(void *context, int node);
ptf_status ptf_enclosure_run_inputs(ptf_enclosure *enclosure,
                                    const float *const *in, int64_t count,
                                    ptf_enclose_visit *visit, void *context,
                                    ptf_error *err);

/*
 * What a node reads, for all images: exact numbers, or balls.  A constant, and
 * a view of one, is known: both are NULL.
 */
typedef struct ptf_operand {
    const float *tap;
    ptf_balls balls;
} ptf_operand;

/* At most as many images as that run together. */
enum { PTF_ENCLOSE_IMAGES = 64 };

/* One node alone, with operands for all that it reads, into count x shape. */
ptf_status ptf_enclosure_run_node(ptf_enclosure *enclosure, int node,
                                  const ptf_operand *operands, int64_t count,
                                  bool executed, ptf_balls out, ptf_error *err);

/* The balls of a node for image n of the last group; a constant's are the same
 * for all. */
ptf_balls ptf_enclosure_node(const ptf_enclosure *enclosure, int node,
                             int64_t n);
const ptf_shape *ptf_enclosure_shape(const ptf_enclosure *enclosure, int node);
/* The first node of image n whose balls say nothing, or -1. */
int ptf_enclosure_bad(const ptf_enclosure *enclosure, int64_t n);

#endif
