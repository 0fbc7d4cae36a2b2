/*
 * aten: from a program of ATen calls to a net.  lower.c walks the calls;
 * values.c keeps what each value has become; call.c reads arguments;
 * constants.c evaluates what depends on constants alone.  Each family of ops
 * has a file with the rows of its operators.
 *
 * A net's shapes are of one sample.  In a program that was exported for a
 * batch, a value has one of two forms:
 *
 *     batched   f32 [N, 64, 7, 7]   the net's node has the shape [64, 7, 7]
 *     whole     f32 [49, 64, 64]    the node has all axes in its shape
 *
 * Windows of a Swin transformer are whole: [N, 56, 56, 96] is reshaped to
 * [N * 64, 49, 96], and back again later.  That is a function of one sample
 * when the program was exported for N = 1; then values change their form as
 * calls need it.  For another N, a call that needs the whole form would mix
 * samples: the program is then lowered again with no batch at all (batch 0),
 * as a function of arrays of just these sizes.
 *
 * A value without elements is a constant, since it depends on no input, and so
 * is what reads it: a sum of nothing.  So no op of a net has to know of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ATEN_H
#define PTF_ATEN_H

#include "import/aten/sizes.h"
#include "net/net.h"
#include "op/attrs.h"
#include "program/program.h"

#include <float.h>
#include <math.h>

/* A number that the sizes of the inputs decide. */
typedef struct ptf_lowered_number {
    bool known;
    bool of_batch; /* it depends on the size of the batch */
    bool is_real;  /* then 'real' is what it is, and otherwise 'whole' */
    int64_t whole;
    double real;
} ptf_lowered_number;

/* What a value of the program has become. */
typedef struct ptf_lowered {
    const ptf_tensor *tensor; /* a parameter or constant as it is in the file */
    int node;                 /* of the net, or -1: not yet, or none */
    bool batched;             /* the node's shape leaves out the first axis */
    int other;  /* the node that is the same in the other form, or -1 */
    int memory; /* of 'tensor': a constant's that calls may write to, or 0 */
    ptf_lowered_number number; /* of what is no tensor */
} ptf_lowered;

/* Numbers that are the net's, which several values may see. */
typedef struct ptf_lowered_memory {
    float *data;
    int64_t numel;
    bool in_use; /* a node has them: they may not change any more */
    bool leaked; /* a copy may be what PyTorch has as a view */
} ptf_lowered_memory;

/* An assertion about numbers of the input: the node is 1, or NaN when it
 * fails. */
typedef struct ptf_lowered_demand {
    int node;
    const ptf_program_node *call;
} ptf_lowered_demand;

/* What a value is a name of. */
typedef struct ptf_lowered_name {
    int of;                       /* the value that it is a view of, or -1 */
    const ptf_program_node *call; /* that gave it */
    int first, last;              /* of a root: its views, or -1 */
} ptf_lowered_name;

/* A call that gave views of a root, and the number of the next one, or -1. */
typedef struct ptf_lowered_view {
    const ptf_program_node *call;
    int next;
} ptf_lowered_view;

typedef struct ptf_lowering {
    const ptf_program *program;
    const ptf_program_graph *graph; /* the program's, or one in it */
    const ptf_sizes *sizes;
    ptf_net *net;
    ptf_lowered *values; /* by the graph's number */
    ptf_shape *shapes;   /* by node, for the program's example */
    int node_capacity, shape_capacity;
    ptf_text_table names;          /* of nodes */
    int64_t batch;                 /* 0: no value is batched */
    bool mixes;                    /* refused since it would mix samples */
    const ptf_program_node *mixer; /* the first that may, of one sample */
    size_t evaluated;              /* bytes of constants made so far */
    ptf_lowered_memory *memories;  /* from 1 on */
    int memory_count, memory_capacity;
    ptf_lowered_demand *demands;
    int demand_count, demand_capacity;
    ptf_lowered_name *storage; /* by the graph's number, or NULL */
    bool *spreads; /* by call: it writes to what another name reads later */
    ptf_lowered_view *views;
    int view_count, view_capacity;
    const ptf_program_node *call; /* that is being lowered */
    int call_number;              /* its own; -1 where nodes are of no call */
    bool batched;                 /* its operands and results are */
    int rank;                     /* the highest of its operands */
    int first_node;               /* that it adds */
    ptf_error *err;
} ptf_lowering;

