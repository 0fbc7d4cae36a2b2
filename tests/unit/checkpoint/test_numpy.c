/*
 * NumPy arrays and scalars in pickles: every form that NumPy writes, what is
 * left alone, and what is refused.
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

/* Texts and bytes whose length is an escape: TEXT("\2", "f8"). */
#define TEXT(n, text)  "\x8c" n text
#define BYTES(n, data) "C" n data
#define DTYPE_OF(code, order)    \
    "cnumpy\ndtype\n" TEXT(      \
        "\2",                    \
        code) "\x89\x88\x87"     \
              "R(K\3" TEXT("\1", \
                           order) "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
#define DTYPE(code) DTYPE_OF(code, "<")
#define RECONSTRUCT(module, shape, dtype, order, bytes)          \
    "c" module "\n_reconstruct\ncnumpy\nndarray\nK\0\x85" BYTES( \
        "\1", "b") "\x87R(K\1" shape dtype order bytes "tb"
#define ARRAY(shape, dtype, order, bytes) \
    RECONSTRUCT("numpy.core.multiarray", shape, dtype, order, bytes)
#define FROM_BUFFER(module, bytes, dtype, shape, order) \
    "c" module "\n_frombuffer\n(" bytes dtype shape TEXT("\1", order) "tR"
#define PERMUTED(shape, axes)                                                \
    "cnumpy._core.numeric\n_frombuffer\n(" SIX BYTE_23 shape TEXT("\1", "K") \
        axes "tR"
#define SCALAR(dtype, bytes) \
    "cnumpy.core.multiarray\nscalar\n" dtype bytes "\x86R"
#define FLAG_C  "\x89"
#define FLAG_F  "\x88"
#define TWO_3   "K\2K\3\x86"
#define SIX     BYTES("\6", "\1\2\3\4\5\6")
#define BYTE_23 DTYPE("u1")

typedef struct array_case {
    const char *pickle;
    size_t size;
    const char *message; /* NULL when it must be read */
    const char *dtype;
    int rank;
    int64_t shape[2], stride[2];
    const char *bytes; /* in C order, least significant first */
} array_case;

#define SOUND(value, ...)                                               \
    {                                                                   \
        FORGE_STATE_DICT(FORGE_TEXT1("a") value),                       \
            sizeof(FORGE_STATE_DICT(FORGE_TEXT1("a") value)) - 1, NULL, \
            __VA_ARGS__                                                 \
    }
#define BAD(value, words)                                                      \
    {                                                                          \
        FORGE_STATE_DICT(FORGE_TEXT1("a") value),                              \
            sizeof(FORGE_STATE_DICT(FORGE_TEXT1("a") value)) - 1, words, NULL, \
            0, {0}, {0}, NULL                                                  \
    }

static const array_case cases[] = {
    SOUND(ARRAY(TWO_3, BYTE_23, FLAG_C, SIX), "uint8", 2, {2, 3}, {3, 1},
          "\1\2\3\4\5\6"),
    SOUND(ARRAY(TWO_3, BYTE_23, FLAG_F, SIX), "uint8", 2, {2, 3}, {1, 2},
          "\1\3\5\2\4\6"),
    SOUND(RECONSTRUCT("numpy._core.multiarray", TWO_3, BYTE_23, FLAG_C, SIX),
          "uint8", 2, {2, 3}, {3, 1}, "\1\2\3\4\5\6"),
    SOUND(ARRAY("K\3\x85", DTYPE_OF("i2", ">"), FLAG_C, SIX), "int16", 1, {3},
          {1}, "\2\1\4\3\6\5"),
    /* protocol 5, NumPy 1 and 2; an array that may be written to */
    SOUND(FROM_BUFFER("numpy.core.numeric", SIX, BYTE_23, TWO_3, "C"), "uint8",
          2, {2, 3}, {3, 1}, "\1\2\3\4\5\6"),
    SOUND(FROM_BUFFER("numpy._core.numeric", SIX, BYTE_23, TWO_3, "F"), "uint8",
          2, {2, 3}, {1, 2}, "\1\3\5\2\4\6"),
    SOUND(FROM_BUFFER("numpy._core.numeric", "\x96\2\0\0\0\0\0\0\0\1\2",
                      DTYPE("i2"), "K\1\x85", "C"),
          "int16", 1, {1}, {1}, "\1\2"),
    /* axes in another order: element (i, j) is in row axes[i] of memory */
    SOUND(PERMUTED(TWO_3, "K\1K\0\x86"), "uint8", 2, {3, 2}, {1, 3},
          "\1\4\2\5\3\6"),
    SOUND(PERMUTED(TWO_3, "N"), "uint8", 2, {2, 3}, {3, 1}, "\1\2\3\4\5\6"),
    BAD(PERMUTED(TWO_3, "K\1K\1\x86"), "an order of all its axes"),
    BAD(PERMUTED(TWO_3, "K\1K\2\x86"), "an order of all its axes"),
    BAD(PERMUTED(TWO_3, "K\0\x85"), "an order of all its axes"),
    BAD(PERMUTED(TWO_3, "K\1J\xff\xff\xff\xff\x86"), "0 or more for its axes"),
    SOUND(SCALAR(DTYPE("i2"), BYTES("\2", "\7\1")), "int16", 0, {0}, {0},
          "\7\1"),
    /* bytes as Python 3 writes them in protocol 2 */
    SOUND(ARRAY("K\2\x85", BYTE_23, FLAG_C,
                "c_codecs\nencode\n" TEXT("\3", "\xc3\xbf\1")
                    TEXT("\6", "latin1") "\x86R"),
          "uint8", 1, {2}, {1}, "\xff\1"),
    BAD(ARRAY(TWO_3, BYTE_23, FLAG_C, BYTES("\5", "12345")), "the bytes"),
    BAD(ARRAY(TWO_3, BYTE_23, FLAG_C, BYTES("\7", "1234567")), "the bytes"),
    BAD(ARRAY(TWO_3, BYTE_23, FLAG_C, "N"), "the bytes"),
    BAD(ARRAY("J\xff\xff\xff\xff\x85", BYTE_23, FLAG_C, SIX), "0 or more"),
    BAD(ARRAY("N", BYTE_23, FLAG_C, SIX), "a tuple for its shape"),
    BAD(ARRAY("J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", BYTE_23, FLAG_C, SIX),
        "can hold"),
    BAD(ARRAY("\x8a\x08\0\0\0\0\0\0\0\x40K\4\x86", BYTE_23, FLAG_C, SIX),
        "can hold"),
    BAD(ARRAY("K\0\x8a\x08\0\0\0\0\0\0\0\x40K\4\x87", BYTE_23, FLAG_C,
              BYTES("\0", "")),
        "can hold"),
    BAD(ARRAY(TWO_3, DTYPE("q9"), FLAG_C, SIX), "known dtype"),
    BAD(ARRAY(TWO_3, "N", FLAG_C, SIX), "known dtype"),
    BAD(FROM_BUFFER("numpy.core.numeric", SIX, BYTE_23, "", "C"),
        "as NumPy pickles it"),
    BAD("cnumpy.core.multiarray\nscalar\n" BYTE_23 "\x85R",
        "as NumPy pickles it"),
    BAD("cnumpy.core.multiarray\n_reconstruct\n)R", "as NumPy pickles it"),
    BAD("cnumpy.core.multiarray\n_reconstruct\n)RNb", "as NumPy pickles it"),
};

