/*
 * kernel: pointers and sizes in, numbers out.  ref.c defines every bit; the
 * other instruction sets must give the same bits and are chosen from one
 * table.  A kernel never sees a tensor, allocates nothing and cannot fail.
 *
 * What the operations compute, in f32 unless said otherwise, rounding to
 * nearest even, subnormals kept, no contraction:
 *
 *   product      An output of a convolution or a linear layer is a sum over
 *                terms in the order of its weights: input channel (of its
 *                own group), kernel depth, row, column.  Blocks of 256 terms,
 *                counted from term 0: acc = +0; acc = fma(w, x, acc).  Then
 *                s = block 0; s = s + block 1; ...  A padded tap is a term
 *                whose x is +0; so is one of a transposed convolution that
 *                reads between two positions of the input.
 *   matmul       An output is such a sum over the columns of a's row and the
 *                rows of b's column, in order; w is b's number, x is a's.
 *   epilogue     s = s + bias; s = fma(s, scale, shift); s = relu(s); each
 *                where there is one.
 *   scale_shift  fma(x, scale, shift), one scale and shift per channel; then
 *                relu, where there is one.
 *   unary        a function of one number: functions.inc has each formula.
 *   plus, minus, times, over: a + b, a - b, a * b, a / b.
 *   maximum      the larger one; NaN where one is NaN; +0 of +0 and -0.
 *   minimum      the smaller one; NaN where one is NaN; -0 of +0 and -0.
 *   equal, unequal, less, at_most, greater, at_least: 1 or 0.
 *   both, either, unlike: 1 or 0, where what is not 0 is true, NaN too.
 *   fmod, remainder, floor_over: binary.inc has each formula.
 *   where        b where a is not 0, c where it is; bits are moved.
 *   softmax      m = the largest x; e_i = exp(beta * (x_i - m)) in double;
 *                the sum of e_i in index order in double; e_i / sum rounded
 *                once.  beta is 1 in a layer.
 *   log_softmax  (x_i - m) - log(the sum of exp(x_i - m)), sum and m as
 *                above, all in double, rounded once.
 *   max pool     m = -inf; over the window's taps inside the map in depth,
 *                row, column order: m = x where x > m or x is NaN.
 *   mean pool    s = +0; s = s + x over the taps inside the map in that
 *                order; s / taps, or s / divisor where there is one.  With
 *                include_pad the padding counts as taps, up to 'padding'
 *                beyond the map.
 *   adaptive     the same over rows floor(o * in / out) up to, not with,
 *                ceil((o + 1) * in / out), depths and columns alike.
 *   sum          Over axes: the terms of one output in C order of these axes,
 *                in blocks of 256 from term 0: acc = +0; acc = acc + x; then
 *                s = block 0; s = s + block 1; ...
 *   mean         s / n, where s is that sum and n the number of its terms,
 *                rounded to f32.
 *   amax, amin   m = -inf (+inf); over the terms in order: m = x where x > m
 *                (x < m) or x is NaN.
 *   mix          Sums axis by axis, the last axis inside: acc = +0;
 *                acc = fma(w, t, acc) over the taps of an axis in order, where
 *                t is that sum along the axes after it, or x.  With the taps
 *                transposed it is the gradient, of pick as well.
 *   norm         norm.inc; var, std, vector_norm, logsumexp: moments.inc.
 *
 * A NaN in an output is always the word 0x7fc00000, because which NaN an
 * instruction passes on depends on the processor; so outputs can be compared
 * with memcmp everywhere.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_KERNEL_H
#define PTF_KERNEL_H

#include "base/base.h"

/* Terms of one block of the canonical sum. */
enum { PTF_BLOCK_TERMS = 256 };

/* The word that stands for every NaN. */
#define PTF_NAN_BITS 0x7fc00000u

/*
 * A feature map, or a stripe of it: rows first .. first + rows - 1 of an
 * image of 'height' rows lie in memory, as [channels][depth][rows][width].
 * Only maps of depth 1 are cut into stripes.
 */
typedef struct ptf_map {
    int64_t channels, depth, height, width;
    int64_t first, rows;
} ptf_map;

static inline int64_t ptf_map_pixels(const ptf_map *map)
{
    return map->depth * map->rows * map->width;
}

