/*
 * What rounding can do to a layer, at most.
 *
 * u is the unit roundoff of the dtype, gamma(n) = n u / (1 - n u) (Higham,
 * Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1).
 * A number x^ of the input is what some evaluation has, within r of the exact
 * x; the numbers at hand are one evaluation, so that any other has at most
 * |x^| + 2r.  The error of a sum of K terms, summed in any order and with a
 * bias, is then below
 *
 *     sum of |w| (r + g (|x^| + 2r)) + g |b|,   g = gamma(K + 4)
 *
 * where the 4 leaves room for the bias and for parameters that were rounded
 * to the dtype first.  The sum of |w| t is the layer itself on magnitudes: it
 * is libtorch that computes it, in double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/oracle/layers.h"

#include <math.h>

/* Makes good what rounding took from a bound that was computed in double. */
#define UP (1 + 0x1p-20)

static double roundoff(const oracle_walk *walk)
{
    return walk->dtype == LTC_F32 ? 0x1p-24 : 0x1p-53;
}

/* More than all underflows of a layer lose. */
static double tiny(const oracle_walk *walk)
{
    return walk->dtype == LTC_F32 ? 0x1p-110 : 0x1p-1000;
}

static double gamma_of(const oracle_walk *walk, int64_t n)
{
    double nu = (double)n * roundoff(walk);
    return nu < 0.5 ? nu / (1 - nu) : (double)INFINITY;
}

/* out->bound = the layer on the magnitudes r + g (|x| + 2r) of its input. */
static ptf_status push(oracle_walk *walk, double g, const oracle_value *in,
                       oracle_value *out)
{
    double *t = malloc((size_t)in->count * sizeof(*t));
    if (t == NULL)
        return oracle_fail(walk, PTF_MEMORY, "out of memory");
    for (int64_t i = 0; i < in->count; i++)
        t[i] = in->bound[i] + g * (fabs(in->numbers[i]) + 2 * in->bound[i]);
    ltc_tensor *x = NULL, *y = NULL;
    ptf_status status = oracle_check(
        walk, walk->torch->tensor_make(t, LTC_F64, in->rank, in->shape, 0, &x));
    free(t);
    const oracle_row *row = oracle_row_find(walk->layer.op);
    if (status == PTF_OK)
        status = row->run(walk, x, true, &y);
    if (status == PTF_OK)
        status = oracle_check(
            walk, walk->torch->tensor_read(y, LTC_F64, out->bound, out->count));
    walk->torch->tensor_free(x);
    walk->torch->tensor_free(y);
    for (int64_t i = 0; status == PTF_OK && i < out->count; i++)
        out->bound[i] = out->bound[i] * UP + tiny(walk);
    return status;
}

/* Parameters of a layer, one number per channel; all may be NULL. */
enum { BIAS, SCALE, SHIFT, WEIGHT, MEAN, VARIANCE, NUMBERS };

static ptf_status read_numbers(oracle_walk *walk, unsigned wanted,
                               double *out[NUMBERS])
{
    static const char *const roles[] = {
        "bias", "scale", "shift", "weight", "running_mean", "running_var"};
    ptf_status status = PTF_OK;
    for (int i = 0; i < NUMBERS; i++) {
        out[i] = NULL;
        if (status == PTF_OK && (wanted >> i & 1) != 0)
            status = oracle_numbers(walk, roles[i], &out[i]);
    }
    return status;
}

static void free_numbers(double *numbers[NUMBERS])
{
    for (int i = 0; i < NUMBERS; i++)
        free(numbers[i]);
}

static double at_or(const double *numbers, int64_t i, double otherwise)
{
    return numbers != NULL ? numbers[i] : otherwise;
}

static int64_t channel_of(const oracle_value *value, int64_t i)
{
    int64_t inner = 1;
    for (int d = 2; d < value->rank; d++)
        inner *= value->shape[d];
    return i / inner % value->shape[1];
}

/* y = scale (sum + bias) + shift, where the last two are not always there. */
ptf_status oracle_bound_sum(oracle_walk *walk, const oracle_value *in,
                            oracle_value *out)
{
    ltc_tensor *weight;
    int rank = 0;
    int64_t shape[ORACLE_RANK], terms = 1;
    double *p[NUMBERS];
    ptf_status status = oracle_parameter(walk, "weight", true, &weight);
    if (status == PTF_OK)
        status = oracle_check(walk, walk->torch->tensor_rank(weight, &rank));
    if (status == PTF_OK)
        status = oracle_check(walk, walk->torch->tensor_shape(weight, shape));
    if (status != PTF_OK)
        return status;
    for (int d = 1; d < rank; d++)
        terms *= shape[d];
    double g = gamma_of(walk, terms + 4), u = roundoff(walk);
    status = push(walk, g, in, out);
    ptf_status read =
        read_numbers(walk, 1 << BIAS | 1 << SCALE | 1 << SHIFT, p);
    for (int64_t i = 0; read == PTF_OK && i < out->count; i++) {
        int64_t c = channel_of(out, i);
        double scale = fabs(at_or(p[SCALE], c, 1));
        out->bound[i] += g * scale * fabs(at_or(p[BIAS], c, 0));
        if (p[SCALE] != NULL)
            out->bound[i] +=
                8 * u * (fabs(out->numbers[i]) + fabs(at_or(p[SHIFT], c, 0)));
    }
    free_numbers(p);
    return status != PTF_OK ? status : read;
}

