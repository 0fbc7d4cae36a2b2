/*
 * A network against outputs that PyTorch gave for the same inputs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/expect.h"

#include <math.h>

/* ------------------------------------------------------------------ running */

static ptf_status expect_batch(void *expect, const float *const *in,
                               int64_t count, ptf_error *err)
{
    return ptf_expect_run(expect, in, count, err);
}

/* The first array of which that is so; there is one. */
static ptf_expect_result find_result(const tool_expect *e,
                                     bool is_so(const ptf_expect_result *r))
{
    ptf_expect_result r = {0};
    for (size_t i = 0; ptf_expect_at(e->expect, i, &r) && !is_so(&r);)
        i++;
    return r;
}

static bool is_output(const ptf_expect_result *r)
{
    return r->output;
}

static bool differs(const ptf_expect_result *r)
{
    return r->agreement == PTF_AGREEMENT_DIFFERS;
}

/* SHA-256 of an output as it was recorded. */
static ptf_status hash_output(const tool_expect *e, const char *name,
                              char hex[65], ptf_error *err)
{
    size_t count, i = 0;
    const ptf_tensor *tensors = ptf_arrays_tensors(e->arrays, &count);
    while (tensors[i].name != name) /* which is borrowed from there */
        i++;
    return ptf_tensor_sha256(&tensors[i], hex, err);
}

/* The digest of one output, or else that of the digests of all. */
static ptf_status hash_outputs(tool_expect *e, ptf_error *err)
{
    enum { DIGITS = 64 };
    size_t count = ptf_net_output_count(e->net), outputs = 0;
    char *all = calloc(count + 1, DIGITS);
    ptf_status status =
        all != NULL ? PTF_OK : tool_error(err, PTF_MEMORY, "out of memory");
    ptf_expect_result r;
    for (size_t i = 0;
         status == PTF_OK && outputs < count && ptf_expect_at(e->expect, i, &r);
         i++) {
        if (!r.output)
            continue;
        status = hash_output(e, r.name, e->sha256_outputs, err);
        memcpy(all + DIGITS * outputs++, e->sha256_outputs, DIGITS);
    }
    ptf_tensor digests = {.name = "digests",
                          .dtype = PTF_DTYPE_U8,
                          .rank = 1,
                          .shape = {(int64_t)(DIGITS * outputs)},
                          .stride = {1},
                          .data = all};
    if (status == PTF_OK && outputs > 1)
        status = ptf_tensor_sha256(&digests, e->sha256_outputs, err);
    free(all);
    return status;
}

static void write_metadata(tool_expect *e)
{
    char n[32], m[32];
    int64_t numbers = 0;
    ptf_expect_result r;
    for (size_t i = 0; ptf_expect_at(e->expect, i, &r); i++)
        numbers += r.output ? r.numbers : 0;
    snprintf(e->agreed, sizeof(e->agreed), "%s recorded outputs of %s inputs",
             tool_count_text(numbers, n), tool_count_text(e->samples, m));
    const ptf_metadata metadata[] = {
        {"original_agreed_with", e->agreed},
        {"recorded_inputs_sha256", e->sha256_inputs},
        {"recorded_outputs_sha256", e->sha256_outputs},
        {NULL, NULL},
    };
    memcpy(e->metadata, metadata, sizeof(metadata));
}

ptf_status tool_expect_run(const char *path, const ptf_net *net,
                           const tool_inputs *inputs, int threads,
                           tool_expect *e, ptf_error *err)
{
    size_t count;
    e->path = path;
    e->net = net;
    e->samples = inputs->count;
    ptf_status status = ptf_arrays_open(path, &e->arrays, err);
    if (status != PTF_OK)
        return status;
    const ptf_tensor *arrays = ptf_arrays_tensors(e->arrays, &count);
    status = ptf_expect_make(net, tool_inputs_shapes(inputs), inputs->count,
                             path, arrays, count, threads, &e->expect, err);
    if (status == PTF_OK)
        status = tool_inputs_each(inputs, "comparing with what was recorded",
                                  expect_batch, e->expect, err);
    if (status == PTF_OK)
        status = tool_inputs_sha256(inputs, e->sha256_inputs, err);
    if (status == PTF_OK)
        status = hash_outputs(e, err);
    if (status == PTF_OK)
        status = ptf_arrays_check(e->arrays, err);
    if (status == PTF_OK)
        write_metadata(e);
    return status;
}

