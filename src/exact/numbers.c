/*
 * Numbers of values, and their lanes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

/* |X| < 2^(51 n - 1) with room for what bounds and cuts are off by. */
int ptf_exponent_of(double most)
{
    enum { LEAST = -200 };
    int e = LEAST;
    if (most > 0)
        frexp(most * (1 + 0x1p-10), &e);
    return e + 1 > LEAST ? e + 1 : LEAST;
}

/*
 * From the highest digit on: what is left is a double, as a digit takes its
 * first bits away.  The last one is rounded, which what is lost in ldexp() does
 * not change, for it is then far below the grid.
 */
void ptf_digits_of(double x, int exponent, int n, int64_t *digits, bool *exact)
{
    double left = x;
    for (int l = n - 1; l >= 0; l--) {
        int power = exponent - PTF_DIGIT_BITS * (n - l);
        double d = rint(ldexp(left, -power));
        digits[l] = (int64_t)d;
        left -= ldexp(d, power);
    }
    for (int l = 0; l + 1 < n; l++)
        if (digits[l] >= PTF_DIGIT_HALF) {
            digits[l] -= PTF_DIGIT_MASK + 1;
            digits[l + 1]++;
        }
    *exact = *exact && !(fabs(left) > 0);
}

double ptf_fixed_scale(const ptf_fixed *v)
{
    return ldexp(1.0, v->exponent - PTF_DIGIT_BITS);
}

void ptf_fixed_load(const ptf_fixed *v, int n, int64_t first, int64_t *lanes)
{
    for (int l = 0; l < n; l++)
        memcpy(lanes + l * PTF_LANES, v->digits + l * v->room + first,
               PTF_LANES * sizeof(*lanes));
}

/* ------------------------------------------------------------ strides */

ptf_strides ptf_strides_broadcast(const ptf_shape *in, const ptf_shape *out)
{
    ptf_strides s = {.rank = out->rank};
    int64_t stride = 1;
    for (int d = out->rank - 1; d >= 0; d--) {
        int axis = d - (out->rank - in->rank);
        int64_t size = axis >= 0 ? in->dim[axis] : 1;
        s.size[d] = out->dim[d];
        s.stride[d] = size > 1 ? stride : 0;
        stride *= size;
    }
    return s;
}

ptf_strides ptf_strides_plain(const ptf_shape *out)
{
    return ptf_strides_broadcast(out, out);
}

void ptf_strides_at(const ptf_strides *s, int64_t first, int64_t at[PTF_LANES])
{
    int64_t position[PTF_SHAPE_MAX], number = first, from = s->first;
    for (int d = s->rank - 1; d >= 0; number /= s->size[d--]) {
        position[d] = number % s->size[d];
        from += position[d] * s->stride[d];
    }
    bool over = number > 0;
    for (int i = 0; i < PTF_LANES; i++) {
        at[i] = over ? 0 : from;
        int d = s->rank - 1;
        for (; d >= 0; d--) {
            from += s->stride[d];
            if (++position[d] < s->size[d])
                break;
            from -= s->size[d] * s->stride[d];
            position[d] = 0;
        }
        over = over || d < 0;
    }
}

/* ------------------------------------------------------------ each */

typedef struct work {
    const ptf_exact_step *step;
    int count;
    const ptf_strides *strides;
    ptf_exact_apply *apply;
    const void *context;
} work;

enum { BLOCKS = 64 }; /* of one task */

static void load(const work *w, int k, int64_t first, ptf_exact_lanes *lanes)
{
    const ptf_fixed *in = w->step->in[k];
    int n = w->step->exact->n;
    int64_t at[PTF_LANES];
    ptf_strides_at(&w->strides[k], first, at);
    bool run = true;
    for (int i = 1; i < PTF_LANES; i++)
        run = run && at[i] == at[0] + i;
    if (run)
        ptf_fixed_load(in, n, at[0], lanes->in[k]);
    for (int l = 0; !run && l < n; l++)
        for (int i = 0; i < PTF_LANES; i++)
            lanes->in[k][l * PTF_LANES + i] = in->digits[l * in->room + at[i]];
    for (int i = 0; i < PTF_LANES; i++)
        lanes->r[k][i] = in->radius[at[i]];
}

static void apply_block(const work *w, int64_t first)
{
    const ptf_exact_step *s = w->step;
    ptf_fixed *out = s->out;
    ptf_exact_lanes lanes;
    lanes.step = s;
    lanes.first = first;
    for (int k = 0; k < w->count; k++)
        load(w, k, first, &lanes);
    w->apply(w->context, &lanes);
    int64_t left = ptf_min_i64(out->count - first, PTF_LANES);
    for (int l = 0; l < s->exact->n; l++)
        memcpy(out->digits + l * out->room + first, lanes.out + l * PTF_LANES,
               (size_t)left * sizeof(int64_t));
    memcpy(out->radius + first, lanes.radius, (size_t)left * sizeof(double));
}

static void apply_some(void *context, int64_t i, int thread)
{
    const work *w = context;
    int64_t end =
        ptf_min_i64((i + 1) * BLOCKS * PTF_LANES, w->step->out->count);
    (void)thread;
    for (int64_t at = i * BLOCKS * PTF_LANES; at < end; at += PTF_LANES)
        apply_block(w, at);
}

void ptf_exact_each(const ptf_exact_step *s, int count,
                    const ptf_strides *strides, ptf_exact_apply *apply,
                    const void *context)
{
    work w = {s, count, strides, apply, context};
    ptf_each(s->exact->threads, ptf_ceil_div(s->out->count, BLOCKS * PTF_LANES),
             apply_some, &w);
}

