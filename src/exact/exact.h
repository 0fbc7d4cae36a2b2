/*
 * exact: a net in fixed point.
 *
 * A number is an integer X of n balanced digits (limbs.h) times the grid's unit
 * h = 2^(E - 51 n), with one E for a whole value, chosen from bounds of its
 * numbers so that |X| < 2^(51 n - 1).  Weights are f32 or double, thus integers
 * times a power of two, and a sum of products has no rounding at all: the only
 * error of a step is where its result is cut to the grid again, h or a few of
 * it.  With m the numbers of the walk and x the exact ones, every value
 * carries
 *
 *     r    |x_i - m_i| <= r_i for each number
 *     R    the Euclidean norm of x - m is at most R
 *
 * both as multiples of 2^-(51 n), so that they stay far from underflow: h is
 * 2^E there.  They are doubles computed from non-negative numbers; what the
 * operations of one step lose is made good by a factor PTF_UP_STEP.
 *
 * No step knows a kernel or a plan.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_EXACT_H
#define PTF_EXACT_H

#include "enclose/enclose.h"
#include "exact/limbs.h"

/* A sum of up to 2^32 non-negative doubles, in blocks, and a root. */
#define PTF_UP_STEP (1.0 + 0x1p-18)
/* Added to what is squared, so that no square underflows: nothing, as h is
 * 2^-300 or more. */
#define PTF_FLOOR 0x1p-500

/* One value of one image. */
typedef struct ptf_fixed {
    int64_t count, room; /* room: from one digit of a number to the next */
    int exponent;        /* E */
    int64_t *digits;     /* [n][room], room a multiple of PTF_LANES */
    double *radius;      /* [room] */
    double most;         /* no |m| is larger */
    double norm;         /* R */
    double before, own;  /* of a product: R of its operand, and the norm of its
                            own errors */
} ptf_fixed;

/* Parameters of a node, which do not depend on n and are read once. */
typedef struct ptf_exact_numbers {
    ptf_parameters plain;
    /* Of a product: its weights, with the scale of an epilogue, are 0 or less
     * than 2^exponent in their row, and integers of 'planes' digits; norms of
     * rows; and that of all as a linear map.  Of a batch norm that alone reads
     * a product: that of both as one. */
    int *exponent, planes;
    double *norms, lipschitz;
} ptf_exact_numbers;

struct ptf_exact {
    ptf_arena arena;
    const ptf_net *net;
    const ptf_limbs *limbs;
    int n; /* digits */
    int threads;
    ptf_shape *shapes;
    ptf_exact_numbers *numbers; /* per node */
    int *root;                  /* per node: the one whose value it passes on */
    int *reads;                 /* per root */
    ptf_fixed *values;          /* per node; those of roots, while needed */
    double *widest, *largest;   /* per root: radius and number, as doubles */
    struct ptf_functions *functions; /* of n digits, once they are needed */
    int bad; /* the first node that says nothing, or -1 */
};

/* One node. */
typedef struct ptf_exact_step {
    ptf_exact *exact;
    int node;
    const ptf_fixed *const *in; /* the operands */
    ptf_fixed *out; /* has room and zeros; to be set: all but 'most', and 'norm'
                       where it is less than the radii tell */
} ptf_exact_step;

/* A family's step, ptf_exact_family_pool() in pool.c and so on. */
typedef ptf_status ptf_exact_family(const ptf_exact_step *step, ptf_error *err);

#define FAMILY(id, name) ptf_exact_family ptf_exact_family_##name;
#include "op/families.inc"
#undef FAMILY

static inline const ptf_node *ptf_exact_node(const ptf_exact_step *s)
{
    return &s->exact->net->nodes[s->node];
}

static inline const ptf_shape *ptf_exact_in(const ptf_exact_step *s, int k)
{
    return &s->exact->shapes[ptf_exact_node(s)->inputs[k]];
}

static inline const ptf_shape *ptf_exact_out(const ptf_exact_step *s)
{
    return &s->exact->shapes[s->node];
}

/* What is asked of a product's weights, once for a net. */
ptf_status ptf_exact_product_read(ptf_arena *arena, const ptf_node *node,
                                  ptf_exact_numbers *numbers, ptf_error *err);

/* A bound of the 2-norm of a product, its rows times 'scale' where that is not
 * NULL, as a linear map. */
ptf_status ptf_exact_lipschitz(const ptf_node *node,
                               const ptf_exact_numbers *numbers,
                               const double *scale, double *bound,
                               ptf_error *err);

