/*
 * Certificates of nets that are no chains: the right fold has one, and what is
 * wired, or folded, in another way is found where it is, also where no input
 * shows it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/certify.h"
#include "ports.h"
#include "residual.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* -------------------------------------------------------------------- pairs */

static ptf_pair pairs[GRAPH_NODES];
static ptf_arena texts; /* of mismatches */

static ptf_pair_mismatch pair_up(const ptf_net *a, const ptf_net *b)
{
    static bool folded[GRAPH_NODES];
    static ptf_shape a_shapes[GRAPH_NODES], b_shapes[GRAPH_NODES];
    int a_makers[GRAPH_NODES], b_makers[GRAPH_NODES];
    ptf_graphs graphs = {a, b, a_makers, b_makers, a_shapes, b_shapes};
    ptf_pair_mismatch mismatch;
    memset(folded, 0, sizeof(folded));
    assert_int_equal(ptf_find_makers(a, a_makers, NULL), PTF_OK);
    assert_int_equal(ptf_find_makers(b, b_makers, NULL), PTF_OK);
    assert_int_equal(ptf_net_shapes(a, &a->inputs[0].shape, a_shapes, NULL),
                     PTF_OK);
    assert_int_equal(ptf_net_shapes(b, &b->inputs[0].shape, b_shapes, NULL),
                     PTF_OK);
    assert_int_equal(
        ptf_pair_nets(&graphs, &texts, pairs, folded, &mismatch, NULL), PTF_OK);
    return mismatch;
}

static void pairs_are_found_by_structure(void **unused)
{
    (void)unused;
    static graph a, b;
    for (int fault = RIGHT; fault < FAULTS; fault++) {
        residual_trained(&a, false, (residual_fault)fault);
        residual_folded(&b, false, (residual_fault)fault);
        ptf_pair_mismatch found = pair_up(&a.net, &b.net);
        const char *place = residual_has_other_numbers((residual_fault)fault)
                                ? NULL
                                : residual_place((residual_fault)fault);
        if ((found.layer == NULL) != (place == NULL) ||
            (place != NULL && strcmp(found.layer, place) != 0))
            fail_msg("fault %d: %s %s, expected %s", fault,
                     found.layer != NULL ? found.layer : "-",
                     found.reason != NULL ? found.reason : "is right",
                     place != NULL ? place : "none");
        graph_free(&a);
        graph_free(&b);
    }
}

/* Each node of B with the one of A that has its name. */
static void the_right_pairs_have_the_same_names(void **unused)
{
    (void)unused;
    static graph a, b;
    residual_trained(&a, false, RIGHT);
    residual_folded(&b, false, RIGHT);
    assert_null(pair_up(&a.net, &b.net).reason);
    for (int i = 1; i < b.net.node_count; i++) {
        const char *name = b.nodes[i].name;
        const char *value = a.nodes[pairs[i].value].name;
        size_t size = strlen(name);
        assert_string_equal(a.nodes[pairs[i].layer].name, name);
        assert_memory_equal(value, name, size);
        assert_true(value[size] == '\0' || strcmp(value + size, ".norm") == 0);
    }
    graph_free(&a);
    graph_free(&b);
}

/* Without names, and with constants in another order, all is the same. */
static void names_are_not_needed(void **unused)
{
    (void)unused;
    static graph a, b;
    residual_trained(&a, false, RIGHT);
    residual_folded(&b, false, RIGHT);
    for (int i = 1; i < b.net.node_count; i++)
        b.nodes[i].name = "other";
    assert_null(pair_up(&a.net, &b.net).reason);
    graph_free(&a);
    graph_free(&b);
}

/*
 * Both activations read what comes of the same convolution, and one of them
 * comes before the batch norm in the other net.
 */
