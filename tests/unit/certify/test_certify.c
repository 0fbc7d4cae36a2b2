/*
 * Certificates: they hold for what ptfold does, and for every fault of a table
 * they do not, and name the layer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ports.h"
#include "seeded_faults.h"

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

#define LEAKY "LeakyReLU(negative_slope=0.01)"
#define CEIL                                                     \
    "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, " \
    "ceil_mode=True)"
#define AVERAGE "AvgPool2d(kernel_size=2, stride=2, padding=0)"
#define SHIFTED                                                        \
    "Conv2d(4, 3, kernel_size=(3, 3), stride=(2, 2), padding=(2, 2), " \
    "dilation=(1, 1))"

static const fault faults[] = {
    {PTF_LEVEL_CERTIFIED, "nothing wrong", NULL, .text = folded_text},
    {PTF_LEVEL_CERTIFIED, "a pool that is the same here", NULL,
     .text = FOLDED("ReLU()", CEIL, CONV_2)},
    {PTF_LEVEL_DIFFERENT, "another eps", "0.weight", .text = folded_text,
     .at = 0, .mistake = WRONG_EPS},
    {PTF_LEVEL_SAME_PREDICTIONS, "no eps", "2.weight", .text = folded_text,
     .at = 1, .mistake = NO_EPS},
    {PTF_LEVEL_SAME_PREDICTIONS, "eps outside of the root", "0.weight",
     .text = folded_text, .at = 0, .mistake = EPS_OUTSIDE_ROOT},
    {PTF_LEVEL_DIFFERENT, "no gamma", "5.weight", .text = folded_text, .at = 2,
     .mistake = NO_GAMMA},
    {PTF_LEVEL_DIFFERENT, "gamma missing on the bias", "0.bias",
     .text = folded_text, .at = 0, .mistake = NO_GAMMA_ON_BIAS},
    {PTF_LEVEL_DIFFERENT, "no beta", "2.bias", .text = folded_text, .at = 1,
     .mistake = NO_BETA},
    {PTF_LEVEL_DIFFERENT, "no mean", "5.bias", .text = folded_text, .at = 2,
     .mistake = NO_MEAN},
    {PTF_LEVEL_DIFFERENT, "the mean not scaled", "0.bias", .text = folded_text,
     .at = 0, .mistake = MEAN_NOT_SCALED},
    {PTF_LEVEL_DIFFERENT, "the old bias lost", "5.bias", .text = folded_text,
     .at = 2, .mistake = NO_OLD_BIAS},
    {PTF_LEVEL_DIFFERENT, "variance for deviation", "2.weight",
     .text = folded_text, .at = 1, .mistake = NO_ROOT},
    {PTF_LEVEL_DIFFERENT, "unbiased variance", "0.weight", .text = folded_text,
     .at = 0, .mistake = UNBIASED_VARIANCE},
    {PTF_LEVEL_DIFFERENT, "the next channel's norm", "2.weight",
     .text = folded_text, .at = 1, .mistake = NEXT_CHANNEL},
    {PTF_LEVEL_DIFFERENT, "folded twice", "5.weight", .text = folded_text,
     .at = 2, .mistake = FOLDED_TWICE},
    {PTF_CERTIFIED_WITHIN, "folded in f32", "0.weight", .text = folded_text,
     .at = 0, .mistake = IN_F32},
    {PTF_CERTIFIED_WITHIN, "the scale rounded first", "2.weight",
     .text = folded_text, .at = 1, .mistake = SCALE_ROUNDED_FIRST},
    {PTF_CERTIFIED_WITHIN, "a weight one ULP off", "2.weight",
     .text = folded_text, .damage = weight_ulp},
    {PTF_CERTIFIED_WITHIN, "a bias one ULP off", "5.bias", .text = folded_text,
     .damage = bias_ulp},
    {PTF_CERTIFIED_WITHIN, "a weight one ULP off where nothing is folded",
     "7.weight", .text = folded_text, .damage = unfolded_weight_ulp},
    {PTF_LEVEL_DIFFERENT, "output channels swapped", "0.weight",
     .text = folded_text, .damage = output_channels_swapped},
    {PTF_LEVEL_DIFFERENT, "input channels swapped", "0.weight",
     .text = folded_text, .damage = input_channels_swapped},
    {PTF_LEVEL_DIFFERENT, "kernel flipped", "2.weight", .text = folded_text,
     .damage = kernel_flipped},
    {PTF_LEVEL_DIFFERENT, "kernel transposed", "2.weight", .text = folded_text,
     .damage = kernel_transposed},
    {PTF_LEVEL_DIFFERENT, "HWC order", "5.weight", .text = folded_text,
     .damage = height_width_channel},
    {PTF_LEVEL_DIFFERENT, "a transposed reshape", "5.weight",
     .text = folded_text, .damage = linear_transposed},
    {PTF_LEVEL_DIFFERENT, "a sign", "7.weight", .text = folded_text,
     .damage = sign_flipped},
    {PTF_LEVEL_DIFFERENT, "a weight pruned", "5.weight", .text = folded_text,
     .damage = weight_pruned},
    {PTF_LEVEL_DIFFERENT, "bfloat16 weights", "2.weight", .text = folded_text,
     .damage = weights_in_bfloat16},
    {PTF_LEVEL_DIFFERENT, "two biases swapped", "0.bias", .text = folded_text,
     .damage = biases_swapped},
    {PTF_LEVEL_DIFFERENT, "biases in another order", "7.bias",
     .text = folded_text, .damage = bias_in_other_order},
    {PTF_LEVEL_SAME_PREDICTIONS, "a weight nearly gone", "7.weight",
     .text = folded_text, .damage = weight_subnormal},
    {PTF_LEVEL_DIFFERENT, "another activation", "3",
     .text = FOLDED(LEAKY, POOL_2, CONV_2)},
    {PTF_LEVEL_DIFFERENT, "another pool", "4",
     .text = FOLDED("ReLU()", AVERAGE, CONV_2)},
    {PTF_LEVEL_DIFFERENT, "another stride and padding", "2",
     .text = FOLDED("ReLU()", POOL_2, SHIFTED)},
    {PTF_LEVEL_DIFFERENT, "folded through padding", "0", .text = norm_gone_text,
     .original = norm_first_text, .plant = fold_through_padding},
    {PTF_LEVEL_DIFFERENT, "folded through a ReLU", "2", .text = norm_gone_text,
     .original = norm_last_text, .plant = fold_through_relu},
    {PTF_LEVEL_CERTIFIED, "shared weights folded well", NULL,
     .text = shared_folded_text, .original = shared_text, .plant = fold_shared},
    {PTF_LEVEL_DIFFERENT, "shared weights folded twice", "0.weight",
     .text = shared_folded_text, .original = shared_text,
     .plant = fold_shared_twice},
    {PTF_LEVEL_DIFFERENT, "shared weights folded with one norm", "2.weight",
     .text = shared_folded_text, .original = shared_text,
     .plant = fold_shared_once},
};

static void every_planted_fault_is_found_where_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        planted_check(&faults[i]);
}

/* ------------------------------------------------------- how far it is off */

