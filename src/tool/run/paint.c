/*
 * Heat maps as pictures: the map alone, or over the image, and a legend.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/run/heat.h"
#include "tool/run/run.h"

#include <errno.h>
#include <math.h>

typedef struct painter {
    const run *run;
    run_picture *picture;
    heat heat;
    ptf_sink *sink;
    int64_t width;
    unsigned char *row;

    /* rows 'held' and 'held + 1' of the values, in two places by turns */
    float *values[2];
    int64_t held;

    ptf_images *images; /* for the overlay: the image as it is */
    float *pixels;      /* a row of it */
} painter;

static ptf_status read_values(painter *p, float *out, ptf_error *err)
{
    size_t n = (size_t)p->picture->columns;
    if (fread(out, sizeof(float), n, p->picture->values) == n)
        return PTF_OK;
    return tool_error(err, PTF_IO, "cannot read a temporary file: %s",
                      strerror(errno));
}

static ptf_status write_row(painter *p, ptf_error *err)
{
    return ptf_sink_write(p->sink, p->row, (size_t)(3 * p->width), err);
}

/* --------------------------------------------------------------- map alone */

static ptf_status paint_map(painter *p, ptf_error *err)
{
    const run_picture *map = p->picture;
    ptf_status status = PTF_OK;
    for (int64_t y = 0; y < map->rows && status == PTF_OK; y++) {
        status = read_values(p, p->values[0], err);
        memset(p->row, 255, (size_t)(3 * p->width));
        for (int64_t x = 0; x < map->columns * map->scale; x++)
            memcpy(p->row + 3 * x,
                   heat_colour(&p->heat, (double)p->values[0][x / map->scale]),
                   3);
        for (int64_t i = 0; i < map->scale && status == PTF_OK; i++)
            status = write_row(p, err);
    }
    return status;
}

/* ----------------------------------------------------------------- overlay */

/* Where the middle of pixel 'at' lies among the middles of windows. */
static double place(const run_picture *map, int d, int64_t at)
{
    double middle = ((double)map->window[d] - 1) / 2;
    return ((double)at - middle) / (double)map->stride[d];
}

/* Rows 'y' and 'y + 1' (the last one again after it). */
static ptf_status hold_values(painter *p, int64_t y, ptf_error *err)
{
    ptf_status status = PTF_OK;
    while (p->held < y && status == PTF_OK) {
        float *above = p->values[0];
        p->values[0] = p->values[1];
        p->values[1] = above;
        p->held++;
        if (p->held + 1 < p->picture->rows)
            status = read_values(p, p->values[1], err);
    }
    return status;
}

/* Between the four values around (y, x); the map must have that place. */
static double blend(const painter *p, double y, double x)
{
    const run_picture *map = p->picture;
    int64_t column = (int64_t)x;
    int64_t next = column + 1 < map->columns ? column + 1 : column;
    double fx = x - (double)column, fy = y - floor(y);
    const float *above = p->values[0];
    const float *below = p->held + 1 < map->rows ? p->values[1] : above;
    double a = (double)above[column] * (1 - fx) + (double)above[next] * fx;
    double b = (double)below[column] * (1 - fx) + (double)below[next] * fx;
    return a * (1 - fy) + b * fy;
}

static double pixel(const painter *p, int64_t x, int channel)
{
    int64_t plane = p->picture->image.dim[0] == 3 ? channel : 0;
    double value = (double)p->pixels[plane * p->picture->image.dim[2] + x];
    return value > 0 ? (value < 1 ? 255 * value : 255) : 0;
}

/* The border, half a window wide, belongs to no window's middle. */
static void overlay_row(painter *p, double y)
{
    const run_picture *map = p->picture;
    double weight = p->run->options->overlay;
    bool inside = y >= 0 && y <= (double)(map->rows - 1);
    memset(p->row, 255, (size_t)(3 * p->width));
    for (int64_t i = 0; i < map->image.dim[2]; i++) {
        double x = place(map, 1, i);
        bool heated = inside && x >= 0 && x <= (double)(map->columns - 1);
        const unsigned char *colour =
            heated ? heat_colour(&p->heat, blend(p, y, x)) : NULL;
        for (int c = 0; c < 3; c++) {
            double value = pixel(p, i, c);
            if (heated)
                value += weight * (colour[c] - value);
            p->row[3 * i + c] = (unsigned char)(value + 0.5);
        }
    }
}

