/*
 * Saving tensors: what was saved is read back, byte for byte, from both
 * formats and however the tensors lie in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "folder.h"
#include "save/save.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { POOL = 5 << 20, MAX_TENSORS = 32 };

/* Bytes that tensors borrow. */
static uint8_t pool[POOL];

static const struct {
    const char *name;
    ptf_dtype dtype;
    int rank;
    int64_t shape[PTF_MAX_RANK], stride[PTF_MAX_RANK];
} layouts[] = {
    {"scalar", PTF_DTYPE_I64, 0, {0}, {0}},
    {"vector", PTF_DTYPE_F32, 1, {7}, {1}},
    {"one.long", PTF_DTYPE_F32, 4, {1, 2, 1, 3}, {99, 3, 5, 1}},
    {"matrix", PTF_DTYPE_F64, 2, {5, 3}, {3, 1}},
    {"transposed", PTF_DTYPE_F32, 2, {30, 50}, {1, 30}},
    {"repeated", PTF_DTYPE_I16, 3, {4, 6, 2}, {0, 1, 0}},
    {"gaps", PTF_DTYPE_BF16, 2, {9, 4}, {16, 2}},
    {"empty", PTF_DTYPE_F32, 3, {2, 0, 5}, {0, 0, 0}},
    {"half", PTF_DTYPE_F16, 1, {3}, {1}},
    {"i8", PTF_DTYPE_I8, 1, {5}, {1}},
    {"i32", PTF_DTYPE_I32, 1, {5}, {1}},
    {"u8", PTF_DTYPE_U8, 1, {5}, {2}},
    {"u16", PTF_DTYPE_U16, 1, {5}, {1}},
    {"u32", PTF_DTYPE_U32, 1, {5}, {1}},
    {"u64", PTF_DTYPE_U64, 1, {5}, {1}},
    {"bool", PTF_DTYPE_BOOL, 1, {5}, {1}},
    {"c64", PTF_DTYPE_C64, 1, {5}, {1}},
    {"e4m3fn", PTF_DTYPE_F8_E4M3FN, 1, {5}, {1}},
    {"e5m2", PTF_DTYPE_F8_E5M2, 1, {5}, {1}},
    {"eight",
     PTF_DTYPE_F32,
     8,
     {1, 2, 1, 2, 1, 2, 1, 2},
     {64, 8, 8, 4, 4, 2, 2, 1}},
    /* more than a chunk, with steps below and above its size */
    {"long", PTF_DTYPE_F32, 2, {400000, 2}, {1, 400000}},
    {"thick", PTF_DTYPE_F32, 3, {2, 600, 700}, {1, 1400, 2}},
    {"bytes", PTF_DTYPE_U8, 1, {2000000}, {2}},
    {"plain", PTF_DTYPE_F32, 2, {700, 600}, {600, 1}},
    {"Gr\xc3\xb6\xc3\x9f"
     "e \"\\",
     PTF_DTYPE_F32,
     1,
     {2},
     {1}},
};

/* All layouts, and where they are. */
typedef struct collection {
    ptf_tensor made[MAX_TENSORS];
    const ptf_tensor *tensors[MAX_TENSORS];
    size_t count;
} collection;

static void make_all(collection *out)
{
    for (size_t i = 0; i < POOL; i++)
        pool[i] = (uint8_t)(i * 2654435761u >> 9);
    out->count = PTF_ARRAY_SIZE(layouts);
    for (size_t i = 0; i < out->count; i++) {
        ptf_tensor *t = &out->made[i];
        *t = (ptf_tensor){.name = layouts[i].name,
                          .dtype = layouts[i].dtype,
                          .rank = layouts[i].rank,
                          .data = pool + i};
        memcpy(t->shape, layouts[i].shape, sizeof(t->shape));
        memcpy(t->stride, layouts[i].stride, sizeof(t->stride));
        out->tensors[i] = t;
    }
}

