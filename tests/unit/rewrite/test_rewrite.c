/*
 * rewrite: numbers, names and texts of rewritten nets, and the same bits where
 * they are promised.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "rewrite/rewrite.h"

#include <math.h>

/* ---------------------------------------------------------------- helpers */

static void expect_text(const ptf_net *net, const char *want)
{
    char *text = fixture_text(net);
    assert_string_equal(text, want);
    free(text);
}

static void expect_close(const ptf_net *a, const ptf_net *b, const char *input)
{
    int64_t a_count, b_count;
    float *x = fixture_run(a, input, 7, &a_count),
          *y = fixture_run(b, input, 7, &b_count);
    assert_int_equal(a_count, b_count);
    for (int64_t i = 0; i < a_count; i++)
        assert_true(fabsf(x[i] - y[i]) < 1e-5f);
    free(x);
    free(y);
}

/* ------------------------------------------------------------------- texts */

/* Two texts that differ in the class name of the root alone. */
static void expect_same_structure(const char *a, const char *b)
{
    const char *a_line = strchr(a, '\n'), *b_line = strchr(b, '\n');
    assert_int_equal(a_line - a, b_line - b); /* the input comment */
    assert_memory_equal(a, b, (size_t)(a_line - a));
    assert_string_equal(strchr(a_line, '('), strchr(b_line, '('));
}

static void small_net_folds_to_the_courses_test_net(void **state)
{
    (void)state;
    ptf_net *net = fixture_net(ptf_arch_text("smallNetTrain"));
    ptf_net *folded = fixture_rewrite(net, "fold_batchnorm", NULL);
    char *text = fixture_text(folded);
    expect_same_structure(text, ptf_arch_text("smallNetTest"));
    assert_string_equal(ptf_net_name(folded), "smallNetTrain");
    free(text);
    ptf_net_free(folded);
    ptf_net_free(net);
}

static void net1_becomes_net2(void **state)
{
    (void)state;
    ptf_net *net = fixture_net(ptf_arch_text("Net1"));
    ptf_net *conv = fixture_rewrite(net, "linear_to_conv", "3x32x32");
    char *text = fixture_text(conv);
    expect_same_structure(text, ptf_arch_text("Net2"));
    free(text);
    ptf_net_free(conv);
    ptf_net_free(net);
}

static void dropped_layers_renumber_their_neighbours(void **state)
{
    (void)state;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net *folded = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    ptf_net *dropped = fixture_rewrite(folded, "drop_identity", NULL);
    expect_text(
        dropped,
        "# input: 2x6x5\n"
        "Small(\n"
        "  (conv): Sequential(\n"
        "    (0): " CONV(
            2, 3) "\n"
                  "    (1): ReLU()\n"
                  "  )\n"
                  "  (fc1): Sequential(\n"
                  "    (0): Linear(in_features=36, out_features=5, bias=True)\n"
                  "    (1): ReLU()\n"
                  "  )\n"
                  "  (fc2): Linear(in_features=5, out_features=4, bias=True)\n"
                  "  (probability): Softmax(dim=1)\n"
                  ")\n");
    assert_int_equal(dropped->rewrite_count, 2);
    assert_string_equal(dropped->rewrites[0], "fold_batchnorm");
    assert_string_equal(dropped->rewrites[1], "drop_identity");
    ptf_net_free(dropped);
    ptf_net_free(folded);
    fixture_free(&f);
}

