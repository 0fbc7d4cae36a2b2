/*
 * rewrite: numbers, names and texts of rewritten nets, the same bits where
 * they are promised, and every refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "rewrite/rewrite.h"

#include <math.h>
#include <unistd.h>

/* ---------------------------------------------------------------- helpers */

#define BN1(n)                                                   \
    "BatchNorm1d(" #n ", eps=1e-05, momentum=0.1, affine=True, " \
    "track_running_stats=True)"
#define BN2(n)                                                   \
    "BatchNorm2d(" #n ", eps=1e-05, momentum=0.1, affine=True, " \
    "track_running_stats=True)"
#define CONV(in, out) \
    "Conv2d(" #in ", " #out ", kernel_size=(3, 3), stride=(1, 1))"

/* A small smallNet: convolutions with batch norm, then linear with one. */
static const char small[] =
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
                  "    (0): Linear(in_features=36, out_features=5, bias=False)\n"
                  "    (1): Dropout(p=0.5, inplace=False)\n"
                  "    (2): " BN1(
                      5) "\n"
                         "    (3): ReLU()\n"
                         "  )\n"
                         "  (fc2): Linear(in_features=5, out_features=4, bias=True)\n"
                         "  (probability): Softmax(dim=1)\n"
                         ")\n";

static void expect_text(const ptf_net *net, const char *want)
{
    char *text = fixture_text(net);
    assert_string_equal(text, want);
    free(text);
}