/* What the program records of a value. */
static inline const ptf_program_value *ptf_lower_value(const ptf_lowering *l,
                                                       int value)
{
    return &l->graph->values[value];
}

/* The recorded dtype of the call's first result; f32 where there is no call. */
static inline ptf_dtype ptf_lower_result_dtype(const ptf_lowering *l)
{
    int result =
        l->call != NULL && l->call->result_count > 0 ? l->call->results[0] : -1;
    return result >= 0 ? ptf_lower_value(l, result)->dtype : PTF_DTYPE_F32;
}

/* Of a call whose result has the highest kind of its operands. */
ptf_status ptf_lower_check_promoted(ptf_lowering *l);

/* ------------------------------------------------------- arguments of calls */

/* Refuses the call: "node 'add_3' (aten.add.Tensor in layer1): ...". */
ptf_status ptf_lower_refuse(ptf_lowering *l, const char *fmt, ...)
    PTF_PRINTF(2, 3);
#ifdef __clang_analyzer__ /* see ptf_fail() */
#define ptf_lower_refuse(...) (ptf_lower_refuse(__VA_ARGS__), PTF_UNSUPPORTED)
#endif

/* The same of a value with more axes than there can be. */
static inline ptf_status ptf_lower_refuse_rank(ptf_lowering *l, int rank,
                                               int most)
{
    return ptf_lower_refuse(l, "a value has %d axes; at most %d can be", rank,
                            most);
}

/* A value as the number of a node, in the call's form. */
ptf_status ptf_lower_value_node(ptf_lowering *l, int value, int *out);
/* The argument as the number of a node, in the call's form. */
ptf_status ptf_lower_node(ptf_lowering *l, const char *name, int *out);
/* A value's node with all its axes, whatever the call's form is. */
ptf_status ptf_lower_whole_value(ptf_lowering *l, int value, int *out);
/* The same of an argument that is a tensor or a number. */
ptf_status ptf_lower_operand(ptf_lowering *l, const char *name, int *out);
/* The same of a list of tensors; the array is the net's. */
ptf_status ptf_lower_nodes(ptf_lowering *l, const char *name, int **out,
                           int *count);

/* A constant argument; *out is NULL for None. */
ptf_status ptf_lower_tensor(ptf_lowering *l, const char *name,
                            const ptf_tensor **out);
/* The argument when it is a tensor of the file as it stands there; or NULL. */
const ptf_tensor *ptf_lower_raw(const ptf_lowering *l, const char *name);

/* 'count' integers; one of them stands for all. */
ptf_status ptf_lower_ints(ptf_lowering *l, const char *name, int count,
                          int64_t *out);
ptf_status ptf_lower_int(ptf_lowering *l, const char *name, int64_t *out);
/* A list of up to PTF_SHAPE_MAX + 1 integers, sizes or dimensions. */
enum { PTF_LOWER_LIST = PTF_SHAPE_MAX + 1 };
ptf_status ptf_lower_list(ptf_lowering *l, const char *name,
                          int64_t out[PTF_LOWER_LIST], int *count);
ptf_status ptf_lower_number(ptf_lowering *l, const char *name, double *out);
/* A number that is said or that sizes decide, also one of the batch's size. */
ptf_status ptf_lower_known(ptf_lowering *l, const ptf_argument *a,
                           ptf_lowered_number *out);
/* An element of a list of integers; the batch's size is for the first one. */
ptf_status ptf_lower_element(ptf_lowering *l, const ptf_argument_int *n,
                             bool leads, int64_t *out);
bool ptf_lower_is_true(const ptf_lowering *l, const char *name);
/* True for an argument that is this value, or has it in its list. */
static inline bool ptf_lower_reads(const ptf_argument *a, int value)
{
    bool some = a->kind == PTF_ARGUMENT_VALUE && a->value == value;
    for (int k = 0; a->kind == PTF_ARGUMENT_VALUES && k < a->count; k++)
        some = some || a->values[k] == value;
    return some;
}

