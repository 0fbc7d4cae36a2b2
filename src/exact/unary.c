/*
 * Functions of one number.  What is made of straight lines is done in digits,
 * and so are sigmoid, SiLU and tanh (functions.h); the others by enclose's
 * balls, which are exact where they decide or count.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/functions.h"

/* y = the number nearest to x between two bounds, either of which may be
 * infinite; the bounds are on the output's grid or off by 'lost'. */
typedef struct clamp {
    double low, high, scale, lost;
    ptf_align align;
    int64_t bound[2][PTF_LIMBS_MOST];
    bool has[2];
} clamp;

static void clamp_lane(const clamp *c, ptf_exact_lanes *lanes, int i)
{
    int n = lanes->step->exact->n;
    double m = ptf_lane_double(lanes->in[0], n, i, c->scale);
    double r = ldexp(lanes->r[0][i], -PTF_DIGIT_BITS * n) * PTF_UP +
               8 * PTF_U * fabs(m);
    bool below = m + r<c->low, above = m - r> c->high;
    for (int k = 0; k < 2; k++) {
        int64_t *own = lanes->out + i;
        bool less = ptf_digits_less(own, PTF_LANES, c->bound[k], 1, n);
        bool more = ptf_digits_less(c->bound[k], 1, own, PTF_LANES, n);
        if (c->has[k] && (k == 0 ? less : more))
            for (int l = 0; l < n; l++)
                own[l * PTF_LANES] = c->bound[k][l];
    }
    lanes->radius[i] =
        (below || above ? 0.0 : lanes->r[0][i] + c->align.lost) + c->lost;
}

static void clamp_lanes(const void *context, ptf_exact_lanes *lanes)
{
    const clamp *c = context;
    ptf_align_lanes(lanes->step->exact, c->align, lanes->in[0], lanes->out);
    for (int i = 0; i < PTF_LANES; i++)
        clamp_lane(c, lanes, i);
}

/* A bound beyond all numbers has no part in it. */
static void run_clamp(const ptf_exact_step *s, const ptf_strides *strides,
                      double low, double high)
{
    clamp c = {.low = low, .high = high, .scale = ptf_fixed_scale(s->in[0])};
    double most = s->in[0]->most, bound[2] = {low, high};
    bool exact = true;
    c.has[0] = low > -most;
    c.has[1] = high < most || high < low;
    s->out->exponent = s->in[0]->exponent;
    for (int k = 0; k < 2; k++)
        if (c.has[k] && ptf_exponent_of(fabs(bound[k])) > s->out->exponent)
            s->out->exponent = ptf_exponent_of(fabs(bound[k]));
    for (int k = 0; k < 2; k++)
        if (c.has[k])
            ptf_digits_of(bound[k], s->out->exponent, s->exact->n, c.bound[k],
                          &exact);
    c.align = ptf_align_to(s->exact, s->in[0], s->out);
    c.lost = exact ? 0 : ldexp(0.5, s->out->exponent);
    s->out->norm = (s->in[0]->norm +
                    sqrt((double)s->out->count) * (c.lost + c.align.lost)) *
                   PTF_UP_STEP;
    ptf_exact_each(s, 1, strides, clamp_lanes, &c);
}

/* ------------------------------------------------------------ slopes */

/* y = x, or slope x below 0; the slope is a double, two digits. */
typedef struct bend {
    double slope, lost;
    ptf_align align;
    int64_t shift, digits[2 * PTF_LANES];
} bend;

static void bend_lanes(const void *context, ptf_exact_lanes *lanes)
{
    const bend *b = context;
    const ptf_exact *exact = lanes->step->exact;
    int n = exact->n;
    int64_t product[PTF_DIGITS_MOST * PTF_LANES], below[PTF_LANE_DIGITS];
    int64_t zero[PTF_LIMBS_MOST] = {0};
    ptf_align_lanes(exact, b->align, lanes->in[0], lanes->out);
    exact->limbs->multiply(n, lanes->in[0], 2, b->digits, product);
    exact->limbs->cut(n + 2, product, b->shift, NULL, n, below);
    for (int i = 0; i < PTF_LANES; i++) {
        bool less = ptf_digits_less(lanes->in[0] + i, PTF_LANES, zero, 1, n);
        for (int l = 0; less && l < n; l++)
            lanes->out[l * PTF_LANES + i] = below[l * PTF_LANES + i];
        lanes->radius[i] =
            (lanes->r[0][i] * fmax(1, fabs(b->slope)) + b->lost) * PTF_UP;
    }
}

