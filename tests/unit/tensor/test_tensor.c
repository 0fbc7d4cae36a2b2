/*
 * Checkpoints from bytes to numbers: tensors, state dicts, refusals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "make_checkpoint.h"
#include "tensor/tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof(text) - 1

static ptf_status open_with(const void *pickle, size_t size,
                            const ptf_open_options *options,
                            ptf_checkpoint **out, ptf_error *err)
{
    static forge_zip zip; /* borrowed by the checkpoint */
    forge_make_checkpoint(pickle, size, forge_numbers, sizeof(forge_numbers),
                          &zip);
    return ptf_checkpoint_open_memory(zip.bytes, zip.size, "f", options, out,
                                      err);
}

/* "name shape=0,1,2;name ..." of all tensors, as f32. */
static void describe(const ptf_checkpoint *ckpt, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ptf_checkpoint_tensor_count(ckpt); i++) {
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, i);
        char shape[192];
        float numbers[64];
        ptf_tensor_shape_text(t, shape);
        at += (size_t)snprintf(text + at, size - at, "%s%s", t->name, shape);
        assert_true(ptf_tensor_numel(t) <= 64);
        assert_int_equal(ptf_tensor_read_f32(t, numbers, NULL), PTF_OK);
        for (int64_t k = 0; k < ptf_tensor_numel(t); k++)
            at += (size_t)snprintf(text + at, size - at, "%c%g",
                                   k == 0 ? '=' : ',', (double)numbers[k]);
        at += (size_t)snprintf(text + at, size - at, ";");
        assert_ptr_equal(ptf_checkpoint_find(ckpt, t->name), t);
    }
}

static void expect(const void *pickle, size_t size,
                   const ptf_open_options *options, ptf_status status,
                   const char *text)
{
    char found[4096];
    ptf_error err = {PTF_OK, ""};
    ptf_checkpoint *ckpt;
    ptf_status got = open_with(pickle, size, options, &ckpt, &err);
    if (got == PTF_OK)
        describe(ckpt, found, sizeof(found));
    else
        snprintf(found, sizeof(found), "%s", err.message);
    ptf_checkpoint_close(ckpt);
    bool same = status == PTF_OK ? strcmp(found, text) == 0
                                 : strstr(found, text) != NULL;
    if (got != status || !same)
        fail_msg("expected %d '%s', got %d '%s'", (int)status, text, (int)got,
                 found);
}

/* ------------------------------------------------------- tensors one by one */

#define FLOATS             FORGE_STORAGE("FloatStorage", "0", "\6")
#define ONE(tensor)        BYTES(FORGE_STATE_DICT(FORGE_TEXT1("w") tensor))
#define V2(size, stride)   ONE(FORGE_TENSOR(FLOATS, "K\0", size, stride))
#define BIG                "\x8a\6\0\0\0\0\0\1" /* 2^40 */
#define TEXT(length, text) "X" length "\0\0\0" text

#define REPEATED FORGE_TENSOR(FLOATS, "K\0", "\x8a\4\0\0\x40\0\x85", "K\0\x85")
/* One value four times in a tuple */
#define FOUR(value) "(" value value value value "t"

