/*
 * exact: outputs of a net as a real function, rounded to f32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_EXACT_H
#define PTF_TOOL_EXACT_H

#include "tool/common/tool.h"

/* What is known of all samples. */
typedef struct tool_exact {
    int bits;
    double radius;     /* how far outputs may be from the exact ones */
    int64_t unknown;   /* outputs that are one of several f32 */
    int64_t nothing;   /* of these: that could be any */
    const char *layer; /* where a number was not finite, or NULL */
} tool_exact;

/* Evaluates the samples into out[k], which have room for all; 'bits' 0 is as
 * many as it takes. */
ptf_status tool_exact_run(const ptf_net *net, const tool_inputs *in, int bits,
                          int threads, float *const *out, tool_exact *report,
                          ptf_error *err);
void tool_exact_print(const tool_exact *report, FILE *out);

#endif
