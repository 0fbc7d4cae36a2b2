/*
 * Balls that indices name: where an index may be several, one ball that holds
 * all that these name.  An index that may be none says nothing.  Numbers in
 * their order are narrower: sort.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

enum { MOST = 256 }; /* positions that one index may mean */

static void take(const ptf_gather *g, ptf_balls in, int64_t from, double index,
                 double r, double *y, double *radius)
{
    double low = HUGE_VAL, high = -HUGE_VAL, wide = r * PTF_UP;
    double first = ceil(index - wide), last = floor(index + wide);
    bool known = last - first < MOST && first <= last;
    for (double k = first; known && k <= last; k++) {
        int64_t position = ptf_gather_position(g, k);
        int64_t at = from + (position < 0 ? 0 : position) * g->step;
        known = position >= 0;
        low = fmin(low, in.value[at] - in.radius[at]);
        high = fmax(high, in.value[at] + in.radius[at]);
        *y = in.value[at];
        *radius = in.radius[at];
    }
    if (known && first >= last)
        return;
    *y = low / 2 + high / 2;
    double far = fmax(high - *y, *y - low);
    *radius =
        known ? (far + 4 * PTF_U * (fabs(low) + fabs(high))) * PTF_UP + PTF_TINY
              : HUGE_VAL;
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_node *node = ptf_enclose_node_of(s);
    ptf_gather g =
        ptf_op_gather(node->op, &node->attrs, ptf_enclose_shape_of(s, 0),
                      ptf_enclose_shape_of(s, 1));
    ptf_balls in = ptf_enclose_in(s, 0, n), index = ptf_enclose_in(s, 1, n);
    ptf_balls out = ptf_enclose_out(s, n);
    for (int64_t i = 0; i < s->enc->sizes[s->node]; i++) {
        int64_t from, at;
        ptf_gather_at(&g, i, &from, &at);
        take(&g, in, from, index.value[at], index.radius[at], &out.value[i],
             &out.radius[i]);
    }
    ptf_enclose_sorted(s, n);
}

const ptf_enclose_family ptf_enclose_family_gather = {.image = image};