static const struct {
    const char *pickle;
    size_t size;
    ptf_status status;
    const char *text;
} tensors[] = {
    {V2("K\2K\3\x86", "K\3K\1\x86"), PTF_OK, "w[2, 3]=0,1,2,3,4,5;"},
    {V2("K\3K\2\x86", "K\1K\3\x86"), PTF_OK, "w[3, 2]=0,3,1,4,2,5;"},
    {V2(")", ")"), PTF_OK, "w[]=0;"},
    {V2("K\0K\3\x86", "K\3K\1\x86"), PTF_OK, "w[0, 3];"},
    {V2("K\4\x85", "K\0\x85"), PTF_OK, "w[4]=0,0,0,0;"},
    {V2("K\1K\6\x86", BIG "K\1\x86"), PTF_OK, "w[1, 6]=0,1,2,3,4,5;"},
    {ONE(FORGE_TENSOR(FLOATS, "K\4", "K\2\x85", "K\1\x85")), PTF_OK,
     "w[2]=4,5;"},
    {ONE(FORGE_TENSOR(FLOATS, "K\5", "K\2\x85", "K\1\x85")), PTF_FORMAT,
     "number 6"},
    {ONE(FORGE_TENSOR(FLOATS, "J\xff\xff\xff\xff", "K\2\x85", "K\1\x85")),
     PTF_FORMAT, "64 bits"},
    {ONE(FORGE_TENSOR(FLOATS, "N", "K\2\x85", "K\1\x85")), PTF_FORMAT,
     "offset"},
    {V2("K\2K\3\x86", "K\4K\1\x86"), PTF_FORMAT, "number 6"},
    {V2("K\2K\3\x86", "K\1\x85"), PTF_FORMAT, "as many strides"},
    {V2("K\2J\xff\xff\xff\xff\x86", "K\3K\1\x86"), PTF_FORMAT, "its size"},
    {V2("K\2\x85", "J\xff\xff\xff\xff\x85"), PTF_FORMAT, "its stride"},
    {V2("K\2\x85", "\x88\x85"), PTF_FORMAT, "its stride"},
    {V2(BIG BIG "\x86", "K\0K\0\x86"), PTF_FORMAT, "64 bits"},
    {V2(BIG "\x85", "K\0\x85"), PTF_FORMAT, "repeated"},
    {V2("K\2K\2\x86", BIG "K\1\x86"), PTF_FORMAT, "in its storage"},
    /* 16 MiB each, and too much together */
    {ONE("(" REPEATED "q\1" FOUR(FOUR(FOUR("h\1"))) "t"), PTF_FORMAT,
     "in all tensors"},
    {V2("(K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1t"),
     PTF_UNSUPPORTED, "9 dimensions"},
    /* storages */
    {ONE(FORGE_TENSOR(FORGE_STORAGE("FloatStorage", "0", "\5"), "K\0",
                      "K\2\x85", "K\1\x85")),
     PTF_FORMAT, "expected 20 bytes"},
    {ONE(FORGE_TENSOR(FORGE_STORAGE("FloatStorage", "1", "\6"), "K\0",
                      "K\2\x85", "K\1\x85")),
     PTF_FORMAT, "'data/1'"},
    {ONE(FORGE_TENSOR(FORGE_STORAGE("EvilStorage", "0", "\6"), "K\0", "K\2\x85",
                      "K\1\x85")),
     PTF_UNSUPPORTED, "EvilStorage"},
    {ONE(FORGE_TENSOR(FORGE_STORAGE("FloatStorage", "/", "\6"), "K\0",
                      "K\2\x85", "K\1\x85")),
     PTF_FORMAT, "plain storage key"},
    {ONE(FORGE_TENSOR("K\1", "K\0", "K\2\x85", "K\1\x85")), PTF_FORMAT,
     "the storage of a tensor"},
    {ONE("K\1Q"), PTF_FORMAT, "persistent id"},
    {ONE(FORGE_TENSOR(FORGE_STORAGE("QUInt8Storage", "0", "\x18"), "K\0",
                      "K\2\x85", "K\1\x85")),
     PTF_FORMAT, "of the class"},
    /* other forms */
    {ONE("ctorch._utils\n_rebuild_parameter\n(" FORGE_MATRIX
         "\x88" FORGE_ORDERED "tR"),
     PTF_OK, "w[2, 3]=0,1,2,3,4,5;"},
    {ONE("ctorch.nn.parameter\nParameter\n" FORGE_MATRIX "\x85R"), PTF_OK,
     "w[2, 3]=0,1,2,3,4,5;"},
    {ONE("ctorch.nn.parameter\nParameter\n" FORGE_MATRIX
         "\x85R(\x88\x89" FORGE_ORDERED "tb"),
     PTF_OK, "w[2, 3]=0,1,2,3,4,5;"},
    {ONE("ctorch.nn.parameter\nParameter\n)R(" FORGE_MATRIX "N" FORGE_ORDERED
         "\x88\x89tb"),
     PTF_OK, "w[2, 3]=0,1,2,3,4,5;"},
    {ONE("ctorch.nn.parameter\nParameter\n)R(" FORGE_MATRIX "\x88" FORGE_ORDERED
         "tb"),
     PTF_FORMAT, "expected flags"},
    /* under its other names */
    {ONE("ctorch.nn\nParameter\n" FORGE_MATRIX "\x85R"), PTF_OK,
     "w[2, 3]=0,1,2,3,4,5;"},
    {ONE("ctorch.nn.modules.linear\nParameter\n" FORGE_MATRIX "\x85R"), PTF_OK,
     "w[2, 3]=0,1,2,3,4,5;"},
    {ONE("ctorch\nnn.Parameter\n" FORGE_MATRIX "\x85R"), PTF_OK,
     "w[2, 3]=0,1,2,3,4,5;"},
    {ONE("cmine\nParameter\n" FORGE_MATRIX "\x85R"), PTF_UNSUPPORTED,
     "not looked into"},
    /* a function is not a class */
    {ONE("ctorch._utils\n_rebuild_parameter\n(" FORGE_MATRIX
         "\x88" FORGE_ORDERED "t\x81"),
     PTF_FORMAT, "taken for a class"},
    /* state that would exchange the elements */
    {ONE("ctorch.nn.parameter\nParameter\n" FORGE_MATRIX "\x85R(" FLOATS
         "K\1K\1\x85K\1\x85tb"),
     PTF_FORMAT, "expected flags"},
    {ONE(FORGE_MATRIX "(" FLOATS "K\1K\1\x85K\1\x85tb"), PTF_UNSUPPORTED,
     "changed after it was made"},
    {ONE("ctorch._utils\n_rebuild_tensor_v2\n(" FLOATS
         "K\0K\2\x85K\1\x85\x89" FORGE_ORDERED
         "}" TEXT("\4", "conj") "\x88stR"),
     PTF_UNSUPPORTED, "conjugated"},
    {ONE(FORGE_MATRIX FORGE_TEXT1("v") FORGE_TENSOR(
         FORGE_STORAGE("IntStorage", "0", "\6"), "K\0", "K\2\x85", "K\1\x85")),
     PTF_FORMAT, "one class and size, got two"},
    {ONE("ctorch._utils\n_rebuild_tensor\n(" FLOATS "K\0K\6\x85K\1\x85tR"),
     PTF_OK, "w[6]=0,1,2,3,4,5;"},
    {ONE("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n"
         "_rebuild_tensor\nca\nB\n(" FLOATS "K\0K\6\x85K\1\x85t}tR"),
     PTF_OK, "w[6]=0,1,2,3,4,5;"},
    {ONE("ctorch._tensor\n_rebuild_from_type_v2\n(cevil\nmake\n"
         "ca\nB\n(" FLOATS "K\0K\6\x85K\1\x85t}tR"),
     PTF_UNSUPPORTED, "evil.make"},
    {ONE("ctorch._utils\n_rebuild_tensor_v2\n)R"), PTF_FORMAT,
     "as many arguments"},
    {ONE("ctorch._utils\n_rebuild_something\n)R"), PTF_UNSUPPORTED,
     "_rebuild_something"},
    {ONE("ctorch._utils\n_rebuild_sparse_tensor\n)R"), PTF_UNSUPPORTED,
     "sparse"},
    {ONE("ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R"), PTF_UNSUPPORTED,
     "meta"},
    {ONE("ctorch.nn.parameter\nUninitializedParameter\n)R"), PTF_UNSUPPORTED,
     "'w' has no data (lazy module)"},
    {ONE("ctorch._utils\n_rebuild_parameter\nN\x85R"), PTF_FORMAT,
     "got something else"},
    {ONE("ctorch._utils\n_rebuild_qtensor\n(" FORGE_STORAGE(
         "QInt8Storage", "0",
         "\x18") "K\0K\2\x85K\1\x85(ctorch\nper_tensor_affine\nG\x3f\xe0\0\0\0\0\0\0"
                 "K\2t\x89" FORGE_ORDERED "tR"),
     PTF_OK, "w[2]=-1,-1;"},
    {ONE("ctorch._utils\n_rebuild_qtensor\n(" FORGE_STORAGE(
         "QInt8Storage", "0",
         "\x18") "K\0K\2\x85K\1\x85(ctorch\nper_channel_affine\nNNK\1t\x89" FORGE_ORDERED
                 "tR"),
     PTF_FORMAT, "scales"},
};

