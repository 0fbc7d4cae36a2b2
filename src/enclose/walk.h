/*
 * walk: what the files about enclosures of whole nets share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ENCLOSE_WALK_H
#define PTF_ENCLOSE_WALK_H

#include "enclose/enclose.h"

/* A value's balls; those of image n are n * 'stride' after the first. */
typedef struct ptf_enclose_value {
    ptf_balls balls;
    int64_t stride; /* 0: a constant, the same for all images */
} ptf_enclose_value;

/* What a thread has of its own. */
typedef struct ptf_enclose_worker {
    ptf_scratch scratch;
    ptf_enclose_value *operands; /* of a node, as many as any has */
    ptf_status status;
    ptf_error err;
} ptf_enclose_worker;

struct ptf_enclosure {
    ptf_arena arena;
    const ptf_net *net;
    int threads;
    int64_t group;
    ptf_shape *shapes;
    int64_t *sizes;         /* balls of one image, per node */
    int64_t most;           /* that a node reads, or gives */
    ptf_enclose_value *own; /* per node: [image][size], or [size] */
    int *root;          /* per node: the one whose balls it has, or passes on */
    bool *passing;      /* per root: nobody reads it once a walk is over */
    bool large;         /* balls of all values are too much to keep */
    bool apart;         /* each value has memory of its own */
    ptf_scratch shared; /* what values share otherwise */
    ptf_scratch alone;  /* operands of a node that runs alone */
    ptf_balls staged;   /* operands that are copied: [image][most] */
    int *bad;           /* per image: the first node that says nothing, or -1 */
    const ptf_parameters *numbers; /* per node */
    ptf_enclose_worker *workers;   /* per thread */
    const char *undecided;
};

/* One node on some images. */
typedef struct ptf_enclose_step {
    ptf_enclosure *enc;
    const ptf_enclose_pass *pass;
    int node;
    int64_t first;               /* image that the balls start with */
    const ptf_enclose_value *in; /* the operands */
    ptf_enclose_value out;
} ptf_enclose_step;

static inline ptf_balls ptf_balls_of(ptf_balls balls, int64_t size, int64_t n)
{
    return (ptf_balls){balls.value + n * size, balls.radius + n * size};
}

/* Operand k of a step, and its output, for image n of the step. */
static inline ptf_balls ptf_enclose_in(const ptf_enclose_step *s, int k,
                                       int64_t n)
{
    return ptf_balls_of(s->in[k].balls, s->in[k].stride, n);
}

static inline ptf_balls ptf_enclose_out(const ptf_enclose_step *s, int64_t n)
{
    return ptf_balls_of(s->out.balls, s->out.stride, n);
}

static inline const ptf_node *ptf_enclose_node_of(const ptf_enclose_step *s)
{
    return &s->enc->net->nodes[s->node];
}

/* The shape of operand k. */
static inline const ptf_shape *ptf_enclose_shape_of(const ptf_enclose_step *s,
                                                    int k)
{
    return &s->enc->shapes[ptf_enclose_node_of(s)->inputs[k]];
}

static inline void ptf_balls_copy(int64_t n, ptf_balls in, ptf_balls out)
{
    memcpy(out.value, in.value, (size_t)n * sizeof(double));
    memcpy(out.radius, in.radius, (size_t)n * sizeof(double));
}

/*
 * Several operands with broadcasting, as rows of the output: its last axes,
 * along which every operand has numbers one after the other, 'step' 1, or one
 * number for all, 0.
 */
typedef struct ptf_broadcast {
    int axes; /* of the output, in front of its rows */
    int64_t count, length;
    int64_t step[3]; /* by operand */
} ptf_broadcast;

void ptf_enclose_broadcast(const ptf_enclose_step *s, int count,
                           ptf_broadcast *rows);
/* What operand k has for a row of image n. */
ptf_balls ptf_broadcast_row(const ptf_enclose_step *s,
                            const ptf_broadcast *rows, int k, int64_t n,
                            int64_t row);

/*
 * How a family takes balls, ptf_enclose_family_pool in pool.c and so on: all
 * images of a step, whose operands then have the stride of their sizes, or one.
 */
typedef struct ptf_enclose_family {
    ptf_status (*step)(const ptf_enclose_step *step, ptf_error *err);
    void (*image)(const ptf_enclose_step *step, int64_t n);
} ptf_enclose_family;

#define FAMILY(id, name) \
    extern const ptf_enclose_family ptf_enclose_family_##name;
#include "op/families.inc"
#undef FAMILY

/*
 * Balls of numbers that a gather has put in the order that an argsort of the
 * same operand gave: narrower ones where positions are not known.
 */
void ptf_enclose_sorted(const ptf_enclose_step *step, int64_t n);

/* What pads and resizes share: all images of a step. */
ptf_status ptf_enclose_taps(const ptf_enclose_step *step, ptf_error *err);

const ptf_enclose_family *ptf_enclose_family_of(const ptf_node *node);

/* A constant, exactly, or as a run may have rounded it. */
void ptf_enclose_constant(const ptf_parameters *numbers, int64_t n,
                          bool executed, ptf_balls out);

/* Runs the node, and notes which images' balls say nothing. */
ptf_status ptf_enclose_run_step(ptf_enclose_step *step, ptf_error *err);

/* Notes it of image first + n: a task. */
void ptf_enclose_note(void *step, int64_t n, int thread);

/* Gives all values their places, for a walk that keeps all balls or not. */
ptf_status ptf_enclose_place(ptf_enclosure *enc, bool keeps, ptf_error *err);

#endif
