/*
 * Folding, rightly and wrongly.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bad_folds.h"

#include <math.h>

const char misfold_original[] = //
    "# input: 2x6x6\n"
    "Planted(\n"
    "  (0): Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
    "  (1): " BN2(
        4) "\n"
           "  (2): ReLU()\n"
           "  (3): Conv2d(4, 3, kernel_size=(3, 3), stride=(1, 1), bias=False)\n"
           "  (4): " BN2(
               3) "\n"
                  "  (5): ReLU()\n"
                  "  (6): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, "
                  "ceil_mode=False)\n"
                  "  (7): Linear(in_features=12, out_features=6, bias=True)\n"
                  "  (8): " BN1(
                      6) "\n"
                         "  (9): ReLU()\n"
                         "  (10): Linear(in_features=6, out_features=5, bias=True)\n"
                         ")\n";

/* ------------------------------------------------------------------ folding */

/* One layer of the original with its batch norm, into one of the result. */
static const struct {
    const char *layer, *norm, *result;
    int channels, row;
    bool bias;
} folds[] = {
    {"0", "1", "0", 4, 18, true},
    {"3", "4", "2", 3, 36, false},
    {"7", "8", "5", 6, 12, true},
};

static const float *number(fixture *f, const char *layer, const char *role)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.%s", layer, role);
    return fixture_numbers(f, name);
}

static double scale_of(fixture *a, int i, int c, mistake m)
{
    double gamma = (double)number(a, folds[i].norm, "weight")[c];
    double var = (double)number(a, folds[i].norm, "running_var")[c];
    double eps = m == WRONG_EPS ? 1e-3 : m == NO_EPS ? 0 : 1e-5;
    if (m == UNBIASED_VARIANCE)
        var *= 64.0 / 63.0;
    if (m == EPS_OUTSIDE_ROOT)
        return gamma / (sqrt(var) + eps);
    if (m == NO_ROOT)
        return gamma / (var + eps);
    double scale = (m == NO_GAMMA ? 1 : gamma) / sqrt(var + eps);
    return m == SCALE_ROUNDED_FIRST ? (double)(float)scale : scale;
}

static double bias_of(fixture *a, int i, int c, double scale, mistake m)
{
    const char *norm = folds[i].norm;
    double beta = (double)number(a, norm, "bias")[c];
    double mean = (double)number(a, norm, "running_mean")[c];
    double bias = 0;
    if (folds[i].bias && m != NO_OLD_BIAS)
        bias = (double)number(a, folds[i].layer, "bias")[c];
    if (m == NO_BETA)
        beta = 0;
    if (m == NO_MEAN)
        mean = 0;
    if (m == MEAN_NOT_SCALED)
        return bias * scale - mean + beta;
    if (m == NO_GAMMA_ON_BIAS)
        scale /= (double)number(a, norm, "weight")[c];
    return (bias - mean) * scale + beta;
}

static void fold_channel(fixture *a, fixture *b, int i, int c, mistake m)
{
    int from = m == NEXT_CHANNEL ? (c + 1) % folds[i].channels : c;
    double scale = scale_of(a, i, from, m);
    const float *old = number(a, folds[i].layer, "weight") + c * folds[i].row;
    char weight[64], bias[64];
    snprintf(weight, sizeof(weight), "%s.weight", folds[i].result);
    snprintf(bias, sizeof(bias), "%s.bias", folds[i].result);
    float *to = fixture_numbers(b, weight) + c * folds[i].row;
    for (int k = 0; k < folds[i].row; k++) {
        to[k] = (float)((double)old[k] * scale);
        if (m == IN_F32)
            to[k] =
                old[k] * number(a, folds[i].norm, "weight")[c] *
                (1 / sqrtf(number(a, folds[i].norm, "running_var")[c] + 1e-5F));
        if (m == FOLDED_TWICE)
            to[k] = (float)((double)to[k] * scale);
    }
    fixture_numbers(b, bias)[c] =
        (float)bias_of(a, i, c, scale_of(a, i, c, m), m);
}

void misfold(fixture *a, fixture *b, int at, mistake m)
{
    static const char *const roles[] = {"weight", "bias"};
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < folds[i].channels; c++)
            fold_channel(a, b, i, c, i == at ? m : NONE);
    for (int i = 0; i < 2; i++) {
        char from[64], to[64];
        snprintf(from, sizeof(from), "10.%s", roles[i]);
        snprintf(to, sizeof(to), "7.%s", roles[i]);
        memcpy(fixture_numbers(b, to), fixture_numbers(a, from),
               fixture_entry_of(a, from)->size);
    }
}

