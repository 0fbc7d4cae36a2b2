/*
 * Pickles that could be taken in two ways: either as PyTorch takes them, or
 * not at all.  Most were tried out with PyTorch 2.13.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "make_checkpoint.h"
#include "tensor/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct row {
    const char *pickle;
    size_t size;
    ptf_status status;
    const char *text; /* of the tensors, or part of the message */
} row;

/* "name=0,1,2;name ..." of all tensors, as f32. */
static void describe(const ptf_checkpoint *ckpt, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ptf_checkpoint_tensor_count(ckpt); i++) {
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, i);
        float numbers[64];
        assert_true(ptf_tensor_numel(t) <= 64);
        assert_int_equal(ptf_tensor_read_f32(t, numbers, NULL), PTF_OK);
        at += (size_t)snprintf(text + at, size - at, "%s", t->name);
        for (int64_t k = 0; k < ptf_tensor_numel(t); k++)
            at += (size_t)snprintf(text + at, size - at, "%c%.9g",
                                   k == 0 ? '=' : ',', (double)numbers[k]);
        at += (size_t)snprintf(text + at, size - at, ";");
    }
}

static void expect(const void *file, size_t size, const row *r)
{
    char found[1024];
    ptf_error err = {PTF_OK, ""};
    ptf_checkpoint *ckpt;
    ptf_open_options all = {.key = "", .keep_prefix = true};
    ptf_status got =
        ptf_checkpoint_open_memory(file, size, "f", &all, &ckpt, &err);
    if (got == PTF_OK)
        describe(ckpt, found, sizeof(found));
    else
        snprintf(found, sizeof(found), "%s", err.message);
    ptf_checkpoint_close(ckpt);
    bool same = r->status == PTF_OK ? strcmp(found, r->text) == 0
                                    : strstr(found, r->text) != NULL;
    if (got != r->status || !same)
        fail_msg("expected %d '%s', got %d '%s'", (int)r->status, r->text,
                 (int)got, found);
}

static void expect_rows(const row *rows, size_t count, const void *storage,
                        size_t size)
{
    static forge_zip zip;
    for (size_t i = 0; i < count; i++) {
        forge_make_checkpoint(rows[i].pickle, rows[i].size, storage, size,
                              &zip);
        expect(zip.bytes, zip.size, &rows[i]);
    }
}

/* ----------------------------------------------------------------- pieces */

#define BYTES(text)        text, sizeof(text) - 1
#define TEXT(length, text) "X" length "\0\0\0" text
#define ONE(value)         BYTES(FORGE_STATE_DICT(FORGE_TEXT1("w") value))
#define FLOATS             FORGE_STORAGE("FloatStorage", "0", "\6")
#define LAST               FORGE_TENSOR(FLOATS, "K\4", "K\2\x85", "K\1\x85")
#define ALL                FORGE_TENSOR(FLOATS, "K\0", "K\6\x85", "K\1\x85")
/* _rebuild_tensor_v2 with more arguments */
#define WITH(more)                                \
    "ctorch._utils\n_rebuild_tensor_v2\n(" FLOATS \
    "K\0K\6\x85K\1\x85\x89" FORGE_ORDERED more "tR"
/* an id with other parts: its location, and what follows the count */
#define ID(class_name, location, more)                                    \
    "(X\7\0\0\0storagectorch\n" class_name "\n" FORGE_TEXT1("0") location \
        "K\6" more "tQ"
#define AT(id) FORGE_TENSOR(id, "K\0", "K\6\x85", "K\1\x85")
/* a dtype over plain bytes */
#define V3(count, dtype, size)                                        \
    "ctorch._utils\n_rebuild_tensor_v3\n(" FORGE_STORAGE(             \
        "UntypedStorage", "0", count) "K\0" size                      \
                                      "\x85K\1\x85\x89" FORGE_ORDERED \
                                      "ctorch\n" dtype "\ntR"
#define PARAMETER(state)                                  \
    "ctorch._utils\n_rebuild_parameter_with_state\n(" ALL \
    "\x89" FORGE_ORDERED state "tR"
#define SUBCLASS(state)                                       \
    "ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n" \
    "_rebuild_tensor_v2\nctorch\nTensor\n(" FLOATS            \
    "K\0K\6\x85K\1\x85\x89" FORGE_ORDERED "t" state "tR"
#define PLACE "(" FLOATS "K\4K\2\x85K\1\x85t"
#define WHOLE "w=0,1,2,3,4,5;"

