/*
 * The ideal: B's graph with A's numbers.  Where B has batch norms folded into
 * weights, so has the ideal, as products of the original's numbers in double
 * with their radii: w s and b s + t, for y = (w x + b) s + t.  B's parameters
 * are held against these one by one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/certify.h"
#include "verify/verify.h"

#include <math.h>

/* Balls (1, 0) and (0, 0) for every channel. */
static ptf_status identity(ptf_arena *arena, int64_t channels,
                           ptf_parameters *out, ptf_error *err)
{
    out->scale = ptf_balls_new(arena, channels);
    out->shift = ptf_balls_new(arena, channels);
    if (out->scale.value == NULL || out->shift.value == NULL)
        return ptf_fail_memory(err);
    for (int64_t c = 0; c < channels; c++)
        out->scale.value[c] = 1;
    return PTF_OK;
}

/* z = (x scale + shift) s + t = x (scale s) + (shift s + t) per channel. */
static void compose(ptf_parameters *n, ptf_balls s, ptf_balls t,
                    int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) {
        ptf_ball_scale_shift(n->scale.value[c], n->scale.radius[c], s.value[c],
                             s.radius[c], 0, 0, &n->scale.value[c],
                             &n->scale.radius[c]);
        ptf_ball_scale_shift(n->shift.value[c], n->shift.radius[c], s.value[c],
                             s.radius[c], t.value[c], t.radius[c],
                             &n->shift.value[c], &n->shift.radius[c]);
    }
}

static ptf_status copy_scale(ptf_arena *arena, const ptf_parameters *from,
                             int64_t channels, ptf_parameters *out,
                             ptf_error *err)
{
    ptf_status status = identity(arena, channels, out, err);
    if (status == PTF_OK && from->scale.value != NULL)
        compose(out, from->scale, from->shift, channels);
    return status;
}

/*
 * A layer's bias, with its own scale and shift after it.  'terms' are the
 * largest that are added up on the way: where they cancel, a bias that is
 * folded in f32 is as far off as their last places are.
 */
static ptf_status start_bias(ptf_arena *arena, const ptf_parameters *from,
                             int64_t channels, ptf_balls *bias, double **terms,
                             ptf_error *err)
{
    *bias = ptf_balls_new(arena, channels);
    *terms = ptf_arena_array(arena, (size_t)channels, sizeof(**terms));
    if (bias->value == NULL || *terms == NULL)
        return ptf_fail_memory(err);
    for (int64_t c = 0; c < channels; c++) {
        if (from->bias.value != NULL)
            bias->value[c] = from->bias.value[c];
        (*terms)[c] = fabs(bias->value[c]);
        if (from->scale.value != NULL)
            (*terms)[c] = fmax(fabs(bias->value[c] * from->scale.value[c]),
                               fabs(from->shift.value[c]));
        if (from->scale.value != NULL)
            ptf_ball_scale_shift(bias->value[c], 0, from->scale.value[c],
                                 from->scale.radius[c], from->shift.value[c],
                                 from->shift.radius[c], &bias->value[c],
                                 &bias->radius[c]);
    }
    return PTF_OK;
}

/*
 * (b - mean) scale + beta.  Through the norm's shift the bias would be known
 * to u |mean scale| only, which is much where b is near the mean, as it is in
 * a channel that died in training.
 */
static void fold_bias(const ptf_parameters *norm, int64_t channels,
                      ptf_balls bias, double *terms)
{
    for (int64_t c = 0; c < channels; c++) {
        double off = bias.value[c] - norm->mean[c];
        terms[c] = fmax(fmax(terms[c], fabs(norm->mean[c])) *
                            fabs(norm->scale.value[c]),
                        fabs(norm->beta[c]));
        ptf_ball_scale_shift(off, bias.radius[c] + PTF_U * fabs(off),
                             norm->scale.value[c], norm->scale.radius[c],
                             norm->beta[c], 0, &bias.value[c], &bias.radius[c]);
    }
}

