/*
 * The lines of a print(model) text.
 *
 *     module := NAME '(' args ')'  |  NAME '(' newline child* ')'
 *     child  := '(' key '): ' [N ' x '] module newline
 *     key    := name | first '-' last          (the second one with N)
 *
 * PyTorch up to 0.3 puts a space before the parenthesis; since 2.0 it writes
 * equal neighbours of a ModuleList as one line with N.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/text.h"

ptf_status ptf_text_fail(ptf_error *err, ptf_status status, const char *name,
                         int line, const char *fmt, ...)
{
    char message[2048], entry[32];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    snprintf(entry, sizeof(entry), "line %d", line);
    ptf_origin origin = {name, entry};
    return ptf_fail(err, status, &origin, PTF_NO_OFFSET, "%s", message);
}

/* ------------------------------------------------------------------- lines */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static ptf_line trim(ptf_line line)
{
    while (line.size > 0 && is_space(line.at[0])) {
        line.at++;
        line.size--;
    }
    while (line.size > 0 && is_space(line.at[line.size - 1]))
        line.size--;
    return line;
}

/* "# input: 3x32x32"; other comments say nothing. */
static ptf_status read_comment(ptf_text *out, const ptf_line *line,
                               ptf_error *err)
{
    static const char word[] = "input:";
    ptf_line rest = trim((ptf_line){line->at + 1, line->size - 1, 0});
    if (rest.size < strlen(word) || memcmp(rest.at, word, strlen(word)) != 0)
        return PTF_OK;
    rest =
        trim((ptf_line){rest.at + strlen(word), rest.size - strlen(word), 0});
    char shape[64] = "";
    if (rest.size < sizeof(shape))
        memcpy(shape, rest.at, rest.size);
    if (!ptf_shape_parse(shape, &out->input))
        return ptf_text_fail(err, PTF_FORMAT, out->name, line->number,
                             "expected an input shape such as 3x32x32, got "
                             "'%.*s'",
                             (int)rest.size, rest.at);
    if (out->has_input)
        return ptf_text_fail(err, PTF_FORMAT, out->name, line->number,
                             "a second input shape");
    out->has_input = true;
    return PTF_OK;
}

/* Some editors write it in front. */
static const char byte_order_mark[] = "\xef\xbb\xbf";

static ptf_status check_line(const ptf_text *text, const ptf_line *line,
                             ptf_error *err)
{
    if (line->size > PTF_LINE_MAX)
        return ptf_text_fail(err, PTF_FORMAT, text->name, line->number,
                             "a line of %zu bytes, expected at most %d",
                             line->size, PTF_LINE_MAX);
    if (!ptf_is_shown(line->at, line->size))
        return ptf_text_fail(err, PTF_FORMAT, text->name, line->number,
                             "control characters, invisible ones or bad UTF-8 "
                             "in what should be the text that print(model) "
                             "prints");
    return PTF_OK;
}

/* Cuts the next line off *text. */
static ptf_line take_line(const char **text, int number)
{
    size_t size = strcspn(*text, "\n");
    ptf_line line = {*text, size, number};
    *text += size + ((*text)[size] == '\n');
    return trim(line);
}

static size_t count_lines(const char *text)
{
    size_t count = 1;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

ptf_status ptf_text_read(ptf_arena *arena, const char *text, const char *name,
                         ptf_text *out, ptf_error *err)
{
    *out = (ptf_text){.name = name};
    ptf_origin origin = {name, NULL};
    if (strnlen(text, PTF_TEXT_MAX + 1) > PTF_TEXT_MAX)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "more than %d bytes of text", PTF_TEXT_MAX);
    if (strncmp(text, byte_order_mark, 3) == 0)
        text += 3;
    ptf_line *lines = ptf_arena_array(arena, count_lines(text), sizeof(*lines));
    if (lines == NULL)
        return ptf_fail_memory(err);
    out->lines = lines;
    while (*text != '\0') {
        ptf_line line = take_line(&text, ++out->last_number);
        if (line.size == 0)
            continue;
        ptf_status status = line.at[0] == '#' ? read_comment(out, &line, err)
                                              : check_line(out, &line, err);
        if (status != PTF_OK)
            return status;
        if (line.at[0] != '#')
            lines[out->line_count++] = line;
    }
    if (out->line_count == 0)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected the text that print(model) prints, got "
                        "nothing");
    return PTF_OK;
}

