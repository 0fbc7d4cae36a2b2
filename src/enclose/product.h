/*
 * product: one convolution or linear layer on balls; see product.c for the
 * bounds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ENCLOSE_PRODUCT_H
#define PTF_ENCLOSE_PRODUCT_H

#include "enclose/enclose.h"
#include "enclose/tile.h"

/* Makes good what a norm or a radius loses in its own computation. */
#define UP (1.0 + 0x1p-18)

enum { LANES = PTF_TILE_LANES };

/* One layer on a group of images; a linear layer has maps of 1x1. */
struct ptf_product {
    const ptf_enclose_pass *pass;
    const ptf_parameters *numbers;
    ptf_balls in, out;
    struct {
        int64_t kernel[PTF_MAP_AXES], stride[PTF_MAP_AXES];
        int64_t padding[PTF_MAP_AXES], dilation[PTF_MAP_AXES];
    } window;
    bool transposed;
    int64_t size[PTF_MAP_AXES], out_size[PTF_MAP_AXES];
    int64_t map; /* numbers of an input's channel */
    int64_t groups, group_in, group_out;
    int64_t terms, pixels; /* pixels: of all images */
    const ptf_tile *tile;
    double g, tiny;
    double *squares; /* [image][group][pixel]: sums of t^2 over channels */
    double *panels;  /* those of each thread, or of a chunk, and their norms */
    double *norms;
    struct scratch *scratch; /* per thread */
    int64_t chunk;           /* panels that threads share at once */
};

#endif