enum { INPUTS = 5, INPUT = 2 * 6 * 6 };

/* A check of misfold_original against its fold, with a mistake or damage. */
static void certificate_of(mistake wrong, void (*damage)(fixture *b),
                           int64_t max_ulps, ptf_certificate *out,
                           ptf_level *level)
{
    static fixture a, b;
    static float in[INPUTS * INPUT];
    ptf_check_options options = {.max_ulps = max_ulps};
    ptf_check *check = NULL;
    ptf_error err;
    ptf_shape shape;
    options.atol = 1e-6;
    options.rtol = 1e-5;
    fixture_init(&a, misfold_original);
    fixture_init(&b, folded_text);
    misfold(&a, &b, 0, wrong);
    if (damage != NULL)
        damage(&b);
    fixture_make(&a);
    fixture_make(&b);
    assert_true(input_of(a.net, &shape));
    ptf_random_fill(7, 0, in, INPUTS * INPUT);
    if (ptf_check_make(a.net, b.net, &shape, &options, &check, &err) ||
        ptf_check_run(check, (const float *[]){in}, INPUTS, &err))
        fail_msg("%s", err.message);
    ptf_check_certificate(check, out);
    assert_int_equal(out->ulps_name != NULL, out->ulps > 0);
    out->ulps_name = NULL; /* goes with b */
    *level = ptf_check_level(check);
    ptf_check_free(check);
    fixture_free(&a);
    fixture_free(&b);
}