/* Beyond all digits whatever is there becomes 0. */
ptf_align ptf_align_to(const ptf_exact *exact, const ptf_fixed *from,
                       const ptf_fixed *to)
{
    int shift = to->exponent - from->exponent;
    int most = PTF_DIGIT_BITS * (exact->n + 1) - 1;
    return (ptf_align){shift < most ? shift : most,
                       shift > 0 ? ldexp(0.5, to->exponent) : 0.0};
}

void ptf_align_lanes(const ptf_exact *exact, ptf_align align, const int64_t *in,
                     int64_t *out)
{
    if (align.shift == 0)
        memcpy(out, in, (size_t)(exact->n * PTF_LANES) * sizeof(*out));
    else
        exact->limbs->cut(exact->n, in, align.shift, NULL, exact->n, out);
}

/* ------------------------------------------------------------ constants */

/* From the highest digit on, by long division, then balanced. */
void ptf_digits_ratio(int64_t p, int64_t q, int exponent, int n,
                      int64_t *digits)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t rest = (uint64_t)p;
    for (int b = exponent; b > 0; b--) /* p 2^-exponent / q, below 1 */
        q *= 2;
    for (int l = n - 1; l >= 0; l--) {
        wide next = (wide)rest << PTF_DIGIT_BITS;
        digits[l] = (int64_t)(next / (uint64_t)q);
        rest = (uint64_t)(next % (uint64_t)q);
    }
    for (int l = 0; l + 1 < n; l++)
        if (digits[l] >= PTF_DIGIT_HALF) {
            digits[l] -= PTF_DIGIT_MASK + 1;
            digits[l + 1]++;
        }
}

void ptf_lanes_of(int n, const int64_t *digits, int64_t *lanes)
{
    for (int i = 0; i < n * PTF_LANES; i++)
        lanes[i] = digits[i / PTF_LANES];
}

bool ptf_digits_less(const int64_t *a, int64_t a_step, const int64_t *b,
                     int64_t b_step, int n)
{
    for (int l = n - 1; l >= 0; l--)
        if (a[l * a_step] != b[l * b_step])
            return a[l * a_step] < b[l * b_step];
    return false;
}

/*
 * 1 / divisor is off by a unit of n + 1 digits; times a sum below 2^40 times
 * the largest term, that is below 2^-10 of a unit of n.
 */
void ptf_mean_lanes(const ptf_exact *exact, ptf_mean *mean, int64_t *out)
{
    int n = exact->n, k = n + 1;
    int64_t by[(PTF_LIMBS_MOST + 1) * PTF_LANES];
    int64_t sum[(PTF_LIMBS_MOST + 1) * PTF_LANES];
    int64_t product[PTF_DIGITS_MOST * PTF_LANES], digits[PTF_LIMBS_MOST + 1];
    for (int i = 0; i < PTF_LANES; i++) {
        if (i == 0 || mean->divisor[i] != mean->divisor[i - 1])
            ptf_digits_ratio(1, mean->divisor[i], 2, k, digits);
        for (int l = 0; l < k; l++)
            by[l * PTF_LANES + i] = digits[l];
    }
    exact->limbs->cut(k, mean->sum, 0, NULL, k, sum);
    exact->limbs->multiply(k, sum, k, by, product);
    exact->limbs->cut(2 * k, product, PTF_DIGIT_BITS * k - 2, NULL, n, out);
}

/* ------------------------------------------------------------ balls */

typedef struct conversion {
    const ptf_exact_step *step;
    ptf_balls balls;
} conversion;

static void read_ball(void *context, int64_t i, int thread)
{
    const conversion *c = context;
    ptf_fixed *out = c->step->out;
    int n = c->step->exact->n;
    int64_t digits[PTF_LIMBS_MOST];
    bool exact = true;
    (void)thread;
    ptf_digits_of(c->balls.value[i], out->exponent, n, digits, &exact);
    for (int l = 0; l < n; l++)
        out->digits[l * out->room + i] = digits[l];
    out->radius[i] = ldexp(c->balls.radius[i] * PTF_UP, PTF_DIGIT_BITS * n) +
                     (exact ? 0.0 : ldexp(0.5, out->exponent));
}

void ptf_exact_take_balls(const ptf_exact_step *s, ptf_balls balls)
{
    double most = 0;
    for (int64_t i = 0; i < s->out->count; i++) {
        double x = fabs(balls.value[i]);
        if (!(x < 0x1p200))
            s->exact->bad = s->node;
        most = x > most ? x : most;
    }
    if (s->exact->bad >= 0)
        return;
    s->out->exponent = ptf_exponent_of(most);
    conversion c = {s, balls};
    ptf_each(s->exact->threads, s->out->count, read_ball, &c);
}

/* The double is off by 4u. */
void ptf_exact_give_balls(const ptf_exact *exact, const ptf_fixed *v,
                          ptf_balls balls)
{
    double scale = ptf_fixed_scale(v);
    for (int64_t i = 0; i < v->count; i++) {
        double m = ptf_fixed_double(v, exact->n, i, scale);
        double r = ldexp(v->radius[i], -PTF_DIGIT_BITS * exact->n);
        bool whole = fabs(m) < 0x1p50 && !(fabs(m - rint(m)) > 0) && r <= 0 &&
                     exact->n > 1;
        balls.value[i] = m;
        balls.radius[i] = whole ? 0 : (r + 4 * PTF_U * fabs(m)) * PTF_UP;
    }
}
