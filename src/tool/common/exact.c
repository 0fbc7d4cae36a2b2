/*
 * Outputs of a net as a real function, rounded to f32: ptfold run --exact, and
 * what is held against them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/exact.h"

#include <math.h>

/* Two digits first: what is enough for nets of ten convolutions. */
enum { FIRST_BITS = 102 };

typedef struct exact_job {
    const ptf_net *net;
    int bits;
    bool automatic;
    ptf_exact *exact;
    double **value, **radius;
    size_t outputs;
} exact_job;

static ptf_status prepare(exact_job *j, ptf_error *err)
{
    j->outputs = ptf_net_output_count(j->net);
    j->value = calloc(j->outputs, sizeof(*j->value));
    j->radius = calloc(j->outputs, sizeof(*j->radius));
    bool ok = j->value != NULL && j->radius != NULL;
    for (size_t k = 0; ok && k < j->outputs; k++) {
        ptf_shape shape = ptf_exact_output(j->exact, k);
        size_t size = (size_t)ptf_shape_numel(&shape) + 1;
        j->value[k] = calloc(size, sizeof(double));
        j->radius[k] = calloc(size, sizeof(double));
        ok = j->value[k] != NULL && j->radius[k] != NULL;
    }
    return ok ? PTF_OK : tool_error(err, PTF_MEMORY, "out of memory");
}

static void release(exact_job *j)
{
    for (size_t k = 0; k < j->outputs; k++) {
        if (j->value != NULL)
            free(j->value[k]);
        if (j->radius != NULL)
            free(j->radius[k]);
    }
    free(j->value);
    free(j->radius);
    ptf_exact_free(j->exact);
}

/* The f32 of one sample's outputs, and how many are not known. */
static int64_t round_all(const exact_job *j, int64_t sample, float *const *out,
                         tool_exact *report)
{
    int64_t unknown = 0;
    for (size_t k = 0; k < j->outputs; k++) {
        ptf_shape shape = ptf_exact_output(j->exact, k);
        int64_t size = ptf_shape_numel(&shape);
        for (int64_t i = 0; i < size; i++) {
            float low, high;
            ptf_exact_rounded(j->exact, k, i, &low, &high);
            out[k][sample * size + i] = low;
            unknown += low < high;
            report->nothing += isinf(low) && isinf(high) && low < high;
        }
        double r = ptf_exact_radius(j->exact, k);
        report->radius = r > report->radius ? r : report->radius;
    }
    return unknown;
}

/*
 * Where bits are missing they are told by the radius, which a digit more makes
 * 2^-51 of what it was once it is small: another is taken until all outputs are
 * known, or as many as there can be.
 */
static ptf_status run_sample(exact_job *j, const float *const *in,
                             int64_t sample, float *const *out,
                             tool_exact *report, ptf_error *err)
{
    for (;;) {
        tool_exact before = *report;
        ptf_status status =
            ptf_exact_run(j->exact, in, j->value, j->radius, err);
        j->bits = ptf_exact_bits(j->exact);
        if (status != PTF_OK)
            return status;
        int64_t unknown = round_all(j, sample, out, report);
        const char *layer = ptf_exact_undecided(j->exact);
        bool last = !j->automatic || unknown == 0 || layer != NULL ||
                    j->bits >= PTF_EXACT_BITS_MOST;
        if (last) {
            report->unknown += unknown;
            report->layer = layer != NULL ? layer : report->layer;
            report->bits = j->bits;
            return PTF_OK;
        }
        *report = before;
        status = ptf_exact_set_bits(j->exact, j->bits + 51, err);
        if (status != PTF_OK)
            return status;
    }
}

ptf_status tool_exact_run(const ptf_net *net, const tool_inputs *in, int bits,
                          int threads, float *const *out, tool_exact *report,
                          ptf_error *err)
{
    exact_job j = {.net = net, .automatic = bits == 0};
    size_t inputs = ptf_net_input_count(net);
    const ptf_shape *shapes = tool_inputs_shapes(in);
    float **from = tool_room(shapes, inputs, 1);
    ptf_status status =
        from == NULL ? tool_error(err, PTF_MEMORY, "out of memory")
                     : ptf_exact_make(net, shapes, bits > 0 ? bits : FIRST_BITS,
                                      threads, &j.exact, err);
    if (status == PTF_OK)
        status = prepare(&j, err);
    tool_progress progress;
    tool_progress_start(&progress, "running", "samples", in->count);
    for (int64_t n = 0; n < in->count && status == PTF_OK; n++) {
        status = tool_inputs_get(in, n, from, err);
        if (status == PTF_OK)
            status =
                run_sample(&j, (const float *const *)from, n, out, report, err);
        tool_progress_at(&progress, n + 1);
    }
    tool_progress_end(&progress);
    tool_room_free(from, inputs);
    release(&j);
    return status;
}

void tool_exact_print(const tool_exact *report, FILE *out)
{
    fprintf(out, "\nfixed point       %d bits, outputs within %.3g\n",
            report->bits, report->radius);
    if (report->layer != NULL)
        fprintf(out, "nothing is known  a number in %s is not finite\n",
                report->layer[0] != '\0' ? report->layer : "the input");
    else if (report->unknown > 0)
        fprintf(out,
                "not decided       %lld outputs are not known to one f32; the "
                "least that\n                  they can be is given\n",
                (long long)report->unknown);
    else
        fprintf(out, "rounding          all outputs are the exact ones, "
                     "rounded once\n");
}