/* True for None, and for an empty list. */
bool ptf_lower_is_none(const ptf_lowering *l, const char *name);
/* True where the argument is a tensor, whatever it has become. */
bool ptf_lower_is_tensor(const ptf_lowering *l, const char *name);

/* -------------------------------------------------------------------- forms */

/*
 * The sizes of a tensor argument with all its axes, as PyTorch counts them:
 * what the rules gave, not what was recorded.
 */
ptf_status ptf_lower_sizes(ptf_lowering *l, const char *name,
                           int64_t out[PTF_LOWER_LIST], int *rank);
/* The same of a value that is lowered; of more axes than that, only 'rank'. */
void ptf_lower_value_sizes(const ptf_lowering *l, int value,
                           int64_t out[PTF_LOWER_LIST], int *rank);

/*
 * True for a list of sizes that begins with a number where the batch's size is
 * open: what has it in front is no batch.
 */
bool ptf_lower_leads_with_number(const ptf_lowering *l,
                                 const ptf_argument *list);

/*
 * The call works along the first axis, or has no use for it: from here on its
 * operands and results are whole.  To be called before operands are asked for.
 */
ptf_status ptf_lower_whole(ptf_lowering *l);

/*
 * The same unless the operands' first axes are aligned: for operators that
 * broadcast.
 */
ptf_status ptf_lower_broadcast(ptf_lowering *l);

/*
 * A dimension of a tensor of 'rank' axes as the net counts it.  The call
 * becomes whole when it is the first one.
 */
ptf_status ptf_lower_axis(ptf_lowering *l, int rank, int64_t dim, int *out);

/* Positions first, first + step, ... of an axis. */
typedef struct ptf_lowered_span {
    int64_t first, step, length;
} ptf_lowered_span;

/* What 'start', 'end' and 'step' say of an axis of that size. */
ptf_status ptf_lower_span(ptf_lowering *l, int64_t size, ptf_lowered_span *out);

/* The dimension that an argument names, counted from the front. */
ptf_status ptf_lower_dim(ptf_lowering *l, const char *name, int rank, int *out);

/* An axis that PyTorch counts from the front, as the net counts it. */
static inline int ptf_lower_net_axis(const ptf_lowering *l, int axis)
{
    return l->batched ? axis : axis + 1;
}

/* ------------------------------------------------------------------ results */

/* What PyTorch takes when nothing is said. */
ptf_attrs ptf_lower_defaults(ptf_op op);

/* Adds a node and checks its shape; its number in *out. */
ptf_status ptf_lower_add(ptf_lowering *l, ptf_op op, const ptf_attrs *attrs,
                         int count, const int *inputs,
                         const ptf_tensor *const tensors[PTF_ROLE_COUNT],
                         int *out);

/* A constant of that shape, all of it one number. */
ptf_status ptf_lower_filled(ptf_lowering *l, const ptf_shape *shape,
                            double number, int *out);

/* One that reads one node and has no tensors. */
ptf_status ptf_lower_add_one(ptf_lowering *l, ptf_op op, const ptf_attrs *attrs,
                             int input, int *out);

/* Ones in the shape of a tensor: the weight of a norm that has a bias alone. */
ptf_status ptf_lower_ones(ptf_lowering *l, const ptf_tensor *like,
                          const ptf_tensor **out);

/* Elements of so many sizes; -1 when they are too many, even if sizes of 0 were
 * 1, so that products of some of them are none that overflow. */
int64_t ptf_lower_count(const int64_t *sizes, int rank);

/* No position of an axis that the shape of the node has. */
ptf_status ptf_lower_cut(ptf_lowering *l, int axis, int *node);

/* The same of two nodes, and of one, where nothing is said of the op. */
ptf_status ptf_lower_add_two(ptf_lowering *l, ptf_op op, int a, int b,
                             int *out);
