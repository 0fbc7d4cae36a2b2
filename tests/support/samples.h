/*
 * samples: the table of samples.inc, for tests of every stage.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "op/op.h"

/* A function with attributes, and where it is looked at. */
typedef struct sample {
    ptf_op op;
    const char *attributes;
    double low, high;
} sample;

/* What PyTorch gives at x, and the cotangent of x for 1. */
typedef struct sample_point {
    ptf_op op;
    const char *attributes;
    float x, value, slope;
} sample_point;

/* Up to one whose attributes are NULL. */
extern const sample samples[];
extern const sample_point sample_points[];

/* p of these attributes; ends the test when they are wrong. */
void sample_parameters(ptf_op op, const char *attributes, double p[3]);

/* Of an op of the family 'unary'; NAN when it has no sample. */
long double sample_value(ptf_op op, long double x, const double p[3]);
long double sample_slope(ptf_op op, long double x, const double p[3]);

/*
 * "Softplus(beta=1.0, threshold=20.0)" of the index-th sample whose op is a
 * class of torch.nn, counted round and round.
 */
void sample_layer(size_t index, char text[128]);

#endif
