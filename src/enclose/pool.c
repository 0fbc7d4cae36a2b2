/*
 * Balls through pools.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* The taps of one output along one axis: first, step and end. */
typedef struct span {
    int64_t first, end, step;
    int64_t padded; /* taps inside the padded input */
} span;

static span window(const ptf_attrs *a, int axis, int64_t size, int64_t at)
{
    int64_t step = a->dilation[axis] > 0 ? a->dilation[axis] : 1;
    int64_t first = at * a->stride[axis] - a->padding[axis];
    int64_t end = first + (a->kernel[axis] - 1) * step + 1;
    int64_t limit = size + a->padding[axis];
    span s = {first, end < size ? end : size, step, 0};
    s.padded = ((end < limit ? end : limit) - first + step - 1) / step;
    while (s.first < 0)
        s.first += step;
    return s;
}

/* How the two axes of a map lie in a shape of rank 1, 2 or 3. */
static void map_size(const ptf_shape *shape, int64_t size[3])
{
    size[0] = size[1] = size[2] = 1;
    for (int i = 0; i < shape->rank; i++)
        size[i + 3 - shape->rank] = shape->dim[i];
}

/* A maximum is no further from another than the furthest of its arguments. */
static void max_of(ptf_balls in, int64_t width, span rows, span columns,
                   double *value, double *radius)
{
    double m = -HUGE_VAL, r = 0;
    for (int64_t y = rows.first; y < rows.end; y += rows.step)
        for (int64_t x = columns.first; x < columns.end; x += columns.step) {
            m = fmax(m, in.value[y * width + x]);
            r = fmax(r, in.radius[y * width + x]);
        }
    *value = m;
    *radius = r;
}

/*
 * A sum of n terms and a division: gamma(n) of the sum of magnitudes, over the
 * divisor, and the same with f for a run; two more are taken, and 2^-20 covers
 * the rounding of the radius itself.
 */
static void mean_of(ptf_balls in, int64_t width, span rows, span columns,
                    double divisor, bool executed, double *value,
                    double *radius)
{
    double m = 0, magnitude = 0, r = 0;
    int64_t n = 0;
    for (int64_t y = rows.first; y < rows.end; y += rows.step)
        for (int64_t x = columns.first; x < columns.end; x += columns.step) {
            m += in.value[y * width + x];
            magnitude += fabs(in.value[y * width + x]);
            r += in.radius[y * width + x];
            n++;
        }
    double g = ptf_gamma(n + 2, PTF_U);
    g += executed ? ptf_gamma(n + 2, PTF_F) : 0;
    *value = m / divisor;
    *radius = (r + g * (magnitude + r)) / divisor * (1 + 0x1p-20) +
              (executed ? PTF_TINY_F : PTF_TINY);
}

void ptf_enclose_max_pool(const ptf_attrs *attrs, const ptf_shape *in_shape,
                          const ptf_shape *out_shape, ptf_balls in,
                          ptf_balls out)
{
    int64_t from[3], to[3];
    map_size(in_shape, from);
    map_size(out_shape, to);
    for (int64_t i = 0; i < to[0] * to[1] * to[2]; i++) {
        int64_t skip = i / (to[1] * to[2]) * from[1] * from[2];
        ptf_balls map = {in.value + skip, in.radius + skip};
        max_of(map, from[2], window(attrs, 0, from[1], i / to[2] % to[1]),
               window(attrs, 1, from[2], i % to[2]), &out.value[i],
               &out.radius[i]);
    }
}

/* Window i of 'out' over 'in': floor(i in / out) to ceil((i + 1) in / out). */
static span share(int64_t in, int64_t out, int64_t i)
{
    int64_t first = i * in / out, end = ((i + 1) * in + out - 1) / out;
    return (span){first, end, 1, 0};
}

void ptf_enclose_avg_pool(const ptf_attrs *attrs, const ptf_shape *in_shape,
                          const ptf_shape *out_shape, bool executed,
                          ptf_balls in, ptf_balls out)
{
    int64_t from[3], to[3];
    map_size(in_shape, from);
    map_size(out_shape, to);
    for (int64_t i = 0; i < to[0] * to[1] * to[2]; i++) {
        int64_t skip = i / (to[1] * to[2]) * from[1] * from[2];
        int64_t y = i / to[2] % to[1], x = i % to[2];
        ptf_balls map = {in.value + skip, in.radius + skip};
        span rows = attrs != NULL ? window(attrs, 0, from[1], y)
                                  : share(from[1], to[1], y);
        span columns = attrs != NULL ? window(attrs, 1, from[2], x)
                                     : share(from[2], to[2], x);
        int64_t inside =
            (rows.end - rows.first) * (columns.end - columns.first);
        bool padded = attrs != NULL && attrs->count_include_pad;
        int64_t count = padded ? rows.padded * columns.padded : inside;
        mean_of(map, from[2], rows, columns, (double)count, executed,
                &out.value[i], &out.radius[i]);
    }
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_node *node = ptf_enclose_node_of(s);
    const ptf_shape *from = ptf_enclose_shape_of(s, 0);
    const ptf_shape *to = &s->enc->shapes[s->node];
    ptf_balls in = ptf_enclose_in(s, 0, n), out = ptf_enclose_out(s, n);
    bool executed = s->pass->executed;
    if (node->op == PTF_OP_MAXPOOL2D)
        ptf_enclose_max_pool(&node->attrs, from, to, in, out);
    else if (node->op == PTF_OP_AVGPOOL2D)
        ptf_enclose_avg_pool(&node->attrs, from, to, executed, in, out);
    else
        ptf_enclose_avg_pool(NULL, from, to, executed, in, out);
}

const ptf_enclose_family ptf_enclose_family_pool = {.image = image};
