/*
 * Views: their values are those of their inputs, so that they need no step; one
 * that must be a step is a copy.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

ptf_status ptf_plan_view(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    return ptf_plan_source(plan, step, err);
}
