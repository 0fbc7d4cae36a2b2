/*
 * exp, and sigmoid and tanh, which are made of it, and the normal distribution,
 * to n digits.
 *
 * All is computed with k = n + 1 digits, so that what is lost on the way is
 * far below h.  With t = -|x| (or -2|x|), q the integer next to t / ln 2 and
 * r = t - q ln 2,
 *
 *     e = exp(t) = 2^q (exp(r / 2^8))^(2^8).
 *
 * r is on a grid of unit u = 2^(11 - 51 k): t is off by u / 2 and ln 2 by u,
 * which |q| < 2^10 multiplies, so that r is off by less than 2^11 u.  |r| <
 * 0.36, and s = r / 2^8 is below 2^-9.4.  The Taylor polynomial of degree N =
 * 4 k + 4 leaves out less than 2 s^(N + 1) / (N + 1)!; as (N + 1)! is above
 * 2^(2.3 (N + 1)) from N = 11 on, that is below 2^(1 - 11.7 (4 k + 5)) =
 * 2^(-46.8 k - 57), and that below 2^(-51 k) for all k up to 11.  Horner's rule
 * is on the grid of numbers below 4, of unit v = 2^(3 - 51 k): each step loses
 * v / 2 and what its coefficient is off by, v, and multiplies what was lost by
 * s: 2 v in all.  Each of the 8 squares doubles what is lost and adds v / 2:
 * less than 2^10 v.  With r that is 2^20 v, and 2^q is 1 at most.
 *
 * y = 1 / (1 + e) by Newton's steps y += y (1 - (1 + e) y) from a double, for
 * which 1 - (1 + e) y is below 2^-49; each squares it, and loses 4 v.  So all
 * is within 2^22 v, which is 2^-26 of a unit of n digits of numbers below 4.
 *
 * The normal distribution Phi(x) is a Taylor series around the nearest node j /
 * 16.  With y(s) = Phi((j + s) / 16) = a_0 + a_1 s + ..., |s| <= 1/2, y'' =
 * -(j + s) / 256 y' says
 *
 *     256 (m + 1) (m + 2) a_(m+2) = -j (m + 1) a_(m+1) - m a_m,
 *
 * integers but for the a.  j is below 450, so that an error in one is no larger
 * in those after it, and each has a new unit of one digit more at most.  A
 * node's a_0 and a_1 are y(1) and y'(1) of the one before it, where those of 0
 * are 1/2 and 1 / (16 sqrt(2 pi)): what that is off by, 2^20 v, stays below
 * 2^20 v, as Phi is linear in it and no steeper than there.  By Cramer's bound
 * of Hermite's polynomials |a_m| <= 0.44 / (16^m sqrt(m! m)): what the 16 k
 * terms of y(1) leave out is below a unit of k + 1 digits, 4 * 16 k +
 * log2((16 k)!) / 2 being above 51 (k + 1) for k >= 2, and what the 7 k + 4 of
 * |s| <= 1/2 do is below 2^-6 v, as 5 (7 k + 4) + log2((7 k + 4)!) / 2 is
 * above 51 k + 3 (for k = 2: 116 and 105, for k = 11: 605 and 564).  Horner's
 * rule loses 2 v for each step and halves what was lost: 4 v.  x itself is on
 * the grid of numbers below 2^10 and off by 2^7 v, where Phi is no steeper than
 * 0.4.  Beyond sqrt(71 k) Phi is within 2^(-51 k) of 1.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/functions.h"

enum {
    GRID = 11,
    UNIT = 3, /* the exponent of numbers below 4 */
    HALVES = 8,
    TERMS_MOST = 4 * (PTF_LIMBS_MOST + 1) + 5,
    DIGITS = PTF_LIMBS_MOST + 2,
    NODES = 16, /* of a unit of x */
    WIDE = (PTF_LIMBS_MOST + 1) * PTF_LANES,
    PRODUCT = PTF_DIGITS_MOST * PTF_LANES,
};

struct ptf_functions {
    const ptf_limbs *limbs;
    int k, terms;
    int64_t ln2[PTF_LIMBS_MOST + 1];
    int64_t one[WIDE];
    int64_t coefficient[TERMS_MOST][WIDE]; /* 1 / i! */
    int nodes, orders;
    int64_t *normal; /* [node][order][k]: the a above */
};