static void weight_three_ulps(fixture *b)
{
    for (int i = 0; i < 3; i++)
        weight_ulp(b);
}

static void all_weights_random(fixture *b)
{
    static const char *const names[] = {"0.weight", "2.weight", "5.weight",
                                        "7.weight"};
    static const size_t sizes[] = {72, 108, 72, 30};
    for (size_t i = 0; i < 4; i++)
        ptf_random_fill(99, i, fixture_numbers(b, names[i]), sizes[i]);
}

static void a_distance_is_named_and_its_limit_kept(void **state)
{
    (void)state;
    ptf_certificate c;
    ptf_level level;
    certificate_of(NONE, weight_three_ulps, 3, &c, &level);
    assert_int_equal(level, PTF_CERTIFIED_WITHIN);
    assert_true(c.within && !c.holds && !c.another);
    assert_int_equal(c.ulps, 3);
    assert_int_equal(c.ulps_at, 17);
    assert_int_equal(c.parameters_wrong, 1);
    certificate_of(NONE, weight_three_ulps, 2, &c, &level);
    assert_int_equal(level, PTF_LEVEL_SAME_PREDICTIONS);
    assert_true(!c.within && c.another);
    assert_int_equal(c.parameters_beyond, 1);
    certificate_of(NONE, NULL, 0, &c, &level);
    assert_int_equal(level, PTF_LEVEL_CERTIFIED);
    assert_true(c.within && c.holds && c.ulps == 0);
}

static void other_numbers_are_another_network(void **state)
{
    (void)state;
    ptf_certificate c;
    ptf_level level;
    certificate_of(NONE, all_weights_random, 4, &c, &level);
    assert_true(c.another && !c.within);
    assert_true(c.parameters_beyond > c.parameters / 2);
    assert_int_equal(level, PTF_LEVEL_DIFFERENT);
    /* What numbers do that are no rounded ones excuses no prediction. */
    assert_int_equal(c.predictions[PTF_PREDICTION_UNDECIDED], 0);
    certificate_of(NO_EPS, NULL, 4, &c, &level);
    assert_true(c.another && !c.within);
}

/* ---------------------------------------------------------------- depth */

/* So many layers that balls of doubles say nothing of the outputs. */
enum { DEPTH = 18, DEEP_INPUT = 2 * 6 * 6 };

static void deep_text(char *text, size_t size)
{
    size_t n = (size_t)snprintf(text, size, "# input: 2x6x6\nDeep(\n");
    for (int i = 0; i < DEPTH; i++)
        n += (size_t)snprintf(
            text + n, size - n,
            "  (%d): Conv2d(%d, 16, kernel_size=(3, 3), stride=(1, 1), "
            "padding=(1, 1))\n"
            "  (%d): BatchNorm2d(16, eps=1e-05, momentum=0.1, affine=True, "
            "track_running_stats=True)\n"
            "  (%d): ReLU()\n",
            3 * i, i == 0 ? 2 : 16, 3 * i + 1, 3 * i + 2);
    snprintf(text + n, size - n, ")\n");
}

