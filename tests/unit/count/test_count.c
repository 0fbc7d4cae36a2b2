/*
 * Counts: the course's figures, the formulas of each layer, gradients, and
 * sizes that nobody can count.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "net/net.h"
#include "ports.h"

/* A net with the counts of its layers. */
typedef struct counted {
    ptf_net *net;
    ptf_count *layers;
    ptf_count total;
} counted;

static counted count_net(const char *text, const char *input,
                         const ptf_count_options *options)
{
    counted c = {.net = fixture_net(text)};
    ptf_shape shape;
    ptf_error err;
    if (input == NULL)
        assert_true(input_of(c.net, &shape));
    else
        assert_true(ptf_shape_parse(input, &shape));
    c.layers = ptf_alloc(ptf_net_layer_count(c.net) * sizeof(*c.layers));
    if (ptf_net_count(c.net, &shape, options, c.layers, &c.total, &err) !=
        PTF_OK)
        fail_msg("%s", err.message);
    return c;
}

static void release(counted *c)
{
    ptf_free(c->layers);
    ptf_net_free(c->net);
}

static const ptf_count *layer_of(const counted *c, const char *name)
{
    for (size_t i = 0; i < ptf_net_layer_count(c->net); i++) {
        if (strcmp(c->layers[i].name, name) == 0)
            return &c->layers[i];
    }
    fail_msg("no layer %s", name);
    return NULL;
}

/* What the layers of these classes (starting so) add up to. */
static ptf_count sum_of(const counted *c, const char *op)
{
    ptf_count sum = {0};
    for (size_t i = 0; i < ptf_net_layer_count(c->net); i++) {
        const ptf_count *l = &c->layers[i];
        if (strncmp(l->op, op, strlen(op)) != 0)
            continue;
        sum.parameters += l->parameters;
        sum.forward.macs += l->forward.macs;
        sum.input_gradient.macs += l->input_gradient.macs;
        sum.parameter_gradient.macs += l->parameter_gradient.macs;
    }
    return sum;
}

/* ------------------------------------------------------------- the course */

static void alexnet_has_the_course_s_figures(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        int64_t macs, parameters;
    } want[] = {
        {"features.0", 70276800, 23296},
        {"features.3", 223948800, 307392},
        {"features.6", 112140288, 663936},
        {"features.8", 149520384, 884992},
        {"features.10", 99680256, 590080},
        {"classifier.0", 37748736, 37752832},
        {"classifier.2", 16777216, 16781312},
        {"classifier.4", 4096000, 4097000},
    };
    counted c = count_net(ptf_arch_text("AlexNet"), "3x227x227", NULL);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(want); i++) {
        const ptf_count *l = layer_of(&c, want[i].name);
        assert_int_equal(l->forward.macs, want[i].macs);
        assert_int_equal(l->forward.multiplications, want[i].macs);
        assert_int_equal(l->parameters, want[i].parameters);
        assert_int_equal(l->weight_bytes, 4 * want[i].parameters);
    }
    ptf_count conv = sum_of(&c, "Conv2d"), linear = sum_of(&c, "Linear");
    assert_int_equal(conv.forward.macs, 655566528);
    assert_int_equal(linear.forward.macs, 58621952);
    assert_int_equal(c.total.conventional, 714188480);
    assert_int_equal(c.total.parameters, 61100840);
    /* 96 % of the parameters, 8.21 % of the operations */
    assert_int_equal(linear.parameters * 100 / c.total.parameters, 95);
    assert_int_equal((linear.parameters * 1000 / c.total.parameters + 5) / 10,
                     96);
    assert_int_equal(
        (linear.forward.macs * 100000 / c.total.forward.macs + 5) / 10, 821);
    assert_int_equal(
        (conv.forward.macs * 100000 / c.total.forward.macs + 5) / 10, 9179);
    release(&c);
}

