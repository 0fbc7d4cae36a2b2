/*
 * Samples for a check: drawn from a seed, or images from files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

tool_inputs tool_inputs_random(int64_t count, uint64_t seed, ptf_shape shape)
{
    return (tool_inputs){
        .count = count, .shape = shape, .input_count = 1, .seed = seed};
}

bool tool_is_float(ptf_dtype dtype)
{
    return dtype <= PTF_DTYPE_BF16;
}

/* The first input of integers or bools; false when there is none. */
static bool find_integers(const ptf_net *net, ptf_port *port)
{
    size_t k = 0;
    while (ptf_net_input(net, k, port) && tool_is_float(port->dtype))
        k++;
    return k < ptf_net_input_count(net);
}

bool tool_inputs_are_floats(const ptf_net *net)
{
    ptf_port port;
    return !find_integers(net, &port);
}

/* What integers mean is not known, so that no others can be made up. */
static ptf_status need_floats(const tool_net *net, const tool_source *source,
                              ptf_error *err)
{
    ptf_port port;
    if (!find_integers(net->net, &port))
        return PTF_OK;
    return tool_error(err, PTF_ARGUMENT,
                      "%s: the input '%s' is %s, of which no random numbers "
                      "are drawn; give --data FILE%s",
                      source->path, port.name, ptf_dtype_name(port.dtype),
                      tool_has_sample(net) ? ", or take the sample inputs of "
                                             "the file without --random"
                                           : "");
}

ptf_status tool_inputs_draw(int64_t count, uint64_t seed, const tool_net *net,
                            const tool_source *source, tool_inputs *out,
                            ptf_error *err)
{
    ptf_status status = need_floats(net, source, err);
    if (status == PTF_OK)
        status = tool_need_input(net, source, err);
    *out = tool_inputs_random(count, seed, net->input);
    out->input_count = ptf_net_input_count(net->net);
    out->shapes = net->inputs;
    return status;
}

ptf_status tool_inputs_choose(const tool_choice *c, const tool_net *net,
                              const tool_source *source, tool_inputs *out,
                              ptf_error *err)
{
    *out = (tool_inputs){0};
    if (c->data != NULL)
        return tool_inputs_open(c->data, net, c->how, out, err);
    bool drawn = c->random > 0 || c->seed >= 0 || source->input != NULL;
    if (!drawn && tool_has_sample(net))
        return tool_inputs_sample(net, source, out, err);
    if (c->recorded)
        return tool_error(err, PTF_ARGUMENT,
                          "--expect: expected --data, too: the inputs that the "
                          "outputs were recorded for");
    return tool_inputs_draw(c->random > 0 ? c->random : c->usual,
                            c->seed >= 0 ? (uint64_t)c->seed : 1, net, source,
                            out, err);
}

const ptf_shape *tool_inputs_shapes(const tool_inputs *inputs)
{
    return inputs->shapes != NULL ? inputs->shapes : &inputs->shape;
}

const float *tool_inputs_numbers(const tool_inputs *inputs, size_t k)
{
    const float *at = inputs->numbers;
    for (size_t i = 0; i < k; i++)
        at += inputs->count * ptf_shape_numel(&inputs->shapes[i]);
    return at;
}

const char *tool_inputs_kind(const tool_inputs *inputs)
{
    return inputs->sampled           ? "sample inputs of the file"
           : inputs->images != NULL  ? "images"
           : inputs->numbers != NULL ? "inputs"
                                     : "random inputs";
}

const char *tool_inputs_source(const tool_inputs *inputs, const char *data)
{
    return data != NULL ? data : inputs->sampled ? "sample" : "random";
}

void tool_fit_images(const tool_net *net, ptf_image_options *image)
{
    const ptf_shape *usual = &net->input;
    if (!net->has_input)
        return;
    image->rank = usual->rank;
    if (usual->rank == 3 && (usual->dim[0] == 1 || usual->dim[0] == 3))
        image->channels = usual->dim[0];
}

int64_t tool_left_out(const ptf_images *images)
{
    size_t count = 0;
    while (images != NULL && ptf_images_left_out(images, count) != NULL)
        count++;
    return (int64_t)count;
}

void tool_report_left_out(const ptf_images *images)
{
    enum { SHOWN = 10 };
    int64_t count = tool_left_out(images), others = ptf_images_skipped(images);
    for (int64_t i = 0; i < count && i < SHOWN; i++)
        tool_note("left out: %s", ptf_images_left_out(images, (size_t)i));
    if (count > 0)
        tool_note("%lld file%s cannot be read as images and %s left out",
                  (long long)count, count == 1 ? "" : "s",
                  count == 1 ? "is" : "are");
    if (others > 0)
        tool_note("%lld other file%s left out", (long long)others,
                  others == 1 ? " is" : "s are");
}

/* Inputs that no picture is. */
static bool are_arrays(const ptf_net *net)
{
    ptf_port port;
    ptf_net_input(net, 0, &port);
    return ptf_net_input_count(net) > 1 || !tool_is_float(port.dtype) ||
           ptf_net_is_whole(net) || (port.has_shape && port.shape.rank == 0);
}

ptf_status tool_inputs_open(const char *path, const tool_net *net,
                            const ptf_image_options *how, tool_inputs *out,
                            ptf_error *err)
{
    *out = (tool_inputs){.input_count = 1};
    if (are_arrays(net->net))
        return tool_inputs_arrays(path, net, out, err);
    ptf_image_options options = {0};
    if (how != NULL)
        options = *how;
    tool_fit_images(net, &options);
    ptf_image_info info;
    ptf_status status = ptf_images_open(&path, 1, &options, &out->images, err);
    if (status == PTF_OK)
        status = ptf_images_info(out->images, 0, &info, err);
    if (status != PTF_OK) {
        tool_inputs_free(out);
        return status;
    }
    tool_report_left_out(out->images);
    out->count = ptf_images_count(out->images);
    out->shape = info.shape;
    return PTF_OK;
}

