/*
 * Maps of another size: to the nearest pixel, linear or cubic, as
 * torch.nn.functional.interpolate has them.
 *
 * Position i of the result lies at coordinate c of the operand.  With s the
 * size of the operand over that of the result, or 1 over the factor that is
 * stated (PyTorch takes that even where the sizes give another quotient):
 *
 *   align_corners  c = i (in - 1) / (out - 1)
 *   otherwise      c = s (i + 1/2) - 1/2, not below 0 where it is linear
 *
 *   linear         1 - t of position floor(c) and t of the next, t = c -
 *                  floor(c)
 *   cubic          positions floor(c) - 1 to floor(c) + 2, Keys' kernel with
 *                  a = -3/4
 *   antialias      the kernel (a = -1/2 where it is cubic) as wide as s, if
 *                  that is above 1: its values at the positions around
 *                  s (i + 1/2), over their sum
 *   nearest        floor(s i)
 *   nearest-exact  floor(s (i + 1/2))
 *
 * Positions beyond the border are those of the border; with antialias they are
 * left out.  All of this is in double, from which PyTorch, in f32, differs by
 * roundings.  A nearest pixel is another one after a rounding, so s and the
 * product are in f32 there, as PyTorch has them.  Compared with PyTorch 2.13
 * for all sizes up to 128 x 128, floor(s i) is the same, and so are the factors
 * that were tried.  But PyTorch has other code for some memory layouts and
 * small maps, which
 *
 *   nearest        takes i where the size stays and i / 2 where it doubles,
 *                  whatever factor is stated;
 *   nearest-exact  rounds s (i + 1/2) - 1/2 once or twice, which matters where
 *                  s (i + 1/2) is an integer but for a rounding (from 2
 *                  positions to 41, for instance).
 *
 * Where these choose other pixels the shape rule refuses the sizes, as nothing
 * in a network tells which code has run.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"
#include "op/taps.h"

#include <math.h>

/* Beyond this an f32 does not count positions. */
#define MOST_POSITIONS ((int64_t)1 << 24)

static ptf_upsample_mode mode_of(const ptf_attrs *attrs)
{
    return (ptf_upsample_mode)attrs->p[0];
}

static bool is_nearest(ptf_upsample_mode mode)
{
    return mode <= PTF_UPSAMPLE_NEAREST_EXACT;
}

/* The stated factor of an axis after the channels, or 0. */
static double factor_of(const ptf_attrs *attrs, int axis)
{
    if (attrs->scale.count == 0)
        return 0;
    return attrs->scale.at[attrs->scale.count == 1 ? 0 : axis];
}

/* Sizes that are equal to the operand's are left alone on the channel axis. */
ptf_resize_axis ptf_resize_axis_of(const ptf_attrs *attrs, const ptf_shape *in,
                                   const ptf_shape *out, int axis)
{
    ptf_resize_axis a = {.mode = mode_of(attrs),
                         .align_corners = attrs->align_corners,
                         .antialias = attrs->antialias,
                         .in = in->dim[axis],
                         .out = out->dim[axis]};
    if (axis == 0)
        a.mode = PTF_UPSAMPLE_NEAREST;
    else if (!attrs->recompute_scale_factor)
        a.factor = factor_of(attrs, axis - 1);
    return a;
}

/* ------------------------------------------------------------------ nearest */

static float nearest_scale(const ptf_resize_axis *a)
{
    return a->factor > 0 ? (float)(1.0 / a->factor)
                         : (float)a->in / (float)a->out;
}

static int64_t nearest(const ptf_resize_axis *a, int64_t i)
{
    float scale = nearest_scale(a), at = (float)i;
    float c =
        a->mode == PTF_UPSAMPLE_NEAREST ? scale * at : scale * (at + 0.5F);
    return ptf_min_i64((int64_t)c, a->in - 1);
}

/* What PyTorch's other code takes. */
static int64_t other_nearest(const ptf_resize_axis *a, int64_t i)
{
    float scale = nearest_scale(a);
    if (a->mode == PTF_UPSAMPLE_NEAREST)
        return a->out == a->in       ? i
               : a->out == 2 * a->in ? i / 2
                                     : nearest(a, i);
    float c = fmaxf(fmaf(scale, (float)i + 0.5F, -0.5F), 0);
    return ptf_min_i64((int64_t)(c + 0.5F), a->in - 1);
}

static int64_t third_nearest(const ptf_resize_axis *a, int64_t i)
{
    if (a->mode == PTF_UPSAMPLE_NEAREST)
        return nearest(a, i);
    float product = nearest_scale(a) * ((float)i + 0.5F);
    float c = fmaxf(product - 0.5F, 0);
    return ptf_min_i64((int64_t)(c + 0.5F), a->in - 1);
}

/* --------------------------------------------------------- linear and cubic */

static double scale_of(const ptf_resize_axis *a)
{
    if (a->align_corners)
        return a->out > 1 ? (double)(a->in - 1) / (double)(a->out - 1) : 0;
    return a->factor > 0 ? 1.0 / a->factor : (double)a->in / (double)a->out;
}

