/*
 * A net shows itself: as the text that print(model) would print, as a graph,
 * and layer by layer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

const char *ptf_net_name(const ptf_net *net)
{
    if (net->container_count > 0)
        return net->containers[0].class_name;
    return net->name != NULL ? net->name
                             : net->nodes[net->outputs[0].node].class_name;
}

const char *ptf_net_assumption(const ptf_net *net)
{
    return net->assumption;
}

const char *ptf_net_doubt(const ptf_net *net, size_t index)
{
    return index < (size_t)net->doubt_count ? net->doubts[index] : NULL;
}

size_t ptf_net_layer_count(const ptf_net *net)
{
    return (size_t)(net->node_count - net->input_count);
}

void ptf_net_layer(const ptf_net *net, size_t index, ptf_layer *out)
{
    const ptf_node *node = &net->nodes[(size_t)net->input_count + index];
    *out = (ptf_layer){
        .name = node->name,
        .op = node->class_name,
        .kind = ptf_op_kind(node->op),
        .text = node->text,
    };
    for (int role = PTF_ROLE_WEIGHT; role <= PTF_ROLE_SHIFT; role++) {
        int rank;
        int64_t shape[PTF_MAX_RANK], count = 1;
        if (!ptf_op_parameter(node->op, &node->attrs, (ptf_role)role, &rank,
                              shape))
            continue;
        for (int d = 0; d < rank; d++)
            count *= shape[d]; /* ptf_net_check() saw that it fits */
        out->parameters += count;
    }
    if (ptf_node_is_parameter(node))
        out->parameters = ptf_tensor_numel(node->tensors[PTF_ROLE_WEIGHT]);
}

size_t ptf_net_tensor_count(const ptf_net *net)
{
    return net->tensor_count;
}

const ptf_tensor *ptf_net_tensor(const ptf_net *net, size_t index)
{
    return net->tensors[index];
}

/* ---------------------------------------------------------------- the text */

static void indent(int depth, FILE *out)
{
    fprintf(out, "%*s", 2 * depth, "");
}

/* Containers above 'container', itself included. */
static int depth_of(const ptf_net *net, int container)
{
    int depth = 0;
    for (; container >= 0; container = net->containers[container].parent)
        depth++;
    return depth;
}

static void open_container(const ptf_net *net, int container, FILE *out)
{
    const ptf_container *c = &net->containers[container];
    indent(depth_of(net, container) - 1, out);
    if (c->parent >= 0)
        fprintf(out, "(%s): ", ptf_path_last(c->path));
    fprintf(out, "%s(\n", c->class_name);
}

static bool is_above(const ptf_net *net, int container, int of)
{
    while (of >= 0 && of != container)
        of = net->containers[of].parent;
    return of == container;
}

/* Closes what is open from 'from' upwards until it contains 'to'. */
static void close_containers(const ptf_net *net, int from, int to, FILE *out)
{
    for (; from >= 0 && !is_above(net, from, to);
         from = net->containers[from].parent) {
        indent(depth_of(net, from) - 1, out);
        fprintf(out, ")\n");
    }
}

void ptf_net_print_text(const ptf_net *net, FILE *out)
{
    if (net->input_count > 0 && net->inputs[0].has_shape) {
        char shape[PTF_SHAPE_TEXT];
        ptf_shape_text(&net->inputs[0].shape, shape);
        fprintf(out, "# input: %s\n", shape);
    }
    /*
     * Containers stand parents first and each has a node, so those that a
     * node opens are the next ones in their list.
     */
    int opened = 0, inside = -1;
    for (int i = 1; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        if (node->implied)
            continue;
        close_containers(net, inside, node->container, out);
        while (opened <= node->container)
            open_container(net, opened++, out);
        inside = node->container;
        indent(depth_of(net, inside), out);
        if (inside >= 0)
            fprintf(out, "(%s): ", ptf_path_last(node->name));
        fprintf(out, "%s\n", node->text);
    }
    close_containers(net, inside, -1, out);
}

/* --------------------------------------------------------------- the graph */

static void print_tensors(const ptf_node *node, FILE *out)
{
    for (int role = 0; role < PTF_ROLE_COUNT; role++) {
        const ptf_tensor *tensor = node->tensors[role];
        if (tensor == NULL)
            continue;
        char shape[192];
        ptf_tensor_shape_text(tensor, shape);
        fprintf(out, "       %s %s %s\n", ptf_role_name((ptf_role)role),
                ptf_dtype_name(tensor->dtype), shape);
    }
}

static void print_node(const ptf_net *net, int index, FILE *out)
{
    const ptf_node *node = &net->nodes[index];
    fprintf(out, "%4d", index);
    for (int k = 0; k < node->input_count; k++)
        fprintf(out, "%s%d", k == 0 ? " <- " : ", ", node->inputs[k]);
    if (node->name[0] != '\0')
        fprintf(out, "  %s:", node->name);
    fprintf(out, "  %s%s%s\n", node->text, node->implied ? "  (implied)" : "",
            ptf_net_is_output(net, index) ? "  -> output" : "");
    print_tensors(node, out);
}

void ptf_net_print(const ptf_net *net, FILE *out)
{
    fprintf(out, "%s: %d layers, %zu tensors", ptf_net_name(net),
            net->node_count - net->input_count, net->tensor_count);
    for (int i = 0; i < net->rewrite_count; i++)
        fprintf(out, "%s%s", i == 0 ? ", rewritten by " : ", ",
                net->rewrites[i]);
    fprintf(out, "\n");
    if (net->assumption != NULL)
        fprintf(out, "assumes %s\n", net->assumption);
    for (int i = 0; i < net->node_count; i++)
        print_node(net, i, out);
}