/* The rewrite must fail so, with all of the words in its message. */
static void expect_refusal_of(const ptf_net *net, const char *rewrite,
                              const char *input, ptf_status want,
                              const char *const *words)
{
    ptf_net *out;
    ptf_error err = {PTF_OK, ""};
    ptf_shape shape;
    if (input != NULL)
        assert_true(ptf_shape_parse(input, &shape));
    ptf_status status =
        ptf_net_rewrite(net, ptf_rewrite_find(rewrite),
                        input != NULL ? &shape : NULL, &out, &err);
    assert_int_equal(status, want);
    assert_int_equal(err.status, want);
    assert_null(out);
    for (int i = 0; words[i] != NULL; i++) {
        if (strstr(err.message, words[i]) == NULL)
            fail_msg("expected '%s' in: %s", words[i], err.message);
    }
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_refusal(const char *text, const char *rewrite,
                           ptf_status want, const char *const *words)
{
    ptf_net *net = fixture_net(text);
    expect_refusal_of(net, rewrite, NULL, want, words);
    ptf_net_free(net);
}

/* Runs a net on 'count' inputs; the outputs are to be freed. */
static float *run(const ptf_net *net, const char *input, int count,
                  int64_t *numel)
{
    ptf_plan *plan;
    ptf_error err;
    ptf_shape shape;
    assert_true(ptf_shape_parse(input, &shape));
    if (ptf_plan_make(net, &shape, count, NULL, &plan, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_shape out_shape = ptf_plan_output(plan);
    *numel = count * ptf_shape_numel(&out_shape);
    size_t in_size = (size_t)(count * ptf_shape_numel(&shape));
    float *in = malloc(in_size * sizeof(float));
    float *out = malloc((size_t)*numel * sizeof(float));
    ptf_random_fill(3, 0, in, in_size);
    if (ptf_plan_run(plan, in, count, out, &err) != PTF_OK)
        fail_msg("%s", err.message);
    free(in);
    ptf_plan_free(plan);
    return out;
}

/* Both nets give the same bits on the same inputs. */
static void expect_same_bits(const ptf_net *a, const ptf_net *b,
                             const char *input)
{
    int64_t a_count, b_count;
    float *x = run(a, input, 7, &a_count), *y = run(b, input, 7, &b_count);
    assert_int_equal(a_count, b_count);
    assert_memory_equal(x, y, (size_t)a_count * sizeof(float));
    free(x);
    free(y);
}

static void expect_close(const ptf_net *a, const ptf_net *b, const char *input)
{
    int64_t a_count, b_count;
    float *x = run(a, input, 7, &a_count), *y = run(b, input, 7, &b_count);
    assert_int_equal(a_count, b_count);
    for (int64_t i = 0; i < a_count; i++)
        assert_true(fabsf(x[i] - y[i]) < 1e-5f);
    free(x);
    free(y);
}

static const ptf_tensor *tensor_of(const ptf_net *net, const char *name)
{
    for (size_t i = 0; i < ptf_net_tensor_count(net); i++) {
        if (strcmp(ptf_net_tensor(net, i)->name, name) == 0)
            return ptf_net_tensor(net, i);
    }
    fail_msg("the net has no %s", name);
    return NULL;
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
    fixture_init(&f, small);
    fixture_make(&f);
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
    fixture_init(&f, text);
    fixture_make(&f);
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
                     tensor_of(f.net, "2.b.weight")->data);
    expect_same_bits(f.net, net, "3");
    ptf_net_free(net);
    fixture_free(&f);
}

static void rewritten_nets_read_back_from_their_texts(void **state)
{
    (void)state;
    static const char *const rewrites[] = {"fold_batchnorm", "drop_identity",
                                           "linear_to_conv"};
    ptf_net *nets[4] = {fixture_net(small)};
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
    const float *new_weight = tensor_of(folded, name[4])->data;
    const float *new_bias = tensor_of(folded, name[5])->data;
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
    fixture_init(&f, small);
    fixture_make(&f);
    ptf_net *folded = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    expect_folded(&f, folded, "conv.0", "conv.1", 3, 18);
    expect_folded(&f, folded, "fc1.0", "fc1.2", 5, 36);
    expect_close(f.net, folded, "2x6x5");
    assert_int_equal(ptf_net_tensor_count(folded), 6);
    assert_ptr_equal(tensor_of(folded, "fc2.weight"),
                     tensor_of(f.net, "fc2.weight"));
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
    fixture_init(&f, small);
    fixture_make(&f);
    ptf_net *dropped = fixture_rewrite(f.net, "drop_identity", NULL);
    ptf_net *net = fixture_rewrite(dropped, "batchnorm_to_epilogue", NULL);
    const float *gamma = fixture_numbers(&f, "conv.1.weight");
    const float *var = fixture_numbers(&f, "conv.1.running_var");
    const ptf_tensor *scale = tensor_of(net, "conv.0.scale");
    assert_int_equal(scale->dtype, PTF_F32);
    for (int c = 0; c < 3; c++)
        expect_rounded(((const float *)scale->data)[c],
                       (long double)gamma[c] /
                           sqrtl((long double)var[c] + (long double)1e-5));
    assert_non_null(tensor_of(net, "fc1.0.shift"));
    assert_ptr_equal(tensor_of(net, "conv.0.weight"),
                     tensor_of(f.net, "conv.0.weight"));
    expect_same_bits(f.net, net, "2x6x5");
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
    fixture_init(&f, small);
    fixture_make(&f);
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
    const ptf_tensor *weight = tensor_of(net, "fc1.0.weight");
    assert_int_equal(weight->rank, 4);
    assert_ptr_equal(weight->data, tensor_of(f.net, "fc1.0.weight")->data);
    assert_true(ptf_tensor_is_contiguous(weight));
    expect_same_bits(f.net, net, "2x6x5");
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
    expect_same_bits(f.net, net, "2x5");
    ptf_net_free(net);
    fixture_free(&f);
}

/* The weight of a Linear that was saved as the transpose of another tensor. */
static void transposed_weights_stay_where_they_are(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, small);
    fixture_make(&f);
    ptf_net_edit edit;
    ptf_error err;
    ptf_net *turned, *net;
    assert_int_equal(ptf_net_edit_begin(f.net, &edit, &err), PTF_OK);
    const ptf_tensor *weight = tensor_of(f.net, "fc1.0.weight");
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
        if (edit.nodes[i].tensors[PTF_WEIGHT] == weight)
            edit.nodes[i].tensors[PTF_WEIGHT] = &turned_weight;
    }
    assert_int_equal(ptf_net_edit_finish(&edit, "test", &turned, &err), PTF_OK);
    net = fixture_rewrite(turned, "linear_to_conv", NULL);
    expect_same_bits(f.net, net, "2x6x5");
    ptf_net *folded = fixture_rewrite(turned, "fold_batchnorm", NULL);
    expect_folded(&f, folded, "fc1.0", "fc1.2", 5, 36);
    ptf_net_free(folded);
    ptf_net_free(net);
    ptf_net_free(turned);
    free(moved);
    fixture_free(&f);
}

