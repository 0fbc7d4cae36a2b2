/*
 * Convolutions and linear layers, back to their weights: the product of the
 * cotangent, as filters, with the input.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/conv.h"

typedef struct weights_run {
    const ptf_gradient *g;
    const ptf_back *n;
    const float *x, *d; /* of one image; of all for linear layers */
    float *by;
    int64_t rows;  /* of an image, for a linear layer */
    int64_t first; /* block of filters that are alone */
} weights_run;

/* Row i of the weights of a linear layer gathers x times its cotangents. */
static void linear_row(void *context, int64_t i, int thread)
{
    const weights_run *r = context;
    (void)thread;
    const ptf_conv *v = &r->n->conv;
    int64_t inputs = v->in.channels * pixels_of(&v->in);
    for (int64_t n = 0; n < r->g->count; n++)
        r->g->kernels->backward->outer(r->by + i * inputs,
                                       r->d[n * v->out.channels + i],
                                       r->x + n * inputs, inputs, n > 0);
}

/* Copies channel i into the padded input, zeros around it. */
static void pad_plane(void *context, int64_t i, int thread)
{
    const weights_run *r = context;
    (void)thread;
    const ptf_conv *v = &r->n->conv;
    const int64_t *padded = r->n->padded, *before = v->window.padding;
    int64_t columns = padded[2], left = before[2];
    int64_t width = ptf_min_i64(v->in.width, columns - left);
    const float *x = r->x + i * pixels_of(&v->in);
    float *y = r->g->padded + i * padded[0] * padded[1] * columns;
    for (int64_t k = 0; k < padded[0] * padded[1]; k++, y += columns) {
        int64_t z = k / padded[1] - before[0], row = k % padded[1] - before[1];
        memset(y, 0, (size_t)columns * sizeof(float));
        if (z >= 0 && z < v->in.depth && row >= 0 && row < v->in.height &&
            width > 0)
            memcpy(y + left, x + (z * v->in.height + row) * v->in.width,
                   (size_t)width * sizeof(float));
    }
}

/* Of one group of channels, and one slice of the kernels. */
static ptf_gemm weights_product(const void *context, int64_t i)
{
    const weights_run *r = context;
    const ptf_conv *v = &r->n->conv;
    const ptf_window *w = &v->window;
    int64_t group = i / w->kernel[0], z = i % w->kernel[0];
    bool padded = r->n->padded[2] > 0;
    int64_t width = padded ? r->n->padded[2] : v->in.width;
    int64_t slice = width * (padded ? r->n->padded[1] : v->in.height);
    int64_t plane = slice * (padded ? r->n->padded[0] : v->in.depth);
    int64_t taps = taps_of(v), pixels = pixels_of(&v->out);
    bool one = taps == 1; /* the input channels are the columns of one row */
    return (ptf_gemm){
        .x = (padded ? r->g->padded : r->x) + group * group_in(v) * plane +
             z * w->dilation[0] * slice,
        .taps = r->n->pixel_offset,
        .terms = pixels,
        .weights = r->d + group * group_out(v) * pixels,
        .channels = group_out(v),
        .out_height = one ? 1 : w->kernel[1],
        .out_width = one ? group_in(v) : w->kernel[2],
        .x_image = plane,
        .x_row = w->dilation[1] * width,
        .x_column = one ? plane : w->dilation[2],
        .y = r->by + group * group_out(v) * group_in(v) * taps +
             z * w->kernel[1] * w->kernel[2],
        .y_image = taps,
        .y_channel = group_in(v) * taps,
    };
}

/* ----------------------------------------------------------- filters alone */

/*
 * A filter that is its group's only one has few sums, often of many terms.
 * Threads take its blocks of 256 terms, all filters' blocks in a row, and the
 * sums of the blocks are then added in order.
 */
static ptf_gemm block_product(const void *context, int64_t i)
{
    const weights_run *r = context;
    int64_t blocks = blocks_of(&r->n->conv), block = r->first + i;
    ptf_gemm q = weights_product(r, block / blocks);
    int64_t begin = block % blocks * PTF_BLOCK_TERMS;
    q.taps += begin;
    q.weights += begin;
    q.terms = ptf_min_i64(q.terms - begin, PTF_BLOCK_TERMS);
    q.y = r->g->reached + i * filter_floats(&r->n->conv);
    return q;
}

