/*
 * The ops: names, shape rules, parameters.  Formulas are those of the PyTorch
 * documentation of each module (torch.nn).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/op.h"

/* ------------------------------------------------------------- shape rules */

/* Reasons that have a count to show: ptf_op_refusal() makes them sentences. */
static const char not_channels[] = "channels";
static const char not_features[] = "features";
static const char not_3d[] = "it takes channels x height x width";
static const char not_2d[] = "it takes channels x length";
static const char not_flat[] = "it takes a flat list of features";

static const char *same_shape(const ptf_attrs *attrs, const ptf_shape *in,
                              ptf_shape *out)
{
    (void)attrs;
    *out = *in;
    return NULL;
}

/*
 * Positions of a window along axis i (0 height, 1 width) of 'size' numbers; 0
 * when it does not fit.  With ceil_mode a last, partial window counts if it
 * starts inside the input or its left padding.
 */
static int64_t window_count(const ptf_attrs *a, int i, int64_t size)
{
    int64_t extent = a->dilation[i] * (a->kernel[i] - 1) + 1;
    int64_t room = size + 2 * a->padding[i] - extent;
    if (room < 0)
        return 0;
    int64_t count = room / a->stride[i] + 1;
    if (a->ceil_mode && room % a->stride[i] != 0 &&
        count * a->stride[i] < size + a->padding[i])
        count++;
    return count;
}

static const char *conv_shape(const ptf_attrs *attrs, const ptf_shape *in,
                              ptf_shape *out)
{
    if (in->dim[0] != attrs->in_channels)
        return not_channels;
    *out = *in;
    out->dim[0] = attrs->out_channels;
    for (int d = 1; d < in->rank; d++) {
        int axis = d + 2 - in->rank; /* width is the last */
        out->dim[d] = window_count(attrs, axis, in->dim[d]);
        if (out->dim[d] == 0)
            return "its kernel is larger than its input";
    }
    return NULL;
}

static const char *conv1d_shape(const ptf_attrs *attrs, const ptf_shape *in,
                                ptf_shape *out)
{
    if (in->rank != 2)
        return not_2d;
    return conv_shape(attrs, in, out);
}

static const char *conv2d_shape(const ptf_attrs *attrs, const ptf_shape *in,
                                ptf_shape *out)
{
    return in->rank != 3 ? not_3d : conv_shape(attrs, in, out);
}

static const char *batchnorm1d_shape(const ptf_attrs *attrs,
                                     const ptf_shape *in, ptf_shape *out)
{
    if (in->rank != 1 && in->rank != 2)
        return "it takes features, or channels x length";
    *out = *in;
    return in->dim[0] != attrs->in_channels ? not_channels : NULL;
}

static const char *batchnorm2d_shape(const ptf_attrs *attrs,
                                     const ptf_shape *in, ptf_shape *out)
{
    if (in->rank != 3)
        return not_3d;
    *out = *in;
    return in->dim[0] != attrs->in_channels ? not_channels : NULL;
}

static const char *linear_shape(const ptf_attrs *attrs, const ptf_shape *in,
                                ptf_shape *out)
{
    if (in->rank != 1)
        return not_flat;
    *out = (ptf_shape){1, {attrs->out_channels}};
    return in->dim[0] != attrs->in_channels ? not_features : NULL;
}

static const char *softmax_shape(const ptf_attrs *attrs, const ptf_shape *in,
                                 ptf_shape *out)
{
    *out = *in;
    int axis = ptf_softmax_axis(attrs, in->rank + 1);
    if (axis < 0)
        return "its input has no such dimension";
    return axis == 0 ? "it would mix the samples of a batch" : NULL;
}

static const char *pool_shape(const ptf_attrs *attrs, const ptf_shape *in,
                              ptf_shape *out)
{
    if (in->rank != 3)
        return not_3d;
    *out = *in;
    for (int i = 0; i < 2; i++) {
        out->dim[i + 1] = window_count(attrs, i, in->dim[i + 1]);
        if (out->dim[i + 1] == 0)
            return "its window is larger than its input";
    }
    return NULL;
}

