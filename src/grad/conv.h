/*
 * conv: what the files about convolutions and linear layers share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_GRAD_CONV_H
#define PTF_GRAD_CONV_H

#include "grad/grad.h"

/*
 * What taps bring to an input, and blocks to filters that are alone, is
 * computed so much at a time, unless one needs more.
 */
enum { REACHED_FLOATS = 1 << 20, BLOCKS_FLOATS = 1 << 16 };

ptf_map ptf_back_map(const ptf_shape *shape);
ptf_window ptf_back_window(const ptf_attrs *attrs);

static inline int64_t taps_of(const ptf_conv *v)
{
    return ptf_window_taps(&v->window);
}

static inline int64_t pixels_of(const ptf_map *map)
{
    return map->depth * map->height * map->width;
}

static inline int64_t group_in(const ptf_conv *v)
{
    return v->in.channels / v->groups;
}

static inline int64_t group_out(const ptf_conv *v)
{
    return v->out.channels / v->groups;
}

static inline int64_t filter_floats(const ptf_conv *v)
{
    return group_in(v) * taps_of(v);
}

/* Blocks of the terms of a sum by the weights. */
static inline int64_t blocks_of(const ptf_conv *v)
{
    return ptf_ceil_div(pixels_of(&v->out), PTF_BLOCK_TERMS);
}

static inline bool is_unpadded(const ptf_conv *v)
{
    const ptf_window *w = &v->window;
    return w->padding[0] == 0 && w->padding[1] == 0 && w->padding[2] == 0;
}

/* Each input pixel is read once, through the only tap. */
static inline bool is_plain(const ptf_conv *v)
{
    const ptf_window *w = &v->window;
    return taps_of(v) == 1 && w->stride[0] == 1 && w->stride[1] == 1 &&
           w->stride[2] == 1 && is_unpadded(v);
}

/* One output pixel that reads the whole input, in order. */
static inline bool is_linear(const ptf_conv *v)
{
    const ptf_window *w = &v->window;
    return v->groups == 1 && pixels_of(&v->out) == 1 && is_unpadded(v) &&
           w->kernel[0] == v->in.depth && w->kernel[1] == v->in.height &&
           w->kernel[2] == v->in.width;
}

static inline void run_products(const ptf_gradient *g, ptf_gemms products)
{
    products.scratch = g->scratch;
    ptf_gemms_run(g->kernels, g->threads, &products);
}

#endif