/* The scale goes into the weights.  That of two norms in a row may be too small
 * for the bounds of the products with it. */
static void fold_scale(int64_t channels, ptf_balls bias, ptf_parameters *n)
{
    for (int64_t c = 0; c < channels; c++) {
        double size = fabs(n->scale.value[c]);
        if (size > 0 && size < PTF_LEAST_SCALE)
            n->scale.radius[c] = HUGE_VAL;
    }
    n->bias = bias;
    n->weight_scale = n->scale;
    n->scale = n->shift = (ptf_balls){NULL, NULL};
}

/* The numbers of A's node and of the batch norms folded into it, as B has
 * them. */
static ptf_status ideal_product(ptf_arena *arena, const ptf_net *a,
                                const bool *folded, int node,
                                const ptf_parameters *numbers,
                                const ptf_node *b, ptf_parameters *out,
                                ptf_error *err)
{
    int64_t channels = a->nodes[node].attrs.out_channels;
    bool epilogue = b->tensors[PTF_ROLE_SCALE] != NULL;
    *out = numbers[node];
    int norm = ptf_next_folded(a, folded, node);
    if (norm < 0 && (out->scale.value != NULL) == epilogue)
        return PTF_OK;
    ptf_balls bias;
    double *terms;
    ptf_status status = copy_scale(arena, &numbers[node], channels, out, err);
    if (status == PTF_OK)
        status =
            start_bias(arena, &numbers[node], channels, &bias, &terms, err);
    if (status != PTF_OK)
        return status;
    for (; norm >= 0; norm = ptf_next_folded(a, folded, norm)) {
        compose(out, numbers[norm].scale, numbers[norm].shift, channels);
        fold_bias(&numbers[norm], channels, bias, terms);
    }
    if (!epilogue)
        fold_scale(channels, bias, out);
    out->bias_terms = epilogue ? NULL : terms;
    return PTF_OK;
}

/* A's statistics with B's eps: another eps is another function. */
static ptf_status ideal_norm(ptf_arena *arena, const ptf_node *a,
                             const ptf_node *b, ptf_parameters *out,
                             ptf_error *err)
{
    ptf_node node = *a;
    node.attrs.eps = b->attrs.eps;
    return ptf_numbers_read(arena, &node, out, err);
}

/* A region, where it is a product like B's. */
static ptf_status ideal_region(ptf_arena *arena, const ptf_graphs *g,
                               ptf_pair *pair, int node,
                               const ptf_parameters *numbers,
                               ptf_parameters *out, ptf_pair_mismatch *mismatch,
                               ptf_error *err)
{
    const char *reason = NULL;
    ptf_status status =
        ptf_form_numbers(arena, g, numbers, pair, node, out, &reason, err);
    if (status != PTF_OK || reason == NULL)
        return status;
    *pair = (ptf_pair){-1, -1, -1, false};
    if (mismatch->reason == NULL)
        *mismatch = (ptf_pair_mismatch){reason, g->b->nodes[node].name};
    return PTF_OK;
}

ptf_status ptf_ideal_numbers(ptf_arena *arena, const ptf_graphs *g,
                             ptf_pair *pairs, const bool *folded,
                             const ptf_parameters *numbers,
                             ptf_parameters *ideal, ptf_pair_mismatch *mismatch,
                             ptf_error *err)
{
    const ptf_net *a = g->a, *b = g->b;
    ptf_status status = PTF_OK;
    for (int i = b->input_count; status == PTF_OK && i < b->node_count; i++) {
        int from = pairs[i].layer;
        ideal[i] = (ptf_parameters){0};
        if (from < 0)
            continue;
        if (pairs[i].formed)
            status = ideal_region(arena, g, &pairs[i], i, numbers, &ideal[i],
                                  mismatch, err);
        else if (numbers[from].norms != NULL)
            status = ideal_product(arena, a, folded, from, numbers,
                                   &b->nodes[i], &ideal[i], err);
        else if (numbers[from].scale.value != NULL)
            status = ideal_norm(arena, &a->nodes[from], &b->nodes[i], &ideal[i],
                                err);
        else
            ideal[i] = numbers[from]; /* a constant's, or none */
    }
    return status;
}