static void tensors_are_rebuilt_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(tensors); i++)
        expect(tensors[i].pickle, tensors[i].size, NULL, tensors[i].status,
               tensors[i].text);
}

/* ------------------------------------------------------------ state dicts */

#define SCALAR      FORGE_TENSOR(FLOATS, "K\1", ")", ")")
#define ITEM(key)   FORGE_TEXT1(key) SCALAR
#define DICT(items) "}(" items "u"

static const ptf_open_options all = {.key = "", .keep_prefix = true};
static const ptf_open_options key_a = {.key = "a", .keep_prefix = false};
static const ptf_open_options key_ab = {.key = "a.b", .keep_prefix = false};
static const ptf_open_options key_none = {.key = "x", .keep_prefix = false};
static const ptf_open_options keep = {.key = NULL, .keep_prefix = true};

static const struct {
    const char *pickle;
    size_t size;
    const ptf_open_options *options;
    ptf_status status;
    const char *text;
} dicts[] = {
    {BYTES("\x80\2" DICT(ITEM("a") ITEM("b")) "."), NULL, PTF_OK,
     "a[]=1;b[]=1;"},
    /* wrapped: one member with tensors is the one that is meant */
    {BYTES("\x80\2" DICT(FORGE_TEXT1("e") "K\3" FORGE_TEXT1("a")
                             DICT(ITEM("w"))) "."),
     NULL, PTF_OK, "w[]=1;"},
    {BYTES("\x80\2" DICT(FORGE_TEXT1("e") "K\3" FORGE_TEXT1("a")
                             DICT(ITEM("w"))) "."),
     &all, PTF_OK, "a.w[]=1;"},
    {BYTES("\x80\2" DICT(FORGE_TEXT1("a") DICT(ITEM("w")) FORGE_TEXT1("b")
                             DICT(ITEM("v") ITEM("u"))) "."),
     NULL, PTF_ARGUMENT, "'a' (1), 'b' (2)"},
    {BYTES("\x80\2" DICT(FORGE_TEXT1("a") DICT(ITEM("w")) FORGE_TEXT1("b")
                             DICT(ITEM("v") ITEM("u"))) "."),
     &key_a, PTF_OK, "w[]=1;"},
    {BYTES("\x80\2" DICT(FORGE_TEXT1("a") DICT(ITEM("w"))) "."), &key_none,
     PTF_ARGUMENT, "there are --key a"},
    {BYTES("\x80\2" DICT(FORGE_TEXT1("a")
                             DICT(FORGE_TEXT1("b") DICT(ITEM("w")))) "."),
     &key_ab, PTF_OK, "w[]=1;"},
    /* an optimizer is never meant */
    {BYTES("\x80\2" DICT(FORGE_TEXT1("a") DICT(ITEM("w")) FORGE_TEXT1("o") DICT(
         TEXT("\5", "state") DICT("K\0" DICT(ITEM("m")))
             TEXT("\x0c", "param_groups") "]")) "."),
     NULL, PTF_OK, "w[]=1;"},
    {BYTES("\x80\2" DICT(FORGE_TEXT1("a") DICT(ITEM("w")) FORGE_TEXT1("o") DICT(
         TEXT("\5", "state") DICT("K\0" DICT(ITEM("m")))
             TEXT("\x0c", "param_groups") "]")) "."),
     &all, PTF_OK, "a.w[]=1;o.state.0.m[]=1;"},
    /* nested dicts give dotted names, lists numbers */
    {BYTES("\x80\2" DICT(ITEM("w") FORGE_TEXT1("a") DICT(ITEM("v"))) "."), NULL,
     PTF_OK, "w[]=1;a.v[]=1;"},
    {BYTES("\x80\2](" SCALAR SCALAR "e."), NULL, PTF_OK, "0[]=1;1[]=1;"},
    {BYTES("\x80\2" SCALAR "."), NULL, PTF_OK, "[]=1;"},
    {BYTES("\x80\2}."), NULL, PTF_OK, ""},
    /* prefixes that all names share */
    {BYTES("\x80\2" DICT(TEXT("\x08", "module.a")
                             SCALAR TEXT("\x08", "module.b") SCALAR) "."),
     NULL, PTF_OK, "a[]=1;b[]=1;"},
    {BYTES("\x80\2" DICT(TEXT("\x08", "module.a")
                             SCALAR TEXT("\x08", "module.b") SCALAR) "."),
     &keep, PTF_OK, "module.a[]=1;module.b[]=1;"},
    {BYTES("\x80\2" DICT(TEXT("\x08", "module.a") SCALAR ITEM("b")) "."), NULL,
     PTF_OK, "module.a[]=1;b[]=1;"},
    {BYTES("\x80\2" DICT(TEXT("\x12", "module._orig_mod.a") SCALAR) "."), NULL,
     PTF_OK, "a[]=1;"},
    {BYTES("\x80\2" DICT(TEXT("\x12", "_orig_mod.module.a") SCALAR) "."), NULL,
     PTF_OK, "a[]=1;"},
    {BYTES("\x80\2" DICT(TEXT("\7", "module.") SCALAR) "."), NULL, PTF_OK,
     "module.[]=1;"},
    /* names */
    {BYTES("\x80\2" DICT(ITEM("\x1b")) "."), NULL, PTF_FORMAT, "printable"},
    {BYTES("\x80\2" DICT(ITEM("\xff")) "."), NULL, PTF_FORMAT, "printable"},
    {BYTES("\x80\2" DICT("N" SCALAR "\x88" SCALAR
                         "J\xfe\xff\xff\xff" SCALAR) "."),
     NULL, PTF_OK, "None[]=1;True[]=1;-2[]=1;"},
    {BYTES("\x80\2" DICT(")" SCALAR) "."), NULL, PTF_UNSUPPORTED,
     "a text, a number or None"},
    {BYTES("\x80\2" DICT(TEXT("\3", "a.b") SCALAR FORGE_TEXT1("a")
                             DICT(ITEM("b"))) "."),
     NULL, PTF_UNSUPPORTED, "two tensors that are 'a.b'"},
    /* roots */
    {BYTES("\x80\2K\3."), NULL, PTF_UNSUPPORTED, "no container"},
    {BYTES("\x80\2cevil\nmake\n)R."), NULL, PTF_UNSUPPORTED, "evil.make"},
    {BYTES("\x80\2}."
           "x"),
     NULL, PTF_FORMAT, "1 more bytes"},
    /* tensors in nothing but an object of another class */
    {BYTES("\x80\2ca\nb\n)R" DICT(ITEM("w")) "b."), NULL, PTF_UNSUPPORTED,
     "an object of a.b, which is not looked into"},
    /* a module whose weights are packed */
    {BYTES("\x80\2ca\nNet\n)\x81" DICT(TEXT("\x08", "_modules") "}" FORGE_TEXT1(
         "p") "ctorch\nScriptObject\n)\x81(" SCALAR "tb") "b."),
     NULL, PTF_UNSUPPORTED, "torch.ScriptObject"},
    /* what extends a dict or a list is looked into */
    {BYTES("\x80\2ca\nb\n)R(" ITEM("w") "u."), NULL, PTF_OK, "w[]=1;"},
    /* unknown objects beside tensors are left alone */
    {BYTES("\x80\2" DICT(ITEM("w") FORGE_TEXT1("x") "cevil\nmake\n)R") "."),
     NULL, PTF_OK, "w[]=1;"},
    /* a dict that contains itself; an object that knows what contains it */
    {BYTES("\x80\2}q\0(" ITEM("w") FORGE_TEXT1("x") "h\0u."), NULL, PTF_FORMAT,
     "contains itself"},
    {BYTES("\x80\2}q\0(" ITEM("w") FORGE_TEXT1("x") "ca\nb\n)R}Nh\0sbu."), NULL,
     PTF_OK, "w[]=1;"},
    /* a module: parameters, buffers but non-persistent ones, children */
    {BYTES("\x80\2ca\nNet\n)\x81" DICT(
         TEXT("\x08", "_modules") DICT(FORGE_TEXT1("m") "ca\nNet\n)\x81" DICT(
             TEXT("\x08", "_modules") "}" TEXT("\x0b", "_parameters")
                 DICT(ITEM("w"))) "b") TEXT("\x0b", "_parameters")
             DICT(ITEM("p") FORGE_TEXT1("n") "N") TEXT("\x08", "_buffers") DICT(
                 ITEM("b") ITEM("t"))
                 TEXT("\x1b", "_non_persistent_buffers_set") "cbuiltins\nset\n]" FORGE_TEXT1(
                     "t") "a\x85R") "b."),
     NULL, PTF_OK, "p[]=1;b[]=1;m.w[]=1;"},
};

