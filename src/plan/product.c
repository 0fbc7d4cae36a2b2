/*
 * Steps that are products: convolutions and linear layers.  This is where a
 * convolution's window becomes a list of taps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

typedef struct product_run {
    const ptf_plan *plan;
    const ptf_step *step;
    const ptf_piece *piece;
    int64_t pixels; /* of the piece */
} product_run;

static int64_t terms_of(const ptf_conv *conv)
{
    return conv->in.channels / conv->groups * conv->window.kernel[0] *
           conv->window.kernel[1];
}

int64_t ptf_conv_weights(const ptf_conv *conv)
{
    return conv->out.channels * terms_of(conv);
}

/* --------------------------------------------------------------- reference */

static void ref_image(void *context, int64_t i, int thread)
{
    const product_run *r = context;
    (void)thread;
    const float *x =
        ptf_plan_read(r->plan, r->piece, r->step->in[0], r->piece->first + i);
    float *y =
        ptf_plan_at(r->plan, r->piece, r->step->out, r->piece->first + i);
    ptf_ref_conv(&r->step->conv, x, r->step->weights, &r->step->epilogue, y);
}

static void run_ref(const ptf_plan *plan, const ptf_step *step,
                    const ptf_piece *piece)
{
    product_run run = {.plan = plan, .step = step, .piece = piece};
    ptf_piece_each(plan, piece, piece->count, ref_image, &run);
}

/* ----------------------------------------------------------------- padding */

/*
 * Copies channel c of image n into the padded input, zeros around it: the
 * rows that the output's rows reach.
 */
static void pad_plane(void *context, int64_t i, int thread)
{
    const product_run *r = context;
    (void)thread;
    const ptf_step *s = r->step;
    const ptf_map *in = &s->conv.in;
    const ptf_window *w = &s->conv.window;
    int64_t rows = s->padded[0], columns = s->padded[1];
    int64_t top = in->first + w->padding[0] - s->conv.out.first * w->stride[0];
    int64_t left = w->padding[1];
    int64_t width = ptf_min_i64(in->width, columns - left);
    const float *x = ptf_plan_read(r->plan, r->piece, s->in[0],
                                   r->piece->first + i / in->channels) +
                     i % in->channels * in->rows * in->width;
    float *y = ptf_plan_own(&r->plan->padded, r->piece) + i * rows * columns;
    for (int64_t row = 0; row < rows; row++, y += columns) {
        memset(y, 0, (size_t)columns * sizeof(float));
        if (row >= top && row - top < in->rows && width > 0)
            memcpy(y + left, x + (row - top) * in->width,
                   (size_t)width * sizeof(float));
    }
}

/* -------------------------------------------------------------------- cuts */

/* The product of one group of channels. */
static ptf_product group_product(const product_run *r, int64_t group)
{
    const ptf_step *s = r->step;
    const ptf_conv *v = &s->conv;
    int64_t lanes = r->plan->kernels->lanes;
    int64_t channels = v->out.channels / v->groups, terms = terms_of(v);
    int64_t first = group * channels;
    bool padded = s->padded[1] > 0;
    int64_t rows = padded ? s->padded[0] : v->in.rows;
    int64_t width = padded ? s->padded[1] : v->in.width;
    int64_t plane = v->out.rows * v->out.width;
    const ptf_epilogue *e = &s->epilogue;
    const float *x =
        padded ? ptf_plan_own(&r->plan->padded, r->piece)
               : ptf_plan_read(r->plan, r->piece, s->in[0], r->piece->first) +
                     (v->out.first * v->window.stride[0] - v->in.first) * width;
    float *y = ptf_plan_at(r->plan, r->piece, s->out, r->piece->first);
    return (ptf_product){
        .x = x + group * (v->in.channels / v->groups) * rows * width,
        .taps = s->taps,
        .terms = terms,
        .weights = s->weights + first * terms,
        .panels = s->panels == NULL
                      ? NULL
                      : s->panels + group * ptf_ceil_div(channels, lanes) *
                                        lanes * terms,
        .channels = channels,
        .out_height = v->out.rows,
        .out_width = v->out.width,
        .x_image = v->in.channels * rows * width,
        .x_row = v->window.stride[0] * width,
        .x_column = v->window.stride[1],
        .y = y + first * plane,
        .y_image = v->out.channels * plane,
        .y_channel = plane,
        .epilogue = {.bias = e->bias != NULL ? e->bias + first : NULL,
                     .scale = e->scale != NULL ? e->scale + first : NULL,
                     .shift = e->shift != NULL ? e->shift + first : NULL,
                     .relu = e->relu},
    };
}

