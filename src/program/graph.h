/*
 * Between the files that read graphs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_PROGRAM_GRAPH_H
#define PTF_PROGRAM_GRAPH_H

#include "program/reader.h"

/* Finds what the graph's text records of its values. */
ptf_status ptf_scope_open(ptf_scope *scope, const ptf_tree *graph);
void ptf_scope_close(ptf_scope *scope);

/* Makes the name stand for a value that there is; it must be a new one. */
ptf_status ptf_scope_bind(ptf_scope *scope, const ptf_tree *name, int value);

/* Adds a value under a new name; its number into *out. */
ptf_status ptf_scope_define(ptf_scope *scope, const ptf_tree *name,
                            ptf_program_value value, int *out);

/* The member that names a result or input, NULL for what has no name. */
ptf_status ptf_result_name(const ptf_tree_source *source, const char *key,
                           const ptf_tree *at, ptf_tree *name,
                           ptf_program_kind *kind);

/* Hands the results to 'take' one by one, those of lists among them. */
typedef ptf_status ptf_result_function(void *to, const char *key,
                                       const ptf_tree *at, size_t index);
ptf_status ptf_results_each(ptf_scope *scope, const ptf_tree *outputs,
                            ptf_result_function *take, void *to);
ptf_status ptf_results_count(ptf_scope *scope, const ptf_tree *outputs,
                             size_t *count);

/* Reads a graph's calls into the scope's maker. */
ptf_status ptf_scope_read_calls(ptf_scope *scope, const ptf_tree *graph);

/* Reads the inputs, which are defined, or outputs, which are known. */
ptf_status ptf_scope_read_ports(ptf_scope *scope, const ptf_tree *graph,
                                bool are_inputs, const ptf_argument **out,
                                int *count);

/*
 * Reads the calls of a region instead of the call of it, if that is one whose
 * switch (autograd, autocast) changes no number.
 */
ptf_status ptf_inline_call(ptf_scope *scope, const ptf_tree *call,
                           const char *target, bool *inlined);

/* Copies a call's metadata, and finds the module in it. */
ptf_status ptf_program_read_metadata(const ptf_tree_source *source,
                                     const ptf_tree *call,
                                     ptf_program_node *node);

#endif
