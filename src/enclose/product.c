/*
 * Balls through convolutions and linear layers.
 *
 * For s = sum of w x over K terms and |x - m| <= r, the computed sum of w m is
 * within gamma(K) sum |w||m| of the exact one in any order (Higham, section
 * 3.1), and replacing m by x moves it by at most sum |w| r.  With parameters
 * that are off by a relative rho, |w||x| rho is added.  So with
 *
 *     t = r + g (|m| + r),   g = gamma(K + 4) + 2 rho
 *
 * the radius is sum |w| t, and one pass with |w| serves both.  That pass adds
 * non-negative numbers and falls short by gamma(K + 3) at most; 1 + 2^-18
 * makes it good, because K is at most 2^32 and gamma(K + 16) below 2^-20.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"

#include <math.h>
#include <string.h>

#define UP (1.0 + 0x1p-18)

enum { LANES = 8, ROWS = 4 };

#if defined(__x86_64__) && defined(__gnu_linux__)
#define FAST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FAST
#endif

double ptf_gamma(int64_t n)
{
    double nu = (double)n * PTF_U;
    return nu / (1.0 - nu) * (1.0 + 0x1p-50);
}

/* What follows the sum: bias, then scale and shift where there are any. */
static void finish(const ptf_affine *affine, int64_t channel, double sum,
                   double reach, double *value, double *radius)
{
    double rho = affine->relative;
    double y = sum, r = reach * UP;
    if (affine->bias) {
        double bias = affine->bias[channel];
        y += bias;
        r += rho * fabs(bias) + PTF_U * fabs(y);
    }
    if (affine->scale) {
        double scale = affine->scale[channel], shift = affine->shift[channel];
        double product = scale * y;
        double z = product + shift;
        r = fabs(scale) * r * (1 + rho) + (PTF_U + rho) * fabs(product) +
            rho * fabs(shift) + PTF_U * fabs(z);
        y = z;
    }
    *value = y;
    *radius = r * UP + PTF_TINY;
}

/* t of the comment above. */
static double widen(double value, double radius, double g)
{
    return radius + g * (fabs(value) + radius);
}

/* ROWS channels against LANES pixels; panels are [terms][LANES]. */
FAST static void tile(int64_t terms, const double *const w[ROWS],
                      const double *x, const double *t, double sum[ROWS][LANES],
                      double reach[ROWS][LANES])
{
    memset(sum, 0, sizeof(double[ROWS][LANES]));
    memset(reach, 0, sizeof(double[ROWS][LANES]));
    for (int64_t k = 0; k < terms; k++)
        for (int j = 0; j < ROWS; j++) {
            double a = w[j][k], b = fabs(a);
            for (int i = 0; i < LANES; i++) {
                sum[j][i] += a * x[k * LANES + i];
                reach[j][i] += b * t[k * LANES + i];
            }
        }
}

/* One row against one vector; terms go round LANES sums. */
FAST static void dot(int64_t terms, const double *w, const double *x,
                     const double *t, double *sum, double *reach)
{
    double s[LANES] = {0}, r[LANES] = {0};
    int64_t k = 0;
    for (; k + LANES <= terms; k += LANES)
        for (int i = 0; i < LANES; i++) {
            s[i] += w[k + i] * x[k + i];
            r[i] += fabs(w[k + i]) * t[k + i];
        }
    for (int i = 0; k + i < terms; i++) {
        s[i] += w[k + i] * x[k + i];
        r[i] += fabs(w[k + i]) * t[k + i];
    }
    *sum = *reach = 0;
    for (int i = 0; i < LANES; i++) {
        *sum += s[i];
        *reach += r[i];
    }
}

static ptf_status check_terms(int64_t terms, ptf_error *err)
{
    if (terms <= PTF_MAX_TERMS)
        return PTF_OK;
    return ptf_fail(err, PTF_UNSUPPORTED, NULL, PTF_NO_OFFSET,
                    "a sum of %lld terms is too long for an enclosure",
                    (long long)terms);
}

ptf_status ptf_enclose_linear(int64_t inputs, int64_t outputs,
                              const ptf_affine *affine, ptf_balls in,
                              ptf_balls out, ptf_error *err)
{
    ptf_status status = check_terms(inputs, err);
    if (status != PTF_OK)
        return status;
    double *t = ptf_alloc((size_t)inputs * sizeof(double));
    if (!t)
        return ptf_fail_memory(err);
    double g = ptf_gamma(inputs + 4) + 2 * affine->relative;
    for (int64_t k = 0; k < inputs; k++)
        t[k] = widen(in.value[k], in.radius[k], g);
#pragma omp parallel for
    for (int64_t j = 0; j < outputs; j++) {
        double sum, reach;
        dot(inputs, affine->weights + j * inputs, in.value, t, &sum, &reach);
        finish(affine, j, sum, reach, &out.value[j], &out.radius[j]);
    }
    ptf_free(t);
    return PTF_OK;
}