/* exp and the like with n digits; NULL when out of memory. */
const struct ptf_functions *ptf_exact_functions(ptf_exact *exact);

/* PTF_UNSUPPORTED, naming the node: what it does is not done in fixed point. */
ptf_status ptf_exact_refuse(const ptf_exact_step *s, ptf_error *err);

/* ------------------------------------------------------------------ numbers */

/* The E of a value none of whose numbers is beyond 'most', which is finite. */
int ptf_exponent_of(double most);

/*
 * x as n digits of a value with that E, to the nearest; *exact is cleared when
 * that is not x itself.
 */
void ptf_digits_of(double x, int exponent, int n, int64_t *digits, bool *exact);

/*
 * The m of a number as a double, off by 4u of it at most: each step of Horner's
 * rule rounds what is at least half as large as all of the digits below.
 * 'scale' is the value's.
 */
double ptf_fixed_scale(const ptf_fixed *v);
static inline double ptf_fixed_double(const ptf_fixed *v, int n, int64_t i,
                                      double scale)
{
    double x = 0;
    for (int l = 0; l < n; l++)
        x = (double)v->digits[l * v->room + i] + x * 0x1p-51;
    return x * scale;
}

/* The f32 next to m - r and to m + r, by round-to-nearest; left alone where the
 * radius is beyond the grid. */
void ptf_fixed_round(const ptf_fixed *v, int n, int64_t i, float *low,
                     float *high);

/* PTF_LANES numbers from 'first' on, digits PTF_LANES apart. */
void ptf_fixed_load(const ptf_fixed *v, int n, int64_t first, int64_t *lanes);

/* -------------------------------------------------------------------- lanes */

/* Which numbers of an operand an output's numbers come from: position (i, j,
 * ...) has number first + i stride[0] + j stride[1] + ... */
typedef struct ptf_strides {
    int rank;
    int64_t first, size[PTF_SHAPE_MAX], stride[PTF_SHAPE_MAX];
} ptf_strides;

ptf_strides ptf_strides_plain(const ptf_shape *out);
/* An operand that is broadcast to 'out'. */
ptf_strides ptf_strides_broadcast(const ptf_shape *in, const ptf_shape *out);
/* Those of numbers first .. first + PTF_LANES - 1; beyond the last, number 0.
 */
void ptf_strides_at(const ptf_strides *s, int64_t first, int64_t at[PTF_LANES]);

enum { PTF_LANE_DIGITS = PTF_LIMBS_MOST * PTF_LANES, PTF_OPERANDS_EACH = 3 };

/* PTF_LANES numbers of an output and of its operands. */
typedef struct ptf_exact_lanes {
    const ptf_exact_step *step;
    int64_t first;
    int64_t in[PTF_OPERANDS_EACH][PTF_LANE_DIGITS];
    double r[PTF_OPERANDS_EACH][PTF_LANES];
    int64_t out[PTF_LANE_DIGITS];
    double radius[PTF_LANES];
} ptf_exact_lanes;

/*
 * Fills all of the output: 'apply' sets out and radius from in and r.  The
 * output's exponent is set before.
 */
typedef void ptf_exact_apply(const void *context, ptf_exact_lanes *lanes);
void ptf_exact_each(const ptf_exact_step *s, int count,
                    const ptf_strides *strides, ptf_exact_apply *apply,
                    const void *context);

/*
 * A value as one of the exponent of 'to': moved by 'shift' bits and rounded by
 * h / 2 at most, which is what is added to radii: 0 where they are the same.
 */
typedef struct ptf_align {
    int64_t shift;
    double lost;
} ptf_align;

ptf_align ptf_align_to(const ptf_exact *exact, const ptf_fixed *from,
                       const ptf_fixed *to);
void ptf_align_lanes(const ptf_exact *exact, ptf_align align, const int64_t *in,
                     int64_t *out);

/* p / q for 0 <= 2 p < 2^exponent q < 2^62 as n digits of that E, off by less
 * than a unit. */
void ptf_digits_ratio(int64_t p, int64_t q, int exponent, int n,
                      int64_t *digits);
/* The same n digits in all lanes. */
void ptf_lanes_of(int n, const int64_t *digits, int64_t *lanes);

/* The m of lane i. */
static inline double ptf_lane_double(const int64_t *lanes, int n, int i,
                                     double scale)
{
    ptf_fixed v = {.room = PTF_LANES, .digits = (int64_t *)(uintptr_t)lanes};
    return ptf_fixed_double(&v, n, i, scale);
}

