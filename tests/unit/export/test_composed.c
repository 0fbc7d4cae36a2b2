/*
 * Nets that were read from no program, as programs: what is written reads back
 * and gives the same bits.  The writer itself compares the nets.
 *
 *     test_composed [SEED [GRAPHS]]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "drawn_graph.h"
#include "fixture.h"
#include "plan/plan.h"

#include <stdlib.h>
#include <unistd.h>

enum { COUNT = 3 };

/* What the net gives for 'count' samples; the caller frees. */
static float *run_net(const ptf_net *net, const ptf_shape *input,
                      const float *in, int64_t count, int64_t outputs)
{
    ptf_plan_options options = {.threads = 1};
    ptf_plan *plan;
    ptf_error err;
    float *out = malloc((size_t)(count * outputs + 1) * sizeof(*out));
    if (ptf_plan_make(net, input, count, &options, &plan, &err) != PTF_OK ||
        ptf_plan_run(plan, in, count, out, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_plan_free(plan);
    return out;
}

/* Writes it, reads it, and runs both; false for what depends on no input. */
static bool expect_same(const char *what, const ptf_net *net,
                        const ptf_shape *input, int64_t outputs)
{
    char path[] = "/tmp/ptfold-XXXXXX.pt2";
    int fd = mkstemps(path, 4);
    int64_t inputs = ptf_shape_numel(input);
    float *in = malloc((size_t)(COUNT * inputs) * sizeof(*in));
    ptf_net *again;
    ptf_error err;
    assert_true(fd >= 0 && close(fd) == 0);
    for (int64_t i = 0; i < COUNT * inputs; i++)
        in[i] = (float)((i * 37 + 11) % 101) / 50 - 1;
    ptf_status status = ptf_net_save(net, path, NULL, NULL, &err);
    if (status == PTF_UNSUPPORTED && strstr(err.message, "no input") != NULL) {
        free(in);
        assert_int_equal(unlink(path), 0);
        return false;
    }
    if (status != PTF_OK)
        fail_msg("%s: %s", what, err.message);
    if (ptf_net_open(path, NULL, &again, &err) != PTF_OK)
        fail_msg("%s: %s", what, err.message);
    float *want = run_net(net, input, in, COUNT, outputs);
    float *got = run_net(again, input, in, COUNT, outputs);
    if (memcmp(want, got, (size_t)(COUNT * outputs) * sizeof(*got)) != 0)
        fail_msg("%s: other bits", what);
    free(want);
    free(got);
    free(in);
    ptf_net_free(again);
    assert_int_equal(unlink(path), 0);
    return true;
}

/* ------------------------------------------------------------------- graphs */

static uint64_t first_seed = 1, graphs = 150;

static char names[NODES][16];

static void name_nodes(build *b)
{
    for (int i = 0; i < b->net.node_count; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        b->nodes[i].name = names[i];
        b->nodes[i].file = "drawn";
    }
    b->net.has_tensors = true;
}

static void drawn_graphs_read_back(void **unused)
{
    (void)unused;
    uint64_t written = 0;
    for (uint64_t seed = first_seed; seed < first_seed + graphs; seed++) {
        build b;
        char what[32];
        drawn_graph_make(&b, seed, seed % 3 == 0);
        name_nodes(&b);
        snprintf(what, sizeof(what), "seed %llu", (unsigned long long)seed);
        written +=
            expect_same(what, &b.net, &b.input,
                        ptf_shape_numel(&b.shapes[b.net.outputs[0].node]));
        finish(&b);
    }
    assert_true(2 * written > graphs);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawn_graphs_read_back),
    };
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        graphs = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
