/*
 * Sources have no operands to go back to.  A constant is a parameter: the same
 * numbers for every image, so that its gradient is the sum of theirs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

void ptf_back_constant(const ptf_gradient *g, int i)
{
    float *by = g->nodes[i].by[PTF_ROLE_WEIGHT];
    const float *d = g->nodes[i].d;
    int64_t floats = ptf_gradient_numel(g, i);
    if (by == NULL)
        return;
    memcpy(by, d, (size_t)floats * sizeof(float));
    for (int64_t image = 1; image < g->count; image++)
        ptf_gradient_add(g, by, d + image * floats, floats);
}

const ptf_back_family ptf_back_family_source = {.back = NULL};
