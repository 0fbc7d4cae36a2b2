/*
 * Every kernel of every instruction set here against ref, bit for bit: random
 * shapes with tails, numbers with zeros of both signs, subnormals, infinities
 * and NaN, and arrays that end at an unmapped page.  It needs only base and
 * kernel, so that it can be cross-compiled and run under an emulator.
 *
 *     test_kernel [SEED [ROUNDS]]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/backward.h"

#define PTF_FMAF __builtin_fmaf
#define PTF_FMA  __builtin_fma
#include "kernel/math.inc"
#include "support/wild.h"

#include <inttypes.h>
#include <math.h>

/* ------------------------------------------------------------------ checks */

static const ptf_kernels *fast;
static const ptf_kernels *const ref = &ptf_kernels_ref;
static uint64_t round_seed;
static char shape[256];
static int failures, checks;

static void check(const char *kernel, const float *want, const float *got,
                  int64_t n)
{
    checks++;
    for (int64_t i = 0; i < n; i++) {
        uint32_t a, b;
        memcpy(&a, want + i, sizeof(a));
        memcpy(&b, got + i, sizeof(b));
        if (a == b)
            continue;
        if (failures++ < 20)
            printf("%s %s, %s, seed %" PRIu64 ": [%" PRId64 "] of %" PRId64
                   " is %08x, ref says %08x\n",
                   kernel, ptf_isa_text(fast->isa), shape, round_seed, i, n, b,
                   a);
        return;
    }
}

static uint64_t odds(void)
{
    static const uint64_t some[] = {0, 0, 0, 3, 50, 1000};
    return some[next() % PTF_ARRAY_SIZE(some)];
}

static ptf_epilogue epilogue(int64_t channels, uint64_t wild)
{
    ptf_epilogue e = {.relu = next() % 2};
    if (next() % 2)
        e.bias = filled(channels, wild);
    if (next() % 2) {
        e.scale = filled(channels, wild);
        e.shift = filled(channels, wild);
    }
    return e;
}

/* Term counts around the ends of vectors and blocks. */
static int64_t some_terms(void)
{
    static const int64_t some[] = {1,   2,   7,   15,  16,  17,  31,  101, 255,
                                   256, 257, 511, 512, 513, 527, 769, 1024};
    return some[next() % PTF_ARRAY_SIZE(some)];
}

static int64_t some_channels(void)
{
    static const int64_t some[] = {1,  2,  3,  7,  8,  15, 16, 17, 31,  32,
                                   33, 47, 48, 49, 61, 64, 65, 97, 128, 131};
    return some[next() % PTF_ARRAY_SIZE(some)];
}

/* Runs a product as a plan does: in two parts of channels and of pixels. */
static void run_product(const ptf_gemm *q, int64_t pixels)
{
    void *scratch = ptf_alloc_aligned(fast->scratch_size, 64);
    if (scratch == NULL)
        exit(2);
    int64_t full = fast->panel_channels;
    int64_t c = between(0, q->channels / full) * full;
    int64_t p = between(0, pixels);
    fast->gemm(q, 0, c, 0, p, scratch);
    fast->gemm(q, c, q->channels, 0, p, scratch);
    fast->gemm(q, 0, c, p, pixels, scratch);
    fast->gemm(q, c, q->channels, p, pixels, scratch);
    ptf_free(scratch);
}

static float *packed(const float *weights, int64_t channels, int64_t terms)
{
    int64_t lanes = fast->lanes, full = fast->panel_channels;
    float *panels = guarded((channels + lanes - 1) / lanes * lanes * terms);
    for (int64_t c = 0; c < channels; c += full)
        fast->pack(weights + c * terms, terms,
                   channels - c < full ? channels - c : full, terms,
                   panels + c * terms);
    return panels;
}

static void run_gemv(const ptf_gemm *q, int64_t batch)
{
    memset(q->y, 0xee, (size_t)(batch * q->channels) * sizeof(float));
    void *scratch = ptf_alloc_aligned(fast->scratch_size, 64);
    for (int64_t p = 0; p < batch; p += fast->gemv_pixels) {
        int64_t end = p + fast->gemv_pixels;
        fast->gemv(q, 0, q->channels, p, end < batch ? end : batch, scratch);
    }
    ptf_free(scratch);
}

