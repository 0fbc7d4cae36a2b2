/*
 * certify: a network against a rewrite of it.  Pairs layers, sets up the ideal
 * that lies between the two, runs all three, and adds up what is proved.  See
 * the checks in ptfold.h, and docs/equivalence.md for the reasoning.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_CERTIFY_H
#define PTF_CERTIFY_H

#include "enclose/enclose.h"

/* What a node of B stands for in A. */
typedef struct ptf_pair {
    int layer;  /* the node that does the same work, or -1 */
    int value;  /* the node whose value it has: after the batch norms that B
                   has folded into it; -1 with 'layer' */
    int source; /* of a product that stands for more than 'layer', a region: the
                   node whose value it reads; else -1 */
    bool formed; /* of those: they are not all batch norms after 'layer' */
} ptf_pair;

/* Why there can be no ideal; both NULL when there can be one. */
typedef struct ptf_pair_mismatch {
    const char *reason;
    const char *layer;
} ptf_pair_mismatch;

/*
 * Per node, the first that has its numbers: itself, but where it passes those
 * of another on in their order, as Dropout, Identity and Flatten do, or does
 * what another has done.
 */
ptf_status ptf_find_makers(const ptf_net *net, int *makers, ptf_error *err);

/* Two nets, the makers of their nodes, and the shapes of their values. */
typedef struct ptf_graphs {
    const ptf_net *a, *b;
    const int *a_makers, *b_makers;
    const ptf_shape *a_shapes, *b_shapes;
} ptf_graphs;

/*
 * Pairs each node of B.  'pairs' has room for B's nodes and 'folded' for A's:
 * those that stand for a batch norm that is inside a layer of B.  'mismatch'
 * names the first layer with parameters, of either net, that has no
 * counterpart, else the first node of B that has none, reads other values than
 * its counterpart, or does something else with them; its text is in 'arena'.
 */
ptf_status ptf_pair_nets(const ptf_graphs *graphs, ptf_arena *arena,
                         ptf_pair *pairs, bool *folded,
                         ptf_pair_mismatch *mismatch, ptf_error *err);

/*
 * The nodes of A that make 'value' from 'source', but for constants, into list,
 * from the last one to the first, with room for all nodes of A; how many.  0
 * where these are no region: see region.c.
 */
int ptf_region_list(const ptf_net *a, const int *makers, int value, int source,
                    int *list);

/* The next node of A after 'node' that is folded into it, or -1. */
int ptf_next_folded(const ptf_net *a, const bool *folded, int node);

/*
 * The numbers of the ideal, per node of B, from those of A, per node of A:
 * A's weights as they are, with its batch norms after them as scale and
 * shift.  A pair whose region is no product like B's, by its numbers too, is
 * none any more, and the mismatch, where there is none yet.
 */
ptf_status ptf_ideal_numbers(ptf_arena *arena, const ptf_graphs *graphs,
                             ptf_pair *pairs, const bool *folded,
                             const ptf_parameters *numbers,
                             ptf_parameters *ideal, ptf_pair_mismatch *mismatch,
                             ptf_error *err);

/*
 * The weights and the bias that node 'node' of B is to have when its pair is
 * formed; or why that cannot be, in *reason.
 */
ptf_status ptf_form_numbers(ptf_arena *arena, const ptf_graphs *graphs,
                            const ptf_parameters *numbers, const ptf_pair *pair,
                            int node, ptf_parameters *out, const char **reason,
                            ptf_error *err);

/*
 * Holds the parameters of node 'b' against the ideal.  'a' is its
 * counterpart, 'ideal' what ptf_ideal_numbers() gives.  'out' has room for
 * PTF_ROLE_COUNT; *count are used.  They count as 'beyond' what is more than
 * 'max_ulps' off.
 */
ptf_status ptf_check_parameters(const ptf_node *a, const ptf_node *b,
                                const ptf_parameters *ideal, int64_t max_ulps,
                                ptf_parameter_check *out, int *count,
                                ptf_error *err);

static inline void ptf_raise_to(double *most, double x)
{
    *most = fmax(*most, x);
}

/* What is known of the outputs for one input. */
typedef struct ptf_outcome {
    int outputs;
    const int64_t *sizes; /* numbers of each; they lie one after the other */
    const float *run_a, *run_b;
    ptf_balls a, b; /* no values where nothing is known */
    bool rewritten; /* B is A up to the rounding of parameters */
} ptf_outcome;

/* The largest r_A + r_B over the largest |m_A|; infinite where nothing is
 * known. */
double ptf_outcome_width(const ptf_outcome *outcome);

/* What is known of its class; of several outputs the weakest. */
ptf_prediction ptf_outcome_prediction(const ptf_outcome *outcome);

/* Adds one input to the figures on functions. */
void ptf_certificate_add(ptf_certificate *certificate,
                         const ptf_outcome *outcome);

/*
 * True when radii are so small that a wrong formula could not hide: those of
 * a and b together at most 2^-16 of the largest of a's values.  Also true when
 * b has no values, because nothing is compared then.
 */
bool ptf_balls_sharp(ptf_balls a, ptf_balls b, int64_t count);

#endif
