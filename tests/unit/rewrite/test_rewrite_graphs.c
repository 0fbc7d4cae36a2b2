/*
 * Rewrites of nets that are no chains: what they change, what they leave and
 * say, and that the results are what they promise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "ports.h"
#include "residual.h"

#define INPUT "3x8x8"

static ptf_net *rewrite(const ptf_net *net, const char *name)
{
    ptf_net *out;
    ptf_error err;
    if (ptf_net_rewrite(net, ptf_rewrite_find(name), NULL, &out, &err) !=
        PTF_OK)
        fail_msg("%s: %s", name, err.message);
    return out;
}

static void refuses(const ptf_net *net, const char *name, const char *why)
{
    ptf_net *out;
    ptf_error err;
    assert_int_equal(
        ptf_net_rewrite(net, ptf_rewrite_find(name), NULL, &out, &err),
        PTF_UNSUPPORTED);
    if (strstr(err.message, why) == NULL)
        fail_msg("%s, expected %s", err.message, why);
}

static int find(const ptf_net *net, const char *name)
{
    for (int i = 1; i < net->node_count; i++) {
        if (strcmp(net->nodes[i].name, name) == 0)
            return i;
    }
    return -1;
}

static ptf_level level_of(const ptf_net *a, const ptf_net *b, bool *certified)
{
    static float in[4 * 3 * 8 * 8];
    ptf_check_options options = {.threads = 2, .atol = 1e-6, .rtol = 1e-5};
    ptf_check *check;
    ptf_certificate c;
    ptf_error err;
    ptf_random_fill(3, 0, in, sizeof(in) / sizeof(*in));
    if (ptf_check_make(a, b, &a->inputs[0].shape, &options, &check, &err) !=
            PTF_OK ||
        ptf_check_run(check, (const float *[]){in}, 4, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_check_certificate(check, &c);
    ptf_level level = ptf_check_level(check);
    *certified = c.holds;
    ptf_check_free(check);
    return level;
}

/* ------------------------------------------------------------- batch norms */

static void expect_same_node(const ptf_node *a, const ptf_node *b)
{
    assert_int_equal(a->op, b->op);
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->input_count, b->input_count);
    for (int k = 0; k < a->input_count; k++)
        assert_int_equal(a->inputs[k], b->inputs[k]);
    for (int r = 0; r < PTF_ROLE_COUNT; r++) {
        const ptf_tensor *x = a->tensors[r], *y = b->tensors[r];
        assert_int_equal(x == NULL, y == NULL);
        if (x == NULL)
            continue;
        assert_string_equal(x->name, y->name);
        assert_memory_equal(x->data, y->data,
                            (size_t)ptf_tensor_numel(x) * sizeof(float));
    }
}

/* The same nodes, wires and bits as a fold by hand. */
static void batch_norms_of_branches_are_folded(void **unused)
{
    (void)unused;
    static graph a, b;
    bool certified;
    residual_trained(&a, false, RIGHT);
    residual_folded(&b, false, RIGHT);
    ptf_net *folded = rewrite(&a.net, "fold_batchnorm");
    assert_int_equal(folded->node_count, b.net.node_count);
    assert_int_equal(output_of(folded), output_of(&b.net));
    assert_int_equal(folded->remark_count, 0);
    for (int i = 1; i < b.net.node_count; i++)
        expect_same_node(&folded->nodes[i], &b.nodes[i]);
    assert_int_equal(level_of(&a.net, folded, &certified), PTF_LEVEL_CERTIFIED);
    ptf_net_free(folded);
    graph_free(&a);
    graph_free(&b);
}