/* A sliding window: along depth, height, width. */
typedef struct ptf_window {
    int64_t kernel[PTF_MAP_AXES], stride[PTF_MAP_AXES];
    int64_t padding[PTF_MAP_AXES], dilation[PTF_MAP_AXES];
} ptf_window;

static inline int64_t ptf_window_taps(const ptf_window *w)
{
    return w->kernel[0] * w->kernel[1] * w->kernel[2];
}

/* A pool of one map; an adaptive one has no window. */
typedef struct ptf_pool {
    ptf_map in, out;
    bool mean, adaptive;
    ptf_window window;
    bool include_pad;
    int64_t divisor; /* of a mean; 0: its taps */
} ptf_pool;

/* One number of each map; of these several are faster than one after the
 * other. */
static inline bool ptf_pool_is_mean_of_map(const ptf_pool *p)
{
    return p->mean && p->adaptive && p->in.rows == p->in.height &&
           ptf_map_pixels(&p->out) == 1;
}

/* What follows a sum.  Arrays have one number per output channel, or NULL. */
typedef struct ptf_epilogue {
    const float *bias;
    const float *scale, *shift; /* both or none */
    bool relu;
    bool shows; /* relu gives NaN in place of infinity, to show it */
} ptf_epilogue;

/*
 * One slice of a channel with zeros around it.  Rows that row_runs leaves the
 * same rest of, and columns alike, lie together, so that windows which are so
 * far apart lie side by side: padded row r and column c is
 *
 *     y[((r % row_runs) * column_runs + c % column_runs) * run +
 *       (r / row_runs) * pitch + c / column_runs]
 *
 * with pitch = columns / column_runs and run = rows / row_runs * pitch.
 */
typedef struct ptf_padding {
    int64_t height, width; /* of the slice, */
    int64_t top, left;     /* which begins here */
    int64_t rows, columns; /* multiples of the runs */
    int64_t row_runs, column_runs;
} ptf_padding;

/* The most floats of a vector. */
enum { PTF_BEYOND = 16 };

/*
 * A product: every output pixel against every output channel (of a group).  Of
 * maps that have a depth, one slice of the output.
 * Term k of pixel p is x[offset(p) + taps[k]], where for image n, row r and
 * column c
 *
 *     p = (n * out_height + r) * out_width + c
 *     offset(p) = n * x_image + r * x_row + c * x_column
 *
 * and the result of channel j goes to
 *
 *     y[n * y_image + j * y_channel + r * out_width + c].
 *
 * A linear layer is the product of 1x1 maps: pixels are the batch, taps count
 * up.  Either y_channel is 1 and the maps are 1x1, or y_channel is anything.
 */
typedef struct ptf_gemm {
    const float *x;
    const int32_t *taps; /* NULL: the terms of a pixel lie side by side */
    int64_t terms;
    const int32_t *ends;  /* of each term's block; NULL: every 256 terms */
    const float *weights; /* [channels][terms], rows 'terms' apart */
    const float *panels;  /* the same as pack() leaves it, or NULL */
    int64_t
        transposed; /* 0, or the weights are [terms][...], rows so far apart */
    int64_t channels;
    int64_t out_height, out_width;
    int64_t x_image, x_row, x_column;
    bool beyond; /* PTF_BEYOND floats may be read from each term on */
    float *y;
    int64_t y_image, y_channel;
    ptf_epilogue epilogue;
} ptf_gemm;

/* The functions of one number, and how many parameters one may have. */
typedef enum ptf_unary {
#define UNARY(id, name) PTF_UNARY_##id,
#include "kernel/functions.inc"
#undef UNARY
    PTF_UNARY_COUNT,
} ptf_unary;

enum { PTF_UNARY_PARAMETERS = 3 };

typedef void ptf_unary_kernel(float *y, const float *x, int64_t n,
                              const double p[PTF_UNARY_PARAMETERS]);
typedef void ptf_unary_back_kernel(float *dx, const float *d, const float *x,
                                   int64_t n,
                                   const double p[PTF_UNARY_PARAMETERS]);

/* The functions of two numbers. */
typedef enum ptf_binary {
#define BINARY(id, name) PTF_BINARY_##id,
#include "kernel/operators.inc"
#undef BINARY
    PTF_BINARY_COUNT,
} ptf_binary;

