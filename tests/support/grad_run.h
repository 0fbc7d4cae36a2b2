/*
 * grad_run: gradients of a net on a few images, and what they must agree with.
 * Anything that fails fails the test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TESTS_GRAD_RUN_H
#define PTF_TESTS_GRAD_RUN_H

#include "grad/grad.h"
#include "reference_grad.h"

enum { GRAD_IMAGES = 3 };

/* A gradient with its inputs and cotangents. */
typedef struct grad_run {
    ptf_gradient *g;
    int64_t inputs, outputs; /* of an image */
    float *in, *out, *cotangent;
} grad_run;

/* Zeros; the caller frees. */
float *grad_floats(int64_t n);

void grad_run_make(grad_run *r, const ptf_net *net, const ptf_shape *input,
                   ptf_gradient_options options);
/* Forward and back, 'count' images. */
void grad_run_back(grad_run *r, int64_t count);
void grad_run_free(grad_run *r);

/*
 * Outputs and gradients of all images are those of the tape, to 2e-4 of the
 * largest number of each, or of 'least' where that is more: where sums cancel,
 * their terms' rounding is left.  'text' says which net it is.
 */
void grad_expect_tape(const grad_run *r, const ptf_net *net,
                      const ptf_shape *input, double least, const char *text);

/*
 * Every instruction set, on so many threads, gives the bits of the reference
 * on one; the first number of inputs and cotangents is 'odd'.
 */
void grad_expect_bits(const ptf_net *net, const ptf_shape *input, int threads,
                      float odd, const char *text);

/* Gradients of a batch are those of its images, added in order. */
void grad_expect_images(const ptf_net *net, const ptf_shape *input);

#endif
