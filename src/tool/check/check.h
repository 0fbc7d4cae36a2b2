/*
 * check: what "ptfold check" reports, and the three ways to write it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_CHECK_H
#define PTF_TOOL_CHECK_H

#include "tool/common/exact.h"
#include "tool/common/expect.h"

/* What --require may ask for. */
typedef enum check_require {
    REQUIRE_BITWISE,
    REQUIRE_CERTIFIED,
    REQUIRE_ARGMAX,
    REQUIRE_TOLERANCE,
    REQUIRE_COUNT,
} check_require;

/* "bitwise" and so on. */
const char *check_require_name(check_require require);

/* Everything that makes the result reproducible. */
typedef struct check_evidence {
    const char *key_a, *key_b;          /* of the state dicts in the files */
    const char *path_a, *path_b, *data; /* data: NULL without --data */
    const char *from;                   /* it, "sample" or "random" */
    char sha256_a[65], sha256_b[65], sha256_inputs[65];
    int64_t samples, seed, threads;
    int64_t left_out; /* files in a folder of inputs that cannot be read */
    double atol, rtol;
    char shapes[TOOL_SHAPES_TEXT]; /* of the inputs */
} check_evidence;

/* The first layer that diverges, in four senses; NULL where none does. */
typedef struct check_first {
    const char *bit, *bound, *tolerance;
    ptf_layer_check own; /* on A's values; without a name where none does */
} check_first;

/* What came out, found once: all reports and the exit status go by it. */
typedef struct check_result {
    ptf_level level;
    char verdict[64]; /* the level in words */
    ptf_certificate certificate;
    check_first first;
    bool met; /* what --require asks for */
} check_result;

typedef struct check_report {
    const ptf_check *check;
    const ptf_net *a, *b;
    check_require require;
    bool allow_ulps; /* --max-ulps was given: "certified" may be within it */
    bool bisect;     /* B's layers were run on A's values */
    check_result result;
    check_evidence evidence;
} check_report;

void check_print_text(const check_report *report, FILE *out);
void check_print_json(const check_report *report, FILE *out);
void check_print_junit(const check_report *report, FILE *out);

/* The beginning of a JUnit report on one net or two, and one of its tests. */
void check_put_suite(FILE *out, int tests, int failures, const ptf_net *a,
                     const ptf_net *b, const ptf_certificate *certificate);
void check_put_case(FILE *out, const char *name, bool failed,
                    const char *message);

/*
 * Writes the enclosures of both nets' outputs for all inputs, one a line: the
 * net (A or B), the input, the output, and value and radius in hexadecimal.
 */
ptf_status check_write_enclosures(const ptf_net *a, const ptf_net *b,
                                  const tool_inputs *inputs, const char *path,
                                  ptf_error *err);

/*
 * "ptfold check NET --invariance": digests of the outputs for all instruction
 * sets, some numbers of threads and batch sizes, as a table; *same when all
 * are equal.
 */
ptf_status check_invariance(const tool_net *net, const tool_inputs *inputs,
                            bool json, bool *same, ptf_error *err);

/*
 * "ptfold check NET --expect FILE": the network against what was recorded for
 * the inputs.  'junit' may be NULL.
 */
typedef struct check_expect_options {
    const char *network, *data, *expect, *junit;
    int threads, bits;
    bool json, exact;
} check_expect_options;

/* "--exact": how many units in the last place the recorded output, and that of
 * a run here, are from the exact one, rounded to f32. */
typedef struct check_exact {
    tool_exact known;
    ptf_difference recorded, run;
} check_exact;

ptf_status check_exact_run(const check_expect_options *options,
                           const tool_expect *expect, const tool_inputs *inputs,
                           check_exact *out, ptf_error *err);
void check_exact_print(const check_exact *exact, FILE *out);
void check_exact_json(tool_json *json, const check_exact *exact);

/* Of numbers in bins: a line with the bins' labels, and their counts. */
void check_print_bin_labels(FILE *out, const char *what);
void check_print_bins(FILE *out, const int64_t ulps[PTF_ULP_BINS]);
void check_json_ulps(tool_json *json, const int64_t ulps[PTF_ULP_BINS]);

ptf_status check_expect(const check_expect_options *options,
                        const tool_net *net, const tool_inputs *inputs,
                        bool *agrees, ptf_error *err);

#endif
