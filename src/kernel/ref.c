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
    if (e->relu && e->shows && __builtin_isinf(s))
        s = __builtin_nanf("");
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

/* The terms of one slice of an input channel, or with NULL of none. */
static const float *chain_add_slice(chain *sum, const ptf_conv *v,
                                    const float *slice, const float *w,
                                    const int64_t at[PTF_MAP_AXES])
{
    const ptf_window *win = &v->window;
    for (int64_t i = 0; i < win->kernel[1]; i++) {
        int64_t row = ptf_conv_source(v, 1, at[1], i, v->in.height);
        for (int64_t j = 0; j < win->kernel[2]; j++) {
            int64_t column = ptf_conv_source(v, 2, at[2], j, v->in.width);
            chain_add(sum, *w++,
                      slice != NULL ? tap(&v->in, slice, row, column) : 0.0F);
        }
    }
    return w;
}

float ptf_ref_conv_output(const ptf_conv *v, const float *x, const float *w,
                          const ptf_epilogue *e, int64_t channel,
                          const int64_t at[PTF_MAP_AXES])
{
    int64_t channels = v->in.channels / v->groups;
    int64_t first = channel / (v->out.channels / v->groups) * channels;
    chain sum = {0};
    w += channel * channels * ptf_window_taps(&v->window);
    for (int64_t c = 0; c < channels; c++) {
        const float *map = plane_of(&v->in, x, first + c);
        for (int64_t t = 0; t < v->window.kernel[0]; t++) {
            int64_t z = ptf_conv_source(v, 0, at[0], t, v->in.depth);
            const float *slice = map + z * v->in.rows * v->in.width;
            w = chain_add_slice(&sum, v, z < 0 ? NULL : slice, w, at);
        }
    }
    return chain_finish(&sum, e, channel);
}

void ptf_ref_conv(const ptf_conv *conv, const float *x, const float *weights,
                  const ptf_epilogue *epilogue, float *y)
{
    const ptf_map *out = &conv->out;
    for (int64_t c = 0; c < out->channels; c++) {
        for (int64_t z = 0; z < out->depth; z++) {
            for (int64_t r = out->first; r < out->first + out->rows; r++) {
                for (int64_t i = 0; i < out->width; i++)
                    *y++ = ptf_ref_conv_output(conv, x, weights, epilogue, c,
                                               (int64_t[]){z, r, i});
            }
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
    int64_t row = v->in.channels / v->groups * ptf_window_taps(&v->window);
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
    for (int64_t t = 0; t < ptf_window_taps(win); t++) {
        int64_t r = reader(win, 1, t / win->kernel[2], row, v->out.height);
        int64_t c = reader(win, 2, t % win->kernel[2], column, v->out.width);
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
    int64_t taps = ptf_window_taps(&conv->window);
    for (int64_t i = 0; i < conv->in.channels * plane; i++) {
        int64_t group = i / plane / in, c = i / plane % in;
        const float *from =
            d + group * out * conv->out.height * conv->out.width;
        dx[i] = input_back(conv, from, weights + (group * out * in + c) * taps,
                           i % plane / conv->in.width, i % conv->in.width);
    }
}

/* Where output position 'at' reads through a tap, or -1. */
static int64_t weight_source(const ptf_conv *v, int axis, int64_t at,
                             int64_t tap)
{
    const int64_t sizes[] = {v->in.depth, v->in.height, v->in.width};
    return ptf_conv_source(v, axis, at, tap, sizes[axis]);
}

/* Of tap (z, i, j), over the output pixels of a channel. */
static float weight_back(const ptf_conv *v, const float *map, const float *d,
                         const int64_t tap[PTF_MAP_AXES])
{
    const ptf_map *in = &v->in, *out = &v->out;
    chain sum = {0};
    for (int64_t p = 0; p < ptf_map_pixels(out); p++) {
        int64_t r = p / out->width;
        int64_t z = weight_source(v, 0, r / out->height, tap[0]);
        int64_t row = weight_source(v, 1, r % out->height, tap[1]);
        int64_t column = weight_source(v, 2, p % out->width, tap[2]);
        bool inside = z >= 0 && row >= 0 && column >= 0;
        chain_add(&sum, d[p],
                  inside ? map[(z * in->height + row) * in->width + column]
                         : 0.0F);
    }
    return chain_finish(&sum, &no_epilogue, 0);
}

void ptf_ref_conv_weights(const ptf_conv *conv, const float *x, const float *d,
                          float *dw)
{
    const int64_t *kernel = conv->window.kernel;
    int64_t in = conv->in.channels / conv->groups;
    int64_t out = conv->out.channels / conv->groups;
    int64_t taps = ptf_window_taps(&conv->window);
    for (int64_t i = 0; i < conv->out.channels * in * taps; i++) {
        int64_t channel = i / taps / in, t = i % taps;
        int64_t tap[] = {t / kernel[2] / kernel[1], t / kernel[2] % kernel[1],
                         t % kernel[2]};
        dw[i] = weight_back(
            conv, plane_of(&conv->in, x, channel / out * in + i / taps % in),
            d + channel * ptf_map_pixels(&conv->out), tap);
    }
}

const ptf_kernels ptf_kernels_ref = {
    .isa = PTF_ISA_REF, PTF_SCALAR, .pool = pool, .softmax = softmax};