/* ---------------------------------------------------------- other originals */

#define PADDED "Conv2d(2, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))"

const char norm_first_text[] = //
    "# input: 2x6x6\n"
    "First(\n"
    "  (0): " BN2(2) "\n"
                     "  (1): " PADDED "\n"
                     "  (2): ReLU()\n"
                     ")\n";
const char norm_gone_text[] = //
    "# input: 2x6x6\n"
    "First(\n"
    "  (0): " PADDED "\n"
    "  (1): ReLU()\n"
    ")\n";
const char norm_last_text[] = //
    "# input: 2x6x6\n"
    "Last(\n"
    "  (0): " PADDED "\n"
    "  (1): ReLU()\n"
    "  (2): " BN2(2) "\n"
                     ")\n";
const char shared_text[] = //
    "# input: 2x6x6\n"
    "Shared(\n"
    "  (0): " PADDED "\n"
    "  (1): " BN2(2) "\n"
                     "  (2): ReLU()\n"
                     "  (3): " PADDED "\n"
                     "  (4): " BN2(2) "\n"
                                      ")\n";
const char shared_folded_text[] = //
    "# input: 2x6x6\n"
    "Shared(\n"
    "  (0): " PADDED "\n"
    "  (1): ReLU()\n"
    "  (2): " PADDED "\n"
    ")\n";

/* y = x s + t of a norm's channel. */
static void norm_of(fixture *a, const char *norm, int c, double *s, double *t)
{
    *s = (double)number(a, norm, "weight")[c] /
         sqrt((double)number(a, norm, "running_var")[c] + 1e-5);
    *t = (double)number(a, norm, "bias")[c] -
         (double)number(a, norm, "running_mean")[c] * *s;
}

void fold_through_padding(fixture *a, fixture *b)
{
    const float *w = number(a, "1", "weight"), *bias = number(a, "1", "bias");
    for (int o = 0; o < 2; o++) {
        double sum = (double)bias[o];
        for (int k = 0; k < 18; k++) {
            double s, t, x = (double)w[18 * o + k];
            norm_of(a, "0", k / 9, &s, &t);
            fixture_numbers(b, "0.weight")[18 * o + k] = (float)(x * s);
            sum += x * t;
        }
        fixture_numbers(b, "0.bias")[o] = (float)sum;
    }
}

/* Into 'layer' of b; 'again' is a norm whose scale goes in as well, or NULL. */
static void fold_into(fixture *a, const char *from, const char *norm,
                      fixture *b, const char *layer, const char *again)
{
    char name[64];
    for (int c = 0; c < 2; c++) {
        double s, t, more = 1, none;
        norm_of(a, norm, c, &s, &t);
        if (again != NULL)
            norm_of(a, again, c, &more, &none);
        snprintf(name, sizeof(name), "%s.weight", layer);
        for (int k = 18 * c; k < 18 * c + 18; k++)
            fixture_numbers(b, name)[k] =
                (float)((double)number(a, from, "weight")[k] * s * more);
        snprintf(name, sizeof(name), "%s.bias", layer);
        fixture_numbers(b, name)[c] =
            (float)((double)number(a, from, "bias")[c] * s + t);
    }
}

void fold_through_relu(fixture *a, fixture *b)
{
    fold_into(a, "0", "2", b, "0", NULL);
}

static void share(fixture *a)
{
    memcpy(fixture_numbers(a, "3.weight"), fixture_numbers(a, "0.weight"),
           36 * sizeof(float));
}

void fold_shared(fixture *a, fixture *b)
{
    share(a);
    fold_into(a, "0", "1", b, "0", NULL);
    fold_into(a, "3", "4", b, "2", NULL);
}

void fold_shared_twice(fixture *a, fixture *b)
{
    share(a);
    fold_into(a, "0", "1", b, "0", "4");
    fold_into(a, "3", "4", b, "2", "1");
}

void fold_shared_once(fixture *a, fixture *b)
{
    share(a);
    fold_into(a, "0", "1", b, "0", NULL);
    fold_into(a, "3", "1", b, "2", NULL);
}
