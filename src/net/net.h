/*
 * net: a checked graph of layers.  Nodes stand in topological order and name
 * their inputs by index; node 0 is the input.  Each op is one row of the
 * table in ops.c.  See ptfold.h for the public side.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_NET_H
#define PTF_NET_H

#include "tensor/tensor.h"

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

/* Values have a rank that includes the batch; 0: any (before the first op). */
typedef struct ptf_node {
    ptf_op op;
    const char *name; /* dotted path; "" for input and an implied flatten */
    const char *class_name; /* as printed: "Dropout2d" for PTF_OP_DROPOUT */
    const char *text;       /* as PyTorch prints the module */
    int container;          /* whose child it is; -1: none */
    bool implied;           /* not in the text: the flatten before a Linear */
    int input_count;
    int inputs[2];
    ptf_attrs attrs;
    const ptf_tensor *tensors[PTF_ROLE_COUNT]; /* NULL where there is none */
    const char *file; /* for messages: the text's, and the checkpoint's when
                         the layer has its tensors from there */
    int origin; /* the node of the net before the rewrite that this one is */
} ptf_node;

/*
 * A module with children: its dotted path ("" is the root), its class, and
 * the container that it is a child of (-1: none).  Every container has a node
 * somewhere below it; containers stand in the order of the text, parents
 * first.
 */
typedef struct ptf_container {
    const char *path;
    const char *class_name;
    int parent;
    int line;      /* of the text */
    bool in_order; /* it is known to run its children as printed */
} ptf_container;

struct ptf_net {
    ptf_arena arena;
    ptf_node *nodes;
    int node_count;
    int output;                /* the node whose value is the net's */
    ptf_container *containers; /* none when the root is a layer */
    int container_count;
    bool has_input;
    ptf_shape input;
    bool has_tensors;
    const ptf_tensor **tensors; /* all nodes' tensors in state dict order */
    size_t tensor_count;
    const ptf_parameter *parameters; /* of a net made from a text, or NULL */
    size_t parameter_count;
    const char *key;             /* where the checkpoint had them, or NULL */
    const ptf_net *parent;       /* the net before the last rewrite, or NULL */
    const char *const *rewrites; /* names, in the order applied */
    int rewrite_count;
    ptf_remark *remarks; /* of the last rewrite */
    int remark_count;
    const char *assumption; /* ptf_net_assumption() */
    const char *const *doubts;
    int doubt_count;
};

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

/* ------------------------------------------------------------- whole graphs */

/* The metadata that holds a saved net's assumption, "" for none. */
#define PTF_ASSUMES "assumes"

/* ptf_fail() with the net's file in front. */
ptf_status ptf_net_fail(ptf_error *err, ptf_status status, const ptf_net *net,
                        const char *fmt, ...) PTF_PRINTF(4, 5);
/* The same with the file and "layer NAME (CLASS): ". */
ptf_status ptf_node_fail(ptf_error *err, ptf_status status,
                         const ptf_node *node, const char *fmt, ...)
    PTF_PRINTF(4, 5);
#ifdef __clang_analyzer__ /* see ptf_fail() */
#define ptf_node_fail(err, status, ...) \
    (ptf_node_fail(err, status, __VA_ARGS__), status)
#endif

/*
 * A batch norm in evaluation is y = (x - mean) gamma / sqrt(var + eps) + beta,
 * a number of each for each channel.  Missing gamma is 1 and missing beta 0;
 * PTF_UNSUPPORTED without running statistics.
 */
typedef struct ptf_norm_numbers {
    double *gamma, *beta, *mean, *var;
} ptf_norm_numbers;

ptf_status ptf_norm_numbers_read(ptf_arena *arena, const ptf_node *node,
                                 ptf_norm_numbers *out, ptf_error *err);

/* "3x32x32" into 'text'. */
void ptf_shape_text(const ptf_shape *shape, char text[64]);

/*
 * The output shape of every node for this input, into shapes[node_count].
 * PTF_ARGUMENT names the layer that does not fit.
 */
ptf_status ptf_net_shapes(const ptf_net *net, const ptf_shape *input,
                          ptf_shape *shapes, ptf_error *err);

/* How many nodes read the value of 'node'; the net's output counts as one. */
int ptf_net_consumers(const ptf_net *net, int node);
/* The only node that reads it, or -1. */
int ptf_net_only_consumer(const ptf_net *net, int node);

/*
 * A graph under construction: a copy of 'net' whose nodes may be changed.
 * Rewrites take one, edit nodes, mark dead ones, and finish it.  A pass that
 * changes a node's op or attributes sets its text to NULL; new tensors get
 * their names from finish.  What they allocate comes from the new net's arena.
 */
typedef struct ptf_net_edit {
    ptf_net *net; /* the copy */
    ptf_node *nodes;
    bool *dead; /* consumers of a dead node read its first input */
} ptf_net_edit;

ptf_status ptf_net_edit_begin(const ptf_net *net, ptf_net_edit *out,
                              ptf_error *err);

/*
 * Notes for ptf_net_remark() what a rewrite has to say of a node: 'left' when
 * it stays as it was.
 */
ptf_status ptf_net_edit_remark(ptf_net_edit *edit, int node, bool left,
                               ptf_error *err, const char *fmt, ...)
    PTF_PRINTF(5, 6);

/*
 * Drops dead nodes, renumbers the children of containers whose keys are
 * 0, 1, 2, ... (so that a Sequential reads as if written without the dropped
 * layers) with the names of their tensors, renews the texts, notes the
 * rewrite, checks the graph, and gives the net.  Releases the edit also when
 * it fails.
 */
ptf_status ptf_net_edit_finish(ptf_net_edit *edit, const char *rewrite,
                               ptf_net **out, ptf_error *err);
void ptf_net_edit_abort(ptf_net_edit *edit);

/*
 * The invariants: inputs before nodes, one input node, ranks, every parameter
 * of the right shape.  PTF_ARGUMENT names the first node that breaks one,
 * PTF_FORMAT a name that two modules have, and PTF_UNSUPPORTED a layer of more
 * parameters than can be counted.
 */
ptf_status ptf_net_check(const ptf_net *net, ptf_error *err);

#endif