/*
 * Rows of 'n' numbers, and the floats from a row of each array to its next.
 * The step is 1, or 0 for an array whose rows are one number; not both are 0,
 * unless n is 1.
 */
typedef struct ptf_grid {
    int64_t rows, n;
    int64_t y_row, a_row, b_row, c_row;
    int64_t a_step, b_step, c_step;
} ptf_grid;

typedef void ptf_binary_kernel(const ptf_grid *grid, float *y, const float *a,
                               const float *b);

/* b where a is not 0, and c where it is.  At least one of the steps is 1. */
typedef void ptf_where_kernel(const ptf_grid *grid, float *y, const float *a,
                              const float *b, const float *c);

/*
 * Numbers in strides: of axis i there are size[i] positions, from[i] floats
 * apart where they are read, to[i] where they go.  C order: the last axis is
 * the fastest one.
 */
enum { PTF_AXES = 8 };

typedef struct ptf_strides {
    int rank;
    int64_t size[PTF_AXES], from[PTF_AXES], to[PTF_AXES];
} ptf_strides;

/* Puts an axis after the others, or makes the last one longer where that is
 * the same. */
void ptf_strides_add(ptf_strides *s, int64_t size, int64_t from, int64_t to);

/* To a dense array of these sizes. */
void ptf_strides_dense(ptf_strides *s, int rank, const int64_t *size,
                       const int64_t *from);

static inline int64_t ptf_strides_count(const ptf_strides *s, int axes)
{
    int64_t n = 1;
    for (int i = 0; i < axes; i++)
        n *= s->size[i];
    return n;
}

/* Where position i of the first 'axes' axes is read and goes. */
static inline void ptf_strides_at(const ptf_strides *s, int axes, int64_t i,
                                  int64_t *from, int64_t *to)
{
    *from = *to = 0;
    for (int k = axes - 1; k >= 0; k--) {
        int64_t at = i % s->size[k];
        i /= s->size[k];
        *from += at * s->from[k];
        *to += at * s->to[k];
    }
}

/*
 * Moves numbers, bit for bit.  Part 'part' of 'parts' of them, so that threads
 * can share the work; ptf_copy_parts() says how many pay.
 */
void ptf_copy(const ptf_strides *s, int64_t part, int64_t parts, const float *x,
              float *y);
int64_t ptf_copy_parts(const ptf_strides *s);

/*
 * A reduction: each position of 'kept' is an output, which takes its terms
 * from those of 'terms', added to where it reads.  'to' of the terms is 0.
 */
typedef enum ptf_reduce {
    PTF_REDUCE_SUM,
    PTF_REDUCE_MEAN,
    PTF_REDUCE_AMAX,
    PTF_REDUCE_AMIN,
    PTF_REDUCE_VAR, /* from here on in double: moments.inc */
    PTF_REDUCE_STD,
    PTF_REDUCE_NORM,
    PTF_REDUCE_LOGSUMEXP,
    PTF_REDUCE_COUNT,
} ptf_reduce;

typedef struct ptf_reduction {
    ptf_reduce how;
    double correction; /* of a variance */
    ptf_strides kept, terms;
} ptf_reduction;

/*
 * Of a dense array with sizes 'in', over the axes that are 'reduced'.  The
 * outputs are dense, too.
 */
void ptf_reduction_make(ptf_reduction *r, int rank, const int64_t *in,
                        const bool *reduced);

/*
 * A product of matrices, y = a b: number (i, k) of a is a[i * a_row +
 * k * a_term], (k, j) of b is b[k * b_term + j * b_column].  y is dense.  A
 * strip is up to PTF_STRIP numbers of a row of y, row after row.
 */
enum { PTF_STRIP = 64 };

typedef struct ptf_matmul {
    int64_t rows, terms, columns;
    const float *a, *b;
    int64_t a_row, a_term, b_term, b_column;
    const int32_t *taps; /* k * a_term; NULL where a_term is 1 */
    float *y;
} ptf_matmul;

/*
 * One axis of what is made of an operand axis by axis: position i has taps
 * begin[i] .. begin[i + 1] - 1, of positions index[] times weight[].
 */
