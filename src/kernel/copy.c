/*
 * Numbers moved in strides: permutations, slices, and one number to many
 * places.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

/*
 * Where neither side is contiguous along the last axis of the other, lines of
 * TILE x TILE floats go through a buffer, so that each cache line is touched
 * once whatever the strides are.
 */
enum { TILE = 16, PART_FLOATS = 16384 };

static void copy_row(int64_t n, const float *x, int64_t from, float *y,
                     int64_t to)
{
    if (from == 1 && to == 1 && n >= TILE) {
        memcpy(y, x, (size_t)n * sizeof(float));
    } else if (to == 1 && from == 0) {
        float same = *x;
        for (int64_t i = 0; i < n; i++)
            y[i] = same;
    } else if (to == 1) {
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i * from];
    } else {
        for (int64_t i = 0; i < n; i++)
            y[i * to] = x[i * from];
    }
}

/* y[i * to + k] = x[k * from + i] for i < rows, k < columns. */
static inline void copy_tile(int64_t rows, int64_t columns, const float *x,
                             int64_t from, float *y, int64_t to)
{
    float tile[TILE][TILE];
    for (int64_t k = 0; k < columns; k++) {
        for (int64_t i = 0; i < rows; i++)
            tile[i][k] = x[k * from + i];
    }
    for (int64_t i = 0; i < rows; i++)
        memcpy(y + i * to, tile[i], (size_t)columns * sizeof(float));
}

/* Few columns, so that the lines that they are read from stay in the cache. */
static void copy_columns(int64_t rows, int64_t columns, const float *x,
                         int64_t from, float *y, int64_t to)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t k = 0; k < columns; k++)
            y[i * to + k] = x[k * from + i];
    }
}

static void copy_some(int64_t rows, int64_t columns, const float *x,
                      int64_t from, float *y, int64_t to)
{
    if (rows == TILE && columns == TILE) /* the compiler unrolls it */
        copy_tile(TILE, TILE, x, from, y, to);
    else
        copy_columns(rows, columns, x, from, y, to);
}

static void transpose(int64_t rows, int64_t columns, const float *x,
                      int64_t from, float *y, int64_t to)
{
    int64_t step = columns < TILE ? rows : TILE;
    for (int64_t i = 0; i < rows; i += step) {
        for (int64_t k = 0; k < columns; k += TILE)
            copy_some(ptf_min_i64(rows - i, step),
                      ptf_min_i64(columns - k, TILE), x + k * from + i, from,
                      y + i * to + k, to);
    }
}

/* The axis along which x is contiguous while y is along the last one, or -1. */
static int transposed_axis(const ptf_strides *s)
{
    int last = s->rank - 1;
    if (last < 1 || s->to[last] != 1 || s->from[last] <= 1)
        return -1;
    for (int i = last - 1; i >= 0; i--) {
        if (s->from[i] == 1)
            return i;
    }
    return -1;
}

static void swap(int64_t *a, int i, int k)
{
    int64_t old = a[i];
    a[i] = a[k];
    a[k] = old;
}

/* Two axes in the inner loops, all others by their count. */
static void copy_planes(const ptf_strides *s, const float *x, float *y,
                        bool transposed)
{
    int a = s->rank - 2, b = s->rank - 1;
    int64_t planes = ptf_strides_count(s, a);
    for (int64_t p = 0; p < planes; p++) {
        int64_t from, to;
        ptf_strides_at(s, a, p, &from, &to);
        if (transposed) {
            transpose(s->size[a], s->size[b], x + from, s->from[b], y + to,
                      s->to[a]);
            continue;
        }
        for (int64_t i = 0; i < s->size[a]; i++)
            copy_row(s->size[b], x + from + i * s->from[a], s->from[b],
                     y + to + i * s->to[a], s->to[b]);
    }
}

int64_t ptf_copy_parts(const ptf_strides *s)
{
    int64_t floats = ptf_strides_count(s, s->rank);
    int64_t most = s->rank > 0 ? s->size[0] : 1;
    return ptf_min_i64(most, ptf_ceil_div(floats, PART_FLOATS));
}

void ptf_copy(const ptf_strides *s, int64_t part, int64_t parts, const float *x,
              float *y)
{
    ptf_strides own = *s;
    while (own.rank < 2) { /* in front */
        int rank = own.rank++;
        own.size[rank] = 1;
        own.from[rank] = own.to[rank] = 0;
        for (int i = rank; i > 0; i--) {
            swap(own.size, i, i - 1);
            swap(own.from, i, i - 1);
            swap(own.to, i, i - 1);
        }
    }
    int first = s->rank == 1 ? 1 : 0; /* the axis that is cut */
    int64_t begin = own.size[first] * part / parts;
    int64_t end = own.size[first] * (part + 1) / parts;
    x += begin * own.from[first];
    y += begin * own.to[first];
    own.size[first] = end - begin;
    int transposed = transposed_axis(&own), beside = own.rank - 2;
    if (transposed >= 0 && transposed != beside) {
        swap(own.size, transposed, beside);
        swap(own.from, transposed, beside);
        swap(own.to, transposed, beside);
    }
    copy_planes(&own, x, y, transposed >= 0);
}