static void add_blocks(const weights_run *r, int64_t count)
{
    int64_t floats = filter_floats(&r->n->conv),
            blocks = blocks_of(&r->n->conv);
    const float *sums = r->g->reached;
    for (int64_t i = r->first; i < r->first + count; i++, sums += floats) {
        float *by = r->by + i / blocks * floats;
        if (i % blocks == 0)
            memcpy(by, sums, (size_t)floats * sizeof(float));
        else
            r->g->kernels->backward->add(by, sums, floats);
    }
}

static void filters_alone(weights_run *r)
{
    const ptf_conv *v = &r->n->conv;
    int64_t all = v->groups * blocks_of(v);
    int64_t most = (int64_t)r->g->reached_floats / filter_floats(v), count;
    for (r->first = 0; r->first < all; r->first += count) {
        count = ptf_min_i64(all - r->first, most);
        run_products(r->g, (ptf_gemms){.of = block_product,
                                       .context = r,
                                       .groups = count,
                                       .channels = 1,
                                       .pixels = filter_floats(v)});
        add_blocks(r, count);
    }
}

/* ------------------------------------------------------------------ images */

/* The cotangent's rows, transposed, times those of the input. */
static ptf_matmul rows_product(const void *context, int64_t unused)
{
    const weights_run *r = context;
    const ptf_conv *v = &r->n->conv;
    (void)unused;
    return (ptf_matmul){.rows = v->out.channels,
                        .terms = r->rows,
                        .columns = v->in.channels,
                        .a = r->d,
                        .a_row = 1,
                        .a_term = v->out.channels,
                        .taps = r->n->pixel_offset,
                        .b = r->x,
                        .b_term = v->in.channels,
                        .b_column = 1,
                        .y = r->by};
}

static void image_weights(weights_run *r)
{
    const ptf_conv *v = &r->n->conv;
    if (r->rows > 1) {
        ptf_matmuls_run(r->g->kernels, r->g->threads,
                        &(ptf_matmuls){rows_product, r, 1, r->g->scratch});
        return;
    }
    if (r->g->kernels->gemm == NULL) {
        ptf_ref_conv_weights(v, r->x, r->d, r->by);
        return;
    }
    if (r->n->padded[2] > 0)
        ptf_each(r->g->threads, v->in.channels, pad_plane, r);
    int64_t slices = v->window.kernel[0];
    if (group_out(v) == 1 && slices == 1) {
        filters_alone(r);
        return;
    }
    run_products(r->g, (ptf_gemms){.of = weights_product,
                                   .context = r,
                                   .groups = v->groups * slices,
                                   .channels = group_out(v),
                                   .pixels = filter_floats(v) / slices});
}

/* Output channel i of one image's gradient to that of the images before. */
static void add_channel(void *context, int64_t i, int thread)
{
    const weights_run *r = context;
    (void)thread;
    int64_t row = filter_floats(&r->n->conv);
    r->g->kernels->backward->add(r->n->by[PTF_ROLE_WEIGHT] + i * row,
                                 r->by + i * row, row);
}

void ptf_back_conv_weights(const ptf_gradient *g, int i)
{
    const ptf_node *node = &g->net->nodes[i];
    const ptf_back *n = &g->nodes[i];
    const ptf_conv *v = &n->conv;
    weights_run r = {.g = g,
                     .n = n,
                     .x = ptf_gradient_value(g, node->inputs[0]),
                     .d = n->d,
                     .by = n->by[PTF_ROLE_WEIGHT],
                     .rows = ptf_gradient_rows(g, i)};
    if (ptf_op_is_transposed(node->op)) { /* the two change places */
        r.d = r.x;
        r.x = n->d;
    }
    if (is_linear(v) && r.rows == 1) {
        ptf_each(g->threads, v->out.channels, linear_row, &r);
        return;
    }
    for (int64_t image = 0; image < g->count; image++) {
        image_weights(&r);
        if (image > 0)
            ptf_each(g->threads, v->out.channels, add_channel, &r);
        r.by = g->image;
        r.x += r.rows * v->in.channels * pixels_of(&v->in);
        r.d += r.rows * v->out.channels * pixels_of(&v->out);
    }
}
