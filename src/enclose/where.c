/*
 * Balls of which a third one says which is meant: one of the two where it is
 * sure to be 0 or not, and else one that holds both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* The middle of both, off by u of it and half of that of their difference. */
static void hold_both(double a, double p, double b, double q, double *y,
                      double *r)
{
    *y = a / 2 + b / 2;
    double far = fmax(fabs(a - *y), fabs(b - *y));
    *r = (far + fmax(p, q) + 2 * PTF_U * far) * PTF_UP + PTF_TINY;
}

static void choose(int64_t n, const ptf_balls in[3], const int64_t step[3],
                   ptf_balls out)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t c = i * step[0], a = i * step[1], b = i * step[2];
        double size = fabs(in[0].value[c]), r = in[0].radius[c];
        bool is_true = size > r, is_false = !(size > 0) && !(r > 0);
        hold_both(in[1].value[a], in[1].radius[a], in[2].value[b],
                  in[2].radius[b], &out.value[i], &out.radius[i]);
        if (is_true || is_false) {
            int k = is_true ? 1 : 2;
            int64_t at = is_true ? a : b;
            out.value[i] = in[k].value[at];
            out.radius[i] = in[k].radius[at];
        }
    }
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    ptf_broadcast rows;
    ptf_balls in[3];
    ptf_enclose_broadcast(s, 3, &rows);
    for (int64_t i = 0; i < rows.count; i++) {
        for (int k = 0; k < 3; k++)
            in[k] = ptf_broadcast_row(s, &rows, k, n, i);
        choose(rows.length, in, rows.step,
               ptf_balls_of(ptf_enclose_out(s, n), rows.length, i));
    }
}

const ptf_enclose_family ptf_enclose_family_where = {.image = image};