/* ------------------------------------------------------------ constants */

/* A number of digits 0 .. 2^51 - 1, divided by a small one: cut. */
static void divide(int64_t *digits, int count, int64_t by)
{
    __extension__ typedef unsigned __int128 wide;
    wide rest = 0;
    for (int l = count - 1; l >= 0; l--) {
        rest = rest << PTF_DIGIT_BITS | (uint64_t)digits[l];
        digits[l] = (int64_t)(rest / (uint64_t)by);
        rest %= (uint64_t)by;
    }
}

/* The upper 'count' - 1 digits, balanced, in all lanes or once. */
static void take(const int64_t *digits, int count, int64_t *to, int step)
{
    int64_t more = digits[0] >= PTF_DIGIT_HALF;
    for (int l = 1; l < count; l++) {
        int64_t d = digits[l] + more;
        more = l + 1 < count && d >= PTF_DIGIT_HALF;
        for (int i = 0; i < step; i++)
            to[(l - 1) * step + i] = d - (more > 0 ? PTF_DIGIT_MASK + 1 : 0);
    }
}

/* 2 atanh(1/3) = 2 (1/3 + 1 / (3 3^3) + 1 / (5 3^5) + ...) on the grid of
 * exponent GRID, with one digit more. */
static void set_ln2(ptf_functions *f)
{
    int64_t term[DIGITS] = {0}, sum[DIGITS] = {0};
    int count = f->k + 1;
    term[count - 1] = INT64_C(1) << (PTF_DIGIT_BITS - GRID + 1);
    divide(term, count, 3);
    for (int64_t i = 1; i < 2 * PTF_DIGIT_BITS * count; i += 2) {
        int64_t part[DIGITS];
        memcpy(part, term, sizeof(part));
        divide(part, count, i);
        for (int l = 0; l < count; l++)
            sum[l] += part[l];
        divide(term, count, 9);
    }
    for (int l = 0; l + 1 < count; l++) {
        sum[l + 1] += sum[l] >> PTF_DIGIT_BITS;
        sum[l] &= PTF_DIGIT_MASK;
    }
    take(sum, count, f->ln2, 1);
}

/* ------------------------------------------------------------ normal */

/* floor((p a + q b) / by): the digits but the highest are 0 .. 2^51 - 1. */
static void combine(const int64_t *a, int64_t p, const int64_t *b, int64_t q,
                    int64_t by, int count, int64_t *out)
{
    __extension__ typedef __int128 wide;
    wide sum[DIGITS], more = 0;
    for (int l = 0; l < count; l++) {
        sum[l] = (wide)a[l] * p + (wide)b[l] * q + more;
        more = l + 1 < count ? sum[l] >> PTF_DIGIT_BITS : 0;
        if (l + 1 < count)
            sum[l] &= PTF_DIGIT_MASK;
    }
    wide rest = sum[count - 1];
    for (int l = count - 1; l >= 0; l--) {
        wide quotient = rest / by - (rest % by < 0);
        out[l] = (int64_t)quotient;
        rest -= quotient * by;
        if (l > 0)
            rest = rest << PTF_DIGIT_BITS | sum[l - 1];
    }
}

/* pi = 16 atan(1/5) - 4 atan(1/239), as a number below 4 of 'count' digits. */
static void add_atan(int64_t times, int64_t inverse, int count, int64_t *sum)
{
    int64_t term[DIGITS] = {0}, zero[DIGITS] = {0};
    int64_t sign = times < 0 ? -1 : 1;
    term[count - 1] = INT64_C(1) << (PTF_DIGIT_BITS - UNIT);
    combine(term, sign * times, zero, 0, inverse, count, term);
    for (int64_t i = 1; i < 2 * PTF_DIGIT_BITS * count; i += 2, sign = -sign) {
        int64_t part[DIGITS];
        combine(term, 1, zero, 0, i, count, part);
        combine(sum, 1, part, sign, 1, count, sum);
        combine(term, 1, zero, 0, inverse * inverse, count, term);
    }
}

