/*
 * run: what the files of "ptfold run" share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_RUN_H
#define PTF_TOOL_RUN_H

#include "tool/tool.h"

#include <math.h>

typedef struct run_options {
    tool_source source;
    char **inputs; /* NULL behind the last */
    size_t input_count;
    ptf_image_options image;
    int64_t top, threads, batch;
    double beta;
    bool has_beta, json, force, quiet, verify;
    const char *npy;             /* where the outputs go, or NULL */
    const char *map, *map_class; /* the heat map, and of which class */
    double overlay;              /* its weight over the image; 0: none */
    bool allow_border;
} run_options;

/* The names of classes. */
typedef struct run_names {
    const char *const *names; /* of --labels, or NULL */
    int64_t count;
    const ptf_images *images; /* else these may know */
} run_names;

/* The name of a class, or its number written into 'text'. */
const char *run_name(const run_names *names, int64_t label, char text[24]);

/* A list of images, a net, and all that a run needs to know. */
typedef struct run {
    const run_options *options;
    const tool_net *net;
    ptf_images *images;
    run_names names;
} run;

/* One output for each class and image: tables, accuracy, JSON, .npy. */
ptf_status run_classify(const run *r, ptf_error *err);

/* One output for each class and window of a larger image. */
ptf_status run_map(const run *r, ptf_error *err);

/* The larger of two scores; NaN is the smallest. */
static inline bool run_better(float a, float b)
{
    return a > b || (isnan(b) && !isnan(a));
}

/*
 * Paints 'values', rows x columns numbers one after the other in a file, as
 * the picture options->map.
 */
typedef struct run_picture {
    FILE *values;
    int64_t rows, columns;
    double low, high;  /* of the values */
    ptf_shape image;   /* that the map is of */
    int64_t window[2]; /* rows, columns of it that a value sees */
    int64_t stride[2]; /* and how far the next one's are */
    int64_t scale;     /* set: pixels along a side of a value */
} run_picture;

ptf_status run_paint(const run *r, run_picture *picture, ptf_error *err);

#endif