static void the_course_s_nets_count_as_their_layers_say(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        int64_t macs, parameters;
    } want[] = {
        {"Net1", 1292774144, 358824266},
        {"Net2", 1292774144, 358824266},
        {"smallNetTrain", 19589120, 16793370},
        {"smallNetTest", 19589120, 16791258},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(want); i++) {
        counted c = count_net(ptf_arch_text(want[i].name), NULL, NULL);
        assert_int_equal(c.total.forward.macs, want[i].macs);
        assert_int_equal(c.total.parameters, want[i].parameters);
        release(&c);
    }
}

/* A scale and a shift after a sum cost what the batch norm cost. */
static void an_epilogue_counts_as_the_batch_norm_before(void **unused)
{
    (void)unused;
    enum { OUTPUTS = 4 * 6 * 6, MACS = 27 * OUTPUTS };
    fixture f;
    fixture_init(&f, "# input: 3x8x8\n"
                     "Sequential(\n"
                     "  (0): " CONV(3, 4) "\n"
                                          "  (1): " BN2(4) "\n"
                                                           ")\n");
    fixture_make(&f);
    ptf_net *epilogue = fixture_rewrite(f.net, "batchnorm_to_epilogue", NULL);
    ptf_count_options all = {.input_gradient = true};
    ptf_count l[8], total;
    assert_int_equal(
        ptf_net_count(epilogue, &f.net->inputs[0].shape, &all, l, &total, NULL),
        PTF_OK);
    assert_int_equal(l[0].forward.macs, MACS);
    assert_int_equal(l[0].forward.multiplications, MACS + OUTPUTS);
    assert_int_equal(l[0].forward.additions, MACS + OUTPUTS);
    assert_int_equal(l[0].input_gradient.multiplications, MACS + OUTPUTS);
    assert_int_equal(l[0].parameter_gradient.multiplications, MACS + OUTPUTS);
    assert_int_equal(l[0].parameter_gradient.additions, MACS + 3 * OUTPUTS);
    assert_int_equal(l[0].parameters, 27 * 4 + 4 + 2 * 4);
    ptf_net_free(epilogue);
    fixture_free(&f);
}

/* ------------------------------------------------------------------ forward */

static void every_layer_counts_its_own_operations(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        int64_t macs, multiplications, additions, others;
    } want[] = {
        {"0", 17952, 17952, 17952 - 1496, 0},   /* 8x11x17 of 12 terms */
        {"1", 0, 1496, 1496, 0},                /* scale, shift */
        {"2", 0, 1496, 0, 1496},                /* x > 0 ? x : x * slope */
        {"3", 0, 0, 320 * 3, 320},              /* 8x5x8 of 4 */
        {"4", 1920, 1920, 1920 - 240 + 240, 0}, /* 6x5x8 of 8, bias */
        {"6", 0, 0, 240, 480},                  /* exp, 1 +, 1 / */
        {"7", 0, 0, 0, 72 * 8},                 /* 6x3x4 of 9 */
        {"8", 0, 72, 144, 144},                 /* -2 x, exp, 1 -, 1 +, / */
        {"9", 0, 0, 6 * (4 * 6) - 36, 36},      /* 3 to 2, 4 to 3 */
        {"10", 0, 0, 0, 0},
        {"11", 0, 0, 0, 0},
        {"12", 252, 252, 252 - 7, 0},
        {"14", 0, 0, 0, 7},
        {"15", 35, 35, 35, 0},
        {"16", 0, 0, 5 + 4, 4 + 5 + 5}, /* x - m, sum; max, exp, / */
    };
    ptf_count_options three = {.batch = 3};
    counted c = count_net(fixture_mixed, NULL, NULL);
    counted b = count_net(fixture_mixed, NULL, &three);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(want); i++) {
        const ptf_operations *got = &layer_of(&c, want[i].name)->forward;
        assert_int_equal(got->macs, want[i].macs);
        assert_int_equal(got->multiplications, want[i].multiplications);
        assert_int_equal(got->additions, want[i].additions);
        assert_int_equal(got->others, want[i].others);
        const ptf_count *l = layer_of(&b, want[i].name);
        assert_int_equal(l->forward.additions, 3 * want[i].additions);
        assert_int_equal(l->parameters, layer_of(&c, want[i].name)->parameters);
    }
    release(&c);
    release(&b);
}

