/*
 * Tables of names: no file can make them slow.  What is counted are slots and
 * comparisons, not seconds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* The linker lets every strcmp() of the library come here. */
static size_t comparisons;
int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);

int __wrap_strcmp(const char *a, const char *b)
{
    comparisons++;
    return __real_strcmp(a, b);
}

/* ------------------------------------------------------ names that collide */

enum { NAMES = 500, CAPACITY = 1024 };

/* Names that all want slot 0 of the table, under the key that is set now. */
static void make_colliding(char names[NAMES][24])
{
    for (unsigned i = 0, made = 0; made < NAMES; i++) {
        snprintf(names[made], 24, "layer%u.weight", i);
        made += ptf_hash(names[made], strlen(names[made])) % CAPACITY == 0;
    }
}

/* How far all keys lie from the slots that they want. */
static size_t displacement(char names[NAMES][24])
{
    ptf_text_table table = {NULL, 0, 0};
    size_t sum = 0;
    for (size_t i = 0; i < NAMES; i++)
        assert_true(ptf_text_table_add(&table, names[i], names[i]));
    assert_int_equal(table.capacity, CAPACITY);
    for (size_t i = 0; i < CAPACITY; i++) {
        const char *key = table.slots[i].key;
        if (key != NULL)
            sum += (i - ptf_hash(key, strlen(key))) % CAPACITY;
    }
    for (size_t i = 0; i < NAMES; i++)
        assert_ptr_equal(ptf_text_table_find(&table, names[i]), names[i]);
    ptf_text_table_free(&table);
    return sum;
}

static void names_that_collide_do_so_under_one_key_only(void **state)
{
    (void)state;
    static char names[NAMES][24];
    ptf_hash_set_key(1, 2);
    make_colliding(names);
    assert_int_equal(displacement(names), NAMES * (NAMES - 1) / 2);
    ptf_hash_set_key(1, 3);
    assert_true(displacement(names) < 4 * NAMES);
}

/* Names of tensors that collide under a key that was guessed wrongly. */
static void files_with_such_names_are_read_in_few_steps(void **state)
{
    (void)state;
    static char names[NAMES][24];
    ptf_buffer header = {0}, file = {0};
    ptf_checkpoint *ckpt = NULL;
    ptf_hash_set_key(1, 2);
    make_colliding(names);
    for (size_t i = 0; i < NAMES; i++)
        ptf_buffer_printf(&header,
                          "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[0],"
                          "\"data_offsets\":[0,0]}",
                          i > 0 ? "," : "{", names[i]);
    ptf_buffer_add_text(&header, "}");
    ptf_buffer_add_int(&file, header.size, 8);
    ptf_buffer_add(&file, header.data, header.size);
    ptf_buffer_free(&header);
    size_t steps[2];
    for (uint64_t key = 0; key < 2; key++) {
        ptf_hash_set_key(1, 2 + key);
        comparisons = 0;
        assert_int_equal(ptf_checkpoint_open_memory(file.data, file.size, "f",
                                                    NULL, &ckpt, NULL),
                         PTF_OK);
        assert_int_equal(ptf_checkpoint_tensor_count(ckpt), NAMES);
        ptf_checkpoint_close(ckpt);
        steps[key] = comparisons;
    }
    assert_true(steps[0] > NAMES * NAMES / 2);
    assert_true(steps[1] < 40 * NAMES);
    ptf_buffer_free(&file);
}

/* ---------------------------------------------------------------- metadata */

/* A file with so many texts; their comparisons when each is looked up. */
static size_t look_up_texts(size_t count)
{
    ptf_buffer header = {0}, file = {0};
    ptf_checkpoint *ckpt = NULL;
    const char *key;
    for (size_t i = 0; i < count; i++)
        ptf_buffer_printf(&header, "%s\"key%zu\":\"%zu\"",
                          i > 0 ? "," : "{\"__metadata__\":{", i, i);
    ptf_buffer_add_text(&header, "}}");
    ptf_buffer_add_int(&file, header.size, 8);
    ptf_buffer_add(&file, header.data, header.size);
    assert_int_equal(ptf_checkpoint_open_memory(file.data, file.size, "f", NULL,
                                                &ckpt, NULL),
                     PTF_OK);
    comparisons = 0;
    for (size_t i = 0; (key = ptf_checkpoint_metadata_key(ckpt, i)) != NULL;
         i++)
        assert_string_equal(ptf_checkpoint_metadata(ckpt, key), key + 3);
    assert_null(ptf_checkpoint_metadata(ckpt, "key"));
    ptf_checkpoint_close(ckpt);
    ptf_buffer_free(&header);
    ptf_buffer_free(&file);
    return comparisons;
}

static void metadata_is_looked_up(void **state)
{
    (void)state;
    enum { TEXTS = 10000 };
    ptf_hash_set_key(1, 2);
    size_t found = look_up_texts(TEXTS);
    assert_true(found >= TEXTS); /* they are counted here */
    assert_true(found < 8 * TEXTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_collide_do_so_under_one_key_only),
        cmocka_unit_test(files_with_such_names_are_read_in_few_steps),
        cmocka_unit_test(metadata_is_looked_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