#define SUBCLASS(class)                    \
    BYTES(FORGE_STATE_DICT(                \
        FORGE_TEXT1("w") "ctorch._utils\n" \
                         "_rebuild_wrapper_subclass\n(c" class "\nK\1tR"))

/* The class is the first argument. */
static void tensors_of_subclasses_are_named_by_their_class(void **state)
{
    (void)state;
    expect(SUBCLASS("torch.distributed.tensor\nDTensor"), NULL, PTF_UNSUPPORTED,
           "'w' is of a tensor subclass (DTensor), a part of one; save whole "
           "tensors: full_tensor()");
    expect(SUBCLASS("torchao.x\nQuantized"), NULL, PTF_UNSUPPORTED,
           "'w' is of a tensor subclass (Quantized), which ptfold does not");
    expect(BYTES(FORGE_STATE_DICT(
               FORGE_TEXT1("w") "ctorch.distributed._shard.sharded_tensor.api\n"
                                "ShardedTensor\n)R")),
           NULL, PTF_UNSUPPORTED,
           "'w' is distributed (ShardedTensor), a part of one");
}

static void state_dicts_are_found_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(dicts); i++)
        expect(dicts[i].pickle, dicts[i].size, dicts[i].options,
               dicts[i].status, dicts[i].text);
}

