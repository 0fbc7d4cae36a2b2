/*
 * The attributes that PyTorch prints for each op, in its order, and the reader
 * that follows this table.
 *
 * Some attributes are written by hand or by ptfold only.  Average pools print
 * neither ceil_mode nor count_include_pad; both can be added to the text, and
 * the second one must be when there is padding.  Their divisor_override is not
 * printed either, and taken as absent where nothing is said.  scale_shift=True
 * says that a rewrite put a scale and a shift per channel after the sum.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/attrs.h"
#include "op/number.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

#define AT(member) offsetof(ptf_attrs, member)

enum {
    STATED = PTF_FIELD_REQUIRED | PTF_FIELD_ALWAYS,
    TOLD = PTF_FIELD_TOLD,
    BRIEF = PTF_FIELD_BRIEF,
};

#define INT   PTF_FIELD_KIND_INT
#define SIZES PTF_FIELD_KIND_SIZES
#define FLOAT PTF_FIELD_KIND_FLOAT
#define BOOL  PTF_FIELD_KIND_BOOL
#define LIST  PTF_FIELD_KIND_LIST

static const ptf_field fields_none[] = {{0}};

static const ptf_field fields_conv[] = {
    {"in_channels", INT, STATED | PTF_FIELD_POSITIONAL | TOLD,
     .at = AT(in_channels), .minimum = 1},
    {"out_channels", INT, STATED | PTF_FIELD_POSITIONAL | TOLD,
     .at = AT(out_channels), .minimum = 1},
    {"kernel_size", SIZES, STATED | PTF_FIELD_TUPLE | TOLD, .at = AT(kernel),
     .minimum = 1},
    {"stride", SIZES, STATED | PTF_FIELD_TUPLE | BRIEF, .at = AT(stride),
     .minimum = 1},
    {"padding", PTF_FIELD_KIND_PADDING, PTF_FIELD_TUPLE, .at = AT(padding)},
    {"dilation", SIZES, PTF_FIELD_TUPLE, .at = AT(dilation), .minimum = 1},
    {"groups", INT, 0, .at = AT(groups), .minimum = 1},
    {"bias", BOOL, TOLD, .at = AT(has_bias)},
    {"padding_mode", PTF_FIELD_KIND_MODE, .flags = 0},
    {"scale_shift", BOOL, TOLD, .at = AT(scale_shift)},
    {0},
};

static const ptf_field fields_conv_transpose[] = {
    {"in_channels", INT, STATED | PTF_FIELD_POSITIONAL | TOLD,
     .at = AT(in_channels), .minimum = 1},
    {"out_channels", INT, STATED | PTF_FIELD_POSITIONAL | TOLD,
     .at = AT(out_channels), .minimum = 1},
    {"kernel_size", SIZES, STATED | PTF_FIELD_TUPLE | TOLD, .at = AT(kernel),
     .minimum = 1},
    {"stride", SIZES, STATED | PTF_FIELD_TUPLE | BRIEF, .at = AT(stride),
     .minimum = 1},
    {"padding", SIZES, PTF_FIELD_TUPLE, .at = AT(padding)},
    {"dilation", SIZES, PTF_FIELD_TUPLE, .at = AT(dilation), .minimum = 1},
    {"output_padding", SIZES, PTF_FIELD_TUPLE, .at = AT(output_padding)},
    {"groups", INT, 0, .at = AT(groups), .minimum = 1},
    {"bias", BOOL, TOLD, .at = AT(has_bias)},
    {"padding_mode", PTF_FIELD_KIND_MODE, .flags = 0},
    {"scale_shift", BOOL, TOLD, .at = AT(scale_shift)},
    {0},
};

static const ptf_field fields_linear[] = {
    {"in_features", INT, STATED | TOLD, .at = AT(in_channels), .minimum = 1},
    {"out_features", INT, STATED | TOLD, .at = AT(out_channels), .minimum = 1},
    {"bias", BOOL, PTF_FIELD_ALWAYS | TOLD, .at = AT(has_bias)},
    {"scale_shift", BOOL, TOLD, .at = AT(scale_shift)},
    {0},
};

static const ptf_field fields_batchnorm[] = {
    {"num_features", INT, STATED | PTF_FIELD_POSITIONAL | TOLD,
     .at = AT(in_channels), .minimum = 1},
    {"eps", FLOAT, STATED | BRIEF, .at = AT(eps), .otherwise = 1e-5},
    {"momentum", FLOAT, STATED | BRIEF, .at = AT(momentum), .otherwise = 0.1,
     .none_at = AT(momentum_none)},
    {"affine", BOOL, STATED | TOLD, .at = AT(affine)},
    {"bias", BOOL, TOLD, .at = AT(has_bias)},
    {"track_running_stats", BOOL, PTF_FIELD_ALWAYS | TOLD,
     .at = AT(track_running_stats)},
    {0},
};

static const ptf_field fields_layer_norm[] = {
    {"normalized_shape", LIST, STATED | PTF_FIELD_POSITIONAL | TOLD,
     .at = AT(size), .minimum = 1},
    {"eps", FLOAT, STATED | BRIEF, .at = AT(eps), .otherwise = 1e-5},
    {"elementwise_affine", BOOL, STATED | TOLD, .at = AT(affine)},
    {"bias", BOOL, TOLD, .at = AT(has_bias)},
    {0},
};

static const ptf_field fields_group_norm[] = {
    {"num_groups", INT, STATED | PTF_FIELD_POSITIONAL, .at = AT(groups),
     .minimum = 1},
    {"num_channels", INT, STATED | PTF_FIELD_POSITIONAL | TOLD,
     .at = AT(in_channels), .minimum = 1},
    {"eps", FLOAT, STATED | BRIEF, .at = AT(eps), .otherwise = 1e-5},
    {"affine", BOOL, STATED | TOLD, .at = AT(affine)},
    {"bias", BOOL, TOLD, .at = AT(has_bias)},
    {0},
};

static const ptf_field fields_rms_norm[] = {
    {"normalized_shape", LIST, STATED | PTF_FIELD_POSITIONAL | TOLD,
     .at = AT(size), .minimum = 1},
    {"eps", FLOAT, STATED, .at = AT(eps), .otherwise = 1e-5,
     .none_at = AT(eps_none)},
    {"elementwise_affine", BOOL, STATED | TOLD, .at = AT(affine)},
    {0},
};

static const ptf_field fields_maxpool[] = {
    {"kernel_size", SIZES, STATED, .at = AT(kernel), .minimum = 1},
    {"stride", SIZES, STATED, .at = AT(stride), .minimum = 1},
    {"padding", SIZES, STATED, .at = AT(padding)},
    {"dilation", SIZES, STATED, .at = AT(dilation), .minimum = 1},
    {"ceil_mode", BOOL, STATED, .at = AT(ceil_mode)},
    {0},
};

/* The others print one number for all axes, and have a divisor. */
static const ptf_field fields_avgpool1d[] = {
    {"kernel_size", SIZES, STATED | PTF_FIELD_TUPLE, .at = AT(kernel),
     .minimum = 1},
    {"stride", SIZES, STATED | PTF_FIELD_TUPLE, .at = AT(stride), .minimum = 1},
    {"padding", SIZES, STATED | PTF_FIELD_TUPLE, .at = AT(padding)},
    {"ceil_mode", BOOL, 0, .at = AT(ceil_mode),
     .unspecified_at = AT(ceil_mode_unspecified)},
    {"count_include_pad", BOOL, 0, .at = AT(count_include_pad),
     .unspecified_at = AT(count_include_pad_unspecified)},
    {0},
};

