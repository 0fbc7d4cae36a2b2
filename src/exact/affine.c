/*
 * Batch norms: y = s x + t, s = gamma / sqrt(var + eps), t = beta - mean s.
 *
 * s and t are known to n + 1 digits.  s is off by 2^-(51 n + 27) of itself,
 * which moves y by less than 2^-20 h; t is rounded to the grid, h / 2, and so
 * is the product.  After a product W both are one linear map: the norm of the
 * errors grows by norm(D W), D the scales, and never more than by their
 * product.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

typedef struct channel {
    ptf_real scale, shift;
    double size; /* of the scale, and a little more */
} channel;

typedef struct work {
    const ptf_exact_step *step;
    channel *channels;
    int64_t map;
} work;

static bool set_channel(const ptf_exact_step *s, const ptf_norm_numbers *n,
                        int64_t c, channel *to)
{
    const ptf_limbs *limbs = s->exact->limbs;
    int k = s->exact->n + 1;
    ptf_real gamma = ptf_real_of(limbs, k, n->gamma[c]);
    ptf_real beta = ptf_real_of(limbs, k, n->beta[c]);
    ptf_real mean = ptf_real_of(limbs, k, n->mean[c]);
    ptf_real var = ptf_real_of(limbs, k, n->var[c]), root;
    ptf_real eps = ptf_real_of(limbs, k, ptf_exact_node(s)->attrs.eps);
    var = ptf_real_add(&var, &eps, 1);
    if (!isfinite(n->gamma[c]) || !isfinite(n->beta[c]) ||
        !isfinite(n->mean[c]) || !isfinite(n->var[c]) ||
        !ptf_real_rsqrt(&var, &root))
        return false;
    to->scale = ptf_real_multiply(&gamma, &root);
    ptf_real product = ptf_real_multiply(&mean, &to->scale);
    to->shift = ptf_real_add(&beta, &product, -1);
    to->size = fabs(ptf_real_double(&to->scale)) * PTF_UP;
    return true;
}

static ptf_status set_channels(const ptf_exact_step *s, work *w, ptf_error *err)
{
    int64_t count = ptf_exact_out(s)->dim[0];
    ptf_arena arena = {0};
    ptf_norm_numbers n;
    ptf_status status =
        ptf_norm_numbers_read(&arena, ptf_exact_node(s), &n, err);
    for (int64_t c = 0; status == PTF_OK && c < count; c++)
        if (!set_channel(s, &n, c, &w->channels[c]))
            s->exact->bad = s->node;
    ptf_arena_free(&arena);
    return status;
}

static void run_channel(void *context, int64_t c, int thread)
{
    const work *w = context;
    const ptf_exact_step *s = w->step;
    const channel *own = &w->channels[c];
    const ptf_fixed *in = s->in[0];
    ptf_fixed *out = s->out;
    int n = s->exact->n, k = own->scale.k;
    int64_t addend[PTF_LIMBS_MOST + 1];
    ptf_real shift = ptf_real_move(&own->shift, out->exponent + PTF_DIGIT_BITS);
    int64_t moved = (int64_t)PTF_DIGIT_BITS * k + out->exponent - in->exponent -
                    own->scale.exponent;
    double lost = ldexp(1.25, out->exponent);
    (void)thread;
    for (int l = 0; l < n; l++) /* on the grid: n + 1 digits, the last is 0 */
        addend[l] = shift.digits[l * PTF_LANES];
    for (int64_t i = 0; i < w->map; i += PTF_LANES) {
        int64_t lanes[PTF_LANE_DIGITS] = {0}, at = c * w->map + i;
        int64_t product[PTF_DIGITS_MOST * PTF_LANES];
        size_t left = (size_t)ptf_min_i64(w->map - i, PTF_LANES);
        for (int l = 0; l < n; l++)
            memcpy(lanes + l * PTF_LANES, in->digits + l * in->room + at,
                   left * sizeof(*lanes));
        s->exact->limbs->multiply(n, lanes, k, own->scale.digits, product);
        s->exact->limbs->cut(n + k, product, moved, addend, n, lanes);
        for (int l = 0; l < n; l++)
            memcpy(out->digits + l * out->room + at, lanes + l * PTF_LANES,
                   left * sizeof(*lanes));
    }
    for (int64_t i = c * w->map; i < (c + 1) * w->map; i++)
        out->radius[i] = (own->size * in->radius[i] + lost) * PTF_UP;
}

static void set_grid(const work *w)
{
    const ptf_exact_step *s = w->step;
    const ptf_fixed *in = s->in[0];
    int64_t channels = ptf_exact_out(s)->dim[0];
    double most = 0, steepest = 0;
    int least = -1000;
    for (int64_t c = 0; c < channels; c++) {
        const channel *own = &w->channels[c];
        double shift = fabs(ptf_real_double(&own->shift));
        int e =
            in->exponent + own->scale.exponent - PTF_DIGIT_BITS * own->scale.k;
        most = fmax(most, own->size * in->most + shift * PTF_UP);
        steepest = fmax(steepest, own->size);
        least = e > least ? e : least;
    }
    int e = ptf_exponent_of(most);
    s->out->exponent = e > least ? e : least;
    double own = sqrt((double)s->out->count) * ldexp(1.25, s->out->exponent);
    double both =
        s->exact->numbers[s->node].lipschitz * in->before + steepest * in->own;
    s->out->norm = (fmin(steepest * in->norm, both) + own) * PTF_UP_STEP;
}

ptf_status ptf_exact_family_affine(const ptf_exact_step *s, ptf_error *err)
{
    int64_t channels = ptf_exact_out(s)->dim[0];
    work w = {s, ptf_alloc((size_t)channels * sizeof(channel)),
              s->out->count / channels};
    if (w.channels == NULL)
        return ptf_fail_memory(err);
    ptf_status status = set_channels(s, &w, err);
    if (status == PTF_OK && s->exact->bad < 0) {
        set_grid(&w);
        ptf_each(s->exact->threads, channels, run_channel, &w);
    }
    ptf_free(w.channels);
    return status;
}