static void a_softplus_counts_its_own_operations(void **unused)
{
    (void)unused;
    ptf_count_options back = {.input_gradient = true, .batch = 2};
    counted c = count_net("Softplus(beta=1.0, threshold=20.0)", "3x4x5", &back);
    const ptf_operations *forward = &c.total.forward;
    const ptf_operations *gradient = &c.total.input_gradient;
    assert_int_equal(forward->multiplications, 120);
    assert_int_equal(forward->additions, 2 * 120);
    assert_int_equal(forward->others, 4 * 120); /* max, exp, log, / */
    assert_int_equal(gradient->multiplications, 120);
    assert_int_equal(gradient->additions, 120);
    assert_int_equal(gradient->others, 3 * 120); /* threshold, exp, / */
    release(&c);
}

static void bytes_are_those_of_f32(void **unused)
{
    (void)unused;
    ptf_count_options two = {.batch = 2};
    counted c = count_net(fixture_mixed, NULL, &two);
    const ptf_count *conv = layer_of(&c, "0"), *norm = layer_of(&c, "1");
    assert_int_equal(conv->input_bytes, 2 * 4 * 4 * 21 * 18);
    assert_int_equal(conv->output_bytes, 2 * 4 * 1496);
    assert_int_equal(conv->weight_bytes, 4 * 96);
    assert_int_equal(norm->weight_bytes, 4 * 4 * 8);
    assert_int_equal(norm->parameters, 2 * 8);
    assert_int_equal(layer_of(&c, "5")->weight_bytes, 4 * 2 * 6);
    assert_int_equal(layer_of(&c, "10")->output_bytes, 0);
    assert_int_equal(layer_of(&c, "11")->input_bytes, 0);
    double operations = 2.0 * (17952 + 17952 - 1496);
    double bytes = 2.0 * 4 * (4 * 21 * 18 + 1496) + 4 * 96;
    double intensity = ptf_count_intensity(conv);
    assert_true(intensity * bytes > operations * 0.999999 &&
                intensity * bytes < operations * 1.000001);
    assert_true(ptf_count_intensity(layer_of(&c, "11")) <= 0);
    release(&c);
}

/* Window by window, as the kernel does it. */
static int64_t adaptive_taps(int64_t in, int64_t out)
{
    int64_t taps = 0;
    for (int64_t o = 0; o < out; o++)
        taps += ((o + 1) * in + out - 1) / out - o * in / out;
    return taps;
}

static void adaptive_windows_are_counted_exactly(void **unused)
{
    (void)unused;
    for (int in = 1; in <= 13; in++) {
        for (int out = 1; out <= 13; out++) {
            char text[128], input[32];
            snprintf(text, sizeof(text),
                     "AdaptiveAvgPool2d(output_size=(%d, None))\n", out);
            snprintf(input, sizeof(input), "2x%dx%d", in, 3);
            counted c = count_net(text, input, NULL);
            assert_int_equal(c.total.forward.additions,
                             2 * 3 * (adaptive_taps(in, out) - out));
            release(&c);
        }
    }
}

/* ---------------------------------------------------------------- gradients */

static void a_gradient_costs_two_forward_passes_less_one_layer(void **unused)
{
    (void)unused;
    counted c = count_net(ptf_arch_text("AlexNet"), "3x227x227", NULL);
    const ptf_count *first = layer_of(&c, "features.0");
    assert_int_equal(first->input_gradient.macs, 0);
    assert_int_equal(first->parameter_gradient.macs, 70276800);
    assert_int_equal(c.total.parameter_gradient.macs, 714188480);
    assert_int_equal(c.total.input_gradient.macs, 714188480 - 70276800);
    ptf_count linear = sum_of(&c, "Linear");
    assert_int_equal(linear.input_gradient.macs, 58621952);
    assert_int_equal(linear.parameter_gradient.macs, 58621952);
    /* biases take a sum over their outputs */
    assert_int_equal(first->parameter_gradient.additions, 70276800 + 193600);
    release(&c);
    ptf_count_options all = {.input_gradient = true};
    c = count_net(ptf_arch_text("AlexNet"), "3x227x227", &all);
    assert_int_equal(c.total.input_gradient.macs, 714188480);
    release(&c);
}

