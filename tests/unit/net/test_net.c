/*
 * net: texts in and out, shapes, and every refusal of a text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "ports.h"

#include <locale.h>

/* --------------------------------------------------------- texts and shapes */

static void built_in_texts_print_as_they_were_read(void **state)
{
    (void)state;
    size_t count = 0;
    for (; ptf_arch_name(count) != NULL; count++) {
        const char *name = ptf_arch_name(count);
        ptf_net *net = fixture_net(ptf_arch_text(name));
        char *text = fixture_text(net);
        assert_string_equal(text, ptf_arch_text(name));
        assert_string_equal(ptf_net_name(net), name);
        free(text);
        ptf_net_free(net);
    }
    assert_int_equal(count, 5);
    assert_null(ptf_arch_text("Net3"));
}

/* Layers as PyTorch 1.13 prints them, an input, and the output it gave. */
static const struct {
    const char *text, *input, *output;
} layers[] = {
    {"Conv2d(4, 6, kernel_size=(3, 3), stride=(1, 1))", "4x9x8", "6x7x6"},
    {"Conv2d(4, 6, kernel_size=(3, 2), stride=(2, 3), padding=(1, 0), dilation=(2, 1), groups=2, bias=False)",
     "4x9x8", "6x4x3"},
    {"Conv2d(4, 4, kernel_size=(5, 5), stride=(1, 1), padding=same, groups=4)",
     "4x7x3", "4x7x3"},
    {"Conv2d(4, 4, kernel_size=(3, 5), stride=(1, 1), padding=valid, dilation=(1, 2))",
     "4x9x13", "4x7x5"},
    {"Conv1d(2, 3, kernel_size=(4,), stride=(2,), padding=(1,), dilation=(2,))",
     "2x17", "3x7"},
    {"Conv1d(2, 3, kernel_size=(4,), stride=(1,), bias=False)", "2x17", "3x14"},
    {"Conv2d(4, 4, kernel_size=(2, 4), stride=(1, 1), padding=same)", "4x7x3",
     "4x7x3"},
    {"Conv3d(2, 3, kernel_size=(2, 3, 1), stride=(1, 2, 1), padding=(0, 1, 0))",
     "2x4x5x6", "3x3x3x6"},
    {"ConvTranspose1d(4, 6, kernel_size=(3,), stride=(1,))", "4x7", "6x9"},
    {"ConvTranspose2d(4, 6, kernel_size=(2, 4), stride=(2, 2), padding=(0, 1), dilation=(2, 2), output_padding=(1, 1), groups=2)",
     "4x5x6", "6x12x16"},
    {"ConvTranspose3d(2, 3, kernel_size=(2, 2, 2), stride=(2, 2, 2), bias=False)",
     "2x3x4x5", "3x6x8x10"},
    {"MaxPool1d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
     "2x9", "2x4"},
    {"MaxPool3d(kernel_size=(1, 2, 2), stride=(1, 2, 2), padding=0, dilation=1, ceil_mode=False)",
     "2x3x6x9", "2x3x3x4"},
    {"AvgPool1d(kernel_size=(3,), stride=(3,), padding=(0,))", "2x9", "2x3"},
    {"AvgPool3d(kernel_size=(1, 2, 2), stride=(1, 2, 2), padding=0)", "2x3x4x6",
     "2x3x2x3"},
    {"AdaptiveAvgPool1d(output_size=1)", "2x9", "2x1"},
    {"AdaptiveAvgPool3d(output_size=(1, None, 2))", "2x3x4x5", "2x1x4x2"},
    {"AdaptiveMaxPool1d(output_size=4)", "2x9", "2x4"},
    {"AdaptiveMaxPool2d(output_size=(2, 3))", "2x9x8", "2x2x3"},
    {"BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
     "4x3x2", "4x3x2"},
    {"BatchNorm2d(4, eps=0.001, momentum=None, affine=False, track_running_stats=True)",
     "4x3x2", "4x3x2"},
    {"BatchNorm1d(4, eps=1e-12, momentum=0.01, affine=True, track_running_stats=False)",
     "4x3", "4x3"},
    {"BatchNorm1d(5, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
     "5", "5"},
    {"Linear(in_features=5, out_features=7, bias=True)", "5", "7"},
    {"Linear(in_features=5, out_features=7, bias=False)", "5", "7"},
    {"ReLU()", "2x3x4", "2x3x4"},
    {"ReLU(inplace=True)", "2x3", "2x3"},
    {"LeakyReLU(negative_slope=0.01)", "3", "3"},
    {"LeakyReLU(negative_slope=0.2, inplace=True)", "3", "3"},
    {"Sigmoid()", "3", "3"},
    {"Tanh()", "3", "3"},
    {"Softplus(beta=1.0, threshold=20.0)", "3", "3"},
    {"Softplus(beta=-0.5, threshold=3.5)", "2x3x4", "2x3x4"},
    {"Softmax(dim=1)", "3", "3"},
    {"Softmax(dim=-1)", "2x3x4", "2x3x4"},
    {"Softmax(dim=None)", "2x3x4", "2x3x4"},
    {"MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)",
     "2x10x9", "2x4x4"},
    {"MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=True)",
     "2x10x9", "2x5x4"},
    {"MaxPool2d(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), ceil_mode=False)",
     "2x10x9", "2x5x7"},
    {"MaxPool2d(kernel_size=2, stride=2, padding=1, dilation=1, ceil_mode=True)",
     "2x5x6", "2x3x4"},
    {"MaxPool2d(kernel_size=2, stride=3, padding=0, dilation=1, ceil_mode=True)",
     "2x7x6", "2x3x2"},
    {"AvgPool2d(kernel_size=2, stride=2, padding=0)", "2x6x4", "2x3x2"},
    {"AvgPool2d(kernel_size=(2, 3), stride=1, padding=0)", "2x6x4", "2x5x2"},
    {"AdaptiveAvgPool2d(output_size=(6, 6))", "2x9x13", "2x6x6"},
    {"AdaptiveAvgPool2d(output_size=1)", "2x9x13", "2x1x1"},
    {"AdaptiveAvgPool2d(output_size=(None, 7))", "2x9x13", "2x9x7"},
    {"Flatten(start_dim=1, end_dim=-1)", "2x3x4", "24"},
    {"Flatten(start_dim=2, end_dim=-1)", "2x3x4", "2x12"},
    {"Flatten(start_dim=1, end_dim=2)", "2x3x4", "6x4"},
    {"Flatten(start_dim=-2, end_dim=-1)", "2x3x4", "2x12"},
    {"Dropout(p=0.25, inplace=False)", "3", "3"},
    {"Dropout2d(p=0.5, inplace=False)", "3x2x2", "3x2x2"},
    {"Dropout1d(p=0.1, inplace=True)", "3x2", "3x2"},
    {"Identity()", "3", "3"},
    {"Sequential()", "3", "3"},
    /* PyTorch 2.13 */
    {"BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=False, track_running_stats=True)",
     "4x3x2", "4x3x2"},
};

