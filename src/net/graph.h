/*
 * graph: the text of a graph, one line per value; docs/graph.md has it all.
 *
 *     ptfold graph 1
 *     input x f32 [N,3,32,32]
 *     const conv1.weight f32 [16,3,3,3]
 *     conv1 = conv2d(x, conv1.weight) padding=[1,1]
 *     add_1 = add(conv1, conv1)
 *     output add_1
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_GRAPH_H
#define PTF_GRAPH_H

#include "net/net.h"

enum {
    PTF_GRAPH_VERSION = 1,
    PTF_GRAPH_TEXT_MAX = 1 << 22,     /* bytes of a text */
    PTF_GRAPH_NODES_MAX = 40000,      /* values that are computed or read */
    PTF_GRAPH_TENSORS_MAX = 80000,    /* constants and parameters */
    PTF_GRAPH_OPERANDS_MAX = 1 << 16, /* of all nodes together */
    PTF_GRAPH_NAME_MAX = 1024,        /* bytes of a name */
    PTF_GRAPH_ATTRS_MAX = 32,         /* attributes of a node */
    PTF_GRAPH_PORTS_MAX = 4096,       /* inputs; outputs */
};

/* True for a text that begins as that of a graph does, in any version. */
bool ptf_graph_is(const char *text);

/*
 * The net of a graph's text, without numbers: its tensors have names, shapes
 * and dtypes.  Errors say line and column: PTF_FORMAT for what is no such text,
 * PTF_UNSUPPORTED for ops and attributes that ptfold does not have.
 */
ptf_status ptf_graph_parse(const char *text, const char *text_name,
                           ptf_net **out, ptf_error *err);

/* ----------------------------------------------------------------- printing */

/* What names without quotes consist of. */
static inline bool ptf_graph_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '.';
}

/* A name as it stands in the text, in quotes where it must. */
bool ptf_graph_is_plain(const char *name);
void ptf_graph_print_name(FILE *out, const char *name);

/* The attributes of a node, " stride=[2,2]"; NULL when out of memory. */
char *ptf_graph_attributes(ptf_arena *arena, const ptf_node *node);

/* ----------------------------------------------------------------- scanning */

typedef enum ptf_token_kind {
    PTF_TOKEN_END,     /* of the text */
    PTF_TOKEN_NEWLINE, /* and the comment before it */
    PTF_TOKEN_WORD,    /* letters, digits, _ and . */
    PTF_TOKEN_QUOTED,  /* a name in quotes; its text is without escapes */
    PTF_TOKEN_NUMBER,  /* %12: a value without a name */
    PTF_TOKEN_MARK,    /* ( ) [ ] , = */
} ptf_token_kind;

typedef struct ptf_token {
    ptf_token_kind kind;
    ptf_text_span raw; /* as it stands in the text */
    const char *name;  /* of words and what is quoted */
    int64_t number;    /* of numbers */
} ptf_token;

/* A place in a text, with the token there. */
typedef struct ptf_scan {
    const char *file, *at, *line_start;
    int line;
    ptf_token token;
    ptf_arena *arena; /* of names */
    ptf_error *err;
} ptf_scan;

/* Goes on to the next token. */
ptf_status ptf_scan_next(ptf_scan *s);

/*
 * From a token '=' on: what stands up to the next space, or in brackets, is the
 * value of an attribute, and then the next token.
 */
ptf_status ptf_scan_value(ptf_scan *s, ptf_text_span *out);

static inline bool ptf_scan_is(const ptf_scan *s, char mark)
{
    return s->token.kind == PTF_TOKEN_MARK && s->token.raw.text[0] == mark;
}

/* PTF_FORMAT: "FILE: line 3, column 7: expected 'what', got ...". */
ptf_status ptf_scan_expected(const ptf_scan *s, const char *what);

/* The same place with another message; 'at' points into the text. */
ptf_status ptf_scan_fail(const ptf_scan *s, ptf_status status, const char *at,
                         const char *fmt, ...) PTF_PRINTF(4, 5);
#ifdef __clang_analyzer__ /* see ptf_fail() */
#define ptf_scan_expected(s, what) (ptf_scan_expected(s, what), PTF_FORMAT)
#define ptf_scan_fail(s, status, ...) \
    (ptf_scan_fail(s, status, __VA_ARGS__), status)
#endif

#endif
