/*
 * op: the list of ops with their attributes, shape rules and parameters.  It
 * knows no net and no numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_OP_H
#define PTF_OP_H

#include "base/base.h"

/* Numbers of one value, so that byte counts of batches stay far from a wrap. */
#define PTF_VALUE_MAX ((int64_t)1 << 40)

typedef enum ptf_op {
#define OP(id, name, class_name, family, attributes) PTF_OP_##id,
#include "op/ops.inc"
#undef OP
    PTF_OP_COUNT,
} ptf_op;

enum { PTF_OPERANDS_MAX = 4096 };

typedef enum ptf_family {
#define FAMILY(id, name) PTF_FAMILY_##id,
#include "op/families.inc"
#undef FAMILY
    PTF_FAMILY_COUNT,
} ptf_family;

/* Up to as many integers as a value has axes; those after 'count' are 0. */
typedef struct ptf_list {
    int count;
    int64_t at[PTF_SHAPE_MAX];
} ptf_list;

/* Two for each axis, in PyTorch's order: of the last one that before and that
 * after its positions, then those of the axis before it. */
typedef struct ptf_pads {
    int count;
    int64_t at[2 * PTF_SHAPE_MAX];
} ptf_pads;

/* As many as a map has axes after the channels, or one for all; or none. */
typedef struct ptf_factors {
    int count;
    double at[PTF_MAP_AXES];
} ptf_factors;

/* The mode of a pad, attrs.p[1]. */
typedef enum ptf_pad_mode {
    PTF_PAD_CONSTANT,
    PTF_PAD_REFLECT,
    PTF_PAD_REPLICATE,
    PTF_PAD_CIRCULAR,
} ptf_pad_mode;

/* The mode of an upsample, attrs.p[0]. */
typedef enum ptf_upsample_mode {
    PTF_UPSAMPLE_NEAREST,
    PTF_UPSAMPLE_NEAREST_EXACT,
    PTF_UPSAMPLE_LINEAR,
    PTF_UPSAMPLE_BILINEAR,
    PTF_UPSAMPLE_TRILINEAR,
    PTF_UPSAMPLE_BICUBIC,
} ptf_upsample_mode;

/* What a layer's tensors are for.  Scale and shift come from
 * batchnorm_to_epilogue: y = fmaf(x, scale, shift) per output channel, before
 * any activation. */
typedef enum ptf_role {
    PTF_ROLE_WEIGHT,
    PTF_ROLE_BIAS,
    PTF_ROLE_SCALE,
    PTF_ROLE_SHIFT,
    PTF_ROLE_RUNNING_MEAN,
    PTF_ROLE_RUNNING_VAR,
    PTF_ROLE_NUM_BATCHES,
    PTF_ROLE_COUNT,
} ptf_role;

/* The state dict's word for a role: "weight", "running_mean". */
const char *ptf_role_name(ptf_role role);

/*
 * Everything that a layer's text can say.  What there is for each axis of a map
 * (depth, height, width) is usual along the axes that a layer has not, so that
 * Conv1d is a Conv3d of depth and height 1.
 */
