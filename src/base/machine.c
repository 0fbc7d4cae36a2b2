/*
 * What the machine has: instruction sets, CPUs, memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const isa_names[PTF_ISA_COUNT] = {
    [PTF_ISA_REF] = "ref",
    [PTF_ISA_NEON] = "neon",
    [PTF_ISA_AVX2] = "avx2",
    [PTF_ISA_AVX512] = "avx512",
};

const char *ptf_isa_text(ptf_isa isa)
{
    return isa_names[isa];
}

bool ptf_isa_parse(const char *text, ptf_isa *out)
{
    for (int i = 0; i < PTF_ISA_COUNT; i++) {
        if (strcmp(text, isa_names[i]) == 0) {
            *out = (ptf_isa)i;
            return true;
        }
    }
    return false;
}

bool ptf_isa_here(ptf_isa isa)
{
    if (isa == PTF_ISA_REF)
        return true;
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == PTF_ISA_AVX2)
        return avx2;
    if (isa == PTF_ISA_AVX512)
        return avx2 && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#elif defined(__aarch64__)
    if (isa == PTF_ISA_NEON)
        return true;
#endif
    return false;
}

ptf_isa ptf_isa_default(void)
{
    ptf_isa highest = PTF_ISA_COUNT - 1;
    const char *wish = getenv("PTF_ISA");
    if (wish != NULL)
        ptf_isa_parse(wish, &highest);
    while (!ptf_isa_here(highest))
        highest = (ptf_isa)(highest - 1);
    return highest;
}

const char *ptf_isa_name(void)
{
    return ptf_isa_text(ptf_isa_default());
}

/* ------------------------------------------------------------------ threads */

int ptf_cgroup_limit(const char *path, int most)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return most;
    char line[64] = "";
    char *got = fgets(line, sizeof(line), f);
    fclose(f);
    char *rest;
    long quota = got != NULL ? strtol(line, &rest, 10) : 0;
    if (quota <= 0) /* "max", or nothing that can be read */
        return most;
    long period = strtol(rest, NULL, 10);
    if (period <= 0 || quota / period >= most)
        return most;
    return (int)ptf_ceil_div(quota, period);
}

int ptf_thread_count(void)
{
    cpu_set_t set;
    int cpus = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cpus = CPU_COUNT(&set);
    else if (sysconf(_SC_NPROCESSORS_ONLN) > 0)
        cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return ptf_cgroup_limit("/sys/fs/cgroup/cpu.max", cpus);
}

size_t ptf_machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t bytes;
    return pages > 0 && size > 0 &&
                   ptf_mul_size((size_t)pages, (size_t)size, &bytes)
               ? bytes
               : SIZE_MAX;
}
