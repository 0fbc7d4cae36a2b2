/*
 * check: the state of a ptf_check.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_CERTIFY_CHECK_H
#define PTF_CERTIFY_CHECK_H

#include "certify/certify.h"

/* The three enclosures; I is not there when layers have no counterpart. */
enum { PTF_SIDE_A, PTF_SIDE_I, PTF_SIDE_B, PTF_SIDE_COUNT };

/* A net that runs. */
typedef struct ptf_side {
    const ptf_net *net;
    ptf_plan *plan; /* as anyone would run it */
    ptf_plan *kept; /* the same, keeping what its layers give */
    float *out;     /* group x all outputs of a sample */
    float *kept_out;
    float **outs;        /* group x output, per output */
    const float **taps;  /* per node: what it gave in the last run; NULL where
                            it is fixed */
    const float **steps; /* the same, NULL inside of what B has folded */
    bool *inside;        /* per node: a folded batch norm follows */
    int *makers;         /* per node: see ptf_find_makers() */
} ptf_side;

/* True when a node's value is a constant, the same for all inputs. */
static inline bool ptf_side_fixed(const ptf_side *side, int node)
{
    return side->net->nodes[side->makers[node]].op == PTF_OP_CONSTANT;
}

/* An input whose prediction is not certified. */
typedef struct ptf_open {
    int64_t sample;
    ptf_prediction kind;
} ptf_open;

struct ptf_check {
    ptf_arena arena;
    ptf_check_options options;
    ptf_side sides[PTF_SIDE_COUNT]; /* PTF_SIDE_I has none */
    ptf_enclosure *enclosures[PTF_SIDE_COUNT];
    ptf_balls outputs[PTF_SIDE_COUNT]; /* group x all outputs of a sample */
    bool *silent; /* per input: an enclosure says nothing */
    bool wide;    /* no more inputs are enclosed */
    int64_t group;
    int64_t *inputs, *sizes; /* numbers of each input and output, */
    int64_t outputs_each;    /* and of all outputs together */
    ptf_pair *pairs;         /* per node of B */
    ptf_layer_check *layers; /* per node of B */
    ptf_parameter_check *parameters;
    int parameter_count;
    ptf_pair_mismatch mismatch;
    ptf_pair_mismatch broken;     /* the first layer that probing denies */
    ptf_pair_mismatch unequal;    /* bits that looking at layers changed */
    ptf_pair_mismatch not_finite; /* where NaN or infinity was first */
    ptf_verdict verdict;
    ptf_verdict *each; /* the same of each output by itself */
    ptf_certificate certificate;
    ptf_open *open;
    size_t open_count, open_room;
    const char *beyond; /* the first layer whose run is beyond its bound */
};

/* True when nothing but the rounding of parameters tells B from A. */
bool ptf_check_is_rewrite(const ptf_check *check);

/* True when number k of A cannot be that of I: their balls are apart. */
bool ptf_check_apart(ptf_balls a, ptf_balls ideal, int64_t k);

/*
 * Holds each layer of I against its counterpart in A on numbers of its own.
 * What the nets' inputs reach may be little: a ReLU that is never met by a
 * negative number, or a layer that gives zeros alone, hides what follows.
 */
ptf_status ptf_check_probe(ptf_check *check, ptf_error *err);

/* Runs at most a group. */
ptf_status ptf_check_group(ptf_check *check, const float *const *in,
                           int64_t count, ptf_error *err);

#endif
