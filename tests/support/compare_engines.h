/*
 * compare_engines: a net's outputs by ptfold and by libtorch, and how far
 * apart they may be.
 *
 *     t32, t64  libtorch's outputs in f32 and in double
 *     b32, b64  what rounding can do to any evaluation in that precision, at
 *               most (tool/oracle.h)
 *     y         ptfold's outputs
 *     m, r      ptfold's enclosures: the exact output is within r of m
 *
 * So |t32 - t64| and |y - t64| owe b32 + b64, and |m - t64| owes r + b64.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef COMPARE_ENGINES_H
#define COMPARE_ENGINES_H

#include "drawn_net.h"
#include "tool/oracle/oracle.h"

/* libtorch, after judge_begin(). */
extern ltc_api torch;

/*
 * What a test against libtorch is called with: MODULE FOLDER [SEED [COUNT]].
 * FOLDER has committed checkpoints; the seeds are those of drawn nets.
 */
typedef struct judge_case {
    const char *folder;
    unsigned long long first, count;
} judge_case;
extern judge_case judging;

/*
 * Loads the module.  Returns -1, or the code to exit with: that of a skipped
 * test when the module's name is empty, because it was not built.
 */
int judge_begin(int argc, char **argv);

typedef struct judge_outputs {
    const char *what, *text; /* for messages: which net, and its text */
    int64_t count;
    float *y;
    double *t32, *b32, *t64, *b64, *m, *r;
} judge_outputs;

/*
 * Runs 'images' inputs; 'what' and 'text' are set before.  The test fails if
 * anyone refuses.
 */
void judge_run(const ptf_net *net, const ptf_shape *input, const float *in,
               int64_t images, judge_outputs *out);
void judge_free(judge_outputs *outputs);

/* Zeros, to be freed. */
double *judge_numbers(int64_t count);

/*
 * |a - b| <= owed, which NaN never is.  *part becomes the largest part of what
 * was owed that was used.
 */
bool judge_holds(double a, double b, double owed, double *part);

/* Fails with all that is known about output i. */
void judge_fail(const judge_outputs *o, int64_t i);

/* Fails unless everyone agrees. */
void judge_expect(const judge_outputs *o);

/* The largest parts of what was owed, over all judge_expect(). */
typedef struct judge_parts {
    double ptfold, libtorch, enclosure;
} judge_parts;
extern judge_parts judge_largest;

#endif
