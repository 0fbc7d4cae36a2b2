/*
 * What the nodes of a net give, by plain loops: one node after the other, one
 * number after the other, each value in memory of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TESTS_GRAPH_VALUES_H
#define PTF_TESTS_GRAPH_VALUES_H

#include "nets.h"

typedef struct graph_values {
    int count;
    float *values[NODES]; /* of the nodes, each of 'count' samples */
} graph_values;

void graph_values_make(graph_values *out, const build *b, const float *in,
                       int count);
void graph_values_free(graph_values *values);

#endif
