/*
 * The options for images, read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/image_options.h"

/* "36x38" as width, height; "36" as {36, 0}. */
static bool parse_size(const char *text, bool one_will_do, int64_t out[2])
{
    char *end;
    int64_t width = strtoll(text, &end, 10);
    if (end == text || width < 1)
        return false;
    out[0] = width;
    out[1] = 0;
    if (*end == '\0')
        return one_will_do;
    const char *second = end + 1;
    out[1] = width;
    out[0] = *end == 'x' ? strtoll(second, &end, 10) : 0;
    return end != second && *end == '\0' && out[0] >= 1;
}

/* "0.5,0.4,0.3"; the count, or 0 when it is no such list. */
static int parse_list(const char *text, float out[IMAGE_LIST])
{
    for (int count = 0; count < IMAGE_LIST; text++) {
        char *end;
        out[count++] = strtof(text, &end);
        if (end == text || (*end != ',' && *end != '\0'))
            return 0;
        text = end;
        if (*end == '\0')
            return count;
    }
    return 0;
}

static int refuse_text(const char *option, const char *expected,
                       const char *text)
{
    return tool_usage_error("--%s: expected %s, got \"%s\"", option, expected,
                            text);
}

int image_options_read(image_texts *t, ptf_image_options *image)
{
    if (t->resize != NULL && !parse_size(t->resize, true, image->resize))
        return refuse_text("resize", "WIDTHxHEIGHT or a number", t->resize);
    if (t->crop != NULL && !parse_size(t->crop, false, image->crop))
        return refuse_text("crop", "WIDTHxHEIGHT", t->crop);
    if (t->mean != NULL)
        image->mean_count = parse_list(t->mean, t->mean_list);
    if (t->std != NULL)
        image->std_count = parse_list(t->std, t->std_list);
    if (t->mean != NULL && image->mean_count == 0)
        return refuse_text("mean", "numbers with commas", t->mean);
    if (t->std != NULL && image->std_count == 0)
        return refuse_text("std", "numbers with commas", t->std);
    for (int i = 0; i < image->std_count; i++) {
        if (!(t->std_list[i] > 0))
            return refuse_text("std", "numbers above 0", t->std);
    }
    image->array = t->array;
    image->mean = t->mean_list;
    image->std = t->std_list;
    if (!isnan(t->scale))
        image->scale = (float)t->scale;
    if (!isnan(t->scale) && !(image->scale > 0))
        return tool_usage_error("--scale: expected a number above 0");
    if (t->layout == NULL)
        return TOOL_GO_ON;
    image->channels_last = strcmp(t->layout, "nhwc") == 0;
    if (!image->channels_last && strcmp(t->layout, "nchw") != 0)
        return refuse_text("layout", "nchw or nhwc", t->layout);
    return TOOL_GO_ON;
}