static void check_linear(void)
{
    int64_t terms = some_terms(), channels = some_channels();
    int64_t batch = between(1, 20);
    uint64_t wild = odds();
    if (next() % 16 == 0) { /* so many weights that they are asked for ahead */
        terms += 1024;
        channels += 256;
        batch = between(1, 8);
    } else if (next() % 24 == 0) { /* so many that gemv() cuts the terms */
        terms += 220000 / fast->gemv_pixels;
        channels = between(1, 2 * fast->panel_channels + 8);
        wild = 0; /* NaN would be all that is left */
        batch = between(fast->gemv_pixels, 2 * fast->gemv_pixels);
    } else if (next() % 48 == 0) { /* more sums than gemm() keeps */
        terms = between(257, 300);
        batch = between(fast->chunk_pixels / 2, fast->chunk_pixels + 20);
        channels = 2 * fast->sums / batch + between(1, fast->panel_channels);
    }
    snprintf(shape, sizeof(shape), "%" PRId64 " -> %" PRId64 " x %" PRId64,
             terms, channels, batch);
    ptf_gemm q = {.x = filled(batch * terms, wild),
                  .terms = terms,
                  .weights = filled(channels * terms, wild),
                  .channels = channels,
                  .out_height = 1,
                  .out_width = 1,
                  .x_image = terms,
                  .y_image = channels,
                  .y_channel = 1,
                  .epilogue = epilogue(channels, wild)};
    float *want = guarded(batch * channels);
    for (int64_t i = 0; i < batch; i++)
        ptf_ref_linear(terms, channels, q.x + i * terms, q.weights, &q.epilogue,
                       want + i * channels);
    q.y = guarded(batch * channels);
    run_product(&q, batch);
    check("product (linear)", want, q.y, batch * channels);
    q.panels = packed(q.weights, channels, terms);
    memset(q.y, 0xee, (size_t)(batch * channels) * sizeof(float));
    run_product(&q, batch);
    check("product (linear, packed)", want, q.y, batch * channels);
    ptf_gemm t = q;
    t.panels = NULL;
    t.transposed = channels + between(0, 3);
    float *transposed = filled((terms - 1) * t.transposed + channels, 0);
    for (int64_t i = 0; i < channels * terms; i++)
        transposed[i % terms * t.transposed + i / terms] = q.weights[i];
    t.weights = transposed;
    memset(q.y, 0xee, (size_t)(batch * channels) * sizeof(float));
    run_product(&t, batch);
    check("product (linear, transposed)", want, q.y, batch * channels);
    run_gemv(&q, batch);
    check("gemv (packed)", want, q.y, batch * channels);
    q.panels = NULL;
    run_gemv(&q, batch);
    check("gemv", want, q.y, batch * channels);
    release();
}

/* A convolution of maps without depth and padding, whose taps are made here. */
static ptf_conv random_conv(int64_t channels)
{
    ptf_conv v = {.groups = 1, .window = {{1}, {1}, {0}, {1}}};
    v.in.channels = between(1, 40);
    v.out.channels = channels;
    v.in.depth = v.out.depth = 1;
    for (int i = 1; i < PTF_MAP_AXES; i++) {
        v.window.kernel[i] = between(1, 4);
        v.window.stride[i] = between(1, 3);
        v.window.dilation[i] = between(1, 2);
    }
    v.out.height = v.out.rows = between(1, 9);
    v.out.width = between(1, 40);
    int64_t reach[PTF_MAP_AXES];
    for (int i = 1; i < PTF_MAP_AXES; i++)
        reach[i] =
            ((i == 1 ? v.out.height : v.out.width) - 1) * v.window.stride[i] +
            (v.window.kernel[i] - 1) * v.window.dilation[i] + 1;
    v.in.height = v.in.rows = reach[1] + between(0, 1);
    v.in.width = reach[2] + between(0, 1);
    return v;
}

static int32_t *conv_taps(const ptf_conv *v)
{
    const ptf_window *w = &v->window;
    int64_t plane = v->in.height * v->in.width;
    int64_t taps = ptf_window_taps(w);
    int32_t *out = (void *)guarded(v->in.channels * taps);
    for (int64_t i = 0; i < v->in.channels * taps; i++) {
        int64_t row = i % taps / w->kernel[2], column = i % w->kernel[2];
        out[i] =
            (int32_t)(i / taps * plane + row * w->dilation[1] * v->in.width +
                      column * w->dilation[2]);
    }
    return out;
}

