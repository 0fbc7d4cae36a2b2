/*
 * A run against recorded outputs.
 *
 * Whoever recorded them summed in another order, so they differ from the run
 * by rounding, and how much that is here the net itself tells: its run in f32
 * is held against one in double, which is the centre of the enclosures and
 * knows neither plans nor kernels.  Both are rounding errors of the same
 * layers on the same inputs; 16 times the larger of the two is far from
 * either, and far below what a wrong layer does.
 *
 * Where the inputs give few numbers, the largest of their errors may be small
 * by luck.  Then inputs like them are run as well, whose numbers are rounded
 * anew, so that their errors are further samples of the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/expect.h"

#include <math.h>

/* Enough errors that all are small by luck once in 10^9. */
enum { FACTOR = 16, LEAST_NUMBERS = 16, MOST_GROUP = 20 };

/* What is allowed must be below this part of what the outputs vary by, or a
 * wrong layer could pass. */
#define WIDEST 0x1p-5

/* An array, and what the run gave in its place. */
typedef struct recorded {
    ptf_tensor array; /* without sizes of 1 */
    int node;
    int64_t size;      /* numbers of a sample */
    float *run;        /* all samples */
    float *low, *high; /* of each number over all inputs */
    bool silent;       /* the run in double gave no number where f32 did */
    ptf_expect_result result;
} recorded;

struct ptf_expect {
    ptf_arena arena;
    const ptf_net *net;
    const char *source; /* where the arrays are from */
    ptf_plan *plan;
    ptf_enclosure *enclosure;
    recorded *arrays; /* in the order of the nodes */
    size_t count;
    int64_t samples, done, group;
    int64_t alike;    /* inputs like it that are run for each input */
    const float **in; /* per input: where it is in a run */
    float **alike_in; /* per input */
    float **out;      /* per output */
    double *expected; /* a sample of any array */
};

static const char *const names[] = {
    [PTF_AGREEMENT_AGREES] = "AGREES",
    [PTF_AGREEMENT_DIFFERS] = "DIFFERS",
    [PTF_AGREEMENT_UNDECIDED] = "UNDECIDED",
};

const char *ptf_agreement_name(ptf_agreement agreement)
{
    return names[agreement];
}

/* -------------------------------------------------------------------- make */

static ptf_status add_array(ptf_expect *e, const ptf_tensor *array, int node,
                            ptf_error *err)
{
    size_t at = e->count;
    const ptf_shape *shape = ptf_enclosure_shape(e->enclosure, node);
    recorded r = {.array = ptf_recorded_squeeze(array),
                  .node = node,
                  .size = ptf_shape_numel(shape)};
    r.run = ptf_arena_array(&e->arena, (size_t)(e->samples * r.size),
                            sizeof(*r.run));
    r.low = ptf_arena_array(&e->arena, (size_t)r.size, sizeof(*r.low));
    r.high = ptf_arena_array(&e->arena, (size_t)r.size, sizeof(*r.high));
    if (r.run == NULL || r.low == NULL || r.high == NULL)
        return ptf_fail_memory(err);
    for (int64_t k = 0; k < r.size; k++) {
        r.low[k] = HUGE_VALF;
        r.high[k] = -HUGE_VALF;
    }
    r.result = (ptf_expect_result){.name = array->name,
                                   .layer = e->net->nodes[node].name,
                                   .output = ptf_net_is_output(e->net, node),
                                   .dtype = array->dtype,
                                   .numbers = ptf_tensor_numel(array),
                                   .agreement = PTF_AGREEMENT_UNDECIDED};
    for (; at > 0 && e->arrays[at - 1].node > node; at--)
        e->arrays[at] = e->arrays[at - 1];
    e->arrays[at] = r;
    e->count++;
    return PTF_OK;
}

static bool is_recorded(const ptf_expect *e, int node)
{
    size_t i = 0;
    while (i < e->count && e->arrays[i].node != node)
        i++;
    return i < e->count;
}

