/*
 * form: what a value of a region is of the region's source; see form.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_CERTIFY_FORM_H
#define PTF_CERTIFY_FORM_H

#include "certify/pair.h"

/* One number, and how far it may be off. */
typedef struct ptf_ball {
    double value, radius;
} ptf_ball;

/* Balls, and the largest terms that were added up on the way. */
typedef struct ptf_sums {
    double *value, *radius, *terms;
} ptf_sums;

/* Taps along an axis: first, first + step, ... of the position's own. */
typedef struct ptf_form_taps {
    int64_t first, step, count, stride;
} ptf_form_taps;

typedef struct ptf_form {
    const ptf_node *product; /* of windows; NULL: plain */
    int64_t channels;        /* of the value; plain: 1 is all the same */
    int64_t inner;           /* plain: number i has channel i / inner % channels
                              */
    int64_t in, groups;      /* channels of the source */
    ptf_form_taps axes[PTF_MAP_AXES];
    ptf_sums weight; /* [channels][in / groups][taps]; plain: s */
    ptf_sums bias;   /* plain: t */
} ptf_form;

/* Forms under way. */
typedef struct ptf_forming {
    ptf_arena *arena; /* for the forms */
    const ptf_graphs *g;
    const ptf_parameters *numbers; /* of A */
    int source;
    const char *reason;
    ptf_error *err;
} ptf_forming;

/* A scale and a shift for each channel, as a form of what is read. */
typedef struct ptf_scaling {
    int64_t channels, inner;
    const ptf_parameters *norm; /* or */
    const ptf_parameters *constant;
    ptf_op op;  /* what is done with it */
    bool first; /* it is the first operand */
} ptf_scaling;

/* False when out of memory; all zeros. */
bool ptf_sums_make(ptf_forming *f, int64_t count, ptf_sums *out);
bool ptf_form_empty(ptf_forming *f, ptf_form *x);

ptf_ball ptf_ball_times(ptf_ball a, ptf_ball b);

static inline ptf_ball ptf_sums_get(const ptf_sums *s, int64_t i)
{
    return (ptf_ball){s->value[i], s->radius[i]};
}

/* It becomes y; x s + t; x + sign y_k. */
void ptf_sums_set(ptf_sums *x, int64_t i, ptf_ball y);
void ptf_sums_scale(ptf_sums *x, int64_t i, ptf_ball s, ptf_ball t);
void ptf_sums_add(ptf_sums *x, int64_t i, const ptf_sums *y, int64_t k,
                  double sign);

static inline bool ptf_ball_is(ptf_ball b, double x)
{
    return b.value >= x && b.value <= x && b.radius <= 0;
}

static inline ptf_ball ptf_constant_at(const ptf_parameters *n, int64_t i)
{
    return (ptf_ball){n->f32 != NULL ? (double)n->f32[i] : n->f64[i], 0};
}

/* Weights of an output channel; 1 of a plain form. */
int64_t ptf_form_row(const ptf_form *x);

/* Some channel of a plain form has a shift. */
bool ptf_form_shifts(const ptf_form *plain);

/*
 * Each sets f->reason where there is no such form, and is false when out of
 * memory.  A plain form as one tap, of channels that each read themselves, for
 * a sum with windows like that node's; the value has that shape.
 */
bool ptf_form_widen(ptf_forming *f, const ptf_node *like,
                    const ptf_shape *shape, ptf_form *x);
bool ptf_form_scale(ptf_forming *f, ptf_form *x, const ptf_shape *shape,
                    const ptf_scaling *s);
/* a becomes a + sign b; both have values of that shape. */
bool ptf_form_add(ptf_forming *f, const ptf_shape *shape, ptf_form *a,
                  ptf_form *b, double sign);

/* Adds to the weights of a form that has all taps of the other; false when it
 * has not. */
bool ptf_form_move(const ptf_form *from, ptf_form *to, double sign);

/* What is told of scales along other axes. */
extern const char ptf_form_channels[];

#endif
