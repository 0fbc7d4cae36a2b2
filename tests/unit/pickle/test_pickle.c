/*
 * The unpickler: what it makes of sound pickles, and what it refuses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/pickle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define PICKLE(text) text, sizeof(text) - 1

/* [(1, 2)] */
#define ONE_PAIR  \
    "]K\1K\2\x86" \
    "a"

/* The objects that a reader of the tests looks for: those of torch._utils. */
static bool is_tensor(const ptf_object *object)
{
    const ptf_object *callee = object->items[PTF_INSTANCE_CALLEE];
    return callee->kind == PTF_OBJECT_GLOBAL &&
           strcmp(callee->global->module, "torch._utils") == 0;
}

/* Reads a copy of just this size, so that a sanitizer sees reads beyond it;
 * the values borrow from it, so only the error is of use afterwards. */
static ptf_status read_exact(const char *bytes, size_t size, ptf_error *err)
{
    ptf_arena arena = {NULL};
    ptf_pickle pickle;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    ptf_status status = ptf_pickle_read(copy, size, &(ptf_origin){"f", "p"},
                                        is_tensor, &arena, &pickle, err);
    free(copy);
    ptf_arena_free(&arena);
    return status;
}

/* --------------------------------------------------------- sound pickles */

static const struct {
    const char *bytes;
    size_t size;
    const char *printed;
} sound[] = {
    {PICKLE("N."), "None\n"},
    {PICKLE("\x80\2\x88."), "True\n"},
    {PICKLE("\x80\2K\xff."), "255\n"},
    {PICKLE("\x80\2M\x01\xff."), "65281\n"},
    {PICKLE("\x80\2J\xff\xff\xff\xff."), "-1\n"},
    {PICKLE("\x80\2\x8a\1\x80."), "-128\n"},
    {PICKLE("\x80\2\x8a\2\x80\0."), "128\n"},
    {PICKLE("\x80\2\x8a\0."), "0\n"},
    {PICKLE("\x80\2\x8a\5\0\0\0\x80\0."), "2147483648\n"},
    {PICKLE("\x80\2\x8a\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff."), "-1\n"},
    {PICKLE("\x80\2\x8a\x09\0\0\0\0\0\0\0\x80\0."), "integer of 9 bytes\n"},
    {PICKLE("\x80\2G\x3f\xf8\0\0\0\0\0\0."), "1.5\n"},
    {PICKLE("\x80\2X\2\0\0\0\xc3\xa4."), "'\xc3\xa4'\n"},
    {PICKLE("\x80\2U\3a\nb."), "'a\\x0ab'\n"},
    {PICKLE("\x80\2K\1K\2\x86."), "tuple of 2\n  1\n  2\n"},
    {PICKLE("\x80\2(K\1K\2K\3t."), "tuple of 3\n  1\n  2\n  3\n"},
    {PICKLE("\x80\2}X\1\0\0\0aK\1s."), "dict of 1\n  'a': 1\n"},
    {PICKLE("\x80\2}(K\7K\1X\1\0\0\0bNu."), "dict of 2\n  7: 1\n  'b': None\n"},
    {PICKLE("\x80\2ca.b\nc\n)R."), "object\n  call a.b.c\n  args tuple of 0\n"},
    {PICKLE("\x80\2ca\nb\n)\x81}X\1\0\0\0xK\1sb."),
     "object\n  call a.b\n  args tuple of 0\n  state dict of 1\n"
     "    'x': 1\n"},
    {PICKLE("\x80\2ccollections\nOrderedDict\n)R}X\1\0\0\0xK\1sb."),
     "dict of 0\n"},
    {PICKLE("\x80\2ccollections\ndefaultdict\ncbuiltins\nlist\n\x85R."),
     "dict of 0\n"},
    {PICKLE("\x80\2ccollections\nOrderedDict\n]]X\1\0\0\0xaK\1aa\x85R."),
     "dict of 1\n  'x': 1\n"},
    {PICKLE("\x80\4\x95\x0b\0\0\0\0\0\0\0\x8c\1m\x94\x8c\1n\x94\x93\x94."),
     "m.n\n"},
    {PICKLE("\x80\4\x8f\x94(K\1K\2\x90."), "set of 2\n  1\n  2\n"},
    {PICKLE("\x80\4\x8e\2\0\0\0\0\0\0\0xy."), "bytes of 2 bytes\n"},
    {PICKLE("(lp0\nI12\naI01\naL99L\naF1.5\naS'a\\x41\\n'\naVb\\u00e4\na."),
     "list of 6\n  12\n  True\n  99\n  1.5\n  'aA\\x0a'\n  'b\xc3\xa4'\n"},
    {PICKLE("(dp0\nS'k'\np1\nI1\nsg1\n0."), "dict of 1\n  'k': 1\n"},
    {PICKLE("\x80\2K\1K\2"
            "0."),
     "1\n"},
    {PICKLE("\x80\2K\1(K\2K\3"
            "1."),
     "1\n"},
    {PICKLE("\x80\2K\1\x32\x86."), "tuple of 2\n  1\n  1\n"},
    /* MEMOIZE takes the number of keys in the memo, which may be one of them */
    {PICKLE("\x80\4](K\7q\1K\x08\x94h\1e."), "list of 3\n  7\n  8\n  8\n"},
    {PICKLE("\x80\4](K\7q\0q\0K\x08\x94h\0h\1e."),
     "list of 4\n  7\n  8\n  7\n  8\n"},
    {PICKLE("\x80\2K\7q\x64h\x64\x86."), "tuple of 2\n  7\n  7\n"},
    /* the second of two backslashes begins no escape, the third does */
    {PICKLE("V\\\\u0041\n."), "'\\\\u0041'\n"},
    {PICKLE("V\\\\\\u0041\n."), "'\\\\A'\n"},
    {PICKLE("V\\n\\\n."), "'\\n\\'\n"},
    {PICKLE("I01\n."), "True\n"},
    {PICKLE("L0L\n."), "0\n"},
    {PICKLE("F-inf\n."), "-inf\n"},
    /* __new__() of a dict or set looks at no argument, a frozenset's does */
    {PICKLE("\x80\2ccollections\nOrderedDict\n" ONE_PAIR "\x85\x81."),
     "dict of 0\n"},
    {PICKLE("\x80\2ccollections\nCounter\n}K\1K\2s\x85\x81."), "dict of 0\n"},
    {PICKLE("\x80\2"
            "cbuiltins\ndict\n)}X\1\0\0\0aK\1s\x92."),
     "dict of 0\n"},
    {PICKLE("\x80\2"
            "cbuiltins\nset\n]K\1a\x85\x81."),
     "set of 0\n"},
    {PICKLE("\x80\2"
            "cbuiltins\nfrozenset\n]K\1a\x85\x81."),
     "set of 1\n  1\n"},
    {PICKLE("\x80\2ccollections\ndefaultdict\nN" ONE_PAIR "\x86R."),
     "dict of 1\n  1: 2\n"},
    /* what a container was made of may grow: it has a copy */
    {PICKLE("\x80\2ccollections\nOrderedDict\n" ONE_PAIR "q\0\x85Rh\0K\5a0."),
     "dict of 1\n  1: 2\n"},
    /* so may what an object knows, in which there are objects half made */
    {PICKLE("\x80\2ca\nb\n)R}K\1]q\0sbh\0K\5a0."),
     "object\n  call a.b\n  args tuple of 0\n  state dict of 1\n"
     "    1: list of 1\n      5\n"},
};

