/*
 * random_net: texts of small nets with every kind of layer, drawn from a
 * seed, and checkpoints for them whose values neither die nor explode.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RANDOM_NET_H
#define RANDOM_NET_H

#include "fixture.h"

typedef struct random_net {
    char text[8192];
    uint64_t state;
    ptf_shape input;
    fixture f;
} random_net;

/* The net of this seed; f.net is ready.  random_net_free() it. */
void random_net_make(random_net *r, uint64_t seed);
void random_net_free(random_net *r);

/* A number in low .. high. */
int random_net_between(random_net *r, int low, int high);

#endif
