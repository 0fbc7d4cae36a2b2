/*
 * Whole files: every truncation, every flipped bit, every failing
 * allocation; the legacy stream and safetensors; the three printers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "make_checkpoint.h"
#include "tensor/tensor.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* A file in memory. */
typedef struct bytes {
    uint8_t data[8192];
    size_t size;
} bytes;

#define FLOATS FORGE_STORAGE("FloatStorage", "0", "\6")

static void make_zip(bytes *out)
{
    static const char pickle[] =
        FORGE_STATE_DICT(FORGE_TEXT1("w") FORGE_MATRIX FORGE_TEXT1("b")
                             FORGE_TENSOR(FLOATS, "K\1", "K\2\x85", "K\1\x85"));
    static forge_zip zip;
    forge_make_checkpoint(pickle, sizeof(pickle) - 1, forge_numbers,
                          sizeof(forge_numbers), &zip);
    assert_true(zip.size <= sizeof(out->data));
    memcpy(out->data, zip.bytes, zip.size);
    out->size = zip.size;
}

static void put(bytes *out, const void *data, size_t size)
{
    assert_true(out->size + size <= sizeof(out->data));
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

#define PUT(out, text) put(out, text, sizeof(text) - 1)

/* As PyTorch 1.5 wrote it; 'view' is None or a tuple after the count. */
static void make_legacy_of(bytes *out, const char *view, size_t view_size,
                           const char *keys, size_t keys_size, uint64_t count)
{
    uint8_t number[8];
    out->size = 0;
    PUT(out, "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.");
    PUT(out, "\x80\2M\xe9\3.");
    PUT(out, "\x80\2}X\x0d\0\0\0little_endian\x88s.");
    PUT(out, "\x80\2" FORGE_ORDERED "(" FORGE_TEXT1(
                 "w") "ctorch._utils\n_rebuild_tensor_v2\n("
                      "(X\7\0\0\0storagectorch\nFloatStorage\n" FORGE_TEXT1(
                          "7") "X\3\0\0\0cpuK\6");
    put(out, view, view_size);
    PUT(out, "tQK\0K\2\x85K\1\x85\x89" FORGE_ORDERED "tRu.");
    put(out, keys, keys_size);
    forge_put(number, count, 8);
    put(out, number, 8);
    put(out, forge_numbers, sizeof(forge_numbers));
}

#define LIST_OF_7 "\x80\2]" FORGE_TEXT1("7") "a."
#define MAKE_LEGACY(out, view, keys, count) \
    make_legacy_of(out, view, sizeof(view) - 1, keys, sizeof(keys) - 1, count)

static void make_legacy(bytes *out)
{
    MAKE_LEGACY(out, "N", LIST_OF_7, 6);
}

static void make_safetensors_of(bytes *out, const char *header, size_t data)
{
    uint8_t number[8];
    static const uint8_t numbers[64];
    forge_put(number, strlen(header), 8);
    out->size = 0;
    put(out, number, 8);
    put(out, header, strlen(header));
    put(out, forge_numbers, data < 24 ? data : 24);
    if (data > 24)
        put(out, numbers, data - 24);
}

static void make_safetensors(bytes *out)
{
    make_safetensors_of(
        out,
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}}  ",
        24);
}

/* Name, shape and bytes of all tensors; false when the file is refused. */
static bool digest(const void *data, size_t size, char text[1024])
{
    ptf_checkpoint *ckpt;
    /* a copy of just this size, so that a sanitizer sees reads beyond it */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    ptf_error err;
    ptf_status status =
        ptf_checkpoint_open_memory(copy, size, "f", NULL, &ckpt, &err);
    if (status == PTF_OK)
        status = ptf_checkpoint_verify(ckpt, &err);
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0;
         status == PTF_OK && i < ptf_checkpoint_tensor_count(ckpt); i++) {
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, i);
        char shape[192];
        uint8_t raw[256];
        ptf_tensor_shape_text(t, shape);
        assert_true(ptf_tensor_bytes(t) <= sizeof(raw));
        ptf_tensor_read_bytes(t, raw);
        at +=
            (size_t)snprintf(text + at, 1024 - at, "%s%s%s%08x ", t->name,
                             ptf_dtype_name(t->dtype), shape,
                             (unsigned)ptf_crc32(0, raw, ptf_tensor_bytes(t)));
    }
    ptf_checkpoint_close(ckpt);
    free(copy);
    return status == PTF_OK;
}

