/*
 * What ptf_net_slide() says of each layer: what moves with the image, by
 * which stride, and what keeps a net from being slid.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "graphs.h"

static const char free_to_slide[] =
    "Sequential(\n"
    "  (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(2, 1), dilation=(1, 2))\n"
    "  (1): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, "
    "track_running_stats=True)\n"
    "  (2): ReLU()\n"
    "  (3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, "
    "ceil_mode=False)\n"
    "  (4): LeakyReLU(negative_slope=0.1)\n"
    "  (5): AvgPool2d(kernel_size=3, stride=(1, 3), padding=0)\n"
    "  (6): Dropout(p=0.5, inplace=False)\n"
    "  (7): Identity()\n"
    "  (8): Softmax(dim=1)\n"
    "  (9): ZeroPad2d((-1, 0, -1, -2))\n"
    "  (10): Upsample(scale_factor=(0.25, 0.5), mode='nearest')\n"
    ")\n";

static void strides_multiply_along_the_net(void **state)
{
    (void)state;
    ptf_net *net = fixture_net(free_to_slide);
    ptf_slide slide;
    assert_int_equal(ptf_net_slide(net, &slide, NULL), PTF_OK);
    assert_null(slide.blocker);
    assert_int_equal(slide.stride[0], 2 * 2 * 1 * 4);
    assert_int_equal(slide.stride[1], 1 * 2 * 3 * 2);
    ptf_net_free(net);
}

static void a_layer_that_blocks_sliding_is_named_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *layer, *reason;
    } cases[] = {
        {"Conv2d(3, 3, kernel_size=(3, 3), stride=(1, 1), padding=(0, 1))",
         "pads"},
        {"Conv2d(3, 3, kernel_size=(3, 3), stride=(1, 1), padding=same)",
         "pads"},
        {"MaxPool2d(kernel_size=2, stride=2, padding=1, dilation=1, "
         "ceil_mode=False)",
         "pads"},
        {"MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, "
         "ceil_mode=True)",
         "rounds its output size up"},
        {"ZeroPad2d((0, 0, 0, 1))", "pads"},
        {"ZeroPad2d((2, -1, 0, 0))", "pads"},
        {"ReflectionPad2d((1, 1, 0, 0))", "fills its borders"},
        {"Upsample(scale_factor=2.0, mode='nearest')", "resizes"},
        {"AdaptiveAvgPool2d(output_size=(6, 6))", "size of the map"},
        {"Flatten(start_dim=1, end_dim=-1)", "one size"},
        {"Linear(in_features=3, out_features=2, bias=True)", "one size"},
        {"Softmax(dim=2)", "normalises over positions"},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "Net(\n  (pool): AvgPool2d(kernel_size=2, stride=2, "
                 "padding=0)\n  (last): %s\n)\n",
                 cases[i].layer);
        ptf_net *net = fixture_net(text);
        ptf_slide slide;
        assert_int_equal(ptf_net_slide(net, &slide, NULL), PTF_OK);
        assert_non_null(slide.blocker);
        assert_non_null(strstr(slide.reason, cases[i].reason));
        if (strstr(cases[i].layer, "Linear") == NULL)
            assert_string_equal(slide.blocker, "last");
        ptf_net_free(net);
    }
}

static void strides_that_overflow_block(void **state)
{
    (void)state;
    ptf_net *net = fixture_net(
        "Sequential(\n"
        "  (0-9): 10 x AvgPool2d(kernel_size=1, stride=1000000, padding=0)\n"
        ")\n");
    ptf_slide slide;
    assert_int_equal(ptf_net_slide(net, &slide, NULL), PTF_OK);
    assert_string_equal(slide.blocker, "3");
    assert_non_null(strstr(slide.reason, "overflow"));
    ptf_net_free(net);
}

/* A value that is there once differs from those of crops, and so does what it
 * goes into; only a map is cut into windows. */
static void what_is_made_of_all_of_the_image_moves_no_more(void **state)
{
    (void)state;
    static graph g;
    ptf_slide slide;
    ptf_slide_layer layers[7];
    graph_start(&g, &(ptf_shape){3, {3, 8, 8}});
    int conv = graph_conv(&g, "conv", 0, 3, 3, (graph_window){3, 2, 1}, false);
    int pool = graph_one(&g, "pool", PTF_OP_ADAPTIVE_AVGPOOL2D, conv);
    g.nodes[pool].attrs.output_size[1] = g.nodes[pool].attrs.output_size[2] = 1;
    int gate = graph_one(&g, "gate", PTF_OP_SIGMOID, pool);
    int mul = graph_two(&g, "mul", PTF_OP_MUL, gate, conv);
    int flat = graph_one(&g, "flat", PTF_OP_FLATTEN, gate);
    graph_finish(&g, mul);
    assert_int_equal(ptf_net_slide(&g.net, &slide, NULL), PTF_OK);
    assert_string_equal(slide.blocker, "conv");
    assert_true(slide.any_size && slide.differs);
    assert_int_equal(slide.stride[0], 2);
    assert_int_equal(ptf_net_slide_layers(&g.net, layers, NULL), PTF_OK);
    assert_true(layers[conv - 1].moves && !layers[conv - 1].differs);
    assert_int_equal(layers[conv - 1].edge[1], 1);
    assert_false(layers[gate - 1].moves || layers[flat - 1].moves);
    assert_true(layers[mul - 1].moves && layers[mul - 1].differs);
    g.net.outputs[0].node = gate;
    assert_int_equal(ptf_net_slide(&g.net, &slide, NULL), PTF_OK);
    assert_false(slide.any_size);
    graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strides_multiply_along_the_net),
        cmocka_unit_test(a_layer_that_blocks_sliding_is_named_with_the_reason),
        cmocka_unit_test(strides_that_overflow_block),
        cmocka_unit_test(what_is_made_of_all_of_the_image_moves_no_more),
    };
    return cmocka_run_group_tests_name("slide", tests, NULL, NULL);
}
