/*
 * walk: what the files about enclosures of whole nets share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ENCLOSE_WALK_H
#define PTF_ENCLOSE_WALK_H

#include "enclose/enclose.h"

/* What a thread has of its own. */
typedef struct ptf_enclose_worker {
    ptf_room room;
    ptf_status status;
    ptf_error err;
} ptf_enclose_worker;

struct ptf_enclosure {
    ptf_arena arena;
    const ptf_net *net;
    int threads;
    int64_t group;
    ptf_shape *shapes;
    int64_t *sizes, most; /* balls of one image: per node, and at most */
    ptf_balls *own;       /* per node: [image][size] */
    ptf_balls *balls;     /* the same, or those that a node passes on */
    ptf_balls staged;     /* taps as balls: [image][most] */
    int *bad; /* per image: the first node that says nothing, or -1 */
    const ptf_numbers *numbers;  /* per node */
    ptf_enclose_worker *workers; /* per thread */
    const char *undecided;
};

/* One node on some images. */
typedef struct ptf_enclose_step {
    ptf_enclosure *enc;
    const ptf_enclose_pass *pass;
    int node;
    int64_t first;     /* image */
    ptf_balls in, out; /* of the first image */
    const float *tap;
} ptf_enclose_step;

static inline ptf_balls ptf_balls_of(ptf_balls balls, int64_t size, int64_t n)
{
    return (ptf_balls){balls.value + n * size, balls.radius + n * size};
}

static inline void ptf_balls_copy(int64_t n, ptf_balls in, ptf_balls out)
{
    memcpy(out.value, in.value, (size_t)n * sizeof(double));
    memcpy(out.radius, in.radius, (size_t)n * sizeof(double));
}

/*
 * How a family takes balls, ptf_enclose_family_pool in pool.c and so on: all
 * images of a step, or one.
 */
typedef struct ptf_enclose_family {
    ptf_status (*step)(const ptf_enclose_step *step, ptf_error *err);
    void (*image)(const ptf_enclosure *enc, int node, bool executed,
                  ptf_balls in, ptf_balls out);
    bool passes_on; /* the output is the input */
} ptf_enclose_family;

#define FAMILY(id, name) \
    extern const ptf_enclose_family ptf_enclose_family_##name;
#include "op/families.inc"
#undef FAMILY

const ptf_enclose_family *ptf_enclose_family_of(const ptf_node *node);

/* Runs the node, and notes which images' balls say nothing. */
ptf_status ptf_enclose_run_step(ptf_enclose_step *step, ptf_error *err);

/* Notes it of image first + n: a task. */
void ptf_enclose_note(void *step, int64_t n, int thread);

/* ptf_enclosure_run_taps() when only the output's balls are looked at. */
ptf_status ptf_enclosure_run_outputs(ptf_enclosure *enc,
                                     const float *const *taps, int64_t count,
                                     ptf_error *err);

#endif