static void check_sound(size_t i)
{
    ptf_arena arena = {NULL};
    ptf_pickle pickle;
    ptf_error err = {PTF_OK, ""};
    uint8_t *copy = malloc(sound[i].size);
    assert_non_null(copy);
    memcpy(copy, sound[i].bytes, sound[i].size);
    ptf_status status =
        ptf_pickle_read(copy, sound[i].size, &(ptf_origin){"f", "p"}, NULL,
                        &arena, &pickle, &err);
    if (status != PTF_OK)
        fail_msg("pickle %zu: %s", i, err.message);
    assert_int_equal(pickle.size, sound[i].size);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    ptf_object_print(pickle.root, 1000, out);
    fclose(out);
    if (strcmp(text, sound[i].printed) != 0)
        fail_msg("pickle %zu: expected '%s', got '%s'", i, sound[i].printed,
                 text);
    free(text);
    free(copy);
    ptf_arena_free(&arena);
}

static void sound_pickles_give_their_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(sound); i++)
        check_sound(i);
}

static void memo_keeps_references(void **state)
{
    (void)state;
    /* a dict is stored while empty, used, and then filled */
    static const char bytes[] = "\x80\2]q\0}q\1ah\1ah\1X\1\0\0\0kK\5s0.";
    ptf_arena arena = {NULL};
    ptf_pickle pickle;
    ptf_error err;
    assert_int_equal(ptf_pickle_read((const uint8_t *)bytes, sizeof(bytes) - 1,
                                     &(ptf_origin){"f", "p"}, NULL, &arena,
                                     &pickle, &err),
                     PTF_OK);
    const ptf_object *list = pickle.root;
    assert_int_equal(list->count, 2);
    assert_ptr_equal(list->items[0], list->items[1]);
    assert_int_equal(ptf_dict_find(list->items[0], "k")->integer, 5);
    ptf_arena_free(&arena);
}