static const ptf_field fields_avgpool[] = {
    {"kernel_size", SIZES, STATED, .at = AT(kernel), .minimum = 1},
    {"stride", SIZES, STATED, .at = AT(stride), .minimum = 1},
    {"padding", SIZES, STATED, .at = AT(padding)},
    {"ceil_mode", BOOL, 0, .at = AT(ceil_mode),
     .unspecified_at = AT(ceil_mode_unspecified)},
    {"count_include_pad", BOOL, 0, .at = AT(count_include_pad),
     .unspecified_at = AT(count_include_pad_unspecified)},
    {"divisor_override", INT, PTF_FIELD_NONE_IS_0, .at = AT(divisor),
     .minimum = 1},
    {0},
};

static const ptf_field fields_adaptive[] = {
    {"output_size", SIZES, STATED | PTF_FIELD_NONE_IS_0, .at = AT(output_size),
     .minimum = 1},
    {0},
};

static const ptf_field fields_relu[] = {
    {"inplace", BOOL, 0, .at = AT(inplace)},
    {0},
};

static const ptf_field fields_leaky_relu[] = {
    {"negative_slope", FLOAT, STATED, .at = AT(p[0]), .otherwise = 0.01},
    {"inplace", BOOL, 0, .at = AT(inplace)},
    {0},
};

