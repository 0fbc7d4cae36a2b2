/*
 * Enclosures of whole nets, a group of images at a time, so that weights are
 * read once for all of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

#include <math.h>

/* Images of a group: some tiles' lanes, as far as their balls find room. */
enum { MOST_BALLS = 1 << 23 };

/* -------------------------------------------------------------------- make */

static ptf_status read_numbers(void *context, ptf_error *err)
{
    ptf_enclosure *enc = context;
    size_t nodes = (size_t)enc->net->node_count;
    ptf_parameters *numbers =
        ptf_arena_array(&enc->arena, nodes, sizeof *numbers);
    if (!numbers)
        return ptf_fail_memory(err);
    ptf_status status = PTF_OK;
    for (size_t i = 0; status == PTF_OK && i < nodes; i++)
        status = ptf_numbers_read(&enc->arena, &enc->net->nodes[i], &numbers[i],
                                  err);
    enc->numbers = numbers;
    return status;
}

/* Sizes of values, and the most balls and operands that a node deals with. */
static int measure(ptf_enclosure *enc, int64_t *total)
{
    int operands = 1;
    *total = 0;
    for (int i = 0; i < enc->net->node_count; i++) {
        const ptf_node *node = &enc->net->nodes[i];
        bool constant = node->op == PTF_OP_CONSTANT;
        int64_t read = 0;
        for (int k = 0; k < node->input_count; k++)
            read += enc->sizes[node->inputs[k]];
        enc->sizes[i] = ptf_shape_numel(&enc->shapes[i]);
        enc->own[i].stride = constant ? 0 : enc->sizes[i];
        *total += enc->own[i].stride;
        enc->most = ptf_max_i64(enc->most, ptf_max_i64(read, enc->sizes[i]));
        operands = node->input_count > operands ? node->input_count : operands;
    }
    return operands;
}

static ptf_status allocate_workers(ptf_enclosure *enc, int operands,
                                   ptf_error *err)
{
    enc->workers = ptf_arena_array(&enc->arena, (size_t)enc->threads,
                                   sizeof *enc->workers);
    if (!enc->workers)
        return ptf_fail_memory(err);
    for (int i = 0; i < enc->threads; i++) {
        ptf_enclose_worker *w = &enc->workers[i];
        w->operands =
            ptf_arena_array(&enc->arena, (size_t)operands, sizeof *w->operands);
        if (!w->operands)
            return ptf_fail_memory(err);
    }
    return PTF_OK;
}

static ptf_status allocate(ptf_enclosure *enc, ptf_error *err)
{
    int64_t total;
    int operands = measure(enc, &total);
    int64_t each = total + enc->most;
    int64_t room = each > 0 ? MOST_BALLS / each : 1;
    enc->large = room < 1;
    enc->group = ptf_min_i64(ptf_max_i64(room, 1), PTF_ENCLOSE_IMAGES);
    enc->bad =
        ptf_arena_array(&enc->arena, PTF_ENCLOSE_IMAGES, sizeof *enc->bad);
    if (!enc->bad)
        return ptf_fail_memory(err);
    return allocate_workers(enc, operands, err);
}

static ptf_status prepare(ptf_enclosure *enc, const ptf_shape *inputs,
                          ptf_error *err)
{
    size_t nodes = (size_t)enc->net->node_count;
    enc->shapes = ptf_arena_array(&enc->arena, nodes, sizeof *enc->shapes);
    enc->sizes = ptf_arena_array(&enc->arena, nodes, sizeof *enc->sizes);
    enc->own = ptf_arena_array(&enc->arena, nodes, sizeof *enc->own);
    enc->root = ptf_arena_array(&enc->arena, nodes, sizeof *enc->root);
    enc->passing = ptf_arena_array(&enc->arena, nodes, sizeof *enc->passing);
    if (!enc->shapes || !enc->sizes || !enc->own || !enc->root || !enc->passing)
        return ptf_fail_memory(err);
    ptf_status status = ptf_net_shapes(enc->net, inputs, enc->shapes, err);
    if (status == PTF_OK)
        status = allocate(enc, err);
    if (status == PTF_OK && !enc->numbers)
        status = ptf_call_ieee(read_numbers, enc, err);
    return status;
}