static void build_fork(graph *g, bool norm_first)
{
    graph_start(g, &(ptf_shape){3, {2, 4, 4}});
    int conv = graph_conv(g, "conv", 0, 2, 2, (graph_window){1, 1, 0}, false);
    int norm = norm_first ? graph_norm(g, "norm", conv, 2) : -1;
    int first = norm_first ? graph_one(g, "after", PTF_OP_RELU, norm)
                           : graph_one(g, "beside", PTF_OP_RELU, conv);
    if (!norm_first)
        norm = graph_norm(g, "norm", conv, 2);
    int second = norm_first ? graph_one(g, "beside", PTF_OP_RELU, conv)
                            : graph_one(g, "after", PTF_OP_RELU, norm);
    graph_finish(g, graph_two(g, "sub", PTF_OP_SUB, norm_first ? first : second,
                              norm_first ? second : first));
}

static void a_norm_that_stays_is_not_passed_by(void **unused)
{
    (void)unused;
    static graph a, b;
    build_fork(&a, true);
    build_fork(&b, false);
    for (int i = 1; i < b.net.node_count; i++)
        b.nodes[i].name = "other";
    assert_null(pair_up(&a.net, &b.net).reason);
    graph_free(&a);
    graph_free(&b);
}

/* ------------------------------------------------------------ certificates */

enum { SAMPLES = 5, MOST_INPUTS = 3 * 8 * 8 };

/* Holds the second net against the first; the caller frees. */
static ptf_check *check_of(const ptf_net *a, const ptf_net *b, int threads)
{
    static float in[SAMPLES * MOST_INPUTS];
    ptf_check_options options = {.threads = threads,
                                 .atol = 1e-6,
                                 .rtol = 1e-5,
                                 .max_ulps = 4,
                                 .layers = true};
    ptf_check *check;
    ptf_error err;
    size_t size = (size_t)ptf_shape_numel(&a->inputs[0].shape);
    assert_true(size <= MOST_INPUTS);
    ptf_random_fill(7, 0, in, SAMPLES * size);
    if (ptf_check_make(a, b, &a->inputs[0].shape, &options, &check, &err) !=
            PTF_OK ||
        ptf_check_run(check, (const float *[]){in}, SAMPLES, &err) != PTF_OK)
        fail_msg("%s", err.message);
    return check;
}

/* There is a certificate, or none because of 'place'. */
static void expect(const ptf_net *a, const ptf_net *b, const char *what,
                   const char *place)
{
    ptf_check *check = check_of(a, b, 2);
    ptf_certificate c;
    ptf_check_certificate(check, &c);
    if (c.holds != (place == NULL))
        fail_msg("%s: %s %s", what, c.holds ? "not seen" : c.layer,
                 c.holds ? "" : c.reason);
    if (place != NULL && (c.layer == NULL || strcmp(c.layer, place) != 0))
        fail_msg("%s: found in %s (%s), expected %s", what,
                 c.layer != NULL ? c.layer : "-", c.reason, place);
    ptf_check_free(check);
}

static void every_fault_denies_the_certificate(void **unused)
{
    (void)unused;
    static graph a, b;
    for (int dead = 0; dead < 2; dead++)
        for (int i = RIGHT; i < FAULTS; i++) {
            residual_fault fault = (residual_fault)i;
            char what[32];
            snprintf(what, sizeof(what), "fault %d%s", i, dead ? ", dead" : "");
            residual_trained(&a, dead, fault);
            residual_folded(&b, dead, fault);
            expect(&a.net, &b.net, what, residual_place(fault));
            graph_free(&a);
            graph_free(&b);
        }
}

static void the_right_fold_is_certified_layer_by_layer(void **unused)
{
    (void)unused;
    static graph a, b;
    residual_trained(&a, false, RIGHT);
    residual_folded(&b, false, RIGHT);
    for (int threads = 1; threads < 4; threads++) {
        ptf_check *check = check_of(&a.net, &b.net, threads);
        ptf_certificate c;
        ptf_layer_check layer;
        size_t count = 0;
        ptf_check_certificate(check, &c);
        assert_int_equal(ptf_check_level(check), PTF_LEVEL_CERTIFIED);
        assert_true(c.holds && c.within && c.runs_beyond == 0 &&
                    c.parameters_wrong == 0);
        assert_int_equal(c.bounded, SAMPLES);
        assert_true(c.radius < 1e-9 && c.parameter_effect > 0);
        while (ptf_check_layer(check, count, &layer)) {
            assert_true(layer.level == PTF_LEVEL_BITWISE ||
                        layer.level == PTF_LEVEL_CERTIFIED);
            count++;
        }
        /* All but the input and the two constants. */
        assert_int_equal(count, b.net.node_count - 3);
        ptf_check_free(check);
    }
    graph_free(&a);
    graph_free(&b);
}