static void check_conv(void)
{
    ptf_conv v = random_conv(some_channels());
    int64_t images = between(1, 3), plane = v.out.height * v.out.width;
    int64_t inputs = v.in.channels * v.in.height * v.in.width;
    int64_t outputs = v.out.channels * plane;
    int64_t terms = v.in.channels * ptf_window_taps(&v.window);
    uint64_t wild = odds();
    snprintf(shape, sizeof(shape),
             "%" PRId64 " terms, %" PRId64 " channels, %" PRId64 " x %" PRId64
             "x%" PRId64 " pixels",
             terms, v.out.channels, images, v.out.height, v.out.width);
    ptf_gemm q = {.x = filled(images * inputs, wild),
                  .taps = conv_taps(&v),
                  .terms = terms,
                  .weights = filled(v.out.channels * terms, wild),
                  .channels = v.out.channels,
                  .out_height = v.out.height,
                  .out_width = v.out.width,
                  .x_image = inputs,
                  .x_row = v.window.stride[1] * v.in.width,
                  .x_column = v.window.stride[2],
                  .y_image = outputs,
                  .y_channel = plane,
                  .epilogue = epilogue(v.out.channels, wild)};
    float *want = guarded(images * outputs);
    for (int64_t i = 0; i < images; i++)
        ptf_ref_conv(&v, q.x + i * inputs, q.weights, &q.epilogue,
                     want + i * outputs);
    q.y = guarded(images * outputs);
    run_product(&q, images * plane);
    check("product (conv)", want, q.y, images * outputs);
    q.panels = packed(q.weights, q.channels, terms);
    memset(q.y, 0xee, (size_t)(images * outputs) * sizeof(float));
    run_product(&q, images * plane);
    check("product (conv, packed)", want, q.y, images * outputs);
    release();
}

/* How a plan would have the input of a convolution, with some padding. */
static ptf_padding random_padding(ptf_conv *v)
{
    const ptf_window *w = &v->window;
    bool runs = next() % 2;
    ptf_padding p = {.rows = v->in.height, .columns = v->in.width};
    p.top = v->window.padding[1] = between(0, 2);
    p.left = v->window.padding[2] = between(0, 3);
    p.height = v->in.height = v->in.rows =
        ptf_max_i64(1, p.rows - between(0, 2) - p.top);
    p.width = v->in.width = ptf_max_i64(1, p.columns - between(0, 2) - p.left);
    p.row_runs = runs ? w->stride[1] : 1;
    p.column_runs = runs ? w->stride[2] : 1;
    p.rows = ptf_ceil_div(p.rows, p.row_runs) * p.row_runs;
    p.columns = ptf_ceil_div(p.columns, p.column_runs) * p.column_runs;
    return p;
}

static int32_t *padded_taps(const ptf_conv *v, const ptf_padding *p)
{
    const ptf_window *w = &v->window;
    int64_t taps = ptf_window_taps(w), pitch = p->columns / p->column_runs;
    int64_t run = p->rows / p->row_runs * pitch;
    int32_t *out = (void *)guarded(v->in.channels * taps);
    for (int64_t i = 0; i < v->in.channels * taps; i++) {
        int64_t row = i % taps / w->kernel[2] * w->dilation[1];
        int64_t column = i % w->kernel[2] * w->dilation[2];
        int64_t at =
            (row % p->row_runs * p->column_runs + column % p->column_runs) *
                run +
            row / p->row_runs * pitch + column / p->column_runs;
        out[i] = (int32_t)(i / taps * p->rows * p->columns + at);
    }
    return out;
}

/* Few channels, of which vectors go over the ends of padded rows. */
static void check_padded(void)
{
    ptf_conv v = random_conv(next() % 2 ? 1 : between(1, 17));
    v.in.channels = next() % 2 ? 1 : between(1, 9);
    ptf_padding p = random_padding(&v);
    int64_t plane = v.out.height * v.out.width, map = p.rows * p.columns;
    int64_t terms = v.in.channels * ptf_window_taps(&v.window);
    int64_t outputs = v.out.channels * plane, in = p.height * p.width;
    uint64_t wild = odds();
    snprintf(shape, sizeof(shape),
             "%" PRId64 " terms, %" PRId64 " channels, %" PRId64 "x%" PRId64
             " pixels, runs %" PRId64 "x%" PRId64,
             terms, v.out.channels, v.out.height, v.out.width, p.row_runs,
             p.column_runs);
    const float *x = filled(v.in.channels * in, wild);
    float *padded = filled(v.in.channels * map + PTF_BEYOND, 0);
    for (int64_t c = 0; c < v.in.channels; c++)
        fast->pad(&p, x + c * in, padded + c * map);
    ptf_gemm q = {.x = padded,
                  .taps = padded_taps(&v, &p),
                  .terms = terms,
                  .weights = filled(v.out.channels * terms, wild),
                  .channels = v.out.channels,
                  .out_height = v.out.height,
                  .out_width = v.out.width,
                  .x_row = v.window.stride[1] / p.row_runs *
                           (p.columns / p.column_runs),
                  .x_column = v.window.stride[2] / p.column_runs,
                  .beyond = true,
                  .y_channel = plane,
                  .epilogue = epilogue(v.out.channels, wild)};
    float *want = guarded(outputs);
    ptf_ref_conv(&v, x, q.weights, &q.epilogue, want);
    q.y = guarded(outputs);
    run_product(&q, plane);
    check("product (padded)", want, q.y, outputs);
    release();
}

