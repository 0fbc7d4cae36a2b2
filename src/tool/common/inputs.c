/*
 * Samples for a check: drawn from a seed, or images from files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

tool_inputs tool_inputs_random(int64_t count, uint64_t seed, ptf_shape shape)
{
    return (tool_inputs){.count = count, .shape = shape, .seed = seed};
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

ptf_status tool_inputs_open(const char *path, const tool_net *net,
                            const ptf_image_options *how, tool_inputs *out,
                            ptf_error *err)
{
    *out = (tool_inputs){0};
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

ptf_status tool_inputs_explain(const char *path, const ptf_shape *found,
                               const tool_net *net, ptf_status status,
                               ptf_error *err)
{
    char expected[TOOL_SHAPE_TEXT], text[TOOL_SHAPE_TEXT];
    static ptf_error cause;
    if (status != PTF_ARGUMENT || path == NULL || found->rank == 0 ||
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
    inputs->images = NULL;
}

ptf_status tool_inputs_get(const tool_inputs *inputs, int64_t index, float *out,
                           ptf_error *err)
{
    if (inputs->images == NULL) {
        ptf_random_fill(inputs->seed, (uint64_t)index, out,
                        (size_t)ptf_shape_numel(&inputs->shape));
        return PTF_OK;
    }
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

ptf_status tool_inputs_sha256(const tool_inputs *inputs, char hex[65],
                              ptf_error *err)
{
    int64_t size = ptf_shape_numel(&inputs->shape);
    float *all = calloc((size_t)inputs->count, (size_t)size * sizeof(*all));
    if (all == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    ptf_status status = PTF_OK;
    for (int64_t i = 0; status == PTF_OK && i < inputs->count; i++)
        status = tool_inputs_get(inputs, i, all + i * size, err);
    ptf_tensor tensor = {.name = "inputs",
                         .dtype = PTF_DTYPE_F32,
                         .rank = 1,
                         .shape = {inputs->count * size},
                         .stride = {1},
                         .data = all};
    if (status == PTF_OK)
        status = ptf_tensor_sha256(&tensor, hex, err);
    free(all);
    return status;
}
