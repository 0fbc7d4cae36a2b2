/*
 * base: errors and their escapes, memory, buffer, cursor, checksums.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* ------------------------------------------------------------------- files */

static void a_fault_in_a_mapping_names_its_file(void **state)
{
    (void)state;
    char path[] = "ptfold-XXXXXX", text[64], copy[4];
    int fd = mkstemp(path);
    ptf_file file;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    assert_int_equal(ptf_file_open(path, &file, NULL), PTF_OK);
    assert_false(ptf_mapping_fault(&file, text, sizeof(text)));
    assert_true(ptf_mapping_fault(file.data + 9, text, sizeof(text)));
    assert_non_null(strstr(text, ": cannot read: the disk or the network"));
    assert_int_equal(ptf_file_check(&file, NULL), PTF_OK);
    assert_int_equal(ptf_file_copy(&file, file.data + 6, 4, copy, NULL),
                     PTF_OK);
    assert_memory_equal(copy, "6789", 4);
    assert_int_equal(ftruncate(fd, 8), 0);
    assert_true(ptf_mapping_fault(file.data, text, sizeof(text)));
    assert_non_null(strstr(text, ": was truncated while it was in use"));
    assert_int_equal(ptf_file_check(&file, NULL), PTF_IO);
    assert_int_equal(ptf_file_copy(&file, file.data + 6, 4, copy, NULL),
                     PTF_IO);
    ptf_file_close(&file);
    assert_false(ptf_mapping_fault(file.data, text, sizeof(text)));
    close(fd);
    unlink(path);
}

/* ------------------------------------------------------------------ errors */

static void a_message_names_file_entry_and_byte(void **state)
{
    (void)state;
    ptf_error err;
    ptf_origin origin = {"net.pt", "data.pkl"};
    assert_int_equal(ptf_fail(&err, PTF_FORMAT, &origin, 17, "found %d", 3),
                     PTF_FORMAT);
    assert_int_equal(err.status, PTF_FORMAT);
    assert_string_equal(err.message, "net.pt: data.pkl@17: found 3");
    origin.entry = NULL;
    ptf_fail(&err, PTF_IO, &origin, 5, "x");
    assert_string_equal(err.message, "net.pt: @5: x");
    ptf_fail(&err, PTF_IO, &origin, PTF_NO_OFFSET, "x");
    assert_string_equal(err.message, "net.pt: x");
    ptf_fail(&err, PTF_IO, NULL, 5, "x");
    assert_string_equal(err.message, "x");
}

static void an_error_is_optional(void **state)
{
    (void)state;
    assert_int_equal(ptf_fail(NULL, PTF_IO, NULL, 0, "x"), PTF_IO);
    assert_int_equal(ptf_fail_memory(NULL), PTF_MEMORY);
}

static void a_message_is_one_printable_line(void **state)
{
    (void)state;
    ptf_error err;
    ptf_origin origin = {"a\nb", "\x1b[31m"};
    ptf_fail(&err, PTF_FORMAT, &origin, PTF_NO_OFFSET, "%s",
             "tab\t, C1 \xc2\x85, ok \xc3\xa4\xe2\x82\xac, bad \xff\xc3");
    assert_string_equal(err.message, "a\\x0ab: \\x1b[31m: tab\\x09, "
                                     "C1 \\xc2\\x85, ok \xc3\xa4\xe2\x82\xac, "
                                     "bad \\xff\\xc3");
}

static void a_long_message_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    ptf_error err;
    static char text[40000];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    ptf_fail(&err, PTF_FORMAT, NULL, 0, "%s", text);
    size_t size = strlen(err.message);
    assert_in_range(size, sizeof(err.message) - 8, sizeof(err.message) - 1);
    /* vsnprintf may cut a character; what remains of it is escaped */
    assert_true(ptf_is_printable(err.message, size));
}

