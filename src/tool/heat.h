/*
 * heat: numbers as colours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_HEAT_H
#define PTF_TOOL_HEAT_H

#include "tool/tool.h"

enum {
    HEAT_COLOURS = 256,
    HEAT_LEGEND_HEIGHT = 27,
    HEAT_LEGEND_WIDTH = 120, /* the narrowest that shows both numbers */
};

/* A scale from 'low' to 'high'. */
typedef struct heat {
    double low, high;
    unsigned char rgb[HEAT_COLOURS][3];
} heat;

void heat_init(heat *h, double low, double high);

/* Red, green, blue of a value; those outside the scale get its ends. */
const unsigned char *heat_colour(const heat *h, double value);

/*
 * Row 'y' of the legend, HEAT_LEGEND_HEIGHT in all, 'width' pixels: a bar of
 * all colours over the two ends in numbers.
 */
void heat_legend_row(const heat *h, int64_t y, int64_t width,
                     unsigned char *row);

#endif
