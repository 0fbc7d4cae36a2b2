/*
 * The text of a graph cut into words, names, marks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/graph.h"

/* Characters of the line up to there, from 1. */
static int column(const ptf_scan *s, const char *at)
{
    int count = 1;
    for (const char *p = s->line_start; p < at; p++)
        count += ((unsigned char)*p >> 6) != 2;
    return count;
}

ptf_status(ptf_scan_fail)(const ptf_scan *s, ptf_status status, const char *at,
                          const char *fmt, ...)
{
    char message[1024], entry[48];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    snprintf(entry, sizeof(entry), "line %d, column %d", s->line,
             column(s, at));
    ptf_origin origin = {s->file, entry};
    return ptf_fail(s->err, status, &origin, PTF_NO_OFFSET, "%s", message);
}

ptf_status(ptf_scan_expected)(const ptf_scan *s, const char *what)
{
    const ptf_text_span raw = s->token.raw;
    int size = raw.size < 60 ? (int)raw.size : 60;
    if (s->token.kind == PTF_TOKEN_END)
        return ptf_scan_fail(s, PTF_FORMAT, raw.text,
                             "expected %s, got the end of the text", what);
    if (s->token.kind == PTF_TOKEN_NEWLINE)
        return ptf_scan_fail(s, PTF_FORMAT, raw.text,
                             "expected %s, got the end of the line", what);
    return ptf_scan_fail(s, PTF_FORMAT, raw.text, "expected %s, got '%.*s'",
                         what, size, raw.text);
}

/* ------------------------------------------------------------------- pieces */

/* -1 for what is no hexadecimal digit. */
static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Takes a character of a quoted name; 0 for what may not stand there. */
static size_t take_character(const char *at, char out[4], size_t *size)
{
    *size = 1;
    if (at[0] == '\\' && (at[1] == '"' || at[1] == '\\')) {
        out[0] = at[1];
        return 2;
    }
    if (at[0] == '\\') {
        int high = at[1] == 'x' ? digit(at[2]) : -1;
        int low = high >= 0 ? digit(at[3]) : -1;
        out[0] = (char)(16 * high + low);
        return low >= 0 && out[0] != '\0' ? 4 : 0;
    }
    int32_t code;
    bool shown;
    *size = ptf_character(at, strnlen(at, 4), &code, &shown);
    memcpy(out, at, *size);
    return shown ? *size : 0;
}

static ptf_status take_quoted(ptf_scan *s)
{
    char name[PTF_GRAPH_NAME_MAX + 4];
    const char *start = s->at++;
    size_t size = 0;
    while (*s->at != '"') {
        size_t added;
        size_t used = *s->at != '\0' && size <= PTF_GRAPH_NAME_MAX
                          ? take_character(s->at, name + size, &added)
                          : 0;
        if (used == 0)
            return ptf_scan_fail(s, PTF_FORMAT, s->at,
                                 "expected a name of at most %d bytes, with "
                                 "\\\", \\\\ or \\xNN for what cannot be "
                                 "shown, and '\"'",
                                 PTF_GRAPH_NAME_MAX);
        s->at += used;
        size += added;
    }
    s->at++;
    s->token.kind = PTF_TOKEN_QUOTED;
    s->token.raw = (ptf_text_span){start, (size_t)(s->at - start)};
    s->token.name = ptf_arena_copy(s->arena, name, size);
    return s->token.name != NULL ? PTF_OK : ptf_fail_memory(s->err);
}

static ptf_status take_word(ptf_scan *s)
{
    const char *start = s->at;
    while (ptf_graph_is_word(*s->at))
        s->at++;
    size_t size = (size_t)(s->at - start);
    if (size > PTF_GRAPH_NAME_MAX)
        return ptf_scan_fail(s, PTF_FORMAT, start,
                             "expected a name of at most %d bytes, got %zu",
                             PTF_GRAPH_NAME_MAX, size);
    s->token.kind = PTF_TOKEN_WORD;
    s->token.raw = (ptf_text_span){start, size};
    s->token.name = ptf_arena_copy(s->arena, start, size);
    return s->token.name != NULL ? PTF_OK : ptf_fail_memory(s->err);
}

/* "%12" */
static ptf_status take_number(ptf_scan *s)
{
    const char *start = s->at++;
    int64_t value = 0;
    int digits = 0;
    for (; *s->at >= '0' && *s->at <= '9' && digits < 9; digits++)
        value = 10 * value + (*s->at++ - '0');
    if (digits == 0 || ptf_graph_is_word(*s->at))
        return ptf_scan_fail(s, PTF_FORMAT, start,
                             "expected a number of a value after %%");
    s->token.kind = PTF_TOKEN_NUMBER;
    s->token.raw = (ptf_text_span){start, (size_t)(s->at - start)};
    s->token.number = value;
    return PTF_OK;
}

static void skip_spaces(ptf_scan *s)
{
    while (*s->at == ' ' || *s->at == '\t' || *s->at == '\r')
        s->at++;
    if (*s->at == '#')
        s->at += strcspn(s->at, "\n");
}

/* A newline is taken when the token after it is. */
ptf_status ptf_scan_next(ptf_scan *s)
{
    if (s->token.kind == PTF_TOKEN_NEWLINE) {
        s->line++;
        s->line_start = ++s->at;
    }
    skip_spaces(s);
    s->token = (ptf_token){.raw = {s->at, 1}};
    if (*s->at == '\0') {
        s->token.kind = PTF_TOKEN_END;
    } else if (*s->at == '\n') {
        s->token.kind = PTF_TOKEN_NEWLINE;
    } else if (strchr("()[],=", *s->at) != NULL) {
        s->token.kind = PTF_TOKEN_MARK;
        s->at++;
    } else if (*s->at == '"') {
        return take_quoted(s);
    } else if (*s->at == '%') {
        return take_number(s);
    } else if (ptf_graph_is_word(*s->at)) {
        return take_word(s);
    } else {
        int32_t code;
        bool shown;
        size_t n = ptf_character(s->at, strnlen(s->at, 4), &code, &shown);
        return ptf_scan_fail(s, PTF_FORMAT, s->at,
                             "expected a name, got '%.*s'; other names than "
                             "letters, digits, _ and . stand in quotes",
                             (int)n, s->at);
    }
    return PTF_OK;
}

ptf_status ptf_scan_value(ptf_scan *s, ptf_text_span *out)
{
    static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ_.+-";
    const char *start = s->at;
    size_t size = strspn(start, plain);
    if (*start == '[') {
        size = 1 + strspn(start + 1, "0123456789.+-eNon, ");
        size = start[size] == ']' ? size + 1 : 0;
    }
    if (size == 0)
        return ptf_scan_fail(s, PTF_FORMAT, start,
                             "expected a value such as 2, 1e-05, True or "
                             "[1,1], with no space before it");
    *out = (ptf_text_span){start, size};
    s->at += size;
    return ptf_scan_next(s);
}
