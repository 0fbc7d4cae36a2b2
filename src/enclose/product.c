/*
 * Balls through convolutions and linear layers.
 *
 * For s = sum of w x over K terms and |x - m| <= r, the computed sum of w m is
 * within gamma(D) sum |w||m| of the exact one, where D is the most roundings
 * that a term goes through (Higham, section 3.1): stretches of 128 terms are
 * summed one by one and then added, so D = 2 + min(K, 128) + K / 128.
 * Replacing m by x moves the sum by at most sum |w| r.  A run in f32 adds
 * gamma(d, f) sum |w||x| with d for blocks of 256 (kernel.h), and weights that
 * the run rounds first add f sum |w||x|.  So with
 *
 *     t = r + g (|m| + r),   g = gamma(D, u) + gamma(d, f) + f
 *
 * the distance is at most sum |w| t, and by Cauchy and Schwarz at most
 * ||w|| ||t||.  That is some 1.5 times as much, and costs one number for each
 * row and each pixel instead of a second product.
 *
 * Weights that are products with a ball (s, e) per row are off by (e + u |s|)
 * |w| each; as t >= g |x|, that adds ||w|| ||t|| (e + u |s|) / g.
 *
 * Weights that are off otherwise, row by row by a vector of the norm e ||w||,
 * add e ||w|| ||x|| at most, by Cauchy and Schwarz: the same with s = 1.
 *
 * Taps that read nothing, in the padding or between the positions of the input
 * of a transposed convolution, are terms with x = m = r = 0 and change nothing
 * of this.
 *
 * Norms are sums of non-negative numbers, which fall short by gamma(K + 3)
 * at most; 1 + 2^-18 makes it good, because K is at most 2^32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/product.h"
#include "enclose/walk.h"

#include <math.h>

enum {
    ROWS = PTF_TILE_ROWS,
    TERMS = PTF_TILE_TERMS,
    TASK_ROWS = 8 * ROWS,
    TASK_PANELS = 8,
    BLOCK_F32 = 256, /* kernel.h's */
    CHUNK_BYTES = 16 << 20,
};

double ptf_gamma(int64_t n, double u)
{
    double nu = (double)n * u;
    return nu < 0x1p-6 ? nu / (1.0 - nu) * (1.0 + 0x1p-50) : HUGE_VAL;
}

const ptf_tile *ptf_tile_default(void)
{
    ptf_isa isa = ptf_isa_default();
#if defined(__x86_64__)
    if (isa == PTF_ISA_AVX512)
        return &ptf_tile_avx512;
    if (isa == PTF_ISA_AVX2)
        return &ptf_tile_avx2;
#elif defined(__aarch64__)
    if (isa == PTF_ISA_NEON)
        return &ptf_tile_neon;
#endif
    (void)isa;
    return &ptf_tile_plain;
}

/* g of the comment above. */
static double growth(const ptf_product *p)
{
    int64_t k = p->terms;
    double g = ptf_gamma(2 + (k < TERMS ? k : TERMS) + k / TERMS, PTF_U);
    if (!p->pass->executed)
        return g;
    int64_t blocks = (k + BLOCK_F32 - 1) / BLOCK_F32;
    g += ptf_gamma((k < BLOCK_F32 ? k : BLOCK_F32) + blocks, PTF_F);
    return g + (p->numbers->rounded ? PTF_F * (1 + 0x1p-5) : 0);
}

/* ----------------------------------------------------------------- multiply */

static void multiply_row(double *w, int64_t count, double scale)
{
    for (int64_t k = 0; k < count; k++)
        w[k] *= scale;
}

/*
 * Rows are far apart, and a stretch of one is too short for the processor to
 * see what comes next: prefetches the stretch from term 'from' on of rows i,
 * i + step, ... of a tile's 'rows'.
 */
