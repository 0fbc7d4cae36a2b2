/*
 * number: floats as Python writes them, in any locale.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_NUMBER_H
#define PTF_NUMBER_H

#include "base/base.h"

/* Reads "1e-05", "0.1", "2"; false unless all of it is a finite number. */
bool ptf_number_parse(const char *text, size_t size, double *out);

/* The shortest text that reads back as 'value', as Python's repr has it. */
void ptf_number_text(double value, char text[32]);

#endif