/* -------------------------------------------------------------- the tables */

static const row tensors[] = {
    {ONE(ALL), PTF_OK, WHOLE},
    /* attributes that are the numbers themselves */
    {ONE(PARAMETER("}" TEXT("\4", "note") LAST "s")), PTF_OK, WHOLE},
    {ONE(PARAMETER("}" TEXT("\4", "data") LAST "s")), PTF_UNSUPPORTED,
     "replaces its numbers"},
    {ONE(PARAMETER("}}" TEXT("\4", "data") LAST "s\x86")), PTF_UNSUPPORTED,
     "replaces its numbers"},
    {ONE(SUBCLASS("}" TEXT("\4", "note") LAST "s")), PTF_OK, WHOLE},
    {ONE(SUBCLASS("}" TEXT("\4", "real") LAST "s")), PTF_UNSUPPORTED,
     "replaces its numbers"},
    /* a flag counts even when it says False */
    {ONE(WITH("}")), PTF_OK, WHOLE},
    {ONE(WITH("}" TEXT("\3", "neg") "\x89s")), PTF_UNSUPPORTED, "negated"},
    {ONE(WITH("}NN")), PTF_FORMAT, "as many arguments"},
    /* ids */
    {ONE(AT(ID("FloatStorage", TEXT("\3", "mps"), ""))), PTF_OK, WHOLE},
    {ONE(AT(ID("FloatStorage", TEXT("\4", "meta"), ""))), PTF_UNSUPPORTED,
     "meta device"},
    {ONE(AT(ID("FloatStorage", "N", ""))), PTF_FORMAT, "persistent id"},
    {ONE(AT(ID("FloatStorage", TEXT("\3", "cpu"), "N"))), PTF_FORMAT,
     "persistent id"},
    /* a tensor that became another dtype on its way to a device */
    {ONE("ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n(" ALL
         "ctorch\nfloat32\nN\x89tR"),
     PTF_OK, WHOLE},
    {ONE("ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n(" ALL
         "ctorch\nfloat16\nN\x89tR"),
     PTF_UNSUPPORTED, "another dtype"},
    /* functions that nobody knows, with a storage */
    {ONE("cmine\nrebuild\n(" FLOATS "K\0tR"), PTF_UNSUPPORTED, "mine.rebuild"},
    {ONE("cmine\nrebuild\n(" FORGE_TEXT1("x") "tR" FORGE_TEXT1("x") ALL),
     PTF_OK, "x=0,1,2,3,4,5;"},
    /* what the first versions wrote */
    {ONE("ctorch\nFloatTensor\n)R" PLACE "b"), PTF_OK, "w=4,5;"},
    {ONE("ctorch\nTensor\n)\x81" PLACE "b"), PTF_OK, "w=4,5;"},
    {ONE("ctorch.cuda\nFloatTensor\n)R" PLACE "b"), PTF_OK, "w=4,5;"},
    {ONE("ctorch\nIntTensor\n)R" PLACE "b"), PTF_FORMAT, "own class"},
    {ONE("ctorch\nFloatTensor\n)R}b"), PTF_FORMAT, "a place in it"},
    {ONE("ctorch\nFloatTensor\n)R"), PTF_UNSUPPORTED, "torch.FloatTensor"},
    {ONE("ctorch\nFloatTensor\n(]tR"), PTF_UNSUPPORTED, "torch.FloatTensor"},
    {ONE("ctorch.autograd.variable\nVariable\n(" ALL "tR(\x88\x89" FORGE_ORDERED
         "tb"),
     PTF_OK, WHOLE},
};

