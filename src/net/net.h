/*
 * net: a checked graph.  A node is a value and how it is made: an input, a
 * constant, or an op on values made before it, which it names by index.  An
 * operator that gives several values is several nodes.  Nodes stand in
 * topological order, inputs in front.  See ptfold.h for the public side,
 * op/op.h for the ops.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_NET_H
#define PTF_NET_H

#include "op/op.h"
#include "tensor/tensor.h"

/* Values have a rank that includes the batch; 0: any (before the first op). */
typedef struct ptf_node {
    ptf_op op;
    const char *name; /* dotted path; "" for input and an implied flatten */
    const char *class_name; /* as printed: "Dropout2d" for PTF_OP_DROPOUT; of
                               ops that are no class, the op's name */
    const char *text;       /* as PyTorch prints the module */
    int container;          /* whose child it is; -1: none */
    bool implied;           /* not in the text: the flatten before a Linear */
    int input_count;
    int *inputs; /* nodes before this one; the same may occur twice */
    ptf_attrs attrs;
    const ptf_tensor *tensors[PTF_ROLE_COUNT]; /* NULL where there is none; a
                                                  constant's is its weight; in
                                                  a net without numbers they
                                                  have no data, or are NULL */
    const char *file; /* for messages: the text's, and the checkpoint's when
                         the layer has its tensors from there */
    int origin; /* the node of the net before the rewrite that this one is */
    int call;   /* of a net's program, that the node is of; or -1 */
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

/* An input beside its node, the one of the same number. */
typedef struct ptf_input {
    ptf_dtype dtype; /* of the arrays that people have; values are f32 */
    bool has_shape;
    bool fixed; /* it runs for no other shape: some op has it inside */
    ptf_shape shape;
    const ptf_tensor *sample; /* ptf_port */
    const char *alias;        /* another name for the same, or NULL */
} ptf_input;

/* A node whose value is given out; several may give that of one node. */
typedef struct ptf_output {
    int node;
    const char *name;  /* NULL: it has none but the value's */
    const char *alias; /* another name for the same, or NULL */
    ptf_dtype dtype;
} ptf_output;

struct ptf_net {
    ptf_users *users, counted; /* its maker, nets and plans made from it */
    ptf_users *source;         /* what its tensors are borrowed from, or NULL */
    ptf_arena arena;
    const char *name; /* of a net without containers, or NULL */
    ptf_node *nodes;  /* the inputs first */
    int node_count;
    ptf_input *inputs;
    int input_count, input_room;
    ptf_output *outputs;
    int output_count, output_room;
    bool whole;  /* no axis of an input or output is a batch: one run is one
                   sample, which has all of their axes */
    bool stacks; /* and these are of one sample: others are runs of their own */
    ptf_container *containers; /* none when the root is a layer */
    int container_count;
    bool has_tensors;
    const ptf_tensor **tensors; /* all nodes' tensors in state dict order */
    size_t tensor_count;
    const ptf_parameter *parameters; /* of a net made from a text, or NULL */
    size_t parameter_count;
    const char *key;       /* where the checkpoint had them, or NULL */
    const char *left_name; /* ptf_net_key() */
    size_t left_out;
    const ptf_program *program;  /* that the net was made from, or NULL */
    const ptf_net *parent;       /* the net before the last rewrite, or NULL */
    const char *const *rewrites; /* names, in the order applied */
    int rewrite_count;
    ptf_remark *remarks; /* of the last rewrite */
    int remark_count;
    const char *assumption; /* ptf_net_assumption() */
    const char *const *doubts;
    int doubt_count;
};

/* ------------------------------------------------------------- whole graphs */

/* An empty net; NULL when out of memory. */
ptf_net *ptf_net_new(void);

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

/* "3x32x32", or "one number" of no axes, into 'text'. */
enum { PTF_SHAPE_TEXT = 22 * PTF_SHAPE_MAX };
void ptf_shape_text(const ptf_shape *shape, char text[PTF_SHAPE_TEXT]);

/*
 * True for a constant of floating-point numbers, which counts as a parameter:
 * graphs do not say which of their constants training changes, and no other
 * numbers can have a gradient.
 */
bool ptf_node_is_parameter(const ptf_node *node);

/*
 * A product's weight as [output channels][terms], whatever its axes: that of a
 * transposed convolution seen from its outputs.
 */
ptf_tensor ptf_node_rows(const ptf_node *node);

/*
 * True for numbers cut to integers, as a conversion to such is made of ops:
 * trunc(x) + 0, which is no -0; and where |x| is not below 'limit', that with a
 * minus instead.  0 where nothing is done about those.
 */
bool ptf_net_is_cut(const ptf_net *net, int node, double *limit);

/* Makes the node read these; false when out of memory. */
bool ptf_node_read(ptf_arena *arena, ptf_node *node, int count,
                   const int *inputs);

/* Sizes that are not negative, of not too many numbers even if those that are 0
 * were 1. */
bool ptf_shape_is_sane(const ptf_shape *shape);

/*
 * The output shape of every node for inputs of these shapes, a shape each, into
 * shapes[node_count].  PTF_ARGUMENT names the layer that does not fit.
 */
ptf_status ptf_net_shapes(const ptf_net *net, const ptf_shape *inputs,
                          ptf_shape *shapes, ptf_error *err);

/* The inputs' own shapes; false where these are not all known. */
bool ptf_net_own_shapes(const ptf_net *net, ptf_shape *inputs);

/* Lists one more; false when out of memory.  An input's node is added by whom
 * calls. */
bool ptf_net_add_input(ptf_net *net, const ptf_input *input);
bool ptf_net_add_output(ptf_net *net, const ptf_output *output);

/* The name that an output goes by. */
const char *ptf_net_output_name(const ptf_net *net, const ptf_output *output);

/* True when some output is the node's value. */
bool ptf_net_is_output(const ptf_net *net, int node);

/*
 * PTF_UNSUPPORTED, saying who 'wants' it, for a net that has not one input and
 * one output.
 */
ptf_status ptf_net_check_single(const ptf_net *net, const char *wants,
                                ptf_error *err);

/*
 * Per node, whether its value is known to be flat, a list of features for each
 * sample: for the input that the net has; where it has none, a linear layer
 * takes no other.
 */
void ptf_net_find_flat(const ptf_net *net, bool *flat);

/*
 * True when a batch norm scales each output channel of the product before it:
 * not where that is a linear layer on several rows, whose features are the last
 * axis.
 */
static inline bool ptf_norm_fits(const ptf_node *product, bool flat,
                                 const ptf_node *norm)
{
    return (product->op != PTF_OP_LINEAR || flat) &&
           norm->attrs.in_channels == product->attrs.out_channels;
}

/*
 * How often the value of 'node' is read: by a node as often as it names it, and
 * once as each output that it is.
 */
int ptf_net_consumers(const ptf_net *net, int node);
/*
 * The same of all nodes, but only by what leads to an output, into
 * reads[node_count]: 0 where a value has no part in it.
 */
void ptf_net_count_reads(const ptf_net *net, int *reads);
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
 * Batch norms after a concatenation of convolutions become one after each of
 * these, with the same bits: see split.c.  As many as it would be; in place, a
 * new node's origin is that batch norm; and as a net of its own.
 */
int ptf_net_count_splits(const ptf_net *net);
ptf_status ptf_net_edit_split_norms(ptf_net_edit *edit, ptf_error *err);
ptf_status ptf_net_split_norms(const ptf_net *net, ptf_net **out,
                               ptf_error *err);

/*
 * The invariants: operands before nodes, inputs in front, outputs, ranks,
 * every parameter of the right shape.  PTF_ARGUMENT names the first node that
 * breaks one, PTF_FORMAT a name that two modules have, and PTF_UNSUPPORTED a
 * layer of more parameters than can be counted.
 */
ptf_status ptf_net_check(const ptf_net *net, ptf_error *err);

/* What is known of an input's value. */
ptf_partial_shape ptf_net_input_partial_shape(const ptf_net *net, int input);

/* The part of a module's path after its last dot. */
const char *ptf_path_last(const char *path);

/*
 * The shape that the node's tensor 'role' must have; of a constant that which
 * it has.  False when there is no such tensor.
 */
bool ptf_node_parameter(const ptf_node *node, ptf_role role, int *rank,
                        int64_t shape[PTF_MAX_RANK]);

/* The state dict's key of a layer's tensor: "features.0.weight". */
enum { PTF_PARAMETER_NAME = 1200 }; /* a path and a role */
void ptf_node_parameter_name(const ptf_node *node, ptf_role role,
                             char name[PTF_PARAMETER_NAME]);

/* The same of the tensor that is there, or would be. */
const char *ptf_node_tensor_name(const ptf_node *node, ptf_role role,
                                 char room[PTF_PARAMETER_NAME]);

/* Lists what the net wants, for ptf_net_parameters(). */
ptf_status ptf_net_list_parameters(ptf_net *net, ptf_error *err);

/* Lists the tensors of all nodes in net->tensors. */
ptf_status ptf_net_collect(ptf_net *net, ptf_error *err);

/* Checks a net whose nodes are all there, and makes both lists. */
ptf_status ptf_net_complete(ptf_net *net, ptf_error *err);

#endif