/* 1 / sqrt(2 pi) on the grid of numbers below 4, the last digit 0. */
static bool density_at_0(const ptf_functions *f, int64_t *digits)
{
    int64_t pi[DIGITS] = {0}, k = f->k;
    add_atan(16, 5, f->k + 1, pi);
    add_atan(-4, 239, f->k + 1, pi);
    /* 2 pi is pi's digits on the grid of numbers below 8 */
    ptf_real twice = {f->limbs, f->k, UNIT + 1, {0}}, root;
    take(pi, f->k + 1, twice.digits, PTF_LANES);
    if (!ptf_real_rsqrt(&twice, &root))
        return false;
    root = ptf_real_move(&root, UNIT);
    digits[0] = 0;
    for (int64_t l = 0; l < k; l++)
        digits[l + 1] = root.digits[l * PTF_LANES];
    for (int64_t l = 1; l < k; l++) { /* no digit below 0 */
        digits[l + 1] += digits[l] >> PTF_DIGIT_BITS;
        digits[l] &= PTF_DIGIT_MASK;
    }
    return true;
}

static bool make_normal(ptf_functions *f)
{
    int count = f->k + 1, steps = 16 * f->k;
    int64_t zero[DIGITS] = {0}, own[DIGITS] = {0}, slope[DIGITS];
    f->orders = 7 * f->k + 5;
    f->nodes = (int)(NODES * sqrt(71.0 * f->k)) + 2;
    f->normal =
        ptf_alloc((size_t)(f->nodes * f->orders * f->k) * sizeof(*f->normal));
    if (f->normal == NULL || !density_at_0(f, slope))
        return false;
    own[count - 1] = INT64_C(1) << (PTF_DIGIT_BITS - UNIT - 1);
    combine(slope, 1, zero, 0, NODES, count, slope);
    for (int64_t j = 0; j < f->nodes; j++) {
        int64_t a[2][DIGITS], next[DIGITS], *to = f->normal;
        to += j * f->orders * f->k;
        memcpy(a[0], own, sizeof(own));
        memcpy(a[1], slope, sizeof(slope));
        memset(slope, 0, sizeof(slope));
        memset(own, 0, sizeof(own));
        for (int64_t m = 0; m < steps; m++) {
            if (m < f->orders)
                take(a[0], count, to + m * f->k, 1);
            combine(own, 1, a[0], 1, 1, count, own);
            combine(slope, 1, a[0], m, 1, count, slope);
            combine(a[1], -j * (m + 1), a[0], -m, 256 * (m + 1) * (m + 2),
                    count, next);
            memcpy(a[0], a[1], sizeof(next));
            memcpy(a[1], next, sizeof(next));
        }
    }
    return true;
}

void ptf_functions_free(ptf_functions *f)
{
    if (f != NULL)
        ptf_free(f->normal);
    ptf_free(f);
}

ptf_functions *ptf_functions_make(const ptf_limbs *limbs, int n)
{
    ptf_functions *f = ptf_alloc(sizeof(*f));
    int64_t term[DIGITS] = {0};
    if (f == NULL)
        return NULL;
    f->limbs = limbs;
    f->k = n + 1;
    f->terms = 4 * f->k + 5;
    int count = f->k + 1;
    term[count - 1] = INT64_C(1) << (PTF_DIGIT_BITS - UNIT);
    take(term, count, f->one, PTF_LANES);
    for (int i = 0; i < f->terms; i++) {
        if (i > 0)
            divide(term, count, i);
        take(term, count, f->coefficient[i], PTF_LANES);
    }
    set_ln2(f);
    if (!make_normal(f)) {
        ptf_functions_free(f);
        return NULL;
    }
    return f;
}

/* ------------------------------------------------------------ lanes */

/* a b of numbers below 4, on their grid. */
static void multiply(const ptf_functions *f, const int64_t *a, const int64_t *b,
                     int64_t *out)
{
    int64_t product[PRODUCT];
    f->limbs->multiply(f->k, a, f->k, b, product);
    f->limbs->cut(2 * f->k, product, PTF_DIGIT_BITS * f->k - UNIT, NULL, f->k,
                  out);
}

