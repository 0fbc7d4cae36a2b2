/*
 * What is believed of forward(): texts that say all of it, texts that do not,
 * the caller's word, and the signs against it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"

#include <unistd.h>

#define ASSUMES " runs its modules in the printed order"
#define FLATTEN "Flatten(start_dim=1, end_dim=-1)"
#define LINEAR(in, out) \
    "Linear(in_features=" #in ", out_features=" #out ", bias=True)"

/* F.relu in forward(): its text has no activation. */
#define FNET(code)                                     \
    "# input: 3x8x8\n"                                 \
    "FNet(\n"                                          \
    "  (conv1): " CONV(3, 8) "\n  (bn1): " BN2(        \
        8) "\n"                                        \
           "  (conv2): " CONV(8, 8) "\n  (bn2): " BN2( \
               8) "\n"                                 \
                  "  (fc): " LINEAR(128, 5) "\n)\n" code

static ptf_status make(const char *text, bool in_order, ptf_net **net,
                       ptf_error *err)
{
    ptf_net_options options = {.size = sizeof(options), .in_order = in_order};
    return ptf_net_make(text, "net.txt", NULL, &options, net, err);
}

/* -------------------------------------------------------- what says it all */

static const char *const exact[] = {
    "ReLU()\n",
    "Sequential(\n  (a): Sequential(\n    (0): ReLU()\n  )\n  (b): Tanh()\n)\n",
    "Sequential(\n  (c): ConvReLU2d(\n    (0): " CONV(
        3, 8) "\n"
              "    (1): ReLU()\n  )\n  (bn): Identity()\n)\n",
    "LinearBn1d(\n  (0): " LINEAR(2, 3) "\n  (1): " BN1(3) "\n)\n",
    "DataParallel(\n  (module): Sequential(\n    (0): ReLU()\n  )\n)\n",
    "OptimizedModule(\n  (_orig_mod): ReLU()\n)\n",
    /* torch.fx: classes do not matter when the calls are there */
    "Net(\n  (a): Module(\n    (0): ReLU()\n    (sub): Tanh()\n  )\n"
    "  (l): Identity()\n)\n\n\n\n"
    "def forward(self, x : torch.Tensor):\n"
    "    x_1 = x\n"
    "    a_0 = getattr(self.a, \"0\")(x_1);  x_1 = None\n"
    "    a_sub = self.a.sub(a_0);  a_0 = None\n"
    "    l = self.l(a_sub);  a_sub = None\n"
    "    return l\n    \n"
    "# To see more debug info, please use `graph_module.print_readable()`\n",
    "Net(\n  (0): Module(\n    (1): " CONV(
        3, 8) "\n  )\n"
              "  (l): " LINEAR(
                  128,
                  5) "\n)\n"
                     "def forward(self, input):\n"
                     "    _0_1 = getattr(getattr(self, \"0\"), \"1\")(input)\n"
                     "    flatten = torch.flatten(_0_1, 1);  _0_1 = None\n"
                     "    l = self.l(flatten);  flatten = None\n"
                     "    return l\n",
};

static void texts_that_say_it_all_need_no_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(exact); i++) {
        for (int in_order = 0; in_order < 2; in_order++) {
            ptf_net *net;
            ptf_error err;
            if (make(exact[i], in_order != 0, &net, &err) != PTF_OK)
                fail_msg("text %zu: %s", i, err.message);
            assert_null(ptf_net_assumption(net));
            assert_null(ptf_net_doubt(net, 0));
            ptf_net_free(net);
        }
    }
    for (size_t i = 0; ptf_arch_name(i) != NULL; i++) {
        ptf_net *net;
        assert_int_equal(
            make(ptf_arch_text(ptf_arch_name(i)), false, &net, NULL), PTF_OK);
        assert_null(ptf_net_assumption(net));
        ptf_net_free(net);
    }
}

/* ------------------------------------------------------ what does not do so */

