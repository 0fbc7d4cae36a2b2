/*
 * graph: the text of a graph, there and back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "ports.h"

#include "net/graph.h"
#include "op/attrs.h"

#include <unistd.h>

static char *graph_text(const ptf_net *net)
{
    char *text = NULL;
    size_t size = 0;
    ptf_error err;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(ptf_net_print_graph(net, out, &err), PTF_OK);
    fclose(out);
    return text;
}

static ptf_net *parse(const char *text)
{
    ptf_net *net;
    ptf_error err;
    if (ptf_net_make(text, "g.txt", NULL, NULL, &net, &err) != PTF_OK)
        fail_msg("%s in\n%s", err.message, text);
    return net;
}

/* ------------------------------------------------------------ same networks */

static void expect_same_tensor(const ptf_tensor *a, const ptf_tensor *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a == NULL)
        return;
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->shape, b->shape, (size_t)a->rank * sizeof(int64_t));
}

static void expect_same_node(const ptf_node *a, const ptf_node *b, bool tensors)
{
    assert_int_equal(a->op, b->op);
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->input_count, b->input_count);
    if (a->input_count > 0)
        assert_memory_equal(a->inputs, b->inputs,
                            (size_t)a->input_count * sizeof(int));
    for (const ptf_field *f = ptf_op_fields[a->op]; f->name != NULL; f++)
        if (!ptf_field_equal(f, &a->attrs, &b->attrs))
            fail_msg("%s of %s", f->name, a->name);
    assert_int_equal(a->attrs.out_channels, b->attrs.out_channels);
    assert_memory_equal(a->attrs.padding, b->attrs.padding,
                        sizeof(a->attrs.padding));
    for (int r = 0; tensors && r < PTF_ROLE_COUNT; r++)
        expect_same_tensor(a->tensors[r], b->tensors[r]);
}

/* All that a text states. */
static void expect_same_net(const ptf_net *a, const ptf_net *b, bool tensors)
{
    assert_int_equal(a->node_count, b->node_count);
    assert_int_equal(a->input_count, b->input_count);
    assert_int_equal(a->output_count, b->output_count);
    assert_int_equal(a->whole, b->whole);
    for (int i = 0; i < a->input_count; i++) {
        const ptf_input *x = &a->inputs[i], *y = &b->inputs[i];
        assert_int_equal(x->dtype, y->dtype);
        assert_int_equal(x->fixed, y->fixed);
        assert_int_equal(x->has_shape, y->has_shape);
        if (x->has_shape)
            assert_memory_equal(&x->shape, &y->shape, sizeof(x->shape));
    }
    for (int i = 0; i < a->output_count; i++) {
        const ptf_output *x = &a->outputs[i], *y = &b->outputs[i];
        assert_int_equal(x->node, y->node);
        assert_int_equal(x->dtype, y->dtype);
        assert_string_equal(ptf_net_output_name(a, x),
                            ptf_net_output_name(b, y));
        assert_string_equal(x->alias != NULL ? x->alias : "",
                            y->alias != NULL ? y->alias : "");
    }
    assert_string_equal(ptf_net_name(a), ptf_net_name(b));
    for (int i = 0; i < a->node_count; i++)
        expect_same_node(&a->nodes[i], &b->nodes[i], tensors);
}

/* parse(print(net)) is the net, and prints the same. */
static void expect_round_trip(const ptf_net *net, bool tensors)
{
    char *text = graph_text(net);
    ptf_net *again = parse(text);
    char *same = graph_text(again);
    assert_string_equal(text, same);
    expect_same_net(net, again, tensors);
    free(same);
    free(text);
    ptf_net_free(again);
}

/* ----------------------------------------------------------------- every op */

enum { OPERANDS = 3 };

/* input, OPERANDS - 1 constants, and the op on as many as it takes. */
typedef struct one_op {
    ptf_net net;
    ptf_node nodes[OPERANDS + 1];
    int inputs[OPERANDS];
} one_op;

