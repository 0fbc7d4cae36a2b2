/*
 * ptfold check --oracle libtorch: ptfold's outputs and enclosures of one
 * network against libtorch's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/oracle/check.h"
#include "tool/oracle/oracle.h"

#include <math.h>

enum { AT_ONCE = 8 }; /* samples that run together */

/* The claims that are put to the test, for every output. */
enum { ENCLOSURE, TORCH_RUN, OUR_RUN, CLAIMS };

static const struct {
    const char *key, *text;
} claims[CLAIMS] = {
    [ENCLOSURE] = {"libtorch_f64_enclosure", "libtorch f64 - enclosure"},
    [TORCH_RUN] = {"libtorch_f32_enclosure", "libtorch f32 - enclosure"},
    [OUR_RUN] = {"ptfold_libtorch_f64", "ptfold f32 - libtorch f64"},
};

/* What was found for one claim over all outputs. */
typedef struct finding {
    double max_abs;
    double part;       /* the largest part of what rounding can do */
    int64_t beyond;    /* outputs further apart than that */
    int64_t undecided; /* outputs of which nothing is known */
} finding;

typedef struct session {
    ltc_api torch;
    const tool_net *net;
    const tool_inputs *inputs;
    ptf_plan *plan;
    ptf_enclosure *enclosure;
    int64_t in_size, out_size;
    float *in, *y;
    double *t32, *b32, *t64, *b64, *m, *r; /* as y, one allocation */
    finding findings[CLAIMS];
} session;

static void add(finding *f, double a, double b, double owed)
{
    double apart = fabs(a - b);
    if (!isfinite(apart) || !isfinite(owed)) {
        f->undecided++;
        return;
    }
    f->max_abs = fmax(f->max_abs, apart);
    f->beyond += apart > owed;
    if (apart > f->part * owed)
        f->part = owed > 0 ? apart / owed : (double)INFINITY;
}

static void compare(session *s, int64_t count)
{
    for (int64_t i = 0; i < count * s->out_size; i++) {
        add(&s->findings[ENCLOSURE], s->t64[i], s->m[i], s->b64[i] + s->r[i]);
        add(&s->findings[TORCH_RUN], s->t32[i], s->m[i], s->b32[i] + s->r[i]);
        add(&s->findings[OUR_RUN], (double)s->y[i], s->t64[i],
            s->b32[i] + s->b64[i]);
    }
}

static ptf_status run_some(session *s, int64_t first, int64_t count,
                           ptf_error *err)
{
    const ptf_net *net = s->net->net;
    const ptf_shape *shape = &s->inputs->shape;
    int64_t room = count * s->out_size;
    ptf_status status = tool_inputs_fill(s->inputs, first, count, &s->in, err);
    if (status == PTF_OK)
        status = ptf_plan_run(s->plan, s->in, count, s->y, err);
    if (status == PTF_OK)
        status = ptf_enclosure_run(s->enclosure, s->in, count, s->m, s->r, err);
    if (status == PTF_OK)
        status = oracle_run(&s->torch, net, shape, s->in, count, LTC_F32,
                            s->t32, s->b32, room, err);
    if (status == PTF_OK)
        status = oracle_run(&s->torch, net, shape, s->in, count, LTC_F64,
                            s->t64, s->b64, room, err);
    if (status == PTF_OK)
        compare(s, count);
    return status;
}

static ptf_status prepare(session *s, int threads, ptf_error *err)
{
    const ptf_shape *shape = &s->inputs->shape;
    const ptf_net *net = s->net->net;
    ptf_plan_options options = {.threads = threads};
    ptf_status status = oracle_open(&s->torch, err);
    if (status == PTF_OK)
        status = ptf_plan_make(net, shape, AT_ONCE, &options, &s->plan, err);
    if (status == PTF_OK)
        status = ptf_enclosure_make(net, shape, &s->enclosure, err);
    if (status != PTF_OK)
        return status;
    ptf_shape out = ptf_plan_output(s->plan, 0);
    s->in_size = ptf_shape_numel(shape);
    s->out_size = ptf_shape_numel(&out);
    size_t room = AT_ONCE * (size_t)s->out_size;
    s->in = calloc(AT_ONCE * (size_t)s->in_size, sizeof(float));
    s->y = calloc(room, sizeof(float));
    s->t32 = calloc(6 * room, sizeof(double));
    if (s->in == NULL || s->y == NULL || s->t32 == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    s->b32 = s->t32 + room;
    s->t64 = s->b32 + room;
    s->b64 = s->t64 + room;
    s->m = s->b64 + room;
    s->r = s->m + room;
    return PTF_OK;
}

/* ------------------------------------------------------------------ results */

static const char *verdict_of(const session *s)
{
    int64_t beyond = 0, undecided = 0;
    for (int i = 0; i < CLAIMS; i++) {
        beyond += s->findings[i].beyond;
        undecided += s->findings[i].undecided;
    }
    return beyond > 0 ? "DIFFERENT" : undecided > 0 ? "UNDECIDED" : "AGREES";
}

static void print_text(const session *s)
{
    char samples[32], outputs[32];
    printf("libtorch %s on %s inputs, %s outputs\n\n", s->torch.torch_version(),
           tool_count_text(s->inputs->count, samples),
           tool_count_text(s->inputs->count * s->out_size, outputs));
    printf("%-28s %10s %12s %8s %10s\n", "", "largest", "of its bound",
           "beyond", "undecided");
    for (int i = 0; i < CLAIMS; i++) {
        const finding *f = &s->findings[i];
        printf("%-28s %10.3e %12.2g %8lld %10lld\n", claims[i].text, f->max_abs,
               f->part, (long long)f->beyond, (long long)f->undecided);
    }
    printf("\nverdict: %s", verdict_of(s));
    tool_print_if(s->net->net, NULL, stdout);
    putchar('\n');
}

static void print_json(const session *s)
{
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "program", "ptfold check --oracle");
    json_text(&j, "libtorch", s->torch.torch_version());
    tool_json_assumption(&j, s->net->net, NULL);
    json_int(&j, "samples", s->inputs->count);
    json_int(&j, "outputs", s->inputs->count * s->out_size);
    for (int i = 0; i < CLAIMS; i++) {
        const finding *f = &s->findings[i];
        json_open(&j, claims[i].key, '{');
        json_number(&j, "max_abs", f->max_abs);
        json_number(&j, "part_of_bound", f->part);
        json_int(&j, "beyond", f->beyond);
        json_int(&j, "undecided", f->undecided);
        json_close(&j, '}');
    }
    json_text(&j, "verdict", verdict_of(s));
    json_close(&j, '}');
}

ptf_status oracle_check_net(const tool_net *net, const tool_inputs *inputs,
                            int threads, bool json, bool *agrees,
                            ptf_error *err)
{
    session s = {.net = net, .inputs = inputs};
    ptf_status status = prepare(&s, threads, err);
    for (int64_t i = 0; status == PTF_OK && i < inputs->count; i += AT_ONCE) {
        int64_t left = inputs->count - i;
        status = run_some(&s, i, left < AT_ONCE ? left : AT_ONCE, err);
    }
    if (status == PTF_OK) {
        *agrees = strcmp(verdict_of(&s), "AGREES") == 0;
        (json ? print_json : print_text)(&s);
    }
    ptf_enclosure_free(s.enclosure);
    ptf_plan_free(s.plan);
    free(s.in);
    free(s.y);
    free(s.t32);
    return status;
}
