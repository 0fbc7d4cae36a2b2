/*
 * aten: from a program of ATen calls to a net.  lower.c walks the calls and
 * keeps what each value has become; aten.c has the table of operators, and for
 * each kind of them a function that turns a call into nodes; call.c reads
 * arguments.
 *
 * A net's shapes are of one sample.  The first axis of the program's input is
 * the batch, and every value that depends on the input must keep it in front:
 * an operator that would mix or move it is refused, by name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ATEN_H
#define PTF_ATEN_H

#include "net/net.h"
#include "program/program.h"

/* What a value of the program has become. */
typedef struct ptf_lowered {
    int node;                 /* of the net, or -1 */
    const ptf_tensor *tensor; /* a parameter or constant, or NULL */
    int64_t number;           /* of a size; -1: not known */
} ptf_lowered;

typedef struct ptf_lowering {
    const ptf_program *program;
    ptf_net *net;
    ptf_lowered *values; /* by the graph's number */
    ptf_shape *shapes;   /* by node, for the program's example */
    int node_capacity, shape_capacity;
    ptf_text_table names;         /* of nodes */
    int64_t batch;                /* of the example */
    const ptf_program_node *call; /* that is being lowered */
    ptf_error *err;
} ptf_lowering;

/* What the program records of a value. */
static inline const ptf_program_value *ptf_lower_value(const ptf_lowering *l,
                                                       int value)
{
    return &l->program->graph.values[value];
}

/* ------------------------------------------------------- arguments of calls */

/* Refuses the call: "node 'add_3' (aten.add.Tensor in layer1): ...". */
ptf_status ptf_lower_refuse(ptf_lowering *l, const char *fmt, ...)
    PTF_PRINTF(2, 3);
#ifdef __clang_analyzer__ /* see ptf_fail() */
#define ptf_lower_refuse(...) (ptf_lower_refuse(__VA_ARGS__), PTF_UNSUPPORTED)
#endif

/* The argument as the number of a node; a constant becomes one. */
ptf_status ptf_lower_node(ptf_lowering *l, const char *name, int *out);
/* The same of a list of tensors; the array is the net's. */
ptf_status ptf_lower_nodes(ptf_lowering *l, const char *name, int **out,
                           int *count);

/* A constant argument; *out is NULL for None. */
ptf_status ptf_lower_tensor(ptf_lowering *l, const char *name,
                            const ptf_tensor **out);

/* 'count' integers; one of them stands for all. */
ptf_status ptf_lower_ints(ptf_lowering *l, const char *name, int count,
                          int64_t *out);
ptf_status ptf_lower_int(ptf_lowering *l, const char *name, int64_t *out);
ptf_status ptf_lower_number(ptf_lowering *l, const char *name, double *out);
bool ptf_lower_is_true(const ptf_lowering *l, const char *name);
/* True for None, and for an empty list. */
bool ptf_lower_is_none(const ptf_lowering *l, const char *name);

/* ------------------------------------------------------------------ results */

/* Adds a node and checks its shape; its number in *out. */
ptf_status ptf_lower_add(ptf_lowering *l, ptf_op op, const ptf_attrs *attrs,
                         int count, const int *inputs,
                         const ptf_tensor *const tensors[PTF_ROLE_COUNT],
                         int *out);

/* A node of a constant, for values of 'rank' with the batch. */
ptf_status ptf_lower_constant(ptf_lowering *l, const ptf_tensor *tensor,
                              int rank, int *out);

/* The call's first result is this node; others are nothing. */
ptf_status ptf_lower_give(ptf_lowering *l, int node);
/* It is this constant. */
ptf_status ptf_lower_give_tensor(ptf_lowering *l, const ptf_tensor *tensor);

/* ---------------------------------------------------------------- the table */

/* Lowers l->call, whose operator is called 'target' without in-place marks. */
ptf_status ptf_aten_lower(ptf_lowering *l, const char *target);

#endif
