/*
 * draft_edit: changing a draft's graph: calls that are bypassed, tensors that
 * take the place of others.  What only served what is gone goes with it: calls
 * that nobody reads, parameters, the counts of batch norms.
 *
 * Functions that give nothing note a lack of memory for the finish.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_DRAFT_EDIT_H
#define PTF_DRAFT_EDIT_H

#include "export/draft.h"
#include "op/op.h"

typedef struct ptf_draft_value ptf_draft_value;

typedef struct ptf_draft_edit {
    ptf_draft *draft;
    json_t *inputs, *nodes, *outputs, *metas, *specs, *output_specs;
    ptf_text_table values; /* ptf_draft_value by name */
    json_t *dead;          /* calls that nobody reads any more */
    json_t *making;        /* while results are defined: their call */
    bool live;             /* the answer of a walk */
    bool failed;           /* out of memory */
    ptf_error *err;
} ptf_draft_edit;

ptf_status ptf_draft_edit_begin(ptf_draft *draft, ptf_draft_edit *out,
                                ptf_error *err);
/* Also after a failure; brings the lists in order. */
ptf_status ptf_draft_edit_finish(ptf_draft_edit *edit);

/* The call that gives a value; NULL for a value that is none of a call. */
json_t *ptf_draft_edit_call(const ptf_draft_edit *edit, const char *result);

/*
 * Readers of the call's first result read what its argument 'input' is, and
 * the call goes away.  False when it cannot: it writes, or gives more.
 */
bool ptf_draft_edit_bypass(ptf_draft_edit *edit, json_t *call,
                           const char *input);

/* Sets an argument of a call of an operator in the table; 'arg' is taken. */
void ptf_draft_edit_set(ptf_draft_edit *edit, json_t *call, const char *name,
                        json_t *arg);

/*
 * Makes it a call of another operator of the table, whose first argument is the
 * value that its argument 'input' is.  Arguments weight and bias stay, where it
 * has a weight; else others go.
 */
void ptf_draft_edit_retarget(ptf_draft_edit *edit, json_t *call,
                             const char *target, const char *input);

/*
 * The argument is this tensor, or None for NULL.  A tensor of the file that
 * nothing else has is replaced under its name; else there is a new parameter
 * that is called 'wanted', or so with a number.
 */
void ptf_draft_edit_tensor(ptf_draft_edit *edit, json_t *call, const char *name,
                           const ptf_tensor *tensor, const char *wanted);

/* A value has this shape after its first axis. */
void ptf_draft_edit_shape(ptf_draft_edit *edit, const char *name,
                          const ptf_shape *shape);

#endif