static void assert_equal_tensors(const ptf_tensor *a, const ptf_tensor *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    for (int i = 0; i < a->rank; i++)
        assert_int_equal(a->shape[i], b->shape[i]);
    size_t size = ptf_tensor_bytes(a);
    uint8_t *x = malloc(2 * size + 1), *y = x + size;
    assert_non_null(x);
    ptf_tensor_read_bytes(a, x);
    ptf_tensor_read_bytes(b, y);
    assert_memory_equal(x, y, size);
    free(x);
}

static ptf_checkpoint *open_saved(const char *path)
{
    ptf_error err = {0};
    ptf_checkpoint *ckpt = NULL;
    ptf_checkpoint_open(path, NULL, &ckpt, &err);
    if (ckpt == NULL)
        fail_msg("%s", err.message);
    assert_int_equal(ptf_checkpoint_verify(ckpt, NULL), PTF_OK);
    return ckpt;
}

static void assert_saved(const collection *c, const char *path)
{
    ptf_checkpoint *ckpt = open_saved(path);
    assert_int_equal(ptf_checkpoint_tensor_count(ckpt), c->count);
    for (size_t i = 0; i < c->count; i++) {
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, i);
        assert_equal_tensors(c->tensors[i], t);
        assert_true(ptf_tensor_is_contiguous(t));
    }
    ptf_checkpoint_close(ckpt);
}

static void save_all(const collection *c, const char *path)
{
    ptf_error err = {0};
    static const ptf_metadata metadata[] = {{"k", "v"}};
    if (ptf_tensors_save(c->tensors, c->count, metadata, 1, path, NULL, &err) !=
        PTF_OK)
        fail_msg("%s", err.message);
}

/* Where the tensor's bytes start in the file. */
static size_t place_of(const ptf_tensor *t)
{
    return (size_t)(t->storage->data - t->storage->file->data);
}

static void assert_same_files(const char *a, const char *b)
{
    size_t m, n;
    uint8_t *x = file_read(a, &m), *y = file_read(b, &n);
    assert_int_equal(m, n);
    assert_memory_equal(x, y, m);
    free(x);
    free(y);
}

/* -------------------------------------------------------------- round trips */

static void every_layout_survives_the_torch_zip(void **state)
{
    (void)state;
    static collection c;
    make_all(&c);
    save_all(&c, in_folder("all.pt"));
    assert_saved(&c, in_folder("all.pt"));
}

static void every_layout_survives_safetensors(void **state)
{
    (void)state;
    static collection c;
    make_all(&c);
    save_all(&c, in_folder("all.safetensors"));
    assert_saved(&c, in_folder("all.safetensors"));
}

static void a_file_without_tensors_can_be_written(void **state)
{
    (void)state;
    assert_int_equal(
        ptf_tensors_save(NULL, 0, NULL, 0, in_folder("x.bin"), NULL, NULL),
        PTF_OK);
    assert_int_equal(
        ptf_tensors_save(NULL, 0, NULL, 0, in_folder("x.pt"), NULL, NULL),
        PTF_OK);
    size_t size;
    uint8_t *data = file_read(in_folder("x.bin"), &size);
    assert_int_equal(size, 64);
    assert_memory_equal(data, "\x38\0\0\0\0\0\0\0{}  ", 12);
    free(data);
}

static void equal_input_gives_equal_bytes(void **state)
{
    (void)state;
    static collection c;
    make_all(&c);
    c.count = 20;
    save_all(&c, in_folder("a.pt"));
    uint8_t *first, *second;
    size_t m, n;
    first = file_read(in_folder("a.pt"), &m);
    save_all(&c, in_folder("a.pt"));
    second = file_read(in_folder("a.pt"), &n);
    assert_int_equal(m, n);
    assert_memory_equal(first, second, m);
    free(first);
    free(second);
    save_all(&c, in_folder("a.bin"));
    save_all(&c, in_folder("b.bin"));
    assert_same_files(in_folder("a.bin"), in_folder("b.bin"));
}

