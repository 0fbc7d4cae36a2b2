/*
 * The plan's memory: buffers that values share when their lives do not
 * overlap, the padded input, the kernels' scratch; all of it counted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { ALIGNMENT = 64, LINE = ALIGNMENT / sizeof(float) };

/* Of one buffer; more cannot be had anywhere. */
#define MOST_FLOATS (INT64_MAX / 64)

void *ptf_plan_alloc(ptf_plan *plan, size_t size)
{
    size_t count = (size_t)plan->block_count + 1;
    void **blocks = ptf_realloc(plan->blocks, count * sizeof(*blocks));
    if (blocks == NULL)
        return NULL;
    plan->blocks = blocks;
    void *block = ptf_alloc_aligned(size, ALIGNMENT);
    if (block == NULL)
        return NULL;
    plan->blocks[plan->block_count++] = block;
    plan->memory += size;
    return block;
}

ptf_status ptf_plan_reserve(const ptf_plan *plan, size_t more, ptf_error *err)
{
    size_t need;
    if (!ptf_add_size(plan->memory, more, &need))
        need = SIZE_MAX;
    if (plan->memory_limit == 0 || need <= plan->memory_limit)
        return PTF_OK;
    return ptf_fail(err, PTF_MEMORY, NULL, PTF_NO_OFFSET,
                    "the plan needs %zu bytes, and its limit is %zu", need,
                    plan->memory_limit);
}

/* ---------------------------------------------------------------- liveness */

/* A value whose readers run in pieces of another size holds the batch. */
static void find_lives(ptf_plan *plan)
{
    for (int i = 0; i < plan->step_count; i++) {
        const ptf_step *s = &plan->steps[i];
        plan->values[s->out].last_use = i;
        plan->values[s->out].whole = plan->keep || s->group == plan->batch;
    }
    for (int i = 0; i < plan->step_count; i++) {
        const ptf_step *s = &plan->steps[i];
        plan->values[s->in].last_use = i;
        for (int j = 0; j < i; j++) {
            const ptf_step *maker = &plan->steps[j];
            if (maker->out == s->in && maker->group != s->group)
                plan->values[s->in].whole = true;
        }
    }
    plan->values[0].whole = plan->values[plan->output].whole = true;
}

/*
 * True when some value in 'buffer' is still needed as step 'now' writes.  A
 * value that holds the batch lives through all pieces of the segments from
 * its maker to its last reader.
 */
static bool is_taken(const ptf_plan *plan, int buffer, int now)
{
    for (int i = 0; i < now; i++) {
        const ptf_plan_value *v = &plan->values[plan->steps[i].out];
        int last = v->last_use;
        while (v->whole && last + 1 < plan->step_count &&
               plan->steps[last + 1].group == plan->steps[last].group &&
               plan->steps[last].group != plan->batch)
            last++;
        if (v->buffer == buffer && last >= now)
            return true;
    }
    return false;
}

/* A value that holds the batch must not lie where pieces come and go. */
static bool is_shared_badly(const ptf_plan *plan, int buffer, int now)
{
    if (!plan->values[plan->steps[now].out].whole ||
        plan->steps[now].group == plan->batch)
        return false;
    int first = now; /* of the segment */
    while (first > 0 && plan->steps[first - 1].group == plan->steps[now].group)
        first--;
    for (int i = first; i < now; i++) {
        if (plan->values[plan->steps[i].out].buffer == buffer)
            return true;
    }
    return false;
}

static bool is_pointwise(ptf_op op)
{
    return ptf_op_is(op, PTF_FAMILY_UNARY) || ptf_op_is(op, PTF_FAMILY_AFFINE);
}

/* The buffer of step 'now': its own input's where that ends here. */
static int choose_buffer(const ptf_plan *plan, int now)
{
    const ptf_step *s = &plan->steps[now];
    const ptf_plan_value *in = &plan->values[s->in];
    if (s->out == plan->output)
        return PTF_BUFFER_OUT;
    if (plan->keep)
        return now;
    if (is_pointwise(s->node->op) && in->last_use == now && in->buffer >= 0 &&
        in->whole == plan->values[s->out].whole)
        return in->buffer;
    int buffer = 0;
    while (is_taken(plan, buffer, now) || is_shared_badly(plan, buffer, now))
        buffer++;
    return buffer;
}

/* -------------------------------------------------------------------- sizes */

static void grow(size_t *most, size_t size)
{
    *most = size > *most ? size : *most;
}

/* a * b * c, or as much as there can be. */
static size_t floats_of(int64_t a, int64_t b, int64_t c)
{
    int64_t n;
    if (!ptf_mul_i64(a, b, &n) || !ptf_mul_i64(n, c, &n) || n > MOST_FLOATS)
        return MOST_FLOATS;
    return (size_t)n;
}

/* Room for 'size' floats of each thread that has pieces of its own. */
static void grow_own(const ptf_plan *plan, ptf_region *buffer,
                     const ptf_step *step, size_t size)
{
    if (step->apart) {
        grow(&buffer->apart, (size + LINE - 1) / LINE * LINE);
        size = floats_of((int64_t)buffer->apart, plan->threads, 1);
    }
    grow(&buffer->floats, size);
}

static void assign_step(ptf_plan *plan, int i)
{
    const ptf_step *s = &plan->steps[i];
    ptf_plan_value *v = &plan->values[s->out];
    v->buffer = choose_buffer(plan, i);
    if (v->buffer >= plan->buffer_count)
        plan->buffer_count = v->buffer + 1;
    if (v->buffer >= 0 && v->whole)
        grow(&plan->buffers[v->buffer].floats,
             floats_of(v->numel, plan->batch, 1));
    else if (v->buffer >= 0)
        grow_own(plan, &plan->buffers[v->buffer], s,
                 floats_of(v->numel, s->group, 1));
    if (s->padded[1] > 0)
        grow_own(plan, &plan->padded, s,
                 floats_of((int64_t)floats_of(s->padded[0], s->padded[1],
                                              s->conv.in.channels),
                           s->group, 1));
}

size_t ptf_plan_assign(ptf_plan *plan)
{
    plan->buffer_count = 0;
    plan->padded = (ptf_region){0};
    find_lives(plan);
    plan->values[0].buffer = PTF_BUFFER_IN;
    for (int i = 0; i < plan->step_count; i++) {
        plan->values[plan->steps[i].out].buffer = PTF_BUFFER_OUT;
        plan->buffers[i] = (ptf_region){0};
    }
    for (int i = 0; i < plan->step_count; i++)
        assign_step(plan, i);
    size_t bytes = plan->padded.floats * sizeof(float);
    for (int i = 0; i < plan->buffer_count; i++) {
        if (!ptf_add_size(bytes, plan->buffers[i].floats * sizeof(float),
                          &bytes))
            return SIZE_MAX;
    }
    return bytes;
}
