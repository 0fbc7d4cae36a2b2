/*
 * Printing a tree of values, one a line, each once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/pickle.h"

typedef struct printer {
    FILE *out;
    size_t left; /* lines */
    int depth;
} printer;

static void print_value(printer *p, const ptf_value *value);

static void print_text(printer *p, const ptf_value *value)
{
    enum { SHOWN = 200 };
    uint32_t n = value->count < SHOWN ? value->count : SHOWN;
    fputc('\'', p->out);
    ptf_print_escaped(p->out, value->text, n);
    fputs(n < value->count ? "'..." : "'", p->out);
}

static void print_bytes(printer *p, const ptf_value *value)
{
    fprintf(p->out, "%s of %u bytes",
            value->kind == PTF_BIG ? "integer" : "bytes", value->count);
}

static void print_global(printer *p, const ptf_value *value)
{
    const ptf_global *g = value->global;
    ptf_print_escaped(p->out, g->module, strlen(g->module));
    fputc('.', p->out);
    ptf_print_escaped(p->out, g->name, strlen(g->name));
}

/* A value that fits on its line. */
static void print_scalar(printer *p, const ptf_value *value)
{
    switch ((ptf_kind)value->kind) {
    case PTF_NONE: fputs("None", p->out); break;
    case PTF_BOOLEAN: fputs(value->boolean ? "True" : "False", p->out); break;
    case PTF_INT: fprintf(p->out, "%lld", (long long)value->integer); break;
    case PTF_FLOAT: fprintf(p->out, "%.17g", value->number); break;
    case PTF_STRING: print_text(p, value); break;
    case PTF_BIG:
    case PTF_BYTES: print_bytes(p, value); break;
    case PTF_GLOBAL: print_global(p, value); break;
    case PTF_TUPLE:
    case PTF_LIST:
    case PTF_SET:
    case PTF_DICT:
    case PTF_OBJECT:
    case PTF_PERSISTENT: break;
    }
}

static bool is_scalar(const ptf_value *value)
{
    return value->kind < PTF_TUPLE || value->kind == PTF_GLOBAL;
}

static bool begin_line(printer *p)
{
    if (p->left == 0)
        return false;
    if (--p->left == 0) {
        fputs("...\n", p->out);
        return false;
    }
    fprintf(p->out, "%*s", 2 * p->depth, "");
    return true;
}

static void print_tree(printer *p, const ptf_value *value)
{
    static const char *const names[] = {
        [PTF_TUPLE] = "tuple",
        [PTF_LIST] = "list",
        [PTF_SET] = "set",
        [PTF_DICT] = "dict",
        [PTF_PERSISTENT] = "persistent",
        [PTF_OBJECT] = "object",
    };
    static const char *const parts[] = {"call", "args", "state", "pairs",
                                        "items"};
    bool dict = value->kind == PTF_DICT;
    fprintf(p->out, "%s", names[value->kind]);
    if (value->kind != PTF_OBJECT && value->kind != PTF_PERSISTENT)
        fprintf(p->out, " of %u", dict ? value->count / 2 : value->count);
    fputc('\n', p->out);
    p->depth++;
    for (uint32_t i = 0; i < value->count; i += dict ? 2 : 1) {
        if (value->items[i] == NULL)
            continue;
        if (!begin_line(p))
            break;
        if (value->kind == PTF_OBJECT)
            fprintf(p->out, "%s ", parts[i]);
        if (dict && is_scalar(value->items[i])) {
            print_scalar(p, value->items[i]);
            fputs(": ", p->out);
        }
        print_value(p, value->items[dict ? i + 1 : i]);
    }
    p->depth--;
}

static void print_value(printer *p, const ptf_value *value)
{
    if (is_scalar(value)) {
        print_scalar(p, value);
        fputc('\n', p->out);
    } else if (p->depth >= PTF_PICKLE_MAX_NESTING) {
        fputs("(goes around)\n", p->out); /* only a cycle is that deep */
    } else {
        print_tree(p, value);
    }
}

void ptf_value_print(const ptf_value *value, size_t max_lines, FILE *out)
{
    printer p = {out, max_lines, 0};
    if (begin_line(&p))
        print_value(&p, value);
}