static const ptf_tensor *declare(one_op *o, const char *name, int rank,
                                 const int64_t *shape)
{
    ptf_tensor *t = ptf_arena_alloc(&o->net.arena, sizeof(*t));
    assert_non_null(t);
    t->name = name;
    t->rank = rank;
    if (rank > 0)
        memcpy(t->shape, shape, (size_t)rank * sizeof(*shape));
    return t;
}

static void start_op(one_op *o, ptf_op op)
{
    static const char *const names[OPERANDS] = {"x", "b", "c"};
    int count = 0;
    while (!ptf_op_takes(op, count))
        count++;
    memset(o, 0, sizeof(*o));
    for (int i = 0; i < count; i++) {
        bool first = i == 0;
        o->nodes[i] = (ptf_node){.op = first ? PTF_OP_INPUT : PTF_OP_CONSTANT,
                                 .name = names[i],
                                 .class_name = "",
                                 .container = -1};
        if (!first)
            o->nodes[i].tensors[PTF_ROLE_WEIGHT] =
                declare(o, names[i], 2, (const int64_t[]){3, 5});
        o->inputs[i] = i;
    }
    o->nodes[count] = (ptf_node){.op = op,
                                 .name = "y",
                                 .class_name = ptf_op_class(op),
                                 .container = -1,
                                 .input_count = count,
                                 .inputs = o->inputs};
    o->net.nodes = o->nodes;
    o->net.node_count = count + 1;
    give_input(&o->net, NULL);
    give_output(&o->net, count);
}

/* Gives the op its tensors and goes round; false when attributes do not fit. */
static bool finish_op(one_op *o, bool counts)
{
    static const char *const names[PTF_ROLE_COUNT] = {"w", "h", "s", "t",
                                                      "m", "v", "n"};
    ptf_node *node = &o->nodes[o->net.node_count - 1];
    ptf_partial_shape out;
    bool fits = ptf_op_settle(node->op, &node->attrs) == NULL &&
                ptf_op_partial_shape(node->op, &node->attrs,
                                     (ptf_partial_shape){0, 0}, &out) == NULL;
    for (int r = 0; fits && r < PTF_ROLE_COUNT; r++) {
        int rank;
        int64_t shape[PTF_MAX_RANK];
        bool has =
            ptf_op_parameter(node->op, &node->attrs, (ptf_role)r, &rank, shape);
        if (has && (counts || r != PTF_ROLE_NUM_BATCHES))
            node->tensors[r] = declare(o, names[r], rank, shape);
    }
    if (fits)
        expect_round_trip(&o->net, true);
    ptf_arena_free(&o->net.arena);
    return fits;
}

/* Texts of values; those that a field does not take are passed over. */
static const char *const values[] = {
    "1",        "2",       "4",         "-1",
    "(3, 5)",   "(3,)",    "(None, 7)", "0.30000000000000004",
    "1e-7",     "False",   "True",      "None",
    "same",     "valid",   "none",      "tanh",
    "(2, 1)",   "reflect", "bicubic",   "-inf",
    "(3, 5, 2)"};

/* What an op must have before anything else can be changed. */
static void set_required(ptf_op op, ptf_attrs *attrs)
{
    ptf_attrs_default(op, attrs);
    if (ptf_op_roles(op) != 0)
        attrs->in_channels = attrs->out_channels = 8;
    for (int i = PTF_MAP_AXES - ptf_op_map_axes(op); i < PTF_MAP_AXES; i++) {
        attrs->kernel[i] = 3;
        attrs->output_size[i] = i + 1;
        attrs->stride[i] = ptf_op_is_transposed(op) ? 9 : 1;
    }
    attrs->count_include_pad_unspecified = false; /* or nothing is padded */
    attrs->dim = 1;
    attrs->size = (ptf_list){2, {2, 4}}; /* of a norm: 8 features */
    attrs->track_running_stats = ptf_op_is(op, PTF_FAMILY_AFFINE);
    attrs->pads = (ptf_pads){2, {1, 1}};
    attrs->scale = (ptf_factors){1, {1.5}};
    attrs->align_corners_unspecified = false;
    if (op == PTF_OP_UPSAMPLE)
        attrs->p[0] = PTF_UPSAMPLE_BILINEAR;
}