static void (*const makers[])(bytes *) = {make_zip, make_legacy,
                                          make_safetensors};

static void a_file_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    char text[1024];
    for (size_t m = 0; m < PTF_ARRAY_SIZE(makers); m++) {
        bytes file;
        makers[m](&file);
        assert_true(digest(file.data, file.size, text));
        for (size_t size = 0; size < file.size; size++) {
            if (digest(file.data, size, text))
                fail_msg("kind %zu cut to %zu bytes was read", m, size);
        }
    }
}

/* Where checksums are, a flipped bit must never give other tensors. */
static void a_flipped_bit_in_a_zip_never_gives_other_tensors(void **state)
{
    (void)state;
    char sound[1024], text[1024];
    bytes file;
    make_zip(&file);
    assert_true(digest(file.data, file.size, sound));
    for (size_t i = 0; i < 8 * file.size; i++) {
        file.data[i / 8] ^= (uint8_t)(1u << i % 8);
        if (digest(file.data, file.size, text) && strcmp(text, sound) != 0)
            fail_msg("bit %zu of byte %zu gives '%s'", i % 8, i / 8, text);
        file.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

/* These kinds have no checksums: only crashes can be seen. */
static void a_flipped_bit_elsewhere_does_no_harm(void **state)
{
    (void)state;
    char text[1024];
    for (size_t m = 1; m < PTF_ARRAY_SIZE(makers); m++) {
        bytes file;
        makers[m](&file);
        for (size_t i = 0; i < 8 * file.size; i++) {
            file.data[i / 8] ^= (uint8_t)(1u << i % 8);
            (void)digest(file.data, file.size, text);
            file.data[i / 8] ^= (uint8_t)(1u << i % 8);
        }
    }
}

/* ----------------------------------------------------------- out of memory */

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    json_malloc_t old_alloc;
    json_free_t old_free;
    json_get_alloc_funcs(&old_alloc, &old_free);
    json_set_alloc_funcs(ptf_alloc, ptf_free);
    for (size_t m = 0; m < PTF_ARRAY_SIZE(makers); m++) {
        bytes file;
        makers[m](&file);
        ptf_status status = PTF_MEMORY;
        long n = 0;
        for (; status != PTF_OK; n++) {
            ptf_checkpoint *ckpt;
            ptf_error err = {PTF_OK, ""};
            ptf_alloc_fail_after(n);
            status = ptf_checkpoint_open_memory(file.data, file.size, "f", NULL,
                                                &ckpt, &err);
            if (status == PTF_OK)
                status = ptf_checkpoint_verify(ckpt, &err);
            ptf_alloc_fail_after(-1);
            ptf_checkpoint_close(ckpt);
            /* jansson cannot tell a string it has no memory for from bad
             * JSON; all that can be asked of it is to fail without a leak */
            bool jansson = strstr(err.message, "JSON") != NULL;
            if (status != PTF_OK && status != PTF_MEMORY && !jansson)
                fail_msg("kind %zu, allocation %ld: %s", m, n, err.message);
        }
        assert_true(n > 5);
    }
    json_set_alloc_funcs(old_alloc, old_free);
}

/* ------------------------------------------------------------------ legacy */

static void expect(const bytes *file, ptf_status status, const char *text)
{
    ptf_checkpoint *ckpt;
    ptf_error err = {PTF_OK, ""};
    ptf_status found = ptf_checkpoint_open_memory(file->data, file->size, "f",
                                                  NULL, &ckpt, &err);
    if (found != status || strstr(err.message, text) == NULL)
        fail_msg("expected %d '%s', got %d '%s'", (int)status, text, (int)found,
                 err.message);
    ptf_checkpoint_close(ckpt);
}

static void legacy_streams_are_read_and_checked(void **state)
{
    (void)state;
    bytes file;
    make_legacy(&file);
    expect(&file, PTF_OK, "");
    MAKE_LEGACY(&file, "N", LIST_OF_7, 5);
    expect(&file, PTF_FORMAT, "expected 6 elements, got 5");
    MAKE_LEGACY(&file, "N", LIST_OF_7, UINT64_MAX);
    expect(&file, PTF_FORMAT, "expected 6 elements, got -1");
    MAKE_LEGACY(&file, "N", "\x80\2].", 6);
    expect(&file, PTF_FORMAT, "expected 1 storages, got 0");
    MAKE_LEGACY(&file, "N", "\x80\2]" FORGE_TEXT1("8") "a.", 6);
    expect(&file, PTF_FORMAT, "the key of a storage");
    MAKE_LEGACY(&file, "N", "\x80\2](" FORGE_TEXT1("7") FORGE_TEXT1("7") "e.",
                6);
    expect(&file, PTF_FORMAT, "each once");
    MAKE_LEGACY(&file, "N", "\x80\2}.", 6);
    expect(&file, PTF_FORMAT, "the list of storage keys");
    MAKE_LEGACY(&file, "(" FORGE_TEXT1("v") "K\1K\6t", LIST_OF_7, 6);
    expect(&file, PTF_FORMAT, "a view inside its 6 elements");
    MAKE_LEGACY(&file, "(" FORGE_TEXT1("v") "K\1K\1t", LIST_OF_7, 6);
    expect(&file, PTF_FORMAT, "in its storage, got 1 elements");
    MAKE_LEGACY(&file, "(" FORGE_TEXT1("v") "K\4K\2t", LIST_OF_7, 6);
    ptf_checkpoint *ckpt;
    float numbers[2];
    assert_int_equal(ptf_checkpoint_open_memory(file.data, file.size, "f", NULL,
                                                &ckpt, NULL),
                     PTF_OK);
    assert_int_equal(
        ptf_tensor_read_f32(ptf_checkpoint_find(ckpt, "w"), numbers, NULL),
        PTF_OK);
    assert_memory_equal(numbers, forge_numbers + 4, sizeof(numbers));
    ptf_checkpoint_close(ckpt);
}

/* What stands before the object: magic number, protocol, machine. */
static void the_head_of_a_legacy_stream_is_checked(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        char value;
        ptf_status status;
        const char *text;
    } heads[] = {
        {13, 'x', PTF_UNSUPPORTED, "bare Python pickle"}, /* magic number */
        {18, '\xea', PTF_UNSUPPORTED, "protocol version 1001"},
        {23, ']', PTF_FORMAT, "expected a dict"},
        {29, 'x', PTF_FORMAT, "the machine's byte order"},
        {42, 'N', PTF_FORMAT, "the machine's byte order"},
        {42, '\x89', PTF_FORMAT, "elements, got"}, /* big-endian */
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(heads); i++) {
        bytes file;
        make_legacy(&file);
        file.data[heads[i].at] = (uint8_t)heads[i].value;
        expect(&file, heads[i].status, heads[i].text);
    }
}

