/*
 * Certificates: they hold for what ptfold does, and for every fault of a table
 * they do not, and name the layer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "misfold.h"

#include <math.h>

static const char folded_text[] = FOLDED("ReLU()", POOL_2, CONV_2);

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
    ptf_level level; /* the strongest that is left; CERTIFIED: it is sound */
    const char *name;
    const char *layer; /* what the report must name, if it is not sound */
    const char *text;  /* NULL: folded_text */
    int at;            /* which fold has the mistake */
    mistake mistake;
    void (*damage)(fixture *b);
    /* For other originals than misfold_original: the text, and how to fold. */
    const char *original;
    void (*plant)(fixture *a, fixture *b);
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
    {PTF_CERTIFIED, "nothing wrong", NULL, NULL, 0, NONE, NULL, NULL, NULL},
    {PTF_CERTIFIED, "a pool that is the same here", NULL,
     FOLDED("ReLU()", CEIL, CONV_2), 0, NONE, NULL, NULL, NULL},
    {PTF_DIFFERENT, "another eps", "0.weight", NULL, 0, WRONG_EPS, NULL, NULL,
     NULL},
    {PTF_SAME_PREDICTIONS, "no eps", "2.weight", NULL, 1, NO_EPS, NULL, NULL,
     NULL},
    {PTF_SAME_PREDICTIONS, "eps outside of the root", "0.weight", NULL, 0,
     EPS_OUTSIDE_ROOT, NULL, NULL, NULL},
    {PTF_DIFFERENT, "no gamma", "5.weight", NULL, 2, NO_GAMMA, NULL, NULL,
     NULL},
    {PTF_DIFFERENT, "gamma missing on the bias", "0.bias", NULL, 0,
     NO_GAMMA_ON_BIAS, NULL, NULL, NULL},
    {PTF_DIFFERENT, "no beta", "2.bias", NULL, 1, NO_BETA, NULL, NULL, NULL},
    {PTF_DIFFERENT, "no mean", "5.bias", NULL, 2, NO_MEAN, NULL, NULL, NULL},
    {PTF_DIFFERENT, "the mean not scaled", "0.bias", NULL, 0, MEAN_NOT_SCALED,
     NULL, NULL, NULL},
    {PTF_DIFFERENT, "the old bias lost", "5.bias", NULL, 2, NO_OLD_BIAS, NULL,
     NULL, NULL},
    {PTF_DIFFERENT, "variance for deviation", "2.weight", NULL, 1, NO_ROOT,
     NULL, NULL, NULL},
    {PTF_DIFFERENT, "unbiased variance", "0.weight", NULL, 0, UNBIASED_VARIANCE,
     NULL, NULL, NULL},
    {PTF_DIFFERENT, "the next channel's norm", "2.weight", NULL, 1,
     NEXT_CHANNEL, NULL, NULL, NULL},
    {PTF_DIFFERENT, "folded twice", "5.weight", NULL, 2, FOLDED_TWICE, NULL,
     NULL, NULL},
    {PTF_SAME_PREDICTIONS, "folded in f32", "0.weight", NULL, 0, IN_F32, NULL,
     NULL, NULL},
    {PTF_SAME_PREDICTIONS, "the scale rounded first", "2.weight", NULL, 1,
     SCALE_ROUNDED_FIRST, NULL, NULL, NULL},
    {PTF_SAME_PREDICTIONS, "a weight one ULP off", "2.weight", NULL, 0, NONE,
     weight_ulp, NULL, NULL},
    {PTF_SAME_PREDICTIONS, "a bias one ULP off", "5.bias", NULL, 0, NONE,
     bias_ulp, NULL, NULL},
    {PTF_SAME_PREDICTIONS, "a weight one ULP off where nothing is folded",
     "7.weight", NULL, 0, NONE, unfolded_weight_ulp, NULL, NULL},
    {PTF_DIFFERENT, "output channels swapped", "0.weight", NULL, 0, NONE,
     output_channels_swapped, NULL, NULL},
    {PTF_DIFFERENT, "input channels swapped", "0.weight", NULL, 0, NONE,
     input_channels_swapped, NULL, NULL},
    {PTF_DIFFERENT, "kernel flipped", "2.weight", NULL, 0, NONE, kernel_flipped,
     NULL, NULL},
    {PTF_DIFFERENT, "kernel transposed", "2.weight", NULL, 0, NONE,
     kernel_transposed, NULL, NULL},
    {PTF_DIFFERENT, "HWC order", "5.weight", NULL, 0, NONE,
     height_width_channel, NULL, NULL},
    {PTF_DIFFERENT, "a transposed reshape", "5.weight", NULL, 0, NONE,
     linear_transposed, NULL, NULL},
    {PTF_DIFFERENT, "a sign", "7.weight", NULL, 0, NONE, sign_flipped, NULL,
     NULL},
    {PTF_DIFFERENT, "a weight pruned", "5.weight", NULL, 0, NONE, weight_pruned,
     NULL, NULL},
    {PTF_DIFFERENT, "bfloat16 weights", "2.weight", NULL, 0, NONE,
     weights_in_bfloat16, NULL, NULL},
    {PTF_DIFFERENT, "two biases swapped", "0.bias", NULL, 0, NONE,
     biases_swapped, NULL, NULL},
    {PTF_DIFFERENT, "biases in another order", "7.bias", NULL, 0, NONE,
     bias_in_other_order, NULL, NULL},
    {PTF_SAME_PREDICTIONS, "a weight nearly gone", "7.weight", NULL, 0, NONE,
     weight_subnormal, NULL, NULL},
    {PTF_DIFFERENT, "another activation", "3", FOLDED(LEAKY, POOL_2, CONV_2), 0,
     NONE, NULL, NULL, NULL},
    {PTF_DIFFERENT, "another pool", "4", FOLDED("ReLU()", AVERAGE, CONV_2), 0,
     NONE, NULL, NULL, NULL},
    {PTF_DIFFERENT, "another stride and padding", "2",
     FOLDED("ReLU()", POOL_2, SHIFTED), 0, NONE, NULL, NULL, NULL},
    {PTF_DIFFERENT, "folded through padding", "0", norm_gone_text, 0, NONE,
     NULL, norm_first_text, fold_through_padding},
    {PTF_DIFFERENT, "folded through a ReLU", "2", norm_gone_text, 0, NONE, NULL,
     norm_last_text, fold_through_relu},
    {PTF_CERTIFIED, "shared weights folded well", NULL, shared_folded_text, 0,
     NONE, NULL, shared_text, fold_shared},
    {PTF_DIFFERENT, "shared weights folded twice", "0.weight",
     shared_folded_text, 0, NONE, NULL, shared_text, fold_shared_twice},
    {PTF_DIFFERENT, "shared weights folded with one norm", "2.weight",
     shared_folded_text, 0, NONE, NULL, shared_text, fold_shared_once},
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
    fixture_init(&a, f->original != NULL ? f->original : misfold_original);
    fixture_init(&b, f->text != NULL ? f->text : folded_text);
    if (f->plant != NULL)
        f->plant(&a, &b);
    else
        misfold(&a, &b, f->at, f->mistake);
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
    if (ptf_check_level(check) != f->level)
        fail_msg("%s: %s, expected %s", f->name,
                 ptf_level_name(ptf_check_level(check)),
                 ptf_level_name(f->level));
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