static void prefetch(const ptf_product *p, int64_t row, int64_t rows,
                     int64_t from, int64_t i, int64_t step)
{
    if (p->numbers->f32 == NULL || from >= p->terms)
        return;
    for (; i < rows; i += step)
        for (int k = 0; k < TERMS; k += 16)
            __builtin_prefetch(p->numbers->f32 + (row + i) * p->terms + from +
                               k);
}

/* Terms from .. from + count - 1 of 'rows' rows; zeros for a tile's rest. */
static void load_weights(const ptf_product *p, int64_t row, int64_t rows,
                         int64_t from, int64_t count, double *w)
{
    for (int64_t j = 0; j < ROWS; j++, w += TERMS) {
        int64_t at = (row + j) * p->terms + from;
        if (j >= rows)
            memset(w, 0, (size_t)count * sizeof(*w));
        else if (p->numbers->f32 != NULL)
            p->tile->widen(p->numbers->f32 + at, count, w);
        else
            memcpy(w, p->numbers->f64 + at, (size_t)count * sizeof(*w));
        if (j < rows && p->numbers->weight_scale.value != NULL)
            multiply_row(w, count, p->numbers->weight_scale.value[row + j]);
    }
}

/* Outputs of a channel. */
static int64_t out_map(const ptf_product *p)
{
    return p->out_size[0] * p->out_size[1] * p->out_size[2];
}

/* Where the outputs of a panel lie. */
typedef struct targets {
    int64_t count;     /* lanes that have a pixel */
    int64_t at[LANES]; /* in channel 0 of the pixel's image */
    bool run;          /* all lanes, side by side */
} targets;

static void set_targets(const ptf_product *p, int64_t first, targets *t)
{
    int64_t map = out_map(p);
    int64_t size = p->groups * p->group_out * map;
    t->count = p->pixels - first < LANES ? p->pixels - first : LANES;
    for (int64_t i = 0; i < t->count; i++)
        t->at[i] = (first + i) / map * size + (first + i) % map;
    t->run = t->count == LANES && first % map + LANES <= map;
}

static void store(const ptf_product *p, int64_t channel, const targets *t,
                  const double *y, const double *r)
{
    int64_t skip = channel * out_map(p);
    if (t->run) { /* of known size, so no call */
        memcpy(p->out.value + skip + t->at[0], y, LANES * sizeof(*y));
        memcpy(p->out.radius + skip + t->at[0], r, LANES * sizeof(*r));
        return;
    }
    for (int64_t i = 0; i < t->count; i++) {
        p->out.value[skip + t->at[i]] = y[i];
        p->out.radius[skip + t->at[i]] = r[i];
    }
}

/* Weights of a tile and sums of a task, of one thread. */
typedef struct scratch {
    double w[ROWS * TERMS];
    double sum[TASK_PANELS][TASK_ROWS * LANES];
} scratch;

/* A linear layer on so few images that tiles would be mostly empty. */
static bool is_short(const ptf_product *p)
{
    bool linear = p->terms == p->group_in && p->groups == 1 && p->map == 1 &&
                  p->window.padding[0] == 0 && p->window.padding[1] == 0 &&
                  p->window.padding[2] == 0;
    return linear && p->pixels <= 4 && p->numbers->f32 != NULL;
}

/*
 * The sums of a short task.  A row's scale comes after the sum: one rounding
 * more for each term, in place of its product with the weight.
 */
static void multiply_short(const ptf_product *p, int64_t row, int64_t rows,
                           double *sum)
{
    const double *scale = p->numbers->weight_scale.value;
    for (int64_t j = 0; j < rows; j++)
        for (int64_t i = 0; i < p->pixels; i++) {
            double s =
                p->tile->dot(p->terms, p->numbers->f32 + (row + j) * p->terms,
                             p->in.value + i * p->terms);
            sum[j * LANES + i] = scale != NULL ? s * scale[row + j] : s;
        }
}

/* Some panels of a group's pixels, from 'first' on. */
typedef struct panels {
    int64_t group, first, count;
    double *x;     /* [panel][terms][LANES] */
    double *norms; /* [panel][LANES]: ||t|| */
} panels;