/* All outputs were recorded, or nothing could be said about the net. */
static ptf_status check_outputs(const ptf_expect *e, ptf_error *err)
{
    const ptf_net *net = e->net;
    ptf_origin origin = {e->source, NULL};
    for (int k = 0; k < net->output_count; k++) {
        const ptf_output *o = &net->outputs[k];
        if (is_recorded(e, o->node))
            continue;
        if (net->output_count > 1)
            return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                            "expected all outputs of the network among the "
                            "arrays; there is no \"%s\"",
                            ptf_net_output_name(net, o));
        return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                        "expected the network's outputs among the arrays, as "
                        "\"output\", got those of layers alone");
    }
    return PTF_OK;
}

static ptf_status add_arrays(ptf_expect *e, const ptf_tensor *arrays,
                             size_t count, ptf_error *err)
{
    const ptf_recording how = {.net = e->net,
                               .shapes = ptf_enclosure_shape(e->enclosure, 0),
                               .source = e->source,
                               .count = count,
                               .samples = e->samples};
    e->arrays = ptf_arena_array(&e->arena, count, sizeof(*e->arrays));
    if (e->arrays == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        int node = -1;
        ptf_status status = ptf_recorded_find(&how, &arrays[i], &node, err);
        if (status == PTF_OK && node >= 0)
            status = add_array(e, &arrays[i], node, err);
        if (status != PTF_OK)
            return status;
    }
    return check_outputs(e, err);
}

/*
 * So many that the outputs are numbers enough, and one at least, or nothing
 * would show whether they depend on a single input.
 */
static int64_t count_alike(int64_t samples, int64_t outputs)
{
    int64_t numbers = ptf_max_i64(samples * outputs, 1);
    int64_t more = (LEAST_NUMBERS + numbers - 1) / numbers - 1;
    return samples == 1 && more == 0 ? 1 : more;
}

static int64_t numel_of(const ptf_expect *e, int node)
{
    return ptf_shape_numel(ptf_enclosure_shape(e->enclosure, node));
}

/* Arrays for inputs like a sample, and for the outputs of a group. */
static bool make_arrays(ptf_expect *e)
{
    const ptf_net *net = e->net;
    size_t inputs = (size_t)net->input_count;
    e->in = ptf_arena_array(&e->arena, inputs, sizeof(*e->in));
    e->alike_in = ptf_arena_array(&e->arena, inputs, sizeof(*e->alike_in));
    e->out =
        ptf_arena_array(&e->arena, (size_t)net->output_count, sizeof(*e->out));
    bool ok = e->in != NULL && e->alike_in != NULL && e->out != NULL;
    for (int k = 0; ok && k < net->input_count; k++) {
        e->alike_in[k] =
            ptf_arena_array(&e->arena, (size_t)numel_of(e, k), sizeof(float));
        ok = e->alike_in[k] != NULL;
    }
    for (int k = 0; ok && k < net->output_count; k++) {
        int64_t size = e->group * numel_of(e, net->outputs[k].node);
        e->out[k] = ptf_arena_array(&e->arena, (size_t)size, sizeof(float));
        ok = e->out[k] != NULL;
    }
    return ok;
}

static ptf_status make_room(ptf_expect *e, ptf_error *err)
{
    int64_t most = 0, least = INT64_MAX;
    for (size_t i = 0; i < e->count; i++) {
        most = ptf_max_i64(most, e->arrays[i].size);
        if (e->arrays[i].result.output)
            least = ptf_min_i64(least, e->arrays[i].size);
    }
    e->alike = count_alike(e->samples, least);
    e->expected = ptf_arena_array(&e->arena, (size_t)most, sizeof(double));
    return e->expected && make_arrays(e) ? PTF_OK : ptf_fail_memory(err);
}