static const char *avgpool_shape(const ptf_attrs *attrs, const ptf_shape *in,
                                 ptf_shape *out)
{
    const char *wrong = pool_shape(attrs, in, out);
    if (wrong != NULL || !attrs->ceil_mode_unspecified)
        return wrong;
    for (int i = 0; i < 2; i++) {
        int64_t room =
            in->dim[i + 1] + 2 * attrs->padding[i] - attrs->kernel[i];
        if (room % attrs->stride[i] != 0)
            return "its windows do not divide its input, and PyTorch does not "
                   "print what happens then; add ceil_mode=False (the default) "
                   "or ceil_mode=True to the text";
    }
    return NULL;
}

static const char *adaptive_shape(const ptf_attrs *attrs, const ptf_shape *in,
                                  ptf_shape *out)
{
    if (in->rank != 3)
        return not_3d;
    *out = *in;
    for (int i = 0; i < 2; i++) {
        if (attrs->output_size[i] > 0)
            out->dim[i + 1] = attrs->output_size[i];
    }
    return NULL;
}

/* Dimension 'dim' of 'rank', counted from the end when negative; or -1. */
static int axis_of(int64_t dim, int rank)
{
    int64_t axis = dim < 0 ? dim + rank : dim;
    return axis < 0 || axis >= rank ? -1 : (int)axis;
}

static const char *flatten_shape(const ptf_attrs *attrs, const ptf_shape *in,
                                 ptf_shape *out)
{
    int first = axis_of(attrs->start_dim, in->rank + 1);
    int last = axis_of(attrs->end_dim, in->rank + 1);
    if (first < 0 || last < first)
        return "its input has no such dimensions";
    if (first == 0 && last > 0)
        return "it would mix the samples of a batch";
    *out = (ptf_shape){0, {0}};
    for (int d = 1; d <= in->rank; d++) {
        int64_t size = in->dim[d - 1];
        if (d <= first || d > last)
            out->dim[out->rank++] = size;
        else if (!ptf_mul_i64(out->dim[out->rank - 1], size,
                              &out->dim[out->rank - 1]))
            return "its output is too large";
    }
    return NULL;
}

/* --------------------------------------------------------------- the table */

static const ptf_op_row op_table[PTF_OP_COUNT] = {
    [PTF_OP_INPUT] = {"Input", .shape = same_shape, .elementwise = true,
                      .identity = true},
    [PTF_OP_CONV1D] = {"Conv1d", .shape = conv1d_shape, .weighted = true,
                       .rank = 3},
    [PTF_OP_CONV2D] = {"Conv2d", .shape = conv2d_shape, .weighted = true,
                       .rank = 4},
    [PTF_OP_BATCHNORM1D] = {"BatchNorm1d", .shape = batchnorm1d_shape,
                            .elementwise = true, .norm = true},
    [PTF_OP_BATCHNORM2D] = {"BatchNorm2d", .shape = batchnorm2d_shape,
                            .elementwise = true, .norm = true, .rank = 4},
    [PTF_OP_LINEAR] = {"Linear", .shape = linear_shape, .weighted = true,
                       .rank = 2},
    [PTF_OP_RELU] = {"ReLU", .shape = same_shape, .elementwise = true},
    [PTF_OP_LEAKY_RELU] = {"LeakyReLU", .shape = same_shape,
                           .elementwise = true},
    [PTF_OP_SIGMOID] = {"Sigmoid", .shape = same_shape, .elementwise = true},
    [PTF_OP_TANH] = {"Tanh", .shape = same_shape, .elementwise = true},
    [PTF_OP_SOFTPLUS] = {"Softplus", .shape = same_shape, .elementwise = true},
    [PTF_OP_SOFTMAX] = {"Softmax", .shape = softmax_shape},
    [PTF_OP_MAXPOOL2D] = {"MaxPool2d", .shape = pool_shape, .rank = 4},
    [PTF_OP_AVGPOOL2D] = {"AvgPool2d", .shape = avgpool_shape, .rank = 4},
    [PTF_OP_ADAPTIVE_AVGPOOL2D] = {"AdaptiveAvgPool2d", .shape = adaptive_shape,
                                   .rank = 4},
    [PTF_OP_FLATTEN] = {"Flatten", .shape = flatten_shape},
    [PTF_OP_DROPOUT] = {"Dropout", .shape = same_shape, .elementwise = true,
                        .identity = true},
    [PTF_OP_IDENTITY] = {"Identity", .shape = same_shape, .elementwise = true,
                         .identity = true},
};

