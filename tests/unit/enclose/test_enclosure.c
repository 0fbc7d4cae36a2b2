/*
 * Enclosures of whole nets, against numbers known by hand and against what
 * the kernels compute.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"
#include "ports.h"

#include "fixture.h"

#include <math.h>

static const char tiny_text[] =
    "Tiny(\n"
    "  (a): Linear(in_features=4, out_features=3, bias=True)\n"
    "  (r): ReLU()\n"
    "  (b): Linear(in_features=3, out_features=2, bias=True)\n"
    ")\n";

/* Every kind of layer that has a kernel. */
static const char many_text[] =
    "# input: 4x13x12\n"
    "Many(\n"
    "  (0): Conv2d(4, 6, kernel_size=(3, 2), stride=(1, 1), padding=(2, 1), "
    "dilation=(2, 1), groups=2)\n"
    "  (1): BatchNorm2d(6, eps=1e-05, momentum=0.1, affine=True, "
    "track_running_stats=True)\n"
    "  (2): LeakyReLU(negative_slope=0.03)\n"
    "  (3): AvgPool2d(kernel_size=3, stride=2, padding=1, "
    "count_include_pad=True)\n"
    "  (4): BatchNorm2d(6, eps=1e-05, momentum=0.1, affine=True, "
    "track_running_stats=True)\n"
    "  (5): Tanh()\n"
    "  (6): Conv2d(6, 40, kernel_size=(3, 3), stride=(1, 1), bias=False)\n"
    "  (7): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, "
    "ceil_mode=True)\n"
    "  (8): Sigmoid()\n"
    "  (9): Conv2d(40, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
    "  (10): AdaptiveAvgPool2d(output_size=(2, 2))\n"
    "  (11): Softplus(beta=0.7, threshold=20.0)\n"
    "  (12): Flatten(start_dim=1, end_dim=-1)\n"
    "  (13): Linear(in_features=12, out_features=7, bias=True)\n"
    "  (14): Softmax(dim=1)\n"
    ")\n";

/* Runs the tiny net on (1, 2, 3, 4) with every parameter 'weight'. */
static bool run_tiny(float weight, double value[2], double radius[2])
{
    static const float in[4] = {1, 2, 3, 4};
    const ptf_shape shape = {1, {4}};
    static fixture f;
    ptf_enclosure *enc = NULL;
    fixture_init(&f, tiny_text);
    for (int i = 0; i < f.count; i++) {
        float *numbers = f.entries[i].data;
        for (size_t k = 0; k < f.entries[i].size / sizeof(float); k++)
            numbers[k] = weight;
    }
    fixture_make(&f);
    assert_int_equal(ptf_enclosure_make(f.net, &shape, &enc, NULL), PTF_OK);
    assert_int_equal(ptf_enclosure_run(enc, in, 1, value, radius, NULL),
                     PTF_OK);
    bool undecided = ptf_enclosure_undecided(enc) != NULL;
    ptf_enclosure_free(enc);
    fixture_free(&f);
    return undecided;
}

static void a_whole_net_is_enclosed(void **unused)
{
    (void)unused;
    double value[2], radius[2];
    assert_false(run_tiny(0.125f, value, radius));
    /* (10 + 1) / 8 three times, again (sum + 1) / 8. */
    double exact = (3 * 11.0 / 8 + 1) / 8;
    for (int i = 0; i < 2; i++) {
        assert_true(fabs(value[i] - exact) <= radius[i]);
        assert_true(radius[i] < 1e-13);
    }
}

static void a_net_with_infinity_is_undecided(void **unused)
{
    (void)unused;
    double value[2], radius[2];
    assert_true(run_tiny(HUGE_VALF, value, radius));
    assert_true(isnan(value[0]) && isinf(radius[0]));
}

static const char hole_text[] =
    "# input: 1x4x4\n"
    "Hole(\n"
    "  (0): Conv2d(1, 1, kernel_size=(1, 1), stride=(1, 1))\n"
    "  (1): MaxPool2d(kernel_size=2, stride=1, padding=1, dilation=5, "
    "ceil_mode=False)\n"
    ")\n";

