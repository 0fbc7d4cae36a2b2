/*
 * seeded_faults: networks with a fault, and what a check must say of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SEEDED_FAULTS_H
#define SEEDED_FAULTS_H

#include "bad_folds.h"

typedef struct fault {
    ptf_level level; /* the strongest that is left */
    const char *name;
    const char *layer; /* what the report must name; NULL: it is sound */
    const char *text;  /* of B */
    int at;            /* which fold has the mistake */
    mistake mistake;
    void (*damage)(fixture *b);
    /* For other originals than misfold_original: the text, and how to fold. */
    const char *original;
    void (*plant)(fixture *a, fixture *b);
} fault;

/* Fails with the fault's name where a check finds anything else. */
void planted_check(const fault *fault);

#endif
