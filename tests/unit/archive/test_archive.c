/*
 * The container: what is refused, and with which words.
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

static void make_sound(forge_zip *zip)
{
    forge_make_checkpoint(pickle, sizeof(pickle) - 1, forge_numbers,
                          sizeof(forge_numbers), zip);
}

static ptf_status open_bytes(const void *bytes, size_t size, ptf_error *err)
{
    ptf_file file = {"f", bytes, size, -1, NULL};
    ptf_archive archive;
    ptf_status status = ptf_archive_open(&file, &archive, err);
    if (status == PTF_OK)
        status = ptf_archive_verify(&archive, err);
    else
        return status;
    ptf_archive_close(&archive);
    return status;
}

static void expect(const void *bytes, size_t size, const char *title,
                   ptf_status status, const char *text)
{
    ptf_error err = {PTF_OK, ""};
    ptf_status found = open_bytes(bytes, size, &err);
    if (found != status || strstr(err.message, text) == NULL)
        fail_msg("%s: expected %d '%s', got %d '%s'", title, (int)status, text,
                 (int)found, err.message);
}

/* ---------------------------------------------------------- damaged fields */

enum part { LOCAL, CENTRAL, DATA, END64, LOCATOR, END };

static size_t place_of(const forge_zip *zip, enum part part, int entry)
{
    switch (part) {
    case LOCAL: return zip->local[entry];
    case CENTRAL: return zip->central[entry];
    case DATA: return zip->data[entry];
    case END64: return zip->end64;
    case LOCATOR: return zip->locator;
    case END: return zip->end;
    }
    return 0;
}

/* One field of a sound file is changed.  Entry 2 is data/0, 24 bytes. */
static const struct {
    const char *title;
    enum part part;
    int entry, field, width;
    uint64_t value;
    ptf_status status;
    const char *text;
} damages[] = {
    {"directory offset", END, 0, 16, 4, 7, PTF_FORMAT, "to agree"},
    {"directory size", END, 0, 12, 4, 7, PTF_FORMAT, "to agree"},
    {"entry count", END, 0, 10, 2, 60000, PTF_FORMAT, "one disk"},
    {"comment", END, 0, 20, 2, 1, PTF_FORMAT, "without a comment"},
    {"disk number", END, 0, 4, 2, 1, PTF_FORMAT, "one disk"},
    {"locator's offset", LOCATOR, 0, 8, 8, UINT64_C(1) << 63, PTF_FORMAT,
     "zip64 end record"},
    {"locator's disks", LOCATOR, 0, 16, 4, 2, PTF_FORMAT, "one disk"},
    {"locator's no disk", LOCATOR, 0, 16, 4, 0, PTF_FORMAT, "one disk"},
    {"count, 64 bits", END64, 0, 32, 8, UINT64_C(1) << 60, PTF_FORMAT,
     "one disk"},
    {"offset, 64 bits", END64, 0, 48, 8, UINT64_MAX, PTF_FORMAT, "to agree"},
    {"size beyond file", CENTRAL, 2, 20, 8, UINT64_C(0x4000000040000000),
     PTF_FORMAT, "before the directory"},
    {"two stored sizes", CENTRAL, 2, 24, 4, 25, PTF_FORMAT, "one size"},
    {"64-bit size missing", CENTRAL, 2, 20, 4, 0xffffffff, PTF_FORMAT,
     "64-bit sizes"},
    {"header beyond file", CENTRAL, 2, 42, 4, 0x7fffffff, PTF_FORMAT,
     "local header"},
    {"header of another", CENTRAL, 2, 42, 4, 0, PTF_FORMAT, "the name"},
    {"encrypted", CENTRAL, 2, 8, 2, 0x809, PTF_FORMAT, "encrypted"},
    {"strong encryption", CENTRAL, 2, 8, 2, 0x848, PTF_FORMAT, "flags"},
    {"patch data", CENTRAL, 2, 8, 2, 0x828, PTF_FORMAT, "flags"},
    {"encrypted in one", LOCAL, 2, 6, 2, 0x809, PTF_FORMAT, "flags"},
    {"method 99", CENTRAL, 2, 10, 2, 99, PTF_UNSUPPORTED, "method 99"},
    {"method in one", LOCAL, 2, 8, 2, 8, PTF_FORMAT, "method"},
    {"disk of entry", CENTRAL, 2, 34, 2, 1, PTF_FORMAT, "one disk"},
    {"folder with data", CENTRAL, 2, 38, 4, 0x10, PTF_FORMAT, "as a folder"},
    {"local name", LOCAL, 2, 30, 1, 'b', PTF_FORMAT, "the name 'a/data/0'"},
    {"local extra field", LOCAL, 2, 28, 2, 0xffff, PTF_FORMAT,
     "before the directory"},
    {"extra field's length", LOCAL, 2, 40, 2, 9, PTF_FORMAT, "extra fields"},
    {"local size", LOCAL, 2, 22, 4, 23, PTF_FORMAT, "as in the directory"},
    {"local checksum", LOCAL, 2, 14, 4, 23, PTF_FORMAT, "as in the directory"},
    {"descriptor's size", DATA, 2, 32, 4, 23, PTF_FORMAT, "after its data"},
    {"descriptor's checksum", DATA, 2, 28, 4, 1, PTF_FORMAT, "after its data"},
    {"name in capitals", CENTRAL, 2, 46, 1, 'A', PTF_FORMAT, "the name"},
    {"NUL in a name", CENTRAL, 2, 47, 1, 0, PTF_FORMAT, "plain relative"},
    {"backslash", CENTRAL, 2, 47, 1, '\\', PTF_FORMAT, "plain relative"},
    {"byte of a storage", DATA, 2, 5, 1, 1, PTF_FORMAT, "CRC-32"},
    {"byte of the version", DATA, 3, 0, 1, '4', PTF_FORMAT, "CRC-32"},
    {"signature", CENTRAL, 1, 0, 1, 'Q', PTF_FORMAT, "directory entry"},
};

