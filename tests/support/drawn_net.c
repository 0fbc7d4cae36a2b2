/*
 * Draws a body of layers for an input of one to three dimensions, and often a
 * classifier after it.  Shapes are worked out here, by PyTorch's rules, so
 * that each layer fits the one before it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "drawn_net.h"
#include "fixture.h"
#include "ports.h"

#include <math.h>
#include <stdarg.h>

/* ------------------------------------------------------------------ drawing */

/* 0 .. n - 1 */
static int64_t draw(drawn_net *r, int64_t n)
{
    float x;
    ptf_random_fill(r->seed, r->drawn++, &x, 1);
    int64_t i = (int64_t)(x * (float)n);
    return i < n ? i : n - 1;
}

static bool one_in(drawn_net *r, int64_t n)
{
    return draw(r, n) == 0;
}

static const char *draw_bool(drawn_net *r)
{
    return one_in(r, 2) ? "True" : "False";
}

static void PTF_PRINTF(2, 3) print(drawn_net *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(r->text + r->size, sizeof(r->text) - r->size, fmt, args);
    va_end(args);
    r->size += (size_t)n;
    assert_true(r->size < sizeof(r->text));
}

/* "  (3): ", as deep as the container. */
static void begin_child(drawn_net *r)
{
    print(r, "%*s(%d): ", 2 * r->depth, "", r->children[r->depth]++);
}

static void open_container(drawn_net *r)
{
    begin_child(r);
    print(r, "Sequential(\n");
    r->children[++r->depth] = 0;
}

/* Containers without children would print on one line. */
static void close_container(drawn_net *r)
{
    if (r->children[r->depth] == 0) {
        begin_child(r);
        print(r, "Identity()\n");
    }
    r->depth--;
    print(r, "%*s)\n", 2 * r->depth, "");
}

/* ------------------------------------------------------------------ windows */

/* A window over one or two dimensions, the last ones of the shape. */
typedef struct window {
    int64_t kernel[2], stride[2], padding[2], dilation[2];
} window;

static int dims(const drawn_net *r)
{
    return r->shape.rank - 1;
}

static int64_t extent(const window *w, int i)
{
    return w->dilation[i] * (w->kernel[i] - 1) + 1;
}

static int64_t draw_least(drawn_net *r, int64_t most)
{
    return most < 1 ? 0 : draw(r, most + 1);
}

/* Draws a window that fits; a pool pads half of its kernel at most. */
static window draw_window(drawn_net *r, bool pool, bool dilated)
{
    window w = {0};
    for (int i = 0; i < dims(r); i++) {
        int64_t size = r->shape.dim[1 + i];
        w.kernel[i] = 1 + draw(r, size < 4 ? size : 4);
        w.stride[i] = 1 + draw(r, 3);
        w.dilation[i] = dilated ? 1 + draw(r, 2) : 1;
        if (extent(&w, i) > size)
            w.dilation[i] = 1;
        w.padding[i] =
            one_in(r, 2) ? draw_least(r, pool ? w.kernel[i] / 2 : 2) : 0;
    }
    return w;
}

/* The shape after it; with 'ceil' the last window must start inside. */
static void slide(drawn_net *r, const window *w, bool ceil)
{
    for (int i = 0; i < dims(r); i++) {
        int64_t size = r->shape.dim[1 + i], padding = w->padding[i];
        int64_t room = size + 2 * padding - extent(w, i);
        int64_t steps = (room + (ceil ? w->stride[i] - 1 : 0)) / w->stride[i];
        if (ceil && steps * w->stride[i] >= size + padding)
            steps--;
        r->shape.dim[1 + i] = steps + 1;
    }
}

static void print_pair(drawn_net *r, const char *name, const int64_t pair[2])
{
    if (dims(r) == 1)
        print(r, ", %s=(%lld,)", name, (long long)pair[0]);
    else
        print(r, ", %s=(%lld, %lld)", name, (long long)pair[0],
              (long long)pair[1]);
}

/* Pools print one number where both are equal. */
static void print_short(drawn_net *r, const char *name, const int64_t pair[2])
{
    if (pair[0] == pair[1])
        print(r, "%s=%lld", name, (long long)pair[0]);
    else
        print(r, "%s=(%lld, %lld)", name, (long long)pair[0],
              (long long)pair[1]);
}

/* ------------------------------------------------------------------- layers */

static void add_norm(drawn_net *r)
{
    static const char *const eps[] = {"1e-05", "0.001", "0.1", "1e-12"};
    begin_child(r);
    print(r, "BatchNorm%dd(%lld, eps=%s, momentum=0.1, affine=%s, ",
          r->shape.rank == 3 ? 2 : 1, (long long)r->shape.dim[0],
          eps[draw(r, 4)], one_in(r, 4) ? "False" : "True");
    print(r, "track_running_stats=True)\n");
}

