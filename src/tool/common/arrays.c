/*
 * Inputs as arrays by name: out of a NumPy file, or the example that a program
 * was exported with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

/* Arrays, and who is to blame when they do not fit. */
typedef struct source {
    const char *path, *what; /* "x.npz", "input"; "net.pt2", "sample input" */
    ptf_status wrong;
    const ptf_net *net;
    size_t count;              /* of the inputs */
    const ptf_tensor **arrays; /* one for each input */
} source;

static ptf_status out_of_memory(ptf_error *err)
{
    return tool_error(err, PTF_MEMORY, "out of memory");
}

const char *tool_array_shape(const ptf_tensor *array, char text[192])
{
    size_t used = 0;
    snprintf(text, 192, "%s", array->rank == 0 ? "one number" : "");
    for (int d = 0; d < array->rank; d++)
        used += (size_t)snprintf(text + used, 192 - used, "%s%lld",
                                 d > 0 ? "x" : "", (long long)array->shape[d]);
    return text;
}

/* ------------------------------------------------------------------- shapes */

/* Samples lie side by side along the first axis; of a net that stacks it is one
 * of the sample's own, which has 1 there. */
static int batch_axes(const ptf_net *net)
{
    return ptf_net_is_whole(net) && !ptf_net_stacks(net) ? 0 : 1;
}

void tool_set_shape(const ptf_net *net, const ptf_shape *sample, int64_t count,
                    ptf_tensor *t)
{
    bool stacks = ptf_net_stacks(net);
    bool own =
        stacks && (count == 1 || (sample->rank > 0 && sample->dim[0] == 1));
    int batch = own ? 0 : batch_axes(net);
    t->rank = sample->rank + batch;
    t->shape[0] = count;
    memcpy(t->shape + batch, sample->dim,
           (size_t)sample->rank * sizeof(*sample->dim));
    if (own && count > 1)
        t->shape[0] = count;
}

/* The first axis is the batch, which all inputs have alike. */
static ptf_status take_shape(const source *s, size_t k, tool_inputs *to,
                             ptf_error *err)
{
    const ptf_tensor *array = s->arrays[k];
    int batch = batch_axes(s->net), kept = ptf_net_stacks(s->net);
    int rank = array->rank - batch + kept;
    ptf_port port;
    ptf_net_input(s->net, k, &port);
    bool fits = rank >= 0 && rank <= PTF_SHAPE_MAX &&
                (!port.has_shape || rank == port.shape.rank);
    char shape[192];
    if (!fits)
        return tool_error(
            err, s->wrong, "%s: %s '%s': expected %d axes%s, got %s", s->path,
            s->what, port.name, port.shape.rank + batch - kept,
            batch > 0 ? " with the batch" : "", tool_array_shape(array, shape));
    int64_t count = batch > 0 ? array->shape[0] : 1;
    if (count < 1 || (k > 0 && count != to->count))
        return tool_error(err, s->wrong,
                          "%s: %s '%s': expected %lld samples, got %lld",
                          s->path, s->what, port.name,
                          (long long)(k > 0 ? to->count : 1), (long long)count);
    to->count = count;
    to->own[k].rank = rank;
    to->own[k].dim[0] = 1; /* of one that is kept */
    for (int d = kept; d < rank; d++)
        to->own[k].dim[d] = array->shape[batch - kept + d];
    return PTF_OK;
}

/* The numbers of all inputs; PTF_MEMORY when they are too many to count. */
static ptf_status count_numbers(const tool_inputs *to, size_t *out,
                                ptf_error *err)
{
    *out = 1;
    for (size_t k = 0; k < to->input_count; k++) {
        size_t size = (size_t)ptf_shape_numel(&to->own[k]), all;
        if (__builtin_mul_overflow(size, (size_t)to->count, &all) ||
            __builtin_add_overflow(*out, all, out))
            return out_of_memory(err);
    }
    return PTF_OK;
}

/* All inputs into one block, one after the other. */
static ptf_status take_numbers(const source *s, tool_inputs *to, ptf_error *err)
{
    size_t total;
    ptf_status status = count_numbers(to, &total, err);
    float *at = to->numbers =
        status == PTF_OK ? calloc(total, sizeof(float)) : NULL;
    if (at == NULL)
        return out_of_memory(err);
    for (size_t k = 0; k < to->input_count && status == PTF_OK; k++) {
        status = ptf_net_read_input(s->net, k, s->arrays[k], at, err);
        at += to->count * ptf_shape_numel(&to->own[k]);
    }
    return status;
}