typedef struct ptf_attrs {
    int64_t in_channels, out_channels; /* or features; num_features is both */
    int64_t kernel[PTF_MAP_AXES], stride[PTF_MAP_AXES];
    int64_t padding[PTF_MAP_AXES], dilation[PTF_MAP_AXES];
    /* What the end has of padding beyond that: "same" of an even kernel; in a
     * transposed convolution it is cut off. */
    int64_t more[PTF_MAP_AXES];
    int64_t output_padding[PTF_MAP_AXES]; /* of a transposed convolution */
    const char *padding_text;    /* "same" or "valid" when the text says so */
    const char *padding_refused; /* why not, where anything is padded */
    int64_t groups;
    bool has_bias;    /* of a batch norm: if it is affine */
    bool scale_shift; /* ptfold's own: an epilogue stands after the sum */
    double eps, momentum;
    bool momentum_none; /* cumulative average; evaluation does not care */
    bool eps_none;      /* that of f32 */
    bool affine, track_running_stats;
    bool ceil_mode, count_include_pad;
    /* AvgPool2d prints neither, so a text need not say them. */
    bool ceil_mode_unspecified, count_include_pad_unspecified;
    int64_t divisor;                   /* of an average; 0: its taps */
    int64_t output_size[PTF_MAP_AXES]; /* adaptive; 0: as the input (None) */
    double p[3]; /* of a function, in the order of its attributes; Dropout's */
    int64_t start_dim, end_dim; /* flatten */
    int64_t dim; /* softmax, concat, slice, argsort; counted with the batch */
    bool dim_none;
    ptf_list dims; /* permute: of the operand, one for each axis of the result
                      but the batch; reductions: that they go over.  Counted
                      with the batch */
    ptf_list size; /* of one sample; -1: what remains (reshape), as it is
                      (expand); of an upsample's map, or of each of its axes.
                      Of layer and RMS norms: normalized_shape */
    ptf_pads pads;
    ptf_factors scale; /* of an upsample: with sizes, where they are from */
    bool align_corners, align_corners_unspecified; /* as of AvgPool2d */
    bool recompute_scale_factor, recompute_scale_factor_unspecified;
    bool antialias;
    int64_t start, step; /* slice; a negative start counts from the end, and
                            a negative step goes back */
    int64_t length;      /* of a slice, and how many positions an argsort
                            gives; 0: as far as there are */
    bool descending;     /* argsort */
    bool keepdim;        /* a reduction leaves its axes, of size 1 */
    bool inplace;        /* printed back, otherwise without meaning */
} ptf_attrs;

/* ----------------------------------------------------------- what rules say */

/*
 * What is known of a value before any input shape is: its rank with the batch
 * and its number of channels (or features); 0 is unknown.
 */
typedef struct ptf_partial_shape {
    int rank;
    int64_t channels;
} ptf_partial_shape;

/*
 * On which positions of its input's axis a position of the output's same axis
 * depends.  Axis 0 is the batch.  All that is cut into pieces follows from it:
 * batches, stripes of rows, windows that slide over a larger image.
 */
typedef enum ptf_reach_kind {
    PTF_REACH_EACH,   /* position i on position i */
    PTF_REACH_WINDOW, /* on some from i * stride - before, 'extent' wide */
    PTF_REACH_ALL,
} ptf_reach_kind;

typedef struct ptf_reach {
    ptf_reach_kind kind;
    int64_t stride, before, extent; /* of a window; before is the padding */
    int64_t after;                  /* and that after the last position */
    bool cut;        /* the last window may end outside (ceil_mode) */
    const char *why; /* of ALL: "normalises over positions" */
    bool one;        /* of ALL: there is one position, whatever the input's */
} ptf_reach;

/*
 * What a family knows of its ops.  Shapes are without the batch.  Texts say
 * what is wrong with the input ("expects 3 channels") or the attributes; NULL
 * is nothing.  A rule that is NULL does nothing: no attributes to complete,
 * the shape of the first operand, no parameters.
 */
typedef struct ptf_rules {
    int least, most; /* operands; both 0: one */
    /* Attributes that follow from those that a text states. */
    const char *(*settle)(ptf_op op, ptf_attrs *attrs);
    /* 'in' are those of the operands. */
    const char *(*shape)(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out);
    /* The same before shapes are known, for ops of one operand. */
    const char *(*partial)(ptf_op op, const ptf_attrs *attrs,
                           ptf_partial_shape in, ptf_partial_shape *out);
    bool (*parameter)(ptf_op op, const ptf_attrs *attrs, ptf_role role,
                      int *rank, int64_t shape[PTF_MAX_RANK]);
    /* The attributes that 'parameter' follows from, from their shapes (NULL
     * where there is none); those of ptf_attrs_default() are set. */
    void (*infer)(ptf_op op, const ptf_shape *const shapes[PTF_ROLE_COUNT],
                  ptf_attrs *attrs);
    /* For each of its operands.  'rank' is the result's, with the batch. */
    ptf_reach (*reach)(ptf_op op, const ptf_attrs *attrs, int rank, int axis);
} ptf_rules;

