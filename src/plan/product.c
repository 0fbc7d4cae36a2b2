/*
 * Steps that are products: convolutions and linear layers.  This is where a
 * convolution's window becomes a list of taps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

static int64_t terms_of(const ptf_conv *conv)
{
    return conv->in.channels / conv->groups * ptf_window_taps(&conv->window);
}

int64_t ptf_conv_weights(const ptf_conv *conv)
{
    return conv->out.channels * terms_of(conv);
}

int64_t ptf_step_rows(const ptf_plan *plan, const ptf_step *step)
{
    if (step->node->op != PTF_OP_LINEAR)
        return 1;
    return plan->values[step->out].numel / step->conv.out.channels;
}

/* --------------------------------------------------------------- reference */

/* An image, or a row of what a linear layer reads. */
static void ref_image(void *context, int64_t i, int thread)
{
    const ptf_step_piece *r = context;
    const ptf_conv *v = &r->step->conv;
    (void)thread;
    int64_t rows = ptf_step_rows(r->plan, r->step), row = i % rows;
    int64_t n = r->piece->first + i / rows;
    const float *x = ptf_plan_read(r->plan, r->piece, r->step->in[0], n);
    float *y = ptf_plan_at(r->plan, r->piece, r->step->out, n);
    ptf_ref_conv(v, x + row * v->in.channels, r->step->weights,
                 &r->step->epilogue, y + row * v->out.channels);
}

void ptf_product_ref(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    ptf_step_piece run = {plan, step, piece};
    ptf_piece_each(plan, piece, piece->count * ptf_step_rows(plan, step),
                   ref_image, &run);
}

/* ----------------------------------------------------------------- padding */

static bool is_padded(const ptf_step *step)
{
    return step->padded[2] > 0;
}

/* Floats of one slice. */
static int64_t padded_slice(const ptf_step *s)
{
    return s->padded[1] * s->padded[2];
}

/*
 * Copies channel c of image n, zeros around it: the rows that the output's rows
 * reach.
 */
static void pad_channel(const ptf_product_run *r, int64_t n, int64_t c,
                        float *y)
{
    const ptf_step *s = r->step;
    const ptf_map *in = &s->conv.in;
    const ptf_padding p = {.height = in->rows,
                           .width = in->width,
                           .top = in->first + s->before[1] -
                                  s->conv.out.first * s->conv.window.stride[1],
                           .left = s->before[2],
                           .rows = s->padded[1],
                           .columns = s->padded[2],
                           .row_runs = s->runs[1],
                           .column_runs = s->runs[2]};
    int64_t slice = padded_slice(s);
    const float *x =
        ptf_plan_read(r->plan, r->piece, s->in[0], n) + c * ptf_map_pixels(in);
    for (int64_t z = 0; z < s->padded[0]; z++, y += slice) {
        int64_t from = z - s->before[0];
        if (from >= 0 && from < in->depth)
            r->plan->kernels->pad(&p, x + from * in->rows * in->width, y);
        else
            memset(y, 0, (size_t)slice * sizeof(float));
    }
}

static int64_t padded_plane(const ptf_step *s)
{
    return s->padded[0] * padded_slice(s);
}

static void pad_plane(void *context, int64_t i, int thread)
{
    const ptf_product_run *r = context;
    int64_t channels = r->step->conv.in.channels;
    (void)thread;
    pad_channel(r, r->piece->first + i / channels, i % channels,
                ptf_plan_own(&r->plan->padded, r->piece) +
                    i * padded_plane(r->step));
}

void ptf_product_pad(ptf_product_run *run)
{
    if (is_padded(run->step))
        ptf_piece_each(run->plan, run->piece,
                       run->piece->count * run->step->conv.in.channels,
                       pad_plane, run);
}

/* -------------------------------------------------------------------- cuts */