/*
 * Means: sums of numbers, digit by digit, over 'divisor' of each lane.  Sums of
 * 'terms' numbers have digits below 2^62.  What comes out has the exponent of
 * the terms and is off by ptf_mean_lost() of units.
 */
enum { PTF_SUM_MOST = 1 << 11 };
typedef struct ptf_mean {
    int64_t sum[(PTF_LIMBS_MOST + 1) * PTF_LANES];
    int64_t divisor[PTF_LANES];
} ptf_mean;

void ptf_mean_lanes(const ptf_exact *exact, ptf_mean *mean, int64_t *out);
#define PTF_MEAN_LOST 1.25

/* a < b, of balanced digits that are so far apart. */
bool ptf_digits_less(const int64_t *a, int64_t a_step, const int64_t *b,
                     int64_t b_step, int n);

/*
 * What is not done in digits is done in double, by enclose's balls, with their
 * radii: the output becomes these balls, or the node bad where they say
 * nothing.
 */
void ptf_exact_take_balls(const ptf_exact_step *s, ptf_balls balls);
void ptf_exact_give_balls(const ptf_exact *exact, const ptf_fixed *v,
                          ptf_balls balls);

/* ------------------------------------------------------------------- reals */

/*
 * One number of k digits, in all lanes, X 2^(exponent - 51 k).  What these
 * functions give is off by less than 2^-(51 k - 16) of the largest number that
 * has a part in it, all of them together by less than 2^-(51 k - 24).
 */
typedef struct ptf_real {
    const ptf_limbs *limbs;
    int k, exponent;
    int64_t digits[(PTF_LIMBS_MOST + 1) * PTF_LANES];
} ptf_real;

ptf_real ptf_real_of(const ptf_limbs *limbs, int k, double x);
/* The integer of 'count' digits, 0 .. 2^51 - 1 each, times 2^unit. */
ptf_real ptf_real_of_digits(const ptf_limbs *limbs, int k, int count,
                            const int64_t *digits, int unit);
ptf_real ptf_real_multiply(const ptf_real *a, const ptf_real *b);
/* a + sign b */
ptf_real ptf_real_add(const ptf_real *a, const ptf_real *b, int sign);
/* The same number on the grid of another exponent, where it must fit. */
ptf_real ptf_real_move(const ptf_real *a, int exponent);
/* 1 / sqrt(a) of a positive a; false when it is not verified. */
bool ptf_real_rsqrt(const ptf_real *a, ptf_real *root);
/* 1 / a, not 0; false when it is not verified. */
bool ptf_real_reciprocal(const ptf_real *a, ptf_real *inverse);
double ptf_real_double(const ptf_real *a);

/* ---------------------------------------------------------------- products */

/*
 * out[g][row][pixel] = the sum over channels c of group g and taps t of weight
 * (row, c taps + t) times in[g][c][at[t][pixel]], where at is -1 for 0, and the
 * bias of the row.  The weights of row j are integers of 'planes' digits, the
 * highest first, times 2^(exponent[j] + 51 (planes - 1 - plane)).  Radii are
 *
 *     row_a[j] pixel_a[g][pixel] + row_b[j] pixel_b[g][pixel] + lost.
 */
typedef struct ptf_sums {
    const ptf_exact *exact;
    const ptf_fixed *in;
    ptf_fixed *out;
    int64_t in_first, out_first; /* numbers of the values */
    int64_t groups, rows, channels, taps, pixels;
    const int64_t *at; /* [taps][pixels up to a multiple of PTF_LANES] */
    int64_t in_channel, in_group, out_row, out_pixel;
    int planes;
    /* 'count' weights of a row (of all groups) from term 'from' on; false when
     * all are 0. */
    bool (*weights)(const void *context, int64_t row, int plane, int64_t from,
                    int64_t count, double *to);
    const void *context;
    const int *exponent;   /* per row: that of its lowest plane */
    const int64_t *addend; /* [row][n]: biases on the output's grid, or NULL */
    const double *row_a, *pixel_a, *row_b, *pixel_b; /* b may be NULL */
    double lost;
} ptf_sums;

ptf_status ptf_sums_run(const ptf_sums *sums, ptf_error *err);

static inline int64_t ptf_sums_room(int64_t pixels)
{
    return ptf_ceil_div(pixels, PTF_LANES) * PTF_LANES;
}

#endif