static void a_long_message_keeps_its_place_and_its_advice(void **state)
{
    (void)state;
    ptf_error err;
    char name[1000] = "net.pt: layer ";
    ptf_origin origin = {name, NULL};
    for (size_t shift = 0; shift < 5; shift++) {
        size_t size = strlen("net.pt: layer ") + shift;
        memset(name + size, '\x1b', sizeof(name) - 1 - size);
        memset(name + size - shift, 'a', shift);
        ptf_fail(&err, PTF_IO, &origin, 5, "expected X, got Y; do this");
        const char *gap = strstr(err.message, "...");
        assert_non_null(gap);
        assert_memory_equal(err.message, "net.pt: layer a", 14 + (shift > 0));
        assert_memory_equal(gap - 4, "\\x1b...\\x1b", 11);
        assert_string_equal(strrchr(err.message, ':'),
                            ": expected X, got Y; do this");
        assert_in_range(strlen(err.message), PTF_MESSAGE_SIZE - 10,
                        PTF_MESSAGE_SIZE - 1);
    }
}

static void only_sound_utf8_is_printable(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool printable;
    } cases[] = {
        {"", true},
        {"conv1.0.weight", true},
        {"\xc3\xa4", true},
        {"\xf0\x9f\x98\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"a\n", false},
        {"\x7f", false},
        {"\xc2\x9f", false},         /* C1 control */
        {"\xc0\x80", false},         /* overlong */
        {"\xe0\x9f\xbf", false},     /* overlong */
        {"\xf0\x8f\xbf\xbf", false}, /* overlong */
        {"\xed\xa0\x80", false},     /* surrogate */
        {"\xf4\x90\x80\x80", false}, /* beyond U+10FFFF */
        {"\xc3", false},             /* cut */
        {"\x80", false},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++)
        assert_int_equal(ptf_is_printable(cases[i].text, strlen(cases[i].text)),
                         cases[i].printable);
    assert_false(ptf_is_printable("a\0b", 3));
}

/* ------------------------------------------------------------------ memory */

static void arena_memory_is_zero_aligned_and_apart(void **state)
{
    (void)state;
    ptf_arena arena = {0};
    static const size_t sizes[] = {1, 17, 4000, 5000, 16384, 100000, 0, 3};
    uint8_t *blocks[PTF_ARRAY_SIZE(sizes) * 8];
    for (size_t i = 0; i < PTF_ARRAY_SIZE(blocks); i++) {
        size_t size = sizes[i % PTF_ARRAY_SIZE(sizes)];
        blocks[i] = ptf_arena_alloc(&arena, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], (int)i + 1, size);
    }
    for (size_t i = 0; i < PTF_ARRAY_SIZE(blocks); i++) {
        for (size_t k = 0; k < sizes[i % PTF_ARRAY_SIZE(sizes)]; k++)
            assert_int_equal(blocks[i][k], i + 1);
    }
    ptf_arena_free(&arena);
    assert_null(arena.blocks);
}

static void an_arena_refuses_sizes_that_overflow(void **state)
{
    (void)state;
    ptf_arena arena = {0};
    assert_null(ptf_arena_alloc(&arena, SIZE_MAX));
    assert_null(ptf_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(ptf_arena_copy(&arena, "", SIZE_MAX));
    ptf_arena_free(&arena);
}

static void an_arena_copies_and_prints_text(void **state)
{
    (void)state;
    ptf_arena arena = {0};
    assert_string_equal(ptf_arena_copy(&arena, "weight.x", 6), "weight");
    assert_string_equal(ptf_arena_printf(&arena, "data/%d", 12), "data/12");
    ptf_arena_free(&arena);
}

static void allocations_fail_from_the_nth_on(void **state)
{
    (void)state;
    ptf_alloc_fail_after(1);
    void *first = ptf_alloc(8);
    assert_non_null(first);
    assert_null(ptf_alloc(8));
    assert_null(ptf_alloc_aligned(8, 64));
    assert_null(ptf_realloc(first, 16));
    ptf_alloc_fail_after(-1);
    ptf_free(first);
    void *aligned = ptf_alloc_aligned(8, 64);
    assert_int_equal((uintptr_t)aligned % 64, 0);
    ptf_free(aligned);
}

static void a_buffer_grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    ptf_buffer b = {0};
    for (unsigned i = 0; i < 10000; i++)
        ptf_buffer_add_int(&b, i, 4);
    ptf_buffer_add_text(&b, "text");
    ptf_buffer_printf(&b, "%d", -5);
    ptf_buffer_add_int(&b, 0x0102030405060708, 8);
    assert_false(b.failed);
    assert_int_equal(b.size, 40000 + 4 + 2 + 8);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(ptf_get_u32(b.data + 4 * (size_t)i), i);
    assert_memory_equal(b.data + 40000, "text-5\x8\7\6\5\4\3\2\1", 14);
    ptf_buffer_free(&b);
    assert_null(b.data);
}