/* Each value of each attribute by itself: how many differ from the usual. */
static int change_each(ptf_op op, const ptf_field *f)
{
    one_op *o = calloc(1, sizeof(*o));
    int changed = 0;
    for (size_t v = 0; v < PTF_ARRAY_SIZE(values); v++) {
        for (int counts = 0; counts < 2; counts++) {
            start_op(o, op);
            ptf_attrs *attrs = &o->nodes[o->net.node_count - 1].attrs, usual;
            set_required(op, attrs);
            usual = *attrs;
            ptf_text_span text = {values[v], strlen(values[v])};
            if (ptf_field_parse(op, f, text, attrs) && finish_op(o, counts))
                changed += !ptf_field_equal(
                    f, &o->nodes[o->net.node_count - 1].attrs, &usual);
            ptf_arena_free(&o->net.arena);
        }
    }
    free(o);
    return changed;
}

static void every_attribute_of_every_op_goes_round(void **state)
{
    (void)state;
    for (int i = 0; i < PTF_OP_COUNT; i++) {
        ptf_op op = (ptf_op)i;
        if (ptf_op_is(op, PTF_FAMILY_SOURCE))
            continue;
        one_op *o = calloc(1, sizeof(*o));
        start_op(o, op);
        set_required(op, &o->nodes[o->net.node_count - 1].attrs);
        if (!finish_op(o, true))
            fail_msg("%s", ptf_op_info(op)->name);
        free(o);
        for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++)
            if (change_each(op, f) == 0 && f->kind != PTF_FIELD_KIND_MODE)
                fail_msg("nothing else than usual for %s of %s", f->name,
                         ptf_op_info(op)->name);
    }
}

/* ------------------------------------------------------------- whole graphs */

static const char residual[] =
    "ptfold graph 1\n"
    "net Residual\n"
    "input x f32 [N,3,8,8]\n"
    "const conv1.weight f32 [3,3,3,3]\n"
    "conv1 = conv2d(x, conv1.weight) padding=[1,1]\n"
    "const bn1.weight f32 [3]\n"
    "const bn1.bias f32 [3]\n"
    "const bn1.running_mean f32 [3]\n"
    "const bn1.running_var f32 [3]\n"
    "const bn1.num_batches_tracked i64 []\n"
    "bn1 = batch_norm2d(conv1, bn1.weight, bn1.bias, bn1.running_mean, "
    "bn1.running_var, bn1.num_batches_tracked)\n"
    "add_1 = add(bn1, x)\n"
    "const scale f32 [3,1,1]\n"
    "mul_1 = mul(add_1, scale)\n"
    "twice = add(mul_1, mul_1)\n"
    "cat = concat(twice, x, twice) dim=1\n"
    "nobody = mul(cat, cat)\n"
    "const none.weight f32 [2,9,1,1]\n"
    "const s f32 [2]\n"
    "const t f32 [2]\n"
    "\"conv 1\\\"\\\\\\x0a\" = conv2d(cat, none.weight, none, s, t)\n"
    "output logits cat\n";