/* Problem 4: n_l * f_l for the filter, and the same for the input. */
static void the_chain_of_filters_counts_as_derived(void **unused)
{
    (void)unused;
    counted c = count_net("Sequential(\n"
                          "  (0): Conv1d(1, 1, kernel_size=(5,), stride=(1,))\n"
                          "  (1): Tanh()\n"
                          "  (2): Conv1d(1, 1, kernel_size=(9,), stride=(1,))\n"
                          ")\n",
                          "1x100", NULL);
    const ptf_count *one = layer_of(&c, "0"), *two = layer_of(&c, "2");
    assert_int_equal(one->parameter_gradient.macs, 96 * 5);
    assert_int_equal(one->parameter_gradient.additions, 96 * 5 + 96);
    assert_int_equal(one->input_gradient.macs, 0);
    assert_int_equal(two->parameter_gradient.macs, 88 * 9);
    assert_int_equal(two->input_gradient.macs, 88 * 9);
    assert_int_equal(layer_of(&c, "1")->input_gradient.multiplications, 2 * 96);
    release(&c);
}

static void gradients_of_every_layer_follow_their_formulas(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        int64_t multiplications[2], additions[2],
            others; /* input, parameters */
    } want[] = {
        {"0", {0, 17952}, {0, 17952}, 0},
        {"1", {1496, 2 * 1496}, {0, 3 * 1496}, 0},
        {"2", {1496, 0}, {0, 0}, 1496},
        {"3", {0, 0}, {320 * 4, 0}, 320},
        {"4", {1920, 1920}, {1920, 1920 + 240}, 0},
        {"5", {240, 0}, {0, 0}, 0},
        {"6", {480, 0}, {240, 0}, 0},
        {"7", {0, 0}, {72, 0}, 0},
        {"8", {144, 0}, {72, 0}, 0},
        {"9", {0, 0}, {6 * 4 * 6, 0}, 36},
        {"14", {0, 0}, {0, 0}, 7},
        {"16", {10, 0}, {10, 0}, 0},
    };
    counted c = count_net(fixture_mixed, NULL, NULL);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(want); i++) {
        const ptf_count *l = layer_of(&c, want[i].name);
        const ptf_operations *both[] = {&l->input_gradient,
                                        &l->parameter_gradient};
        for (int k = 0; k < 2; k++) {
            assert_int_equal(both[k]->multiplications,
                             want[i].multiplications[k]);
            assert_int_equal(both[k]->additions, want[i].additions[k]);
        }
        assert_int_equal(l->input_gradient.others, want[i].others);
    }
    release(&c);
}

/* ------------------------------------------------------------------- graphs */

enum { GRAPH = 16 };

/* A net under construction, without numbers. */
typedef struct graph {
    ptf_net net;
    ptf_node nodes[GRAPH];
    ptf_count layers[GRAPH], total;
} graph;

static void start_graph(graph *g)
{
    memset(g, 0, sizeof(*g));
    g->net.nodes = g->nodes;
    g->net.node_count = 1;
    give_input(&g->net, NULL);
}

static int add_node(graph *g, ptf_op op, int count, const int *inputs)
{
    ptf_node *node = &g->nodes[g->net.node_count];
    assert_true(g->net.node_count < GRAPH);
    node->op = op;
    node->name = node->class_name = "node";
    node->file = "test_count.c";
    ptf_attrs_default(op, &node->attrs);
    assert_true(ptf_node_read(&g->net.arena, node, count, inputs));
    give_output(&g->net, g->net.node_count);
    return g->net.node_count++;
}