#define FAMILY(id, name) extern const ptf_rules ptf_rules_##name;
#include "op/families.inc"
#undef FAMILY

/* ------------------------------------------------------------ table of ops */

typedef struct ptf_op_row {
    const char *name;       /* in the text of a graph: "conv2d" */
    const char *class_name; /* "Conv2d"; "" when torch.nn has none */
    ptf_family family;
} ptf_op_row;

const ptf_op_row *ptf_op_info(ptf_op op);

/* True when the op may have so many operands. */
bool ptf_op_takes(ptf_op op, int count);

static inline bool ptf_op_is(ptf_op op, ptf_family family)
{
    return ptf_op_info(op)->family == family;
}

/* What a pool takes of which windows. */
typedef struct ptf_pool_kind {
    bool mean;     /* or the largest */
    bool adaptive; /* windows that follow from the output's size */
} ptf_pool_kind;

ptf_pool_kind ptf_op_pool_kind(ptf_op op);

/* True when the output is the input: Dropout, Identity, the input itself. */
bool ptf_op_is_identity(ptf_op op);

/* True also when it has the same numbers in the same order: Flatten, reshape.
 */
bool ptf_op_is_alias(ptf_op op);

/* The axes of the maps that it works on, 2 of conv2d; 0: not only on maps. */
int ptf_op_map_axes(ptf_op op);

/* What a layer of that op is called in tables. */
ptf_layer_kind ptf_op_kind(ptf_op op);

/* True of transposed convolutions. */
bool ptf_op_is_transposed(ptf_op op);

/* The rules of the op's family, see ptf_rules. */
const char *ptf_op_settle(ptf_op op, ptf_attrs *attrs);
const char *ptf_op_shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out);

const char *ptf_op_partial_shape(ptf_op op, const ptf_attrs *attrs,
                                 ptf_partial_shape in, ptf_partial_shape *out);

ptf_reach ptf_op_reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis);

/*
 * The shape that parameter 'role' of a layer must have (rank 0 for
 * num_batches_tracked).  False when the layer has no such parameter.
 */
bool ptf_op_parameter(ptf_op op, const ptf_attrs *attrs, ptf_role role,
                      int *rank, int64_t shape[PTF_MAX_RANK]);

/*
 * Sets the attributes that tell the shapes of parameters from those shapes,
 * NULL where there is no such parameter.  The others are to be set already.
 */
void ptf_op_infer(ptf_op op, const ptf_shape *const shapes[PTF_ROLE_COUNT],
                  ptf_attrs *attrs);

/* The parameters that the op has with some attributes, as bits. */
unsigned ptf_op_roles(ptf_op op);

/* Finds the op of that name in the text of a graph; not those of sources. */
bool ptf_op_find_name(ptf_text_span name, ptf_op *out);

/* Its class of torch.nn, or its name where there is none. */
const char *ptf_op_class(ptf_op op);

/* Finds the op of a printed class name; false when there is none. */
bool ptf_op_find(const char *class_name, size_t size, ptf_op *out);

/* The attributes that a class stands for, "mode=reflect"; "" for none. */
const char *ptf_op_implied(const char *class_name, size_t size);

/*
 * The op of a class that stands for several, for these attributes and inputs of
 * that rank.
 */
ptf_op ptf_op_fit(ptf_op op, const char *class_name, size_t size,
                  const ptf_attrs *attrs, int rank);

/* The batch norm for inputs of that rank, with the batch. */
ptf_op ptf_batch_norm_of(int rank);