static const char *const graphs[] = {
    "ptfold graph 1\ninput x f32\ny = relu(x)\noutput y\n",
    "ptfold graph 1\ninput %0 f32 [N,7]\n%1 = relu(%0)\n%2 = tanh(%1)\n"
    "output %2\n",
    /* names that are words of the format, or numbers */
    "ptfold graph 1\nnet net\ninput input f32 [N,4]\nconst = relu(input)\n"
    "output = tanh(const)\nnet = add(output, input)\n1.5 = relu(net)\n"
    "\"none\" = relu(1.5)\n\"%0\" = relu(\"none\")\n\"\xc3\xa9\" = relu(\"%0\")\n"
    "output \"\xc3\xa9\"\n",
    /* one weight of two layers, one that is a value too, one of each dtype */
    "ptfold graph 1\ninput x f32 [N,4]\nconst b f16 [4]\nconst w f32 [4,4]\n"
    "a = linear(x, w, b)\nc = linear(a, w)\nd = add(c, b)\noutput d\n",
    "ptfold graph 1\ninput x f32 [N,4]\nconst idle bf16 []\n"
    "const two f32 [1,2,1,2,1,2,1]\ny = add(x, x)\nz = relu(y)\noutput y\n",
    /* no weights tell what is stated */
    "ptfold graph 1\ninput x f32\n"
    "y = batch_norm2d(x) num_features=7 eps=0.001 momentum=None\noutput y\n",
    "ptfold graph 1\ninput x f32\nconst m f32 [2]\nconst v f32 [2]\n"
    "y = batch_norm1d(x, none, none, m, v)\noutput y\n",
    "ptfold graph 1\ninput x f32 [N,6,9]\nconst w f32 [4,3,5]\n"
    "y = conv1d(x, w) padding=same dilation=[3] groups=2\n"
    "output y\n",
};

static void graphs_go_round(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(graphs); i++) {
        ptf_net *net = parse(graphs[i]);
        char *text = graph_text(net);
        assert_string_equal(text, graphs[i]);
        expect_round_trip(net, true);
        free(text);
        ptf_net_free(net);
    }
}

static void a_residual_network_is_read_as_it_stands(void **state)
{
    (void)state;
    ptf_net *net = parse(residual);
    char *same = graph_text(net);
    assert_string_equal(same, residual);
    assert_int_equal(net->node_count, 10);
    assert_string_equal(net->nodes[9].name, "conv 1\"\\\n");
    assert_true(net->nodes[9].attrs.scale_shift);
    assert_false(net->nodes[9].attrs.has_bias);
    assert_int_equal(net->nodes[9].attrs.in_channels, 9);
    assert_int_equal(net->nodes[4].op, PTF_OP_CONSTANT);
    assert_int_equal(net->nodes[6].inputs[0], 5);
    assert_int_equal(net->nodes[6].inputs[1], 5);
    assert_int_equal(output_of(net), 7);
    assert_string_equal(net->outputs[0].name, "logits");
    assert_string_equal(ptf_net_name(net), "Residual");
    assert_false(ptf_net_is_chain(net));
    size_t count;
    const ptf_parameter *all = ptf_net_parameters(net, &count);
    assert_int_equal(count, 10);
    assert_string_equal(all[6].name, "scale");
    assert_true(all[5].optional);
    ptf_shape shapes[10];
    assert_int_equal(ptf_net_shapes(net, &net->inputs[0].shape, shapes, NULL),
                     PTF_OK);
    assert_int_equal(shapes[7].dim[0], 9);
    free(same);
    ptf_net_free(net);
}

static void comments_and_spaces_say_nothing(void **state)
{
    (void)state;
    ptf_net *net = parse("# a graph\r\n\n  ptfold   graph 1 # of this version\n"
                         "\tinput x f32 [ N , 4 ]\n\n# \x01 \xff anything\n"
                         "y=add ( x,x )# sum\nz = softmax(y) dim=-1\n"
                         "const w f32 [2, 4]\nu = linear(z, w)\noutput u");
    char *text = graph_text(net);
    assert_string_equal(text, "ptfold graph 1\ninput x f32 [N,4]\n"
                              "y = add(x, x)\nz = softmax(y) dim=-1\n"
                              "const w f32 [2,4]\nu = linear(z, w)\n"
                              "output u\n");
    free(text);
    ptf_net_free(net);
}