/* ------------------------------------------------------- hostile pickles */

#define USED_LIST "ca\nb\n]q\0\x85R0"
#define BEHIND    "after the call"

static const struct {
    const char *bytes;
    size_t size;
    const char *text;
} hostile[] = {
    {PICKLE(""), "an opcode"},
    {PICKLE("\x80\2"), "an opcode"},
    {PICKLE("\x80\2K\1"), "an opcode"},
    {PICKLE("\x80\x09N."), "protocol 0 to 5"},
    {PICKLE("N\x80\2."), "protocol 0 to 5"},
    {PICKLE("\x80\2."), "one value"},
    {PICKLE("\x80\2NN."), "one value"},
    {PICKLE("\x80\2(."), "one value"},
    {PICKLE("\x80\2\xff."), "byte ff"},
    {PICKLE("\x80\2R."), "for REDUCE"},
    {PICKLE("\x80\2(R."), "for REDUCE"},
    {PICKLE("\x80\2N(\x85."), "for TUPLE1"},
    {PICKLE("\x80\2t."), "a mark"},
    {PICKLE("\x80\2}u."), "a mark"},
    {PICKLE("\x80\2}(K\1u."), "pairs"},
    {PICKLE("\x80\2(K\1d."), "pairs"},
    {PICKLE("\x80\2}K\1K\2K\3Xs."), "a string"},
    {PICKLE("\x80\2)K\1a."), "expected a list"},
    {PICKLE("\x80\2]K\1K\2s."), "expected a dict"},
    {PICKLE("\x80\2ctorch._utils\n_rebuild_tensor_v2\n)RK\1K\2s."),
     "expected a dict"},
    {PICKLE("\x80\2K\1}b."), "for BUILD"},
    {PICKLE("\x80\2}}b."), "for BUILD"},
    {PICKLE("\x80\2ccollections\nOrderedDict\n)RNNN\x87"
            "b."),
     "attributes for BUILD"},
    {PICKLE("\x80\2"
            "cbuiltins\ndict\n)R}b."),
     "for BUILD"},
    {PICKLE("\x80\2X\1\0\0\0a)R."), "something to call"},
    {PICKLE("\x80\2ccollections\nOrderedDict\nK\1\x85R."), "items to fill"},
    {PICKLE("\x80\2ca\nb\nK\1R."), "a tuple of arguments"},
    {PICKLE("\x80\2h\0."), "memo index that was set"},
    {PICKLE("\x80\2j\xff\xff\xff\xff."), "memo index that was set"},
    {PICKLE("\x80\2Nr\xff\xff\xff\xee."), "memo index"},
    {PICKLE("\x80\2q\0."), "for BINPUT"},
    {PICKLE("\x80\2X\xff\xff\xff\xff"
            "abc."),
     "4294967295 bytes"},
    {PICKLE("\x80\4\x8d\0\0\0\0\0\0\0\x80"
            "abc."),
     "9223372036854775808"},
    {PICKLE("\x80\2\x8b\xff\xff\xff\xff."), "an integer"},
    {PICKLE("\x80\4\x95\0\0\0\0\0\1\0\0."), "a frame"},
    {PICKLE("\x80\2cposix\nsystem\n."), "posix.system"},
    {PICKLE("\x80\2cos\nsystem\n."), "os.system"},
    {PICKLE("\x80\2c__builtin__\neval\n."), "eval"},
    {PICKLE("\x80\4\x8c\2os\x8c\6system\x93."), "os.system"},
    {PICKLE("\x80\4K\1K\2\x93."), "two strings"},
    {PICKLE("\x80\2ca\nb"), "ends with a newline"},
    {PICKLE("\x80\2ca\x1b\nb\n."), "printable"},
    {PICKLE("(ia\nb\n."), "got INST"},
    {PICKLE("\x80\2(N)o."), "got OBJ"},
    {PICKLE("Pabc\n."), "got PERSID"},
    {PICKLE("\x80\2\x82\1."), "got EXT1"},
    {PICKLE("\x80\5\x97."), "got NEXT_BUFFER"},
    {PICKLE("I12x\n."), "an integer"},
    {PICKLE("I\n."), "an integer"},
    {PICKLE("I-\n."), "an integer"},
    {PICKLE("Fabc\n."), "a float"},
    {PICKLE("S'abc\n."), "a quoted string"},
    {PICKLE("S'\\x4'\n."), "known escapes"},
    {PICKLE("S'\\'\n."), "known escapes"},
    {PICKLE("V\\u12\n."), "known escapes"},
    {PICKLE("Np-1\n."), "a memo index"},
    {PICKLE("\x80\2}(X\1\0\0\0aNX\1\0\0\0aNu."), "once, got 'a'"},
    {PICKLE("\x80\2}(K\1NK\1Nu."), "once"},
    {PICKLE("I010\n."), "an integer"},
    {PICKLE("I1_0\n."), "an integer"},
    {PICKLE("I1L\n."), "an integer"},
    {PICKLE("L01L\n."), "an integer"},
    {PICKLE("F0x1p3\n."), "a float"},
    {PICKLE("F 1\n."), "a float"},
    {PICKLE("Fnan(1)\n."), "a float"},
    {PICKLE("V\\U00110000\n."), "known escapes"},
    {PICKLE("\x80\2Nr\0\0\1\0."), "memo index"},
    {PICKLE("\x80\4\x8c\5torch\x8c\x08hub.load\x93."), "torch.hub.load"},
    {PICKLE("\x80\4\x8c\x08"
            "builtins\x8c\x0d"
            "eval.__call__\x93."),
     "builtins.eval"},
    {PICKLE("\x80\2ccollections\nOrderedDict\n]]\x86R."), "at most 1 arg"},
    {PICKLE("\x80\2ccollections\ndefaultdict\nN]]\x87R."), "at most 2 arg"},
    {PICKLE("\x80\2"
            "cbuiltins\nfrozenset\n)}NNs\x92."),
     "named arguments"},
    {PICKLE("\x80\2ctorch._utils\nf\n)}NNs\x92."), "named arguments"},
    /* what a call has used must not change after it */
    {PICKLE("\x80\2" USED_LIST "h\0K\1a."), BEHIND},
    {PICKLE("\x80\2" USED_LIST "h\0(K\1e."), BEHIND},
    {PICKLE("\x80\2ca\nb\n]]q\0a\x85R0h\0K\1a."), BEHIND},
    {PICKLE("\x80\2ca\nb\n}q\0\x85R0h\0K\1K\2s."), BEHIND},
    {PICKLE("\x80\2ca\nb\n}q\0\x85R0h\0(K\1K\2u."), BEHIND},
    {PICKLE("\x80\4ca\nb\n\x8fq\0\x85R0h\0(K\1\x90."), BEHIND},
    {PICKLE("\x80\4ca\nb\n]q\0\x85\x81"
            "0h\0K\1a."),
     BEHIND},
    {PICKLE("\x80\4ca\nb\n]q\0\x85}\x92"
            "0h\0K\1a."),
     BEHIND},
    {PICKLE("\x80\2ca\nb\n)R}q\0b0h\0K\1K\2s."), BEHIND},
    {PICKLE("\x80\2ca\nb\n)R]q\0N\x86"
            "b0h\0K\1a."),
     BEHIND},
    {PICKLE("\x80\4(K\1\x91(K\2\x90."), BEHIND},
    {PICKLE("\x80\4"
            "cbuiltins\nfrozenset\n)R(K\2\x90."),
     BEHIND},
    /* nor an object of which a tensor was made */
    {PICKLE("\x80\2ctorch._utils\nf\nca\nb\n)Rq\0\x85R0h\0K\1b."), BEHIND},
    {PICKLE("\x80\2ctorch._utils\nf\nca\nb\n)Rq\0\x85R0h\0K\1a."), BEHIND},
    {PICKLE("\x80\2ctorch._utils\nf\n)Rca\nb\n)Rq\0\x85"
            "b0h\0K\1b."),
     BEHIND},
    {PICKLE("\x80\2ca\nb\n)Rq\0\x85q\1ca\nb\nh\1Rctorch._utils\nf\nh\1R0h\0K"
            "\1b."),
     BEHIND},
};

