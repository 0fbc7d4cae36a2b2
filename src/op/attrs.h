/*
 * attrs: the table of what PyTorch prints between a layer's parentheses, for
 * reading (attrs.c) and printing (attrs_text.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ATTRS_H
#define PTF_ATTRS_H

#include "op/op.h"

typedef enum ptf_field_kind {
    PTF_FIELD_KIND_INT,
    PTF_FIELD_KIND_PAIR,    /* 3 or (3, 3); of Conv1d 3 or (3,) */
    PTF_FIELD_KIND_PADDING, /* the same, or "same" or "valid" */
    PTF_FIELD_KIND_FLOAT,
    PTF_FIELD_KIND_BOOL,
    PTF_FIELD_KIND_MODE, /* padding_mode: only zeros, where there is padding */
} ptf_field_kind;

enum {
    PTF_FIELD_REQUIRED = 1,
    PTF_FIELD_ALWAYS = 2,     /* printed even when it is the default */
    PTF_FIELD_POSITIONAL = 4, /* printed without its name */
    PTF_FIELD_NONE_IS_0 = 8,
    PTF_FIELD_TUPLE =
        16, /* both numbers are printed even when they are equal */
};

/* A row speaks of all ops in 'ops'. */
typedef struct ptf_field {
    unsigned ops;
    const char *name;
    ptf_field_kind kind;
    unsigned flags;
    size_t at;       /* in ptf_attrs */
    int64_t minimum; /* of integers */
    size_t none_at;  /* the bool in ptf_attrs that stands for None, or 0 */
} ptf_field;

/* The row of 'op' behind 'after' (NULL: the first); NULL at the end. */
const ptf_field *ptf_field_next(ptf_op op, const ptf_field *after);

#endif