static void tensors_follow_their_layers_to_new_names(void **state)
{
    (void)state;
    static const char text[] = "Net(\n"
                               "  (0): Dropout(p=0.5, inplace=False)\n"
                               "  (1): Sequential(\n"
                               "    (0): Identity()\n"
                               "  )\n"
                               "  (2): Sequential(\n"
                               "    (a): Identity()\n"
                               "    (b): Linear(in_features=3, "
                               "out_features=2, bias=True)\n"
                               "  )\n"
                               ")\n";
    fixture f;
    fixture_build(&f, text);
    ptf_net *net = fixture_rewrite(f.net, "drop_identity", NULL);
    expect_text(net, "Net(\n"
                     "  (0): Sequential(\n"
                     "    (b): Linear(in_features=3, out_features=2, "
                     "bias=True)\n"
                     "  )\n"
                     ")\n");
    assert_int_equal(ptf_net_tensor_count(net), 2);
    assert_string_equal(ptf_net_tensor(net, 0)->name, "0.b.weight");
    assert_string_equal(ptf_net_tensor(net, 1)->name, "0.b.bias");
    assert_ptr_equal(ptf_net_tensor(net, 0)->data,
                     fixture_tensor(f.net, "2.b.weight")->data);
    fixture_same_bits(f.net, net, "3");
    ptf_net_free(net);
    fixture_free(&f);
}

static void rewritten_nets_read_back_from_their_texts(void **state)
{
    (void)state;
    static const char *const rewrites[] = {"fold_batchnorm", "drop_identity",
                                           "linear_to_conv"};
    ptf_net *nets[4] = {fixture_net(fixture_small)};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rewrites); i++) {
        nets[i + 1] = fixture_rewrite(nets[i], rewrites[i], NULL);
        char *text = fixture_text(nets[i + 1]);
        ptf_net *again = fixture_net(text);
        expect_text(again, text);
        assert_int_equal(again->node_count, nets[i + 1]->node_count);
        free(text);
        ptf_net_free(again);
    }
    for (size_t i = PTF_ARRAY_SIZE(nets); i > 0; i--)
        ptf_net_free(nets[i - 1]);
}

/* ----------------------------------------------------------------- numbers */

static int64_t expect_rounded(float found, long double exact)
{
    float down = nextafterf(found, -INFINITY), up = nextafterf(found, INFINITY);
    long double error = fabsl((long double)found - exact);
    /* Within half a unit in the last place, and what double adds to it. */
    long double unit = fmaxl(fabsl((long double)up - (long double)found),
                             fabsl((long double)found - (long double)down));
    assert_true(error <= unit * 0.500001L);
    return 1;
}

/* The numbers of one fold, computed here in long double. */
static void expect_folded(fixture *f, const ptf_net *folded, const char *layer,
                          const char *norm, int64_t channels, int64_t terms)
{
    char name[8][64];
    static const char *const roles[4] = {"weight", "bias", "running_mean",
                                         "running_var"};
    const float *n[4];
    for (int i = 0; i < 4; i++) {
        snprintf(name[i], sizeof(name[i]), "%s.%s", norm, roles[i]);
        n[i] = fixture_numbers(f, name[i]);
    }
    snprintf(name[4], sizeof(name[4]), "%s.weight", layer);
    snprintf(name[5], sizeof(name[5]), "%s.bias", layer);
    const float *weight = fixture_numbers(f, name[4]);
    bool has_bias = ptf_checkpoint_find(f->ckpt, name[5]) != NULL;
    const float *bias = has_bias ? fixture_numbers(f, name[5]) : NULL;
    const float *new_weight = fixture_tensor(folded, name[4])->data;
    const float *new_bias = fixture_tensor(folded, name[5])->data;
    int64_t checked = 0;
    for (int64_t c = 0; c < channels; c++) {
        long double s = (long double)n[0][c] /
                        sqrtl((long double)n[3][c] + (long double)1e-5);
        long double b = bias != NULL ? (long double)bias[c] : 0;
        checked += expect_rounded(new_bias[c], (b - (long double)n[2][c]) * s +
                                                   (long double)n[1][c]);
        for (int64_t k = 0; k < terms; k++)
            checked += expect_rounded(new_weight[c * terms + k],
                                      (long double)weight[c * terms + k] * s);
    }
    assert_int_equal(checked, channels * (terms + 1));
}

static void folded_numbers_are_the_formula_rounded_once(void **state)
{
    (void)state;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net *folded = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    expect_folded(&f, folded, "conv.0", "conv.1", 3, 18);
    expect_folded(&f, folded, "fc1.0", "fc1.2", 5, 36);
    expect_close(f.net, folded, "2x6x5");
    assert_int_equal(ptf_net_tensor_count(folded), 6);
    assert_ptr_equal(fixture_tensor(folded, "fc2.weight"),
                     fixture_tensor(f.net, "fc2.weight"));
    ptf_net_free(folded);
    fixture_free(&f);
}

