/*
 * One net by everyone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compare_engines.h"

#include "enclose/enclose.h"

#include <math.h>

enum { SKIPPED = 77 }; /* what meson takes for a skipped test */

ltc_api torch;
judge_case judging = {"", 1, 500};
judge_parts judge_largest;

int judge_begin(int argc, char **argv)
{
    const char *module = argc > 1 ? argv[1] : "";
    if (argc > 2)
        judging.folder = argv[2];
    if (argc > 3)
        judging.first = strtoull(argv[3], NULL, 10);
    if (argc > 4)
        judging.count = strtoull(argv[4], NULL, 10);
    if (module[0] == '\0') {
        printf("SKIP: built without libtorch\n");
        return SKIPPED;
    }
    ptf_error err;
    setenv("PTF_ORACLE", module, 1);
    if (oracle_open(&torch, &err) == PTF_OK)
        return -1;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

double *judge_numbers(int64_t count)
{
    double *out = calloc((size_t)count, sizeof(*out));
    assert_non_null(out);
    return out;
}

static void run_ptfold(const ptf_net *net, const ptf_shape *input,
                       const float *in, int64_t images, judge_outputs *out)
{
    ptf_error err;
    ptf_plan *plan;
    ptf_enclosure *enclosure;
    ptf_plan_options options = {.threads = 1};
    if (ptf_plan_make(net, input, images, &options, &plan, &err) != PTF_OK)
        fail_msg("%s: %s\n%s", out->what, err.message, out->text);
    ptf_shape shape = ptf_plan_output(plan, 0);
    out->count = images * ptf_shape_numel(&shape);
    out->y = malloc((size_t)out->count * sizeof(float));
    out->m = judge_numbers(out->count);
    out->r = judge_numbers(out->count);
    if (ptf_plan_run(plan, in, images, out->y, &err) != PTF_OK)
        fail_msg("%s: %s\n%s", out->what, err.message, out->text);
    if (ptf_enclosure_make_with(net, NULL, input, 1, &enclosure, &err) !=
            PTF_OK ||
        ptf_enclosure_run(enclosure, in, images, out->m, out->r, &err) !=
            PTF_OK)
        fail_msg("%s: %s\n%s", out->what, err.message, out->text);
    ptf_enclosure_free(enclosure);
    ptf_plan_free(plan);
}

void judge_run(const ptf_net *net, const ptf_shape *input, const float *in,
               int64_t images, judge_outputs *out)
{
    ptf_error err;
    run_ptfold(net, input, in, images, out);
    out->t32 = judge_numbers(out->count);
    out->b32 = judge_numbers(out->count);
    out->t64 = judge_numbers(out->count);
    out->b64 = judge_numbers(out->count);
    if (oracle_run(&torch, net, input, in, images, LTC_F32, out->t32, out->b32,
                   out->count, &err) != PTF_OK ||
        oracle_run(&torch, net, input, in, images, LTC_F64, out->t64, out->b64,
                   out->count, &err) != PTF_OK)
        fail_msg("%s: %s\n%s", out->what, err.message, out->text);
}

void judge_free(judge_outputs *outputs)
{
    double *const arrays[] = {outputs->t32, outputs->b32, outputs->t64,
                              outputs->b64, outputs->m,   outputs->r};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(arrays); i++)
        free(arrays[i]);
    free(outputs->y);
}

bool judge_holds(double a, double b, double owed, double *part)
{
    double apart = fabs(a - b);
    if (!(apart <= owed) || !isfinite(owed))
        return false;
    if (apart > *part * owed)
        *part = apart / owed;
    return true;
}

void judge_fail(const judge_outputs *o, int64_t i)
{
    fail_msg("%s at output %lld of %lld\n"
             "  y   %.9g\n  t32 %.9g within %.3g\n  t64 %.17g within %.3g\n"
             "  m   %.17g within %.3g\n%s",
             o->what, (long long)i, (long long)o->count, (double)o->y[i],
             o->t32[i], o->b32[i], o->t64[i], o->b64[i], o->m[i], o->r[i],
             o->text);
}

void judge_expect(const judge_outputs *o)
{
    judge_parts *parts = &judge_largest;
    for (int64_t i = 0; i < o->count; i++) {
        double owed = o->b32[i] + o->b64[i];
        if (!judge_holds(o->t32[i], o->t64[i], owed, &parts->libtorch) ||
            !judge_holds((double)o->y[i], o->t64[i], owed, &parts->ptfold) ||
            !judge_holds(o->m[i], o->t64[i], o->r[i] + o->b64[i],
                         &parts->enclosure))
            judge_fail(o, i);
    }
}