/* --------------------------------------------------------------- pointwise */

static float *ramp(int64_t n)
{
    float *x = guarded(n);
    for (int64_t i = 0; i < n; i++)
        x[i] = next() % 4 == 0 ? special() : number(0) * word(0x42c80000);
    return x;
}

static const char *const unary_names[] = {
#define UNARY(id, name) [PTF_UNARY_##id] = #name,
#include "kernel/functions.inc"
#undef UNARY
};

static void check_pointwise(void)
{
    int64_t channels = between(1, 5), pixels = between(1, 133);
    int64_t n = channels * pixels;
    snprintf(shape, sizeof(shape), "%" PRId64 " x %" PRId64, channels, pixels);
    float *x = ramp(n), *want = guarded(n), *got = guarded(n);
    const double p[PTF_UNARY_PARAMETERS] = {
        between(0, 1) ? (double)number(20) : ldexp(1.0, (int)between(-20, 20)),
        (double)number(20)};
    for (int f = 0; f < PTF_UNARY_COUNT; f++) {
        ref->unary[f](want, x, n, p);
        fast->unary[f](got, x, n, p);
        check(unary_names[f], want, got, n);
    }
    const float *scale = filled(channels, 9), *shift = filled(channels, 9);
    for (int then_relu = 0; then_relu < 2; then_relu++) {
        ref->scale_shift(want, x, channels, pixels, scale, shift, then_relu);
        fast->scale_shift(got, x, channels, pixels, scale, shift, then_relu);
        check("scale_shift", want, got, n);
    }
    ref->softmax(want, x, 1.0, 1, channels, pixels);
    fast->softmax(got, x, 1.0, 1, channels, pixels);
    check("softmax", want, got, n);
    double beta = ldexp(1.0, (int)between(-20, 20));
    ref->softmax(want, x, beta, channels, pixels, 1);
    fast->softmax(got, x, beta, channels, pixels, 1);
    check("softmax", want, got, n);
    release();
}

static const char *const binary_names[] = {
#define BINARY(id, name) [PTF_BINARY_##id] = #name,
#include "kernel/operators.inc"
#undef BINARY
};

/* What ref shares with all: quotients without a division, to the last bit. */
static void check_sixth(void)
{
    for (int i = 0; i < 40; i++) {
        double x = i < 20
                       ? ldexp((double)(next() >> 11), (int)between(-900, 900))
                       : (double)special();
        double want = x / 6.0, got = over_six(x);
        checks++;
        if (memcmp(&want, &got, sizeof(want)) != 0 && !isnan(x) &&
            failures++ < 20)
            printf("over_six(%a), seed %" PRIu64 ": %a, not %a\n", x,
                   round_seed, got, want);
    }
}

/* Rows with gaps, repeated numbers and rows, and outputs over inputs. */
static void check_binary(void)
{
    ptf_grid g = {.rows = between(1, 5), .n = between(1, 150)};
    int repeated = (int)between(0, 2); /* 1: a's rows are one number; 2: b's */
    g.a_step = repeated != 1;
    g.b_step = repeated != 2;
    g.y_row = g.n + between(0, 3);
    g.a_row = next() % 3 == 0 ? 0 : g.a_step * g.n + between(0, 3);
    g.b_row = next() % 3 == 0 ? 0 : g.b_step * g.n + between(0, 3);
    snprintf(shape, sizeof(shape), "%" PRId64 " x %" PRId64 ", repeated: %d",
             g.rows, g.n, repeated);
    int64_t size = (g.rows - 1) * g.y_row + g.n;
    const float *a = ramp((g.rows - 1) * g.a_row + (g.n - 1) * g.a_step + 1);
    const float *b = ramp((g.rows - 1) * g.b_row + (g.n - 1) * g.b_step + 1);
    float *want = filled(size, 0), *got = guarded(size);
    memcpy(got, want, (size_t)size * sizeof(float)); /* what gaps keep */
    for (int f = 0; f < PTF_BINARY_COUNT; f++) {
        ref->binary[f](&g, want, a, b);
        fast->binary[f](&g, got, a, b);
        check(binary_names[f], want, got, size);
    }
    int64_t n = between(1, 700);
    g = (ptf_grid){.rows = 1, .n = n, .a_step = 1, .b_step = 1};
    a = ramp(n);
    b = ramp(n);
    want = guarded(n);
    got = guarded(n);
    for (int f = 0; f < PTF_BINARY_COUNT; f++) {
        ref->binary[f](&g, want, a, b);
        memcpy(got, a, (size_t)n * sizeof(float));
        fast->binary[f](&g, got, got, b);
        check(binary_names[f], want, got, n);
        memcpy(got, b, (size_t)n * sizeof(float));
        fast->binary[f](&g, got, a, got);
        check(binary_names[f], want, got, n);
    }
    release();
}

