/*
 * What a region of A is as one product of its source, in balls.
 *
 * A form says what a value of the region is of the source x.  It is plain,
 *
 *     y_i = s_c x_i + t_c                      c the channel of i,
 *
 * or a sum over the taps of windows, of a convolution or a linear layer,
 *
 *     y_o,i = sum over c, d of w_o,c,d x_c,(i stride + d) + b_o
 *
 * with x = 0 outside of the map.  By distribution each op of a region makes a
 * form of those of its operands:
 *
 * Batch norm, a constant factor or summand: s, w, t, b are multiplied and added
 * to, channel by channel.  Condition: its channels are the form's.
 *
 * Product of a plain form: w_o,c,d (s_c x + t_c) = (w_o,c,d s_c) x + w_o,c,d
 * t_c.  Taps outside of the map read 0 there, and not t_c, so that either there
 * are none or t is 0; the sum of w t is then the same at all positions.
 *
 * Average pool of a plain form: w is 1 over the divisor, c = o.  Condition: the
 * divisor is the same for all windows.
 *
 * Sum or difference: w and b are added, tap by tap.  A plain form has one tap,
 * at d = 0, and w_o,c = s_o for c = o.  Condition: the strides are the same,
 * and the values have as many positions.
 *
 * The form of the region's value is a product of B's kind, with these numbers,
 * when all of its taps are taps of B's.  Those that B has besides are to be 0.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/form.h"

#include <math.h>

enum { MOST_WEIGHTS = 1 << 28 };

const char ptf_form_channels[] = "is scaled along another axis than that "
                                 "of its channels in the original";

/* ----------------------------------------------------------------- numbers */

bool ptf_sums_make(ptf_forming *f, int64_t count, ptf_sums *out)
{
    size_t n = (size_t)count;
    if (count > MOST_WEIGHTS)
        return false;
    *out = (ptf_sums){ptf_arena_array(f->arena, n, sizeof(double)),
                      ptf_arena_array(f->arena, n, sizeof(double)),
                      ptf_arena_array(f->arena, n, sizeof(double))};
    return out->value != NULL && out->radius != NULL && out->terms != NULL;
}

ptf_ball ptf_ball_times(ptf_ball a, ptf_ball b)
{
    ptf_ball out;
    if (ptf_ball_is(b, 1) || ptf_ball_is(a, 0))
        return a;
    if (ptf_ball_is(a, 1) || ptf_ball_is(b, 0))
        return b;
    ptf_ball_scale_shift(a.value, a.radius, b.value, b.radius, 0, 0, &out.value,
                         &out.radius);
    return out;
}

static ptf_ball plus(ptf_ball a, ptf_ball b)
{
    if (ptf_ball_is(a, 0) || ptf_ball_is(b, 0))
        return ptf_ball_is(a, 0) ? b : a;
    double sum = a.value + b.value;
    return (ptf_ball){sum, (a.radius + b.radius + PTF_U * fabs(sum)) * PTF_UP};
}

/* x becomes x s + t. */
void ptf_sums_scale(ptf_sums *x, int64_t i, ptf_ball s, ptf_ball t)
{
    ptf_ball y = plus(ptf_ball_times(ptf_sums_get(x, i), s), t);
    x->terms[i] = fmax(x->terms[i] * fabs(s.value), fabs(t.value));
    x->value[i] = y.value;
    x->radius[i] = y.radius;
}

void ptf_sums_set(ptf_sums *x, int64_t i, ptf_ball y)
{
    x->value[i] = y.value;
    x->radius[i] = y.radius;
    x->terms[i] = fabs(y.value);
}

void ptf_sums_add(ptf_sums *x, int64_t i, const ptf_sums *y, int64_t k,
                  double sign)
{
    ptf_ball b = ptf_sums_get(y, k);
    b.value *= sign;
    b = plus(ptf_sums_get(x, i), b);
    x->value[i] = b.value;
    x->radius[i] = b.radius;
    x->terms[i] = fmax(x->terms[i], y->terms[k]);
}

int64_t ptf_form_row(const ptf_form *x)
{
    int64_t row = x->product != NULL ? x->in / x->groups : 1;
    for (int d = 0; x->product != NULL && d < PTF_MAP_AXES; d++)
        row *= x->axes[d].count;
    return row;
}

bool ptf_form_shifts(const ptf_form *plain)
{
    bool any = false;
    for (int64_t c = 0; c < plain->channels; c++)
        any = any || !ptf_ball_is(ptf_sums_get(&plain->bias, c), 0);
    return any;
}

bool ptf_form_empty(ptf_forming *f, ptf_form *x)
{
    return ptf_sums_make(f, x->channels * ptf_form_row(x), &x->weight) &&
           ptf_sums_make(f, x->channels, &x->bias);
}

/* -------------------------------------------------------- scales and shifts */

