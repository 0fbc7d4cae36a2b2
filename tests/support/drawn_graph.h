/*
 * Graphs drawn from seeds, with constants, broadcasting, and values that many
 * nodes read or none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TESTS_DRAWN_GRAPH_H
#define PTF_TESTS_DRAWN_GRAPH_H

#include "nets.h"

/* 'rows': mostly of nodes whose rows depend on some rows. */
void drawn_graph_make(build *b, uint64_t seed, bool rows);

#endif
