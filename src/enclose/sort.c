/*
 * Balls of positions in the order of their numbers, and of the numbers in that
 * order.
 *
 * Of two balls, one surely comes first when its upper end is before the other's
 * lower one (equal ends are in the order of their positions, as equal numbers
 * are).  So as many balls as surely come before a position, or after it, bound
 * its place; a place may be that of any position whose bounds hold it.  With
 * the ends sorted, each count is a search.
 *
 * The k-th of some numbers moves no further than they do: it lies between the
 * k-th of the lower ends and the k-th of the upper ends.
 *
 * Where an argsort descends, all this is said of the negations of the numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

#include <stdlib.h>

typedef struct end {
    double at;
    int64_t position;
} end;

static int compare(const void *a, const void *b)
{
    const end *x = a, *y = b;
    if (x->at < y->at || x->at > y->at)
        return x->at < y->at ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* One line of a sample: where it begins, and its ends in their order. */
typedef struct line {
    const ptf_sorting *s;
    ptf_balls in, out;
    end *low, *high;
} line;

/* Both ends of a ball.  One that says nothing, or NaN, may be anywhere. */
static void find_ends(const line *l, int64_t i, end *low, end *high)
{
    double m = l->in.value[i * l->s->inner];
    double r = l->in.radius[i * l->s->inner];
    bool known = isfinite(m) && r < HUGE_VAL;
    m = l->s->descending ? -m : m;
    r += 2 * PTF_U * (r > 0 ? fabs(m) + r : 0);
    *low = (end){known ? m - r : -HUGE_VAL, i};
    *high = (end){known ? m + r : HUGE_VAL, i};
}

static void sort_ends(const line *l)
{
    for (int64_t i = 0; i < l->s->size; i++)
        find_ends(l, i, &l->low[i], &l->high[i]);
    qsort(l->low, (size_t)l->s->size, sizeof(end), compare);
    qsort(l->high, (size_t)l->s->size, sizeof(end), compare);
}

/* How many of the sorted ends are before that one. */
static int64_t count_before(const end *sorted, int64_t n, const end *e)
{
    int64_t first = 0;
    while (first < n) {
        int64_t middle = first + (n - first) / 2;
        if (compare(&sorted[middle], e) < 0)
            first = middle + 1;
        else
            n = middle;
    }
    return first;
}

/* Widens the ball of each place that position i may have: from 'value', the
 * least of such positions, to 'radius', the greatest. */
static void take_places(const line *l, int64_t i)
{
    end low, high;
    find_ends(l, i, &low, &high);
    int64_t from = count_before(l->high, l->s->size, &low);
    int64_t to = count_before(l->low, l->s->size, &high);
    to -= low.at < high.at; /* itself */
    to = ptf_min_i64(to, l->s->k - 1);
    for (; from <= to; from++) {
        double *value = &l->out.value[from * l->s->inner];
        double *radius = &l->out.radius[from * l->s->inner];
        *value = fmin(*value, (double)i);
        *radius = fmax(*radius, (double)i);
    }
}

static void order(const line *l)
{
    for (int64_t i = 0; i < l->s->k; i++) {
        l->out.value[i * l->s->inner] = HUGE_VAL;
        l->out.radius[i * l->s->inner] = -HUGE_VAL;
    }
    for (int64_t i = 0; i < l->s->size; i++)
        take_places(l, i);
    for (int64_t i = 0; i < l->s->k; i++) {
        double *value = &l->out.value[i * l->s->inner];
        double *radius = &l->out.radius[i * l->s->inner];
        double least = *value, most = *radius;
        *value = (least + most) / 2;
        *radius = (most - least) / 2;
    }
}

/* Numbers whose positions are known are what they are. */
static void statistics(const line *l, ptf_balls index)
{
    for (int64_t i = 0; i < l->s->k; i++) {
        int64_t at = i * l->s->inner;
        if (!(index.radius[at] > 0))
            continue;
        double low = l->low[i].at, high = l->high[i].at;
        double m = low / 2 + high / 2, far = fmax(high - m, m - low);
        l->out.value[at] = l->s->descending ? -m : m;
        l->out.radius[at] =
            (far + 4 * PTF_U * (fabs(low) + fabs(high))) * PTF_UP + PTF_TINY;
    }
}

/* All lines of a sample; false when out of memory. */
static bool each_line(const ptf_sorting *s, ptf_balls in,
                      const ptf_balls *index, ptf_balls out)
{
    end *ends = ptf_alloc((size_t)s->size * 2 * sizeof(*ends));
    for (int64_t i = 0; ends != NULL && i < s->outer * s->inner; i++) {
        int64_t from = i / s->inner * s->size * s->inner + i % s->inner;
        int64_t to = i / s->inner * s->k * s->inner + i % s->inner;
        line l = {.s = s, .low = ends, .high = ends + s->size};
        l.in = ptf_balls_of(in, 1, from);
        l.out = ptf_balls_of(out, 1, to);
        sort_ends(&l);
        if (index == NULL)
            order(&l);
        else
            statistics(&l, ptf_balls_of(*index, 1, to));
    }
    ptf_free(ends);
    return ends != NULL;
}

/* Without memory all positions are possible. */
static void image(const ptf_enclose_step *s, int64_t n)
{
    ptf_sorting sorting = ptf_op_sorting(&ptf_enclose_node_of(s)->attrs,
                                         ptf_enclose_shape_of(s, 0));
    ptf_balls out = ptf_enclose_out(s, n);
    bool ok = each_line(&sorting, ptf_enclose_in(s, 0, n), NULL, out);
    double middle = (double)(sorting.size - 1) / 2;
    for (int64_t i = 0; !ok && i < s->enc->sizes[s->node]; i++)
        out.value[i] = out.radius[i] = middle;
}

const ptf_enclose_family ptf_enclose_family_sort = {.image = image};

/* A gather has the axes of its operand, and index ops do where that has one.
 * Without memory the balls stay as wide as they are. */
void ptf_enclose_sorted(const ptf_enclose_step *s, int64_t n)
{
    const ptf_node *node = ptf_enclose_node_of(s);
    const ptf_node *index = &s->enc->net->nodes[node->inputs[1]];
    int rank = ptf_enclose_shape_of(s, 0)->rank + 1;
    if (index->op != PTF_OP_ARGSORT ||
        s->enc->shapes[s->node].rank + 1 != rank ||
        index->inputs[0] != node->inputs[0] ||
        (node->attrs.dim + rank) % rank != (index->attrs.dim + rank) % rank)
        return;
    ptf_sorting sorting =
        ptf_op_sorting(&index->attrs, ptf_enclose_shape_of(s, 0));
    ptf_balls positions = ptf_enclose_in(s, 1, n);
    each_line(&sorting, ptf_enclose_in(s, 0, n), &positions,
              ptf_enclose_out(s, n));
}
