/*
 * graphs: nets that are no chains, built node by node.  A tensor's numbers
 * depend on its name alone, so that two nets have those of the same name in
 * common, whatever else is in them.  Anything that fails fails the test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TESTS_GRAPHS_H
#define PTF_TESTS_GRAPHS_H

#include "net/net.h"

enum { GRAPH_NODES = 64 };

typedef struct graph {
    ptf_net net;
    ptf_node nodes[GRAPH_NODES];
} graph;

/* An empty net; node 0 is its input. */
void graph_start(graph *g, const ptf_shape *input);
/* Gives the node out, and checks the net. */
void graph_finish(graph *g, int output);
void graph_free(graph *g);

/* Each gives the number of the new node. */
int graph_node(graph *g, const char *name, ptf_op op, int count,
               const int *from);
int graph_one(graph *g, const char *name, ptf_op op, int from);
int graph_two(graph *g, const char *name, ptf_op op, int a, int b);
/* 'dim' counts the batch. */
int graph_join(graph *g, const char *name, int64_t dim, int count,
               const int *from);
/* Numbers from 1/2 to 3/2. */
int graph_constant(graph *g, const char *name, const ptf_shape *shape);
int graph_norm(graph *g, const char *name, int from, int64_t channels);
int graph_linear(graph *g, const char *name, int from, int64_t in, int64_t out);

typedef struct graph_window {
    int64_t kernel, stride, padding;
} graph_window;

/* Without a bias where a batch norm follows. */
int graph_conv(graph *g, const char *name, int from, int64_t in, int64_t out,
               graph_window window, bool bias);

/* A node's numbers, to be changed. */
float *graph_numbers(graph *g, const char *name, ptf_role role);

/*
 * What every node gives for one input, in long double: node i's numbers start
 * at values[i].  One free for all.
 */
long double **graph_exact(const graph *g, const float *in);

#endif
