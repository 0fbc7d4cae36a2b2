/*
 * The invariants of a graph.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

#include <stdlib.h>

ptf_status ptf_net_fail(ptf_error *err, ptf_status status, const ptf_net *net,
                        const char *fmt, ...)
{
    char message[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    ptf_origin origin = {net->nodes != NULL ? net->nodes[0].file : NULL, NULL};
    return ptf_fail(err, status, &origin, PTF_NO_OFFSET, "%s", message);
}

ptf_status(ptf_node_fail)(ptf_error *err, ptf_status status,
                          const ptf_node *node, const char *fmt, ...)
{
    char message[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    const char *name = node->implied ? "between the lines" : node->name;
    ptf_origin origin = {node->file, NULL};
    return ptf_fail(err, status, &origin, PTF_NO_OFFSET, "layer %s%s(%s): %s",
                    name, name[0] != '\0' ? " " : "", node->class_name,
                    message);
}

int ptf_net_consumers(const ptf_net *net, int node)
{
    int count = 0;
    for (int i = 0; i < net->output_count; i++)
        count += net->outputs[i].node == node;
    for (int i = node + 1; i < net->node_count; i++) {
        for (int k = 0; k < net->nodes[i].input_count; k++)
            count += net->nodes[i].inputs[k] == node;
    }
    return count;
}

void ptf_net_count_reads(const ptf_net *net, int *reads)
{
    memset(reads, 0, (size_t)net->node_count * sizeof(*reads));
    for (int i = 0; i < net->output_count; i++)
        reads[net->outputs[i].node]++;
    for (int i = net->node_count - 1; i >= net->input_count; i--) {
        const ptf_node *node = &net->nodes[i];
        for (int k = 0; k < node->input_count && reads[i] > 0; k++)
            reads[node->inputs[k]]++;
    }
}

int ptf_net_only_consumer(const ptf_net *net, int node)
{
    if (ptf_net_consumers(net, node) != 1)
        return -1;
    for (int i = node + 1; i < net->node_count; i++) {
        for (int k = 0; k < net->nodes[i].input_count; k++) {
            if (net->nodes[i].inputs[k] == node)
                return i;
        }
    }
    return -1; /* it is an output */
}

ptf_partial_shape ptf_net_input_partial_shape(const ptf_net *net, int input)
{
    const ptf_input *in = &net->inputs[input];
    if (!in->has_shape)
        return (ptf_partial_shape){0, 0};
    return (ptf_partial_shape){in->shape.rank + 1,
                               in->shape.rank > 0 ? in->shape.dim[0] : 0};
}

/* -------------------------------------------------------------- parameters */

static ptf_status check_tensor(const ptf_net *net, const ptf_node *node,
                               ptf_role role, ptf_error *err)
{
    const ptf_tensor *tensor = node->tensors[role];
    int rank;
    int64_t shape[PTF_MAX_RANK], count = 1;
    bool wanted = ptf_op_parameter(node->op, &node->attrs, role, &rank, shape);
    if (!wanted && tensor != NULL)
        return ptf_node_fail(err, PTF_ARGUMENT, node, "has a %s, expected none",
                             ptf_role_name(role));
    for (int d = 0; wanted && d < rank; d++) {
        if (!ptf_mul_i64(count, shape[d], &count) || count > INT64_MAX / 16)
            return ptf_node_fail(err, PTF_UNSUPPORTED, node,
                                 "has more parameters than can be counted");
    }
    if (!wanted || !net->has_tensors)
        return PTF_OK;
    if (role == PTF_ROLE_NUM_BATCHES) /* any number: nothing reads it */
        return PTF_OK;
    bool same =
        tensor != NULL && tensor->rank == rank &&
        memcmp(tensor->shape, shape, (size_t)rank * sizeof(*shape)) == 0;
    return same ? PTF_OK
                : ptf_node_fail(err, PTF_ARGUMENT, node, "its %s is %s",
                                ptf_role_name(role),
                                tensor == NULL ? "absent" : "of another shape");
}