const ptf_op_row *ptf_op_info(ptf_op op)
{
    return &op_table[op];
}

/* Classes that are an op of the table under another name. */
static const struct {
    const char *class_name;
    ptf_op op;
} aliases[] = {
    {"Dropout1d", PTF_OP_DROPOUT},
    {"Dropout2d", PTF_OP_DROPOUT},
    {"SyncBatchNorm", PTF_OP_BATCHNORM2D}, /* or 1d: ptf_op_fit_rank() */
};

static bool name_is(const char *name, const char *text, size_t size)
{
    return strlen(name) == size && memcmp(name, text, size) == 0;
}

bool ptf_op_find(const char *class_name, size_t size, ptf_op *out)
{
    for (int op = PTF_OP_INPUT + 1; op < PTF_OP_COUNT; op++) {
        if (name_is(op_table[op].class_name, class_name, size)) {
            *out = (ptf_op)op;
            return true;
        }
    }
    for (size_t i = 0; i < PTF_ARRAY_SIZE(aliases); i++) {
        if (name_is(aliases[i].class_name, class_name, size)) {
            *out = aliases[i].op;
            return true;
        }
    }
    return false;
}

/* In evaluation it is a batch norm over all but the channels. */
ptf_op ptf_op_fit_rank(ptf_op op, const char *class_name, size_t size, int rank)
{
    bool any_rank = name_is("SyncBatchNorm", class_name, size);
    return any_rank && (rank == 2 || rank == 3) ? PTF_OP_BATCHNORM1D : op;
}

int ptf_softmax_axis(const ptf_attrs *attrs, int rank)
{
    if (attrs->dim_none)
        return rank == 1 || rank == 3 ? 0 : 1;
    return axis_of(attrs->dim, rank);
}

/* -------------------------------------------------------------- parameters */

static const char *const role_names[PTF_ROLE_COUNT] = {
    [PTF_ROLE_WEIGHT] = "weight",
    [PTF_ROLE_BIAS] = "bias",
    [PTF_ROLE_SCALE] = "scale",
    [PTF_ROLE_SHIFT] = "shift",
    [PTF_ROLE_RUNNING_MEAN] = "running_mean",
    [PTF_ROLE_RUNNING_VAR] = "running_var",
    [PTF_ROLE_NUM_BATCHES] = "num_batches_tracked",
};

const char *ptf_role_name(ptf_role role)
{
    return role_names[role];
}

static bool is_conv(ptf_op op)
{
    return op == PTF_OP_CONV1D || op == PTF_OP_CONV2D;
}

static bool has_parameter(ptf_op op, const ptf_attrs *attrs, ptf_role role)
{
    const ptf_op_row *row = ptf_op_info(op);
    bool weight = row->weighted || (row->norm && attrs->affine);
    switch (role) {
    case PTF_ROLE_WEIGHT: return weight;
    case PTF_ROLE_BIAS: return weight && attrs->has_bias;
    case PTF_ROLE_SCALE:
    case PTF_ROLE_SHIFT: return row->weighted && attrs->scale_shift;
    case PTF_ROLE_RUNNING_MEAN:
    case PTF_ROLE_RUNNING_VAR:
    case PTF_ROLE_NUM_BATCHES: return row->norm && attrs->track_running_stats;
    case PTF_ROLE_COUNT: break;
    }
    return false;
}