static const ptf_field fields_softplus[] = {
    {"beta", FLOAT, STATED | PTF_FIELD_DIVISOR, .at = AT(p[0]),
     .otherwise = 1.0},
    {"threshold", FLOAT, STATED, .at = AT(p[1]), .otherwise = 20.0},
    {0},
};

static const ptf_field fields_hardtanh[] = {
    {"min_val", FLOAT, STATED, .at = AT(p[0]), .otherwise = -1.0},
    {"max_val", FLOAT, STATED, .at = AT(p[1]), .otherwise = 1.0},
    {"inplace", BOOL, 0, .at = AT(inplace)},
    {0},
};

static const ptf_field fields_gelu[] = {
    {"approximate", PTF_FIELD_KIND_WORD, PTF_FIELD_ALWAYS, .at = AT(p[0]),
     .words = {"none", "tanh"}},
    {0},
};

static const ptf_field fields_elu[] = {
    {"alpha", FLOAT, STATED, .at = AT(p[0]), .otherwise = 1.0},
    {"inplace", BOOL, 0, .at = AT(inplace)},
    {0},
};

static const ptf_field fields_pow[] = {
    {"exponent", FLOAT, STATED, .at = AT(p[0]), .otherwise = 1.0},
    {0},
};

static const ptf_field fields_clamp[] = {
    {"min", FLOAT, 0, .at = AT(p[0]), .otherwise = -HUGE_VAL},
    {"max", FLOAT, 0, .at = AT(p[1]), .otherwise = HUGE_VAL},
    {0},
};

static const ptf_field fields_celu[] = {
    {"alpha", FLOAT, STATED | PTF_FIELD_DIVISOR, .at = AT(p[0]),
     .otherwise = 1.0},
    {"inplace", BOOL, 0, .at = AT(inplace)},
    {0},
};

static const ptf_field fields_threshold[] = {
    {"threshold", FLOAT, STATED, .at = AT(p[0])},
    {"value", FLOAT, STATED, .at = AT(p[1])},
    {"inplace", BOOL, 0, .at = AT(inplace)},
    {0},
};

static const ptf_field fields_softmax[] = {
    {"dim", INT, STATED, .at = AT(dim), .minimum = -8, .none_at = AT(dim_none)},
    {0},
};

static const ptf_field fields_concat[] = {
    {"dim", INT, STATED, .at = AT(dim), .minimum = -8},
    {0},
};

static const ptf_field fields_size[] = {
    {"size", LIST, STATED, .at = AT(size), .minimum = -1},
    {0},
};

static const ptf_field fields_permute[] = {
    {"dims", LIST, STATED, .at = AT(dims), .minimum = -8},
    {0},
};

static const ptf_field fields_slice[] = {
    {"dim", INT, STATED, .at = AT(dim), .minimum = -8},
    {"start", INT, STATED, .at = AT(start), .minimum = -INT32_MAX},
    {"step", INT, 0, .at = AT(step), .minimum = -INT32_MAX},
    {"length", INT, 0, .at = AT(length)},
    {0},
};

static const ptf_field fields_argsort[] = {
    {"dim", INT, STATED, .at = AT(dim), .minimum = -8},
    {"descending", BOOL, 0, .at = AT(descending)},
    {"k", INT, 0, .at = AT(length)},
    {0},
};

