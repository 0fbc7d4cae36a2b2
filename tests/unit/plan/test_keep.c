/*
 * Plans that keep every layer's output give the bits of those that do not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "ports.h"

enum { IMAGES = 3 };

static ptf_plan *plan_of(const ptf_net *net, bool keep)
{
    ptf_plan_options options = {.threads = 2, .keep = keep};
    ptf_plan *plan;
    ptf_error err;
    if (ptf_plan_make(net, &net->inputs[0].shape, IMAGES, &options, &plan,
                      &err))
        fail_msg("%s", err.message);
    return plan;
}

static float *run(ptf_plan *plan, const float *in, int64_t numel)
{
    float *out = malloc((size_t)(IMAGES * numel) * sizeof(float));
    assert_int_equal(ptf_plan_run(plan, in, IMAGES, out, NULL), PTF_OK);
    return out;
}

/* What layer 'index' gives when the net ends there and keeps nothing. */
static void check_layer(const ptf_net *net, size_t index, const float *in,
                        const float *kept, const ptf_shape *kept_shape)
{
    ptf_net head = *net;
    head.node_count = (int)index + 2;
    ptf_output end = {.node = (int)index + 1};
    head.outputs = &end;
    ptf_plan *plan = plan_of(&head, false);
    ptf_shape shape = ptf_plan_output(plan, 0);
    assert_memory_equal(&shape, kept_shape, sizeof(shape));
    int64_t numel = ptf_shape_numel(&shape);
    float *out = run(plan, in, numel);
    assert_memory_equal(out, kept, (size_t)(IMAGES * numel) * sizeof(float));
    assert_null(ptf_plan_layer(plan, index, &shape));
    free(out);
    ptf_plan_free(plan);
}

static void kept_outputs_are_those_of_nets_that_end_there(void **unused)
{
    (void)unused;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_plan *plan = plan_of(f.net, true);
    ptf_shape shape = ptf_plan_output(plan, 0);
    float in[IMAGES * 60];
    ptf_random_fill(1, 0, in, IMAGES * 60);
    assert_null(ptf_plan_layer(plan, 0, &shape));
    float *out = run(plan, in, 4);
    size_t layers = ptf_net_layer_count(f.net);
    for (size_t i = 0; i < layers; i++) {
        const float *kept = ptf_plan_layer(plan, i, &shape);
        check_layer(f.net, i, in, kept, &shape);
    }
    assert_ptr_equal(ptf_plan_layer(plan, layers - 1, &shape), out);
    free(out);
    ptf_plan_free(plan);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_outputs_are_those_of_nets_that_end_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
