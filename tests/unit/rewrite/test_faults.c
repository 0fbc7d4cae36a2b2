/*
 * Rewrites that went wrong, one mistake at a time: the comparison of outputs
 * must see each.  A mistake is planted in the numbers that the rewrite reads,
 * and its result held against the net with the right ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"

enum { INPUTS = 20, CHANNELS = 3, ROWS = 4, COLUMNS = 3, FEATURES = 5 };

#define NET(eps)                                                             \
    "# input: 2x6x5\n"                                                       \
    "Net(\n"                                                                 \
    "  (conv): Sequential(\n"                                                \
    "    (0): " CONV(                                                        \
        2, 3) "\n"                                                           \
              "    (1): BatchNorm2d(3, eps=" eps                             \
              ", momentum=0.1, affine=True, "                                \
              "track_running_stats=True)\n"                                  \
              "    (2): ReLU()\n"                                            \
              "  )\n"                                                        \
              "  (fc1): Sequential(\n"                                       \
              "    (0): Linear(in_features=36, out_features=5, bias=True)\n" \
              "    (1): BatchNorm1d(5, eps=" eps                             \
              ", momentum=0.1, affine=True, "                                \
              "track_running_stats=True)\n"                                  \
              "    (2): ReLU()\n"                                            \
              "  )\n"                                                        \
              "  (fc2): Linear(in_features=5, out_features=4, bias=True)\n"  \
              ")\n"

/* ---------------------------------------------------------------- mistakes */

static void swap_channels(float *numbers, size_t count)
{
    size_t row = count / CHANNELS;
    for (size_t i = 0; i < row; i++) {
        float first = numbers[i];
        numbers[i] = numbers[row + i];
        numbers[row + i] = first;
    }
}

static void rotate(float *numbers, size_t count)
{
    float first = numbers[0];
    memmove(numbers, numbers + 1, (count - 1) * sizeof(*numbers));
    numbers[count - 1] = first;
}

static void drop(float *numbers, size_t count)
{
    memset(numbers, 0, count * sizeof(*numbers));
}

static void ones(float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = 1;
}

static void negate_one(float *numbers, size_t count)
{
    numbers[count / 2] = -numbers[count / 2];
}

/* The smallest mistake that there is. */
static void flip_last_bit(float *numbers, size_t count)
{
    uint32_t bits;
    memcpy(&bits, &numbers[count / 2], sizeof(bits));
    bits ^= 1;
    memcpy(&numbers[count / 2], &bits, sizeof(bits));
}

/* Where number (c, y, x) of a map goes when a reshape takes another order. */
typedef size_t place(size_t c, size_t y, size_t x);

static size_t columns_first(size_t c, size_t y, size_t x)
{
    return (c * COLUMNS + x) * ROWS + y;
}

static size_t channels_last(size_t c, size_t y, size_t x)
{
    return (y * COLUMNS + x) * CHANNELS + c;
}

static void reorder(float *row, place *where)
{
    float old[CHANNELS * ROWS * COLUMNS];
    memcpy(old, row, sizeof(old));
    for (size_t c = 0; c < CHANNELS; c++) {
        for (size_t y = 0; y < ROWS; y++) {
            for (size_t x = 0; x < COLUMNS; x++)
                row[where(c, y, x)] = old[(c * ROWS + y) * COLUMNS + x];
        }
    }
}

static void transpose_maps(float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i += count / FEATURES)
        reorder(numbers + i, columns_first);
}

static void put_channels_last(float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i += count / FEATURES)
        reorder(numbers + i, channels_last);
}

/* ------------------------------------------------------------------- table */

static const char right[] = NET("1e-05"), wrong_eps[] = NET("0.001");