/* ------------------------------------------------------------- safetensors */

#define TENSOR(dtype, shape, offsets)                 \
    "\"w\":{\"dtype\":\"" dtype "\",\"shape\":" shape \
    ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header;
    size_t data;
    ptf_status status;
    const char *text;
} headers[] = {
    {"{" TENSOR("F32", "[6]", "[0,24]") "}", 24, PTF_OK, ""},
    {"{" TENSOR("F32", "[]", "[0,4]") "}", 4, PTF_OK, ""},
    {"{" TENSOR("F32", "[0,3]", "[0,0]") "}", 0, PTF_OK, ""},
    {"{}", 0, PTF_OK, ""},
    {"{" TENSOR("F32", "[6]", "[0,24]") "}", 25, PTF_FORMAT, "no bytes"},
    {"{" TENSOR("F32", "[6]", "[0,24]") "}", 23, PTF_FORMAT, "inside"},
    {"{" TENSOR("F32", "[5]", "[0,24]") "}", 24, PTF_FORMAT, "as many bytes"},
    {"{" TENSOR("F32", "[5]", "[4,24]") "}", 24, PTF_FORMAT, "to follow"},
    {"{" TENSOR("F32", "[1]", "[24,20]") "}", 24, PTF_FORMAT, "inside"},
    {"{" TENSOR("F32", "[1]", "[-4,0]") "}", 24, PTF_FORMAT, "inside"},
    {"{" TENSOR("F32", "[-1]", "[0,24]") "}", 24, PTF_FORMAT, "exists"},
    {"{" TENSOR("F32", "[1.5]", "[0,24]") "}", 24, PTF_FORMAT, "exists"},
    {"{" TENSOR("F32", "[0,4611686018427387904,4]", "[0,0]") "}", 0, PTF_FORMAT,
     "exists"},
    {"{" TENSOR("F32", "[4294967296,4294967296]", "[0,0]") "}", 0, PTF_FORMAT,
     "exists"},
    {"{" TENSOR("F32", "[1,1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4,
     PTF_UNSUPPORTED, "9 dimensions"},
    {"{" TENSOR("F4", "[1]", "[0,4]") "}", 4, PTF_UNSUPPORTED, "dtype"},
    {"{" TENSOR("F32", "[3]", "[0,12]") "," TENSOR("F32", "[3]", "[12,24]") "}",
     24, PTF_FORMAT, "duplicate"},
    {"{" TENSOR("F32", "[4]", "[0,16]") ",\"v\":{\"dtype\":\"F32\",\"shape\":"
                                        "[4],\"data_offsets\":[8,24]}}",
     24, PTF_FORMAT, "to follow"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, PTF_FORMAT,
     "data_offsets"},
    {"{\"w\":3}", 0, PTF_FORMAT, "data_offsets"},
    {"{\"__metadata__\":{\"a\":3}}", 0, PTF_FORMAT, "a string"},
    {"{\"__metadata__\":3}", 0, PTF_FORMAT, "an object"},
    {"{\"w\"}", 0, PTF_FORMAT, "JSON"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}x", 4,
     PTF_FORMAT, "JSON"},
};