static ptf_status take_all(const source *s, tool_inputs *to, ptf_error *err)
{
    ptf_status status = PTF_OK;
    to->input_count = s->count;
    to->own = calloc(to->input_count + 1, sizeof(*to->own));
    to->shapes = to->own;
    to->count = 1; /* where there is no input that says it */
    if (to->own == NULL)
        return out_of_memory(err);
    for (size_t k = 0; k < to->input_count && status == PTF_OK; k++)
        status = take_shape(s, k, to, err);
    if (status == PTF_OK)
        status = take_numbers(s, to, err);
    to->shape = to->own[0];
    return status;
}

/* ------------------------------------------------------------------ sources */

const ptf_tensor *tool_find_array(const ptf_net *net, const ptf_port *port,
                                  const ptf_tensor *arrays, size_t count)
{
    const char *const names[] = {port->name, port->alias};
    for (int k = 0; k < 2 && names[k] != NULL; k++) {
        for (size_t i = 0; i < count; i++) {
            if (strcmp(arrays[i].name, names[k]) == 0)
                return &arrays[i];
        }
    }
    return ptf_net_input_count(net) == 1 && count == 1 ? arrays : NULL;
}

static ptf_status find_arrays(const source *s, ptf_arrays *file, ptf_error *err)
{
    size_t count;
    const ptf_tensor *arrays = ptf_arrays_tensors(file, &count);
    for (size_t k = 0; k < s->count; k++) {
        ptf_port port;
        ptf_net_input(s->net, k, &port);
        s->arrays[k] = tool_find_array(s->net, &port, arrays, count);
        if (s->arrays[k] == NULL)
            return tool_error(err, PTF_ARGUMENT,
                              "%s: expected an array for the input '%s', got "
                              "none; write all inputs with numpy.savez()",
                              s->path, port.name);
    }
    return PTF_OK;
}

ptf_status tool_inputs_arrays(const char *path, const tool_net *net,
                              tool_inputs *out, ptf_error *err)
{
    size_t count = ptf_net_input_count(net->net);
    source s = {.path = path,
                .what = "input",
                .wrong = PTF_ARGUMENT,
                .net = net->net,
                .count = count,
                .arrays = calloc(count + 1, sizeof(*s.arrays))};
    ptf_arrays *file = NULL;
    *out = (tool_inputs){0};
    ptf_status status = s.arrays != NULL ? ptf_arrays_open(path, &file, err)
                                         : out_of_memory(err);
    if (status == PTF_OK)
        status = find_arrays(&s, file, err);
    if (status == PTF_OK)
        status = take_all(&s, out, err);
    if (status == PTF_OK)
        status = ptf_arrays_check(file, err);
    ptf_arrays_close(file);
    free(s.arrays);
    if (status != PTF_OK)
        tool_inputs_free(out);
    return status;
}

bool tool_has_sample(const tool_net *net)
{
    ptf_port port;
    size_t k = 0;
    while (ptf_net_input(net->net, k, &port) && port.sample != NULL)
        k++;
    return k == ptf_net_input_count(net->net);
}

/* A sample that is no example of the program's inputs: the file is damaged. */
static ptf_status read_sample(const source *s, tool_inputs *out, ptf_error *err)
{
    ptf_status status = take_all(s, out, err);
    if (status == PTF_ARGUMENT) {
        const ptf_error cause = *err;
        status = tool_error(err, PTF_FORMAT, "%s", cause.message);
    }
    for (size_t k = 0; k < out->input_count && status == PTF_OK; k++) {
        ptf_port port;
        char expected[TOOL_SHAPE_TEXT], got[TOOL_SHAPE_TEXT];
        ptf_net_input(s->net, k, &port);
        if (port.fixed && !tool_same_shape(&port.shape, &out->own[k]))
            status = tool_error(
                err, PTF_FORMAT, "%s: sample input '%s': expected %s, got %s",
                s->path, port.name, tool_shape_text(&port.shape, expected),
                tool_shape_text(&out->own[k], got));
    }
    return status;
}

ptf_status tool_inputs_sample(const tool_net *net, const tool_source *from,
                              tool_inputs *out, ptf_error *err)
{
    size_t count = ptf_net_input_count(net->net);
    *out = (tool_inputs){0};
    if (!tool_has_sample(net))
        return tool_error(err, PTF_ARGUMENT,
                          "%s: expected sample inputs in the file, got none; "
                          "give the inputs with --data FILE",
                          from->path);
    source s = {.path = from->path,
                .what = "sample input",
                .wrong = PTF_FORMAT,
                .net = net->net,
                .count = count,
                .arrays = calloc(count + 1, sizeof(*s.arrays))};
    if (s.arrays == NULL)
        return out_of_memory(err);
    for (size_t k = 0; k < count; k++) {
        ptf_port port;
        ptf_net_input(net->net, k, &port);
        s.arrays[k] = port.sample;
    }
    ptf_status status = read_sample(&s, out, err);
    out->sampled = true;
    free(s.arrays);
    if (status != PTF_OK)
        tool_inputs_free(out);
    return status;
}