/* The pool's only window has all its taps in the padding: -inf. */
static void a_maximum_of_nothing_is_undecided(void **unused)
{
    (void)unused;
    static const float in[16] = {1};
    static fixture f;
    ptf_enclosure *enc = NULL;
    ptf_shape shape;
    double value, radius;
    fixture_build(&f, hole_text);
    assert_true(input_of(f.net, &shape));
    assert_int_equal(ptf_enclosure_make(f.net, &shape, &enc, NULL), PTF_OK);
    assert_int_equal(ptf_enclosure_run(enc, in, 1, &value, &radius, NULL),
                     PTF_OK);
    assert_true(isnan(value) && isinf(radius));
    assert_string_equal(ptf_enclosure_undecided(enc), "1");
    ptf_enclosure_free(enc);
    fixture_free(&f);
}

/* One pixel, and around it so much padding that rows have whole vectors. */
static const char pixel_text[] =
    "# input: 3x1x1\n"
    "Pixel(\n"
    "  (0): Conv2d(3, 2, kernel_size=(1, 1), stride=(1, 1), padding=(1, 9))\n"
    ")\n";

enum { SOME = 5 };

/* How many outputs of a run lie outside of their balls. */
static int64_t outside(const ptf_enclosure *enc, int output, const float *out,
                       int64_t numel)
{
    int64_t n = 0;
    for (int i = 0; i < SOME; i++) {
        ptf_balls balls = ptf_enclosure_node(enc, output, i);
        for (int64_t k = 0; k < numel; k++)
            n += !(fabs((double)out[i * numel + k] - balls.value[k]) <=
                   balls.radius[k]);
    }
    return n;
}

/* The same for a whole net, and in *all how many outputs there are. */
static int64_t net_outside(const char *text, bool executed, int64_t *all)
{
    static float in[SOME * 4 * 13 * 12], out[SOME * 2 * 3 * 19];
    static fixture f;
    const float *taps[32] = {in};
    ptf_plan *plan = NULL;
    ptf_enclosure *enc = NULL;
    ptf_shape shape;
    fixture_build(&f, text);
    assert_true(input_of(f.net, &shape));
    ptf_random_fill(3, 0, in, SOME * (size_t)ptf_shape_numel(&shape));
    assert_int_equal(ptf_plan_make(f.net, &shape, SOME, NULL, &plan, NULL),
                     PTF_OK);
    shape = ptf_plan_output(plan, 0);
    *all = SOME * ptf_shape_numel(&shape);
    assert_true(*all <= (int64_t)PTF_ARRAY_SIZE(out));
    assert_int_equal(ptf_plan_run(plan, in, SOME, out, NULL), PTF_OK);
    assert_true(input_of(f.net, &shape));
    assert_int_equal(ptf_enclosure_make(f.net, &shape, &enc, NULL), PTF_OK);
    assert_true(ptf_enclosure_group(enc) >= SOME);
    assert_int_equal(ptf_enclosure_run_taps(enc, taps, SOME, executed, NULL),
                     PTF_OK);
    int64_t n = outside(enc, output_of(f.net), out, *all / SOME);
    ptf_enclosure_free(enc);
    ptf_plan_free(plan);
    fixture_free(&f);
    return n;
}

static void what_the_kernels_compute_is_inside_executed_balls(void **unused)
{
    (void)unused;
    int64_t all;
    assert_int_equal(net_outside(many_text, true, &all), 0);
    assert_int_equal(net_outside(pixel_text, true, &all), 0);
    /* f32 arithmetic is not exact: without it, most are outside. */
    int64_t n = net_outside(many_text, false, &all);
    assert_true(n > all / 2);
}

