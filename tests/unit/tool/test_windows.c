/*
 * Window by window: a converted net that slides over larger images has the
 * bits of the original on each crop, and mistakes, one at a time, are seen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "tool/common/tool.h"

enum { IMAGES = 2, ROWS = 3, COLUMNS = 4 }; /* windows of an image */

#define NET(padding, weights)                                                \
    "# input: 2x9x8\n"                                                       \
    "Net(\n"                                                                 \
    "  (conv): Conv2d(2, 3, kernel_size=(3, 2), stride=(2, 1)" padding ")\n" \
    "  (fc1): Linear(in_features=" weights ", out_features=5, bias=True)\n"  \
    "  (relu): ReLU()\n"                                                     \
    "  (fc2): Linear(in_features=5, out_features=4, bias=True)\n"            \
    ")\n"

static const char right[] = NET("", "84");
/* At the border of a crop it sees zeros, inside the image the neighbours. */
static const char padded[] = NET(", padding=(1, 1)", "135");

/* The smallest mistake that there is. */
static void flip_last_bit(float *numbers)
{
    uint32_t bits;
    memcpy(&bits, numbers, sizeof(bits));
    bits ^= 1;
    memcpy(numbers, &bits, sizeof(bits));
}

static void swap_columns(float *numbers)
{
    float first = numbers[0];
    numbers[0] = numbers[1];
    numbers[1] = first;
}

static const struct fault {
    const char *text;
    const char *tensor; /* of the slid net, changed so; NULL: none */
    void (*change)(float *numbers);
    int64_t stride[2]; /* where the crops are taken */
} none = {right, NULL, NULL, {2, 1}},
  faults[] = {
      {right, "conv.weight", flip_last_bit, {2, 1}},
      {right, "conv.weight", swap_columns, {2, 1}},
      {right, "fc1.weight", flip_last_bit, {2, 1}},
      {right, "fc1.weight", swap_columns, {2, 1}},
      {right, "fc2.bias", flip_last_bit, {2, 1}},
      {right, NULL, NULL, {1, 1}},
      {right, NULL, NULL, {2, 0}},
      {padded, NULL, NULL, {2, 1}},
};

static ptf_shape shape(int64_t rows, int64_t columns)
{
    return (ptf_shape){.rank = 3, .dim = {2, rows, columns}};
}

static ptf_verdict verdict_of(const struct fault *fault)
{
    fixture original, changed;
    fixture_init(&original, fault->text);
    fixture_init(&changed, fault->text);
    if (fault->tensor != NULL)
        fault->change(fixture_numbers(&changed, fault->tensor));
    fixture_make(&original);
    fixture_make(&changed);
    ptf_net *slid = fixture_rewrite(changed.net, "linear_to_conv", "2x9x8");

    ptf_slide slide = {.stride = {fault->stride[0], fault->stride[1]}};
    ptf_shape window = shape(9, 8);
    tool_inputs large = tool_inputs_random(
        IMAGES, 1, shape(9 + 2 * (ROWS - 1), 8 + (COLUMNS - 1)));
    ptf_verdict verdict;
    ptf_verdict_init(&verdict, 0, 0);
    ptf_error err = {0};
    if (tool_compare_crops(original.net, slid, &slide, &window, &large, 1,
                           &verdict, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_net_free(slid);
    fixture_free(&changed);
    fixture_free(&original);
    return verdict;
}

static void windows_have_the_bits_of_their_crops(void **state)
{
    (void)state;
    ptf_verdict verdict = verdict_of(&none);
    assert_int_equal(verdict.samples, IMAGES * ROWS * COLUMNS);
    assert_int_equal(ptf_verdict_level(&verdict), PTF_LEVEL_BITWISE);
}

static void every_fault_is_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(faults); i++) {
        ptf_verdict verdict = verdict_of(&faults[i]);
        if (ptf_verdict_level(&verdict) == PTF_LEVEL_BITWISE)
            fail_msg("row %zu is BITWISE", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_have_the_bits_of_their_crops),
        cmocka_unit_test(every_fault_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