/* ---------------------------------------------------------------- refusals */

static void what_is_not_there_is_not_rewritten(void **state)
{
    (void)state;
    static const char plain[] = "# input: 4\n"
                                "Net(\n"
                                "  (0): Linear(in_features=4, "
                                "out_features=2, bias=True)\n"
                                ")\n";
    for (size_t i = 0; ptf_rewrite_at(i) != NULL; i++)
        expect_refusal(plain, ptf_rewrite_at(i)->name, PTF_UNSUPPORTED,
                       WORDS("nothing to rewrite", "Net has no"));
    expect_refusal("Net(\n  (0): Identity()\n)\n", "drop_identity",
                   PTF_UNSUPPORTED, WORDS("no layer left"));
    expect_refusal(plain + 11, "linear_to_conv", PTF_ARGUMENT,
                   WORDS("shape of the input"));
}

static void batch_norms_that_cannot_move_are_named(void **state)
{
    (void)state;
    static const char *const both[] = {"fold_batchnorm",
                                       "batchnorm_to_epilogue"};
    for (int i = 0; i < 2; i++) {
        expect_refusal("Net(\n  (first): " BN2(3) "\n)\n", both[i],
                       PTF_UNSUPPORTED,
                       WORDS("layer first (BatchNorm2d)", "before every"));
        expect_refusal("Net(\n  (0): " CONV(3, 4) "\n  (1): ReLU()\n"
                                                  "  (2): " BN2(4) "\n)\n",
                       both[i], PTF_UNSUPPORTED,
                       WORDS("layer 2 (BatchNorm2d)", "behind 1 (ReLU)"));
        expect_refusal("Net(\n  (0): " CONV(
                           3, 4) "\n"
                                 "  (1): Flatten(start_dim=1, end_dim=-1)\n"
                                 "  (2): " BN1(8) "\n)\n",
                       both[i], PTF_UNSUPPORTED,
                       WORDS("layer 2 (BatchNorm1d)", "behind 1 (Flatten)"));
        expect_refusal(
            "Net(\n  (0): " CONV(
                3, 4) "\n"
                      "  (1): BatchNorm2d(4, eps=1e-05, momentum=0.1, "
                      "affine=True, track_running_stats=False)\n)\n",
            both[i], PTF_UNSUPPORTED,
            WORDS("layer 1 (BatchNorm2d)", "running statistics"));
        expect_refusal("Net(\n  (0): Conv2d(3, 4, kernel_size=(1, 1), "
                       "stride=(1, 1), scale_shift=True)\n"
                       "  (1): " BN2(4) "\n)\n",
                       both[i], PTF_UNSUPPORTED,
                       WORDS("layer 1 (BatchNorm2d)", "0 (Conv2d)", "already"));
        /* Zeros around the map are not what the batch norm makes of zero. */
        expect_refusal(
            "Net(\n  (0): " BN2(
                3) "\n"
                   "  (1): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), "
                   "padding=(1, 1))\n)\n",
            both[i], PTF_UNSUPPORTED, WORDS("layer 0"));
    }
    expect_refusal(
        "Net(\n  (0): " CONV(3, 4) "\n"
                                   "  (1): Dropout(p=0.5, inplace=False)\n"
                                   "  (2): " BN2(4) "\n)\n",
        "batchnorm_to_epilogue", PTF_UNSUPPORTED,
        WORDS("layer 2", "behind 1 (Dropout)", "drop_identity"));
    expect_refusal(
        "Net(\n  (0): " CONV(3, 4) "\n  (1): " BN2(4) "\n"
                                                      "  (2): " BN2(4) "\n)\n",
        "batchnorm_to_epilogue", PTF_UNSUPPORTED,
        WORDS("layer 2 (BatchNorm2d)", "0 (Conv2d)", "already"));
}

