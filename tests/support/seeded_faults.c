/*
 * Checks of networks with planted faults.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "seeded_faults.h"
#include "ports.h"

static ptf_check *check_of(const ptf_net *a, const ptf_net *b, int count)
{
    ptf_check_options options = {.threads = 2,
                                 .atol = 1e-6,
                                 .rtol = 1e-5,
                                 .max_ulps = 4,
                                 .layers = true};
    ptf_check *check = NULL;
    ptf_shape shape;
    ptf_error err;
    assert_true(input_of(a, &shape));
    if (ptf_check_make(a, b, &shape, &options, &check, &err))
        fail_msg("%s", err.message);
    size_t size = (size_t)ptf_shape_numel(&shape);
    float *in = malloc((size_t)count * size * sizeof(*in));
    for (int i = 0; i < count; i++)
        ptf_random_fill(7, (uint64_t)i, in + (size_t)i * size, size);
    if (ptf_check_run(check, (const float *[]){in}, count, &err))
        fail_msg("%s", err.message);
    free(in);
    return check;
}

void planted_check(const fault *f)
{
    static fixture a, b;
    fixture_init(&a, f->original != NULL ? f->original : misfold_original);
    fixture_init(&b, f->text);
    if (f->plant != NULL)
        f->plant(&a, &b);
    else
        misfold(&a, &b, f->at, f->mistake);
    if (f->damage != NULL)
        f->damage(&b);
    fixture_make(&a);
    fixture_make(&b);
    ptf_check *check = check_of(a.net, b.net, 5);
    ptf_certificate c;
    ptf_check_certificate(check, &c);
    if (c.holds != (f->layer == NULL))
        fail_msg("%s: %s", f->name, c.holds ? "not seen" : c.reason);
    if (f->layer != NULL && (c.layer == NULL || strcmp(c.layer, f->layer) != 0))
        fail_msg("%s: found in %s (%s), expected %s", f->name,
                 c.layer != NULL ? c.layer : "-", c.reason, f->layer);
    if (ptf_check_level(check) != f->level)
        fail_msg("%s: %s, expected %s", f->name,
                 ptf_level_name(ptf_check_level(check)),
                 ptf_level_name(f->level));
    bool within =
        f->level == PTF_LEVEL_CERTIFIED || f->level == PTF_CERTIFIED_WITHIN;
    if (f->level != PTF_LEVEL_BITWISE && c.within != within)
        fail_msg("%s: within %lld ULP", f->name, (long long)c.ulps);
    if (c.within && c.another)
        fail_msg("%s: another network", f->name);
    ptf_check_free(check);
    fixture_free(&a);
    fixture_free(&b);
}
