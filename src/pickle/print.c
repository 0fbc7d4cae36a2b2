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

static void print_value(printer *p, const ptf_object *value);

static void print_text(printer *p, const ptf_object *value)
{
    enum { SHOWN = 200 };
    uint32_t n = value->count < SHOWN ? value->count : SHOWN;
    fputc('\'', p->out);
    ptf_print_escaped(p->out, value->text, n);
    fputs(n < value->count ? "'..." : "'", p->out);
}

static void print_bytes(printer *p, const ptf_object *value)
{
    fprintf(p->out, "%s of %u bytes",
            value->kind == PTF_OBJECT_BIG_INT ? "integer" : "bytes",
            value->count);
}

static void print_global(printer *p, const ptf_object *value)
{
    const ptf_global *g = value->global;
    ptf_print_escaped(p->out, g->module, strlen(g->module));
    fputc('.', p->out);
    ptf_print_escaped(p->out, g->name, strlen(g->name));
}

/* A value that fits on its line. */
static void print_scalar(printer *p, const ptf_object *value)
{
    switch ((ptf_object_kind)value->kind) {
    case PTF_OBJECT_NONE: fputs("None", p->out); break;
    case PTF_OBJECT_BOOL:
        fputs(value->boolean ? "True" : "False", p->out);
        break;
    case PTF_OBJECT_INT:
        fprintf(p->out, "%lld", (long long)value->integer);
        break;
    case PTF_OBJECT_FLOAT: fprintf(p->out, "%.17g", value->number); break;
    case PTF_OBJECT_STRING: print_text(p, value); break;
    case PTF_OBJECT_BIG_INT:
    case PTF_OBJECT_BYTES: print_bytes(p, value); break;
    case PTF_OBJECT_GLOBAL: print_global(p, value); break;
    case PTF_OBJECT_TUPLE:
    case PTF_OBJECT_LIST:
    case PTF_OBJECT_SET:
    case PTF_OBJECT_DICT:
    case PTF_OBJECT_INSTANCE:
    case PTF_OBJECT_PERSISTENT: break;
    }
}

static bool is_scalar(const ptf_object *value)
{
    return value->kind < PTF_OBJECT_TUPLE || value->kind == PTF_OBJECT_GLOBAL;
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

static void print_tree(printer *p, const ptf_object *value)
{
    static const char *const names[] = {
        [PTF_OBJECT_TUPLE] = "tuple",
        [PTF_OBJECT_LIST] = "list",
        [PTF_OBJECT_SET] = "set",
        [PTF_OBJECT_DICT] = "dict",
        [PTF_OBJECT_PERSISTENT] = "persistent",
        [PTF_OBJECT_INSTANCE] = "object",
    };
    static const char *const parts[] = {"call", "args", "state", "pairs",
                                        "items"};
    bool dict = value->kind == PTF_OBJECT_DICT;
    fprintf(p->out, "%s", names[value->kind]);
    if (value->kind != PTF_OBJECT_INSTANCE &&
        value->kind != PTF_OBJECT_PERSISTENT)
        fprintf(p->out, " of %u", dict ? value->count / 2 : value->count);
    fputc('\n', p->out);
    p->depth++;
    for (uint32_t i = 0; i < value->count; i += dict ? 2 : 1) {
        if (value->items[i] == NULL)
            continue;
        if (!begin_line(p))
            break;
        if (value->kind == PTF_OBJECT_INSTANCE)
            fprintf(p->out, "%s ", parts[i]);
        if (dict && is_scalar(value->items[i])) {
            print_scalar(p, value->items[i]);
            fputs(": ", p->out);
        }
        print_value(p, value->items[dict ? i + 1 : i]);
    }
    p->depth--;
}

static void print_value(printer *p, const ptf_object *value)
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

void ptf_object_print(const ptf_object *value, size_t max_lines, FILE *out)
{
    printer p = {out, max_lines, 0};
    if (begin_line(&p))
        print_value(&p, value);
}