static const struct {
    const char *text;
    const char *words;      /* of the refusal */
    const char *assumption; /* with the caller's word; NULL: refused, too */
} unknown[] = {
    {FNET(""),
     "net.txt: line 2: class FNet is not nn.Sequential, and its "
     "forward() is not in the text;",
     "FNet.forward()" ASSUMES},
    /* a module used twice; a block that adds its input */
    {"Sh(\n  (a): " LINEAR(4, 4) "\n  (b): " LINEAR(4,
                                                    4) "\n"
                                                       "  (relu): ReLU()\n)\n",
     "line 1: class Sh is not nn.Sequential", "Sh.forward()" ASSUMES},
    {"Sequential(\n  (0): R(\n    (conv): " CONV(3, 3) "\n    (act): ReLU()\n"
                                                       "  )\n)\n",
     "line 2: class R is not nn.Sequential", "R.forward()" ASSUMES},
    {"A(\n  (0): B(\n    (0): ReLU()\n  )\n"
     "  (1): B(\n    (0): ReLU()\n  )\n)\n",
     "class A",
     "A.forward(), B.forward() run their modules in the printed "
     "order"},
    {"A(\n  (0): B(\n    (0): C(\n      (0): D(\n        (0): E(\n"
     "          (0): ReLU()\n        )\n      )\n    )\n  )\n)\n",
     "class A",
     "A.forward(), B.forward(), C.forward() and 2 more run their "
     "modules in the printed order"},
    /* the name of a class that is known, and other children */
    {"ConvReLU2d(\n  (conv): " CONV(3, 8) "\n  (relu): ReLU()\n)\n",
     "class ConvReLU2d", "ConvReLU2d.forward()" ASSUMES},
    {"ConvReLU2d(\n  (0): " CONV(3, 8) "\n  (1): ReLU()\n  (2): ReLU()\n)\n",
     "class ConvReLU2d", "ConvReLU2d.forward()" ASSUMES},
    {"ConvBnReLU2d(\n  (0): " CONV(3, 8) "\n  (1): " BN2(8) "\n)\n",
     "class ConvBnReLU2d", "ConvBnReLU2d.forward()" ASSUMES},
    {"DataParallel(\n  (module): ReLU()\n  (other): ReLU()\n)\n",
     "expected one child 'module' of DataParallel", NULL},
    /* the name of a built-in network, and other layers or names */
    {"Net1(\n  (c): " CONV(3, 8) "\n  (r): ReLU()\n)\n", "class Net1",
     "Net1.forward()" ASSUMES},
    /* layers that do not fit: the order is to blame, until it is vouched for */
    {"Net(\n  (a): " LINEAR(4, 3) "\n  (b): " LINEAR(4, 3) "\n)\n",
     "class Net is not nn.Sequential", NULL},
    /* a class of somebody's that is called like one of torchvision's */
    {"Net(\n  (0): BasicBlock(\n    (0): ReLU()\n  )\n)\n",
     "class Net is not nn.Sequential",
     "Net.forward(), BasicBlock.forward() run their modules in the printed "
     "order"},
    {"BasicBlock(\n  (conv1): Sequential(\n    (bn1): ReLU()\n"
     "    (relu): ReLU()\n    (conv2): ReLU()\n  )\n)\n",
     "class BasicBlock is not nn.Sequential", "BasicBlock.forward()" ASSUMES},
    /* what is around a list says how its members run */
    {"Net(\n  (0): ModuleList(\n    (0): ReLU()\n  )\n)\n",
     "class Net is not nn.Sequential", "Net.forward()" ASSUMES},
    {"Net(\n  (0): ModuleDict(\n    (a): ModuleList(\n      (0): ReLU()\n"
     "    )\n  )\n)\n",
     "class Net is not nn.Sequential", "Net.forward()" ASSUMES},
    /* no word helps */
    {"Net(\n  (0): BasicBlock(\n    (conv1): " CONV(3, 3) //
     "\n    (bn1): " BN2(3) "\n    (relu): ReLU()\n"
                            "    (conv2): Sequential(\n      (0): " CONV(
                                3, 3) "\n    )\n  )\n)\n",
     "line 2: BasicBlock adds its input", NULL},
    {"Fire(\n  (squeeze): Sequential(\n    (0): ReLU()\n  )\n"
     "  (squeeze_activation): ReLU()\n  (expand1x1): ReLU()\n)\n",
     "line 1: Fire concatenates", NULL},
    {"ModuleList(\n  (0): ReLU()\n)\n", "line 1: ModuleList has no forward()",
     NULL},
    {"Net(\n  (0): Sequential(\n    (a): ModuleDict(\n      (0): ReLU()\n"
     "    )\n  )\n)\n",
     "line 3: ModuleDict has no forward()", NULL},
    {"Net(\n  (c): ParametrizedConv1d(\n    4, 6, kernel_size=(3,)\n"
     "    (parametrizations): ModuleDict(\n    )\n  )\n)\n",
     "line 2: ParametrizedConv1d has weights that are made from others", NULL},
    {"ParametrizedBlock(\n  (0): ReLU()\n)\n",
     "class ParametrizedBlock is not nn.Sequential",
     "ParametrizedBlock.forward()" ASSUMES},
    /* code of torch.fx that does more, or otherwise */
    {FNET("def forward(self, x):\n"
          "    conv1 = self.conv1(x);  x = None\n"
          "    bn1 = self.bn1(conv1);  conv1 = None\n"
          "    relu = torch.nn.functional.relu(bn1, inplace = False)\n"),
     "line 12: in the forward() of torch.fx, expected a call of conv2", NULL},
    {FNET("def forward(self, x):\n    return x\n"),
     "expected a call of conv1 before the end", NULL},
    {FNET("def forward(self, x):\n    bn1 = self.bn1(x);  x = None\n"),
     "expected a call of conv1", NULL},
    {FNET("def forward(self, x, y):\n    return x\n"),
     "expected 'def forward(self, x):'", NULL},
    {FNET("import os\n"),
     "line 9: expected the end of the text after the model's ')'", NULL},
    {"Net(\n  (a): ReLU()\n  (b): ReLU()\n)\n"
     "def forward(self, x):\n"
     "    a = self.a(x)\n"
     "    b = self.b(x);  x = None\n"
     "    return b\n",
     "line 7: in the forward() of torch.fx, expected a call of b", NULL},
    {"Net(\n  (a): ReLU()\n)\n"
     "def forward(self, x):\n    a = self.a(x)\n    add = a + x\n"
     "    return add\n",
     "expected 'return', as all layers have run", NULL},
    {"Net(\n  (a): ReLU()\n)\n"
     "def forward(self, x):\n    a = self.a(x);  b = self.a(a)\n"
     "    return a\n",
     "expected one call in a line", NULL},
    {"Net(\n  (a): ReLU()\n)\n"
     "def forward(self, x):\n    a = self.a(x)\n    return x\n",
     "expected 'return' of the last value", NULL},
    {"Net(\n  (a): ReLU()\n)\n"
     "def forward(self, x):\n    a = self.a(x)\n    return a\n    a = x\n",
     "expected the end", NULL},
    {"Net(\n  (a): ReLU()\n)\ndef forward(self, x):\n    a = self.a(x)\n",
     "expected 'return'", NULL},
};