/*
 * With a = weight / sqrt(var + eps), either as a (x - mean) + bias or as a x +
 * (bias - mean a): no operation takes part more than once, there are at most
 * six before the last, and |y| is below the sum of the three terms.  16 is
 * more than twice that.
 */
ptf_status oracle_bound_norm(oracle_walk *walk, const oracle_value *in,
                             oracle_value *out)
{
    double *p[NUMBERS];
    double eps = oracle_number(walk->layer.text, "eps", 1e-5);
    double g = 16 * roundoff(walk);
    ptf_status status = push(walk, g, in, out);
    ptf_status read = read_numbers(
        walk, 1 << BIAS | 1 << WEIGHT | 1 << MEAN | 1 << VARIANCE, p);
    for (int64_t i = 0; read == PTF_OK && i < out->count; i++) {
        int64_t c = channel_of(out, i);
        double a = at_or(p[WEIGHT], c, 1) / sqrt(p[VARIANCE][c] + eps);
        out->bound[i] +=
            g * (fabs(a * p[MEAN][c]) + fabs(at_or(p[BIAS], c, 0)));
    }
    free_numbers(p);
    return status != PTF_OK ? status : read;
}

/* A sum of at most the window, and a division. */
ptf_status oracle_bound_mean(oracle_walk *walk, const oracle_value *in,
                             oracle_value *out)
{
    int64_t kernel[2];
    oracle_pair(walk->layer.text, "kernel_size", 0, kernel);
    int64_t terms = kernel[0] * kernel[1];
    if (terms == 0) /* adaptive */
        terms = in->shape[2] * in->shape[3];
    return push(walk, gamma_of(walk, terms + 4), in, out);
}

/* One of its inputs, unchanged; which one may change by the bounds of both. */
ptf_status oracle_bound_choice(oracle_walk *walk, const oracle_value *in,
                               oracle_value *out)
{
    return push(walk, 0, in, out);
}

/*
 * The slope at most, and what the function itself costs: in units of u, per
 * |x| and absolute.  exp and tanh of vector libraries are off by 1 ULP.
 */
static const struct {
    const char *class_name;
    double slope, relative, absolute;
} pointwise[] = {
    {"ReLU", 1, 0, 0},
    {"LeakyReLU", 1, 4, 0},
    {"Sigmoid", 0.25, 0, 8},
    {"Tanh", 1, 0, 8},
};

ptf_status oracle_bound_pointwise(oracle_walk *walk, const oracle_value *in,
                                  oracle_value *out)
{
    size_t row = 0;
    while (strcmp(pointwise[row].class_name, walk->layer.op) != 0)
        row++;
    double u = roundoff(walk);
    double slope = oracle_number(walk->layer.text, "negative_slope", 0);
    slope = fmax(pointwise[row].slope, fabs(slope));
    for (int64_t i = 0; i < out->count; i++) {
        double x = fabs(in->numbers[i]) + 2 * in->bound[i];
        double own = pointwise[row].relative * slope * x;
        out->bound[i] = slope * in->bound[i] * UP +
                        u * (own + pointwise[row].absolute) + tiny(walk);
    }
    return PTF_OK;
}

/* What is left of a softplus times beta when z or -z is taken away. */
static double bend(double z)
{
    return fmax(z, 0) + log1p(exp(-fabs(z)));
}

/*
 * The slope is 1 at most, but at the threshold the output drops to x.  In units
 * of u: beta and z = beta x are rounded, exp and log1p are off by 2 ULP, and a
 * division follows, each relative to at most |x| + log(2) / beta.
 */
ptf_status oracle_bound_softplus(oracle_walk *walk, const oracle_value *in,
                                 oracle_value *out)
{
    double beta = fabs(oracle_number(walk->layer.text, "beta", 1));
    double sign = oracle_number(walk->layer.text, "beta", 1) / beta;
    double threshold = oracle_number(walk->layer.text, "threshold", 20);
    double u = roundoff(walk);
    for (int64_t i = 0; i < out->count; i++) {
        double r = in->bound[i], x = fabs(in->numbers[i]) + 2 * r;
        double away = fabs(sign * beta * in->numbers[i] - threshold);
        double blur = 2 * beta * r + 8 * u * (beta * x + fabs(threshold));
        out->bound[i] = r * UP + 8 * u * (x + 1 / beta) + tiny(walk);
        if (away <= blur)
            out->bound[i] += bend(-threshold) / beta * UP;
    }
    return PTF_OK;
}

/*
 * Arguments that are off by r, and by u |x - max| from the subtraction, move
 * each output by a factor within exp(2 r) and exp(2 u |x - max|); exp, the
 * sum and the division add gamma(n + 8) to the exponent.  After 800 the
 * output is nothing but underflow.
 */
ptf_status oracle_bound_softmax(oracle_walk *walk, const oracle_value *in,
                                oracle_value *out)
{
    int axis = oracle_softmax_axis(walk->layer.text, in->rank);
    int64_t n = in->shape[axis], step = 1;
    for (int d = axis + 1; d < in->rank; d++)
        step *= in->shape[d];
    double own = 2 * (800 * roundoff(walk) + gamma_of(walk, n + 8));
    for (int64_t i = 0; i < in->count; i++) {
        int64_t first = i - i / step % n * step;
        double reach = 0;
        for (int64_t k = 0; k < n; k++)
            reach = fmax(reach, in->bound[first + k * step]);
        double moved = expm1(2 * reach + own) * UP;
        out->bound[i] =
            fmin(fabs(out->numbers[i]) * moved, 1) + tiny(walk) * (1 + moved);
    }
    return PTF_OK;
}
