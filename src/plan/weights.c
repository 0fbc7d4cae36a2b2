/*
 * Parameters as the kernels want them: f32 in C order, in place in the
 * mapped file where they are so; batch norms as scale and shift; the weights
 * of convolutions packed into panels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Weights up to this size are packed when the plan is made.  Larger ones are
 * packed block by block while they are used, because a copy of them takes
 * memory, and time to make: about as much as it saves in PTF_PACK_FROM runs
 * (measured: 0.3 s for 1.36 GB, which 36 pixels then use in 0.05 s less).
 */
enum { PACK_AT_MOST = 128 << 20 };

/* ----------------------------------------------------------------- in place */

enum { TOUCH_PIECE = 16 << 20 };

typedef struct touch_run {
    char *begin, *end;
} touch_run;

static void touch_piece(void *context, int64_t i, int thread)
{
    const touch_run *r = context;
    (void)thread;
    char *begin = r->begin + i * TOUCH_PIECE;
    size_t size = (size_t)(r->end - begin);
    if (size > TOUCH_PIECE)
        size = TOUCH_PIECE;
#ifdef MADV_POPULATE_READ
    madvise(begin, size, MADV_POPULATE_READ);
#else
    madvise(begin, size, MADV_WILLNEED);
#endif
}

/*
 * Maps the pages of large weights in a few calls: taken one fault at a time
 * they would cost as much as reading them.  It is a hint; where the system
 * does not know it, the faults happen later.
 */
static void touch(const ptf_plan *plan, const float *data, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)data + size) / page * page;
    if (begin >= end)
        return;
    touch_run run = {(char *)begin, (char *)end};
    ptf_each(plan->threads, ptf_ceil_div((int64_t)(end - begin), TOUCH_PIECE),
             touch_piece, &run);
}

ptf_status ptf_plan_f32(ptf_plan *plan, const ptf_tensor *tensor,
                        const float **out, ptf_error *err)
{
    *out = NULL;
    if (tensor == NULL)
        return PTF_OK;
    size_t size = (size_t)ptf_tensor_numel(tensor) * sizeof(float);
    *out = ptf_tensor_f32(tensor);
    if (*out != NULL) {
        touch(plan, *out, size);
        return PTF_OK;
    }
    ptf_status status = ptf_plan_reserve(plan, size, err);
    if (status != PTF_OK)
        return status;
    float *copy = ptf_plan_alloc(plan, size);
    if (copy == NULL)
        return ptf_fail_memory(err);
    *out = copy;
    return ptf_tensor_read_f32(tensor, copy, err);
}

ptf_status ptf_plan_batch_norm(ptf_plan *plan, const ptf_node *norm,
                               ptf_epilogue *epilogue, ptf_error *err)
{
    int64_t channels = norm->attrs.in_channels;
    ptf_norm_numbers n;
    ptf_status status = ptf_norm_numbers_read(&plan->arena, norm, &n, err);
    if (status != PTF_OK)
        return status;
    float *scale = ptf_arena_array(&plan->arena, (size_t)channels, 4);
    float *shift = ptf_arena_array(&plan->arena, (size_t)channels, 4);
    if (scale == NULL || shift == NULL)
        return ptf_fail_memory(err);
    for (int64_t c = 0; c < channels; c++) {
        double s = n.gamma[c] / sqrt(n.var[c] + norm->attrs.eps);
        scale[c] = (float)s;
        shift[c] = (float)(n.beta[c] - n.mean[c] * s);
    }
    epilogue->scale = scale;
    epilogue->shift = shift;
    return PTF_OK;
}

/* -------------------------------------------------------------------- pack */

typedef struct pack_run {
    const ptf_kernels *kernels;
    const float *weights;
    float *panels;
    int64_t channels, terms; /* of one group */
} pack_run;

static void pack_panel(void *context, int64_t i, int thread)
{
    const pack_run *r = context;
    (void)thread;
    int64_t full = r->kernels->panel_channels;
    int64_t panels = ptf_ceil_div(r->channels, full);
    int64_t group = i / panels, c = i % panels * full;
    int64_t count = ptf_min_i64(r->channels - c, full);
    int64_t lanes = r->kernels->lanes;
    int64_t width = ptf_ceil_div(r->channels, lanes) * lanes;
    r->kernels->pack(r->weights + (group * r->channels + c) * r->terms,
                     r->terms, count, r->terms,
                     r->panels + (group * width + c) * r->terms);
}

/* The panels, or NULL: it runs without them. */
static const float *pack(ptf_plan *plan, const ptf_step *step,
                         const float *weights, int64_t terms)
{
    const ptf_kernels *kernels = plan->kernels;
    int64_t groups = step->conv.groups;
    int64_t channels = step->conv.out.channels / groups;
    int64_t width = ptf_ceil_div(channels, kernels->lanes) * kernels->lanes;
    size_t size = (size_t)(groups * width * terms) * sizeof(float);
    if ((size > PACK_AT_MOST && plan->runs < PTF_PACK_FROM) ||
        ptf_plan_reserve(plan, size, NULL) != PTF_OK)
        return NULL;
    float *panels = ptf_plan_alloc(plan, size);
    if (panels == NULL)
        return NULL;
    int64_t full = kernels->panel_channels;
    pack_run run = {kernels, weights, panels, channels, terms};
    ptf_each(plan->threads, groups * ptf_ceil_div(channels, full), pack_panel,
             &run);
    return panels;
}

void ptf_plan_pack(ptf_plan *plan, ptf_step *step)
{
    for (int i = 0; i < step->phase_count; i++) {
        ptf_phase *p = &step->phases[i];
        p->panels = pack(plan, step, p->weights, p->terms);
    }
    if (step->phase_count == 0)
        step->panels =
            pack(plan, step, step->weights,
                 ptf_conv_weights(&step->conv) / step->conv.out.channels);
}
