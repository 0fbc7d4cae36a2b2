/*
 * Nets from seeds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "random_net.h"
#include "ports.h"
#include "samples.h"

#include <math.h>
#include <stdarg.h>

int random_net_between(random_net *r, int low, int high)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return low + (int)((r->state >> 33) % (uint64_t)(high - low + 1));
}

static void add(random_net *r, int *index, const char *fmt, ...)
    PTF_PRINTF(3, 4);

/* One more layer in the text. */
static void add(random_net *r, int *index, const char *fmt, ...)
{
    size_t used = strlen(r->text), size = sizeof(r->text);
    used += (size_t)snprintf(r->text + used, size - used, "  (%d): ", *index);
    va_list args;
    va_start(args, fmt);
    used += (size_t)vsnprintf(r->text + used, size - used, fmt, args);
    va_end(args);
    assert_true(used + 2 < size);
    strcat(r->text, "\n");
    (*index)++;
}

/* The shape after the text so far; false when its layers do not fit. */
static bool shape_of(random_net *r, ptf_shape *out)
{
    char text[sizeof(r->text) + 4];
    snprintf(text, sizeof(text), "%s)\n", r->text);
    ptf_shape shapes[32];
    ptf_net *net = NULL;
    bool fits = ptf_net_make(text, "text", NULL, NULL, &net, NULL) == PTF_OK &&
                ptf_net_shapes(net, &r->input, shapes, NULL) == PTF_OK;
    if (fits)
        *out = shapes[output_of(net)];
    ptf_net_free(net);
    return fits;
}

static void add_activation(random_net *r, int *index)
{
    char text[128] = "Dropout(p=0.5, inplace=False)";
    if (random_net_between(r, 0, 5) > 0)
        sample_layer((size_t)random_net_between(r, 0, 9999), text);
    add(r, index, "%s", text);
}

static void add_conv(random_net *r, int *index, int in, int rank)
{
    static const int groups[] = {1, 1, 1, 2, 3};
    int g = groups[random_net_between(r, 0, 4)];
    g = in % g == 0 ? g : in;
    int out = g * random_net_between(r, 1, 5);
    int k[8];
    for (int i = 0; i < 8; i++)
        k[i] = random_net_between(r, i < 6 && i % 4 < 2,
                                  i < 2   ? 4
                                  : i < 4 ? 3
                                          : 2);
    bool bias = random_net_between(r, 0, 3) > 0;
    k[2] = k[2] == 0 ? 1 : k[2];
    k[3] = k[3] == 0 ? 1 : k[3];
    if (rank == 2)
        add(r, index,
            "Conv1d(%d, %d, kernel_size=(%d,), stride=(%d,), padding=(%d,), "
            "dilation=(%d,), groups=%d, bias=%s)",
            in, out, k[0], k[2], k[6], k[4], g, bias ? "True" : "False");
    else
        add(r, index,
            "Conv2d(%d, %d, kernel_size=(%d, %d), stride=(%d, %d), "
            "padding=(%d, %d), dilation=(%d, %d), groups=%d, bias=%s)",
            in, out, k[0], k[1], k[2], k[3], k[6], k[7], k[4], k[5], g,
            bias ? "True" : "False");
}

static void add_norm(random_net *r, int *index, const ptf_shape *shape)
{
    add(r, index,
        "BatchNorm%dd(%d, eps=1e-05, momentum=0.1, affine=True, "
        "track_running_stats=True)",
        shape->rank == 3 ? 2 : 1, (int)shape->dim[0]);
}

static void add_pool(random_net *r, int *index)
{
    int k = random_net_between(r, 2, 3), s = random_net_between(r, 1, 3);
    int p = random_net_between(r, 0, 1);
    const char *ceil = random_net_between(r, 0, 1) ? "True" : "False";
    const char *pad = random_net_between(r, 0, 1) ? "True" : "False";
    switch (random_net_between(r, 0, 2)) {
    case 0:
        add(r, index,
            "MaxPool2d(kernel_size=%d, stride=%d, padding=%d, dilation=%d, "
            "ceil_mode=%s)",
            k, s, p, random_net_between(r, 1, 2), ceil);
        break;
    case 1:
        add(r, index,
            "AvgPool2d(kernel_size=%d, stride=%d, padding=%d, ceil_mode=%s, "
            "count_include_pad=%s)",
            k, s, p, ceil, pad);
        break;
    default:
        add(r, index, "AdaptiveAvgPool2d(output_size=(%d, %d))",
            random_net_between(r, 1, 5), random_net_between(r, 1, 5));
    }
}

/* Layers on maps, then perhaps linear ones; false when they do not fit. */
static bool draw(random_net *r)
{
    int index = 0, rank = random_net_between(r, 0, 3) == 0 ? 2 : 3;
    int layers = random_net_between(r, 1, 7);
    strcpy(r->text, "Sequential(\n");
    r->input =
        (ptf_shape){rank,
                    {random_net_between(r, 1, 6), random_net_between(r, 3, 12),
                     random_net_between(r, 3, 12)}};
    ptf_shape shape = r->input;
    for (int i = 0; i < layers; i++) {
        int kind = random_net_between(r, 0, 7);
        if (i == 0 || kind < 3)
            add_conv(r, &index, (int)shape.dim[0], rank);
        else if (kind < 4)
            add_norm(r, &index, &shape);
        else if (kind < 5 && rank == 3)
            add_pool(r, &index);
        else
            add_activation(r, &index);
        if (!shape_of(r, &shape))
            return false;
    }
    if (random_net_between(r, 0, 1)) {
        int out = random_net_between(r, 1, 12);
        add(r, &index, "Flatten(start_dim=1, end_dim=-1)");
        add(r, &index, "Linear(in_features=%d, out_features=%d, bias=True)",
            (int)ptf_shape_numel(&shape), out);
        add_norm(r, &index, &(ptf_shape){1, {out}});
        add_activation(r, &index);
    }
    if (random_net_between(r, 0, 2) == 0)
        add(r, &index, "Softmax(dim=1)");
    strcat(r->text, ")\n");
    return true;
}

void random_net_make(random_net *r, uint64_t seed)
{
    *r = (random_net){.state = seed};
    while (!draw(r))
        ;
    fixture_init(&r->f, r->text);
    for (int i = 0; i < r->f.count; i++) {
        const fixture_entry *e = &r->f.entries[i];
        size_t n = e->size / sizeof(float);
        float size = 1.5F / sqrtf((float)(n / (size_t)e->shape[0]));
        for (size_t k = 0; e->rank > 1 && k < n; k++)
            ((float *)e->data)[k] *= size;
    }
    fixture_make(&r->f);
}

void random_net_free(random_net *r)
{
    fixture_free(&r->f);
}
