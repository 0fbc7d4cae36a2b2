/*
 * Running two networks side by side.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

/* A plan with room for a batch of all inputs and outputs. */
typedef struct runner {
    ptf_plan *plan;
    int64_t batch;
    size_t input_count, output_count;
    ptf_shape *outputs;
    float **in, **out;
} runner;

static void runner_free(runner *r)
{
    ptf_plan_free(r->plan);
    tool_room_free(r->in, r->input_count);
    tool_room_free(r->out, r->output_count);
    free(r->outputs);
}

static ptf_status runner_make(const ptf_net *net, const ptf_shape *inputs,
                              int64_t batch, int threads, bool inspect,
                              runner *r, ptf_error *err)
{
    *r = (runner){.batch = ptf_net_is_whole(net) ? 1 : batch,
                  .input_count = ptf_net_input_count(net),
                  .output_count = ptf_net_output_count(net)};
    ptf_plan_options options = {.threads = threads, .inspect = inspect};
    ptf_status status =
        ptf_plan_make(net, inputs, r->batch, &options, &r->plan, err);
    if (status != PTF_OK)
        return status;
    r->outputs = calloc(r->output_count, sizeof(*r->outputs));
    for (size_t k = 0; r->outputs != NULL && k < r->output_count; k++)
        r->outputs[k] = ptf_plan_output(r->plan, k);
    r->in = tool_room(inputs, r->input_count, r->batch);
    if (r->outputs != NULL)
        r->out = tool_room(r->outputs, r->output_count, r->batch);
    if (r->in == NULL || r->out == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    return PTF_OK;
}

static ptf_status runner_run(runner *r, float *const *in, int64_t count,
                             ptf_error *err)
{
    return ptf_plan_run_all(r->plan, (const float *const *)in, count, r->out,
                            err);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Large enough to be fast, small enough for big images. */
enum { BATCH = 20 };

static ptf_status check_outputs(const runner *a, const runner *b,
                                ptf_error *err)
{
    bool same = a->output_count == b->output_count;
    for (size_t k = 0; same && k < a->output_count; k++)
        same =
            ptf_shape_numel(&a->outputs[k]) == ptf_shape_numel(&b->outputs[k]);
    return same ? PTF_OK
                : tool_error(err, PTF_ARGUMENT,
                             "the networks have outputs of different sizes");
}

/* Output k of both runs goes to verdicts[k]. */
static void add_outputs(ptf_verdict *verdicts, const runner *a, const runner *b,
                        int64_t rows)
{
    for (size_t k = 0; k < a->output_count; k++)
        ptf_verdict_add(&verdicts[k], a->out[k], b->out[k], rows,
                        ptf_shape_numel(&a->outputs[k]));
}

static ptf_status compare_batches(runner *a, runner *b,
                                  const tool_inputs *inputs,
                                  ptf_verdict *verdicts, ptf_error *err)
{
    ptf_status status = check_outputs(a, b, err);
    tool_progress progress;
    tool_progress_start(&progress, "comparing", "inputs", inputs->count);
    for (int64_t done = 0; done < inputs->count && status == PTF_OK;
         done += a->batch) {
        int64_t n = smaller(a->batch, inputs->count - done);
        status = tool_inputs_fill(inputs, done, n, a->in, err);
        if (status == PTF_OK)
            status = runner_run(a, a->in, n, err);
        if (status == PTF_OK)
            status = runner_run(b, a->in, n, err);
        if (status == PTF_OK)
            add_outputs(verdicts, a, b, n);
        tool_progress_at(&progress, done + n);
    }
    tool_progress_end(&progress);
    return status;
}

ptf_status tool_compare(const ptf_net *a, const ptf_net *b,
                        const tool_inputs *inputs, int threads,
                        ptf_verdict *verdicts, ptf_error *err)
{
    int64_t batch = smaller(BATCH, inputs->count);
    const ptf_shape *shapes = tool_inputs_shapes(inputs);
    runner ra = {0}, rb = {0};
    ptf_status status = runner_make(a, shapes, batch, threads, false, &ra, err);
    if (status == PTF_OK)
        status = runner_make(b, shapes, batch, threads, false, &rb, err);
    if (status == PTF_OK)
        status = compare_batches(&ra, &rb, inputs, verdicts, err);
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
        runner_make(net, tool_inputs_shapes(inputs), 1, threads, true, &r, err);
    for (int64_t i = 0; status == PTF_OK && *layer == NULL && i < inputs->count;
         i++) {
        status = tool_inputs_get(inputs, i, r.in, err);
        if (status == PTF_OK)
            status = runner_run(&r, r.in, 1, err);
        if (status == PTF_OK)
            *layer = ptf_plan_not_finite(r.plan);
    }
    runner_free(&r);
    return status;
}

ptf_status tool_check_make(const ptf_net *a, const ptf_net *b,
                           const tool_inputs *inputs,
                           const ptf_check_options *options, ptf_check **check,
                           ptf_error *err)
{
    tool_progress progress;
    tool_progress_start(&progress, "preparing the check", "nets", 1);
    ptf_status status =
        ptf_check_make(a, b, tool_inputs_shapes(inputs), options, check, err);
    tool_progress_end(&progress);
    return status;
}

ptf_status tool_inputs_each(const tool_inputs *inputs, const char *what,
                            tool_batch_function *run, void *to, ptf_error *err)
{
    float **in = tool_room(tool_inputs_shapes(inputs), inputs->input_count,
                           smaller(BATCH, inputs->count));
    ptf_status status =
        in != NULL ? PTF_OK : tool_error(err, PTF_MEMORY, "out of memory");
    tool_progress progress;
    tool_progress_start(&progress, what, "inputs", inputs->count);
    for (int64_t i = 0; status == PTF_OK && i < inputs->count; i += BATCH) {
        int64_t n = smaller(BATCH, inputs->count - i);
        tool_progress_at(&progress, i);
        status = tool_inputs_fill(inputs, i, n, in, err);
        if (status == PTF_OK)
            status = run(to, (const float *const *)in, n, err);
    }
    tool_progress_end(&progress);
    tool_room_free(in, inputs->input_count);
    return status;
}

static ptf_status check_batch(void *check, const float *const *in,
                              int64_t count, ptf_error *err)
{
    return ptf_check_run(check, in, count, err);
}

ptf_status tool_check(ptf_check *check, const tool_inputs *inputs,
                      ptf_error *err)
{
    return tool_inputs_each(inputs, "checking", check_batch, check, err);
}

/* ------------------------------------------------------------------- crops */

void tool_crop(const float *image, const ptf_shape *large, int64_t top,
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
    const ptf_shape *map = &slid->outputs[0];
    int64_t columns = map->dim[2], positions = map->dim[1] * columns;
    int64_t in_size = ptf_shape_numel(window);
    int64_t out_size = ptf_shape_numel(&net->outputs[0]);
    for (int64_t x = 0; x < columns; x++)
        tool_crop(slid->in[0], large, y * slide->stride[0],
                  x * slide->stride[1], window, net->in[0] + x * in_size);
    ptf_status status = runner_run(net, net->in, columns, err);
    for (int64_t x = 0; status == PTF_OK && x < columns; x++) {
        gather(slid->out[0], positions, y * columns + x, out_size, row);
        ptf_verdict_add(verdict, net->out[0] + x * out_size, row, 1, out_size);
    }
    return status;
}

static ptf_status compare_image(runner *net, runner *slid,
                                const ptf_slide *slide, const ptf_shape *window,
                                const tool_inputs *large, float *row,
                                ptf_verdict *verdict, ptf_error *err)
{
    tool_progress progress;
    int64_t rows = slid->outputs[0].dim[1];
    tool_progress_start(&progress, "comparing windows", "rows", rows);
    ptf_status status = runner_run(slid, slid->in, 1, err);
    for (int64_t y = 0; status == PTF_OK && y < rows; y++) {
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
    const ptf_shape *map = &slid->outputs[0];
    bool fits =
        map->rank == 3 && map->dim[0] == ptf_shape_numel(&net->outputs[0]);
    for (int d = 0; fits && d < 2; d++) {
        int64_t last = (map->dim[d + 1] - 1) * slide->stride[d];
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
        status = runner_make(net, window, rs.outputs[0].dim[2], threads, false,
                             &rn, err);
    if (status == PTF_OK)
        status = check_windows(&rn, &rs, slide, window, &large->shape, err);
    if (status == PTF_OK) {
        row = calloc((size_t)ptf_shape_numel(&rn.outputs[0]), sizeof(*row));
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