/* ------------------------------------------------------------------- items */

bool ptf_is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

/* Takes a number of at most 9 digits off the front; -1 when there is none. */
static int64_t take_number(const char **at, const char *end)
{
    int64_t value = -1;
    for (int i = 0; i < 9 && *at < end && **at >= '0' && **at <= '9'; i++)
        value = 10 * (value < 0 ? 0 : value) + (*(*at)++ - '0');
    return value;
}

static bool take_text(const char **at, const char *end, const char *want)
{
    size_t size = strlen(want);
    if ((size_t)(end - *at) < size || memcmp(*at, want, size) != 0)
        return false;
    *at += size;
    return true;
}

/* "(key): " */
static bool take_key(const char **at, const char *end, ptf_item *out)
{
    if (!take_text(at, end, "("))
        return false;
    out->key = *at;
    while (*at < end && **at != ')' && **at != '.')
        (*at)++;
    out->key_size = (size_t)(*at - out->key);
    return out->key_size > 0 && take_text(at, end, "): ");
}

/* "3 x ", and then the key must be the range of 3 numbers. */
static bool take_repeat(const char **at, const char *end, ptf_item *out)
{
    const char *p = *at;
    int64_t count = take_number(&p, end);
    if (count < 0 || !take_text(&p, end, " x "))
        return true;
    const char *key = out->key, *key_end = out->key + out->key_size;
    out->first = take_number(&key, key_end);
    bool dash = take_text(&key, key_end, "-");
    int64_t last = take_number(&key, key_end);
    out->count = count;
    *at = p;
    return out->first >= 0 && dash && key == key_end && count > 0 &&
           last == out->first + count - 1;
}

/* "Name(", "Name(...)" */
static bool take_module(const char *at, const char *end, ptf_item *out)
{
    out->text = out->class_name = at;
    out->text_size = (size_t)(end - at);
    while (at < end && ptf_is_name_byte(*at))
        at++;
    out->class_size = (size_t)(at - out->class_name);
    if (out->class_size == 0)
        return false;
    take_text(&at, end, " ");
    if (!take_text(&at, end, "("))
        return false;
    out->kind = at == end ? PTF_LINE_OPEN : PTF_LINE_LAYER;
    if (at == end)
        return true;
    out->args = at;
    out->args_size = (size_t)(end - at) - 1;
    return end[-1] == ')';
}

/* What extra_repr() says of a module with children: "scale=2, ...". */
static bool is_setting(const ptf_line *line)
{
    size_t i = 0;
    while (i < line->size && line->at[i] != '(' && line->at[i] != '=')
        i++;
    return i > 0 && i < line->size && line->at[i] == '=';
}

ptf_status ptf_text_item(const ptf_text *text, const ptf_line *line,
                         bool is_root, ptf_item *out, ptf_error *err)
{
    *out =
        (ptf_item){.kind = PTF_LINE_CLOSE, .key = "", .first = -1, .count = 1};
    const char *at = line->at, *end = line->at + line->size;
    if (!is_root && line->size == 1 && *at == ')')
        return PTF_OK;
    bool ok =
        is_root || (take_key(&at, end, out) && take_repeat(&at, end, out));
    if (ok && take_module(at, end, out))
        return PTF_OK;
    int shown = line->size < 60 ? (int)line->size : 60;
    if (!is_root && is_setting(line))
        return ptf_text_fail(err, PTF_UNSUPPORTED, text->name, line->number,
                             "expected a container's children, got a "
                             "setting of its own, '%.*s', whose meaning "
                             "ptfold cannot know",
                             shown, line->at);
    return ptf_text_fail(err, PTF_FORMAT, text->name, line->number,
                         "expected %s, got '%.*s'",
                         is_root ? "the class name of a module and '(', as "
                                   "print(model) prints them"
                                 : "'(key): Module(...)' or ')'",
                         shown, line->at);
}
