/*
 * Whole models in a checkpoint: what their attributes say, and what is not
 * taken from them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/import.h"
#include "make_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Strings, whose length stands in front, and what modules are made of. */
#define TEXT(length, text) "X" length "\0\0\0" text
#define PARAMETERS         TEXT("\x0b", "_parameters")
#define CHILDREN           TEXT("\x08", "_modules")
#define NO_PARAMETERS      PARAMETERS "}"
#define NO_CHILDREN        CHILDREN "}"
#define MODULE(class_name, state) \
    "ctorch.nn.modules." class_name "\n)\x81}(" state "ub"
#define SEQUENTIAL(children) \
    MODULE("container\nSequential", NO_PARAMETERS CHILDREN "}(" children "u")
#define CHILD(name, module) FORGE_TEXT1(name) module

/* 3 features to 2, without a bias. */
#define LINEAR(more)                                                        \
    MODULE("linear\nLinear",                                                \
           PARAMETERS "}(" TEXT("\6", "weight") FORGE_MATRIX TEXT(          \
               "\4", "bias") "Nu" NO_CHILDREN TEXT("\x0b", "in_features")   \
               FORGE_INT("\3") TEXT("\x0c", "out_features") FORGE_INT("\2") \
                   more)
#define DROPOUT(p)                                                          \
    MODULE("dropout\nDropout2d", NO_PARAMETERS NO_CHILDREN FORGE_TEXT1("p") \
                                     p TEXT("\7", "inplace") "\x89")
#define RELU(more) MODULE("activation\nReLU", NO_PARAMETERS NO_CHILDREN more)
#define MAXPOOL(kernel, more)                                               \
    MODULE("pooling\nMaxPool2d",                                            \
           NO_PARAMETERS NO_CHILDREN TEXT("\x0b", "kernel_size") kernel     \
               TEXT("\6", "stride") "K\2" TEXT("\7", "padding") "K\0" TEXT( \
                   "\x08", "dilation") "K\1" TEXT("\x09",                   \
                                                  "ceil_mode") "\x89" more)

/* Of 2 features, whose statistics are there although it does not track them. */
#define EPS "G\x3e\xe4\xf8\xb5\x88\xe3\x68\xf1"
#define STATISTICS           \
    TEXT("\x08", "_buffers") \
    "}(" TEXT("\x0c", "running_mean") FORGE_MATRIX "u"
#define BATCHNORM                                                              \
    MODULE(                                                                    \
        "batchnorm\nBatchNorm2d",                                              \
        NO_PARAMETERS NO_CHILDREN STATISTICS TEXT(                             \
            "\x0c", "num_features") "K\2" TEXT("\3", "eps")                    \
            EPS TEXT("\x08", "momentum") "N" TEXT("\6", "affine") "\x89" TEXT( \
                "\x13", "track_running_stats") "\x89")

#define FLATTEN                                                            \
    MODULE("flatten\nFlatten",                                             \
           NO_PARAMETERS NO_CHILDREN TEXT("\x09", "start_dim") "K\1" TEXT( \
               "\7", "end_dim") "J\xff\xff\xff\xff")

#define FILE_OF(root) "\x80\2" root "."
#define BYTES(text)   text, sizeof(text) - 1