static void run_bend(const ptf_exact_step *s, const ptf_strides *strides,
                     double slope)
{
    const ptf_fixed *in = s->in[0];
    double steep = fmax(1, fabs(slope));
    int own = ptf_exponent_of(fabs(slope));
    int e = ptf_exponent_of(in->most * steep);
    int least = in->exponent + own - 2 * PTF_DIGIT_BITS;
    least = least > in->exponent ? least : in->exponent;
    s->out->exponent = e > least ? e : least;
    int64_t digits[2];
    bool exact = true;
    bend b = {.slope = slope,
              .lost = ldexp(0.5, s->out->exponent),
              .align = ptf_align_to(s->exact, in, s->out),
              .shift =
                  s->out->exponent - in->exponent - own + 2 * PTF_DIGIT_BITS};
    ptf_digits_of(slope, own, 2, digits, &exact);
    ptf_lanes_of(2, digits, b.digits);
    s->out->norm =
        (in->norm * steep + sqrt((double)s->out->count) * b.lost) * PTF_UP_STEP;
    ptf_exact_each(s, 1, strides, bend_lanes, &b);
}

/* ------------------------------------------------------------ hard ones */

/*
 * hardsigmoid, clamp(x + 3, 0, 6) / 6, and hardswish, x times that.  x + 3, on
 * a grid that holds 6, is exact or moved by h / 2; the division is a product
 * with n + 1 digits of 1/6, off by less than a unit of them.
 */
typedef struct hard {
    bool swish;
    double lost;
    int sum; /* the exponent of x + 3 */
    ptf_align align;
    int64_t three[PTF_LIMBS_MOST], six[PTF_LIMBS_MOST], shift;
    int64_t sixth[(PTF_LIMBS_MOST + 1) * PTF_LANES];
} hard;

enum { WIDE = (PTF_LIMBS_MOST + 1) * PTF_LANES };

static void clamp_sum(const hard *h, int n, int64_t *lanes)
{
    int64_t zero[PTF_LIMBS_MOST] = {0};
    for (int i = 0; i < PTF_LANES; i++) {
        bool below = ptf_digits_less(lanes + i, PTF_LANES, zero, 1, n);
        bool above = ptf_digits_less(h->six, 1, lanes + i, PTF_LANES, n);
        for (int l = 0; (below || above) && l < n; l++)
            lanes[l * PTF_LANES + i] = below ? 0 : h->six[l];
    }
}

static void hard_lanes(const void *context, ptf_exact_lanes *lanes)
{
    const hard *h = context;
    const ptf_limbs *limbs = lanes->step->exact->limbs;
    int n = lanes->step->exact->n, wide = n;
    int64_t sum[PTF_LANE_DIGITS], product[PTF_DIGITS_MOST * PTF_LANES];
    int64_t kept[WIDE];
    limbs->cut(n, lanes->in[0], h->align.shift, h->three, n, sum);
    clamp_sum(h, n, sum);
    memcpy(kept, sum, sizeof(sum));
    if (h->swish) { /* one digit more than x has */
        wide = n + 1;
        limbs->multiply(n, sum, n, lanes->in[0], product);
        limbs->cut(2 * n, product, PTF_DIGIT_BITS * (n - 1), NULL, wide, kept);
    }
    limbs->multiply(wide, kept, n + 1, h->sixth, product);
    limbs->cut(wide + n + 1, product, h->shift, NULL, n, lanes->out);
    double slope = h->swish ? 1.5 : 1.0 / 6 * PTF_UP;
    for (int i = 0; i < PTF_LANES; i++)
        lanes->radius[i] = (lanes->r[0][i] * slope + h->lost) * PTF_UP;
}

