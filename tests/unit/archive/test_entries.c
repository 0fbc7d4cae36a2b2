/*
 * The bytes of an archive's entries: inflated, bounded, checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"
#include "make_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char pickle[] = FORGE_STATE_DICT(FORGE_TEXT1("w") FORGE_MATRIX);

static void compressed_entries_are_inflated_and_checked(void **state)
{
    (void)state;
    forge_zip zip;
    const forge_entry entries[] = {
        {"a/data.pkl", pickle, sizeof(pickle) - 1, true},
        {"a/version", "3\n", 2, true},
    };
    forge_make_zip(entries, 2, &zip);
    ptf_error err;
    ptf_archive archive;
    ptf_file file = {"f", zip.bytes, zip.size, -1, NULL};
    assert_int_equal(ptf_archive_open(&file, &archive, &err), PTF_OK);
    ptf_entry *e = ptf_archive_find(&archive, "data.pkl");
    assert_non_null(e);
    assert_null(e->data);
    assert_int_equal(ptf_archive_load(&archive, e, &err), PTF_OK);
    assert_memory_equal(e->data, pickle, sizeof(pickle) - 1);
    ptf_archive_close(&archive);

    static const int fields[] = {0, 1, 40};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(fields); i++) {
        forge_zip bad = zip;
        bad.bytes[bad.data[0] + (size_t)fields[i]] ^= 0x10;
        assert_int_equal(
            ptf_archive_open(&(ptf_file){"f", bad.bytes, bad.size, -1, NULL},
                             &archive, &err),
            PTF_OK);
        e = ptf_archive_find(&archive, "data.pkl");
        assert_int_equal(ptf_archive_load(&archive, e, &err), PTF_FORMAT);
        ptf_archive_close(&archive);
    }
}

/* Without a checksum only the size can tell. */
static void an_inflated_size_other_than_declared_is_refused(void **state)
{
    (void)state;
    static const int changes[] = {0, 1, -1};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(changes); i++) {
        forge_zip zip;
        const forge_entry entries[] = {
            {"a/data.pkl", pickle, sizeof(pickle) - 1, true},
            {"a/version", "3\n", 2, false},
        };
        forge_make_zip(entries, 2, &zip);
        size_t size = sizeof(pickle) - 1 + (size_t)changes[i];
        forge_put(zip.bytes + zip.central[0] + 16, 0, 4);
        forge_put(zip.bytes + zip.central[0] + 24, size, 4);
        forge_put(zip.bytes + zip.local[1] - 12, 0, 4);
        forge_put(zip.bytes + zip.local[1] - 4, size, 4);
        ptf_archive archive;
        ptf_error err;
        assert_int_equal(
            ptf_archive_open(&(ptf_file){"f", zip.bytes, zip.size, -1, NULL},
                             &archive, &err),
            PTF_OK);
        ptf_entry *e = ptf_archive_find(&archive, "data.pkl");
        assert_int_equal(ptf_archive_load(&archive, e, &err),
                         changes[i] == 0 ? PTF_OK : PTF_FORMAT);
        ptf_archive_close(&archive);
    }
}

static void a_deflate_bomb_is_refused(void **state)
{
    (void)state;
    enum { SIZE = 4 << 20 };
    forge_zip zip;
    void *zeros = ptf_alloc(SIZE);
    assert_non_null(zeros);
    const forge_entry entries[] = {
        {"a/data.pkl", zeros, SIZE, true},
        {"a/version", "3\n", 2, false},
    };
    forge_make_zip(entries, 2, &zip);
    ptf_file file = {"f", zip.bytes, zip.size, -1, NULL};
    ptf_archive archive;
    ptf_error err;
    assert_int_equal(ptf_archive_open(&file, &archive, &err), PTF_OK);
    assert_int_equal(ptf_archive_load(&archive,
                                      ptf_archive_find(&archive, "data.pkl"),
                                      &err),
                     PTF_FORMAT);
    assert_non_null(strstr(err.message, "100:1"));
    ptf_archive_close(&archive);
    ptf_free(zeros);
}

static void large_storages_are_verified_in_blocks(void **state)
{
    (void)state;
    enum { SIZE = (9 << 20) + 123 };
    uint8_t *data = ptf_alloc(SIZE);
    assert_non_null(data);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 31 + (i >> 12));
    ptf_entry entry = {.name = "x",
                       .data = data,
                       .size = SIZE,
                       .crc = ptf_crc32(0, data, SIZE),
                       .has_crc = true};
    ptf_file file = {"f", data, SIZE, -1, NULL};
    ptf_archive archive = {.file = &file, .entries = &entry, .count = 1};
    assert_int_equal(ptf_archive_verify(&archive, NULL), PTF_OK);
    static const size_t places[] = {0, 4 << 20, (8 << 20) - 1, SIZE - 1};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(places); i++) {
        data[places[i]] ^= 0x80;
        assert_int_equal(ptf_archive_verify(&archive, NULL), PTF_FORMAT);
        data[places[i]] ^= 0x80;
    }
    ptf_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compressed_entries_are_inflated_and_checked),
        cmocka_unit_test(an_inflated_size_other_than_declared_is_refused),
        cmocka_unit_test(a_deflate_bomb_is_refused),
        cmocka_unit_test(large_storages_are_verified_in_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