static const struct {
    const char *pickle;
    size_t size;
    ptf_status status;
    const char *text; /* of the net, or in the message */
} models[] = {
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR("")) CHILD("1", RELU(""))))),
     PTF_OK,
     "Sequential(\n"
     "  (0): Linear(in_features=3, out_features=2, bias=False)\n"
     "  (1): ReLU()\n"
     ")\n"},
    /* inside a dict, nested, with names and an alias */
    {BYTES(FILE_OF("}" TEXT("\5", "model") SEQUENTIAL(
         CHILD("a", SEQUENTIAL(CHILD("b", LINEAR("")) CHILD(
                        "c", DROPOUT("G\x3f\xe0\0\0\0\0\0\0"))))) "s")),
     PTF_OK,
     "Sequential(\n"
     "  (a): Sequential(\n"
     "    (b): Linear(in_features=3, out_features=2, bias=False)\n"
     "    (c): Dropout2d(p=0.5, inplace=False)\n"
     "  )\n"
     ")\n"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", BATCHNORM)))), PTF_UNSUPPORTED,
     "layer '0' has track_running_stats=False, but running statistics"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR(TEXT("\4", "bias") "K\1"))))),
     PTF_UNSUPPORTED, "attribute 'bias'"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD(
         "0",
         MODULE("conv\nConv2d",
                NO_PARAMETERS NO_CHILDREN //
                    TEXT("\x0c", "padding_mode") TEXT("\7", "reflect") TEXT(
                        "\x20",
                        "_reversed_padding_repeated_twice") "(K\1K\1K\1K\1t"))))),
     PTF_UNSUPPORTED, "padding_mode=reflect"},
    /* attributes that are known to change nothing */
    {BYTES(FILE_OF(SEQUENTIAL(
         CHILD("0",
               MAXPOOL("K\2K\3\x86", TEXT("\x0e", "return_indices") "\x89"))
             CHILD("1", FLATTEN)
                 CHILD("2", LINEAR(TEXT("\x08", "training") "\x88" TEXT(
                                "\x0e", "_forward_hooks") "}"))))),
     PTF_OK,
     "Sequential(\n"
     "  (0): MaxPool2d(kernel_size=(2, 3), stride=2, padding=0, dilation=1, "
     "ceil_mode=False)\n"
     "  (1): Flatten(start_dim=1, end_dim=-1)\n"
     "  (2): Linear(in_features=3, out_features=2, bias=False)\n"
     ")\n"},
    /* and others */
    {BYTES(FILE_OF(SEQUENTIAL(
         CHILD("0", LINEAR(TEXT("\x0e", "_forward_hooks") "}K\1K\2s"))))),
     PTF_UNSUPPORTED, "layer '0' has a forward hook, which may do anything"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR(TEXT("\4", "gain") "K\2"))))),
     PTF_UNSUPPORTED, "layer '0' has an attribute 'gain'"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR("K\1K\2"))))), PTF_UNSUPPORTED,
     "layer '0' has an attribute ''"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR("")) CHILD(
         "1", MAXPOOL("K\2", TEXT("\x0e", "return_indices") "\x88"))))),
     PTF_UNSUPPORTED, "layer '1' has an attribute 'return_indices'"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR(""))
                                  CHILD("1", MAXPOOL("}K\1K\2s", ""))))),
     PTF_UNSUPPORTED, "layer '1' lacks the attribute 'kernel_size'"},
    /* classes */
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR(""))
                                  CHILD("1", MODULE("activation\nGLU",
                                                    NO_PARAMETERS //
                                                        NO_CHILDREN))))),
     PTF_UNSUPPORTED, "layer '1' is a GLU"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR("")) CHILD(
         "1", "ctorch.nn.modulesque\nReLU\n)\x81}(" NO_PARAMETERS NO_CHILDREN
              "ub")))),
     PTF_UNSUPPORTED, "a class 'ReLU' that is not PyTorch's"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR("")) CHILD("1", "N")))),
     PTF_UNSUPPORTED, "layer '1' is no module"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("\"", LINEAR(""))))), PTF_UNSUPPORTED,
     "a plain name"},
    /* a Sequential that contains itself beside a layer */
    {BYTES(FILE_OF("ctorch.nn.modules.container\nSequential\n)\x81q\0}(" //
                   NO_PARAMETERS CHILDREN "}(" CHILD("0", LINEAR(""))    //
                   CHILD("1", "h\0") "uub")),
     PTF_UNSUPPORTED, "too large or too deep"},
    /* numbers that do not fit what the attributes say */
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR("")) CHILD("1", LINEAR(""))))),
     PTF_UNSUPPORTED, "expected 3 input features, got 2; "},
    {BYTES(FILE_OF("}" FORGE_TEXT1("w") FORGE_MATRIX "s")), PTF_ARGUMENT,
     "expected a whole model"},
};

/* What PyTorch wraps around models and their parts. */
#define WRAPPED(module_and_name, child)                    \
    "c" module_and_name "\n)\x81}(" NO_PARAMETERS CHILDREN \
    "}" TEXT("\6", "module") child "sub"
#define DATA_PARALLEL  "torch.nn.parallel.data_parallel\nDataParallel"
#define AVERAGED_MODEL "torch.optim.swa_utils\nAveragedModel"

