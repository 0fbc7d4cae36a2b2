/*
 * The attributes that PyTorch prints for each op, in its order, and the reader
 * that follows this table.
 *
 * Two attributes are written by hand or by ptfold only.  AvgPool2d prints
 * neither ceil_mode nor count_include_pad; both can be added to its text, and
 * the second one must be when there is padding.  scale_shift=True says that a
 * rewrite put a scale and a shift per channel behind the sum.  AvgPool2d's
 * divisor_override cannot be seen in any text and is taken as absent.
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
    CONV = 1U << PTF_OP_CONV1D | 1U << PTF_OP_CONV2D,
    LINEAR = 1U << PTF_OP_LINEAR,
    BATCHNORM = 1U << PTF_OP_BATCHNORM1D | 1U << PTF_OP_BATCHNORM2D,
    MAXPOOL = 1U << PTF_OP_MAXPOOL2D,
    AVGPOOL = 1U << PTF_OP_AVGPOOL2D,
    ADAPTIVE = 1U << PTF_OP_ADAPTIVE_AVGPOOL2D,
    RELU = 1U << PTF_OP_RELU,
    LEAKY = 1U << PTF_OP_LEAKY_RELU,
    FLATTEN = 1U << PTF_OP_FLATTEN,
    SOFTPLUS = 1U << PTF_OP_SOFTPLUS,
    SOFTMAX = 1U << PTF_OP_SOFTMAX,
    DROPOUT = 1U << PTF_OP_DROPOUT,

    STATED = PTF_FIELD_REQUIRED | PTF_FIELD_ALWAYS,
};

static const ptf_field fields[] = {
    {CONV, "in_channels", PTF_FIELD_KIND_INT, STATED | PTF_FIELD_POSITIONAL,
     AT(in_channels), 1, 0},
    {CONV, "out_channels", PTF_FIELD_KIND_INT, STATED | PTF_FIELD_POSITIONAL,
     AT(out_channels), 1, 0},
    {CONV, "kernel_size", PTF_FIELD_KIND_PAIR, STATED | PTF_FIELD_TUPLE,
     AT(kernel), 1, 0},
    {CONV, "stride", PTF_FIELD_KIND_PAIR, STATED | PTF_FIELD_TUPLE, AT(stride),
     1, 0},
    {CONV, "padding", PTF_FIELD_KIND_PADDING, PTF_FIELD_TUPLE, AT(padding), 0,
     0},
    {CONV, "dilation", PTF_FIELD_KIND_PAIR, PTF_FIELD_TUPLE, AT(dilation), 1,
     0},
    {CONV, "groups", PTF_FIELD_KIND_INT, 0, AT(groups), 1, 0},
    {CONV, "bias", PTF_FIELD_KIND_BOOL, 0, AT(has_bias), 0, 0},
    {CONV, "padding_mode", PTF_FIELD_KIND_MODE, 0, 0, 0, 0},

    {LINEAR, "in_features", PTF_FIELD_KIND_INT, STATED, AT(in_channels), 1, 0},
    {LINEAR, "out_features", PTF_FIELD_KIND_INT, STATED, AT(out_channels), 1,
     0},
    {LINEAR, "bias", PTF_FIELD_KIND_BOOL, PTF_FIELD_ALWAYS, AT(has_bias), 0, 0},
    {CONV | LINEAR, "scale_shift", PTF_FIELD_KIND_BOOL, 0, AT(scale_shift), 0,
     0},

    {BATCHNORM, "num_features", PTF_FIELD_KIND_INT,
     STATED | PTF_FIELD_POSITIONAL, AT(in_channels), 1, 0},
    {BATCHNORM, "eps", PTF_FIELD_KIND_FLOAT, STATED, AT(eps), 0, 0},
    {BATCHNORM, "momentum", PTF_FIELD_KIND_FLOAT, STATED, AT(momentum), 0,
     AT(momentum_none)},
    {BATCHNORM, "affine", PTF_FIELD_KIND_BOOL, STATED, AT(affine), 0, 0},
    {BATCHNORM, "bias", PTF_FIELD_KIND_BOOL, 0, AT(has_bias), 0, 0},
    {BATCHNORM, "track_running_stats", PTF_FIELD_KIND_BOOL, PTF_FIELD_ALWAYS,
     AT(track_running_stats), 0, 0},

    {MAXPOOL | AVGPOOL, "kernel_size", PTF_FIELD_KIND_PAIR, STATED, AT(kernel),
     1, 0},
    {MAXPOOL | AVGPOOL, "stride", PTF_FIELD_KIND_PAIR, STATED, AT(stride), 1,
     0},
    {MAXPOOL | AVGPOOL, "padding", PTF_FIELD_KIND_PAIR, STATED, AT(padding), 0,
     0},
    {MAXPOOL, "dilation", PTF_FIELD_KIND_PAIR, STATED, AT(dilation), 1, 0},
    {MAXPOOL, "ceil_mode", PTF_FIELD_KIND_BOOL, STATED, AT(ceil_mode), 0, 0},
    {AVGPOOL, "ceil_mode", PTF_FIELD_KIND_BOOL, 0, AT(ceil_mode), 0, 0},
    {AVGPOOL, "count_include_pad", PTF_FIELD_KIND_BOOL, 0,
     AT(count_include_pad), 0, 0},
    {ADAPTIVE, "output_size", PTF_FIELD_KIND_PAIR, STATED | PTF_FIELD_NONE_IS_0,
     AT(output_size), 1, 0},

    {LEAKY, "negative_slope", PTF_FIELD_KIND_FLOAT, STATED, AT(negative_slope),
     0, 0},
    {RELU | LEAKY, "inplace", PTF_FIELD_KIND_BOOL, 0, AT(inplace), 0, 0},
    {SOFTPLUS, "beta", PTF_FIELD_KIND_FLOAT, STATED, AT(beta), 0, 0},
    {SOFTPLUS, "threshold", PTF_FIELD_KIND_FLOAT, STATED, AT(threshold), 0, 0},
    {SOFTMAX, "dim", PTF_FIELD_KIND_INT, STATED, AT(dim), -8, AT(dim_none)},
    {FLATTEN, "start_dim", PTF_FIELD_KIND_INT, STATED, AT(start_dim), -8, 0},
    {FLATTEN, "end_dim", PTF_FIELD_KIND_INT, STATED, AT(end_dim), -8, 0},
    {DROPOUT, "p", PTF_FIELD_KIND_FLOAT, STATED, AT(p), 0, 0},
    {DROPOUT, "inplace", PTF_FIELD_KIND_BOOL, PTF_FIELD_ALWAYS, AT(inplace), 0,
     0},
};

const ptf_field *ptf_field_next(ptf_op op, const ptf_field *after)
{
    const ptf_field *f = after == NULL ? fields : after + 1;
    while (f < fields + PTF_ARRAY_SIZE(fields) && (f->ops >> op & 1) == 0)
        f++;
    return f < fields + PTF_ARRAY_SIZE(fields) ? f : NULL;
}

void ptf_attrs_default(ptf_op op, ptf_attrs *out)
{
    *out = (ptf_attrs){
        .kernel = {1, 1},
        .stride = {1, 1},
        .dilation = {1, 1},
        .groups = 1,
        .has_bias = true,
        .eps = 1e-5,
        .momentum = 0.1,
        .affine = true,
        .track_running_stats = true,
        .count_include_pad = true,
        .ceil_mode_unspecified = op == PTF_OP_AVGPOOL2D,
        .negative_slope = 0.01,
        .beta = 1.0,
        .threshold = 20.0,
        .start_dim = 1,
        .end_dim = -1,
        .p = 0.5,
    };
}

/* ----------------------------------------------------------------- reading */