static const ptf_field fields_reduce[] = {
    {"dims", LIST, STATED, .at = AT(dims), .minimum = -8},
    {"keepdim", BOOL, 0, .at = AT(keepdim)},
    {0},
};

static const ptf_field fields_pad[] = {
    {"padding", PTF_FIELD_KIND_PADS, STATED | PTF_FIELD_POSITIONAL,
     .at = AT(pads), .minimum = -INT32_MAX},
    {"mode", PTF_FIELD_KIND_WORD, 0, .at = AT(p[1]),
     .words = {"constant", "reflect", "replicate", "circular"}},
    {"value", FLOAT, PTF_FIELD_SPECIAL, .at = AT(p[0])},
    {0},
};

static const ptf_field fields_upsample[] = {
    {"size", LIST, PTF_FIELD_OR_NONE, .at = AT(size), .minimum = 1},
    {"scale_factor", PTF_FIELD_KIND_FACTORS, PTF_FIELD_OR_NONE,
     .at = AT(scale)},
    {"mode", PTF_FIELD_KIND_WORD, PTF_FIELD_ALWAYS, .at = AT(p[0]),
     .words = {"nearest", "nearest-exact", "linear", "bilinear", "trilinear",
               "bicubic"}},
    {"align_corners", BOOL, PTF_FIELD_OR_NONE, .at = AT(align_corners),
     .unspecified_at = AT(align_corners_unspecified)},
    {"recompute_scale_factor", BOOL, PTF_FIELD_OR_NONE,
     .at = AT(recompute_scale_factor),
     .unspecified_at = AT(recompute_scale_factor_unspecified)},
    {"antialias", BOOL, 0, .at = AT(antialias)},
    {0},
};

static const ptf_field fields_variance[] = {
    {"dims", LIST, STATED, .at = AT(dims), .minimum = -8},
    {"correction", FLOAT, STATED | BRIEF, .at = AT(p[0]), .otherwise = 1.0},
    {"keepdim", BOOL, 0, .at = AT(keepdim)},
    {0},
};

static const ptf_field fields_flatten[] = {
    {"start_dim", INT, STATED, .at = AT(start_dim), .minimum = -8},
    {"end_dim", INT, STATED, .at = AT(end_dim), .minimum = -8},
    {0},
};

static const ptf_field fields_dropout[] = {
    {"p", FLOAT, STATED, .at = AT(p[0]), .otherwise = 0.5},
    {"inplace", BOOL, PTF_FIELD_ALWAYS, .at = AT(inplace)},
    {0},
};

const ptf_field *const ptf_op_fields[PTF_OP_COUNT] = {
#define OP(id, name, class_name, family, attributes) \
    [PTF_OP_##id] = fields_##attributes,
#include "op/ops.inc"
#undef OP
};

void ptf_attrs_default(ptf_op op, ptf_attrs *out)
{
    *out = (ptf_attrs){
        .kernel = {1, 1, 1},
        .stride = {1, 1, 1},
        .dilation = {1, 1, 1},
        .groups = 1,
        .has_bias = true,
        .affine = true,
        .track_running_stats = true,
        .count_include_pad = true,
        .start_dim = 1,
        .end_dim = -1,
        .step = 1,
    };
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        if (f->unspecified_at != 0)
            *(bool *)((char *)out + f->unspecified_at) = true;
        if (f->kind == FLOAT)
            *(double *)(void *)((char *)out + f->at) = f->otherwise;
    }
}

/* ----------------------------------------------------------------- reading */

static ptf_text_span span_trim(ptf_text_span s)
{
    while (s.size > 0 && s.text[0] == ' ')
        s = (ptf_text_span){s.text + 1, s.size - 1};
    while (s.size > 0 && s.text[s.size - 1] == ' ')
        s.size--;
    return s;
}

/* 'same' and "same" are same; torch quotes words since 2.0. */
static ptf_text_span span_unquote(ptf_text_span s)
{
    bool quoted = s.size >= 2 && (s.text[0] == '\'' || s.text[0] == '"') &&
                  s.text[s.size - 1] == s.text[0];
    return quoted ? (ptf_text_span){s.text + 1, s.size - 2} : s;
}