/* What the taps go over, from the first position that the output reads. */
static const float *read_input(const ptf_product_run *r,
                               int64_t size[PTF_MAP_AXES])
{
    const ptf_step *s = r->step;
    const ptf_conv *v = &s->conv;
    if (is_padded(s)) {
        memcpy(size, s->padded, sizeof(s->padded));
        return ptf_plan_own(&r->plan->padded, r->piece);
    }
    size[0] = v->in.depth;
    size[1] = v->in.rows;
    size[2] = v->in.width;
    return ptf_plan_read(r->plan, r->piece, s->in[0], r->piece->first) +
           (v->out.first * v->window.stride[1] - v->in.first) * v->in.width;
}

/* The product of one group of channels and one slice of the output. */
static ptf_gemm group_product(const ptf_product_run *r, int64_t i)
{
    const ptf_step *s = r->step;
    const ptf_conv *v = &s->conv;
    int64_t lanes = r->plan->kernels->lanes;
    int64_t group = i / r->out[0], z = i % r->out[0];
    int64_t channels = v->out.channels / v->groups;
    int64_t first = group * channels;
    int64_t plane = r->out[1] * r->out[2], map = r->out[0] * plane;
    int64_t size[PTF_MAP_AXES];
    const float *x = read_input(r, size);
    int64_t in_map = size[0] * size[1] * size[2];
    const ptf_epilogue *e = &s->epilogue;
    return (ptf_gemm){
        .x = x + group * (v->in.channels / v->groups) * in_map +
             z * r->stride[0] * size[1] * size[2],
        .taps = r->taps,
        .terms = r->terms,
        .ends = r->ends,
        .weights = r->weights + first * r->terms,
        .panels = r->panels == NULL
                      ? NULL
                      : r->panels + group * ptf_ceil_div(channels, lanes) *
                                        lanes * r->terms,
        .channels = channels,
        .out_height = r->out[1],
        .out_width = r->out[2],
        .x_image = v->in.channels * in_map,
        .x_row = r->stride[1] / s->runs[1] * (size[2] / s->runs[2]),
        .x_column = r->stride[2] / s->runs[2],
        .beyond = is_padded(s),
        .y = r->y + first * map + z * plane,
        .y_image = v->out.channels * map,
        .y_channel = map,
        .epilogue = {.bias = e->bias != NULL ? e->bias + first : NULL,
                     .scale = e->scale != NULL ? e->scale + first : NULL,
                     .shift = e->shift != NULL ? e->shift + first : NULL,
                     .relu = e->relu,
                     .shows = e->shows},
    };
}

static ptf_gemm product_of(const void *context, int64_t i)
{
    return group_product(context, i);
}

static int threads_of(const ptf_product_run *r)
{
    return r->piece->thread == PTF_ALL_THREADS ? r->plan->threads : 1;
}

static int64_t pixels_of(const ptf_product_run *r)
{
    return r->piece->count * ptf_step_rows(r->plan, r->step) * r->out[1] *
           r->out[2];
}

/* More than threads, so that all end at about the same time. */
static int64_t gemv_parts(const ptf_product_run *r)
{
    return threads_of(r) > 1 ? 4 * threads_of(r) : 1;
}

static char *scratch_of(const ptf_product_run *r, int thread)
{
    return r->plan->scratch + (size_t)thread * r->plan->kernels->scratch_size;
}

static void gemv_part(void *context, int64_t i, int thread)
{
    const ptf_product_run *r = context;
    const ptf_kernels *kernels = r->plan->kernels;
    ptf_gemm q = group_product(r, 0);
    int64_t c0, c1;
    ptf_cut(i, gemv_parts(r), q.channels,
            q.panels != NULL ? kernels->panel_channels : kernels->lanes, &c0,
            &c1);
    if (c0 < c1)
        kernels->gemv(&q, c0, c1, 0, pixels_of(r), scratch_of(r, thread));
}

