/*
 * rewrites: by their names, for ptfold info and ptfold convert.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_REWRITES_H
#define PTF_TOOL_REWRITES_H

#include "tool/common/tool.h"

/* What each would do to the net, and what it owes. */
ptf_status tool_print_rewrites(const tool_net *net, bool json, ptf_error *err);

/*
 * Applies those in a list of names between commas, one after the other, holds
 * the result against the net, and saves it.  *reached: the verdict that they
 * owe was reached, and the file written; else there is none.
 */
typedef struct tool_rewriting {
    const tool_source *source;
    const char *names, *out;
    bool json;
} tool_rewriting;

ptf_status tool_rewrite(const tool_rewriting *r, bool *reached, ptf_error *err);

#endif