static const row keys[] = {
    /* True, 1 and 1.0 are one key */
    {BYTES("\x80\2}(K\1" ALL "\x88Nu."), PTF_FORMAT, "every key"},
    {BYTES("\x80\2}(\x89" ALL "K\0Nu."), PTF_FORMAT, "every key"},
    {BYTES("\x80\2}(K\1" ALL "G\x3f\xf0\0\0\0\0\0\0Nu."), PTF_FORMAT,
     "every key"},
    {BYTES("\x80\2}(N" ALL "NNu."), PTF_FORMAT, "every key"},
    {BYTES("\x80\2}(K\1" ALL "\x89Nu."), PTF_OK, "1=0,1,2,3,4,5;"},
    {BYTES("\x80\2}(K\1" ALL "G\x3f\xf8\0\0\0\0\0\0Nu."), PTF_OK,
     "1=0,1,2,3,4,5;"},
    {BYTES("\x80\2}]" ALL "s."), PTF_FORMAT, "got a list or dict"},
    /* sound, but one name for two tensors, or none */
    {BYTES("\x80\2}(K\1" ALL FORGE_TEXT1("1") LAST "u."), PTF_UNSUPPORTED,
     "two tensors that are '1'"},
    {BYTES("\x80\2}" FORGE_TEXT1("a") "}K\1K\2\x86" ALL "ss."), PTF_UNSUPPORTED,
     "tensor 'a.(a tuple)'"},
    /* a Counter counts pairs */
    {BYTES("\x80\2"
           "ccollections\nCounter\n(](" FORGE_TEXT1("w") ALL "tatR."),
     PTF_FORMAT, "to fill a container"},
    {BYTES("\x80\2"
           "ccollections\nCounter\n(}" FORGE_TEXT1("w") ALL "stR."),
     PTF_OK, WHOLE},
    /* bytes are not the text that a module's parameters stand under */
    {BYTES("\x80\3"
           "ctorch.nn\nM\n)\x81}(C\x0b_parameters}" FORGE_TEXT1("w") LAST
           "s" TEXT("\x0b", "_parameters") "}" FORGE_TEXT1("w") ALL
           "s" TEXT("\x08", "_modules") "}ub."),
     PTF_OK, WHOLE},
};

static void numbers_are_those_of_pytorch(void **state)
{
    (void)state;
    expect_rows(tensors, PTF_ARRAY_SIZE(tensors), forge_numbers,
                sizeof(forge_numbers));
    expect_rows(keys, PTF_ARRAY_SIZE(keys), forge_numbers,
                sizeof(forge_numbers));
}

/* PyTorch 2 writes uint16 and a view of it as uint8 to one storage. */
static void plain_bytes_and_bytes_share_a_storage(void **state)
{
    (void)state;
#define BYTE_VIEW(class_name, count)                                      \
    FORGE_TEXT1("b")                                                      \
    FORGE_TENSOR(FORGE_STORAGE(class_name, "0", count), "K\0", "K\2\x85", \
                 "K\1\x85")
    static const uint8_t data[] = {1, 2, 3, 4};
    static const row rows[] = {
        {ONE(V3("\4", "uint16", "K\2") BYTE_VIEW("ByteStorage", "\4")), PTF_OK,
         "w=513,1027;b=1,2;"},
        {ONE(V3("\4", "uint16", "K\2") BYTE_VIEW("CharStorage", "\4")),
         PTF_FORMAT, "got two"},
        {ONE(V3("\4", "uint16", "K\2") BYTE_VIEW("ByteStorage", "\3")),
         PTF_FORMAT, "got two"},
        {ONE(V3("\4", "uint16", "K\2") BYTE_VIEW("UntypedStorage", "\4")),
         PTF_FORMAT, "of the class"},
    };
    expect_rows(rows, PTF_ARRAY_SIZE(rows), data, sizeof(data));
}

/* PyTorch swaps by the storage's class, which plain bytes do not have. */
static void plain_bytes_of_a_big_endian_machine_are_refused(void **state)
{
    (void)state;
    static const uint8_t data[] = {1, 2, 3, 4};
    static const row rows[] = {
        {ONE(V3("\4", "uint16", "K\2")), PTF_UNSUPPORTED, "big-endian"},
        {ONE(V3("\4", "uint8", "K\4")), PTF_OK, "w=1,2,3,4;"},
    };
    static forge_zip zip;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        const forge_entry entries[] = {
            {"a/data.pkl", rows[i].pickle, rows[i].size, false},
            {"a/byteorder", "big", 3, false},
            {"a/data/0", data, sizeof(data), false},
            {"a/version", "3\n", 2, false},
        };
        forge_make_zip(entries, PTF_ARRAY_SIZE(entries), &zip);
        expect(zip.bytes, zip.size, &rows[i]);
    }
}

/* TorchScript of PyTorch 1.x has a sixth part, always None; torch.save() none.
 * What the code's constants name counts as well. */