static void safetensors_headers_are_checked_in_full(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(headers); i++) {
        bytes file;
        make_safetensors_of(&file, headers[i].header, headers[i].data);
        expect(&file, headers[i].status, headers[i].text);
    }
}

static void expect_first(const bytes *file, const ptf_open_options *options,
                         size_t count, const char *name)
{
    ptf_checkpoint *ckpt;
    assert_int_equal(ptf_checkpoint_open_memory(file->data, file->size, "f",
                                                options, &ckpt, NULL),
                     PTF_OK);
    assert_int_equal(ptf_checkpoint_tensor_count(ckpt), count);
    assert_string_equal(ptf_checkpoint_tensor(ckpt, 0)->name, name);
    assert_ptr_equal(ptf_checkpoint_find(ckpt, name),
                     ptf_checkpoint_tensor(ckpt, 0));
    ptf_checkpoint_close(ckpt);
}

static void keys_and_prefixes_work_on_names_of_safetensors(void **state)
{
    (void)state;
    bytes file;
    ptf_checkpoint *ckpt;
    ptf_error err;
    make_safetensors_of(&file,
                        "{\"module.ab.v\":{\"dtype\":\"F32\",\"shape\":[4],"
                        "\"data_offsets\":[0,16]},"
                        "\"module.a.b\":{\"dtype\":\"F32\",\"shape\":[2],"
                        "\"data_offsets\":[16,24]}}",
                        24);
    expect_first(&file, NULL, 2, "ab.v");
    expect_first(&file, &(ptf_open_options){.key = NULL, .keep_prefix = true},
                 2, "module.ab.v");
    expect_first(&file, &(ptf_open_options){.key = "", .keep_prefix = true}, 2,
                 "module.ab.v");
    expect_first(&file,
                 &(ptf_open_options){.key = "module", .keep_prefix = true}, 2,
                 "ab.v");
    expect_first(&file,
                 &(ptf_open_options){.key = "module.a", .keep_prefix = true}, 1,
                 "b");
    assert_int_equal(ptf_checkpoint_open_memory(
                         file.data, file.size, "f",
                         &(ptf_open_options){.key = "a", .keep_prefix = true},
                         &ckpt, &err),
                     PTF_ARGUMENT);
    assert_non_null(strstr(err.message, "there are --key module"));
}