/* The layer as PyTorch prints it, "Conv2d(3, 16, kernel_size=(3, 3), ...)". */
char *ptf_op_text(ptf_arena *arena, ptf_op op, const ptf_attrs *attrs);

/*
 * What PyTorch takes when nothing is said; what a layer made by a rewrite
 * starts from.
 */
void ptf_attrs_default(ptf_op op, ptf_attrs *out);

/*
 * Reads what stands between a layer's parentheses, after what its class
 * implies (ptf_op_implied()).  NULL, or what is wrong with the text, in
 * 'message'.
 */
const char *ptf_attrs_parse(ptf_op op, const char *implied, const char *text,
                            size_t size, ptf_attrs *out, char message[256]);

/*
 * The attributes in the text of a graph, " stride=[2,2] groups=4": what the
 * parameters do not tell, which have these shapes, and what is not usual.
 * NULL when out of memory.
 */
char *ptf_attrs_graph(ptf_arena *arena, ptf_op op, const ptf_attrs *attrs,
                      const ptf_shape *const shapes[PTF_ROLE_COUNT]);

/* An attribute of such a text, "stride" and "[2,2]". */
typedef struct ptf_attr_text {
    ptf_text_span name, value;
} ptf_attr_text;

/*
 * Reads them back.  NULL, or what is wrong, in 'message'; '*at' is then the
 * number of the attribute that is to blame, or 'count' for none of them.
 */
const char *ptf_attrs_graph_parse(ptf_op op, const ptf_attr_text *texts,
                                  int count,
                                  const ptf_shape *const shapes[PTF_ROLE_COUNT],
                                  ptf_attrs *out, int *at, char message[256]);

/*
 * What a rule of an op has against an input with 'got' channels or features,
 * as the end of a message; 'text' may hold it.
 */
enum { PTF_REFUSAL_TEXT = 192 };
const char *ptf_op_refusal(const char *wrong, const ptf_attrs *attrs,
                           int64_t got, char text[PTF_REFUSAL_TEXT]);

/*
 * The dimension, counted with the batch, that a Softmax works on for values of
 * that rank: PyTorch's old rule for dim=None, negative ones counted from the
 * end.  -1 when there is no such dimension.
 */
int ptf_softmax_axis(const ptf_attrs *attrs, int rank);

/* The same of the one along which a Concat joins values of that rank. */
int ptf_concat_axis(const ptf_attrs *attrs, int rank);

/*
 * Where a view that is no alias has its numbers from: position (i, j, ...) of
 * the result is number first + i * stride[0] + j * stride[1] + ... of an
 * operand of that shape.  Both shapes must be such as the op's rule gives, but
 * for an axis along which position i depends on position i.
 */
typedef struct ptf_view {
    int64_t first, stride[PTF_SHAPE_MAX];
} ptf_view;

ptf_view ptf_op_view(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                     const ptf_shape *out);

/*
 * A matmul of operands of these shapes as 'count' products of matrices, which
 * lie one after the other in the result: of 'rows' times 'terms' numbers of the
 * first operand with 'terms' times 'columns' of the second.  Leading axes next
 * to the rows along which the second operand is the same are rows, too.  The
 * others go from the last one to the first; a step counts an operand's
 * matrices, and is 0 where it is the same.
 */
typedef struct ptf_matrices {
    int64_t rows, terms, columns, count;
    int axes;
    int64_t size[PTF_SHAPE_MAX], step[2][PTF_SHAPE_MAX];
} ptf_matrices;

ptf_matrices ptf_op_matrices(const ptf_shape *a, const ptf_shape *b);

/* Which matrix of the operand (0 or 1) product i has. */
int64_t ptf_matrix_at(const ptf_matrices *m, int operand, int64_t i);

/*
 * Where a gather has its numbers from: position (i, j, ...) of the result is
 * number from[0] * i + from[1] * j + ... of the operand, and 'step' more for
 * each position along the axis, of which it has 'positions'; which one, number
 * index[0] * i + index[1] * j + ... of the indices says.
 */
