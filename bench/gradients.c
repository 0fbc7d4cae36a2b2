/*
 * How near gradients of a one-channel chain come to the machine's peak:
 *
 *     cc -O2 bench/gradients.c $(pkg-config --cflags --libs ptfold) -o chain
 *     ./chain [SAMPLES [THREADS]]
 *
 * 8 filters of 64 taps with ReLUs between them, forward and back by input and
 * parameters, beside the time of 2 * sum(n_l * f_l) fused multiply-adds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "timing.h"

#include <string.h>

enum { LAYERS = 8, TAPS = 64, NUMBERS = LAYERS * (TAPS + 1), RUNS = 7 };

/* The text, and a safetensors file of drawn weights. */
static size_t make(char *text, char *file)
{
    char *header = file + 8;
    int used = sprintf(text, "Sequential(\n");
    int size = sprintf(header, "{");
    for (int l = 0; l < LAYERS; l++) {
        int at = 4 * l * (TAPS + 1), end = at + 4 * TAPS;
        used += sprintf(text + used,
                        "  (%d): Conv1d(1, 1, kernel_size=(%d,), "
                        "stride=(1,))\n  (%d): ReLU()\n",
                        2 * l, TAPS, 2 * l + 1);
        size += sprintf(header + size,
                        "%s\"%d.weight\":{\"dtype\":\"F32\",\"shape\":[1,1,%d]"
                        ",\"data_offsets\":[%d,%d]},\"%d.bias\":{\"dtype\":"
                        "\"F32\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                        l > 0 ? "," : "", 2 * l, TAPS, at, end, 2 * l, end,
                        end + 4);
    }
    strcpy(text + used, ")\n");
    header[size++] = '}';
    while (size % 8 != 0)
        header[size++] = ' ';
    uint64_t header_size = (uint64_t)size;
    memcpy(file, &header_size, sizeof(header_size));
    float numbers[NUMBERS];
    ptf_random_fill(1, 0, numbers, NUMBERS);
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = 0.3f * (numbers[i] - 0.5f);
    memcpy(header + size, numbers, sizeof(numbers));
    return 8 + (size_t)size + sizeof(numbers);
}

int main(int argc, char **argv)
{
    static char text[4096], file[16384];
    int64_t n = argc > 1 ? atoll(argv[1]) : 1000000;
    ptf_gradient_options how = {.threads = argc > 2 ? atoi(argv[2]) : 1};
    ptf_checkpoint *ckpt;
    ptf_net *net;
    ptf_gradient *g;
    ptf_shape input = {2, {1, n}};
    size_t size = make(text, file);
    check(ptf_checkpoint_open_memory(file, size, "chain.safetensors", NULL,
                                     &ckpt, &err));
    check(ptf_net_make(text, "chain", ckpt, NULL, &net, &err));
    check(ptf_gradient_make(net, &input, 1, &how, &g, &err));
    ptf_shape output = ptf_gradient_output(g, 0);
    int64_t outputs = ptf_shape_numel(&output);
    float *x = malloc((size_t)n * sizeof(float));
    float *y = malloc((size_t)outputs * sizeof(float));
    float *d = malloc((size_t)outputs * sizeof(float));
    if (x == NULL || y == NULL || d == NULL)
        return 1;
    ptf_random_fill(1, 1, x, (size_t)n);
    ptf_random_fill(1, 2, d, (size_t)outputs);
    double forward = 1e9, back = 1e9, terms = 0;
    for (int i = 0; i < RUNS; i++) {
        double start = now();
        check(ptf_gradient_run(g, x, 1, y, &err));
        double middle = now();
        check(ptf_gradient_back(g, d, &err));
        double end = now();
        forward = middle - start < forward ? middle - start : forward;
        back = end - middle < back ? end - middle : back;
    }
    for (int l = 1; l <= LAYERS; l++)
        terms += (double)(n - l * (TAPS - 1)) * TAPS;
    double limit = 2 * terms * 2 / ptf_measure_flops(how.threads);
    printf("forward %.1f ms, back %.1f ms; 2 sum(n f) multiply-adds at the "
           "peak %.1f ms; %.2f times that\n",
           1e3 * forward, 1e3 * back, 1e3 * limit, (forward + back) / limit);
    ptf_gradient_free(g);
    ptf_net_free(net);
    ptf_checkpoint_close(ckpt);
    free(x);
    free(y);
    free(d);
    return 0;
}