ptf_status ptf_enclosure_make_with(const ptf_net *net,
                                   const ptf_parameters *numbers,
                                   const ptf_shape *inputs, int threads,
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
    ptf_users_add(net->users);
    enc->numbers = numbers;
    enc->threads = threads > 0 ? threads : ptf_thread_count();
    ptf_status status = prepare(enc, inputs, err);
    if (status == PTF_OK)
        *out = enc;
    else
        ptf_enclosure_free(enc);
    return status;
}

ptf_status ptf_enclosure_make(const ptf_net *net, const ptf_shape *inputs,
                              ptf_enclosure **out, ptf_error *err)
{
    return ptf_enclosure_make_with(net, NULL, inputs, 0, out, err);
}

void ptf_enclosure_free(ptf_enclosure *enc)
{
    if (!enc)
        return;
    for (int i = 0; enc->workers && i < enc->threads; i++)
        ptf_free(enc->workers[i].scratch.bytes);
    ptf_free(enc->shared.bytes);
    ptf_free(enc->alone.bytes);
    ptf_arena_free(&enc->arena);
    ptf_users_drop(enc->net->users);
    ptf_free(enc);
}

/* ------------------------------------------------------------------ queries */

ptf_shape ptf_enclosure_output(const ptf_enclosure *enc, size_t index)
{
    return enc->shapes[enc->net->outputs[index].node];
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
    const ptf_enclose_value *v = &enc->own[enc->root[node]];
    return ptf_balls_of(v->balls, v->stride, n);
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

/* What an image's balls are for output k, which say nothing where it is bad. */
static void give_output(ptf_enclosure *enc, int k, int64_t n, double *value,
                        double *radius)
{
    int node = enc->net->outputs[k].node;
    int64_t size = enc->sizes[node];
    if (enc->bad[n] < 0) {
        ptf_balls_copy(size, ptf_enclosure_node(enc, node, n),
                       (ptf_balls){value, radius});
        return;
    }
    enc->undecided = enc->net->nodes[enc->bad[n]].name;
    for (int64_t i = 0; i < size; i++) {
        value[i] = (double)NAN;
        radius[i] = HUGE_VAL;
    }
}

/* Images first .. first + count - 1. */
static ptf_status run_group(ptf_enclosure *enc, const float *const *in,
                            int64_t first, int64_t count, double *const *value,
                            double *const *radius, ptf_error *err)
{
    const ptf_net *net = enc->net;
    const float **at = ptf_alloc((size_t)net->input_count * sizeof *at);
    if (!at)
        return ptf_fail_memory(err);
    for (int k = 0; k < net->input_count; k++)
        at[k] = in[k] + first * enc->sizes[k];
    ptf_status status =
        ptf_enclosure_run_inputs(enc, at, count, NULL, NULL, err);
    ptf_free(at);
    for (int k = 0; status == PTF_OK && k < net->output_count; k++) {
        int64_t size = enc->sizes[net->outputs[k].node];
        for (int64_t n = 0; n < count; n++)
            give_output(enc, k, n, value[k] + (first + n) * size,
                        radius[k] + (first + n) * size);
    }
    return status;
}

ptf_status ptf_enclosure_run_all(ptf_enclosure *enc, const float *const *in,
                                 int64_t count, double *const *value,
                                 double *const *radius, ptf_error *err)
{
    ptf_status status = PTF_OK;
    enc->undecided = NULL;
    for (int64_t n = 0; status == PTF_OK && n < count; n += enc->group)
        status = run_group(enc, in, n, ptf_min_i64(count - n, enc->group),
                           value, radius, err);
    return status;
}

ptf_status ptf_enclosure_run(ptf_enclosure *enc, const float *in, int64_t count,
                             double *value, double *radius, ptf_error *err)
{
    ptf_status status =
        ptf_net_check_single(enc->net, "ptf_enclosure_run() takes", err);
    if (status != PTF_OK)
        return status;
    return ptf_enclosure_run_all(enc, &in, count, &value, &radius, err);
}