ptf_status ptf_lower_add_plain(ptf_lowering *l, ptf_op op, int input, int *out);

/* A SLICE: positions first, first + step, ... of a net's axis; the node itself
 * when that is all. */
ptf_status ptf_lower_add_slice(ptf_lowering *l, int node, int axis,
                               int64_t first, int64_t step, int64_t length,
                               int *out);

/* A RESHAPE; the node itself when it has that shape. */
ptf_status ptf_lower_reshape(ptf_lowering *l, int input, const ptf_shape *shape,
                             int *out);

/* The same for sizes with all axes, of a node in the call's form. */
ptf_status ptf_lower_resize(ptf_lowering *l, int node, const int64_t *sizes,
                            int rank, int *out);

/*
 * Adds an op that works on samples of 'axes' axes, and gives its result.  The
 * operand has these, or one more in front of them; where that one is not the
 * batch, the op is done for each of its positions.
 */
ptf_status ptf_lower_samples(ptf_lowering *l, ptf_op op, const ptf_attrs *attrs,
                             const char *operand, int axes,
                             const ptf_tensor *const tensors[PTF_ROLE_COUNT]);

/* The call's first result is a constant of these numbers, which are the net's:
 * whole, row-major. */
ptf_status ptf_lower_give_constant(ptf_lowering *l, float *data,
                                   const ptf_shape *shape);
/* A node of such numbers, and of one number. */
ptf_status ptf_lower_constant(ptf_lowering *l, const float *data,
                              const ptf_shape *shape, int *out);
ptf_status ptf_lower_scalar(ptf_lowering *l, double number, int *out);

/* A MATMUL, and a product with a number; the node itself for 1. */
ptf_status ptf_lower_matmul(ptf_lowering *l, int a, int b, int *out);
ptf_status ptf_lower_scale(ptf_lowering *l, int node, double factor, int *out);

/* The call's result 'index' is this node, in the call's form. */
ptf_status ptf_lower_give_at(ptf_lowering *l, int index, int node);
/* The first one, which mostly is the only one. */
ptf_status ptf_lower_give(ptf_lowering *l, int node);
/* A copy of what says how the numbers are seen. */
ptf_status ptf_lower_view(ptf_lowering *l, const ptf_tensor *old,
                          ptf_tensor **out);
/* It is this view of the constant 'self'. */
ptf_status ptf_lower_give_view(ptf_lowering *l, int index, ptf_tensor *view);

/* A constant of these sizes, all of it one number. */
ptf_status ptf_lower_give_filled(ptf_lowering *l, const int64_t *sizes,
                                 int rank, double number);

/* Adds a node that reads one value, and gives it as the result. */
ptf_status ptf_lower_give_node(ptf_lowering *l, ptf_op op,
                               const ptf_attrs *attrs, int input,
                               const ptf_tensor *const *tensors);

/* --------------------------------------------------------- parts of values */

/* Notes which results are names of the call's first tensor. */
ptf_status ptf_lower_note_views(ptf_lowering *l, const ptf_program_node *call);

/* A call has written 'result' to what 'value' names: all names of it are what
 * they are now. */
ptf_status ptf_lower_written(ptf_lowering *l, int value, int result);

/* A node with other numbers at those positions; each of them once. */
ptf_status ptf_lower_put(ptf_lowering *l, int into, const float *positions,
                         int numbers, int *out);

/* Lowers a call by its row. */
ptf_status ptf_lower_row(ptf_lowering *l, const ptf_program_node *call);

/* True for what depends on the input. */
bool ptf_lower_is_computed(const ptf_lowering *l, const ptf_lowered *v);

/* The value is this node from now on, in the call's form. */
ptf_status ptf_lower_become(ptf_lowering *l, ptf_lowered *v, int node);

/* -------------------------------------------------- values.c to constants.c */

/* True when all operands of the node are constants, of which there are some. */
bool ptf_lower_is_constant(const ptf_lowering *l, int node);

/* The node becomes a constant: what it gives for its operands. */
ptf_status ptf_lower_evaluate(ptf_lowering *l, int node);

