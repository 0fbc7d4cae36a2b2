/*
 * Bounded memory: a batch is run in parts, and an image whose feature maps
 * are large is run in stripes.  A stripe is some rows of the output with the
 * rows of every value that they depend on; rows at its borders are computed
 * again for the next stripe, and zeros stand only where the image ends, so
 * that the bits are those of the image at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/* Feature maps of one image beyond this are run in stripes. */
enum { STRIPE_BYTES = 256 << 20 };

enum { WHOLE = -1 }; /* in plan->shown[1] */

static int64_t height_of(const ptf_plan_value *value)
{
    return value->shape.rank == 3 ? value->shape.dim[1] : 1;
}

static void set_rows(ptf_plan_value *v, int64_t first, int64_t rows)
{
    v->first = first;
    v->rows = rows;
    v->numel = ptf_shape_numel(&v->shape) / height_of(v) * rows;
}

/* -------------------------------------------------------------------- rows */

/* On which input rows an output row of a step depends. */
static ptf_reach rows_of(const ptf_step *s)
{
    enum { RANK = 4, ROWS = 2 }; /* of a map, with the batch */
    return ptf_op_reach(s->node->op, &s->node->attrs, RANK, ROWS);
}

static bool is_by_rows(const ptf_plan *plan, const ptf_step *s)
{
    return plan->values[s->in].shape.rank == 3 &&
           plan->values[s->out].shape.rank == 3 &&
           rows_of(s).kind != PTF_REACH_ALL;
}

/*
 * Nor may the net flatten, because its input or output has no rows then; a
 * linear layer takes no value of rank 3.
 */
static bool all_by_rows(const ptf_plan *plan)
{
    for (int i = 0; i < plan->step_count; i++) {
        if (!is_by_rows(plan, &plan->steps[i]))
            return false;
    }
    return plan->values[plan->net->output].shape.rank == 3;
}

/*
 * The input rows of a step that its output rows depend on; as many as that
 * can be wherever the output rows lie, when 'anywhere'.
 */
static void rows_before(const ptf_plan *plan, const ptf_step *s, bool anywhere,
                        int64_t *first, int64_t *end)
{
    const ptf_plan_value *out = &plan->values[s->out];
    int64_t height = height_of(&plan->values[s->in]);
    *first = out->first;
    *end = out->first + out->rows;
    ptf_reach reach = rows_of(s);
    if (reach.kind == PTF_REACH_WINDOW) {
        *first = out->first * reach.stride - reach.before;
        *end = *first + (out->rows - 1) * reach.stride + reach.extent;
    }
    if (anywhere) {
        *end -= *first;
        *first = 0;
    }
    *first = ptf_min_i64(ptf_max_i64(*first, 0), height);
    *end = ptf_max_i64(ptf_min_i64(*end, height), *first);
}

/* From the output back to the input; several readers join their rows. */
static void show_values(ptf_plan *plan, bool anywhere, int64_t first,
                        int64_t count)
{
    for (int i = 0; i < plan->step_count; i++)
        set_rows(&plan->values[plan->steps[i].out], 0, 0);
    set_rows(&plan->values[0], 0, 0);
    set_rows(&plan->values[plan->output], first, count);
    for (int i = plan->step_count - 1; i >= 0; i--) {
        const ptf_step *s = &plan->steps[i];
        if (plan->values[s->out].rows == 0)
            continue;
        ptf_plan_value *in = &plan->values[s->in];
        int64_t begin, end;
        rows_before(plan, s, anywhere, &begin, &end);
        if (in->rows > 0) {
            begin = ptf_min_i64(begin, in->first);
            end = ptf_max_i64(end, in->first + in->rows);
        }
        set_rows(in, begin, end - begin);
    }
}

static void fit_steps(ptf_plan *plan)
{
    for (int i = 0; i < plan->step_count; i++)
        ptf_step_fit(plan, &plan->steps[i]);
}

static void show_steps(ptf_plan *plan)
{
    fit_steps(plan);
    for (int i = 0; i < plan->step_count; i++)
        ptf_step_taps(&plan->steps[i]);
}

static void show(ptf_plan *plan, int64_t first, int64_t count)
{
    if (plan->shown[0] == first && plan->shown[1] == count)
        return;
    show_values(plan, false, first, count);
    show_steps(plan);
    plan->shown[0] = first;
    plan->shown[1] = count;
}

