/*
 * Norms by the sample: layer, group, instance and RMS norms.
 *
 * Of each group of N numbers, with k = n + 1 digits, centred c = x - mean, z =
 * c / sigma, sigma^2 = |c|^2 / N + eps, and y = w z + b.  The mean is off by a
 * unit of k digits and so is c, which has one bit less: 2^(E + 1 - 51 k) in
 * all.  The sum of squares of these c is exact, and 1 / sigma is off by 2^(24 -
 * 51 k) of itself (reals.c).
 *
 * How z moves with c: its derivative (1 - z z' / N) / sigma has the norm 1 /
 * sigma at most, as |z|^2 <= N; and sigma is the norm of (c / sqrt(N),
 * sqrt(eps)), and moves by 1 / sqrt(N) of what c does.  So no z moves by |dc| /
 * least sigma or more, nor by (|dc_i| + |z_i| |dc| / sqrt(N)) / least sigma;
 * centring makes no |dc| larger, and dc_i is dx_i and their mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/functions.h"

enum {
    WIDE = (PTF_LIMBS_MOST + 1) * PTF_LANES,
    PRODUCT = PTF_DIGITS_MOST * PTF_LANES,
    WEIGHT_DIGITS = 3,
};

typedef struct work {
    const ptf_exact_step *step;
    const ptf_parameters *numbers;
    ptf_norm_cut cut;
    ptf_real share; /* 1 / N */
    int z, w;       /* exponents of z and of the weights */
    double most_w, lost_w;
    double *slopes; /* per group: how much wider errors become, and what is
                       lost */
} work;

/* One group. */
typedef struct group {
    const work *w;
    int64_t first;
    int64_t mean[PTF_LIMBS_MOST + 1]; /* k digits of the operand's exponent */
    ptf_real inverse;                 /* 1 / sigma */
    double norm, average;             /* of the radii */
    double least;                     /* sigma, wherever the inputs are */
} group;

/* ------------------------------------------------------------ statistics */

/* floor(sum / N) to k digits, of a sum of n + 1 signed digits. */
static void divide(const int64_t *sum, int count, int64_t by, int k,
                   int64_t *out)
{
    __extension__ typedef __int128 wide;
    int64_t low[PTF_LIMBS_MOST + 2], carry = 0;
    for (int l = 0; l + 1 < count; l++) { /* 0 .. 2^51 - 1 but the highest */
        int64_t d = sum[l] + carry;
        carry = d >> PTF_DIGIT_BITS;
        low[l] = d & PTF_DIGIT_MASK;
    }
    wide rest = (wide)sum[count - 1] + carry;
    int64_t quotient[PTF_LIMBS_MOST + 3];
    for (int l = count; l >= 0; l--) { /* one more, below the lowest */
        wide q = rest / by - (rest % by < 0);
        quotient[l] = (int64_t)q;
        rest = (rest - q * by) << PTF_DIGIT_BITS;
        if (l > 1)
            rest |= low[l - 2];
    }
    for (int l = 0; l < k; l++) { /* count is k: what the highest has fits */
        int64_t d = quotient[l], more = l + 1 < k && d >= PTF_DIGIT_HALF;
        out[l] = d - (more > 0 ? PTF_DIGIT_MASK + 1 : 0);
        quotient[l + 1] += more;
    }
    out[k - 1] += quotient[k] * (PTF_DIGIT_MASK + 1);
}