void tool_expect_free(tool_expect *e)
{
    ptf_expect_free(e->expect);
    ptf_arrays_close(e->arrays);
}

/* ------------------------------------------------------------------ results */

bool tool_expect_agrees(const tool_expect *e)
{
    return ptf_expect_agreement(e->expect) == PTF_AGREEMENT_AGREES;
}

const ptf_metadata *tool_expect_metadata(const tool_expect *e)
{
    return e->expect != NULL ? e->metadata : NULL;
}

bool tool_expect_fails(const ptf_expect_result *r)
{
    return r->agreement == PTF_AGREEMENT_DIFFERS ||
           (r->output && r->agreement != PTF_AGREEMENT_AGREES);
}

ptf_expect_result tool_expect_focus(const tool_expect *e)
{
    if (ptf_expect_agreement(e->expect) == PTF_AGREEMENT_DIFFERS)
        return find_result(e, differs);
    ptf_expect_result worst = find_result(e, is_output), r;
    for (size_t i = 0; ptf_expect_at(e->expect, i, &r); i++) {
        bool worse = r.agreement > worst.agreement ||
                     (r.agreement == worst.agreement &&
                      r.distance / r.limit > worst.distance / worst.limit);
        if (r.output && worse)
            worst = r;
    }
    return worst;
}

const char *tool_expect_verdict(const tool_expect *e, char text[64])
{
    static const char *const joint[] = {[PTF_AGREEMENT_AGREES] = "with",
                                        [PTF_AGREEMENT_DIFFERS] = "from",
                                        [PTF_AGREEMENT_UNDECIDED] = "by"};
    ptf_agreement agreement = ptf_expect_agreement(e->expect);
    snprintf(text, 64, "%s %s the recorded outputs",
             ptf_agreement_name(agreement), joint[agreement]);
    return text;
}

/* --------------------------------------------------------------------- text */

static void print_layers(const tool_expect *e, FILE *out)
{
    bool several = ptf_net_output_count(e->net) > 1;
    ptf_expect_result r;
    char n[32], m[32];
    if (!ptf_expect_at(e->expect, 1, &r))
        return;
    fprintf(out, "  %-24s %12s %12s %11s %11s\n",
            several ? "output or layer" : "layer", "numbers", "inside",
            "distance", "limit");
    for (size_t i = 0; ptf_expect_at(e->expect, i, &r); i++) {
        const char *name = several && r.output ? r.name : r.layer;
        fputs("  ", out);
        tool_print_name(out, name[0] != '\0' ? name : "(output)", 24);
        fprintf(out, " %12s %12s %11.3e %11.3e\n",
                tool_count_text(r.numbers, n), tool_count_text(r.inside, m),
                r.distance, r.limit);
        if (r.reason != NULL && (several || !r.output))
            fprintf(out, "    nothing is shown: %s\n", r.reason);
    }
    if (ptf_expect_agreement(e->expect) == PTF_AGREEMENT_DIFFERS)
        tool_print_row(out, "first to part", "%s",
                       find_result(e, differs).layer);
}

static void print_limit(const ptf_expect_result *r, FILE *out)
{
    bool measured = r->limit <= 16 * r->error;
    tool_print_row(out, "limit", "%.3e: 16 %s%s", r->limit,
                   measured ? "times the rounding of this network here"
                            : "units in the last place of the largest output",
                   r->dtype == PTF_DTYPE_F16
                       ? ", and half a unit in the last place of float16"
                       : "");
    if (r->spread > 0)
        tool_print_row(out, "of the outputs' range",
                       "%.3e (%.6g); a network off by 1 %% of it misses the "
                       "limit %.3g times over",
                       r->allowed / r->spread, r->spread,
                       0.01 * r->spread / r->allowed);
}

static void print_worst(const ptf_expect_result *r, FILE *out)
{
    double part = r->distance / r->limit;
    if (!(r->distance > 0))
        tool_print_row(out, "largest distance", "0");
    else
        tool_print_row(out, "largest distance",
                       "%.3e, %.3g of the limit, at sample %lld, number %lld:\n"
                       "expected %.9g (%a),\ngot %.9g (%a)",
                       r->distance, part, (long long)r->worst_sample,
                       (long long)r->worst_number, r->worst_expected,
                       r->worst_expected, (double)r->worst_got,
                       (double)r->worst_got);
}

