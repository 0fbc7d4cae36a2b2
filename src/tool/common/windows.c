/*
 * Windows of a larger image where padding keeps outputs from being those of
 * crops: layer by layer, what is inside of the padding's reach.
 *
 *     image   +-------------+      map of a layer   +-------------+
 *             |  +-----+    |                       |  +-----+    |
 *             |  | crop|    |      of the crop:     |  |+---+|    |
 *             |  +-----+    |      equal inside     |  |+---+|    |
 *             +-------------+                       +-------------+
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

typedef struct comparing {
    const ptf_slide *slide;
    const ptf_slide_layer *layers;
    ptf_plan *image, *crop;
    tool_inside *out; /* per layer */
    size_t count;
} comparing;

static int64_t inside_of(const ptf_slide_layer *l, const ptf_shape *map, int d)
{
    int64_t size = map->dim[d + 1] - 2 * l->edge[d];
    return size > 0 && !l->differs && l->moves ? size : 0;
}

/* Counts the numbers of a layer that are inside, and those that are unequal. */
static void compare_layer(const comparing *c, size_t i, int64_t top,
                          int64_t left)
{
    const ptf_slide_layer *l = &c->layers[i];
    ptf_shape large, map;
    const float *whole = ptf_plan_layer(c->image, i, &large);
    const float *own = ptf_plan_layer(c->crop, i, &map);
    tool_inside *out = &c->out[i];
    if (map.rank != 3 || large.rank != 3 || whole == NULL || own == NULL)
        return;
    int64_t rows = inside_of(l, &map, 0), columns = inside_of(l, &map, 1);
    out->map = map;
    out->size[0] = columns > 0 ? rows : 0;
    out->size[1] = rows > 0 ? columns : 0;
    int64_t y0 = top / l->stride[0], x0 = left / l->stride[1];
    for (int64_t k = 0; columns > 0 && k < map.dim[0] * rows; k++) {
        int64_t channel = k / rows, y = k % rows + l->edge[0];
        const float *a = own + (channel * map.dim[1] + y) * map.dim[2];
        const float *b =
            whole + (channel * large.dim[1] + y0 + y) * large.dim[2] + x0;
        a += l->edge[1];
        b += l->edge[1];
        out->numbers += columns;
        for (int64_t x = 0; x < columns; x++)
            out->unequal += memcmp(&a[x], &b[x], sizeof(*a)) != 0;
    }
}

static ptf_status compare_windows(const comparing *c, const ptf_shape *window,
                                  const ptf_shape *large, const float *image,
                                  float *crop, float *out, ptf_error *err)
{
    const int64_t *step = c->slide->stride;
    ptf_status status = PTF_OK;
    for (int64_t top = 0;
         status == PTF_OK && top + window->dim[1] <= large->dim[1];
         top += step[0]) {
        for (int64_t left = 0;
             status == PTF_OK && left + window->dim[2] <= large->dim[2];
             left += step[1]) {
            tool_crop(image, large, top, left, window, crop);
            status = ptf_plan_run(c->crop, crop, 1, out, err);
            for (size_t i = 0; status == PTF_OK && i < c->count; i++)
                compare_layer(c, i, top, left);
        }
    }
    return status;
}

static ptf_status make_plan(const ptf_net *net, const ptf_shape *shape,
                            int threads, ptf_plan **plan, float **in,
                            float **out, ptf_error *err)
{
    ptf_plan_options how = {.threads = threads, .keep = true};
    ptf_status status = ptf_plan_make(net, shape, 1, &how, plan, err);
    if (status != PTF_OK)
        return status;
    ptf_shape result = ptf_plan_output(*plan, 0);
    *in = calloc((size_t)ptf_shape_numel(shape), sizeof(**in));
    *out = calloc((size_t)ptf_shape_numel(&result), sizeof(**out));
    return *in != NULL && *out != NULL
               ? PTF_OK
               : tool_error(err, PTF_MEMORY, "out of memory");
}

ptf_status tool_compare_inside(const ptf_net *net, const ptf_slide *slide,
                               const ptf_slide_layer *layers,
                               const ptf_shape *window,
                               const tool_inputs *large, int threads,
                               tool_inside *inside, ptf_error *err)
{
    comparing c = {.slide = slide,
                   .layers = layers,
                   .out = inside,
                   .count = ptf_net_layer_count(net)};
    float *image = NULL, *crop = NULL, *whole = NULL, *own = NULL;
    ptf_status status =
        make_plan(net, &large->shape, threads, &c.image, &image, &whole, err);
    if (status == PTF_OK)
        status = make_plan(net, window, threads, &c.crop, &crop, &own, err);
    for (int64_t i = 0; status == PTF_OK && i < large->count; i++) {
        status = tool_inputs_get(large, i, &image, err);
        if (status == PTF_OK)
            status = ptf_plan_run(c.image, image, 1, whole, err);
        if (status == PTF_OK)
            status = compare_windows(&c, window, &large->shape, image, crop,
                                     own, err);
    }
    ptf_plan_free(c.image);
    ptf_plan_free(c.crop);
    free(image);
    free(crop);
    free(whole);
    free(own);
    return status;
}
