/*
 * What the gradients of an exported program cost beside its forward run:
 *
 *     cc -O2 bench/backward.c $(pkg-config --cflags --libs ptfold) -o backward
 *     ./backward [-t THREADS] NET.pt2...
 *
 * One drawn sample, forward alone, and forward and then back by input and
 * parameters, in turn; medians of RUNS.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "timing.h"

#include <string.h>

enum { RUNS = 9, MOST = 16 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times)
{
    qsort(times, RUNS, sizeof(*times), compare);
    return times[RUNS / 2];
}

/* Arrays for one sample of each input, or output, and of the cotangents. */
static float *room(const ptf_shape *shape, uint64_t seed)
{
    size_t n = (size_t)ptf_shape_numel(shape);
    float *x = calloc(n + 1, sizeof(*x));
    if (x == NULL)
        exit(1);
    ptf_random_fill(seed, 0, x, n);
    return x;
}

static void measure(const char *path, int threads)
{
    const ptf_plan_options how = {.threads = threads, .runs = 1000};
    const ptf_gradient_options back = {.by = PTF_WRT_INPUT | PTF_WRT_PARAMETERS,
                                       .threads = threads,
                                       .runs = 1000};
    ptf_net *net;
    ptf_plan *plan;
    ptf_gradient *g;
    float *in[MOST], *out[MOST], *d[MOST];
    double forward[RUNS], kept[RUNS], way_back[RUNS];
    check(ptf_net_open(path, NULL, &net, &err));
    check(ptf_plan_make(net, NULL, 1, &how, &plan, &err));
    check(ptf_gradient_make(net, NULL, 1, &back, &g, &err));
    for (size_t i = 0; i < ptf_net_input_count(net) && i < MOST; i++) {
        ptf_port port;
        ptf_net_input(net, i, &port);
        in[i] = room(&port.shape, i + 1);
    }
    for (size_t i = 0; i < ptf_net_output_count(net) && i < MOST; i++) {
        ptf_shape shape = ptf_plan_output(plan, i);
        out[i] = room(&shape, i + 101);
        d[i] = room(&shape, i + 201);
    }
    for (int r = -1; r < RUNS; r++) { /* once to warm up */
        double start = now();
        check(ptf_plan_run_all(plan, (const float *const *)in, 1, out, &err));
        double middle = now();
        check(ptf_gradient_run_all(g, (const float *const *)in, 1, out, &err));
        double turn = now();
        check(ptf_gradient_back_all(g, (const float *const *)d, &err));
        if (r >= 0) {
            forward[r] = middle - start;
            kept[r] = turn - middle;
            way_back[r] = now() - turn;
        }
    }
    double f = median(forward), k = median(kept), b = median(way_back);
    printf("%7.1f ms forward, %5.2f times that where all is kept, %5.2f times "
           "back  %s\n",
           1e3 * f, k / f, b / f, path);
    ptf_gradient_free(g);
    ptf_plan_free(plan);
    ptf_net_free(net);
}

int main(int argc, char **argv)
{
    int threads = 1, first = 1;
    if (argc > 2 && strcmp(argv[1], "-t") == 0) {
        threads = atoi(argv[2]);
        first = 3;
    }
    for (int i = first; i < argc; i++)
        measure(argv[i], threads);
    return 0;
}