/* Keys' kernel at 0 <= x < 1 and at 1 <= x < 2. */
static double cubic_near(double x, double a)
{
    return ((a + 2) * x - (a + 3)) * x * x + 1;
}

static double cubic_far(double x, double a)
{
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static double filter(bool cubic, double x)
{
    x = fabs(x);
    if (!cubic)
        return x < 1 ? 1 - x : 0;
    return x < 1 ? cubic_near(x, -0.5) : x < 2 ? cubic_far(x, -0.5) : 0;
}

/*
 * The kernel reaches 'support' to both sides of the centre.  Its values are
 * divided by their sum, which is about 'wide'.
 */
static int64_t antialiased(const ptf_resize_axis *a, int64_t i, int64_t *index,
                           double *weight)
{
    bool cubic = a->mode == PTF_UPSAMPLE_BICUBIC;
    double scale = scale_of(a), wide = scale >= 1 ? scale : 1;
    double support = (cubic ? 2 : 1) * wide, centre = scale * ((double)i + 0.5);
    double low = fmin(centre - support + 0.5, (double)a->in);
    double high = fmin(centre + support + 0.5, (double)a->in);
    int64_t first = low > 0 ? (int64_t)low : 0;
    int64_t count = ptf_max_i64((int64_t)high - first, 0);
    if (index == NULL)
        return count;
    double sum = 0;
    for (int64_t k = 0; k < count; k++) {
        index[k] = first + k;
        weight[k] = filter(cubic, ((double)(first + k) - centre + 0.5) / wide);
        sum += weight[k];
    }
    for (int64_t k = 0; k < count && fabs(sum) > 0; k++)
        weight[k] /= sum;
    return count;
}

/*
 * c, as a position and what is left.  A stated factor may go beyond the last
 * position; where the size stays PyTorch's linear modes do not ask it.
 */
static double place(const ptf_resize_axis *a, bool cubic, int64_t i,
                    int64_t *whole)
{
    double half = a->align_corners ? 0 : 0.5;
    double c = scale_of(a) * ((double)i + half) - half;
    if (!cubic)
        c = a->out == a->in ? (double)i : fmax(c, 0);
    double down = fmin(floor(c), (double)(a->in - 1));
    *whole = (int64_t)down;
    return fmin(c - down, 1);
}

int64_t ptf_resize_from(const ptf_resize_axis *a, int64_t i, int64_t *index,
                        double *weight)
{
    if (a->antialias && a->out != a->in && !is_nearest(a->mode))
        return antialiased(a, i, index, weight);
    bool cubic = a->mode == PTF_UPSAMPLE_BICUBIC;
    bool moves = is_nearest(a->mode) || a->antialias;
    int64_t whole, count = moves ? 1 : cubic ? 4 : 2;
    if (index == NULL)
        return count;
    if (moves) {
        index[0] = a->antialias ? i : nearest(a, i);
        weight[0] = 1;
        return 1;
    }
    double t = place(a, cubic, i, &whole);
    for (int k = 0; k < count; k++) {
        int64_t at = whole + k - (cubic ? 1 : 0);
        index[k] = ptf_min_i64(ptf_max_i64(at, 0), a->in - 1);
    }
    if (!cubic) {
        weight[0] = 1 - t;
        weight[1] = t;
        return count;
    }
    weight[0] = cubic_far(t + 1, -0.75);
    weight[1] = cubic_near(t, -0.75);
    weight[2] = cubic_near(1 - t, -0.75);
    weight[3] = cubic_far(2 - t, -0.75);
    return count;
}

/* -------------------------------------------------------------------- rules */

static bool has_corners(ptf_upsample_mode mode)
{
    return !is_nearest(mode);
}

static const char *settle(ptf_op op, ptf_attrs *attrs)
{
    (void)op;
    ptf_upsample_mode mode = mode_of(attrs);
    if (attrs->size.count == 0 && attrs->scale.count == 0)
        return "neither a size nor a scale_factor";
    if (attrs->size.count > PTF_MAP_AXES)
        return "more sizes than a map has axes";
    for (int i = 0; i < attrs->scale.count; i++) {
        if (!(attrs->scale.at[i] >= 1e-6 && attrs->scale.at[i] <= 1e6))
            return "a scale_factor that is not between 0.000001 and 1000000";
    }
    if (attrs->antialias && mode != PTF_UPSAMPLE_BILINEAR &&
        mode != PTF_UPSAMPLE_BICUBIC)
        return "antialias=True, which only bilinear and bicubic have";
    if (has_corners(mode) && attrs->align_corners_unspecified)
        return "a mode whose align_corners PyTorch does not print; add "
               "align_corners=False (the default) or align_corners=True to "
               "the text";
    if (!has_corners(mode) && attrs->align_corners)
        return "align_corners=True, which nearest has not";
    return NULL;
}

/* How many axes a mode has, 0: any. */
static int axes_of(ptf_upsample_mode mode)
{
    static const int axes[] = {
        [PTF_UPSAMPLE_LINEAR] = 1,
        [PTF_UPSAMPLE_BILINEAR] = 2,
        [PTF_UPSAMPLE_TRILINEAR] = 3,
        [PTF_UPSAMPLE_BICUBIC] = 2,
    };
    return axes[mode];
}

static const char *check_rank(const ptf_attrs *attrs, int rank)
{
    static const char other[] =
        "its input has another number of dimensions than its mode, size or "
        "scale_factor";
    int axes = rank - 2, needs = axes_of(mode_of(attrs));
    int sizes = attrs->size.count, factors = attrs->scale.count;
    bool fits =
        axes >= 1 && axes <= PTF_MAP_AXES && (needs == 0 || needs == axes) &&
        (sizes <= 1 || sizes == axes) && (factors <= 1 || factors == axes);
    return fits ? NULL : other;
}

/* The result's positions along an axis; 0 when there are none, or too many. */
static int64_t size_of(const ptf_attrs *attrs, int axis, int64_t in)
{
    if (attrs->size.count > 0)
        return attrs->size.at[attrs->size.count == 1 ? 0 : axis];
    double size = (double)in * factor_of(attrs, axis);
    return size <= (double)MOST_POSITIONS ? (int64_t)size : 0;
}

/* The factor is taken, or that of the sizes. */
static bool is_ambiguous(const ptf_attrs *attrs, int axis, int64_t in)
{
    double size = (double)in * factor_of(attrs, axis);
    return attrs->recompute_scale_factor_unspecified &&
           attrs->size.count == 0 && !attrs->align_corners &&
           size > floor(size);
}

static bool is_one_pixel(const ptf_resize_axis *a)
{
    for (int64_t i = 0; is_nearest(a->mode) && i < a->out; i++) {
        int64_t at = nearest(a, i);
        if (at != other_nearest(a, i) || at != third_nearest(a, i))
            return false;
    }
    return true;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)op, (void)count;
    const char *wrong = check_rank(attrs, in->rank + 1);
    for (int d = 1; d < in->rank && wrong == NULL; d++) {
        out->dim[d] = size_of(attrs, d - 1, in->dim[d]);
        ptf_resize_axis axis = ptf_resize_axis_of(attrs, in, out, d);
        if (axis.out < 1)
            wrong = "its output would be empty, or too large";
        else if (axis.in > MOST_POSITIONS || axis.out > MOST_POSITIONS)
            wrong = "its input or output is too large";
        else if (is_ambiguous(attrs, d - 1, axis.in))
            wrong = "its scale_factor gives no whole size, and PyTorch does "
                    "not print what happens then; add "
                    "recompute_scale_factor=False (the default) or "
                    "recompute_scale_factor=True to the text";
        else if (d == in->rank - 1 && axis.antialias && axis.out == 1 &&
                 out->dim[d - 1] != in->dim[d - 1])
            wrong = "PyTorch itself gives wrong numbers with antialias=True "
                    "where the output is one pixel wide";
        else if (!is_one_pixel(&axis))
            wrong = "PyTorch itself takes other pixels in other memory layouts "
                    "for these sizes; choose another size, or mode='bilinear'";
    }
    return wrong;
}