static void show_whole(ptf_plan *plan)
{
    if (plan->shown[1] == WHOLE)
        return;
    set_rows(&plan->values[0], 0, height_of(&plan->values[0]));
    for (int i = 0; i < plan->step_count; i++) {
        ptf_plan_value *v = &plan->values[plan->steps[i].out];
        set_rows(v, 0, height_of(v));
    }
    show_steps(plan);
    plan->shown[1] = WHOLE;
}

/* ------------------------------------------------------------------ layout */

/* The bytes of all buffers, with the rows that the values have. */
static size_t bytes_of_buffers(ptf_plan *plan)
{
    size_t bytes = ptf_plan_assign(plan);
    plan->stripe_floats[0] = plan->stripe_floats[1] = 0;
    if (plan->stripe == 0)
        return bytes;
    plan->stripe_floats[0] = (size_t)plan->values[0].numel;
    plan->stripe_floats[1] = (size_t)plan->values[plan->output].numel;
    return bytes + 4 * (plan->stripe_floats[0] + plan->stripe_floats[1]);
}

static size_t bytes_of_stripe(ptf_plan *plan, int64_t rows)
{
    plan->stripe = rows;
    show_values(plan, true, 0, rows);
    fit_steps(plan);
    return bytes_of_buffers(plan);
}

/* The most rows of output that 'room' suffices for, at least one. */
static size_t choose_stripe(ptf_plan *plan, size_t room)
{
    int64_t low = 1, high = height_of(&plan->values[plan->output]);
    while (low + 1 < high) {
        int64_t middle = (low + high) / 2;
        if (bytes_of_stripe(plan, middle) <= room)
            low = middle;
        else
            high = middle;
    }
    return bytes_of_stripe(plan, low);
}

static size_t bytes_of_batch(ptf_plan *plan, int64_t batch)
{
    plan->batch = batch;
    ptf_plan_segments(plan);
    return bytes_of_buffers(plan);
}

/* Sets batch and stripe; the bytes that the buffers take. */
static size_t choose(ptf_plan *plan, size_t room)
{
    size_t most = room < STRIPE_BYTES ? room : STRIPE_BYTES;
    bool large = bytes_of_batch(plan, 1) > most;
    if (large && plan->by_rows && height_of(&plan->values[plan->output]) > 1)
        return choose_stripe(plan, most);
    int64_t batch = plan->most;
    size_t bytes = bytes_of_batch(plan, batch);
    while (bytes > room && batch > 1 && !plan->keep) {
        batch = (batch + 1) / 2;
        bytes = bytes_of_batch(plan, batch);
    }
    return bytes;
}

static ptf_status allocate(ptf_plan *plan, size_t floats, float **out,
                           ptf_error *err)
{
    *out = NULL;
    if (floats == 0)
        return PTF_OK;
    *out = ptf_plan_alloc(plan, floats * sizeof(float));
    return *out != NULL ? PTF_OK : ptf_fail_memory(err);
}

static ptf_status allocate_all(ptf_plan *plan, size_t scratch, ptf_error *err)
{
    float *memory = NULL;
    ptf_status status = allocate(plan, scratch / sizeof(float), &memory, err);
    plan->scratch = (char *)memory;
    if (status == PTF_OK)
        status = allocate(plan, plan->padded.floats, &plan->padded.data, err);
    if (status == PTF_OK)
        status = allocate(plan, plan->stripe_floats[0], &plan->stripe_in, err);
    if (status == PTF_OK)
        status = allocate(plan, plan->stripe_floats[1], &plan->stripe_out, err);
    for (int i = 0; i < plan->buffer_count && status == PTF_OK; i++)
        status = allocate(plan, plan->buffers[i].floats, &plan->buffers[i].data,
                          err);
    return status;
}

