/*
 * rules: what the families' rules share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_RULES_H
#define PTF_RULES_H

#include "op/op.h"

/* Dimension 'dim' of 'rank', counted from the end when negative; or -1. */
int ptf_axis_of(int64_t dim, int rank);

/* NULL, or why an op cannot work along that axis, which counts the batch. */
const char *ptf_axis_refusal(int axis);

/*
 * The shape of a function of several numbers with broadcasting: that of the
 * longest operand, where an axis of size 1, or none, is any size.
 */
const char *ptf_broadcast_shape(ptf_op op, const ptf_attrs *attrs,
                                const ptf_shape *in, int count, ptf_shape *out);

/*
 * Positions of a window along axis i of a map, of 'size' elements; 0 when it
 * does not fit.  With ceil_mode a last, partial window counts if it
 * starts inside the input or its left padding.
 */
int64_t ptf_window_count(const ptf_attrs *a, int i, int64_t size);

/* Positions from its first to its last tap. */
int64_t ptf_window_extent(const ptf_attrs *a, int i);

/* NULL, or why no value has room for such a window. */
const char *ptf_window_refusal(const ptf_attrs *a);

/*
 * The reach of a window along an axis after the channels of a value of that
 * rank with the batch; EACH for the batch.
 */
ptf_reach ptf_window_reach(const ptf_attrs *attrs, int rank, int axis);

/* NULL, or why a value of another rank (or count of channels) is none. */
const char *ptf_partial_needs(ptf_partial_shape in, int rank);
const char *ptf_partial_channels(ptf_partial_shape in, int64_t channels);

/* Reasons that have a count to show: ptf_op_refusal() makes them sentences. */
extern const char ptf_not_channels[], ptf_not_features[];

/* "it takes channels x height x width", for values of that rank. */
const char *ptf_rank_needed(int rank);

#endif
