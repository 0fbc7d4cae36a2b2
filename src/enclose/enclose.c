/*
 * Enclosures of whole nets, a group of images at a time, so that weights are
 * read once for all of them.  Unless only the outputs are asked for, every
 * node keeps its balls until the next group, so that any layer can be looked
 * at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

#include <math.h>

/* Images of a group: some tiles' lanes, as far as their balls find room. */
enum { MOST_IMAGES = 64, MOST_BALLS = 1 << 23 };

/* -------------------------------------------------------------------- make */

static ptf_status read_numbers(void *context, ptf_error *err)
{
    ptf_enclosure *enc = context;
    size_t nodes = (size_t)enc->net->node_count;
    ptf_numbers *numbers = ptf_arena_array(&enc->arena, nodes, sizeof *numbers);
    if (!numbers)
        return ptf_fail_memory(err);
    ptf_status status = PTF_OK;
    for (size_t i = 0; status == PTF_OK && i < nodes; i++)
        status = ptf_numbers_read(&enc->arena, &enc->net->nodes[i], &numbers[i],
                                  err);
    enc->numbers = numbers;
    return status;
}

static ptf_status allocate(ptf_enclosure *enc, ptf_error *err)
{
    int64_t total = 0;
    for (int i = 0; i < enc->net->node_count; i++) {
        enc->sizes[i] = ptf_shape_numel(&enc->shapes[i]);
        total += enc->sizes[i];
        enc->most = enc->sizes[i] > enc->most ? enc->sizes[i] : enc->most;
    }
    int64_t each = total + enc->most;
    int64_t room = each > 0 ? MOST_BALLS / each : 1;
    enc->group = room < 1 ? 1 : room > MOST_IMAGES ? MOST_IMAGES : room;
    enc->staged = ptf_balls_new(&enc->arena, enc->most * enc->group);
    enc->bad =
        ptf_arena_array(&enc->arena, (size_t)enc->group, sizeof *enc->bad);
    enc->workers = ptf_arena_array(&enc->arena, (size_t)enc->threads,
                                   sizeof *enc->workers);
    if (!enc->staged.value || !enc->bad || !enc->workers)
        return ptf_fail_memory(err);
    for (int i = 0; i < enc->net->node_count; i++) {
        enc->own[i] = ptf_balls_new(&enc->arena, enc->sizes[i] * enc->group);
        if (!enc->own[i].value)
            return ptf_fail_memory(err);
    }
    return PTF_OK;
}

static ptf_status prepare(ptf_enclosure *enc, const ptf_shape *input,
                          ptf_error *err)
{
    size_t nodes = (size_t)enc->net->node_count;
    enc->shapes = ptf_arena_array(&enc->arena, nodes, sizeof *enc->shapes);
    enc->sizes = ptf_arena_array(&enc->arena, nodes, sizeof *enc->sizes);
    enc->own = ptf_arena_array(&enc->arena, nodes, sizeof *enc->own);
    enc->balls = ptf_arena_array(&enc->arena, nodes, sizeof *enc->balls);
    if (!enc->shapes || !enc->sizes || !enc->own || !enc->balls)
        return ptf_fail_memory(err);
    ptf_status status = ptf_net_shapes(enc->net, input, enc->shapes, err);
    if (status == PTF_OK)
        status = allocate(enc, err);
    if (status == PTF_OK && !enc->numbers)
        status = ptf_call_ieee(read_numbers, enc, err);
    return status;
}

ptf_status ptf_enclosure_make_with(const ptf_net *net,
                                   const ptf_numbers *numbers,
                                   const ptf_shape *input, int threads,
                                   ptf_enclosure **out, ptf_error *err)
{
    *out = NULL;
    if (!net->has_tensors)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a net without numbers has no outputs to enclose");
    ptf_enclosure *enc = ptf_alloc(sizeof *enc);
    if (!enc)
        return ptf_fail_memory(err);
    enc->net = net;
    enc->numbers = numbers;
    enc->threads = threads > 0 ? threads : ptf_thread_count();
    ptf_status status = prepare(enc, input, err);
    if (status == PTF_OK)
        *out = enc;
    else
        ptf_enclosure_free(enc);
    return status;
}

ptf_status ptf_enclosure_make(const ptf_net *net, const ptf_shape *input,
                              ptf_enclosure **out, ptf_error *err)
{
    return ptf_enclosure_make_with(net, NULL, input, 0, out, err);
}

void ptf_enclosure_free(ptf_enclosure *enc)
{
    if (!enc)
        return;
    for (int i = 0; enc->workers && i < enc->threads; i++)
        ptf_free(enc->workers[i].room.bytes);
    ptf_arena_free(&enc->arena);
    ptf_free(enc);
}

/* ------------------------------------------------------------------ queries */

ptf_shape ptf_enclosure_output(const ptf_enclosure *enc)
{
    return enc->shapes[enc->net->output];
}

const char *ptf_enclosure_undecided(const ptf_enclosure *enc)
{
    return enc->undecided;
}

int64_t ptf_enclosure_group(const ptf_enclosure *enc)
{
    return enc->group;
}

ptf_balls ptf_enclosure_node(const ptf_enclosure *enc, int node, int64_t n)
{
    return ptf_balls_of(enc->balls[node], enc->sizes[node], n);
}

const ptf_shape *ptf_enclosure_shape(const ptf_enclosure *enc, int node)
{
    return &enc->shapes[node];
}

int ptf_enclosure_bad(const ptf_enclosure *enc, int64_t n)
{
    return enc->bad[n];
}

/* --------------------------------------------------------------------- run */

static ptf_status run_group(ptf_enclosure *enc, const float *in, int64_t count,
                            double *value, double *radius, ptf_error *err)
{
    const ptf_net *net = enc->net;
    const float **taps = ptf_alloc((size_t)net->node_count * sizeof *taps);
    if (!taps)
        return ptf_fail_memory(err);
    taps[0] = in;
    ptf_status status = ptf_enclosure_run_outputs(enc, taps, count, err);
    ptf_free(taps);
    if (status != PTF_OK)
        return status;
    int64_t size = enc->sizes[net->output];
    ptf_balls_copy(count * size, enc->balls[net->output],
                   (ptf_balls){value, radius});
    for (int64_t n = 0; n < count; n++) {
        if (enc->bad[n] < 0)
            continue;
        enc->undecided = net->nodes[enc->bad[n]].name;
        for (int64_t k = n * size; k < (n + 1) * size; k++) {
            value[k] = (double)NAN;
            radius[k] = HUGE_VAL;
        }
    }
    return PTF_OK;
}

ptf_status ptf_enclosure_run(ptf_enclosure *enc, const float *in, int64_t count,
                             double *value, double *radius, ptf_error *err)
{
    int64_t inputs = enc->sizes[0], outputs = enc->sizes[enc->net->output];
    enc->undecided = NULL;
    for (int64_t n = 0; n < count; n += enc->group) {
        int64_t group = count - n < enc->group ? count - n : enc->group;
        ptf_status status =
            run_group(enc, in + n * inputs, group, value + n * outputs,
                      radius + n * outputs, err);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}