static ptf_product product_of(const void *context, int64_t group)
{
    return group_product(context, group);
}

static int threads_of(const product_run *r)
{
    return r->piece->thread == PTF_ALL_THREADS ? r->plan->threads : 1;
}

/* More than threads, so that all end at about the same time. */
static int64_t direct_parts(const product_run *r)
{
    return threads_of(r) > 1 ? 4 * threads_of(r) : 1;
}

static char *scratch_of(const product_run *r, int thread)
{
    return r->plan->scratch + (size_t)thread * r->plan->kernels->scratch_size;
}

static void direct_part(void *context, int64_t i, int thread)
{
    const product_run *r = context;
    const ptf_kernels *kernels = r->plan->kernels;
    ptf_product q = group_product(r, 0);
    int64_t c0, c1;
    ptf_cut(i, direct_parts(r), q.channels,
            q.panels != NULL ? kernels->panel_channels : kernels->lanes, &c0,
            &c1);
    if (c0 < c1)
        kernels->direct(&q, c0, c1, 0, r->pixels, scratch_of(r, thread));
}

static void run_product(const ptf_plan *plan, const ptf_step *step,
                        const ptf_piece *piece)
{
    const ptf_conv *v = &step->conv;
    product_run run = {.plan = plan, .step = step, .piece = piece};
    run.pixels = piece->count * v->out.rows * v->out.width;
    if (step->padded[1] > 0)
        ptf_piece_each(plan, piece, piece->count * v->in.channels, pad_plane,
                       &run);
    if (step->side_by_side && run.pixels <= plan->kernels->direct_pixels) {
        ptf_piece_each(plan, piece, direct_parts(&run), direct_part, &run);
        return;
    }
    ptf_products products = {
        .of = product_of,
        .context = &run,
        .groups = v->groups,
        .channels = v->out.channels / v->groups,
        .pixels = run.pixels,
        .scratch = scratch_of(&run, piece->thread > 0 ? piece->thread : 0)};
    ptf_products_run(plan->kernels, threads_of(&run), &products);
}

/* -------------------------------------------------------------------- make */

static ptf_status allocate_taps(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    size_t size = (size_t)terms_of(&step->conv) * sizeof(int32_t);
    ptf_status status = ptf_plan_reserve(plan, size, err);
    if (status != PTF_OK)
        return status;
    step->taps = ptf_plan_alloc(plan, size);
    return step->taps != NULL ? PTF_OK : ptf_fail_memory(err);
}