static ptf_status prepare(ptf_expect *e, const ptf_shape *inputs,
                          const ptf_tensor *arrays, size_t count, int threads,
                          ptf_error *err)
{
    ptf_plan_options how = {.threads = threads};
    ptf_status status = ptf_enclosure_make_with(e->net, NULL, inputs, threads,
                                                &e->enclosure, err);
    if (status == PTF_OK)
        status = add_arrays(e, arrays, count, err);
    if (status != PTF_OK)
        return status;
    e->group = ptf_min_i64(ptf_enclosure_group(e->enclosure), MOST_GROUP);
    if (e->net->whole)
        e->group = 1;
    for (size_t i = 0; i < e->count; i++)
        how.keep = how.keep || !e->arrays[i].result.output;
    status = make_room(e, err);
    return status == PTF_OK
               ? ptf_plan_make(e->net, inputs, e->group, &how, &e->plan, err)
               : status;
}

ptf_status ptf_expect_make(const ptf_net *net, const ptf_shape *inputs,
                           int64_t samples, const char *source,
                           const ptf_tensor *arrays, size_t count, int threads,
                           ptf_expect **out, ptf_error *err)
{
    *out = NULL;
    if (samples < 1)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "expected one input at least, got none");
    ptf_expect *e = ptf_alloc(sizeof(*e));
    if (e == NULL)
        return ptf_fail_memory(err);
    e->net = net;
    e->samples = samples;
    e->source = source;
    ptf_status status = prepare(e, inputs, arrays, count, threads, err);
    if (status == PTF_OK)
        *out = e;
    else
        ptf_expect_free(e);
    return status;
}

void ptf_expect_free(ptf_expect *e)
{
    if (e == NULL)
        return;
    ptf_plan_free(e->plan);
    ptf_enclosure_free(e->enclosure);
    ptf_arena_free(&e->arena);
    ptf_free(e);
}

/* ----------------------------------------------------------------- numbers */

/* Half a unit in the last place of a number in f16, subnormal ones too. */
static double half_ulp_f16(double x)
{
    int exponent;
    frexp(fmax(fabs(x), 0x1p-14), &exponent);
    return ldexp(0.5, exponent - 11);
}

/* One unit in the last place of a number in f32. */
static double ulp_f32(double x)
{
    int exponent;
    frexp(fmax(fabs(x), 0x1p-126), &exponent);
    return ldexp(1.0, exponent - 24);
}

static double distance(ptf_dtype dtype, double expected, float got)
{
    double run = (double)got;
    if (isfinite(expected) && isfinite(run)) {
        double off = fabs(expected - run);
        return dtype == PTF_DTYPE_F16 ? fmax(off - half_ulp_f16(expected), 0)
                                      : off;
    }
    bool nans = isnan(expected) && isnan(run);
    bool infinities = isinf(expected) && isinf(run) && expected * run > 0;
    return nans || infinities ? 0 : HUGE_VAL;
}

/* ----------------------------------------------------------------- running */

/* How far the run is off the one in double, in one sample. */
static void add_error(recorded *r, const float *run, ptf_balls balls)
{
    for (int64_t k = 0; k < r->size; k++) {
        double got = (double)run[k];
        if (!isfinite(got))
            continue;
        r->silent = r->silent || !isfinite(balls.value[k]);
        r->low[k] = fminf(r->low[k], run[k]);
        r->high[k] = fmaxf(r->high[k], run[k]);
        r->result.error = fmax(r->result.error, fabs(got - balls.value[k]));
    }
}

/*
 * How far what was recorded can be off the exact outputs; rounds up.  After
 * the first node that says nothing, 'bad' unless -1, no ball is a proof.
 */
static void add_proof(const ptf_expect *e, recorded *r, ptf_balls balls,
                      int bad)
{
    if (bad >= 0 && bad <= r->node)
        r->result.proved = HUGE_VAL;
    for (int64_t k = 0; k < r->size; k++) {
        if (!isfinite(e->expected[k]))
            continue;
        double most =
            (fabs(e->expected[k] - balls.value[k]) + balls.radius[k]) *
            (1 + 0x1p-40);
        if (!(most <= r->result.proved))
            r->result.proved = isnan(most) ? HUGE_VAL : most;
    }
}

