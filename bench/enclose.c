/*
 * What an enclosure costs beside the f32 run that it judges:
 *
 *     cc -O2 bench/enclose.c $(pkg-config --cflags --libs ptfold) -o enclose
 *     ./enclose CHECKPOINT [IMAGES]
 *
 * Both run the same images in turn, on the CPUs that the process may use
 * (taskset limits them); the fastest and the median of 15 rounds, and the
 * largest radius of the outputs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "timing.h"

enum { ROUNDS = 15 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(double *times)
{
    qsort(times, ROUNDS, sizeof(*times), compare);
}

static void *numbers(int64_t count, size_t size)
{
    void *out = calloc((size_t)count, size);
    if (out == NULL)
        exit(1);
    return out;
}

static void measure(const ptf_net *net, const ptf_shape *input, int64_t images)
{
    double run[ROUNDS], enclosed[ROUNDS], largest = 0;
    ptf_plan *plan;
    ptf_enclosure *enclosure;
    check(ptf_plan_make(net, input, images, NULL, &plan, &err));
    check(ptf_enclosure_make(net, input, &enclosure, &err));
    ptf_shape output = ptf_plan_output(plan, 0);
    int64_t inputs = ptf_shape_numel(input);
    int64_t outputs = images * ptf_shape_numel(&output);
    float *in = numbers(images * inputs, sizeof(*in));
    float *out = numbers(outputs, sizeof(*out));
    double *value = numbers(outputs, sizeof(*value));
    double *radius = numbers(outputs, sizeof(*radius));
    for (int64_t i = 0; i < images; i++)
        ptf_random_fill(1, (uint64_t)i, in + i * inputs, (size_t)inputs);
    for (int i = -1; i < ROUNDS; i++) { /* the first warms up */
        double start = now();
        check(ptf_plan_run(plan, in, images, out, &err));
        double middle = now();
        check(ptf_enclosure_run(enclosure, in, images, value, radius, &err));
        if (i >= 0) {
            run[i] = middle - start;
            enclosed[i] = now() - middle;
        }
    }
    for (int64_t i = 0; i < outputs; i++)
        largest = radius[i] > largest ? radius[i] : largest;
    sort(run);
    sort(enclosed);
    printf("%lld images, largest radius %.2e\n", (long long)images, largest);
    for (int i = 0; i <= ROUNDS / 2; i += ROUNDS / 2)
        printf("  %s: f32 %.3f ms, enclosure %.3f ms, %.2f times\n",
               i == 0 ? "fastest" : "median", 1e3 * run[i], 1e3 * enclosed[i],
               enclosed[i] / run[i]);
    free(in);
    free(out);
    free(value);
    free(radius);
    ptf_enclosure_free(enclosure);
    ptf_plan_free(plan);
}

int main(int argc, char **argv)
{
    ptf_checkpoint *checkpoint;
    ptf_net *net;
    ptf_port input;
    if (argc < 2) {
        fprintf(stderr, "usage: enclose CHECKPOINT [IMAGES]\n");
        return 2;
    }
    check(ptf_checkpoint_open(argv[1], NULL, &checkpoint, &err));
    const char *text = ptf_arch_text("smallNetTrain");
    check(ptf_net_make(text, "smallNetTrain", checkpoint, NULL, &net, &err));
    if (!ptf_net_input(net, 0, &input) || !input.has_shape)
        return 1;
    measure(net, &input.shape, argc > 2 ? atoll(argv[2]) : 100);
    ptf_net_free(net);
    ptf_checkpoint_close(checkpoint);
    return 0;
}