typedef struct ptf_gather {
    int rank;
    int64_t size[PTF_SHAPE_MAX], from[PTF_SHAPE_MAX], index[PTF_SHAPE_MAX];
    int64_t positions, step;
    bool wraps; /* negative indices count from the end */
} ptf_gather;

/* Of operands of these shapes, which the op's rule takes. */
ptf_gather ptf_op_gather(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         const ptf_shape *index);

/* Of number i of the result: where it is from but for the index, and where that
 * is. */
static inline void ptf_gather_at(const ptf_gather *g, int64_t i, int64_t *from,
                                 int64_t *index)
{
    *from = *index = 0;
    for (int d = g->rank - 1; d >= 0; d--) {
        int64_t at = i % g->size[d];
        i /= g->size[d];
        *from += at * g->from[d];
        *index += at * g->index[d];
    }
}

/* The position that an index names, or -1 when there is none. */
static inline int64_t ptf_gather_position(const ptf_gather *g, double index)
{
    double size = (double)g->positions;
    if (!(index >= (g->wraps ? -size : 0) && index < size))
        return -1;
    int64_t position = (int64_t)index;
    double whole = (double)position;
    if (whole < index || whole > index)
        return -1;
    return position < 0 ? position + g->positions : position;
}

/*
 * How an argsort goes over a sample of that shape: lines of 'size' positions
 * along its axis, 'inner' numbers apart, of which 'k' come first.
 */
typedef struct ptf_sorting {
    int64_t outer, size, inner, k;
    bool descending;
} ptf_sorting;

ptf_sorting ptf_op_sorting(const ptf_attrs *attrs, const ptf_shape *in);

/*
 * One axis of an op whose results are sums over positions of its operand, axis
 * by axis: position i of the result has taps begin[i] .. begin[i + 1] - 1, each
 * a position of the operand and what it is multiplied with.  A pad has one tap
 * of weight 1, or none where its constant is; so has an upsample to the
 * nearest.
 */
typedef struct ptf_axis_taps {
    int64_t in, out; /* positions */
    int64_t *begin, *index;
    double *weight;
    float *rounded; /* the same */
} ptf_axis_taps;

/* Of a sample; axes before 'first' are as they were. */
typedef struct ptf_taps {
    int first, rank;
    ptf_axis_taps axes[PTF_SHAPE_MAX];
} ptf_taps;

/*
 * The taps of a pad or an upsample, for shapes such as its rule gives, and
 * transposed: those of the operand in the result, in the result's order.  False
 * when out of memory.
 */
bool ptf_op_taps(ptf_arena *arena, ptf_op op, const ptf_attrs *attrs,
                 const ptf_shape *in, const ptf_shape *out, ptf_taps *taps);
bool ptf_taps_transpose(ptf_arena *arena, const ptf_taps *taps, ptf_taps *out);

/* How many taps that axis has in all. */
int64_t ptf_op_tap_count(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         const ptf_shape *out, int axis);

/* True when the op moves numbers, and multiplies and adds none. */
bool ptf_op_moves(ptf_op op, const ptf_attrs *attrs);

/*
 * How a norm cuts a sample of that shape: into groups of n numbers that lie
 * side by side, each of which is normalised by itself.  Number i of the sample
 * has weight i / inner % weights.
 */
typedef struct ptf_norm_cut {
    int64_t n, weights, inner;
    bool centred; /* around 0; an RMS norm is not */
} ptf_norm_cut;

ptf_norm_cut ptf_op_norm_cut(ptf_op op, const ptf_attrs *attrs,
                             const ptf_shape *in);

/*
 * Which axes of a sample a reduction goes over, for operands of that rank
 * without the batch; false when it cannot.
 */
bool ptf_reduced_axes(const ptf_attrs *attrs, int rank,
                      bool reduced[PTF_SHAPE_MAX]);

#endif