static const float *run_of(const ptf_expect *e, const recorded *r)
{
    const ptf_net *net = e->net;
    ptf_shape shape;
    for (int k = 0; k < net->output_count; k++) {
        if (net->outputs[k].node == r->node)
            return e->out[k];
    }
    return ptf_plan_layer(e->plan, (size_t)(r->node - net->input_count),
                          &shape);
}

/* A group of samples on its way: as recorded arrays' layers get their balls. */
typedef struct pass {
    ptf_expect *e;
    int64_t count, first; /* the number of the first sample, or -1 */
    ptf_status status;
    ptf_error *err;
} pass;

static void add_samples(pass *p, recorded *r)
{
    ptf_expect *e = p->e;
    const float *run = run_of(e, r);
    for (int64_t n = 0; p->status == PTF_OK && n < p->count; n++) {
        ptf_balls balls = ptf_enclosure_node(e->enclosure, r->node, n);
        add_error(r, run + n * r->size, balls);
        if (p->first < 0)
            continue;
        memcpy(r->run + (p->first + n) * r->size, run + n * r->size,
               (size_t)r->size * sizeof(*run));
        p->status = ptf_recorded_read(&r->array, e->samples, p->first + n,
                                      e->expected, p->err);
        if (p->status == PTF_OK)
            add_proof(e, r, balls, ptf_enclosure_bad(e->enclosure, n));
    }
}

static void visit(void *context, int node)
{
    pass *p = context;
    for (size_t i = 0; i < p->e->count; i++) {
        if (p->e->arrays[i].node == node)
            add_samples(p, &p->e->arrays[i]);
    }
}

/* Both runs of samples at e->in; 'first' is the number of the first, or -1. */
static ptf_status run_both(ptf_expect *e, int64_t count, int64_t first,
                           ptf_error *err)
{
    pass p = {e, count, first, PTF_OK, err};
    ptf_status status = ptf_plan_run_all(e->plan, e->in, count, e->out, err);
    if (status == PTF_OK)
        status = ptf_enclosure_run_inputs(e->enclosure, e->in, count, visit, &p,
                                          err);
    for (int k = 0; status == PTF_OK && k < e->net->input_count; k++)
        visit(&p, k); /* an output may be an input */
    return status == PTF_OK ? p.status : status;
}

/*
 * Numbers like those of input k in sample n, each times one from 3/4 to 5/4;
 * integers as they are, since what they mean may not be near.
 */
static void fill_alike(ptf_expect *e, int k, const float *in, int64_t n,
                       int64_t i)
{
    int64_t size = numel_of(e, k);
    float *to = e->alike_in[k];
    uint64_t stream = (uint64_t)(i * e->net->input_count + k);
    ptf_random_fill((uint64_t)n, stream, to, (size_t)size);
    for (int64_t j = 0; j < size; j++)
        to[j] = ptf_dtype_is_float(e->net->inputs[k].dtype)
                    ? in[j] * (0.75F + 0.5F * to[j])
                    : in[j];
    e->in[k] = to;
}

/* Samples like number 'n' of all, number 'at' of 'in'. */
static ptf_status run_alike(ptf_expect *e, const float *const *in, int64_t at,
                            int64_t n, ptf_error *err)
{
    ptf_status status = PTF_OK;
    for (int64_t i = 0; status == PTF_OK && i < e->alike; i++) {
        for (int k = 0; k < e->net->input_count; k++)
            fill_alike(e, k, in[k] + at * numel_of(e, k), n, i);
        status = run_both(e, 1, -1, err);
    }
    return status;
}

/* Why numbers that are inside say nothing; NULL when they do. */
static const char *why_unknown(const recorded *r)
{
    const ptf_expect_result *result = &r->result;
    if (!(result->largest > 0))
        return "no output is finite and other than 0";
    if (r->silent)
        return "the run in double has NaN or infinity";
    if (result->spread <= result->allowed)
        return "the outputs do not change with the inputs";
    if (result->allowed > WIDEST * result->spread)
        return "rounding moves outputs by as much as a wrong layer may";
    return NULL;
}

