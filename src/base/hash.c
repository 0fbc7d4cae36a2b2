/*
 * A keyed hash of bytes: SipHash-1-3 (Aumasson and Bernstein, "SipHash: a
 * fast short-input PRF", 2012, with one and three rounds).  The key is drawn
 * once per process, so that nobody can make a file whose names all fall into
 * one slot of a table and take quadratic time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t key[2];
static pthread_once_t drawn = PTHREAD_ONCE_INIT;

/* Early after booting the kernel may have no random bytes: better a key that
 * can be guessed than to wait. */
static void draw_key(void)
{
    if (getrandom(key, sizeof(key), GRND_NONBLOCK) == (ssize_t)sizeof(key))
        return;
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    key[0] = (uint64_t)now.tv_nsec;
    key[1] = (uint64_t)now.tv_sec << 32 ^ (uint64_t)getpid();
}

void ptf_hash_set_key(uint64_t k0, uint64_t k1)
{
    pthread_once(&drawn, draw_key);
    key[0] = k0;
    key[1] = k1;
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

uint64_t ptf_hash(const void *data, size_t size)
{
    pthread_once(&drawn, draw_key);
    const uint8_t *p = data;
    uint64_t v[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575),
        key[1] ^ UINT64_C(0x646f72616e646f6d),
        key[0] ^ UINT64_C(0x6c7967656e657261),
        key[1] ^ UINT64_C(0x7465646279746573),
    };
    uint64_t last = (uint64_t)size << 56;
    for (size_t i = 0; i < size / 8; i++, p += 8) {
        uint64_t word = ptf_get_u64(p);
        v[3] ^= word;
        mix(v);
        v[0] ^= word;
    }
    for (size_t i = 0; i < size % 8; i++)
        last |= (uint64_t)p[i] << 8 * i;
    v[3] ^= last;
    mix(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