static void a_buffer_remembers_that_memory_ran_out(void **state)
{
    (void)state;
    ptf_buffer b = {0};
    ptf_buffer_add_text(&b, "kept");
    ptf_alloc_fail_after(0);
    for (int i = 0; i < 1000; i++)
        ptf_buffer_add_text(&b, "more");
    ptf_alloc_fail_after(-1);
    ptf_buffer_add_text(&b, "late");
    assert_true(b.failed);
    assert_memory_equal(b.data, "kept", 4);
    ptf_buffer_free(&b);
}

/* ------------------------------------------------------------------ cursor */

static void a_cursor_takes_little_endian_numbers(void **state)
{
    (void)state;
    static const uint8_t data[] = {1,  2,  3,  4,  5,  6,   7,   8,    9,  10,
                                   11, 12, 13, 14, 15, 'a', 'b', '\n', 'c'};
    ptf_error err;
    ptf_cursor c = {data, sizeof(data), 0, {"file", "entry"}, &err};
    uint8_t a;
    uint16_t b;
    uint32_t d;
    uint64_t e;
    const char *line;
    size_t size;
    assert_int_equal(ptf_take_u8(&c, &a, "x"), PTF_OK);
    assert_int_equal(ptf_take_u16(&c, &b, "x"), PTF_OK);
    assert_int_equal(ptf_take_u32(&c, &d, "x"), PTF_OK);
    assert_int_equal(ptf_take_u64(&c, &e, "x"), PTF_OK);
    assert_int_equal(a, 1);
    assert_int_equal(b, 0x0302);
    assert_int_equal(d, 0x07060504);
    assert_true(e == 0x0f0e0d0c0b0a0908);
    assert_int_equal(ptf_take_line(&c, &line, &size, "x"), PTF_OK);
    assert_int_equal(size, 2);
    assert_memory_equal(line, "ab", 2);
    assert_int_equal(ptf_cursor_left(&c), 1);
}

static void a_cursor_never_passes_the_end(void **state)
{
    (void)state;
    static const uint8_t data[] = {1, 2, 3};
    ptf_error err;
    ptf_cursor c = {data, sizeof(data), 1, {"file", "entry"}, &err};
    uint32_t word = 77;
    const uint8_t *p;
    const char *line;
    size_t size;
    assert_int_equal(ptf_take_u32(&c, &word, "a count"), PTF_FORMAT);
    assert_int_equal(word, 77);
    assert_string_equal(err.message,
                        "file: entry@1: expected a count of 4 bytes, got "
                        "only 2");
    assert_int_equal(ptf_take(&c, SIZE_MAX, &p, "a text"), PTF_FORMAT);
    assert_int_equal(ptf_take_line(&c, &line, &size, "a line"), PTF_FORMAT);
    assert_int_equal(c.pos, 1);
    assert_int_equal(ptf_take(&c, 2, &p, "the rest"), PTF_OK);
    assert_int_equal(ptf_take_line(&c, &line, &size, "a line"), PTF_FORMAT);
}