static const char *partial(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out)
{
    (void)op;
    int axes = axes_of(mode_of(attrs));
    *out = in;
    if (in.rank > 0)
        return check_rank(attrs, in.rank);
    out->rank = axes > 0 ? axes + 2 : 0;
    return NULL;
}

/*
 * What moves with its input: a map that gets smaller by an integer factor.  The
 * factors are powers of two, so that no rounding moves a pixel.
 */
static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op, (void)rank;
    if (axis < 2)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    double factor = factor_of(attrs, axis - 2);
    int64_t step = 2;
    while (step < 1 << 20 && factor < 1.0 / (double)step)
        step *= 2;
    bool fixed = attrs->size.count == 0 && !attrs->align_corners &&
                 !attrs->antialias && !attrs->recompute_scale_factor &&
                 (double)step * factor >= 1 && (double)step * factor <= 1;
    ptf_upsample_mode mode = mode_of(attrs);
    if (!fixed || mode == PTF_UPSAMPLE_BICUBIC)
        return (ptf_reach){.kind = PTF_REACH_ALL,
                           .why = "resizes its input as a whole"};
    int64_t skip = mode == PTF_UPSAMPLE_NEAREST ? 0
                   : is_nearest(mode)           ? step / 2
                                                : step / 2 - 1;
    return (ptf_reach){.kind = PTF_REACH_WINDOW,
                       .stride = step,
                       .before = -skip,
                       .extent = is_nearest(mode) ? 1 : 2};
}

const ptf_rules ptf_rules_resize = {
    .settle = settle, .shape = shape, .partial = partial, .reach = reach};
