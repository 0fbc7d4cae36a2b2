/*
 * moves: chains of ops that move or reduce numbers, drawn at random, and loops
 * over positions that give what they give, knowing nothing of strides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TESTS_MOVES_H
#define PTF_TESTS_MOVES_H

#include "net/net.h"

enum { CHAIN = 4 };

/* A chain of ops after an input. */
typedef struct chain {
    ptf_net net;
    ptf_node nodes[CHAIN];
    ptf_shape shapes[CHAIN];
} chain;

void start(chain *c, const ptf_shape *input);
void add(chain *c, ptf_op op, const ptf_attrs *attrs);
void finish(chain *c);
const ptf_shape *last(const chain *c);

/* Zeros; the caller frees. */
float *floats(int64_t n);

/* Numbers that follow from 'draws' alone. */
extern uint64_t draws;
int64_t between(int64_t low, int64_t high);
/* One in 'odds' is special; 0: none. */
void fill(float *x, int64_t n, int64_t odds);
ptf_shape some_shape(void);
void add_some(chain *c);
void draw(chain *c, uint64_t seed);

/* The position of number n, and back. */
void positions(int64_t n, const ptf_shape *shape, int64_t *at);
int64_t flat(const int64_t *at, const ptf_shape *shape);

bool is_view(ptf_op op);
/* Of a view: where its number i is from. */
int64_t source(const ptf_node *node, const ptf_shape *in, const ptf_shape *out,
               int64_t i);
/* Of a reduction: the output that input i goes to. */
int64_t target(const ptf_node *node, const ptf_shape *in, int64_t i);

void evaluate(const ptf_node *node, const ptf_shape *in, const ptf_shape *out,
              const float *x, float *y);
/* Of one image: what the last node gives, and the gradient by the input. */
void loop_over(const chain *c, const float *in, const float *d, float *out,
               float *dx);

#endif
