/*
 * Faults that the inputs of a check do not show: outputs have the same bits,
 * and yet there is no certificate, because parameters are held against the
 * ideal one by one and each layer against its counterpart on numbers of its
 * own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "seeded_faults.h"

#include <math.h>

#define NET(first, activation, second) \
    "# input: 2x6x6\n"                 \
    "Hidden(\n"                        \
    "  (0): " first "\n"               \
    "  (1): " activation "\n"          \
    "  (2): " second "\n"              \
    ")\n"
#define CONV_OF(attributes) \
    "Conv2d(2, 2, kernel_size=(3, 3), stride=(1, 1)" attributes ")"
#define SAME  CONV_OF(", padding=(1, 1)")
#define ALONE BN2(2)
#define OTHER_EPS                                               \
    "BatchNorm2d(2, eps=1.001e-05, momentum=0.1, affine=True, " \
    "track_running_stats=True)"

static const char relu_text[] = NET(SAME, "ReLU()", SAME);
static const char norm_text[] = NET(SAME, "ReLU()", ALONE);

static void same(fixture *a, fixture *b)
{
    for (int i = 0; i < b->count; i++) {
        fixture_entry *e = &b->entries[i];
        memcpy(e->data, fixture_entry_of(a, e->name)->data, e->size);
    }
}

static void set(fixture *f, const char *name, int count, float x)
{
    for (int i = 0; i < count; i++)
        fixture_numbers(f, name)[i] = x;
}

/* Nothing after the first layer ever sees another number than 0. */
static void dead(fixture *a, fixture *b)
{
    set(a, "0.bias", 2, -100);
    same(a, b);
}

static void dead_and_weight_off(fixture *a, fixture *b)
{
    dead(a, b);
    fixture_numbers(b, "2.weight")[7] += 0.5F;
}

/* The same layers, but each with the other's numbers. */
static void dead_and_swapped(fixture *a, fixture *b)
{
    static const char *const roles[] = {"weight", "bias"};
    dead(a, b);
    memcpy(fixture_numbers(a, "2.bias"), fixture_numbers(a, "0.bias"), 8);
    for (int i = 0; i < 2; i++) {
        char first[16], second[16];
        snprintf(first, sizeof(first), "0.%s", roles[i]);
        snprintf(second, sizeof(second), "2.%s", roles[i]);
        memcpy(fixture_numbers(b, first), fixture_numbers(a, second),
               fixture_entry_of(b, first)->size);
        memcpy(fixture_numbers(b, second), fixture_numbers(a, first),
               fixture_entry_of(b, second)->size);
    }
}

/* No number that is negative ever meets the activation. */
static void positive(fixture *a, fixture *b)
{
    set(a, "0.bias", 2, 100);
    same(a, b);
}

/* -inf, of which a ReLU makes 0. */
static void infinite(fixture *a, fixture *b)
{
    set(a, "0.weight", 36, -3e38F);
    same(a, b);
}

/*
 * b - 1e30 + 1e30 in channel 1, of which double knows no more than 1e14, beside
 * numbers of 1e25 in channel 0.  That is near enough to it in units of the last
 * place of 1e30, and not the f32 that it should be.
 */
static void known_roughly(fixture *a, fixture *b)
{
    for (int c = 0; c < 2; c++) {
        fixture_numbers(a, "1.weight")[c] = 1;
        fixture_numbers(a, "1.running_var")[c] = 1;
        fixture_numbers(a, "1.running_mean")[c] = c == 1 ? 1e30F : 0;
        fixture_numbers(a, "1.bias")[c] = c == 1 ? 1e30F : 0;
    }
    for (int i = 0; i < 18; i++)
        fixture_numbers(a, "0.weight")[i] = 1e25F;
    memcpy(fixture_numbers(b, "0.weight"), fixture_numbers(a, "0.weight"),
           36 * sizeof(float));
    fixture_numbers(b, "0.bias")[0] = fixture_numbers(a, "0.bias")[0];
    fixture_numbers(b, "0.bias")[1] = 1e13F;
}

#define LEAKY_OF(slope) "LeakyReLU(negative_slope=" slope ")"

static const char no_eps_text[] = //
    "# input: 2x6x6\n"
    "Roughly(\n"
    "  (0): " SAME "\n"
    "  (1): BatchNorm2d(2, eps=0.0, momentum=0.1, affine=True, "
    "track_running_stats=True)\n"
    ")\n";
static const char one_text[] = //
    "# input: 2x6x6\n"
    "Roughly(\n"
    "  (0): " SAME "\n"
    ")\n";

static const fault faults[] = {
    {PTF_LEVEL_BITWISE, "a dead net is itself", NULL, .text = relu_text,
     .original = relu_text, .plant = dead},
    {PTF_LEVEL_BITWISE, "a weight that no input reaches", "2.weight",
     .text = relu_text, .original = relu_text, .plant = dead_and_weight_off},
    {PTF_LEVEL_BITWISE, "layers swapped in a dead net", "0.weight",
     .text = relu_text, .original = relu_text, .plant = dead_and_swapped},
    {PTF_LEVEL_BITWISE, "a dilation that no input reaches", "2",
     .text = NET(SAME, "ReLU()", CONV_OF(", padding=(2, 2), dilation=(2, 2)")),
     .original = relu_text, .plant = dead},
    {PTF_LEVEL_BITWISE, "an eps that no input reaches", "2",
     .text = NET(SAME, "ReLU()", OTHER_EPS), .original = norm_text,
     .plant = dead},
    {PTF_LEVEL_BITWISE, "a slope that no input meets", "1",
     .text = NET(SAME, LEAKY_OF("0.01"), SAME), .original = relu_text,
     .plant = positive},
    {PTF_LEVEL_BITWISE, "another slope that no input meets", "1",
     .text = NET(SAME, LEAKY_OF("0.0100001"), SAME),
     .original = NET(SAME, LEAKY_OF("0.01"), SAME), .plant = positive},
    {PTF_LEVEL_BITWISE, "a threshold that no input meets", "1",
     .text = NET(SAME, "Softplus(beta=1.0, threshold=30.0)", SAME),
     .original = NET(SAME, "Softplus(beta=1.0, threshold=20.0)", SAME),
     .plant = positive},
    {PTF_LEVEL_BITWISE, "a threshold beyond all numbers", "1",
     .text = NET(SAME, "Softplus(beta=0.01, threshold=10.0)", SAME),
     .original = NET(SAME, "Softplus(beta=0.01, threshold=5.0)", SAME),
     .plant = positive},
    {PTF_CERTIFIED_WITHIN, "a bias of which little is known", "0.bias",
     .text = one_text, .original = no_eps_text, .plant = known_roughly},
    {PTF_LEVEL_UNDECIDED, "infinity after a ReLU", "0", .text = relu_text,
     .original = relu_text, .plant = infinite},
};

static void faults_that_no_input_shows_deny_the_certificate(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        planted_check(&faults[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_that_no_input_shows_deny_the_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