ptf_status ptf_plan_layout(ptf_plan *plan, ptf_error *err)
{
    size_t steps = (size_t)plan->step_count;
    plan->buffers =
        ptf_arena_array(&plan->arena, steps + 1, sizeof(ptf_region));
    if (plan->buffers == NULL)
        return ptf_fail_memory(err);
    plan->by_rows = !plan->keep && all_by_rows(plan);
    size_t scratch = plan->kernels->scratch_size * (size_t)plan->threads;
    size_t used = plan->memory + scratch, room = SIZE_MAX;
    if (plan->memory_limit > 0)
        room = plan->memory_limit > used ? plan->memory_limit - used : 0;
    size_t bytes = choose(plan, room);
    for (int i = 0; i < plan->step_count; i++) {
        ptf_status status = ptf_step_check(&plan->steps[i], err);
        if (status != PTF_OK)
            return status;
    }
    if (!ptf_add_size(scratch, bytes, &bytes))
        bytes = SIZE_MAX;
    ptf_status status = ptf_plan_reserve(plan, bytes, err);
    if (status == PTF_OK)
        status = allocate_all(plan, scratch, err);
    return status;
}

/* -------------------------------------------------------------------- runs */

/* Rows of floats between an image and a stripe of it, channel by channel. */
static void copy_rows(float *to, int64_t to_plane, const float *from,
                      int64_t from_plane, int64_t channels, int64_t floats)
{
    for (int64_t c = 0; c < channels; c++)
        memcpy(to + c * to_plane, from + c * from_plane,
               (size_t)floats * sizeof(float));
}

static void run_stripe(ptf_plan *plan, const float *in, float *out)
{
    const ptf_map x = ptf_map_of(&plan->values[0]);
    const ptf_map y = ptf_map_of(&plan->values[plan->output]);
    copy_rows(plan->stripe_in, x.rows * x.width, in + x.first * x.width,
              x.height * x.width, x.channels, x.rows * x.width);
    ptf_plan_run_steps(plan, plan->stripe_in, 1, plan->stripe_out);
    copy_rows(out + y.first * y.width, y.height * y.width, plan->stripe_out,
              y.rows * y.width, y.channels, y.rows * y.width);
}

void ptf_plan_run_images(ptf_plan *plan, const float *in, int64_t count,
                         float *out)
{
    if (plan->stripe == 0) {
        show_whole(plan);
        ptf_plan_run_steps(plan, in, count, out);
        return;
    }
    int64_t height = height_of(&plan->values[plan->output]);
    for (int64_t first = 0; first < height; first += plan->stripe) {
        show(plan, first, ptf_min_i64(plan->stripe, height - first));
        run_stripe(plan, in, out);
    }
}

int64_t ptf_plan_stripe(const ptf_plan *plan)
{
    if (!plan->by_rows)
        return 0;
    return plan->stripe > 0 ? plan->stripe
                            : height_of(&plan->values[plan->output]);
}

static ptf_status check_rows(const ptf_plan *plan, int64_t first, int64_t count,
                             ptf_error *err)
{
    int64_t height = height_of(&plan->values[plan->output]);
    if (!plan->by_rows)
        return ptf_fail(err, PTF_UNSUPPORTED, NULL, PTF_NO_OFFSET,
                        "the net has a layer that needs the whole image: it "
                        "cannot run by rows");
    if (first < 0 || count < 1 || count > ptf_plan_stripe(plan) ||
        first > height - count)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "%lld rows from %lld on of an output of %lld rows, in "
                        "stripes of at most %lld",
                        (long long)count, (long long)first, (long long)height,
                        (long long)ptf_plan_stripe(plan));
    return PTF_OK;
}

ptf_status ptf_plan_rows(ptf_plan *plan, int64_t first, int64_t count,
                         int64_t *in_first, int64_t *in_count, ptf_error *err)
{
    ptf_status status = check_rows(plan, first, count, err);
    if (status != PTF_OK)
        return status;
    show(plan, first, count);
    *in_first = plan->values[0].first;
    *in_count = plan->values[0].rows;
    return PTF_OK;
}

ptf_status ptf_plan_run_rows(ptf_plan *plan, int64_t first, int64_t count,
                             const float *in, float *out, ptf_error *err)
{
    ptf_status status = check_rows(plan, first, count, err);
    if (status != PTF_OK)
        return status;
    show(plan, first, count);
    double height = (double)height_of(&plan->values[plan->output]);
    ptf_plan_start(plan, (double)count / height, in, plan->values[0].numel);
    ptf_plan_run_steps(plan, in, 1, out);
    return PTF_OK;
}
