/*
 * text: the lines of what print(model) prints.  One line opens a module with
 * children, is a whole layer, or closes a module; indentation carries no
 * meaning beyond that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TEXT_H
#define PTF_TEXT_H

#include "net/net.h"

enum {
    PTF_TEXT_MAX = 1 << 20, /* bytes of a text */
    PTF_LINE_MAX = 1024,    /* bytes of a line without its indentation */
    PTF_PATH_MAX = 1024,    /* bytes of a dotted path */
    PTF_DEPTH_MAX = 64,     /* containers in containers */
    PTF_LAYER_MAX = 10000,  /* layers, and containers */
};

/* A line that says something: trimmed, neither empty nor a comment. */
typedef struct ptf_line {
    const char *at;
    size_t size;
    int number;
} ptf_line;

/* A text cut into lines, which borrow from it. */
typedef struct ptf_text {
    const char *name;
    const ptf_line *lines;
    int line_count;
    int last_number; /* of the last line of the text */
    bool has_input;  /* "# input: 3x32x32" */
    ptf_shape input;
} ptf_text;

ptf_status ptf_text_read(ptf_arena *arena, const char *text, const char *name,
                         ptf_text *out, ptf_error *err);

typedef enum ptf_line_kind {
    PTF_LINE_OPEN,  /* "(conv1): Sequential(" */
    PTF_LINE_LAYER, /* "(0): ReLU()" */
    PTF_LINE_CLOSE, /* ")" */
} ptf_line_kind;

/*
 * What a line says.  "(0-2): 3 x ReLU()" has first 0 and count 3; without a
 * range first is -1 and count 1.  The root has no key.
 */
typedef struct ptf_item {
    ptf_line_kind kind;
    const char *key, *class_name, *args;
    size_t key_size, class_size, args_size;
    int64_t first, count;
    const char *text; /* from the class name to the end of the line */
    size_t text_size;
} ptf_item;

/* True for what Python's identifiers consist of. */
bool ptf_is_name_byte(char c);

ptf_status ptf_text_item(const ptf_text *text, const ptf_line *line,
                         bool is_root, ptf_item *out, ptf_error *err);

/* ptf_fail() with "NAME: line N: " in front. */
ptf_status ptf_text_fail(ptf_error *err, ptf_status status, const char *name,
                         int line, const char *fmt, ...) PTF_PRINTF(5, 6);

#endif