static void add(const ptf_functions *f, const int64_t *a, int sign,
                const int64_t *b, int64_t *out)
{
    int64_t sum[WIDE];
    for (int i = 0; i < f->k * PTF_LANES; i++)
        sum[i] = a[i] + sign * b[i];
    f->limbs->cut(f->k, sum, 0, NULL, f->k, out);
}

/* Lane i times 2^-bits[i]: by a digit that is a power of two, and by whole
 * digits, which is to the nearest as they are balanced. */
static void scale_down(const ptf_functions *f, const int64_t *bits,
                       int64_t *lanes)
{
    int64_t power[PTF_LANES], product[PRODUCT], moved[WIDE];
    for (int i = 0; i < PTF_LANES; i++)
        power[i] = INT64_C(1)
                   << (PTF_DIGIT_BITS - 1 - bits[i] % PTF_DIGIT_BITS);
    f->limbs->multiply(f->k, lanes, 1, power, product);
    f->limbs->cut(f->k + 1, product, PTF_DIGIT_BITS - 1, NULL, f->k, moved);
    for (int i = 0; i < PTF_LANES; i++)
        for (int64_t l = 0; l < f->k; l++) {
            int64_t from = l + bits[i] / PTF_DIGIT_BITS;
            lanes[l * PTF_LANES + i] =
                from < f->k ? moved[from * PTF_LANES + i] : 0;
        }
}

/* ------------------------------------------------------------ functions */

/* -times |x| on the grid of GRID; what is beyond it is overwritten later. */
static void take_argument(const ptf_functions *f, const ptf_lane_numbers *x,
                          int times, int64_t *t)
{
    int n = x->count, more = x->exponent - GRID + PTF_DIGIT_BITS * (f->k - n);
    int low = more > 0 ? (int)ptf_ceil_div(more, PTF_DIGIT_BITS) : 0;
    int64_t wide[PRODUCT] = {0};
    int64_t shift = (int64_t)PTF_DIGIT_BITS * low - more;
    int64_t most = PTF_DIGIT_BITS * (n + low + 1) - 1;
    for (int i = 0; i < n * PTF_LANES; i++) {
        int sign = x->m[i % PTF_LANES] > 0 ? -times : times;
        wide[low * PTF_LANES + i] = sign * x->digits[i];
    }
    f->limbs->cut(n + low, wide, shift < most ? shift : most, NULL, f->k, t);
}

/* exp(-times |x|) */
static void exponential(const ptf_functions *f, const ptf_lane_numbers *x,
                        int times, int64_t *e)
{
    int64_t r[WIDE], q[PTF_LANES], s[WIDE];
    bool none[PTF_LANES];
    take_argument(f, x, times, r);
    for (int i = 0; i < PTF_LANES; i++) {
        double t = times * fabs(x->m[i]);
        none[i] = !(t < 0.7 * (PTF_DIGIT_BITS * f->k + 16));
        q[i] = none[i] ? 0 : (int64_t)rint(t * 0x1.71547652b82fep+0);
        for (int l = 0; l < f->k; l++)
            r[l * PTF_LANES + i] += q[i] * f->ln2[l];
    }
    /* r of unit 2^(11 - 51 k) is r / 2^8 of unit 2^(3 - 51 k) */
    f->limbs->cut(f->k, r, 0, NULL, f->k, s);
    memcpy(e, f->coefficient[f->terms - 1], sizeof(r));
    for (int i = f->terms - 2; i >= 0; i--) {
        multiply(f, e, s, r);
        add(f, r, 1, f->coefficient[i], e);
    }
    for (int i = 0; i < HALVES; i++) {
        multiply(f, e, e, r);
        memcpy(e, r, sizeof(r));
    }
    scale_down(f, q, e);
    for (int i = 0; i < f->k * PTF_LANES; i++)
        e[i] = none[i % PTF_LANES] ? 0 : e[i];
}

void ptf_lanes_exp(const ptf_functions *f, const ptf_lane_numbers *x,
                   int64_t *y)
{
    exponential(f, x, 1, y);
}

