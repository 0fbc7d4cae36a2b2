/*
 * Gradients of a chain of one-channel convolutions,
 *
 *     y_l = sigma(A_l y_{l-1} + b_l 1),  l < L,    y_L = A_L y_{L-1} + b_L,
 *
 * against the matrices A_l themselves, written out, and against difference
 * quotients of the chain in double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "reference_grad.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { MOST_LAYERS = 6, MOST_TAPS = 9, MOST_N = MOST_LAYERS * MOST_TAPS };

typedef struct chain {
    const char *sigma;
    int layers;
    int n[MOST_LAYERS + 1]; /* lengths of y_0 .. y_L */
    int f[MOST_LAYERS + 1]; /* taps of layers 1 .. L */
    char text[2048];
    fixture fix;
    float x[MOST_N];
    ptf_gradient *g;
} chain;

static int between(uint64_t *state, int low, int high)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return low + (int)((*state >> 33) % (uint64_t)(high - low + 1));
}

/* Random filter sizes, and the input length that leaves one output. */
static void chain_make(chain *c, const char *sigma, int layers, uint64_t seed)
{
    *c = (chain){.sigma = sigma, .layers = layers};
    size_t used = (size_t)sprintf(c->text, "Sequential(\n");
    c->n[layers] = 1;
    for (int l = 1; l <= layers; l++) {
        c->f[l] = between(&seed, 1, MOST_TAPS);
        used += (size_t)snprintf(c->text + used, sizeof(c->text) - used,
                                 "  (%d): Conv1d(1, 1, kernel_size=(%d,), "
                                 "stride=(1,))\n",
                                 2 * l, c->f[l]);
        if (l < layers)
            used += (size_t)snprintf(c->text + used, sizeof(c->text) - used,
                                     "  (%d): %s\n", 2 * l + 1, sigma);
    }
    snprintf(c->text + used, sizeof(c->text) - used, ")\n");
    for (int l = layers; l > 0; l--)
        c->n[l - 1] = c->n[l] + c->f[l] - 1;
    fixture_build(&c->fix, c->text);
    ptf_random_fill(seed, 0, c->x, (size_t)c->n[0]);
    ptf_shape shape = {2, {1, c->n[0]}};
    const float one = 1.0F;
    float y;
    ptf_error err;
    if (ptf_gradient_make(c->fix.net, &shape, 1, NULL, &c->g, &err) ||
        ptf_gradient_run(c->g, c->x, 1, &y, &err) ||
        ptf_gradient_back(c->g, &one, &err))
        fail_msg("%s", err.message);
}

static void chain_free(chain *c)
{
    ptf_gradient_free(c->g);
    fixture_free(&c->fix);
}

static void expect(double got, double want, double scale, const char *what,
                   const chain *c)
{
    if (!(fabs(got - want) <= 1e-5 * scale + 1e-9))
        fail_msg("%s: %.9g, expected %.9g in\n%s", what, got, want, c->text);
}

/* ----------------------------------------------------------------- matrices */

static double sigma(const chain *c, double z, double *slope)
{
    if (strcmp(c->sigma, "Sigmoid()") == 0) {
        double s = 1.0 / (1.0 + exp(-z));
        *slope = s * (1.0 - s);
        return s;
    }
    if (strcmp(c->sigma, "Tanh()") == 0) {
        *slope = 1.0 - tanh(z) * tanh(z);
        return tanh(z);
    }
    if (strcmp(c->sigma, "Softplus(beta=1.0, threshold=20.0)") == 0) {
        *slope = 1.0 / (1.0 + exp(-z));
        return log(1.0 + exp(z));
    }
    *slope = z > 0 ? 1.0 : 0.0;
    return z > 0 ? z : 0.0;
}

/* Layer l's weight (role 0) or bias (1), or the gradient by it. */
static const float *parameter(const chain *c, bool gradient, int l, int role)
{
    size_t i = (size_t)(2 * (l - 1) + role);
    const ptf_tensor *t =
        gradient ? ptf_gradient_tensor(c->g, i) : ptf_net_tensor(c->fix.net, i);
    return t->data;
}

typedef struct layer {
    double a[MOST_N][MOST_N]; /* A_l, n_l x n_{l-1} */
    double y[MOST_N], slope[MOST_N];
} layer;