/* As a training script of Python 3.8 saves it with pickle_protocol=4. */
static void objects_beside_tensors_are_named_and_left_alone(void **state)
{
    (void)state;
#define TEXT4(length, text) "\x8c" length text
#define STACKED(module_length, module, length, name) \
    TEXT4(module_length, module) TEXT4(length, name) "\x93"
    static const char pickle[] = "\x80\4}(" TEXT4("\4", "args")   //
        STACKED("\x08", "argparse", "\x09", "Namespace") ")\x81}" //
        TEXT4("\2", "lr") "G\x3f\xb9\x99\x99\x99\x99\x99\x9a"
                          "sb"                                        //
        TEXT4("\5", "state")                                          //
        STACKED("\x0b", "collections", "\x0b", "defaultdict")         //
        STACKED("\x08", "builtins", "\4", "list") "\x85R("            //
        TEXT4("\1", "w") FORGE_MATRIX "u"                             //
        TEXT4("\4", "time") STACKED("\x08", "datetime", "\4", "date") //
        "C\4\7\xe8\1\2\x85Ru.";
    ptf_checkpoint *ckpt;
    ptf_error err = {PTF_OK, ""};
    if (open_with(pickle, sizeof(pickle) - 1, NULL, &ckpt, &err) != PTF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(ptf_checkpoint_tensor_count(ckpt), 1);
    assert_string_equal(ptf_checkpoint_tensor(ckpt, 0)->name, "w");
    assert_string_equal(ptf_checkpoint_opaque(ckpt, 0), "argparse.Namespace");
    assert_string_equal(ptf_checkpoint_opaque(ckpt, 1), "datetime.date");
    assert_null(ptf_checkpoint_opaque(ckpt, 2));
    ptf_checkpoint_close(ckpt);
}

static void tied_tensors_share_their_storage(void **state)
{
    (void)state;
    ptf_checkpoint *ckpt;
    assert_int_equal(open_with(BYTES("\x80\2" DICT(ITEM("a") ITEM("b")) "."),
                               NULL, &ckpt, NULL),
                     PTF_OK);
    assert_ptr_equal(ptf_checkpoint_tensor(ckpt, 0)->storage,
                     ptf_checkpoint_tensor(ckpt, 1)->storage);
    assert_null(ptf_checkpoint_find(ckpt, "c"));
    ptf_checkpoint_close(ckpt);
}

/* ------------------------------------------------------------- conversions */

static void every_half_converts_exactly(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint16_t bits = (uint16_t)h;
        ptf_tensor t = {.dtype = PTF_DTYPE_F16, .data = &bits};
        float found;
        assert_int_equal(ptf_tensor_read_f32(&t, &found, NULL), PTF_OK);
        int exponent = h >> 10 & 31, fraction = h & 1023;
        double value = exponent == 0 ? ldexp(fraction, -24)
                                     : ldexp(fraction + 1024, exponent - 25);
        if (exponent == 31 && fraction != 0) {
            assert_true(isnan(found));
            continue;
        }
        if (exponent == 31)
            value = (double)INFINITY;
        float expected = (float)((h & 0x8000) != 0 ? -value : value);
        assert_memory_equal(&found, &expected, sizeof(found));
    }
}

