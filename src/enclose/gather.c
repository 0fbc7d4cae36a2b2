/*
 * The terms of a product, pixel by pixel: im2col in double, and the norms that
 * go with it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/product.h"

#include <math.h>

/* Added before squaring, so that no square underflows. */
#define FLOOR 0x1p-500

void ptf_product_square(const ptf_product *p, int64_t image, int64_t group)
{
    int64_t plane = p->height * p->width;
    double *sum = p->squares + (image * p->groups + group) * plane;
    int64_t first = (image * p->groups + group) * p->group_in * plane;
    for (int64_t i = 0; i < plane; i++)
        sum[i] = 0;
    for (int64_t c = 0; c < p->group_in; c++) {
        const double *m = p->in.value + first + c * plane;
        const double *r = p->in.radius + first + c * plane;
        for (int64_t i = 0; i < plane; i++) {
            double t = r[i] + p->g * (fabs(m[i]) + r[i]) + FLOOR;
            sum[i] += t * t;
        }
    }
}

/* Where a tap of each lane's pixel lies. */
typedef struct lanes {
    int64_t map[LANES]; /* image and group; -1: no such pixel */
    int64_t row[LANES], column[LANES];
    int64_t at[LANES]; /* in the map's first channel; -1: in the padding */
    int run, end;      /* lanes run .. end - 1 lie side by side, the others in
                          the padding; or run is -1 */
} lanes;

static void set_lanes(const ptf_product *p, int64_t group, int64_t first,
                      lanes *l)
{
    int64_t map = p->out_height * p->out_width;
    for (int i = 0; i < LANES; i++) {
        int64_t pixel = first + i, q = pixel % map;
        l->map[i] = pixel < p->pixels ? pixel / map * p->groups + group : -1;
        l->row[i] = q / p->out_width * p->stride[0] - p->padding[0];
        l->column[i] = q % p->out_width * p->stride[1] - p->padding[1];
    }
}

static void find_run(lanes *l)
{
    int run = 0, end = LANES;
    while (run < LANES && l->at[run] < 0)
        run++;
    while (end > run && l->at[end - 1] < 0)
        end--;
    l->run = run;
    l->end = end;
    for (int i = run + 1; i < end; i++)
        l->run = l->at[i] == l->at[i - 1] + 1 ? l->run : -1;
}

static void move_lanes(const ptf_product *p, int64_t tap, lanes *l, double *sum)
{
    int64_t down = tap / p->kernel[1] * p->dilation[0];
    int64_t right = tap % p->kernel[1] * p->dilation[1];
    int64_t plane = p->height * p->width;
    for (int i = 0; i < LANES; i++) {
        int64_t row = l->row[i] + down, column = l->column[i] + right;
        bool inside = l->map[i] >= 0 && row >= 0 && row < p->height &&
                      column >= 0 && column < p->width;
        int64_t at = row * p->width + column;
        sum[i] += inside ? p->squares[l->map[i] * plane + at] : 0;
        l->at[i] = inside ? l->map[i] * p->group_in * plane + at : -1;
    }
    find_run(l);
}

/* One channel's terms of a tap. */
static void take(const lanes *l, const double *m, double *to)
{
    if (l->run < 0) {
        for (int i = 0; i < LANES; i++)
            to[i] = l->at[i] < 0 ? 0 : m[l->at[i]];
        return;
    }
    int count = l->end - l->run;
    if (count == LANES) { /* of known size, so no call */
        memcpy(to, m + l->at[0], LANES * sizeof(*to));
        return;
    }
    memset(to, 0, LANES * sizeof(*to));
    if (count > 0)
        memcpy(to + l->run, m + l->at[l->run], (size_t)count * sizeof(*to));
}

/*
 * A linear layer's terms: inputs of LANES images.  Some at a time of each, as
 * the images may all lie in the same lines of a cache.
 */
static void turn(const ptf_product *p, const lanes *l, double *x)
{
    enum { SOME = 8 };
    for (int64_t from = 0; from < p->terms; from += SOME) {
        int64_t end = from + SOME < p->terms ? from + SOME : p->terms;
        for (int i = 0; i < LANES; i++)
            for (int64_t c = from; c < end; c++)
                x[c * LANES + i] = l->at[i] < 0 ? 0 : p->in.value[l->at[i] + c];
    }
}

void ptf_product_gather(const ptf_product *p, int64_t group, int64_t first,
                        double *x, double *norm)
{
    int64_t plane = p->height * p->width;
    int64_t area = p->kernel[0] * p->kernel[1];
    double sum[LANES] = {0};
    lanes l;
    set_lanes(p, group, first, &l);
    for (int64_t tap = 0; tap < area; tap++) {
        move_lanes(p, tap, &l, sum);
        if (plane == 1 && area == 1)
            turn(p, &l, x);
        else
            for (int64_t c = 0; c < p->group_in; c++)
                take(&l, p->in.value + c * plane, x + (c * area + tap) * LANES);
    }
    for (int i = 0; i < LANES; i++)
        norm[i] = sqrt(sum[i]) * UP;
}
