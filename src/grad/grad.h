/*
 * grad: gradients of a net by its input and its parameters.  A plan that
 * keeps every layer's output runs forward; then the nodes are walked from the
 * last to the first, each turning the cotangent of its output into that of
 * its input, and leaving the gradients of its parameters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_GRAD_H
#define PTF_GRAD_H

#include "kernel/backward.h"
#include "net/net.h"

/* What the walk back needs of a node. */
typedef struct ptf_back {
    bool needed;               /* the cotangent of its output is */
    bool filled;               /* and some reader has given its part of it */
    int slot;                  /* where it lies */
    float *d;                  /* batch x the output */
    float *by[PTF_ROLE_COUNT]; /* gradients of parameters; NULL: not wanted */
    /* that of a parameter that a later node has, too, there */
    const float *later[PTF_ROLE_COUNT];

    /* products */
    ptf_conv conv; /* a linear layer is a convolution of 1x1 maps; of a
                      transposed convolution what it transposes, whose 'in'
                      is the output */
    const float *weights;
    ptf_plan *transposed; /* the layer that takes cotangents back to the input,
                         where that is no work for 2-D maps */
    int64_t padded[PTF_MAP_AXES]; /* the padded input, or 0 */
    int32_t *channel_offset;      /* of the output's channels, from the first */
    int32_t *pixel_offset; /* of what output pixels read, from the first */

    /* batch norms, and products with an epilogue */
    const float *scale;
    const double *mean, *factor; /* of a batch norm: x to its normal form */
    ptf_plan *plain;             /* the layer without its epilogue */
    float *sums;                 /* and what it gives */

    /* norms by the sample, whose weight is 'scale'; of each group */
    double *group_mean, *group_size;

    /* softmax */
    int64_t outer, length, inner;

    ptf_tapping *tapping; /* pads and resizes: transposed */
} ptf_back;

struct ptf_gradient {
    ptf_arena arena;
    const ptf_net *net;
    unsigned by;
    ptf_plan *plan;
    const ptf_kernels *kernels;
    int threads;
    int64_t batch;
    ptf_shape *shapes; /* of the nodes' outputs */
    int *reads;        /* of them, by what leads to the net's output */
    ptf_back *nodes;
    float **slots; /* cotangents whose lives do not overlap share one */
    size_t *slot_floats;
    int slot_count;

    float *spare;   /* a second reader's part of a cotangent */
    float *padded;  /* the padded input of one image */
    float *image;   /* one image's gradient by weights */
    float *reached; /* sums that are then added: conv_input, conv_weights */
    float *zeros;   /* as many as a layer has channels */
    char *scratch;  /* of the product kernels */
    size_t spare_floats, padded_floats, image_floats, reached_floats;
    size_t zero_floats;

    ptf_tensor *tensors; /* gradients of parameters */
    size_t tensor_count;

    /* the last run */
    int64_t count;
    const float **in; /* of each input */
};

/* Threads take so much of what is computed number by number. */
enum { PTF_PART_FLOATS = 16384 };

static inline int64_t ptf_gradient_parts(int64_t floats)
{
    return ptf_ceil_div(floats, PTF_PART_FLOATS);
}

/* Floats that live as long as 'g', aligned for vectors; NULL when out. */
float *ptf_gradient_floats(ptf_gradient *g, size_t count);

/* A parameter as f32, in place where it is so; NULL where there is none. */
ptf_status ptf_gradient_read_f32(ptf_gradient *g, const ptf_tensor *tensor,
                                 const float **out, ptf_error *err);

/* y = y + x on all threads. */
void ptf_gradient_add(const ptf_gradient *g, float *y, const float *x,
                      int64_t n);

/* The numbers of a node's output, and how many one image has. */
const float *ptf_gradient_value(const ptf_gradient *g, int node);
int64_t ptf_gradient_numel(const ptf_gradient *g, int node);

/* The channels of a node with parameters, which a linear layer has last. */
int64_t ptf_gradient_channels(const ptf_gradient *g, int node);
/* The rows of an image that a linear layer takes one by one; else 1. */
int64_t ptf_gradient_rows(const ptf_gradient *g, int node);

/*
 * How a family goes back, ptf_back_family_pool in pool.c and so on: prepares
 * node i, where there is something to prepare (what it may need of the shared
 * memory is noted in 'g'), and takes the cotangent of its output to what comes
 * of it for one of its operands.
 */
typedef struct ptf_back_family {
    ptf_status (*make)(ptf_gradient *g, int i, const ptf_plan_options *options,
                       ptf_error *err);
    void (*back)(const ptf_gradient *g, int i, int operand, float *dx);
} ptf_back_family;

#define FAMILY(id, name) extern const ptf_back_family ptf_back_family_##name;
#include "op/families.inc"
#undef FAMILY

/* What a task needs of a node on its way back. */
typedef struct ptf_back_run {
    const ptf_gradient *g;
    const ptf_node *node;
    const ptf_back *n;
    const ptf_shape *in, *out;
    const float *x, *y; /* the operand and the output */
    float *dx;
    int64_t floats; /* of the operand, all images */
} ptf_back_run;

ptf_back_run ptf_back_run_of(const ptf_gradient *g, int i, int operand,
                             float *dx);

/*
 * For one of two operands of node i (they may be others than its first ones),
 * with broadcasting: the sum of the terms that the kernel gives.
 */
void ptf_back_broadcast(const ptf_gradient *g, int i,
                        ptf_binary_back_kernel *kernel, const int operands[2],
                        int which, float *dx);

/* What pads and resizes share. */
ptf_status ptf_back_make_taps(ptf_gradient *g, int i,
                              const ptf_plan_options *options, ptf_error *err);
void ptf_back_taps(const ptf_gradient *g, int i, int operand, float *dx);

/* The geometry of a product, for the two functions below. */
ptf_status ptf_back_product(ptf_gradient *g, int i, ptf_error *err);

/*
 * Sets pixel_offset of node i to those of so many rows of 'floats' numbers, for
 * sums over rows.
 */
ptf_status ptf_back_product_rows(ptf_gradient *g, int i, int64_t rows,
                                 int64_t floats, ptf_error *err);

/* The parameters of node i: their gradients' tensors. */
ptf_status ptf_back_tensors(ptf_gradient *g, int i, ptf_error *err);

/* From the cotangent of node i to that of its input, and to parameters. */
void ptf_back_conv_input(const ptf_gradient *g, int i, int operand, float *dx);
void ptf_back_conv_weights(const ptf_gradient *g, int i);

/*
 * The gradients of the parameters of node i.  Multiplies the cotangent of a
 * product with an epilogue by its scale, so call it first.
 */
ptf_status ptf_back_parameters(const ptf_gradient *g, int i, ptf_error *err);

/* Those of a norm, and what its groups' mean and size are. */
void ptf_back_norm(const ptf_gradient *g, int i);

/* That of a constant: those of the images, added up in order. */
void ptf_back_constant(const ptf_gradient *g, int i);

/* From the cotangent of node i to that of its operand, by its family. */
void ptf_back_input(const ptf_gradient *g, int i, int operand, float *dx);
ptf_status ptf_back_make(ptf_gradient *g, int i,
                         const ptf_plan_options *options, ptf_error *err);

/* Shared memory, when all nodes have said what they need. */
ptf_status ptf_gradient_buffers(ptf_gradient *g, ptf_error *err);

#endif