static void find_mean(group *g)
{
    const ptf_exact *exact = g->w->step->exact;
    const ptf_fixed *in = g->w->step->in[0];
    int64_t sum[PTF_LIMBS_MOST + 2] = {0}, n = g->w->cut.n;
    double squares = 0, radii = 0;
    for (int64_t i = 0; i < n; i++) {
        double r = in->radius[g->first + i] + PTF_FLOOR;
        squares += r * r;
        radii += r;
        for (int l = 0; l < exact->n; l++)
            sum[l] += in->digits[l * in->room + g->first + i];
        for (int l = 0; i % PTF_SUM_MOST == PTF_SUM_MOST - 1 && l < exact->n;
             l++) {
            sum[l + 1] += sum[l] >> PTF_DIGIT_BITS;
            sum[l] &= PTF_DIGIT_MASK;
        }
    }
    g->norm = fmin(sqrt(squares) * PTF_UP_STEP, in->norm);
    g->average = fmin(radii / (double)n * PTF_UP_STEP, g->norm);
    memset(g->mean, 0, sizeof(g->mean));
    if (g->w->cut.centred)
        divide(sum, exact->n + 1, n, exact->n + 1, g->mean);
    else
        g->average = 0;
}

/* c of a block, k digits of exponent E + 1; 0 after the last. */
static void centre(const group *g, int64_t block, int64_t *c)
{
    const ptf_exact *exact = g->w->step->exact;
    const ptf_fixed *in = g->w->step->in[0];
    int n = exact->n, k = n + 1;
    int64_t wide[WIDE] = {0};
    int64_t left = ptf_min_i64(g->w->cut.n - block * PTF_LANES, PTF_LANES);
    for (int l = 0; l < k; l++)
        for (int64_t i = 0; i < left; i++) {
            int64_t at = g->first + block * PTF_LANES + i;
            int64_t x = l > 0 ? in->digits[(l - 1) * in->room + at] : 0;
            wide[l * PTF_LANES + i] = x - g->mean[l];
        }
    exact->limbs->cut(k, wide, 1, NULL, k, c);
}

/* |c|^2 / N + eps, and 1 / sigma. */
static bool find_sigma(group *g)
{
    const ptf_exact *exact = g->w->step->exact;
    int k = exact->n + 1, count = 2 * k + 1;
    double root = sqrt((double)g->w->cut.n);
    int64_t c[WIDE], product[PRODUCT];
    int64_t sum[PTF_DIGITS_MOST] = {0};
    for (int64_t b = 0; b * PTF_LANES < g->w->cut.n; b++) {
        centre(g, b, c);
        exact->limbs->multiply(k, c, k, c, product);
        for (int l = 0; l < 2 * k; l++)
            for (int i = 0; i < PTF_LANES; i++)
                sum[l] += product[l * PTF_LANES + i];
        for (int l = 0; l + 1 < count; l++) {
            sum[l + 1] += sum[l] >> PTF_DIGIT_BITS;
            sum[l] &= PTF_DIGIT_MASK;
        }
    }
    ptf_real var = ptf_real_of_digits(
        exact->limbs, k, count, sum,
        2 * (g->w->step->in[0]->exponent + 1 - PTF_DIGIT_BITS * k));
    double eps_of = ptf_exact_node(g->w->step)->attrs.eps;
    ptf_real eps = ptf_real_of(exact->limbs, k, eps_of);
    var = ptf_real_multiply(&var, &g->w->share);
    var = ptf_real_add(&var, &eps, 1);
    if (!(ptf_real_double(&var) > 0x1p-150) ||
        !ptf_real_rsqrt(&var, &g->inverse))
        return false;
    double moved =
        ldexp(g->norm, -PTF_DIGIT_BITS * exact->n) / root +
        ldexp(1, g->w->step->in[0]->exponent + 1 - PTF_DIGIT_BITS * k);
    g->least =
        1 / ptf_real_double(&g->inverse) * (1 - 0x1p-40) - moved * PTF_UP_STEP;
    g->least = fmax(g->least, sqrt(eps_of) * (1 - 0x1p-40));
    return g->least > 0;
}

/* ------------------------------------------------------------ results */

static double weight_at(const ptf_parameters *n, int64_t channel)
{
    return n->f32 != NULL   ? (double)n->f32[channel]
           : n->f64 != NULL ? n->f64[channel]
                            : 1.0;
}

static double bias_at(const ptf_parameters *n, int64_t channel)
{
    return n->bias.value != NULL ? n->bias.value[channel] : 0.0;
}

