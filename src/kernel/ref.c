/*
 * The definition of every bit: plain loops, one output at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define PTF_FMAF __builtin_fmaf
#define PTF_FMA  __builtin_fma
#include "kernel/scalar.inc"

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

/* --------------------------------------------------------------- gradients */

static const ptf_epilogue no_epilogue;

/*
 * The output row or column that reads input 'at' through tap 'tap', or -1.
 */
static int64_t reader(const ptf_window *w, int axis, int64_t tap, int64_t at,
                      int64_t outputs)
{
    int64_t from = at + w->padding[axis] - tap * w->dilation[axis];
    if (from < 0 || from % w->stride[axis] != 0)
        return -1;
    from /= w->stride[axis];
    return from < outputs ? from : -1;
}

/* The sum over the output channels of a group; 'w' is that of the first. */
static float tap_sum(const ptf_conv *v, const float *d, const float *w)
{
    int64_t plane = v->out.height * v->out.width;
    int64_t row =
        v->in.channels / v->groups * v->window.kernel[0] * v->window.kernel[1];
    chain sum = {0};
    for (int64_t c = 0; c < v->out.channels / v->groups; c++)
        chain_add(&sum, w[c * row], d[c * plane]);
    return chain_finish(&sum, &no_epilogue, 0);
}

/* At (row, column) of a channel; 'd' and 'w' are those of its group. */
static float input_back(const ptf_conv *v, const float *d, const float *w,
                        int64_t row, int64_t column)
{
    const ptf_window *win = &v->window;
    float sum = 0.0F;
    for (int64_t t = 0; t < win->kernel[0] * win->kernel[1]; t++) {
        int64_t r = reader(win, 0, t / win->kernel[1], row, v->out.height);
        int64_t c = reader(win, 1, t % win->kernel[1], column, v->out.width);
        if (r >= 0 && c >= 0)
            sum = sum + tap_sum(v, d + r * v->out.width + c, w + t);
    }
    return one_nan(sum);
}

void ptf_ref_conv_input(const ptf_conv *conv, const float *d,
                        const float *weights, float *dx)
{
    int64_t plane = conv->in.height * conv->in.width;
    int64_t in = conv->in.channels / conv->groups;
    int64_t out = conv->out.channels / conv->groups;
    int64_t taps = conv->window.kernel[0] * conv->window.kernel[1];
    for (int64_t i = 0; i < conv->in.channels * plane; i++) {
        int64_t group = i / plane / in, c = i / plane % in;
        const float *from =
            d + group * out * conv->out.height * conv->out.width;
        dx[i] = input_back(conv, from, weights + (group * out * in + c) * taps,
                           i % plane / conv->in.width, i % conv->in.width);
    }
}

void ptf_ref_conv_weights(const ptf_conv *conv, const float *x, const float *d,
                          float *dw)
{
    const ptf_window *win = &conv->window;
    int64_t in = conv->in.channels / conv->groups;
    int64_t out = conv->out.channels / conv->groups;
    int64_t taps = win->kernel[0] * win->kernel[1];
    int64_t pixels = conv->out.height * conv->out.width;
    for (int64_t i = 0; i < conv->out.channels * in * taps; i++) {
        int64_t channel = i / taps / in, t = i % taps;
        const float *plane =
            plane_of(&conv->in, x, channel / out * in + i / taps % in);
        int64_t down = t / win->kernel[1] * win->dilation[0] - win->padding[0];
        int64_t right = t % win->kernel[1] * win->dilation[1] - win->padding[1];
        chain sum = {0};
        for (int64_t p = 0; p < pixels; p++)
            chain_add(&sum, d[channel * pixels + p],
                      tap(&conv->in, plane,
                          p / conv->out.width * win->stride[0] + down,
                          p % conv->out.width * win->stride[1] + right));
        dw[i] = chain_finish(&sum, &no_epilogue, 0);
    }
}

const ptf_kernels ptf_kernels_ref = {.isa = PTF_ISA_REF, PTF_SCALAR};
