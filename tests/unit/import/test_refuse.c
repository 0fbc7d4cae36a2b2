/*
 * rewrite: every refusal, no memory, and what is saved.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "ports.h"
#include "rewrite/rewrite.h"

#include <math.h>
#include <unistd.h>

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
    if (status != want)
        fail_msg("%s: expected status %d, got %d: %s", rewrite, (int)want,
                 (int)status, err.message);
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

/* ---------------------------------------------------------------- refusals */

static void what_is_not_there_is_not_rewritten(void **state)
{
    (void)state;
    static const char plain[] = "# input: 4\n"
                                "Net(\n"
                                "  (0): Linear(in_features=4, "
                                "out_features=2, bias=True)\n"
                                ")\n";
    fixture f;
    fixture_build(&f, plain);
    for (size_t i = 0; ptf_rewrite_at(i) != NULL; i++)
        expect_refusal_of(f.net, ptf_rewrite_at(i)->name, "4", PTF_UNSUPPORTED,
                          WORDS("nothing to rewrite", "Net has no"));
    fixture_free(&f);
    expect_refusal(plain, "merge_branches", PTF_ARGUMENT,
                   WORDS("needs the numbers of the layers"));
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
        expect_refusal(
            "Net(\n  (first): " BN2(3) "\n)\n", both[i], PTF_UNSUPPORTED,
            WORDS("layer first (BatchNorm2d)", "before it, got none"));
        expect_refusal("Net(\n  (0): " CONV(3, 4) "\n  (1): ReLU()\n"
                                                  "  (2): " BN2(4) "\n)\n",
                       both[i], PTF_UNSUPPORTED,
                       WORDS("layer 2 (BatchNorm2d)", "follows 1 (ReLU)"));
        expect_refusal("Net(\n  (0): " CONV(
                           3, 4) "\n"
                                 "  (1): Flatten(start_dim=1, end_dim=-1)\n"
                                 "  (2): " BN1(8) "\n)\n",
                       both[i], PTF_UNSUPPORTED,
                       WORDS("layer 2 (BatchNorm1d)",
                             i == 0 ? "has 4 channels, this batch norm 8"
                                    : "follows 1 (Flatten)"));
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
        WORDS("layer 2", "follows 1 (Dropout)", "drop_identity"));
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
                      WORDS("layer norm", "channel 0 too large"));
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
    give_output(net, 1);
    expect_refusal_of(net, "batchnorm_to_epilogue", NULL, PTF_UNSUPPORTED,
                      WORDS("layer norm", "conv (Conv2d) is used 2 times"));
    ptf_net_free(net);
}

static void weights_used_twice_are_parted_and_remarked(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, "Net(\n  (a): " CONV(2, 2) "\n  (norm): " BN2(
                         2) "\n"
                            "  (b): " CONV(2, 2) "\n)\n");
    fixture_make(&f);
    const ptf_tensor *weight = f.net->nodes[1].tensors[PTF_ROLE_WEIGHT];
    f.net->nodes[3].tensors[PTF_ROLE_WEIGHT] = weight;
    ptf_net *net = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    ptf_remark r;
    assert_true(ptf_net_remark(net, 0, &r));
    assert_string_equal(r.layer, "a");
    assert_false(r.left);
    assert_non_null(strstr(r.text, "in common with b"));
    assert_non_null(strstr(r.text, "does not tie them"));
    assert_false(ptf_net_remark(net, 1, &r));
    assert_ptr_equal(net->nodes[2].tensors[PTF_ROLE_WEIGHT]->data,
                     weight->data);
    assert_ptr_not_equal(net->nodes[1].tensors[PTF_ROLE_WEIGHT]->data,
                         weight->data);
    ptf_net_free(net);
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

/* All the reasons that there are, beside a batch norm that can move. */
static const char some_stay[] = //
    "# input: 3x6x6\n"
    "Net(\n"
    "  (0): " BN2(
        3) "\n"
           "  (1): " CONV(
               3,
               4) "\n"
                  "  (2): " BN2(
                      4) "\n"
                         "  (3): ReLU()\n"
                         "  (4): " BN2(
                             4) "\n"
                                "  (5): " CONV(
                                    4,
                                    2) "\n"
                                       "  (6): BatchNorm2d(2, eps=1e-05, momentum=0.1, affine=True, "
                                       "track_running_stats=False)\n"
                                       "  (7): " BN2(2) "\n"
                                                        ")\n";

static void what_cannot_move_stays_and_is_listed(void **state)
{
    (void)state;
    static const struct {
        const char *layer, *text;
    } want[] = {{"0", "before it, got none"},
                {"4", "follows 3 (ReLU)"},
                {"6", "running statistics"},
                {"7", "follows 6 (BatchNorm2d)"}};
    static const struct {
        const char *rewrite;
        size_t first; /* of those wanted: the others go into what reads them */
        const char *named, *rest; /* of what is left when it is done again */
    } both[] = {
        {"fold_batchnorm", 2, "layer 3 (BatchNorm2d)", "; layer 4"},
        {"batchnorm_to_epilogue", 0, "layer 0 (BatchNorm2d)", "more like this"},
    };
    ptf_net *net = fixture_net(some_stay);
    for (int i = 0; i < 2; i++) {
        ptf_net *out = fixture_rewrite(net, both[i].rewrite, NULL);
        ptf_remark r;
        size_t k = both[i].first;
        for (; ptf_net_remark(out, k - both[i].first, &r); k++) {
            assert_true(k < PTF_ARRAY_SIZE(want) && r.left);
            assert_string_equal(r.layer, want[k].layer);
            assert_string_equal(r.op, "BatchNorm2d");
            assert_non_null(strstr(r.text, want[k].text));
        }
        assert_int_equal(k, PTF_ARRAY_SIZE(want));
        assert_int_equal(ptf_net_layer_count(out),
                         ptf_net_layer_count(net) - 1 - both[i].first);
        /* Remarks are about one rewrite, and a message is one line. */
        expect_refusal_of(
            out, both[i].rewrite, NULL, PTF_UNSUPPORTED,
            WORDS("nothing to rewrite: ", both[i].named, both[i].rest));
        ptf_net_free(out);
    }
    ptf_net_free(net);
}

