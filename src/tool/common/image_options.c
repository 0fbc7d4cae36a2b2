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

/* What a preset says where nothing is given. */
typedef struct preset {
    const char *name, *resize, *crop, *mean, *std;
} preset;

/* ImageClassification of torchvision/transforms/_presets.py. */
static const preset presets[] = {
    {"imagenet", "256", "224x224", "0.485,0.456,0.406", "0.229,0.224,0.225"},
};

static const char *given(const char *text, const char *usual)
{
    return text != NULL ? text : usual;
}

static int apply_preset(image_texts *t)
{
    if (t->preset == NULL)
        return TOOL_GO_ON;
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        const preset *p = &presets[i];
        if (strcmp(t->preset, p->name) != 0)
            continue;
        t->resize = given(t->resize, p->resize);
        t->crop = given(t->crop, p->crop);
        t->mean = given(t->mean, p->mean);
        t->std = given(t->std, p->std);
        return TOOL_GO_ON;
    }
    return refuse_text("preset", "imagenet", t->preset);
}

static int read_filter(const char *text, ptf_filter *out)
{
    if (text != NULL && strcmp(text, "bicubic") == 0)
        *out = PTF_FILTER_BICUBIC;
    else if (text != NULL && strcmp(text, "bilinear") != 0)
        return refuse_text("filter", "bilinear or bicubic", text);
    return TOOL_GO_ON;
}

int image_options_read(image_texts *t, ptf_image_options *image)
{
    int code = apply_preset(t);
    if (code == TOOL_GO_ON)
        code = read_filter(t->filter, &image->filter);
    if (code != TOOL_GO_ON)
        return code;
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