/* A piece of the text. */
typedef struct span {
    const char *at;
    size_t size;
} span;

static bool span_is(span s, const char *word)
{
    return s.size == strlen(word) && memcmp(s.at, word, s.size) == 0;
}

static span span_trim(span s)
{
    while (s.size > 0 && s.at[0] == ' ')
        s = (span){s.at + 1, s.size - 1};
    while (s.size > 0 && s.at[s.size - 1] == ' ')
        s.size--;
    return s;
}

/* 'same' and "same" are same; torch quotes words since 2.0. */
static span span_unquote(span s)
{
    bool quoted = s.size >= 2 && (s.at[0] == '\'' || s.at[0] == '"') &&
                  s.at[s.size - 1] == s.at[0];
    return quoted ? (span){s.at + 1, s.size - 2} : s;
}

/*
 * Cuts the piece up to the next comma outside parentheses off the front of
 * *rest.  False when parentheses do not match.
 */
static bool take_item(span *rest, span *item)
{
    int depth = 0;
    size_t i = 0;
    for (; i < rest->size && (depth > 0 || rest->at[i] != ','); i++) {
        depth += rest->at[i] == '(';
        depth -= rest->at[i] == ')';
        if (depth < 0)
            return false;
    }
    *item = span_trim((span){rest->at, i});
    size_t used = i < rest->size ? i + 1 : i;
    *rest = (span){rest->at + used, rest->size - used};
    return depth == 0;
}