static const struct {
    const char *pickle;
    size_t size;
} wrapped[] = {
    {BYTES(
        FILE_OF(WRAPPED(DATA_PARALLEL, SEQUENTIAL(CHILD("0", LINEAR(""))))))},
    {BYTES(
        FILE_OF(SEQUENTIAL(CHILD("0", WRAPPED(DATA_PARALLEL, LINEAR(""))))))},
    {BYTES(FILE_OF(
        WRAPPED(AVERAGED_MODEL,
                SEQUENTIAL(CHILD("0", WRAPPED(DATA_PARALLEL, LINEAR("")))))))},
};

/* Classes of somebody's, and what they say with the caller's word. */
#define MINE(class_name, children) \
    "cmine\n" class_name "\n)\x81}(" NO_PARAMETERS CHILDREN "}(" children "uub"

static const struct {
    const char *pickle;
    size_t size;
    const char *words;      /* of the refusal */
    const char *assumption; /* NULL: refused all the same */
} strangers[] = {
    {BYTES(FILE_OF(MINE("Mine", CHILD("0", LINEAR("")) CHILD("1", RELU(""))))),
     "f: class Mine is not nn.Sequential, and its forward() is not in the file;",
     "Mine.forward() runs its modules in the printed order"},
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("a", MINE("B", CHILD("0", LINEAR(""))))))),
     "class B is not nn.Sequential",
     "B.forward() runs its modules in the printed order"},
    {BYTES(FILE_OF(MINE("Fire", CHILD("0", LINEAR(""))))),
     "class Fire is not nn.Sequential",
     "Fire.forward() runs its modules in the printed order"},
    {BYTES(FILE_OF(
         MINE("Net",
              CHILD("l", MODULE("container\nModuleList", NO_PARAMETERS CHILDREN
                                "}" CHILD("0", LINEAR("")) "s"))))),
     "class Net is not nn.Sequential",
     "Net.forward() runs its modules in the printed order"},
    /* torchvision's own */
    {BYTES(FILE_OF("ctorchvision.models.squeezenet\nFire\n)\x81}(" //
                   NO_PARAMETERS CHILDREN "}" CHILD("0", LINEAR("")) "sub")),
     "is a Fire, which does not run its children one after", NULL},
    /* names of PyTorch's classes */
    {BYTES(FILE_OF(MINE("Sequential", CHILD("0", LINEAR(""))))),
     "of a class 'Sequential' that is not PyTorch's", NULL},
    {BYTES(FILE_OF(MINE("DataParallel", CHILD("m", LINEAR(""))))),
     "of a class 'DataParallel' that is not PyTorch's", NULL},
    {BYTES(FILE_OF(MINE("Two words", CHILD("m", LINEAR(""))))),
     "of a class 'Two words' that is not PyTorch's", NULL},
    /* no children, and so no order */
    {BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR("")) CHILD(
         "1", "cmine\nSwish\n)\x81}(" NO_PARAMETERS NO_CHILDREN "ub")))),
     "of a class 'Swish' that is not PyTorch's", NULL},
};

