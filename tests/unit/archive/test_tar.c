/*
 * The tar of PyTorch 0.1: a sound file, every truncation, flipped bit and
 * failing allocation of it, and what is refused.
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

enum { BLOCK = 512, MOST = 16 * BLOCK };

typedef struct tar {
    uint8_t bytes[MOST];
    size_t size;
} tar;

/* The sum of a header's bytes, with spaces where it stands itself. */
static void set_sum(uint8_t *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

static void put_member(tar *out, const char *name, char type, const void *data,
                       size_t size)
{
    uint8_t *header = out->bytes + out->size;
    snprintf((char *)header, 100, "%s", name);
    snprintf((char *)header + 124, 12, "%011o", (unsigned)size);
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    header[156] = (uint8_t)type;
    set_sum(header);
    memcpy(header + BLOCK, data, size);
    out->size += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
}

#define Q(n)    n "\0\0\0\0\0\0\0"
#define NONE_OF "\x80\2]."

/* Storage 1 has six floats, 5 is its second half; tensors 2 and 3. */
#define HEAD "\x80\2K\1.\x80\2K\1" FORGE_TEXT1("c")
#define FLOATS                                             \
    HEAD "ctorch\nFloatStorage\n\x87." Q(                  \
        "\6") "\0\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40" \
              "\0\0\x80\x40\0\0\xa0\x40"
#define VIEW(offset, count) "\x80\2](K\5K\1" offset count "ta."
#define STORAGES            FLOATS VIEW("K\3", "K\3")
#define TENSOR(key, storage, ...) \
    "\x80\2" key storage "ctorch\nFloatTensor\n\x87." __VA_ARGS__
#define TENSORS                                                                \
    "\x80\2K\2." TENSOR(FORGE_TEXT1("2"), "K\1",                               \
                        "\2\0\0\0\xee\xee\0\0" Q("\3") Q("\2") Q("\1") Q("\3") \
                            Q("\0"))                                           \
        TENSOR("K\3", "K\5", "\1\0\0\0\0\0\0\0" Q("\2") Q("\1") Q("\1"))
#define OBJECT                                                           \
    "\x80\2}(" FORGE_TEXT1("a") FORGE_TEXT1("2") "Q" FORGE_TEXT1(        \
        "b") "K\3Q" FORGE_TEXT1("c") "ca\nNet\nNN\x87Q" FORGE_TEXT1("d") \
        FORGE_TEXT1("2") "Qu."

typedef struct parts {
    const char *pax;
    size_t pax_size;
    const char *storages;
    size_t storages_size;
    const char *tensors;
    size_t tensors_size;
    const char *object;
    size_t object_size;
} parts;

#define TEXT(text) text, sizeof(text) - 1

static void make_tar(const parts *p, tar *out)
{
    memset(out, 0, sizeof(*out));
    if (p->pax != NULL)
        put_member(out, "x", 'x', p->pax, p->pax_size);
    put_member(out, "./storages", '0', p->storages, p->storages_size);
    put_member(out, "tensors", '0', p->tensors, p->tensors_size);
    put_member(out, "pickle", '\0', p->object, p->object_size);
    out->size += 2 * BLOCK;
}

static const parts sound = {TEXT("22 mtime=1490000000.5\n"), TEXT(STORAGES),
                            TEXT(TENSORS), TEXT(OBJECT)};

static ptf_status open_bytes(const uint8_t *data, size_t size,
                             ptf_checkpoint **out, ptf_error *err)
{
    ptf_open_options all = {.key = "", .keep_prefix = true};
    return ptf_checkpoint_open_memory(data, size, "f", &all, out, err);
}

static void check_sound(const ptf_checkpoint *ckpt)
{
    static const float a[] = {0, 3, 1, 4, 2, 5}, b[] = {4, 5};
    float out[6];
    ptf_location first, last;
    assert_int_equal(ptf_checkpoint_tensor_count(ckpt), 3);
    const ptf_tensor *t = ptf_checkpoint_find(ckpt, "a");
    assert_int_equal(ptf_tensor_read_f32(t, out, NULL), PTF_OK);
    assert_memory_equal(out, a, sizeof(a));
    t = ptf_checkpoint_find(ckpt, "b");
    assert_int_equal(ptf_tensor_read_f32(t, out, NULL), PTF_OK);
    assert_memory_equal(out, b, sizeof(b));
    ptf_tensor_locate(ptf_checkpoint_find(ckpt, "a"), &first);
    ptf_tensor_locate(ptf_checkpoint_find(ckpt, "d"), &last);
    assert_int_equal(first.file_offset, last.file_offset);
    assert_string_equal(ptf_checkpoint_opaque(ckpt, 0), "a.Net");
}

static void a_sound_tar_is_read_and_any_part_of_it_refused(void **state)
{
    (void)state;
    static tar file;
    make_tar(&sound, &file);
    for (size_t size = file.size + 1; size-- > 0;) {
        ptf_checkpoint *ckpt;
        ptf_error err = {PTF_OK, ""};
        uint8_t *copy = malloc(size > 0 ? size : 1);
        assert_non_null(copy);
        memcpy(copy, file.bytes, size);
        ptf_status status = open_bytes(copy, size, &ckpt, &err);
        bool whole = size >= file.size - BLOCK; /* one block of zeros ends it */
        if ((status == PTF_OK) != whole)
            fail_msg("%zu bytes: %s", size, err.message);
        if (status == PTF_OK)
            check_sound(ckpt);
        ptf_checkpoint_close(ckpt);
        free(copy);
    }
}

/* Its offset counts from the start of the view, as in PyTorch's own reader. */
static void a_view_of_a_view_is_read(void **state)
{
    (void)state;
    static const parts nested = {
        NULL, 0, TEXT(FLOATS "\x80\2]((K\5K\1K\3K\3t(K\6K\5K\1K\2te."),
        TEXT("\x80\2K\1." TENSOR("K\2", "K\6",
                                 "\1\0\0\0\0\0\0\0" Q("\2") Q("\1") Q("\0"))),
        TEXT("\x80\2}" FORGE_TEXT1("a") "K\2Qs.")};
    static tar file;
    static const float expected[] = {4, 5};
    ptf_checkpoint *ckpt;
    float out[2];
    make_tar(&nested, &file);
    assert_int_equal(open_bytes(file.bytes, file.size, &ckpt, NULL), PTF_OK);
    const ptf_tensor *t = ptf_checkpoint_find(ckpt, "a");
    assert_int_equal(ptf_tensor_numel(t), 2);
    assert_int_equal(ptf_tensor_read_f32(t, out, NULL), PTF_OK);
    assert_memory_equal(out, expected, sizeof(expected));
    ptf_checkpoint_close(ckpt);
}

static void read_if_sound(const tar *file)
{
    ptf_checkpoint *ckpt;
    double out[64];
    open_bytes(file->bytes, file->size, &ckpt, NULL);
    size_t count = ckpt != NULL ? ptf_checkpoint_tensor_count(ckpt) : 0;
    for (size_t i = 0; i < count; i++) {
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, i);
        if (ptf_tensor_numel(t) <= 64)
            ptf_tensor_read_f64(t, out, NULL);
    }
    ptf_checkpoint_close(ckpt);
}