/* Sums of TASK_ROWS channels, from 'row' on, for a task's panels. */
static void add_products(const ptf_product *p, const panels *in, int64_t row,
                         int64_t rows, scratch *s)
{
    int64_t channel = in->group * p->group_out + row;
    int64_t tiles = (rows + ROWS - 1) / ROWS;
    for (int64_t i = 0; i < in->count; i++)
        memset(s->sum[i], 0, (size_t)(tiles * ROWS * LANES) * sizeof(double));
    if (is_short(p)) {
        multiply_short(p, row, rows, s->sum[0]);
        return;
    }
    for (int64_t from = 0; from < p->terms; from += TERMS) {
        int64_t n = p->terms - from < TERMS ? p->terms - from : TERMS;
        for (int64_t j = 0; j < rows; j += ROWS) {
            load_weights(p, channel + j, rows - j, from, n, s->w);
            for (int64_t i = 0; i < in->count; i++) {
                prefetch(p, channel + j, ptf_min_i64(rows - j, ROWS), from + n,
                         i, in->count);
                p->tile->add(n, p->pixels - in->first - i * LANES, s->w,
                             in->x + (i * p->terms + from) * LANES,
                             s->sum[i] + j * LANES);
            }
        }
    }
}

static void multiply(const ptf_product *p, const panels *in, int64_t row,
                     scratch *s)
{
    int64_t rows = p->group_out - row;
    rows = rows < TASK_ROWS ? rows : TASK_ROWS;
    int64_t channel = in->group * p->group_out + row;
    add_products(p, in, row, rows, s);
    for (int64_t i = 0; i < in->count; i++) {
        targets t;
        set_targets(p, in->first + i * LANES, &t);
        for (int64_t j = 0; j < rows; j++) {
            double y[LANES], r[LANES];
            p->tile->finish(p, channel + j, s->sum[i] + j * LANES,
                            in->norms + i * LANES, y, r);
            store(p, channel + j, &t, y, r);
        }
    }
}

/* ---------------------------------------------------------------- depthwise */

/*
 * Groups of one channel would leave tiles empty: each of their maps goes over
 * all positions, tap by tap.  A term goes through one rounding for each tap.
 */
static bool is_depthwise(const ptf_product *p)
{
    return p->group_in == 1 && p->groups > 1 && !p->transposed &&
           p->terms <= TERMS;
}

/* Outputs first .. end - 1 of a row read inside through a tap. */
static void find_inside(const ptf_product *p, int64_t tap, int64_t *first,
                        int64_t *end)
{
    int64_t stride = p->window.stride[2];
    int64_t move = tap * p->window.dilation[2] - p->window.padding[2];
    int64_t last = p->size[2] - 1 - move;
    *first = move < 0 ? ptf_ceil_div(-move, stride) : 0;
    *end = last < 0 ? 0 : ptf_min_i64(last / stride + 1, p->out_size[2]);
}

/* Through tap number 'tap', each row of a map; 'w' times 'x' onto 'sum'. */
static void slide_tap(const ptf_product *p, int64_t tap, double w,
                      const double *x, double *sum)
{
    const int64_t *kernel = p->window.kernel, *out = p->out_size;
    const int64_t *size = p->size;
    int64_t move[] = {tap / kernel[2] / kernel[1], tap / kernel[2] % kernel[1],
                      tap % kernel[2]};
    int64_t first, end;
    find_inside(p, move[2], &first, &end);
    for (int i = 0; i < PTF_MAP_AXES; i++)
        move[i] = move[i] * p->window.dilation[i] - p->window.padding[i];
    for (int64_t row = 0; first < end && row < out[0] * out[1]; row++) {
        int64_t z = row / out[1] * p->window.stride[0] + move[0];
        int64_t y = row % out[1] * p->window.stride[1] + move[1];
        if (z < 0 || z >= size[0] || y < 0 || y >= size[1])
            continue;
        const double *from = x + (z * size[1] + y) * size[2] + move[2] +
                             first * p->window.stride[2];
        p->tile->slide(end - first, p->window.stride[2], w, from,
                       sum + row * out[2] + first);
    }
}

