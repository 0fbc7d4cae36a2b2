/*
 * Conventions: the totals of other tools.  The figures come from running them
 * on the same modules in PyTorch 2.13: torchinfo 1.8.0, thop 0.1.1, fvcore
 * 0.1.5, ptflops 0.7.5, torch.utils.flop_counter.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "net/net.h"
#include "ports.h"

static const char mixed_1d[] =
    "# input: 3x15\n"
    "Sequential(\n"
    "  (0): Conv1d(3, 6, kernel_size=(5,), stride=(1,), padding=(2,))\n"
    "  (1): " BN1(
        6) "\n"
           "  (2): ReLU()\n"
           "  (3): Conv1d(6, 4, kernel_size=(3,), stride=(2,))\n"
           "  (4): Softmax(dim=1)\n"
           "  (5): Flatten(start_dim=1, end_dim=-1)\n"
           "  (6): Linear(in_features=28, out_features=2, bias=True)\n"
           ")\n";

static const char unfolded[] =
    "# input: 3x32x32\n"
    "Sequential(\n"
    "  (0): Conv2d(3, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), "
    "bias=False)\n"
    "  (1): " BN2(
        16) "\n"
            "  (2): ReLU()\n"
            "  (3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, "
            "ceil_mode=False)\n"
            "  (4): Flatten(start_dim=1, end_dim=-1)\n"
            "  (5): Linear(in_features=4096, out_features=10, bias=True)\n"
            ")\n";

/* macs flops torchinfo thop fvcore ptflops ptflops-aten */
enum { CONVENTIONS = 7 };

static void check_totals(const ptf_net *net, const char *input,
                         const int64_t want[CONVENTIONS])
{
    ptf_shape shape;
    assert_true(input != NULL ? ptf_shape_parse(input, &shape)
                              : input_of(net, &shape));
    ptf_count layers[FIXTURE_MAX], total;
    ptf_error err;
    assert_true(ptf_net_layer_count(net) <= FIXTURE_MAX);
    for (size_t i = 0; i < CONVENTIONS; i++) {
        ptf_count_options options = {.convention = ptf_convention_at(i)};
        if (ptf_net_count(net, &shape, &options, layers, &total, &err) !=
            PTF_OK)
            fail_msg("%s", err.message);
        assert_int_equal(total.conventional, want[i]);
    }
}

static void check_text(const char *text, const char *input,
                       const int64_t want[CONVENTIONS])
{
    ptf_net *net = fixture_net(text);
    check_totals(net, input, want);
    ptf_net_free(net);
}

static void conventions_give_what_the_tools_give(void **unused)
{
    (void)unused;
    check_text(ptf_arch_text("AlexNet"), "3x227x227",
               (int64_t[]){714188480, 1428376960, 714682664, 714206912,
                           714197696, 716441128, 714682664});
    check_text(fixture_mixed, NULL,
               (int64_t[]){20159, 40318, 20434, 27093, 23477, 28781, 20404});
    check_text(mixed_1d, NULL,
               (int64_t[]){1910, 3820, 2042, 2347, 2090, 2418, 2030});
}

/* AlexNet as torchvision has it, with padding 2 in the first layer. */
static void conventions_follow_the_padding(void **unused)
{
    (void)unused;
    static const char first[] =
        "Conv2d(3, 64, kernel_size=(11, 11), stride=(4, 4))";
    const char *text = ptf_arch_text("AlexNet"), *at = strstr(text, first);
    assert_non_null(at);
    char padded[8192];
    snprintf(padded, sizeof(padded), "%.*s, padding=(2, 2))%s",
             (int)(at - text + (long)strlen(first) - 1), text,
             at + strlen(first));
    check_text(padded, "3x227x227",
               (int64_t[]){716767232, 1433534464, 717268520, 716785664,
                           716776448, 719055400, 717268520});
    check_text(padded, "3x224x224",
               (int64_t[]){714188480, 1428376960, 714682664, 714206912,
                           714197696, 716441128, 714682664});
}

/* Folding lets some tools' counts rise and others' fall. */
static void folding_a_batch_norm_moves_conventions_apart(void **unused)
{
    (void)unused;
    fixture f;
    fixture_build(&f, unfolded);
    check_totals(
        f.net, NULL,
        (int64_t[]){483328, 966656, 483370, 548864, 516096, 581642, 483338});
    ptf_net *folded = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    check_totals(
        folded, NULL,
        (int64_t[]){483328, 966656, 499722, 483328, 483328, 565258, 499722});
    ptf_net_free(folded);
    fixture_free(&f);
}

static void conventions_are_found_by_number_and_name(void **unused)
{
    (void)unused;
    static const char *const names[CONVENTIONS] = {
        "macs",   "flops",   "torchinfo",   "thop",
        "fvcore", "ptflops", "ptflops-aten"};
    for (size_t i = 0; i < CONVENTIONS; i++) {
        assert_string_equal(ptf_convention_at(i)->name, names[i]);
        assert_ptr_equal(ptf_convention_find(names[i]), ptf_convention_at(i));
    }
    assert_null(ptf_convention_at(CONVENTIONS));
    assert_null(ptf_convention_find("mac"));
}

/* No tool counts operators between values, or torch.cat; see counts.md. */
static void conventions_count_no_operators(void **unused)
{
    (void)unused;
    static const ptf_op ops[] = {PTF_OP_ADD,   PTF_OP_SUB,     PTF_OP_MUL,
                                 PTF_OP_DIV,   PTF_OP_MAXIMUM, PTF_OP_MINIMUM,
                                 PTF_OP_CONCAT};
    int inputs[2] = {0, 0};
    ptf_tensor scale = {.dtype = PTF_DTYPE_F32, .rank = 1, .shape = {7}};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(ops); i++) {
        ptf_node nodes[3] = {
            {.op = PTF_OP_INPUT, .name = ""},
            {.op = ops[i], .name = "op", .input_count = 2, .inputs = inputs},
            {.op = PTF_OP_CONSTANT, .name = "scale", .tensors = {&scale}},
        };
        nodes[1].attrs.dim = 1;
        ptf_net net = {.nodes = nodes, .node_count = 3};
        give_input(&net, NULL);
        give_output(&net, 1);
        check_totals(&net, "4x5x7", (int64_t[CONVENTIONS]){0});
        ptf_arena_free(&net.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conventions_give_what_the_tools_give),
        cmocka_unit_test(conventions_follow_the_padding),
        cmocka_unit_test(folding_a_batch_norm_moves_conventions_apart),
        cmocka_unit_test(conventions_are_found_by_number_and_name),
        cmocka_unit_test(conventions_count_no_operators),
    };
    return cmocka_run_group_tests_name("conventions", tests, NULL, NULL);
}