static void add_activation(drawn_net *r)
{
    static const char *const texts[] = {
        "ReLU()",
        "ReLU(inplace=True)",
        "LeakyReLU(negative_slope=0.01)",
        "LeakyReLU(negative_slope=0.3, inplace=True)",
        "Sigmoid()",
        "Tanh()",
        "Softplus(beta=1.0, threshold=20.0)",
        "Softplus(beta=2.5, threshold=3)",
    };
    begin_child(r);
    print(r, "%s\n", texts[draw(r, PTF_ARRAY_SIZE(texts))]);
}

static void add_nothing(drawn_net *r)
{
    static const char *const texts[] = {
        "Identity()",
        "Dropout(p=0.5, inplace=False)",
        "Dropout2d(p=0.25, inplace=False)",
        "Dropout1d(p=0.1, inplace=False)",
    };
    begin_child(r);
    print(r, "%s\n", texts[draw(r, r->shape.rank == 1 ? 2 : 4)]);
}

/* Odd kernels without stride, so that both sides get the same padding. */
static bool same_padding(drawn_net *r, window *w)
{
    if (!one_in(r, 6))
        return false;
    for (int i = 0; i < dims(r); i++) {
        w->kernel[i] = 1 + 2 * draw(r, 2);
        w->stride[i] = 1;
        w->padding[i] = w->dilation[i] * (w->kernel[i] - 1) / 2;
    }
    return true;
}

static void add_conv(drawn_net *r)
{
    window w = draw_window(r, false, true);
    bool same = same_padding(r, &w);
    int64_t in = r->shape.dim[0], groups = one_in(r, 3) ? in : 1;
    if (in % 2 == 0 && one_in(r, 3))
        groups = 2;
    int64_t out = groups * (1 + draw(r, groups > 2 ? 2 : 6));
    static const int64_t ones[2] = {1, 1}, zeros[2] = {0, 0};
    size_t used = (size_t)dims(r) * sizeof(int64_t);
    begin_child(r);
    print(r, "Conv%dd(%lld, %lld", dims(r), (long long)in, (long long)out);
    print_pair(r, "kernel_size", w.kernel);
    print_pair(r, "stride", w.stride);
    if (same)
        print(r, ", padding=%s", one_in(r, 2) ? "same" : "'same'");
    else if (memcmp(w.padding, zeros, used) != 0)
        print_pair(r, "padding", w.padding);
    if (memcmp(w.dilation, ones, used) != 0)
        print_pair(r, "dilation", w.dilation);
    if (groups > 1)
        print(r, ", groups=%lld", (long long)groups);
    print(r, "%s)\n", one_in(r, 3) ? ", bias=False" : "");
    slide(r, &w, false);
    r->shape.dim[0] = out;
    if (one_in(r, 2))
        add_norm(r);
}

static void add_max_pool(drawn_net *r)
{
    window w = draw_window(r, true, true);
    bool ceil = one_in(r, 2);
    begin_child(r);
    print(r, "MaxPool2d(");
    print_short(r, "kernel_size", w.kernel);
    print_short(r, ", stride", w.stride);
    print_short(r, ", padding", w.padding);
    print_short(r, ", dilation", w.dilation);
    print(r, ", ceil_mode=%s)\n", ceil ? "True" : "False");
    slide(r, &w, ceil);
}

/* Without ceil_mode the text must say so where the windows do not divide. */
static bool divides(const drawn_net *r, const window *w)
{
    bool all = true;
    for (int i = 0; i < dims(r); i++) {
        int64_t room = r->shape.dim[1 + i] + 2 * w->padding[i] - extent(w, i);
        all = all && room % w->stride[i] == 0;
    }
    return all;
}

static void add_avg_pool(drawn_net *r)
{
    window w = draw_window(r, true, false);
    bool ceil = one_in(r, 2), said = ceil || !divides(r, &w);
    begin_child(r);
    print(r, "AvgPool2d(");
    print_short(r, "kernel_size", w.kernel);
    print_short(r, ", stride", w.stride);
    print_short(r, ", padding", w.padding);
    if (said)
        print(r, ", ceil_mode=%s", ceil ? "True" : "False");
    print(r, ", count_include_pad=%s)\n", draw_bool(r));
    slide(r, &w, ceil);
}

static void add_adaptive_pool(drawn_net *r)
{
    char text[2][24];
    begin_child(r);
    for (int i = 0; i < 2; i++) {
        int64_t *size = &r->shape.dim[1 + i];
        bool none = one_in(r, 4);
        *size = none ? *size : 1 + draw(r, 5);
        snprintf(text[i], sizeof(text[i]), "%lld", (long long)*size);
        if (none)
            snprintf(text[i], sizeof(text[i]), "None");
    }
    print(r, "AdaptiveAvgPool2d(output_size=(%s, %s))\n", text[0], text[1]);
}

static void add_flatten(drawn_net *r)
{
    begin_child(r);
    print(r, "Flatten(start_dim=1, end_dim=-1)\n");
    r->shape = (ptf_shape){1, {ptf_shape_numel(&r->shape)}};
}

static void add_linear(drawn_net *r)
{
    int64_t in = ptf_shape_numel(&r->shape), out = 1 + draw(r, 12);
    begin_child(r);
    print(r, "Linear(in_features=%lld, out_features=%lld, bias=%s)\n",
          (long long)in, (long long)out, draw_bool(r));
    r->shape = (ptf_shape){1, {out}};
    if (one_in(r, 2))
        add_norm(r);
}