/* w z + b of a block, from the k digits of z. */
static bool scale_block(const group *g, int64_t block, const int64_t *z,
                        int64_t *y)
{
    const work *w = g->w;
    const ptf_exact *exact = w->step->exact;
    const ptf_fixed *out = w->step->out;
    int n = exact->n, k = n + 1;
    int64_t by[WEIGHT_DIGITS * PTF_LANES] = {0}, product[PRODUCT];
    int64_t bias[PTF_LANE_DIGITS] = {0}, sum[PTF_LANE_DIGITS];
    int64_t left = ptf_min_i64(w->cut.n - block * PTF_LANES, PTF_LANES);
    bool exactly = true, biased = true;
    for (int64_t i = 0; i < left; i++) {
        int64_t at = g->first + block * PTF_LANES + i, digits[PTF_LIMBS_MOST];
        int64_t channel = at / w->cut.inner % w->cut.weights;
        ptf_digits_of(weight_at(w->numbers, channel), w->w, WEIGHT_DIGITS,
                      digits, &exactly);
        for (int l = 0; l < WEIGHT_DIGITS; l++)
            by[l * PTF_LANES + i] = digits[l];
        ptf_digits_of(bias_at(w->numbers, channel), out->exponent, n, digits,
                      &biased);
        for (int l = 0; l < n; l++)
            bias[l * PTF_LANES + i] = digits[l];
    }
    exact->limbs->multiply(k, z, WEIGHT_DIGITS, by, product);
    exact->limbs->cut(k + WEIGHT_DIGITS, product,
                      (int64_t)PTF_DIGIT_BITS * (1 + WEIGHT_DIGITS) +
                          out->exponent - w->z - w->w,
                      NULL, n, sum);
    for (int i = 0; i < n * PTF_LANES; i++)
        sum[i] += bias[i];
    exact->limbs->cut(n, sum, 0, NULL, n, y);
    return biased;
}

/*
 * What is lost, in units of n digits: in c, 2^(E + 1 - 51 k) each, by the
 * derivative's norm; in 1 / sigma; where z is cut, and weights; and where the
 * result and its bias are.
 */
static double lost_in(const group *g, bool biased)
{
    const work *w = g->w;
    double root = sqrt((double)w->cut.n),
           own = ldexp(0.5, w->step->out->exponent);
    double z = root * ldexp(1 / g->least,
                            w->step->in[0]->exponent + 1 - PTF_DIGIT_BITS) +
               root * 0x1p-26 + ldexp(1, w->z - PTF_DIGIT_BITS);
    return (w->most_w * z + root * w->lost_w + own + (biased ? 0 : own)) *
           PTF_UP_STEP;
}

static void give_block(const group *g, int64_t block, const int64_t *z,
                       const int64_t *y, double lost)
{
    const work *w = g->w;
    const ptf_fixed *in = w->step->in[0];
    ptf_fixed *out = w->step->out;
    int n = w->step->exact->n;
    int64_t left = ptf_min_i64(w->cut.n - block * PTF_LANES, PTF_LANES);
    double scale = ldexp(1.0, w->z - PTF_DIGIT_BITS);
    double sigma = g->norm / sqrt((double)w->cut.n); /* moves by this */
    for (int64_t i = 0; i < left; i++) {
        int64_t at = g->first + block * PTF_LANES + i;
        double size = fabs(ptf_lane_double(z, n + 1, (int)i, scale)) + 0x1p-20;
        double moved = in->radius[at] + g->average + size * sigma;
        double by =
            fabs(weight_at(w->numbers, at / w->cut.inner % w->cut.weights));
        for (int l = 0; l < n; l++)
            out->digits[l * out->room + at] = y[l * PTF_LANES + i];
        out->radius[at] =
            (by * fmin(moved, g->norm) / g->least + lost) * PTF_UP_STEP;
    }
}

