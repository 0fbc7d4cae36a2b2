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

/* 1 also of a map that has no elements. */
static int64_t height_of(const ptf_plan_value *value)
{
    return value->shape.rank == 3 ? ptf_max_i64(value->shape.dim[1], 1) : 1;
}

/* The one that there is when an image is cut. */
static ptf_plan_value *output_of(const ptf_plan *plan)
{
    return &plan->values[plan->outputs[0]];
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

static bool same_map(const ptf_shape *a, const ptf_shape *b)
{
    return a->rank == 3 && b->rank == 3 &&
           memcmp(a->dim, b->dim, 3 * sizeof(*a->dim)) == 0;
}

/*
 * Whether the operand's rows that are needed move along with the result's: not
 * where one row is there for all.
 */
static bool has_rows_of(const ptf_plan *plan, const ptf_step *s, int operand)
{
    const ptf_plan_value *in = &plan->values[operand];
    const ptf_plan_value *root = ptf_plan_root(plan, operand);
    if (root->buffer == PTF_BUFFER_CONSTANT)
        return true;
    return same_map(&in->shape, &root->shape) &&
           (rows_of(s).kind != PTF_REACH_EACH ||
            height_of(in) == height_of(&plan->values[s->out]));
}

static bool is_by_rows(const ptf_plan *plan, const ptf_step *s)
{
    for (int k = 0; k < s->in_count; k++) {
        if (!has_rows_of(plan, s, s->in[k]))
            return false;
    }
    return plan->values[s->out].shape.rank == 3 &&
           rows_of(s).kind != PTF_REACH_ALL;
}

/*
 * Nor may the net flatten, because its input or output has no rows then.
 */
static bool all_by_rows(const ptf_plan *plan)
{
    for (int i = 0; i < plan->step_count; i++) {
        if (!is_by_rows(plan, &plan->steps[i]))
            return false;
    }
    return plan->net->input_count == 1 && plan->net->output_count == 1 &&
           plan->values[0].shape.rank == 3 &&
           same_map(&plan->values[plan->net->outputs[0].node].shape,
                    &output_of(plan)->shape);
}

/*
 * The value of a step whose rows depend on the same rows of its one operand has
 * as many of them as that, even where other readers of the operand need more:
 * so the two lie in memory alike.
 */
static void find_alike(ptf_plan *plan)
{
    for (int i = 0; i < plan->value_count; i++)
        plan->values[i].alike = i;
    for (int i = 0; i < plan->step_count; i++) {
        const ptf_step *s = &plan->steps[i];
        bool alike = s->in_count == 1 && rows_of(s).kind == PTF_REACH_EACH;
        if (alike)
            plan->values[s->out].alike = ptf_plan_root(plan, s->in[0])->alike;
        for (int k = 0; k < s->in_count && !alike; k++)
            plan->values[ptf_plan_root(plan, s->in[k])->alike].reads++;
    }
    plan->values[output_of(plan)->alike].reads++;
}

/*
 * The rows of an operand that output rows depend on, also beyond the image; all
 * that it has where they go further than can be counted.
 */
static ptf_rows rows_before(const ptf_step *s, ptf_rows out, int64_t height)
{
    const int64_t far = INT64_MAX / 4;
    ptf_reach reach = rows_of(s);
    if (reach.kind != PTF_REACH_WINDOW)
        return out;
    ptf_rows in;
    if (!ptf_mul_i64(out.first, reach.stride, &in.first) ||
        !ptf_mul_i64(out.end - 1, reach.stride, &in.end) || in.first < -far ||
        in.end > far || reach.extent > far)
        return (ptf_rows){0, height};
    in.first -= reach.before;
    in.end += reach.extent - reach.before;
    return in;
}

/* Several readers join their rows. */
static void join_rows(ptf_rows *need, ptf_rows more)
{
    if (more.end <= more.first)
        return;
    if (need->end > need->first) {
        more.first = ptf_min_i64(more.first, need->first);
        more.end = ptf_max_i64(more.end, need->end);
    }
    *need = more;
}

static void cut_rows(ptf_rows *rows, int64_t height)
{
    rows->first = ptf_min_i64(ptf_max_i64(rows->first, 0), height);
    rows->end = ptf_max_i64(ptf_min_i64(rows->end, height), rows->first);
}

/*
 * For one stripe, the rows that there are; for two, also those beyond the
 * image, unless all of the image is needed for one of them.
 */
static void settle(ptf_plan_value *v, int stripes)
{
    int64_t height = height_of(v);
    bool all = stripes == 1;
    for (int i = 0; i < stripes; i++)
        all |= v->need[i].first <= 0 && v->need[i].end >= height;
    for (int i = 0; i < stripes && all; i++) {
        if (stripes == 1)
            cut_rows(&v->need[i], height);
        else
            v->need[i] = (ptf_rows){0, height};
    }
}

/* From the output's rows of one or two stripes back to the input's. */
static void find_needs(ptf_plan *plan, int stripes, const ptf_rows *rows)
{
    for (int i = 0; i < plan->value_count; i++)
        memset(plan->values[i].need, 0, sizeof(plan->values[i].need));
    ptf_plan_value *output = &plan->values[output_of(plan)->alike];
    for (int i = 0; i < stripes; i++)
        output->need[i] = rows[i];
    for (int k = plan->step_count - 1; k >= 0; k--) {
        const ptf_step *s = &plan->steps[k];
        ptf_plan_value *out = &plan->values[s->out];
        if (out->alike != s->out)
            continue;
        settle(out, stripes);
        for (int j = 0; j < s->in_count * stripes; j++) {
            const ptf_plan_value *in = ptf_plan_root(plan, s->in[j / stripes]);
            ptf_rows need = out->need[j % stripes];
            if (need.end > need.first)
                join_rows(&plan->values[in->alike].need[j % stripes],
                          rows_before(s, need, height_of(in)));
        }
    }
    settle(&plan->values[0], stripes);
}

/* Sets the rows of all values but constants, which are there whole. */
static void set_all_rows(ptf_plan *plan, int stripes)
{
    for (int i = 0; i < plan->value_count; i++) {
        ptf_plan_value *v = &plan->values[i];
        const ptf_plan_value *root = ptf_plan_root(plan, i);
        const ptf_rows *need = plan->values[root->alike].need;
        int64_t rows = need[0].end - need[0].first;
        if (root->buffer == PTF_BUFFER_CONSTANT)
            continue;
        if (stripes == 1)
            set_rows(v, need[0].first, rows);
        else
            set_rows(v, 0,
                     ptf_min_i64(ptf_max_i64(rows, need[1].end - need[1].first),
                                 height_of(v)));
    }
}

static void show_values(ptf_plan *plan, int64_t first, int64_t count)
{
    find_needs(plan, 1, &(ptf_rows){first, first + count});
    set_all_rows(plan, 1);
}

/*
 * As many rows of each value as any stripe of 'count' rows needs.  The first
 * row that a value needs is a minimum of linear functions of the output's first
 * row, and the last one a maximum; so how many they are is a convex function,
 * which is largest at one of its ends: the first or the last stripe.
 */
static void show_most(ptf_plan *plan, int64_t count)
{
    int64_t height = height_of(output_of(plan));
    find_needs(plan, 2, (ptf_rows[]){{0, count}, {height - count, height}});
    set_all_rows(plan, 2);
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
    show_values(plan, first, count);
    show_steps(plan);
    plan->shown[0] = first;
    plan->shown[1] = count;
}

static void show_whole(ptf_plan *plan)
{
    if (plan->shown[1] == WHOLE)
        return;
    for (int i = 0; i < plan->value_count; i++)
        set_rows(&plan->values[i], 0, height_of(&plan->values[i]));
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
    plan->stripe_floats[1] = (size_t)output_of(plan)->numel;
    return bytes + 4 * (plan->stripe_floats[0] + plan->stripe_floats[1]);
}

static size_t bytes_of_stripe(ptf_plan *plan, int64_t rows)
{
    plan->stripe = rows;
    show_most(plan, rows);
    fit_steps(plan);
    return bytes_of_buffers(plan);
}

/* The most rows of output that 'room' suffices for, at least one. */
static size_t choose_stripe(ptf_plan *plan, size_t room)
{
    int64_t low = 1, high = height_of(output_of(plan));
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
    if (large && plan->by_rows && height_of(output_of(plan)) > 1)
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
        status = allocate(plan, plan->phased.floats, &plan->phased.data, err);
    if (status == PTF_OK)
        status = allocate(plan, plan->stripe_floats[0], &plan->stripe_in, err);
    if (status == PTF_OK)
        status =
            allocate(plan, plan->stripe_floats[1], &plan->stripes.out[0], err);
    plan->stripes.in[0] = plan->stripe_in;
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
    find_alike(plan);
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
    for (int64_t c = 0; c < channels && floats > 0; c++)
        memcpy(to + c * to_plane, from + c * from_plane,
               (size_t)floats * sizeof(float));
}

static void run_stripe(ptf_plan *plan, const float *in, float *out)
{
    const ptf_buffers *cut = &plan->stripes;
    const ptf_map x = ptf_map_of(&plan->values[0]);
    const ptf_map y = ptf_map_of(output_of(plan));
    copy_rows(plan->stripe_in, x.rows * x.width, in + x.first * x.width,
              x.height * x.width, x.channels, x.rows * x.width);
    ptf_plan_run_steps(plan, cut, 1);
    copy_rows(out + y.first * y.width, y.height * y.width, cut->out[0],
              y.rows * y.width, y.channels, y.rows * y.width);
}

void ptf_plan_run_images(ptf_plan *plan, const ptf_buffers *at, int64_t count)
{
    if (plan->stripe == 0) {
        show_whole(plan);
        ptf_plan_run_steps(plan, at, count);
        return;
    }
    int64_t height = height_of(output_of(plan));
    for (int64_t first = 0; first < height; first += plan->stripe) {
        show(plan, first, ptf_min_i64(plan->stripe, height - first));
        run_stripe(plan, at->in[0], at->out[0]);
    }
}

int64_t ptf_plan_stripe(const ptf_plan *plan)
{
    if (!plan->by_rows)
        return 0;
    return plan->stripe > 0 ? plan->stripe : height_of(output_of(plan));
}

static ptf_status check_rows(const ptf_plan *plan, int64_t first, int64_t count,
                             ptf_error *err)
{
    int64_t height = height_of(output_of(plan));
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
    double height = (double)height_of(output_of(plan));
    ptf_plan_start(plan, (double)count / height);
    ptf_plan_look(plan, 0, in, plan->values[0].numel);
    ptf_plan_run_steps(plan, &(ptf_buffers){&in, &out}, 1);
    return PTF_OK;
}