static void add_softmax(drawn_net *r)
{
    int64_t dim = 1 + draw(r, r->shape.rank);
    begin_child(r);
    print(r, "Softmax(dim=%lld)\n",
          (long long)(one_in(r, 2) ? dim : dim - r->shape.rank - 1));
}

/* -------------------------------------------------------------------- nets */

typedef void add_layer(drawn_net *r);

/* By the rank of the shape; what stands here twice comes twice as often. */
static add_layer *const layers[3][10] = {
    {add_linear, add_linear, add_linear, add_activation, add_activation,
     add_activation, add_norm, add_nothing, add_nothing, add_softmax},
    {add_conv, add_conv, add_conv, add_conv, add_activation, add_activation,
     add_activation, add_norm, add_nothing, add_softmax},
    {add_conv, add_conv, add_conv, add_conv, add_activation, add_activation,
     add_max_pool, add_avg_pool, add_adaptive_pool, add_nothing},
};

static void add_layers(drawn_net *r, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (r->depth < 2 && one_in(r, 5))
            open_container(r);
        else if (r->depth > 1 && one_in(r, 3))
            close_container(r);
        layers[r->shape.rank - 1][draw(r, 10)](r);
    }
    while (r->depth > 1)
        close_container(r);
}

static void draw_text(drawn_net *r)
{
    ptf_shape *s = &r->shape;
    s->rank = one_in(r, 6) ? 1 : one_in(r, 3) ? 2 : 3;
    s->dim[0] = 1 + draw(r, s->rank == 1 ? 40 : 6);
    for (int i = 1; i < s->rank; i++)
        s->dim[i] = 4 + draw(r, 10);
    print(r, "# input: %lld", (long long)s->dim[0]);
    for (int i = 1; i < s->rank; i++)
        print(r, "x%lld", (long long)s->dim[i]);
    print(r, "\nNet(\n");
    r->depth = 1;
    if (one_in(r, 6))
        add_norm(r);
    add_layers(r, 2 + draw(r, 6));
    if (r->shape.rank > 1 && one_in(r, 2)) {
        /* Before a Linear a map is flattened without being asked. */
        if (r->shape.rank == 2 || one_in(r, 2))
            add_flatten(r);
        add_linear(r);
        add_layers(r, draw(r, 4));
    }
    if (one_in(r, 3))
        add_softmax(r);
    print(r, ")\n");
}

/* ------------------------------------------------------------------ numbers */

/* Low and high of what a parameter is drawn from. */
static void range_of(const fixture_entry *e, double *low, double *high)
{
    const char *dot = strrchr(e->name, '.');
    const char *role = dot != NULL ? dot + 1 : e->name;
    int64_t terms = 1;
    for (int d = 1; d < e->rank; d++)
        terms *= e->shape[d];
    *high = e->rank > 1 ? 2 / sqrt((double)terms) : 1.5;
    *low = -*high;
    if (strcmp(role, "running_var") == 0)
        *low = 0.25;
}

static void draw_numbers(drawn_net *r)
{
    for (int i = 0; i < r->f.count; i++) {
        fixture_entry *e = &r->f.entries[i];
        if (strcmp(e->dtype, "F32") != 0)
            continue;
        double low, high;
        range_of(e, &low, &high);
        float *x = e->data;
        size_t n = e->size / sizeof(float);
        ptf_random_fill(r->seed, r->drawn++, x, n);
        for (size_t k = 0; k < n; k++)
            x[k] = (float)(low + (high - low) * (double)x[k]);
    }
}

/* Numbers for the text; the test fails if ptfold does not take it. */
static void finish(drawn_net *r)
{
    ptf_net *net;
    ptf_error err;
    if (ptf_net_make(r->text, "drawn", NULL, &fixture_in_order, &net, &err) !=
        PTF_OK)
        fail_msg("seed %llu: %s\n%s", (unsigned long long)r->seed, err.message,
                 r->text);
    assert_true(input_of(net, &r->input));
    ptf_net_free(net);
    fixture_init(&r->f, r->text);
    draw_numbers(r);
    fixture_make(&r->f);
}

void drawn_net_make(drawn_net *out, uint64_t seed)
{
    *out = (drawn_net){.seed = seed};
    draw_text(out);
    finish(out);
}

void drawn_net_fill(drawn_net *out, uint64_t seed, const char *text)
{
    *out = (drawn_net){.seed = seed};
    print(out, "%s", text);
    finish(out);
}

void drawn_net_free(drawn_net *net)
{
    fixture_free(&net->f);
}

float *drawn_net_inputs(const drawn_net *net, int64_t count)
{
    size_t n = (size_t)(count * ptf_shape_numel(&net->input));
    float *in = malloc(n * sizeof(float));
    assert_non_null(in);
    ptf_random_fill(net->seed, 1U << 20, in, n);
    for (size_t i = 0; i < n; i++)
        in[i] = 2 * in[i] - 1;
    return in;
}