/* One stays, because what is before it is read by others, and says so. */
static void a_norm_whose_convolution_others_read_stays(void **unused)
{
    (void)unused;
    static const char *const names[] = {"fold_batchnorm",
                                        "batchnorm_to_epilogue"};
    static graph a;
    residual_trained(&a, false, NORM_SEEN);
    for (int i = 0; i < 2; i++) {
        ptf_remark remark;
        bool certified;
        ptf_net *net = rewrite(&a.net, names[i]);
        int norms = 0;
        for (int k = 1; k < net->node_count; k++)
            norms += ptf_op_is(net->nodes[k].op, PTF_FAMILY_AFFINE);
        assert_int_equal(norms, 1);
        int norm = find(net, "one.conv2.norm"), conv = find(net, "one.conv2");
        assert_int_equal(net->nodes[norm].inputs[0], conv);
        assert_int_equal(net->nodes[find(net, "one.add")].inputs[0], norm);
        assert_int_equal(net->nodes[find(net, "one.add")].inputs[1], conv);
        assert_int_equal(net->remark_count, 1);
        assert_true(ptf_net_remark(net, 0, &remark) && remark.left);
        assert_string_equal(remark.layer, "one.conv2.norm");
        const char *why = "the output of one.conv2 (Conv2d) is used 2 times, "
                          "expected this batch norm alone to read it";
        assert_memory_equal(remark.text, why, strlen(why));
        assert_string_equal(remark.text + strlen(why),
                            i == 0 ? "; read by one.add (add)" : "");
        ptf_level level = level_of(&a.net, net, &certified);
        assert_int_equal(level,
                         i == 0 ? PTF_LEVEL_CERTIFIED : PTF_LEVEL_BITWISE);
        assert_true(certified);
        ptf_net_free(net);
    }
    graph_free(&a);
}

/* The convolution's value is given out, too. */
static void a_norm_behind_the_output_stays(void **unused)
{
    (void)unused;
    static graph g;
    graph_start(&g, &(ptf_shape){3, {3, 8, 8}});
    int conv = graph_conv(&g, "conv", 0, 3, 2, (graph_window){3, 1, 1}, false);
    graph_norm(&g, "norm", conv, 2);
    graph_finish(&g, conv);
    refuses(&g.net, "fold_batchnorm", "the output of conv (Conv2d) is used 2");
    graph_free(&g);
}

static void epilogues_keep_every_bit(void **unused)
{
    (void)unused;
    static graph a;
    bool certified;
    residual_trained(&a, false, RIGHT);
    ptf_net *net = rewrite(&a.net, "batchnorm_to_epilogue");
    assert_int_equal(net->remark_count, 0);
    assert_int_equal(net->node_count, a.net.node_count - 8);
    fixture_same_bits(&a.net, net, INPUT);
    assert_int_equal(level_of(&a.net, net, &certified), PTF_LEVEL_BITWISE);
    assert_true(certified);
    ptf_net_free(net);
    graph_free(&a);
}

/* Nodes and bits of the split net; what others read is left. */
static void norms_of_concatenations_are_split(void **unused)
{
    (void)unused;
    static graph g;
    ptf_net *net;
    ptf_error err;
    graph_start(&g, &(ptf_shape){3, {3, 8, 8}});
    graph_window window = {3, 1, 1};
    int one = graph_conv(&g, "one", 0, 3, 2, window, false);
    int two = graph_conv(&g, "two", 0, 3, 3, window, true);
    int join = graph_join(&g, "join", 1, 2, (int[]){one, two});
    int norm = graph_norm(&g, "norm", join, 5);
    graph_finish(&g, graph_one(&g, "last", PTF_OP_RELU, norm));
    assert_int_equal(ptf_net_count_splits(&g.net), 2);
    assert_int_equal(ptf_net_split_norms(&g.net, &net, &err), PTF_OK);
    assert_int_equal(net->node_count, g.net.node_count + 1);
    assert_int_equal(find(net, "norm"), -1);
    const ptf_node *part = &net->nodes[find(net, "norm[2]")];
    assert_int_equal(part->inputs[0], find(net, "two"));
    assert_int_equal(part->attrs.out_channels, 3);
    fixture_same_bits(&g.net, net, INPUT);
    ptf_net_free(net);
    g.net.outputs[0].node = join;
    assert_int_equal(ptf_net_count_splits(&g.net), 0);
    graph_free(&g);
}

/* --------------------------------------------------------- identity layers */

/* Read twice, by one node twice, one after the other, given out, of a
 * constant, and between a convolution and its batch norm. */