typedef struct ptf_tap_axis {
    int64_t in, out;
    const int64_t *begin, *index;
    const float *weight;
} ptf_tap_axis;

/* Of 'planes' dense arrays, each of the axes' sizes. */
typedef struct ptf_tapping {
    int64_t planes;
    int rank; /* at least 1 */
    ptf_tap_axis axes[PTF_AXES];
    float otherwise;
} ptf_tapping;

/* Rows of the result; a row is its last axis. */
int64_t ptf_tapping_rows(const ptf_tapping *t);
/* Position of row 'row' along each axis but the last; its plane. */
int64_t ptf_tapping_at(const ptf_tapping *t, int64_t row, int64_t *at);
/* Numbers of one plane of the operand. */
int64_t ptf_tapping_plane(const ptf_tapping *t);

/*
 * Rows begin .. end - 1, where no position has more than one tap: moves the
 * numbers, bit for bit.  What has no tap is 'otherwise'.
 */
void ptf_pick(const ptf_tapping *t, int64_t begin, int64_t end, const float *x,
              float *y);

/*
 * A sample whose groups of n numbers, which lie side by side, are normalised.
 * Number i of the sample has weight i / inner % weights.
 */
typedef struct ptf_norm {
    int64_t n, weights, inner;
    bool centred; /* around 0 */
    double eps;
} ptf_norm;

/*
 * The kernels of one instruction set.  Maps of one image; 'n' counts floats.
 * Outputs and inputs must not overlap, except that scale_shift, unary and
 * binary may work in place.
 */
typedef struct ptf_kernels {
    ptf_isa isa;

    void (*scale_shift)(float *y, const float *x, int64_t channels,
                        int64_t pixels, const float *scale, const float *shift,
                        bool then_relu);
    ptf_unary_kernel *const *unary;   /* by ptf_unary */
    ptf_binary_kernel *const *binary; /* by ptf_binary */
    ptf_where_kernel *where;
    /* x[outer][n][inner], over the middle index. */
    void (*softmax)(float *y, const float *x, double beta, int64_t outer,
                    int64_t n, int64_t inner);
    void (*log_softmax)(float *y, const float *x, int64_t outer, int64_t n,
                        int64_t inner);
    /* Strips begin .. end - 1. */
    void (*matmul)(const ptf_matmul *m, int64_t begin, int64_t end);
    void (*pool)(const ptf_pool *pool, const float *x, float *y);
    /* Outputs begin .. end - 1. */
    void (*reduce)(const ptf_reduction *r, int64_t begin, int64_t end,
                   const float *x, float *y);

    /* Rows begin .. end - 1. */
    void (*mix)(const ptf_tapping *t, int64_t begin, int64_t end,
                const float *x, float *y);

    /* Groups begin .. end - 1; w and b may be NULL. */
    void (*norm)(const ptf_norm *norm, int64_t begin, int64_t end,
                 const float *w, const float *b, const float *x, float *y);

    const struct ptf_backward *backward; /* the gradients; see backward.h */

    /* For measuring: reads all of it, and returns something of it. */
    uint64_t (*read)(const uint64_t *words, int64_t n);
    bool (*all_finite)(const float *x, int64_t n);

    /* The rest is zero in ref, whose products are the functions below. */

    int64_t lanes;          /* floats in a vector */
    int64_t panel_channels; /* channels of a full panel */
    int64_t tile_pixels;    /* pixels that the inner loop takes at once */
    int64_t chunk_pixels;   /* most pixels that gemm() has in work, and */
    int64_t sums;           /* sums of theirs that it keeps */
    int64_t gemv_pixels;    /* most pixels that gemv() takes */
    size_t scratch_size;    /* bytes that gemm(), gemv() need */

    /*
     * Weight rows 'row_stride' apart into a panel [terms][width], where width
     * is 'channels' (at most panel_channels) rounded up to whole vectors.
     */
    void (*pack)(const float *weights, int64_t row_stride, int64_t channels,
                 int64_t terms, float *panel);
    /*
     * Channels c0 .. c1 - 1 of pixels p0 .. p1 - 1.  c0 is a multiple of
     * panel_channels.  'scratch' is aligned to 64.
     */
    void (*gemm)(const ptf_gemm *gemm, int64_t c0, int64_t c1, int64_t p0,
                 int64_t p1, void *scratch);
    /*
     * The same for few pixels, whose weights or panels it reads once.  1x1
     * maps, no taps, y_channel 1.  Without panels c0 is a multiple of 'lanes'.
     * y may hold sums of some of the terms meanwhile.
     */
    void (*gemv)(const ptf_gemm *product, int64_t c0, int64_t c1, int64_t p0,
                 int64_t p1, void *scratch);
    void (*pad)(const ptf_padding *padding, const float *x, float *y);
    /* For measuring: 'rounds' times spin_flops operations in registers. */
    void (*spin)(int64_t rounds, float *out);
    double spin_flops;
} ptf_kernels;