/* 1 / (1 + e), e in 0 .. 1 */
static void share(const ptf_functions *f, const int64_t *e, int64_t *y)
{
    int64_t sum[WIDE], part[WIDE], more[WIDE];
    double scale = ldexp(1.0, UNIT - PTF_DIGIT_BITS);
    add(f, f->one, 1, e, sum);
    for (int i = 0; i < PTF_LANES; i++) {
        int64_t digits[PTF_LIMBS_MOST + 1];
        bool exact = true;
        double d = ptf_lane_double(sum, f->k, i, scale);
        ptf_digits_of(1 / d, UNIT, f->k, digits, &exact);
        for (int l = 0; l < f->k; l++)
            y[l * PTF_LANES + i] = digits[l];
    }
    for (int right = 49; right < PTF_DIGIT_BITS * f->k; right *= 2) {
        multiply(f, sum, y, part);
        add(f, f->one, -1, part, more);
        multiply(f, y, more, part);
        add(f, y, 1, part, more);
        memcpy(y, more, sizeof(more));
    }
}

void ptf_lanes_sigmoid(const ptf_functions *f, const ptf_lane_numbers *x,
                       int64_t *y)
{
    int64_t e[WIDE], below[WIDE];
    exponential(f, x, 1, e);
    share(f, e, y);
    multiply(f, e, y, below);
    for (int i = 0; i < f->k * PTF_LANES; i++)
        y[i] = x->m[i % PTF_LANES] < 0 ? below[i] : y[i];
}

/* 2 / (1 + exp(-2 |x|)) - 1, with the sign of x */
void ptf_lanes_tanh(const ptf_functions *f, const ptf_lane_numbers *x,
                    int64_t *y)
{
    int64_t e[WIDE], twice[WIDE];
    exponential(f, x, 2, e);
    share(f, e, y);
    for (int i = 0; i < f->k * PTF_LANES; i++) {
        int sign = x->m[i % PTF_LANES] < 0 ? -1 : 1;
        twice[i] = sign * (2 * y[i] - f->one[i]);
    }
    f->limbs->cut(f->k, twice, 0, NULL, f->k, y);
}

/* s = 16 (|x| - the node), which |x| is nearest to, and the node of each lane,
 * or -1 beyond the last. */
static void find_nodes(const ptf_functions *f, const ptf_lane_numbers *x,
                       int64_t *node, int64_t *s)
{
    int64_t t[WIDE];
    int k = f->k;
    take_argument(f, x, -1, t);
    for (int i = 0; i < PTF_LANES; i++) {
        double at = rint(fabs(x->m[i]) * NODES);
        node[i] = at < f->nodes ? (int64_t)at : -1;
        for (int l = 0; l < k; l++)
            t[l * PTF_LANES + i] = node[i] < 0 ? 0 : t[l * PTF_LANES + i];
        if (node[i] > 0)
            t[(k - 1) * PTF_LANES + i] -=
                node[i] * (INT64_C(1) << (PTF_DIGIT_BITS - GRID - 4));
    }
    /* 2^GRID / 2^UNIT 16 = 2^12, in two steps that digits have room for */
    for (int step = 0; step < 2; step++) {
        f->limbs->cut(k, t, 0, NULL, k, s);
        for (int i = 0; i < k * PTF_LANES; i++)
            t[i] = s[i] * 64;
    }
    f->limbs->cut(k, t, 0, NULL, k, s);
}

void ptf_lanes_normal(const ptf_functions *f, const ptf_lane_numbers *x,
                      int64_t *y)
{
    int64_t s[WIDE], part[WIDE], a[WIDE] = {0}, node[PTF_LANES];
    find_nodes(f, x, node, s);
    memset(y, 0, sizeof(part));
    for (int64_t m = f->orders - 1; m >= 0; m--) {
        for (int i = 0; i < PTF_LANES; i++) {
            int64_t of = node[i] < 0 ? 0 : node[i];
            const int64_t *from = f->normal + (of * f->orders + m) * f->k;
            for (int l = 0; l < f->k; l++)
                a[l * PTF_LANES + i] = from[l];
        }
        multiply(f, y, s, part);
        add(f, part, 1, a, y);
    }
    for (int i = 0; i < f->k * PTF_LANES; i++)
        y[i] = node[i % PTF_LANES] < 0 ? f->one[i] : y[i];
    add(f, f->one, -1, y, part);
    for (int i = 0; i < f->k * PTF_LANES; i++)
        y[i] = x->m[i % PTF_LANES] < 0 ? part[i] : y[i];
}
