/*
 * reference_grad: nets and their gradients in double, by the plainest loops,
 * for one image: what the library's gradients are held against.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef REFERENCE_GRAD_H
#define REFERENCE_GRAD_H

#include "net/net.h"

enum { TAPE_NODES = 64 };

typedef struct tape {
    const ptf_net *net;
    ptf_shape shapes[TAPE_NODES];
    int64_t numel[TAPE_NODES];
    double *value[TAPE_NODES];
    double *cotangent[TAPE_NODES];
    /* may be changed before a run */
    double *parameter[TAPE_NODES][PTF_ROLE_COUNT];
    int64_t parameter_numel[TAPE_NODES][PTF_ROLE_COUNT];
    double *gradient[TAPE_NODES][PTF_ROLE_COUNT];
} tape;

/* Reads the parameters; the test fails if 'input' does not fit. */
void tape_init(tape *t, const ptf_net *net, const ptf_shape *input);
void tape_free(tape *t);

/* Forward: the output's numbers, which the tape owns. */
const double *tape_run(tape *t, const double *in);

/* Back: fills cotangent[] and gradient[]. */
void tape_back(tape *t, const double *cotangent);

#endif
