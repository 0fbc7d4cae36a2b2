/*
 * expect: what its files share: which layer an array is of, and its numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_CERTIFY_EXPECT_H
#define PTF_CERTIFY_EXPECT_H

#include "enclose/enclose.h"

/* Arrays that were recorded, and of what. */
typedef struct ptf_recording {
    const ptf_net *net;
    const ptf_shape *shapes; /* of the nodes */
    const char *source;      /* the arrays' file */
    size_t count;            /* of arrays */
    int64_t samples;
} ptf_recording;

/*
 * The node whose output an array is; -1: it is left out.  PTF_ARGUMENT for an
 * unknown name or another shape, PTF_UNSUPPORTED for another dtype.
 */
ptf_status ptf_recorded_find(const ptf_recording *recording,
                             const ptf_tensor *array, int *node,
                             ptf_error *err);

/* The same numbers in the same order without dimensions of size 1. */
ptf_tensor ptf_recorded_squeeze(const ptf_tensor *array);

/* Sample 'n' of a squeezed array, as doubles. */
ptf_status ptf_recorded_read(const ptf_tensor *array, int64_t samples,
                             int64_t n, double *out, ptf_error *err);

#endif