static void numbers_of_every_dtype_are_rounded_once(void **state)
{
    (void)state;
    static const struct {
        ptf_dtype dtype;
        uint64_t bits;
        double f32, f64;
    } cases[] = {
        {PTF_DTYPE_I8, 0x80, -128, -128},
        {PTF_DTYPE_U8, 0xff, 255, 255},
        {PTF_DTYPE_I16, 0x8000, -32768, -32768},
        {PTF_DTYPE_U16, 0xffff, 65535, 65535},
        {PTF_DTYPE_I32, 0x80000001, -2147483648.0, -2147483647.0},
        {PTF_DTYPE_U32, 0xffffffff, 4294967296.0, 4294967295.0},
        {PTF_DTYPE_I64, 0x0020000000000001, 9007199254740992.0,
         9007199254740992.0},
        /* just above half way: through double it would be rounded down */
        {PTF_DTYPE_I64, 0x4000004000000001, 4611686568183201792.0,
         4611686293305294848.0},
        {PTF_DTYPE_U64, 0x8000008000000001, 9223373136366403584.0,
         9223372586610589696.0},
        {PTF_DTYPE_BOOL, 2, 1, 1},
        {PTF_DTYPE_BF16, 0xc049, -3.140625, -3.140625},
        {PTF_DTYPE_F64, 0x3ff0000010000001, 1.00000011920928955,
         1.0000000596046450},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        uint8_t bytes[9] = {0}; /* at an odd address */
        forge_put(bytes + 1, cases[i].bits, 8);
        ptf_tensor t = {.dtype = cases[i].dtype, .data = bytes + 1};
        float f32;
        double f64;
        assert_int_equal(ptf_tensor_read_f32(&t, &f32, NULL), PTF_OK);
        assert_int_equal(ptf_tensor_read_f64(&t, &f64, NULL), PTF_OK);
        float expected = (float)cases[i].f32;
        assert_memory_equal(&f32, &expected, sizeof(f32));
        assert_true(fabs(f64 - cases[i].f64) <= fabs(f64) * 1e-15);
    }
}