static void hostile_pickles_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(hostile); i++) {
        ptf_error err = {PTF_OK, ""};
        ptf_status status = read_exact(hostile[i].bytes, hostile[i].size, &err);
        if (status != PTF_FORMAT ||
            strstr(err.message, hostile[i].text) == NULL)
            fail_msg("pickle %zu: expected '%s', got %d '%s'", i,
                     hostile[i].text, (int)status, err.message);
    }
}

/* ----------------------------------------------------------------- bounds */

/* 'before', 'n' times 'middle', 'after'. */
static char *repeat(const char *before, const char *middle, size_t size,
                    size_t n, const char *after, size_t *total)
{
    *total = strlen(before) + n * size + strlen(after);
    char *bytes = malloc(*total + 1), *at = bytes;
    assert_non_null(bytes);
    memcpy(at, before, strlen(before));
    at += strlen(before);
    for (size_t i = 0; i < n; i++, at += size)
        memcpy(at, middle, size);
    memcpy(at, after, strlen(after) + 1);
    return bytes;
}

static ptf_status read_repeated(const char *before, const char *middle,
                                size_t size, size_t n, const char *after,
                                ptf_error *err)
{
    size_t total;
    char *bytes = repeat(before, middle, size, n, after, &total);
    ptf_arena arena = {NULL};
    ptf_pickle pickle;
    ptf_status status =
        ptf_pickle_read((uint8_t *)bytes, total, &(ptf_origin){"f", "p"}, NULL,
                        &arena, &pickle, err);
    ptf_arena_free(&arena);
    free(bytes);
    return status;
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    ptf_error err;
    assert_int_equal(read_repeated("\x80\2N", "\x85", 1, 255, ".", &err),
                     PTF_OK);
    assert_int_equal(read_repeated("\x80\2N", "\x85", 1, 300000, ".", &err),
                     PTF_FORMAT);
    assert_non_null(strstr(err.message, "256 deep"));
    /* an object that contains itself often is not deep */
    assert_int_equal(
        read_repeated("\x80\2cx\ny\n)Rp0\n(", "g0\n", 3, 300, "e.", &err),
        PTF_OK);
}

