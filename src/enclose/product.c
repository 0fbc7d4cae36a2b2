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
 * Norms are sums of non-negative numbers, which fall short by gamma(K + 3)
 * at most; 1 + 2^-18 makes it good, because K is at most 2^32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"
#include "enclose/tile.h"

#include <math.h>
#include <omp.h>

#define UP (1.0 + 0x1p-18)

/* Added before squaring, so that no square underflows. */
#define FLOOR 0x1p-500

enum {
    ROWS = PTF_TILE_ROWS,
    LANES = PTF_TILE_LANES,
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

/* One layer on a group of images; a linear layer has maps of 1x1. */
typedef struct product {
    const ptf_enclose_pass *pass;
    const ptf_numbers *numbers;
    ptf_balls in, out;
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    int64_t height, width, out_height, out_width;
    int64_t groups, group_in, group_out;
    int64_t terms, pixels; /* pixels: of all images */
    const ptf_tile *tile;
    double g, tiny;
    double *squares; /* [image][group][pixel]: sums of t^2 over channels */
    double *panels;  /* [panel][terms][LANES] */
    double *norms;   /* [panel][LANES]: ||t|| */
    struct scratch *scratch; /* per thread */
    int64_t chunk;           /* panels that there is room for */
} product;

static const ptf_tile *choose_tile(void)
{
#if defined(__x86_64__)
    if (ptf_isa_here(PTF_ISA_AVX512))
        return &ptf_tile_avx512;
    if (ptf_isa_here(PTF_ISA_AVX2))
        return &ptf_tile_avx2;
#elif defined(__aarch64__)
    return &ptf_tile_neon;
#endif
    return &ptf_tile_plain;
}

/* g of the comment above. */
static double growth(const product *p)
{
    int64_t k = p->terms;
    double g = ptf_gamma(2 + (k < TERMS ? k : TERMS) + k / TERMS, PTF_U);
    if (!p->pass->executed)
        return g;
    int64_t blocks = (k + BLOCK_F32 - 1) / BLOCK_F32;
    g += ptf_gamma((k < BLOCK_F32 ? k : BLOCK_F32) + blocks, PTF_F);
    return g + (p->numbers->rounded ? PTF_F * (1 + 0x1p-5) : 0);
}

/* ------------------------------------------------------------------ gather */

/* Sums of t^2 over the channels of one group of one image. */
static void square(const product *p, int64_t image, int64_t group)
{
    int64_t plane = p->height * p->width;
    double *sum = p->squares + (image * p->groups + group) * plane;
    int64_t first = (image * p->groups + group) * p->group_in * plane;
    for (int64_t i = 0; i < plane; i++)
        sum[i] = 0;
    for (int64_t c = 0; c < p->group_in; c++) {
        const double *m = p->in.value + first + c * plane;
        const double *r = p->in.radius + first + c * plane;
        for (int64_t i = 0; i < plane; i++) {
            double t = r[i] + p->g * (fabs(m[i]) + r[i]) + FLOOR;
            sum[i] += t * t;
        }
    }
}

/* Where a tap of each lane's pixel lies. */
typedef struct lanes {
    int64_t map[LANES]; /* image and group; -1: no such pixel */
    int64_t row[LANES], column[LANES];
    int64_t at[LANES]; /* in the map's first channel; -1: in the padding */
} lanes;

static void set_lanes(const product *p, int64_t group, int64_t first, lanes *l)
{
    int64_t map = p->out_height * p->out_width;
    for (int i = 0; i < LANES; i++) {
        int64_t pixel = first + i, q = pixel % map;
        l->map[i] = pixel < p->pixels ? pixel / map * p->groups + group : -1;
        l->row[i] = q / p->out_width * p->stride[0] - p->padding[0];
        l->column[i] = q % p->out_width * p->stride[1] - p->padding[1];
    }
}

static void move_lanes(const product *p, int64_t tap, lanes *l, double *sum)
{
    int64_t down = tap / p->kernel[1] * p->dilation[0];
    int64_t right = tap % p->kernel[1] * p->dilation[1];
    int64_t plane = p->height * p->width;
    for (int i = 0; i < LANES; i++) {
        int64_t row = l->row[i] + down, column = l->column[i] + right;
        bool inside = l->map[i] >= 0 && row >= 0 && row < p->height &&
                      column >= 0 && column < p->width;
        int64_t at = row * p->width + column;
        sum[i] += inside ? p->squares[l->map[i] * plane + at] : 0;
        l->at[i] = inside ? l->map[i] * p->group_in * plane + at : -1;
    }
}

/* The terms of LANES pixels, from 'first' on, and their ||t||. */
static void gather(const product *p, int64_t group, int64_t first, double *x,
                   double *norm)
{
    int64_t plane = p->height * p->width;
    int64_t area = p->kernel[0] * p->kernel[1];
    double sum[LANES] = {0};
    lanes l;
    set_lanes(p, group, first, &l);
    for (int64_t tap = 0; tap < area; tap++) {
        move_lanes(p, tap, &l, sum);
        for (int64_t c = 0; c < p->group_in; c++) {
            const double *m = p->in.value + c * plane;
            double *to = x + (c * area + tap) * LANES;
            for (int i = 0; i < LANES; i++)
                to[i] = l.at[i] < 0 ? 0 : m[l.at[i]];
        }
    }
    for (int i = 0; i < LANES; i++)
        norm[i] = sqrt(sum[i]) * UP;
}

/* ----------------------------------------------------------------- multiply */

static void multiply_row(double *w, int64_t count, double scale)
{
    for (int64_t k = 0; k < count; k++)
        w[k] *= scale;
}

/* Terms from .. from + count - 1 of 'rows' rows, and zeros up to a tile. */
static void load_weights(const product *p, int64_t row, int64_t rows,
                         int64_t from, int64_t count, double *w)
{
    for (int64_t j = 0; j < rows || j % ROWS > 0; j++, w += TERMS) {
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

/* A parameter of a channel, and what rounding it first adds to its radius. */
typedef struct number {
    double value, radius;
} number;

static number number_of(const product *p, const ptf_balls *balls, int64_t i)
{
    number n = {0, 0};
    if (balls->value == NULL)
        return n;
    n = (number){balls->value[i], balls->radius[i]};
    if (p->pass->executed && p->numbers->rounded)
        n.radius += PTF_F * (fabs(n.value) + n.radius) * UP + PTF_TINY_F;
    return n;
}

/*
 * What follows the sums of one channel: bias, then scale and shift where there
 * are any.  An operation adds u, and f in a run, of its result.
 */
static void finish(const product *p, int64_t channel, const double *sum,
                   const double *norms, double y[LANES], double r[LANES])
{
    const ptf_numbers *n = p->numbers;
    number bias = number_of(p, &n->bias, channel);
    number scale = number_of(p, &n->scale, channel);
    number shift = number_of(p, &n->shift, channel);
    double norm = n->norms[channel] * UP;
    if (n->weight_scale.value != NULL) {
        double size = fabs(n->weight_scale.value[channel]);
        norm *=
            size + (n->weight_scale.radius[channel] + 2 * PTF_U * size) / p->g;
    }
    double tiny = p->tiny * (double)p->terms;
    double f = (p->pass->executed ? PTF_F : 0) * UP;
    for (int i = 0; i < LANES; i++) {
        y[i] = sum[i] + bias.value;
        r[i] = norm * norms[i] * UP + tiny + bias.radius;
        r[i] += (PTF_U + f) * (fabs(y[i]) + r[i]) * UP + p->tiny;
    }
    for (int i = 0; n->scale.value != NULL && i < LANES; i++) {
        double scaled = y[i] * scale.value;
        double reach = fabs(scale.value) * r[i] + shift.radius +
                       (fabs(y[i]) + r[i]) * scale.radius +
                       PTF_U * fabs(scaled);
        y[i] = scaled + shift.value;
        r[i] = reach + (PTF_U + f) * (fabs(y[i]) + reach) * UP + p->tiny;
    }
    for (int i = 0; i < LANES; i++)
        r[i] = r[i] * UP + PTF_TINY;
}

/* Balls of one channel to where pixels 'first' and on have them. */
static void store(const product *p, int64_t channel, int64_t first,
                  const double *y, const double *r)
{
    int64_t map = p->out_height * p->out_width;
    int64_t channels = p->groups * p->group_out;
    for (int64_t i = 0; i < LANES && first + i < p->pixels; i++) {
        int64_t image = (first + i) / map, pixel = (first + i) % map;
        int64_t at = (image * channels + channel) * map + pixel;
        p->out.value[at] = y[i];
        p->out.radius[at] = r[i];
    }
}

/* Weights and sums of one thread. */
typedef struct scratch {
    double w[TASK_ROWS * TERMS];
    double sum[TASK_PANELS][TASK_ROWS * LANES];
} scratch;

/* TASK_ROWS channels of a group, from 'row' on, for 'count' panels. */
static void multiply(const product *p, int64_t group, int64_t row,
                     int64_t panel, int64_t count, int64_t first, scratch *s)
{
    int64_t rows = p->group_out - row;
    rows = rows < TASK_ROWS ? rows : TASK_ROWS;
    int64_t channel = group * p->group_out + row;
    first += panel * LANES;
    memset(s->sum, 0, sizeof(s->sum));
    for (int64_t from = 0; from < p->terms; from += TERMS) {
        int64_t n = p->terms - from < TERMS ? p->terms - from : TERMS;
        load_weights(p, channel, rows, from, n, s->w);
        for (int64_t i = 0; i < count; i++) {
            const double *x =
                p->panels + ((panel + i) * p->terms + from) * LANES;
            for (int64_t j = 0; j < rows; j += ROWS)
                p->tile->add(n, p->pixels - first - i * LANES, s->w + j * TERMS,
                             x, s->sum[i] + j * LANES);
        }
    }
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < rows; j++) {
            double y[LANES], r[LANES];
            finish(p, channel + j, s->sum[i] + j * LANES,
                   p->norms + (panel + i) * LANES, y, r);
            store(p, channel + j, first + i * LANES, y, r);
        }
}

/* ---------------------------------------------------------------------- run */

/* Pixels from 'first' on, as many as the chunk has panels for. */
static void run_chunk(const product *p, int64_t group, int64_t first)
{
    int64_t panels = (p->pixels - first + LANES - 1) / LANES;
    panels = panels < p->chunk ? panels : p->chunk;
    int64_t row_parts = (p->group_out + TASK_ROWS - 1) / TASK_ROWS;
    int64_t panel_parts = (panels + TASK_PANELS - 1) / TASK_PANELS;
#pragma omp parallel for num_threads(p->pass->threads)
    for (int64_t i = 0; i < panels; i++)
        gather(p, group, first + i * LANES, p->panels + i * p->terms * LANES,
               p->norms + i * LANES);
#pragma omp parallel for num_threads(p->pass->threads)
    for (int64_t i = 0; i < row_parts * panel_parts; i++) {
        int64_t panel = i / row_parts * TASK_PANELS;
        int64_t count = panels - panel;
        multiply(p, group, i % row_parts * TASK_ROWS, panel,
                 count < TASK_PANELS ? count : TASK_PANELS, first,
                 &p->scratch[omp_get_thread_num()]);
    }
}

static ptf_status allocate(product *p, ptf_error *err)
{
    size_t panel = (size_t)p->terms * LANES * sizeof(double);
    int64_t panels = (p->pixels + LANES - 1) / LANES;
    int64_t room = 1 + CHUNK_BYTES / (int64_t)panel;
    p->chunk = panels < room ? panels : room;
    p->panels = ptf_alloc_aligned((size_t)p->chunk * panel, 64);
    p->norms = ptf_alloc((size_t)p->chunk * LANES * sizeof(double));
    p->squares =
        ptf_alloc((size_t)(p->pass->images * p->groups * p->height * p->width) *
                  sizeof(double));
    p->scratch =
        ptf_alloc_aligned((size_t)p->pass->threads * sizeof(*p->scratch), 64);
    return p->panels && p->norms && p->squares && p->scratch
               ? PTF_OK
               : ptf_fail_memory(err);
}

static ptf_status run(product *p, ptf_error *err)
{
    if (p->terms > PTF_MAX_TERMS)
        return ptf_fail(err, PTF_UNSUPPORTED, NULL, PTF_NO_OFFSET,
                        "a sum of %lld terms is too long for an enclosure",
                        (long long)p->terms);
    p->pixels = p->pass->images * p->out_height * p->out_width;
    p->tile = choose_tile();
    p->g = growth(p);
    p->tiny = p->pass->executed ? PTF_TINY_F : PTF_TINY;
    ptf_status status = allocate(p, err);
    if (status == PTF_OK) {
#pragma omp parallel for num_threads(p->pass->threads)
        for (int64_t i = 0; i < p->pass->images * p->groups; i++)
            square(p, i / p->groups, i % p->groups);
        for (int64_t group = 0; group < p->groups; group++)
            for (int64_t at = 0; at < p->pixels; at += p->chunk * LANES)
                run_chunk(p, group, at);
    }
    ptf_free(p->panels);
    ptf_free(p->norms);
    ptf_free(p->squares);
    ptf_free(p->scratch);
    return status;
}

ptf_status ptf_enclose_linear(const ptf_enclose_pass *pass, int64_t inputs,
                              int64_t outputs, const ptf_numbers *numbers,
                              ptf_balls in, ptf_balls out, ptf_error *err)
{
    product p = {
        .pass = pass,
        .numbers = numbers,
        .in = in,
        .out = out,
        .kernel = {1, 1},
        .stride = {1, 1},
        .dilation = {1, 1},
        .height = 1,
        .width = 1,
        .out_height = 1,
        .out_width = 1,
        .groups = 1,
        .group_in = inputs,
        .group_out = outputs,
        .terms = inputs,
    };
    return run(&p, err);
}

ptf_status ptf_enclose_conv(const ptf_enclose_pass *pass,
                            const ptf_attrs *attrs, const ptf_shape *in_shape,
                            const ptf_shape *out_shape,
                            const ptf_numbers *numbers, ptf_balls in,
                            ptf_balls out, ptf_error *err)
{
    bool flat = in_shape->rank == 2; /* one-dimensional: a map of height 1 */
    product p = {
        .pass = pass,
        .numbers = numbers,
        .in = in,
        .out = out,
        .height = flat ? 1 : in_shape->dim[1],
        .width = in_shape->dim[flat ? 1 : 2],
        .out_height = flat ? 1 : out_shape->dim[1],
        .out_width = out_shape->dim[flat ? 1 : 2],
        .groups = attrs->groups,
        .group_in = attrs->in_channels / attrs->groups,
        .group_out = attrs->out_channels / attrs->groups,
    };
    for (int i = 0; i < 2; i++) {
        p.kernel[i] = attrs->kernel[i];
        p.stride[i] = attrs->stride[i];
        p.padding[i] = attrs->padding[i];
        p.dilation[i] = attrs->dilation[i];
    }
    p.terms = p.group_in * p.kernel[0] * p.kernel[1];
    return run(&p, err);
}