ptf_status tool_inputs_explain(const char *path, const tool_inputs *inputs,
                               const tool_net *net, ptf_status status,
                               ptf_error *err)
{
    char expected[TOOL_SHAPE_TEXT], text[TOOL_SHAPE_TEXT];
    static ptf_error cause;
    const ptf_shape *found = &inputs->shape;
    if (status != PTF_ARGUMENT || path == NULL || inputs->images == NULL ||
        !net->has_input || tool_same_shape(found, &net->input))
        return status;
    cause = *err;
    return tool_error(err, status, "%s: expected an input %s, got %s: %s", path,
                      tool_shape_text(&net->input, expected),
                      tool_shape_text(found, text), cause.message);
}

void tool_inputs_free(tool_inputs *inputs)
{
    ptf_images_close(inputs->images);
    free(inputs->numbers);
    free(inputs->own);
    *inputs = (tool_inputs){0};
}

/* ------------------------------------------------------------------ numbers */

static ptf_status read_image(const tool_inputs *inputs, int64_t index,
                             float *out, ptf_error *err)
{
    ptf_image_info info;
    ptf_status status = ptf_images_info(inputs->images, index, &info, err);
    if (status == PTF_OK && !tool_same_shape(&info.shape, &inputs->shape)) {
        char expected[TOOL_SHAPE_TEXT], found[TOOL_SHAPE_TEXT];
        return tool_error(err, PTF_ARGUMENT, "%s: expected an input %s, got %s",
                          info.name, tool_shape_text(&inputs->shape, expected),
                          tool_shape_text(&info.shape, found));
    }
    return status == PTF_OK ? ptf_images_read(inputs->images, index, out, err)
                            : status;
}

/* Several inputs have a stream of random numbers each. */
enum { STREAM = 40 }; /* bits for the number of a sample */

ptf_status tool_inputs_get(const tool_inputs *inputs, int64_t index,
                           float *const *out, ptf_error *err)
{
    const ptf_shape *shapes = tool_inputs_shapes(inputs);
    if (inputs->images != NULL)
        return read_image(inputs, index, out[0], err);
    for (size_t k = 0; k < inputs->input_count; k++) {
        size_t size = (size_t)ptf_shape_numel(&shapes[k]);
        if (inputs->numbers == NULL)
            ptf_random_fill(inputs->seed, (uint64_t)index + (k << STREAM),
                            out[k], size);
        else
            memcpy(out[k],
                   tool_inputs_numbers(inputs, k) + (size_t)index * size,
                   size * sizeof(float));
    }
    return PTF_OK;
}

float **tool_room(const ptf_shape *shapes, size_t shape_count, int64_t count)
{
    float **room = calloc(shape_count + 1, sizeof(*room));
    for (size_t k = 0; room != NULL && k < shape_count; k++) {
        size_t size = (size_t)ptf_shape_numel(&shapes[k]);
        room[k] = calloc((size_t)count, size * sizeof(float) + (size == 0));
        if (room[k] == NULL) {
            tool_room_free(room, shape_count);
            return NULL;
        }
    }
    return room;
}

void tool_room_free(float **room, size_t shape_count)
{
    for (size_t k = 0; room != NULL && k < shape_count; k++)
        free(room[k]);
    free(room);
}

ptf_status tool_inputs_fill(const tool_inputs *inputs, int64_t index,
                            int64_t count, float *const *out, ptf_error *err)
{
    const ptf_shape *shapes = tool_inputs_shapes(inputs);
    float **at = calloc(inputs->input_count + 1, sizeof(*at));
    ptf_status status =
        at != NULL ? PTF_OK : tool_error(err, PTF_MEMORY, "out of memory");
    for (int64_t i = 0; status == PTF_OK && i < count; i++) {
        for (size_t k = 0; k < inputs->input_count; k++)
            at[k] = out[k] + i * ptf_shape_numel(&shapes[k]);
        status = tool_inputs_get(inputs, index + i, at, err);
    }
    free(at);
    return status;
}

ptf_status tool_inputs_sha256(const tool_inputs *inputs, char hex[65],
                              ptf_error *err)
{
    const ptf_shape *shapes = tool_inputs_shapes(inputs);
    int64_t total = 0;
    for (size_t k = 0; k < inputs->input_count; k++)
        total += inputs->count * ptf_shape_numel(&shapes[k]);
    float *all = calloc((size_t)total + 1, sizeof(*all));
    float **at = calloc(inputs->input_count + 1, sizeof(*at));
    ptf_status status = all != NULL && at != NULL
                            ? PTF_OK
                            : tool_error(err, PTF_MEMORY, "out of memory");
    float *next = all;
    for (size_t k = 0; status == PTF_OK && k < inputs->input_count; k++) {
        at[k] = next;
        next += inputs->count * ptf_shape_numel(&shapes[k]);
    }
    if (status == PTF_OK)
        status = tool_inputs_fill(inputs, 0, inputs->count, at, err);
    ptf_tensor tensor = {.name = "inputs",
                         .dtype = PTF_DTYPE_F32,
                         .rank = 1,
                         .shape = {total},
                         .stride = {1},
                         .data = all};
    if (status == PTF_OK)
        status = ptf_tensor_sha256(&tensor, hex, err);
    free(all);
    free(at);
    return status;
}