static void run_hard(const ptf_exact_step *s, const ptf_strides *strides,
                     bool swish)
{
    const ptf_fixed *in = s->in[0];
    int n = s->exact->n;
    ptf_fixed sum = {.exponent = ptf_exponent_of(fmax(in->most + 3, 6))};
    bool exact = true;
    int64_t sixth[PTF_LIMBS_MOST + 1];
    sum.exponent = in->exponent > sum.exponent ? in->exponent : sum.exponent;
    hard h = {.swish = swish,
              .sum = sum.exponent,
              .align = ptf_align_to(s->exact, in, &sum)};
    ptf_digits_of(3, sum.exponent, n, h.three, &exact);
    ptf_digits_of(6, sum.exponent, n, h.six, &exact);
    ptf_digits_ratio(1, 6, 0, n + 1, sixth);
    ptf_lanes_of(n + 1, sixth, h.sixth);
    /* 1/6 is below 2^-1 on a grid of exponent 0: see shift */
    s->out->exponent = swish ? ptf_exponent_of(in->most) : 2;
    int from = sum.exponent + (swish ? in->exponent : 0);
    if (s->out->exponent < from - PTF_DIGIT_BITS)
        s->out->exponent = from - PTF_DIGIT_BITS;
    h.shift = PTF_DIGIT_BITS * ((swish ? n + 1 : n) + n + 1 - n) +
              s->out->exponent - from;
    /* of x + 3, times x / 6; then the cut, and the rest is far below it */
    double unit = ldexp(1.0, s->out->exponent);
    double factor = swish ? in->most / 6 : 1.0 / 6;
    double moved = h.align.lost + (exact ? 0 : ldexp(8, sum.exponent));
    h.lost = moved * factor * PTF_UP + 1.25 * unit;
    s->out->norm = (in->norm * (swish ? 1.5 : 0.167) +
                    sqrt((double)s->out->count) * h.lost) *
                   PTF_UP_STEP;
    ptf_exact_each(s, 1, strides, hard_lanes, &h);
}

/* ------------------------------------------------------------ the rest */

static void absolute(const void *context, ptf_exact_lanes *lanes)
{
    const ptf_exact *exact = lanes->step->exact;
    const bool *always = context; /* negates */
    int64_t zero[PTF_LIMBS_MOST] = {0}, negated[PTF_LANE_DIGITS];
    for (int i = 0; i < exact->n * PTF_LANES; i++) {
        int lane = i % PTF_LANES;
        bool turn = *always || ptf_digits_less(lanes->in[0] + lane, PTF_LANES,
                                               zero, 1, exact->n);
        negated[i] = turn ? -lanes->in[0][i] : lanes->in[0][i];
    }
    exact->limbs->cut(exact->n, negated, 0, NULL, exact->n, lanes->out);
    memcpy(lanes->radius, lanes->r[0], sizeof(lanes->radius));
}

static void run_sign(const ptf_exact_step *s, const ptf_strides *strides,
                     bool negates)
{
    s->out->exponent = s->in[0]->exponent;
    s->out->norm = s->in[0]->norm;
    ptf_exact_each(s, 1, strides, absolute, &negates);
}

static ptf_status by_balls(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    int64_t count = s->out->count;
    double *room = ptf_alloc((size_t)count * 2 * sizeof(*room));
    if (room == NULL)
        return ptf_fail_memory(err);
    ptf_balls balls = {room, room + count};
    ptf_exact_give_balls(s->exact, s->in[0], balls);
    ptf_enclose_function(node->op, node->attrs.p, count, false, balls, balls);
    ptf_exact_take_balls(s, balls);
    ptf_free(room);
    return PTF_OK;
}

/* ------------------------------------------------------------ smooth */

typedef void lanes_function(const ptf_functions *f, const ptf_lane_numbers *x,
                            int64_t *y);

/* A function, or x times it, and the steepest slope of that. */
static const struct smooth_row {
    lanes_function *of;
    bool times;
    double slope;
} smooth_rows[PTF_OP_COUNT] = {
    [PTF_OP_SIGMOID] = {ptf_lanes_sigmoid, false, 0.25},
    [PTF_OP_SILU] = {ptf_lanes_sigmoid, true, 1.1},
    [PTF_OP_TANH] = {ptf_lanes_tanh, false, 1.0},
    [PTF_OP_GELU] = {ptf_lanes_normal, true, 1.13},
};

typedef struct smooth {
    const struct smooth_row *row;
    const ptf_functions *functions;
    double scale, lost;
    int64_t shift;
} smooth;