static void forward(const chain *c, layer *layers)
{
    for (int i = 0; i < c->n[0]; i++)
        layers[0].y[i] = (double)c->x[i];
    for (int l = 1; l <= c->layers; l++) {
        layer *to = &layers[l];
        for (int i = 0; i < c->n[l]; i++) {
            double z = (double)parameter(c, false, l, 1)[0];
            for (int k = 0; k < c->f[l]; k++)
                to->a[i][i + k] = (double)parameter(c, false, l, 0)[k];
            for (int j = 0; j < c->n[l - 1]; j++)
                z += to->a[i][j] * layers[l - 1].y[j];
            to->slope[i] = 1.0;
            to->y[i] = l < c->layers ? sigma(c, z, &to->slope[i]) : z;
        }
    }
}

/* dy_L/dw_l = (C_v y_{l-1})^T and dy_L/db_l = v 1. */
static void expect_parameters(const chain *c, int l, const double *v,
                              const double *below)
{
    double sum = 0, size = 0;
    for (int i = 0; i < c->n[l]; i++) {
        sum += v[i];
        size += fabs(v[i]);
    }
    expect((double)parameter(c, true, l, 1)[0], sum, size, "bias", c);
    for (int k = 0; k < c->f[l]; k++) {
        double w = 0, scale = 0;
        for (int i = 0; i < c->n[l]; i++) {
            w += v[i] * below[i + k];
            scale += fabs(v[i] * below[i + k]);
        }
        expect((double)parameter(c, true, l, 0)[k], w, scale, "weight", c);
    }
}

static void expect_matrices(const chain *c)
{
    layer *layers = calloc(MOST_LAYERS + 1, sizeof(layer));
    assert_non_null(layers);
    forward(c, layers);
    double v[MOST_N] = {1.0}, size[MOST_N] = {1.0};
    for (int l = c->layers; l > 0; l--) {
        double next[MOST_N] = {0}, magnitude[MOST_N] = {0};
        expect_parameters(c, l, v, layers[l - 1].y);
        for (int j = 0; j < c->n[l - 1]; j++) {
            for (int i = 0; i < c->n[l]; i++) {
                next[j] += v[i] * layers[l].a[i][j];
                magnitude[j] += size[i] * fabs(layers[l].a[i][j]);
            }
            if (l > 1)
                next[j] *= layers[l - 1].slope[j];
        }
        memcpy(v, next, sizeof(v));
        memcpy(size, magnitude, sizeof(size));
    }
    for (int j = 0; j < c->n[0]; j++)
        expect((double)ptf_gradient_input(c->g, 0)[j], v[j], size[j], "input",
               c);
    free(layers);
}

/* -------------------------------------------------------------- differences */

/* dy_L/d(*at) by a central difference. */
static double difference(tape *t, const double *x, double *at)
{
    double keep = *at, step = 1e-5;
    *at = keep + step;
    double y = tape_run(t, x)[0];
    *at = keep - step;
    y -= tape_run(t, x)[0];
    *at = keep;
    return y / (2 * step);
}

static void expect_differences(const chain *c)
{
    tape t;
    ptf_shape shape = {2, {1, c->n[0]}};
    tape_init(&t, c->fix.net, &shape);
    double x[MOST_N];
    for (int i = 0; i < c->n[0]; i++)
        x[i] = (double)c->x[i];
    for (int i = 0; i < c->n[0]; i++)
        expect((double)ptf_gradient_input(c->g, 0)[i], difference(&t, x, &x[i]),
               10.0, "difference by the input", c);
    for (int l = 1; l <= c->layers; l++) {
        double **p = t.parameter[2 * l - 1];
        for (int k = 0; k < c->f[l]; k++)
            expect((double)parameter(c, true, l, 0)[k],
                   difference(&t, x, &p[PTF_ROLE_WEIGHT][k]), 10.0,
                   "difference by a weight", c);
        expect((double)parameter(c, true, l, 1)[0],
               difference(&t, x, &p[PTF_ROLE_BIAS][0]), 10.0,
               "difference by a bias", c);
    }
    tape_free(&t);
}

static void chains_have_the_gradients_of_their_matrices(void **unused)
{
    (void)unused;
    static const char *const sigmas[] = {"Sigmoid()", "Tanh()", "ReLU()",
                                         "Softplus(beta=1.0, threshold=20.0)"};
    for (uint64_t i = 0; i < PTF_ARRAY_SIZE(sigmas) * MOST_LAYERS * 4; i++) {
        chain c;
        chain_make(&c, sigmas[i % PTF_ARRAY_SIZE(sigmas)],
                   1 + (int)(i / 4 % MOST_LAYERS), i + 1);
        expect_matrices(&c);
        expect_differences(&c);
        chain_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_have_the_gradients_of_their_matrices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
