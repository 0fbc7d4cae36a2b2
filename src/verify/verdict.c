/*
 * The verdict on two runs.  It sees numbers only, never a net, so that it
 * cannot be kind to one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <math.h>

/* The course adds up squared differences over batches of this many images. */
enum { GROUP_ROWS = 100 };

static const char *const level_names[] = {
    [PTF_LEVEL_BITWISE] = "BITWISE",
    [PTF_LEVEL_CERTIFIED] = "CERTIFIED",
    [PTF_CERTIFIED_WITHIN] = "CERTIFIED WITHIN n ULP",
    [PTF_LEVEL_SAME_PREDICTIONS] = "SAME PREDICTIONS",
    [PTF_LEVEL_WITHIN_TOLERANCE] = "WITHIN TOLERANCE",
    [PTF_LEVEL_DIFFERENT] = "DIFFERENT",
    [PTF_LEVEL_UNDECIDED] = "UNDECIDED",
};

const char *ptf_level_name(ptf_level level)
{
    return level_names[level];
}

void ptf_verdict_init(ptf_verdict *v, double atol, double rtol)
{
    *v = (ptf_verdict){.atol = atol, .rtol = rtol};
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static double largest_abs(const float *row, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)row[i]));
    return most;
}

static int64_t first_largest(const float *row, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++) {
        if (row[i] > row[best])
            best = i;
    }
    return best;
}

/* One pair of numbers, at (v->samples, column). */
static void add_number(ptf_verdict *v, float a, float b, int64_t column,
                       double tolerance)
{
    v->outputs++;
    v->unequal_bits += bits_of(a) != bits_of(b);
    if (!isfinite(a) || !isfinite(b)) {
        v->not_finite++;
        return;
    }
    double difference = fabs((double)a - (double)b);
    v->beyond_tolerance += difference > tolerance;
    v->sum_squares += difference * difference;
    v->group_squares += difference * difference;
    if (difference > v->max_abs) {
        v->max_abs = difference;
        v->worst_sample = v->samples;
        v->worst_output = column;
        v->worst_a = a;
        v->worst_b = b;
    }
}

/* From the best to the worst. */
typedef enum argmax { EQUAL, NEAR, APART } argmax;

static argmax compare_argmax(const float *a, const float *b, int64_t columns,
                             double tolerance)
{
    int64_t i = first_largest(a, columns), j = first_largest(b, columns);
    if (i == j)
        return EQUAL;
    /* Each of the two candidates may have moved by the tolerance. */
    return (double)a[i] - (double)a[j] <= 2 * tolerance ? NEAR : APART;
}

/* One output of a row, whose first column is 'first'. */
static argmax add_output(ptf_verdict *v, const float *a, const float *b,
                         int64_t first, int64_t columns)
{
    double scale = largest_abs(a, columns);
    double tolerance = v->atol + v->rtol * scale;
    for (int64_t i = 0; i < columns; i++)
        add_number(v, a[i], b[i], first + i, tolerance);
    v->max_ref = fmax(v->max_ref, scale);
    return compare_argmax(a, b, columns, tolerance);
}

void ptf_verdict_add_outputs(ptf_verdict *v, const float *a, const float *b,
                             int64_t rows, const int64_t *columns, int outputs)
{
    int64_t *counts[] = {&v->argmax_equal, &v->argmax_undecided,
                         &v->argmax_different};
    int64_t size = 0;
    for (int k = 0; k < outputs; k++)
        size += columns[k];
    for (int64_t row = 0; row < rows && size > 0; row++) {
        argmax worst = EQUAL;
        if (v->samples % GROUP_ROWS == 0)
            v->group_squares = 0;
        for (int64_t k = 0, first = 0; k < outputs; first += columns[k++]) {
            argmax one = add_output(v, a + first, b + first, first, columns[k]);
            worst = one > worst ? one : worst;
        }
        ++*counts[worst];
        v->max_group_squares = fmax(v->max_group_squares, v->group_squares);
        v->samples++;
        a += size;
        b += size;
    }
}

void ptf_verdict_add(ptf_verdict *v, const float *a, const float *b,
                     int64_t rows, int64_t columns)
{
    ptf_verdict_add_outputs(v, a, b, rows, &columns, 1);
}

ptf_level ptf_verdict_level(const ptf_verdict *v)
{
    if (v->outputs == 0 || v->not_finite > 0)
        return PTF_LEVEL_UNDECIDED;
    if (v->unequal_bits == 0)
        return PTF_LEVEL_BITWISE;
    if (v->beyond_tolerance > 0)
        return PTF_LEVEL_DIFFERENT;
    return v->argmax_different == 0 && v->argmax_undecided == 0
               ? PTF_LEVEL_SAME_PREDICTIONS
               : PTF_LEVEL_WITHIN_TOLERANCE;
}