static void smooth_lanes(const void *context, ptf_exact_lanes *lanes)
{
    const smooth *s = context;
    const ptf_exact *exact = lanes->step->exact;
    int n = exact->n, k = n + 1;
    int64_t y[WIDE], product[PTF_DIGITS_MOST * PTF_LANES];
    ptf_lane_numbers x = {lanes->in[0], n, lanes->step->in[0]->exponent, {0}};
    for (int i = 0; i < PTF_LANES; i++)
        x.m[i] = ptf_lane_double(x.digits, n, i, s->scale);
    s->row->of(s->functions, &x, y);
    if (s->row->times)
        exact->limbs->multiply(n, x.digits, k, y, product);
    exact->limbs->cut(s->row->times ? n + k : k, s->row->times ? product : y,
                      s->shift, NULL, n, lanes->out);
    for (int i = 0; i < PTF_LANES; i++)
        lanes->radius[i] = (lanes->r[0][i] * s->row->slope + s->lost) * PTF_UP;
}

/* The cut loses h / 2, and what the function is off by is far below that. */
static ptf_status run_smooth(const ptf_exact_step *step,
                             const ptf_strides *strides, ptf_error *err)
{
    const ptf_fixed *in = step->in[0];
    ptf_fixed *out = step->out;
    int n = step->exact->n;
    smooth s = {.row = &smooth_rows[ptf_exact_node(step)->op],
                .functions = ptf_exact_functions(step->exact),
                .scale = ptf_fixed_scale(in)};
    if (s.functions == NULL)
        return ptf_fail_memory(err);
    out->exponent = 2;
    s.shift = PTF_DIGIT_BITS + out->exponent - PTF_FUNCTION_EXPONENT;
    if (s.row->times) {
        int e = ptf_exponent_of(in->most);
        int least = in->exponent - PTF_DIGIT_BITS;
        out->exponent = e > least ? e : least;
        s.shift = (int64_t)PTF_DIGIT_BITS * (n + 1) + out->exponent -
                  in->exponent - PTF_FUNCTION_EXPONENT;
    }
    s.lost = ldexp(0.75, out->exponent);
    out->norm = (in->norm * s.row->slope + sqrt((double)out->count) * s.lost) *
                PTF_UP_STEP;
    ptf_exact_each(step, 1, strides, smooth_lanes, &s);
    return PTF_OK;
}

/* ------------------------------------------------------------ run */

typedef void run(const ptf_exact_step *s, const ptf_strides *strides);

static void relu(const ptf_exact_step *s, const ptf_strides *strides)
{
    run_clamp(s, strides, 0, HUGE_VAL);
}

static void relu6(const ptf_exact_step *s, const ptf_strides *strides)
{
    run_clamp(s, strides, 0, 6);
}

static void between(const ptf_exact_step *s, const ptf_strides *strides)
{
    const double *p = ptf_exact_node(s)->attrs.p;
    run_clamp(s, strides, p[0], p[1]);
}

static void leaky_relu(const ptf_exact_step *s, const ptf_strides *strides)
{
    run_bend(s, strides, ptf_exact_node(s)->attrs.p[0]);
}

static void hardsigmoid(const ptf_exact_step *s, const ptf_strides *strides)
{
    run_hard(s, strides, false);
}

static void hardswish(const ptf_exact_step *s, const ptf_strides *strides)
{
    run_hard(s, strides, true);
}

static void negative(const ptf_exact_step *s, const ptf_strides *strides)
{
    run_sign(s, strides, true);
}

static void magnitude(const ptf_exact_step *s, const ptf_strides *strides)
{
    run_sign(s, strides, false);
}

static run *const runs[PTF_OP_COUNT] = {
    [PTF_OP_RELU] = relu,
    [PTF_OP_RELU6] = relu6,
    [PTF_OP_HARDTANH] = between,
    [PTF_OP_CLAMP] = between,
    [PTF_OP_LEAKY_RELU] = leaky_relu,
    [PTF_OP_HARDSIGMOID] = hardsigmoid,
    [PTF_OP_HARDSWISH] = hardswish,
    [PTF_OP_NEG] = negative,
    [PTF_OP_ABS] = magnitude,
};

ptf_status ptf_exact_family_unary(const ptf_exact_step *s, ptf_error *err)
{
    ptf_strides strides = ptf_strides_plain(ptf_exact_out(s));
    ptf_op op = ptf_exact_node(s)->op;
    run *of = runs[op];
    bool other = op == PTF_OP_GELU && ptf_exact_node(s)->attrs.p[0] > 0;
    if (smooth_rows[op].of != NULL && !other && s->in[0]->exponent <= 60)
        return run_smooth(s, &strides, err);
    if (of == NULL)
        return by_balls(s, err);
    of(s, &strides);
    return PTF_OK;
}