static void other_texts_are_refused_or_believed_on_a_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(unknown); i++) {
        ptf_net *net;
        ptf_error err;
        if (make(unknown[i].text, false, &net, &err) == PTF_OK ||
            strstr(err.message, unknown[i].words) == NULL ||
            strlen(err.message) > 300)
            fail_msg("text %zu: expected '%s', got: %s", i, unknown[i].words,
                     err.message);
        ptf_status status = make(unknown[i].text, true, &net, &err);
        if (unknown[i].assumption == NULL) {
            assert_int_not_equal(status, PTF_OK);
            continue;
        }
        if (status != PTF_OK)
            fail_msg("text %zu: %s", i, err.message);
        assert_string_equal(ptf_net_assumption(net), unknown[i].assumption);
        ptf_net_free(net);
    }
}

static void one_layer_more_is_no_built_in_network(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } changes[] = {
        {"padding=(1, 1)", "padding=(1, 1), dilation=(1, 1), bias=False"},
        {"eps=1e-05", "eps=1e-06"},
        {"  (fc2): ", "  (fc3): "},
        {"(2): ReLU()", "(2): Tanh()"},
        {"  (fc1): Seq",
         "  (drop): Dropout(p=0.5, inplace=False)\n  (fc1): Seq"},
    };
    const char *text = ptf_arch_text("smallNetTrain");
    for (size_t i = 0; i < PTF_ARRAY_SIZE(changes); i++) {
        char changed[4096];
        const char *at = strstr(text, changes[i].from);
        assert_non_null(at);
        snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text,
                 changes[i].to, at + strlen(changes[i].from));
        ptf_net *net;
        ptf_error err;
        assert_int_equal(make(changed, false, &net, &err), PTF_UNSUPPORTED);
        assert_non_null(strstr(err.message, "class smallNetTrain"));
    }
}

