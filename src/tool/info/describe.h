/*
 * What is in a checkpoint, for people and as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_DESCRIBE_H
#define PTF_TOOL_DESCRIBE_H

#include "tool/common/tool.h"

/* How much is asked for. */
typedef struct tool_description {
    bool tensors; /* one line per tensor (JSON always has them) */
    bool sha256;  /* digests of the file and of every tensor */
} tool_description;

/* How a tensor goes with an earlier one of the same storage. */
typedef struct tool_relation {
    const ptf_tensor *with; /* NULL: with none */
    bool tied;              /* they are the same elements */
} tool_relation;

/* One for each tensor; free() it.  NULL when out of memory. */
tool_relation *tool_relations(const ptf_checkpoint *ckpt);

ptf_status tool_describe(const ptf_checkpoint *ckpt, const char *path,
                         const tool_description *what, ptf_error *err);
ptf_status tool_describe_json(const ptf_checkpoint *ckpt, const char *path,
                              const tool_description *what, ptf_error *err);

#endif
