/*
 * taps: what the families whose results are sums axis by axis, pad and resize,
 * say of one axis.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TAPS_H
#define PTF_TAPS_H

#include "op/op.h"

/* One axis of a pad: 'before' and 'after' its 'in' positions. */
typedef struct ptf_pad_axis {
    ptf_pad_mode mode;
    int64_t in, before, after;
} ptf_pad_axis;

ptf_pad_axis ptf_pad_axis_of(const ptf_attrs *attrs, const ptf_shape *in,
                             int axis);
/* The position that position i of the result has its number from, or -1. */
int64_t ptf_pad_from(const ptf_pad_axis *axis, int64_t i);

/* One axis of a resize, from 'in' positions to 'out'. */
typedef struct ptf_resize_axis {
    ptf_upsample_mode mode;
    bool align_corners, antialias;
    int64_t in, out;
    double factor; /* stated; 0: the quotient of the sizes */
} ptf_resize_axis;

ptf_resize_axis ptf_resize_axis_of(const ptf_attrs *attrs, const ptf_shape *in,
                                   const ptf_shape *out, int axis);
/*
 * Position i of the result: how many taps it has, and where 'index' is not
 * NULL, which.
 */
int64_t ptf_resize_from(const ptf_resize_axis *axis, int64_t i, int64_t *index,
                        double *weight);

#endif
