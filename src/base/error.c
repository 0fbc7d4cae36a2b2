/*
 * How a fault becomes one short line: where it is, then what is wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <errno.h>

/* A text that grows up to the size of its buffer and never past it. */
typedef struct text {
    char *at;
    size_t left; /* includes the terminating zero */
} text;

static void text_put(text *t, const char *bytes, size_t size)
{
    size_t n = size < t->left ? size : t->left - 1;
    memcpy(t->at, bytes, n);
    t->at += n;
    t->left -= n;
    *t->at = '\0';
}

/* Length of the UTF-8 sequence at 'p', 0 when there is none. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    size_t n = p[0] < 0x80       ? 1
               : p[0] >> 5 == 6  ? 2
               : p[0] >> 4 == 14 ? 3
               : p[0] >> 3 == 30 ? 4
                                 : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return 0;
    }
    bool overlong = (n == 2 && p[0] < 0xc2) ||
                    (n == 3 && p[0] == 0xe0 && p[1] < 0xa0) ||
                    (n == 4 && p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = n == 3 && p[0] == 0xed && p[1] >= 0xa0;
    bool too_large = n == 4 && (p[0] > 0xf4 || (p[0] == 0xf4 && p[1] >= 0x90));
    return overlong || surrogate || too_large ? 0 : n;
}

/* The code point of a sequence of that length. */
static int32_t code_point(const uint8_t *p, size_t length)
{
    int32_t code = length == 1 ? p[0] : p[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++)
        code = code << 6 | (p[i] & 0x3f);
    return code;
}

/* C1 controls (U+0080..9F) steer terminals as C0 ones do. */
static bool is_control(int32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/*
 * Not seen, or seen as something else: what Unicode calls default ignorable
 * (DerivedCoreProperties.txt), among them what turns the direction of writing
 * and what has no width, and what ends lines or marks others.
 */
static const struct {
    int32_t first, last;
} hidden[] = {
    {0x00ad, 0x00ad}, {0x034f, 0x034f},   {0x061c, 0x061c},
    {0x115f, 0x1160}, {0x17b4, 0x17b5},   {0x180b, 0x180f},
    {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},
    {0x3164, 0x3164}, {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
    {0xffa0, 0xffa0}, {0xfff0, 0xfffb},   {0x1bca0, 0x1bca3},
    {0xfffe, 0xffff}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_hidden(int32_t code)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(hidden); i++) {
        if (code >= hidden[i].first && code <= hidden[i].last)
            return true;
    }
    return false;
}

size_t ptf_character(const char *bytes, size_t size, int32_t *code, bool *shown)
{
    const uint8_t *p = (const uint8_t *)bytes;
    size_t n = utf8_length(p, size);
    *code = n > 0 ? code_point(p, n) : -1;
    *shown = n > 0 && !is_control(*code) && !is_hidden(*code);
    return n > 0 ? n : 1;
}

bool ptf_is_printable(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        int32_t code;
        bool shown;
        i += ptf_character(bytes + i, size - i, &code, &shown);
        if (code < 0 || is_control(code))
            return false;
    }
    return true;
}

bool ptf_is_shown(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        int32_t code;
        bool shown;
        i += ptf_character(bytes + i, size - i, &code, &shown);
        if (!shown)
            return false;
    }
    return true;
}

static const char digits[] = "0123456789abcdef";

/*
 * The next piece of 'bytes' as it should be shown: a printable character or
 * an escape, put into 'piece' (5 bytes).  Returns how many bytes it used.
 */
static size_t escape_next(const uint8_t *p, size_t left, char piece[5],
                          size_t *piece_size)
{
    int32_t code;
    bool shown;
    size_t n = ptf_character((const char *)p, left, &code, &shown);
    if (shown) {
        memcpy(piece, p, n);
        *piece_size = n;
        return n;
    }
    memcpy(piece, (char[]){'\\', 'x', digits[p[0] >> 4], digits[p[0] & 15]}, 4);
    *piece_size = 4;
    return 1;
}

void ptf_print_escaped(FILE *out, const char *bytes, size_t size)
{
    const uint8_t *p = (const uint8_t *)bytes;
    for (size_t i = 0; i < size;) {
        char piece[5];
        size_t n;
        i += escape_next(p + i, size - i, piece, &n);
        fwrite(piece, 1, n, out);
    }
}