/* A pool of up to three axes; its window fits. */
static ptf_pool random_pool(int64_t channels)
{
    ptf_pool p = {
        .mean = next() % 2, .adaptive = next() % 2, .include_pad = next() % 2};
    int64_t in[PTF_MAP_AXES], out[PTF_MAP_AXES];
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        ptf_window *w = &p.window;
        out[i] = between(1, i == 2 ? 20 : 5);
        w->kernel[i] = between(1, 4);
        w->stride[i] = between(1, 3);
        w->dilation[i] = p.mean ? 1 : between(1, 2);
        w->padding[i] = between(0, w->kernel[i] / 2);
        in[i] = ptf_max_i64((out[i] - 1) * w->stride[i] - 2 * w->padding[i] +
                                (w->kernel[i] - 1) * w->dilation[i] + 1,
                            1);
    }
    p.divisor = next() % 4 == 0 ? 3 : 0;
    p.in = (ptf_map){channels, in[0], in[1], in[2], 0, in[1]};
    p.out = (ptf_map){channels, out[0], out[1], out[2], 0, out[1]};
    return p;
}

static void check_pools(void)
{
    ptf_pool p = random_pool(between(1, 3));
    snprintf(shape, sizeof(shape), "%s%s of %" PRId64 "x%" PRId64 "x%" PRId64,
             p.adaptive ? "adaptive " : "", p.mean ? "mean" : "max", p.in.depth,
             p.in.height, p.in.width);
    int64_t inputs = p.in.channels * ptf_map_pixels(&p.in);
    int64_t n = p.out.channels * ptf_map_pixels(&p.out);
    float *x = filled(inputs, odds()), *d = filled(n, odds());
    float *want = guarded(n), *got = guarded(n);
    ref->pool(&p, x, want);
    fast->pool(&p, x, got);
    check("pool", want, got, n);
    want = guarded(inputs);
    got = guarded(inputs);
    ref->backward->pool(&p, x, d, want);
    fast->backward->pool(&p, x, d, got);
    check("pool back", want, got, inputs);
    release();
}

/* --------------------------------------------------------------- gradients */

static void check_taps_back(void)
{
    ptf_conv v = random_conv(1);
    v.in.channels = 1;
    for (int i = 1; i < PTF_MAP_AXES; i++)
        v.window.padding[i] = between(0, v.window.kernel[i] / 2);
    snprintf(shape, sizeof(shape),
             "%" PRId64 "x%" PRId64 " from %" PRId64 "x%" PRId64, v.out.height,
             v.out.width, v.in.height, v.in.width);
    int64_t n = v.in.height * v.in.width, taps = ptf_window_taps(&v.window);
    float *want = filled(n, 0), *got = guarded(n);
    float *d = filled(v.out.height * v.out.width, odds());
    float *w = filled(taps, odds());
    ptf_part part = {0, v.out.height, 0, v.out.width};
    memcpy(got, want, (size_t)n * sizeof(float));
    ref->backward->add_taps(&v, &part, d, 0, w, want);
    ref->backward->settle(want, n);
    fast->backward->add_taps(&v, &part, d, 0, w, got);
    fast->backward->settle(got, n);
    check("add_taps", want, got, n);
    v.window.stride[1] = v.window.stride[2] = 1;
    v.out.height = between(1, v.out.height);
    v.out.width = between(1, v.out.width);
    memset(want, 0, (size_t)n * sizeof(float));
    part = (ptf_part){0, v.out.height, 0, v.out.width};
    ref->backward->add_taps(&v, &part, d, 0, w, want);
    ref->backward->settle(want, n);
    int64_t cut = between(0, n);
    fast->backward->take_taps(&v, d, w, 0, cut, got);
    fast->backward->take_taps(&v, d, w, cut, n, got);
    check("take_taps", want, got, n);
    release();
}