static void several_batch_norms_fold_as_one(void **state)
{
    (void)state;
    fixture f;
    fixture_init(
        &f, "Net(\n"
            "  (0): Conv1d(2, 3, kernel_size=(2,), stride=(1,))\n"
            "  (1): " BN1(3) "\n"
                             "  (2): Identity()\n"
                             "  (3): BatchNorm1d(3, eps=0.001, momentum=None, "
                             "affine=False, track_running_stats=True)\n"
                             ")\n");
    fixture_make(&f);
    ptf_net *folded = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    expect_text(folded, "Net(\n"
                        "  (0): Conv1d(2, 3, kernel_size=(2,), stride=(1,))\n"
                        "  (1): Identity()\n"
                        ")\n");
    expect_close(f.net, folded, "2x9");
    ptf_net_free(folded);
    fixture_free(&f);
}

static void an_epilogue_gives_the_same_bits(void **state)
{
    (void)state;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net *dropped = fixture_rewrite(f.net, "drop_identity", NULL);
    ptf_net *net = fixture_rewrite(dropped, "batchnorm_to_epilogue", NULL);
    const float *gamma = fixture_numbers(&f, "conv.1.weight");
    const float *var = fixture_numbers(&f, "conv.1.running_var");
    const ptf_tensor *scale = fixture_tensor(net, "conv.0.scale");
    assert_int_equal(scale->dtype, PTF_DTYPE_F32);
    for (int c = 0; c < 3; c++)
        expect_rounded(((const float *)scale->data)[c],
                       (long double)gamma[c] /
                           sqrtl((long double)var[c] + (long double)1e-5));
    assert_non_null(fixture_tensor(net, "fc1.0.shift"));
    assert_ptr_equal(fixture_tensor(net, "conv.0.weight"),
                     fixture_tensor(f.net, "conv.0.weight"));
    fixture_same_bits(f.net, net, "2x6x5");
    char *text = fixture_text(net);
    assert_non_null(strstr(text,
                           "Linear(in_features=36, out_features=5, bias=False, "
                           "scale_shift=True)"));
    ptf_net *again = fixture_net(text);
    expect_text(again, text);
    free(text);
    ptf_net_free(again);
    ptf_net_free(net);
    ptf_net_free(dropped);
    fixture_free(&f);
}

/* ---------------------------------------------------------- linear to conv */

static void linear_layers_become_convolutions_bit_for_bit(void **state)
{
    (void)state;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net *net = fixture_rewrite(f.net, "linear_to_conv", "2x6x5");
    expect_text(
        net,
        "# input: 2x6x5\n"
        "Small(\n"
        "  (conv): Sequential(\n"
        "    (0): " CONV(
            2,
            3) "\n"
               "    (1): " BN2(
                   3) "\n"
                      "    (2): ReLU()\n"
                      "  )\n"
                      "  (fc1): Sequential(\n"
                      "    (0): Conv2d(3, 5, kernel_size=(4, 3), stride=(1, 1), "
                      "bias=False)\n"
                      "    (1): Dropout(p=0.5, inplace=False)\n"
                      "    (2): " BN2(
                          5) "\n"
                             "    (3): ReLU()\n"
                             "  )\n"
                             "  (fc2): Conv2d(5, 4, kernel_size=(1, 1), stride=(1, 1))\n"
                             "  (probability): Softmax(dim=1)\n"
                             ")\n");
    const ptf_tensor *weight = fixture_tensor(net, "fc1.0.weight");
    assert_int_equal(weight->rank, 4);
    assert_ptr_equal(weight->data, fixture_tensor(f.net, "fc1.0.weight")->data);
    assert_true(ptf_tensor_is_contiguous(weight));
    fixture_same_bits(f.net, net, "2x6x5");
    ptf_net_free(net);
    fixture_free(&f);
}