static void every_damaged_field_is_refused(void **state)
{
    (void)state;
    forge_zip zip;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(damages); i++) {
        make_sound(&zip);
        expect(zip.bytes, zip.size, "sound", PTF_OK, "");
        size_t at = place_of(&zip, damages[i].part, damages[i].entry);
        forge_put(zip.bytes + at + damages[i].field, damages[i].value,
                  damages[i].width);
        expect(zip.bytes, zip.size, damages[i].title, damages[i].status,
               damages[i].text);
    }
}

/* ------------------------------------------------------------------- names */

/* Archives with these names for the third and fourth of their entries. */
static const struct {
    const char *third, *fourth;
    ptf_status status;
    const char *text;
} names[] = {
    {"a/data/0", "a/version", PTF_OK, ""},
    {"a/data/0", "a/VERSION", PTF_FORMAT, "format's version"},
    {"a/version", "a/version", PTF_FORMAT, "once"},
    {"a/version", "a/Version", PTF_FORMAT, "once"},
    {"b/data/0", "a/version", PTF_FORMAT, "in the folder 'a'"},
    {"ab/data/0", "a/version", PTF_FORMAT, "in the folder 'a'"},
    {"/a/data/0", "a/version", PTF_FORMAT, "plain relative"},
    {"a/../data/0", "a/version", PTF_FORMAT, "plain relative"},
    {"a/./data/0", "a/version", PTF_FORMAT, "plain relative"},
    {"a//data/0", "a/version", PTF_FORMAT, "plain relative"},
    {"a/d\x1bta/0", "a/version", PTF_FORMAT, "plain relative"},
    {"a/d\xff", "a/version", PTF_FORMAT, "plain relative"},
    {"a/model.json", "a/version", PTF_UNSUPPORTED, "TorchScript"},
    {"a/archive_format", "a/version", PTF_FORMAT, "of both"},
    {"a/b/data.pkl", "a/version", PTF_FORMAT, "one data.pkl"},
    {"a/Data.pkl", "a/version", PTF_FORMAT, "once"},
    {"a/.data/version", "a/x", PTF_OK, ""},
    {"a/data/0", "a/x", PTF_FORMAT, "format's version"},
};