static void layers_that_do_nothing_are_dropped(void **unused)
{
    (void)unused;
    static graph g;
    bool certified;
    graph_start(&g, &(ptf_shape){3, {3, 8, 8}});
    int at = graph_one(&g, "first", PTF_OP_IDENTITY, 0);
    int conv = graph_conv(&g, "conv", at, 3, 3, (graph_window){3, 1, 1}, false);
    int norm = graph_norm(&g, "norm",
                          graph_one(&g, "between", PTF_OP_DROPOUT, conv), 3);
    int drop = graph_one(&g, "drop", PTF_OP_DROPOUT, norm);
    int more = graph_one(&g, "more", PTF_OP_IDENTITY, drop);
    int twice = graph_two(&g, "twice", PTF_OP_MUL, more, more);
    int sub = graph_two(&g, "sub", PTF_OP_SUB, drop, at);
    int constant = graph_constant(&g, "constant", &(ptf_shape){3, {3, 1, 1}});
    int same = graph_one(&g, "same", PTF_OP_IDENTITY, constant);
    int div = graph_two(&g, "div", PTF_OP_DIV, sub, same);
    int join = graph_join(&g, "join", 1, 3, (int[]){div, twice, at});
    graph_finish(&g, graph_one(&g, "last", PTF_OP_DROPOUT, join));
    ptf_net *net = rewrite(&g.net, "drop_identity");
    assert_int_equal(net->node_count, g.net.node_count - 6);
    assert_int_equal(output_of(net), find(net, "join"));
    assert_int_equal(net->nodes[find(net, "sub")].inputs[1], 0);
    fixture_same_bits(&g.net, net, INPUT);
    assert_int_equal(level_of(&g.net, net, &certified), PTF_LEVEL_BITWISE);
    assert_true(certified);
    ptf_net *folded = rewrite(net, "fold_batchnorm");
    assert_int_equal(level_of(&g.net, folded, &certified), PTF_LEVEL_CERTIFIED);
    ptf_net_free(folded);
    ptf_net_free(net);
    graph_free(&g);
}

/* Other nodes are left, but none that anything comes of. */
static void a_net_is_not_left_without_layers(void **unused)
{
    (void)unused;
    static graph g;
    graph_start(&g, &(ptf_shape){3, {3, 8, 8}});
    int same = graph_one(&g, "same", PTF_OP_IDENTITY, 0);
    graph_finish(&g, same);
    refuses(&g.net, "drop_identity", "would have no layer left");
    graph_free(&g);
}

/* ------------------------------------------------------------ convolutions */

/* Two heads on one flattened map, beside a skip on the map itself. */
static void heads_of_one_map_become_convolutions(void **unused)
{
    (void)unused;
    static graph g;
    bool certified;
    graph_start(&g, &(ptf_shape){3, {3, 8, 8}});
    int conv = graph_conv(&g, "conv", 0, 3, 3, (graph_window){3, 1, 1}, true);
    int sum = graph_two(&g, "sum", PTF_OP_ADD, conv, 0);
    int pool = graph_one(&g, "pool", PTF_OP_ADAPTIVE_AVGPOOL2D, sum);
    g.nodes[pool].attrs.output_size[1] = g.nodes[pool].attrs.output_size[2] = 2;
    int flat = graph_one(&g, "flat", PTF_OP_FLATTEN, pool);
    int fc = graph_linear(&g, "fc", flat, 12, 5);
    graph_linear(&g, "other", flat, 12, 4);
    graph_finish(&g, graph_one(&g, "last", PTF_OP_RELU, fc));
    ptf_net *net = rewrite(&g.net, "linear_to_conv");
    assert_int_equal(net->nodes[find(net, "fc")].op, PTF_OP_CONV2D);
    assert_int_equal(net->nodes[find(net, "other")].op, PTF_OP_CONV2D);
    fixture_same_bits(&g.net, net, INPUT);
    assert_int_equal(level_of(&g.net, net, &certified), PTF_LEVEL_BITWISE);
    assert_true(certified);
    ptf_net_free(net);
    graph_free(&g);
}

static void what_joins_flattened_maps_stays(void **unused)
{
    (void)unused;
    static graph g;
    graph_start(&g, &(ptf_shape){3, {3, 8, 8}});
    int flat = graph_one(&g, "flat", PTF_OP_FLATTEN, 0);
    int fc = graph_linear(&g, "fc", flat, 192, 5);
    int other = graph_linear(&g, "other", flat, 192, 5);
    graph_finish(&g, graph_two(&g, "sum", PTF_OP_ADD, fc, other));
    refuses(&g.net, "linear_to_conv",
            "layer flat (Flatten): leads to linear layers, but sum (add) works "
            "on the flattened map");
    graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norms_of_branches_are_folded),
        cmocka_unit_test(a_norm_whose_convolution_others_read_stays),
        cmocka_unit_test(a_norm_behind_the_output_stays),
        cmocka_unit_test(norms_of_concatenations_are_split),
        cmocka_unit_test(epilogues_keep_every_bit),
        cmocka_unit_test(layers_that_do_nothing_are_dropped),
        cmocka_unit_test(a_net_is_not_left_without_layers),
        cmocka_unit_test(heads_of_one_map_become_convolutions),
        cmocka_unit_test(what_joins_flattened_maps_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
