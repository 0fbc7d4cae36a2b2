/*
 * Texts that come from files, in columns and lines that a terminal has room
 * for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

/* The character of UTF-8 that is 'count' of them after the one at 'text'. */
static const char *skip_characters(const char *text, int count)
{
    for (; count > 0; count--) {
        do
            text++;
        while (((unsigned char)*text & 0xc0) == 0x80);
    }
    return text;
}

static int count_characters(const char *text)
{
    int count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* 'text' as ptf_print_escaped() writes it, to be freed; or NULL. */
static char *escape(const char *text)
{
    char *escaped = NULL;
    size_t size;
    FILE *out = open_memstream(&escaped, &size);
    if (out == NULL)
        return NULL;
    ptf_print_escaped(out, text, strlen(text));
    if (fclose(out) == 0)
        return escaped;
    free(escaped);
    return NULL;
}

int tool_width(const char *text)
{
    char *escaped = escape(text);
    int width = escaped != NULL ? count_characters(escaped) : 0;
    free(escaped);
    return width;
}

void tool_print_short(FILE *out, const char *text, int columns)
{
    static const char gap[] = "...";
    char *escaped = escape(text);
    int width = escaped != NULL ? count_characters(escaped) : 0;
    if (escaped == NULL || width <= columns) {
        fputs(escaped != NULL ? escaped : "?", out);
    } else { /* more of the end, where the names of a folder differ */
        int room = columns - (int)strlen(gap), front = room / 3;
        const char *rest = skip_characters(escaped, width - (room - front));
        fprintf(out, "%.*s%s%s",
                (int)(skip_characters(escaped, front) - escaped), escaped, gap,
                rest);
    }
    free(escaped);
}

void tool_print_name(FILE *out, const char *text, int columns)
{
    int width = tool_width(text);
    tool_print_short(out, text, columns);
    fprintf(out, "%*s", width < columns ? columns - width : 0, "");
}

void tool_print_file(const char *path)
{
    tool_print_short(stdout, path, TOOL_COLUMNS / 2 - 2);
    fputs(": ", stdout);
}

void tool_print_wrapped(tool_line *line, const char *text)
{
    int width = tool_width(text);
    bool fits = line->used + 1 + width <= TOOL_COLUMNS;
    if (line->used > 0)
        fputs(fits ? " " : "\n    ", line->out);
    line->used += fits ? (line->used > 0) + width : 4 + width - line->used;
    ptf_print_escaped(line->out, text, strlen(text));
}

void tool_print_words(tool_line *line, const char *text)
{
    char word[TOOL_COLUMNS];
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        snprintf(word, sizeof(word), "%.*s", (int)size, text);
        tool_print_wrapped(line, word);
        text += size + (text[size] == ' ');
    }
}