/* Terms are what is left of them: two numbers that are added, and rounded. */
static void check_binary_back(void)
{
    enum { MOST = 300 };
    int64_t n = between(1, MOST);
    int repeated = (int)between(0, 2); /* 1: a is one number; 2: b is */
    snprintf(shape, sizeof(shape), "%" PRId64 ", repeated: %d", n, repeated);
    const float *a = ramp(n), *b = ramp(n), *d = filled(n, odds());
    float *want = guarded(n), *got = guarded(n);
    double t[2][MOST], sum[2][MOST];
    for (int f = 0; f < 2 * PTF_BINARY_COUNT; f++) {
        for (int k = 0; k < 2; k++) {
            const ptf_backward *of = k == 0 ? ref->backward : fast->backward;
            for (int64_t i = 0; i < n; i++)
                sum[k][i] = (double)a[i] / 3.0;
            of->binary[f / 2][f % 2](t[k], d, a, repeated != 1, b,
                                     repeated != 2, n);
            of->add_terms(sum[k], t[k], n);
        }
        ref->backward->round_terms(want, t[0], n);
        fast->backward->round_terms(got, t[1], n);
        check(binary_names[f / 2], want, got, n);
        ref->backward->round_terms(want, sum[0], n);
        fast->backward->round_terms(got, sum[1], n);
        check(binary_names[f / 2], want, got, n);
    }
    release();
}

static void check_pointwise_back(void)
{
    int64_t n = between(1, 700);
    snprintf(shape, sizeof(shape), "%" PRId64, n);
    const ptf_backward *a = ref->backward, *b = fast->backward;
    float *x = ramp(n), *d = filled(n, odds());
    float *want = filled(n, odds()), *got = guarded(n);
    memcpy(got, want, (size_t)n * sizeof(float));
    a->outer(want, d[0], x, n, true);
    b->outer(got, d[0], x, n, true);
    check("outer", want, got, n);
    a->add(want, x, n);
    b->add(got, x, n);
    check("add", want, got, n);
    float sums[2] = {(float)a->sum(d, x, 0.25, n),
                     (float)b->sum(d, x, 0.25, n)};
    a->settle(&sums[0], 1);
    b->settle(&sums[1], 1);
    check("sum", &sums[0], &sums[1], 1);
    const double p[PTF_UNARY_PARAMETERS] = {0.75, 2.0};
    for (int f = 0; f < PTF_UNARY_COUNT; f++) {
        a->unary[f](want, d, x, n, p);
        b->unary[f](got, d, x, n, p);
        check(unary_names[f], want, got, n);
    }
    a->softmax(want, d, x, 1, n, 1);
    b->softmax(got, d, x, 1, n, 1);
    check("softmax back", want, got, n);
    release();
}

/* ----------------------------------------------- ref against known numbers */

static void expect(const char *what, float want, float got)
{
    snprintf(shape, sizeof(shape), "known answer");
    check(what, &want, &got, 1);
}

/* Sums whose value shows the order: 2^24 + 1 + ... loses ones. */
static void check_canonical_sum(void)
{
    enum { N = 600 };
    float x[N], w[N], y;
    for (int i = 0; i < N; i++) {
        x[i] = 1.0F;
        w[i] = i == 0 ? 0x1p24F : 1.0F;
    }
    ptf_epilogue none = {0};
    ptf_ref_linear(N, 1, x, w, &none, &y);
    /* block 0 stays 2^24; blocks of 256 and 88 ones add exactly */
    expect("canonical sum", 0x1p24F + 256.0F + 88.0F, y);
    for (int i = 0; i < N; i++)
        w[i] = -0.0F;
    ptf_ref_linear(N, 1, x, w, &none, &y);
    expect("sum of -0", 0.0F, y);
}

/* 2^24 at the first of 600 taps or pixels, as above. */
static void check_gradient_sums(void)
{
    enum { N = 600 };
    float x[N], w[N], y[N];
    for (int i = 0; i < N; i++) {
        x[i] = 1.0F;
        w[i] = i == 0 ? 0x1p24F : 1.0F;
    }
    ptf_conv v = {.in = {1, 1, 1, N, 0, 1},
                  .out = {1, 1, 1, N, 0, 1},
                  .window = {{1, 1, N}, {1, 1, 1}, {0, 0, N - 1}, {1, 1, 1}},
                  .groups = 1};
    ptf_ref_conv_input(&v, x, w, y);
    expect("taps one by one", 0x1p24F, y[0]);
    v.window.kernel[2] = 1;
    v.window.padding[2] = 0;
    ptf_ref_conv_weights(&v, x, w, y);
    expect("pixels in blocks", 0x1p24F + 256.0F + 88.0F, y[0]);
    expect("sum in double", 0x1p24F + 600.0F,
           (float)ref->backward->sum(w, NULL, 0.0, N));
}