/* A row-major tensor of numbers that are the net's; NULL without memory. */
ptf_tensor *ptf_lower_tensor_of(ptf_lowering *l, const float *data,
                                const ptf_shape *shape);

/* Refuses numbers that are made in another dtype than f32 can stand for. */
ptf_status ptf_lower_check_made(ptf_lowering *l, ptf_dtype dtype,
                                const ptf_tensor *numbers);

/* Refuses a constant of float64 with numbers that f32 has not. */
ptf_status ptf_lower_check_double(ptf_lowering *l, const ptf_tensor *tensor);

/* A constant that calls may write to: its number in *out. */
ptf_status ptf_lower_remember(ptf_lowering *l, float *data, int64_t numel,
                              int *out);

/* A constant gets memory of its own. */
ptf_status ptf_lower_copy(ptf_lowering *l, ptf_lowered *value);

/*
 * The same for one of the file's, which is copied when it is written to; one
 * that has to be converted keeps the file's memory.
 */
ptf_status ptf_lower_share(ptf_lowering *l, ptf_lowered *value);

/*
 * Writes the constant 'from' to what 'to' sees, and to all that see the same;
 * 'from' becomes another name of it.
 */
ptf_status ptf_lower_write(ptf_lowering *l, int to, int from);

/* The numbers of a tensor as f32 in C order; integers must be exact. */
ptf_status ptf_lower_floats(ptf_lowering *l, const ptf_tensor *tensor,
                            const float **out);

/* Memory for a constant of so many numbers. */
ptf_status ptf_lower_room(ptf_lowering *l, int64_t numel, float **out);

/* ------------------------------------------------- values.c to nothing.c */

/* True when a value that the node reads has no elements. */
bool ptf_lower_reads_nothing(const ptf_lowering *l, const ptf_node *node);

/* The constant that such a node is, or one that itself has none; its shape is
 * known. */
ptf_status ptf_lower_add_of_nothing(ptf_lowering *l, const ptf_node *node,
                                    const ptf_shape *shape, int *out);

/* -------------------------------------------------------------------- masks */

/*
 * What a mask before a softmax has in place of -infinity: its exponential is 0
 * too, but bounds of it can be computed.  What is to be seen beside it has a
 * mask of a smaller size than PTF_MASK_VISIBLE.
 */
#define PTF_HIDDEN       (-FLT_MAX)
#define PTF_MASK_VISIBLE 1e30F

static inline bool ptf_mask_hides(float number)
{
    return isinf(number) && number < 0;
}

/* hide.c: puts it into constants that are nothing but such masks. */
ptf_status ptf_lower_hide(ptf_lowering *l);

/* ----------------------------------------------- values.c for lower.c alone */

ptf_status ptf_lower_append(ptf_lowering *l, const ptf_node *node,
                            const ptf_shape *shape, int *out);
/* The form in which the call's operands are. */
void ptf_lower_begin(ptf_lowering *l, const ptf_program_node *call);

/* ---------------------------------------------- values.c to integers.c */

bool ptf_dtype_is_integer(ptf_dtype dtype);

/* No number of the node is larger in size, but NaN may be; or infinity. */
double ptf_lower_bound(const ptf_lowering *l, int node);

/* Refuses a node of integers that f32 may not hold, whatever the input is. */
ptf_status ptf_lower_check_integer(ptf_lowering *l, int node);

/* A conversion between dtypes; the node itself where there is none to do. */
ptf_status ptf_lower_convert(ptf_lowering *l, int node, ptf_dtype from,
                             ptf_dtype to, int *out);

/* --------------------------------------------------------------- the tables */

/* An operator: "aten.add.Tensor", without in-place marks. */
typedef struct ptf_aten_row {
    const char *target;
    ptf_status (*lower)(ptf_lowering *l, const struct ptf_aten_row *row);
    ptf_op op;
    const char *numbers[3]; /* arguments that are attrs.p, or operands */
    bool reversed;          /* other - self; a transposed convolution; triu */
    bool means;             /* the mean is a second result */
    bool fills;             /* no number of 'self' is read, only its sizes */
} ptf_aten_row;