/* Rows or columns that the windows reach, padding included. */
static int64_t reach(const ptf_window *w, int axis, int64_t outputs)
{
    return (outputs - 1) * w->stride[axis] +
           (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

/*
 * Floats between the channels of what the taps go over; INT64_MAX where
 * padding makes more of them than can be counted.
 */
static int64_t taps_plane(const ptf_step *step)
{
    const ptf_map *in = &step->conv.in;
    int64_t plane = in->rows * in->width;
    if (step->padded[1] > 0 &&
        !ptf_mul_i64(step->padded[0], step->padded[1], &plane))
        plane = INT64_MAX;
    return plane;
}

void ptf_step_fit(const ptf_plan *plan, ptf_step *step)
{
    if (step->weights == NULL || step->node->op == PTF_OP_LINEAR)
        return;
    step->conv.in = ptf_map_of(&plan->values[step->in[0]]);
    step->conv.out = ptf_map_of(&plan->values[step->out]);
    if (step->padded[1] > 0)
        step->padded[0] = reach(&step->conv.window, 0, step->conv.out.rows);
}

ptf_status ptf_step_check(const ptf_step *step, ptf_error *err)
{
    if (step->taps == NULL ||
        taps_plane(step) <=
            INT32_MAX / (step->conv.in.channels / step->conv.groups))
        return PTF_OK;
    return ptf_node_fail(err, PTF_UNSUPPORTED, step->node,
                         "one image's feature map has more than 2^31 numbers");
}

/* Distances of the terms from a pixel's first one. */
void ptf_step_taps(ptf_step *step)
{
    const ptf_window *w = &step->conv.window;
    bool padded = step->padded[1] > 0;
    int64_t width = padded ? step->padded[1] : step->conv.in.width;
    int64_t plane = taps_plane(step);
    if (step->taps == NULL || plane == step->taps_plane)
        return;
    int32_t *taps = step->taps;
    for (int64_t c = 0; c < step->conv.in.channels / step->conv.groups; c++) {
        for (int64_t i = 0; i < w->kernel[0] * w->kernel[1]; i++) {
            int64_t row = i / w->kernel[1] * w->dilation[0];
            int64_t column = i % w->kernel[1] * w->dilation[1];
            *taps++ = (int32_t)(c * plane + row * width + column);
        }
    }
    step->taps_plane = plane;
}

/* The geometry of the node as a convolution. */
static void set_geometry(const ptf_plan *plan, ptf_step *step)
{
    const ptf_attrs *a = &step->node->attrs;
    ptf_conv *v = &step->conv;
    if (step->node->op == PTF_OP_LINEAR) {
        *v = (ptf_conv){
            .in = {.channels = a->in_channels, .height = 1, .width = 1},
            .out = {.channels = a->out_channels, .height = 1, .width = 1},
            .window = {{1, 1}, {1, 1}, {0, 0}, {1, 1}},
            .groups = 1};
        v->in.rows = v->out.rows = 1;
    } else {
        v->in = ptf_map_of(&plan->values[step->in[0]]);
        v->out = ptf_map_of(&plan->values[step->out]);
        v->window = ptf_window_of(a);
        v->groups = a->groups;
    }
    const ptf_window *w = &v->window;
    int64_t rows = reach(w, 0, v->out.height);
    int64_t columns = reach(w, 1, v->out.width);
    if (w->padding[0] > 0 || w->padding[1] > 0 || rows > v->in.height ||
        columns > v->in.width) {
        step->padded[0] = rows;
        step->padded[1] = columns;
    }
    step->side_by_side = v->groups == 1 && v->out.height == 1 &&
                         v->out.width == 1 && step->padded[1] == 0 &&
                         w->kernel[0] == v->in.height &&
                         w->kernel[1] == v->in.width;
}

/* A step is heavy when a pass over its weights moves more than its maps do. */
static bool is_heavy(const ptf_conv *v)
{
    int64_t weights = ptf_conv_weights(v);
    int64_t maps = v->in.channels * v->in.height * v->in.width +
                   v->out.channels * v->out.height * v->out.width;
    return weights > 4 << 20 ||
           (v->out.height * v->out.width == 1 && weights > maps);
}

ptf_status ptf_plan_product(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    const ptf_node *node = step->node;
    if (node->op == PTF_OP_LINEAR &&
        plan->values[step->in[0]].numel != node->attrs.in_channels)
        return ptf_node_fail(err, PTF_UNSUPPORTED, node,
                             "reads a value of rank %d",
                             plan->values[step->in[0]].shape.rank + 1);
    set_geometry(plan, step);
    step->heavy = is_heavy(&step->conv);
    ptf_epilogue *e = &step->epilogue;
    ptf_status status =
        ptf_plan_f32(plan, node->tensors[PTF_ROLE_WEIGHT], &step->weights, err);
    if (status == PTF_OK)
        status =
            ptf_plan_f32(plan, node->tensors[PTF_ROLE_BIAS], &e->bias, err);
    if (status == PTF_OK)
        status =
            ptf_plan_f32(plan, node->tensors[PTF_ROLE_SCALE], &e->scale, err);
    if (status == PTF_OK)
        status =
            ptf_plan_f32(plan, node->tensors[PTF_ROLE_SHIFT], &e->shift, err);
    if (plan->kernels->product == NULL) {
        step->kernel = "ref";
        step->run = run_ref;
        step->padded[0] = step->padded[1] = 0;
        return status;
    }
    step->run = run_product;
    bool direct =
        step->side_by_side && plan->most <= plan->kernels->direct_pixels;
    step->kernel = direct ? "direct" : "product";
    step->packs = !direct || plan->runs >= PTF_PACK_FROM;
    if (status == PTF_OK && !step->side_by_side)
        status = allocate_taps(plan, step, err);
    return status;
}
