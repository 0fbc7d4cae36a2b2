/*
 * writes: calls that write in place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_WRITES_H
#define PTF_WRITES_H

#include "program/program.h"

/*
 * Refuses a program in which a call writes to a computed tensor that a later
 * call reads by another name, where one of its names may be a copy.  In any
 * other program a call that writes may be taken for one that gives a new
 * tensor; where spreads[its number] becomes true, all names of the storage are
 * made again.
 */
ptf_status ptf_program_check_writes(const ptf_program *program, bool *spreads,
                                    ptf_error *err);

/*
 * True for an operator that gives a view of its first tensor, or a copy, and
 * whose schema does not say which: a dropout in evaluation gives what it gets.
 */
bool ptf_aten_may_give_view(const char *target);

/* True for a call that gives views of its first tensor and never a copy: a
 * view operator, or one that writes to it. */
bool ptf_aten_is_view(const ptf_program_node *call);

/* True for an operator that reads no element of its tensors: zeros_like. */
bool ptf_aten_is_source(const char *target);

#endif