/* What is stated may say what the parameters tell, and must agree with it. */
static void what_parameters_tell_may_be_stated(void **state)
{
    (void)state;
    ptf_net *net = parse(
        "ptfold graph 1\ninput x f32\nconst w f32 [4,2,3,5]\nconst b f32 [4]\n"
        "y = conv2d(x, w, b) in_channels=4 out_channels=4 kernel_size=[3,5] "
        "stride=[1,1] groups=2 bias=True padding=[0,0]\noutput y\n");
    char *text = graph_text(net);
    assert_non_null(strstr(text, "y = conv2d(x, w, b) groups=2\n"));
    free(text);
    ptf_net_free(net);
}

static void built_in_networks_have_a_graph(void **state)
{
    (void)state;
    for (size_t i = 0; ptf_arch_name(i) != NULL; i++) {
        ptf_net *net = fixture_net(ptf_arch_text(ptf_arch_name(i)));
        assert_true(ptf_net_is_chain(net));
        expect_round_trip(net, false);
        ptf_net_free(net);
    }
    fixture f;
    fixture_build(&f, fixture_mixed);
    expect_round_trip(f.net, true);
    ptf_net *folded = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    expect_round_trip(folded, true);
    ptf_net_free(folded);
    fixture_free(&f);
    static const char *const chains[] = {
        "ReLU()",
        "# input: 3x4\nNet(\n  (0): ReLU()\n  (1): Softmax(dim=1)\n)"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(chains); i++) {
        ptf_net *net = fixture_net(chains[i]);
        assert_true(ptf_net_is_chain(net));
        expect_round_trip(net, false);
        ptf_net_free(net);
    }
}

/* ------------------------------------------------------------------ memory */

/* Memory that runs out anywhere is a status, and nothing is lost. */
static void memory_may_run_out(void **state)
{
    (void)state;
    ptf_net *whole = parse(graphs[3]);
    ptf_status status = PTF_MEMORY;
    for (long n = 0; status == PTF_MEMORY; n++) {
        ptf_net *net;
        ptf_error err;
        FILE *out = fopen("/dev/null", "w");
        ptf_alloc_fail_after(n);
        status = ptf_net_make(graphs[3], "g.txt", NULL, NULL, &net, &err);
        ptf_net_free(net);
        if (status == PTF_OK)
            status = ptf_net_print_graph(whole, out, &err);
        if (status == PTF_OK)
            status = ptf_net_draw(whole, PTF_DRAWING_DOT, out, &err);
        ptf_alloc_fail_after(-1);
        fclose(out);
        assert_true(status == PTF_OK || n < 1000);
    }
    assert_int_equal(status, PTF_OK);
    ptf_net_free(whole);
}

/* ----------------------------------------------------------------- in files */

/* A file of the net, opened again; the caller closes. */
static ptf_checkpoint *save(const ptf_net *net, const char *path)
{
    ptf_checkpoint *ckpt = NULL;
    ptf_error err;
    if (ptf_net_save(net, path, NULL, NULL, &err) != PTF_OK ||
        ptf_checkpoint_open(path, NULL, &ckpt, &err) != PTF_OK)
        fail_msg("%s", err.message);
    unlink(path);
    return ckpt;
}

static void expect_same_numbers(const ptf_net *a, const ptf_net *b)
{
    assert_int_equal(ptf_net_tensor_count(a), ptf_net_tensor_count(b));
    for (size_t i = 0; i < ptf_net_tensor_count(a); i++) {
        char x[65], y[65];
        const ptf_tensor *s = ptf_net_tensor(a, i), *t = ptf_net_tensor(b, i);
        assert_string_equal(s->name, t->name);
        assert_int_equal(ptf_tensor_sha256(s, x, NULL), PTF_OK);
        assert_int_equal(ptf_tensor_sha256(t, y, NULL), PTF_OK);
        assert_string_equal(x, y);
    }
}

