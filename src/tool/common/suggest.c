/*
 * "Did you mean ...?": the known word nearest to an unknown one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

enum { LONGEST = sizeof(((tool_suggestion *)NULL)->best) - 1 };

static int least(int a, int b, int c)
{
    int ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static char fold(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* Letters to change, insert or remove (Levenshtein), whatever their case. */
static int distance(const char *a, const char *b)
{
    int row[LONGEST + 1];
    int n = (int)strlen(b);
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; a[i - 1] != '\0'; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int cost = fold(a[i - 1]) != fold(b[j - 1]);
            int here = least(row[j] + 1, row[j - 1] + 1, diagonal + cost);
            diagonal = row[j];
            row[j] = here;
        }
    }
    return row[n];
}

void tool_suggest(tool_suggestion *s, const char *known)
{
    if (strlen(known) > LONGEST || strlen(s->word) > LONGEST)
        return;
    int d = distance(s->word, known);
    int most = 1 + (int)strlen(known) / 3;
    if (d <= most && (s->best[0] == '\0' || d < s->distance)) {
        memcpy(s->best, known, strlen(known) + 1);
        s->distance = d;
    }
}

const char *tool_suggestion_text(const tool_suggestion *s, char text[128])
{
    text[0] = '\0';
    if (s->best[0] != '\0')
        snprintf(text, 128, "; did you mean %s%s?", s->prefix, s->best);
    return text;
}
