/*
 * Balls through pools.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* The taps of one output along one axis: first, step and end. */
typedef struct span {
    int64_t first, end, step;
    int64_t padded; /* taps inside the padded input */
} span;

/* The map of a channel, and a window's taps in it. */
typedef struct box {
    const int64_t *size;
    span along[PTF_MAP_AXES];
} box;

static span window(const ptf_attrs *a, int axis, int64_t size, int64_t at)
{
    int64_t step = a->dilation[axis] > 0 ? a->dilation[axis] : 1;
    int64_t first = at * a->stride[axis] - a->padding[axis];
    int64_t end = first + (a->kernel[axis] - 1) * step + 1;
    int64_t limit = size + a->padding[axis];
    span s = {first, end < size ? end : size, step, 0};
    s.padded = ((end < limit ? end : limit) - first + step - 1) / step;
    while (s.first < 0)
        s.first += step;
    return s;
}

/* Window i of 'out' over 'in': floor(i in / out) to ceil((i + 1) in / out). */
static span share(int64_t in, int64_t out, int64_t i)
{
    int64_t first = i * in / out, end = ((i + 1) * in + out - 1) / out;
    return (span){first, end, 1, 0};
}

/* What the taps of a window come to. */
typedef struct gathered {
    double most, sum, magnitude; /* of the values */
    double widest, radius;       /* of the radii: the largest, and their sum */
    int64_t count;
} gathered;

static void gather_row(ptf_balls row, span columns, gathered *g)
{
    for (int64_t x = columns.first; x < columns.end; x += columns.step) {
        g->most = fmax(g->most, row.value[x]);
        g->sum += row.value[x];
        g->magnitude += fabs(row.value[x]);
        g->widest = fmax(g->widest, row.radius[x]);
        g->radius += row.radius[x];
        g->count++;
    }
}

static gathered gather_box(ptf_balls in, const box *b)
{
    const span *z = &b->along[0], *r = &b->along[1];
    gathered g = {.most = -HUGE_VAL};
    for (int64_t i = z->first; i < z->end; i += z->step)
        for (int64_t j = r->first; j < r->end; j += r->step)
            gather_row(ptf_balls_of(in, b->size[2], i * b->size[1] + j),
                       b->along[2], &g);
    return g;
}

/*
 * A sum of n terms and a division: gamma(n) of the sum of magnitudes, over the
 * divisor, and the same with f for a run; two more are taken, and 2^-20 covers
 * the rounding of the radius itself.
 */
static void mean_of(const gathered *g, double divisor, bool executed,
                    double *value, double *radius)
{
    double growth = ptf_gamma(g->count + 2, PTF_U);
    growth += executed ? ptf_gamma(g->count + 2, PTF_F) : 0;
    *value = g->sum / divisor;
    *radius = (g->radius + growth * (g->magnitude + g->radius)) / divisor *
                  (1 + 0x1p-20) +
              (executed ? PTF_TINY_F : PTF_TINY);
}

/* What a mean divides by. */
static double divisor_of(const ptf_attrs *attrs, bool adaptive, const box *b)
{
    int64_t count = 1;
    if (attrs->divisor != 0)
        return (double)attrs->divisor;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        const span *s = &b->along[i];
        count *= attrs->count_include_pad && !adaptive ? s->padded
                                                       : s->end - s->first;
    }
    return (double)count;
}

/* A maximum is no further from another than the furthest of its arguments. */
static void pool_at(const ptf_attrs *attrs, ptf_pool_kind kind,
                    const ptf_balls *map, const box *b, bool executed,
                    double *value, double *radius)
{
    gathered g = gather_box(*map, b);
    *value = g.most;
    *radius = g.widest;
    if (kind.mean)
        mean_of(&g, divisor_of(attrs, kind.adaptive, b), executed, value,
                radius);
}

void ptf_enclose_map(const ptf_shape *shape, int64_t size[PTF_MAP_AXES])
{
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        int d = shape->rank - PTF_MAP_AXES + i;
        size[i] = d > 0 ? shape->dim[d] : 1;
    }
}

void ptf_enclose_pool(ptf_op op, const ptf_attrs *attrs,
                      const ptf_shape *in_shape, const ptf_shape *out_shape,
                      bool executed, ptf_balls in, ptf_balls out)
{
    ptf_pool_kind kind = ptf_op_pool_kind(op);
    int64_t from[PTF_MAP_AXES], to[PTF_MAP_AXES];
    ptf_enclose_map(in_shape, from);
    ptf_enclose_map(out_shape, to);
    int64_t map = to[0] * to[1] * to[2];
    for (int64_t i = 0; i < out_shape->dim[0] * map; i++) {
        ptf_balls channel =
            ptf_balls_of(in, from[0] * from[1] * from[2], i / map);
        int64_t rest = i;
        box b = {.size = from};
        for (int axis = PTF_MAP_AXES - 1; axis >= 0; axis--) {
            int64_t at = rest % to[axis];
            rest /= to[axis];
            b.along[axis] = kind.adaptive ? share(from[axis], to[axis], at)
                                          : window(attrs, axis, from[axis], at);
        }
        pool_at(attrs, kind, &channel, &b, executed, &out.value[i],
                &out.radius[i]);
    }
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_node *node = ptf_enclose_node_of(s);
    ptf_enclose_pool(node->op, &node->attrs, ptf_enclose_shape_of(s, 0),
                     &s->enc->shapes[s->node], s->pass->executed,
                     ptf_enclose_in(s, 0, n), ptf_enclose_out(s, n));
}

const ptf_enclose_family ptf_enclose_family_pool = {.image = image};