bool ptf_op_parameter(ptf_op op, const ptf_attrs *attrs, ptf_role role,
                      int *rank, int64_t shape[PTF_MAX_RANK])
{
    if (!has_parameter(op, attrs, role))
        return false;
    *rank = role == PTF_ROLE_NUM_BATCHES ? 0 : 1;
    shape[0] = attrs->out_channels;
    if (role != PTF_ROLE_WEIGHT || ptf_op_info(op)->norm)
        return true;
    shape[1] =
        is_conv(op) ? attrs->in_channels / attrs->groups : attrs->in_channels;
    *rank = 2;
    if (op == PTF_OP_CONV2D)
        shape[(*rank)++] = attrs->kernel[0];
    if (is_conv(op))
        shape[(*rank)++] = attrs->kernel[1];
    return true;
}

/* ------------------------------------------------------------------- kinds */

static const char *kind_of_linear(ptf_partial_shape in)
{
    if (in.rank == 3)
        return "a Linear on channels x length works along the length only, "
               "which ptfold does not do; put a Flatten before it";
    return in.rank == 4 ? "its input has to be flattened" : NULL;
}

static const char *kind_of_flatten(const ptf_attrs *attrs, ptf_partial_shape in,
                                   ptf_partial_shape *out)
{
    *out = (ptf_partial_shape){0, 0};
    if (in.rank == 0 && attrs->start_dim == 1 && attrs->end_dim == -1)
        *out = (ptf_partial_shape){2, 0};
    if (in.rank == 0)
        return NULL;
    int first = axis_of(attrs->start_dim, in.rank);
    int last = axis_of(attrs->end_dim, in.rank);
    if (first < 0 || last < first)
        return "its input has no such dimensions";
    if (first == 0 && last > 0)
        return "it would mix the samples of a batch";
    bool keeps_channels = first > 1 || last == first;
    *out = (ptf_partial_shape){in.rank - (last - first),
                               keeps_channels ? in.channels : 0};
    return NULL;
}

const char *ptf_op_partial_shape(ptf_op op, const ptf_attrs *attrs,
                                 ptf_partial_shape in, ptf_partial_shape *out)
{
    const ptf_op_row *row = ptf_op_info(op);
    int want = row->rank;
    bool counts = row->weighted || row->norm;
    if (op == PTF_OP_FLATTEN)
        return kind_of_flatten(attrs, in, out);
    if (op == PTF_OP_LINEAR && kind_of_linear(in) != NULL)
        return kind_of_linear(in);
    if (want != 0 && in.rank != 0 && in.rank != want)
        return want == 4 ? not_3d : want == 3 ? not_2d : not_flat;
    if (op == PTF_OP_SOFTMAX && in.rank != 0 &&
        ptf_softmax_axis(attrs, in.rank) <= 0)
        return "it would mix the samples of a batch, or its input has no such "
               "dimension";
    if (op == PTF_OP_BATCHNORM1D && in.rank == 4)
        return "it takes features, or channels x length";
    if (counts && in.channels != 0 && in.channels != attrs->in_channels)
        return op == PTF_OP_LINEAR ? not_features : not_channels;
    out->rank = want != 0 ? want : in.rank;
    out->channels = counts ? attrs->out_channels : in.channels;
    return NULL;
}

const char *ptf_op_refusal(const char *wrong, const ptf_attrs *attrs,
                           int64_t got, char text[PTF_REFUSAL_TEXT])
{
    if (wrong != not_channels && wrong != not_features)
        return wrong;
    snprintf(text, PTF_REFUSAL_TEXT,
             "expected %lld input %s, got %lld; check the input's size, and "
             "that forward() calls each module once, in this order, with "
             "nothing between",
             (long long)attrs->in_channels, wrong, (long long)got);
    return text;
}