static int add_two(graph *g, ptf_op op, int a, int b)
{
    return add_node(g, op, 2, (int[]){a, b});
}

static int add_conv(graph *g, int from)
{
    int i = add_node(g, PTF_OP_CONV2D, 1, &from);
    ptf_attrs *a = &g->nodes[i].attrs;
    a->in_channels = a->out_channels = 4;
    a->kernel[0] = a->kernel[1] = a->kernel[2] = 1;
    a->has_bias = false;
    return i;
}

static int add_constant(graph *g, ptf_tensor *t)
{
    int i = add_node(g, PTF_OP_CONSTANT, 0, NULL);
    g->nodes[i].tensors[PTF_ROLE_WEIGHT] = t;
    return i;
}

static void count_graph(graph *g, ptf_count_options options)
{
    const ptf_shape input = {3, {4, 5, 7}};
    ptf_error err;
    if (ptf_net_count(&g->net, &input, &options, g->layers, &g->total, &err) !=
        PTF_OK)
        fail_msg("%s", err.message);
}

static void expect_operations(const ptf_operations *o, int64_t multiplications,
                              int64_t additions, int64_t others)
{
    assert_int_equal(o->multiplications, multiplications);
    assert_int_equal(o->additions, additions);
    assert_int_equal(o->others, others);
}

static void operators_count_one_operation_a_number(void **unused)
{
    (void)unused;
    enum { N = 2 * 4 * 5 * 7, M = N / 7 };
    static const struct {
        ptf_op op;
        int64_t forward[3],
            back[3]; /* back to both; x has rows of one number */
    } want[] = {
        {PTF_OP_ADD, {0, N, 0}, {0, N, 0}},
        {PTF_OP_SUB, {0, N, 0}, {0, N, 0}},
        {PTF_OP_MUL, {N, 0, 0}, {2 * N, N, 0}},
        {PTF_OP_DIV, {0, 0, N}, {2 * N, N, 2 * N}},
        {PTF_OP_MAXIMUM, {0, 0, N}, {0, N, 2 * N}},
        {PTF_OP_MINIMUM, {0, 0, N}, {0, N, 2 * N}},
        {PTF_OP_LE, {0, 0, N}, {0, N, 0}},
        {PTF_OP_REMAINDER, {0, 0, N}, {N, N, 2 * N}},
        {PTF_OP_POWER, {0, 0, N}, {4 * N, N, 3 * N}},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(want); i++) {
        graph g;
        start_graph(&g);
        int from = add_node(&g, PTF_OP_ADAPTIVE_AVGPOOL2D, 1, &(int){0});
        g.nodes[from].attrs.output_size[2] = 1;
        add_two(&g, want[i].op, 0, from);
        count_graph(&g,
                    (ptf_count_options){.batch = 2, .input_gradient = true});
        const ptf_count *l = &g.layers[1];
        const int64_t *f = want[i].forward, *b = want[i].back;
        expect_operations(&l->forward, f[0], f[1], f[2]);
        expect_operations(&l->input_gradient, b[0], b[1], b[2]);
        assert_int_equal(l->input_bytes, 4 * (N + M));
        assert_int_equal(l->output_bytes, 4 * N);
        /* the pool's part is added to the operator's */
        assert_int_equal(g.layers[0].input_gradient.additions, N + N);
        assert_int_equal(g.total.input_gradient.additions, b[1] + N + N);
        ptf_arena_free(&g.net.arena);
    }
}