/* (x - mean) scale + beta: through the norm's shift, a sum near the mean would
 * be known to its own size only. */
static void norm_one(const ptf_scaling *s, int64_t c, ptf_sums *bias, int64_t i)
{
    const ptf_parameters *n = s->norm;
    ptf_ball scale = {n->scale.value[c], n->scale.radius[c]};
    double terms = fmax(bias->terms[i], fabs(n->mean[c]));
    ptf_ball off = plus(ptf_sums_get(bias, i), (ptf_ball){-n->mean[c], 0});
    ptf_ball y = plus(ptf_ball_times(off, scale), (ptf_ball){n->beta[c], 0});
    bias->terms[i] = fmax(terms * fabs(scale.value), fabs(n->beta[c]));
    bias->value[i] = y.value;
    bias->radius[i] = y.radius;
}

static void constant_scale(const ptf_scaling *s, int64_t c, ptf_ball *scale,
                           ptf_ball *shift)
{
    ptf_ball x = ptf_constant_at(s->constant, c);
    *scale = (ptf_ball){1, 0};
    *shift = (ptf_ball){0, 0};
    if (s->op == PTF_OP_MUL)
        *scale = x;
    else if (s->op == PTF_OP_DIV)
        *scale = (ptf_ball){1 / x.value, 2 * PTF_U * fabs(1 / x.value)};
    else
        *shift = x;
    if (s->op == PTF_OP_SUB && s->first)
        scale->value = -1;
    else if (s->op == PTF_OP_SUB)
        shift->value = -x.value;
}

static ptf_ball scale_at(const ptf_scaling *s, int64_t c, ptf_sums *bias,
                         int64_t i)
{
    ptf_ball scale, shift;
    if (s->norm != NULL) {
        norm_one(s, c, bias, i);
        return (ptf_ball){s->norm->scale.value[c], s->norm->scale.radius[c]};
    }
    constant_scale(s, c, &scale, &shift);
    ptf_sums_scale(bias, i, scale, shift);
    return scale;
}

/* A plain form that was the same for all numbers gets channels. */
static bool spread(ptf_forming *f, ptf_form *x, int64_t channels, int64_t inner)
{
    ptf_sums weight, bias;
    if (!ptf_sums_make(f, channels, &weight) ||
        !ptf_sums_make(f, channels, &bias))
        return false;
    for (int64_t c = 0; c < channels; c++) {
        ptf_sums_set(&weight, c, ptf_sums_get(&x->weight, 0));
        ptf_sums_set(&bias, c, ptf_sums_get(&x->bias, 0));
    }
    x->channels = channels;
    x->inner = inner;
    x->weight = weight;
    x->bias = bias;
    return true;
}

/* Numbers of the value that have one channel, one after the other. */
static int64_t inner_of(const ptf_form *x, const ptf_shape *shape)
{
    bool linear = x->product != NULL && x->product->op == PTF_OP_LINEAR;
    return x->product == NULL ? x->inner
           : linear           ? 1
                              : ptf_shape_numel(shape) / x->channels;
}

bool ptf_form_scale(ptf_forming *f, ptf_form *x, const ptf_shape *shape,
                    const ptf_scaling *s)
{
    if (x->product == NULL && x->channels == 1 && s->channels > 1 &&
        !spread(f, x, s->channels, s->inner))
        return false;
    if (s->channels > 1 &&
        (s->channels != x->channels || s->inner != inner_of(x, shape))) {
        f->reason = ptf_form_channels;
        return true;
    }
    int64_t row = ptf_form_row(x);
    for (int64_t o = 0; o < x->channels; o++) {
        ptf_ball scale = scale_at(s, s->channels > 1 ? o : 0, &x->bias, o);
        for (int64_t k = o * row; k < (o + 1) * row; k++)
            ptf_sums_scale(&x->weight, k, scale, (ptf_ball){0, 0});
    }
    return true;
}

/* A plain form as one tap: of channels that each read themselves. */
bool ptf_form_widen(ptf_forming *f, const ptf_node *like,
                    const ptf_shape *shape, ptf_form *x)
{
    bool linear = like->op == PTF_OP_LINEAR;
    int64_t channels = shape->dim[linear ? shape->rank - 1 : 0];
    int64_t inner = linear ? 1 : ptf_shape_numel(shape) / channels;
    if (x->channels == 1 && !spread(f, x, channels, inner))
        return false;
    if (x->channels != channels || x->inner != inner) {
        f->reason = ptf_form_channels;
        return true;
    }
    x->product = like;
    x->in = x->groups = channels;
    for (int d = 0; d < PTF_MAP_AXES; d++)
        x->axes[d] = (ptf_form_taps){0, 1, 1, 1};
    return true;
}

/* -------------------------------------------------------------------- sums */