static const struct fault {
    const char *rewrite;
    const char *text;
    const char *tensor; /* whose numbers change; NULL: none */
    void (*change)(float *numbers, size_t count);
} faults[] = {
    {"fold_batchnorm", wrong_eps, NULL, NULL},
    {"fold_batchnorm", right, "conv.0.weight", swap_channels},
    {"fold_batchnorm", right, "conv.0.weight", negate_one},
    {"fold_batchnorm", right, "conv.0.bias", drop},
    {"fold_batchnorm", right, "conv.1.weight", ones},
    {"fold_batchnorm", right, "conv.1.bias", drop},
    {"fold_batchnorm", right, "conv.1.running_mean", drop},
    {"fold_batchnorm", right, "conv.1.running_var", rotate},
    {"fold_batchnorm", right, "conv.1.running_var", ones},
    {"fold_batchnorm", right, "fc1.0.weight", transpose_maps},
    {"fold_batchnorm", right, "fc1.1.running_var", rotate},
    {"fold_batchnorm", right, "fc2.bias", rotate},
    {"batchnorm_to_epilogue", wrong_eps, NULL, NULL},
    {"batchnorm_to_epilogue", right, "conv.0.bias", drop},
    {"batchnorm_to_epilogue", right, "conv.1.running_var", rotate},
    {"batchnorm_to_epilogue", right, "conv.1.weight", flip_last_bit},
    {"batchnorm_to_epilogue", right, "fc1.1.bias", flip_last_bit},
    {"linear_to_conv", wrong_eps, NULL, NULL},
    {"linear_to_conv", right, "conv.0.weight", swap_channels},
    {"linear_to_conv", right, "fc1.0.weight", transpose_maps},
    {"linear_to_conv", right, "fc1.0.weight", put_channels_last},
    {"linear_to_conv", right, "fc1.0.weight", rotate},
    {"linear_to_conv", right, "fc1.0.weight", flip_last_bit},
    {"linear_to_conv", right, "fc1.0.bias", drop},
    {"linear_to_conv", right, "fc2.weight", flip_last_bit},
    {"linear_to_conv", right, "fc2.bias", rotate},
};

/* The level of the rewritten faulty net beside the original. */
static ptf_level level_of(const struct fault *fault)
{
    fixture original, faulty;
    fixture_init(&original, right);
    fixture_init(&faulty, fault->text);
    if (fault->tensor != NULL) {
        size_t bytes = fixture_entry_of(&faulty, fault->tensor)->size;
        fault->change(fixture_numbers(&faulty, fault->tensor),
                      bytes / sizeof(float));
    }
    fixture_make(&original);
    fixture_make(&faulty);
    ptf_net *net = fixture_rewrite(faulty.net, fault->rewrite, NULL);

    int64_t count;
    float *a = fixture_run(original.net, "2x6x5", INPUTS, &count);
    float *b = fixture_run(net, "2x6x5", INPUTS, &count);
    ptf_verdict verdict;
    ptf_verdict_init(&verdict, 1e-6, 1e-5);
    ptf_verdict_add(&verdict, a, b, INPUTS, count / INPUTS);
    free(a);
    free(b);
    ptf_net_free(net);
    fixture_free(&faulty);
    fixture_free(&original);
    return ptf_verdict_level(&verdict);
}

static bool kept(const char *rewrite, ptf_level level)
{
    if (ptf_rewrite_find(rewrite)->promise == PTF_PROMISE_EXACT)
        return level == PTF_LEVEL_BITWISE;
    return level <= PTF_LEVEL_SAME_PREDICTIONS;
}

static void rewrites_without_a_fault_keep_their_promise(void **state)
{
    (void)state;
    static const struct fault none[] = {
        {"fold_batchnorm", right, NULL, NULL},
        {"batchnorm_to_epilogue", right, NULL, NULL},
        {"linear_to_conv", right, NULL, NULL},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(none); i++)
        assert_true(kept(none[i].rewrite, level_of(&none[i])));
}

static void every_fault_breaks_the_promise(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(faults); i++) {
        ptf_level level = level_of(&faults[i]);
        if (kept(faults[i].rewrite, level))
            fail_msg("row %zu (%s, %s): %s", i, faults[i].rewrite,
                     faults[i].tensor != NULL ? faults[i].tensor : "eps",
                     ptf_level_name(level));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewrites_without_a_fault_keep_their_promise),
        cmocka_unit_test(every_fault_breaks_the_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
