/*
 * check: the state of a ptf_check.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_CERTIFY_CHECK_H
#define PTF_CERTIFY_CHECK_H

#include "certify/certify.h"

/* The three nets; I is B's with A's numbers, and not there when layers have no
 * counterpart. */
enum { PTF_SIDE_A, PTF_SIDE_I, PTF_SIDE_B, PTF_SIDE_COUNT };

/* A net that runs. */
typedef struct ptf_side {
    const ptf_net *net;
    ptf_plan *plan; /* as anyone would run it */
    ptf_plan *kept; /* the same, keeping what its layers give */
    float *out;     /* group x all outputs of a sample */
    float *kept_out;
    float **outs; /* group x output, per output */
    /* Per node: */
    const float **taps; /* what it gave in the last run; NULL where it is
                           fixed */
    bool *inside;       /* the value of a pair is made of it */
    int *source;        /* of the value of a pair: what it is made of, or -1 */
    int *makers;        /* see ptf_find_makers() */
    ptf_shape *shapes;
    bool *held;               /* the last run was held against its bounds */
    int64_t *beyond;          /* numbers of all runs that were outside */
    double *radius, *largest; /* the widest ball from the inputs on, and the
                                 largest number */
    ptf_exact *exact;         /* fixed point, once it is needed */
} ptf_side;

/* True when a node's value is a constant, the same for all inputs. */
static inline bool ptf_side_fixed(const ptf_side *side, int node)
{
    return side->net->nodes[side->makers[node]].op == PTF_OP_CONSTANT;
}

/* Balls of a node for one input. */
static inline int64_t ptf_balls_each(const ptf_enclosure *enclosure, int node)
{
    return ptf_shape_numel(ptf_enclosure_shape(enclosure, node));
}

/* An input whose prediction is not certified. */
typedef struct ptf_open {
    int64_t sample;
    ptf_prediction kind;
} ptf_open;

struct ptf_check {
    ptf_arena arena;
    ptf_net *split; /* A with norms split, where B has those folded, or NULL */
    ptf_check_options options;
    ptf_side sides[PTF_SIDE_COUNT]; /* PTF_SIDE_I has none */
    ptf_enclosure *enclosures[PTF_SIDE_COUNT];
    ptf_balls outputs[PTF_SIDE_COUNT]; /* group x all outputs of a sample */
    double **value, **radius; /* per output: where a sample's balls go */
    bool *silent;             /* per input of a group: nothing is known */
    bool wide;                /* doubles are not asked any more, */
    bool tried, over; /* fixed point has been tried; it is not any more */
    int bits;         /* that the last input took in fixed point */
    int threads;
    int64_t group; /* the most inputs that run together */
    ptf_scratch scratch[PTF_SIDE_COUNT];
    ptf_operand *operands;        /* of a node */
    int *chain;                   /* nodes of a unit, the last one first */
    ptf_balls *made;              /* what they give */
    const float **a_taps, **taps; /* per node of A and B: other numbers */
    const float **at;             /* per input */
    int64_t *sums;                /* two for each thread */
    int64_t *inputs, *sizes;      /* numbers of each input and output, */
    int64_t outputs_each;         /* and of all outputs together */
    ptf_pair *pairs;              /* per node of B */
    ptf_layer_check *layers;      /* per node of B */
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

/*
 * A value of a net alone: a layer and what B has made one with it, with the
 * balls of each passed on to the next.
 */
typedef struct ptf_unit {
    int slot; /* the side whose enclosure and memory it takes, */
    int net;  /* and whose net it is: those of I are B's */
    int value;
    const float *const *taps; /* per node, what the first of them reads */
    int64_t count;            /* inputs */
    bool executed;
    void (*visit)(ptf_check *check, const struct ptf_unit *unit, int node,
                  ptf_balls balls); /* or NULL */
} ptf_unit;

/* Its nodes into check->chain, the last one first; how many. */
int ptf_unit_nodes(ptf_check *check, int net, int value);

/* '*out' is there until the next unit in this slot. */
ptf_status ptf_unit_run(ptf_check *check, const ptf_unit *unit, ptf_balls *out,
                        ptf_error *err);

/*
 * Holds each layer of I against its counterpart in A on numbers of its own.
 * What the nets' inputs reach may be little: a ReLU that is never met by a
 * negative number, or a layer that gives zeros alone, hides what follows.
 */
ptf_status ptf_check_probe(ptf_check *check, ptf_error *err);

/* Parts 2 and 3, of the inputs that have just run. */
ptf_status ptf_check_runs(ptf_check *check, int64_t count, ptf_error *err);
ptf_status ptf_check_bound(ptf_check *check, const float *const *in,
                           int64_t count, ptf_error *err);

/*
 * Of input n of a group: what runs and balls have; and whether these are as
 * narrow as they are wanted, and settle its prediction: what is open at
 * PTF_SETTLED, far below f32, are outputs that are the same.
 */
#define PTF_SETTLED 0x1p-40
ptf_outcome ptf_check_outcome(const ptf_check *check, int64_t n);
bool ptf_check_settled(const ptf_check *check, int64_t n);

/* The balls of input n in fixed point, if they are narrower than those that
 * there are. */
ptf_status ptf_check_fixed(ptf_check *check, const float *const *in, int64_t n,
                           ptf_error *err);

/* Runs at most a group. */
ptf_status ptf_check_group(ptf_check *check, const float *const *in,
                           int64_t count, ptf_error *err);

#endif