static ptf_status paint_overlay(painter *p, ptf_error *err)
{
    const run_picture *map = p->picture;
    ptf_status status = read_values(p, p->values[0], err);
    if (status == PTF_OK && map->rows > 1)
        status = read_values(p, p->values[1], err);
    for (int64_t i = 0; i < map->image.dim[1] && status == PTF_OK; i++) {
        double y = place(map, 0, i);
        if (y >= 0 && y <= (double)(map->rows - 1))
            status = hold_values(p, (int64_t)y, err);
        if (status == PTF_OK)
            status = ptf_images_read_rows(p->images, 0, i, 1, p->pixels, err);
        if (status != PTF_OK)
            break;
        overlay_row(p, y);
        status = write_row(p, err);
    }
    return status;
}

/* The image without what --mean, --std and --scale make of it. */
static ptf_status open_image(painter *p, ptf_error *err)
{
    const run_options *o = p->run->options;
    ptf_image_options options = o->image;
    int64_t channels = p->picture->image.dim[0];
    options.mean_count = options.std_count = 0;
    options.scale = 0;
    if (strcmp(o->inputs[0], "-") == 0 || (channels != 1 && channels != 3))
        return tool_error(err, PTF_ARGUMENT,
                          "--overlay: expected a grey or RGB image in a file");
    size_t row = (size_t)(channels * p->picture->image.dim[2]);
    p->pixels = calloc(row, sizeof(float));
    if (p->pixels == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    return ptf_images_open((const char *const *)o->inputs, 1, &options,
                           &p->images, err);
}

/* -------------------------------------------------------------- the picture */

static ptf_status start(painter *p, ptf_error *err)
{
    run_picture *map = p->picture;
    bool overlay = p->run->options->overlay > 0;
    map->scale = overlay ? 1 : tool_picture_scale(map->rows, map->columns);
    int64_t height = overlay ? map->image.dim[1] : map->rows * map->scale;
    p->width = overlay ? map->image.dim[2] : map->columns * map->scale;
    if (p->width < HEAT_LEGEND_WIDTH)
        p->width = HEAT_LEGEND_WIDTH;
    heat_init(&p->heat, map->low, map->high);
    p->row = calloc((size_t)p->width, 3);
    for (int i = 0; i < 2; i++)
        p->values[i] = calloc((size_t)map->columns, sizeof(float));
    if (p->row == NULL || p->values[0] == NULL || p->values[1] == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    if (fflush(map->values) != 0 || fseek(map->values, 0, SEEK_SET) != 0)
        return tool_error(err, PTF_IO, "cannot write a temporary file: %s",
                          strerror(errno));
    ptf_status status = overlay ? open_image(p, err) : PTF_OK;
    return status == PTF_OK
               ? ptf_picture_create(p->run->options->map, p->width,
                                    height + heat_legend_height(p->width),
                                    &p->sink, err)
               : status;
}

static ptf_status paint_all(painter *p, ptf_error *err)
{
    ptf_status status =
        p->images != NULL ? paint_overlay(p, err) : paint_map(p, err);
    for (int64_t y = 0; y < heat_legend_height(p->width) && status == PTF_OK;
         y++) {
        heat_legend_row(&p->heat, y, p->width, p->row);
        status = write_row(p, err);
    }
    if (status != PTF_OK)
        return status;
    status = ptf_sink_commit(p->sink, err);
    p->sink = NULL;
    return status;
}

ptf_status run_paint(const run *r, run_picture *picture, ptf_error *err)
{
    painter p = {.run = r, .picture = picture};
    ptf_status status = start(&p, err);
    if (status == PTF_OK)
        status = paint_all(&p, err);
    ptf_sink_abort(p.sink);
    ptf_images_close(p.images);
    free(p.row);
    free(p.values[0]);
    free(p.values[1]);
    free(p.pixels);
    return status;
}
