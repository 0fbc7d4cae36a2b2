/*
 * Colours and legend of heat maps.
 *
 * The colours are Green's cubehelix, from black through blue, green and pink
 * to white, whose brightness rises evenly, so that a grey print keeps the
 * order.  (D. A. Green, 2011, "A colour scheme for the display of
 * astronomical intensity images", Bull. Astr. Soc. India 39, 289.)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/run/heat.h"

#include <math.h>
#include <string.h>

static unsigned char to_byte(double x)
{
    return (unsigned char)(x < 0 ? 0 : x > 1 ? 255 : x * 255.0 + 0.5);
}

void heat_init(heat *h, double low, double high)
{
    static const double start = 0.5, rotations = -1.5, hue = 1.0;
    const double pi = 3.14159265358979323846;
    h->low = low;
    h->high = high;
    for (int i = 0; i < HEAT_COLOURS; i++) {
        double l = (double)i / (HEAT_COLOURS - 1);
        double angle = 2 * pi * (start / 3 + 1 + rotations * l);
        double amplitude = hue * l * (1 - l) / 2;
        double c = amplitude * cos(angle), s = amplitude * sin(angle);
        h->rgb[i][0] = to_byte(l - 0.14861 * c + 1.78277 * s);
        h->rgb[i][1] = to_byte(l - 0.29227 * c - 0.90649 * s);
        h->rgb[i][2] = to_byte(l + 1.97294 * c);
    }
}

const unsigned char *heat_colour(const heat *h, double value)
{
    double range = h->high - h->low;
    double x = range > 0 ? (value - h->low) / range : 0;
    int i = x > 0 ? (int)(x * (HEAT_COLOURS - 1) + 0.5) : 0;
    return h->rgb[i < HEAT_COLOURS ? i : HEAT_COLOURS - 1];
}

/* ------------------------------------------------------------------- legend */

enum { GLYPH_WIDTH = 5, GLYPH_HEIGHT = 7, ADVANCE = 6 };
enum { MARGIN = 4, BAR_TOP = 4, BAR_HEIGHT = 8, TEXT_TOP = 16, HEIGHT = 27 };

/* What "%g" prints; seven rows, the leftmost pixel is the highest bit. */
static const struct {
    char c;
    unsigned char rows[GLYPH_HEIGHT];
} glyphs[] = {
    {'0', {14, 17, 19, 21, 25, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},
    {'2', {14, 17, 1, 6, 8, 16, 31}},    {'3', {14, 17, 1, 6, 1, 17, 14}},
    {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},
    {'6', {6, 8, 16, 30, 17, 17, 14}},   {'7', {31, 1, 2, 4, 8, 8, 8}},
    {'8', {14, 17, 17, 14, 17, 17, 14}}, {'9', {14, 17, 17, 15, 1, 2, 12}},
    {'.', {0, 0, 0, 0, 0, 12, 12}},      {'-', {0, 0, 0, 14, 0, 0, 0}},
    {'+', {0, 4, 4, 31, 4, 4, 0}},       {'e', {0, 0, 14, 17, 31, 16, 14}},
};

static bool glyph_pixel(char c, int64_t x, int64_t y)
{
    for (size_t i = 0; i < sizeof(glyphs) / sizeof(glyphs[0]); i++) {
        if (glyphs[i].c == c && x < GLYPH_WIDTH)
            return (glyphs[i].rows[y] >> (GLYPH_WIDTH - 1 - x) & 1) != 0;
    }
    return false;
}

/* All of it grows with the picture, which is made smaller to be seen whole. */
static int64_t scale_of(int64_t width)
{
    enum { READABLE = 720 };
    return width > READABLE ? width / READABLE : 1;
}

int64_t heat_legend_height(int64_t width)
{
    return HEIGHT * scale_of(width);
}

/* A pixel of the legend, 'scale' of the picture. */
static void put(unsigned char *row, int64_t x, int64_t scale,
                const unsigned char rgb[3])
{
    for (int64_t i = 0; i < scale; i++)
        memcpy(row + 3 * (x * scale + i), rgb, 3);
}

static void draw_text(const char *text, int64_t left, int64_t y, int64_t width,
                      int64_t scale, unsigned char *row)
{
    static const unsigned char ink[3] = {0, 0, 0};
    int64_t n = (int64_t)strlen(text) * ADVANCE;
    for (int64_t x = 0; x < n; x++) {
        if (left + x >= 0 && left + x < width &&
            glyph_pixel(text[x / ADVANCE], x % ADVANCE, y))
            put(row, left + x, scale, ink);
    }
}

/* The ends in as few digits as tell them apart, if these have room. */
static void ends_text(const heat *h, int64_t width, char low[32], char high[32])
{
    enum { LEAST = 3, MOST = 9 };
    for (int digits = LEAST; digits <= MOST; digits++) {
        char text[2][32];
        snprintf(text[0], sizeof(text[0]), "%.*g", digits, h->low);
        snprintf(text[1], sizeof(text[1]), "%.*g", digits, h->high);
        size_t letters = strlen(text[0]) + strlen(text[1]) + 1;
        if (digits > LEAST && (int64_t)letters * ADVANCE > width - 2 * MARGIN)
            return;
        memcpy(low, text[0], sizeof(text[0]));
        memcpy(high, text[1], sizeof(text[1]));
        if (strcmp(low, high) != 0 || !(h->low < h->high))
            return;
    }
}

/* Row 'y' of a legend of 'width' pixels. */
static void draw_row(const heat *h, int64_t y, int64_t width, int64_t scale,
                     unsigned char *row)
{
    int64_t bar = width - 2 * MARGIN;
    if (y >= BAR_TOP && y < BAR_TOP + BAR_HEIGHT) {
        for (int64_t x = 0; x < bar; x++) {
            int64_t colour = x * (HEAT_COLOURS - 1) / (bar > 1 ? bar - 1 : 1);
            put(row, MARGIN + x, scale, h->rgb[colour]);
        }
    }
    if (y >= TEXT_TOP && y < TEXT_TOP + GLYPH_HEIGHT) {
        char low[32], high[32];
        ends_text(h, width, low, high);
        draw_text(low, MARGIN, y - TEXT_TOP, width, scale, row);
        draw_text(high, width - MARGIN + 1 - (int64_t)strlen(high) * ADVANCE,
                  y - TEXT_TOP, width, scale, row);
    }
}

void heat_legend_row(const heat *h, int64_t y, int64_t width,
                     unsigned char *row)
{
    int64_t scale = scale_of(width);
    memset(row, 255, (size_t)(3 * width));
    draw_row(h, y / scale, width / scale, scale, row);
}
