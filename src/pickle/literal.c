/*
 * Literals of protocol 0, each on a line of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/unpickle.h"

#include <stdlib.h>

typedef struct line {
    const char *text;
    size_t size;
} line;

static ptf_status refuse(ptf_cursor *c, const char *what, line l)
{
    return ptf_fail(c->err, PTF_FORMAT, &c->origin, c->pos - l.size - 1,
                    "expected %s, got '%.*s'", what,
                    l.size < 40 ? (int)l.size : 40, l.text);
}

/*
 * INT is decimal, or "00" and "01" for a truth value; LONG may end with L.
 * Python's two unpicklers differ on a leading zero, which is octal to one and
 * wrong to the other.
 */
static ptf_status parse_int(ptf_cursor *c, uint8_t opcode, line l,
                            ptf_object *out)
{
    line all = l;
    if (opcode == 'I' && l.size == 2 && l.text[0] == '0' &&
        (l.text[1] | 1) == '1') {
        *out =
            (ptf_object){.kind = PTF_OBJECT_BOOL, .boolean = l.text[1] == '1'};
        return PTF_OK;
    }
    if (opcode == 'L' && l.size > 0 && l.text[l.size - 1] == 'L')
        l.size--;
    size_t i = l.size > 0 && l.text[0] == '-';
    if (i == l.size || (l.text[i] == '0' && l.size > i + 1))
        return refuse(c, "an integer", all);
    int64_t n = 0;
    bool fits = true;
    for (size_t k = i; k < l.size; k++) {
        if (l.text[k] < '0' || l.text[k] > '9')
            return refuse(c, "an integer", all);
        int digit = l.text[k] - '0';
        fits = fits && ptf_mul_i64(n, 10, &n) &&
               ptf_add_i64(n, i == 1 ? -digit : digit, &n);
    }
    *out = fits ? (ptf_object){.kind = PTF_OBJECT_INT, .integer = n}
                : (ptf_object){.kind = PTF_OBJECT_BIG_INT,
                               .count = (uint32_t)l.size,
                               .text = l.text};
    return PTF_OK;
}

/* As Python's repr() writes it: no hexadecimal digits, no spaces. */
static ptf_status parse_float(ptf_cursor *c, line l, ptf_object *out)
{
    char text[64], *end = text;
    if (l.size == 0 || l.size >= sizeof(text))
        return refuse(c, "a float", l);
    memcpy(text, l.text, l.size);
    text[l.size] = '\0';
    const char *digits = text + (text[0] == '-');
    bool plain = strspn(digits, "0123456789+-.eE") == strlen(digits) ||
                 strcmp(digits, "inf") == 0 || strcmp(digits, "nan") == 0;
    double number = strtod(text, &end);
    if (!plain || end != text + l.size)
        return refuse(c, "a float", l);
    *out = (ptf_object){.kind = PTF_OBJECT_FLOAT, .number = number};
    return PTF_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number of 'n' hexadecimal digits, -1 when they are not. */
static long hex_number(const char *text, size_t left, size_t n)
{
    long value = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = i < left ? hex_digit(text[i]) : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* One escape of repr(str) after its backslash; returns the bytes used. */
static size_t unescape(const char *text, size_t left, char *out)
{
    static const char from[] = "\\'\"nrtabfv", to[] = "\\'\"\n\r\t\a\b\f\v";
    const char *at = left > 0 ? strchr(from, text[0]) : NULL;
    if (at != NULL && *at != '\0') {
        *out = to[at - from];
        return 1;
    }
    long code =
        left > 0 && text[0] == 'x' ? hex_number(text + 1, left - 1, 2) : -1;
    *out = (char)code;
    return code < 0 ? 0 : 3;
}

/* A quoted Python 2 string, with the escapes that repr() makes. */
static ptf_status parse_quoted(ptf_cursor *c, line l, ptf_arena *arena,
                               ptf_object *out)
{
    if (l.size < 2 || (l.text[0] != '\'' && l.text[0] != '"') ||
        l.text[l.size - 1] != l.text[0])
        return refuse(c, "a quoted string", l);
    char *text = ptf_arena_alloc(arena, l.size);
    if (text == NULL)
        return ptf_fail_memory(c->err);
    uint32_t n = 0;
    for (size_t i = 1; i + 1 < l.size; n++) {
        size_t used = 1;
        if (l.text[i] == '\\') {
            used = unescape(l.text + i + 1, l.size - 2 - i, &text[n]);
            if (used++ == 0)
                return refuse(c, "a string with known escapes", l);
        } else {
            text[n] = l.text[i];
        }
        i += used;
    }
    *out = (ptf_object){.kind = PTF_OBJECT_STRING, .count = n, .text = text};
    return PTF_OK;
}

/* Appends a code point as UTF-8. */
static uint32_t put_utf8(char *out, uint32_t n, long code)
{
    if (code < 0x80) {
        out[n++] = (char)code;
    } else if (code < 0x800) {
        out[n++] = (char)(0xc0 | code >> 6);
        out[n++] = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        out[n++] = (char)(0xe0 | code >> 12);
        out[n++] = (char)(0x80 | (code >> 6 & 63));
        out[n++] = (char)(0x80 | (code & 63));
    } else {
        out[n++] = (char)(0xf0 | code >> 18);
        out[n++] = (char)(0x80 | (code >> 12 & 63));
        out[n++] = (char)(0x80 | (code >> 6 & 63));
        out[n++] = (char)(0x80 | (code & 63));
    }
    return n;
}

/*
 * One character of raw-unicode-escape: Latin-1, \uXXXX and \UXXXXXXXX.  Any
 * other pair of a backslash and what follows stands for itself, so that the
 * second of two backslashes begins no escape.  Returns the bytes used.
 */
static size_t take_raw(const char *text, size_t left, long *code)
{
    *code = (uint8_t)text[0];
    if (text[0] != '\\' || left < 2 || (text[1] != 'u' && text[1] != 'U'))
        return 1;
    size_t digits = text[1] == 'u' ? 4 : 8;
    *code = hex_number(text + 2, left - 2, digits);
    return 2 + digits;
}

static ptf_status parse_unicode(ptf_cursor *c, line l, ptf_arena *arena,
                                ptf_object *out)
{
    char *text = ptf_arena_alloc(arena, 2 * l.size + 1);
    if (text == NULL)
        return ptf_fail_memory(c->err);
    uint32_t n = 0;
    for (size_t i = 0; i < l.size;) {
        long code;
        size_t used = take_raw(l.text + i, l.size - i, &code);
        if (code < 0 || code > 0x10ffff)
            return refuse(c, "text with known escapes", l);
        n = put_utf8(text, n, code);
        i += used;
        if (code == '\\' && used == 1 && i < l.size) /* and its pair */
            n = put_utf8(text, n, (uint8_t)l.text[i++]);
    }
    *out = (ptf_object){.kind = PTF_OBJECT_STRING, .count = n, .text = text};
    return PTF_OK;
}

ptf_status ptf_parse_literal(ptf_cursor *c, uint8_t opcode, ptf_arena *arena,
                             ptf_object *out)
{
    line l = {NULL, 0};
    ptf_status status = ptf_take_line(c, &l.text, &l.size, "a literal");
    if (status != PTF_OK)
        return status;
    switch (opcode) {
    case 'F': return parse_float(c, l, out);
    case 'S': return parse_quoted(c, l, arena, out);
    case 'V': return parse_unicode(c, l, arena, out);
    default: return parse_int(c, opcode, l, out);
    }
}
