/*
 * Checkpoints in several files: an index and what it may name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "folder.h"
#include "make_checkpoint.h"
#include "tensor/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void write_text(const char *name, const char *text)
{
    file_write(in_folder(name), text, strlen(text));
}

/* A safetensors file with the six floats 0 to 5 as 'tensors' says. */
static void write_safetensors(const char *name, const char *header)
{
    uint8_t file[1024];
    size_t size = strlen(header);
    forge_put(file, size, 8);
    memcpy(file + 8, header, size);
    memcpy(file + 8 + size, forge_numbers, sizeof(forge_numbers));
    file_write(in_folder(name), file, 8 + size + sizeof(forge_numbers));
}

#define SIX_FLOATS(name, begin, end)                                         \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[" begin \
    "," end "]}"

/* one.safetensors has a and b, two.bin (a PyTorch zip) has w. */
static void write_shards(void)
{
    static const char pickle[] =
        FORGE_STATE_DICT(FORGE_TEXT1("w") FORGE_MATRIX);
    static forge_zip zip;
    write_safetensors("one.safetensors", "{" SIX_FLOATS("a", "0", "12") "," //
                      SIX_FLOATS("b", "12", "24") "}");
    forge_make_checkpoint(pickle, sizeof(pickle) - 1, forge_numbers,
                          sizeof(forge_numbers), &zip);
    file_write(in_folder("two.bin"), zip.bytes, zip.size);
}

#define GOOD                                                       \
    "{\"metadata\":{\"total_size\":48,\"format\":\"pt\"},"         \
    "\"weight_map\":{\"b\":\"one.safetensors\",\"w\":\"two.bin\"," \
    "\"a\":\"one.safetensors\"}}"

static ptf_checkpoint *open_index(void)
{
    ptf_checkpoint *ckpt;
    ptf_error err;
    if (ptf_checkpoint_open(in_folder("m.index.json"), NULL, &ckpt, &err) !=
        PTF_OK)
        fail_msg("%s", err.message);
    return ckpt;
}

static void the_tensors_of_all_files_are_found(void **state)
{
    (void)state;
    float numbers[6];
    write_shards();
    write_text("m.index.json", GOOD);
    ptf_checkpoint *ckpt = open_index();
    assert_int_equal(ptf_checkpoint_tensor_count(ckpt), 3);
    assert_string_equal(ptf_checkpoint_tensor(ckpt, 0)->name, "b");
    assert_string_equal(ptf_checkpoint_tensor(ckpt, 1)->name, "w");
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "format"), "pt");
    assert_null(ptf_checkpoint_metadata(ckpt, "total_size"));
    ptf_tensor_read_f32(ptf_checkpoint_find(ckpt, "b"), numbers, NULL);
    assert_memory_equal(numbers, forge_numbers + 3, 12);
    ptf_tensor_read_f32(ptf_checkpoint_find(ckpt, "w"), numbers, NULL);
    assert_memory_equal(numbers, forge_numbers, sizeof(numbers));
    assert_int_equal(ptf_checkpoint_verify(ckpt, NULL), PTF_OK);
    ptf_checkpoint_close(ckpt);
}

static void files_may_be_links_as_in_a_download_cache(void **state)
{
    (void)state;
    write_shards();
    write_text("blob", GOOD);
    rename(in_folder("two.bin"), in_folder("blob2"));
    assert_int_equal(symlink("blob", in_folder("m.index.json")), 0);
    assert_int_equal(symlink("blob2", in_folder("two.bin")), 0);
    ptf_checkpoint_close(open_index());
}

static void damage_in_any_file_is_seen(void **state)
{
    (void)state;
    size_t size;
    write_shards();
    write_text("m.index.json", GOOD);
    uint8_t *zip = file_read(in_folder("two.bin"), &size);
    uint8_t *at = memmem(zip, size, forge_numbers, sizeof(forge_numbers));
    assert_non_null(at);
    at[4] ^= 1;
    file_write(in_folder("two.bin"), zip, size);
    free(zip);
    ptf_checkpoint *ckpt = open_index();
    ptf_error err;
    assert_int_equal(ptf_checkpoint_verify(ckpt, &err), PTF_FORMAT);
    assert_non_null(strstr(err.message, "two.bin: data/0"));
    ptf_checkpoint_close(ckpt);
}

static void the_digest_is_that_of_all_files_in_a_row(void **state)
{
    (void)state;
    static const char *const names[] = {"m.index.json", "one.safetensors",
                                        "two.bin"};
    ptf_buffer all = {0};
    char one[65], other[65];
    write_shards();
    write_text("m.index.json", GOOD);
    for (size_t i = 0; i < 3; i++) {
        size_t size;
        uint8_t *data = file_read(in_folder(names[i]), &size);
        ptf_buffer_add(&all, data, size);
        free(data);
    }
    ptf_tensor bytes = {.name = "bytes",
                        .dtype = PTF_DTYPE_U8,
                        .rank = 1,
                        .shape = {(int64_t)all.size},
                        .stride = {1},
                        .data = all.data};
    ptf_checkpoint *ckpt = open_index();
    assert_int_equal(ptf_checkpoint_sha256(ckpt, one, NULL), PTF_OK);
    assert_int_equal(ptf_tensor_sha256(&bytes, other, NULL), PTF_OK);
    assert_string_equal(one, other);
    ptf_checkpoint_close(ckpt);
    ptf_buffer_free(&all);
}