/* Now that the limit is known. */
static ptf_status finish(ptf_expect *e, recorded *r, ptf_error *err)
{
    ptf_expect_result *to = &r->result;
    int64_t total = e->samples * r->size;
    for (int64_t i = 0; i < total; i++) {
        if (isfinite(r->run[i]))
            to->largest = fmax(to->largest, fabs((double)r->run[i]));
    }
    for (int64_t k = 0; k < r->size; k++)
        to->spread = fmax(to->spread, (double)r->high[k] - (double)r->low[k]);
    to->limit = FACTOR * fmax(to->error, ulp_f32(to->largest));
    to->allowed = to->limit;
    if (to->dtype == PTF_DTYPE_F16)
        to->allowed += half_ulp_f16(to->largest);
    to->distance = -1;
    for (int64_t i = 0; i < total; i++) {
        ptf_status status =
            i % r->size == 0 ? ptf_recorded_read(&r->array, e->samples,
                                                 i / r->size, e->expected, err)
                             : PTF_OK;
        if (status != PTF_OK)
            return status;
        double expected = e->expected[i % r->size];
        double off = distance(to->dtype, expected, r->run[i]);
        to->inside += off <= to->limit;
        to->not_finite += !isfinite(expected);
        if (off > to->distance) {
            to->distance = off;
            to->worst_sample = i / r->size;
            to->worst_number = i % r->size;
            to->worst_expected = expected;
            to->worst_got = r->run[i];
        }
    }
    if (to->inside == to->numbers)
        to->reason = why_unknown(r);
    to->agreement = to->inside < to->numbers ? PTF_AGREEMENT_DIFFERS
                    : to->reason != NULL     ? PTF_AGREEMENT_UNDECIDED
                                             : PTF_AGREEMENT_AGREES;
    return PTF_OK;
}

typedef struct call {
    ptf_expect *expect;
    const float *const *in;
    int64_t count;
} call;

static ptf_status run(void *context, ptf_error *err)
{
    const call *c = context;
    ptf_expect *e = c->expect;
    ptf_status status = PTF_OK;
    for (int64_t n = 0; status == PTF_OK && n < c->count; n += e->group) {
        for (int k = 0; k < e->net->input_count; k++)
            e->in[k] = c->in[k] + n * numel_of(e, k);
        status =
            run_both(e, ptf_min_i64(c->count - n, e->group), e->done + n, err);
    }
    for (int64_t n = 0; status == PTF_OK && e->alike > 0 && n < c->count; n++)
        status = run_alike(e, c->in, n, e->done + n, err);
    e->done += c->count;
    for (size_t i = 0;
         status == PTF_OK && e->done == e->samples && i < e->count; i++)
        status = finish(e, &e->arrays[i], err);
    return status;
}

ptf_status ptf_expect_run(ptf_expect *e, const float *const *in, int64_t count,
                          ptf_error *err)
{
    if (count < 0 || count > e->samples - e->done)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "expected at most %lld more inputs, got %lld",
                        (long long)(e->samples - e->done), (long long)count);
    call how = {e, in, count};
    if (count == 0)
        return PTF_OK;
    return ptf_call_ieee(run, &how, err);
}

/* ----------------------------------------------------------------- results */

bool ptf_expect_at(const ptf_expect *e, size_t index, ptf_expect_result *out)
{
    if (index >= e->count || e->done < e->samples)
        return false;
    *out = e->arrays[index].result;
    return true;
}

ptf_agreement ptf_expect_agreement(const ptf_expect *e)
{
    ptf_agreement output = PTF_AGREEMENT_AGREES;
    for (size_t i = 0; i < e->count; i++) {
        const ptf_expect_result *r = &e->arrays[i].result;
        if (r->agreement == PTF_AGREEMENT_DIFFERS)
            return PTF_AGREEMENT_DIFFERS;
        if (r->output && r->agreement == PTF_AGREEMENT_UNDECIDED)
            output = PTF_AGREEMENT_UNDECIDED;
    }
    return output;
}
