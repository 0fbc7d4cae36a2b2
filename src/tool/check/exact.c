/*
 * ptfold check NET --expect FILE --exact: recorded outputs against the exact
 * ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/check/check.h"

/* The array that was recorded of the net's output, as f32. */
static ptf_status read_recorded(const tool_expect *e, float *out,
                                ptf_error *err)
{
    size_t count, k = 0;
    ptf_expect_result r = {.output = false};
    const ptf_tensor *arrays = ptf_arrays_tensors(e->arrays, &count);
    for (size_t i = 0; ptf_expect_at(e->expect, i, &r) && !r.output;)
        i++;
    while (arrays[k].name != r.name) /* which is borrowed from there */
        k++;
    return ptf_tensor_read_f32(&arrays[k], out, err);
}

/* A run in f32, a sample at a time. */
static ptf_status run_here(const ptf_net *net, const tool_inputs *inputs,
                           int threads, int64_t size, float *out,
                           ptf_error *err)
{
    const ptf_shape *shapes = tool_inputs_shapes(inputs);
    ptf_plan_options options = {.threads = threads};
    ptf_plan *plan = NULL;
    float **in = tool_room(shapes, inputs->input_count, 1);
    ptf_status status =
        in != NULL ? ptf_plan_make(net, shapes, 1, &options, &plan, err)
                   : tool_error(err, PTF_MEMORY, "out of memory");
    for (int64_t n = 0; status == PTF_OK && n < inputs->count; n++) {
        float *to = out + n * size;
        status = tool_inputs_get(inputs, n, in, err);
        if (status == PTF_OK)
            status =
                ptf_plan_run_all(plan, (const float *const *)in, 1, &to, err);
    }
    ptf_plan_free(plan);
    tool_room_free(in, inputs->input_count);
    return status;
}

ptf_status check_exact_run(const check_expect_options *o, const tool_expect *e,
                           const tool_inputs *inputs, check_exact *to,
                           ptf_error *err)
{
    ptf_expect_result r = tool_expect_focus(e);
    *to = (check_exact){.known = {.bits = 0}};
    if (ptf_net_output_count(e->net) != 1)
        return tool_error(err, PTF_UNSUPPORTED,
                          "%s: --exact is for networks of one output, got %zu",
                          o->network, ptf_net_output_count(e->net));
    for (size_t i = 0; ptf_expect_at(e->expect, i, &r) && !r.output;)
        i++;
    size_t count = (size_t)r.numbers;
    float *room = calloc(3 * count + 1, sizeof(*room));
    if (room == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    float *recorded = room + count, *run = recorded + count;
    ptf_status status = tool_exact_run(e->net, inputs, o->bits, o->threads,
                                       &room, &to->known, err);
    if (status == PTF_OK)
        status = read_recorded(e, recorded, err);
    if (status == PTF_OK)
        status = run_here(e->net, inputs, o->threads, r.numbers / e->samples,
                          run, err);
    if (status == PTF_OK) {
        ptf_difference_add(&to->recorded, room, recorded, r.numbers);
        ptf_difference_add(&to->run, room, run, r.numbers);
    }
    free(room);
    return status;
}

void check_exact_print(const check_exact *e, FILE *out)
{
    static const char recorded[] = "recorded", here[] = "a run here";
    check_print_bin_labels(out, "ULPs from the exact");
    tool_print_name(out, recorded, 24);
    check_print_bins(out, e->recorded.ulps);
    tool_print_name(out, here, 24);
    check_print_bins(out, e->run.ulps);
    tool_exact_print(&e->known, out);
    fputc('\n', out);
}

static void json_side(tool_json *j, const char *key, const ptf_difference *d)
{
    json_open(j, key, '{');
    json_int(j, "numbers", d->count);
    json_int(j, "unequal_bits", d->unequal_bits);
    json_number(j, "max_abs", d->max_abs);
    check_json_ulps(j, d->ulps);
    json_close(j, '}');
}

void check_exact_json(tool_json *j, const check_exact *e)
{
    json_open(j, "exact", '{');
    json_int(j, "bits", e->known.bits);
    json_number(j, "radius", e->known.radius);
    json_int(j, "not_decided", e->known.unknown);
    json_side(j, "recorded", &e->recorded);
    json_side(j, "run", &e->run);
    json_close(j, '}');
}
