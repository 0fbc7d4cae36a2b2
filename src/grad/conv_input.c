/*
 * Convolutions and linear layers, back to their input: what tap t of input
 * channel c brings is a product of the weights, [output channels][(c, t)] as
 * they are stored, with the cotangent.  It is computed for a piece of the
 * output map and some channels at a time, so that it stays in the caches, and
 * added to the input's pixels in the order of backward.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/conv.h"

/*
 * A piece of the work by the input: images first .. first + images - 1, a part
 * of each one's output map, and input channels of a group.  More than one
 * image only when the part is the whole map.
 */
typedef struct piece {
    const ptf_gradient *g;
    const ptf_back *n;
    float *dx;
    int64_t first, images;
    ptf_part part;
    int64_t group, channel, channels; /* channel counts from the group's */
} piece;

static int64_t piece_pixels(const piece *p)
{
    return p->images * p->part.rows * p->part.columns;
}

static ptf_gemm reached_product(const void *context, int64_t unused)
{
    const piece *p = context;
    (void)unused;
    const ptf_conv *v = &p->n->conv;
    int64_t out = group_out(v), row = group_in(v) * taps_of(v);
    int64_t plane = pixels_of(&v->out), image = v->out.channels * plane;
    return (ptf_gemm){
        .x = p->n->d + p->first * image + p->group * out * plane +
             p->part.row * v->out.width + p->part.column,
        .taps = p->n->channel_offset,
        .terms = out,
        .weights =
            p->n->weights + p->group * out * row + p->channel * taps_of(v),
        .transposed = row,
        .channels = p->channels * taps_of(v),
        .out_height = p->part.rows,
        .out_width = p->part.columns,
        .x_image = image,
        .x_row = v->out.width,
        .x_column = 1,
        .y = p->g->reached,
        .y_image = p->part.rows * p->part.columns,
        .y_channel = piece_pixels(p),
    };
}

/* Where the input channel of task i begins in dx. */
static float *plane_of(const piece *p, int64_t i)
{
    const ptf_conv *v = &p->n->conv;
    int64_t channel = p->group * group_in(v) + p->channel + i % p->channels;
    return p->dx + ((p->first + i / p->channels) * v->in.channels + channel) *
                       pixels_of(&v->in);
}

static void add_reached(void *context, int64_t i, int thread)
{
    const piece *p = context;
    (void)thread;
    int64_t step = piece_pixels(p), taps = taps_of(&p->n->conv);
    const float *d = p->g->reached + i % p->channels * taps * step +
                     i / p->channels * p->part.rows * p->part.columns;
    p->g->kernels->backward->add_taps(&p->n->conv, &p->part, d, step, NULL,
                                      plane_of(p, i));
}

/* With one output channel in a group the cotangent is what taps bring. */
static void add_alone(void *context, int64_t i, int thread)
{
    const piece *p = context;
    (void)thread;
    const ptf_conv *v = &p->n->conv;
    const float *d =
        p->n->d + ((p->first + i / p->channels) * v->out.channels + p->group) *
                      pixels_of(&v->out);
    int64_t channel = p->group * group_in(v) + i % p->channels;
    p->g->kernels->backward->add_taps(v, &p->part, d, 0,
                                      p->n->weights + channel * taps_of(v),
                                      plane_of(p, i));
}

/* The same where the stride is 1: part i of all planes of dx. */
static bool takes(const ptf_conv *v)
{
    return group_out(v) == 1 && v->window.stride[1] == 1 &&
           v->window.stride[2] == 1;
}

static void take_part(void *context, int64_t i, int thread)
{
    const piece *p = context;
    (void)thread;
    const ptf_conv *v = &p->n->conv;
    int64_t pixels = pixels_of(&v->in), parts = ptf_gradient_parts(pixels);
    int64_t begin = i % parts * PTF_PART_FLOATS, plane = i / parts;
    int64_t image = plane / v->in.channels, channel = plane % v->in.channels;
    int64_t from = image * v->out.channels + channel / group_in(v);
    p->g->kernels->backward->take_taps(
        v, p->n->d + from * pixels_of(&v->out),
        p->n->weights + channel * taps_of(v), begin,
        ptf_min_i64(begin + PTF_PART_FLOATS, pixels), p->dx + plane * pixels);
}

static void settle_plane(void *context, int64_t i, int thread)
{
    const piece *p = context;
    (void)thread;
    p->g->kernels->backward->settle(plane_of(p, i), pixels_of(&p->n->conv.in));
}

