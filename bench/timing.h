/*
 * timing: what the programs of this folder share.  Each is one file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TIMING_H
#define TIMING_H

#include "ptfold.h"

#include <stdlib.h>
#include <time.h>

static ptf_error err;

static void check(ptf_status status)
{
    if (status == PTF_OK)
        return;
    fprintf(stderr, "%s\n", err.message);
    exit(1);
}

/* Seconds. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
