/*
 * Certificates: they hold for what ptfold does, and for every fault of a table
 * they do not, and name the layer.  The faulty nets are folded by code of
 * this file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"

#include <math.h>

/* The original. */
static const char original_text[] = //
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

/* Its folded form, in parts that a fault may exchange. */
#define FOLDED(activation, pool, second)                                  \
    "# input: 2x6x6\n"                                                    \
    "Planted(\n"                                                          \
    "  (0): Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, " \
    "1))\n"                                                               \
    "  (1): ReLU()\n"                                                     \
    "  (2): " second "\n"                                                 \
    "  (3): " activation "\n"                                             \
    "  (4): " pool "\n"                                                   \
    "  (5): Linear(in_features=12, out_features=6, bias=True)\n"          \
    "  (6): ReLU()\n"                                                     \
    "  (7): Linear(in_features=6, out_features=5, bias=True)\n"           \
    ")\n"
#define CONV_2 "Conv2d(4, 3, kernel_size=(3, 3), stride=(1, 1))"
#define POOL_2                                                   \
    "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, " \
    "ceil_mode=False)"

static const char folded_text[] = FOLDED("ReLU()", POOL_2, CONV_2);

/* ------------------------------------------------------------------ folding */

/* What a fold may do wrong. */
typedef enum mistake {
    NONE,
    WRONG_EPS,
    NO_EPS,
    EPS_OUTSIDE_ROOT,
    NO_GAMMA,
    NO_GAMMA_ON_BIAS,
    NO_BETA,
    NO_MEAN,
    MEAN_NOT_SCALED,
    NO_OLD_BIAS,
    NO_ROOT,
    UNBIASED_VARIANCE,
    NEXT_CHANNEL,
    FOLDED_TWICE,
    IN_F32,
    SCALE_ROUNDED_FIRST,
} mistake;

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

/* 'b' becomes the folded 'a', with a mistake in fold 'at'. */
static void fold(fixture *a, fixture *b, int at, mistake m)
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

/* ------------------------------------------------------------- damage after */

static void swap(float *a, float *b, int n)
{
    for (int i = 0; i < n; i++) {
        float x = a[i];
        a[i] = b[i];
        b[i] = x;
    }
}

static void weight_ulp(fixture *b)
{
    float *w = &fixture_numbers(b, "2.weight")[17];
    *w = nextafterf(*w, 2);
}

static void bias_ulp(fixture *b)
{
    float *w = &fixture_numbers(b, "5.bias")[3];
    *w = nextafterf(*w, -2);
}

static void unfolded_weight_ulp(fixture *b)
{
    float *w = &fixture_numbers(b, "7.weight")[29];
    *w = nextafterf(*w, 2);
}

static void output_channels_swapped(fixture *b)
{
    float *w = fixture_numbers(b, "0.weight");
    swap(w, w + 18, 18);
}

static void input_channels_swapped(fixture *b)
{
    float *w = fixture_numbers(b, "0.weight");
    for (int c = 0; c < 4; c++)
        swap(w + 18 * c, w + 18 * c + 9, 9);
}

static void kernel_flipped(fixture *b)
{
    float *w = fixture_numbers(b, "2.weight");
    for (int i = 0; i < 12; i++)
        for (int k = 0; k < 4; k++)
            swap(w + 9 * i + k, w + 9 * i + 8 - k, 1);
}

static void kernel_transposed(fixture *b)
{
    static const int pairs[][2] = {{1, 3}, {2, 6}, {5, 7}};
    float *w = fixture_numbers(b, "2.weight");
    for (int i = 0; i < 12; i++)
        for (int k = 0; k < 3; k++)
            swap(w + 9 * i + pairs[k][0], w + 9 * i + pairs[k][1], 1);
}