/* --------------------------------------------------------------- checksums */

static void the_checksum_is_that_of_zip(void **state)
{
    (void)state;
    assert_int_equal(ptf_crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(ptf_crc32(ptf_crc32(0, "1234", 4), "56789", 5),
                     0xcbf43926);
}

static void the_parallel_checksum_is_the_same(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4 << 20, (4 << 20) + 1, 9000001};
    uint8_t *data = malloc(9000001);
    assert_non_null(data);
    for (size_t i = 0; i < 9000001; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(sizes); i++)
        assert_int_equal(ptf_crc32_parallel(12345, data, sizes[i]),
                         ptf_crc32(12345, data, sizes[i]));
    free(data);
}

/* What ptf_cgroup_limit() makes of a file with this text, of 8 CPUs. */
static int limit_of(const char *text)
{
    char path[] = "/tmp/ptfold-cgroup-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int limit = ptf_cgroup_limit(path, 8);
    unlink(path);
    return limit;
}

static void a_control_group_limits_the_threads(void **state)
{
    (void)state;
    assert_int_equal(limit_of("max 100000\n"), 8);
    assert_int_equal(limit_of("200000 100000\n"), 2);
    assert_int_equal(limit_of("150000 100000\n"), 2);
    assert_int_equal(limit_of("1000 100000\n"), 1);
    assert_int_equal(limit_of("1600000 100000\n"), 8);
    assert_int_equal(limit_of("50000 0\n"), 8);
    assert_int_equal(limit_of("-1\n"), 8);
    assert_int_equal(limit_of(""), 8);
    assert_int_equal(ptf_cgroup_limit("/nonexistent/cpu.max", 3), 3);
    assert_true(ptf_thread_count() >= 1);
}

/* The vectors are Python 3.11's hash() with PYTHONHASHSEED=0. */
static void the_hash_is_siphash_under_its_key(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t hash;
    } rows[] = {
        {"a", UINT64_C(0x407448d2b89b1813)},
        {"abcdefg", UINT64_C(0x6db12aae9070f506)},
        {"abcdefgh", UINT64_C(0x3f7b849c0b8e35ea)},
        {"data/0 of a storage", UINT64_C(0x8b4a4f7c4523958e)},
    };
    uint64_t drawn = ptf_hash("a", 1);
    ptf_hash_set_key(0, 0);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++)
        assert_true(ptf_hash(rows[i].text, strlen(rows[i].text)) ==
                    rows[i].hash);
    assert_true(drawn != rows[0].hash);
    ptf_hash_set_key(0, 1);
    assert_true(ptf_hash("a", 1) != rows[0].hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_siphash_under_its_key),
        cmocka_unit_test(a_fault_in_a_mapping_names_its_file),
        cmocka_unit_test(a_message_names_file_entry_and_byte),
        cmocka_unit_test(an_error_is_optional),
        cmocka_unit_test(a_message_is_one_printable_line),
        cmocka_unit_test(a_long_message_is_cut_at_a_whole_character),
        cmocka_unit_test(a_long_message_keeps_its_place_and_its_advice),
        cmocka_unit_test(only_sound_utf8_is_printable),
        cmocka_unit_test(arena_memory_is_zero_aligned_and_apart),
        cmocka_unit_test(an_arena_refuses_sizes_that_overflow),
        cmocka_unit_test(an_arena_copies_and_prints_text),
        cmocka_unit_test(allocations_fail_from_the_nth_on),
        cmocka_unit_test(a_buffer_grows_and_keeps_its_bytes),
        cmocka_unit_test(a_control_group_limits_the_threads),
        cmocka_unit_test(a_buffer_remembers_that_memory_ran_out),
        cmocka_unit_test(a_cursor_takes_little_endian_numbers),
        cmocka_unit_test(a_cursor_never_passes_the_end),
        cmocka_unit_test(the_checksum_is_that_of_zip),
        cmocka_unit_test(the_parallel_checksum_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