static void torchscript_may_have_six_parts(void **state)
{
    (void)state;
    static const struct {
        row file;
        const char *constants;
    } rows[] = {
        {{ONE(AT(ID("FloatStorage", TEXT("\3", "cpu"), "N"))), PTF_OK, WHOLE},
         "\x80\2)."},
        {{ONE(AT(ID("FloatStorage", TEXT("\3", "cpu"), ""))), PTF_OK, WHOLE},
         "\x80\2)."},
        {{ONE(AT(ID("FloatStorage", TEXT("\3", "cpu"), ")"))), PTF_FORMAT,
          "persistent id"},
         "\x80\2)."},
        {{ONE(AT(ID("FloatStorage", TEXT("\3", "cpu"), "NN"))), PTF_FORMAT,
          "persistent id"},
         "\x80\2)."},
        {{ONE(ALL), PTF_FORMAT, "constants.pkl@2: "},
         "\x80\2"
         "cos\nsystem\n."},
    };
    static forge_zip zip;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        const forge_entry entries[] = {
            {"a/data.pkl", rows[i].file.pickle, rows[i].file.size, false},
            {"a/constants.pkl", rows[i].constants, strlen(rows[i].constants),
             false},
            {"a/data/0", forge_numbers, sizeof(forge_numbers), false},
            {"a/version", "3\n", 2, false},
        };
        forge_make_zip(entries, PTF_ARRAY_SIZE(entries), &zip);
        expect(zip.bytes, zip.size, &rows[i].file);
    }
}

/* ------------------------------------------------------------ quantisation */

#define QUANTIZED(class_name, count, params)                      \
    ONE("ctorch._utils\n_rebuild_qtensor\n(" FORGE_STORAGE(       \
        class_name, "0", count) "K\0K" count "\x85K\1\x85" params \
                                "\x89" FORGE_ORDERED "tR")
#define TENTH            "G\x3f\xb9\x99\x99\x99\x99\x99\x9a"
#define PER_TENSOR(zero) "ctorch\nper_tensor_affine\n" TENTH zero "\x87"
#define PER_CHANNEL(scales, zeros) \
    "(ctorch\nper_channel_affine\n]" scales "]" zeros "K\0t"

static void quantized_numbers_are_rounded_as_pytorch_does(void **state)
{
    (void)state;
    /* 2^24 + 1 is no float */
    static const uint8_t large[] = {1, 0, 0, 1};
    static const row in_32_bits[] = {
        {QUANTIZED("QInt32Storage", "\1", PER_TENSOR("K\1")), PTF_OK,
         "w=1677721.62;"},
        /* 2^24 + 1 + 2^31 wraps */
        {QUANTIZED("QInt32Storage", "\1", PER_TENSOR("J\0\0\0\x80")), PTF_OK,
         "w=-213070640;"},
        {QUANTIZED("QInt32Storage", "\1", PER_CHANNEL(TENTH "a", "K\1a")),
         PTF_OK, "w=1677721.5;"},
        {QUANTIZED("QInt32Storage", "\1", PER_TENSOR("\x8a\5\0\0\0\x80\0")),
         PTF_FORMAT, "zero points"},
    };
    expect_rows(in_32_bits, PTF_ARRAY_SIZE(in_32_bits), large, sizeof(large));
}

static void zero_points_are_among_the_integers(void **state)
{
    (void)state;
    static const uint8_t data[] = {1, 0xff};
    static const row rows[] = {
        {QUANTIZED("QInt8Storage", "\2", PER_TENSOR("K\x7f")), PTF_OK,
         "w=-12.6000004,-12.8000002;"},
        {QUANTIZED("QInt8Storage", "\2", PER_TENSOR("K\x80")), PTF_FORMAT,
         "zero points"},
        {QUANTIZED("QInt8Storage", "\2", PER_TENSOR("J\x7f\xff\xff\xff")),
         PTF_FORMAT, "zero points"},
        {QUANTIZED("QUInt8Storage", "\2", PER_TENSOR("M\0\1")), PTF_FORMAT,
         "zero points"},
        /* lists, as PyTorch 1.3 wrote them */
        {QUANTIZED("QInt8Storage", "\2",
                   PER_CHANNEL(TENTH "a" TENTH "a", "K\1aK\0a")),
         PTF_OK, "w=0,-0.100000001;"},
        {QUANTIZED("QInt8Storage", "\2", PER_CHANNEL(TENTH "a", "K\1aK\0a")),
         PTF_FORMAT, "fit its shape"},
        {QUANTIZED("QInt8Storage", "\2",
                   PER_CHANNEL(TENTH "a" TENTH "a", "K\1aNa")),
         PTF_FORMAT, "fit its shape"},
        {QUANTIZED("QInt8Storage", "\2",
                   PER_CHANNEL(TENTH "a" TENTH "a", "K\1aK\x80"
                                                    "a")),
         PTF_FORMAT, "zero points"},
        /* a scale that is no number */
        {QUANTIZED("QInt8Storage", "\2",
                   "ctorch\nper_tensor_affine\nG\x7f\xf8\0\0\0\0\0\0K\0\x87"),
         PTF_FORMAT, "scales"},
    };
    expect_rows(rows, PTF_ARRAY_SIZE(rows), data, sizeof(data));
}

