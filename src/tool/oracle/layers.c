/*
 * The layers that the oracle knows: from their texts to calls of libtorch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/oracle/layers.h"

/* -------------------------------------------------------------------- texts */

/* What stands after "name=", or NULL. */
static const char *find(const char *text, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at += size) {
        bool starts = at > text && (at[-1] == '(' || at[-1] == ' ');
        if (starts && at[size] == '=')
            return at + size + 1;
    }
    return NULL;
}

/* An integer, or None as -1; moves *at after it. */
static int64_t take_integer(const char **at)
{
    static const char none[] = "None";
    if (strncmp(*at, none, strlen(none)) == 0) {
        *at += strlen(none);
        return -1;
    }
    char *end;
    int64_t value = strtoll(*at, &end, 10);
    *at = end;
    return value;
}

void oracle_pair(const char *text, const char *name, int64_t otherwise,
                 int64_t out[2])
{
    const char *at = find(text, name);
    out[0] = out[1] = otherwise;
    if (at == NULL)
        return;
    bool tuple = *at == '(';
    at += tuple;
    out[0] = out[1] = take_integer(&at);
    if (tuple && strncmp(at, ", ", 2) == 0) {
        at += 2;
        out[1] = take_integer(&at);
    }
}

bool oracle_flag(const char *text, const char *name, bool otherwise)
{
    const char *at = find(text, name);
    return at != NULL ? strncmp(at, "True", strlen("True")) == 0 : otherwise;
}

double oracle_number(const char *text, const char *name, double otherwise)
{
    const char *at = find(text, name);
    return at != NULL ? strtod(at, NULL) : otherwise;
}

/* dim=None is PyTorch's old rule: 0 for ranks 0, 1 and 3, and else 1. */
int oracle_softmax_axis(const char *text, int rank)
{
    const char *at = find(text, "dim");
    if (at == NULL || strncmp(at, "None", strlen("None")) == 0)
        return rank == 0 || rank == 1 || rank == 3 ? 0 : 1;
    int axis = (int)strtol(at, NULL, 10);
    return axis < 0 ? axis + rank : axis;
}

/* ------------------------------------------------------------------ windows */

static ptf_status find_window(const oracle_walk *walk, ltc_window *out)
{
    const char *text = walk->layer.text;
    ltc_window w = {.dims = strstr(walk->layer.op, "1d") != NULL ? 1 : 2};
    bool uneven = false;
    int64_t groups[2];
    oracle_pair(text, "kernel_size", 1, w.kernel);
    oracle_pair(text, "stride", 1, w.stride);
    oracle_pair(text, "padding", 0, w.padding);
    oracle_pair(text, "dilation", 1, w.dilation);
    oracle_pair(text, "groups", 1, groups);
    w.groups = groups[0];
    w.ceil_mode = oracle_flag(text, "ceil_mode", false);
    w.count_include_pad = oracle_flag(text, "count_include_pad", true);
    const char *padding = find(text, "padding");
    if (padding != NULL && (padding[0] == 's' || padding[1] == 's')) {
        for (int i = 0; i < 2; i++) { /* "same" */
            int64_t total = w.dilation[i] * (w.kernel[i] - 1);
            w.padding[i] = total / 2;
            uneven |= total % 2 != 0;
        }
    }
    if (uneven || find(text, "divisor_override") != NULL)
        return oracle_fail(walk, PTF_UNSUPPORTED,
                           uneven ? "the oracle pads both sides alike"
                                  : "the oracle divides by the taps");
    *out = w;
    return PTF_OK;
}

/* ------------------------------------------------------------------- layers */

