/*
 * The forward() that torch.fx generates, and print() shows after the modules:
 *
 *     def forward(self, input):
 *         input_1 = input
 *         c = self.c(input_1);  input_1 = None
 *         f = torch.flatten(c, 1);  c = None
 *         l = getattr(self.head, "0")(f);  f = None
 *         return l
 *
 * Only such a chain is understood: each line takes the value of the line
 * before, and runs the layer that is next in the text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/order.h"

typedef struct code {
    const ptf_net *net;
    const ptf_text *text;
    ptf_error *err;
    const ptf_line *line;
    const char *at, *end; /* the rest of a statement */
    ptf_text_span value;  /* the variable that the line before set */
    int node;             /* that ran last */
} code;

/* ------------------------------------------------------------------- tokens */

static bool take(code *c, const char *token)
{
    size_t size = strlen(token);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, token, size) != 0)
        return false;
    c->at += size;
    return true;
}

static bool take_name(code *c, ptf_text_span *out)
{
    *out = (ptf_text_span){c->at, 0};
    while (c->at < c->end && ptf_is_name_byte(*c->at))
        c->at++;
    out->size = (size_t)(c->at - out->text);
    return out->size > 0;
}

/* The variable that holds the value so far. */
static bool take_value(code *c)
{
    ptf_text_span name;
    return take_name(c, &name) && name.size == c->value.size &&
           memcmp(name.text, c->value.text, name.size) == 0;
}

/* -------------------------------------------------------------------- paths */

enum { PATH = 1200 };

static bool add_key(char path[PATH], ptf_text_span key)
{
    size_t size = strlen(path);
    if (size + key.size + 2 > PATH)
        return false;
    snprintf(path + size, PATH - size, "%s%.*s", size > 0 ? "." : "",
             (int)key.size, key.text);
    return true;
}

static bool take_attributes(code *c, char path[PATH])
{
    ptf_text_span key;
    while (take(c, ".")) {
        if (!take_name(c, &key) || !add_key(path, key))
            return false;
    }
    return true;
}

/* self.a.b, and getattr(self.a, "0") for keys that are no names. */
static bool take_path(code *c, char path[PATH])
{
    ptf_text_span key;
    int depth = 0;
    path[0] = '\0';
    while (take(c, "getattr("))
        depth++;
    if (!take(c, "self") || !take_attributes(c, path))
        return false;
    for (; depth > 0; depth--) {
        if (!take(c, ", \"") || !take_name(c, &key) || !take(c, "\")") ||
            !add_key(path, key) || !take_attributes(c, path))
            return false;
    }
    return path[0] != '\0';
}

/* --------------------------------------------------------------- statements */

static ptf_status PTF_PRINTF(2, 3) fail(const code *c, const char *fmt, ...)
{
    char want[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(want, sizeof(want), fmt, args);
    va_end(args);
    int shown = c->line->size < 60 ? (int)c->line->size : 60;
    return ptf_text_fail(c->err, PTF_UNSUPPORTED, c->text->name,
                         c->line->number,
                         "in the forward() of torch.fx, expected %s, got "
                         "'%.*s'; ptfold runs the text's modules one after the "
                         "other only",
                         want, shown, c->line->at);
}

/* "self.c(x)" of the layer that is next, or "torch.flatten(x, 1)". */
static bool take_call(code *c, const ptf_node *next)
{
    char path[PATH];
    if (next->implied)
        return take(c, "torch.flatten(") && take_value(c) && take(c, ", 1)");
    return take_path(c, path) && strcmp(path, next->name) == 0 &&
           take(c, "(") && take_value(c) && take(c, ")");
}

/* "name = value" alone gives the value another name. */
static bool take_alias(code *c)
{
    const char *start = c->at;
    if (take_value(c) && c->at == c->end)
        return true;
    c->at = start;
    return false;
}

static ptf_status read_assignment(code *c)
{
    ptf_text_span name;
    if (!take_name(c, &name) || !take(c, " = "))
        return fail(c, "'name = self.layer(value)'");
    if (!take_alias(c)) {
        if (c->node + 1 == c->net->node_count)
            return fail(c, "'return', as all layers have run");
        const ptf_node *next = &c->net->nodes[c->node + 1];
        if (!take_call(c, next) || c->at != c->end)
            return fail(c, "a call of %.100s with the value before",
                        next->implied ? "torch.flatten(..., 1)" : next->name);
        c->node++;
    }
    c->value = name;
    return PTF_OK;
}

static ptf_status read_return(code *c)
{
    if (!take_value(c) || c->at != c->end)
        return fail(c, "'return' of the last value");
    if (c->node + 1 != c->net->node_count)
        return fail(c, "a call of %.100s before the end",
                    c->net->nodes[c->node + 1].name);
    return PTF_OK;
}

/* What follows a semicolon only lets go of variables: "x = y = None". */
static bool lets_go(const char *at, const char *end)
{
    static const char none[] = "None";
    size_t size = strlen(none);
    return (size_t)(end - at) >= size && memcmp(end - size, none, size) == 0 &&
           memchr(at, '(', (size_t)(end - at)) == NULL &&
           memchr(at, ';', (size_t)(end - at)) == NULL;
}

/* Sets the statement to read. */
static bool begin(code *c, const ptf_line *line)
{
    const char *end = line->at + line->size;
    const char *semicolon = memchr(line->at, ';', line->size);
    c->line = line;
    c->at = line->at;
    c->end = semicolon != NULL ? semicolon : end;
    return semicolon == NULL || lets_go(semicolon + 1, end);
}

/* "def forward(self, x : torch.Tensor):" with one value. */
static ptf_status read_head(code *c)
{
    if (!take(c, "def forward(self, ") || !take_name(c, &c->value) ||
        memchr(c->at, ',', (size_t)(c->end - c->at)) != NULL ||
        memchr(c->at, '=', (size_t)(c->end - c->at)) != NULL)
        return fail(c, "'def forward(self, x):'");
    return PTF_OK;
}

ptf_status ptf_code_check(const ptf_net *net, const ptf_text *text, int first,
                          ptf_error *err)
{
    code c = {.net = net, .text = text, .err = err};
    static const char head[] = "def forward(";
    if (text->lines[first].size < strlen(head) ||
        memcmp(text->lines[first].at, head, strlen(head)) != 0)
        return ptf_text_fail(
            err, PTF_FORMAT, text->name, text->lines[first].number,
            "expected the end of the text after the model's ')', "
            "got more");
    begin(&c, &text->lines[first]);
    ptf_status status = read_head(&c);
    for (int i = first + 1; status == PTF_OK && i < text->line_count; i++) {
        if (!begin(&c, &text->lines[i]))
            return fail(&c, "one call in a line");
        if (!take(&c, "return ")) {
            status = read_assignment(&c);
            continue;
        }
        status = read_return(&c);
        if (status != PTF_OK || i + 1 == text->line_count)
            return status;
        c.line = &text->lines[i + 1];
        return fail(&c, "the end");
    }
    return status != PTF_OK ? status : fail(&c, "'return'");
}