static void a_flipped_bit_does_no_harm(void **state)
{
    (void)state;
    static tar file;
    make_tar(&sound, &file);
    for (size_t bit = 0; bit < 8 * file.size; bit++) {
        file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        read_if_sound(&file);
        file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    static tar file;
    make_tar(&sound, &file);
    ptf_status status = PTF_MEMORY;
    long n = 0;
    for (; status != PTF_OK; n++) {
        ptf_checkpoint *ckpt;
        ptf_alloc_fail_after(n);
        status = open_bytes(file.bytes, file.size, &ckpt, NULL);
        ptf_alloc_fail_after(-1);
        assert_true(status == PTF_OK || status == PTF_MEMORY);
        ptf_checkpoint_close(ckpt);
    }
    assert_true(n > 20);
}

#define WITH_PAX(text)                                          \
    {                                                           \
        TEXT(text), TEXT(STORAGES), TEXT(TENSORS), TEXT(OBJECT) \
    }
#define WITH_STORAGES(text)                              \
    {                                                    \
        NULL, 0, TEXT(text), TEXT(TENSORS), TEXT(OBJECT) \
    }
#define WITH_TENSORS(text)                                             \
    {                                                                  \
        NULL, 0, TEXT(STORAGES), TEXT("\x80\2K\1." text), TEXT(OBJECT) \
    }
#define WITH_OBJECT(text)                                  \
    {                                                      \
        NULL, 0, TEXT(STORAGES), TEXT(TENSORS), TEXT(text) \
    }

static const struct {
    parts parts;
    const char *message;
} bad[] = {
    {WITH_PAX("9 size=1\n"), "second name or size"},
    {WITH_PAX("10 path=x\n"), "second name or size"},
    {WITH_PAX("17 GNU.sparse.a=b\n"), "second name or size"},
    {WITH_PAX("99 mtime=1\n"), "second name or size"},
    {WITH_PAX("mtime"), "second name or size"},
    {WITH_STORAGES("\x80\2N."), "a number of storages"},
    {WITH_STORAGES("\x80\2K\2."
                   "\x80\2]."),
     "a tuple"},
    {WITH_STORAGES(HEAD "ctorch\nFloatStorage\n\x87." Q("\7") NONE_OF),
     "a storage"},
    {WITH_STORAGES(HEAD "ctorch\nFloatStorage\n\x87."
                        "\xff\xff\xff\xff\xff\xff\xff\xff" NONE_OF),
     "a size that exists"},
    {WITH_STORAGES(HEAD "ctorch\nFloatStorage\n\x87."
                        "\xff\xff\xff\xff\xff\xff\xff\x7f" NONE_OF),
     "a size that exists"},
    {WITH_STORAGES(HEAD "cevil\nStorage\n\x87." Q("\0") NONE_OF),
     "evil.Storage"},
    {WITH_STORAGES("\x80\2K\0.\x80\2N."), "list of views"},
    {WITH_STORAGES("\x80\2K\0.\x80\2](K\5K\1K\0K\0ta."), "that is there"},
    {WITH_STORAGES(FLOATS VIEW("](K\1e", "K\3")), "inside its storage"},
    {WITH_STORAGES(FLOATS VIEW("N", "K\3")), "inside its storage"},
    {WITH_STORAGES(FLOATS VIEW("K\0", "N")), "inside its storage"},
    {WITH_STORAGES(FLOATS VIEW("J\xff\xff\xff\xff", "K\1")),
     "inside its storage"},
    {WITH_STORAGES(FLOATS VIEW("K\7", "K\0")), "inside its storage"},
    {WITH_STORAGES(FLOATS VIEW("K\4", "K\3")), "inside its storage"},
    {WITH_STORAGES(FLOATS VIEW("K\4", "J\xff\xff\xff\xff")),
     "inside its storage"},
    {WITH_STORAGES(FLOATS "\x80\2]((K\5K\1K\3K\2t(K\6K\5K\0K\3te."),
     "inside its storage"}, /* of the view, inside what it views */
    {WITH_TENSORS(TENSOR("K\2", "K\7", "\0\0\0\0\0\0\0\0" Q("\0"))),
     "that is there"},
    {WITH_TENSORS(TENSOR("K\2", "K\1", "\xff\xff\xff\xff\0\0\0\0" Q("\0"))),
     "at most 9"},
    {WITH_TENSORS(TENSOR("K\1", "K\1", "\0\0\0\0\0\0\0\0" Q("\0"))),
     "every number once"},
    {WITH_TENSORS(TENSOR("N", "K\1", "\0\0\0\0\0\0\0\0" Q("\0"))),
     "the number of"},
    {WITH_TENSORS(TENSOR("K\2", "K\1", "\1\0\0\0\0\0\0\0" Q("\2"))),
     "a tensor's size"},
    {WITH_TENSORS(TENSOR("K\2", "K\1", "\0\0\0\0\0\0\0\0" Q("\0"))),
     "a tensor that is there"}, /* of the two, one */
    {WITH_OBJECT("\x80\2}" FORGE_TEXT1("a") FORGE_TEXT1("9") "Qs."),
     "a tensor that is there"},
    {WITH_OBJECT("\x80\2}" FORGE_TEXT1("a") "NQs."), "the number of"},
    {WITH_OBJECT("\x80\2}" FORGE_TEXT1("a") FORGE_TEXT1("2") "Qs.x"),
     "the end of the pickle"},
    {{NULL, 0, TEXT(STORAGES),
      TEXT("\x80\2K\1." TENSOR("K\2", "K\1",
                               "\1\0\0\0\0\0\0\0" Q("\7") Q("\1") Q("\0"))),
      TEXT("\x80\2}" FORGE_TEXT1("a") "K\2Qs.")},
     "elements up to number 6"},
    {{NULL, 0, TEXT(STORAGES),
      TEXT("\x80\2K\1." TENSOR("K\2", "K\5",
                               "\1\0\0\0\0\0\0\0" Q("\4") Q("\1") Q("\0"))),
      TEXT("\x80\2}" FORGE_TEXT1("a") "K\2Qs.")},
     "elements up to number 3"},
};

static void expect_refusal(const tar *file, size_t i, const char *message)
{
    ptf_checkpoint *ckpt;
    ptf_error err = {PTF_OK, ""};
    ptf_status status = open_bytes(file->bytes, file->size, &ckpt, &err);
    if (status == PTF_OK || strstr(err.message, message) == NULL)
        fail_msg("case %zu: expected '%s', got %d '%s'", i, message,
                 (int)status, err.message);
}

static void damaged_parts_are_refused(void **state)
{
    (void)state;
    static tar file;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(bad); i++) {
        make_tar(&bad[i].parts, &file);
        expect_refusal(&file, i, bad[i].message);
    }
}

