/*
 * JSON that is read without jansson is what jansson reads, and what jansson
 * refuses is not read: texts by hand, and these with bytes changed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

static uint64_t state = 1;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool is_plain(const char *text, size_t size)
{
    json_t *plain = ptf_json_plain(text, size);
    json_t *want =
        json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    bool is = plain != NULL;
    if (is && (want == NULL || !json_equal(plain, want)))
        fail_msg("jansson reads another value or none of %.*s", (int)size,
                 text);
    json_decref(plain);
    json_decref(want);
    return is;
}

static void plain_texts_are_read(void **unused)
{
    static const char *const plain[] = {
        "{}",
        " [ ] ",
        "{\"a\": {\"b\": [1, -2, 0, -0, 123456789012345678]}, \"\": null}",
        "[true,false,null,\"\",\"a\\n\\\"b\\\\\\/\\b\\f\\r\\t~ \"]",
        "\t{\r\n\"x\" :1.5,\"y\": -2e-3 , \"z\":1E+9}\n",
        "[\"\\u00e9\", \"\xc3\xa9\", \"\x7f\", \"\\ud83d\\ude00\\n\"]",
        "[9223372036854775807, -9223372036854775808, 0.1]",
        "{\"a\":{\"k\":\"v\"},\"b\":{\"k\":\"w\"}}",
    };
    (void)unused;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(plain); i++) {
        if (!is_plain(plain[i], strlen(plain[i])))
            fail_msg("not plain: %s", plain[i]);
    }
}

static void others_are_left_to_jansson(void **unused)
{
    static const char *const others[] = {
        "",
        "{",
        "[1,]",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "[1] 2",
        "{\"a\":1,\"a\":2}",
        "[01]",
        "[-]",
        "[1.]",
        "[+1]",
        "[1e999]",
        "[\"\n\"]",
        "[\"\\x\"]",
        "[\"a",
        "[\"a\\",
        "[\"\\ud83d\"]",
        "[\"\xff\"]",
        "[nul]",
        "[truex]",
        "[9223372036854775808]",
        "{\"\\u0061\":1}",
        "{1:2}",
        "[\"\\u0000\"]",
        "]",
        "[1}",
    };
    char deep[1000];
    (void)unused;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(others); i++) {
        if (is_plain(others[i], strlen(others[i])))
            fail_msg("plain: %s", others[i]);
    }
    assert_false(is_plain("[1]\0", 4));
    assert_false(is_plain("[\"\0\"]", 5));
    memset(deep, '[', 500);
    memset(deep + 500, ']', 500);
    assert_false(is_plain(deep, sizeof(deep)));
}

static void changed_bytes_are_read_as_by_jansson(void **unused)
{
    static const char text[] =
        "{\"nodes\": [{\"target\": \"torch.ops.aten.conv2d.default\", \"dim\": "
        "-1, \"eps\": 1e-05, \"is\": true}, {\"trace\": \"File \\\"m.py\\\", "
        "line 7\\n  x = y\\\\z\\n\", \"none\": null, \"of\": [[0, 12], []]}]}";
    static const char bytes[] = "{}[]\",:\\0123456789-+.eEtfnu \n\tx\x80";
    enum { ROUNDS = 100000 };
    int plain = 0;
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        char changed[sizeof(text)];
        size_t size = sizeof(text) - 1;
        memcpy(changed, text, size);
        for (uint64_t k = next() % 3; k < 3; k++)
            changed[next() % size] = bytes[next() % (sizeof(bytes) - 1)];
        plain += is_plain(changed, next() % 8 > 0 ? size : next() % size);
    }
    assert_true(plain > ROUNDS / 50);
    assert_true(plain < ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_texts_are_read),
        cmocka_unit_test(others_are_left_to_jansson),
        cmocka_unit_test(changed_bytes_are_read_as_by_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
