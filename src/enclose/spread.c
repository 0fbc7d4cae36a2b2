/*
 * Numbers around their mean.
 *
 * What the mean takes away must not come back as a radius: where x is 1000 +-
 * 10^-7, all of the m are near 1000, and a mean of them is off by u times 1000
 * times their number.  So the mean is taken twice: of the m, and of what is
 * left, t = m - mean, whose errors are relative to the spread.  Any number may
 * stand for the first mean.
 *
 *   t      is off by u |t|
 *   rest   the mean of the t: off by gamma(n + 2) A, A the mean of the |t|
 *   c      t - rest, off by u |c| <= u (|t| + A) and a little
 *
 * so that c is off by 4u |t| + lost, lost = 3 gamma(n + 4) A.  The radii of the
 * x move x_i less the mean by (1 - 1/n) r_i and 1/n of the others' r.  Taking
 * the mean away is a projection: the norm of the x moves by at most that of
 * the r.
 *
 * A run (kernel.h) sums the x themselves in double: its mean is off by gamma(n
 * + 1) of the mean of the |x|, at most that of |m| + r, which moves all numbers
 * alike: 'drift'.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/spread.h"

void ptf_axes_split(const ptf_shape *shape, const bool *reduced, ptf_axes *kept,
                    ptf_axes *terms)
{
    int64_t stride = ptf_shape_numel(shape);
    kept->rank = terms->rank = 0;
    for (int d = 0; d < shape->rank; d++) {
        ptf_axes *to = reduced[d] ? terms : kept;
        stride /= shape->dim[d];
        to->size[to->rank] = shape->dim[d];
        to->stride[to->rank++] = stride;
    }
}

/* Sums over the terms. */
typedef struct sums {
    double value, magnitude, radius, square, radius_square;
} sums;

/* Of the balls less 'mean' and 'rest'; the magnitudes with their radii. */
static sums sum_up(const ptf_axes *terms, ptf_balls in, double mean,
                   double rest)
{
    sums s = {0};
    int64_t n = ptf_axes_count(terms), at = 0;
    int64_t length = terms->rank > 0 ? terms->size[terms->rank - 1] : 1;
    int64_t step = terms->rank > 0 ? terms->stride[terms->rank - 1] : 0;
    for (int64_t k = 0; k < n; k++, at += step) {
        if (k % length == 0)
            at = ptf_axes_at(terms, k);
        double c = (in.value[at] - mean) - rest, r = in.radius[at];
        s.value += c;
        s.magnitude += fabs(c);
        s.square += c * c;
        s.radius += r;
        s.radius_square += r * r;
    }
    return s;
}

ptf_spread ptf_spread_of(const ptf_axes *terms, ptf_balls in, bool centred,
                         bool executed)
{
    int64_t n = ptf_axes_count(terms);
    double count = (double)n, g = ptf_gamma(n + 8, PTF_U), up = 1 + 2 * g;
    ptf_spread s = {.n = n, .centred = centred, .executed = executed};
    sums all = sum_up(terms, in, 0, 0);
    double rounded = 0; /* the norm of what the centres are off by */
    if (centred) {
        s.mean = all.value / count;
        sums left = sum_up(terms, in, s.mean, 0);
        s.rest = left.value / count;
        s.lost = 3 * g * (left.magnitude / count) + PTF_TINY;
        rounded = 4 * PTF_U * sqrt(left.square) + sqrt(count) * s.lost;
        if (executed && n > 1)
            s.drift = 2 * g * ((all.magnitude + all.radius) / count);
        all = sum_up(terms, in, s.mean, s.rest);
    }
    s.radii = all.radius * up;
    s.square = all.square;
    s.size = sqrt(all.square);
    double moved = (sqrt(all.radius_square) + rounded + sqrt(count) * s.drift) *
                   up * PTF_UP;
    s.off = moved + 2 * g * (s.size + moved) + 0x1p-490; /* underflow */
    return s;
}

double ptf_spread_radius(const ptf_spread *s, double m, double r)
{
    double t = m - s->mean, n = (double)s->n;
    double moved = s->centred ? ((n - 2) * r + s->radii) / n : r;
    if (s->centred && s->n == 1)
        moved = 0;
    if (s->centred)
        moved += 4 * PTF_U * fabs(t) + s->lost + s->drift;
    if (s->executed)
        moved += 2 * PTF_U * (fabs(t - s->rest) + moved);
    return moved * PTF_UP;
}
