/*
 * image_options: what images become on their way into a network, for the
 * commands that take options for it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_IMAGE_OPTIONS_H
#define PTF_TOOL_IMAGE_OPTIONS_H

#include "tool/common/tool.h"

#include <math.h>

enum { IMAGE_LIST = 8 };

/* The options as they are given, and the lists in them as numbers. */
typedef struct image_texts {
    const char *resize, *crop, *filter, *mean, *std, *layout, *array, *preset;
    double scale; /* NaN: not given */
    float mean_list[IMAGE_LIST], std_list[IMAGE_LIST];
} image_texts;

#define IMAGE_NONE_GIVEN ((image_texts){.scale = (double)NAN})

/* Their rows in a command's table, and what its --help says of them. */
#define IMAGE_ROW(texts, name, kind, most) \
    ((tool_option){#name, 0, kind, &(texts)->name, 0, most})
#define IMAGE_OPTIONS(texts)                              \
    IMAGE_ROW(texts, array, OPTION_TEXT, 0),              \
        IMAGE_ROW(texts, crop, OPTION_TEXT, 0),           \
        IMAGE_ROW(texts, filter, OPTION_TEXT, 0),         \
        IMAGE_ROW(texts, layout, OPTION_TEXT, 0),         \
        IMAGE_ROW(texts, mean, OPTION_TEXT, 0),           \
        IMAGE_ROW(texts, preset, OPTION_TEXT, 0),         \
        IMAGE_ROW(texts, resize, OPTION_TEXT, 0),         \
        IMAGE_ROW(texts, scale, OPTION_REAL, 1000000000), \
        IMAGE_ROW(texts, std, OPTION_TEXT, 0)
#define IMAGE_HELP                                                           \
    "Of an image, in this order (bytes are divided by 255):\n"               \
    "  --resize WxH|N    with Pillow's filter; N: the shorter side\n"        \
    "  --filter bilinear|bicubic\n"                                          \
    "  --crop WxH        the middle\n"                                       \
    "  --scale S         divide numbers by S instead\n"                      \
    "  --mean A,B,C      subtract, then divide by\n"                         \
    "  --std A,B,C\n"                                                        \
    "  --preset imagenet torchvision's transforms for evaluation: resize\n"  \
    "                    256, crop 224x224, ImageNet's mean and std, each\n" \
    "                    unless it is given\n"                               \
    "  --layout nchw|nhwc, --array NAME   of .npy; which of .npz\n"

/* TOOL_GO_ON or the code to exit with.  'out' borrows from 'texts'. */
int image_options_read(image_texts *texts, ptf_image_options *out);

#endif