/* The geometry of one image, one-dimensional ones with height 1. */
typedef struct conv {
    const ptf_attrs *attrs;
    const ptf_affine *affine;
    ptf_balls in, out;
    int64_t height, width, out_height, out_width;
    int64_t group_in, group_out, terms;
    double g;
} conv;

/* Pixels p .. p + LANES - 1 of a group as panels of x and t. */
static void gather(const conv *c, int64_t group, int64_t p, double *x,
                   double *t)
{
    const ptf_attrs *a = c->attrs;
    int64_t pixels = c->out_height * c->out_width;
    int64_t area = a->kernel[0] * a->kernel[1];
    memset(x, 0, (size_t)(c->terms * LANES) * sizeof *x);
    memset(t, 0, (size_t)(c->terms * LANES) * sizeof *t);
    for (int64_t e = 0; e < c->terms * LANES; e++) {
        int64_t k = e / LANES, q = p + e % LANES;
        int64_t tap = k % area;
        int64_t row = q / c->out_width * a->stride[0] - a->padding[0] +
                      tap / a->kernel[1] * a->dilation[0];
        int64_t column = q % c->out_width * a->stride[1] - a->padding[1] +
                         tap % a->kernel[1] * a->dilation[1];
        if (q >= pixels || row < 0 || row >= c->height || column < 0 ||
            column >= c->width)
            continue;
        int64_t channel = group * c->group_in + k / area;
        int64_t at = (channel * c->height + row) * c->width + column;
        x[e] = c->in.value[at];
        t[e] = widen(c->in.value[at], c->in.radius[at], c->g);
    }
}

/* All channels of a group for the pixels of one panel. */
static void run_panel(const conv *c, int64_t group, int64_t p, const double *x,
                      const double *t)
{
    int64_t pixels = c->out_height * c->out_width;
    for (int64_t j = 0; j < c->group_out; j += ROWS) {
        const double *w[ROWS];
        double sum[ROWS][LANES], reach[ROWS][LANES];
        int64_t rows = c->group_out - j < ROWS ? c->group_out - j : ROWS;
        int64_t first = group * c->group_out + j;
        for (int64_t i = 0; i < ROWS; i++)
            w[i] = c->affine->weights +
                   (first + (i < rows ? i : rows - 1)) * c->terms;
        tile(c->terms, w, x, t, sum, reach);
        for (int64_t i = 0; i < rows * LANES; i++) {
            int64_t channel = first + i / LANES, q = p + i % LANES;
            int64_t at = channel * pixels + q;
            if (q < pixels)
                finish(c->affine, channel, sum[i / LANES][i % LANES],
                       reach[i / LANES][i % LANES], &c->out.value[at],
                       &c->out.radius[at]);
        }
    }
}

static bool run_conv(const conv *c)
{
    int64_t pixels = c->out_height * c->out_width;
    int64_t panels = (pixels + LANES - 1) / LANES;
    bool enough = true;
#pragma omp parallel for reduction(&& : enough)
    for (int64_t i = 0; i < panels * c->attrs->groups; i++) {
        size_t size = (size_t)(c->terms * LANES) * sizeof(double);
        double *x = ptf_alloc_aligned(2 * size, 64);
        enough = enough && x;
        if (!x)
            continue;
        double *t = x + c->terms * LANES;
        int64_t group = i / panels, p = i % panels * LANES;
        gather(c, group, p, x, t);
        run_panel(c, group, p, x, t);
        ptf_free(x);
    }
    return enough;
}

ptf_status ptf_enclose_conv(const ptf_attrs *attrs, const ptf_shape *in_shape,
                            const ptf_shape *out_shape,
                            const ptf_affine *affine, ptf_balls in,
                            ptf_balls out, ptf_error *err)
{
    bool flat = in_shape->rank == 2;
    conv c = {
        .attrs = attrs,
        .affine = affine,
        .in = in,
        .out = out,
        .height = flat ? 1 : in_shape->dim[1],
        .width = in_shape->dim[flat ? 1 : 2],
        .out_height = flat ? 1 : out_shape->dim[1],
        .out_width = out_shape->dim[flat ? 1 : 2],
        .group_in = attrs->in_channels / attrs->groups,
        .group_out = attrs->out_channels / attrs->groups,
    };
    c.terms = c.group_in * attrs->kernel[0] * attrs->kernel[1];
    ptf_status status = check_terms(c.terms, err);
    if (status != PTF_OK)
        return status;
    c.g = ptf_gamma(c.terms + 4) + 2 * affine->relative;
    return run_conv(&c) ? PTF_OK : ptf_fail_memory(err);
}