/* Room for the sums or norms of a map, in whole vectors of lanes. */
static int64_t depthwise_room(const ptf_product *p)
{
    return (out_map(p) + LANES - 1) / LANES * LANES;
}

/* The outputs of one channel from their sums and ||t||. */
static void finish_map(const ptf_product *p, int64_t image, int64_t channel,
                       const double *sum, const double *norms)
{
    int64_t map = out_map(p);
    int64_t at = (image * p->groups * p->group_out + channel) * map;
    for (int64_t i = 0; i < map; i += LANES) {
        double y[LANES], r[LANES];
        size_t size = (size_t)ptf_min_i64(map - i, LANES) * sizeof(double);
        p->tile->finish(p, channel, sum + i, norms + i, y, r);
        memcpy(p->out.value + at + i, y, size);
        memcpy(p->out.radius + at + i, r, size);
    }
}

/* All outputs of a group in one image. */
static void depthwise_map(void *context, int64_t i, int thread)
{
    const ptf_product *p = context;
    int64_t image = i / p->groups, group = i % p->groups;
    int64_t room = depthwise_room(p);
    double *norms = p->panels + 2 * thread * room, *sum = norms + room;
    double *w = p->scratch[thread].w;
    memset(norms, 0, (size_t)room * sizeof(*norms));
    for (int64_t tap = 0; tap < p->terms; tap++)
        slide_tap(p, tap, 1, p->squares + i * p->map, norms);
    for (int64_t k = 0; k < room; k++)
        norms[k] = sqrt(norms[k]) * UP;
    for (int64_t row = 0; row < p->group_out; row++) {
        int64_t channel = group * p->group_out + row;
        load_weights(p, channel, 1, 0, p->terms, w);
        memset(sum, 0, (size_t)room * sizeof(*sum));
        for (int64_t tap = 0; tap < p->terms; tap++)
            slide_tap(p, tap, w[tap], p->in.value + i * p->map, sum);
        finish_map(p, image, channel, sum, norms);
    }
}

/* ---------------------------------------------------------------------- run */

/* 'count' of the panels of 'in', at most, from 'panel' on. */
static panels panels_from(const ptf_product *p, const panels *in, int64_t panel,
                          int64_t count)
{
    int64_t left = in->count - panel;
    return (panels){
        in->group, in->first + panel * LANES, left < count ? left : count,
        in->x + panel * p->terms * LANES, in->norms + panel * LANES};
}

static void gather(const ptf_product *p, const panels *in, int64_t i)
{
    p->tile->gather(p, in->group, in->first + i * LANES,
                    in->x + i * p->terms * LANES, in->norms + i * LANES);
}

/* Panels of all images, and what one task has of them. */
static int64_t panel_count(const ptf_product *p)
{
    return (p->pixels + LANES - 1) / LANES;
}

static int64_t panel_parts(int64_t count)
{
    return (count + TASK_PANELS - 1) / TASK_PANELS;
}

static int64_t row_parts(const ptf_product *p)
{
    return (p->group_out + TASK_ROWS - 1) / TASK_ROWS;
}

/* One task's panels of a group with all their rows, in the thread's room. */
static void whole_part(void *context, int64_t i, int thread)
{
    const ptf_product *p = context;
    int64_t parts = panel_parts(panel_count(p));
    int64_t panel = i % parts * TASK_PANELS;
    int64_t left = panel_count(p) - panel;
    panels own = {i / parts, panel * LANES,
                  left < TASK_PANELS ? left : TASK_PANELS,
                  p->panels + thread * TASK_PANELS * p->terms * LANES,
                  p->norms + thread * TASK_PANELS * LANES};
    for (int64_t k = 0; k < own.count; k++)
        gather(p, &own, k);
    for (int64_t row = 0; row < p->group_out; row += TASK_ROWS)
        multiply(p, &own, row, &p->scratch[thread]);
}