/* A model, and what in it is not for a text to say. */
static const struct {
    const char *pickle;
    size_t size;
    const char *words;
} deciders[] = {
#define IN_LAYER(more) BYTES(FILE_OF(SEQUENTIAL(CHILD("0", LINEAR(more)))))
    {IN_LAYER(TEXT("\7", "forward") "cmine\nrun\n"),
     "layer '0' has a forward() of its own"},
    {IN_LAYER(TEXT("\x0d", "_conv_forward") "K\1"), "a _conv_forward() of its"},
    {IN_LAYER(TEXT("\x0a", "_call_impl") "K\1"), "a _call_impl() of its own"},
    {IN_LAYER(TEXT("\x0e", "_forward_hooks") "}K\1K\2s"), "a forward hook"},
    {IN_LAYER(TEXT("\x12", "_forward_pre_hooks") "}K\1K\2s"),
     "a forward pre-hook"},
    {IN_LAYER(TEXT("\x12", "_forward_pre_hooks") "K\1"), "a forward pre-hook"},
    {BYTES(FILE_OF(MODULE("linear\nLinear",
                          PARAMETERS "}(" TEXT("\x08", "weight_g") FORGE_MATRIX
                          "u" NO_CHILDREN))),
     "remove_weight_norm()"},
    {BYTES(FILE_OF(MODULE("linear\nLinear", PARAMETERS "}(" //
                          TEXT("\x0b", "weight_orig") FORGE_MATRIX
                          "u" NO_CHILDREN))),
     "remove_spectral_norm()"},
    {BYTES(FILE_OF(MODULE("linear\nLinear", NO_PARAMETERS CHILDREN
                          "}" TEXT("\x10", "parametrizations") RELU("") "s"))),
     "remove_parametrizations()"},
    /* in a class of somebody's, below another */
    {BYTES(
         FILE_OF(MINE("A", CHILD("b", "cmine\nB\n)\x81}(" NO_PARAMETERS CHILDREN
                                      "}" CHILD("0", RELU("")) "s" //
                                 TEXT("\7", "forward") "K\1ub")))),
     "layer 'b' has a forward() of its own"},
    {BYTES(FILE_OF("cmine\nA\n)\x81q\0}(" NO_PARAMETERS CHILDREN "}(" //
                   CHILD("0", "h\0") CHILD("1", "h\0") "uub")),
     "too large or too deep"},
};

static char *print(const ptf_net *net)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    ptf_net_print_text(net, out);
    fclose(out);
    return text;
}

static ptf_checkpoint *open_pickle(const char *pickle, size_t size)
{
    static forge_zip zip;
    ptf_checkpoint *ckpt;
    ptf_error err;
    forge_make_checkpoint(pickle, size, forge_numbers, sizeof(forge_numbers),
                          &zip);
    if (ptf_checkpoint_open_memory(zip.bytes, zip.size, "f", NULL, &ckpt,
                                   &err) != PTF_OK)
        fail_msg("%s", err.message);
    return ckpt;
}

/* Each of them, not that of the first tensor alone. */
static void every_module_of_a_list_is_looked_at(void **state)
{
    (void)state;
    static const char pickle[] = FILE_OF(
        "](" LINEAR("") LINEAR(TEXT("\x0e", "_forward_hooks") "}K\1K\2s") "e");
    static forge_zip zip;
    const ptf_open_options all = {.key = ""};
    ptf_checkpoint *ckpt;
    ptf_error err;
    forge_make_checkpoint(pickle, sizeof(pickle) - 1, forge_numbers,
                          sizeof(forge_numbers), &zip);
    if (ptf_checkpoint_open_memory(zip.bytes, zip.size, "f", &all, &ckpt,
                                   &err) != PTF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(ptf_model_check(ckpt, &err), PTF_UNSUPPORTED);
    assert_non_null(strstr(err.message, "a forward hook"));
    ptf_checkpoint_close(ckpt);
}

static ptf_checkpoint *open_model(size_t i)
{
    return open_pickle(models[i].pickle, models[i].size);
}

static void a_sequential_says_what_it_is_or_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(models); i++) {
        ptf_checkpoint *ckpt = open_model(i);
        ptf_net *net;
        ptf_error err = {PTF_OK, ""};
        ptf_status status = ptf_net_make(NULL, NULL, ckpt, NULL, &net, &err);
        char *text = status == PTF_OK ? print(net) : NULL;
        bool same = text != NULL ? strcmp(text, models[i].text) == 0
                                 : strstr(err.message, models[i].text) != NULL;
        if (status != models[i].status || !same)
            fail_msg("model %zu: expected %d '%s', got %d '%s'", i,
                     (int)models[i].status, models[i].text, (int)status,
                     text != NULL ? text : err.message);
        assert_true(ptf_checkpoint_has_model(ckpt) ==
                    (models[i].status != PTF_ARGUMENT));
        free(text);
        ptf_net_free(net);
        ptf_checkpoint_close(ckpt);
    }
}

static void wrappers_are_looked_through(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(wrapped); i++) {
        ptf_checkpoint *ckpt = open_pickle(wrapped[i].pickle, wrapped[i].size);
        ptf_net *net;
        ptf_error err;
        if (ptf_net_make(NULL, NULL, ckpt, NULL, &net, &err) != PTF_OK)
            fail_msg("model %zu: %s", i, err.message);
        assert_int_equal(ptf_net_tensor_count(net), 1);
        assert_string_equal(ptf_net_tensor(net, 0)->name, "0.weight");
        ptf_net_free(net);
        ptf_checkpoint_close(ckpt);
    }
}