static void containers_do_not_contain_themselves(void **state)
{
    (void)state;
    static const char *const cycles[] = {
        "\x80\2]p0\ng0\na.", "\x80\2]p0\ng0\n\205a.", "\x80\2]p0\n}Ng0\nsa.",
        "\x80\2]}p0\nN]g0\nasa."};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cycles); i++) {
        ptf_error err;
        assert_int_equal(read_repeated(cycles[i], "", 0, 0, "", &err),
                         PTF_FORMAT);
        assert_non_null(strstr(err.message, "contains itself"));
    }
}

static void sharing_cannot_blow_a_tree_up(void **state)
{
    (void)state;
    ptf_error err;
    /* t = (t, t), again and again: 2^30 values, then 2^40 */
    assert_int_equal(read_repeated("\x80\2N", "\x32\x86", 2, 30, ".", &err),
                     PTF_OK);
    assert_int_equal(read_repeated("\x80\2N", "\x32\x86", 2, 40, ".", &err),
                     PTF_FORMAT);
    assert_non_null(strstr(err.message, "blows up"));
}

/* Whatever is repeated, memory stays bounded. */
static void the_number_of_values_is_bounded(void **state)
{
    (void)state;
    ptf_error err;
    static const struct {
        const char *piece, *bound;
    } rows[] = {{"N", "opcodes"},
                {"2", "opcodes"},
                {"(", "opcodes"},
                {"\x94", "memo index"}};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        assert_int_equal(read_repeated("\x80\2(N", rows[i].piece, 1,
                                       PTF_PICKLE_MAX_OPCODES, "t.", &err),
                         PTF_FORMAT);
        assert_non_null(strstr(err.message, rows[i].bound));
    }
    assert_int_equal(read_repeated("\x80\2(", "N\x85", 2,
                                   PTF_PICKLE_MAX_CONTAINERS, "t.", &err),
                     PTF_FORMAT);
    assert_non_null(strstr(err.message, "containers"));
    assert_int_equal(
        read_repeated("\x80\2(", "]", 1, PTF_PICKLE_MAX_VALUES, "l.", &err),
        PTF_FORMAT);
    assert_non_null(strstr(err.message, "values"));
}

