/*
 * run: what the files of "ptfold run" share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_RUN_H
#define PTF_TOOL_RUN_H

#include "tool/common/expect.h"

#include <math.h>

typedef struct run_options {
    tool_source source;
    char **inputs; /* NULL after the last */
    size_t input_count;
    ptf_image_options image;
    int64_t top, threads, batch;
    double beta;
    bool has_beta, json, force, quiet, verify, strict, exact;
    int64_t bits;                /* of --exact; 0: as many as it takes */
    const char *expect;          /* outputs that were recorded, or NULL */
    const char *data;            /* inputs as arrays, or NULL; */
    bool sample;                 /* or those that a program was exported with */
    const char *npy, *npz;       /* where the outputs go, or NULL */
    const char *map, *map_class; /* the heat map, and of which class */
    double overlay;              /* its weight over the image; 0: none */
    bool slide, allow_border;    /* all windows of a larger image; 'map': too */
} run_options;

/* The names of the network's classes, and what the images say of theirs. */
typedef struct run_names {
    const char **names; /* of --labels, or NULL */
    int64_t count;
    char *text;               /* that they lie in, or NULL */
    const ptf_images *images; /* else these may know; NULL: they do not */
    const char *preset;       /* of the images, or NULL */

    /* set by run_names_match() */
    int64_t known;     /* classes of the images */
    int64_t *class_of; /* which output each is; NULL: that of its number */
    bool unlabelled;   /* they are no classes of the network */
} run_names;

/* The names of ImageNet-1k's classes. */
enum { RUN_IMAGENET = 1000 };
extern const char *const run_imagenet[RUN_IMAGENET];

/* Reads --labels FILE; zero them before.  Free them also after a failure. */
ptf_status run_names_read(const char *path, run_names *names, ptf_error *err);
void run_names_free(run_names *names);

/* Finds out which of the network's outputs each class of the images is. */
ptf_status run_names_match(run_names *names, int64_t outputs, bool quiet,
                           ptf_error *err);

/* The name of a class, or its number written into 'text'. */
const char *run_name(const run_names *names, int64_t label, char text[24]);

/* The class of an image with that label; -1 when it has none. */
int64_t run_label(const run_names *names, int64_t label);

/* A list of images, a net, and all that a run needs to know. */
typedef struct run {
    const run_options *options;
    const tool_net *net;
    ptf_images *images;
    run_names *names;
    tool_finite *finite;
    const tool_expect *expect; /* of --expect, or NULL */
} run;

/* True when the command gives up its files: NaN or infinity with --strict. */
bool run_is_void(const run *r);

/* One output for each class and image: tables, accuracy, JSON, .npy. */
ptf_status run_classify(const run *r, ptf_error *err);

/* Arrays in, arrays out: inputs and outputs of any number by name. */
ptf_status run_data(const run_options *o, const tool_net *net, int *code,
                    ptf_error *err);

/* True when an earlier --npz wrote the file, which may then be replaced. */
bool run_data_wrote(const char *path);

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