static void payloads_are_aligned(void **state)
{
    (void)state;
    static collection c;
    make_all(&c);
    save_all(&c, in_folder("all.pt"));
    save_all(&c, in_folder("all.bin"));
    ptf_checkpoint *zip = open_saved(in_folder("all.pt"));
    ptf_checkpoint *flat = open_saved(in_folder("all.bin"));
    for (size_t i = 0; i < c.count; i++) {
        const ptf_tensor *t = ptf_checkpoint_tensor(zip, i);
        if (ptf_tensor_bytes(t) > 0)
            assert_int_equal(place_of(t) % 64, 0);
        t = ptf_checkpoint_tensor(flat, i);
        assert_int_equal(place_of(t) % ptf_dtype_size(t->dtype), 0);
    }
    ptf_checkpoint_close(zip);
    ptf_checkpoint_close(flat);
}

/* What comes from a mapped file keeps checksum and place in its page. */
static void a_copy_of_a_file_lies_so_that_pages_can_be_shared(void **state)
{
    (void)state;
    static collection c, d;
    make_all(&c);
    save_all(&c, in_folder("all.bin"));
    ptf_checkpoint *source = open_saved(in_folder("all.bin"));
    for (size_t i = 0; i < c.count; i++)
        d.tensors[i] = ptf_checkpoint_tensor(source, i);
    d.count = c.count;
    save_all(&d, in_folder("a.pt"));
    faults.no_copying = true;
    save_all(&d, in_folder("written-a.pt"));
    ptf_checkpoint_close(source);
    assert_saved(&c, in_folder("written-a.pt"));

    source = open_saved(in_folder("a.pt"));
    for (size_t i = 0; i < c.count; i++)
        d.tensors[i] = ptf_checkpoint_tensor(source, i);
    faults.no_copying = false;
    save_all(&d, in_folder("other-name-b.pt"));
    ptf_checkpoint *copy = open_saved(in_folder("other-name-b.pt"));
    const ptf_tensor *from = ptf_checkpoint_find(source, "plain");
    const ptf_tensor *to = ptf_checkpoint_find(copy, "plain");
    assert_int_equal(place_of(from) % PTF_PAGE, place_of(to) % PTF_PAGE);
    assert_int_equal(from->storage->crc, to->storage->crc);
    ptf_checkpoint_close(copy);

    collection one = {.tensors = {from}, .count = 1};
    save_all(&one, in_folder("flat.bin"));
    copy = open_saved(in_folder("flat.bin"));
    to = ptf_checkpoint_find(copy, "plain");
    assert_int_equal(place_of(from) % PTF_PAGE, place_of(to) % PTF_PAGE);
    ptf_checkpoint_close(copy);
    ptf_checkpoint_close(source);
    assert_saved(&c, in_folder("other-name-b.pt"));
}

/* A part of a storage must not get the whole one's checksum. */
/* Not the one that is stated for the storage. */
static void the_checksum_is_that_of_what_is_written(void **state)
{
    (void)state;
    ptf_storage storage = {.key = "0",
                           .data = pool,
                           .size = 400,
                           .crc = 0x12345678,
                           .has_crc = true};
    ptf_tensor whole = {.name = "whole",
                        .rank = 1,
                        .shape = {100},
                        .stride = {1},
                        .data = pool,
                        .storage = &storage};
    ptf_tensor part = whole;
    part.name = "part";
    part.shape[0] = 50;
    const ptf_tensor *both[] = {&part, &whole};
    const char *path = in_folder("x.pt");
    assert_int_equal(ptf_tensors_save(both, 2, NULL, 0, path, NULL, NULL),
                     PTF_OK);
    ptf_checkpoint_close(open_saved(path));
}