/*
 * Cuts the piece up to the next comma outside parentheses off the front of
 * *rest.  False when parentheses do not match.
 */
static bool take_item(ptf_text_span *rest, ptf_text_span *item)
{
    int depth = 0;
    size_t i = 0;
    for (; i < rest->size && (depth > 0 || rest->text[i] != ','); i++) {
        depth += rest->text[i] == '(';
        depth -= rest->text[i] == ')';
        if (depth < 0)
            return false;
    }
    *item = span_trim((ptf_text_span){rest->text, i});
    size_t used = i < rest->size ? i + 1 : i;
    *rest = (ptf_text_span){rest->text + used, rest->size - used};
    return depth == 0;
}

/* Integers stay far below the limits of 64 bits, so that sums cannot wrap. */
static bool parse_int(const ptf_field *f, ptf_text_span s, int64_t *out)
{
    bool negative = s.size > 0 && s.text[0] == '-';
    size_t i = negative ? 1 : 0;
    int64_t value = 0;
    if (i == s.size)
        return false;
    for (; i < s.size; i++) {
        if (s.text[i] < '0' || s.text[i] > '9' || value > INT32_MAX / 10)
            return false;
        value = 10 * value + (s.text[i] - '0');
    }
    *out = negative ? -value : value;
    return value <= INT32_MAX && *out >= f->minimum;
}

/* None is 0. */
static bool parse_element(const ptf_field *f, ptf_text_span s, int64_t *out)
{
    if ((f->flags & PTF_FIELD_NONE_IS_0) != 0 && ptf_span_is(s, "None")) {
        *out = 0;
        return true;
    }
    return parse_int(f, s, out);
}

/* "(1, 2)" or "(1,)" or "1": up to 'most' integers; how many, -1 when wrong. */
static int parse_tuple(const ptf_field *f, ptf_text_span s, int most,
                       int64_t *out)
{
    if (s.size < 2 || s.text[0] != '(')
        return parse_element(f, s, &out[0]) ? 1 : -1;
    if (s.text[s.size - 1] != ')')
        return -1;
    ptf_text_span rest = {s.text + 1, s.size - 2};
    int count = 0;
    while (rest.size > 0) {
        ptf_text_span item;
        if (count == most || !take_item(&rest, &item) ||
            !parse_element(f, item, &out[count]))
            return -1;
        count++;
    }
    return count;
}

static bool is_none(const ptf_field *f, ptf_text_span s)
{
    return (f->flags & PTF_FIELD_OR_NONE) != 0 && ptf_span_is(s, "None");
}

static bool parse_list(const ptf_field *f, ptf_text_span s, ptf_list *out)
{
    *out = (ptf_list){0};
    if (!is_none(f, s))
        out->count = parse_tuple(f, s, PTF_SHAPE_MAX, out->at);
    return out->count >= 0;
}

static bool parse_pads(const ptf_field *f, ptf_text_span s, ptf_pads *out)
{
    *out = (ptf_pads){0};
    out->count = parse_tuple(f, s, PTF_ARRAY_SIZE(out->at), out->at);
    return out->count >= 0;
}

/* A number for each axis that the op has, or one that stands for all. */
static bool parse_sizes(ptf_op op, const ptf_field *f, ptf_text_span s,
                        int64_t out[PTF_MAP_AXES])
{
    int64_t value[PTF_MAP_AXES] = {0};
    int axes = ptf_op_map_axes(op), count = parse_tuple(f, s, axes, value);
    bool tuple = s.size > 0 && s.text[0] == '(';
    if (count < 1 || (tuple && count != axes))
        return false;
    for (int i = 0; i < axes; i++)
        out[PTF_MAP_AXES - axes + i] = value[count > 1 ? i : 0];
    return true;
}

static bool parse_padding(ptf_op op, const ptf_field *f, ptf_text_span s,
                          ptf_attrs *out)
{
    ptf_text_span word = span_unquote(s);
    out->padding_text = ptf_span_is(word, "same")    ? "same"
                        : ptf_span_is(word, "valid") ? "valid"
                                                     : NULL;
    return out->padding_text != NULL || parse_sizes(op, f, s, out->padding);
}

