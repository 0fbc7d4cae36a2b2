/*
 * spread: axes of reductions, and what families need that take numbers around
 * their mean, or their Euclidean norm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ENCLOSE_SPREAD_H
#define PTF_ENCLOSE_SPREAD_H

#include "enclose/enclose.h"

/* Axes of a dense array. */
typedef struct ptf_axes {
    int rank;
    int64_t size[PTF_SHAPE_MAX], stride[PTF_SHAPE_MAX];
} ptf_axes;

static inline int64_t ptf_axes_count(const ptf_axes *a)
{
    int64_t n = 1;
    for (int d = 0; d < a->rank; d++)
        n *= a->size[d];
    return n;
}

/* Where position i lies. */
static inline int64_t ptf_axes_at(const ptf_axes *a, int64_t i)
{
    int64_t at = 0;
    for (int d = a->rank - 1; d >= 0; i /= a->size[d--])
        at += i % a->size[d] * a->stride[d];
    return at;
}

/* The axes of a dense array that a reduction keeps, and those of its terms. */
void ptf_axes_split(const ptf_shape *shape, const bool *reduced, ptf_axes *kept,
                    ptf_axes *terms);

/*
 * n numbers x around their mean, each within r of m: number i is, exactly and,
 * if asked for, in a run, within ptf_spread_radius() of ptf_spread_centre().
 * The Euclidean norm of all of them is within 'off' of 'size'.  Without
 * 'centred' they are around 0.
 */
typedef struct ptf_spread {
    int64_t n;
    bool centred, executed;
    double mean, rest, radii; /* radii: the sum of r */
    double lost, drift;       /* from all of them: here, and in a run */
    double square, size, off; /* square: that of the size */
} ptf_spread;

ptf_spread ptf_spread_of(const ptf_axes *terms, ptf_balls in, bool centred,
                         bool executed);

static inline double ptf_spread_centre(const ptf_spread *s, double m)
{
    return (m - s->mean) - s->rest;
}

double ptf_spread_radius(const ptf_spread *s, double m, double r);

#endif
