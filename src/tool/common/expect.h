/*
 * expect: --expect, outputs that were recorded for the images of --data.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_EXPECT_H
#define PTF_TOOL_EXPECT_H

#include "tool/common/tool.h"

typedef struct tool_expect {
    const char *path; /* of what was recorded */
    const ptf_net *net;
    int64_t samples;
    ptf_arrays *arrays;
    ptf_expect *expect;
    char sha256_inputs[65], sha256_outputs[65];
    char agreed[96];          /* "80 recorded outputs of 8 inputs" */
    ptf_metadata metadata[4]; /* see tool_expect_metadata() */
} tool_expect;

/* Runs 'net' on all inputs; frees nothing when it fails. */
ptf_status tool_expect_run(const char *path, const ptf_net *net,
                           const tool_inputs *inputs, int threads,
                           tool_expect *out, ptf_error *err);
void tool_expect_free(tool_expect *expect);

bool tool_expect_agrees(const tool_expect *expect);

/*
 * What a file that is made from a network that agrees says of that: pointers
 * into 'expect', or NULL when nothing was held against anything.
 */
const ptf_metadata *tool_expect_metadata(const tool_expect *expect);

/* Whether an array stands in the way of that. */
bool tool_expect_fails(const ptf_expect_result *result);

/* "AGREES with the recorded outputs" */
const char *tool_expect_verdict(const tool_expect *expect, char text[64]);

/* What the report is about: the first array that differs, or the output that
 * comes nearest to it. */
ptf_expect_result tool_expect_focus(const tool_expect *expect);

/* The figures, and the verdict in the last line. */
void tool_expect_print(const tool_expect *expect, FILE *out);
void tool_expect_json(tool_json *json, const char *key,
                      const tool_expect *expect);

#endif