/* The kernels of 'isa', which must be one that is here; ref at worst. */
const ptf_kernels *ptf_kernels_get(ptf_isa isa);

/*
 * Products of one size, one for each group of channels.  'scratch' has
 * scratch_size bytes for each thread.
 */
typedef struct ptf_gemms {
    ptf_gemm (*of)(const void *context, int64_t group);
    const void *context;
    int64_t groups, channels, pixels; /* channels of one */
    char *scratch;
} ptf_gemms;

/* Runs them with gemm(), which ref has not. */
void ptf_gemms_run(const ptf_kernels *kernels, int threads,
                   const ptf_gemms *products);

/*
 * Products of matrices of one size with the same strides: one of a_term and the
 * row of a, and one of b_term and b_column is 1, the other then the size of a
 * row or column.  'scratch' as above.
 */
typedef struct ptf_matmuls {
    ptf_matmul (*of)(const void *context, int64_t i);
    const void *context;
    int64_t count;
    char *scratch;
} ptf_matmuls;

void ptf_matmuls_run(const ptf_kernels *kernels, int threads,
                     const ptf_matmuls *matmuls);

/* Part i of n of 'count' things that go in units of 'unit'. */
void ptf_cut(int64_t i, int64_t n, int64_t count, int64_t unit, int64_t *begin,
             int64_t *end);

/*
 * The geometry of a convolution of one image.  Transposed, output position p
 * reads through tap t of an axis the input position i of which
 * i * stride - padding + t * dilation is p.
 */
typedef struct ptf_conv {
    ptf_map in, out;
    ptf_window window;
    int64_t groups;
    bool transposed;
} ptf_conv;

/*
 * The input position that output position 'at' reads through a tap, along an
 * axis of 'size' positions; -1 where there is none.
 */
static inline int64_t ptf_conv_source(const ptf_conv *conv, int axis,
                                      int64_t at, int64_t tap, int64_t size)
{
    const ptf_window *w = &conv->window;
    int64_t from;
    if (conv->transposed) {
        from = at + w->padding[axis] - tap * w->dilation[axis];
        if (from < 0 || from % w->stride[axis] != 0)
            return -1;
        from /= w->stride[axis];
    } else {
        from =
            at * w->stride[axis] - w->padding[axis] + tap * w->dilation[axis];
    }
    return from >= 0 && from < size ? from : -1;
}

/*
 * The first k of 'size' positions in the order of their numbers, as op/sort.c
 * has it; both are 'step' apart.
 */
void ptf_argsort(int64_t size, int64_t k, bool descending, int64_t step,
                 const float *x, float *y);

/*
 * The definitions: one image; 'weights' as [output channels][terms], which is
 * PyTorch's order but of transposed convolutions.
 */
void ptf_ref_conv(const ptf_conv *conv, const float *x, const float *weights,
                  const ptf_epilogue *epilogue, float *y);
/* One number of it: of a channel at (depth, row, column). */
float ptf_ref_conv_output(const ptf_conv *conv, const float *x,
                          const float *weights, const ptf_epilogue *epilogue,
                          int64_t channel, const int64_t at[PTF_MAP_AXES]);
void ptf_ref_linear(int64_t inputs, int64_t outputs, const float *x,
                    const float *weights, const ptf_epilogue *epilogue,
                    float *y);

extern const ptf_kernels ptf_kernels_ref;
extern const ptf_kernels ptf_kernels_neon;
extern const ptf_kernels ptf_kernels_avx2;
extern const ptf_kernels ptf_kernels_avx512;

#endif