static void the_first_number_that_is_not_finite_is_found(void **state)
{
    (void)state;
    static const float f32[] = {1, 3e38f, -1e-45f, -INFINITY, 0, NAN};
    static const double f64[] = {1, 1e308, (double)NAN};
    static const uint16_t f16[] = {0x7bff, 0x8001, 0xfc00};
    static const uint16_t bf16[] = {0x7f7f, 0x8001, 0x7f81};
    static const int32_t i32[] = {0x7f800000, -1, 0};
    static const struct {
        ptf_dtype dtype;
        const void *data;
        int64_t want;
    } rows[] = {
        {PTF_DTYPE_F32, f32, -1}, {PTF_DTYPE_F64, f64, 2},
        {PTF_DTYPE_F16, f16, 2},  {PTF_DTYPE_BF16, bf16, 2},
        {PTF_DTYPE_I32, i32, -1},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        ptf_tensor t = {.dtype = rows[i].dtype,
                        .rank = 1,
                        .shape = {3},
                        .stride = {1},
                        .data = rows[i].data};
        assert_int_equal(ptf_tensor_find_not_finite(&t), rows[i].want);
    }
    /* the first of two, in blocks and pieces, and in what is left of them */
    static const int64_t places[] = {0,       4095,    4096,   1048575,
                                     1048576, 2097152, 2101250};
    enum { MANY = 2101251 };
    float *many = calloc(MANY, sizeof(*many));
    assert_non_null(many);
    ptf_tensor row = {.dtype = PTF_DTYPE_F32,
                      .rank = 1,
                      .shape = {MANY},
                      .stride = {1},
                      .data = (const uint8_t *)many};
    assert_int_equal(ptf_tensor_find_not_finite(&row), -1);
    many[MANY - 1] = INFINITY;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(places); i++) {
        many[places[i]] = NAN;
        assert_int_equal(ptf_tensor_find_not_finite(&row), places[i]);
        many[places[i]] = i + 1 < PTF_ARRAY_SIZE(places) ? 0 : INFINITY;
    }
    free(many);
    /* f32 as the columns of a 2 x 3 matrix: 1 -inf, 3e38 0, -1e-45 nan */
    ptf_tensor turned = {.dtype = PTF_DTYPE_F32,
                         .rank = 2,
                         .shape = {3, 2},
                         .stride = {1, 3},
                         .data = f32};
    assert_int_equal(ptf_tensor_find_not_finite(&turned), 1);
    turned.data = f32 + 1; /* 3e38 0, -1e-45 nan */
    turned.shape[0] = 2;
    assert_int_equal(ptf_tensor_find_not_finite(&turned), 3);
}