/* A byte of the first header, which names the storages. */
static void damaged_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        char byte;
        bool sum; /* make the sum right again */
        const char *message;
    } changes[] = {
        {2, 'S', false, "the header"},     {2, 'S', true, "'storages'"},
        {0, '/', true, "a plain name"},    {4, '/', true, "a plain name"},
        {4, '\x1b', true, "a plain name"}, {0, '\0', true, "a plain name"},
        {345, 'p', true, "a plain name"},  {156, '2', true, "another type"},
        {156, 'L', true, "another type"},  {156, '5', true, "without data"},
        {124, '7', true, "a member of"},   {130, '9', true, "the header"},
        {124, '\x80', true, "the header"},
    };
    static tar file;
    parts without_pax = sound;
    without_pax.pax = NULL;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(changes); i++) {
        make_tar(&without_pax, &file);
        file.bytes[changes[i].at] = (uint8_t)changes[i].byte;
        if (changes[i].sum)
            set_sum(file.bytes);
        expect_refusal(&file, i, changes[i].message);
    }
    make_tar(&sound, &file);
    file.bytes[file.size - 1] = 1;
    expect_refusal(&file, 100, "nothing after");
    file.size -= 2 * BLOCK;
    put_member(&file, "Pickle", '0', "x", 1);
    file.size += BLOCK;
    expect_refusal(&file, 101, "every name once");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_tar_is_read_and_any_part_of_it_refused),
        cmocka_unit_test(a_view_of_a_view_is_read),
        cmocka_unit_test(a_flipped_bit_does_no_harm),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(damaged_parts_are_refused),
        cmocka_unit_test(damaged_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
