/*
 * A net with skip connections, and ways to get it wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "residual.h"

#include <math.h>

/* A net under construction, in one of its two forms. */
typedef struct form {
    graph *g;
    bool folded, dead;
    residual_fault fault;
} form;

static const char *const places[FAULTS] = {
    [SKIP_BEFORE_RELU] = "one.add",
    [SKIP_FROM_INSIDE] = "one.add",
    [SKIP_TWICE] = "one.add",
    [DOWN_FROM_STEM] = "two.down",
    [DOWN_BEFORE_RELU] = "two.down",
    [RELU_LEFT_OUT] = "two.conv1",
    [RELU_TOO_MANY] = "extra",
    [RELU_BEFORE_ADD] = "one.out",
    [ADD_IS_SUB] = "one.add",
    [ADD_IS_MAXIMUM] = "one.add",
    [MAXIMUM_IS_MINIMUM] = "max",
    [SUB_SWAPPED] = "sub",
    [DIV_SWAPPED] = "div",
    [JOIN_SWAPPED] = "join",
    [JOIN_TWICE] = "join",
    [JOIN_ACROSS] = "tall",
    [BRANCHES_SWAPPED] = "join",
    [CONSTANT_SWAPPED] = "mul",
    [CONSTANT_ONCE] = "div",
    [CONSTANT_OFF] = "shift",
    [CONSTANT_FOR_VALUE] = "stray",
    [CONSTANT_WIDE] = "shift",
    [OTHER_OUTPUT] = "fc",
    [NORM_OF_OTHERS] = "right.weight",
    [NORM_WITHOUT_EPS] = "two.down.weight",
    [NORM_LEFT_OUT] = "two.down.weight",
    [NORM_SEEN] = "one.conv2.norm",
};

const char *residual_place(residual_fault fault)
{
    return places[fault];
}

bool residual_has_other_numbers(residual_fault fault)
{
    return fault == CONSTANT_OFF || fault == NORM_OF_OTHERS ||
           fault == NORM_WITHOUT_EPS || fault == NORM_LEFT_OUT;
}

/* ------------------------------------------------------------------ folding */

static void name_of(const char *name, const char *more, char out[64])
{
    snprintf(out, 64, "%s%s", name, more);
}

/* A layer alone, with the numbers that it has in every net. */
static void layer_alone(graph *g, const char *name, int64_t in, int64_t out,
                        graph_window window, bool dead)
{
    char norm[64];
    name_of(name, ".norm", norm);
    graph_start(g, &(ptf_shape){3, {in, 8, 8}});
    graph_norm(g, norm, graph_conv(g, name, 0, in, out, window, false), out);
    for (int64_t c = 0; dead && c < out; c++)
        graph_numbers(g, norm, PTF_ROLE_BIAS)[c] = -100;
}

/* Whose numbers a layer has. */
static const char *source_of(const form *f, const char *name)
{
    bool left = strcmp(name, "left") == 0, right = strcmp(name, "right") == 0;
    if (f->fault == BRANCHES_SWAPPED && (left || right))
        return left ? "right" : "left";
    return name;
}

static const char *norm_of(const form *f, const char *name)
{
    if (f->fault == NORM_OF_OTHERS && strcmp(name, "right") == 0)
        return "left";
    return source_of(f, name);
}

static void fold(const form *f, const char *name, int64_t in, int64_t out,
                 graph_window window)
{
    static graph from, of;
    char norm[64];
    bool down = strcmp(name, "two.down") == 0;
    double eps = f->fault == NORM_WITHOUT_EPS && down ? 0 : 1e-5;
    const char *source = source_of(f, name);
    layer_alone(&from, source, in, out, window, f->dead);
    layer_alone(&of, norm_of(f, name), in, out, window, f->dead);
    name_of(norm_of(f, name), ".norm", norm);
    const float *gamma = graph_numbers(&of, norm, PTF_ROLE_WEIGHT);
    const float *beta = graph_numbers(&of, norm, PTF_ROLE_BIAS);
    const float *mean = graph_numbers(&of, norm, PTF_ROLE_RUNNING_MEAN);
    const float *var = graph_numbers(&of, norm, PTF_ROLE_RUNNING_VAR);
    const float *w = graph_numbers(&from, source, PTF_ROLE_WEIGHT);
    float *to = graph_numbers(f->g, name, PTF_ROLE_WEIGHT);
    int64_t row = in * window.kernel * window.kernel;
    for (int64_t c = 0; c < out; c++) {
        double s = (double)gamma[c] / sqrt((double)var[c] + eps);
        double bias = (0 - (double)mean[c]) * s + (double)beta[c];
        if (f->fault == NORM_LEFT_OUT && down) {
            s = 1;
            bias = 0;
        }
        for (int64_t k = c * row; k < (c + 1) * row; k++)
            to[k] = (float)((double)w[k] * s);
        graph_numbers(f->g, name, PTF_ROLE_BIAS)[c] = (float)bias;
    }
    graph_free(&from);
    graph_free(&of);
}

/* A convolution with its batch norm, in whichever form. */
static int conv(const form *f, const char *name, int from, int64_t in,
                int64_t out, graph_window window)
{
    char norm[64];
    int at = graph_conv(f->g, name, from, in, out, window, f->folded);
    name_of(name, ".norm", norm);
    if (f->folded) {
        fold(f, name, in, out, window);
        return at;
    }
    at = graph_norm(f->g, norm, at, out);
    for (int64_t c = 0; f->dead && c < out; c++)
        graph_numbers(f->g, norm, PTF_ROLE_BIAS)[c] = -100;
    return at;
}

/* ------------------------------------------------------------------- blocks */

static const graph_window same = {3, 1, 1}, apart = {3, 2, 1};
static const graph_window point = {1, 1, 0}, sparse = {1, 2, 0};

