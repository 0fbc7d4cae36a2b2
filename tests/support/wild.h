/*
 * Random numbers, some of them special, in arrays that end at an unmapped page.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WILD_H
#define WILD_H

#include "base/base.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ----------------------------------------------------------------- numbers */

static uint64_t state;

static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int64_t between(int64_t low, int64_t high)
{
    return low + (int64_t)(next() % (uint64_t)(high - low + 1));
}

static float word(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static float special(void)
{
    static const uint32_t words[] = {
        0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x00800000,
        0x3f800000, 0xbf800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
        0x7fc00000, 0xffc00001, 0x7fa12345, 0x33800000, 0x42b17218, 0xc2d00000};
    return word(words[next() % PTF_ARRAY_SIZE(words)]);
}

/* How wild an array is: one number in 'odds' is special; 0: none. */
static float number(uint64_t odds)
{
    if (odds > 0 && next() % odds == 0)
        return special();
    return (float)(int64_t)(next() >> 40) * 0x1p-23F - 1.0F;
}

/* ------------------------------------------------------------------ arrays */

enum { ARRAYS = 16 };

typedef struct array {
    float *data;
    void *map;
    size_t mapped;
} array;

static array arrays[ARRAYS];
static int array_count;

/* 'n' floats whose end is the end of the readable memory. */
static float *guarded(int64_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = (size_t)n * sizeof(float);
    size_t mapped = (bytes + page - 1) / page * page + page;
    char *map = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || array_count == ARRAYS ||
        mprotect(map + mapped - page, page, PROT_NONE) != 0)
        exit(2);
    float *data = (void *)(map + mapped - page - bytes);
    arrays[array_count++] = (array){data, map, mapped};
    return data;
}

static float *filled(int64_t n, uint64_t odds)
{
    float *data = guarded(n);
    for (int64_t i = 0; i < n; i++)
        data[i] = number(odds);
    return data;
}

static void release(void)
{
    while (array_count > 0) {
        array_count--;
        munmap(arrays[array_count].map, arrays[array_count].mapped);
    }
}

#endif
