/*
 * writes: calls that write in place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_WRITES_H
#define PTF_WRITES_H

#include "program/program.h"

/*
 * Finds the calls that write to a computed tensor that a later call reads by
 * another name, a view that was made before: follows[] of their numbers is set,
 * for follow.c, or the program is refused where it cannot.  Any other call that
 * writes may be taken for one that gives a new tensor.
 */
ptf_status ptf_program_check_writes(const ptf_program *program, bool *follows,
                                    ptf_error *err);

/* True for a call that writes to its first tensor, or surely gives a view. */
bool ptf_aten_is_followed(const ptf_program_node *call);

/* True when what is written to a view gets to what it is a view of, and on. */
bool ptf_aten_can_follow(const ptf_program_graph *g, int value);

/*
 * True for an operator that gives a view of its first tensor, or a copy, and
 * whose schema does not say which: a dropout in evaluation gives what it gets.
 */
bool ptf_aten_may_give_view(const char *target);

/* True for an operator that reads no element of its tensors: zeros_like. */
bool ptf_aten_is_source(const char *target);

#endif
