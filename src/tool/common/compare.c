/*
 * Running two networks side by side.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

/* A plan with room for a batch of inputs and outputs. */
typedef struct runner {
    ptf_plan *plan;
    int64_t batch, in_size, out_size;
    ptf_shape output;
    float *in, *out;
} runner;

static void runner_free(runner *r)
{
    ptf_plan_free(r->plan);
    free(r->in);
    free(r->out);
}

static ptf_status runner_make(const ptf_net *net, const ptf_shape *input,
                              int64_t batch, int threads, bool inspect,
                              runner *r, ptf_error *err)
{
    *r = (runner){.batch = batch, .in_size = ptf_shape_numel(input)};
    ptf_plan_options options = {.threads = threads, .inspect = inspect};
    ptf_status status =
        ptf_plan_make(net, input, batch, &options, &r->plan, err);
    if (status != PTF_OK)
        return status;
    r->output = ptf_plan_output(r->plan, 0);
    r->out_size = ptf_shape_numel(&r->output);
    r->in = calloc((size_t)(batch * r->in_size), sizeof(float));
    r->out = calloc((size_t)(batch * r->out_size), sizeof(float));
    if (r->in == NULL || r->out == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    return PTF_OK;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Large enough to be fast, small enough for big images. */
enum { BATCH = 20 };

static ptf_status compare_batches(runner *a, runner *b,
                                  const tool_inputs *inputs,
                                  ptf_verdict *verdict, ptf_error *err)
{
    if (a->out_size != b->out_size)
        return tool_error(err, PTF_ARGUMENT,
                          "the networks have %lld and %lld outputs",
                          (long long)a->out_size, (long long)b->out_size);
    ptf_status status = PTF_OK;
    tool_progress progress;
    tool_progress_start(&progress, "comparing", "inputs", inputs->count);
    for (int64_t done = 0; done < inputs->count && status == PTF_OK;
         done += BATCH) {
        int64_t n = smaller(BATCH, inputs->count - done);
        for (int64_t i = 0; i < n && status == PTF_OK; i++)
            status =
                tool_inputs_get(inputs, done + i, a->in + i * a->in_size, err);
        if (status == PTF_OK)
            status = ptf_plan_run(a->plan, a->in, n, a->out, err);
        if (status == PTF_OK)
            status = ptf_plan_run(b->plan, a->in, n, b->out, err);
        if (status == PTF_OK)
            ptf_verdict_add(verdict, a->out, b->out, n, a->out_size);
        tool_progress_at(&progress, done + n);
    }
    tool_progress_end(&progress);
    return status;
}

ptf_status tool_compare(const ptf_net *a, const ptf_net *b,
                        const tool_inputs *inputs, int threads,
                        ptf_verdict *verdict, ptf_error *err)
{
    int64_t batch = smaller(BATCH, inputs->count);
    runner ra = {0}, rb = {0};
    ptf_status status =
        runner_make(a, &inputs->shape, batch, threads, false, &ra, err);
    if (status == PTF_OK)
        status =
            runner_make(b, &inputs->shape, batch, threads, false, &rb, err);
    if (status == PTF_OK)
        status = compare_batches(&ra, &rb, inputs, verdict, err);
    runner_free(&ra);
    runner_free(&rb);
    return status;
}

ptf_status tool_find_not_finite(const ptf_net *net, const tool_inputs *inputs,
                                int threads, const char **layer, ptf_error *err)
{
    runner r = {0};
    *layer = NULL;
    ptf_status status =
        runner_make(net, &inputs->shape, 1, threads, true, &r, err);
    for (int64_t i = 0; status == PTF_OK && *layer == NULL && i < inputs->count;
         i++) {
        status = tool_inputs_get(inputs, i, r.in, err);
        if (status == PTF_OK)
            status = ptf_plan_run(r.plan, r.in, 1, r.out, err);
        if (status == PTF_OK)
            *layer = ptf_plan_not_finite(r.plan);
    }
    runner_free(&r);
    return status;
}

ptf_status tool_check_make(const ptf_net *a, const ptf_net *b,
                           const ptf_shape *input,
                           const ptf_check_options *options, ptf_check **check,
                           ptf_error *err)
{
    tool_progress progress;
    tool_progress_start(&progress, "preparing the check", "nets", 1);
    ptf_status status = ptf_check_make(a, b, input, options, check, err);
    tool_progress_end(&progress);
    return status;
}

ptf_status tool_inputs_each(const tool_inputs *inputs, const char *what,
                            tool_batch_function *run, void *to, ptf_error *err)
{
    int64_t size = ptf_shape_numel(&inputs->shape);
    float *in = calloc((size_t)(BATCH * size), sizeof(*in));
    ptf_status status =
        in != NULL ? PTF_OK : tool_error(err, PTF_MEMORY, "out of memory");
    tool_progress progress;
    tool_progress_start(&progress, what, "inputs", inputs->count);
    for (int64_t i = 0; status == PTF_OK && i < inputs->count; i += BATCH) {
        int64_t n = smaller(BATCH, inputs->count - i);
        tool_progress_at(&progress, i);
        for (int64_t k = 0; status == PTF_OK && k < n; k++)
            status = tool_inputs_get(inputs, i + k, in + k * size, err);
        if (status == PTF_OK)
            status = run(to, in, n, err);
    }
    tool_progress_end(&progress);
    free(in);
    return status;
}

static ptf_status check_batch(void *check, const float *in, int64_t count,
                              ptf_error *err)
{
    return ptf_check_run(check, &in, count, err);
}

ptf_status tool_check(ptf_check *check, const tool_inputs *inputs,
                      ptf_error *err)
{
    return tool_inputs_each(inputs, "checking", check_batch, check, err);
}

/* ------------------------------------------------------------------- crops */

/* Copies the window at (top, left) of a C x H x W image. */
static void crop(const float *image, const ptf_shape *large, int64_t top,
                 int64_t left, const ptf_shape *window, float *out)
{
    for (int64_t c = 0; c < window->dim[0]; c++) {
        for (int64_t y = 0; y < window->dim[1]; y++) {
            const float *row =
                image + (c * large->dim[1] + top + y) * large->dim[2] + left;
            memcpy(out, row, (size_t)window->dim[2] * sizeof(*out));
            out += window->dim[2];
        }
    }
}

/* The K outputs of map position 'at' of a K x positions map, as one row. */
static void gather(const float *map, int64_t positions, int64_t at,
                   int64_t channels, float *row)
{
    for (int64_t k = 0; k < channels; k++)
        row[k] = map[k * positions + at];
}

/* One row of windows: all crops at height 'y' of the map. */
static ptf_status compare_row(runner *net, const runner *slid,
                              const ptf_slide *slide, const ptf_shape *window,
                              const ptf_shape *large, int64_t y, float *row,
                              ptf_verdict *verdict, ptf_error *err)
{
    int64_t columns = slid->output.dim[2];
    int64_t positions = slid->output.dim[1] * columns;
    for (int64_t x = 0; x < columns; x++)
        crop(slid->in, large, y * slide->stride[0], x * slide->stride[1],
             window, net->in + x * net->in_size);
    ptf_status status =
        ptf_plan_run(net->plan, net->in, columns, net->out, err);
    for (int64_t x = 0; status == PTF_OK && x < columns; x++) {
        gather(slid->out, positions, y * columns + x, net->out_size, row);
        ptf_verdict_add(verdict, net->out + x * net->out_size, row, 1,
                        net->out_size);
    }
    return status;
}

static ptf_status compare_image(runner *net, runner *slid,
                                const ptf_slide *slide, const ptf_shape *window,
                                const tool_inputs *large, float *row,
                                ptf_verdict *verdict, ptf_error *err)
{
    tool_progress progress;
    tool_progress_start(&progress, "comparing windows", "rows",
                        slid->output.dim[1]);
    ptf_status status = ptf_plan_run(slid->plan, slid->in, 1, slid->out, err);
    for (int64_t y = 0; status == PTF_OK && y < slid->output.dim[1]; y++) {
        status = compare_row(net, slid, slide, window, &large->shape, y, row,
                             verdict, err);
        tool_progress_at(&progress, y + 1);
    }
    tool_progress_end(&progress);
    return status;
}

/* Every window of the map must be a crop that lies inside the image. */
static ptf_status check_windows(const runner *net, const runner *slid,
                                const ptf_slide *slide, const ptf_shape *window,
                                const ptf_shape *large, ptf_error *err)
{
    bool fits = slid->output.rank == 3 && slid->output.dim[0] == net->out_size;
    for (int d = 0; fits && d < 2; d++) {
        int64_t last = (slid->output.dim[d + 1] - 1) * slide->stride[d];
        fits = last + window->dim[d + 1] <= large->dim[d + 1];
    }
    if (!fits)
        return tool_error(err, PTF_UNSUPPORTED,
                          "the slid network's map does not consist of whole "
                          "windows");
    return PTF_OK;
}

ptf_status tool_compare_crops(const ptf_net *net, const ptf_net *slid,
                              const ptf_slide *slide, const ptf_shape *window,
                              const tool_inputs *large, int threads,
                              ptf_verdict *verdict, ptf_error *err)
{
    runner rn = {0}, rs = {0};
    float *row = NULL;
    ptf_status status =
        runner_make(slid, &large->shape, 1, threads, false, &rs, err);
    if (status == PTF_OK)
        status = runner_make(net, window, rs.output.dim[2], threads, false, &rn,
                             err);
    if (status == PTF_OK)
        status = check_windows(&rn, &rs, slide, window, &large->shape, err);
    if (status == PTF_OK) {
        row = calloc((size_t)rn.out_size, sizeof(*row));
        if (row == NULL)
            status = tool_error(err, PTF_MEMORY, "out of memory");
    }
    for (int64_t i = 0; status == PTF_OK && i < large->count; i++) {
        status = tool_inputs_get(large, i, rs.in, err);
        if (status == PTF_OK)
            status = compare_image(&rn, &rs, slide, window, large, row, verdict,
                                   err);
    }
    free(row);
    runner_free(&rn);
    runner_free(&rs);
    return status;
}