static void expect_binary(ptf_binary f, float a, float b, float want)
{
    const ptf_grid one = {.rows = 1, .n = 1, .a_step = 1, .b_step = 1};
    float y;
    ref->binary[f](&one, &y, &a, &b);
    expect(binary_names[f], want, y);
}

/* A reduction of up to 4 axes, whose outputs are 'outputs'. */
static ptf_reduction random_reduction(int64_t *inputs, int64_t *outputs)
{
    int64_t size[4];
    bool reduced[4];
    int rank = (int)between(1, 4);
    *inputs = *outputs = 1;
    for (int d = 0; d < rank; d++) {
        size[d] = between(1, between(0, 3) == 0 ? 300 / rank : 9);
        reduced[d] = next() % 2 == 0;
        *inputs *= size[d];
        *outputs *= reduced[d] ? 1 : size[d];
    }
    ptf_reduction r = {.how = (ptf_reduce)between(0, PTF_REDUCE_AMIN)};
    ptf_reduction_make(&r, rank, size, reduced);
    snprintf(shape, sizeof(shape), "%d of rank %d, %" PRId64 " to %" PRId64,
             (int)r.how, rank, *inputs, *outputs);
    return r;
}

static void check_reductions(void)
{
    int64_t n, outputs;
    ptf_reduction r = random_reduction(&n, &outputs);
    float *x = filled(n, odds()), *d = filled(outputs, odds());
    float *want = guarded(outputs), *got = guarded(outputs);
    float *want_dx = guarded(n), *dx = guarded(n);
    int64_t cut = between(0, outputs);
    ref->reduce(&r, 0, outputs, x, want);
    fast->reduce(&r, 0, cut, x, got);
    fast->reduce(&r, cut, outputs, x, got);
    check("reduce", want, got, outputs);
    ref->backward->reduce(&r, 0, outputs, x, want, d, want_dx);
    fast->backward->reduce(&r, 0, cut, x, want, d, dx);
    fast->backward->reduce(&r, cut, outputs, x, want, d, dx);
    check("reduce back", want_dx, dx, n);
    release();
}

static void expect_reduced(const char *what, ptf_reduce how, int64_t n,
                           const float *x, float want)
{
    ptf_reduction r = {.how = how};
    float got;
    ptf_reduction_make(&r, 1, &n, &(bool){true});
    ref->reduce(&r, 0, 1, x, &got);
    expect(what, want, got);
}

/* 2^24 and then ones: the block of the ones is added as a whole. */
static void check_ref_reductions(void)
{
    enum { N = 300 };
    float x[N] = {0x1p24F};
    for (int i = 1; i < N; i++)
        x[i] = i < PTF_BLOCK_TERMS ? 0.0F : 1.0F;
    expect_reduced("sum of two blocks", PTF_REDUCE_SUM, N, x,
                   0x1p24F + (N - PTF_BLOCK_TERMS));
    x[1] = 1.0F; /* in the block of 2^24 it is lost */
    expect_reduced("sum of two blocks", PTF_REDUCE_SUM, N, x,
                   0x1p24F + (N - PTF_BLOCK_TERMS));
    const float few[4] = {-0.0F, -3.0F, word(0xffa12345), 1.0F};
    expect_reduced("sum of -0", PTF_REDUCE_SUM, 1, few, 0.0F);
    expect_reduced("mean", PTF_REDUCE_MEAN, 2, few, -1.5F);
    expect_reduced("amax", PTF_REDUCE_AMAX, 2, few, -0.0F);
    expect_reduced("amin", PTF_REDUCE_AMIN, 2, few, -3.0F);
    expect_reduced("amax of NaN", PTF_REDUCE_AMAX, 4, few, word(PTF_NAN_BITS));
    expect_reduced("amin of NaN", PTF_REDUCE_AMIN, 4, few, word(PTF_NAN_BITS));
    expect_reduced("sum of NaN", PTF_REDUCE_SUM, 4, few, word(PTF_NAN_BITS));
}

