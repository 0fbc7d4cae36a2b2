/*
 * op: the list of ops with their attributes, shape rules and parameters.  It
 * knows no net and no numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_OP_H
#define PTF_OP_H

#include "base/base.h"

typedef enum ptf_op {
    PTF_OP_INPUT,
    PTF_OP_CONV1D,
    PTF_OP_CONV2D,
    PTF_OP_BATCHNORM1D,
    PTF_OP_BATCHNORM2D,
    PTF_OP_LINEAR,
    PTF_OP_RELU,
    PTF_OP_LEAKY_RELU,
    PTF_OP_SIGMOID,
    PTF_OP_TANH,
    PTF_OP_SOFTPLUS,
    PTF_OP_SOFTMAX,
    PTF_OP_MAXPOOL2D,
    PTF_OP_AVGPOOL2D,
    PTF_OP_ADAPTIVE_AVGPOOL2D,
    PTF_OP_FLATTEN,
    PTF_OP_DROPOUT,
    PTF_OP_IDENTITY,
    PTF_OP_COUNT,
} ptf_op;

/* What a layer's tensors are for.  Scale and shift come from
 * batchnorm_to_epilogue: y = fmaf(x, scale, shift) per output channel, before
 * any activation. */
typedef enum ptf_role {
    PTF_ROLE_WEIGHT,
    PTF_ROLE_BIAS,
    PTF_ROLE_SCALE,
    PTF_ROLE_SHIFT,
    PTF_ROLE_RUNNING_MEAN,
    PTF_ROLE_RUNNING_VAR,
    PTF_ROLE_NUM_BATCHES,
    PTF_ROLE_COUNT,
} ptf_role;

/* The state dict's word for a role: "weight", "running_mean". */
const char *ptf_role_name(ptf_role role);

/*
 * Everything that a layer's text can say.  One-dimensional layers use index 1
 * of the pairs (width) and have 1, 1, 0, 1 at index 0, so that Conv1d is a
 * Conv2d of height 1.
 */
typedef struct ptf_attrs {
    int64_t in_channels, out_channels; /* or features; num_features is both */
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    const char *padding_text;    /* "same" or "valid" when the text says so */
    const char *padding_refused; /* why not, where anything is padded */
    int64_t groups;
    bool has_bias;    /* of a batch norm: if it is affine */
    bool scale_shift; /* ptfold's own: an epilogue stands behind the sum */
    double eps, momentum;
    bool momentum_none; /* cumulative average; evaluation does not care */
    bool affine, track_running_stats;
    bool ceil_mode, count_include_pad;
    bool ceil_mode_unspecified; /* AvgPool2d does not print it */
    int64_t output_size[2];     /* adaptive pooling; 0: as the input (None) */
    double negative_slope;
    double beta, threshold;     /* softplus */
    int64_t start_dim, end_dim; /* flatten */
    int64_t dim;                /* softmax */
    bool dim_none;
    double p;     /* dropout */
    bool inplace; /* printed back, otherwise without meaning */
} ptf_attrs;

/* ------------------------------------------------------------ table of ops */

/*
 * What a shape rule gets and gives: shapes without the batch dimension.
 * Returns NULL, or what is wrong with the input ("expects 3 channels").
 */
typedef const char *ptf_shape_rule(const ptf_attrs *attrs, const ptf_shape *in,
                                   ptf_shape *out);

typedef struct ptf_op_row {
    const char *class_name; /* "Conv2d" */
    ptf_shape_rule *shape;
    bool elementwise; /* out[i] depends on in[i] alone (BatchNorm: and on the
                         channel's constants) */
    bool identity;    /* out is in: Dropout, Identity */
    bool weighted;    /* sums of weights times inputs: Conv, Linear */
    bool norm;        /* BatchNorm */
    int rank;         /* that its input must have, with the batch; 0: any */
} ptf_op_row;

const ptf_op_row *ptf_op_info(ptf_op op);

/*
 * The shape that parameter 'role' of a layer must have (rank 0 for
 * num_batches_tracked).  False when the layer has no such parameter.
 */
bool ptf_op_parameter(ptf_op op, const ptf_attrs *attrs, ptf_role role,
                      int *rank, int64_t shape[PTF_MAX_RANK]);

/* Finds the op of a printed class name; false when there is none. */
bool ptf_op_find(const char *class_name, size_t size, ptf_op *out);

/* The op of a class that stands for several, for inputs of that rank. */
ptf_op ptf_op_fit_rank(ptf_op op, const char *class_name, size_t size,
                       int rank);

/* The layer as PyTorch prints it, "Conv2d(3, 16, kernel_size=(3, 3), ...)". */
char *ptf_op_text(ptf_arena *arena, ptf_op op, const ptf_attrs *attrs);

/*
 * What PyTorch takes when nothing is said; what a layer made by a rewrite
 * starts from.
 */
void ptf_attrs_default(ptf_op op, ptf_attrs *out);

/*
 * Reads what stands between a layer's parentheses.  NULL, or what is wrong
 * with the text, in 'message'.
 */
const char *ptf_attrs_parse(ptf_op op, const char *text, size_t size,
                            ptf_attrs *out, char message[256]);

/*
 * What is known of a value before any input shape is: its rank with the batch
 * and its number of channels (or features); 0 is unknown.
 */
typedef struct ptf_partial_shape {
    int rank;
    int64_t channels;
} ptf_partial_shape;

/* NULL, or why the layer cannot take such a value. */
const char *ptf_op_partial_shape(ptf_op op, const ptf_attrs *attrs,
                                 ptf_partial_shape in, ptf_partial_shape *out);

/*
 * What a rule of an op has against an input with 'got' channels or features,
 * as the end of a message; 'text' may hold it.
 */
enum { PTF_REFUSAL_TEXT = 192 };
const char *ptf_op_refusal(const char *wrong, const ptf_attrs *attrs,
                           int64_t got, char text[PTF_REFUSAL_TEXT]);

/*
 * The dimension, counted with the batch, that a Softmax works on for values of
 * that rank: PyTorch's old rule for dim=None, negative ones counted from the
 * end.  -1 when there is no such dimension.
 */
int ptf_softmax_axis(const ptf_attrs *attrs, int rank);

#endif