static void saved_graphs_are_read_back(void **state)
{
    (void)state;
    for (size_t i = 3; i < PTF_ARRAY_SIZE(graphs); i++) {
        ptf_net *again;
        ptf_error err;
        fixture f;
        fixture_build(&f, graphs[i]);
        ptf_checkpoint *ckpt = save(f.net, "graph.safetensors");
        assert_null(ptf_checkpoint_metadata(ckpt, "architecture"));
        char *text = graph_text(f.net);
        assert_string_equal(ptf_checkpoint_metadata(ckpt, "graph"), text);
        if (ptf_net_make(NULL, NULL, ckpt, NULL, &again, &err) != PTF_OK)
            fail_msg("%s", err.message);
        expect_same_net(f.net, again, true);
        expect_same_numbers(f.net, again);
        size_t count; /* what several layers have is asked for once */
        ptf_net_parameters(again, &count);
        assert_int_equal(count, ptf_net_tensor_count(again));
        ptf_net_free(again);
        ptf_checkpoint_close(ckpt);
        free(text);
        fixture_free(&f);
    }
}

/* The same layers as a chain of modules and as a graph. */
static void a_graph_runs_as_its_chain_does(void **state)
{
    (void)state;
    int64_t numel, graph_numel;
    fixture f;
    fixture_build(&f, fixture_small);
    char *text = graph_text(f.net);
    ptf_net *graph, *again;
    ptf_error err;
    if (ptf_net_make(text, "g.txt", f.ckpt, NULL, &graph, &err) != PTF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(graph->container_count, 0);
    ptf_checkpoint *chain_file = save(f.net, "chain.safetensors");
    assert_null(ptf_checkpoint_metadata(chain_file, "graph"));
    ptf_checkpoint_close(chain_file);
    ptf_checkpoint *ckpt = save(graph, "graph.bin");
    assert_int_equal(ptf_net_make(NULL, NULL, ckpt, NULL, &again, &err),
                     PTF_OK);
    ptf_net *folded = fixture_rewrite(again, "fold_batchnorm", NULL);
    ptf_net *folded_chain = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    const ptf_net *const pairs[][2] = {{f.net, again}, {folded_chain, folded}};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(pairs); i++) {
        float *a = fixture_run(pairs[i][0], "2x6x5", 3, &numel);
        float *b = fixture_run(pairs[i][1], "2x6x5", 3, &graph_numel);
        assert_int_equal(numel, graph_numel);
        assert_memory_equal(a, b, (size_t)numel * sizeof(float));
        free(a);
        free(b);
    }
    expect_round_trip(folded, true);
    ptf_net_free(folded_chain);
    ptf_net_free(folded);
    ptf_net_free(again);
    ptf_checkpoint_close(ckpt);
    ptf_net_free(graph);
    free(text);
    fixture_free(&f);
}

/* A rewrite names a layer's own copy of a tensor after the layer. */
static void a_rewrite_makes_no_two_tensors_of_one_name(void **state)
{
    (void)state;
    static const char text[] =
        "ptfold graph 1\ninput x f32 [N,4]\nconst w f32 [4,4]\n"
        "const b.weight f32 [4]\na = linear(x, w)\nb = linear(a, w)\n"
        "c = dropout(b) p=0.5\nd = add(c, %s)\noutput d\n";
    for (int collides = 0; collides < 2; collides++) {
        char whole[512];
        ptf_net *out;
        ptf_error err;
        snprintf(whole, sizeof(whole), text, collides ? "b.weight" : "c");
        ptf_net *net = parse(whole);
        if (!collides)
            net->nodes[1].name = "idle";
        ptf_status status = ptf_net_rewrite(
            net, ptf_rewrite_find("drop_identity"), NULL, &out, &err);
        assert_int_equal(status, collides ? PTF_UNSUPPORTED : PTF_OK);
        if (collides)
            assert_non_null(strstr(err.message, "the name 'b.weight'"));
        else
            expect_round_trip(out, true);
        ptf_net_free(out);
        ptf_net_free(net);
    }
}