static void names_that_readers_could_take_differently_are_refused(void **state)
{
    (void)state;
    forge_zip zip;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        const forge_entry entries[] = {
            {"a/data.pkl", pickle, sizeof(pickle) - 1, false},
            {"a/byteorder", "little", 6, false},
            {names[i].third, "3\n", 2, false},
            {names[i].fourth, "3\n", 2, false},
        };
        forge_make_zip(entries, 4, &zip);
        expect(zip.bytes, zip.size, names[i].third, names[i].status,
               names[i].text);
    }
}

static void an_archive_without_data_pkl_is_refused(void **state)
{
    (void)state;
    forge_zip zip;
    const forge_entry entries[] = {{"a/version", "3\n", 2, false}};
    forge_make_zip(entries, 1, &zip);
    expect(zip.bytes, zip.size, "no data.pkl", PTF_FORMAT, "a/data.pkl");
    const forge_entry flat[] = {{"data.pkl", "x", 1, false}};
    forge_make_zip(flat, 1, &zip);
    expect(zip.bytes, zip.size, "no folder", PTF_UNSUPPORTED, "one folder");
}

static void versions_from_1_to_10_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ptf_status status;
    } versions[] = {
        {"1", PTF_OK},
        {"3\n", PTF_OK},
        {"10", PTF_OK},
        {"0", PTF_UNSUPPORTED},
        {"11", PTF_UNSUPPORTED},
        {"999", PTF_UNSUPPORTED},
        {"3x", PTF_UNSUPPORTED},
        {"", PTF_UNSUPPORTED},
        {"3\n\n", PTF_UNSUPPORTED},
    };
    forge_zip zip;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(versions); i++) {
        const forge_entry entries[] = {
            {"a/data.pkl", pickle, sizeof(pickle) - 1, false},
            {"a/version", versions[i].text, strlen(versions[i].text), false},
        };
        forge_make_zip(entries, 2, &zip);
        expect(zip.bytes, zip.size, versions[i].text, versions[i].status, "");
    }
}

/* ------------------------------------------------------- bytes of no entry */

static void foreign_bytes_are_refused_everywhere(void **state)
{
    (void)state;
    forge_zip zip;
    make_sound(&zip);
    uint8_t *more = ptf_alloc(zip.size + 1);
    assert_non_null(more);
    memcpy(more, zip.bytes, zip.size);
    expect(more, zip.size + 1, "a byte after", PTF_FORMAT, "end record");
    memcpy(more + 1, zip.bytes, zip.size);
    expect(more, zip.size + 1, "a byte before", PTF_FORMAT, "something else");

    /* between the last entry and the directory */
    size_t at = zip.central[0];
    memcpy(more, zip.bytes, at);
    more[at] = 0;
    memcpy(more + at + 1, zip.bytes + at, zip.size - at);
    forge_put(more + zip.end64 + 1 + 48, at + 1, 8);
    forge_put(more + zip.locator + 1 + 8, zip.end64 + 1, 8);
    forge_put(more + zip.end + 1 + 16, at + 1, 4);
    expect(more, zip.size + 1, "a gap", PTF_FORMAT, "belong to no entry");
    ptf_free(more);
}

/* An entry inside the data of another: a header there, and a directory entry
 * that points to it. */
