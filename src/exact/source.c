/*
 * Constants; inputs are there before the walk.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

/* As doubles, which hold all but integers beyond 2^53, and u of those. */
ptf_status ptf_exact_family_source(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_parameters *numbers = &s->exact->numbers[s->node].plain;
    int64_t count = s->out->count;
    double *room = ptf_alloc((size_t)count * 2 * sizeof(*room));
    if (room == NULL)
        return ptf_fail_memory(err);
    ptf_balls balls = {room, room + count};
    for (int64_t i = 0; i < count; i++) {
        double x =
            numbers->f32 != NULL ? (double)numbers->f32[i] : numbers->f64[i];
        balls.value[i] = x;
        balls.radius[i] = fabs(x) > 0x1p53 && numbers->f32 == NULL
                              ? PTF_U * fabs(x) * PTF_UP
                              : 0.0;
    }
    ptf_exact_take_balls(s, balls);
    ptf_free(room);
    return PTF_OK;
}