static void check_ref_binary(void)
{
    const float nan = word(0xffa12345), one_nan = word(PTF_NAN_BITS);
    expect_binary(PTF_BINARY_ADD, 0x1p24F, 1.0F, 0x1p24F);
    expect_binary(PTF_BINARY_ADD, INFINITY, -INFINITY, one_nan);
    expect_binary(PTF_BINARY_SUB, 2.0F, 3.5F, -1.5F);
    expect_binary(PTF_BINARY_SUB, word(0x00800001), word(0x00800000), word(1));
    expect_binary(PTF_BINARY_MUL, -3.0F, 0.5F, -1.5F);
    expect_binary(PTF_BINARY_MUL, 0.0F, INFINITY, one_nan);
    expect_binary(PTF_BINARY_DIV, 1.0F, 3.0F, word(0x3eaaaaab));
    expect_binary(PTF_BINARY_DIV, 1.0F, -0.0F, -INFINITY);
    expect_binary(PTF_BINARY_DIV, 0.0F, 0.0F, one_nan);
    for (int left = 0; left < 2; left++) {
        float a = left == 0 ? nan : 1.0F, b = left == 0 ? INFINITY : nan;
        for (int f = 0; f < PTF_BINARY_COUNT; f++) {
            if (f == PTF_BINARY_POWER) /* 1 to the power of NaN is 1 */
                continue;
            bool is_truth = f >= PTF_BINARY_EQ && f <= PTF_BINARY_LOGICAL_XOR;
            bool is_true = f == PTF_BINARY_NE || f == PTF_BINARY_LOGICAL_AND ||
                           f == PTF_BINARY_LOGICAL_OR;
            expect_binary((ptf_binary)f, a, b, !is_truth ? one_nan : is_true);
        }
        a = left == 0 ? -0.0F : 0.0F;
        expect_binary(PTF_BINARY_MAXIMUM, a, -a, 0.0F);
        expect_binary(PTF_BINARY_MINIMUM, a, -a, -0.0F);
        a = left == 0 ? -1.0F : 2.0F;
        expect_binary(PTF_BINARY_MAXIMUM, a, 1.0F - a, 2.0F);
        expect_binary(PTF_BINARY_MINIMUM, a, 1.0F - a, -1.0F);
    }
    expect_binary(PTF_BINARY_MAXIMUM, -0.0F, -0.0F, -0.0F);
    expect_binary(PTF_BINARY_MINIMUM, 3.0F, 3.0F, 3.0F);
}

static void check_ref(void)
{
    float x[5] = {-1.0F, -0.0F, word(0xffc12345), 0.5F, 100.0F}, y[5];
    const double p[PTF_UNARY_PARAMETERS] = {2.0, 20.0};
    ref->unary[PTF_UNARY_RELU](y, x, 5, p);
    expect("relu(-0)", 0.0F, y[1]);
    expect("relu(NaN)", word(PTF_NAN_BITS), y[2]);
    ref->unary[PTF_UNARY_SIGMOID](y, x, 5, p);
    expect("sigmoid(-1)", 0.26894143F, y[0]);
    expect("sigmoid(100)", 1.0F, y[4]);
    ref->unary[PTF_UNARY_TANH](y, x, 5, p);
    expect("tanh(0.5)", 0.46211717F, y[3]);
    expect("tanh(-0)", -0.0F, y[1]);
    ref->unary[PTF_UNARY_SOFTPLUS](y, x, 5, p);
    expect("softplus(-1)", 0.06346400552F, y[0]);
    expect("softplus(NaN)", word(PTF_NAN_BITS), y[2]);
    expect("softplus(0.5)", 0.65663081F, y[3]);
    expect("softplus(100)", 100.0F, y[4]);
    float logits[3] = {1.0F, 2.0F, 3.0F};
    ref->softmax(y, logits, 1.0, 1, 3, 1);
    expect("softmax", 0.66524094F, y[2]);
    check_ref_binary();
    check_ref_reductions();
    check_canonical_sum();
    check_gradient_sums();
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 150;
    fast = ref;
    check_ref();
    for (int isa = PTF_ISA_REF + 1; isa < PTF_ISA_COUNT; isa++) {
        if (!ptf_isa_here((ptf_isa)isa)) {
            printf("%s: not here, skipped\n", ptf_isa_text((ptf_isa)isa));
            continue;
        }
        fast = ptf_kernels_get((ptf_isa)isa);
        for (long i = 0; i < rounds; i++) {
            state = round_seed = seed + (uint64_t)i;
            check_linear();
            check_conv();
            check_padded();
            check_pointwise();
            check_sixth();
            check_binary();
            check_pools();
            check_pointwise_back();
            check_binary_back();
            check_taps_back();
            check_reductions();
        }
    }
    printf("%d checks, %d failed\n", checks, failures);
    return failures > 0;
}
