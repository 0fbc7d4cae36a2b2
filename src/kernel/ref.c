/*
 * The definition of every bit: plain loops, one output at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define PTF_FMAF __builtin_fmaf
#define PTF_FMA  __builtin_fma
#include "kernel/pointwise.inc"

/* A canonical sum under way. */
typedef struct chain {
    float sum, block;
    int64_t terms;
} chain;

static inline void chain_add(chain *c, float w, float x)
{
    if (c->terms % PTF_BLOCK_TERMS == 0 && c->terms > 0) {
        bool first = c->terms == PTF_BLOCK_TERMS;
        c->sum = first ? c->block : c->sum + c->block;
        c->block = 0.0F;
    }
    c->block = PTF_FMAF(w, x, c->block);
    c->terms++;
}

static float chain_finish(const chain *c, const ptf_epilogue *e,
                          int64_t channel)
{
    float s = c->terms > PTF_BLOCK_TERMS ? c->sum + c->block : c->block;
    if (e->bias != NULL)
        s = s + e->bias[channel];
    if (e->scale != NULL)
        s = PTF_FMAF(s, e->scale[channel], e->shift[channel]);
    if (e->relu && !__builtin_isnan(s))
        s = s > 0 ? s : 0.0F;
    return one_nan(s);
}

/* The number at (row, column) of a plane, +0 in the padding. */
static inline float tap(const ptf_map *in, const float *plane, int64_t row,
                        int64_t column)
{
    bool inside =
        row >= 0 && row < in->height && column >= 0 && column < in->width;
    return inside ? plane[row * in->width + column] : 0.0F;
}

/* The terms of one input channel, whose kernel is 'w'. */
static void chain_add_plane(chain *sum, const ptf_conv *v, const float *plane,
                            const float *w, int64_t row, int64_t column)
{
    const ptf_window *win = &v->window;
    int64_t top = row * win->stride[0] - win->padding[0];
    int64_t left = column * win->stride[1] - win->padding[1];
    for (int64_t r = 0; r < win->kernel[0]; r++) {
        for (int64_t c = 0; c < win->kernel[1]; c++)
            chain_add(sum, *w++,
                      tap(&v->in, plane, top + r * win->dilation[0],
                          left + c * win->dilation[1]));
    }
}

static float conv_output(const ptf_conv *v, const float *x, const float *w,
                         const ptf_epilogue *e, int64_t channel, int64_t row,
                         int64_t column)
{
    int64_t channels = v->in.channels / v->groups;
    int64_t first = channel / (v->out.channels / v->groups) * channels;
    int64_t taps = v->window.kernel[0] * v->window.kernel[1];
    chain sum = {0};
    for (int64_t c = 0; c < channels; c++)
        chain_add_plane(&sum, v, plane_of(&v->in, x, first + c),
                        w + (channel * channels + c) * taps, row, column);
    return chain_finish(&sum, e, channel);
}

void ptf_ref_conv(const ptf_conv *conv, const float *x, const float *weights,
                  const ptf_epilogue *epilogue, float *y)
{
    const ptf_map *out = &conv->out;
    for (int64_t c = 0; c < out->channels; c++) {
        for (int64_t r = out->first; r < out->first + out->rows; r++) {
            for (int64_t i = 0; i < out->width; i++)
                *y++ = conv_output(conv, x, weights, epilogue, c, r, i);
        }
    }
}

void ptf_ref_linear(int64_t inputs, int64_t outputs, const float *x,
                    const float *weights, const ptf_epilogue *epilogue,
                    float *y)
{
    for (int64_t o = 0; o < outputs; o++) {
        chain sum = {0};
        for (int64_t k = 0; k < inputs; k++)
            chain_add(&sum, weights[o * inputs + k], x[k]);
        y[o] = chain_finish(&sum, epilogue, o);
    }
}

const ptf_kernels ptf_kernels_ref = {.isa = PTF_ISA_REF, PTF_POINTWISE};
