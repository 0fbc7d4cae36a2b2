/*
 * attrs: the table of what PyTorch prints between a layer's parentheses, for
 * reading (attrs.c) and printing (attrs_text.c), and for both in the text of a
 * graph (attrs_graph.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ATTRS_H
#define PTF_ATTRS_H

#include "op/op.h"

typedef enum ptf_field_kind {
    PTF_FIELD_KIND_INT,
    PTF_FIELD_KIND_SIZES,   /* for each axis of the map: 3 or (3, 3) */
    PTF_FIELD_KIND_PADDING, /* the same, or "same" or "valid" */
    PTF_FIELD_KIND_FLOAT,
    PTF_FIELD_KIND_BOOL,
    PTF_FIELD_KIND_LIST, /* (2, 3), (2,) or (): one number stands for itself */
    PTF_FIELD_KIND_PADS, /* the same, two for each axis */
    PTF_FIELD_KIND_FACTORS, /* floats, (2.0, 1.5); 2.0 stands for all */
    PTF_FIELD_KIND_WORD,    /* 'tanh'; in ptf_attrs its place among the words */
    PTF_FIELD_KIND_MODE, /* padding_mode: only zeros, where there is padding */
} ptf_field_kind;

enum {
    PTF_FIELD_REQUIRED = 1,
    PTF_FIELD_ALWAYS = 2,     /* printed even when it is the default */
    PTF_FIELD_POSITIONAL = 4, /* printed without its name */
    PTF_FIELD_NONE_IS_0 = 8,
    PTF_FIELD_TUPLE = 16, /* all numbers are printed even when they are equal */
    PTF_FIELD_DIVISOR = 32, /* PyTorch divides by it, in f32 */
    /* Of the text of a graph: */
    PTF_FIELD_TOLD = 64,   /* what parameters tell may be left out */
    PTF_FIELD_BRIEF = 128, /* the usual value may be left out */

    PTF_FIELD_SPECIAL = 256, /* a float may be inf, -inf or nan */
    PTF_FIELD_OR_NONE = 512, /* None is an empty list, or False */
};

typedef struct ptf_field {
    const char *name; /* NULL after the last one of a list */
    ptf_field_kind kind;
    unsigned flags;
    size_t at;            /* in ptf_attrs */
    int64_t minimum;      /* of integers */
    double otherwise;     /* a float when nothing is said */
    const char *words[7]; /* up to NULL; the first when nothing is said */
    /* Booleans in ptf_attrs: None was said; nothing was said.  0: there is
     * none. */
    size_t none_at, unspecified_at;
} ptf_field;

/* The op's attribute of that name, or NULL. */
const ptf_field *ptf_field_find(ptf_op op, ptf_text_span name);

/* The first of the op's axes among those of a map. */
static inline int ptf_op_first_axis(ptf_op op)
{
    return PTF_MAP_AXES - ptf_op_map_axes(op);
}

/* True when one number of them stands for all. */
bool ptf_sizes_equal(ptf_op op, const int64_t sizes[PTF_MAP_AXES]);

/* Reads its value; false when it is none. */
bool ptf_field_parse(ptf_op op, const ptf_field *f, ptf_text_span value,
                     ptf_attrs *attrs);

/* True when both say the same of it. */
bool ptf_field_equal(const ptf_field *f, const ptf_attrs *a,
                     const ptf_attrs *b);

/* Takes it from another's. */
void ptf_field_copy(const ptf_field *f, const ptf_attrs *from, ptf_attrs *to);

/* Per op; up to one without a name. */
extern const ptf_field *const ptf_op_fields[PTF_OP_COUNT];

#endif
