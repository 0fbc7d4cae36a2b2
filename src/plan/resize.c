/*
 * Maps of another size.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

ptf_status ptf_plan_resize(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    step->kernel = "resize";
    return ptf_plan_taps(plan, step, err);
}