/* ---------------------------------------------------------- views, no names */

/* A legacy stream whose tensors are two views of the storage 0. */
#define VIEW(key, offset)                                   \
    FORGE_TENSOR(ID("FloatStorage", TEXT("\3", "cpu"),      \
                    FORGE_TEXT1(key) "K" offset "K\2\x87"), \
                 "K\0", "K\2\x85", "K\1\x85")
#define HEAD                                                  \
    "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." \
    "\x80\2M\xe9\3."                                          \
    "\x80\2}" TEXT("\x0d", "little_endian") "\x88s."
#define KEYS         "\x80\2]" FORGE_TEXT1("0") "a.\6\0\0\0\0\0\0\0"
#define BOTH(a, b)   FORGE_TEXT1("a") a FORGE_TEXT1("b") b
#define LEGACY(a, b) BYTES(HEAD FORGE_STATE_DICT(BOTH(a, b)) KEYS)

static void a_view_has_one_meaning(void **state)
{
    (void)state;
    static const row rows[] = {
        {LEGACY(VIEW("7", "\1"), VIEW("8", "\3")), PTF_OK, "a=1,2;b=3,4;"},
        {LEGACY(VIEW("7", "\1"), VIEW("7", "\1")), PTF_OK, "a=1,2;b=1,2;"},
        {LEGACY(VIEW("7", "\1"), VIEW("7", "\3")), PTF_FORMAT, "one meaning"},
        {LEGACY(VIEW("7", "\1"), VIEW("0", "\3")), PTF_FORMAT, "one meaning"},
        {LEGACY(VIEW("7", "\1"), VIEW("/", "\3")), PTF_FORMAT, "a view of"},
        {LEGACY(VIEW("7", "\1"), ALL), PTF_FORMAT, "persistent id"},
    };
    uint8_t file[2048];
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        assert_true(rows[i].size + sizeof(forge_numbers) <= sizeof(file));
        memcpy(file, rows[i].pickle, rows[i].size);
        memcpy(file + rows[i].size, forge_numbers, sizeof(forge_numbers));
        expect(file, rows[i].size + sizeof(forge_numbers), &rows[i]);
    }
}

/* Tensors in sets and as keys have no name: they are counted. */
static void tensors_without_names_are_counted(void **state)
{
    (void)state;
    static const char set[] = "\x80\4}(" FORGE_TEXT1("w")
        ALL FORGE_TEXT1("s") "\x8f(" LAST "\x90" LAST "Nu.";
    static const row alone = {
        BYTES("\x80\4}" FORGE_TEXT1("s") "\x8f(" LAST "\x90s."),
        PTF_UNSUPPORTED, "in a set or as keys"};
    static forge_zip zip;
    expect_rows(&alone, 1, forge_numbers, sizeof(forge_numbers));
    forge_make_checkpoint(set, sizeof(set) - 1, forge_numbers,
                          sizeof(forge_numbers), &zip);
    ptf_checkpoint *ckpt;
    ptf_checkpoint_info facts;
    assert_int_equal(
        ptf_checkpoint_open_memory(zip.bytes, zip.size, "f", NULL, &ckpt, NULL),
        PTF_OK);
    ptf_checkpoint_describe(ckpt, &facts);
    assert_int_equal(ptf_checkpoint_tensor_count(ckpt), 1);
    assert_int_equal(facts.closed_count, 2);
    ptf_checkpoint_close(ckpt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_pytorch),
        cmocka_unit_test(plain_bytes_and_bytes_share_a_storage),
        cmocka_unit_test(plain_bytes_of_a_big_endian_machine_are_refused),
        cmocka_unit_test(torchscript_may_have_six_parts),
        cmocka_unit_test(quantized_numbers_are_rounded_as_pytorch_does),
        cmocka_unit_test(zero_points_are_among_the_integers),
        cmocka_unit_test(a_view_has_one_meaning),
        cmocka_unit_test(tensors_without_names_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