static void overlapping_entries_are_refused(void **state)
{
    (void)state;
    forge_zip zip;
    forge_entry entries[] = {
        {"a/data.pkl", pickle, sizeof(pickle) - 1, false},
        {"a/version", "3\n", 2, false},
        {"a/x", "inner", 5, false},
        {"a/data/0", NULL, 0, false},
    };
    forge_make_zip(entries, 4, &zip);
    size_t size = zip.local[3] - zip.local[2];
    void *inner = ptf_alloc(size);
    assert_non_null(inner);
    memcpy(inner, zip.bytes + zip.local[2], size);
    entries[3].data = inner;
    entries[3].size = size;
    forge_make_zip(entries, 4, &zip);
    expect(zip.bytes, zip.size, "sound", PTF_OK, "");
    /* the third entry moves into the fourth, and the fourth to its place */
    size_t shift = zip.local[3] - zip.local[2];
    memmove(zip.bytes + zip.local[2], zip.bytes + zip.local[3],
            zip.size - zip.local[3]);
    zip.size -= shift;
    forge_put(zip.bytes + zip.central[3] - shift + 42, zip.local[2], 4);
    forge_put(zip.bytes + zip.central[2] - shift + 42, zip.data[3] - shift, 4);
    forge_put(zip.bytes + zip.end64 - shift + 48, zip.central[0] - shift, 8);
    forge_put(zip.bytes + zip.locator - shift + 8, zip.end64 - shift, 8);
    forge_put(zip.bytes + zip.end - shift + 16, zip.central[0] - shift, 4);
    expect(zip.bytes, zip.size, "overlap", PTF_FORMAT, "overlapping");
    ptf_free(inner);
}

/* Takes an entry out of the directory; its bytes stay. */
static void drop_central(forge_zip *zip, size_t i, size_t count)
{
    size_t size = zip->central[i + 1] - zip->central[i];
    memmove(zip->bytes + zip->central[i], zip->bytes + zip->central[i + 1],
            zip->size - zip->central[i + 1]);
    zip->size -= size;
    zip->end64 -= size;
    zip->locator -= size;
    zip->end -= size;
    forge_put(zip->bytes + zip->end64 + 24, count, 8);
    forge_put(zip->bytes + zip->end64 + 32, count, 8);
    forge_put(zip->bytes + zip->end64 + 40, zip->end64 - zip->central[0], 8);
    forge_put(zip->bytes + zip->locator + 8, zip->end64, 8);
    forge_put(zip->bytes + zip->end + 8, count, 2);
    forge_put(zip->bytes + zip->end + 10, count, 2);
    forge_put(zip->bytes + zip->end + 12, zip->end64 - zip->central[0], 4);
}

static void an_entry_that_the_directory_hides_is_refused(void **state)
{
    (void)state;
    forge_zip zip;
    const size_t hidden[] = {0, 1, 2};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(hidden); i++) {
        make_sound(&zip);
        drop_central(&zip, hidden[i], 3);
        expect(zip.bytes, zip.size, "hidden", PTF_FORMAT, "belong to no entry");
    }
}

/* ---------------------------------------------------- readers and checksums */

/* Our reading of a sound file, changed; or the file after it. */
static void the_second_reader_must_agree(void **state)
{
    (void)state;
    enum { NAME, SIZE, CRC, METHOD, ROOT, COUNT, FILE_ITSELF, WAYS };
    for (int way = 0; way < WAYS; way++) {
        forge_zip zip;
        ptf_error err;
        ptf_archive archive;
        make_sound(&zip);
        ptf_file file = {"f", zip.bytes, zip.size, -1, NULL};
        assert_int_equal(ptf_archive_open(&file, &archive, &err), PTF_OK);
        assert_int_equal(ptf_zip_compare(&archive, &err), PTF_OK);
        ptf_entry *entry = &archive.entries[1];
        switch (way) {
        case NAME: entry->name = "other"; break;
        case SIZE: entry->size++; break;
        case CRC: entry->crc ^= 1; break;
        case METHOD: entry->deflated = true; break;
        case ROOT: archive.root = ""; break;
        case COUNT: archive.count--; break;
        case FILE_ITSELF: memset(zip.bytes + zip.end, 0, 4); break;
        }
        assert_int_equal(ptf_zip_compare(&archive, &err), PTF_FORMAT);
        assert_non_null(strstr(err.message, "two zip readers disagree"));
        ptf_archive_close(&archive);
    }
}

static void checksum_zero_means_not_computed(void **state)
{
    (void)state;
    forge_zip zip;
    make_sound(&zip);
    forge_put(zip.bytes + zip.central[2] + 16, 0, 4);
    forge_put(zip.bytes + zip.data[2] + 24 + 4, 0, 4);
    zip.bytes[zip.data[2]] ^= 1;
    expect(zip.bytes, zip.size, "no checksum", PTF_OK, "");
}