static void metadata_of_any_bytes_becomes_json(void **state)
{
    (void)state;
    static const ptf_metadata metadata[] = {
        {"architecture", "Net(\n  (0): \"x\\y\"\n)\n"},
        {"control", "\x01\t\r\x7f\xc2\x85"},
        {"broken", "a\xff"
                   "b\xc3"},
        {"sound", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
    };
    assert_int_equal(
        ptf_tensors_save(NULL, 0, metadata, 4, in_folder("x.bin"), NULL, NULL),
        PTF_OK);
    ptf_tensor t = {
        .name = "t", .rank = 1, .shape = {1}, .stride = {1}, .data = pool};
    assert_int_equal(ptf_tensors_save((const ptf_tensor *[]){&t}, 1, metadata,
                                      4, in_folder("x.bin"), NULL, NULL),
                     PTF_OK);
    ptf_checkpoint *ckpt = open_saved(in_folder("x.bin"));
    for (int i = 0; i < 4; i++) {
        const char *value = ptf_checkpoint_metadata(ckpt, metadata[i].key);
        assert_non_null(value);
        assert_string_equal(value, i == 2 ? "a\xef\xbf\xbd"
                                            "b\xef\xbf\xbd"
                                          : metadata[i].value);
    }
    ptf_checkpoint_close(ckpt);
}

static void the_folder_in_the_zip_is_the_name_of_the_file(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"net2.pt", "net2/"},        {"a.b.pt", "a.b/"},
        {".pt", "archive/"},         {"..pt", "archive/"},
        {"...pt", "archive/"},       {"with space.pt", "archive/"},
        {"\xc3\xa4.pt", "archive/"}, {"back\\slash.pth", "archive/"},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        const char *path = in_folder(cases[i][0]);
        assert_int_equal(ptf_tensors_save(NULL, 0, NULL, 0, path, NULL, NULL),
                         PTF_OK);
        size_t size;
        uint8_t *data = file_read(path, &size);
        assert_memory_equal(data + 30, cases[i][1], strlen(cases[i][1]));
        free(data);
    }
}

/* ---------------------------------------------------------------- refusals */

static ptf_status save_two(const char *first, const char *second,
                           const char *path)
{
    ptf_tensor a = {.name = first, .rank = 0, .data = pool}, b = a;
    b.name = second;
    const ptf_tensor *both[] = {&a, &b};
    ptf_error err = {0};
    ptf_status status = ptf_tensors_save(both, 2, NULL, 0, path, NULL, &err);
    assert_int_equal(err.status, status);
    return status;
}

static void names_must_differ_and_be_printable(void **state)
{
    (void)state;
    static const char *const endings[] = {"x.pt", "x.bin"};
    for (int i = 0; i < 2; i++) {
        const char *path = in_folder(endings[i]);
        assert_int_equal(save_two("a", "a", path), PTF_ARGUMENT);
        assert_int_equal(save_two("a", "b\n", path), PTF_ARGUMENT);
        assert_int_equal(save_two("a", NULL, path), PTF_ARGUMENT);
        assert_int_equal(folder_count(), 0);
    }
    assert_int_equal(save_two("a", "__metadata__", in_folder("x.bin")),
                     PTF_UNSUPPORTED);
    assert_int_equal(folder_count(), 0);
    assert_int_equal(save_two("a", "b", in_folder("x.bin")), PTF_OK);
}

static void an_unknown_ending_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"x", "x.onnx", "pt", "x.pt.gz", "x."};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++)
        assert_int_equal(save_two("a", "b", in_folder(names[i])), PTF_ARGUMENT);
    assert_int_equal(save_two("a", "b", "/tmp.pt/none"), PTF_ARGUMENT);
    assert_int_equal(folder_count(), 0);
}

static void a_dtype_that_the_format_lacks_is_refused(void **state)
{
    (void)state;
    ptf_tensor t = {
        .name = "t", .dtype = PTF_DTYPE_C128, .rank = 0, .data = pool};
    const ptf_tensor *one[] = {&t};
    assert_int_equal(
        ptf_tensors_save(one, 1, NULL, 0, in_folder("x.bin"), NULL, NULL),
        PTF_UNSUPPORTED);
    assert_int_equal(folder_count(), 0);
    assert_int_equal(
        ptf_tensors_save(one, 1, NULL, 0, in_folder("x.pt"), NULL, NULL),
        PTF_OK);
}