static int relu(const form *f, const char *name, int from)
{
    return graph_one(f->g, name, PTF_OP_RELU, from);
}

/* The first block's sum with what it skips. */
static int add(const form *f, int before, int stem, int inside, int conv2)
{
    residual_fault fault = f->fault;
    int skip = fault == SKIP_BEFORE_RELU   ? before
               : fault == SKIP_FROM_INSIDE ? inside
               : fault == SKIP_TWICE       ? conv2
                                           : stem;
    ptf_op op = fault == ADD_IS_SUB       ? PTF_OP_SUB
                : fault == ADD_IS_MAXIMUM ? PTF_OP_MAXIMUM
                                          : PTF_OP_ADD;
    if (fault == CONSTANT_FOR_VALUE)
        skip = graph_constant(f->g, "stray", &(ptf_shape){3, {4, 8, 8}});
    if (fault == NORM_SEEN) /* the convolution before its batch norm */
        skip = f->folded ? conv2 : f->g->nodes[conv2].inputs[0];
    if (fault == RELU_BEFORE_ADD)
        return graph_two(f->g, "one.add", op, relu(f, "one.out", conv2), skip);
    int sum = graph_two(f->g, "one.add", op, conv2, skip);
    return fault == RELU_LEFT_OUT ? sum : relu(f, "one.out", sum);
}

/* What the second block reads, and in *stem what its branch does. */
static int first_block(const form *f, int *branch)
{
    int before = conv(f, "stem", 0, 3, 4, same);
    int stem = relu(f, "stem.out", before);
    int inside = relu(f, "one.relu", conv(f, "one.conv1", stem, 4, 4, same));
    int conv2 = conv(f, "one.conv2", inside, 4, 4, same);
    int out = add(f, before, stem, inside, conv2);
    if (f->fault == RELU_TOO_MANY)
        out = relu(f, "extra", out);
    *branch = f->fault == DOWN_FROM_STEM     ? stem
              : f->fault == DOWN_BEFORE_RELU ? f->g->nodes[out].inputs[0]
                                             : out;
    return out;
}

static int second_block(const form *f)
{
    int branch;
    int from = first_block(f, &branch);
    int inside = relu(f, "two.relu", conv(f, "two.conv1", from, 4, 6, apart));
    int conv2 = conv(f, "two.conv2", inside, 6, 6, same);
    int down = conv(f, "two.down", branch, 4, 6, sparse);
    return relu(f, "two.out",
                graph_two(f->g, "two.add", PTF_OP_ADD, conv2, down));
}

static int branches(const form *f, int from)
{
    int left = relu(f, "left.out", conv(f, "left", from, 6, 3, same));
    int right = relu(f, "right.out", conv(f, "right", from, 6, 3, same));
    int parts[] = {left, f->fault == JOIN_TWICE ? left : right};
    if (f->fault == JOIN_SWAPPED) {
        parts[0] = right;
        parts[1] = left;
    }
    return graph_join(f->g, "join", 1, 2, parts);
}

/* a - b, and the like, or b - a. */
static int ordered(const form *f, const char *name, ptf_op op,
                   residual_fault swapped, int a, int b)
{
    bool exchanged = f->fault == swapped;
    return graph_two(f->g, name, op, exchanged ? b : a, exchanged ? a : b);
}

static int scaled(const form *f, int from, int join)
{
    const ptf_shape channels = {3, {6, 1, 1}}, maps = {3, {6, 4, 4}};
    graph *g = f->g;
    bool wide = f->fault == CONSTANT_WIDE;
    int shift = graph_constant(g, "shift", wide ? &maps : &channels);
    int scale = graph_constant(g, "scale", &channels);
    if (f->fault == CONSTANT_OFF) {
        float *x = graph_numbers(g, "shift", PTF_ROLE_WEIGHT) + 3;
        *x = nextafterf(*x, 2);
    }
    int once = f->fault == CONSTANT_ONCE ? scale : shift;
    int sub = ordered(f, "sub", PTF_OP_SUB, SUB_SWAPPED, join, once);
    int div = ordered(f, "div", PTF_OP_DIV, DIV_SWAPPED, sub, scale);
    bool least = f->fault == MAXIMUM_IS_MINIMUM;
    int max =
        graph_two(g, "max", least ? PTF_OP_MINIMUM : PTF_OP_MAXIMUM, div, from);
    int mul = graph_two(g, "mul", PTF_OP_MUL, max,
                        f->fault == CONSTANT_SWAPPED ? scale : once);
    return graph_join(g, "tall", f->fault == JOIN_ACROSS ? 3 : 2, 2,
                      (int[]){max, mul});
}

static void build(const form *f)
{
    graph *g = f->g;
    graph_start(g, &(ptf_shape){3, {3, 8, 8}});
    int two = second_block(f);
    int tall = scaled(f, two, branches(f, two));
    int mix = graph_conv(g, "mix", tall, 6, 6, point, true);
    int pool = graph_one(g, "pool", PTF_OP_ADAPTIVE_AVGPOOL2D, mix);
    int drop = graph_one(g, "drop", PTF_OP_DROPOUT, pool);
    int flat = graph_one(g, "flat", PTF_OP_FLATTEN, drop);
    int fc = graph_linear(g, "fc", flat, 6, 5);
    int last = relu(f, "last", fc);
    graph_finish(g, f->fault == OTHER_OUTPUT ? fc : last);
}

void residual_trained(graph *g, bool dead, residual_fault fault)
{
    build(&(form){g, false, dead, fault == NORM_SEEN ? fault : RIGHT});
}

void residual_folded(graph *g, bool dead, residual_fault fault)
{
    build(&(form){g, true, dead, fault});
}