static void depth_denies_no_certificate(void **state)
{
    static char text[DEPTH * 320 + 64];
    static fixture a;
    static float in[INPUTS * DEEP_INPUT];
    ptf_shape shape = {3, {2, 6, 6}};
    (void)state;
    deep_text(text, sizeof(text));
    fixture_build(&a, text);
    ptf_random_fill(7, 0, in, INPUTS * DEEP_INPUT);
    for (int i = 0; i < 4; i++) { /* in too few bits, and in as it takes */
        bool wrong = i % 2 == 1, known = i >= 2;
        ptf_check_options options = {
            .atol = 1e-6, .rtol = 1e-5, .max_ulps = 4, .bits = known ? 0 : 51};
        ptf_net *b = fixture_rewrite(a.net, "fold_batchnorm", NULL);
        ptf_check *check;
        ptf_certificate c;
        ptf_error err;
        float *last = (float *)(uintptr_t)b->nodes[2 * DEPTH - 1]
                          .tensors[PTF_ROLE_WEIGHT]
                          ->data;
        last[7] = wrong ? nextafterf(last[7], 2) : last[7];
        if (ptf_check_make(a.net, b, &shape, &options, &check, &err) ||
            ptf_check_run(check, (const float *[]){in}, INPUTS, &err))
            fail_msg("%s", err.message);
        ptf_check_certificate(check, &c);
        assert_int_equal(c.holds, !wrong);
        assert_int_equal(c.part, wrong);
        assert_int_equal(ptf_check_level(check),
                         wrong ? PTF_CERTIFIED_WITHIN : PTF_LEVEL_CERTIFIED);
        assert_true(c.bounded > 0 && (c.radius > c.largest) == !known);
        assert_int_equal(c.predictions[PTF_PREDICTION_EQUAL], INPUTS - known);
        assert_int_equal(c.predictions[PTF_PREDICTION_CERTIFIED], known);
        ptf_check_free(check);
        ptf_net_free(b);
    }
    fixture_free(&a);
}

/* ----------------------------------------------------- no number at all */

/* More weights than a thread takes at a time. */
static const char wide_text[] = //
    "# input: 256\n"
    "Wide(\n"
    "  (0): Linear(in_features=256, out_features=300, bias=True)\n"
    ")\n";

enum { WEIGHTS = 256 * 300 };

/* Which weight is named when one is NaN and another is merely wrong. */
static int64_t worst_weight(int nan_at, int wrong_at, float wrong)
{
    static fixture a, b;
    ptf_check_options options = {.threads = 2};
    ptf_check *check = NULL;
    ptf_parameter_check found;
    ptf_error err;
    fixture_init(&a, wide_text);
    fixture_init(&b, wide_text);
    memcpy(fixture_numbers(&b, "0.weight"), fixture_numbers(&a, "0.weight"),
           WEIGHTS * sizeof(float));
    fixture_numbers(&b, "0.weight")[nan_at] = NAN;
    fixture_numbers(&b, "0.weight")[wrong_at] = wrong;
    fixture_make(&a);
    fixture_make(&b);
    ptf_shape shape = {1, {256}};
    if (ptf_check_make(a.net, b.net, &shape, &options, &check, &err))
        fail_msg("%s", err.message);
    assert_true(ptf_check_parameter(check, 0, &found));
    assert_string_equal(found.name, "0.weight");
    assert_int_equal(found.wrong, 2);
    ptf_check_free(check);
    fixture_free(&a);
    fixture_free(&b);
    return found.worst;
}

static void the_worst_parameter_is_the_one_that_is_nan(void **state)
{
    static const int places[][2] = {
        {10, 20}, {20, 10}, {10, 70000}, {70000, 10}};
    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int at = places[i][0], other = places[i][1];
        assert_int_equal(worst_weight(at, other, 1e30F), at);
        assert_int_equal(worst_weight(at, other, INFINITY), at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_planted_fault_is_found_where_it_is),
        cmocka_unit_test(a_distance_is_named_and_its_limit_kept),
        cmocka_unit_test(other_numbers_are_another_network),
        cmocka_unit_test(depth_denies_no_certificate),
        cmocka_unit_test(the_worst_parameter_is_the_one_that_is_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