static void layers_have_the_shapes_that_pytorch_gives_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(layers); i++) {
        ptf_net *net = fixture_net(layers[i].text);
        ptf_shape in, shapes[2];
        ptf_error err;
        char found[PTF_SHAPE_TEXT];
        assert_int_equal(net->node_count, 2);
        assert_true(ptf_shape_parse(layers[i].input, &in));
        if (ptf_net_shapes(net, &in, shapes, &err) != PTF_OK)
            fail_msg("%s", err.message);
        ptf_shape_text(&shapes[1], found);
        if (strcmp(found, layers[i].output) != 0)
            fail_msg("%s: got %s", layers[i].text, found);
        ptf_net_free(net);
    }
}

static void layers_print_as_pytorch_prints_them(void **state)
{
    (void)state;
    int compared = 0;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(layers); i++) {
        ptf_net *net = fixture_net(layers[i].text);
        ptf_arena arena = {NULL};
        const ptf_node *node = &net->nodes[1];
        const char *class_name = ptf_op_info(node->op)->class_name;
        /* A (6, 6) that could be a 6, and other names of an op, are kept as
         * they are read; a text made anew takes the short form. */
        if (strcmp(class_name, node->class_name) == 0 &&
            node->op != PTF_OP_ADAPTIVE_AVGPOOL2D) {
            assert_string_equal(ptf_op_text(&arena, node->op, &node->attrs),
                                layers[i].text);
            compared++;
        }
        char *text = fixture_text(net);
        text[strlen(text) - 1] = '\0'; /* the newline */
        assert_string_equal(text, layers[i].text);
        free(text);
        ptf_arena_free(&arena);
        ptf_net_free(net);
    }
    assert_in_range(compared, 30, 60);
}

