/*
 * What a check has found: levels and their reasons.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

/* The first parameter of B that is not the f32 nearest to the ideal. */
static const char *wrong_parameter(const ptf_check *c)
{
    for (int i = 0; i < c->parameter_count; i++) {
        if (c->parameters[i].wrong > 0)
            return c->parameters[i].name;
    }
    return NULL;
}

/* The first layer of B that is another function than A's. */
static const char *layer_apart(const ptf_check *c)
{
    for (int i = c->sides[PTF_SIDE_B].net->input_count;
         i < c->sides[PTF_SIDE_B].net->node_count; i++) {
        if (c->layers[i].function_apart > 0)
            return c->layers[i].name_b;
    }
    return NULL;
}

/*
 * Why part 1 does not hold, the cause before its consequences.  None of the
 * other conditions depends on what B's parameters are.
 */
static ptf_pair_mismatch why_no_rewrite(const ptf_check *c,
                                        const char *parameter)
{
    const char *apart = layer_apart(c);
    if (c->mismatch.reason != NULL)
        return c->mismatch;
    if (c->broken.reason != NULL)
        return c->broken;
    if (parameter != NULL)
        return (ptf_pair_mismatch){"is not the ideal parameter rounded to f32",
                                   parameter};
    if (apart != NULL)
        return (ptf_pair_mismatch){
            "is a different function than in the original", apart};
    return (ptf_pair_mismatch){NULL, NULL};
}

bool ptf_check_is_rewrite(const ptf_check *c)
{
    return why_no_rewrite(c, NULL).reason == NULL &&
           c->certificate.ulps <= c->options.max_ulps;
}

/* Why part 2 does not. */
static ptf_pair_mismatch why_no_runs(const ptf_check *c)
{
    if (c->unequal.reason != NULL)
        return c->unequal;
    if (c->beyond != NULL)
        return (ptf_pair_mismatch){"is further from its exact value than f32 "
                                   "rounding allows",
                                   c->beyond};
    return (ptf_pair_mismatch){NULL, NULL};
}

/* Why there is no certificate, in which part; 0: there is nothing to judge. */
static ptf_pair_mismatch find_reason(const ptf_check *c, const char *parameter,
                                     int *part)
{
    *part = 0;
    if (c->verdict.samples == 0)
        return (ptf_pair_mismatch){"nothing was compared", NULL};
    if (c->not_finite.reason != NULL)
        return c->not_finite;
    *part = 1;
    ptf_pair_mismatch why = why_no_rewrite(c, parameter);
    if (why.reason != NULL)
        return why;
    why = why_no_runs(c);
    *part = why.reason != NULL ? 2 : 0;
    return why;
}

void ptf_check_certificate(const ptf_check *c, ptf_certificate *out)
{
    int part;
    *out = c->certificate;
    out->max_ulps = c->options.max_ulps;
    out->within = find_reason(c, NULL, &part).reason == NULL &&
                  out->ulps <= out->max_ulps;
    ptf_pair_mismatch why = find_reason(c, wrong_parameter(c), &part);
    out->reason = why.reason;
    out->layer = why.layer;
    out->part = part;
    out->holds = why.reason == NULL;
    out->another = out->parameters_beyond > 0 && c->mismatch.reason == NULL;
}

bool ptf_check_uncertified(const ptf_check *c, size_t index, int64_t *sample,
                           ptf_prediction *kind)
{
    if (index >= c->open_count)
        return false;
    *sample = c->open[index].sample;
    *kind = c->open[index].kind;
    return true;
}

const ptf_verdict *ptf_check_verdict(const ptf_check *c)
{
    return &c->verdict;
}

const ptf_verdict *ptf_check_outputs(const ptf_check *c)
{
    return c->each;
}

ptf_level ptf_check_level(const ptf_check *c)
{
    ptf_certificate certificate;
    ptf_level level = ptf_verdict_level(&c->verdict);
    if (c->not_finite.reason != NULL)
        return PTF_LEVEL_UNDECIDED;
    if (level == PTF_LEVEL_BITWISE || level == PTF_LEVEL_UNDECIDED)
        return level;
    ptf_check_certificate(c, &certificate);
    return certificate.holds    ? PTF_LEVEL_CERTIFIED
           : certificate.within ? PTF_CERTIFIED_WITHIN
                                : level;
}

bool ptf_check_parameter(const ptf_check *c, size_t index,
                         ptf_parameter_check *out)
{
    if (index >= (size_t)c->parameter_count)
        return false;
    *out = c->parameters[index];
    return true;
}

/* ------------------------------------------------------------------- layers */

/* Numbers of a layer's runs, A's too, that are outside of their bounds. */
static int64_t runs_beyond(const ptf_check *c, int node)
{
    return c->sides[PTF_SIDE_A].beyond[c->pairs[node].value] +
           c->sides[PTF_SIDE_B].beyond[node];
}

static ptf_level level_of(const ptf_check *c, int node)
{
    const ptf_layer_check *layer = &c->layers[node];
    const ptf_difference *d = &layer->difference;
    if (d->count == 0 || d->not_finite > 0)
        return PTF_LEVEL_UNDECIDED;
    if (d->unequal_bits == 0)
        return PTF_LEVEL_BITWISE;
    if (c->enclosures[PTF_SIDE_I] != NULL && layer->function_apart == 0 &&
        runs_beyond(c, node) == 0 && !layer->broken &&
        layer->ulps <= c->options.max_ulps)
        return layer->ulps == 0 ? PTF_LEVEL_CERTIFIED : PTF_CERTIFIED_WITHIN;
    return d->beyond_tolerance == 0 ? PTF_LEVEL_WITHIN_TOLERANCE
                                    : PTF_LEVEL_DIFFERENT;
}

bool ptf_check_layer(const ptf_check *c, size_t index, ptf_layer_check *out)
{
    const ptf_net *b = c->sides[PTF_SIDE_B].net;
    if (!c->options.layers)
        return false;
    for (int i = b->input_count; i < b->node_count; i++) {
        if (c->pairs[i].value < 0 || ptf_side_fixed(&c->sides[PTF_SIDE_B], i) ||
            index-- > 0)
            continue;
        *out = c->layers[i];
        out->level = level_of(c, i);
        out->runs_beyond = runs_beyond(c, i);
        return true;
    }
    return false;
}
