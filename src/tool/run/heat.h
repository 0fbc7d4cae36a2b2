/*
 * heat: numbers as colours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_HEAT_H
#define PTF_TOOL_HEAT_H

#include "tool/common/tool.h"

enum {
    HEAT_COLOURS = 256,
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
 * Row 'y' of the legend of a picture of that width, heat_legend_height() rows
 * in all: a bar of all colours over the two ends in numbers.
 */
int64_t heat_legend_height(int64_t width);
void heat_legend_row(const heat *h, int64_t y, int64_t width,
                     unsigned char *row);

#endif
