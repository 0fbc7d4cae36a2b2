/*
 * Nets built node by node, for tests of plans, and what they give.  Anything
 * that fails fails the test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TESTS_NETS_H
#define PTF_TESTS_NETS_H

#include "plan/plan.h"

enum { NODES = 48 };

/* A net under construction, and what the next layer reads. */
typedef struct build {
    ptf_net net;
    ptf_node nodes[NODES];
    ptf_shape input, shape; /* of what is read, shapes[last] */
    ptf_shape shapes[NODES];
    int last;
    uint64_t seed;
} build;

void start(build *b, int rank, int64_t c, int64_t h, int64_t w);
void finish(build *b);

/* A tensor of numbers in low .. low + size. */
const ptf_tensor *tensor(build *b, int rank, const int64_t *shape, float low,
                         float size);

/* The next layer reads this node; it is the output until there is one. */
void from(build *b, int node);
/* Works out the shapes of all nodes, and reads the newest. */
void settle(build *b);

/* Each adds one layer after the newest one; a linear one flattens first. */
ptf_node *add_conv(build *b, int64_t out, int64_t kernel, int64_t stride,
                   int64_t padding, int64_t dilation, int64_t groups);
ptf_node *add_linear(build *b, int64_t out);
/* A linear layer on the last axis of whatever is there. */
ptf_node *add_rows(build *b, int64_t out);
ptf_node *add_norm(build *b);
void add_plain(build *b, ptf_op op);
void add_with(build *b, ptf_op op, const ptf_attrs *attrs);
void add_pool(build *b, ptf_op op, int64_t kernel, int64_t stride,
              int64_t padding, bool ceil_mode);

/* These say what they read; each gives its own number. */
int add_constant(build *b, int rank, const int64_t *shape);
int add_binary(build *b, ptf_op op, int left, int right);
int add_concat(build *b, int64_t dim, int count, const int *inputs);

/* smallNet in small: padded convolutions, batch norms, linear layers. */
void build_small(build *b);
/* Everything else, so that each op and each kind of window occurs. */
void build_mixed(build *b);
void build_1d(build *b);
/* Net1 in small, its classifier linear or slid. */
void build_tail(build *b, bool slid, int64_t h, int64_t w);

typedef struct runs {
    const char *isa;
    int threads;
    int64_t batch;
    size_t memory_limit;
} runs;

/* The outputs of samples 0 .. count - 1; the caller frees. */
float *outputs_of(const build *b, const float *in, int64_t count, runs how);
/* Inputs that depend on nothing but their number; the caller frees. */
float *inputs_of(const build *b, int64_t count);
/* Of one sample. */
int64_t outputs_count(const build *b);

#endif