/* 3 x 2 x 2 read as 2 x 2 x 3. */
static void height_width_channel(fixture *b)
{
    float *w = fixture_numbers(b, "5.weight");
    for (int j = 0; j < 6; j++, w += 12) {
        float old[12];
        memcpy(old, w, sizeof(old));
        for (int k = 0; k < 12; k++)
            w[k] = old[k % 3 * 4 + k / 3];
    }
}

/* [6][12] filled as if it were [12][6]. */
static void linear_transposed(fixture *b)
{
    float old[72], *w = fixture_numbers(b, "5.weight");
    memcpy(old, w, sizeof(old));
    for (int k = 0; k < 72; k++)
        w[k] = old[k % 6 * 12 + k / 6];
}

static void sign_flipped(fixture *b)
{
    fixture_numbers(b, "7.weight")[4] *= -1;
}

static void weight_pruned(fixture *b)
{
    fixture_numbers(b, "5.weight")[70] = 0;
}

static void weights_in_bfloat16(fixture *b)
{
    float *w = fixture_numbers(b, "2.weight");
    for (int k = 0; k < 108; k++) {
        uint32_t bits;
        memcpy(&bits, &w[k], 4);
        bits &= 0xffff0000u;
        memcpy(&w[k], &bits, 4);
    }
}

static void biases_swapped(fixture *b)
{
    float *w = fixture_numbers(b, "0.bias");
    swap(w, w + 1, 1);
}

static void bias_in_other_order(fixture *b)
{
    float *w = fixture_numbers(b, "7.bias");
    swap(w, w + 4, 1);
    swap(w + 1, w + 3, 1);
}

static void weight_subnormal(fixture *b)
{
    fixture_numbers(b, "7.weight")[0] = 1e-40F;
}

/* ---------------------------------------------------------------- the table */

typedef struct fault {
    const char *name;
    const char *layer; /* what the report must name; NULL: none, it is sound */
    const char *text;  /* NULL: folded_text */
    int at;            /* which fold has the mistake */
    mistake mistake;
    void (*damage)(fixture *b);
} fault;

#define LEAKY "LeakyReLU(negative_slope=0.01)"
#define CEIL                                                     \
    "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, " \
    "ceil_mode=True)"
#define AVERAGE "AvgPool2d(kernel_size=2, stride=2, padding=0)"
#define SHIFTED                                                        \
    "Conv2d(4, 3, kernel_size=(3, 3), stride=(2, 2), padding=(2, 2), " \
    "dilation=(1, 1))"

