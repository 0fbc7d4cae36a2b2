/*
 * program: what torch.export wrote into a .pt2, from bytes to a checked
 * program of ATen calls in memory.  Nothing here knows what an operator
 * computes: import/ turns the program into a net, export/ writes one back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_PROGRAM_H
#define PTF_PROGRAM_H

#include "archive/archive.h"
#include "program/schema.h"

/* The extra file with what a network rests on that was written as a program:
 * ptf_net_assumption(). */
#define PTF_PROGRAM_ASSUMES "ptfold_assumes"

/* In place of a value's number: there is none (None). */
enum { PTF_ABSENT = -1 };

/* ------------------------------------------------------------------- values */

typedef enum ptf_program_kind {
    PTF_PROGRAM_TENSOR,
    PTF_PROGRAM_INT, /* a number that the sizes of the inputs decide */
    PTF_PROGRAM_BOOL,
    PTF_PROGRAM_FLOAT,
    PTF_PROGRAM_OBJECT, /* of a class of the user's, or an ordering token */
} ptf_program_kind;

/*
 * A size as the file records it: a number, or an expression of symbols in
 * the words of SymPy ("Symbol('s77', positive=True, integer=True)").
 */
typedef struct ptf_program_size {
    int64_t value;    /* of an expression, what it was in the example */
    bool known;       /* 'value' is there: an expression may have none */
    const char *expr; /* NULL for a plain number */
    int symbol;       /* in the program's symbols when 'expr' is just one of
                         them, else -1 */
} ptf_program_size;

/* What is recorded of a value when the model was exported: not to be
 * believed, but to be held against what follows from the inputs. */
typedef struct ptf_program_value {
    const char *name; /* unique in its graph */
    ptf_program_kind kind;
    int node;   /* that gives it; PTF_ABSENT: an input of the graph */
    int result; /* which one of the node's, or of the graph's inputs */
    /* Of tensors: */
    ptf_dtype dtype;
    int layout; /* PTF_PROGRAM_STRIDED, or PyTorch's number of another */
    int rank;   /* may be above PTF_MAX_RANK */
    const ptf_program_size *sizes, *strides; /* 'rank' each */
    ptf_program_size offset;                 /* in elements */
    const char *device;                      /* "cpu", "cuda" */
    bool requires_grad;
    /* Of numbers that are recorded: */
    const ptf_program_size *number; /* of an INT, or a BOOL that is known */
} ptf_program_value;

enum { PTF_PROGRAM_STRIDED = 7 };

/* -------------------------------------------------------------------- nodes */

/* A call of an operator. */
typedef struct ptf_program_node {
    /* "aten.conv2d.default", "_operator.mul", "higher_order.cond" */
    const char *target;
    const ptf_schema *schema; /* NULL for one that is not in the table */
    /*
     * With a schema: all its arguments, in its order, those left out in the
     * file by their default.  Without: those of the file; names may be "".
     */
    const ptf_argument *arguments;
    int argument_count;
    /*
     * Numbers of the values that it gives; PTF_ABSENT for None.  A call that
     * gives a list (chunk, unbind) has its elements here.
     */
    const int *results;
    int result_count;
    bool returns_list;
    const char *name;   /* in PyTorch's graph; in old files the first result */
    const char *module; /* path of the module that called: "layer1.0.conv1" */
    const char *class;  /* of that module: "torch.nn.modules.conv.Conv2d" */
    const ptf_metadata *metadata; /* as in the file, without stack traces */
    int metadata_count;
} ptf_program_node;

/* Values are numbered; nodes come in the order of execution. */
typedef struct ptf_program_graph {
    const char *name; /* of a graph that is an argument, "" of the program's */
    const ptf_program_value *values;
    const ptf_program_node *nodes;
    const ptf_argument *inputs, *outputs; /* PTF_ARGUMENT_VALUE or constants */
    int value_count, node_count, input_count, output_count;
} ptf_program_graph;

/* ---------------------------------------------------------------- signature */

typedef enum ptf_program_input_kind {
    PTF_PROGRAM_PARAMETER,
    PTF_PROGRAM_BUFFER,
    PTF_PROGRAM_CONSTANT, /* a tensor made in forward() */
    PTF_PROGRAM_USER,
    PTF_PROGRAM_LITERAL, /* a Python constant among the example's inputs */
    PTF_PROGRAM_CUSTOM,  /* an object of a class of the user's */
    PTF_PROGRAM_TOKEN,   /* for the order of effects */
} ptf_program_input_kind;