/* ---------------------------------------------------------------- the signs */

static const struct {
    const char *text;
    const char *doubts[4]; /* all of them, in order */
} doubted[] = {
    {"Net(\n  (c): " CONV(3, 8) "\n  (r): ReLU()\n  (l): " CONV(8, 8) "\n)\n",
     {NULL}},
    {"Net(\n  (c): " CONV(3, 8) "\n  (bn): " BN2(
         8) "\n  (d): Identity()\n"
            "  (bn2): " BN2(8) "\n  (r): ReLU()\n)\n",
     {"batch norm bn stands right before batch norm bn2"}},
    {"Net(\n  (c): " CONV(3, 8) "\n  (bn): " BN2(8) "\n  (d): " CONV(
         8, 8) "\n"
               "  (r): ReLU()\n  (f): " FLATTEN "\n)\n",
     {"c and d have no activation between them"}},
    {"Net(\n  (c): " CONV(3, 8) "\n  (r): ReLU()\n  (bn): " BN2(
         8) "\n"
            "  (d): " CONV(8, 8) "\n  (s): ReLU()\n)\n",
     {"batch norm bn stands before d, not after it"}},
    /* as pre-activation nets have it, and a norm of the input */
    {"Net(\n  (c): " CONV(3, 8) "\n  (bn): " BN2(8) "\n  (r): ReLU()\n"
                                                    "  (d): " CONV(8,
                                                                   8) "\n)\n",
     {NULL}},
    {"Net(\n  (bn): " BN2(3) "\n  (d): " CONV(3, 8) "\n  (r): ReLU()\n)\n",
     {NULL}},
    {"Net(\n  (downsample): Sequential(\n    (0): " CONV(
         3, 8) "\n  )\n"
               "  (r): ReLU()\n)\n",
     {"the name downsample.0 speaks of a second path"}},
    {"Net(\n  (shortcut): ReLU()\n)\n",
     {"the name shortcut speaks of a second path"}},
    {"Net(\n  (skip): ReLU()\n)\n", {"the name skip speaks of a second path"}},
    {"Net(\n  (branch3x3): ReLU()\n)\n",
     {"the name branch3x3 speaks of a second path"}},
    {"Net(\n  (skipper): ReLU()\n  (r): ReLU()\n)\n", {NULL}},
    {"Net(\n  (a): BasicBlock(\n    (b): Sequential(\n      (0): ReLU()\n"
     "    )\n  )\n)\n",
     {"the class around a.b.0 has the name of a block with a second path"}},
    {FNET(""),
     {"conv1 and conv2 have no activation between them",
      "there is no activation at all"}},
};

static void signs_against_the_order_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(doubted); i++) {
        ptf_net *net;
        ptf_error err;
        if (make(doubted[i].text, true, &net, &err) != PTF_OK)
            fail_msg("text %zu: %s", i, err.message);
        for (size_t k = 0; k < PTF_ARRAY_SIZE(doubted[i].doubts); k++) {
            const char *want = doubted[i].doubts[k];
            const char *found = ptf_net_doubt(net, k);
            if (want == NULL ? found != NULL
                             : found == NULL || strcmp(want, found) != 0)
                fail_msg("text %zu, doubt %zu: expected '%s', got '%s'", i, k,
                         want != NULL ? want : "", found != NULL ? found : "");
            if (want == NULL)
                break;
        }
        ptf_net_free(net);
    }
}

/* ------------------------------------------------------------ carried along */

static ptf_checkpoint *save_and_open(const ptf_net *net)
{
    char path[] = "order-XXXXXX.safetensors";
    int fd = mkstemps(path, 12);
    assert_true(fd >= 0);
    close(fd);
    ptf_error err;
    ptf_checkpoint *ckpt = NULL;
    if (ptf_net_save(net, path, NULL, NULL, &err) != PTF_OK ||
        ptf_checkpoint_open(path, NULL, &ckpt, &err) != PTF_OK)
        fail_msg("%s", err.message);
    unlink(path);
    return ckpt;
}