static ptf_form_taps join_taps(const ptf_form_taps *a, const ptf_form_taps *b)
{
    int64_t a_end = a->first + a->step * (a->count - 1);
    int64_t b_end = b->first + b->step * (b->count - 1);
    int64_t first = ptf_min_i64(a->first, b->first);
    int64_t end = ptf_max_i64(a_end, b_end);
    int64_t step =
        ptf_gcd(ptf_gcd(a->count > 1 ? a->step : 0, b->count > 1 ? b->step : 0),
                a->first - b->first);
    step = step == 0 ? 1 : step;
    return (ptf_form_taps){first, step, (end - first) / step + 1, a->stride};
}

/* Tap number k of 'from', which is one of 'to': its number there, or -1. */
static int64_t move_tap(const ptf_form_taps *from, const ptf_form_taps *to,
                        int64_t k)
{
    int64_t off = from->first + from->step * k - to->first;
    if (off < 0 || off % to->step != 0 || off / to->step >= to->count)
        return -1;
    return off / to->step;
}

/* Where weight k of row o of 'from' is in row o of 'to', or -1. */
static int64_t move_weight(const ptf_form *from, const ptf_form *to, int64_t o,
                           int64_t k)
{
    int64_t at[PTF_MAP_AXES], index = 0;
    for (int d = PTF_MAP_AXES - 1; d >= 0; d--) {
        at[d] = move_tap(&from->axes[d], &to->axes[d], k % from->axes[d].count);
        k /= from->axes[d].count;
        if (at[d] < 0)
            return -1;
    }
    int64_t read = to->in / to->groups;
    int64_t channel =
        o / (from->channels / from->groups) * (from->in / from->groups) + k -
        o / (to->channels / to->groups) * read;
    if (channel < 0 || channel >= read)
        return -1;
    for (int d = 0; d < PTF_MAP_AXES; d++)
        index = index * to->axes[d].count + at[d];
    return channel * (ptf_form_row(to) / read) + index;
}

bool ptf_form_move(const ptf_form *from, ptf_form *to, double sign)
{
    int64_t row = ptf_form_row(from), wide = ptf_form_row(to);
    for (int64_t i = 0; i < from->channels * row; i++) {
        if (ptf_ball_is(ptf_sums_get(&from->weight, i), 0))
            continue;
        int64_t k = move_weight(from, to, i / row, i % row);
        if (k < 0)
            return false;
        ptf_sums_add(&to->weight, i / row * wide + k, &from->weight, i, sign);
    }
    for (int64_t o = 0; o < from->channels; o++)
        ptf_sums_add(&to->bias, o, &from->bias, o, sign);
    return true;
}

/* Both are plain. */
static bool add_plain(ptf_forming *f, ptf_form *a, ptf_form *b, double sign)
{
    if (a->channels == 1 && b->channels > 1 &&
        !spread(f, a, b->channels, b->inner))
        return false;
    if (b->channels == 1 && a->channels > 1 &&
        !spread(f, b, a->channels, a->inner))
        return false;
    if (a->channels != b->channels || (a->channels > 1 && a->inner != b->inner))
        f->reason = ptf_form_channels;
    for (int64_t c = 0; f->reason == NULL && c < a->channels; c++) {
        ptf_sums_add(&a->weight, c, &b->weight, c, sign);
        ptf_sums_add(&a->bias, c, &b->bias, c, sign);
    }
    return true;
}

/* a becomes a + sign b; both have values of that shape. */
bool ptf_form_add(ptf_forming *f, const ptf_shape *shape, ptf_form *a,
                  ptf_form *b, double sign)
{
    if (a->product == NULL && b->product == NULL)
        return add_plain(f, a, b, sign);
    const ptf_node *like = a->product != NULL ? a->product : b->product;
    if (a->product == NULL && !ptf_form_widen(f, like, shape, a))
        return false;
    if (b->product == NULL && f->reason == NULL &&
        !ptf_form_widen(f, like, shape, b))
        return false;
    if (f->reason != NULL)
        return true;
    ptf_form sum = {.product = like,
                    .channels = a->channels,
                    .in = a->in,
                    .groups = ptf_gcd(a->groups, b->groups)};
    bool same = a->channels == b->channels && a->in == b->in &&
                !ptf_op_is_transposed(a->product->op) &&
                !ptf_op_is_transposed(b->product->op);
    for (int d = 0; d < PTF_MAP_AXES; d++) {
        same = same && a->axes[d].stride == b->axes[d].stride;
        sum.axes[d] = join_taps(&a->axes[d], &b->axes[d]);
    }
    if (!same) {
        f->reason = "is a sum of products of other windows in the original";
        return true;
    }
    bool ok = ptf_form_empty(f, &sum);
    if (ok && (!ptf_form_move(a, &sum, 1) || !ptf_form_move(b, &sum, sign)))
        f->reason = "is a sum of products of other groups in the original";
    *a = sum;
    return ok;
}