static void complex_numbers_are_not_real(void **state)
{
    (void)state;
    ptf_tensor t = {
        .name = "z", .dtype = PTF_DTYPE_C64, .data = "\0\0\0\0\0\0\0"};
    ptf_error err;
    float out[2];
    assert_int_equal(ptf_tensor_read_f32(&t, out, &err), PTF_UNSUPPORTED);
    assert_non_null(strstr(err.message, "complex64"));
}

static void big_endian_storages_are_turned_around(void **state)
{
    (void)state;
    static const char pickle[] = FORGE_STATE_DICT(ITEM("w"));
    uint8_t data[24];
    for (size_t i = 0; i < 6; i++) {
        uint32_t bits;
        memcpy(&bits, &forge_numbers[i], 4);
        forge_put(data + 4 * i, __builtin_bswap32(bits), 4);
    }
    const forge_entry entries[] = {
        {"a/data.pkl", pickle, sizeof(pickle) - 1, false},
        {"a/byteorder", "big", 3, false},
        {"a/data/0", data, sizeof(data), false},
        {"a/version", "3\n", 2, false},
    };
    static forge_zip zip;
    forge_make_zip(entries, 4, &zip);
    ptf_checkpoint *ckpt;
    char text[256];
    assert_int_equal(
        ptf_checkpoint_open_memory(zip.bytes, zip.size, "f", NULL, &ckpt, NULL),
        PTF_OK);
    describe(ckpt, text, sizeof(text));
    assert_string_equal(text, "w[]=1;");
    ptf_checkpoint_close(ckpt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_rebuilt_or_refused),
        cmocka_unit_test(tensors_of_subclasses_are_named_by_their_class),
        cmocka_unit_test(state_dicts_are_found_and_named),
        cmocka_unit_test(objects_beside_tensors_are_named_and_left_alone),
        cmocka_unit_test(tied_tensors_share_their_storage),
        cmocka_unit_test(every_half_converts_exactly),
        cmocka_unit_test(numbers_of_every_dtype_are_rounded_once),
        cmocka_unit_test(the_first_number_that_is_not_finite_is_found),
        cmocka_unit_test(complex_numbers_are_not_real),
        cmocka_unit_test(big_endian_storages_are_turned_around),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