/* The channels of a group for the images and the part of 'p'. */
static void piece_back(piece *p)
{
    const ptf_conv *v = &p->n->conv;
    int64_t taps = taps_of(v), all = group_in(v);
    int64_t most =
        ptf_max_i64(1, (int64_t)p->g->reached_floats / taps / piece_pixels(p));
    for (p->channel = 0; p->channel < all; p->channel += most) {
        p->channels = ptf_min_i64(all - p->channel, most);
        run_products(p->g, (ptf_gemms){.of = reached_product,
                                       .context = p,
                                       .groups = 1,
                                       .channels = p->channels * taps,
                                       .pixels = piece_pixels(p)});
        ptf_each(p->g->threads, p->images * p->channels, add_reached, p);
    }
}

/*
 * Output pixels of a piece: few enough that some input channels fill a panel
 * of the product.
 */
static int64_t most_pixels(const ptf_conv *v)
{
    int64_t taps = taps_of(v);
    int64_t channels = ptf_min_i64(group_in(v), (64 + taps - 1) / taps);
    return ptf_max_i64(1, REACHED_FLOATS / taps / channels);
}

/* The part of 'most' pixels that ends in front of pixel 'end' of the map. */
static ptf_part part_before(const ptf_conv *v, int64_t end, int64_t most)
{
    int64_t width = v->out.width, row = (end - 1) / width;
    if (end % width == 0 && most >= width) {
        int64_t rows = ptf_min_i64(end / width, most / width);
        return (ptf_part){end / width - rows, rows, 0, width};
    }
    int64_t columns = ptf_min_i64(end - row * width, most);
    return (ptf_part){row, 1, end - columns - row * width, columns};
}

/* A group, from the last piece to the first. */
static void group_back(piece *p)
{
    const ptf_conv *v = &p->n->conv;
    int64_t plane = pixels_of(&v->out), most = most_pixels(v);
    int64_t images = ptf_max_i64(1, most / plane);
    for (int64_t n = 0; n < p->g->count; n += images) {
        p->first = n;
        p->images = ptf_min_i64(p->g->count - n, images);
        for (int64_t end = plane; end > 0;) {
            p->part = part_before(v, end, most);
            end = p->part.row * v->out.width + p->part.column;
            piece_back(p);
        }
    }
}

static void alone_back(piece *p)
{
    const ptf_conv *v = &p->n->conv;
    p->images = p->g->count;
    p->channels = group_in(v);
    p->part = (ptf_part){0, v->out.height, 0, v->out.width};
    ptf_each(p->g->threads, p->images * p->channels, add_alone, p);
}

/* Straight into dx; adding +0 makes of -0 what adding to +0 does. */
static ptf_gemm plain_product(const void *context, int64_t group)
{
    const piece *p = context;
    const ptf_conv *v = &p->n->conv;
    piece whole = *p;
    whole.images = p->g->count;
    whole.part = (ptf_part){0, v->out.height, 0, v->out.width};
    whole.group = group;
    whole.channels = group_in(v);
    ptf_gemm q = reached_product(&whole, 0);
    q.y = p->dx + group * group_in(v) * pixels_of(&v->in);
    q.y_image = v->in.channels * pixels_of(&v->in);
    q.y_channel = pixels_of(&v->in);
    q.epilogue.bias = p->g->zeros;
    return q;
}

static void ref_input(void *context, int64_t i, int thread)
{
    const piece *p = context;
    (void)thread;
    const ptf_conv *v = &p->n->conv;
    ptf_ref_conv_input(v, p->n->d + i * v->out.channels * pixels_of(&v->out),
                       p->n->weights,
                       p->dx + i * v->in.channels * pixels_of(&v->in));
}

void ptf_back_conv_input(const ptf_gradient *g, int i, int operand, float *dx)
{
    (void)operand; /* a product has one */
    const ptf_conv *v = &g->nodes[i].conv;
    piece p = {.g = g, .n = &g->nodes[i], .dx = dx};
    int64_t images = g->count * ptf_gradient_rows(g, i);
    if (p.n->transposed != NULL) {
        ptf_plan_run(p.n->transposed, p.n->d, g->count, dx, NULL);
        return;
    }
    if (g->kernels->gemm == NULL) {
        ptf_each(g->threads, images, ref_input, &p);
        return;
    }
    if (is_plain(v)) {
        run_products(g, (ptf_gemms){.of = plain_product,
                                    .context = &p,
                                    .groups = v->groups,
                                    .channels = group_in(v),
                                    .pixels = images * pixels_of(&v->out)});
        return;
    }
    int64_t planes = g->count * v->in.channels;
    if (takes(v)) {
        ptf_each(g->threads, planes * ptf_gradient_parts(pixels_of(&v->in)),
                 take_part, &p);
        return;
    }
    memset(dx, 0, (size_t)(planes * pixels_of(&v->in)) * sizeof(float));
    for (p.group = 0; p.group < v->groups; p.group++) {
        if (group_out(v) == 1)
            alone_back(&p);
        else
            group_back(&p);
    }
    p = (piece){.g = g, .n = p.n, .dx = dx, .channels = v->in.channels};
    ptf_each(g->threads, planes, settle_plane, &p);
}