/* Integers stay far below the limits of 64 bits, so that sums cannot wrap. */
static bool parse_int(const ptf_field *f, span s, int64_t *out)
{
    bool negative = s.size > 0 && s.at[0] == '-';
    size_t i = negative ? 1 : 0;
    int64_t value = 0;
    if (i == s.size)
        return false;
    for (; i < s.size; i++) {
        if (s.at[i] < '0' || s.at[i] > '9' || value > INT32_MAX / 10)
            return false;
        value = 10 * value + (s.at[i] - '0');
    }
    *out = negative ? -value : value;
    return value <= INT32_MAX && *out >= f->minimum;
}

/* An element of a pair; None is 0. */
static bool parse_element(const ptf_field *f, span s, int64_t *out)
{
    if ((f->flags & PTF_FIELD_NONE_IS_0) != 0 && span_is(s, "None")) {
        *out = 0;
        return true;
    }
    return parse_int(f, s, out);
}

/* "(1, 2)" or "(1,)" or "1": up to two integers; how many, 0 when wrong. */
static int parse_tuple(const ptf_field *f, span s, int64_t out[2])
{
    if (s.size < 2 || s.at[0] != '(')
        return parse_element(f, s, &out[0]) ? 1 : 0;
    if (s.at[s.size - 1] != ')')
        return 0;
    span rest = {s.at + 1, s.size - 2};
    int count = 0;
    while (rest.size > 0) {
        span item;
        if (count == 2 || !take_item(&rest, &item) ||
            !parse_element(f, item, &out[count]))
            return 0;
        count++;
    }
    return count;
}

/* One number stands for both; Conv1d has one, in the place of the width. */
static bool parse_pair(ptf_op op, const ptf_field *f, span s, int64_t out[2])
{
    int64_t value[2] = {0, 0};
    int count = parse_tuple(f, s, value);
    bool tuple = s.size > 0 && s.at[0] == '(';
    if (op == PTF_OP_CONV1D) {
        out[1] = value[0];
        return count == 1;
    }
    if (count == 0 || (tuple && count != 2))
        return false;
    out[0] = value[0];
    out[1] = count == 2 ? value[1] : value[0];
    return true;
}

static bool parse_padding(ptf_op op, const ptf_field *f, span s, ptf_attrs *out)
{
    span word = span_unquote(s);
    out->padding_text = span_is(word, "same")    ? "same"
                        : span_is(word, "valid") ? "valid"
                                                 : NULL;
    return out->padding_text != NULL || parse_pair(op, f, s, out->padding);
}

