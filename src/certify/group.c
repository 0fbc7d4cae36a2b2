/*
 * One group of inputs through both nets and all parts of the certificate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

#include <math.h>

/* --------------------------------------------------------------------- runs */

/* All outputs of a sample one after the other. */
static void pack(const ptf_check *c, const ptf_side *side, int64_t count,
                 float *to)
{
    for (int64_t n = 0; n < count; n++) {
        for (int k = 0; k < side->net->output_count; to += c->sizes[k++])
            memcpy(to, side->outs[k] + n * c->sizes[k],
                   (size_t)c->sizes[k] * sizeof(*to));
    }
}

/* Both plans of a side; what they give must be the same bits. */
static ptf_status run_side(ptf_check *c, int which, const float *const *in,
                           int64_t count, ptf_error *err)
{
    ptf_side *side = &c->sides[which];
    int inputs = side->net->input_count;
    ptf_status status =
        ptf_plan_run_all(side->plan, in, count, side->outs, err);
    if (status != PTF_OK)
        return status;
    pack(c, side, count, side->out);
    status = ptf_plan_run_all(side->kept, in, count, side->outs, err);
    if (status != PTF_OK)
        return status;
    pack(c, side, count, side->kept_out);
    memcpy(side->taps, in, (size_t)inputs * sizeof(*in));
    for (int i = inputs; i < side->net->node_count; i++) {
        ptf_shape shape;
        side->taps[i] =
            ptf_side_fixed(side, i)
                ? NULL
                : ptf_plan_layer(side->kept, (size_t)(i - inputs), &shape);
    }
    size_t size = (size_t)(count * c->outputs_each) * sizeof(float);
    if (memcmp(side->out, side->kept_out, size) != 0)
        c->unequal = (ptf_pair_mismatch){
            "gives other bits when its layers are looked at",
            side->net->nodes[side->net->outputs[0].node].name};
    return PTF_OK;
}

/* Counts the prediction of input number 'sample', and keeps an open one. */
static ptf_status add_prediction(ptf_check *c, int64_t sample,
                                 ptf_prediction kind, ptf_error *err)
{
    c->certificate.predictions[kind]++;
    if (kind == PTF_PREDICTION_CERTIFIED)
        return PTF_OK;
    if (c->open_count == c->open_room) {
        size_t room = 2 * c->open_room + 16;
        ptf_open *open = ptf_realloc(c->open, room * sizeof(*open));
        if (open == NULL)
            return ptf_fail_memory(err);
        c->open = open;
        c->open_room = room;
    }
    c->open[c->open_count++] = (ptf_open){sample, kind};
    return PTF_OK;
}

ptf_outcome ptf_check_outcome(const ptf_check *c, int64_t n)
{
    int64_t at = n * c->outputs_each;
    const ptf_balls *a = &c->outputs[PTF_SIDE_A], *b = &c->outputs[PTF_SIDE_B];
    ptf_outcome outcome = {.outputs = c->sides[PTF_SIDE_A].net->output_count,
                           .sizes = c->sizes,
                           .run_a = c->sides[PTF_SIDE_A].out + at,
                           .run_b = c->sides[PTF_SIDE_B].out + at,
                           .rewritten = ptf_check_is_rewrite(c)};
    if (!c->silent[n]) {
        outcome.a = (ptf_balls){a->value + at, a->radius + at};
        outcome.b = (ptf_balls){b->value + at, b->radius + at};
    }
    return outcome;
}

/* 'first' is the number of the group's first sample. */
static ptf_status add_outcomes(ptf_check *c, int64_t first, int64_t count,
                               ptf_error *err)
{
    ptf_status status = PTF_OK;
    for (int64_t n = 0; status == PTF_OK && n < count; n++) {
        ptf_outcome outcome = ptf_check_outcome(c, n);
        ptf_certificate_add(&c->certificate, &outcome);
        status =
            add_prediction(c, first + n, ptf_outcome_prediction(&outcome), err);
    }
    return status;
}

static ptf_status run_group(ptf_check *c, const float *const *in, int64_t count,
                            ptf_error *err)
{
    for (int k = 0; k < c->sides[PTF_SIDE_A].net->input_count; k++) {
        if (c->not_finite.reason == NULL &&
            !ptf_all_finite(in[k], count * c->inputs[k]))
            c->not_finite =
                (ptf_pair_mismatch){"an input has NaN or infinity", NULL};
    }
    ptf_status status = run_side(c, PTF_SIDE_A, in, count, err);
    if (status == PTF_OK)
        status = run_side(c, PTF_SIDE_B, in, count, err);
    if (status == PTF_OK)
        status = ptf_check_runs(c, count, err);
    if (status == PTF_OK)
        status = ptf_check_bound(c, in, count, err);
    if (status != PTF_OK)
        return status;
    int64_t first = c->verdict.samples;
    for (int k = 0; k < c->sides[PTF_SIDE_A].net->output_count; k++)
        ptf_verdict_add(&c->each[k], c->sides[PTF_SIDE_A].outs[k],
                        c->sides[PTF_SIDE_B].outs[k], count, c->sizes[k]);
    ptf_verdict_add_outputs(&c->verdict, c->sides[PTF_SIDE_A].out,
                            c->sides[PTF_SIDE_B].out, count, c->sizes,
                            c->sides[PTF_SIDE_A].net->output_count);
    return add_outcomes(c, first, count, err);
}

typedef struct call {
    ptf_check *check;
    const float *const *in;
    int64_t count;
} call;

static ptf_status call_group(void *context, ptf_error *err)
{
    call *c = context;
    return run_group(c->check, c->in, c->count, err);
}

ptf_status ptf_check_group(ptf_check *check, const float *const *in,
                           int64_t count, ptf_error *err)
{
    call c = {check, in, count};
    return ptf_call_ieee(call_group, &c, err);
}