/* Two values of one name would be read back as another graph, if at all. */
static void what_has_no_text_is_not_saved(void **state)
{
    (void)state;
    fixture f;
    ptf_error err;
    fixture_build(&f, "ptfold graph 1\ninput x f32 [N,4]\nconst w f32 [4,4]\n"
                      "a = linear(x, w)\nb = add(a, x)\noutput b\n");
    f.net->nodes[2].name = "w";
    assert_int_equal(ptf_net_save(f.net, "bad.bin", NULL, NULL, &err),
                     PTF_UNSUPPORTED);
    assert_non_null(strstr(err.message, "cannot be written as text"));
    assert_int_not_equal(access("bad.bin", F_OK), 0);
    f.net->nodes[2].name = "b";
    fixture_free(&f);
}

/* ----------------------------------------------------------------- pictures */

static char *picture(const ptf_net *net, ptf_drawing kind)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(ptf_net_draw(net, kind, out, NULL), PTF_OK);
    fclose(out);
    return text;
}

static void graphs_are_drawn(void **state)
{
    (void)state;
    ptf_net *net = parse("ptfold graph 1\ninput x f32 [N,4]\n"
                         "const c f32 []\n"
                         "\"a\\\"\\\\<&#>\\x0a\" = softmax(x) dim=1\n"
                         "y = add(\"a\\\"\\\\<&#>\\x0a\", c)\noutput p y\n");
    char *dot = picture(net, PTF_DRAWING_DOT);
    assert_string_equal(
        dot,
        "digraph {\n"
        "    node [shape=box, style=rounded, fontname=sans];\n"
        "    n0 [shape=ellipse, label=\"x\\ninput\\n4\"];\n"
        "    n1 [shape=ellipse, label=\"c\\nconstant\\none number\"];\n"
        "    n2 [label=\"a\\\"\\\\<&amp;#>\\\\x0a\\nsoftmax dim=1\\n4\"];\n"
        "    n0 -> n2;\n"
        "    n3 [label=\"y\\nadd\\n4\"];\n"
        "    n2 -> n3;\n"
        "    n1 -> n3;\n"
        "    output0 [shape=ellipse, label=\"p\"];\n"
        "    n3 -> output0;\n"
        "}\n");
    char *mermaid = picture(net, PTF_DRAWING_MERMAID);
    assert_string_equal(
        mermaid,
        "flowchart TD\n"
        "    n0([\"x<br/>input<br/>4\"])\n"
        "    n1([\"c<br/>constant<br/>one number\"])\n"
        "    n2[\"a#quot;\\#lt;#amp;#35;#gt;\\x0a<br/>softmax dim=1<br/>4\"]\n"
        "    n0 --> n2\n"
        "    n3[\"y<br/>add<br/>4\"]\n"
        "    n2 --> n3\n"
        "    n1 --> n3\n"
        "    output0([\"p\"])\n"
        "    n3 --> output0\n");
    free(dot);
    free(mermaid);
    ptf_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attribute_of_every_op_goes_round),
        cmocka_unit_test(graphs_go_round),
        cmocka_unit_test(a_residual_network_is_read_as_it_stands),
        cmocka_unit_test(comments_and_spaces_say_nothing),
        cmocka_unit_test(what_parameters_tell_may_be_stated),
        cmocka_unit_test(built_in_networks_have_a_graph),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(saved_graphs_are_read_back),
        cmocka_unit_test(a_graph_runs_as_its_chain_does),
        cmocka_unit_test(a_rewrite_makes_no_two_tensors_of_one_name),
        cmocka_unit_test(what_has_no_text_is_not_saved),
        cmocka_unit_test(graphs_are_drawn),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
