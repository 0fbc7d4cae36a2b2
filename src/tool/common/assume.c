/*
 * What results rest on when forward() was not seen: in words, and the signs
 * that they are wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

const char *tool_assumption(const ptf_net *a, const ptf_net *b,
                            char text[TOOL_ASSUMPTION])
{
    const char *of_a = ptf_net_assumption(a);
    const char *of_b = b != NULL ? ptf_net_assumption(b) : NULL;
    bool both = of_a != NULL && of_b != NULL && strcmp(of_a, of_b) != 0;
    if (of_a == NULL && of_b == NULL)
        return NULL;
    snprintf(text, TOOL_ASSUMPTION, "%s%s%s", of_a != NULL ? of_a : of_b,
             both ? ", and " : "", both ? of_b : "");
    return text;
}

static void print(const char *before, const ptf_net *a, const ptf_net *b,
                  const char *after, FILE *out)
{
    char text[TOOL_ASSUMPTION];
    if (tool_assumption(a, b, text) == NULL)
        return;
    fputs(before, out);
    ptf_print_escaped(out, text, strlen(text));
    fputs(after, out);
}

void tool_print_if(const ptf_net *a, const ptf_net *b, FILE *out)
{
    print(" if ", a, b, "", out);
}

void tool_print_assumption(const ptf_net *a, const ptf_net *b, FILE *out)
{
    print("assumes ", a, b, "\n", out);
}

void tool_json_assumption(tool_json *json, const ptf_net *a, const ptf_net *b)
{
    char text[TOOL_ASSUMPTION];
    json_text(json, "assumes", tool_assumption(a, b, text));
}

void tool_csv_text(const char *text)
{
    if (text[strcspn(text, ",\"\r\n")] == '\0') {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"')
            putchar('"');
        putchar(*p);
    }
    putchar('"');
}

void tool_csv_assumption(const ptf_net *net)
{
    char text[TOOL_ASSUMPTION];
    const char *assumption = tool_assumption(net, NULL, text);
    tool_csv_text(assumption != NULL ? assumption : "");
}

void tool_warn_of_order(const tool_source *source, const ptf_net *net)
{
    const char *doubt;
    for (size_t i = 0; (doubt = ptf_net_doubt(net, i)) != NULL; i++) {
        fprintf(stderr, "%s: warning: ", tool_program());
        ptf_print_escaped(stderr, source->path, strlen(source->path));
        fputs(": ", stderr);
        ptf_print_escaped(stderr, doubt, strlen(doubt));
        fputs("; does forward() run them as printed?\n", stderr);
    }
}