static void rewrites_and_files_carry_it_on(void **state)
{
    (void)state;
    fixture f;
    fixture_build(&f, FNET(""));
    ptf_net *folded = fixture_rewrite(f.net, "fold_batchnorm", NULL);
    assert_string_equal(ptf_net_assumption(folded), "FNet.forward()" ASSUMES);
    assert_null(ptf_net_doubt(folded, 0));
    ptf_checkpoint *ckpt = save_and_open(folded);
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "assumes"),
                        "FNet.forward()" ASSUMES);
    ptf_net *again;
    ptf_error err;
    if (ptf_net_make(NULL, NULL, ckpt, NULL, &again, &err) != PTF_OK)
        fail_msg("%s", err.message);
    assert_string_equal(ptf_net_assumption(again), "FNet.forward()" ASSUMES);
    ptf_net_free(again);
    /* The text alone, out of the same file, is anybody's. */
    assert_int_equal(ptf_net_make(ptf_checkpoint_metadata(ckpt, "architecture"),
                                  "text", ckpt, NULL, &again, &err),
                     PTF_UNSUPPORTED);
    ptf_checkpoint_close(ckpt);
    ptf_net_free(folded);
    fixture_free(&f);
}

/* Nothing flattens between modules of an nn.Sequential: a Linear works on the
 * last dimension. */
static void a_sequence_flattens_nothing(void **state)
{
    (void)state;
    static const char text[] =
        "Sequential(\n  (0): " CONV(3, 8) "\n  (1): " LINEAR(128, 5) "\n)\n";
    ptf_net *net;
    ptf_error err;
    assert_int_equal(make(text, false, &net, &err), PTF_OK);
    assert_int_equal(net->node_count, 3);
    ptf_shape shapes[3], input = {3, {3, 6, 130}};
    net->inputs[0] = (ptf_input){.has_shape = true, .shape = input};
    assert_int_equal(ptf_net_shapes(net, &input, shapes, &err), PTF_OK);
    assert_int_equal(shapes[2].rank, 3);
    assert_int_equal(shapes[2].dim[2], 5);
    input.dim[2] = 6;
    assert_int_equal(ptf_net_shapes(net, &input, shapes, &err), PTF_ARGUMENT);
    assert_non_null(strstr(err.message, "expected 128 input features, got 4"));
    ptf_net_free(net);
}

/* The only class that may have flattened goes with its one layer. */
static void a_file_is_read_when_a_container_went(void **state)
{
    (void)state;
    fixture f;
    fixture_build(
        &f, "# input: 3x6x6\nSequential(\n  (0): " CONV(
                3, 8) "\n"
                      "  (1): Flat(\n    (d): Dropout(p=0.5, inplace=False)\n"
                      "  )\n  (2): " LINEAR(128, 5) "\n)\n");
    ptf_net *dropped = fixture_rewrite(f.net, "drop_identity", NULL), *again;
    ptf_checkpoint *ckpt = save_and_open(dropped);
    ptf_error err;
    if (ptf_net_make(NULL, NULL, ckpt, NULL, &again, &err) != PTF_OK)
        fail_msg("%s", err.message);
    assert_string_equal(ptf_net_assumption(again), "Flat.forward()" ASSUMES);
    ptf_net_free(again);
    ptf_checkpoint_close(ckpt);
    ptf_net_free(dropped);
    fixture_free(&f);
}

/* A fold of a built-in network has its name, and is none. */
static void files_of_exact_nets_say_so(void **state)
{
    (void)state;
    fixture f;
    ptf_error err;
    fixture_init(&f, ptf_arch_text("smallNetTrain"));
    fixture_open(&f);
    if (ptf_net_make(f.text, "text", f.ckpt, NULL, &f.net, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_net *folded = fixture_rewrite(f.net, "fold_batchnorm", NULL), *again;
    ptf_checkpoint *ckpt = save_and_open(folded);
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "assumes"), "");
    if (ptf_net_make(NULL, NULL, ckpt, NULL, &again, &err) != PTF_OK)
        fail_msg("%s", err.message);
    assert_null(ptf_net_assumption(again));
    ptf_net_free(again);
    ptf_checkpoint_close(ckpt);
    ptf_net_free(folded);
    fixture_free(&f);
}