/*
 * Tables for each family, ended by an empty row: of its name, and what is made
 * of several ops.
 */
#define PTF_ATEN_COMPOSED(TABLE) \
    TABLE(expand)                \
    TABLE(integers)              \
    TABLE(numbers)               \
    TABLE(symbols)               \
    TABLE(branch)                \
    TABLE(slice)                 \
    TABLE(recurrent)             \
    TABLE(scan)                  \
    TABLE(scatter)               \
    TABLE(shuffle)               \
    TABLE(windows)               \
    TABLE(attention)             \
    TABLE(bag)                   \
    TABLE(index)                 \
    TABLE(sample)                \
    TABLE(einsum)

#define FAMILY(id, name) extern const ptf_aten_row ptf_aten_##name[];
#include "op/families.inc"
#undef FAMILY
#define TABLE(name) extern const ptf_aten_row ptf_aten_##name[];
PTF_ATEN_COMPOSED(TABLE)
#undef TABLE

/* All of them, those of families first. */
typedef struct ptf_aten_table {
    const char *name;
    const ptf_aten_row *rows;
} ptf_aten_table;

#define TABLE(name) +1
enum { PTF_ATEN_TABLES = PTF_FAMILY_COUNT PTF_ATEN_COMPOSED(TABLE) };
#undef TABLE
extern const ptf_aten_table ptf_aten_tables[PTF_ATEN_TABLES];

/*
 * The row of an operator; NULL: there is none.  That of "aten.relu_.default"
 * is the row of "aten.relu.default".
 */
const ptf_aten_row *ptf_aten_find(const char *name, const ptf_schema *schema);

/* True for an operator that writes to its first tensor, in place. */
bool ptf_schema_writes_first(const ptf_schema *schema);

/* Where the largest numbers of a pool's windows are, its second result: by the
 * attributes of the pool, which has given its first. */
ptf_status ptf_lower_places(ptf_lowering *l, const ptf_attrs *pool, int axes,
                            bool adaptive);

/*
 * Refuses a call whose results cannot have the dtypes that are recorded, as far
 * as that follows from its arguments.
 */
ptf_status ptf_lower_check_dtypes(ptf_lowering *l, const ptf_aten_row *row);

/* A convolution whose weight or bias is computed: a product of its windows. */
ptf_status ptf_lower_conv_of_values(ptf_lowering *l);

/* Adds the call's bias, in this shape or as it is. */
ptf_status ptf_lower_add_bias(ptf_lowering *l, const ptf_shape *shape,
                              int *node);

/* Lowers an operator that adds a product to 'self'. */
ptf_status ptf_lower_add_product(ptf_lowering *l, const ptf_aten_row *row);

/* A norm over axes of a node, of none: the size of each number. */
ptf_status ptf_lower_add_norm(ptf_lowering *l, double order,
                              const ptf_list *dims, bool keepdim, int *node);

/* What affine.c and norm.c have of each other's; 'sizes' are the input's. */
ptf_status ptf_lower_batch_norm(ptf_lowering *l, const ptf_aten_row *row);
ptf_status ptf_lower_instance_norm(ptf_lowering *l, const int64_t *sizes,
                                   int rank);

/* What stood in the way, or might have: calls of the program, or NULL. */
typedef struct ptf_lower_outcome {
    const ptf_program_node *failed; /* it was refused */
    const ptf_program_node *mixer; /* it may mix samples, of which there is one,
                                       or does, so that others are refused */
} ptf_lower_outcome;

/* The net for these sizes. */
ptf_status ptf_lower_program(const ptf_sizes *sizes, ptf_net **out,
                             ptf_lower_outcome *outcome, ptf_error *err);

/* Lowers the calls of the graph that the lowering is in. */
ptf_status ptf_lower_graph(ptf_lowering *l, const ptf_program_graph *graph);

/* True for an operator that makes a tensor of nothing. */
bool ptf_aten_is_made(const char *target);

/* Lowers an operator that gives its first argument as it is. */
ptf_status ptf_lower_same(ptf_lowering *l, const ptf_aten_row *row);

#endif
