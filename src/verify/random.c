/*
 * Inputs out of nothing but a seed: number i of sample s is a hash of
 * (seed, s, i), so that no batch size, order or thread can change it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

/* The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

void ptf_random_fill(uint64_t seed, uint64_t index, float *out, size_t n)
{
    uint64_t stream = mix(mix(seed) ^ index);
    for (size_t i = 0; i < n; i++) /* 24 bits: exact in f32, below 1 */
        out[i] = (float)(mix(stream ^ i) >> 40) * 0x1p-24f;
}