static bool parse_special(ptf_text_span s, double *out)
{
    *out = ptf_span_is(s, "inf")    ? HUGE_VAL
           : ptf_span_is(s, "-inf") ? -HUGE_VAL
                                    : (double)NAN;
    return !isnan(*out) || ptf_span_is(s, "nan");
}

/* What is divided by is a number that f32 holds with all its bits. */
static bool parse_float(const ptf_field *f, ptf_text_span s, double *out)
{
    if ((f->flags & PTF_FIELD_SPECIAL) != 0 && parse_special(s, out))
        return true;
    if (!ptf_number_parse(s.text, s.size, out))
        return false;
    double size = fabs(*out);
    return (f->flags & PTF_FIELD_DIVISOR) == 0 ||
           (size >= (double)FLT_MIN && size <= (double)FLT_MAX);
}

static bool parse_word(const ptf_field *f, ptf_text_span s, double *out)
{
    int i = 0;
    while (f->words[i] != NULL && !ptf_span_is(span_unquote(s), f->words[i]))
        i++;
    *out = i;
    return f->words[i] != NULL;
}

static bool parse_bool(const ptf_field *f, ptf_text_span s, bool *out)
{
    *out = ptf_span_is(s, "True");
    return *out || ptf_span_is(s, "False") || is_none(f, s);
}

/* "(2.0, 1.5)" or "2.0". */
static bool parse_factors(const ptf_field *f, ptf_text_span s, ptf_factors *out)
{
    *out = (ptf_factors){0};
    if (is_none(f, s))
        return true;
    if (s.size > 1 && s.text[0] == '(' && s.text[s.size - 1] == ')')
        s = (ptf_text_span){s.text + 1, s.size - 2};
    while (s.size > 0) {
        ptf_text_span item;
        if (out->count == PTF_MAP_AXES || !take_item(&s, &item) ||
            !parse_float(f, item, &out->at[out->count++]))
            return false;
    }
    return true;
}

/* Modes other than zeros are refused only where something is padded. */
static bool parse_mode(ptf_text_span mode, ptf_attrs *out)
{
    static const struct {
        const char *name, *refused;
    } modes[] = {
        {"zeros", NULL},
        {"reflect", "padding_mode=reflect, which ptfold does not support"},
        {"replicate", "padding_mode=replicate, which ptfold does not support"},
        {"circular", "padding_mode=circular, which ptfold does not support"},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(modes); i++) {
        if (!ptf_span_is(mode, modes[i].name))
            continue;
        out->padding_refused = modes[i].refused;
        return true;
    }
    return false;
}

static void *member(ptf_attrs *attrs, size_t at)
{
    return (char *)attrs + at;
}

bool ptf_field_parse(ptf_op op, const ptf_field *f, ptf_text_span s,
                     ptf_attrs *attrs)
{
    void *out = member(attrs, f->at);
    if (f->unspecified_at != 0)
        *(bool *)member(attrs, f->unspecified_at) = false;
    if (f->none_at != 0 && ptf_span_is(s, "None")) {
        *(bool *)member(attrs, f->none_at) = true;
        return true;
    }
    switch (f->kind) {
    case PTF_FIELD_KIND_INT: return parse_element(f, s, out);
    case PTF_FIELD_KIND_SIZES: return parse_sizes(op, f, s, out);
    case PTF_FIELD_KIND_PADDING: return parse_padding(op, f, s, attrs);
    case PTF_FIELD_KIND_FLOAT: return parse_float(f, s, out);
    case PTF_FIELD_KIND_WORD: return parse_word(f, s, out);
    case PTF_FIELD_KIND_BOOL: return parse_bool(f, s, out);
    case PTF_FIELD_KIND_LIST: return parse_list(f, s, out);
    case PTF_FIELD_KIND_PADS: return parse_pads(f, s, out);
    case PTF_FIELD_KIND_FACTORS: return parse_factors(f, s, out);
    case PTF_FIELD_KIND_MODE: return parse_mode(span_unquote(s), attrs);
    }
    return false;
}