static void classes_of_others_are_refused_or_believed(void **state)
{
    (void)state;
    const ptf_net_options in_order = {.size = sizeof(in_order),
                                      .in_order = true};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(strangers); i++) {
        ptf_checkpoint *ckpt =
            open_pickle(strangers[i].pickle, strangers[i].size);
        const char *want = strangers[i].assumption;
        ptf_net *net;
        ptf_error err = {PTF_OK, ""};
        ptf_status status = ptf_net_make(NULL, NULL, ckpt, NULL, &net, &err);
        if (status != PTF_UNSUPPORTED ||
            strstr(err.message, strangers[i].words) == NULL)
            fail_msg("stranger %zu: got %d %s", i, (int)status, err.message);
        status = ptf_net_make(NULL, NULL, ckpt, &in_order, &net, &err);
        assert_int_equal(status, want != NULL ? PTF_OK : PTF_UNSUPPORTED);
        if (want != NULL)
            assert_string_equal(ptf_net_assumption(net), want);
        ptf_net_free(net);
        ptf_checkpoint_close(ckpt);
    }
}

/* With a text, without, and whatever the caller says. */
static void what_no_text_shows_is_looked_for(void **state)
{
    (void)state;
    const ptf_net_options in_order = {.size = sizeof(in_order),
                                      .in_order = true};
    static const char *const texts[] = {
        NULL, "Linear(in_features=3, out_features=2, bias=False)"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(deciders); i++) {
        ptf_checkpoint *ckpt =
            open_pickle(deciders[i].pickle, deciders[i].size);
        for (size_t k = 0; k < PTF_ARRAY_SIZE(texts); k++) {
            ptf_net *net;
            ptf_error err = {PTF_OK, ""};
            ptf_status status =
                ptf_net_make(texts[k], "t", ckpt, &in_order, &net, &err);
            if (status != PTF_UNSUPPORTED ||
                strstr(err.message, deciders[i].words) == NULL)
                fail_msg("decider %zu: got %d %s", i, (int)status, err.message);
        }
        ptf_checkpoint_close(ckpt);
    }
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    ptf_checkpoint *ckpt = open_model(1);
    ptf_status status = PTF_MEMORY;
    long n = 0;
    for (; status != PTF_OK; n++) {
        ptf_net *net;
        ptf_alloc_fail_after(n);
        status = ptf_net_make(NULL, NULL, ckpt, NULL, &net, NULL);
        ptf_alloc_fail_after(-1);
        assert_true(status == PTF_OK || status == PTF_MEMORY);
        ptf_net_free(net);
    }
    assert_true(n > 5);
    ptf_checkpoint_close(ckpt);
}

/* Beside a tensor: two objects with tensors, and one without. */
static void objects_with_tensors_inside_are_counted(void **state)
{
    (void)state;
    static const char pickle[] =
        FILE_OF("}(" FORGE_TEXT1("w") FORGE_MATRIX                        //
                    FORGE_TEXT1("a") "cx\nPair\n" FORGE_MATRIX "\x85\x81" //
                FORGE_TEXT1("b") "cx\nState\n)R}" FORGE_TEXT1("t")        //
                FORGE_MATRIX "sb"                                         //
                FORGE_TEXT1("c") "cx\nState\n)Ru");
    ptf_checkpoint *ckpt = open_pickle(pickle, sizeof(pickle) - 1);
    ptf_checkpoint_info facts;
    ptf_checkpoint_describe(ckpt, &facts);
    assert_int_equal(ptf_checkpoint_tensor_count(ckpt), 1);
    assert_int_equal(facts.closed_count, 2);
    ptf_checkpoint_close(ckpt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_module_of_a_list_is_looked_at),
        cmocka_unit_test(a_sequential_says_what_it_is_or_is_refused),
        cmocka_unit_test(wrappers_are_looked_through),
        cmocka_unit_test(classes_of_others_are_refused_or_believed),
        cmocka_unit_test(what_no_text_shows_is_looked_for),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(objects_with_tensors_inside_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