static int64_t group_floats(const ptf_step *s)
{
    return s->conv.in.channels / s->conv.groups * padded_plane(s);
}

/* Groups that a thread pads at a time. */
static int64_t groups_at_once(const ptf_step *s)
{
    int64_t fit = PTF_PADDED_AT_ONCE / ptf_max_i64(group_floats(s), 1);
    return ptf_max_i64(1, ptf_min_i64(fit, s->by_groups));
}

/* Group g of an image whose padded input is x. */
static void run_group(const ptf_product_run *r, int64_t image, int64_t g,
                      const float *x, char *scratch)
{
    const ptf_step *s = r->step;
    for (int64_t z = 0; z < r->out[0]; z++) {
        ptf_gemm q = group_product(r, g * r->out[0] + z);
        q.x = x + z * r->stride[0] * padded_slice(s);
        q.y += image * q.y_image;
        r->plan->kernels->gemm(&q, 0, q.channels, 0, r->out[1] * r->out[2],
                               scratch);
    }
}

/*
 * Some groups of an image, from padding to their outputs in one thread's
 * caches.  All are padded first: what has just been written in parts is slow to
 * read in vectors.
 */
static void groups_part(void *context, int64_t i, int thread)
{
    const ptf_product_run *r = context;
    const ptf_step *s = r->step;
    int64_t some = groups_at_once(s);
    int64_t parts = ptf_ceil_div(s->conv.groups, some);
    int64_t image = i / parts, first = i % parts * some;
    int64_t end = ptf_min_i64(first + some, s->conv.groups);
    int64_t channels = s->conv.in.channels / s->conv.groups;
    float *x =
        r->plan->padded.data + (size_t)thread * r->plan->padded.thread_stride;
    for (int64_t c = first * channels; c < end * channels; c++)
        pad_channel(r, r->piece->first + image, c,
                    x + (c - first * channels) * padded_plane(s));
    for (int64_t g = first; g < end; g++)
        run_group(r, image, g, x + (g - first) * group_floats(s),
                  scratch_of(r, thread));
}

void ptf_product_groups(ptf_product_run *run)
{
    const ptf_conv *v = &run->step->conv;
    int thread = run->piece->thread > 0 ? run->piece->thread : 0;
    ptf_gemms products = {.of = product_of,
                          .context = run,
                          .groups = v->groups * run->out[0],
                          .channels = v->out.channels / v->groups,
                          .pixels = pixels_of(run),
                          .scratch = scratch_of(run, thread)};
    ptf_gemms_run(run->plan->kernels, threads_of(run), &products);
}

static void run_product(const ptf_plan *plan, const ptf_step *step,
                        const ptf_piece *piece)
{
    const ptf_conv *v = &step->conv;
    ptf_product_run run = {
        .plan = plan,
        .step = step,
        .piece = piece,
        .weights = step->weights,
        .panels = step->panels,
        .taps = step->taps,
        .terms = terms_of(v),
        .out = {v->out.depth, v->out.rows, v->out.width},
        .y = ptf_plan_at(plan, piece, step->out, piece->first)};
    memcpy(run.stride, v->window.stride, sizeof(run.stride));
    if (step->by_groups) {
        int64_t parts = ptf_ceil_div(v->groups, groups_at_once(step));
        ptf_piece_each(plan, piece, piece->count * parts, groups_part, &run);
        return;
    }
    ptf_product_pad(&run);
    if (step->contiguous && pixels_of(&run) <= plan->kernels->gemv_pixels)
        ptf_piece_each(plan, piece, gemv_parts(&run), gemv_part, &run);
    else
        ptf_product_groups(&run);
}

/* -------------------------------------------------------------------- make */

/* So many groups that threads which take one after the other end together. */
enum { GROUPS_OF_THREAD = 4 };

