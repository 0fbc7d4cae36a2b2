/*
 * JSON whose every value knows where it stands, so that a fault can be named:
 * "graph_module.graph.nodes[3].inputs[0].arg: expected an object, got a
 * string".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TREE_H
#define PTF_TREE_H

#include "base/base.h"

#include <jansson.h>

/* What is read: names for messages, and where texts are copied to. */
typedef struct ptf_tree_source {
    ptf_origin origin;
    ptf_arena *arena;
    ptf_error *err;
} ptf_tree_source;

/* A value, which lives as long as the JSON, and the one that it is in. */
typedef struct ptf_tree {
    const json_t *value; /* NULL: an optional member that is not there */
    const struct ptf_tree *above;
    const char *key; /* NULL for an element of an array */
    size_t index;
} ptf_tree;

/* Fails with the place of 'at' in front of the text. */
ptf_status ptf_tree_fail(const ptf_tree_source *source, const ptf_tree *at,
                         ptf_status status, const char *fmt, ...)
    PTF_PRINTF(4, 5);

/* What JSON calls it: "an object", "a string", for messages. */
const char *ptf_tree_kind(const ptf_tree *at);

/*
 * The member 'key' of an object, of that type (JSON_TRUE for either truth
 * value).  All fail with PTF_FORMAT for what is not there, or of another
 * type; where it says optional, null and nothing give a NULL value.
 */
ptf_status ptf_tree_member(const ptf_tree_source *source, const ptf_tree *at,
                           const char *key, json_type type, ptf_tree *out);
ptf_status ptf_tree_optional(const ptf_tree_source *source, const ptf_tree *at,
                             const char *key, json_type type, ptf_tree *out);
/* An object with one member, which says what it is: its key and value. */
ptf_status ptf_tree_union(const ptf_tree_source *source, const ptf_tree *at,
                          ptf_tree *out);
/* An element of an array, of which it must be one. */
ptf_tree ptf_tree_element(const ptf_tree *array, size_t index);
size_t ptf_tree_count(const ptf_tree *array);

/* Values as such.  Texts are copied. */
ptf_status ptf_tree_is(const ptf_tree_source *source, const ptf_tree *at,
                       json_type type);
ptf_status ptf_tree_text(const ptf_tree_source *source, const ptf_tree *at,
                         const char **out);
ptf_status ptf_tree_integer(const ptf_tree_source *source, const ptf_tree *at,
                            int64_t *out);
ptf_status ptf_tree_truth(const ptf_tree_source *source, const ptf_tree *at,
                          bool *out);
/* Also the texts "Infinity", "-Infinity" and "NaN". */
ptf_status ptf_tree_number(const ptf_tree_source *source, const ptf_tree *at,
                           double *out);

/* A member that is a text or integer. */
ptf_status ptf_tree_text_member(const ptf_tree_source *source,
                                const ptf_tree *at, const char *key,
                                const char **out);
ptf_status ptf_tree_integer_member(const ptf_tree_source *source,
                                   const ptf_tree *at, const char *key,
                                   int64_t *out);

#endif
