/*
 * Numbers moved axis by axis: pads, and maps of another size that take the
 * nearest pixel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

/* Positions first .. end - 1 of a row lie side by side in the operand's. */
typedef struct run {
    int64_t first, end;
} run;

static bool has_tap(const ptf_tap_axis *a, int64_t i)
{
    return a->begin[i] < a->begin[i + 1];
}

static run longest_run(const ptf_tap_axis *a)
{
    run best = {0, 0}, now = {0, 0};
    for (int64_t i = 0; i < a->out; i++) {
        bool goes_on = i > now.first && has_tap(a, i) && has_tap(a, i - 1) &&
                       a->index[a->begin[i]] == a->index[a->begin[i - 1]] + 1;
        if (!goes_on)
            now.first = i;
        now.end = has_tap(a, i) ? i + 1 : i;
        if (now.end - now.first > best.end - best.first)
            best = now;
    }
    return best;
}

static void pick_some(const ptf_tap_axis *a, int64_t first, int64_t end,
                      const float *x, float otherwise, float *y)
{
    for (int64_t i = first; i < end; i++)
        y[i] = has_tap(a, i) ? x[a->index[a->begin[i]]] : otherwise;
}

static void pick_row(const ptf_tap_axis *a, run contiguous, const float *x,
                     float otherwise, float *y)
{
    int64_t n = contiguous.end - contiguous.first;
    pick_some(a, 0, contiguous.first, x, otherwise, y);
    if (n > 0)
        memcpy(y + contiguous.first, x + a->index[a->begin[contiguous.first]],
               (size_t)n * sizeof(float));
    pick_some(a, contiguous.end, a->out, x, otherwise, y);
}

/* Where the row begins in the operand; -1: none of its numbers is there. */
static int64_t row_from(const ptf_tapping *t, int64_t row)
{
    int64_t at[PTF_AXES], from = ptf_tapping_at(t, row, at);
    for (int d = 0; d < t->rank - 1; d++) {
        const ptf_tap_axis *a = &t->axes[d];
        if (!has_tap(a, at[d]))
            return -1;
        from = from * a->in + a->index[a->begin[at[d]]];
    }
    return from * t->axes[t->rank - 1].in;
}

/* A row that is the same as the one before is a copy of it. */
void ptf_pick(const ptf_tapping *t, int64_t begin, int64_t end, const float *x,
              float *y)
{
    const ptf_tap_axis *last = &t->axes[t->rank - 1];
    run contiguous = longest_run(last);
    int64_t before = -1;
    for (int64_t row = begin; row < end; row++) {
        int64_t from = row_from(t, row);
        float *to = y + row * last->out;
        if (from < 0) {
            for (int64_t i = 0; i < last->out; i++)
                to[i] = t->otherwise;
        } else if (from == before) {
            memcpy(to, to - last->out, (size_t)last->out * sizeof(float));
        } else {
            pick_row(last, contiguous, x + from, t->otherwise, to);
        }
        before = from;
    }
}