static bool parse_bool(span s, bool *out)
{
    *out = span_is(s, "True");
    return *out || span_is(s, "False");
}

/* Modes other than zeros are refused only where something is padded. */
static bool parse_mode(span mode, ptf_attrs *out)
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
        if (!span_is(mode, modes[i].name))
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

static bool parse_value(ptf_op op, const ptf_field *f, span s, ptf_attrs *attrs)
{
    void *out = member(attrs, f->at);
    if (f->none_at != 0 && span_is(s, "None")) {
        *(bool *)member(attrs, f->none_at) = true;
        return true;
    }
    switch (f->kind) {
    case PTF_FIELD_KIND_INT: return parse_int(f, s, out);
    case PTF_FIELD_KIND_PAIR: return parse_pair(op, f, s, out);
    case PTF_FIELD_KIND_PADDING: return parse_padding(op, f, s, attrs);
    case PTF_FIELD_KIND_FLOAT: return ptf_number_parse(s.at, s.size, out);
    case PTF_FIELD_KIND_BOOL: return parse_bool(s, out);
    case PTF_FIELD_KIND_MODE: return parse_mode(span_unquote(s), attrs);
    }
    return false;
}

/* The row that an item is for: by name, or the n-th positional one. */
static const ptf_field *find_field(ptf_op op, span name, int position)
{
    int at = 0;
    for (const ptf_field *f = ptf_field_next(op, NULL); f != NULL;
         f = ptf_field_next(op, f)) {
        bool here = at++ == position && (f->flags & PTF_FIELD_POSITIONAL) != 0;
        if (name.size == 0 ? here : span_is(name, f->name))
            return f;
    }
    return NULL;
}

/* "stride=2" into name and value; the name is empty when there is no '='. */
static void split_item(span item, span *name, span *value)
{
    const char *equals = item.size > 0 ? memchr(item.at, '=', item.size) : NULL;
    size_t n = equals != NULL ? (size_t)(equals - item.at) : 0;
    size_t skip = equals != NULL ? n + 1 : 0;
    *name = span_trim((span){item.at, n});
    *value = span_trim((span){item.at + skip, item.size - skip});
}

/* The part of a piece of the text that a message shows. */
static int shown(span s)
{
    return s.size < 60 ? (int)s.size : 60;
}

static const char *parse_item(ptf_op op, span item, int position,
                              uint64_t *seen, ptf_attrs *out, char message[256])
{
    span name, value;
    split_item(item, &name, &value);
    const ptf_field *f = find_field(op, name, position);
    const char *class_name = ptf_op_info(op)->class_name;
    if (f == NULL) {
        snprintf(message, 256, "%s with '%.*s', which ptfold does not know",
                 class_name, shown(item), item.at);
        return message;
    }
    uint64_t bit = (uint64_t)1 << (f - fields);
    if ((*seen & bit) != 0) {
        snprintf(message, 256, "%s states %s twice", class_name, f->name);
        return message;
    }
    *seen |= bit;
    if (parse_value(op, f, value, out))
        return NULL;
    snprintf(message, 256, "%s with %s=%.*s, which ptfold does not support",
             class_name, f->name, shown(value), value.at);
    return message;
}

_Static_assert(PTF_ARRAY_SIZE(fields) <= 64, "one bit of 'seen' for each");

static const char *find_missing(ptf_op op, uint64_t seen, char message[256])
{
    for (const ptf_field *f = ptf_field_next(op, NULL); f != NULL;
         f = ptf_field_next(op, f)) {
        bool is_there = (seen >> (f - fields) & 1) != 0;
        if ((f->flags & PTF_FIELD_REQUIRED) != 0 && !is_there) {
            snprintf(message, 256, "%s does not state %s",
                     ptf_op_info(op)->class_name, f->name);
            return message;
        }
    }
    return NULL;
}

/* -------------------------------------------------- what follows from what */

