/*
 * map: a network that slides over a larger image, between the file that runs
 * it and the one that reports.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_MAP_H
#define PTF_TOOL_MAP_H

#include "tool/run/run.h"

/* What a class scored. */
typedef struct map_peak {
    int64_t won; /* windows in which it is the best */
    float score; /* its largest, and where */
    int64_t row, column;
} map_peak;

typedef struct map_job {
    const run *run;
    ptf_net *slid;  /* with linear layers as convolutions, or NULL, */
    ptf_net *freed; /* and of any size */
    ptf_plan *plan;
    ptf_sink *npy;
    FILE *values; /* of the picture, row by row */
    ptf_slide slide;
    bool by_rows; /* or all at once: a layer needs the whole image */
    ptf_shape image, output;
    int64_t class; /* of the picture; -1: the best of each window */

    /* the rows of the image that are held: channels x count x width */
    float *rows, *fresh;
    int64_t first, count, room;

    float *scores; /* classes x stripe x columns */
    float *best;   /* one row of the picture's values */
    float *window; /* one window's scores, and their shares after them */
    map_peak *peaks;
    run_picture picture;
} map_job;

void map_print_text(const map_job *job);
void map_print_json(const map_job *job);

#endif
