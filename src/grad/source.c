/*
 * Inputs have no input to go back to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

static void back(const ptf_gradient *g, int i, float *dx)
{
    (void)g, (void)i, (void)dx;
}

const ptf_back_family ptf_back_family_source = {.back = back};