/* ------------------------------------------------------------- wrong files */

static const struct {
    const char *bytes;
    size_t size;
    ptf_status status;
    const char *text;
} wrong[] = {
#define FILE_OF(text) text, sizeof(text) - 1
    {FILE_OF("version https://git-lfs.github.com/spec/v1\n"), PTF_UNSUPPORTED,
     "git lfs pull"},
    {FILE_OF("<!DOCTYPE html>"), PTF_UNSUPPORTED, "HTML"},
    {FILE_OF("<html>"), PTF_UNSUPPORTED, "HTML"},
    {FILE_OF("\x1f\x8b\x08"), PTF_UNSUPPORTED, "gunzip"},
    {FILE_OF("7z\xbc\xaf\x27\x1c"), PTF_UNSUPPORTED, "7z"},
    {FILE_OF("BZh9"), PTF_UNSUPPORTED, "bzip2"},
    {FILE_OF("\xfd"
             "7zXZ"),
     PTF_UNSUPPORTED, "xz"},
    {FILE_OF("\x28\xb5\x2f\xfd"), PTF_UNSUPPORTED, "zstd"},
    {FILE_OF("\x89HDF\r\n"), PTF_UNSUPPORTED, "HDF5"},
    {FILE_OF("\x89PNG\r\n"), PTF_UNSUPPORTED, "PNG"},
    {FILE_OF("\x08\x07\x12\x07pytorch"), PTF_UNSUPPORTED, "ONNX"},
    {FILE_OF("\x08\x0e\x12\x07pytorch"), PTF_UNSUPPORTED, "ONNX"},
    {FILE_OF("\x08\x63\x3a\x80\x01\x0a"), PTF_UNSUPPORTED, "ONNX"},
    {FILE_OF("\x08\x0b\x42\x02\x10\x0d"), PTF_UNSUPPORTED, "ONNX"},
    {FILE_OF("\x08\x01\x12\0\0\0\0\0{}"), PTF_FORMAT, "safetensors header"},
    {FILE_OF("GGUF\3\0\0\0"), PTF_UNSUPPORTED, "GGUF"},
    {FILE_OF("\x18\0\0\0PTMF"), PTF_UNSUPPORTED, "flatbuffer"},
    {FILE_OF("PYTORCH1"), PTF_UNSUPPORTED, "preview"},
    {FILE_OF("\x80\2}q\0."), PTF_UNSUPPORTED, "bare Python pickle"},
    {FILE_OF("PK\3\4"), PTF_FORMAT, "truncated"},
    {FILE_OF("hello, world"), PTF_UNSUPPORTED, "got a text"},
    {FILE_OF("hello,\0world"), PTF_FORMAT, "something else"},
    {FILE_OF("x"), PTF_FORMAT, "something else"},
    {FILE_OF(""), PTF_FORMAT, "empty"},
    {FILE_OF("\0\0\0\0\0\0\0\x80{}"), PTF_FORMAT, "safetensors header"},
};

static void wrong_files_are_called_by_their_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(wrong); i++)
        expect(wrong[i].bytes, wrong[i].size, wrong[i].text, wrong[i].status,
               wrong[i].text);
    char tar[512] = "storages";
    memcpy(tar + 257, "ustar", 5);
    expect(tar, sizeof(tar), "tar", PTF_FORMAT, "header of a tar");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_damaged_field_is_refused),
        cmocka_unit_test(names_that_readers_could_take_differently_are_refused),
        cmocka_unit_test(an_archive_without_data_pkl_is_refused),
        cmocka_unit_test(versions_from_1_to_10_are_read),
        cmocka_unit_test(foreign_bytes_are_refused_everywhere),
        cmocka_unit_test(overlapping_entries_are_refused),
        cmocka_unit_test(an_entry_that_the_directory_hides_is_refused),
        cmocka_unit_test(the_second_reader_must_agree),
        cmocka_unit_test(checksum_zero_means_not_computed),
        cmocka_unit_test(wrong_files_are_called_by_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
