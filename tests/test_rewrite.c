/*
 * rewrite: numbers, names and texts of rewritten nets, the same bits where
 * they are promised, and every refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "rewrite/rewrite.h"

#include <math.h>

/* ---------------------------------------------------------------- helpers */

#define BN1(n) \
    "BatchNorm1d(" #n ", eps=1e-05, momentum=0.1, affine=True, " \
    "track_running_stats=True)"
#define BN2(n) \
    "BatchNorm2d(" #n ", eps=1e-05, momentum=0.1, affine=True, " \
    "track_running_stats=True)"
#define CONV(in, out) \
    "Conv2d(" #in ", " #out ", kernel_size=(3, 3), stride=(1, 1))"

/* A small smallNet: convolutions with batch norm, then linear with one. */
static const char small[] =
    "# input: 2x6x5\n"
    "Small(\n"
    "  (conv): Sequential(\n"
    "    (0): " CONV(2, 3) "\n"
    "    (1): " BN2(3) "\n"
    "    (2): ReLU()\n"
    "  )\n"
    "  (fc1): Sequential(\n"
    "    (0): Linear(in_features=36, out_features=5, bias=False)\n"
    "    (1): Dropout(p=0.5, inplace=False)\n"
    "    (2): " BN1(5) "\n"
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
    expect_text(dropped,
                "# input: 2x6x5\n"
                "Small(\n"
                "  (conv): Sequential(\n"
                "    (0): " CONV(2, 3) "\n"
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
    static const char *const rewrites[] = {
        "fold_batchnorm", "drop_identity", "linear_to_conv"};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_net_folds_to_the_courses_test_net),
        cmocka_unit_test(net1_becomes_net2),
        cmocka_unit_test(dropped_layers_renumber_their_neighbours),
        cmocka_unit_test(tensors_follow_their_layers_to_new_names),
        cmocka_unit_test(rewritten_nets_read_back_from_their_texts),
    };
    return cmocka_run_group_tests_name("rewrite", tests, NULL, NULL);
}
