/*
 * Gradients of whole nets: against loops in double, the same bits however
 * they run, and the cases where a derivative is a convention.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"
#include "grad_run.h"
#include "random_net.h"

#include <math.h>
#include <stdarg.h>

enum { NETS = 200, IMAGES = GRAD_IMAGES };

/* ---------------------------------------------------------- against doubles */

static void random_nets_agree_with_loops_in_double(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= NETS; seed++) {
        random_net n;
        random_net_make(&n, seed);
        grad_run r;
        grad_run_make(&r, n.f.net, &n.input,
                      (ptf_gradient_options){.threads = 1});
        grad_run_back(&r, IMAGES);
        grad_expect_tape(&r, n.f.net, &n.input, 1e-6, n.text);
        grad_run_free(&r);
        random_net_free(&n);
    }
}

/* --------------------------------------------------------------- same bits */

static void gradients_have_one_result_however_they_run(void **unused)
{
    (void)unused;
    const float odd[] = {0.5F, -0.0F, 1e-42F, (float)INFINITY, (float)NAN};
    for (uint64_t seed = 1; seed <= NETS / 2; seed++) {
        random_net n;
        random_net_make(&n, seed);
        grad_expect_bits(n.f.net, &n.input, 1 + (int)(seed % 3), odd[seed % 5],
                         n.text);
        random_net_free(&n);
    }
}

/* Maps so large that their gradients are computed piece by piece. */
static void large_maps_have_one_result_too(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        ptf_shape input;
    } nets[] = {
        {"Sequential(\n  (0): Conv1d(1, 2, kernel_size=(64,), "
         "stride=(1,))\n)\n",
         {2, {1, 20000}}},
        {"Sequential(\n  (0): Conv2d(2, 3, kernel_size=(9, 9), "
         "stride=(1, 1), padding=(2, 1))\n)\n",
         {3, {2, 99, 151}}},
        /* blocks of filters that are alone: more than are kept at once */
        {"Sequential(\n  (0): Conv1d(1, 1, kernel_size=(130,), "
         "stride=(1,), padding=(3,))\n)\n",
         {2, {1, 150000}}},
        {"Sequential(\n  (0): Conv2d(4, 2, kernel_size=(5, 3), "
         "stride=(2, 1), padding=(1, 2), groups=2)\n)\n",
         {3, {4, 71, 53}}},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(nets); i++) {
        fixture f;
        fixture_build(&f, nets[i].text);
        grad_expect_bits(f.net, &nets[i].input, 2, 0.5F, nets[i].text);
        fixture_free(&f);
    }
}

static void a_batch_adds_up_its_images(void **unused)
{
    (void)unused;
    random_net n;
    random_net_make(&n, 7);
    grad_expect_images(n.f.net, &n.input);
    random_net_free(&n);
}

/* Its weights' gradients are products of two numbers each. */
static void a_linear_layer_needs_no_room_for_sums(void **unused)
{
    (void)unused;
    fixture f;
    grad_run r;
    fixture_init(&f, "Sequential(\n  (0): Linear(in_features=5000, "
                     "out_features=1, bias=True)\n)\n");
    fixture_make(&f);
    grad_run_make(&r, f.net, &(ptf_shape){1, {5000}},
                  (ptf_gradient_options){0});
    assert_int_equal(r.g->reached_floats, 0);
    grad_run_free(&r);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_linear_layer_needs_no_room_for_sums),
        cmocka_unit_test(gradients_have_one_result_however_they_run),
        cmocka_unit_test(large_maps_have_one_result_too),
        cmocka_unit_test(a_batch_adds_up_its_images),
        cmocka_unit_test(random_nets_agree_with_loops_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