/* The scale and shift that a rewrite put after a sum; takes *y over. */
static ptf_status run_epilogue(oracle_walk *walk, bool magnitude,
                               ltc_tensor **y)
{
    ltc_tensor *scale, *shift, *zeros = NULL, *ones = NULL, *out = NULL;
    ptf_status status = oracle_parameter(walk, "scale", magnitude, &scale);
    if (status == PTF_OK)
        status = oracle_parameter(walk, "shift", false, &shift);
    if (status != PTF_OK || scale == NULL)
        return status;
    if (magnitude)
        shift = NULL;
    /* A batch norm of mean 0 and variance 1. */
    int wrong = walk->torch->full_like(scale, 0, &zeros);
    if (wrong == LTC_OK)
        wrong = walk->torch->full_like(scale, 1, &ones);
    if (wrong == LTC_OK)
        wrong = walk->torch->batch_norm(*y, scale, shift, zeros, ones, 0, &out);
    walk->torch->tensor_free(zeros);
    walk->torch->tensor_free(ones);
    walk->torch->tensor_free(*y);
    *y = out;
    return oracle_check(walk, wrong);
}

static ptf_status run_sum(oracle_walk *walk, const ltc_tensor *x,
                          bool magnitude, ltc_tensor **out)
{
    ltc_tensor *weight, *bias;
    ptf_status status = oracle_parameter(walk, "weight", magnitude, &weight);
    if (status == PTF_OK)
        status = oracle_parameter(walk, "bias", false, &bias);
    if (status != PTF_OK)
        return status;
    if (magnitude)
        bias = NULL;
    ltc_window w;
    bool linear = strcmp(walk->layer.op, "Linear") == 0;
    if (!linear)
        status = find_window(walk, &w);
    if (status != PTF_OK)
        return status;
    status = oracle_check(walk,
                          linear ? walk->torch->linear(x, weight, bias, out)
                                 : walk->torch->conv(x, weight, bias, &w, out));
    return status == PTF_OK ? run_epilogue(walk, magnitude, out) : status;
}

static ptf_status run_norm(oracle_walk *walk, const ltc_tensor *x,
                           bool magnitude, ltc_tensor **out)
{
    static const char *const roles[] = {"weight", "bias", "running_mean",
                                        "running_var"};
    ltc_tensor *p[4], *zeros = NULL;
    ptf_status status = PTF_OK;
    for (int i = 0; i < 4 && status == PTF_OK; i++)
        status = oracle_parameter(walk, roles[i], magnitude, &p[i]);
    if (status != PTF_OK)
        return status;
    int wrong = LTC_OK;
    if (magnitude) { /* nothing is added or taken away */
        wrong = walk->torch->full_like(p[2], 0, &zeros);
        p[1] = NULL;
        p[2] = zeros;
    }
    double eps = oracle_number(walk->layer.text, "eps", 1e-5);
    if (wrong == LTC_OK)
        wrong = walk->torch->batch_norm(x, p[0], p[1], p[2], p[3], eps, out);
    walk->torch->tensor_free(zeros);
    return oracle_check(walk, wrong);
}

static ptf_status run_pool(oracle_walk *walk, const ltc_tensor *x,
                           bool magnitude, ltc_tensor **out)
{
    (void)magnitude;
    ltc_window w;
    bool largest = strncmp(walk->layer.op, "Max", 3) == 0;
    ptf_status status = find_window(walk, &w);
    if (status != PTF_OK)
        return status;
    return oracle_check(walk, largest ? walk->torch->max_pool(x, &w, out)
                                      : walk->torch->avg_pool(x, &w, out));
}

static ptf_status run_adaptive(oracle_walk *walk, const ltc_tensor *x,
                               bool magnitude, ltc_tensor **out)
{
    (void)magnitude;
    int64_t size[2], shape[ORACLE_RANK];
    oracle_pair(walk->layer.text, "output_size", 1, size);
    ptf_status status = oracle_check(walk, walk->torch->tensor_shape(x, shape));
    if (status != PTF_OK)
        return status;
    for (int i = 0; i < 2; i++)
        size[i] = size[i] < 0 ? shape[2 + i] : size[i];
    return oracle_check(
        walk, walk->torch->adaptive_avg_pool2d(x, size[0], size[1], out));
}