/* Of two ways from the input only one has parameters. */
static void gradients_are_counted_where_parameters_lead(void **unused)
{
    (void)unused;
    enum { N = 4 * 5 * 7, MACS = 4 * N };
    graph g;
    start_graph(&g);
    int left = add_node(&g, PTF_OP_SIGMOID, 1, &(int){0});
    int first = add_conv(&g, 0);
    int second = add_conv(&g, first);
    int product = add_two(&g, PTF_OP_MUL, left, second);
    int all = add_node(&g, PTF_OP_CONCAT, 3, (int[]){product, first, product});
    g.nodes[all].attrs.dim = 1;
    int unread = add_conv(&g, product);
    give_output(&g.net, all);
    for (int by = 0; by < 2; by++) {
        count_graph(&g, (ptf_count_options){.input_gradient = by});
        const ptf_count *l = g.layers - 1; /* by node */
        expect_operations(&l[left].input_gradient, by * 2 * N, by * 2 * N, 0);
        assert_int_equal(l[first].input_gradient.macs, by * MACS);
        assert_int_equal(l[second].input_gradient.macs, MACS);
        assert_int_equal(l[first].parameter_gradient.macs, MACS);
        assert_int_equal(l[second].parameter_gradient.macs, MACS);
        /* the concat gave the first convolution's cotangent already */
        assert_int_equal(l[second].input_gradient.additions, MACS + N);
        expect_operations(&l[product].input_gradient, (1 + by) * N, 0, 0);
        expect_operations(&l[all].input_gradient, 0, N, 0);
        expect_operations(&l[all].forward, 0, 0, 0);
        assert_int_equal(l[all].input_bytes, 4 * 2 * N);
        assert_int_equal(l[all].output_bytes, 4 * 3 * N);
        assert_int_equal(l[unread].forward.macs, MACS);
        assert_int_equal(l[unread].input_gradient.macs, 0);
        assert_int_equal(l[unread].parameter_gradient.macs, 0);
        assert_int_equal(g.total.parameters, 3 * 16);
        assert_int_equal(g.total.forward.macs, 3 * MACS);
    }
    ptf_arena_free(&g.net.arena);
}

static void constants_count_as_parameters_once(void **unused)
{
    (void)unused;
    enum { N = 4 * 5 * 7 };
    graph g;
    ptf_tensor scale = {.dtype = PTF_DTYPE_F32, .rank = 3, .shape = {4, 1, 1}};
    ptf_tensor whole = {.dtype = PTF_DTYPE_I64, .rank = 1, .shape = {7}};
    start_graph(&g);
    int c = add_constant(&g, &scale), w = add_constant(&g, &whole);
    int a = add_two(&g, PTF_OP_MUL, 0, c);
    int b = add_two(&g, PTF_OP_ADD, c, a);
    int d = add_two(&g, PTF_OP_SUB, b, w);
    count_graph(&g, (ptf_count_options){.batch = 3});
    const ptf_count *l = g.layers - 1;
    assert_int_equal(l[c].parameters, 4);
    assert_int_equal(l[w].parameters, 0);
    assert_int_equal(l[c].weight_bytes, 4 * 4);
    assert_int_equal(l[w].weight_bytes, 4 * 7);
    assert_int_equal(l[c].output_bytes, 0);
    assert_int_equal(l[a].input_bytes, 3 * 4 * N);
    /* sums over pixels and the batch; the other reader's part comes first */
    expect_operations(&l[a].input_gradient, 3 * N, 3 * N + 3 * 4, 0);
    expect_operations(&l[b].input_gradient, 0, 3 * N, 0);
    expect_operations(&l[d].input_gradient, 0, 0, 0);
    assert_int_equal(g.total.parameters, 4);
    assert_int_equal(g.total.weight_bytes, 4 * 11);
    ptf_layer layer;
    ptf_net_layer(&g.net, (size_t)c - 1, &layer);
    assert_int_equal(layer.parameters, 4);
    ptf_net_layer(&g.net, (size_t)w - 1, &layer);
    assert_int_equal(layer.parameters, 0);
    ptf_arena_free(&g.net.arena);
}

/* ------------------------------------------------------------------ hostile */