/* Turns padding=same into numbers, where both sides get the same number. */
static const char *settle_padding(ptf_op op, ptf_attrs *a)
{
    if (a->padding_text == NULL || strcmp(a->padding_text, "valid") == 0)
        return NULL;
    for (int i = op == PTF_OP_CONV1D ? 1 : 0; i < 2; i++) {
        int64_t total = a->dilation[i] * (a->kernel[i] - 1);
        if (a->stride[i] != 1)
            return "padding=same with a stride, which PyTorch does not have";
        if (total % 2 != 0)
            return "padding=same with an even kernel, which pads one side "
                   "more than the other; ptfold does not do that";
        a->padding[i] = total / 2;
    }
    return NULL;
}

static const char *check_conv(ptf_op op, ptf_attrs *a)
{
    if (a->in_channels % a->groups != 0 || a->out_channels % a->groups != 0)
        return "groups that do not divide the channels";
    const char *wrong = settle_padding(op, a);
    bool pads = a->padding[0] != 0 || a->padding[1] != 0;
    return wrong == NULL && pads ? a->padding_refused : wrong;
}

static const char *check_pool(ptf_op op, ptf_attrs *a, bool ceil_mode_said,
                              bool count_said)
{
    for (int i = 0; i < 2; i++) {
        int64_t extent = a->dilation[i] * (a->kernel[i] - 1) + 1;
        if (2 * a->padding[i] > extent)
            return "more padding than half the window, which PyTorch refuses";
    }
    bool average = op == PTF_OP_AVGPOOL2D;
    bool padded = a->padding[0] != 0 || a->padding[1] != 0;
    if (average && padded && !count_said)
        return "padding, where PyTorch does not print whether the zeros count; "
               "add count_include_pad=True (the default) or "
               "count_include_pad=False to the text";
    a->ceil_mode_unspecified = average && !ceil_mode_said;
    return NULL;
}

/* PyTorch divides by beta, and has it in f32. */
static const char *check_softplus(const ptf_attrs *a)
{
    double size = fabs(a->beta);
    return size >= (double)FLT_MIN && size <= (double)FLT_MAX
               ? NULL
               : "a beta that is no normal f32";
}

static bool was_seen(ptf_op op, uint64_t seen, size_t at)
{
    for (const ptf_field *f = ptf_field_next(op, NULL); f != NULL;
         f = ptf_field_next(op, f)) {
        if (f->at == at)
            return (seen >> (f - fields) & 1) != 0;
    }
    return false;
}

static const char *check_whole(ptf_op op, uint64_t seen, ptf_attrs *a,
                               char message[256])
{
    unsigned bit = 1U << op;
    const char *wrong = NULL;
    if ((bit & CONV) != 0)
        wrong = check_conv(op, a);
    if ((bit & (MAXPOOL | AVGPOOL)) != 0)
        wrong = check_pool(op, a, was_seen(op, seen, AT(ceil_mode)),
                           was_seen(op, seen, AT(count_include_pad)));
    if ((bit & SOFTPLUS) != 0)
        wrong = check_softplus(a);
    if ((bit & BATCHNORM) != 0)
        a->out_channels = a->in_channels;
    if (wrong == NULL)
        return NULL;
    snprintf(message, 256, "%s with %s", ptf_op_info(op)->class_name, wrong);
    return message;
}

const char *ptf_attrs_parse(ptf_op op, const char *text, size_t size,
                            ptf_attrs *out, char message[256])
{
    ptf_attrs_default(op, out);
    span rest = span_trim((span){text, size});
    uint64_t seen = 0;
    for (int i = 0; rest.size > 0; i++) {
        span item;
        if (!take_item(&rest, &item)) {
            snprintf(message, 256, "parentheses that do not match");
            return message;
        }
        const char *wrong = parse_item(op, item, i, &seen, out, message);
        if (wrong != NULL)
            return wrong;
    }
    const char *wrong = find_missing(op, seen, message);
    return wrong != NULL ? wrong : check_whole(op, seen, out, message);
}
