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

/* The node with the largest value. */
static const char *largest(const ptf_plan *plan)
{
    int at = 0;
    for (int i = 1; i < plan->net->node_count; i++) {
        if (plan->values[i].numel > plan->values[at].numel)
            at = i;
    }
    return plan->net->nodes[at].name;
}

ptf_status ptf_plan_reserve(const ptf_plan *plan, size_t more, ptf_error *err)
{
    /* a few bytes of a program can ask for any size */
    size_t limit =
        plan->memory_limit != 0 ? plan->memory_limit : ptf_machine_memory();
    size_t need;
    if (!ptf_add_size(plan->memory, more, &need))
        need = SIZE_MAX;
    if (need <= limit)
        return PTF_OK;
    return ptf_fail(err, PTF_MEMORY, NULL, PTF_NO_OFFSET,
                    "the plan needs %zu bytes, and its limit is %zu; the "
                    "largest value is that of '%.100s'",
                    need, limit, largest(plan));
}

/* ---------------------------------------------------------------- liveness */

/* A value whose readers run in pieces of another size holds the batch. */
static void find_lives(ptf_plan *plan)
{
    for (int i = 0; i < plan->step_count; i++) {
        const ptf_step *s = &plan->steps[i];
        ptf_plan_value *out = &plan->values[s->out];
        out->last_use = i;
        out->whole = plan->keep || s->group == plan->batch;
        for (int k = 0; k < s->in_count; k++) {
            ptf_plan_value *in = ptf_plan_root(plan, s->in[k]);
            in->last_use = i;
            if (in->maker >= 0 && plan->steps[in->maker].first != s->first)
                in->whole = true;
        }
    }
    for (int k = 0; k < plan->net->input_count; k++)
        plan->values[k].whole = true;
    for (int k = 0; k < plan->net->output_count; k++)
        plan->values[plan->outputs[k]].whole = true;
}

/*
 * The last step at which the value is needed.  One that holds the batch lives
 * through all pieces of the segments from its maker to its last reader.
 */
static int end_of_life(const ptf_plan *plan, const ptf_plan_value *v)
{
    const ptf_step *last = &plan->steps[v->last_use];
    return v->whole && last->group != plan->batch ? last->last : v->last_use;
}

/* A value that holds the batch must not lie where pieces come and go. */
static bool is_shared_badly(const ptf_plan *plan, int buffer, int now)
{
    const ptf_step *s = &plan->steps[now];
    return plan->values[s->out].whole && s->group != plan->batch &&
           plan->buffers[buffer].written >= s->first;
}

static bool is_pointwise(ptf_op op)
{
    return ptf_op_is(op, PTF_FAMILY_UNARY) ||
           ptf_op_is(op, PTF_FAMILY_AFFINE) || ptf_op_is(op, PTF_FAMILY_BINARY);
}

/*
 * True when step 'now' may write over this operand: it is the last to read it,
 * and the numbers lie as those that it writes do, in every stripe.
 */
static bool may_replace(const ptf_plan *plan, int now, const ptf_plan_value *in)
{
    const ptf_plan_value *out = &plan->values[plan->steps[now].out];
    return in->last_use == now && in->buffer >= 0 && in->whole == out->whole &&
           in->numel == out->numel &&
           (out->alike == in->alike || plan->values[in->alike].reads == 1);
}

/* The buffer of step 'now': an operand's where that ends here. */
static int choose_buffer(const ptf_plan *plan, int now)
{
    const ptf_step *s = &plan->steps[now];
    if (plan->values[s->out].is_output)
        return PTF_BUFFER_OUT;
    if (plan->keep)
        return now;
    for (int k = 0; k < s->in_count && is_pointwise(s->node->op); k++) {
        const ptf_plan_value *in = ptf_plan_root(plan, s->in[k]);
        if (may_replace(plan, now, in))
            return in->buffer;
    }
    int buffer = 0;
    while (plan->buffers[buffer].needed >= now ||
           is_shared_badly(plan, buffer, now))
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

/* Room for 'size' floats of each thread. */
static void grow_each(const ptf_plan *plan, ptf_region *buffer, size_t size)
{
    grow(&buffer->thread_stride, (size + LINE - 1) / LINE * LINE);
    grow(&buffer->floats,
         floats_of((int64_t)buffer->thread_stride, plan->threads, 1));
}

/* Of each thread that has pieces of its own, or of all together. */
static void grow_own(const ptf_plan *plan, ptf_region *buffer,
                     const ptf_step *step, size_t size)
{
    if (step->per_thread)
        grow_each(plan, buffer, size);
    else
        grow(&buffer->floats, size);
}

/* The padded input of a step, and what vectors read beyond its end. */
static void grow_padded(ptf_plan *plan, const ptf_step *s)
{
    int64_t plane =
        (int64_t)floats_of(s->padded[0], s->padded[1], s->padded[2]);
    int64_t channels = s->conv.in.channels;
    size_t group = floats_of(plane, channels / s->conv.groups, 1);
    if (s->by_groups > 0)
        grow_each(plan, &plan->padded,
                  (group > PTF_PADDED_AT_ONCE ? group : PTF_PADDED_AT_ONCE) +
                      PTF_BEYOND);
    else
        grow_own(plan, &plan->padded, s,
                 floats_of(plane, channels, s->group) + PTF_BEYOND);
}

static void assign_step(ptf_plan *plan, int i)
{
    const ptf_step *s = &plan->steps[i];
    ptf_plan_value *v = &plan->values[s->out];
    v->buffer = choose_buffer(plan, i);
    if (v->buffer >= plan->buffer_count)
        plan->buffer_count = v->buffer + 1;
    if (v->buffer >= 0) {
        ptf_region *buffer = &plan->buffers[v->buffer];
        int end = end_of_life(plan, v);
        buffer->needed = end > buffer->needed ? end : buffer->needed;
        buffer->written = i;
    }
    if (v->buffer >= 0 && v->whole)
        grow(&plan->buffers[v->buffer].floats,
             floats_of(v->numel, plan->batch, 1));
    else if (v->buffer >= 0)
        grow_own(plan, &plan->buffers[v->buffer], s,
                 floats_of(v->numel, s->group, 1));
    if (s->padded[2] > 0)
        grow_padded(plan, s);
    grow_own(plan, &plan->phased, s, floats_of(s->phase_floats, s->group, 1));
}

size_t ptf_plan_assign(ptf_plan *plan)
{
    plan->buffer_count = 0;
    plan->padded = plan->phased = (ptf_region){0};
    find_lives(plan);
    for (int k = 0; k < plan->net->input_count; k++)
        plan->values[k].buffer = PTF_BUFFER_IN;
    for (int i = 0; i < plan->step_count; i++) {
        plan->values[plan->steps[i].out].buffer = PTF_BUFFER_OUT;
        plan->buffers[i] = (ptf_region){.written = -1, .needed = -1};
    }
    for (int i = 0; i < plan->step_count; i++)
        assign_step(plan, i);
    size_t bytes = (plan->padded.floats + plan->phased.floats) * sizeof(float);
    for (int i = 0; i < plan->buffer_count; i++) {
        if (!ptf_add_size(bytes, plan->buffers[i].floats * sizeof(float),
                          &bytes))
            return SIZE_MAX;
    }
    return bytes;
}
