/*
 * Expressions of sizes as programs have them in text: SymPy's form of a size
 * ("FloorDiv(Symbol('s0', positive=True, integer=True), Integer(2))"), and
 * Python's conditions on the inputs ("L['x'].size()[2] % 2 == 0").
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_EXPRESSION_H
#define PTF_EXPRESSION_H

#include "base/base.h"

/* What names stand for; each function says false for one that it knows not. */
typedef struct ptf_expression_names {
    bool (*symbol)(const void *names, const char *name, int64_t *out);
    /* A size of "boxes.0", by its axis. */
    bool (*size)(const void *names, const char *input, int64_t axis,
                 int64_t *out);
    const void *names;
} ptf_expression_names;

/*
 * The value of the expression; conditions are 0 or 1.  False when it is not
 * understood, has a name that is not known, or no value.
 */
bool ptf_expression_value(const char *text, const ptf_expression_names *names,
                          int64_t *out);

#endif
