/*
 * Inputs and constants: who reads them reads their balls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/*
 * Exact where f32 holds the numbers.  Others were read into double, which an
 * integer may not fit into, and a run rounds them once.
 */
void ptf_enclose_constant(const ptf_parameters *numbers, int64_t n,
                          bool executed, ptf_balls out)
{
    for (int64_t i = 0; i < n; i++) {
        double x =
            numbers->f32 != NULL ? (double)numbers->f32[i] : numbers->f64[i];
        double r = numbers->rounded ? PTF_U * fabs(x) * PTF_UP + PTF_TINY : 0;
        out.value[i] = x;
        out.radius[i] =
            r + (numbers->rounded ? ptf_executed(executed, x, r) : 0.0);
    }
}

/* The walk starts after them: their balls are there before it. */
const ptf_enclose_family ptf_enclose_family_source = {.image = NULL};