static const struct {
    const char *class_name;
    ltc_activation function;
} activations[] = {
    {"ReLU", LTC_RELU}, {"LeakyReLU", LTC_LEAKY_RELU}, {"Sigmoid", LTC_SIGMOID},
    {"Tanh", LTC_TANH}, {"Softplus", LTC_SOFTPLUS},
};

static ptf_status run_activation(oracle_walk *walk, const ltc_tensor *x,
                                 bool magnitude, ltc_tensor **out)
{
    (void)magnitude;
    size_t i = 0;
    while (strcmp(activations[i].class_name, walk->layer.op) != 0)
        i++;
    const char *text = walk->layer.text;
    bool soft = activations[i].function == LTC_SOFTPLUS;
    double parameters[2] = {soft ? oracle_number(text, "beta", 1)
                                 : oracle_number(text, "negative_slope", 0.01),
                            oracle_number(text, "threshold", 20)};
    return oracle_check(walk, walk->torch->activate(x, activations[i].function,
                                                    parameters, out));
}

static ptf_status run_softmax(oracle_walk *walk, const ltc_tensor *x,
                              bool magnitude, ltc_tensor **out)
{
    (void)magnitude;
    int rank;
    ptf_status status = oracle_check(walk, walk->torch->tensor_rank(x, &rank));
    if (status != PTF_OK)
        return status;
    int axis = oracle_softmax_axis(walk->layer.text, rank);
    return oracle_check(walk, walk->torch->softmax(x, axis, out));
}

static ptf_status run_flatten(oracle_walk *walk, const ltc_tensor *x,
                              bool magnitude, ltc_tensor **out)
{
    (void)magnitude;
    int64_t first[2], last[2];
    oracle_pair(walk->layer.text, "start_dim", 1, first);
    oracle_pair(walk->layer.text, "end_dim", -1, last);
    return oracle_check(walk, walk->torch->flatten(x, first[0], last[0], out));
}

/* In evaluation these give what they get. */
static ptf_status run_nothing(oracle_walk *walk, const ltc_tensor *x,
                              bool magnitude, ltc_tensor **out)
{
    (void)magnitude;
    return oracle_check(walk, walk->torch->flatten(x, 0, 0, out));
}

static const oracle_row rows[] = {
    {"Conv1d", run_sum, oracle_bound_sum},
    {"Conv2d", run_sum, oracle_bound_sum},
    {"Linear", run_sum, oracle_bound_sum},
    {"BatchNorm1d", run_norm, oracle_bound_norm},
    {"BatchNorm2d", run_norm, oracle_bound_norm},
    {"MaxPool2d", run_pool, oracle_bound_choice},
    {"AvgPool2d", run_pool, oracle_bound_mean},
    {"AdaptiveAvgPool2d", run_adaptive, oracle_bound_mean},
    {"ReLU", run_activation, oracle_bound_pointwise},
    {"LeakyReLU", run_activation, oracle_bound_pointwise},
    {"Sigmoid", run_activation, oracle_bound_pointwise},
    {"Tanh", run_activation, oracle_bound_pointwise},
    {"Softplus", run_activation, oracle_bound_softplus},
    {"Softmax", run_softmax, oracle_bound_softmax},
    {"Flatten", run_flatten, oracle_bound_choice},
    {"Dropout", run_nothing, oracle_bound_choice},
    {"Dropout1d", run_nothing, oracle_bound_choice},
    {"Dropout2d", run_nothing, oracle_bound_choice},
    {"Identity", run_nothing, oracle_bound_choice},
    {"Sequential", run_nothing, oracle_bound_choice}, /* an empty one */
};

const oracle_row *oracle_row_find(const char *class_name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].class_name, class_name) == 0)
            return &rows[i];
    }
    return NULL;
}
