/*
 * residual: a net with skip connections, branches and constants, as it was
 * trained and with its batch norms folded, rightly or with one fault.  Numbers
 * are folded by code of residual.c, not by ptfold.
 *
 *     stem - conv1 - conv2 - add - conv1 - conv2 - add - left --- join - sub
 *         \----------------/    \---- down ------/ |  \- right -/         |
 *                                                  max ---------------- div
 *     max and mul(max) - join - mix - pool - fc - last
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TESTS_RESIDUAL_H
#define PTF_TESTS_RESIDUAL_H

#include "graphs.h"

/* What is wrong in the net with folded batch norms. */
typedef enum residual_fault {
    RIGHT,
    SKIP_BEFORE_RELU, /* the first addition reads the stem before its ReLU */
    SKIP_FROM_INSIDE, /* ... or a value inside of the block */
    SKIP_TWICE,       /* ... or the block's value twice */
    DOWN_FROM_STEM,   /* the downsampling branch reads the stem */
    DOWN_BEFORE_RELU, /* ... or the sum before its ReLU */
    RELU_LEFT_OUT,    /* after the first addition */
    RELU_TOO_MANY,
    RELU_BEFORE_ADD, /* in place of after it */
    ADD_IS_SUB,
    ADD_IS_MAXIMUM,
    MAXIMUM_IS_MINIMUM,
    SUB_SWAPPED,
    DIV_SWAPPED,
    JOIN_SWAPPED,
    JOIN_TWICE,         /* the left branch in place of the right */
    JOIN_ACROSS,        /* along another axis of the same size */
    BRANCHES_SWAPPED,   /* each has the other's numbers */
    CONSTANT_SWAPPED,   /* two of the same shape */
    CONSTANT_ONCE,      /* one of them in place of both */
    CONSTANT_OFF,       /* by one unit in the last place */
    CONSTANT_FOR_VALUE, /* a constant in place of a layer's value */
    CONSTANT_WIDE,      /* as if it had been broadcast */
    OTHER_OUTPUT,       /* before the last layer */
    NORM_OF_OTHERS,     /* the right branch has the left one's batch norm */
    NORM_WITHOUT_EPS,   /* of the downsampling branch */
    NORM_LEFT_OUT,
    NORM_SEEN, /* folded though others read what is before it */
    FAULTS,
} residual_fault;

/*
 * The net as it was trained; 'fault' matters for NORM_SEEN, where the net
 * itself is another.  With 'dead' no ReLU after a batch norm lets a number
 * through, so that outputs do not show what is wrong.
 */
void residual_trained(graph *g, bool dead, residual_fault fault);
void residual_folded(graph *g, bool dead, residual_fault fault);

/* What a fault is found in; NULL for RIGHT. */
const char *residual_place(residual_fault fault);

/* A fault of numbers, not of the graph. */
bool residual_has_other_numbers(residual_fault fault);

#endif