static void counts_that_do_not_fit_are_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *input;
        int64_t batch;
        const char *layer;
    } cases[] = {
        {"Conv2d(1, 2147483647, kernel_size=(8000, 8000), "
         "stride=(2147483647, 2147483647), padding=(4000, 4000), "
         "bias=False)\n",
         "1x1x512", 1 << 20, "Conv2d"},
        {"MaxPool2d(kernel_size=2147483646, stride=1, padding=1073741823, "
         "dilation=1, ceil_mode=False)\n",
         "999999x1x1", 1, "MaxPool2d"},
        {"ReLU()\n", "999999x999999", INT64_MAX / 999998, "ReLU"},
        {"ReLU()\n", "9", INT64_MAX / 9, "ReLU"},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        ptf_net *net = fixture_net(cases[i].text);
        ptf_count_options options = {.batch = cases[i].batch};
        ptf_shape shape;
        ptf_count layer, total;
        ptf_error err;
        assert_true(ptf_shape_parse(cases[i].input, &shape));
        assert_int_equal(
            ptf_net_count(net, &shape, &options, &layer, &total, &err),
            PTF_ARGUMENT);
        if (strstr(err.message, cases[i].layer) == NULL ||
            strstr(err.message, "counted") == NULL)
            fail_msg("case %zu: %s", i, err.message);
        ptf_net_free(net);
    }
}

static void totals_that_do_not_fit_are_refused(void **unused)
{
    (void)unused;
    ptf_net *net = fixture_net("Sequential(\n"
                               "  (0): ReLU()\n"
                               "  (1): ReLU()\n"
                               "  (2): ReLU()\n"
                               ")\n");
    ptf_count_options options = {.batch = INT64_MAX / 8};
    ptf_shape one = {1, {1}};
    ptf_count layers[3], total;
    ptf_error err;
    assert_int_equal(ptf_net_count(net, &one, &options, layers, &total, &err),
                     PTF_ARGUMENT);
    assert_non_null(strstr(err.message, "layer 2"));
    ptf_net_free(net);
}

static void bad_options_are_refused_and_memory_may_run_out(void **unused)
{
    (void)unused;
    ptf_net *net = fixture_net("ReLU()\n");
    ptf_shape one = {1, {1}}, none = {1, {0}};
    ptf_count layer, total;
    ptf_convention other = {"other", "things", "not in the table"};
    ptf_count_options options = {.batch = -1};
    assert_int_equal(ptf_net_count(net, &one, &options, &layer, &total, NULL),
                     PTF_ARGUMENT);
    options = (ptf_count_options){.convention = &other};
    assert_int_equal(ptf_net_count(net, &one, &options, &layer, &total, NULL),
                     PTF_ARGUMENT);
    assert_int_equal(ptf_net_count(net, &none, NULL, &layer, &total, NULL),
                     PTF_ARGUMENT);
    ptf_alloc_fail_after(0);
    ptf_status status = ptf_net_count(net, &one, NULL, &layer, &total, NULL);
    ptf_alloc_fail_after(-1);
    assert_int_equal(status, PTF_MEMORY);
    ptf_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alexnet_has_the_course_s_figures),
        cmocka_unit_test(the_course_s_nets_count_as_their_layers_say),
        cmocka_unit_test(an_epilogue_counts_as_the_batch_norm_before),
        cmocka_unit_test(every_layer_counts_its_own_operations),
        cmocka_unit_test(a_softplus_counts_its_own_operations),
        cmocka_unit_test(bytes_are_those_of_f32),
        cmocka_unit_test(adaptive_windows_are_counted_exactly),
        cmocka_unit_test(a_gradient_costs_two_forward_passes_less_one_layer),
        cmocka_unit_test(the_chain_of_filters_counts_as_derived),
        cmocka_unit_test(gradients_of_every_layer_follow_their_formulas),
        cmocka_unit_test(operators_count_one_operation_a_number),
        cmocka_unit_test(gradients_are_counted_where_parameters_lead),
        cmocka_unit_test(constants_count_as_parameters_once),
        cmocka_unit_test(counts_that_do_not_fit_are_refused),
        cmocka_unit_test(totals_that_do_not_fit_are_refused),
        cmocka_unit_test(bad_options_are_refused_and_memory_may_run_out),
    };
    return cmocka_run_group_tests_name("count", tests, NULL, NULL);
}