static void print_proof(const ptf_expect_result *r, FILE *out)
{
    if (r->agreement != PTF_AGREEMENT_AGREES)
        return;
    if (r->proved <= r->limit)
        tool_print_row(out, "proved",
                       "recorded outputs are within %.3e of the exact ones",
                       r->proved);
    else if (isinf(r->proved))
        tool_print_row(out, "not proved",
                       "no bound on the exact outputs is known");
    else
        tool_print_row(out, "not proved",
                       "the bound on the exact outputs, %.3e, is wider",
                       r->proved);
}

/* What was taken on trust, and whether these outputs bear it out. */
static void print_assumption(const tool_expect *e, FILE *out)
{
    const char *assumption = ptf_net_assumption(e->net);
    if (assumption == NULL)
        return;
    fputs(tool_expect_agrees(e) ? "confirmed on these inputs: "
                                : "not confirmed: ",
          out);
    ptf_print_escaped(out, assumption, strlen(assumption));
    fputc('\n', out);
}

void tool_expect_print(const tool_expect *e, FILE *out)
{
    char n[32], m[32], text[64];
    ptf_expect_result r = tool_expect_focus(e);
    fputs("recorded outputs in ", out);
    tool_print_short(out, e->path, TOOL_COLUMNS / 3);
    fprintf(out, ", %s, %s inputs\n", ptf_dtype_name(r.dtype),
            tool_count_text(e->samples, n));
    print_layers(e, out);
    if (ptf_net_output_count(e->net) > 1)
        tool_print_row(out, "worst of them", "%s", r.name);
    tool_print_row(out, "inside the limit", "%s of %s",
                   tool_count_text(r.inside, n), tool_count_text(r.numbers, m));
    if (r.not_finite > 0)
        tool_print_row(out, "NaN or infinite", "%s of those recorded",
                       tool_count_text(r.not_finite, n));
    print_limit(&r, out);
    print_worst(&r, out);
    print_proof(&r, out);
    if (r.reason != NULL)
        tool_print_row(out, "nothing is shown", "%s", r.reason);
    print_assumption(e, out);
    fprintf(out, "verdict: %s\n", tool_expect_verdict(e, text));
}

/* --------------------------------------------------------------------- JSON */

static void json_array(tool_json *j, const ptf_expect_result *r)
{
    json_open(j, NULL, '{');
    json_text(j, "name", r->name);
    json_text(j, "layer", r->layer);
    json_bool(j, "output", r->output);
    json_text(j, "dtype", ptf_dtype_name(r->dtype));
    json_text(j, "verdict", ptf_agreement_name(r->agreement));
    json_text(j, "reason", r->reason);
    json_int(j, "numbers", r->numbers);
    json_int(j, "inside", r->inside);
    json_int(j, "not_finite", r->not_finite);
    json_number(j, "limit", r->limit);
    json_number(j, "allowed", r->allowed);
    json_number(j, "f32_error", r->error);
    json_number(j, "largest_output", r->largest);
    json_number(j, "spread", r->spread);
    json_number(j, "distance", r->distance);
    json_int(j, "worst_sample", r->worst_sample);
    json_int(j, "worst_number", r->worst_number);
    json_hex(j, "worst_expected", r->worst_expected);
    json_hex(j, "worst_got", (double)r->worst_got);
    json_number(j, "proved", r->proved);
    json_close(j, '}');
}

void tool_expect_json(tool_json *j, const char *key, const tool_expect *e)
{
    ptf_expect_result r;
    ptf_agreement agreement = ptf_expect_agreement(e->expect);
    json_open(j, key, '{');
    json_text(j, "file", e->path);
    json_int(j, "samples", e->samples);
    json_text(j, "inputs_sha256", e->sha256_inputs);
    json_text(j, "outputs_sha256", e->sha256_outputs);
    json_text(j, "verdict", ptf_agreement_name(agreement));
    json_text(j, "confirms",
              agreement == PTF_AGREEMENT_AGREES ? ptf_net_assumption(e->net)
                                                : NULL);
    json_text(j, "first_to_part",
              agreement == PTF_AGREEMENT_DIFFERS ? find_result(e, differs).layer
                                                 : NULL);
    json_open(j, "arrays", '[');
    for (size_t i = 0; ptf_expect_at(e->expect, i, &r); i++)
        json_array(j, &r);
    json_close(j, ']');
    json_close(j, '}');
}