static void floats_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    const char *old = setlocale(LC_ALL, NULL);
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        print_message("no German locale here: half of this test is skipped\n");
    ptf_arena arena = {NULL};
    ptf_net *net = fixture_net("LeakyReLU(negative_slope=0.25)");
    assert_int_equal((int)(net->nodes[1].attrs.p[0] * 1000), 250);
    static const struct {
        double value;
        const char *text;
    } floats[] = {{0.25, "0.25"},
                  {1e-05, "1e-05"},
                  {0.0001, "0.0001"},
                  {100, "100.0"},
                  {1e15, "1000000000000000.0"},
                  {1e16, "1e+16"},
                  {0.1 + 0.2, "0.30000000000000004"},
                  {-2, "-2.0"},
                  {5e-324, "5e-324"},
                  {1.5e300, "1.5e+300"}};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(floats); i++) {
        char want[64];
        net->nodes[1].attrs.p[0] = floats[i].value;
        snprintf(want, sizeof(want), "LeakyReLU(negative_slope=%s)",
                 floats[i].text);
        assert_string_equal(
            ptf_op_text(&arena, PTF_OP_LEAKY_RELU, &net->nodes[1].attrs), want);
    }
    setlocale(LC_ALL, old);
    ptf_arena_free(&arena);
    ptf_net_free(net);
}