/* Balls that threads keep to themselves, or that are used after all. */
static const char passing_text[] =
    "# input: 3x14x15\n"
    "Passing(\n"
    "  (0): Identity()\n"
    "  (1): Conv2d(3, 5, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
    "  (2): ReLU()\n"
    "  (3): Conv2d(5, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 0))\n"
    "  (4): Tanh()\n"
    "  (5): Dropout(p=0.5, inplace=False)\n"
    "  (6): Conv2d(2, 3, kernel_size=(5, 5), stride=(2, 3))\n"
    "  (7): ReLU()\n"
    "  (8): Flatten(start_dim=1, end_dim=-1)\n"
    ")\n";

static const char last_text[] =
    "# input: 3x14x15\n"
    "Last(\n"
    "  (0): Conv2d(3, 1, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
    "  (1): ReLU()\n"
    "  (2): Flatten(start_dim=1, end_dim=-1)\n"
    ")\n";

/* Balls of all images that images apart pass on. */
static const char between_text[] = //
    "# input: 40\n"
    "Between(\n"
    "  (0): Linear(in_features=40, out_features=30, bias=True)\n"
    "  (1): Dropout(p=0.5, inplace=False)\n"
    "  (2): ReLU()\n"
    "  (3): Linear(in_features=30, out_features=7, bias=True)\n"
    ")\n";

enum { MANY = 20, MOST_OUTPUTS = 256 };

typedef struct outputs {
    double value[MANY * MOST_OUTPUTS], radius[MANY * MOST_OUTPUTS];
} outputs;

/* On so many threads that none takes images of its own, or on few. */
static void enclose_many(const ptf_net *net, const ptf_shape *shape,
                         int threads, bool keeps, const float *in, outputs *out)
{
    ptf_enclosure *enc;
    const float *taps[32] = {in};
    assert_int_equal(
        ptf_enclosure_make_with(net, NULL, shape, threads, &enc, NULL), PTF_OK);
    assert_true(ptf_enclosure_group(enc) >= MANY);
    ptf_shape to = ptf_enclosure_output(enc, 0);
    int64_t numel = ptf_shape_numel(&to);
    assert_true(numel <= MOST_OUTPUTS);
    memset(out, 0, sizeof(*out));
    if (!keeps)
        assert_int_equal(
            ptf_enclosure_run(enc, in, MANY, out->value, out->radius, NULL),
            PTF_OK);
    else
        assert_int_equal(ptf_enclosure_run_taps(enc, taps, MANY, false, NULL),
                         PTF_OK);
    for (int64_t n = 0; keeps && n < MANY; n++) {
        ptf_balls balls = ptf_enclosure_node(enc, output_of(net), n);
        size_t size = (size_t)numel * sizeof(double);
        memcpy(out->value + n * numel, balls.value, size);
        memcpy(out->radius + n * numel, balls.radius, size);
    }
    ptf_enclosure_free(enc);
}

static void images_apart_have_the_balls_of_images_together(void **unused)
{
    (void)unused;
    static const char *const texts[] = {many_text, passing_text, last_text,
                                        between_text};
    static float in[MANY * 3 * 14 * 15];
    static outputs together, apart;
    for (size_t t = 0; t < PTF_ARRAY_SIZE(texts); t++) {
        static fixture f;
        ptf_shape shape;
        fixture_build(&f, texts[t]);
        assert_true(input_of(f.net, &shape));
        ptf_random_fill(5, t, in, (size_t)(MANY * ptf_shape_numel(&shape)));
        enclose_many(f.net, &shape, MANY, true, in, &together);
        for (int threads = 1; threads < 4; threads++) {
            for (int keeps = 0; keeps < 2; keeps++) {
                enclose_many(f.net, &shape, threads, keeps, in, &apart);
                assert_memory_equal(&apart, &together, sizeof(apart));
            }
        }
        fixture_free(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_apart_have_the_balls_of_images_together),
        cmocka_unit_test(a_whole_net_is_enclosed),
        cmocka_unit_test(a_net_with_infinity_is_undecided),
        cmocka_unit_test(a_maximum_of_nothing_is_undecided),
        cmocka_unit_test(what_the_kernels_compute_is_inside_executed_balls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