static void one_unit_of_a_constant_is_a_distance(void **unused)
{
    (void)unused;
    static graph a, b;
    residual_trained(&a, false, CONSTANT_OFF);
    residual_folded(&b, false, CONSTANT_OFF);
    ptf_check *check = check_of(&a.net, &b.net, 2);
    ptf_certificate c;
    ptf_check_certificate(check, &c);
    assert_int_equal(ptf_check_level(check), PTF_CERTIFIED_WITHIN);
    assert_true(c.ulps == 1 && strcmp(c.ulps_name, "shift") == 0);
    assert_int_equal(c.ulps_at, 3);
    ptf_check_free(check);
    graph_free(&a);
    graph_free(&b);
}

/* ---------------------------------------------------------------- recorded */

static ptf_status expect_of(const graph *g, const char *second, int node,
                            ptf_agreement *agreement, ptf_error *err)
{
    static float in[MOST_INPUTS];
    double numbers[2][512];
    ptf_shape shapes[GRAPH_NODES];
    ptf_tensor arrays[2] = {{.name = "output"}, {.name = second}};
    int nodes[] = {output_of(&g->net), node};
    ptf_random_fill(7, 0, in, MOST_INPUTS);
    long double **exact = graph_exact(g, in);
    assert_int_equal(
        ptf_net_shapes(&g->net, &g->net.inputs[0].shape, shapes, err), PTF_OK);
    for (int i = 0; i < 2; i++) {
        int64_t size = ptf_shape_numel(&shapes[nodes[i]]);
        arrays[i].dtype = PTF_DTYPE_F64;
        arrays[i].data = numbers[i];
        for (int64_t k = 0; k < size; k++)
            numbers[i][k] = (double)exact[nodes[i]][k];
        /* [1][channels][rows][columns] */
        arrays[i].rank = shapes[nodes[i]].rank + 1;
        int64_t stride = 1;
        for (int d = arrays[i].rank - 1; d >= 0; d--) {
            arrays[i].shape[d] = d > 0 ? shapes[nodes[i]].dim[d - 1] : 1;
            arrays[i].stride[d] = stride;
            stride *= arrays[i].shape[d];
        }
    }
    free(exact);
    ptf_expect *expect;
    ptf_status status = ptf_expect_make(&g->net, &g->net.inputs[0].shape, 1,
                                        "x.npz", arrays, 2, 1, &expect, err);
    if (status == PTF_OK)
        status = ptf_expect_run(expect, (const float *[]){in}, 1, err);
    if (status == PTF_OK)
        *agreement = ptf_expect_agreement(expect);
    ptf_expect_free(expect);
    return status;
}

/* Outputs and values inside agree; a constant is no layer's output. */
static void recorded_values_of_graphs_are_held_against_runs(void **unused)
{
    (void)unused;
    static graph g;
    ptf_agreement agreement;
    ptf_error err;
    residual_trained(&g, false, RIGHT);
    for (int i = 1; i < g.net.node_count; i++) {
        bool constant = g.nodes[i].op == PTF_OP_CONSTANT;
        ptf_status status = expect_of(&g, g.nodes[i].name, i, &agreement, &err);
        assert_int_equal(status, constant ? PTF_ARGUMENT : PTF_OK);
        if (!constant)
            assert_int_equal(agreement, PTF_AGREEMENT_AGREES);
    }
    graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_found_by_structure),
        cmocka_unit_test(the_right_pairs_have_the_same_names),
        cmocka_unit_test(names_are_not_needed),
        cmocka_unit_test(a_norm_that_stays_is_not_passed_by),
        cmocka_unit_test(every_fault_denies_the_certificate),
        cmocka_unit_test(the_right_fold_is_certified_layer_by_layer),
        cmocka_unit_test(one_unit_of_a_constant_is_a_distance),
        cmocka_unit_test(recorded_values_of_graphs_are_held_against_runs),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ptf_arena_free(&texts);
    return failed;
}