static void expect_output(const char *text, const char *input, const char *want)
{
    ptf_net *net = fixture_net(text);
    ptf_shape in, shapes[16];
    ptf_error err;
    char found[PTF_SHAPE_TEXT];
    assert_true(ptf_shape_parse(input, &in));
    if (ptf_net_shapes(net, &in, shapes, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_shape_text(&shapes[output_of(net)], found);
    assert_string_equal(found, want);
    ptf_net_free(net);
}

static void other_ways_of_writing_the_same_are_read(void **state)
{
    (void)state;
    /* PyTorch 0.2 and 0.3 */
    expect_output("Net (\n"
                  "  (features): Sequential (\n"
                  "    (0): Conv2d (3, 64, kernel_size=(11, 11), stride=(4, 4))"
                  "\n  )\n)\n",
                  "3x227x227", "64x55x55");
    /* Repeats since 2.0, here with children and in a row */
    expect_output("Net(\n"
                  "  (list): Blocks(\n"
                  "    (0-2): 3 x Sequential(\n"
                  "      (0-1): 2 x Linear(in_features=4, out_features=4, "
                  "bias=True)\n"
                  "    )\n"
                  "    (3): Linear(in_features=4, out_features=2, bias=True)\n"
                  "  )\n)\n",
                  "4", "2");
    /* Windows lines, tabs, a comment, quotes, a mark in front */
    expect_output("\xef\xbb\xbf"
                  "Net(\r\n\t# a comment\r\n\r\n"
                  "\t(a): Conv2d(1,1,kernel_size=3,stride=1, padding='same', "
                  "padding_mode=\"zeros\")\r\n)\r\n",
                  "1x5x6", "1x5x6");
    /* What PyTorch does not print can be added. */
    expect_output("AvgPool2d(kernel_size=2, stride=2, padding=0, "
                  "ceil_mode=True)",
                  "1x5x5", "1x3x3");
    expect_output("AvgPool2d(kernel_size=3, stride=2, padding=1, "
                  "ceil_mode=False, count_include_pad=False)",
                  "1x6x6", "1x3x3");
}

static void repeats_are_written_out(void **state)
{
    (void)state;
    ptf_net *net = fixture_net("Net(\n  (0-1): 2 x Sequential(\n"
                               "    (0): ReLU()\n  )\n)\n");
    char *text = fixture_text(net);
    assert_string_equal(text, "Net(\n"
                              "  (0): Sequential(\n    (0): ReLU()\n  )\n"
                              "  (1): Sequential(\n    (0): ReLU()\n  )\n"
                              ")\n");
    free(text);
    ptf_net_free(net);
}

/* What PyTorch puts around a network is not in its names. */
static void wrappers_are_the_module_that_they_wrap(void **state)
{
    (void)state;
    ptf_net *net = fixture_net("DistributedDataParallel(\n"
                               "  (module): OptimizedModule(\n"
                               "    (_orig_mod): Sequential(\n"
                               "      (module): ReLU()\n"
                               "      (1): DataParallel(\n"
                               "        (module): Linear(in_features=2, "
                               "out_features=2, bias=False)\n"
                               "      )\n    )\n  )\n)\n");
    char *text = fixture_text(net);
    assert_string_equal(text, "Sequential(\n  (module): ReLU()\n"
                              "  (1): Linear(in_features=2, out_features=2, "
                              "bias=False)\n)\n");
    free(text);
    size_t count;
    const ptf_parameter *wanted = ptf_net_parameters(net, &count);
    assert_int_equal(count, 1);
    assert_string_equal(wanted[0].name, "1.weight");
    ptf_net_free(net);
    static const struct {
        const char *class_name, *child;
    } wrappers[] = {
        {"DataParallel", "module"},
        {"DistributedDataParallel", "module"},
        {"AveragedModel", "module"},
        {"OptimizedModule", "_orig_mod"},
        {"FullyShardedDataParallel", "_fsdp_wrapped_module"},
        {"CheckpointWrapper", "_checkpoint_wrapped_module"},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(wrappers); i++) {
        char wrapper[200];
        snprintf(wrapper, sizeof(wrapper),
                 "%s(\n  (%s): Linear(in_features=2, out_features=3, "
                 "bias=False)\n)\n",
                 wrappers[i].class_name, wrappers[i].child);
        net = fixture_net(wrapper);
        wanted = ptf_net_parameters(net, &count);
        assert_int_equal(count, 1);
        assert_string_equal(wanted[0].name, "weight");
        ptf_net_free(net);
    }
}

#define SYNC                                                  \
    "SyncBatchNorm(3, eps=1e-05, momentum=0.1, affine=True, " \
    "track_running_stats=True)\n)\n"

static void a_synchronised_batch_norm_has_the_rank_of_its_input(void **state)
{
    (void)state;
    expect_output("Sequential(\n  (0): Linear(in_features=2, out_features=3, "
                  "bias=True)\n  (1): " SYNC,
                  "2", "3");
    expect_output("Sequential(\n  (0): " CONV(1, 3) "\n  (1): " SYNC, "1x5x5",
                  "3x3x3");
    expect_output("# input: 3x7\nSequential(\n  (0): " SYNC, "3x7", "3x7");
}

static void a_map_that_meets_a_linear_is_flattened(void **state)
{
    (void)state;
    ptf_net *net = fixture_net(ptf_arch_text("smallNetTrain"));
    int implied = 0;
    for (int i = 1; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        implied += node->implied;
        if (!node->implied)
            continue;
        assert_int_equal(node->op, PTF_OP_FLATTEN);
        assert_string_equal(node->name, "");
        assert_string_equal(net->nodes[i + 1].name, "fc1.0");
    }
    assert_int_equal(implied, 1);
    ptf_layer layer;
    ptf_net_layer(net, 6, &layer);
    assert_string_equal(layer.text, "Flatten(start_dim=1, end_dim=-1)");
    ptf_net_layer(net, 7, &layer);
    assert_string_equal(layer.name, "fc1.0");
    assert_int_equal(layer.parameters, 16384 * 1024 + 1024);
    ptf_net_free(net);
}

/* ---------------------------------------------------------------- refusals */

static void expect_text_refusal(const char *text, ptf_status want,
                                const char *words)
{
    ptf_net *net;
    ptf_error err = {PTF_OK, ""};
    ptf_status status =
        ptf_net_make(text, "net.txt", NULL, &fixture_in_order, &net, &err);
    if (status != want || strstr(err.message, words) == NULL)
        fail_msg("expected status %d and '%s', got %d: %s", want, words, status,
                 err.message);
    assert_null(net);
    assert_int_equal(
        ptf_net_make(text, "net.txt", NULL, &fixture_in_order, &net, NULL),
        want);
}

static const struct {
    const char *text;
    ptf_status status;
    const char *words;
} refusals[] = {
    {"", PTF_FORMAT, "net.txt: expected the text that print(model)"},
    {"# only a comment\n", PTF_FORMAT, "got nothing"},
    {"<html>\n", PTF_FORMAT, "net.txt: line 1: expected the class name"},
    {"\x80\x02}q", PTF_FORMAT, "net.txt: line 1: control characters"},
    {"Net(\n  (0): ReLU()\n", PTF_FORMAT, "the ')' that closes line 1"},
    {"Net(\n)\n", PTF_UNSUPPORTED, "line 2: a module without children"},
    {"Net(\n  (0): ReLU()\n)\nNet()\n", PTF_FORMAT,
     "line 4: expected the end of the text"},
    {"Net(\n  0: ReLU()\n)\n", PTF_FORMAT, "line 2: expected '(key): Module"},
    {"Net(\n  scale=2, mode=(1, 2)\n  (0): ReLU()\n)\n", PTF_UNSUPPORTED,
     "line 2: expected a container's children, got a setting of its own, "
     "'scale=2, mode=(1, 2)'"},
    {"Net(\n  (a.b): ReLU()\n)\n", PTF_FORMAT, "line 2: expected '(key)"},
    {"Net(\n  (0): ReLU(\n)\n)\n", PTF_UNSUPPORTED, "line 2: ReLU is a layer"},
    {"Net(\n  (0): ReLU)\n)\n", PTF_FORMAT, "line 2: expected"},
    {"Net(\n  (0): ReLU()\n  (0): ReLU()\n)\n", PTF_FORMAT, "name '0'"},
    {"Net(\n  (0-2): 2 x ReLU()\n)\n", PTF_FORMAT, "line 2: expected"},
    {"Net(\n  (0): 2 x ReLU()\n)\n", PTF_FORMAT, "line 2: expected"},
    {"# input: 3x0\nReLU()\n", PTF_FORMAT, "line 1: expected an input shape"},
    {"# input: 3\n# input: 3\nReLU()\n", PTF_FORMAT, "line 2: a second input"},
    {"DataParallel(\n  (0): ReLU()\n)\n", PTF_UNSUPPORTED,
     "line 2: expected one child 'module' of DataParallel"},
    {"DataParallel(\n  (module): ReLU()\n  (b): ReLU()\n)\n", PTF_UNSUPPORTED,
     "line 3: expected one child 'module' of DataParallel"},
    {"DataParallel(\n  (module): ReLU()\n", PTF_FORMAT,
     "line 2: the text ends"},
    {"Net(\n  (0-99999): 100000 x ReLU()\n)\n", PTF_UNSUPPORTED,
     "more than 10000 layers"},
    {"Net(\n  (0): GLU(dim=-1)\n)\n", PTF_UNSUPPORTED,
     "net.txt: line 2: GLU is a layer that ptfold does not know; "
     "torch.export.save() writes what it is made of"},
    {"Net(\n  (0): Mine()\n)\n", PTF_UNSUPPORTED, "line 2: Mine is a layer"},
    {"Net(\n  (0): InvertedResidual(\n    (conv): ReLU()\n  )\n)\n",
     PTF_UNSUPPORTED, "line 2: InvertedResidual adds its input to its output"},
    {"MaxPool2d(kernel_size=1048577, stride=1, padding=0, dilation=1, "
     "ceil_mode=True)",
     PTF_UNSUPPORTED, "MaxPool2d with a window that is larger than any input"},
    {"Conv1d(1, 1, kernel_size=(1025,), stride=(1,), dilation=(2147483647,))",
     PTF_UNSUPPORTED, "Conv1d with a window that is larger than any input"},
    {"ReLU(6)", PTF_UNSUPPORTED, "line 1: ReLU with '6'"},
    {"ReLU(inplace=maybe)", PTF_UNSUPPORTED, "ReLU with inplace=maybe"},
    {"Dropout(p=0.5, inplace=False, p=0.5)", PTF_UNSUPPORTED, "p twice"},
    {"Linear(in_features=3, bias=True)", PTF_UNSUPPORTED,
     "Linear does not state out_features"},
    {"Linear(in_features=0, out_features=1, bias=True)", PTF_UNSUPPORTED,
     "in_features=0"},
    {"Linear(in_features=99999999999, out_features=1)", PTF_UNSUPPORTED,
     "in_features=99999999999"},
    {"Conv2d(3, 4, kernel_size=(3, 3)", PTF_UNSUPPORTED, "parentheses"},
    {"Conv2d(3, 4, kernel_size=(3, 3, 3), stride=(1, 1))", PTF_UNSUPPORTED,
     "kernel_size=(3, 3, 3)"},
    {"Conv2d(3, 4, kernel_size=(3,), stride=(1, 1))", PTF_UNSUPPORTED,
     "kernel_size=(3,)"},
    {"Conv1d(3, 4, kernel_size=(3, 3), stride=(1,))", PTF_UNSUPPORTED,
     "kernel_size=(3, 3)"},
    {"Conv2d(3, 4, kernel_size=(3, 3), stride=(0, 1))", PTF_UNSUPPORTED,
     "stride=(0, 1)"},
    {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), groups=2)",
     PTF_UNSUPPORTED, "groups"},
    {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), output_padding=(1, 1))",
     PTF_UNSUPPORTED, "'output_padding=(1, 1)'"},
    {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=(0, 1), "
     "padding_mode=reflect)",
     PTF_UNSUPPORTED, "Conv2d with padding_mode=reflect"},
    {"Conv1d(3, 4, kernel_size=(3,), stride=(1,), padding=same, "
     "padding_mode=circular)",
     PTF_UNSUPPORTED, "Conv1d with padding_mode=circular"},
    {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding_mode=mirror)",
     PTF_UNSUPPORTED, "padding_mode=mirror"},
    {"ConvTranspose2d(3, 4, kernel_size=(2, 3), stride=(2, 2), "
     "output_padding=(2, 2))",
     PTF_UNSUPPORTED, "output_padding that is not smaller"},
    {"Conv2d(3, 4, kernel_size=(3, 3), stride=(2, 2), padding=same)",
     PTF_UNSUPPORTED, "padding=same with a stride"},
    {"LeakyReLU(negative_slope=nan)", PTF_UNSUPPORTED, "negative_slope=nan"},
    {"Softplus(beta=1e-40, threshold=20)", PTF_UNSUPPORTED,
     "Softplus with beta=1e-40"},
    {"Softplus(beta=1)", PTF_UNSUPPORTED, "does not state threshold"},
    {"AvgPool2d(kernel_size=3, stride=2, padding=1)", PTF_UNSUPPORTED,
     "count_include_pad=True"},
    {"MaxPool2d(kernel_size=3, stride=2, padding=2, dilation=1, "
     "ceil_mode=False)",
     PTF_UNSUPPORTED, "half the window"},
    {"# input: 2x9\nNet(\n  (0): Linear(in_features=9, out_features=1, "
     "bias=True)\n)\n",
     PTF_UNSUPPORTED,
     "line 3: Linear(in_features=9, out_features=1, bias=True) follows "
     "channels x length"},
    {"Net(\n  (0): Linear(in_features=4, out_features=3, bias=True)\n"
     "  (1): Linear(in_features=5, out_features=3, bias=True)\n)\n",
     PTF_UNSUPPORTED,
     "line 3: Linear cannot follow Linear: expected 5 input features, got 3; "
     "check the input's size, and that forward() calls each module once, in "
     "this order, with nothing between"},
    {"Net(\n  (0): Conv1d(2, 3, kernel_size=(1,), stride=(1,))\n"
     "  (1): Linear(in_features=4, out_features=3, bias=True)\n"
     "  (2): BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, "
     "track_running_stats=True)\n)\n",
     PTF_UNSUPPORTED, "line 3: Linear"},
    {"Net(\n  (0): Linear(in_features=4, out_features=3, bias=True)\n"
     "  (1): Linear(in_features=4, out_features=3, bias=True)\n)\n",
     PTF_UNSUPPORTED, "line 3: Linear"},
    {"Net(\n  (0): Linear(in_features=4, out_features=3, bias=True)\n"
     "  (1): MaxPool2d(kernel_size=1, stride=1, padding=0, dilation=1, "
     "ceil_mode=False)\n)\n",
     PTF_UNSUPPORTED, "line 3: MaxPool2d"},
    {"# input: 2x3\nSoftmax(dim=None)", PTF_UNSUPPORTED, "samples of a batch"},
    {"# input: 2x3\nFlatten(start_dim=0, end_dim=-1)", PTF_UNSUPPORTED,
     "samples of a batch"},
    {"Linear(in_features=2000000000, out_features=2000000000, bias=True)",
     PTF_UNSUPPORTED, "more parameters than can be counted"},
};

