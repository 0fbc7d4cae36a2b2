/*
 * Whether a network gives the same bits in every way that it can run:
 *
 *     cc -O2 bench/bits.c $(pkg-config --cflags --libs ptfold) -o bits
 *     ./bits [-s SIZE] NET.pt2...
 *
 * 7 drawn samples on each instruction set, by 1, 2 and 3 threads, in batches of
 * 1, 2 and 7, with all the memory that is wanted and with as little as still
 * does, which makes stripes.  A line for each network: a hash of its outputs,
 * in how many ways they came, and in how many of them in stripes or parts.
 * Exit status 1 where one is another.  Maps are SIZE wide with -s; `ref`, which
 * is slow, runs once with much and once with little memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "timing.h"

#include <stdbool.h>
#include <string.h>

enum { SAMPLES = 7, MOST = 64 };

typedef struct job {
    const char *path;
    ptf_net *net;
    size_t inputs, outputs;
    float *in[MOST], *out[MOST];
    int64_t in_size[MOST], out_size[MOST];
    uint64_t hash;
    int ways, small;
    bool same;
} job;

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

/* Of other sizes where 'size' is not 0: of one input that is a map. */
static void open_net(job *j, int64_t size)
{
    ptf_program *program;
    ptf_port port;
    check(ptf_program_open(j->path, NULL, &program, &err));
    check(ptf_net_from_program(program, &j->net, &err));
    ptf_net_input(j->net, 0, &port);
    if (size > 0 && port.shape.rank == 3) {
        ptf_tensor given = {.rank = 4,
                            .shape = {-1, port.shape.dim[0], size, size}};
        ptf_net_free(j->net);
        check(ptf_net_from_program_for(program, (const ptf_tensor *[]){&given},
                                       1, &j->net, &err));
    }
    ptf_program_close(program);
}

static void make_room(job *j)
{
    ptf_plan *plan;
    j->inputs = ptf_net_input_count(j->net);
    j->outputs = ptf_net_output_count(j->net);
    if (j->inputs > MOST || j->outputs > MOST)
        exit(2);
    check(ptf_plan_make(j->net, NULL, 1, NULL, &plan, &err));
    for (size_t i = 0; i < j->inputs; i++) {
        ptf_port port;
        ptf_net_input(j->net, i, &port);
        j->in_size[i] = ptf_shape_numel(&port.shape);
        j->in[i] = calloc((size_t)(SAMPLES * j->in_size[i] + 1), sizeof(float));
        for (int s = 0; s < SAMPLES; s++)
            ptf_random_fill(i + 1, (uint64_t)s, j->in[i] + s * j->in_size[i],
                            (size_t)j->in_size[i]);
    }
    for (size_t i = 0; i < j->outputs; i++) {
        ptf_shape shape = ptf_plan_output(plan, i);
        j->out_size[i] = ptf_shape_numel(&shape);
        j->out[i] =
            calloc((size_t)(SAMPLES * j->out_size[i] + 1), sizeof(float));
    }
    ptf_plan_free(plan);
}

static void run(job *j, ptf_plan *plan, int64_t batch)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (int64_t s = 0; s < SAMPLES; s += batch) {
        const float *in[MOST];
        float *out[MOST];
        for (size_t i = 0; i < j->inputs; i++)
            in[i] = j->in[i] + s * j->in_size[i];
        for (size_t i = 0; i < j->outputs; i++)
            out[i] = j->out[i] + s * j->out_size[i];
        int64_t count = SAMPLES - s < batch ? SAMPLES - s : batch;
        check(ptf_plan_run_all(plan, in, count, out, &err));
    }
    for (size_t i = 0; i < j->outputs; i++)
        hash = mix(hash, j->out[i],
                   (size_t)(SAMPLES * j->out_size[i]) * sizeof(float));
    if (j->ways++ == 0)
        j->hash = hash;
    j->same = j->same && hash == j->hash;
}

/* With so many parts of four of the memory that it would like; false where that
 * is too little. */
static bool run_in(job *j, const ptf_plan_options *wanted, int64_t batch,
                   int parts)
{
    ptf_plan_options o = *wanted;
    ptf_plan *plan;
    if (parts < 4) {
        check(ptf_plan_make(j->net, NULL, batch, &o, &plan, &err));
        o.memory_limit = ptf_plan_memory(plan) / 4 * (size_t)parts;
        ptf_plan_free(plan);
    }
    ptf_status status = ptf_plan_make(j->net, NULL, batch, &o, &plan, &err);
    if (status == PTF_MEMORY && parts < 4)
        return false;
    check(status);
    run(j, plan, batch);
    j->small += parts < 4;
    ptf_plan_free(plan);
    return true;
}

static void run_ways(job *j, const char *isa)
{
    static const int64_t batches[] = {1, 2, 7};
    bool slow = strcmp(isa, "ref") == 0;
    for (int threads = slow ? 3 : 1; threads <= 3; threads++) {
        for (int b = slow ? 2 : 0; b < 3; b++) {
            const ptf_plan_options o = {.threads = threads, .isa = isa};
            int parts = 1;
            run_in(j, &o, batches[b], 4);
            while (parts < 4 && !run_in(j, &o, batches[b], parts))
                parts++;
        }
    }
}

/* Those that this machine has, as a plan can be made with them. */
static bool is_here(const job *j, const char *isa)
{
    ptf_plan *plan = NULL;
    ptf_status status = ptf_plan_make(
        j->net, NULL, 1, &(ptf_plan_options){.isa = isa}, &plan, &err);
    ptf_plan_free(plan);
    return status == PTF_OK;
}

int main(int argc, char **argv)
{
    static const char *const isas[] = {"ref", "neon", "avx2", "avx512"};
    int first = 1, failed = 0;
    int64_t size = 0;
    if (argc > 2 && strcmp(argv[1], "-s") == 0) {
        size = atoll(argv[2]);
        first = 3;
    }
    for (int i = first; i < argc; i++) {
        job j = {.path = argv[i], .same = true};
        double start = now();
        open_net(&j, size);
        make_room(&j);
        for (size_t k = 0; k < sizeof(isas) / sizeof(isas[0]); k++) {
            if (is_here(&j, isas[k]))
                run_ways(&j, isas[k]);
        }
        printf("%016llx  %2d ways, %2d with little memory, %3.0f s: %s  %s\n",
               (unsigned long long)j.hash, j.ways, j.small, now() - start,
               j.same ? "the same bits" : "OTHER BITS", j.path);
        fflush(stdout);
        failed += !j.same;
        ptf_net_free(j.net);
        for (int k = 0; k < MOST; k++) {
            free(j.in[k]);
            free(j.out[k]);
        }
    }
    return failed > 0;
}