static ptf_status check_numbers(const ptf_net *net, const ptf_tensor *tensor,
                                ptf_error *err)
{
    int64_t at = ptf_tensor_find_not_finite(tensor);
    if (at < 0)
        return PTF_OK;
    ptf_origin origin = {net->nodes[0].file, tensor->name};
    return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                    "element %lld is NaN or infinite, expected finite numbers",
                    (long long)at);
}

ptf_status ptf_net_check_numbers(const ptf_net *net, ptf_error *err)
{
    ptf_status status = PTF_OK;
    for (size_t i = 0; i < net->tensor_count && status == PTF_OK; i++)
        status = check_numbers(net, net->tensors[i], err);
    return status;
}

/* Those nodes that an output needs. */
static void find_needed(const ptf_net *net, bool *needed)
{
    for (int i = 0; i < net->output_count; i++)
        needed[net->outputs[i].node] = true;
    for (int i = net->node_count - 1; i >= 0; i--) {
        const ptf_node *node = &net->nodes[i];
        for (int k = 0; k < node->input_count && needed[i]; k++)
            needed[node->inputs[k]] = true;
    }
}

/*
 * Each weight of a product is a factor of some term of some sum, if only with
 * the +0 of padding: infinity times 0 is NaN, which no later term takes away.
 */
ptf_status ptf_net_check_hidden(const ptf_net *net, ptf_error *err)
{
    bool *needed = ptf_alloc((size_t)net->node_count * sizeof(*needed));
    if (needed == NULL)
        return ptf_fail_memory(err);
    find_needed(net, needed);
    ptf_status status = PTF_OK;
    for (int i = 0; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        bool shown = needed[i] && ptf_op_is(node->op, PTF_FAMILY_PRODUCT);
        int first = shown ? PTF_ROLE_WEIGHT + 1 : 0;
        for (int r = first; r < PTF_ROLE_COUNT && status == PTF_OK; r++) {
            if (node->tensors[r] != NULL)
                status = check_numbers(net, node->tensors[r], err);
        }
    }
    ptf_free(needed);
    return status;
}

/* ------------------------------------------------------------------- nodes */

/* Operands as many as the op takes, made before the node. */
static bool reads_well(const ptf_node *node, int index)
{
    if (node->op == PTF_OP_CONSTANT)
        return node->input_count == 0;
    if (!ptf_op_takes(node->op, node->input_count))
        return false;
    for (int k = 0; k < node->input_count; k++) {
        if (node->inputs[k] < 0 || node->inputs[k] >= index)
            return false;
    }
    return true;
}