size_t ptf_json_character(const char *bytes, size_t size, char out[16])
{
    int32_t code;
    bool shown;
    size_t n = ptf_character(bytes, size, &code, &shown);
    if (code == '"' || code == '\\')
        snprintf(out, 16, "\\%c", (char)code);
    else if (code == '\n')
        memcpy(out, "\\n", 3);
    else if (shown)
        snprintf(out, 16, "%.*s", (int)n, bytes);
    else if (code < 0)
        memcpy(out, "\\ufffd", 7);
    else if (code < 0x10000)
        snprintf(out, 16, "\\u%04x", (unsigned)code);
    else
        snprintf(out, 16, "\\u%04x\\u%04x",
                 (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
                 (unsigned)(0xdc00 + (code & 0x3ff)));
    return n;
}

static void text_put_escaped(text *t, const char *bytes)
{
    size_t size = strlen(bytes);
    const uint8_t *p = (const uint8_t *)bytes;
    for (size_t i = 0; i < size;) {
        char piece[5];
        size_t n;
        i += escape_next(p + i, size - i, piece, &n);
        if (n >= t->left)
            return; /* never half an escape */
        text_put(t, piece, n);
    }
}

void ptf_escape(char *out, size_t size, const char *bytes)
{
    text t = {out, size};
    *out = '\0';
    text_put_escaped(&t, bytes);
}

static void put_place(text *t, const ptf_origin *origin, uint64_t offset)
{
    if (origin == NULL)
        return;
    text_put_escaped(t, origin->file);
    text_put(t, ": ", 2);
    if (origin->entry != NULL)
        text_put_escaped(t, origin->entry);
    if (offset != PTF_NO_OFFSET) {
        char number[24];
        int n = snprintf(number, sizeof(number), "@%llu",
                         (unsigned long long)offset);
        text_put(t, number, (size_t)n);
    }
    if (origin->entry != NULL || offset != PTF_NO_OFFSET)
        text_put(t, ": ", 2);
}

/* The length of what must stay whole: an escape, or a character. */
static size_t unit_length(const uint8_t *p, size_t left)
{
    bool escape = left >= 4 && p[0] == '\\' && p[1] == 'x' &&
                  strspn((const char *)p + 2, digits) >= 2;
    size_t n = utf8_length(p, left);
    return escape ? 4 : n > 0 ? n : 1;
}

/*
 * A line that someone can read: of a longer one the middle is left out, since
 * it begins with the place and ends with what to do.
 */
static void shorten(char out[PTF_MESSAGE_SIZE], const char *whole, size_t size)
{
    static const char gap[] = "...";
    const size_t half = (PTF_MESSAGE_SIZE - sizeof(gap)) / 2;
    size_t front = 0, rest = 0;
    if (size < PTF_MESSAGE_SIZE) {
        memcpy(out, whole, size + 1);
        return;
    }
    while (rest < size - half) {
        front = rest <= half ? rest : front;
        rest += unit_length((const uint8_t *)whole + rest, size - rest);
    }
    text t = {out, PTF_MESSAGE_SIZE};
    text_put(&t, whole, front);
    text_put(&t, gap, strlen(gap));
    text_put(&t, whole + rest, size - rest);
}

enum { MOST_TEXT = 8192 }; /* of a message before it is shortened */

ptf_status(ptf_fail)(ptf_error *err, ptf_status status,
                     const ptf_origin *origin, uint64_t offset, const char *fmt,
                     ...)
{
    if (err == NULL)
        return status;
    char raw[MOST_TEXT], whole[2 * MOST_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof(raw), fmt, args);
    va_end(args);

    text t = {whole, sizeof(whole)};
    put_place(&t, origin, offset);
    text_put_escaped(&t, raw);
    err->status = status;
    shorten(err->message, whole, sizeof(whole) - t.left);
    return status;
}

ptf_status ptf_error_set(ptf_error *err, ptf_status status, const char *message)
{
    return ptf_fail(err, status, NULL, PTF_NO_OFFSET, "%s", message);
}

ptf_status(ptf_fail_memory)(ptf_error *err)
{
    return ptf_fail(err, PTF_MEMORY, NULL, PTF_NO_OFFSET, "out of memory");
}

ptf_status(ptf_fail_errno)(ptf_error *err, const char *file, const char *verb)
{
    ptf_origin origin = {file, NULL};
    return ptf_fail(err, errno == ENOMEM ? PTF_MEMORY : PTF_IO, &origin,
                    PTF_NO_OFFSET, "cannot %s: %s", verb, strerror(errno));
}

const char *ptf_version(void)
{
    return PTF_VERSION;
}