static ptf_checkpoint *open_pickle(const char *pickle, size_t size,
                                   ptf_error *err)
{
    static forge_zip zip;
    ptf_checkpoint *ckpt;
    forge_make_checkpoint(pickle, size, forge_numbers, sizeof(forge_numbers),
                          &zip);
    ptf_checkpoint_open_memory(zip.bytes, zip.size, "f", NULL, &ckpt, err);
    return ckpt;
}

static void check_sound(const array_case *c, const ptf_checkpoint *ckpt)
{
    uint8_t bytes[16];
    const ptf_tensor *t = ptf_checkpoint_find(ckpt, "a");
    assert_non_null(t);
    assert_string_equal(ptf_dtype_name(t->dtype), c->dtype);
    assert_int_equal(t->rank, c->rank);
    for (int i = 0; i < t->rank; i++) {
        assert_int_equal(t->shape[i], c->shape[i]);
        assert_int_equal(t->stride[i], c->stride[i]);
    }
    assert_true(ptf_tensor_bytes(t) <= sizeof(bytes));
    ptf_tensor_read_bytes(t, bytes);
    assert_memory_equal(bytes, c->bytes, ptf_tensor_bytes(t));
}

static void arrays_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        ptf_error err = {PTF_OK, ""};
        ptf_checkpoint *ckpt =
            open_pickle(cases[i].pickle, cases[i].size, &err);
        if (cases[i].message == NULL) {
            if (ckpt == NULL)
                fail_msg("case %zu: %s", i, err.message);
            check_sound(&cases[i], ckpt);
        } else {
            if (ckpt != NULL || strstr(err.message, cases[i].message) == NULL)
                fail_msg("case %zu: %s", i, err.message);
        }
        ptf_checkpoint_close(ckpt);
    }
}

/* Objects, texts, records, dates: no numbers, and nothing to refuse. */
static void arrays_of_other_things_are_left_alone(void **state)
{
    (void)state;
    static const char pickle[] = FORGE_STATE_DICT(
        FORGE_TEXT1("o") ARRAY("K\1\x85", DTYPE_OF("O8", "|"), FLAG_C, "]Na")
            FORGE_TEXT1("t") ARRAY("K\1\x85", DTYPE("U1"), FLAG_C,
                                   BYTES("\4", "x\0\0\0")) FORGE_TEXT1("s")
                SCALAR(DTYPE("M8"), BYTES("\x08", "12345678")) FORGE_TEXT1("r")
                    SCALAR("cnumpy\ndtype\ncnumpy\nrecord\n\x85R",
                           BYTES("\1", "x")) FORGE_TEXT1("a")
                        ARRAY(TWO_3, BYTE_23, FLAG_C, SIX));
    ptf_error err = {PTF_OK, ""};
    ptf_checkpoint *ckpt = open_pickle(pickle, sizeof(pickle) - 1, &err);
    if (ckpt == NULL)
        fail_msg("%s", err.message);
    assert_int_equal(ptf_checkpoint_tensor_count(ckpt), 1);
    assert_non_null(ptf_checkpoint_find(ckpt, "a"));
    ptf_checkpoint_close(ckpt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_read_or_refused),
        cmocka_unit_test(arrays_of_other_things_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