/* The row that an item is for: by name, or the n-th positional one. */
static const ptf_field *find_field(ptf_op op, ptf_text_span name, int position)
{
    int at = 0;
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        bool here = at++ == position && (f->flags & PTF_FIELD_POSITIONAL) != 0;
        if (name.size == 0 ? here : ptf_span_is(name, f->name))
            return f;
    }
    return NULL;
}

const ptf_field *ptf_field_find(ptf_op op, ptf_text_span name)
{
    return name.size > 0 ? find_field(op, name, -1) : NULL;
}

/* "stride=2" into name and value; the name is empty when there is no '='. */
static void split_item(ptf_text_span item, ptf_text_span *name,
                       ptf_text_span *value)
{
    const char *equals =
        item.size > 0 ? memchr(item.text, '=', item.size) : NULL;
    size_t n = equals != NULL ? (size_t)(equals - item.text) : 0;
    size_t skip = equals != NULL ? n + 1 : 0;
    *name = span_trim((ptf_text_span){item.text, n});
    *value = span_trim((ptf_text_span){item.text + skip, item.size - skip});
}

/* The part of a piece of the text that a message shows. */
static int shown(ptf_text_span s)
{
    return s.size < 60 ? (int)s.size : 60;
}

static const char *parse_item(ptf_op op, ptf_text_span item, int position,
                              uint64_t *seen, ptf_attrs *out, char message[256])
{
    ptf_text_span name, value;
    split_item(item, &name, &value);
    const ptf_field *f = find_field(op, name, position);
    const char *class_name = ptf_op_class(op);
    if (f == NULL) {
        snprintf(message, 256, "%s with '%.*s', which ptfold does not know",
                 class_name, shown(item), item.text);
        return message;
    }
    uint64_t bit = (uint64_t)1 << (f - ptf_op_fields[op]);
    if ((*seen & bit) != 0) {
        snprintf(message, 256, "%s states %s twice", class_name, f->name);
        return message;
    }
    *seen |= bit;
    if (ptf_field_parse(op, f, value, out))
        return NULL;
    snprintf(message, 256, "%s with %s=%.*s, which ptfold does not support",
             class_name, f->name, shown(value), value.text);
    return message;
}

static const char *find_missing(ptf_op op, uint64_t seen, char message[256])
{
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        bool is_there = (seen >> (f - ptf_op_fields[op]) & 1) != 0;
        if ((f->flags & PTF_FIELD_REQUIRED) != 0 && !is_there) {
            snprintf(message, 256, "%s does not state %s", ptf_op_class(op),
                     f->name);
            return message;
        }
    }
    return NULL;
}

static const char *settle(ptf_op op, ptf_attrs *attrs, char message[256])
{
    const char *wrong = ptf_op_settle(op, attrs);
    if (wrong == NULL)
        return NULL;
    snprintf(message, 256, "%s with %s", ptf_op_class(op), wrong);
    return message;
}

static const char *parse_items(ptf_op op, ptf_text_span rest, uint64_t *seen,
                               ptf_attrs *out, char message[256])
{
    *seen = 0;
    rest = span_trim(rest);
    for (int i = 0; rest.size > 0; i++) {
        ptf_text_span item;
        if (!take_item(&rest, &item)) {
            snprintf(message, 256, "parentheses that do not match");
            return message;
        }
        const char *wrong = parse_item(op, item, i, seen, out, message);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

const char *ptf_attrs_parse(ptf_op op, const char *implied, const char *text,
                            size_t size, ptf_attrs *out, char message[256])
{
    uint64_t seen;
    ptf_attrs_default(op, out);
    const char *wrong = parse_items(
        op, (ptf_text_span){implied, strlen(implied)}, &seen, out, message);
    if (wrong == NULL)
        wrong =
            parse_items(op, (ptf_text_span){text, size}, &seen, out, message);
    if (wrong == NULL)
        wrong = find_missing(op, seen, message);
    return wrong != NULL ? wrong : settle(op, out, message);
}