static void safetensors_metadata_can_be_asked_for(void **state)
{
    (void)state;
    bytes file;
    make_safetensors(&file);
    ptf_checkpoint *ckpt;
    assert_int_equal(ptf_checkpoint_open_memory(file.data, file.size, "f", NULL,
                                                &ckpt, NULL),
                     PTF_OK);
    assert_string_equal(ptf_checkpoint_metadata(ckpt, "format"), "pt");
    assert_null(ptf_checkpoint_metadata(ckpt, "other"));
    assert_int_equal(ptf_checkpoint_tensor_count(ckpt), 2);
    ptf_checkpoint_close(ckpt);
}

/* ---------------------------------------------------------------- printing */

static void expect_print(const ptf_checkpoint *ckpt, ptf_stage stage,
                         const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    ptf_checkpoint_print(ckpt, stage, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void every_stage_prints_itself(void **state)
{
    (void)state;
    bytes file;
    ptf_checkpoint *ckpt;
    make_zip(&file);
    assert_int_equal(ptf_checkpoint_open_memory(file.data, file.size, "f", NULL,
                                                &ckpt, NULL),
                     PTF_OK);
    expect_print(ckpt, PTF_STAGE_TENSORS,
                 "w  float32 [2, 3]  storage 0\n"
                 "b  float32 [2]  storage 0 from byte 4\n");
    ptf_checkpoint_close(ckpt);

    make_legacy(&file);
    assert_int_equal(ptf_checkpoint_open_memory(file.data, file.size, "f", NULL,
                                                &ckpt, NULL),
                     PTF_OK);
    expect_print(ckpt, PTF_STAGE_ARCHIVE,
                 "legacy torch stream, 250 bytes, 1 entries\n"
                 "      offset        bytes   packed      crc  name\n"
                 "          15          235   stored        -  stream\n");
    expect_print(ckpt, PTF_STAGE_VALUES,
                 "dict of 1\n"
                 "  'w': object\n"
                 "    call torch._utils._rebuild_tensor_v2\n"
                 "    args tuple of 6\n"
                 "      persistent\n"
                 "        tuple of 6\n"
                 "          'storage'\n"
                 "          torch.FloatStorage\n"
                 "          '7'\n"
                 "          'cpu'\n"
                 "          6\n"
                 "          None\n"
                 "      0\n"
                 "      tuple of 1\n"
                 "        2\n"
                 "      tuple of 1\n"
                 "        1\n"
                 "      False\n"
                 "      dict of 0\n");
    ptf_checkpoint_close(ckpt);
}

static void the_digest_is_that_of_the_whole_file(void **state)
{
    (void)state;
    bytes file;
    char hex[65];
    ptf_checkpoint *ckpt;
    make_safetensors_of(&file, "{}", 0);
    assert_int_equal(ptf_checkpoint_open_memory(file.data, file.size, "f", NULL,
                                                &ckpt, NULL),
                     PTF_OK);
    assert_int_equal(ptf_checkpoint_sha256(ckpt, hex, NULL), PTF_OK);
    /* printf '\2\0\0\0\0\0\0\0{}' | sha256sum */
    assert_string_equal(
        hex,
        "411a485216e432ece6b9af94fa32154cf79a2a56d4f81266baa50063f45092bd");
    ptf_checkpoint_close(ckpt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_short_anywhere_is_refused),
        cmocka_unit_test(a_flipped_bit_in_a_zip_never_gives_other_tensors),
        cmocka_unit_test(a_flipped_bit_elsewhere_does_no_harm),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(legacy_streams_are_read_and_checked),
        cmocka_unit_test(the_head_of_a_legacy_stream_is_checked),
        cmocka_unit_test(safetensors_headers_are_checked_in_full),
        cmocka_unit_test(keys_and_prefixes_work_on_names_of_safetensors),
        cmocka_unit_test(safetensors_metadata_can_be_asked_for),
        cmocka_unit_test(every_stage_prints_itself),
        cmocka_unit_test(the_digest_is_that_of_the_whole_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