static void explicit_flattens_go_away(void **state)
{
    (void)state;
    fixture f;
    fixture_init(
        &f, "Net(\n"
            "  (0): Conv1d(2, 3, kernel_size=(2,), stride=(1,))\n"
            "  (1): Flatten(start_dim=1, end_dim=-1)\n"
            "  (2): Tanh()\n"
            "  (3): Flatten(start_dim=1, end_dim=-1)\n"
            "  (4): Linear(in_features=12, out_features=5, "
            "bias=True)\n"
            "  (5): " BN1(5) "\n"
                             "  (6): Flatten(start_dim=1, end_dim=-1)\n"
                             "  (7): Linear(in_features=5, out_features=2, "
                             "bias=True)\n"
                             "  (8): Softmax(dim=None)\n"
                             ")\n");
    fixture_make(&f);
    ptf_net *net = fixture_rewrite(f.net, "linear_to_conv", "2x5");
    expect_text(
        net,
        "Net(\n"
        "  (0): Conv1d(2, 3, kernel_size=(2,), stride=(1,))\n"
        "  (1): Tanh()\n"
        "  (2): Conv1d(3, 5, kernel_size=(4,), stride=(1,))\n"
        "  (3): " BN1(5) "\n"
                         "  (4): Conv1d(5, 2, kernel_size=(1,), stride=(1,))\n"
                         "  (5): Softmax(dim=1)\n"
                         ")\n");
    fixture_same_bits(f.net, net, "2x5");
    ptf_net_free(net);
    fixture_free(&f);
}

/* The weight of a Linear that was saved as the transpose of another tensor. */
static void transposed_weights_stay_where_they_are(void **state)
{
    (void)state;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net_edit edit;
    ptf_error err;
    ptf_net *turned, *net;
    assert_int_equal(ptf_net_edit_begin(f.net, &edit, &err), PTF_OK);
    const ptf_tensor *weight = fixture_tensor(f.net, "fc1.0.weight");
    float *moved = malloc(36 * 5 * sizeof(float));
    for (int o = 0; o < 5; o++) {
        for (int k = 0; k < 36; k++)
            moved[k * 5 + o] = ((const float *)weight->data)[o * 36 + k];
    }
    ptf_tensor turned_weight = *weight;
    turned_weight.stride[0] = 1;
    turned_weight.stride[1] = 5;
    turned_weight.data = moved;
    for (int i = 1; i < edit.net->node_count; i++) {
        if (edit.nodes[i].tensors[PTF_ROLE_WEIGHT] == weight)
            edit.nodes[i].tensors[PTF_ROLE_WEIGHT] = &turned_weight;
    }
    assert_int_equal(ptf_net_edit_finish(&edit, "test", &turned, &err), PTF_OK);
    net = fixture_rewrite(turned, "linear_to_conv", NULL);
    fixture_same_bits(f.net, net, "2x6x5");
    ptf_net *folded = fixture_rewrite(turned, "fold_batchnorm", NULL);
    expect_folded(&f, folded, "fc1.0", "fc1.2", 5, 36);
    ptf_net_free(folded);
    ptf_net_free(net);
    ptf_net_free(turned);
    free(moved);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_net_folds_to_the_courses_test_net),
        cmocka_unit_test(net1_becomes_net2),
        cmocka_unit_test(dropped_layers_renumber_their_neighbours),
        cmocka_unit_test(tensors_follow_their_layers_to_new_names),
        cmocka_unit_test(rewritten_nets_read_back_from_their_texts),
        cmocka_unit_test(folded_numbers_are_the_formula_rounded_once),
        cmocka_unit_test(several_batch_norms_fold_as_one),
        cmocka_unit_test(an_epilogue_gives_the_same_bits),
        cmocka_unit_test(linear_layers_become_convolutions_bit_for_bit),
        cmocka_unit_test(explicit_flattens_go_away),
        cmocka_unit_test(transposed_weights_stay_where_they_are),
    };
    return cmocka_run_group_tests_name("rewrite", tests, NULL, NULL);
}