static void what_is_not_understood_is_named_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(refusals); i++)
        expect_text_refusal(refusals[i].text, refusals[i].status,
                            refusals[i].words);
}

/* "Net(" n times, closed m times. */
static char *nested(int open, int closed)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fprintf(out, "Net(\n");
    for (int i = 1; i < open; i++)
        fprintf(out, "(0): Net(\n");
    fprintf(out, "(0): ReLU()\n");
    for (int i = 0; i < closed; i++)
        fprintf(out, ")\n");
    fclose(out);
    return text;
}

static void hostile_texts_are_bounded(void **state)
{
    (void)state;
    char *text = nested(64, 64);
    ptf_net_free(fixture_net(text));
    free(text);
    text = nested(65, 65);
    expect_text_refusal(text, PTF_FORMAT, "line 65: modules nested more");
    free(text);
    /* 20^8 copies of one line */
    text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fprintf(out, "Net(\n");
    for (int i = 0; i < 8; i++)
        fprintf(out, "(0-19): 20 x Net(\n");
    fprintf(out, "(0): ReLU()\n)\n)\n)\n)\n)\n)\n)\n)\n)\n");
    fclose(out);
    expect_text_refusal(text, PTF_UNSUPPORTED, "more than 10000");
    free(text);

    size = (1 << 20) + 1;
    text = calloc(1, size + 1);
    memset(text, '#', size);
    expect_text_refusal(text, PTF_FORMAT, "more than 1048576 bytes");
    memset(text, '(', 2000);
    text[2000] = '\0';
    expect_text_refusal(text, PTF_FORMAT, "line 1: a line of 2000 bytes");
    free(text);
}

