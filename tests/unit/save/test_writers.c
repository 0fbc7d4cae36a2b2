/*
 * The writers of zips and pickles: what only files of many gigabytes have is
 * read back too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"
#include "archive/zip_write.h"
#include "folder.h"
#include "pickle/pickle.h"
#include "pickle/write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void sizes_and_offsets_of_64_bits_are_read_back(void **state)
{
    (void)state;
    uint8_t data[150];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 37);
    for (uint64_t limit = 0; limit <= 300; limit += 100) {
        ptf_output *out;
        ptf_zip_writer zip;
        ptf_file file;
        ptf_archive archive;
        ptf_error err = {0};
        const char *path = in_folder("x.pt");
        assert_int_equal(ptf_output_open(path, NULL, &out, NULL), PTF_OK);
        ptf_zip_write_init(&zip, out, "root");
        zip.limit = limit;
        assert_int_equal(
            ptf_zip_write_entry(&zip, "data.pkl", "\x80\2}.", 4, NULL), PTF_OK);
        assert_int_equal(ptf_zip_write_entry(&zip, "data/0", data, 150, NULL),
                         PTF_OK);
        assert_int_equal(ptf_zip_write_entry(&zip, "data/1", "", 0, NULL),
                         PTF_OK);
        assert_int_equal(ptf_zip_write_entry(&zip, "version", "3\n", 2, NULL),
                         PTF_OK);
        assert_int_equal(ptf_zip_write_finish(&zip, NULL), PTF_OK);
        ptf_zip_write_free(&zip);
        assert_int_equal(ptf_output_commit(out, NULL), PTF_OK);

        assert_int_equal(ptf_file_open(path, &file, NULL), PTF_OK);
        if (ptf_archive_open(&file, &archive, &err) != PTF_OK)
            fail_msg("limit %d: %s", (int)limit, err.message);
        assert_int_equal(archive.count, 4);
        const ptf_entry *entry = ptf_archive_find(&archive, "data/0");
        assert_int_equal(entry->size, 150);
        assert_int_equal(entry->offset % 64, 0);
        assert_memory_equal(entry->data, data, 150);
        /* the descriptor has the width that the limit asks for */
        const uint8_t *sizes = entry->data + 150 + 8;
        bool wide = limit <= entry->offset - 64;
        assert_int_equal(wide ? ptf_get_u64(sizes) : ptf_get_u32(sizes), 150);
        assert_int_equal(wide ? ptf_get_u64(sizes + 8) : ptf_get_u32(sizes + 4),
                         150);
        ptf_archive_close(&archive);
        ptf_file_close(&file);
    }
}

static bool marks_nothing(const ptf_object *object)
{
    (void)object;
    return false;
}

static void integers_of_every_width_are_read_back(void **state)
{
    (void)state;
    static const int64_t numbers[] = {
        0,
        255,
        256,
        65535,
        65536,
        INT32_MAX,
        INT64_C(1) << 31,
        (INT64_C(1) << 39) - 1,
        INT64_C(1) << 39,
        INT64_MAX,
        -1,
        INT32_MIN,
        -INT64_C(0x80000001),
        INT64_MIN,
    };
    ptf_buffer b = {0};
    ptf_arena arena = {0};
    ptf_origin origin = {"numbers", NULL};
    ptf_pickle pickle;
    ptf_pickle_put_start(&b);
    ptf_pickle_put(&b, PTF_PUT_MARK);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(numbers); i++)
        ptf_pickle_put_int(&b, numbers[i]);
    ptf_pickle_put(&b, PTF_PUT_TUPLE);
    ptf_pickle_put(&b, PTF_PUT_STOP);
    assert_int_equal(ptf_pickle_read(b.data, b.size, &origin, marks_nothing,
                                     &arena, &pickle, NULL),
                     PTF_OK);
    assert_int_equal(pickle.root->count, PTF_ARRAY_SIZE(numbers));
    for (size_t i = 0; i < PTF_ARRAY_SIZE(numbers); i++) {
        assert_int_equal(pickle.root->items[i]->kind, PTF_OBJECT_INT);
        assert_true(pickle.root->items[i]->integer == numbers[i]);
    }
    /* 2^31 takes five bytes, -2^31 - 1 too: as Python's pickler writes */
    assert_non_null(memmem(b.data, b.size, "\x8a\5\0\0\0\x80\0", 7));
    assert_non_null(memmem(b.data, b.size, "\x8a\5\xff\xff\xff\x7f\xff", 7));
    ptf_arena_free(&arena);
    ptf_buffer_free(&b);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sizes_and_offsets_of_64_bits_are_read_back),
        TEST(integers_of_every_width_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
