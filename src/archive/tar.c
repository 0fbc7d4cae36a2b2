/*
 * A tar file as named slices: PyTorch 0.1 saved its parts in one.  The
 * headers are those of POSIX.1-2001; what gives a member another size or name
 * than its header does is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"

enum {
    BLOCK = 512,
    SIZE_AT = 124,
    SUM_AT = 148,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    NAME_SIZE = 100,
    PREFIX_SIZE = 155,
    NUMBER_SIZE = 12,
    MAX_MEMBERS = 64,
};

typedef struct tar_reader {
    ptf_archive *archive;
    ptf_cursor c;
    ptf_entry members[MAX_MEMBERS];
    size_t count;
} tar_reader;

#define FAIL(tar, ...)                                                 \
    ptf_fail((tar)->c.err, PTF_FORMAT, &(tar)->c.origin, (tar)->c.pos, \
             __VA_ARGS__)

/* Octal digits up to a space or zero; false for anything else. */
static bool take_octal(const uint8_t *field, size_t size, uint64_t *out)
{
    size_t i = 0;
    *out = 0;
    while (i < size && field[i] == ' ')
        i++;
    size_t first = i;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        *out = *out * 8 + (uint64_t)(field[i] - '0');
    return i > first && (i == size || field[i] == ' ' || field[i] == '\0');
}

/* The sum of all bytes, those of the sum itself taken as spaces. */
static bool sum_is_right(const uint8_t *header)
{
    uint64_t sum = 8 * ' ', expected;
    for (size_t i = 0; i < BLOCK; i++) {
        if (i < SUM_AT || i >= SUM_AT + 8)
            sum += header[i];
    }
    return take_octal(header + SUM_AT, 8, &expected) && sum == expected;
}

static bool is_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != 0)
            return false;
    }
    return true;
}

/* True for "path", "size" and the like: another name or size for a member. */
static bool changes_member(const uint8_t *key, size_t size)
{
    static const char *const keys[] = {"path", "size", "linkpath"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(keys); i++) {
        if (strlen(keys[i]) == size && memcmp(keys[i], key, size) == 0)
            return true;
    }
    return size >= 4 && memcmp(key, "GNU.", 4) == 0;
}

/* Records "LENGTH key=value\n", where the length counts all of it. */
static bool records_are_harmless(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = 0, i = at;
        for (; i < size && i - at < 8 && data[i] >= '0' && data[i] <= '9'; i++)
            length = 10 * length + (size_t)(data[i] - '0');
        if (i == size || data[i] != ' ' || length > size - at ||
            at + length <= i + 1 || data[at + length - 1] != '\n')
            return false;
        const uint8_t *key = data + i + 1;
        const uint8_t *end = memchr(key, '=', at + length - i - 1);
        if (end == NULL || changes_member(key, (size_t)(end - key)))
            return false;
        at += length;
    }
    return true;
}

/* A name without "./"; one that needs a prefix is longer than any of ours. */
static ptf_status add_member(tar_reader *tar, const uint8_t *header,
                             const uint8_t *data, size_t size)
{
    const char *name = (const char *)header;
    size_t length = strnlen(name, NAME_SIZE);
    if (length >= 2 && memcmp(name, "./", 2) == 0) {
        name += 2;
        length -= 2;
    }
    if (length == 0 || !ptf_is_printable(name, length) ||
        memchr(name, '/', length) != NULL || header[PREFIX_AT] != '\0')
        return FAIL(tar, "expected a member with a plain name");
    if (tar->count == MAX_MEMBERS)
        return FAIL(tar, "expected at most %d members", MAX_MEMBERS);
    name = ptf_arena_copy(&tar->archive->arena, name, length);
    if (name == NULL)
        return ptf_fail_memory(tar->c.err);
    tar->members[tar->count++] = (ptf_entry){
        .name = name,
        .data = data,
        .size = size,
        .packed = size,
        .offset = (uint64_t)(data - tar->c.data),
    };
    return PTF_OK;
}

static ptf_status take_member(tar_reader *tar, const uint8_t *header)
{
    uint64_t size;
    const uint8_t *data = NULL, *padding = NULL;
    if (memcmp(header + MAGIC_AT, "ustar", 5) != 0 || !sum_is_right(header) ||
        !take_octal(header + SIZE_AT, NUMBER_SIZE, &size))
        return FAIL(tar, "expected the header of a tar's member");
    if (size > ptf_cursor_left(&tar->c))
        return FAIL(tar, "expected a member of %llu bytes, got %zu bytes",
                    (unsigned long long)size, ptf_cursor_left(&tar->c));
    ptf_status status = ptf_take(&tar->c, (size_t)size, &data, "a member");
    if (status == PTF_OK)
        status = ptf_take(&tar->c, (BLOCK - size % BLOCK) % BLOCK, &padding,
                          "a member's padding");
    if (status != PTF_OK)
        return status;
    switch (header[TYPE_AT]) {
    case '\0':
    case '0': return add_member(tar, header, data, (size_t)size);
    case '5':
        return size == 0 ? PTF_OK : FAIL(tar, "expected a folder without data");
    case 'x':
    case 'g':
        return records_are_harmless(data, (size_t)size)
                   ? PTF_OK
                   : FAIL(tar, "expected no second name or size of a member");
    default: return FAIL(tar, "expected files, got a member of another type");
    }
}

/* Members up to a block of zeros, after which there is nothing else. */
static ptf_status take_members(tar_reader *tar)
{
    ptf_status status = PTF_OK;
    while (status == PTF_OK) {
        const uint8_t *header = NULL;
        status = ptf_take(&tar->c, BLOCK, &header, "a member's header");
        if (status == PTF_OK && is_zero(header, BLOCK))
            break;
        if (status == PTF_OK)
            status = take_member(tar, header);
    }
    if (status == PTF_OK &&
        !is_zero(tar->c.data + tar->c.pos, ptf_cursor_left(&tar->c)))
        return FAIL(tar, "expected nothing after the members");
    return status;
}

ptf_status ptf_tar_open(ptf_archive *archive, ptf_error *err)
{
    const ptf_file *file = archive->file;
    tar_reader tar = {
        .archive = archive,
        .c = {file->data, file->size, 0, {file->name, NULL}, err}};
    ptf_status status = take_members(&tar);
    return status == PTF_OK
               ? ptf_archive_set_entries(archive, tar.members, tar.count, err)
               : status;
}