static const fault faults[] = {
    {"nothing wrong", NULL, NULL, 0, NONE, NULL},
    {"a pool that is the same here", NULL, FOLDED("ReLU()", CEIL, CONV_2), 0,
     NONE, NULL},
    {"another eps", "0.weight", NULL, 0, WRONG_EPS, NULL},
    {"no eps", "2.weight", NULL, 1, NO_EPS, NULL},
    {"eps outside of the root", "0.weight", NULL, 0, EPS_OUTSIDE_ROOT, NULL},
    {"no gamma", "5.weight", NULL, 2, NO_GAMMA, NULL},
    {"gamma missing on the bias", "0.bias", NULL, 0, NO_GAMMA_ON_BIAS, NULL},
    {"no beta", "2.bias", NULL, 1, NO_BETA, NULL},
    {"no mean", "5.bias", NULL, 2, NO_MEAN, NULL},
    {"the mean not scaled", "0.bias", NULL, 0, MEAN_NOT_SCALED, NULL},
    {"the old bias lost", "5.bias", NULL, 2, NO_OLD_BIAS, NULL},
    {"variance for deviation", "2.weight", NULL, 1, NO_ROOT, NULL},
    {"unbiased variance", "0.weight", NULL, 0, UNBIASED_VARIANCE, NULL},
    {"the next channel's norm", "2.weight", NULL, 1, NEXT_CHANNEL, NULL},
    {"folded twice", "5.weight", NULL, 2, FOLDED_TWICE, NULL},
    {"folded in f32", "0.weight", NULL, 0, IN_F32, NULL},
    {"the scale rounded first", "2.weight", NULL, 1, SCALE_ROUNDED_FIRST, NULL},
    {"a weight one ULP off", "2.weight", NULL, 0, NONE, weight_ulp},
    {"a bias one ULP off", "5.bias", NULL, 0, NONE, bias_ulp},
    {"a weight one ULP off where nothing is folded", "7.weight", NULL, 0, NONE,
     unfolded_weight_ulp},
    {"output channels swapped", "0.weight", NULL, 0, NONE,
     output_channels_swapped},
    {"input channels swapped", "0.weight", NULL, 0, NONE,
     input_channels_swapped},
    {"kernel flipped", "2.weight", NULL, 0, NONE, kernel_flipped},
    {"kernel transposed", "2.weight", NULL, 0, NONE, kernel_transposed},
    {"HWC order", "5.weight", NULL, 0, NONE, height_width_channel},
    {"a transposed reshape", "5.weight", NULL, 0, NONE, linear_transposed},
    {"a sign", "7.weight", NULL, 0, NONE, sign_flipped},
    {"a weight pruned", "5.weight", NULL, 0, NONE, weight_pruned},
    {"bfloat16 weights", "2.weight", NULL, 0, NONE, weights_in_bfloat16},
    {"two biases swapped", "0.bias", NULL, 0, NONE, biases_swapped},
    {"biases in another order", "7.bias", NULL, 0, NONE, bias_in_other_order},
    {"a weight nearly gone", "7.weight", NULL, 0, NONE, weight_subnormal},
    {"another activation", "3", FOLDED(LEAKY, POOL_2, CONV_2), 0, NONE, NULL},
    {"another pool", "4", FOLDED("ReLU()", AVERAGE, CONV_2), 0, NONE, NULL},
    {"another stride and padding", "2", FOLDED("ReLU()", POOL_2, SHIFTED), 0,
     NONE, NULL},
};

/* -------------------------------------------------------------------- check */

static ptf_check *check_of(const ptf_net *a, const ptf_net *b, int count)
{
    ptf_check_options options = {
        .threads = 2, .atol = 1e-6, .rtol = 1e-5, .layers = true};
    ptf_check *check = NULL;
    ptf_shape shape;
    ptf_error err;
    assert_true(ptf_net_input(a, &shape));
    if (ptf_check_make(a, b, &shape, &options, &check, &err))
        fail_msg("%s", err.message);
    size_t size = (size_t)ptf_shape_numel(&shape);
    float *in = malloc((size_t)count * size * sizeof(*in));
    for (int i = 0; i < count; i++)
        ptf_random_fill(7, (uint64_t)i, in + (size_t)i * size, size);
    if (ptf_check_run(check, in, count, &err))
        fail_msg("%s", err.message);
    free(in);
    return check;
}

static void check_fault(const fault *f)
{
    static fixture a, b;
    fixture_init(&a, original_text);
    fixture_init(&b, f->text != NULL ? f->text : folded_text);
    fold(&a, &b, f->at, f->mistake);
    if (f->damage != NULL)
        f->damage(&b);
    fixture_make(&a);
    fixture_make(&b);
    ptf_check *check = check_of(a.net, b.net, 5);
    ptf_certificate c;
    ptf_check_certificate(check, &c);
    if (c.holds != (f->layer == NULL))
        fail_msg("%s: %s", f->name, c.holds ? "not seen" : c.reason);
    if (f->layer != NULL && (c.layer == NULL || strcmp(c.layer, f->layer) != 0))
        fail_msg("%s: found in %s (%s), expected %s", f->name,
                 c.layer != NULL ? c.layer : "-", c.reason, f->layer);
    if (f->layer != NULL)
        assert_true(ptf_check_level(check) > PTF_CERTIFIED);
    ptf_check_free(check);
    fixture_free(&a);
    fixture_free(&b);
}

static void every_planted_fault_is_found_where_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        check_fault(&faults[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_planted_fault_is_found_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