static void the_source_itself_is_refused(void **state)
{
    (void)state;
    static collection c;
    make_all(&c);
    save_all(&c, in_folder("a.pt"));
    size_t size, after;
    uint8_t *before = file_read(in_folder("a.pt"), &size);
    ptf_checkpoint *ckpt = open_saved(in_folder("a.pt"));
    const ptf_tensor *first = ptf_checkpoint_tensor(ckpt, 0);
    assert_int_equal(
        ptf_tensors_save(&first, 1, NULL, 0, in_folder("a.pt"), ckpt, NULL),
        PTF_ARGUMENT);
    ptf_checkpoint_close(ckpt);
    uint8_t *now = file_read(in_folder("a.pt"), &after);
    assert_int_equal(size, after);
    assert_memory_equal(before, now, size);
    assert_int_equal(folder_count(), 1);
    free(before);
    free(now);
}

static void memory_running_out_leaves_no_file(void **state)
{
    (void)state;
    static const char *const names[] = {"x.pt", "x.bin"};
    static collection c;
    make_all(&c);
    c.count = 10;
    for (int i = 0; i < 2; i++) {
        const char *path = in_folder(names[i]);
        ptf_status status = PTF_MEMORY;
        for (long n = 0; status != PTF_OK; n++) {
            ptf_alloc_fail_after(n);
            status =
                ptf_tensors_save(c.tensors, c.count, NULL, 0, path, NULL, NULL);
            ptf_alloc_fail_after(-1);
            assert_true(status == PTF_OK || status == PTF_MEMORY);
            assert_int_equal(folder_count(), status == PTF_OK);
            assert_in_range(n, 0, 1000);
        }
        assert_saved(&c, path);
        assert_int_equal(unlink(path), 0);
    }
}

/* ------------------------------------------------- sources that change */

enum { ROWS = 300, COLUMNS = 500 };

/* Another program's file, and what it does to the last tensor in there. */
static struct {
    const char *path;
    off_t at;
    bool puts_back; /* the byte and the time */
    struct timespec time;
} other;

static void set_time(int fd)
{
    const struct timespec times[] = {other.time, other.time};
    assert_int_equal(futimens(fd, times), 0);
}

static void change_source(bool before)
{
    uint8_t byte;
    if (!before && !other.puts_back)
        return;
    faults.other = NULL; /* its own calls are nobody's business */
    int fd = open(other.path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, other.at, SEEK_SET), other.at);
    assert_int_equal(read(fd, &byte, 1), 1);
    byte ^= 1;
    assert_int_equal(lseek(fd, other.at, SEEK_SET), other.at);
    assert_int_equal(write(fd, &byte, 1), 1);
    if (other.puts_back)
        set_time(fd);
    close(fd);
    faults.other = change_source;
}

/* Opens a fresh source.  Its time is not now, so that a change is seen. */
static ptf_checkpoint *open_source(const char *name)
{
    ptf_tensor t = {.name = "t",
                    .rank = 2,
                    .shape = {ROWS, COLUMNS},
                    .stride = {COLUMNS, 1},
                    .data = pool};
    const ptf_tensor *tensors[] = {&t};
    static char path[400];
    snprintf(path, sizeof(path), "%s", in_folder(name));
    faults.other = NULL;
    unlink(path);
    assert_int_equal(ptf_tensors_save(tensors, 1, NULL, 0, path, NULL, NULL),
                     PTF_OK);
    other.path = path;
    other.time = (struct timespec){.tv_sec = 1000000000};
    int fd = open(path, O_RDWR);
    set_time(fd);
    close(fd);
    ptf_checkpoint *ckpt = open_saved(path); /* which verifies it */
    const ptf_tensor *saved = ptf_checkpoint_tensor(ckpt, 0);
    other.at = (off_t)place_of(saved) + 12345;
    return ckpt;
}