/* Parallel to the graph's inputs. */
typedef struct ptf_program_input {
    ptf_program_input_kind kind;
    int value;        /* the graph's; PTF_ABSENT for what is no value */
    const char *name; /* of a USER or LITERAL, as its caller knows it: "x",
                         "boxes.0", "mask"; else the name in the state dict */
    bool persistent;  /* of a BUFFER: it is in the state dict */
    const ptf_tensor *tensor;     /* of PARAMETER, BUFFER, CONSTANT */
    const ptf_argument *constant; /* of LITERAL, and USER without a value */
    const ptf_tensor *sample;     /* of a USER: in the example; or NULL */
} ptf_program_input;

typedef enum ptf_program_output_kind {
    PTF_PROGRAM_RESULT,
    PTF_PROGRAM_LOSS,
    PTF_PROGRAM_PARAMETER_MUTATION,
    PTF_PROGRAM_BUFFER_MUTATION,
    PTF_PROGRAM_INPUT_MUTATION,
    PTF_PROGRAM_PARAMETER_GRADIENT,
    PTF_PROGRAM_INPUT_GRADIENT,
    PTF_PROGRAM_OUTPUT_TOKEN,
} ptf_program_output_kind;

/* Parallel to the graph's outputs. */
typedef struct ptf_program_output {
    ptf_program_output_kind kind;
    const ptf_argument *what; /* a value, None, or a Python constant */
    const char *name;         /* of a RESULT: "logits", "boxes.0", "output" */
    const char *target;       /* what is written: the state dict's name, or the
                           input's; else NULL */
} ptf_program_output;

/* What a symbol of the sizes may be. */
typedef struct ptf_program_symbol {
    const char *name;    /* "s77" */
    int64_t least, most; /* INT64_MIN, INT64_MAX where there is no bound */
} ptf_program_symbol;

/* ------------------------------------------------------------------ program */

/* How the archive is laid out. */
typedef enum ptf_program_layout {
    PTF_PROGRAM_LAYOUT_A, /* PyTorch 2.1 to 2.7: a plain zip, zips in it */
    PTF_PROGRAM_LAYOUT_B, /* 2.8: PyTorch's zip, zips in it */
    PTF_PROGRAM_LAYOUT_C, /* since 2.9: raw storages */
} ptf_program_layout;

struct ptf_program {
    ptf_users *users, counted;
    ptf_arena arena;
    ptf_file file;
    ptf_archive archive;
    ptf_program_layout layout;
    int schema_major, schema_minor; /* 7 or 8 */
    const char *torch_version;      /* "2.13.0+cpu"; "" in the oldest */
    const char *dialect;            /* "TRAINING", "ATEN", "EDGE" */
    const char *model;              /* its name in the archive */
    const char *const *models;      /* all names */
    size_t model_count;
    ptf_program_graph graph;
    const ptf_program_input *inputs;
    const ptf_program_output *outputs;
    ptf_program_symbol *symbols;
    int input_count, output_count, symbol_count;
    const char *const *guards; /* Python conditions on the inputs */
    int guard_count;
    const char *in_spec, *out_spec; /* pytrees, JSON as in the file */
    const ptf_entry **extras;       /* extra_files, by their whole names;
                                       loaded */
    size_t extra_count;
    ptf_entry *json; /* the graph as it stands in the file, for writers */
    const ptf_entry *samples; /* the example's inputs, a file of torch.save();
                                 or NULL */
    ptf_checkpoint *parts[3]; /* zips in the zip: weights, constants, samples */
};

/*
 * The argument of that name, or NULL.  Calls of operators in the table have
 * all of their schema's.
 */
const ptf_argument *ptf_program_argument(const ptf_program_node *node,
                                         const char *name);

/* A dtype's number in these files, 0 for one that has none. */
int ptf_program_dtype_number(ptf_dtype dtype);

/*
 * The first call that no program in evaluation mode has, or NULL: then it was
 * exported without model.eval(), and its outputs are not those of a trained
 * model in use.
 */
const ptf_program_node *ptf_program_training(const ptf_program *program);

/*
 * Fails with "FILE: node 'conv2d_3' (aten.conv2d.default in layer1.0): ..."
 */
ptf_status ptf_program_fail(const ptf_program *program,
                            const ptf_program_node *node, ptf_error *err,
                            ptf_status status, const char *fmt, ...)
    PTF_PRINTF(5, 6);

#endif
