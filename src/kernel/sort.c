/*
 * The first positions of a line in the order of their numbers: a heap of those
 * that are first so far, with the last of them on top, lies in the result
 * itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

/* Integers in the order of the numbers: zeros are equal, and so are NaNs, which
 * are largest. */
static int32_t rank_of(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    if (__builtin_isnan(x))
        return INT32_MAX;
    return bits >= 0 ? bits : -(bits & INT32_MAX);
}

/* A line and its result, whose numbers are 'step' apart. */
typedef struct line {
    const float *x;
    float *y;
    int64_t step;
    bool descending;
} line;

static int64_t at(const line *l, int64_t i)
{
    return (int64_t)l->y[i * l->step];
}

/* True when position a comes after position b. */
static bool is_after(const line *l, int64_t a, int64_t b)
{
    int32_t p = rank_of(l->x[a * l->step]), q = rank_of(l->x[b * l->step]);
    if (p == q)
        return a > b;
    return l->descending ? p < q : p > q;
}

/* Puts a position where it belongs in a heap whose top is free. */
static void sift(const line *l, int64_t count, int64_t position)
{
    int64_t i = 0;
    for (int64_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && is_after(l, at(l, child + 1), at(l, child)))
            child++;
        if (!is_after(l, at(l, child), position))
            break;
        l->y[i * l->step] = l->y[child * l->step];
    }
    l->y[i * l->step] = (float)position;
}

/* The same from its end. */
static void rise(const line *l, int64_t i, int64_t position)
{
    for (; i > 0 && is_after(l, position, at(l, (i - 1) / 2)); i = (i - 1) / 2)
        l->y[i * l->step] = l->y[(i - 1) / 2 * l->step];
    l->y[i * l->step] = (float)position;
}

static void sort_line(const line *l, int64_t size, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        rise(l, i, i);
    for (int64_t i = k; i < size; i++) {
        if (is_after(l, at(l, 0), i))
            sift(l, k, i);
    }
    for (int64_t i = k - 1; i > 0; i--) {
        int64_t last = at(l, i);
        l->y[i * l->step] = l->y[0];
        sift(l, i, last);
    }
}

void ptf_argsort(int64_t size, int64_t k, bool descending, int64_t step,
                 const float *x, float *y)
{
    line l = {x, y, step, descending};
    sort_line(&l, size, k);
}