/* One number of a trained net is changed; folding must see it. */
static void expect_bad_number(const char *tensor, float value,
                              ptf_status status, const char *const *words)
{
    static const char *const both[] = {"fold_batchnorm",
                                       "batchnorm_to_epilogue"};
    fixture f;
    fixture_init(
        &f, "Net(\n  (conv): " CONV(2, 3) "\n  (norm): " BN2(
                3) "\n"
                   "  (dim): Conv2d(3, 1, kernel_size=(1, 1), stride=(1, 1))"
                   "\n)\n");
    fixture_numbers(&f, tensor)[1] = value;
    fixture_make(&f);
    bool of_conv = strncmp(tensor, "conv", 4) == 0;
    for (int i = 0; i < (of_conv ? 1 : 2); i++)
        expect_refusal_of(f.net, both[i], NULL, status, words);
    fixture_free(&f);
}

static void numbers_that_no_trained_net_has_are_refused(void **state)
{
    (void)state;
    static const char *const tensors[] = {
        "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"};
    for (int i = 0; i < 4; i++) {
        const char *role = strchr(tensors[i], '.') + 1;
        expect_bad_number(
            tensors[i], NAN, PTF_FORMAT,
            WORDS("layer norm (BatchNorm2d)", role, "[1]", "finite"));
        expect_bad_number(tensors[i], INFINITY, PTF_FORMAT,
                          WORDS("layer norm (BatchNorm2d)", role, "inf"));
    }
    expect_bad_number("norm.running_var", -0.5f, PTF_FORMAT,
                      WORDS("layer norm", "running_var[1] is -0.5"));
    expect_bad_number("conv.weight", NAN, PTF_FORMAT,
                      WORDS("layer conv (Conv2d)", "weight", "channel 0"));
    expect_bad_number("conv.bias", -INFINITY, PTF_FORMAT,
                      WORDS("layer conv (Conv2d)", "bias", "channel 1"));
    expect_bad_number("conv.weight", 3e38f, PTF_UNSUPPORTED,
                      WORDS("layer conv", "too large"));
}

static void no_variance_and_no_eps_is_refused(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f,
                 "Net(\n  (conv): " CONV(
                     2, 3) "\n"
                           "  (norm): BatchNorm2d(3, eps=0.0, momentum=0.1, "
                           "affine=True, track_running_stats=True)\n)\n");
    fixture_numbers(&f, "norm.running_var")[2] = 0;
    fixture_make(&f);
    expect_refusal_of(f.net, "fold_batchnorm", NULL, PTF_FORMAT,
                      WORDS("layer norm", "running_var[2] + eps is 0"));
    fixture_free(&f);
}

/* A graph that no text can say: the batch norm is not the only reader. */
static void a_value_used_twice_is_refused(void **state)
{
    (void)state;
    ptf_net *net = fixture_net("Net(\n  (conv): " CONV(
        2, 3) "\n"
              "  (norm): " BN2(3) "\n  (last): ReLU()\n)\n");
    net->nodes[3].inputs[0] = 1;
    expect_refusal_of(net, "fold_batchnorm", NULL, PTF_UNSUPPORTED,
                      WORDS("layer norm", "conv (Conv2d) is used 2 times"));
    net->nodes[3].inputs[0] = 2;
    net->output = 1;
    expect_refusal_of(net, "batchnorm_to_epilogue", NULL, PTF_UNSUPPORTED,
                      WORDS("layer norm", "conv (Conv2d) is used 2 times"));
    ptf_net_free(net);
}

