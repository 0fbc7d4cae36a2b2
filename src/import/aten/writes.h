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
 * call reads by another name, through a view that was made before.  In any
 * other program a call that writes may be taken for one that gives a new
 * tensor.
 */
ptf_status ptf_program_check_writes(const ptf_program *program, ptf_error *err);

/*
 * True for an operator that gives a view of its first tensor, or a copy, and
 * whose schema does not say which: a dropout in evaluation gives what it gets.
 */
bool ptf_aten_may_give_view(const char *target);

/* True for an operator that reads no element of its tensors: zeros_like. */
bool ptf_aten_is_source(const char *target);

#endif
