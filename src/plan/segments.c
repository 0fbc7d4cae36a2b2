/*
 * Which steps take how many images at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/*
 * A light segment's piece has so few images that its maps stay in the caches:
 * those of one core where a thread has the piece, else those of all; but if
 * these suffice, so many that large weights are used by enough pixels each
 * time they are read.  Each thread gets several pieces, so that all end at
 * about the same time.
 */
enum {
    CORE_FLOATS = 1 << 17,
    GROUP_FLOATS = 1 << 20,
    LARGE_WEIGHTS = 1 << 16,
    ENOUGH_PIXELS = 128,
    PIECES_OF_THREAD = 4,
};

static int64_t clamp(int64_t n, int64_t least, int64_t most)
{
    return ptf_min_i64(ptf_max_i64(n, least), most);
}

/* The images that a light step needs for ENOUGH_PIXELS. */
static int64_t least_group(const ptf_plan *plan, const ptf_step *s)
{
    const ptf_map *out = &s->conv.out;
    if (s->weights == NULL || ptf_conv_weights(&s->conv) < LARGE_WEIGHTS)
        return 1;
    return ptf_ceil_div(ENOUGH_PIXELS,
                        ptf_step_rows(plan, s) * ptf_map_pixels(out));
}

/* What the step reads and writes of an image. */
static int64_t floats_of(const ptf_plan *plan, const ptf_step *s)
{
    int64_t floats = plan->values[s->out].numel;
    for (int k = 0; k < s->in_count; k++) {
        if (!ptf_add_i64(floats, plan->values[s->in[k]].numel, &floats))
            return INT64_MAX;
    }
    return floats;
}

/* Chooses what steps first .. last - 1 take at a time. */
static void set_groups(ptf_plan *plan, int first, int last)
{
    int64_t floats = 1, least = 1, batch = plan->batch;
    for (int i = first; i < last; i++) {
        const ptf_step *s = &plan->steps[i];
        floats = ptf_max_i64(floats, floats_of(plan, s));
        least = ptf_max_i64(least, least_group(plan, s));
    }
    int64_t group = clamp(GROUP_FLOATS / floats, 1, batch);
    int64_t own = clamp(CORE_FLOATS / floats, ptf_min_i64(least, group), batch);
    int64_t most = batch / (PIECES_OF_THREAD * plan->threads);
    bool per_thread =
        plan->threads > 1 && most >= least && floats <= GROUP_FLOATS;
    if (plan->steps[first].weight_bound)
        group = batch;
    else if (plan->threads == 1)
        group = own;
    else if (per_thread)
        group = clamp(own, 1, most);
    for (int i = first; i < last; i++) {
        plan->steps[i].group = group;
        plan->steps[i].per_thread = per_thread && !plan->steps[i].weight_bound;
    }
}

/* What takes as many images as its neighbour is of the same segment. */
static void join_alike(ptf_plan *plan)
{
    int end;
    for (int first = 0; first < plan->step_count; first = end) {
        end = first + 1;
        while (end < plan->step_count &&
               plan->steps[end].group == plan->steps[first].group)
            end++;
        for (int i = first; i < end; i++) {
            plan->steps[i].first = first;
            plan->steps[i].last = end - 1;
        }
    }
}

void ptf_plan_segments(ptf_plan *plan)
{
    int last;
    for (int i = 1; i < plan->step_count; i++) { /* light after heavy */
        ptf_step *s = &plan->steps[i];
        if (s->run != NULL && plan->steps[i - 1].weight_bound &&
            plan->values[s->out].numel <= 65536)
            s->weight_bound = true;
    }
    for (int first = 0; first < plan->step_count; first = last) {
        last = first + 1;
        while (last < plan->step_count && plan->steps[last].weight_bound ==
                                              plan->steps[first].weight_bound)
            last++;
        set_groups(plan, first, last);
    }
    join_alike(plan);
}
