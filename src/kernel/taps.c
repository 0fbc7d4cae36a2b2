/*
 * Arrays that are made of others axis by axis: sizes and positions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

int64_t ptf_tapping_rows(const ptf_tapping *t)
{
    int64_t rows = t->planes;
    for (int d = 0; d < t->rank - 1; d++)
        rows *= t->axes[d].out;
    return rows;
}

int64_t ptf_tapping_plane(const ptf_tapping *t)
{
    int64_t floats = 1;
    for (int d = 0; d < t->rank; d++)
        floats *= t->axes[d].in;
    return floats;
}

int64_t ptf_tapping_at(const ptf_tapping *t, int64_t row, int64_t *at)
{
    for (int d = t->rank - 2; d >= 0; row /= t->axes[d--].out)
        at[d] = row % t->axes[d].out;
    return row;
}