/* Panels that all threads share. */
typedef struct chunk {
    const ptf_product *p;
    panels all;
} chunk;

static void gather_panel(void *context, int64_t i, int thread)
{
    const chunk *c = context;
    (void)thread;
    gather(c->p, &c->all, i);
}

static void multiply_part(void *context, int64_t i, int thread)
{
    const chunk *c = context;
    int64_t parts = row_parts(c->p);
    panels some =
        panels_from(c->p, &c->all, i / parts * TASK_PANELS, TASK_PANELS);
    multiply(c->p, &some, i % parts * TASK_ROWS, &c->p->scratch[thread]);
}

/* Pixels from 'first' on, as many as the chunk has panels for. */
static void run_chunk(const ptf_product *p, int64_t group, int64_t first)
{
    int64_t left = panel_count(p) - first / LANES;
    int64_t count = left < p->chunk ? left : p->chunk;
    chunk c = {p, {group, first, count, p->panels, p->norms}};
    ptf_each(p->pass->threads, count, gather_panel, &c);
    ptf_each(p->pass->threads, row_parts(p) * panel_parts(count), multiply_part,
             &c);
}

static void square_map(void *context, int64_t i, int thread)
{
    const ptf_product *p = context;
    (void)thread;
    p->tile->square(p, i / p->groups, i % p->groups);
}

/*
 * With many panels each thread gathers its own, which its cache still has when
 * they are multiplied.  Else (linear layers, small maps, panels that fit into
 * no cache) the threads share the rows of all.
 */
static bool has_whole_parts(const ptf_product *p)
{
    enum { PARTS_OF_THREAD = 4, CACHE_TERMS = 2048 };
    return p->terms <= CACHE_TERMS &&
           p->groups * panel_parts(panel_count(p)) >=
               (int64_t)p->pass->threads * PARTS_OF_THREAD;
}

void *ptf_scratch_take(ptf_scratch *memory, size_t size)
{
    if (memory->size >= size)
        return memory->bytes;
    ptf_free(memory->bytes);
    memory->bytes = ptf_alloc_aligned(size, 64);
    memory->size = memory->bytes != NULL ? size : 0;
    return memory->bytes;
}

/* The place of 'count' doubles after 'at', which moves on. */
static size_t place(size_t *at, int64_t count)
{
    size_t here = *at;
    *at += ((size_t)count + 7) / 8 * 8; /* all are aligned to 64 bytes */
    return here;
}

static ptf_status allocate(ptf_product *p, ptf_error *err)
{
    int64_t size = p->terms * LANES, threads = p->pass->threads;
    int64_t room = 1 + CHUNK_BYTES / (size * (int64_t)sizeof(double));
    p->chunk = panel_count(p) < room ? panel_count(p) : room;
    int64_t count = has_whole_parts(p) ? threads * TASK_PANELS : p->chunk;
    if (is_depthwise(p))
        count = 0;
    size_t at = 0;
    size_t panels_at = place(
        &at, is_depthwise(p) ? 2 * threads * depthwise_room(p) : count * size);
    size_t norms_at = place(&at, count * LANES);
    size_t squares_at = place(&at, p->pass->images * p->groups * p->map);
    size_t scratch_at =
        place(&at, threads * (int64_t)(sizeof(scratch) / sizeof(double)));
    double *numbers = ptf_scratch_take(p->pass->scratch, at * sizeof(*numbers));
    if (numbers == NULL)
        return ptf_fail_memory(err);
    p->panels = numbers + panels_at;
    p->norms = numbers + norms_at;
    p->squares = numbers + squares_at;
    p->scratch = (void *)(numbers + scratch_at);
    return PTF_OK;
}

