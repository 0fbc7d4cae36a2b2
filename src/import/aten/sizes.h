/*
 * The sizes that a program's inputs have in a lowering.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ATEN_SIZES_H
#define PTF_ATEN_SIZES_H

#include "program/program.h"

typedef struct ptf_sizes {
    const ptf_program *program;
    const ptf_tensor *const *given; /* shapes; NULL: those of the example */
    int64_t batch; /* that all inputs of the example have in front, or 0 */
    bool is_free;  /* it is a symbol, which all inputs have */
    bool other;    /* some size is not the example's, */
    bool moved;    /* and one of these is a number in the program */
    int64_t *symbols;
    bool *bound; /* by symbol: it is known */
    ptf_error *err;
} ptf_sizes;

/*
 * 'inputs' are arrays of the shapes that the inputs are to have, with all their
 * axes; NULL: as in the example.  PTF_ARGUMENT names an axis that may not have
 * the size, or a condition of the program that does not hold; PTF_UNSUPPORTED a
 * condition that cannot be judged.  To be closed also when it fails.
 */
ptf_status ptf_sizes_open(ptf_sizes *s, const ptf_program *program,
                          const ptf_tensor *const *inputs, size_t count,
                          ptf_error *err);
void ptf_sizes_close(ptf_sizes *s);

/* A size of an input by its number. */
int64_t ptf_sizes_of(const ptf_sizes *s, size_t input,
                     const ptf_program_value *v, int axis);

/* What the program's record of a size says for these; false: nothing. */
bool ptf_sizes_recorded(const ptf_sizes *s, const ptf_program_size *size,
                        int64_t *out);

#endif