static ptf_status check_node(const ptf_net *net, int index,
                             ptf_partial_shape *kinds, ptf_error *err)
{
    const ptf_node *node = &net->nodes[index];
    if (!reads_well(node, index))
        return ptf_node_fail(err, PTF_ARGUMENT, node,
                             "does not read as many values as its op takes, "
                             "all made before it");
    if (node->container >= net->container_count)
        return ptf_node_fail(err, PTF_ARGUMENT, node, "has no container");
    ptf_partial_shape in = {0, 0};
    if (node->input_count == 1)
        in = kinds[node->inputs[0]];
    const char *wrong =
        ptf_op_partial_shape(node->op, &node->attrs, in, &kinds[index]);
    char text[PTF_REFUSAL_TEXT];
    if (wrong != NULL)
        return ptf_node_fail(
            err, PTF_ARGUMENT, node, "cannot take its input: %s",
            ptf_op_refusal(wrong, &node->attrs, in.channels, text));
    bool whole = node->op == PTF_OP_CONSTANT; /* its tensor is of any shape */
    for (int role = whole ? PTF_ROLE_BIAS : 0; role < PTF_ROLE_COUNT; role++) {
        ptf_status status = check_tensor(net, node, (ptf_role)role, err);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}

static ptf_status check_nodes(const ptf_net *net, ptf_error *err)
{
    ptf_partial_shape *kinds =
        ptf_alloc((size_t)net->node_count * sizeof(*kinds));
    if (kinds == NULL)
        return ptf_fail_memory(err);
    for (int i = 0; i < net->input_count; i++)
        kinds[i] = ptf_net_input_partial_shape(net, i);
    ptf_status status = PTF_OK;
    for (int i = net->input_count; status == PTF_OK && i < net->node_count; i++)
        status = check_node(net, i, kinds, err);
    ptf_free(kinds);
    return status;
}

/* ------------------------------------------------------------------- names */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of layers, containers and several inputs, which must differ. */
static size_t list_names(const ptf_net *net, const char **names)
{
    size_t count = 0;
    for (int i = 0; i < net->container_count; i++)
        names[count++] = net->containers[i].path;
    for (int i = net->input_count > 1 ? 0 : 1; i < net->node_count; i++) {
        if (!net->nodes[i].implied)
            names[count++] = net->nodes[i].name;
    }
    return count;
}

static ptf_status check_names(const ptf_net *net, ptf_error *err)
{
    size_t most = (size_t)net->node_count + (size_t)net->container_count;
    const char **names = ptf_alloc(most * sizeof(*names));
    if (names == NULL)
        return ptf_fail_memory(err);
    size_t count = list_names(net, names);
    qsort(names, count, sizeof(*names), compare_names);
    ptf_status status = PTF_OK;
    for (size_t i = 1; status == PTF_OK && i < count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            status = ptf_net_fail(err, PTF_FORMAT, net,
                                  "two modules have the name '%s'", names[i]);
    }
    ptf_free(names);
    return status;
}

/* ------------------------------------------------------- inputs and outputs */

static bool has_ports(const ptf_net *net)
{
    bool ok = net->output_count > 0 && (net->input_count > 0 || net->whole);
    for (int i = 0; ok && i < net->node_count; i++)
        ok = (net->nodes[i].op == PTF_OP_INPUT) == (i < net->input_count);
    for (int i = 0; ok && i < net->output_count; i++)
        ok =
            net->outputs[i].node >= 0 && net->outputs[i].node < net->node_count;
    return ok && net->input_count <= net->node_count;
}

/* Outputs are told apart by their names, however they have them. */
static ptf_status check_outputs(const ptf_net *net, ptf_error *err)
{
    ptf_text_table known = {NULL, 0, 0};
    ptf_status status = PTF_OK;
    for (int i = 0; status == PTF_OK && i < net->output_count; i++) {
        const ptf_output *o = &net->outputs[i];
        const char *names[] = {ptf_net_output_name(net, o), o->alias};
        for (int k = 0; status == PTF_OK && k < 2 && names[k] != NULL; k++) {
            const ptf_output *same = ptf_text_table_find(&known, names[k]);
            if (same != NULL && (k == 0 || same != o))
                status =
                    ptf_net_fail(err, PTF_FORMAT, net,
                                 "two outputs have the name '%s'", names[k]);
            else if (same == NULL && !ptf_text_table_add(&known, names[k],
                                                         (void *)(uintptr_t)o))
                status = ptf_fail_memory(err);
        }
    }
    ptf_text_table_free(&known);
    return status;
}

ptf_status ptf_net_check_single(const ptf_net *net, const char *wants,
                                ptf_error *err)
{
    if (net->input_count == 1 && net->output_count == 1)
        return PTF_OK;
    return ptf_net_fail(err, PTF_UNSUPPORTED, net,
                        "%s a network of one input and one output; this one "
                        "has %d and %d",
                        wants, net->input_count, net->output_count);
}

ptf_status ptf_net_check(const ptf_net *net, ptf_error *err)
{
    if (!has_ports(net))
        return ptf_net_fail(err, PTF_ARGUMENT, net,
                            "the net has no layers, or no input or output");
    ptf_status status = check_nodes(net, err);
    if (status == PTF_OK)
        status = check_names(net, err);
    return status == PTF_OK ? check_outputs(net, err) : status;
}