/* Saves what 'shape' of the tensor says while the other program works. */
static void refuse_changed(const char *source, const char *target,
                           const ptf_tensor *shape, const char *words)
{
    ptf_error err = {PTF_OK, ""};
    ptf_checkpoint *ckpt = open_source(source);
    ptf_tensor t = *shape;
    const ptf_tensor *tensors[] = {&t}, *saved = ptf_checkpoint_tensor(ckpt, 0);
    t.data = saved->data;
    t.storage = saved->storage;
    faults.other = change_source;
    ptf_status status =
        ptf_tensors_save(tensors, 1, NULL, 0, in_folder(target), ckpt, &err);
    faults.other = NULL;
    if (status != PTF_IO || strstr(err.message, words) == NULL)
        fail_msg("%s to %s: expected %d '%s', got %d '%s'", source, target,
                 (int)PTF_IO, words, (int)status, err.message);
    assert_non_null(strstr(err.message, source));
    ptf_checkpoint_close(ckpt);
    assert_int_equal(unlink(in_folder(source)), 0);
    assert_int_equal(folder_count(), 0);
}

static const ptf_tensor parts[] = {
    {.name = "all", .rank = 2, .shape = {300, 500}, .stride = {500, 1}},
    {.name = "some", .rank = 2, .shape = {100, 500}, .stride = {500, 1}},
    {.name = "turned", .rank = 2, .shape = {500, 300}, .stride = {1, 500}},
};

/* Also when the source looks at the end as it did at the beginning. */
static void what_is_verified_is_what_is_written(void **state)
{
    (void)state;
    static const char *const sources[] = {"s.pt", "s.safetensors"};
    static const char *const targets[] = {"t.pt", "t.safetensors"};
    for (unsigned i = 0; i < 8; i++) {
        other.puts_back = i & 1;
        for (size_t k = 0; k < PTF_ARRAY_SIZE(parts); k++)
            refuse_changed(sources[i >> 1 & 1], targets[i >> 2], &parts[k],
                           "was changed while it was in use");
    }
}

static void a_source_that_changes_is_not_converted(void **state)
{
    (void)state;
    static const char *const sources[] = {"s.pt", "s.safetensors"};
    ptf_error err = {PTF_OK, ""};
    other.puts_back = false;
    for (int i = 0; i < 2; i++) {
        ptf_checkpoint_close(open_source(sources[i]));
        ptf_checkpoint *ckpt;
        assert_int_equal(ptf_checkpoint_open(other.path, NULL, &ckpt, NULL),
                         PTF_OK);
        faults.other = change_source;
        assert_int_equal(ptf_checkpoint_save(ckpt, in_folder("t.pt"), &err),
                         PTF_IO);
        faults.other = NULL;
        assert_non_null(strstr(err.message, "was changed"));
        ptf_checkpoint_close(ckpt);
        assert_int_equal(unlink(other.path), 0);
        assert_int_equal(folder_count(), 0);
    }
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_layout_survives_the_torch_zip),
        TEST(every_layout_survives_safetensors),
        TEST(a_file_without_tensors_can_be_written),
        TEST(equal_input_gives_equal_bytes),
        TEST(payloads_are_aligned),
        TEST(a_copy_of_a_file_lies_so_that_pages_can_be_shared),
        TEST(the_checksum_is_that_of_what_is_written),
        TEST(what_is_verified_is_what_is_written),
        TEST(a_source_that_changes_is_not_converted),
        TEST(metadata_of_any_bytes_becomes_json),
        TEST(the_folder_in_the_zip_is_the_name_of_the_file),
        TEST(names_must_differ_and_be_printable),
        TEST(an_unknown_ending_is_refused),
        TEST(a_dtype_that_the_format_lacks_is_refused),
        TEST(the_source_itself_is_refused),
        TEST(memory_running_out_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
