/*
 * drawn_net: nets drawn from a seed, as the text that print(model) would
 * print and a checkpoint in memory.  Every layer and attribute that ptfold
 * reads has its turn.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef DRAWN_NET_H
#define DRAWN_NET_H

#include "fixture.h"

typedef struct drawn_net {
    uint64_t seed, drawn; /* what was drawn so far */
    char text[8192];
    size_t size;
    int depth;       /* of the container that is open; 1: the root's */
    int children[3]; /* by depth */
    ptf_shape shape; /* after the last layer */
    ptf_shape input;
    fixture f; /* the checkpoint and the net */
} drawn_net;

/* A net with its numbers.  The test fails if ptfold does not take it. */
void drawn_net_make(drawn_net *out, uint64_t seed);
/* Numbers alone, for the text of a net with its usual input. */
void drawn_net_fill(drawn_net *out, uint64_t seed, const char *text);
void drawn_net_free(drawn_net *net);

/* 'count' inputs in [-1, 1), to be freed. */
float *drawn_net_inputs(const drawn_net *net, int64_t count);

#endif
