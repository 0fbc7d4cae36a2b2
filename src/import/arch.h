/*
 * arch: the texts of checkpoints/NAME.txt, compiled in by embed.py.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ARCH_H
#define PTF_ARCH_H

typedef struct ptf_arch {
    const char *name;
    const char *text;
} ptf_arch;

/* Ends with a row of NULLs. */
extern const ptf_arch ptf_arch_table[];

#endif