static void run_group(void *context, int64_t i, int thread)
{
    const work *w = context;
    const ptf_exact *exact = w->step->exact;
    group g = {.w = w, .first = i * w->cut.n};
    int k = exact->n + 1;
    int64_t c[WIDE], z[WIDE], y[PTF_LANE_DIGITS], product[PRODUCT];
    (void)thread;
    w->slopes[2 * i] = HUGE_VAL;
    find_mean(&g);
    if (!find_sigma(&g))
        return;
    int64_t shift = (int64_t)PTF_DIGIT_BITS * k + w->z -
                    w->step->in[0]->exponent - 1 - g.inverse.exponent;
    if (shift < 0 || shift >= (int64_t)PTF_DIGIT_BITS * (2 * k + 1))
        return;
    for (int64_t b = 0; b * PTF_LANES < w->cut.n; b++) {
        centre(&g, b, c);
        exact->limbs->multiply(k, c, k, g.inverse.digits, product);
        exact->limbs->cut(2 * k, product, shift, NULL, k, z);
        bool biased = scale_block(&g, b, z, y);
        give_block(&g, b, z, y, lost_in(&g, biased));
    }
    w->slopes[2 * i] = w->most_w / g.least;
    w->slopes[2 * i + 1] = lost_in(&g, false);
}

/* ------------------------------------------------------------ run */

/* |z| <= sqrt(N). */
static void set_grid(work *w)
{
    const ptf_exact_step *s = w->step;
    double root = sqrt((double)w->cut.n), most_b = 0;
    bool exactly = true;
    for (int64_t c = 0; c < w->cut.weights; c++) {
        w->most_w = fmax(w->most_w, fabs(weight_at(w->numbers, c)));
        most_b = fmax(most_b, fabs(bias_at(w->numbers, c)));
    }
    w->z = ptf_exponent_of(root * (1 + 0x1p-10));
    w->w = ptf_exponent_of(w->most_w);
    for (int64_t c = 0; c < w->cut.weights; c++) {
        int64_t digits[WEIGHT_DIGITS];
        ptf_digits_of(weight_at(w->numbers, c), w->w, WEIGHT_DIGITS, digits,
                      &exactly);
    }
    if (!exactly)
        w->lost_w =
            ldexp(1, w->w - PTF_DIGIT_BITS * (WEIGHT_DIGITS - s->exact->n));
    s->out->exponent =
        ptf_exponent_of(w->most_w * root * (1 + 0x1p-10) + most_b);
    if (s->out->exponent < w->z + w->w - PTF_DIGIT_BITS)
        s->out->exponent = w->z + w->w - PTF_DIGIT_BITS;
}

static ptf_status run(work *w, ptf_error *err)
{
    const ptf_exact_step *s = w->step;
    int64_t groups = s->out->count / w->cut.n;
    double slope = 0, lost = 0;
    ptf_real n =
        ptf_real_of(s->exact->limbs, s->exact->n + 1, (double)w->cut.n);
    w->slopes = ptf_alloc(2 * (size_t)groups * sizeof(*w->slopes));
    if (w->slopes == NULL)
        return ptf_fail_memory(err);
    set_grid(w);
    if (ptf_real_reciprocal(&n, &w->share) && w->most_w < 0x1p100)
        ptf_each(s->exact->threads, groups, run_group, w);
    else
        s->exact->bad = s->node;
    for (int64_t i = 0; i < groups; i++)
        slope = fmax(slope, w->slopes[2 * i]);
    for (int64_t i = 0; i < groups; i++)
        lost = fmax(lost, w->slopes[2 * i + 1]);
    if (!(slope < HUGE_VAL))
        s->exact->bad = s->node;
    s->out->norm =
        (s->in[0]->norm * slope + sqrt((double)s->out->count) * lost) *
        PTF_UP_STEP;
    return PTF_OK;
}

ptf_status ptf_exact_family_norm(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    work w = {.step = s, .numbers = &s->exact->numbers[s->node].plain};
    w.cut = ptf_op_norm_cut(node->op, &node->attrs, ptf_exact_in(s, 0));
    ptf_status status = run(&w, err);
    ptf_free(w.slopes);
    return status;
}
