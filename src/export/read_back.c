/*
 * A program that was written must be the network that it was written for:
 * whatever went into it, the file decides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/export.h"
#include "net/graph.h"

/* All elements in C order; the copy, if one is made, is to be released. */
static const void *bytes_of(const ptf_tensor *t, void **copy)
{
    *copy = NULL;
    if (ptf_tensor_is_contiguous(t))
        return t->data;
    *copy = ptf_alloc(ptf_tensor_bytes(t) + 1);
    if (*copy != NULL)
        ptf_tensor_read_bytes(t, *copy);
    return *copy;
}

static bool same_tensor(const ptf_tensor *a, const ptf_tensor *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->dtype != b->dtype || a->rank != b->rank ||
        memcmp(a->shape, b->shape, (size_t)a->rank * sizeof(*a->shape)) != 0)
        return false;
    void *copies[2];
    const void *x = bytes_of(a, &copies[0]), *y = bytes_of(b, &copies[1]);
    size_t size = ptf_tensor_bytes(a);
    bool same =
        x != NULL && y != NULL && (size == 0 || memcmp(x, y, size) == 0);
    ptf_free(copies[0]);
    ptf_free(copies[1]);
    return same;
}

static bool same_node(ptf_arena *arena, const ptf_node *a, const ptf_node *b)
{
    if (a->op != b->op || a->input_count != b->input_count)
        return false;
    for (int i = 0; i < a->input_count; i++) {
        if (a->inputs[i] != b->inputs[i])
            return false;
    }
    for (int role = 0; role < PTF_ROLE_COUNT; role++) {
        if (!same_tensor(a->tensors[role], b->tensors[role]))
            return false;
    }
    const char *x = ptf_graph_attributes(arena, a);
    const char *y = ptf_graph_attributes(arena, b);
    return x != NULL && y != NULL && strcmp(x, y) == 0;
}

static bool same_ports(const ptf_net *a, const ptf_net *b)
{
    if (a->input_count != b->input_count ||
        a->output_count != b->output_count || a->whole != b->whole)
        return false;
    for (int i = 0; i < a->input_count; i++) {
        const ptf_input *x = &a->inputs[i], *y = &b->inputs[i];
        if (x->dtype != y->dtype ||
            memcmp(&x->shape, &y->shape, sizeof(x->shape)) != 0)
            return false;
    }
    for (int i = 0; i < a->output_count; i++) {
        const ptf_output *x = &a->outputs[i], *y = &b->outputs[i];
        if (x->node != y->node || x->dtype != y->dtype)
            return false;
    }
    return true;
}

/* The node that differs first; 'net' has that many where all are the same. */
static int compare(const ptf_net *net, const ptf_net *other)
{
    ptf_arena arena = {NULL};
    int i = 0;
    while (i < net->node_count && i < other->node_count &&
           same_node(&arena, &net->nodes[i], &other->nodes[i]))
        i++;
    ptf_arena_free(&arena);
    return i;
}

ptf_status ptf_net_check_written(const ptf_net *net, const char *path,
                                 ptf_error *err)
{
    ptf_error cause;
    ptf_program *program = NULL;
    ptf_net *other = NULL;
    ptf_status status = ptf_program_open(path, NULL, &program, &cause);
    if (status == PTF_OK)
        status = ptf_net_from_program(program, &other, &cause);
    int same = status == PTF_OK ? compare(net, other) : 0;
    bool equal = status == PTF_OK && same == net->node_count &&
                 same == other->node_count && same_ports(net, other);
    ptf_net_free(other);
    ptf_program_close(program);
    if (equal || status == PTF_MEMORY)
        return equal ? PTF_OK : ptf_fail_memory(err);
    if (status != PTF_OK)
        return ptf_net_fail(err, PTF_UNSUPPORTED, net,
                            "cannot be written as a .pt2: %s", cause.message);
    return ptf_net_fail(
        err, PTF_UNSUPPORTED, net,
        "cannot be written as a .pt2: at '%s' it reads back as another network",
        same < net->node_count ? net->nodes[same].name : "an output");
}