static void shapes_that_do_not_fit_name_the_layer(void **state)
{
    (void)state;
    static const struct {
        const char *text, *input, *words;
    } cases[] = {
        {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))", "2x9x9",
         "(Conv2d): cannot take 2x9x9: expected 3 input channels, got 2; check the "},
        {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))", "3x2x9",
         "cannot take 3x2x9: its kernel is larger"},
        {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))", "3x9",
         "channels x height x width"},
        {"Linear(in_features=4, out_features=3, bias=True)", "5",
         "layer (Linear): cannot take 5: expected 4 input features, got 5; "},
        {"Linear(in_features=4, out_features=3, bias=True)", "4x4", "flat"},
        {"AvgPool2d(kernel_size=2, stride=2, padding=0)", "1x5x4",
         "add ceil_mode=False"},
        {"Softmax(dim=3)", "5", "no such dimension"},
        {"Softmax(dim=0)", "5", "samples of a batch"},
        {"AdaptiveAvgPool2d(output_size=(2000000, 2000000))", "1x1x1",
         "too large"},
        {"ReLU()", "999999999x999999999", "1 to 8 sizes"},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        ptf_net *net = fixture_net(cases[i].text);
        ptf_shape in, shapes[4];
        ptf_error err;
        assert_true(ptf_shape_parse(cases[i].input, &in));
        /* no other input would help against a layer's own size */
        bool own = strcmp(cases[i].words, "too large") == 0;
        assert_int_equal(ptf_net_shapes(net, &in, shapes, &err),
                         own ? PTF_UNSUPPORTED : PTF_ARGUMENT);
        if (strstr(err.message, cases[i].words) == NULL)
            fail_msg("expected '%s' in: %s", cases[i].words, err.message);
        ptf_net_free(net);
    }
    ptf_shape shape;
    static const char *const wrong[] = {"",    "x",   "3x",         "3x0", "-3",
                                        "3 x", "3,4", "9999999999", " 3"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(wrong); i++)
        assert_false(ptf_shape_parse(wrong[i], &shape));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_texts_print_as_they_were_read),
        cmocka_unit_test(layers_have_the_shapes_that_pytorch_gives_them),
        cmocka_unit_test(layers_print_as_pytorch_prints_them),
        cmocka_unit_test(floats_do_not_depend_on_the_locale),
        cmocka_unit_test(other_ways_of_writing_the_same_are_read),
        cmocka_unit_test(repeats_are_written_out),
        cmocka_unit_test(wrappers_are_the_module_that_they_wrap),
        cmocka_unit_test(a_synchronised_batch_norm_has_the_rank_of_its_input),
        cmocka_unit_test(a_map_that_meets_a_linear_is_flattened),
        cmocka_unit_test(what_is_not_understood_is_named_with_its_line),
        cmocka_unit_test(hostile_texts_are_bounded),
        cmocka_unit_test(shapes_that_do_not_fit_name_the_layer),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