/* A call of a few bytes copies a list of any length. */
static void copies_count_as_values(void **state)
{
    (void)state;
    static const struct {
        const char *callee, *empty, *item, *fill;
    } calls[] = {
        {"builtins\nset", "]", "N", "e"},
        {"builtins\nfrozenset", "]", "N", "e"},
        {"builtins\ndict", "]", "NN\x86", "e"},
        {"collections\nOrderedDict", "]", "NN\x86", "e"},
        {"collections\nOrderedDict", "}", "NN", "u"},
        {"collections\nCounter", "}", "NN", "u"},
    };
    enum { ITEMS = 1000, COPIES = PTF_PICKLE_MAX_VALUES / ITEMS + 1 };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(calls); i++) {
        char start[64], end[64];
        size_t size;
        ptf_error err;
        snprintf(start, sizeof(start), "\x80\2c%s\np0\n0%s(", calls[i].callee,
                 calls[i].empty);
        snprintf(end, sizeof(end), "%s\x85p1\n0(", calls[i].fill);
        char *list = repeat(start, calls[i].item, strlen(calls[i].item), ITEMS,
                            end, &size);
        assert_int_equal(
            read_repeated(list, "g0\ng1\nR", 7, COPIES, "t.", &err),
            PTF_FORMAT);
        assert_non_null(strstr(err.message, "values"));
        free(list);
    }
}

/* A tree with more containers than its caller counted must not hang. */
static void a_wrong_count_of_containers_is_refused(void **state)
{
    (void)state;
    enum { MANY = 100 };
    ptf_object leaf = {.kind = PTF_OBJECT_NONE}, *leaves[] = {&leaf};
    ptf_object lists[MANY], *items[MANY];
    ptf_object root = {.kind = PTF_OBJECT_LIST, .count = MANY, .items = items};
    ptf_error err = {PTF_OK, ""};
    for (size_t i = 0; i < MANY; i++) {
        lists[i] =
            (ptf_object){.kind = PTF_OBJECT_LIST, .count = 1, .items = leaves};
        items[i] = &lists[i];
    }
    assert_int_equal(
        ptf_object_check(&root, 1, &(ptf_origin){"f", "p"}, NULL, &err),
        PTF_FORMAT);
    assert_non_null(strstr(err.message, "containers"));
    assert_int_equal(
        ptf_object_check(&root, MANY + 1, &(ptf_origin){"f", "p"}, NULL, NULL),
        PTF_OK);
}

static void a_value_that_contains_itself_can_be_printed(void **state)
{
    (void)state;
    static const char bytes[] = "\x80\2cx\ny\n)Rq\0h\0a.";
    ptf_arena arena = {NULL};
    ptf_pickle pickle;
    assert_int_equal(ptf_pickle_read((const uint8_t *)bytes, sizeof(bytes) - 1,
                                     &(ptf_origin){"f", "p"}, NULL, &arena,
                                     &pickle, NULL),
                     PTF_OK);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    ptf_object_print(pickle.root, 1000, out);
    fclose(out);
    assert_non_null(strstr(text, "goes around"));
    free(text);
    ptf_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_pickles_give_their_values),
        cmocka_unit_test(memo_keeps_references),
        cmocka_unit_test(hostile_pickles_are_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(containers_do_not_contain_themselves),
        cmocka_unit_test(sharing_cannot_blow_a_tree_up),
        cmocka_unit_test(the_number_of_values_is_bounded),
        cmocka_unit_test(copies_count_as_values),
        cmocka_unit_test(a_wrong_count_of_containers_is_refused),
        cmocka_unit_test(a_value_that_contains_itself_can_be_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