static ptf_status allocate_taps(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    size_t size = (size_t)terms_of(&step->conv) * sizeof(int32_t);
    ptf_status status = ptf_plan_reserve(plan, size, err);
    if (status != PTF_OK)
        return status;
    step->taps = ptf_plan_alloc(plan, size);
    return step->taps != NULL ? PTF_OK : ptf_fail_memory(err);
}

/* Positions that the windows reach, padding included. */
static int64_t reach(const ptf_window *w, int axis, int64_t outputs)
{
    return (outputs - 1) * w->stride[axis] +
           (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

static void set_padded(ptf_step *step, int axis, int64_t outputs)
{
    int64_t runs = step->runs[axis];
    step->padded[axis] =
        ptf_ceil_div(reach(&step->conv.window, axis, outputs), runs) * runs;
}

/*
 * Floats between the channels of what the taps go over; INT64_MAX where
 * padding makes more of them than can be counted.
 */
static int64_t taps_plane(const ptf_step *step)
{
    int64_t plane = ptf_map_pixels(&step->conv.in);
    if (is_padded(step) &&
        (!ptf_mul_i64(step->padded[0], step->padded[1], &plane) ||
         !ptf_mul_i64(plane, step->padded[2], &plane)))
        plane = INT64_MAX;
    return plane;
}

void ptf_step_fit(const ptf_plan *plan, ptf_step *step)
{
    if (step->weights == NULL || step->node->op == PTF_OP_LINEAR)
        return;
    step->conv.in = ptf_map_of(&plan->values[step->in[0]]);
    step->conv.out = ptf_map_of(&plan->values[step->out]);
    if (is_padded(step) && !step->conv.transposed)
        set_padded(step, 1, step->conv.out.rows);
}

ptf_status ptf_step_check(const ptf_step *step, ptf_error *err)
{
    if ((step->taps == NULL && step->phase_count == 0) ||
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
    int64_t width = step->conv.in.width, rows = step->conv.in.rows;
    int64_t plane = taps_plane(step), area = w->kernel[1] * w->kernel[2];
    if (step->taps == NULL || plane == step->taps_plane)
        return;
    if (is_padded(step)) {
        rows = step->padded[1];
        width = step->padded[2];
    }
    int32_t *taps = step->taps;
    int64_t pitch = width / step->runs[2];
    for (int64_t c = 0; c < step->conv.in.channels / step->conv.groups; c++) {
        for (int64_t i = 0; i < w->kernel[0] * area; i++) {
            int64_t z = i / area * w->dilation[0];
            int64_t row = i % area / w->kernel[2] * w->dilation[1];
            int64_t column = i % w->kernel[2] * w->dilation[2];
            int64_t run =
                row % step->runs[1] * step->runs[2] + column % step->runs[2];
            row = row / step->runs[1] + run * (rows / step->runs[1]);
            column = column / step->runs[2] + row * pitch;
            *taps++ = (int32_t)(c * plane + z * rows * width + column);
        }
    }
    step->taps_plane = plane;
}

/*
 * Of few channels vectors run across pixels, where these are side by side; see
 * kernel/slide.inc.
 */
static bool has_few(const ptf_plan *plan, const ptf_conv *v)
{
    return v->out.width > 1 && ptf_window_taps(&v->window) > 1 &&
           v->out.channels / v->groups <= plan->kernels->lanes;
}

/* The padded input of a convolution, where it is needed. */
static void set_padding(const ptf_plan *plan, ptf_step *step)
{
    const ptf_conv *v = &step->conv;
    const ptf_window *w = &v->window;
    const int64_t in[] = {v->in.depth, v->in.height, v->in.width};
    const int64_t out[] = {v->out.depth, v->out.height, v->out.width};
    bool pads = has_few(plan, v);
    for (int i = 1; i < PTF_MAP_AXES && pads; i++)
        step->runs[i] = w->stride[i];
    for (int i = 0; i < PTF_MAP_AXES; i++)
        pads |= w->padding[i] > 0 || reach(w, i, out[i]) > in[i];
    for (int i = 0; i < PTF_MAP_AXES && pads; i++) {
        set_padded(step, i, out[i]);
        step->before[i] = w->padding[i];
    }
}

/* The geometry of the node as a convolution. */
static void set_geometry(const ptf_plan *plan, ptf_step *step)
{
    const ptf_attrs *a = &step->node->attrs;
    ptf_conv *v = &step->conv;
    if (step->node->op == PTF_OP_LINEAR) {
        *v =
            (ptf_conv){.in = {.channels = a->in_channels, 1, 1, 1, .rows = 1},
                       .out = {.channels = a->out_channels, 1, 1, 1, .rows = 1},
                       .window = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
                       .groups = 1};
    } else {
        v->in = ptf_map_of(&plan->values[step->in[0]]);
        v->out = ptf_map_of(&plan->values[step->out]);
        v->window = ptf_window_of(a);
        v->groups = a->groups;
        v->transposed = ptf_op_is_transposed(step->node->op);
    }
    for (int i = 0; i < PTF_MAP_AXES; i++)
        step->runs[i] = 1;
    if (v->transposed)
        return;
    set_padding(plan, step);
    const ptf_window *w = &v->window;
    step->contiguous = v->groups == 1 && ptf_map_pixels(&v->out) == 1 &&
                       !is_padded(step) && w->kernel[0] == v->in.depth &&
                       w->kernel[1] == v->in.height &&
                       w->kernel[2] == v->in.width;
}

/* A pass over its weights moves more than its maps do. */
static bool is_weight_bound(const ptf_conv *v, int64_t rows)
{
    int64_t weights = ptf_conv_weights(v), out = ptf_map_pixels(&v->out);
    int64_t maps =
        v->in.channels * ptf_map_pixels(&v->in) + v->out.channels * out;
    return weights > 4 << 20 || (out == 1 && weights > rows * maps);
}

/* The parameters, as the kernels want them. */
static ptf_status read_parameters(ptf_plan *plan, ptf_step *step,
                                  ptf_error *err)
{
    const ptf_node *node = step->node;
    ptf_epilogue *e = &step->epilogue;
    ptf_tensor rows = ptf_node_rows(node);
    ptf_status status = ptf_plan_f32(plan, &rows, &step->weights, err);
    if (status == PTF_OK)
        status =
            ptf_plan_f32(plan, node->tensors[PTF_ROLE_BIAS], &e->bias, err);
    if (status == PTF_OK)
        status =
            ptf_plan_f32(plan, node->tensors[PTF_ROLE_SCALE], &e->scale, err);
    if (status == PTF_OK)
        status =
            ptf_plan_f32(plan, node->tensors[PTF_ROLE_SHIFT], &e->shift, err);
    return status;
}

ptf_status ptf_plan_product(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    set_geometry(plan, step);
    int64_t rows = ptf_step_rows(plan, step);
    step->weight_bound = is_weight_bound(&step->conv, rows);
    ptf_status status = read_parameters(plan, step, err);
    if (plan->kernels->gemm == NULL) {
        step->kernel = "ref";
        step->run = ptf_product_ref;
        memset(step->padded, 0, sizeof(step->padded));
        return status;
    }
    if (step->conv.transposed)
        return status == PTF_OK ? ptf_plan_transposed(plan, step, err) : status;
    step->run = run_product;
    if (is_padded(step))
        step->by_groups =
            step->conv.groups / (GROUPS_OF_THREAD * plan->threads);
    bool gemv =
        step->contiguous && plan->most <= plan->kernels->gemv_pixels / rows;
    step->kernel = gemv ? "gemv" : "gemm";
    bool alone = step->conv.out.channels == step->conv.groups;
    step->packs = !alone && (!gemv || plan->runs >= PTF_PACK_FROM);
    if (status == PTF_OK && !step->contiguous)
        status = allocate_taps(plan, step, err);
    return status;
}