/* An index with this map of names to files. */
#define MAP(pairs) "{\"weight_map\":{" pairs "}}"
#define A_AND_B    "\"a\":\"one.safetensors\",\"b\":\"one.safetensors\""

static const struct {
    const char *index;
    ptf_status status;
    const char *text;
} bad[] = {
    {"{}", PTF_UNSUPPORTED, "no 'weight_map'"},
    {" {\"model_type\": \"llama\"}", PTF_UNSUPPORTED, "no 'weight_map'"},
    {"{\"weight_map\":3}", PTF_FORMAT, "names of tensors"},
    {MAP(""), PTF_FORMAT, "names of tensors"},
    {MAP("\"a\":3"), PTF_FORMAT, "a file beside"},
    {MAP("\"a\":\"\""), PTF_FORMAT, "a file beside"},
    {MAP("\"a\":\".\""), PTF_FORMAT, "a file beside"},
    {MAP("\"a\":\"..\""), PTF_FORMAT, "a file beside"},
    {MAP("\"a\":\"../one.safetensors\""), PTF_FORMAT, "a file beside"},
    {MAP("\"a\":\"/etc/passwd\""), PTF_FORMAT, "a file beside"},
    {MAP("\"a\":\"x\\\\one.safetensors\""), PTF_FORMAT, "a file beside"},
    {MAP("\"a\":\"one.safetensors\\n\""), PTF_FORMAT, "a file beside"},
    {MAP("\"a\":\"one.safetensors\\u0000\""), PTF_FORMAT, "JSON"},
    {MAP("\"a\\u001b[2J\":\"one.safetensors\""), PTF_FORMAT, "printable"},
    {MAP(A_AND_B ",\"a\":\"two.bin\""), PTF_FORMAT, "duplicate"},
    {MAP("\"a\":\"none.safetensors\""), PTF_FORMAT, "none.safetensors"},
    {MAP("\"a\":\"folder\""), PTF_FORMAT, "regular file"},
    {MAP("\"a\":\"pipe\""), PTF_FORMAT, "regular file"},
    {MAP("\"a\":\"m.index.json\""), PTF_FORMAT, "inside another"},
    {MAP("\"a\":\"text\""), PTF_FORMAT, "something else"},
    {MAP("\"a\":\"one.safetensors\""), PTF_FORMAT, "got 'b'"},
    {MAP(A_AND_B ",\"w\":\"one.safetensors\""), PTF_FORMAT, "tensor 'w'"},
    {MAP(A_AND_B ",\"c\":\"two.bin\""), PTF_FORMAT, "tensor 'c'"},
    {MAP("\"a\":\"one.safetensors\",\"b\":\"twin.safetensors\""), PTF_FORMAT,
     "one.safetensors: expected no tensor that the index does not look for "
     "here, got 'b'"},
    {"{\"weight_map\":{" A_AND_B "},\"metadata\":3}", PTF_FORMAT, "an object"},
    {MAP(A_AND_B) "x", PTF_FORMAT, "JSON"},
};

static void what_an_index_may_not_say_is_refused(void **state)
{
    (void)state;
    write_shards();
    write_text("text", "hello");
    mkdir(in_folder("folder"), 0700);
    mkfifo(in_folder("pipe"), 0600);
    assert_int_equal(
        link(in_folder("one.safetensors"), in_folder("twin.safetensors")), 0);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(bad); i++) {
        ptf_checkpoint *ckpt;
        ptf_error err = {PTF_OK, ""};
        write_text("m.index.json", bad[i].index);
        ptf_status status =
            ptf_checkpoint_open(in_folder("m.index.json"), NULL, &ckpt, &err);
        if (status != bad[i].status || strstr(err.message, bad[i].text) == NULL)
            fail_msg("%s: expected %d '%s', got %d '%s'", bad[i].index,
                     (int)bad[i].status, bad[i].text, (int)status, err.message);
        assert_null(ckpt);
    }
    rmdir(in_folder("folder"));
}

static void an_index_in_memory_has_no_files_beside_it(void **state)
{
    (void)state;
    ptf_checkpoint *ckpt;
    ptf_error err;
    assert_int_equal(ptf_checkpoint_open_memory(GOOD, sizeof(GOOD) - 1, "m",
                                                NULL, &ckpt, &err),
                     PTF_UNSUPPORTED);
    assert_non_null(strstr(err.message, "open it by its path"));
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    write_shards();
    write_text("m.index.json", GOOD);
    ptf_status status = PTF_MEMORY;
    long n = 0;
    for (; status != PTF_OK; n++) {
        ptf_checkpoint *ckpt;
        ptf_alloc_fail_after(n);
        status =
            ptf_checkpoint_open(in_folder("m.index.json"), NULL, &ckpt, NULL);
        ptf_alloc_fail_after(-1);
        assert_true(status == PTF_OK || status == PTF_MEMORY);
        ptf_checkpoint_close(ckpt);
    }
    assert_true(n > 20);
}

#define IN_FOLDER(name) \
    cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_tensors_of_all_files_are_found),
        IN_FOLDER(files_may_be_links_as_in_a_download_cache),
        IN_FOLDER(damage_in_any_file_is_seen),
        IN_FOLDER(the_digest_is_that_of_all_files_in_a_row),
        IN_FOLDER(what_an_index_may_not_say_is_refused),
        IN_FOLDER(an_index_in_memory_has_no_files_beside_it),
        IN_FOLDER(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
