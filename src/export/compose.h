/*
 * compose: a program of ATen calls for a net that was read from none.
 * compose.c walks the net; calls.c has the call of each op; values.c keeps
 * what the graph has; ports.c writes the signature.
 *
 * A net's shapes are of one sample.  Its program is written in one of two
 * forms:
 *
 *     batched   f32 [s77, 64, 7, 7]   the batch is a symbol, for any number
 *     single    f32 [64, 7, 7]        one sample, or a net without a batch
 *
 * The second is for what PyTorch cannot do for each sample of a batch in one
 * call: look up positions that each sample names itself, or take the axes of
 * values of different ranks.  Inputs and outputs have a batch of 1 then.
 *
 * Values are of the dtype that PyTorch gives them, and are converted where a
 * call wants another: a net has bools and integers as f32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_COMPOSE_H
#define PTF_COMPOSE_H

#include "export/draft.h"
#include "export/plain.h"

/* The symbol of the batch, and how large it was in the example. */
#define PTF_COMPOSE_SYMBOL "s77"
enum { PTF_COMPOSE_SAMPLES = 2 };

/* A value of the graph. */
typedef struct ptf_composed {
    const char *name; /* NULL: not made yet */
    ptf_dtype dtype;
    ptf_shape shape; /* without the batch */
    bool has_batch;
    const char *as[PTF_DTYPE_BOOL + 1]; /* converted; NULL: not yet */
    const char *for_batch;              /* a constant that was expanded */
} ptf_composed;

typedef struct ptf_composing {
    ptf_draft *draft;
    const ptf_net *net;
    const ptf_shape *shapes; /* of nodes */
    bool batched;
    ptf_composed *values; /* by node */
    ptf_text_table names; /* of the graph's values */
    ptf_text_table known; /* ptf_composed of tensors, by their names */
    const char *batch;    /* the number of samples; NULL: not made yet */
    json_t *inputs[2], *specs[2];    /* buffers, and parameters */
    json_t *calls, *metas, *numbers; /* the draft's */
    int index;                       /* of the node that is composed, */
    const ptf_node *node;            /* and itself, */
    ptf_attrs attrs;                 /* with plain attributes */
    bool failed;                     /* out of memory */
    ptf_error *err;
} ptf_composing;

/*
 * The draft of a program that computes what the net does, for the inputs'
 * own shapes; the net must outlive it.  Free the draft in any case.
 */
ptf_status ptf_draft_compose(const ptf_net *net, ptf_draft *out,
                             ptf_error *err);

/* ------------------------------------------------------------------- values */

/* "layer1.0.conv1" as a name of Python's that no other value has. */
const char *ptf_compose_name(ptf_composing *c, const char *prefix,
                             const char *name);

/* The TensorMeta of a value. */
json_t *ptf_compose_meta(const ptf_composing *c, const ptf_composed *value);

/* Adds a call that gives 'out', whose name is chosen by 'name'; takes the
 * arguments. */
void ptf_compose_call(ptf_composing *c, const char *target, json_t *arguments,
                      const char *name, ptf_composed *out);

/* Adds an argument, which is taken. */
void ptf_compose_argument(ptf_composing *c, json_t *arguments, const char *name,
                          json_t *argument);

json_t *ptf_compose_value(const char *name);
json_t *ptf_compose_int(int64_t value);
json_t *ptf_compose_ints(const int64_t *values, int count);
json_t *ptf_compose_float(double value);
json_t *ptf_compose_none(void);

/* Operand 'index' of the node, of its own dtype. */
ptf_composed *ptf_compose_operand(ptf_composing *c, int index);

/* The value's name converted to that dtype. */
const char *ptf_compose_as(ptf_composing *c, ptf_composed *value,
                           ptf_dtype dtype);

/* The value's numbers, under that name, with an axis of size 1 in front, or
 * without it. */
const char *ptf_compose_turn(ptf_composing *c, const char *name,
                             const ptf_composed *value, bool batch);

/* A constant's name, once for each sample where there is a batch. */
const char *ptf_compose_for_batch(ptf_composing *c, ptf_composed *value);

/* The name of a tensor in the graph, which is an input of it; NULL for NULL. */
const char *ptf_compose_tensor(ptf_composing *c, const ptf_tensor *tensor,
                               bool is_parameter, ptf_composed *out);

/* A tensor of numbers that are the draft's. */
const ptf_tensor *ptf_compose_filled(ptf_composing *c, const char *name,
                                     int64_t count, float number);

/* True where all numbers of a constant are integers that int64 has. */
bool ptf_compose_is_whole(const ptf_node *node);

/* -------------------------------------------------------------------- calls */

/* The calls of the node that is composed, and its value. */
ptf_status ptf_compose_node(ptf_composing *c);

/* Refuses the node. */
ptf_status ptf_compose_refuse(const ptf_composing *c, const char *why);

#endif