/* A safetensors file of one Linear with these texts. */
static ptf_status open_saved(const char *metadata, bool in_order, ptf_net **net,
                             ptf_error *err)
{
    char bytes[2048], header[1024];
    static const char tensors[] =
        "\"l.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]"
        "},\"l.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}";
    int size = snprintf(header, sizeof(header),
                        "{\"__metadata__\":{\"architecture\":\"Net(\\n  (l): "
                        "Linear(in_features=1, out_features=1, bias=True)\\n)"
                        "\\n\"%s},%s}",
                        metadata, tensors);
    uint64_t padded = ((uint64_t)size + 7) / 8 * 8;
    memset(bytes, ' ', sizeof(bytes));
    memcpy(bytes, &padded, 8);
    memcpy(bytes + 8, header, (size_t)size);
    memset(bytes + 8 + padded, 0, 8);
    ptf_net_options options = {.size = sizeof(options), .in_order = in_order};
    ptf_checkpoint *ckpt;
    ptf_status status = ptf_checkpoint_open_memory(bytes, (size_t)padded + 16,
                                                   "saved", NULL, &ckpt, err);
    if (status != PTF_OK)
        fail_msg("%s", err->message);
    status = ptf_net_make(NULL, NULL, ckpt, &options, net, err);
    if (status == PTF_OK) {
        assert_non_null(ptf_net_name(*net));
        ptf_net_free(*net);
    }
    ptf_checkpoint_close(ckpt);
    return status;
}

static void a_file_that_does_not_say_is_refused(void **state)
{
    (void)state;
    ptf_net *net;
    ptf_error err;
    char long_word[700] = ",\"assumes\":\"";
    assert_int_equal(open_saved("", false, &net, &err), PTF_UNSUPPORTED);
    assert_non_null(strstr(err.message, "saved: line 1: class Net is not"));
    assert_int_equal(open_saved("", true, &net, &err), PTF_OK);
    assert_int_equal(open_saved(",\"assumes\":\"\"", false, &net, &err),
                     PTF_OK);
    assert_int_equal(open_saved(",\"assumes\":\"it\"", false, &net, &err),
                     PTF_OK);
    assert_int_equal(open_saved(",\"assumes\":\"a\\nb\"", false, &net, &err),
                     PTF_FORMAT);
    size_t start = strlen(long_word);
    memset(long_word + start, 'x', 600);
    long_word[start + 600] = '"';
    assert_int_equal(open_saved(long_word, true, &net, &err), PTF_FORMAT);
    assert_non_null(strstr(err.message, "at most 512 printable bytes"));
}

static void options_of_other_versions_are_read(void **state)
{
    (void)state;
    struct {
        ptf_net_options options;
        int more;
    } later = {{.size = sizeof(later), .in_order = true}, 1};
    ptf_net_options earlier = {.size = offsetof(ptf_net_options, in_order),
                               .in_order = true};
    ptf_net *net;
    assert_int_equal(
        ptf_net_make(FNET(""), "t", NULL, &later.options, &net, NULL), PTF_OK);
    ptf_net_free(net);
    assert_int_equal(ptf_net_make(FNET(""), "t", NULL, &earlier, &net, NULL),
                     PTF_UNSUPPORTED);
}

static void out_of_memory_is_reported(void **state)
{
    (void)state;
    static const char *const texts[] = {FNET(""), NULL};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(texts); i++) {
        const char *text =
            texts[i] != NULL ? texts[i] : ptf_arch_text("smallNetTest");
        ptf_status status = PTF_MEMORY;
        for (long n = 0; status != PTF_OK; n++) {
            ptf_net *net;
            ptf_alloc_fail_after(n);
            status = make(text, texts[i] != NULL, &net, NULL);
            ptf_alloc_fail_after(-1);
            assert_true(status == PTF_OK || status == PTF_MEMORY);
            ptf_net_free(net);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_say_it_all_need_no_word),
        cmocka_unit_test(other_texts_are_refused_or_believed_on_a_word),
        cmocka_unit_test(one_layer_more_is_no_built_in_network),
        cmocka_unit_test(signs_against_the_order_are_named),
        cmocka_unit_test(rewrites_and_files_carry_it_on),
        cmocka_unit_test(a_sequence_flattens_nothing),
        cmocka_unit_test(a_file_is_read_when_a_container_went),
        cmocka_unit_test(files_of_exact_nets_say_so),
        cmocka_unit_test(a_file_that_does_not_say_is_refused),
        cmocka_unit_test(options_of_other_versions_are_read),
        cmocka_unit_test(out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