/* -------------------------------------------------------------- parameters */

/* What a parameter should be: a ball for each number. */
typedef struct wanted {
    const float *f32; /* exact numbers; or */
    const double *f64;
    ptf_balls balls;
    ptf_balls scale;     /* for weights: multiplies row c, or no value */
    int64_t row;         /* numbers of a row */
    const double *terms; /* of ptf_parameters.bias_terms, or NULL */
    int64_t max_ulps;
} wanted;

static void ball_of(const wanted *w, int64_t i, double *value, double *radius)
{
    if (w->balls.value != NULL) {
        *value = w->balls.value[i];
        *radius = w->balls.radius[i];
        return;
    }
    double x = w->f32 != NULL ? (double)w->f32[i] : w->f64[i];
    *value = x;
    *radius = 0;
    if (w->scale.value == NULL)
        return;
    int64_t c = i / w->row;
    *value = x * w->scale.value[c];
    *radius =
        (fabs(x) * w->scale.radius[c] + PTF_U * fabs(*value)) * (1 + 0x1p-40) +
        PTF_TINY;
}

/* A unit in the last place of an f32 as large as that. */
static double unit_of(double size)
{
    int exponent;
    frexp(size, &exponent);
    return ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

/*
 * How far a wrong number is off at least and at most: from whichever f32
 * between 'low' and 'high' is the right one, and one more where the number is
 * none itself; or, where terms of that size may cancel, in units of their last
 * place.
 */
typedef struct distance {
    int64_t least, most;
} distance;

static int64_t whole_units(double units)
{
    return units < 0x1p62 ? (int64_t)units : INT64_MAX;
}

static distance distance_of(double number, double off, double reach, float low,
                            float high, double terms)
{
    float found = (float)number;
    if (terms > 0 && isfinite(off) && isfinite(terms)) {
        /* The largest term is itself known to a few u. */
        double least = (off - reach) / unit_of(terms * (1 + 0x1p-40));
        double most = (off + reach) / unit_of(terms * (1 - 0x1p-40));
        return (distance){whole_units(fmax(floor(least), 0)),
                          whole_units(fmax(ceil(most), 1))};
    }
    int64_t a = ptf_ulp_distance(found, low), b = ptf_ulp_distance(found, high);
    distance d = {ptf_min_i64(a, b), a > b ? a : b};
    bool exact = !(fabs(number - (double)found) > 0);
    d.most += !exact && d.most < INT64_MAX;
    return d;
}

/*
 * One number of B.  It is right when it is the ideal one, as far as that is
 * known, or an f32 to which a number within the radius rounds.  Two f32 next to
 * each other may be that, where a tie lies between; more say too little.
 * 2u cover the rounding of the ends.
 */
static void add_number(ptf_parameter_check *p, const wanted *w, int64_t i,
                       double number)
{
    double value, radius;
    ball_of(w, i, &value, &radius);
    float found = (float)number;
    double off = fabs(number - value);
    double reach = radius > 0 ? radius + 2 * PTF_U * fabs(value) : 0;
    float low = (float)(value - reach), high = (float)(value + reach);
    bool narrow = !(low < high) || !(nextafterf(low, high) < high);
    bool rounded = !(fabs(number - (double)found) > 0) && !(found < low) &&
                   !(found > high) && !isnan(found);
    bool right = narrow && (rounded || off <= reach);
    double terms = w->terms != NULL ? fmax(w->terms[i], fabs(value)) : 0;
    distance ulps = {0, 0};
    if (!right)
        ulps = distance_of(number, off, reach, low, high, terms);
    p->count++;
    p->open += right && low < high;
    p->wrong += !right;
    p->beyond += ulps.least > w->max_ulps;
    p->ulps[ptf_ulp_bin(ulps.most)]++;
    if (ulps.most > p->worst_ulps) {
        p->worst = i;
        p->worst_ulps = ulps.most;
        p->worst_ideal = value;
        p->worst_found = found;
    }
}

static void merge(ptf_parameter_check *to, const ptf_parameter_check *from)
{
    to->count += from->count;
    to->open += from->open;
    to->wrong += from->wrong;
    to->beyond += from->beyond;
    for (int i = 0; i < PTF_ULP_BINS; i++)
        to->ulps[i] += from->ulps[i];
    /* Of equals the first, in whatever order threads come. */
    if (from->worst_ulps < to->worst_ulps ||
        (from->worst_ulps == to->worst_ulps && from->worst >= to->worst))
        return;
    to->worst = from->worst;
    to->worst_ulps = from->worst_ulps;
    to->worst_ideal = from->worst_ideal;
    to->worst_found = from->worst_found;
}

/* Numbers that are f32 in place, or doubles, or all the same. */
typedef struct found {
    const float *f32;
    double *f64;
    float constant;
} found;

/* Numbers, a part at a time; 'sums' has one for each thread. */
typedef struct parts {
    const found *found;
    const wanted *wanted;
    int64_t count;
    ptf_parameter_check *sums;
} parts;

enum { PART = 65536 };

static void add_part(void *context, int64_t part, int thread)
{
    const parts *p = context;
    const found *f = p->found;
    int64_t end = ptf_min_i64((part + 1) * PART, p->count);
    ptf_parameter_check some = {0};
    for (int64_t i = part * PART; i < end; i++)
        add_number(&some, p->wanted, i,
                   f->f32 != NULL   ? (double)f->f32[i]
                   : f->f64 != NULL ? f->f64[i]
                                    : (double)f->constant);
    merge(&p->sums[thread], &some);
}

static ptf_status add_numbers(const found *f, const wanted *w, int64_t count,
                              ptf_parameter_check *out, ptf_error *err)
{
    int threads = ptf_thread_count();
    parts p = {f, w, count, ptf_alloc((size_t)threads * sizeof(*p.sums))};
    if (p.sums == NULL)
        return ptf_fail_memory(err);
    ptf_each(threads, ptf_ceil_div(count, PART), add_part, &p);
    for (int i = 0; i < threads; i++)
        merge(out, &p.sums[i]);
    ptf_free(p.sums);
    return PTF_OK;
}

static ptf_status check_tensor(const ptf_tensor *tensor, const wanted *w,
                               ptf_parameter_check *out, ptf_error *err)
{
    int64_t count = ptf_tensor_numel(tensor);
    found f = {.f32 = ptf_tensor_f32(tensor)};
    ptf_status status = PTF_OK;
    if (f.f32 == NULL) {
        f.f64 = ptf_alloc((size_t)count * sizeof(*f.f64));
        status = f.f64 != NULL ? ptf_tensor_read_f64(tensor, f.f64, err)
                               : ptf_fail_memory(err);
    }
    *out = (ptf_parameter_check){.name = tensor->name,
                                 .ulps_of_terms = w->terms != NULL};
    if (status == PTF_OK)
        status = add_numbers(&f, w, count, out, err);
    ptf_free(f.f64);
    return status;
}

/* Exact numbers, or 'otherwise' where there are none. */
static ptf_status plain(ptf_arena *arena, const ptf_tensor *from,
                        int64_t channels, double otherwise, ptf_balls *out,
                        ptf_error *err)
{
    *out = ptf_balls_new(arena, channels);
    if (out->value == NULL)
        return ptf_fail_memory(err);
    if (from != NULL)
        return ptf_tensor_read_f64(from, out->value, err);
    for (int64_t c = 0; c < channels; c++)
        out->value[c] = otherwise;
    return PTF_OK;
}

/* What 'role' of a product should be. */
static ptf_status want_product(ptf_arena *arena, const ptf_node *b,
                               ptf_role role, const ptf_parameters *ideal,
                               wanted *out, ptf_error *err)
{
    int64_t channels = b->attrs.out_channels;
    if (role == PTF_ROLE_WEIGHT) {
        out->f32 = ideal->f32;
        out->f64 = ideal->f64;
        out->scale = ideal->weight_scale;
        out->terms = ideal->weight_terms;
        out->balls = ideal->weights;
        out->row = ptf_tensor_numel(b->tensors[role]) / channels;
        return PTF_OK;
    }
    out->balls = role == PTF_ROLE_BIAS    ? ideal->bias
                 : role == PTF_ROLE_SCALE ? ideal->scale
                                          : ideal->shift;
    out->terms = role == PTF_ROLE_BIAS ? ideal->bias_terms : NULL;
    if (out->balls.value == NULL)
        return plain(arena, NULL, channels, role == PTF_ROLE_SCALE, &out->balls,
                     err);
    return PTF_OK;
}

/*
 * A bias that is not there is zeros and a gamma ones.  That is told only where
 * it is wrong, under the layer's name.
 */
static ptf_status check_absent(const ptf_node *node, float constant,
                               const wanted *w, ptf_parameter_check *out,
                               int *count, ptf_error *err)
{
    found f = {.constant = constant};
    ptf_parameter_check check = {.name = node->name,
                                 .ulps_of_terms = w->terms != NULL};
    ptf_status status =
        add_numbers(&f, w, node->attrs.out_channels, &check, err);
    if (status == PTF_OK && check.wrong > 0)
        out[(*count)++] = check;
    return status;
}

static ptf_status check_role(ptf_arena *arena, const ptf_node *a,
                             const ptf_node *b, ptf_role role,
                             const ptf_parameters *ideal, int64_t max_ulps,
                             ptf_parameter_check *out, int *count,
                             ptf_error *err)
{
    bool product = ideal->norms != NULL;
    const ptf_tensor *tensor = b->tensors[role];
    ptf_tensor rows;
    bool optional =
        role == PTF_ROLE_BIAS || (role == PTF_ROLE_WEIGHT && !product);
    if (role == PTF_ROLE_NUM_BATCHES || (tensor == NULL && !optional))
        return PTF_OK;
    float otherwise = role == PTF_ROLE_WEIGHT ? 1.0F : 0.0F;
    wanted w = {.max_ulps = max_ulps};
    ptf_status status =
        product ? want_product(arena, b, role, ideal, &w, err)
                : plain(arena, a->tensors[role], b->attrs.out_channels,
                        (double)otherwise, &w.balls, err);
    if (product && role == PTF_ROLE_WEIGHT) {
        rows = ptf_node_rows(b);
        tensor = &rows;
    }
    if (status == PTF_OK && tensor != NULL)
        return check_tensor(tensor, &w, &out[(*count)++], err);
    if (status == PTF_OK)
        status = check_absent(b, otherwise, &w, out, count, err);
    return status;
}

ptf_status ptf_check_parameters(const ptf_node *a, const ptf_node *b,
                                const ptf_parameters *ideal, int64_t max_ulps,
                                ptf_parameter_check *out, int *count,
                                ptf_error *err)
{
    ptf_arena arena = {NULL};
    ptf_status status = PTF_OK;
    wanted same = {.f32 = ideal->f32, .f64 = ideal->f64, .max_ulps = max_ulps};
    *count = 0;
    if (b->op == PTF_OP_CONSTANT)
        return check_tensor(b->tensors[PTF_ROLE_WEIGHT], &same,
                            &out[(*count)++], err);
    for (int role = 0; status == PTF_OK && role < PTF_ROLE_COUNT; role++)
        status = check_role(&arena, a, b, (ptf_role)role, ideal, max_ulps, out,
                            count, err);
    ptf_arena_free(&arena);
    return status;
}