/* An epilogue is one scale and one shift. */
static void a_second_batch_norm_stays_behind_an_epilogue(void **state)
{
    (void)state;
    ptf_remark r;
    ptf_net *net = fixture_net("Net(\n  (0): " CONV(3, 4) "\n  (1): " BN2(
        4) "\n  (2): " BN2(4) "\n)\n");
    ptf_net *out = fixture_rewrite(net, "batchnorm_to_epilogue", NULL);
    assert_true(ptf_net_remark(out, 0, &r));
    assert_string_equal(r.layer, "2");
    assert_non_null(strstr(r.text, "0 (Conv2d) before it has a scale"));
    assert_int_equal(ptf_net_layer_count(out), 2);
    ptf_net_free(out);
    ptf_net_free(net);
}

/* A fold that no float can hold leaves its layer as it was. */
static void what_no_float_holds_stays(void **state)
{
    (void)state;
    fixture f;
    ptf_remark r;
    fixture_init(&f, "Net(\n  (a): " CONV(2, 2) "\n  (m): " BN2(
                         2) "\n  (b): " CONV(2, 2) "\n  (n): " BN2(2) "\n)\n");
    fixture_numbers(&f, "a.weight")[1] = 3e38F;
    fixture_numbers(&f, "m.weight")[0] = 100;
    fixture_make(&f);
    ptf_net *net = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    assert_true(ptf_net_remark(net, 0, &r));
    assert_string_equal(r.layer, "m");
    assert_non_null(strstr(r.text, "too large for a float"));
    assert_ptr_equal(net->nodes[1].tensors[PTF_ROLE_WEIGHT]->data,
                     f.net->nodes[1].tensors[PTF_ROLE_WEIGHT]->data);
    assert_int_equal(ptf_net_layer_count(net), 3);
    ptf_net_free(net);
    fixture_free(&f);
}

/* Every failing allocation of a rewrite ends in PTF_MEMORY without a leak. */
static void out_of_memory_is_reported(void **state)
{
    (void)state;
    static const char *const applied[] = {"fold_batchnorm",
                                          "batchnorm_to_epilogue",
                                          "linear_to_conv", "drop_identity"};
    fixture f;
    fixture_build(&f, fixture_small);
    for (size_t i = 0; ptf_rewrite_at(i) != NULL; i++) {
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
        bool applies = false;
        for (size_t k = 0; k < PTF_ARRAY_SIZE(applied); k++)
            applies |= strcmp(ptf_rewrite_at(i)->name, applied[k]) == 0;
        assert_int_equal(status, applies ? PTF_OK : PTF_UNSUPPORTED);
    }
    fixture_free(&f);
}

/* -------------------------------------------------------------------- files */

static void a_saved_net_reads_back_with_its_text_and_history(void **state)
{
    (void)state;
    fixture f;
    fixture_build(&f, fixture_small);
    ptf_net *net = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    char path[] = "saved-XXXXXX.safetensors";
    int fd = mkstemps(path, 12);
    assert_true(fd >= 0);
    close(fd);
    ptf_error err;
    ptf_checkpoint *ckpt = NULL;
    ptf_net *again = NULL;
    if (ptf_net_save(net, path, f.ckpt, NULL, &err) != PTF_OK ||
        ptf_checkpoint_open(path, NULL, &ckpt, &err) != PTF_OK)
        fail_msg("%s", err.message);
    unlink(path);
    char *text = fixture_text(net), hash[65];
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "architecture"), text);
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "rewrites"),
                        "fold_batchnorm");
    assert_int_equal(ptf_checkpoint_sha256(f.ckpt, hash, &err), PTF_OK);
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "source_sha256"), hash);
    if (ptf_net_make(NULL, NULL, ckpt, NULL, &again, &err) != PTF_OK)
        fail_msg("%s", err.message);
    fixture_same_bits(net, again, "2x6x5");
    free(text);
    ptf_net_free(again);
    ptf_checkpoint_close(ckpt);
    ptf_net_free(net);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_there_is_not_rewritten),
        cmocka_unit_test(batch_norms_that_cannot_move_are_named),
        cmocka_unit_test(numbers_that_no_trained_net_has_are_refused),
        cmocka_unit_test(no_variance_and_no_eps_is_refused),
        cmocka_unit_test(a_value_used_twice_is_refused),
        cmocka_unit_test(weights_used_twice_are_parted_and_remarked),
        cmocka_unit_test(maps_that_do_not_fit_are_refused),
        cmocka_unit_test(what_cannot_move_stays_and_is_listed),
        cmocka_unit_test(a_second_batch_norm_stays_behind_an_epilogue),
        cmocka_unit_test(what_no_float_holds_stays),
        cmocka_unit_test(out_of_memory_is_reported),
        cmocka_unit_test(a_saved_net_reads_back_with_its_text_and_history),
    };
    return cmocka_run_group_tests_name("refuse", tests, NULL, NULL);
}