static ptf_status run(ptf_product *p, ptf_error *err)
{
    if (p->terms > PTF_MAX_TERMS)
        return ptf_fail(err, PTF_UNSUPPORTED, NULL, PTF_NO_OFFSET,
                        "a sum of %lld terms is too long for an enclosure",
                        (long long)p->terms);
    p->map = p->size[0] * p->size[1] * p->size[2];
    p->pixels = p->pass->images * out_map(p);
    p->tile = ptf_tile_default();
    p->g = growth(p);
    p->tiny = p->pass->executed ? PTF_TINY_F : PTF_TINY;
    ptf_status status = allocate(p, err);
    if (status != PTF_OK)
        return status;
    int threads = p->pass->threads;
    ptf_each(threads, p->pass->images * p->groups, square_map, p);
    if (is_depthwise(p)) {
        ptf_each(threads, p->pass->images * p->groups, depthwise_map, p);
        return PTF_OK;
    }
    if (has_whole_parts(p)) {
        ptf_each(threads, p->groups * panel_parts(panel_count(p)), whole_part,
                 p);
        return PTF_OK;
    }
    for (int64_t group = 0; group < p->groups; group++)
        for (int64_t at = 0; at < p->pixels; at += p->chunk * LANES)
            run_chunk(p, group, at);
    return PTF_OK;
}

ptf_status ptf_enclose_linear(const ptf_enclose_pass *pass, int64_t inputs,
                              int64_t outputs, const ptf_parameters *numbers,
                              ptf_balls in, ptf_balls out, ptf_error *err)
{
    ptf_product p = {
        .pass = pass,
        .numbers = numbers,
        .in = in,
        .out = out,
        .window = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
        .size = {1, 1, 1},
        .out_size = {1, 1, 1},
        .groups = 1,
        .group_in = inputs,
        .group_out = outputs,
        .terms = inputs,
    };
    return run(&p, err);
}

ptf_status ptf_enclose_conv(const ptf_enclose_pass *pass, ptf_op op,
                            const ptf_attrs *attrs, const ptf_shape *in_shape,
                            const ptf_shape *out_shape,
                            const ptf_parameters *numbers, ptf_balls in,
                            ptf_balls out, ptf_error *err)
{
    ptf_product p = {
        .pass = pass,
        .numbers = numbers,
        .in = in,
        .out = out,
        .transposed = ptf_op_is_transposed(op),
        .groups = attrs->groups,
        .group_in = attrs->in_channels / attrs->groups,
        .group_out = attrs->out_channels / attrs->groups,
    };
    ptf_enclose_map(in_shape, p.size);
    ptf_enclose_map(out_shape, p.out_size);
    p.terms = p.group_in;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        p.window.kernel[i] = attrs->kernel[i];
        p.window.stride[i] = attrs->stride[i];
        p.window.padding[i] = attrs->padding[i];
        p.window.dilation[i] = attrs->dilation[i];
        p.terms *= attrs->kernel[i];
    }
    return run(&p, err);
}

static ptf_status step(const ptf_enclose_step *s, ptf_error *err)
{
    const ptf_enclosure *enc = s->enc;
    const ptf_attrs *attrs = &ptf_enclose_node_of(s)->attrs;
    const ptf_parameters *numbers = &enc->numbers[s->node];
    if (ptf_enclose_node_of(s)->op == PTF_OP_LINEAR) {
        ptf_enclose_pass rows = *s->pass; /* each is like an image */
        rows.images *= enc->sizes[s->node] / attrs->out_channels;
        return ptf_enclose_linear(&rows, attrs->in_channels,
                                  attrs->out_channels, numbers, s->in->balls,
                                  s->out.balls, err);
    }
    return ptf_enclose_conv(s->pass, ptf_enclose_node_of(s)->op, attrs,
                            ptf_enclose_shape_of(s, 0), &enc->shapes[s->node],
                            numbers, s->in->balls, s->out.balls, err);
}

const ptf_enclose_family ptf_enclose_family_product = {.step = step};