static void weights_used_twice_are_refused(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, "Net(\n  (a): " CONV(2, 2) "\n  (norm): " BN2(
                         2) "\n"
                            "  (b): " CONV(2, 2) "\n)\n");
    fixture_make(&f);
    f.net->nodes[3].tensors[PTF_WEIGHT] = f.net->nodes[1].tensors[PTF_WEIGHT];
    expect_refusal_of(f.net, "fold_batchnorm", NULL, PTF_UNSUPPORTED,
                      WORDS("layer a (Conv2d)", "those of b"));
    fixture_free(&f);
}

static void maps_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    ptf_net *net = fixture_net(ptf_arch_text("Net1"));
    expect_refusal_of(net, "linear_to_conv", "3x33x32", PTF_ARGUMENT,
                      WORDS("layer classifier.0 (Linear)", "87552"));
    ptf_net_free(net);
    expect_refusal(
        "# input: 2x4x4\n"
        "Net(\n  (0): Flatten(start_dim=1, end_dim=-1)\n"
        "  (1): " BN1(
            32) "\n"
                "  (2): Linear(in_features=32, out_features=2, bias=True)\n"
                ")\n",
        "linear_to_conv", PTF_UNSUPPORTED, WORDS("nothing"));
}

/* Every failing allocation of a rewrite ends in PTF_MEMORY without a leak. */
static void out_of_memory_is_reported(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, small);
    fixture_make(&f);
    for (size_t i = 0; ptf_rewrite_at(i) != NULL; i++) {
        if (strcmp(ptf_rewrite_at(i)->name, "batchnorm_to_epilogue") == 0)
            continue; /* refuses the Dropout in this net */
        ptf_status status = PTF_MEMORY;
        for (long n = 0; status == PTF_MEMORY; n++) {
            ptf_net *out;
            ptf_error err;
            ptf_alloc_fail_after(n);
            status =
                ptf_net_rewrite(f.net, ptf_rewrite_at(i), NULL, &out, &err);
            ptf_alloc_fail_after(-1);
            assert_int_equal(out == NULL, status != PTF_OK);
            ptf_net_free(out);
        }
        assert_int_equal(status, PTF_OK);
    }
    fixture_free(&f);
}

/* -------------------------------------------------------------------- files */

static void a_saved_net_reads_back_with_its_text_and_history(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, small);
    fixture_make(&f);
    ptf_net *net = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    char path[] = "saved-XXXXXX.safetensors";
    int fd = mkstemps(path, 12);
    assert_true(fd >= 0);
    close(fd);
    ptf_error err;
    ptf_checkpoint *ckpt;
    ptf_net *again;
    if (ptf_net_save(net, path, f.ckpt, &err) != PTF_OK ||
        ptf_checkpoint_open(path, NULL, &ckpt, &err) != PTF_OK)
        fail_msg("%s", err.message);
    unlink(path);
    char *text = fixture_text(net), hash[65];
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "architecture"), text);
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "rewrites"),
                        "fold_batchnorm");
    assert_int_equal(ptf_checkpoint_sha256(f.ckpt, hash, &err), PTF_OK);
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "source_sha256"), hash);
    if (ptf_net_make(ptf_checkpoint_metadata(ckpt, "architecture"), path, ckpt,
                     &again, &err) != PTF_OK)
        fail_msg("%s", err.message);
    expect_same_bits(net, again, "2x6x5");
    free(text);
    ptf_net_free(again);
    ptf_checkpoint_close(ckpt);
    ptf_net_free(net);
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
        cmocka_unit_test(what_is_not_there_is_not_rewritten),
        cmocka_unit_test(batch_norms_that_cannot_move_are_named),
        cmocka_unit_test(numbers_that_no_trained_net_has_are_refused),
        cmocka_unit_test(no_variance_and_no_eps_is_refused),
        cmocka_unit_test(a_value_used_twice_is_refused),
        cmocka_unit_test(weights_used_twice_are_refused),
        cmocka_unit_test(maps_that_do_not_fit_are_refused),
        cmocka_unit_test(out_of_memory_is_reported),
        cmocka_unit_test(a_saved_net_reads_back_with_its_text_and_history),
    };
    return cmocka_run_group_tests_name("rewrite", tests, NULL, NULL);
}
