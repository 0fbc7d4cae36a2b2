/*
 * pair: what the files about pairs of nodes share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_CERTIFY_PAIR_H
#define PTF_CERTIFY_PAIR_H

#include "certify/certify.h"

/* A pairing under way. */
typedef struct ptf_pairing {
    const ptf_graphs *g;
    ptf_arena *arena; /* for texts; NULL while pairs are found */
    ptf_pair *pairs;  /* per node of B */
    bool *used;       /* per node of A: it has a counterpart */
    bool *folded;     /* per node of A: as in ptf_pair_nets() */
    int *list;        /* room for nodes of A */
} ptf_pairing;

/* Its result has the numbers of its operand in their order. */
bool ptf_passes_on(const ptf_node *node);

/*
 * The first attribute in which two nodes of one op differ, of those that
 * evaluation looks at and parameters do not tell; NULL when there is none.
 */
const char *ptf_attrs_other(const ptf_node *a, const ptf_node *b);

/*
 * May be in the same place, rightly or by mistake: products with as many
 * weights and channels, batch norms of as many channels, constants of the same
 * shape, two pools, two functions of one number.
 */
bool ptf_pair_alike(const ptf_node *a, const ptf_node *b);

/* A quick look at some numbers of both, which tells branches apart. */
bool ptf_numbers_alike(const ptf_node *a, const ptf_node *b);

/* The result does not depend on the order of its two operands. */
bool ptf_op_commutes(const ptf_node *node);

/*
 * Why node b of B is not what node a of A is, by one of the identities, when
 * both read the same values; NULL when it is.
 */
const char *ptf_identity_broken(const ptf_pairing *p, int a, int b);

/* May be inside of a region. */
bool ptf_region_takes(const ptf_net *net, const int *makers, int node);

/* Finds a layer of A for each node of B. */
ptf_status ptf_find_pairs(ptf_pairing *p, ptf_error *err);

/*
 * The first node of B that has no counterpart, reads or is another value than
 * it, or does something else, once the pairs have their values.
 */
ptf_status ptf_find_mismatch(const ptf_pairing *p, ptf_pair_mismatch *out,
                             ptf_error *err);

#endif
